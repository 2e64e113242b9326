//! Turns globs into the log files that exist now.
//!
//! A folder is listed again only when its modification time moved, or now and then; so a scan over
//! ten thousand quiet files costs one system call a folder.

use super::fingerprint::Inode;
use crate::telemetry::{self, RateLimit};
use globset::{GlobSet, GlobSetBuilder};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{DirEntryExt, FileTypeExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Folders below the fixed part of a glob with `**` are followed this deep.
const DEPTH_MAX: usize = 16;

/// Directory entries remembered; what lies behind them is not found, and that is told.
const ENTRIES_MAX: usize = 500_000;

/// A folder is listed again after this time even if it looks unchanged: not every file system keeps
/// its modification time well.
const LIST_INTERVAL: Duration = Duration::from_secs(10);

/// File systems stamp in steps of up to two seconds (FAT); a folder that changed so recently may
/// change again without looking changed.
const STAMP_STEP: Duration = Duration::from_secs(2);

static TOO_MANY: RateLimit = RateLimit::new();

/// A glob is not one.
#[derive(Debug, thiserror::Error)]
#[error("{glob:?} is not a glob: {reason}")]
pub struct GlobError {
    /// As written.
    pub glob: String,
    /// What the glob library says.
    pub reason: String,
}

/// Finds the files that match any include glob and no exclude glob.
#[derive(Debug)]
pub struct Finder {
    roots: Vec<Root>,
    include: GlobSet,
    exclude: GlobSet,
    /// Files and folders that the agent itself writes.
    own: Vec<PathBuf>,
    own_inodes: Vec<Inode>,
    folders: BTreeMap<PathBuf, Folder>,
    /// Targets of links and of globs without a wildcard.
    linked: BTreeMap<PathBuf, Linked>,
    found: BTreeMap<PathBuf, Inode>,
    pipes: BTreeSet<PathBuf>,
    takes_stdin: bool,
    is_touched: bool,
    denied: Vec<PathBuf>,
}

/// A fixed folder that globs begin with, or a file named outright.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Root {
    path: PathBuf,
    /// How deep the globs look below it.
    depth: usize,
}

/// What a folder held when it was last listed.
#[derive(Debug)]
struct Folder {
    inode: Inode,
    modified: Option<SystemTime>,
    listed: Instant,
    /// True when it may have changed since without a trace.
    is_in_doubt: bool,
    files: Vec<ListedFile>,
    /// Folders, and links that have to be followed at each scan.
    others: Vec<PathBuf>,
}

/// A regular file that a glob wants.
#[derive(Debug, Clone)]
struct ListedFile {
    name: OsString,
    /// As the folder says; it may differ from the file's own on an overlay.
    listed_inode: u64,
    inode: Inode,
}

/// A regular file that a link leads to, or that a glob names outright.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Linked {
    inode: Inode,
    /// Where it is, without links.
    real: PathBuf,
}

/// One scan.
#[derive(Default)]
struct Walk {
    /// Folders from the root to the one that is being read, to see a loop of symbolic links.
    above: Vec<Inode>,
    visited: HashSet<PathBuf>,
    linked: BTreeMap<PathBuf, Linked>,
    pipes: BTreeSet<PathBuf>,
    entries: usize,
    has_changed: bool,
}

impl Finder {
    /// Compiles the globs. `**` crosses folders, `*` does not. Nothing in `own` is ever found: the
    /// agent's output would be read, written, and read again until the disk is full.
    ///
    /// # Errors
    /// The first glob that is not one.
    pub fn new(
        include: &[String],
        exclude: &[String],
        own: Vec<PathBuf>,
    ) -> Result<Self, GlobError> {
        let takes_stdin = include.iter().any(|glob| glob == super::STDIN);
        let include = include.iter().filter(|glob| *glob != super::STDIN);
        let include: Vec<String> = include.map(|glob| to_absolute(glob)).collect();
        let exclude: Vec<String> = exclude.iter().map(|glob| to_absolute(glob)).collect();
        let mut roots: Vec<Root> = include.iter().map(|glob| Root::of(glob)).collect();
        roots.sort();
        roots.dedup();
        let all = roots.clone();
        roots.retain(|root| !all.iter().any(|other| other != root && other.covers(root)));
        Ok(Self {
            roots,
            include: compile(&include)?,
            exclude: compile(&exclude)?,
            own,
            own_inodes: Vec::new(),
            folders: BTreeMap::new(),
            linked: BTreeMap::new(),
            found: BTreeMap::new(),
            pipes: BTreeSet::new(),
            takes_stdin,
            is_touched: false,
            denied: Vec::new(),
        })
    }

