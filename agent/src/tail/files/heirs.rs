//! Files that go on with a log that was rotated. They name no job themselves, and are of the job that
//! wrote the one before them, unless another process has begun to write.

use super::identify::modified_unix_ms;
use super::waiting::Waiting;
use super::{Tail, Tracked};
use crate::identity::Evidence;
use crate::model::Resource;
use crate::scrape::Job;
use crate::tail::names::is_named_after;
use crate::telemetry;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A file waits so long for lines that tell it apart from the log of a process that has just started.
const HEIR_WAIT: Duration = Duration::from_secs(2);

/// A file that is younger than the last line before it by more than this is another run's.
const PAUSE_MAX_MS: u64 = 60_000;

/// Logs that were rotated and have no heir yet; the files of more wait as every other does.
const PREDECESSORS_MAX: usize = 10_000;

/// File systems stamp in steps of up to two seconds (FAT), with a clock that may lag behind.
const STAMP_STEP: Duration = Duration::from_secs(2);

/// Who wrote the file that was at a path, for the one that comes there next, and when it was last
/// written, milliseconds since the epoch.
#[derive(Debug, Default)]
pub(super) struct Predecessors(HashMap<PathBuf, (Evidence, u64)>);

impl Predecessors {
    /// The file at `home` was rotated.
    pub(super) fn note(&mut self, home: &Path, resource: &Resource, written_unix_ms: u64) {
        let is_full = self.0.len() >= PREDECESSORS_MAX && !self.0.contains_key(home);
        if resource.job_id.is_some() && !is_full {
            self.0.insert(home.to_owned(), (Evidence::of(resource), written_unix_ms));
        }
    }

    /// A file that is still read was rotated.
    pub(super) fn note_read(&mut self, tracked: &Tracked) {
        let file = tracked.file.source().file();
        let written_unix_ms = file.metadata().map_or(0, |metadata| modified_unix_ms(&metadata));
        self.note(&tracked.home, tracked.file.resource(), written_unix_ms);
    }
}

impl Tail {
    /// Gives a file of which nothing else is known the job of the log that it goes on with.
    pub(super) fn inherit(
        &mut self,
        waiting: &mut Waiting,
        jobs: &[Job],
        now: Instant,
        is_last: bool,
    ) {
        let evidence = &waiting.evidence;
        let is_known = evidence.resource.job_id.is_some() || waiting.resource.is_some();
        let wait = HEIR_WAIT.min(self.config.identity_wait.0);
        let has_waited = is_last || waiting.is_detached || waiting.waited(now) >= wait;
        let Some((before, written_unix_ms)) = self.predecessors.0.get(&waiting.home) else {
            return;
        };
        if is_known || !has_waited || waiting.is_empty() {
            return;
        }
        let is_next = waiting.written.since_unix_ms <= written_unix_ms.saturating_add(PAUSE_MAX_MS);
        let answered = self.identity.resource(&waiting.path, evidence, jobs, waiting.written);
        if is_next && !evidence.is_start && answered.job_id.is_none() {
            waiting.evidence.inherit(before);
        }
    }

    /// A file lost its bytes before one of them was read. When a rotator has made a copy of them, that
    /// is read as a new file.
    pub(super) fn truncated_unread(&mut self, waiting: &Waiting, lost_bytes: u64, now: Instant) {
        telemetry::FILES_REPLACED.add("truncated", 1);
        self.tell_truncated(&waiting.path);
        if !has_copy(&waiting.home, lost_bytes, self.last_scan) {
            telemetry::LOST_BYTES.add("truncated", lost_bytes);
        }
        self.rotated.note(waiting.home.clone(), self.last_scan, now);
        self.next_scan = now;
    }

    pub(super) fn tell_truncated(&self, path: &Path) {
        let file = self.redactors.base().value(&path.to_string_lossy());
        tracing::warn!(
            %file,
            "a log file was truncated or written anew; what it held after the last read is lost, \
             unless a copy was made"
        );
    }
}

/// True when there is a file that a rotator may have made of `bytes` at `home` since `scanned`.
fn has_copy(home: &Path, bytes: u64, scanned: SystemTime) -> bool {
    let since = scanned.checked_sub(STAMP_STEP).unwrap_or(scanned);
    let files = home.parent().and_then(|folder| fs::read_dir(folder).ok());
    files.into_iter().flatten().flatten().any(|file| {
        is_named_after(&file.path(), home)
            && file.metadata().is_ok_and(|metadata| {
                let is_young = metadata.modified().is_ok_and(|modified| modified >= since);
                metadata.len() >= bytes && is_young
            })
    })
}
