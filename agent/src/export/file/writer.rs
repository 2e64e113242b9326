//! The thread that writes: a pipe without a reader or a file system that hangs blocks nothing else.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// How far back a torn last line is looked for: longer than any record.
const TORN_LINE_BYTES_MAX: u64 = 8 << 20;

/// Every line of ours begins with one of these.
const LINE_STARTS: [&[u8]; 2] = [b"{\"timestamp\":", b"{\"observed_timestamp\":"];

/// Names a batch: the file, its first and last offset, and how many records.
pub(super) type Key = (String, u64, u64, usize);

/// A batch to be written.
#[derive(Debug)]
struct Job {
    key: Key,
    lines: Vec<u8>,
    done: oneshot::Sender<Written>,
}

/// How it went, and the memory of the lines, to be used again.
pub(super) type Written = (io::Result<()>, Vec<u8>);

/// The way to the thread, which ends with it, once it is not stuck.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::SyncSender<Job>,
}

impl Writer {
    /// Starts the thread. It opens the file only when there is something to write.
    pub(super) fn start(path: PathBuf, is_stdout: bool) -> io::Result<Self> {
        let (jobs, queue) = mpsc::sync_channel(1);
        let output = if is_stdout { Output::Stdout } else { Output::Closed };
        let mut target = Target { path, output, rest: None, spare: Vec::new() };
        std::thread::Builder::new().name("file".to_owned()).spawn(move || {
            while let Ok(Job { key, lines, done }) = queue.recv() {
                // Who asked may have given up; the next one asks for the same batch.
                let written = target.write_batch(key, lines);
                let _ = done.send((written, std::mem::take(&mut target.spare)));
            }
        })?;
        Ok(Self { jobs })
    }

    /// Hands a batch over. There is room, as one batch is under way at a time.
    pub(super) fn begin(&self, key: Key, lines: Vec<u8>) -> oneshot::Receiver<Written> {
        let (done, written) = oneshot::channel();
        // A thread that is gone drops the sender, which the receiver tells.
        let _ = self.jobs.try_send(Job { key, lines, done });
        written
    }
}

/// The file, and what of a batch it has not taken yet.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    output: Output,
    rest: Option<Rest>,
    /// Lines that are written.
    spare: Vec<u8>,
}

#[derive(Debug)]
struct Rest {
    key: Key,
    lines: Vec<u8>,
    /// Bytes that are written already.
    written: usize,
}

#[derive(Debug)]
enum Output {
    Stdout,
    Closed,
    Open(File),
}

impl Target {
    /// A half-written batch is finished where it was begun, whatever comes next.
    fn write_batch(&mut self, key: Key, lines: Vec<u8>) -> io::Result<()> {
        let is_begun = self.rest.as_ref().is_some_and(|rest| rest.written > 0);
        if is_begun {
            let is_same = self.rest.as_ref().is_some_and(|rest| rest.key == key);
            self.write_rest()?;
            if is_same {
                return Ok(());
            }
        }
        self.rest = Some(Rest { key, lines, written: 0 });
        self.write_rest()
    }

    fn write_rest(&mut self) -> io::Result<()> {
        self.reopen_when_moved()?;
        let Some(rest) = &mut self.rest else { return Ok(()) };
        let result = match &mut self.output {
            Output::Stdout => write_rest(&mut io::stdout().lock(), &rest.lines, &mut rest.written),
            Output::Open(file) => write_rest(file, &rest.lines, &mut rest.written),
            Output::Closed => Err(io::ErrorKind::NotConnected.into()),
        };
        match &result {
            Ok(()) => self.spare = self.rest.take().map(|rest| rest.lines).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // What the reader had not read went with it; the next one gets the batch as a whole.
                rest.written = 0;
                if matches!(self.output, Output::Open(_)) {
                    self.output = Output::Closed;
                }
            }
            Err(_) => {}
        }
        result
    }

    /// logrotate moves the file away and expects its writer to make a new one.
    fn reopen_when_moved(&mut self) -> io::Result<()> {
        if let Output::Open(file) = &self.output {
            let is_same = fs::metadata(&self.path).is_ok_and(|at_path| {
                file.metadata()
                    .is_ok_and(|open| (open.dev(), open.ino()) == (at_path.dev(), at_path.ino()))
            });
            let is_begun = self.rest.as_ref().is_some_and(|rest| rest.written > 0);
            if is_same || is_begun {
                return Ok(());
            }
            self.output = Output::Closed;
        }
        if matches!(self.output, Output::Closed) {
            self.output = Output::Open(open_whole(&self.path)?);
        }
        Ok(())
    }
}

