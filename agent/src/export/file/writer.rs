//! The thread that writes: a pipe without a reader or a file system that hangs blocks nothing else.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

/// How far back a torn last line is looked for: longer than any record.
const TORN_LINE_BYTES_MAX: u64 = 8 << 20;

/// Time between two looks whether a named pipe has a reader.
const READER_LOOK: Duration = Duration::from_millis(50);
/// Time that a named pipe may be gone before a file is made in its place.
const REMAKE_TIME: Duration = Duration::from_secs(1);

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
        let mut target = Target::new(path, is_stdout);
        std::thread::Builder::new().name("file".to_owned()).spawn(move || {
            while let Ok(Job { key, lines, done }) = queue.recv() {
                // Who asked may have given up; the next one asks for the same batch.
                let mut written = target.write_batch(key, lines);
                while written.as_ref().is_err_and(has_no_reader) && !done.is_closed() {
                    std::thread::sleep(READER_LOOK);
                    if !target.path.exists() {
                        // Whoever deletes a pipe may be about to make it anew.
                        std::thread::sleep(REMAKE_TIME);
                    }
                    written = target.write_rest();
                }
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

/// Whether the last line at a path is half written, held while something is written there. For all
/// threads of the process: that of the config before may still be in the middle of a batch.
type MidLine = Arc<Mutex<bool>>;

fn mid_line_at(path: &Path) -> MidLine {
    static ALL: Mutex<BTreeMap<PathBuf, MidLine>> = Mutex::new(BTreeMap::new());
    lock(&ALL).entry(path.to_owned()).or_default().clone()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file, and what of a batch it has not taken yet.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    is_mid_line: MidLine,
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
    /// Length of the file with them.
    length: u64,
}

#[derive(Debug)]
enum Output {
    Stdout,
    Closed,
    Open(File),
}

impl Target {
    fn new(path: PathBuf, is_stdout: bool) -> Self {
        let output = if is_stdout { Output::Stdout } else { Output::Closed };
        let is_mid_line = mid_line_at(if is_stdout { Path::new("-") } else { &path });
        Self { path, is_mid_line, output, rest: None, spare: Vec::new() }
    }

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
        self.rest = Some(Rest { key, lines, written: 0, length: 0 });
        self.write_rest()
    }

    fn write_rest(&mut self) -> io::Result<()> {
        let is_mid_line = self.is_mid_line.clone();
        let mut is_mid_line = lock(&is_mid_line);
        self.reopen_when_moved(&mut is_mid_line)?;
        let Some(rest) = &mut self.rest else { return Ok(()) };
        let result = match &mut self.output {
            Output::Stdout => write_rest(&mut io::stdout().lock(), rest, &mut is_mid_line),
            Output::Open(file) => write_rest(file, rest, &mut is_mid_line),
            Output::Closed => Err(io::ErrorKind::NotConnected.into()),
        };
        match &result {
            Ok(()) => self.spare = self.rest.take().map(|rest| rest.lines).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // What the reader had not read went with it; the next one gets the batch as a whole.
                (rest.written, *is_mid_line) = (0, false);
                if matches!(self.output, Output::Open(_)) {
                    self.output = Output::Closed;
                }
            }
            Err(_) => {
                if let Output::Open(file) = &self.output {
                    rest.length = file.metadata().map_or(0, |file| file.len());
                }
            }
        }
        result
    }

    /// logrotate moves the file away and expects its writer to make a new one.
    fn reopen_when_moved(&mut self, is_mid_line: &mut bool) -> io::Result<()> {
        if let Output::Open(file) = &self.output {
            let open = file.metadata()?;
            let is_same = fs::metadata(&self.path)
                .is_ok_and(|at_path| (open.dev(), open.ino()) == (at_path.dev(), at_path.ino()));
            let begun = self.rest.as_mut().filter(|rest| rest.written > 0);
            match begun {
                // Whoever deletes or empties a file, to have room again, has deleted the beginning.
                Some(rest) if open.is_file() && (open.nlink() == 0 || open.len() < rest.length) => {
                    (rest.written, *is_mid_line) = (0, false);
                }
                Some(_) => return Ok(()),
                None if is_same => return Ok(()),
                None => {}
            }
            self.output = Output::Closed;
        }
        if matches!(self.output, Output::Closed) {
            let file = open_whole(&self.path)?;
            if file.metadata()?.is_file() {
                *is_mid_line = false;
            }
            self.output = Output::Open(file);
        }
        Ok(())
    }
}

/// True for what opening a named pipe says that nobody reads.
fn has_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NXIO.raw_os_error())
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
        // A pipe or a device: no line of ours lies in it. Who waits for a reader while opening would
        // wait for ever on a pipe that is deleted meanwhile.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().append(true).custom_flags(flags).open(path)?;
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        return Ok(file);
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

