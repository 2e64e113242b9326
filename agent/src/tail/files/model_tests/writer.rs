//! One writer of numbered lines, and what a rotator does to its files.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Rotated files of one name that are kept.
pub(super) const GENERATIONS: usize = 6;

/// A line is known by its writer and number.
pub(super) type Line = (usize, u64);

/// A writer and its files.
pub(super) struct Writer {
    pub(super) number: usize,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) is_appending: bool,
    pub(super) n_lines: u64,
    pub(super) half: Option<String>,
    pub(super) n_links: usize,
    /// Lines by inode of the file that they stand in.
    pub(super) written: HashMap<u64, BTreeSet<Line>>,
}

impl Writer {
    pub(super) fn new(folder: &Path, number: usize, is_appending: bool) -> Self {
        let path = folder.join(format!("w{number}.log"));
        let file = create(&path, is_appending);
        let written = HashMap::new();
        Self { number, path, file, is_appending, n_lines: 0, half: None, n_links: 0, written }
    }

    pub(super) fn inode(&self) -> u64 {
        self.file.metadata().unwrap().ino()
    }

    pub(super) fn put(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
        // The kernel's own stamps may be as coarse as 4 ms; operations here are faster.
        self.file.set_modified(SystemTime::now()).unwrap();
    }

    /// Ends the half line: what a writer has begun, it ends.
    pub(super) fn settle(&mut self) {
        if let Some(rest) = self.half.take() {
            self.put(&rest);
        }
    }

    pub(super) fn next_line(&mut self) -> String {
        let (writer, number) = (self.number, self.n_lines);
        self.n_lines += 1;
        self.written.entry(self.inode()).or_default().insert((writer, number));
        // Long enough for copies to be told by their content.
        format!("26/11/26 06:26:22 INFO Job: line {writer} {number:06} {:.<40}\n", "")
    }

    pub(super) fn write(&mut self, lines: u8) {
        self.settle();
        for _ in 0..lines {
            let line = self.next_line();
            self.put(&line);
        }
    }

    pub(super) fn write_half(&mut self) {
        if self.half.is_none() {
            let line = self.next_line();
            self.put(&line[..30]);
            self.half = Some(line[30..].to_owned());
        }
    }

    pub(super) fn reopen(&mut self) {
        self.settle();
        self.file = create(&self.path, self.is_appending);
        self.file.seek(SeekFrom::End(0)).unwrap();
    }

    pub(super) fn truncate(&mut self) -> BTreeSet<Line> {
        self.file.set_len(0).unwrap();
        self.file.set_modified(SystemTime::now()).unwrap();
        self.written.remove(&self.inode()).unwrap_or_default()
    }

    pub(super) fn generation(&self, index: usize, end: &str) -> PathBuf {
        self.path.with_file_name(format!("w{}.log.{index}{end}", self.number))
    }

    /// `.1` becomes `.2` and so on. The inode of the last, which is deleted.
    pub(super) fn shift(&self) -> Vec<u64> {
        let mut deleted = Vec::new();
        for index in (1..=GENERATIONS).rev() {
            for end in ["", ".gz"] {
                let from = self.generation(index, end);
                if index == GENERATIONS {
                    deleted.extend(fs::metadata(&from).map(|it| it.ino()));
                    let _ = fs::remove_file(from);
                } else {
                    let _ = fs::rename(from, self.generation(index + 1, end));
                }
            }
        }
        deleted
    }
}

fn create(path: &Path, is_appending: bool) -> File {
    let mut options = File::options();
    options.create(true).read(true);
    let options =
        if is_appending { options.append(true) } else { options.write(true).truncate(false) };
    let file = options.open(path).unwrap();
    if file.metadata().unwrap().len() == 0 {
        file.set_modified(SystemTime::now()).unwrap();
    }
    file
}

pub(super) fn inode_at(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}
