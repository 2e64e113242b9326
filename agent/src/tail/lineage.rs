//! Names that rotators give: which file a rotated, copied or compressed file may stem from.
//!
//! A name proves nothing; it only says whose content is worth comparing.

use std::path::Path;

/// Characters of the counters and dates that rotators add: `.1`, `-20261126`, `--2026-11-26--10-00`,
/// `.20260101-000000`, `_2`, `-2026-11-26T10:00:00Z`.
const STAMP: &[u8] = b"0123456789-_.:TZ";

/// True for a file that is read through a decompressor.
#[must_use]
pub fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// True when a rotator may have made `rotated` from the file at `original`, by rename, copy or
/// compression: it lies in the same folder or up to two below, and its name is the original's with
/// a counter or a date, compressed or not.
#[must_use]
pub fn is_derived(rotated: &Path, original: &Path) -> bool {
    let (Some(folder), Some(name)) = (original.parent(), original.file_name()) else {
        return false;
    };
    rotated != original
        && is_close(rotated, folder)
        && originals(rotated).iter().any(|it| it.as_slice() == name.as_encoded_bytes())
}

/// True when both names may come from one original: `app.log.2.gz` was `app.log.1` before.
#[must_use]
pub fn is_kin(one: &Path, other: &Path) -> bool {
    let Some(folder) = other.parent() else { return false };
    let mut others = originals(other);
    others.extend(other.file_name().map(|name| name.as_encoded_bytes().to_vec()));
    is_close(one, folder) && originals(one).iter().any(|name| others.contains(name))
}

fn is_close(path: &Path, folder: &Path) -> bool {
    path.ancestors().skip(1).take(3).any(|above| above == folder)
}

/// Names that a file may have had before a rotator renamed, copied or compressed it.
pub(super) fn originals(path: &Path) -> Vec<Vec<u8>> {
    let Some(name) = path.file_name() else { return Vec::new() };
    let name = name.as_encoded_bytes();
    let plain = name.strip_suffix(b".gz").unwrap_or(name);
    let mut found = Vec::new();
    if plain.len() < name.len() {
        found.push(plain.to_vec());
    }
    // app.log.1, stderr--2026-11-26--10-00
    found.extend(without_stamp(plain).map(<[u8]>::to_vec));
    // app-1.log, app.2026-11-26.log
    if let Some(dot) = plain.iter().rposition(|byte| *byte == b'.') {
        let (base, extension) = plain.split_at(dot);
        found.extend(without_stamp(base).map(|base| [base, extension].concat()));
    }
    found
}

/// `name` without the counter or date at its end.
fn without_stamp(name: &[u8]) -> Option<&[u8]> {
    let end = name.iter().rposition(|byte| !STAMP.contains(byte))? + 1;
    let has_digit = name[end..].iter().any(u8::is_ascii_digit);
    has_digit.then_some(&name[..end])
}

#[cfg(test)]
mod tests {
    use super::{is_derived, is_kin};
    use std::path::Path;

    #[test]
    fn names_of_every_rotator_lead_to_the_original() {
        for (rotated, original) in [
            ("app.log.1", "app.log"),
            ("app.log.1.gz", "app.log"),
            ("app.log-20261126", "app.log"),
            ("app.log-20261126-1764190000.gz", "app.log"),
            ("app-1.log", "app.log"),
            ("app-2026-11-26-3.log.gz", "app.log"),
            ("2026-11/app-2026-11-26.log.gz", "app.log"),
            ("stderr--2026-11-26--10-00", "stderr"),
            ("stderr--2026-11-26--10-00-00.gz", "stderr"),
            ("0.log.20260101-000000.gz", "0.log"),
            ("app.log.gz", "app.log"),
        ] {
            let (rotated, original) =
                (Path::new("/l").join(rotated), Path::new("/l").join(original));
            assert!(is_derived(&rotated, &original), "{}", rotated.display());
            assert!(is_kin(&rotated, &original), "{}", rotated.display());
        }
        for other in ["app.log", "app-worker.log", "application.log.1", "other/x/y/app.log.1"] {
            let other = Path::new("/l").join(other);
            assert!(!is_derived(&other, Path::new("/l/app.log")), "{}", other.display());
        }
        assert!(!is_derived(Path::new("/l/executor-2.log"), Path::new("/l/executor-1.log")));
        assert!(is_kin(Path::new("/l/app.log.2.gz"), Path::new("/l/app.log.1")));
        assert!(!is_kin(Path::new("/m/app.log.2.gz"), Path::new("/l/app.log.1")));
    }
}
