//! What is shipped under configs/ and dashboards/cloudwatch/: examples, manifests, log4j files, EMR, and the life of a sidecar.

mod cloudwatch;
mod emr;
mod examples;
mod lives;
mod log4j;
mod pages;

use std::path::PathBuf;

/// A file or folder below configs/.
fn shipped(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs")).join(name)
}
