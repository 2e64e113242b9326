//! `sidelight check`: what is wrong with a config, else what would run, and what of this machine
//! would get in its way.

use super::{Config, Environment, Problems};
use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Most directory entries that are looked at for files that match; a look, not an inventory.
const ENTRIES_MAX: usize = 100_000;

/// What `sidelight check` has to say.
#[derive(Debug)]
pub struct Check {
    /// Name of the file.
    pub file: String,
    /// The config, or what is wrong with it.
    pub config: Result<Config, Problems>,
    /// What would get in its way on this machine, now. The config itself is good all the same.
    pub warnings: Vec<String>,
}

/// Checks the file at `path`, then this machine. Writes nothing that it does not take away again.
#[must_use]
pub fn check(path: Option<&Path>, environment: &Environment) -> Check {
    let file = path.map_or("(no config file)".to_owned(), |path| path.display().to_string());
    let config = Config::load(path, environment);
    let mut warnings = Vec::new();
    if let Ok(config) = &config {
        warnings.extend(state_dir_warning(&config.state_dir));
        let mut n_entries = 0;
        for pattern in &config.tail.include {
            warnings.extend(include_warning(pattern, &mut n_entries));
        }
    }
    Check { file, config, warnings }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = match &self.config {
            Ok(config) => config,
            Err(problems) => return write!(f, "{problems}"),
        };
        let list = |names: Vec<&str>| {
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        };
        let exporters = config.exporters.iter().map(|(exporter, _)| exporter.name).collect();
        let scrapers = config.scrapers.iter().map(|(scraper, _)| scraper.name).collect();
        let include = match config.tail.include.len() {
            0 => "what is found on this host".to_owned(),
            1 => "1 pattern".to_owned(),
            n => format!("{n} patterns"),
        };
        writeln!(f, "{}: ok", self.file)?;
        writeln!(f, "  logs      {include}")?;
        writeln!(f, "  scrapers  {}", list(scrapers))?;
        writeln!(f, "  exporters {}", list(exporters))?;
        writeln!(f, "  admin     {}", config.admin.listen)?;
        for (index, line) in config.redaction.describe().iter().enumerate() {
            let name = if index == 0 { "redaction" } else { "" };
            writeln!(f, "  {name:<9} {line}")?;
        }
        write!(f, "  state     {}", config.state_dir.display())?;
        for warning in &self.warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}

/// Tries to write where the state directory is or would be made.
fn state_dir_warning(state_dir: &Path) -> Option<String> {
    let existing = state_dir.ancestors().find(|path| path.exists())?;
    if !existing.is_dir() {
        return Some(format!("state_dir: {} is not a directory", existing.display()));
    }
    // Permissions, read-only mounts and full quotas: only trying tells.
    let probe = existing.join(format!(".sidelight-check-{}", std::process::id()));
    let written = OpenOptions::new().write(true).create_new(true).open(&probe);
    let error = match written {
        Ok(_) => fs::remove_file(&probe).err()?,
        Err(error) => error,
    };
    Some(format!("state_dir: {} is not writable: {error}", existing.display()))
}

/// Looks for files that match, and whether they can be read.
fn include_warning(pattern: &str, n_entries: &mut usize) -> Option<String> {
    let matcher = crate::tail::glob(pattern).ok()?.compile_matcher();
    let mut n_matches = 0_usize;
    let mut unreadable: Option<(PathBuf, io::Error)> = None;
    let mut n_unreadable = 0_usize;
    let mut paths = VecDeque::from([literal_prefix(pattern)]);
    while let Some(path) = paths.pop_front() {
        *n_entries += 1;
        if *n_entries > ENTRIES_MAX {
            return Some(format!("tail.include: stopped looking after {ENTRIES_MAX} files"));
        }
        if path.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            // A link to a directory could lead in a circle; a link to a file is as good as a file.
            let is_circle = |path: &PathBuf| path.is_symlink() && path.is_dir();
            paths.extend(entries.map(|entry| entry.path()).filter(|path| !is_circle(path)));
        } else if path.is_file() && matcher.is_match(&path) {
            n_matches += 1;
            if let Err(error) = File::open(&path) {
                n_unreadable += 1;
                unreadable.get_or_insert((path, error));
            }
        }
    }
    match unreadable {
        Some((path, error)) => Some(format!(
            "tail.include: {n_unreadable} of {n_matches} files that match {pattern:?} cannot be \
             read, the first is {}: {error}",
            path.display()
        )),
        None if n_matches == 0 => Some(format!("tail.include: no file matches {pattern:?} now")),
        None => None,
    }
}

/// The longest path before the first part with a wildcard.
fn literal_prefix(pattern: &str) -> PathBuf {
    Path::new(pattern)
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{', '\\']))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{check, include_warning, literal_prefix};
    use crate::config::Environment;
    use crate::policy::Redactors;
    use std::path::Path;

    #[test]
    fn a_good_file_tells_what_would_run_and_what_is_missing_here() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state/deep");
        let include = dir.path().join("**/*.log");
        let path = dir.path().join("c.toml");
        let text = format!("state_dir = {state:?}\n[tail]\ninclude = [{include:?}]\n[scrapers]\n");
        std::fs::write(&path, text).unwrap();
        let told = check(Some(&path), &Environment::new());
        let redaction = Redactors::default().describe();
        assert!(redaction[1].ends_with(" mask"), "{redaction:?}");
        let redaction = redaction.join("\n            ");
        let want = format!(
            "{}: ok\n  logs      1 pattern\n  scrapers  nothing\n  exporters file, prometheus\n  \
             admin     127.0.0.1:9779\n  redaction {redaction}\n  state     {}\nwarning: tail.include: no file matches {include:?} now",
            path.display(),
            state.display()
        );
        assert_eq!(told.to_string(), want);
        assert!(!dir.path().join("state").exists(), "a check makes nothing");
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        std::fs::write(dir.path().join("logs/a.log"), "x").unwrap();
        assert!(check(Some(&path), &Environment::new()).warnings.is_empty());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "the probe is gone");
    }

    #[test]
    fn a_state_dir_below_a_file_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let variable = ("SIDELIGHT_STATE_DIR".to_owned(), file.path().join("x").into());
        let told = check(None, &Environment::from([variable]));
        assert!(told.warnings[0].ends_with("is not a directory"), "{told}");
    }

    #[test]
    fn a_bad_file_tells_its_problems_and_nothing_else() {
        let told = check(Some(Path::new("/absent/c.toml")), &Environment::new());
        assert_eq!(
            told.to_string(),
            "/absent/c.toml: there is no such file\n/absent/c.toml: 1 problem"
        );
        assert!(told.warnings.is_empty());
    }

    #[test]
    fn looking_starts_below_the_part_without_wildcards_and_follows_no_circle() {
        assert_eq!(literal_prefix("/var/log/spark/**/*.log"), Path::new("/var/log/spark"));
        assert_eq!(literal_prefix("/a/b.log"), Path::new("/a/b.log"));
        let dir = tempfile::tempdir().unwrap();
        // Two circles: 2^40 paths before the system gives up.
        for name in ["circle", "loop"] {
            std::os::unix::fs::symlink(dir.path(), dir.path().join(name)).unwrap();
        }
        let pattern = dir.path().join("**/*.log");
        let told = include_warning(pattern.to_str().unwrap(), &mut 0);
        assert!(told.unwrap().contains("no file matches"));
    }
}
