//! Which files go on with which known ones.

use super::{Begin, Candidate, Known};
use crate::checkpoint::Entry;
use crate::model::FileId;
use crate::tail::ReadFrom;
use crate::tail::discover::Finder;
use crate::tail::fingerprint::{Digest, Inode};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

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
