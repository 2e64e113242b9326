//! Where the real peers are, which `tests/setup` installs, and whether a run wants them.

use std::path::{Path, PathBuf};

/// True when `tests/run` asked for real peers. A peer that is missing then fails the test.
pub(crate) fn are_wanted() -> bool {
    std::env::var("SIDELIGHT_TEST_PEERS").is_ok_and(|peers| peers == "full")
}

/// A PySpark installation.
#[derive(Debug)]
pub(crate) struct SparkInstallation {
    /// Absolute path of the interpreter: executors start it in another folder.
    pub(crate) python: PathBuf,
    /// `SPARK_HOME`.
    pub(crate) home: PathBuf,
}

/// The PySpark in the virtual environment `name`.
#[track_caller]
pub(crate) fn spark(name: &str) -> SparkInstallation {
    let environment = folder().join(name);
    let home = std::fs::read_dir(environment.join("lib"))
        .ok()
        .and_then(|entries| {
            let mut homes = entries.flatten().map(|e| e.path().join("site-packages/pyspark"));
            homes.find(|home| home.is_dir())
        })
        .unwrap_or_else(|| panic!("no PySpark in {}; run tests/setup", environment.display()));
    SparkInstallation { python: environment.join("bin/python"), home }
}

/// `prometheus` or `promtool`: the unpacked one, else the one on the PATH.
pub(crate) fn prometheus_tool(name: &str) -> PathBuf {
    let unpacked = folder().join("prometheus/usr/bin").join(name);
    if unpacked.is_file() { unpacked } else { PathBuf::from(name) }
}

fn folder() -> PathBuf {
    let cache = std::env::var_os("SIDELIGHT_TEST_CACHE").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/sidelight"),
        PathBuf::from,
    );
    cache.join("peers")
}
