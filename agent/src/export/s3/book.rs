//! What the archive knows of itself over restarts: its manifests, how far each file is staged, and the
//! number of the next object. One small file, written as a whole.

use super::manifest::{Manifest, Object};
use super::partition::Partition;
use crate::export::spool::segment;
use crate::model::FileId;
use crate::policy::Redactors;
use crate::{telemetry, trace};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const NAME: &str = "book";
/// Runs whose manifest is open; over it, the one that had no object for longest is closed.
const RUNS_MAX: usize = 64;
/// Files whose state is kept; over it, those heard of longest ago are forgotten, and a crash may
/// archive a second or so of them twice.
const FILES_MAX: usize = 8_192;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    rules: u64,
    stored: Stored,
    covered: HashMap<FileId, (u64, u64)>,
    /// For the order in which files were heard of.
    clock: u64,
    /// Keys of manifests that the bucket does not have like this.
    unsent: BTreeSet<String>,
}

/// What stands in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    /// Rules that the texts in it were redacted with.
    rules: u64,
    instance: String,
    next_number: u64,
    covered: Vec<(String, u64)>,
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
    /// None where its texts are redacted with other rules than those of today: what it says was sent.
    manifest: Option<Manifest>,
}

impl Book {
    /// Reads the one in `folder`, or begins one.
    ///
    /// # Errors
    /// When there is one and the disk does not give it.
    pub(super) fn open(folder: &Path, redactors: &Redactors) -> io::Result<Self> {
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
            stored =
                Stored { instance: format!("{:016x}", FileId::random().0), ..Stored::default() };
            stored.next_number = 1;
        }
        if stored.rules != rules {
            // Texts of the state folder count as redacted only if today's rules made them.
            for run in &mut stored.runs {
                let redacted = |text: &str| redactors.base().value(text).to_string();
                (run.job_name, run.run_id) = (redacted(&run.job_name), redacted(&run.run_id));
                run.manifest = None;
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
        for (id, to) in std::mem::take(&mut book.stored.covered) {
            let id = trace::parse_id::<8>(id.as_bytes()).map(u64::from_be_bytes);
            id.into_iter().for_each(|id| book.cover(FileId(id), to));
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

    /// Up to where a file is staged; 0 when nothing is known of it.
    #[must_use]
    pub(super) fn covered(&self, file: FileId) -> u64 {
        self.covered.get(&file).map_or(0, |(to, _)| *to)
    }

    /// Says that a file is staged up to `to`.
    pub(super) fn cover(&mut self, file: FileId, to: u64) {
        self.clock += 1;
        let before = self.covered(file);
        self.covered.insert(file, (before.max(to), self.clock));
        if self.covered.len() > FILES_MAX {
            let oldest = self.covered.iter().min_by_key(|(_, (_, heard))| *heard);
            if let Some(oldest) = oldest.map(|(file, _)| *file) {
                self.covered.remove(&oldest);
                telemetry::S3_FORGOTTEN_FILES.add(1);
            }
        }
    }

    /// Notes an object with this number. `is_staged` says of which runs there is more to come.
    pub(super) fn add(
        &mut self,
        partition: &Partition,
        number: u64,
        object: Object,
        is_staged: impl Fn(&str, &str) -> bool,
    ) {
        let (job_name, run_id) = (&partition.job_name, &partition.run_id);
        let is_same = |run: &Run| (&run.job_name, &run.run_id) == (job_name, run_id);
        let known = self.stored.runs.iter().position(is_same);
        let mut run = known.map_or_else(
            || Run {
                job_name: job_name.clone(),
                run_id: run_id.clone(),
                number: 0,
                manifest: None,
            },
            |index| self.stored.runs.remove(index),
        );
        let key = object.key.clone();
        let is_in_it = |it: &Manifest| key.is_some() && it.objects.iter().any(|it| it.key == key);
        let is_full = |it: &Manifest| it.is_full() && !is_in_it(it);
        if let Some(mut full) = run.manifest.take_if(|manifest| is_full(manifest)) {
            full.continued = true;
            self.close(full);
        }
        let manifest = run.manifest.get_or_insert_with(|| {
            let mut next = Manifest::new(&self.stored.instance, partition, number);
            next.continues = (run.number > 0).then_some(run.number);
            next
        });
        run.number = manifest.number;
        manifest.add(object);
        self.unsent.insert(manifest.key());
        self.stored.runs.push(run);
        if self.stored.runs.len() > RUNS_MAX {
            let oldest = self.stored.runs.remove(0);
            let has_ended = !is_staged(&oldest.job_name, &oldest.run_id);
            if let Some(manifest) = oldest.manifest {
                self.close(Manifest { complete: manifest.complete || has_ended, ..manifest });
            }
        }
    }

    fn close(&mut self, manifest: Manifest) {
        self.unsent.insert(manifest.key());
        self.stored.closed.push(manifest);
    }

    /// Says that nothing of any run is left to archive.
    pub(super) fn complete(&mut self) {
        for manifest in self.stored.runs.iter_mut().filter_map(|run| run.manifest.as_mut()) {
            if !manifest.complete {
                manifest.complete = true;
                self.unsent.insert(manifest.key());
            }
        }
    }

    /// Manifests that the bucket does not have like this: key below the prefix, and contents.
    #[must_use]
    pub(super) fn unsent(&self) -> Vec<(String, Vec<u8>)> {
        let unsent = self.manifests().filter(|it| self.unsent.contains(&it.key()));
        // A struct of numbers and texts always has a JSON form.
        unsent.map(|it| (it.key(), serde_json::to_vec(it).unwrap_or_default())).collect()
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
        covered.sort_unstable_by_key(|(_, (_, heard))| *heard);
        let covered = covered.into_iter().map(|(file, (to, _))| (format!("{:016x}", file.0), *to));
        (self.stored.rules, self.stored.covered) = (self.rules, covered.collect());
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

/// What stands in the file; none when it is damaged.
fn read(bytes: &[u8]) -> Option<Stored> {
    let salt = segment::salt(bytes)?;
    let frame = segment::frame_at(bytes, segment::HEADER_BYTES, salt)?;
    serde_json::from_slice(frame.payload).ok()
}

#[cfg(test)]
mod tests {
    use super::{Book, FILES_MAX, RUNS_MAX};
    use crate::export::s3::manifest::{Manifest, Object};
    use crate::export::s3::partition::Partition;
    use crate::model::{FileId, LogRecord, Resource};
    use crate::policy::Redactors;
    use redaction::{Policy, Profile, Redactor};

    fn partition(run: &str) -> Partition {
        let run_id = Some(Redactor::new().value(run));
        Partition::of(&Resource { run_id, ..Resource::default() }, &LogRecord::default())
    }

    fn object(key: &str) -> Object {
        Object { key: Some(key.to_owned()), ..Object::default() }
    }

    fn manifests(book: &Book) -> Vec<Manifest> {
        let parse = |(_, json): (_, Vec<u8>)| serde_json::from_slice(&json).unwrap();
        book.unsent().into_iter().map(parse).collect()
    }

    #[test]
    fn what_was_written_is_there_after_a_restart_and_sent_again() {
        let folder = tempfile::tempdir().unwrap();
        let redactors = Redactors::default();
        let mut book = Book::open(folder.path(), &redactors).unwrap();
        let number = book.take_number();
        book.add(&partition("r"), number, object("a"), |_, _| true);
        book.cover(FileId(u64::MAX), 17);
        book.write().unwrap();
        let (instance, sent) = (book.instance().to_owned(), manifests(&book));
        let mut book = Book::open(folder.path(), &redactors).unwrap();
        assert_eq!((book.instance(), manifests(&book)), (instance.as_str(), sent));
        assert_eq!((book.covered(FileId(u64::MAX)), book.covered(FileId(1))), (17, 0));
        assert_eq!(book.take_number(), number + 1);
        let keys: Vec<_> = book.unsent().into_iter().map(|(key, _)| key).collect();
        book.note_sent(&keys);
        assert!(book.unsent().is_empty());
        book.complete();
        assert!(manifests(&book)[0].complete);
    }

    #[test]
    fn a_full_manifest_is_continued_in_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(folder.path(), &Redactors::default()).unwrap();
        for number in 1..=257 {
            book.add(&partition("r"), number, object(&number.to_string()), |_, _| true);
        }
        let both = manifests(&book);
        let told: Vec<_> = both
            .iter()
            .map(|it| (it.number, it.continues, it.continued, it.objects.len()))
            .collect();
        assert_eq!(told, [(1, None, true, 256), (257, Some(1), false, 1)]);
    }

    #[test]
    fn runs_and_files_have_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(folder.path(), &Redactors::default()).unwrap();
        for number in 0..=RUNS_MAX as u64 {
            let run = format!("run-{number}");
            book.add(&partition(&run), number + 1, object(&run), |_, run| run != "run-0");
        }
        let first = manifests(&book).remove(0);
        assert_eq!((first.run_id.as_str(), first.complete), ("run-0", true));
        for file in 0..=FILES_MAX as u64 {
            book.cover(FileId(file), 1);
        }
        assert_eq!((book.covered(FileId(0)), book.covered(FileId(1))), (0, 1));
    }

    #[test]
    fn texts_of_other_rules_do_not_leave_and_damage_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(folder.path(), &Redactors::default()).unwrap();
        book.add(&partition("r"), 5, object("a"), |_, _| true);
        book.cover(FileId(3), 9);
        book.write().unwrap();
        let other = Redactors::new(Policy { profile: Profile::Pci, ..Policy::default() }).unwrap();
        let mut changed = Book::open(folder.path(), &other).unwrap();
        assert!(changed.unsent().is_empty());
        changed.add(&partition("r"), 6, object("b"), |_, _| true);
        assert_eq!(manifests(&changed)[0].continues, Some(5));
        assert_eq!(changed.covered(FileId(3)), 9);
        let path = folder.path().join("book");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let anew = Book::open(folder.path(), &Redactors::default()).unwrap();
        assert_ne!(anew.instance(), book.instance(), "no object of the old one is overwritten");
    }
}
