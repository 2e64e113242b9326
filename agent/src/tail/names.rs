//! Files by the names from which rotators make others, so that thousands of them need not be
//! compared with each new one.

use super::lineage::{is_derived, is_gzip, is_kin, originals};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Folders above a file in which its original may be, its own first.
const FOLDERS: usize = 3;

/// True when `made` may be made of the file at `original`: an archive also of one that was rotated.
#[must_use]
pub(super) fn is_named_after(made: &Path, original: &Path) -> bool {
    if is_gzip(made) { is_kin(made, original) } else { is_derived(made, original) }
}

/// Things by path. Keys are hashes, as paths are long: what is found has to be compared still.
#[derive(Debug)]
pub(super) struct NameIndex<T> {
    hasher: RandomState,
    by_path: HashMap<u64, Vec<T>>,
    /// By the paths that they may have had before.
    by_original: HashMap<u64, Vec<T>>,
}

impl<T> Default for NameIndex<T> {
    fn default() -> Self {
        Self { hasher: RandomState::new(), by_path: HashMap::new(), by_original: HashMap::new() }
    }
}

impl<T: Copy + PartialEq> NameIndex<T> {
    /// Adds a thing that stands at `path`.
    pub(super) fn insert(&mut self, path: &Path, thing: T) {
        self.by_path.entry(self.hasher.hash_one(path)).or_default().push(thing);
        for original in paths_in(path, 1) {
            self.by_original.entry(self.hasher.hash_one(&*original)).or_default().push(thing);
        }
    }

    /// Takes out a thing that was added at `path`.
    pub(super) fn remove(&mut self, path: &Path, thing: T) {
        forget(&mut self.by_path, self.hasher.hash_one(path), &thing);
        for original in paths_in(path, 1) {
            forget(&mut self.by_original, self.hasher.hash_one(&*original), &thing);
        }
    }

    /// Things at whose path `made` may have been before, or of whose file it may be made.
    pub(super) fn originals_of(&self, made: &Path) -> Vec<T> {
        let mut found = Vec::new();
        for path in original_paths(made) {
            let key = self.hasher.hash_one(&*path);
            found.extend(self.by_path.get(&key).into_iter().flatten());
            if is_gzip(made) {
                found.extend(self.by_original.get(&key).into_iter().flatten());
            }
        }
        found
    }
}

fn forget<T: PartialEq>(index: &mut HashMap<u64, Vec<T>>, key: u64, thing: &T) {
    if let Some(things) = index.get_mut(&key) {
        things.retain(|known| known != thing);
        if things.is_empty() {
            index.remove(&key);
        }
    }
}

/// Where the file at `path` may have been before, or the one that it is made of.
pub(super) fn original_paths(path: &Path) -> Vec<PathBuf> {
    paths_in(path, FOLDERS)
}

/// The same in so many folders, its own first.
fn paths_in(path: &Path, n_folders: usize) -> Vec<PathBuf> {
    let names = originals(path);
    let folders = path.ancestors().skip(1).take(n_folders);
    folders
        .flat_map(|folder| names.iter().map(|name| folder.join(OsStr::from_bytes(name))))
        .collect()
}
