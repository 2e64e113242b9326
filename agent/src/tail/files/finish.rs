//! The end of a tail: all that was there when the end began is read and handed over, also what
//! waits behind older files, for a descriptor, or until an archive is whole.

use super::scan::ARCHIVE_REST;
use super::{SCAN_INTERVAL, Tail, Tracked};
use crate::model::FileId;
use crate::tail::batch::{Abandoned, Pass};
use crate::tail::lineage::is_gzip;
use crate::tail::watch::Stop;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A half-written line may become whole within this time.
const HALF_LINE_WAIT: Duration = Duration::from_millis(300);

/// What was whole when the end began, is known to be whole after this time.
const ARCHIVE_WAIT: Duration = ARCHIVE_REST.saturating_add(SCAN_INTERVAL);

/// Nothing comes any more of a file that gave nothing for so long, whatever its length was.
const STUCK: Duration = Duration::from_millis(1500);

/// Time between two looks when nothing came.
const LOOK_WAIT: Duration = Duration::from_millis(10);

/// The model of the tests ends hundreds of times.
const SPEED: u32 = if cfg!(test) { 50 } else { 1 };

impl Tail {
    /// Reads every file to where it ends now, and hands everything over. The files that may be open
    /// at the same time make a round, and there are as many rounds as it takes.
    pub(super) fn finish(&mut self, stop: &Stop, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let (began, clock) = (pass.now, Instant::now());
        (self.next_scan, self.is_unsettled) = (began, true);
        self.asleep.values_mut().for_each(|asleep| asleep.due = began);
        let mut ends = HashMap::new();
        let (mut round, mut last_read, mut read_since) = (began, began, None);
        loop {
            if stop.is_abandoned() {
                return Err(Abandoned);
            }
            pass.now = began + clock.elapsed() * SPEED;
            self.take_up_last(&mut ends, pass)?;
            let looked = self.look_at_all(pass)?;
            if looked.bytes > 0 {
                last_read = pass.now;
            }
            let is_held = self.let_newer_ones_go(&ends, pass)? || looked.is_cut_short;
            let is_stuck = !is_held && pass.now - last_read > STUCK;
            if is_stuck || self.files.iter().all(|tracked| is_at_end(tracked, &ends)) {
                let since = *read_since.get_or_insert(pass.now);
                let is_late = pass.now - since > HALF_LINE_WAIT;
                let is_whole = self.files.iter().all(|tracked| !tracked.file.has_half_line());
                let is_settled = self.young_archives.is_empty() || pass.now - round > ARCHIVE_WAIT;
                if (is_late || is_whole) && is_settled {
                    self.hand_all_over(pass)?;
                    if !self.make_room(pass.now) {
                        break;
                    }
                    (round, last_read, read_since) = (pass.now, pass.now, None);
                    continue;
                }
            }
            if looked.bytes == 0 {
                std::thread::sleep(LOOK_WAIT / SPEED);
            }
        }
        self.known.end_vain_hunts(&self.finder, pass.now);
        self.forget_gone();
        Ok(())
    }

    /// Opens what is there, and notes where it ends.
    fn take_up_last(
        &mut self,
        ends: &mut HashMap<FileId, u64>,
        pass: &mut Pass<'_>,
    ) -> Result<(), Abandoned> {
        if pass.now >= self.next_scan {
            self.scan(pass)?;
            self.next_scan = pass.now + SCAN_INTERVAL;
        }
        self.look_at_asleep(pass.now);
        self.start_waiting(pass.now, true);
        for tracked in &mut self.files {
            tracked.due = pass.now;
            ends.entry(tracked.file.id()).or_insert_with(|| end_of(tracked));
        }
        Ok(())
    }

    /// Hands over what is open in files that are read, if others wait for it; true when some did.
    fn let_newer_ones_go(
        &mut self,
        ends: &HashMap<FileId, u64>,
        pass: &mut Pass<'_>,
    ) -> Result<bool, Abandoned> {
        let held = self.behind_older();
        if held.is_empty() {
            return Ok(false);
        }
        for tracked in &mut self.files {
            if !held.contains(&tracked.file.id()) && is_at_end(tracked, ends) {
                tracked.file.flush(pass, true)?;
                tracked.file.seal(pass)?;
            }
        }
        Ok(true)
    }

    fn hand_all_over(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        for tracked in &mut self.files {
            // What was read of a pipe cannot be read again.
            let is_growing =
                tracked.file.idle(pass.now) < HALF_LINE_WAIT && !tracked.file.is_pipe();
            tracked.file.flush(pass, is_growing)?;
            tracked.file.seal(pass)?;
        }
        Ok(())
    }

    /// Closes what is read, if files wait for that; true when there is room for them now.
    fn make_room(&mut self, now: Instant) -> bool {
        if !self.is_full {
            return false;
        }
        self.files.iter_mut().for_each(|tracked| tracked.due = now + SCAN_INTERVAL);
        self.put_to_sleep(now);
        self.next_scan = now;
        self.n_open() < self.open_files_max
    }
}

/// Where a file ends now. Of an archive only its last read tells.
fn end_of(tracked: &Tracked) -> u64 {
    let file = tracked.file.source().file();
    if tracked.file.is_pipe() {
        let bytes = rustix::io::ioctl_fionread(file).unwrap_or(0);
        return tracked.file.position().saturating_add(bytes);
    }
    if is_gzip(tracked.file.path()) {
        return u64::MAX;
    }
    file.metadata().map_or(0, |now| now.len())
}

fn is_at_end(tracked: &Tracked, ends: &HashMap<FileId, u64>) -> bool {
    let end = ends.get(&tracked.file.id()).copied().unwrap_or(u64::MAX);
    let is_read = tracked.file.position() >= end || tracked.file.source().archive().is_some();
    is_read || tracked.is_failing || tracked.file.has_ended()
}

#[cfg(test)]
pub(super) mod tests;
