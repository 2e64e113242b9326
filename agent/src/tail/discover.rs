//! Turns globs into the log files that exist now.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Folders below the fixed part of a glob are followed this deep.
const DEPTH_MAX: usize = 16;

/// Directory entries looked at in one scan; the rest waits for the next and is logged once.
const ENTRIES_MAX: usize = 500_000;

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
    /// Fixed folders that the globs begin with, and files named outright.
    roots: Vec<PathBuf>,
    include: GlobSet,
    exclude: GlobSet,
}

impl Finder {
    /// Compiles the globs. `**` crosses folders, `*` does not.
    ///
    /// # Errors
    /// The first glob that is not one.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, GlobError> {
        let absolute: Vec<String> = include.iter().map(|glob| to_absolute(glob)).collect();
        let mut roots: Vec<PathBuf> = absolute.iter().map(|glob| fixed_part(glob)).collect();
        roots.sort();
        roots.dedup();
        let outer = roots.clone();
        // A root below another one is walked with it.
        roots.retain(|root| !outer.iter().any(|other| other != root && root.starts_with(other)));
        let exclude: Vec<String> = exclude.iter().map(|glob| to_absolute(glob)).collect();
        Ok(Self { roots, include: compile(&absolute)?, exclude: compile(&exclude)? })
    }

    /// Paths of regular files (symbolic links followed) that match now, in order of their names.
    #[must_use]
    pub fn find(&self) -> Vec<PathBuf> {
        let mut found = BTreeSet::new();
        let mut left = ENTRIES_MAX;
        for root in &self.roots {
            self.walk(root, 0, &mut left, &mut found);
        }
        found.into_iter().collect()
    }

    fn walk(&self, path: &Path, depth: usize, left: &mut usize, found: &mut BTreeSet<PathBuf>) {
        let Ok(metadata) = fs::metadata(path) else { return };
        if !metadata.is_dir() {
            let is_wanted = self.include.is_match(path) && !self.exclude.is_match(path);
            if is_wanted && metadata.is_file() && !is_compressed(path) {
                found.insert(path.to_owned());
            }
            return;
        }
        if depth > DEPTH_MAX {
            return;
        }
        let Ok(entries) = fs::read_dir(path) else { return };
        for entry in entries.flatten() {
            if *left == 0 {
                return;
            }
            *left -= 1;
            self.walk(&entry.path(), depth + 1, left, found);
        }
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
        set.add(GlobBuilder::new(glob).literal_separator(true).build().map_err(failed)?);
    }
    set.build().map_err(|error| GlobError { glob: globs.join(", "), reason: error.to_string() })
}

fn to_absolute(glob: &str) -> String {
    let path = Path::new(glob);
    if path.is_absolute() {
        return glob.to_owned();
    }
    let relative = glob.strip_prefix("./").unwrap_or(glob);
    std::env::current_dir().map_or_else(
        |_| glob.to_owned(),
        |folder| folder.join(relative).to_string_lossy().into_owned(),
    )
}

/// The folders before the first wildcard.
fn fixed_part(glob: &str) -> PathBuf {
    let is_fixed =
        |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
    Path::new(glob).components().take_while(is_fixed).collect()
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
        let found = Finder::new(&place(include), &place(exclude)).unwrap().find();
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
}
