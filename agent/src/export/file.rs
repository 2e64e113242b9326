//! Writes log records as JSON lines to a file or to standard output.

use super::{
    BoxFuture, BuildError, ExportError, Exporter, ExporterConfig, ExporterDefinition, Shared,
};
use crate::config::Section;
use crate::encode::JsonEncoder;
use crate::model::{LogBatch, Signal, SignalKind};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `file`
pub const DEFINITION: ExporterDefinition =
    ExporterDefinition { name: "file", signals: &[SignalKind::Logs], is_default: true, configure };

fn configure(section: &mut Section<'_>) -> Box<dyn ExporterConfig> {
    let config: Config = section.parse();
    let is_named = config.path.file_name().is_some();
    section.require("path", is_named, "must name a file, or `-` for standard output");
    Box::new(config)
}

/// `[exporters.file]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the records go; `-` is standard output. Default `-`.
    pub path: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { path: PathBuf::from("-") }
    }
}

impl Config {
    fn is_stdout(&self) -> bool {
        ["-", "/dev/stdout"].iter().any(|name| self.path == Path::new(name))
    }
}

impl ExporterConfig for Config {
    fn build(&self, _: &Shared) -> Result<Box<dyn Exporter>, BuildError> {
        Ok(Box::new(FileExporter {
            path: self.path.clone(),
            output: if self.is_stdout() { Output::Stdout } else { Output::Closed },
            encoder: JsonEncoder::default(),
            buffer: Vec::new(),
            written: 0,
        }))
    }

    fn output(&self) -> Option<&Path> {
        Some(if self.is_stdout() { Path::new("/dev/stdout") } else { &self.path })
    }
}

/// How far back a torn last line is looked for: longer than any record.
const TORN_LINE_BYTES_MAX: u64 = 8 << 20;

/// Every line of ours begins with one of these.
const LINE_STARTS: [&[u8]; 2] = [b"{\"timestamp\":", b"{\"observed_timestamp\":"];

/// Appends records to one file.
#[derive(Debug)]
struct FileExporter {
    path: PathBuf,
    output: Output,
    encoder: JsonEncoder,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that the destination has already taken; a retry goes on behind them.
    written: usize,
}

#[derive(Debug)]
enum Output {
    Stdout,
    Closed,
    Open(File),
}

impl FileExporter {
    fn write_batch(&mut self, logs: &LogBatch) -> io::Result<()> {
        if self.buffer.is_empty() {
            for record in &logs.records {
                self.encoder.encode(logs, record, &mut self.buffer);
            }
        }
        self.reopen_when_moved()?;
        let Self { output, buffer, written, .. } = self;
        match output {
            Output::Stdout => write_rest(&mut io::stdout().lock(), buffer, written)?,
            Output::Open(file) => write_rest(file, buffer, written)?,
            Output::Closed => return Err(io::ErrorKind::NotConnected.into()),
        }
        buffer.clear();
        *written = 0;
        Ok(())
    }

    /// logrotate moves the file away and expects its writer to make a new one.
    fn reopen_when_moved(&mut self) -> io::Result<()> {
        if let Output::Open(file) = &self.output {
            let is_same = fs::metadata(&self.path).is_ok_and(|at_path| {
                file.metadata()
                    .is_ok_and(|open| (open.dev(), open.ino()) == (at_path.dev(), at_path.ino()))
            });
            // A half-written batch is finished where it was begun.
            if is_same || self.written > 0 {
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

impl Exporter for FileExporter {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Result<(), ExportError>> {
        Box::pin(async move {
            let Signal::Logs(logs) = signal else { return Ok(()) };
            // A write to a file or pipe may block; the runtime's other tasks move to another thread.
            tokio::task::block_in_place(|| self.write_batch(logs)).map_err(|source| {
                match (source.kind(), &self.output) {
                    // Nobody reads our standard output any more, and nobody can begin to.
                    (io::ErrorKind::BrokenPipe, Output::Stdout) => ExportError::Gone,
                    _ => ExportError::Transient { source: source.into(), retry_after: None },
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::open_whole;
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
