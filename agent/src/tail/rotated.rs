//! Logs that are being rotated: which files took their names meanwhile and were rotated as well,
//! between two looks, so that no glob matches them any more.

use super::discover::Finder;
use super::lineage::originals;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A log counts as one that is rotated for so long after each rotation that was seen.
const ROTATED_TIME: Duration = Duration::from_secs(3600);

/// Rotated files are looked for once more until they were not written for so long.
const SLACK: Duration = Duration::from_secs(10);

/// File systems stamp in steps of up to two seconds (FAT), with a clock that may lag behind.
pub(super) const STAMP_STEP: Duration = Duration::from_secs(2);

/// A file that no glob matches, but that a rotator may have made of one that a glob does.
#[derive(Debug)]
pub(super) struct Astray {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Where the other one was.
    pub(super) home: PathBuf,
    /// True when it holds something new whatever it is: it was written after the rotation.
    pub(super) is_new: bool,
}

/// Names that a glob matches and whose files were rotated.
#[derive(Debug, Default)]
pub(super) struct RotatedLogs {
    homes: HashMap<PathBuf, Log>,
}

#[derive(Debug)]
struct Log {
    /// What was written before is known.
    since: SystemTime,
    until: Instant,
}

impl RotatedLogs {
    /// What may have been rotated while no agent ran: all files, and when each was last heard of.
    pub(super) fn new(homes: HashMap<PathBuf, SystemTime>, finder: &Finder, now: Instant) -> Self {
        let homes = homes.into_iter().filter(|(home, _)| finder.wants(home));
        Self { homes: homes.map(|(home, since)| (home, Log { since, until: now })).collect() }
    }

    /// Goes on with other globs: as before where `former` had the same, else as at the start.
    pub(super) fn renew(
        &mut self,
        mut homes: HashMap<PathBuf, SystemTime>,
        (former, finder): (&Finder, &Finder),
        now: Instant,
    ) {
        self.homes.retain(|home, _| finder.wants(home));
        homes.retain(|home, _| !former.wants(home));
        self.homes.extend(Self::new(homes, finder, now).homes);
    }

    /// True when no log is rotated.
    pub(super) fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }

    /// The file at `home` was rotated; it was there at `since`.
    pub(super) fn note(&mut self, home: PathBuf, since: SystemTime, now: Instant) {
        let until = now + ROTATED_TIME;
        let since = since.checked_sub(STAMP_STEP).unwrap_or(since);
        let log = self.homes.entry(home).or_insert(Log { since, until });
        log.until = until;
    }

    /// Rotated files that were written since and that no glob matches.
    pub(super) fn unseen(&self, finder: &Finder) -> Vec<Astray> {
        let mut found = Vec::new();
        let folders: HashSet<&Path> = self.homes.keys().filter_map(|home| home.parent()).collect();
        for folder in folders {
            for file in folder.read_dir().into_iter().flatten().flatten() {
                let path = file.path();
                let homes = originals(&path);
                let home = |name: &Vec<u8>| {
                    self.homes.get_key_value(&folder.join(OsStr::from_bytes(name)))
                };
                let Some((home, log)) = homes.iter().find_map(home) else { continue };
                let is_new =
                    path.metadata().and_then(|it| it.modified()).is_ok_and(|at| at >= log.since);
                if is_new && !finder.found().contains_key(&path) {
                    found.push(Astray { path, home: home.clone(), is_new });
                }
            }
        }
        found
    }

    /// Everything that was there at `scanned` has been looked at, unless it `is_unsettled`.
    pub(super) fn advance(&mut self, scanned: SystemTime, is_unsettled: bool, now: Instant) {
        if is_unsettled {
            return;
        }
        self.homes.retain(|_, log| {
            log.since = log.since.max(scanned - SLACK);
            log.until > now
        });
    }
}
