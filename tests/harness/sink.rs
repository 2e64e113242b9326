//! A destination that takes nothing until the test lets it: a named pipe.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// `O_NONBLOCK` of Linux on x86-64 and aarch64 (asm-generic/fcntl.h).
const O_NONBLOCK: i32 = 0o4000;

/// A pipe that is full after 64 KiB, and then makes its writer wait.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    pipe: File,
    pouring: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Sink {
    /// Makes the pipe. It has a reader from the start, so nobody waits to open it.
    pub(crate) fn new(path: &Path) -> Self {
        let status = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(status.success(), "mkfifo {}", path.display());
        let pipe = File::options().read(true).write(true).custom_flags(O_NONBLOCK).open(path);
        Self { path: path.to_owned(), pipe: pipe.unwrap(), pouring: None }
    }

    /// Where a writer finds it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes what is there now, 64 KiB at most, and tells how much.
    pub(crate) fn take(&mut self, bytes: &mut Vec<u8>) -> usize {
        let before = bytes.len();
        bytes.resize(before + (64 << 10), 0);
        let read = match self.pipe.read(&mut bytes[before..]) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("the pipe cannot be read: {error}"),
        };
        bytes.truncate(before + read);
        read
    }

    /// From now on everything is taken, and appended to the file `output`.
    pub(crate) fn pour_into(&mut self, output: &Path) {
        let mut pipe = self.pipe.try_clone().unwrap();
        let mut output = File::options().create(true).append(true).open(output).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            loop {
                match pipe.read(&mut bytes) {
                    Ok(read) => output.write_all(&bytes[..read]).unwrap(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        if is_over.load(Ordering::Acquire) {
                            return;
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Err(error) => panic!("the pipe cannot be read: {error}"),
                }
            }
        });
        self.pouring = Some((stop, thread));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.pouring.take() {
            stop.store(true, Ordering::Release);
            let _ = thread.join();
        }
    }
}
