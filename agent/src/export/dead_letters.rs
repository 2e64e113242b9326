//! Dead letters: records that a destination refused for good, with the reason, as JSON lines.
//!
//! One folder for each exporter, files that are appended to and synced, a cap on their bytes; the
//! oldest go first. Everything in them is redacted, and goes through the redactor again when it is
//! read back.

mod letter;

pub(crate) use letter::lines;
pub use letter::{Letter, Restored};

use super::spool::{OpenError, make_folder, private_file};
use crate::telemetry;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Folder of all dead letters in the state folder.
const FOLDER: &str = "dead_letters";
/// A file is closed at this size.
const FILE_BYTES: u64 = 1 << 20;
/// There are at least so many files under the cap, so that dropping the oldest drops little.
const FILES_MIN: u64 = 8;

/// One file of letters.
#[derive(Debug)]
struct Kept {
    number: u64,
    bytes: u64,
    n_letters: u64,
}

/// The dead letters of one exporter. Every call may wait for the disk.
#[derive(Debug)]
pub struct DeadLetters {
    exporter: &'static str,
    folder: PathBuf,
    bytes_max: u64,
    files: VecDeque<Kept>,
    /// The last of `files`, while it is appended to.
    writing: Option<File>,
    next_number: u64,
}

impl DeadLetters {
    /// Opens those of an exporter; writes nothing.
    ///
    /// # Errors
    /// When there are some that cannot be read.
    pub fn open(
        state_dir: &Path,
        exporter: &'static str,
        bytes_max: u64,
    ) -> Result<Self, OpenError> {
        let folder = folder(state_dir, exporter);
        let files = kept(&folder).map_err(|source| OpenError::new(&folder, source))?;
        let next_number = files.back().map_or(1, |last| last.number + 1);
        let opened = Self { exporter, folder, bytes_max, files, writing: None, next_number };
        opened.report();
        Ok(opened)
    }

    /// Keeps letters, synced when it returns. Drops the oldest ones to stay within the cap, and
    /// these when they alone are over it.
    ///
    /// # Errors
    /// When the disk does not take them; then none is kept.
    pub fn append(&mut self, lines: &[u8], n_letters: usize) -> io::Result<()> {
        let n_bytes = lines.len() as u64;
        if n_bytes > self.bytes_max {
            telemetry::DEAD_LETTERS.add(self.exporter, n_letters as u64);
            telemetry::DEAD_LETTERS_DROPPED.add(self.exporter, n_letters as u64);
            return Ok(());
        }
        while self.bytes() + n_bytes > self.bytes_max {
            self.drop_oldest()?;
        }
        let written = self.write(lines);
        if let (Ok(()), Some(last)) = (&written, self.files.back_mut()) {
            last.bytes += n_bytes;
            last.n_letters += n_letters as u64;
            telemetry::DEAD_LETTERS.add(self.exporter, n_letters as u64);
        }
        self.report();
        written
    }

    /// Writes to the end of the last file, which is as it was when that fails.
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let file_bytes = FILE_BYTES.min(self.bytes_max / FILES_MIN);
        if self.files.back().is_some_and(|last| last.bytes >= file_bytes) {
            self.writing = None;
        }
        if self.writing.is_none() {
            make_folder(&self.folder)?;
            let file = private_file(&path_of(&self.folder, self.next_number))?;
            File::open(&self.folder)?.sync_all()?;
            let number = self.next_number;
            self.files.push_back(Kept { number, bytes: 0, n_letters: 0 });
            self.next_number += 1;
            self.writing = Some(file);
        }
        let (Some(file), Some(last)) = (&self.writing, self.files.back()) else { return Ok(()) };
        file.write_all_at(lines, last.bytes).and_then(|()| file.sync_data()).inspect_err(|_| {
            // Half a line that stays behind is written over, or passed over by whoever reads it.
            let _ = file.set_len(last.bytes);
        })
    }

    fn drop_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.files.front() else { return Ok(()) };
        match fs::remove_file(path_of(&self.folder, oldest.number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        telemetry::DEAD_LETTERS_DROPPED.add(self.exporter, oldest.n_letters);
        self.files.pop_front();
        if self.files.is_empty() {
            self.writing = None;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|it| it.bytes).sum()
    }

    fn report(&self) {
        telemetry::DEAD_LETTERS_BYTES.set(self.exporter, self.bytes() as f64);
    }
}

fn kept(folder: &Path) -> io::Result<VecDeque<Kept>> {
    let mut files = VecDeque::new();
    for (number, path) in files_of(folder)? {
        let bytes = fs::read(path)?;
        let n_letters = memchr::memchr_iter(b'\n', &bytes).count() as u64;
        files.push_back(Kept { number, bytes: bytes.len() as u64, n_letters });
    }
    Ok(files)
}

