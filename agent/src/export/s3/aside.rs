//! Segments of the staging area that the disk has damaged: kept aside, for whoever can make something of
//! them. As long as one is there, no manifest says that its run is complete.

use crate::telemetry;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const ENDING: &str = "damaged";

/// Keeps the segment at `path` aside. `n_bytes` of it cannot be read, and all that is kept aside has at
/// most `bytes_max`: over that, the segment goes.
///
/// # Errors
/// When the disk does not take that.
pub(super) fn keep(path: &Path, n_bytes: u64, bytes_max: u64) -> io::Result<()> {
    let mut bytes = fs::metadata(path)?.len();
    for known in all(path.parent().unwrap_or(Path::new(".")))? {
        bytes += fs::metadata(known)?.len();
    }
    if bytes > bytes_max {
        tracing::error!(
            damaged_bytes = n_bytes,
            "a segment of the archive is damaged and removed, as too many are kept aside: look at the \
             files *.damaged in the folder s3 of the state folder, and remove them"
        );
        fs::remove_file(path)?;
    } else {
        tracing::error!(
            damaged_bytes = n_bytes,
            "a segment of the archive is damaged; it is kept in the folder s3 of the state folder, as \
             *.damaged, and no run is called complete until that file is removed"
        );
        fs::rename(path, path.with_extension(ENDING))?;
    }
    telemetry::S3_DAMAGED_BYTES.add(n_bytes);
    Ok(())
}

/// True when nothing is kept aside.
///
/// # Errors
/// When the disk does not tell.
pub(super) fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(all(folder)?.is_empty())
}

/// The book is not a segment: damage to it loses no record.
fn all(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_number = |stem: &OsStr| stem.to_str().is_some_and(|it| it.parse::<u64>().is_ok());
        if path.extension() == Some(OsStr::new(ENDING)) && path.file_stem().is_some_and(is_number) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{is_empty, keep};
    use std::fs;

    #[test]
    fn what_is_kept_aside_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("book.damaged"), [0; 99]).unwrap();
        let keep = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, [0; 40]).unwrap();
            keep(&path, 1, 100).unwrap();
            assert!(!path.exists());
            path.with_extension("damaged").exists()
        };
        assert!(is_empty(folder.path()).unwrap());
        assert_eq!(["1.segment", "2.segment", "3.segment"].map(keep), [true, true, false]);
        assert!(!is_empty(folder.path()).unwrap());
    }
}
