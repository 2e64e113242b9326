//! Writes log records as JSON lines to a file or to standard output.

mod writer;

use super::{
    Answer, BoxFuture, BuildError, ExportError, Exporter, ExporterConfig, ExporterDefinition,
    Shared, lane,
};
use crate::config::Section;
use crate::encode::JsonEncoder;
use crate::model::{LogBatch, LogRecord, Signal, SignalKind};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;
use writer::{Key, Writer, Written};

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
    fn build(&self, _: &lane::Config, _: &Shared) -> Result<Box<dyn Exporter>, BuildError> {
        let writer = Writer::start(self.path.clone(), self.is_stdout()).map_err(|error| {
            BuildError { section: "exporters.file", reason: format!("no thread: {error}") }
        })?;
        Ok(Box::new(FileExporter {
            writer,
            is_stdout: self.is_stdout(),
            encoder: JsonEncoder::default(),
            under_way: None,
            buffer: Vec::new(),
        }))
    }

    fn output(&self) -> Option<&Path> {
        Some(if self.is_stdout() { Path::new("/dev/stdout") } else { &self.path })
    }
}

/// Encodes records and has them written.
#[derive(Debug)]
struct FileExporter {
    writer: Writer,
    is_stdout: bool,
    encoder: JsonEncoder,
    /// A batch that is being written; whoever wanted that may have given up.
    under_way: Option<(Key, oneshot::Receiver<Written>)>,
    /// Kept for its memory.
    buffer: Vec<u8>,
}

impl FileExporter {
    async fn write_batch(&mut self, logs: &LogBatch) -> io::Result<()> {
        let key = key(logs);
        if let Some((begun, _)) = &self.under_way {
            let is_same = *begun == key;
            let written = self.finish().await;
            if is_same {
                return written;
            }
            // An earlier batch that failed is finished by the thread before it begins this one.
        }
        let mut lines = std::mem::take(&mut self.buffer);
        lines.clear();
        for record in &logs.records {
            self.encoder.encode(logs, record, &mut lines);
        }
        let written = self.writer.begin(key.clone(), lines);
        self.under_way = Some((key, written));
        self.finish().await
    }

    /// Waits for the batch that is being written. May be dropped: then the next call waits for it.
    async fn finish(&mut self) -> io::Result<()> {
        let Some((_, written)) = &mut self.under_way else { return Ok(()) };
        let written = written.await;
        self.under_way = None;
        let (written, buffer) =
            written.map_err(|_| io::Error::other("the thread that writes is gone"))?;
        self.buffer = buffer;
        written
    }
}

/// Names the batch, also when it comes again from the spool.
fn key(logs: &LogBatch) -> Key {
    let file = logs.resource.file_id.as_deref().unwrap_or("").to_owned();
    let offset = |record: Option<&LogRecord>| record.map_or(0, |record| record.offset);
    let (first, last) = (offset(logs.records.first()), offset(logs.records.last()));
    (file, first, last, logs.records.len())
}

impl Exporter for FileExporter {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let Some(logs) = signal.logs() else { return Ok(Vec::new()) };
            self.write_batch(logs).await.map(|()| Vec::new()).map_err(|source| {
                match source.kind() {
                    // Nobody reads our standard output any more, and nobody can begin to.
                    io::ErrorKind::BrokenPipe if self.is_stdout => ExportError::Gone,
                    _ => ExportError::Transient { source: source.into(), retry_after: None },
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::export::{ExporterConfig, Shared, lane};
    use crate::model::{LogBatch, LogRecord, Signal};
    use redaction::{Redactor, Text};
    use std::io::{BufRead, BufReader};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::timeout;

    fn signal(offset: u64) -> Signal {
        let mut text = Text::default();
        let body = Redactor::new().redact_chunk(b"hello", &mut text);
        let records = vec![LogRecord { body, offset, ..LogRecord::default() }];
        Signal::Logs(LogBatch { resource: Arc::default(), text, records, covers: None })
    }

    #[tokio::test]
    async fn a_pipe_without_a_reader_holds_up_nobody_and_gets_each_batch_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let config = Config { path: path.clone() };
        let mut exporter = config
            .build(&lane::Config::default(), &Shared::new(Arc::default(), folder.path()))
            .unwrap();
        for _ in 0..3 {
            // This runtime has one thread: were it blocked, no timer would fire.
            let given_up = timeout(Duration::from_millis(20), exporter.export(&signal(1))).await;
            assert!(given_up.is_err());
        }
        // Whoever made a pipe may make it anew: the one that was there is not waited for.
        std::fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let reader = std::thread::spawn(move || {
            let lines = BufReader::new(std::fs::File::open(path).unwrap()).lines();
            lines.map(Result::unwrap).collect::<Vec<_>>()
        });
        for offset in [1, 2, 3] {
            exporter.export(&signal(offset)).await.unwrap();
        }
        // Its thread closes the pipe.
        drop(exporter);
        let lines = reader.join().unwrap();
        assert_eq!(lines.len(), 3, "{lines:?}");
        for (line, offset) in lines.iter().zip(1..) {
            assert!(line.contains(&format!("\"offset\":{offset}")), "{line}");
        }
    }
}