/// Where those of an exporter are.
#[must_use]
pub fn folder(state_dir: &Path, exporter: &str) -> PathBuf {
    state_dir.join(FOLDER).join(exporter)
}

/// Names of exporters that have a folder of dead letters, in order.
///
/// # Errors
/// When the folder is there and cannot be read.
pub fn exporters(state_dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(state_dir.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The files in a folder of dead letters, the oldest first.
///
/// # Errors
/// When the folder is there and cannot be read.
pub fn files_of(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let is_letters = path.extension().is_some_and(|ending| ending == "jsonl");
        if let (Some(Ok(number)), true) = (stem.map(str::parse), is_letters) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// Replaces the file at `path` by `lines`, or removes it when there are none.
///
/// # Errors
/// When the disk does not take it; the file is as it was then.
pub fn replace(path: &Path, lines: &[u8]) -> io::Result<()> {
    if lines.is_empty() {
        return fs::remove_file(path);
    }
    let temporary = path.with_extension("tmp");
    let mut file = private_file(&temporary)?;
    file.set_len(0)?;
    file.write_all(lines)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.jsonl"))
}

#[cfg(test)]
mod tests {
    use super::{DeadLetters, files_of, folder};
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    #[test]
    fn the_oldest_go_when_the_cap_is_reached_also_over_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let line = |n: usize| format!("{{\"offset\":{n},\"pad\":\"{}\"}}\n", "x".repeat(80));
        for n in 0..200 {
            let mut letters = DeadLetters::open(state.path(), "file", 4_000).unwrap();
            letters.append(line(n).as_bytes(), 1).unwrap();
            letters.append(line(n).as_bytes(), 1).unwrap();
        }
        let files = files_of(&folder(state.path(), "file")).unwrap();
        let text: String = files.iter().map(|it| fs::read_to_string(&it.1).unwrap()).collect();
        assert!((3_000..=4_000).contains(&text.len()), "{}", text.len());
        let want: Vec<String> = (0..200).flat_map(|n| [line(n), line(n)]).collect();
        assert!(want.concat().ends_with(&text), "the newest, in order");
        for (_, path) in files {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let mode = fs::metadata(folder(state.path(), "file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    fn text(state: &Path) -> String {
        let files = files_of(&folder(state, "file")).unwrap();
        files.iter().map(|it| fs::read_to_string(&it.1).unwrap()).collect()
    }

    #[test]
    fn a_disk_that_takes_nothing_gets_no_new_files_and_no_letter_twice() {
        let state = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters::open(state.path(), "file", 4_000).unwrap();
        letters.append(b"{\"n\":1}\n", 1).unwrap();
        // What takes no bytes at an offset.
        let (_reader, pipe) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(pipe));
        let file = letters.writing.replace(pipe).unwrap();
        for _ in 0..5 {
            letters.append(b"{\"n\":2}\n", 1).unwrap_err();
        }
        letters.writing = Some(file);
        letters.append(b"{\"n\":2}\n", 1).unwrap();
        assert_eq!(files_of(&folder(state.path(), "file")).unwrap().len(), 1);
        assert_eq!(text(state.path()), "{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn a_file_that_cannot_be_removed_keeps_its_place_under_the_cap() {
        let state = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters::open(state.path(), "file", 800).unwrap();
        let line = |n: usize| format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "x".repeat(180));
        (0..4).for_each(|n| letters.append(line(n).as_bytes(), 1).unwrap());
        let oldest = files_of(&folder(state.path(), "file")).unwrap().remove(0).1;
        fs::remove_file(&oldest).unwrap();
        fs::create_dir(&oldest).unwrap();
        for _ in 0..5 {
            letters.append(line(4).as_bytes(), 1).unwrap_err();
        }
        fs::remove_dir(&oldest).unwrap();
        letters.append(line(4).as_bytes(), 1).unwrap();
        assert_eq!(text(state.path()), [1, 2, 3, 4].map(line).concat());
    }

    #[test]
    fn letters_that_alone_are_over_the_cap_push_out_no_other() {
        let state = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters::open(state.path(), "file", 100).unwrap();
        letters.append(b"{}\n", 1).unwrap();
        letters.append(&[b'x'; 101], 1).unwrap();
        let files = files_of(&folder(state.path(), "file")).unwrap();
        assert_eq!(fs::read(&files[0].1).unwrap(), b"{}\n");
        let mut none = DeadLetters::open(state.path(), "other", 0).unwrap();
        none.append(b"{}\n", 1).unwrap();
        assert!(!folder(state.path(), "other").exists());
    }
}