    /// True when an include glob matches `path` and no exclude glob does.
    #[must_use]
    pub fn wants(&self, path: &Path) -> bool {
        self.include.is_match(path) && !self.exclude.is_match(path)
    }

    /// Regular files (symbolic links followed) that matched at the last scan, in order of their
    /// names.
    #[must_use]
    pub fn found(&self) -> &BTreeMap<PathBuf, Inode> {
        &self.found
    }

    /// Named pipes that matched at the last scan.
    #[must_use]
    pub fn pipes(&self) -> &BTreeSet<PathBuf> {
        &self.pipes
    }

    /// True when standard input is read.
    #[must_use]
    pub fn takes_stdin(&self) -> bool {
        self.takes_stdin
    }

    /// True when standard input is all that is read.
    #[must_use]
    pub fn takes_nothing_but_stdin(&self) -> bool {
        self.takes_stdin && self.roots.is_empty()
    }

    /// True when at the last scan a folder had changed, be it by files that no glob matches.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// Folders that the scans since the last call were not allowed to list.
    pub fn take_denied(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.denied)
    }

    /// Folders in which new files may appear: those that are listed, and those of files that are named
    /// outright.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        let named = self.roots.iter().filter(|root| !self.folders.contains_key(&root.path));
        let named = named.filter_map(|root| root.path.parent());
        self.folders.keys().map(PathBuf::as_path).chain(named)
    }

    /// Files that are named outright and were not there at the last scan.
    pub fn absent(&self) -> impl Iterator<Item = &Path> {
        let named = self.roots.iter().filter(|root| root.depth == 0);
        named.map(|root| root.path.as_path()).filter(|path| !self.found.contains_key(*path))
    }

    /// Looks for files; true when something appeared, went away or changed places since the last
    /// scan.
    pub fn scan(&mut self, now: Instant) -> bool {
        let inode = |path: &PathBuf| fs::metadata(path).ok().map(|now| Inode::of(&now));
        let own_inodes: Vec<Inode> = self.own.iter().filter_map(inode).collect();
        let mut walk = Walk { has_changed: own_inodes != self.own_inodes, ..Walk::default() };
        self.own_inodes = own_inodes;
        self.is_touched = false;
        for index in 0..self.roots.len() {
            let Root { path, depth } = self.roots[index].clone();
            self.walk(&path, depth, &mut walk, now);
        }
        if walk.entries >= ENTRIES_MAX {
            telemetry::FILE_ERRORS.add("too_many", 1);
            if TOO_MANY.admit().is_some() {
                tracing::warn!(
                    "too many files below the folders of tail.include; name them closer"
                );
            }
        }
        self.pipes = std::mem::take(&mut walk.pipes);
        let n_folders = self.folders.len();
        self.folders.retain(|path, _| walk.visited.contains(path));
        let has_changed =
            walk.has_changed || n_folders != self.folders.len() || walk.linked != self.linked;
        if has_changed {
            self.linked = walk.linked;
            self.collect();
        }
        has_changed
    }

    /// Puts together what the folders hold, and links to what has no place in these: rotators go by a
    /// file's own name, and its two names are not looked at in the same instant.
    fn collect(&mut self) {
        self.found.clear();
        for (folder, listed) in &self.folders {
            let files = listed.files.iter().filter(|file| !self.own_inodes.contains(&file.inode));
            self.found.extend(files.map(|file| (folder.join(&file.name), file.inode)));
        }
        let has_own_name = |link: &Linked| {
            let is_listed = |folder| self.folders.contains_key(folder);
            self.wants(&link.real) && link.real.parent().is_some_and(is_listed)
        };
        let links = self.linked.iter().filter(|(_, link)| !has_own_name(link));
        let links: Vec<_> = links.map(|(path, link)| (path.clone(), link.inode)).collect();
        self.found.extend(links);
    }

    fn walk(&mut self, path: &Path, depth: usize, walk: &mut Walk, now: Instant) {
        // Each folder is visited once: at the root of another glob as deep as that one looks.
        let roots = self.roots.iter().filter(|root| root.path == path);
        let depth = roots.map(|root| root.depth).fold(depth, usize::max);
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.keep_unless_absent(path, &error, walk),
        };
        let inode = Inode::of(&metadata);
        // A state folder among the logs is left out, one that holds the logs is not.
        let is_root_folder = metadata.is_dir() && walk.above.is_empty();
        if self.own_inodes.contains(&inode) && !is_root_folder {
            return;
        }
        if metadata.file_type().is_fifo() && self.wants(path) {
            walk.pipes.insert(path.to_owned());
        }
        if !metadata.is_dir() {
            if self.wants(path) && metadata.is_file() && !is_foreign_archive(path) {
                let known = self.linked.get(path).filter(|link| link.inode == inode).cloned();
                let link = known.or_else(|| Linked::of(path, inode));
                walk.linked.extend(link.map(|link| (path.to_owned(), link)));
            }
            return;
        }
        if depth == 0 || walk.above.contains(&inode) || !walk.visited.insert(path.to_owned()) {
            return;
        }
        let Some(others) = self.list(path, &metadata, walk, now) else { return };
        walk.above.push(inode);
        for other in others {
            self.walk(&other, depth - 1, walk, now);
        }
        walk.above.pop();
    }

    /// What cannot be looked at now is as it was, until it can: the mount that it is on may come
    /// back.
    fn keep_unless_absent(&self, path: &Path, error: &io::Error, walk: &mut Walk) {
        if is_absent(error) {
            return;
        }
        let from = || (Bound::Included(path), Bound::Unbounded);
        let folders = self.folders.range::<Path, _>(from()).map(|(folder, _)| folder);
        walk.visited.extend(folders.take_while(|it| it.starts_with(path)).cloned());
        let linked = self.linked.range::<Path, _>(from());
        let linked = linked.take_while(|(it, _)| it.starts_with(path));
        walk.linked.extend(linked.map(|(file, link)| (file.clone(), link.clone())));
    }

    /// Lists a folder if it may have changed; what has to be walked in it.
    fn list(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        walk: &mut Walk,
        now: Instant,
    ) -> Option<Vec<PathBuf>> {
        let (inode, modified) = (Inode::of(metadata), metadata.modified().ok());
        let known = self.folders.remove(path);
        let fresh = known.as_ref().filter(|known| {
            known.inode == inode
                && known.modified == modified
                && !known.is_in_doubt
                && now.saturating_duration_since(known.listed) < LIST_INTERVAL
        });
        if fresh.is_some() {
            let known = known?;
            walk.entries += known.files.len() + known.others.len();
            let others = known.others.clone();
            self.folders.insert(path.to_owned(), known);
            return Some(others);
        }
        self.is_touched |= known.as_ref().is_none_or(|known| known.modified != modified);
        let recent = SystemTime::now().checked_sub(STAMP_STEP);
        let mut folder = Folder {
            inode,
            modified,
            listed: now,
            is_in_doubt: modified.is_none() || modified > recent,
            files: Vec::new(),
            others: Vec::new(),
        };
        if let Err(error) = self.read_folder(path, &mut folder, known.as_ref(), walk) {
            if is_absent(&error) {
                return None;
            }
            if error.kind() == io::ErrorKind::PermissionDenied {
                self.denied.push(path.to_owned());
            }
            folder.is_in_doubt = true;
            match &known {
                Some(known) => folder.keep(known),
                None if folder.files.is_empty() && folder.others.is_empty() => return None,
                None => {}
            }
        }
        folder.files.sort_by(|one, other| one.name.cmp(&other.name));
        walk.has_changed |= known.is_none_or(|known| {
            known.files.len() != folder.files.len()
                || known
                    .files
                    .iter()
                    .zip(&folder.files)
                    .any(|(old, new)| old.inode != new.inode || old.name != new.name)
        });
        let others = folder.others.clone();
        self.folders.insert(path.to_owned(), folder);
        Some(others)
    }

    fn read_folder(
        &self,
        path: &Path,
        folder: &mut Folder,
        known: Option<&Folder>,
        walk: &mut Walk,
    ) -> io::Result<()> {
        let before: HashMap<_, _> = known
            .iter()
            .flat_map(|known| &known.files)
            .map(|file| ((&file.name, file.listed_inode), file.inode))
            .collect();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if walk.entries >= ENTRIES_MAX {
                break;
            }
            walk.entries += 1;
            let Ok(kind) = entry.file_type() else { continue };
            let whole = entry.path();
            if !kind.is_file() {
                if kind.is_dir() || kind.is_symlink() || kind.is_fifo() {
                    folder.others.push(whole);
                }
                continue;
            }
            if !self.wants(&whole) || is_foreign_archive(&whole) {
                continue;
            }
            let (name, listed_inode) = (entry.file_name(), entry.ino());
            let inode = match before.get(&(&name, listed_inode)) {
                Some(inode) => *inode,
                None => match entry.metadata() {
                    Ok(metadata) => Inode::of(&metadata),
                    Err(_) => continue,
                },
            };
            folder.files.push(ListedFile { name, listed_inode, inode });
        }
        Ok(())
    }
}

