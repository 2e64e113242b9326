//! What the archive knows of itself over restarts: its manifests, how far each file is staged, and the
//! number of the next object. One small file, written as a whole.

use super::manifest::{Manifest, Object};
use super::partition::Partition;
use crate::export::spool::segment;
use crate::model::FileId;
use crate::policy::Redactors;
use crate::{telemetry, trace};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const NAME: &str = "book";
/// Runs whose manifest is open; over it, that of the one that had no object for longest is closed, and
/// what comes later is in a next one.
const RUNS_MAX: usize = 64;
/// Runs that are known at all; of the one over it, nothing more is expected.
const RUNS_KNOWN_MAX: usize = 1_024;
/// Files whose state is kept; over it, those heard of longest ago are forgotten, and a crash may
/// archive a second or so of them twice.
const FILES_MAX: usize = 8_192;
/// Ranges that are kept of a file. More than one there are only behind a hole that a failed disk has
/// left; over it, the lowest is forgotten, and comes a second time if the file is read from there.
const RANGES_MAX: usize = 64;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    rules: u64,
    stored: Stored,
    covered: HashMap<FileId, Covered>,
    /// For the order in which files were heard of.
    clock: u64,
    /// Keys of manifests that the bucket does not have like this.
    unsent: BTreeSet<String>,
}

/// What is staged of a file.
#[derive(Debug, Default)]
struct Covered {
    /// Ascending, and none touches another one.
    ranges: Vec<Bytes>,
    heard: u64,
}

/// From and to.
pub(super) type Bytes = (u64, u64);

/// What stands in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    /// Rules that the texts in it were redacted with.
    rules: u64,
    instance: String,
    /// Bucket and prefix of all that is told here.
    place: String,
    /// What of which file went to another bucket or prefix before.
    elsewhere: BTreeMap<String, Vec<Bytes>>,
    next_number: u64,
    covered: Vec<(String, Vec<Bytes>)>,
    /// That had an object last comes last.
    runs: Vec<Run>,
    /// Manifests to which nothing is added any more and that the bucket does not have yet.
    closed: Vec<Manifest>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    job_name: String,
    run_id: String,
    /// Number of the newest manifest.
    number: u64,
    /// None where it was closed, and where its texts are redacted with other rules than those of today:
    /// what it says was sent.
    manifest: Option<Manifest>,
    /// Whether the newest manifest says that it is complete, where it was closed.
    is_complete: bool,
}

