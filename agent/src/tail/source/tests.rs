//! What is read, and what a read that fails leaves behind.

use super::{Source, gunzip, read_plain};
use flate2::{Compression, write::GzEncoder};
use std::fs::File;
use std::io::Write;

#[test]
fn an_archive_that_cannot_be_read_for_a_moment_is_read_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log.1.gz");
    let text: String = (0..2_000).map(|number| format!("line {number}\n")).collect();
    let mut archive = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    archive.write_all(text.as_bytes()).unwrap();
    archive.finish().unwrap();
    let mut source = Source::new(&path, File::open(&path).unwrap(), 0).unwrap();
    let mut read = Vec::new();
    source.read(0, 5_000, &mut read).unwrap();
    // A folder can be opened, and no read of it succeeds.
    source.gunzip = Some(gunzip(&File::open(folder.path()).unwrap()).unwrap());
    source.read(read.len() as u64, 5_000, &mut read).unwrap_err();
    assert!(source.archive().is_none(), "it has more");
    while source.archive().is_none() {
        source.read(read.len() as u64, 5_000, &mut read).unwrap();
    }
    assert_eq!(String::from_utf8(read).unwrap(), text);
}

#[test]
fn an_archive_without_its_end_is_read_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log.1.gz");
    let mut archive = GzEncoder::new(Vec::new(), Compression::none());
    archive.write_all(&[b'x'; 9_000]).unwrap();
    let whole = archive.finish().unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1_000]).unwrap();
    let mut source = Source::new(&path, File::open(&path).unwrap(), 0).unwrap();
    let mut read = Vec::new();
    while source.archive().is_none() {
        let _ = source.read(read.len() as u64, 5_000, &mut read);
    }
    assert!(read.len() > 7_000, "{}", read.len());
}

#[test]
fn one_read_takes_no_more_than_asked_for_however_large_the_buffer_is() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[b'x'; 1 << 20]).unwrap();
    let mut buffer = Vec::with_capacity(16 << 20);
    let bytes = read_plain(&file, 0, 4096, &mut buffer).unwrap();
    assert!((4096..=2 * 4096).contains(&bytes) && buffer.capacity() <= 2 * 4096, "{bytes}");
}