impl Linked {
    /// None when it went away meanwhile.
    fn of(path: &Path, inode: Inode) -> Option<Self> {
        Some(Self { inode, real: path.canonicalize().ok()? })
    }
}

impl Folder {
    /// Takes over what was `known` before, where nothing is known now.
    fn keep(&mut self, known: &Self) {
        let names: HashSet<_> = self.files.iter().map(|file| file.name.clone()).collect();
        self.files.extend(known.files.iter().filter(|it| !names.contains(&it.name)).cloned());
        let others: HashSet<_> = self.others.iter().cloned().collect();
        self.others.extend(known.others.iter().filter(|it| !others.contains(*it)).cloned());
    }
}

impl Root {
    /// The folders before the first wildcard, and how many parts follow.
    fn of(glob: &str) -> Self {
        let is_fixed = |part: &Component<'_>| {
            !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{'])
        };
        let path: PathBuf = Path::new(glob).components().take_while(is_fixed).collect();
        let below = Path::new(glob).components().count() - path.components().count();
        Self { path, depth: if glob.contains("**") { DEPTH_MAX } else { below } }
    }

    /// True when walking this root finds all that walking `other` does.
    fn covers(&self, other: &Self) -> bool {
        let Ok(between) = other.path.strip_prefix(&self.path) else { return false };
        self.depth == DEPTH_MAX || self.depth >= between.components().count() + other.depth
    }
}

/// True when there is nothing at a path, and not only nothing to be learned of it now.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Archives that nothing here can read.
fn is_foreign_archive(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| ["zst", "bz2", "xz", "lz4", "zip"].iter().any(|known| end == *known))
}

fn compile(globs: &[String]) -> Result<GlobSet, GlobError> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let failed = |error: globset::Error| GlobError {
            glob: glob.clone(),
            reason: error.kind().to_string(),
        };
        set.add(super::glob(glob).map_err(failed)?);
    }
    set.build().map_err(|error| GlobError { glob: globs.join(", "), reason: error.to_string() })
}

/// The glob below `/`, without the double slashes and single dots that no found path has.
fn to_absolute(glob: &str) -> String {
    let folder = match std::env::current_dir() {
        Ok(folder) if Path::new(glob).is_relative() => globset::escape(&folder.to_string_lossy()),
        _ => String::new(),
    };
    let whole: PathBuf = Path::new(&folder).join(glob).components().collect();
    whole.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
