//! Which file of a folder may be one that is looked for, or made of one.

use crate::checkpoint::Entry;
use crate::tail::lineage::{is_gzip, originals};
use std::collections::HashMap;
use std::path::Path;

/// Files that are looked for in one folder, by what their copies and archives may be called.
pub(super) struct Originals<'e> {
    by_inode: HashMap<u64, &'e Entry>,
    by_name: HashMap<Vec<u8>, &'e Entry>,
    /// Also by the names that they may have had before.
    by_kin: HashMap<Vec<u8>, &'e Entry>,
}

impl<'e> Originals<'e> {
    pub(super) fn of(entries: &[&'e Entry]) -> Self {
        let name =
            |entry: &Entry| entry.path.file_name().unwrap_or_default().as_encoded_bytes().to_vec();
        let by_name: HashMap<_, _> = entries.iter().map(|entry| (name(entry), *entry)).collect();
        let mut by_kin = by_name.clone();
        for entry in entries {
            by_kin.extend(originals(&entry.path).into_iter().map(|name| (name, *entry)));
        }
        let by_inode = entries.iter().map(|entry| (entry.inode.inode, *entry)).collect();
        Self { by_inode, by_name, by_kin }
    }

    pub(super) fn find(&self, path: &Path, inode: u64) -> Option<&'e Entry> {
        let names = if is_gzip(path) { &self.by_kin } else { &self.by_name };
        let by_name = || originals(path).iter().find_map(|name| names.get(name)).copied();
        self.by_inode.get(&inode).copied().or_else(by_name)
    }
}