/// Opens for appending after removing the half line that a killed agent left.
///
/// Only a last line that begins like one of ours and has no newline is removed: its record is not
/// checkpointed, so it comes again. Whatever else stands in the file is left alone.
fn open_whole(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        // A pipe or a device: no line of ours lies in it.
        return File::options().append(true).open(path);
    }
    let mut file = File::options().create(true).read(true).append(true).open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(TORN_LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    (&mut file).take(TORN_LINE_BYTES_MAX).read_to_end(&mut end)?;
    let line = memchr::memrchr(b'\n', &end).map_or(0, |newline| newline + 1);
    let is_line_start = line > 0 || from == 0;
    if is_line_start && LINE_STARTS.iter().any(|start| is_begun_like(&end[line..], start)) {
        file.set_len(from + line as u64)?;
    } else if !end.is_empty() && end.last() != Some(&b'\n') {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn is_begun_like(line: &[u8], start: &[u8]) -> bool {
    let common = line.len().min(start.len());
    common > 0 && line[..common] == start[..common]
}

fn write_rest(output: &mut dyn Write, buffer: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < buffer.len() {
        match output.write(&buffer[*written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => *written += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::{Key, Output, Rest, Target, open_whole};
    use std::io::Write;

    #[track_caller]
    fn check(before: &str, after: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/records.jsonl");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, before).unwrap();
        open_whole(&path).unwrap().write_all(b"next\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{after}next\n"));
    }

    #[test]
    fn a_half_line_of_ours_is_removed_and_foreign_text_is_kept() {
        check("", "");
        check("{\"timestamp\":\"1\"}\n", "{\"timestamp\":\"1\"}\n");
        check("{\"timestamp\":\"1\"}\n{\"timesta", "{\"timestamp\":\"1\"}\n");
        check("{\"observed_timestamp\":\"1\",\"bo", "");
        check("somebody's notes", "somebody's notes\n");
    }

    fn key(number: u64) -> Key {
        (String::new(), number, number, 1)
    }

    /// A target that has taken two bytes of the first batch.
    fn half_written(path: &std::path::Path) -> Target {
        std::fs::write(path, "on").unwrap();
        let file = std::fs::File::options().append(true).open(path).unwrap();
        let rest = Rest { key: key(1), lines: b"one\n".to_vec(), written: 2 };
        let (path, output) = (path.to_owned(), Output::Open(file));
        Target { path, output, rest: Some(rest), spare: Vec::new() }
    }

    #[test]
    fn a_half_written_batch_is_finished_whatever_comes_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        half_written(&path).write_batch(key(1), b"one\n".to_vec()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        half_written(&path).write_batch(key(2), b"two\n".to_vec()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_batch_whose_reader_went_away_is_written_anew_for_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut target = half_written(&folder.path().join("unused"));
        let (reader, writer) = std::io::pipe().unwrap();
        target.path = folder.path().join("next.jsonl");
        target.output = Output::Open(std::fs::File::from(std::os::fd::OwnedFd::from(writer)));
        drop(reader);
        let error = target.write_batch(key(1), b"one\n".to_vec()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        target.write_batch(key(1), b"one\n".to_vec()).unwrap();
        assert_eq!(std::fs::read_to_string(&target.path).unwrap(), "one\n");
    }

    #[test]
    fn a_pipe_is_written_without_a_look_back() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        open_whole(std::path::Path::new(&path)).unwrap().write_all(b"next\n").unwrap();
        drop(writer);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        assert_eq!(text, "next\n");
    }
}