/// Writes what is left of a batch; begins a new line when another writer left half a one.
fn write_rest(
    output: &mut (impl Write + AsFd),
    rest: &mut Rest,
    is_mid_line: &mut bool,
) -> io::Result<()> {
    if rest.written == 0 && *is_mid_line {
        write_some(output, b"\n")?;
        *is_mid_line = false;
    }
    while rest.written < rest.lines.len() {
        rest.written += write_some(output, &rest.lines[rest.written..])?;
        *is_mid_line = rest.lines[rest.written - 1] != b'\n';
    }
    loop {
        match output.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(output)?,
            result => return result,
        }
    }
}

/// At least one byte.
fn write_some(output: &mut (impl Write + AsFd), bytes: &[u8]) -> io::Result<usize> {
    loop {
        match output.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody who has the same standard output does not want to wait for it. This thread may.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(output)?,
            result => return result,
        }
    }
}

fn wait_for_room(output: &impl AsFd) -> io::Result<()> {
    match poll(&mut [PollFd::new(output, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Output, Rest, Target, lock, mid_line_at, open_whole};
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::path::Path;
    use std::time::Duration;

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
    fn half_written(path: &Path) -> Target {
        std::fs::write(path, "on").unwrap();
        let file = File::options().append(true).open(path).unwrap();
        let mut target = Target::new(path.to_owned(), false);
        target.output = Output::Open(file);
        target.rest = Some(Rest { key: key(1), lines: b"one\n".to_vec(), written: 2, length: 2 });
        *lock(&target.is_mid_line) = true;
        target
    }

    #[test]
    fn a_half_written_batch_is_written_anew_when_its_beginning_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        for number in [1, 2] {
            let mut target = half_written(&path);
            std::fs::remove_file(&path).unwrap();
            target.write_batch(key(number), b"two\n".to_vec()).unwrap();
            let want = if number == 1 { "one\n" } else { "one\ntwo\n" };
            assert_eq!(std::fs::read_to_string(&path).unwrap(), want);
            let mut target = half_written(&path);
            File::create(&path).unwrap();
            target.write_batch(key(number), b"two\n".to_vec()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), want);
        }
        let mut target = half_written(&path);
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        target.write_batch(key(2), b"two\n".to_vec()).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("moved")).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    }

    fn path_of(writer: &impl AsRawFd) -> std::path::PathBuf {
        format!("/proc/self/fd/{}", writer.as_raw_fd()).into()
    }

    #[test]
    fn a_writer_after_one_that_stopped_within_a_line_begins_a_new_one() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let path = path_of(&writer);
        (&writer).write_all(b"{\"timesta").unwrap();
        *lock(&mid_line_at(&path)) = true;
        let mut target = Target::new(path, false);
        target.write_batch(key(1), b"one\n".to_vec()).unwrap();
        target.write_batch(key(2), b"two\n".to_vec()).unwrap();
        drop((writer, target));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"timesta\none\ntwo\n");
        // What opens a file removes the half line.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        std::fs::write(&path, "{\"timesta").unwrap();
        *lock(&mid_line_at(&path)) = true;
        Target::new(path.clone(), false).write_batch(key(1), b"one\n".to_vec()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
    }

    #[test]
    fn a_writer_waits_for_the_one_before_that_is_in_the_middle_of_a_batch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        let is_mid_line = mid_line_at(&path);
        let held = lock(&is_mid_line);
        let (done, written) = std::sync::mpsc::channel();
        let mut target = Target::new(path.clone(), false);
        let thread = std::thread::spawn(move || {
            done.send(target.write_batch(key(1), b"one\n".to_vec())).unwrap();
        });
        assert!(written.recv_timeout(Duration::from_millis(100)).is_err());
        assert!(!path.exists());
        drop(held);
        written.recv().unwrap().unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn an_output_that_somebody_made_non_blocking_is_waited_for() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut target = Target::new("unused".into(), false);
        rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
        target.path = path_of(&writer);
        target.output = Output::Open(File::from(OwnedFd::from(writer)));
        let lines = [b'x'; 1 << 20].to_vec();
        let thread = std::thread::spawn(move || target.write_batch(key(1), lines));
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 1 << 20);
        thread.join().unwrap().unwrap();
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
        target.output = Output::Open(File::from(OwnedFd::from(writer)));
        drop(reader);
        let error = target.write_batch(key(1), b"one\n".to_vec()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        target.write_batch(key(1), b"one\n".to_vec()).unwrap();
        assert_eq!(std::fs::read_to_string(&target.path).unwrap(), "one\n");
    }

    #[test]
    fn a_pipe_is_written_without_a_look_back() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        open_whole(&path_of(&writer)).unwrap().write_all(b"next\n").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "next\n");
    }
}
