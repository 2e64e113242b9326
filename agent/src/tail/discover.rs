//! Turns globs into the log files that exist now.

use super::fingerprint::Inode;
use crate::telemetry::{self, RateLimit};
use globset::{GlobSet, GlobSetBuilder};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Folders below the fixed part of a glob with `**` are followed this deep.
const DEPTH_MAX: usize = 16;

/// Directory entries looked at in one scan; what lies behind them is not found, and that is told.
const ENTRIES_MAX: usize = 500_000;

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
}

/// A fixed folder that globs begin with, or a file named outright.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Root {
    path: PathBuf,
    /// How deep the globs look below it.
    depth: usize,
}

/// One scan.
struct Walk {
    own: Vec<Inode>,
    /// Folders from the root to the one that is being read, to see a loop of symbolic links.
    above: Vec<Inode>,
    entries: usize,
    found: BTreeSet<PathBuf>,
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
        let include: Vec<String> = include.iter().map(|glob| to_absolute(glob)).collect();
        let exclude: Vec<String> = exclude.iter().map(|glob| to_absolute(glob)).collect();
        let mut roots: Vec<Root> = include.iter().map(|glob| Root::of(glob)).collect();
        roots.sort();
        roots.dedup();
        let all = roots.clone();
        roots.retain(|root| !all.iter().any(|other| other != root && other.covers(root)));
        Ok(Self { roots, include: compile(&include)?, exclude: compile(&exclude)?, own })
    }

    /// True when an include glob matches `path` and no exclude glob does.
    #[must_use]
    pub fn wants(&self, path: &Path) -> bool {
        self.include.is_match(path) && !self.exclude.is_match(path)
    }

    /// Paths of regular files (symbolic links followed) that match now, in order of their names.
    #[must_use]
    pub fn find(&self) -> Vec<PathBuf> {
        let inode = |path: &PathBuf| fs::metadata(path).ok().map(|now| Inode::of(&now));
        let own = self.own.iter().filter_map(inode).collect();
        let mut walk = Walk { own, above: Vec::new(), entries: 0, found: BTreeSet::new() };
        for root in &self.roots {
            self.walk(&root.path, root.depth, &mut walk);
        }
        if walk.entries >= ENTRIES_MAX {
            telemetry::FILE_ERRORS.add("too_many", 1);
            if TOO_MANY.admit().is_some() {
                tracing::warn!(
                    "too many files below the folders of tail.include; name them closer"
                );
            }
        }
        walk.found.into_iter().collect()
    }

    fn walk(&self, path: &Path, depth: usize, walk: &mut Walk) {
        let Ok(metadata) = fs::metadata(path) else { return };
        let inode = Inode::of(&metadata);
        // A state folder among the logs is left out, one that holds the logs is not.
        let is_root_folder = metadata.is_dir() && walk.above.is_empty();
        if walk.own.contains(&inode) && !is_root_folder {
            return;
        }
        if !metadata.is_dir() {
            if self.wants(path) && metadata.is_file() && !is_compressed(path) {
                walk.found.insert(path.to_owned());
            }
            return;
        }
        if depth == 0 || walk.above.contains(&inode) {
            return;
        }
        let Ok(entries) = fs::read_dir(path) else { return };
        walk.above.push(inode);
        for entry in entries.flatten() {
            if walk.entries >= ENTRIES_MAX {
                break;
            }
            walk.entries += 1;
            self.walk(&entry.path(), depth - 1, walk);
        }
        walk.above.pop();
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

/// Archives of a rotator hold what was read already.
fn is_compressed(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| ["gz", "zst", "bz2", "xz", "lz4"].iter().any(|known| end == *known))
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
mod tests {
    use super::Finder;
    use std::fs;

    #[track_caller]
    fn check(include: &[&str], exclude: &[&str], want: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        for file in
            ["a.log", "b.txt", "old.log.gz", "app-1/0/stderr", "app-1/0/stdout", "deep/x/y.log"]
        {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let place = |globs: &[&str]| -> Vec<String> {
            globs.iter().map(|glob| format!("{}/{glob}", folder.path().display())).collect()
        };
        let found = Finder::new(&place(include), &place(exclude), Vec::new()).unwrap().find();
        let want: Vec<_> = want.iter().map(|file| folder.path().join(file)).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn stars_stay_in_their_folder_and_double_stars_do_not() {
        check(&["*.log"], &[], &["a.log"]);
        check(&["**/*.log"], &[], &["a.log", "deep/x/y.log"]);
        check(&["app-*/*/std*"], &["**/stdout"], &["app-1/0/stderr"]);
        check(&["a.log", "missing.log"], &[], &["a.log"]);
        check(&["**/*"], &["**/x/**", "app-1/**"], &["a.log", "b.txt"]);
    }

    #[test]
    fn double_slashes_and_dots_are_nothing() {
        check(&["//./*.log"], &[".//a.log"], &[]);
        check(&["./deep//x/*.log"], &[], &["deep/x/y.log"]);
    }

    #[test]
    fn only_as_deep_as_the_globs_look() {
        let below = |glob| super::Root::of(glob).depth;
        assert_eq!([below("/a/b.log"), below("/a/*.log"), below("/a/*/b/*")], [0, 1, 3]);
        assert!(super::Root::of("/a/**").covers(&super::Root::of("/a/b/**/c")));
        assert!(!super::Root::of("/a/*").covers(&super::Root::of("/a/b/*")));
        check(&["*.log", "deep/x/*.log"], &[], &["a.log", "deep/x/y.log"]);
    }

    #[test]
    fn a_loop_of_links_is_walked_once_and_own_files_are_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("logs/state")).unwrap();
        for file in ["logs/a.log", "logs/out.log", "logs/state/b.log"] {
            fs::write(path(file), "x").unwrap();
        }
        std::os::unix::fs::symlink("..", path("logs/up")).unwrap();
        let globs = [format!("{}/**/*.log", path("logs").display())];
        let own = vec![path("logs/out.log"), path("logs/state")];
        let found = Finder::new(&globs, &[], own).unwrap().find();
        assert_eq!(found, [path("logs/a.log")]);
    }
}