impl Book {
    /// Reads the one in `folder`, or begins one. `place` is the bucket and prefix of today.
    ///
    /// # Errors
    /// When there is one and the disk does not give it.
    pub(super) fn open(folder: &Path, place: &str, redactors: &Redactors) -> io::Result<Self> {
        let path = folder.join(NAME);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            bytes => Some(bytes?),
        };
        let read = bytes.as_deref().map(read);
        if matches!(read, Some(None)) {
            telemetry::S3_STAGING_ERRORS.add(1);
            tracing::warn!("the book of the archive is damaged; manifests begin anew");
            fs::rename(&path, folder.join("book.damaged"))?;
        }
        let rules = redactors.fingerprint();
        let mut stored = read.flatten().unwrap_or_default();
        if trace::parse_id::<8>(stored.instance.as_bytes()).is_none() {
            stored = Stored { next_number: 1, ..Stored::default() };
        }
        if stored.place != place {
            stored.move_to(place);
        }
        if stored.rules != rules {
            // Texts of the state folder count as redacted only if today's rules made them.
            for run in &mut stored.runs {
                let redacted = |text: &str| redactors.base().value(text).to_string();
                (run.job_name, run.run_id) = (redacted(&run.job_name), redacted(&run.run_id));
                (run.manifest, run.is_complete) = (None, false);
            }
            stored.closed.clear();
            stored.rules = rules;
        }
        let mut book = Self {
            path,
            rules,
            covered: HashMap::new(),
            clock: 0,
            unsent: BTreeSet::new(),
            stored,
        };
        for (id, ranges) in std::mem::take(&mut book.stored.covered) {
            let Some(id) = trace::parse_id::<8>(id.as_bytes()).map(u64::from_be_bytes) else {
                continue;
            };
            ranges.into_iter().for_each(|range| book.cover(FileId(id), range));
        }
        // A crash may have come before they were sent.
        book.unsent = book.manifests().map(Manifest::key).collect();
        Ok(book)
    }

    /// Which archive this is.
    #[must_use]
    pub(super) fn instance(&self) -> &str {
        &self.stored.instance
    }

    /// A number that no object of this archive has.
    pub(super) fn take_number(&mut self) -> u64 {
        self.stored.next_number += 1;
        self.stored.next_number - 1
    }

    /// Says that an object has this number.
    pub(super) fn note_number(&mut self, number: u64) {
        self.stored.next_number = self.stored.next_number.max(number + 1);
    }

    /// What of a file is staged, ascending; empty when nothing is known of it.
    #[must_use]
    pub(super) fn covered(&self, file: FileId) -> &[Bytes] {
        self.covered.get(&file).map_or(&[], |covered| &covered.ranges)
    }

    /// Says that these bytes of a file are staged. What a batch says of the bytes before its own proves
    /// nothing: they may have been in a segment that the disk did not keep.
    pub(super) fn cover(&mut self, file: FileId, (from, to): Bytes) {
        self.clock += 1;
        let covered = self.covered.entry(file).or_default();
        covered.heard = self.clock;
        let ranges = &mut covered.ranges;
        let start = ranges.partition_point(|(_, end)| *end < from);
        let end = ranges.partition_point(|(start, _)| *start <= to);
        let touched = ranges.get(start..end).unwrap_or_default();
        let low = touched.first().map_or(from, |(low, _)| from.min(*low));
        let high = touched.last().map_or(to, |(_, high)| to.max(*high));
        ranges.splice(start..end.max(start), [(low, high)]);
        if ranges.len() > RANGES_MAX {
            ranges.remove(0);
        }
        if self.covered.len() > FILES_MAX {
            let oldest = self.covered.iter().min_by_key(|(_, covered)| covered.heard);
            if let Some(oldest) = oldest.map(|(file, _)| *file) {
                self.covered.remove(&oldest);
                telemetry::S3_FORGOTTEN_FILES.add(1);
            }
        }
    }

    /// Notes an object. `is_staged` says of which runs there is more to come.
    pub(super) fn add(
        &mut self,
        partition: &Partition,
        mut object: Object,
        is_staged: impl Fn(&str, &str) -> bool,
    ) {
        for part in &mut object.files {
            let elsewhere = self.stored.elsewhere.get(&part.file_id);
            part.elsewhere = elsewhere.cloned().unwrap_or_default();
        }
        let (job_name, run_id) = (&partition.job_name, &partition.run_id);
        let is_same = |run: &Run| (&run.job_name, &run.run_id) == (job_name, run_id);
        let known = self.stored.runs.iter().position(is_same);
        let mut run = known.map_or_else(
            || Run {
                job_name: job_name.clone(),
                run_id: run_id.clone(),
                number: 0,
                manifest: None,
                is_complete: false,
            },
            |index| self.stored.runs.remove(index),
        );
        let is_in_it = |it: &Manifest| it.objects.iter().any(|it| it.number == object.number);
        let is_full = |it: &Manifest| it.is_full() && !is_in_it(it);
        if let Some(mut full) = run.manifest.take_if(|manifest| is_full(manifest)) {
            full.continued = true;
            self.close(full);
        }
        let manifest = run.manifest.get_or_insert_with(|| {
            let mut next = Manifest::new(&self.stored.instance, job_name, run_id, object.number);
            next.continues = (run.number > 0).then_some(run.number);
            next
        });
        (run.number, run.is_complete) = (manifest.number, false);
        manifest.add(object);
        self.unsent.insert(manifest.key());
        self.stored.runs.push(run);
        self.close_over_limits(is_staged);
    }

    fn close_over_limits(&mut self, is_staged: impl Fn(&str, &str) -> bool) {
        let n_open = self.stored.runs.iter().filter(|run| run.manifest.is_some()).count();
        let mut closed = Vec::new();
        let open = self.stored.runs.iter_mut().filter(|run| run.manifest.is_some());
        for run in open.take(n_open.saturating_sub(RUNS_MAX)) {
            let Some(manifest) = run.manifest.take() else { continue };
            run.is_complete = manifest.complete;
            // More of the run may come: then, and at the end of the agent, another manifest follows.
            closed.push(Manifest { continued: !manifest.complete, ..manifest });
        }
        closed.into_iter().for_each(|manifest| self.close(manifest));
        if self.stored.runs.len() > RUNS_KNOWN_MAX {
            let mut oldest = self.stored.runs.remove(0);
            let is_over = !is_staged(&oldest.job_name, &oldest.run_id);
            if !oldest.is_complete {
                let last = self.stored.last_of(&mut oldest);
                self.close(Manifest { complete: is_over, ..last });
            }
        }
    }

    fn close(&mut self, manifest: Manifest) {
        self.unsent.insert(manifest.key());
        self.stored.closed.push(manifest);
    }

    /// Says that nothing of any run is left to archive.
    pub(super) fn complete(&mut self) {
        let mut runs = std::mem::take(&mut self.stored.runs);
        for run in &mut runs {
            if run.manifest.is_none() && !run.is_complete {
                run.manifest = Some(self.stored.last_of(run));
            }
            let is_damaged = |it: &Manifest| it.objects.iter().any(|it| it.damaged_bytes > 0);
            if let Some(manifest) = run.manifest.as_mut().filter(|it| !it.complete)
                && !is_damaged(manifest)
            {
                manifest.complete = true;
                self.unsent.insert(manifest.key());
            }
        }
        self.stored.runs = runs;
    }

    /// Manifests that the bucket does not have like this: key below the prefix, and contents.
    #[must_use]
    pub(super) fn unsent(&self) -> Vec<(String, Vec<u8>)> {
        let unsent = self.manifests().filter(|it| self.unsent.contains(&it.key()));
        // A struct of numbers and texts always has a JSON form.
        unsent.map(|it| (it.key(), serde_json::to_vec(it).unwrap_or_default())).collect()
    }

    /// True when no manifest that the bucket does not have like this tells of the object with this
    /// number.
    #[must_use]
    pub(super) fn is_told(&self, number: u64) -> bool {
        let mut unsent = self.manifests().filter(|it| self.unsent.contains(&it.key()));
        unsent.all(|it| it.objects.iter().all(|object| object.number != number))
    }

    /// Says that the bucket has them.
    pub(super) fn note_sent(&mut self, keys: &[String]) {
        self.unsent.retain(|key| !keys.contains(key));
        self.stored.closed.retain(|it| self.unsent.contains(&it.key()));
    }

    fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        let open = self.stored.runs.iter().filter_map(|run| run.manifest.as_ref());
        self.stored.closed.iter().chain(open)
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// When the disk does not take it; the one before is still there.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let mut covered: Vec<_> = self.covered.iter().collect();
        covered.sort_unstable_by_key(|(_, covered)| covered.heard);
        let told = |(file, covered): (&FileId, &Covered)| {
            (format!("{:016x}", file.0), covered.ranges.clone())
        };
        let covered = covered.into_iter().map(told).collect();
        (self.stored.rules, self.stored.covered) = (self.rules, covered);
        let salt = FileId::random().0;
        let (mut bytes, mut frame) = (segment::header(salt).to_vec(), Vec::new());
        let json = serde_json::to_vec(&self.stored)?;
        segment::write_frame(&mut frame, salt, 1, 0, |out| out.extend_from_slice(&json))?;
        bytes.append(&mut frame);
        let temporary = self.path.with_extension("new");
        let mut options = File::options();
        let mut file =
            options.create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

impl Stored {
    /// The archive goes on at another place, which has nothing of what the one before has.
    fn move_to(&mut self, place: &str) {
        self.instance = format!("{:016x}", FileId::random().0);
        self.place = place.to_owned();
        self.elsewhere = self.covered.iter().cloned().collect();
        self.runs.clear();
        self.closed.clear();
    }

    /// A manifest without objects that follows the closed one of `run`.
    fn last_of(&mut self, run: &mut Run) -> Manifest {
        self.next_number += 1;
        let number = self.next_number - 1;
        let mut last = Manifest::new(&self.instance, &run.job_name, &run.run_id, number);
        last.continues = Some(std::mem::replace(&mut run.number, number));
        last
    }
}

/// What stands in the file; none when it is damaged.
fn read(bytes: &[u8]) -> Option<Stored> {
    let salt = segment::salt(bytes)?;
    let frame = segment::frame_at(bytes, segment::HEADER_BYTES, salt)?;
    serde_json::from_slice(frame.payload).ok()
}

#[cfg(test)]
mod tests;
