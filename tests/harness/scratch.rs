//! A temporary folder that stays when its test fails, and paths inside the repository.

use super::report::say;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of one test; kept, and its path printed, when the test panics.
#[derive(Debug)]
pub(crate) struct Scratch(Option<TempDir>);

impl Scratch {
    /// Makes a new one.
    pub(crate) fn new() -> Self {
        Self(Some(tempfile::Builder::new().prefix("sidelight-test-").tempdir().unwrap()))
    }

    /// Path of `name` in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.as_ref().map(|folder| folder.path().join(name)).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.0.take()
        {
            say(&format!("files of the failed test are in {}", folder.keep().display()));
        }
    }
}

/// Path of `name` under tests/fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}
