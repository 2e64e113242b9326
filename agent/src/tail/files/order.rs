//! Order among the files of one log: older generations are read to their end before newer ones.

use super::{Tail, Tracked};
use crate::model::FileId;
use crate::tail::discover::Finder;
use crate::tail::fingerprint::Seen;
use crate::tail::lineage::originals;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Nobody writes to an older generation so long after a newer one was there: two files that are
/// written side by side are not of one log, whatever their names.
const SWITCH_S: i64 = 10;

/// Where the newest file of the log is that the file at `path` belongs to; `home` when nothing
/// tells that it was rotated.
pub(super) fn family(path: &Path, home: &Path, finder: &Finder) -> PathBuf {
    let names = originals(path);
    let bases = names.iter().map(|name| path.with_file_name(OsStr::from_bytes(name)));
    let mut bases = bases.filter(|base| finder.found().contains_key(base));
    bases.next().unwrap_or_else(|| home.to_owned())
}

impl Tail {
    /// Files that wait until an older one of the same log is read to its end.
    pub(super) fn behind_older(&self) -> HashSet<FileId> {
        let is_unread = |tracked: &&Tracked| {
            let source = tracked.file.source();
            let is_open = !tracked.file.is_empty() && !tracked.file.has_half_line();
            let has_backlog =
                source.seen() == Seen::default() || !tracked.file.is_read() || is_open;
            // One that cannot be read holds nobody up.
            has_backlog && !tracked.file.is_pipe() && !tracked.is_failing
        };
        // When the unread files were written: last before they were opened, and last of all.
        let mut unread: HashMap<&Path, BTreeMap<(i64, i64), i64>> = HashMap::new();
        for tracked in self.files.iter().filter(is_unread) {
            let written_s = tracked.file.source().seen().modified.0;
            let files = unread.entry(&tracked.family).or_default();
            let least = files.entry(tracked.modified).or_insert(written_s);
            *least = written_s.min(*least);
        }
        if unread.is_empty() {
            return HashSet::new();
        }
        // Of each file and all that are older.
        for files in unread.values_mut() {
            let mut least = i64::MAX;
            for written_s in files.values_mut() {
                least = least.min(*written_s);
                *written_s = least;
            }
        }
        let is_behind = |tracked: &&Tracked| {
            let older = unread.get(tracked.family.as_path());
            let older = older.and_then(|files| files.range(..tracked.modified).next_back());
            older.is_some_and(|(_, written_s)| *written_s <= tracked.modified.0 + SWITCH_S)
        };
        self.files.iter().filter(is_behind).map(|tracked| tracked.file.id()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::finish::tests::{Bed, lines};
    use std::time::{Duration, SystemTime};

    #[test]
    fn two_files_that_are_written_side_by_side_do_not_wait_for_each_other() {
        let mut bed = Bed::new();
        let at = |bed: &Bed, name: &str, seconds: u64| {
            let file = std::fs::File::options().append(true).open(bed.path(name)).unwrap();
            let time = SystemTime::now() - Duration::from_secs(100) + Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        };
        bed.write("driver.log", &lines(0..1));
        at(&bed, "driver.log", 0);
        bed.write("driver2.log", &lines(1_000..1_001));
        at(&bed, "driver2.log", 1);
        bed.turn(Duration::ZERO);
        for second in 2..60 {
            let number = second as usize;
            bed.write("driver.log", &lines(number..number + 1));
            bed.write("driver2.log", &lines(1_000 + number..1_001 + number));
            at(&bed, "driver.log", 100 + second);
            at(&bed, "driver2.log", 100 + second);
            bed.turn(Duration::from_millis(400));
        }
        let n_came = bed.came.iter().filter(|body| body.starts_with("number 10")).count();
        assert!(n_came > 30, "{:?}", bed.came);
    }
}
