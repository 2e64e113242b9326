//! Writers of logs in which every line carries its writer and a number without gaps.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Line `number` of `writer`, with its newline. Padded, as real lines are about this long.
pub(crate) fn line(writer: &str, number: u64) -> String {
    format!(
        "26/11/22 06:26:22 INFO Writer: line ={writer}:{number}= finished task {task}.0 in stage \
         41.0 (TID {number}) in 57 ms, and nothing is lost of it\n",
        task = number % 977
    )
}

/// A writer with its open file.
#[derive(Debug)]
pub(crate) struct Writer {
    name: String,
    path: PathBuf,
    file: File,
    /// Number of the next line.
    pub(crate) next: u64,
}

impl Writer {
    /// Opens `path` for appending.
    pub(crate) fn open(name: &str, path: &Path) -> Self {
        Self { name: name.to_owned(), path: path.to_owned(), file: append(path), next: 0 }
    }

    /// Writes the next lines in one go.
    pub(crate) fn write(&mut self, n_lines: u64) {
        let text: String = (self.next..self.next + n_lines).map(|n| line(&self.name, n)).collect();
        self.next += n_lines;
        self.file.write_all(text.as_bytes()).unwrap();
    }

    /// Opens the path anew, as a daemon does at SIGHUP.
    pub(crate) fn reopen(&mut self) {
        self.file = append(&self.path);
    }
}

fn append(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

/// A writer that writes all the time, in a thread of its own.
#[derive(Debug)]
pub(crate) struct Pump {
    writer: Arc<Mutex<Writer>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Pump {
    /// Writes `lines_per_second` until it is stopped, in 100 bursts a second.
    pub(crate) fn start(writer: Writer, lines_per_second: u64) -> Self {
        let (writer, stop) = (Arc::new(Mutex::new(writer)), Arc::new(AtomicBool::new(false)));
        let (shared, is_over) = (Arc::clone(&writer), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let (start, mut n_written) = (Instant::now(), 0);
            while !is_over.load(Ordering::Acquire) {
                let due = (start.elapsed().as_secs_f64() * lines_per_second as f64) as u64;
                // A machine that stalled must not make it up in one burst that no disk takes.
                let burst = (due - n_written).min(lines_per_second / 10 + 1);
                n_written = due;
                shared.lock().unwrap().write(burst);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { writer, stop, thread }
    }

    /// Does something with the writer between two bursts.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Writer) -> T) -> T {
        act(&mut self.writer.lock().unwrap())
    }

    /// Opens the path anew, as a daemon does at SIGHUP.
    pub(crate) fn reopen(&self) {
        self.with(Writer::reopen);
    }

    /// Lines written so far.
    pub(crate) fn n_written(&self) -> u64 {
        self.with(|writer| writer.next)
    }

    /// Stops, and gives the number of lines.
    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap();
        self.writer.lock().unwrap().next
    }
}
