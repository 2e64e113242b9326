//! Failures of other agents, one test each, named by its number in tests/FAILURES.md.

mod a_identity;
mod a_rotation;
mod a_truncation;
mod b_checkpoint;
mod b_save;
mod c_resources;
mod e_access;
mod e_answers;
mod e_batches;
mod e_bed;
mod e_metrics;
mod e_network;
mod e_random;
mod e_reasons;
mod e_targets;
mod f_life;

use crate::harness::bed::Bed;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The agent looks for new and renamed files twice a second; twice that, and it has looked.
const SCAN: Duration = Duration::from_millis(1_200);

/// Number of the file at `path`.
fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// Makes the file at `path` look as if nobody had written to it for a while.
fn age(path: &Path) {
    let time = SystemTime::now() - Duration::from_secs(10);
    fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Makes a file at `path` that has the inode `wanted`, which was freed just now. False when the file
/// system gives it to nobody soon.
fn create_with_inode(path: &Path, wanted: u64) -> bool {
    let mut others = Vec::new();
    let is_reused = (0..200).any(|number| {
        fs::write(path, "").unwrap();
        if inode(path) == wanted {
            return true;
        }
        // Held under another name, so that the next file has another number.
        let other = path.with_file_name(format!("inode-{number}"));
        fs::rename(path, &other).unwrap();
        others.push(other);
        false
    });
    for other in others {
        fs::remove_file(other).unwrap();
    }
    is_reused
}

/// Waits until a metric holds what is wanted.
#[track_caller]
fn wait_for_metric(bed: &Bed, name: &str, label: &str, holds: impl Fn(f64) -> bool) {
    bed.wait_for_metric(name, label, holds);
}
