//! Reads the config file, or standard input, within a limit.

use super::{Config, Environment, Problems};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest config file. A person writes a few KiB; more is a wrong path.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Config {
    /// Reads and checks the file at `path`; `-` is standard input, `None` is no file at all, which
    /// leaves the defaults and the environment.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, Problems> {
        let Some(path) = path else { return Self::parse("(no config file)", "", environment) };
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin { "(standard input)".into() } else { path.to_string_lossy() };
        let bytes = if is_stdin {
            read(io::stdin(), FILE_BYTES_MAX)
        } else {
            File::open(path).and_then(|file| read(file, FILE_BYTES_MAX))
        };
        let text = bytes.map_err(|error| unreadable(&error)).and_then(text_of);
        match text {
            Ok(text) => Self::parse(&name, &text, environment),
            Err(what) => Err(Problems::whole_file(&name, what)),
        }
    }
}

/// Reads a file that the config names, or says why it cannot.
pub(crate) fn read_named(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let bytes = File::open(path).and_then(|file| read(file, bytes_max));
    let bytes = bytes.map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("larger than {bytes_max} bytes; is this the right file?"));
    }
    Ok(bytes)
}

fn read(source: impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err("larger than 1MiB; is this the config file?".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
        format!("not UTF-8 in line {line}; save it as UTF-8")
    })
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        io::ErrorKind::IsADirectory => "this is a directory; name a file in it".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Environment};
    use std::path::Path;

    #[track_caller]
    fn check(path: &Path, want: &str) {
        let problems = Config::load(Some(path), &Environment::new()).unwrap_err();
        let text = problems.to_string();
        assert!(text.starts_with(&format!("{}: {want}\n", path.display())), "{text}");
        assert_eq!(problems.list.len(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_a_config_says_why() {
        let dir = tempfile::tempdir().unwrap();
        check(&dir.path().join("absent.toml"), "there is no such file");
        check(dir.path(), "this is a directory; name a file in it");
        let latin = dir.path().join("latin.toml");
        std::fs::write(&latin, b"[job]\nuser_id = \"Jos\xe9\"\n").unwrap();
        check(&latin, "not UTF-8 in line 2; save it as UTF-8");
        check(Path::new("/dev/zero"), "larger than 1MiB; is this the config file?");
    }

    #[test]
    fn a_good_file_is_read_and_no_file_gives_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sidelight.toml");
        std::fs::write(&path, "\u{feff}state_dir = \"/state\"\n").unwrap();
        let config = Config::load(Some(&path), &Environment::new()).unwrap();
        assert_eq!(config.state_dir, Path::new("/state"));
        let config = Config::load(None, &Environment::new()).unwrap();
        assert_eq!(config.state_dir, Path::new("/var/lib/sidelight"));
    }
}
