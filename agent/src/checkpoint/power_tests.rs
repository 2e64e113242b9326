//! The power fails after each step of a write, and the disk kept any part of what was not synced.
//!
//! A model of a disk takes the steps of `steps::WRITE`. Of each name it knows every file that the
//! name may stand for after a power loss: the one that was synced last and all that it stood for
//! since, each name by itself. Of each file that was not synced, any part may be there.

use super::steps::{CURRENT, KEPT, PREVIOUS, Step, TEMPORARY, WRITE};
use super::store::Store;
use super::{Entry, document};
use crate::model::FileId;
use crate::tail::fingerprint::{Digest, Inode};
use std::collections::BTreeMap;
use std::path::Path;

const NAMES: [&str; 4] = [CURRENT, PREVIOUS, TEMPORARY, KEPT];

/// Generation that a file holds, and whether its bytes were synced.
type Files = Vec<(u64, bool)>;

/// A disk with the files of the state folder.
#[derive(Default, Clone)]
struct Disk {
    files: Files,
    /// What each name stands for, newest last; before that, what it may still stand for.
    names: BTreeMap<&'static str, Vec<Option<usize>>>,
}

impl Disk {
    fn at(&self, name: &str) -> Option<usize> {
        self.names.get(name).and_then(|was| was.last().copied().flatten())
    }

    fn set(&mut self, name: &'static str, file: Option<usize>) {
        self.names.entry(name).or_insert_with(|| vec![None]).push(file);
    }

    fn take(&mut self, step: Step, generation: u64) {
        match step {
            Step::Remove(name) => self.set(name, None),
            Step::Fill => {
                self.files.push((generation, false));
                self.set(TEMPORARY, Some(self.files.len() - 1));
            }
            Step::SyncFile => {
                let file = self.at(TEMPORARY).unwrap();
                self.files[file].1 = true;
            }
            Step::Link => self.set(KEPT, self.at(CURRENT)),
            // Two names of one file: nothing happens. A name that is missing is no error for KEPT.
            Step::Rename(from, to) if self.at(from).is_none() || self.at(from) == self.at(to) => {}
            Step::Rename(from, to) => {
                self.set(to, self.at(from));
                self.set(from, None);
            }
            Step::SyncFolder => {
                for was in self.names.values_mut() {
                    was.drain(..was.len() - 1);
                }
            }
        }
    }

    /// Every set of files that a power loss may leave: by name, which file and how much of it.
    fn after_power_loss(&self) -> Vec<Vec<(&'static str, Vec<u8>)>> {
        let mut folders = vec![Vec::new()];
        for name in NAMES {
            let mut was = self.names.get(name).cloned().unwrap_or_else(|| vec![None]);
            was.sort_unstable();
            was.dedup();
            let contents: Vec<_> = was.iter().flat_map(|file| self.contents(*file)).collect();
            let with = |folder: &Vec<_>, content: &Option<Vec<u8>>| {
                let mut folder = folder.clone();
                folder.extend(content.clone().map(|content| (name, content)));
                folder
            };
            folders = folders
                .iter()
                .flat_map(|folder| contents.iter().map(move |content| with(folder, content)))
                .collect();
        }
        folders
    }

    fn contents(&self, file: Option<usize>) -> Vec<Option<Vec<u8>>> {
        let Some((generation, is_synced)) = file.map(|file| self.files[file]) else {
            return vec![None];
        };
        let whole = bytes(generation);
        if is_synced {
            return vec![Some(whole)];
        }
        let mut contents = vec![Some(whole.clone())];
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            let torn = whole[..length].to_vec();
            let mut zeroed = torn.clone();
            zeroed.resize(whole.len(), 0);
            contents.extend([Some(torn), Some(zeroed)]);
        }
        contents
    }
}

fn entry(generation: u64) -> Entry {
    Entry {
        path: "a.log".into(),
        inode: Inode { device: 1, inode: 2 },
        head: Digest::default(),
        offset: generation,
        frontier: Digest::default(),
        job_id: None,
        job_name: None,
        seen_unix_s: 1_000,
        archive: None,
        is_ended: false,
    }
}

fn bytes(generation: u64) -> Vec<u8> {
    let (mut bytes, entry) = (Vec::new(), entry(generation));
    document::encode([(FileId(1), &entry)].into_iter(), &mut bytes).unwrap();
    bytes
}

/// Generation that an agent goes on from; none when it starts from nothing. After that it must be
/// able to write, whatever the power loss left lying about.
fn restart(folder: &Path) -> Option<u64> {
    let (mut store, loaded) = Store::open(folder, 1_000).unwrap();
    let next = entry(1_000_000);
    store.write([(FileId(1), &next)].into_iter()).unwrap();
    loaded.entries.first().map(|(_, entry)| entry.offset)
}

/// How many folders a power loss in writes of these steps may leave; or the first from which an
/// agent does not go on from the newest generation whose write was over, or the one being written.
fn judge(steps: &[Step]) -> Result<usize, String> {
    let mut n_tried = 0;
    let mut disk = Disk::default();
    for generation in 1..=3 {
        for n_done in 0..=steps.len() {
            if n_done > 0 {
                disk.take(steps[n_done - 1], generation);
            }
            let newest = if n_done == steps.len() { generation } else { generation - 1 };
            for files in disk.after_power_loss() {
                n_tried += 1;
                let folder = tempfile::tempdir().unwrap();
                for (name, content) in &files {
                    std::fs::write(folder.path().join(name), content).unwrap();
                }
                let found = restart(folder.path()).unwrap_or(0);
                if found != newest && found != generation {
                    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
                    let steps = &steps[..n_done];
                    return Err(format!("{steps:?} of {generation}: {found} from {names:?}"));
                }
            }
        }
    }
    Ok(n_tried)
}

#[test]
fn a_power_loss_at_any_step_leaves_the_newest_generation() {
    let n_tried = judge(&WRITE).unwrap();
    assert!(n_tried > 100, "{n_tried}");
}

#[test]
fn the_model_sees_a_missing_sync_and_a_generation_that_is_moved_away() {
    let without =
        |step: Step| -> Vec<Step> { WRITE.into_iter().filter(|it| *it != step).collect() };
    for steps in [without(Step::SyncFile), without(Step::SyncFolder)] {
        assert!(judge(&steps).is_err(), "{steps:?}");
    }
    let moved = WRITE.map(|step| match step {
        Step::Rename(KEPT, _) => Step::Rename(CURRENT, PREVIOUS),
        step => step,
    });
    assert!(judge(&moved).is_err());
}
