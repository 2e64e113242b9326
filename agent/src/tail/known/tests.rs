//! Which files go on with which known ones.

use super::{Begin, Candidate, Known, stands_elsewhere};
use crate::checkpoint::{Entry, Event};
use crate::model::FileId;
use crate::tail::ReadFrom;
use crate::tail::discover::Finder;
use crate::tail::fingerprint::{Digest, Inode};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is known after `delivered` was read from the file at `path`.
fn known(path: &Path, delivered: &str) -> Known {
    let file = File::open(path).unwrap();
    let entry = Entry {
        path: path.to_owned(),
        inode: Inode::of(&file.metadata().unwrap()),
        head: Digest::of_head(&file).unwrap(),
        offset: delivered.len() as u64,
        frontier: Digest::of(delivered.as_bytes()),
        job_id: None,
        job_name: None,
        seen_unix_s: 0,
        archive: None,
        is_ended: false,
    };
    Known::new(vec![(FileId(7), entry)])
}

#[track_caller]
fn offset(known: &mut Known, path: &Path) -> (Option<FileId>, u64) {
    let file = File::open(path).unwrap();
    let metadata = file.metadata().unwrap();
    let candidate = Candidate { path, file: &file, metadata: &metadata };
    match known.begin(candidate, ReadFrom::Auto, true).unwrap() {
        Begin::Resume(id, entry) => (Some(id), entry.offset),
        Begin::New(offset) => (None, offset),
    }
}

fn astray(known: &mut Known, glob: &Path) -> Vec<PathBuf> {
    let mut finder = Finder::new(&[glob.display().to_string()], &[], Vec::new()).unwrap();
    finder.scan(Instant::now());
    known.astray(&finder, Instant::now()).into_iter().map(|it| it.path).collect()
}

/// A line that is long enough to tell files apart.
fn line(text: &str) -> String {
    format!("{text:=>70}\n")
}

#[test]
fn a_file_goes_on_where_it_was_also_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
    fs::write(&path, "one\ntwo\n").unwrap();
    let mut resumed = known(&path, "one\n");
    assert_eq!(offset(&mut resumed, &path), (Some(FileId(7)), 4));
    let mut renamed = known(&path, "one\n");
    let mut unwanted = known(&path, "one\n");
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, "new\n").unwrap();
    assert_eq!(astray(&mut renamed, &path), std::slice::from_ref(&moved));
    assert!(astray(&mut unwanted, Path::new("/other/*")).is_empty(), "nobody wants it any more");
    assert_eq!(offset(&mut renamed, &moved), (Some(FileId(7)), 4));
    assert_eq!(offset(&mut renamed, &path), (None, 0));
}

#[test]
fn a_rewritten_file_of_the_same_inode_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    for rewritten in ["on", "ONE\ntwo\nthree\n", "one\nTWO\nthree\n"] {
        fs::write(&path, "one\ntwo\n").unwrap();
        let mut known = known(&path, "one\ntwo\n");
        fs::write(&path, rewritten).unwrap();
        assert_eq!(offset(&mut known, &path), (None, 0), "{rewritten}");
    }
}

#[test]
fn the_rest_of_a_truncated_file_is_found_in_its_copy_and_in_its_archive() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (line("one"), line("two"));
    let (path, copy) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
    let archive = folder.path().join("a.log.2.gz");
    let compress = |text: &str| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        gzip.write_all(text.as_bytes()).unwrap();
        fs::write(&archive, gzip.finish().unwrap()).unwrap();
    };
    for made in [&copy, &archive] {
        fs::write(&path, format!("{one}{two}")).unwrap();
        let mut known = known(&path, &one);
        fs::write(&copy, format!("{one}{two}")).unwrap();
        compress(&format!("{one}{two}"));
        fs::write(&path, "").unwrap();
        assert!(astray(&mut known, &path).contains(made), "{}", made.display());
        let rest = (Some(FileId(7)), one.len() as u64);
        assert_eq!(offset(&mut known, made), rest, "{}", made.display());
        assert_eq!(offset(&mut known, &path), (None, 0), "the file itself is new");
    }
    fs::write(&path, &one).unwrap();
    let mut other = known(&path, &one);
    fs::write(&path, "").unwrap();
    fs::write(&copy, &two).unwrap();
    compress(&two);
    for name in [&copy, &archive] {
        assert_eq!(offset(&mut other, name), (None, 0), "only its name is alike");
    }
}

#[test]
fn nothing_is_new_in_a_copy_that_is_shorter_than_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
    let text = line("one").repeat(20);
    fs::write(&path, &text).unwrap();
    fs::write(&copy, &text).unwrap();
    fs::write(&path, format!("{text}more\n")).unwrap();
    let mut known = known(&path, &format!("{text}more\n"));
    fs::write(&path, "").unwrap();
    assert_eq!(offset(&mut known, &copy), (None, text.len() as u64));
}

#[test]
fn a_living_twin_is_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, twin) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
    fs::write(&path, line("one")).unwrap();
    let mut known = known(&path, &line("one"));
    fs::write(&twin, line("one")).unwrap();
    assert_eq!(offset(&mut known, &twin), (None, 0));
}

#[test]
fn the_number_of_a_file_on_another_device_is_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    fs::write(&path, line("one")).unwrap();
    let known = known(&path, &line("one"));
    let entry = &known.entries[&FileId(7)];
    let other = Inode { device: entry.inode.device + 1, ..entry.inode };
    assert!(stands_elsewhere(entry, other));
    assert!(!stands_elsewhere(entry, entry.inode), "a second name");
    fs::remove_file(&path).unwrap();
    assert!(!stands_elsewhere(entry, other), "the volume may have come back as another device");
}

#[test]
fn what_is_longer_or_ends_otherwise_is_no_copy_of_a_sleeping_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, twin) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
    let (banner, more) = (line("banner"), line("more"));
    let is_other = |original: &str, twin_text: &str| {
        fs::write(&path, original).unwrap();
        let known = known(&path, original);
        fs::write(&twin, twin_text).unwrap();
        known.is_other(FileId(7), &File::open(&twin).unwrap(), twin_text.len() as u64)
    };
    assert!(!is_other(&banner, &banner));
    assert!(is_other(&banner, &format!("{banner}{more}")), "longer");
    assert!(is_other(&format!("{banner}{banner}"), &format!("{banner}{more}")), "other bytes");
    assert!(!is_other(&format!("{banner}{more}"), &banner), "it may still be copied");
}

#[test]
fn files_of_a_mount_that_is_away_are_remembered_and_deleted_ones_are_not() {
    for is_mount in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volume/app/a.log");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, line("one")).unwrap();
        if !is_mount {
            fs::write(folder.path().join("volume/other"), "x").unwrap();
        }
        let mut known = known(&path, &line("one"));
        fs::remove_dir_all(folder.path().join("volume/app")).unwrap();
        known.hunt(FileId(7));
        let glob = folder.path().join("volume/app/*.log").display().to_string();
        let finder = Finder::new(&[glob], &[], Vec::new()).unwrap();
        let now = Instant::now();
        known.astray(&finder, now);
        known.astray(&finder, now + Duration::from_secs(61));
        let is_kept = matches!(known.take_gone()[..], [Event::Ended(FileId(7), _)]);
        assert_eq!(is_kept, is_mount);
    }
}
