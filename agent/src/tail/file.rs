//! One log file: reads it, cuts it at record starts, and notices when it is truncated or goes away.

use super::batch::{Abandoned, Emit, OpenBatch, Pass};
use super::container::{self, Container, Part};
use super::fingerprint::Inode;
use super::source::{PipeState, Source, State};
use super::stream::{Origin, Sink, Stream};
use crate::checkpoint::Entry;
use crate::model::{FileId, Resource};
use crate::telemetry;
use redaction::Redactor;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod flush;

/// Bytes read at a time: large enough that redaction works on long runs, small enough that one
/// busy file does not keep the others waiting.
pub(super) const READ_BYTES: usize = 256 << 10;

/// After so long a silence the head of a file is compared before it is read on.
const THOROUGH_IDLE: Duration = Duration::from_secs(10);

/// Bytes at the beginning of a file that tell whether a container runtime wrote it.
const CONTAINER_HEAD_BYTES: usize = 64;

/// A file that is being read.
#[derive(Debug)]
pub struct LogFile {
    id: FileId,
    path: PathBuf,
    source: Source,
    text: Text,
    batch: OpenBatch,
    grew: Instant,
}

/// How the lines stand in the file.
#[derive(Debug)]
enum Text {
    /// As they are. While the file is looked at, the buffer holds what was read too.
    Plain(Stream),
    /// In frames, of standard output and standard error.
    Framed(Box<(Container, [Stream; 2])>),
}

/// How a look at an open file went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// New bytes were read; there may be more.
    Read(usize),
    /// At the end of the file.
    Quiet,
    /// What was read of it is not in it any more: it was truncated (true), or written anew.
    Lost {
        /// True when it is shorter than what was read.
        is_truncated: bool,
    },
}

impl LogFile {
    /// Starts to read `file` at `offset`, which is the start of a record, and to redact it with
    /// `redactor`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(
        id: FileId,
        path: PathBuf,
        file: File,
        offset: u64,
        resource: Arc<Resource>,
        redactor: Arc<Redactor>,
        now: Instant,
    ) -> io::Result<Self> {
        let source = Source::new(&path, file, offset)?;
        Self::of(id, path, source, offset, resource, redactor, now)
    }

    /// Starts to read a pipe. What was read of it cannot be read again.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn pipe(
        path: PathBuf,
        file: File,
        resource: Arc<Resource>,
        redactor: Arc<Redactor>,
        now: Instant,
    ) -> io::Result<Self> {
        Self::of(FileId::random(), path, Source::pipe(file)?, 0, resource, redactor, now)
    }

    fn of(
        id: FileId,
        path: PathBuf,
        source: Source,
        offset: u64,
        resource: Arc<Resource>,
        redactor: Arc<Redactor>,
        now: Instant,
    ) -> io::Result<Self> {
        let batch = OpenBatch::new(resource, redactor, offset, source.guard().to_vec());
        let head = source.head_bytes(CONTAINER_HEAD_BYTES)?;
        let text = match container::is_container_log(&head) {
            Some(true) => framed(offset, now),
            _ => Text::Plain(Stream::new(offset, now)),
        };
        Ok(Self { id, source, path, text, batch, grew: now })
    }

    /// Number of the file.
    #[must_use]
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Where it is now, as far as is known.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that the file was renamed.
    pub fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Device and inode.
    #[must_use]
    pub fn inode(&self) -> Inode {
        self.source.inode()
    }

    /// Where its bytes come from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What a checkpoint says of it once all batches are delivered. `path` is redacted.
    #[must_use]
    pub fn entry(&self, path: PathBuf) -> Entry {
        let text = |value: &Option<redaction::Value>| value.as_deref().map(str::to_owned);
        Entry {
            path,
            inode: self.source.inode(),
            head: self.source.head(),
            offset: self.batch.end(),
            frontier: self.batch.frontier(),
            job_id: text(&self.resource().job_id),
            job_name: text(&self.resource().job_name),
            seen_unix_s: crate::checkpoint::unix_seconds(),
            archive: self.source.archive(),
            is_ended: false,
        }
    }

    /// Offset after the last record that went into a batch.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.batch.end()
    }

    /// Memory of its open batch.
    #[must_use]
    pub fn open_bytes(&self) -> usize {
        self.batch.bytes()
    }

    /// Time since bytes last came.
    #[must_use]
    pub fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.grew)
    }

    /// True when the last line that was read has no newline yet.
    #[must_use]
    pub fn has_half_line(&self) -> bool {
        match &self.text {
            Text::Plain(stream) => stream.buffer.last().is_some_and(|byte| *byte != b'\n'),
            Text::Framed(framed) => {
                let is_half = |stream: &Stream| stream.buffer.last().is_some_and(|it| *it != b'\n');
                !framed.0.is_empty() || framed.1.iter().any(is_half)
            }
        }
    }

    /// Offset after the last byte that was read.
    #[must_use]
    pub fn position(&self) -> u64 {
        match &self.text {
            Text::Plain(stream) => stream.origin.of(stream.buffer.len()).0,
            Text::Framed(framed) => framed.0.position(),
        }
    }

    /// True when nothing of it is held in memory: neither an open record nor an open batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let is_text_empty = match &self.text {
            Text::Plain(stream) => stream.buffer.is_empty(),
            Text::Framed(framed) => {
                framed.0.is_empty() && framed.1.iter().all(|stream| stream.buffer.is_empty())
            }
        };
        is_text_empty && self.batch.is_empty()
    }

    /// The lines of a container that are not whole, to go on in the file that takes this one's place.
    pub fn hand_over_parts(&mut self) -> Option<[Part; 2]> {
        let Text::Framed(framed) = &mut self.text else { return None };
        let parts = framed.0.parts()?;
        framed.0.forget_parts();
        Some(parts)
    }

    /// Goes on with the lines of the file that was at this path before; nothing is read yet.
    pub fn adopt_parts(&mut self, parts: [Part; 2]) {
        self.text = framed(self.position(), self.grew);
        if let Text::Framed(framed) = &mut self.text {
            framed.0.adopt(parts);
        }
    }

    /// True when there is more in the file than was read.
    #[must_use]
    pub fn has_more(&self) -> bool {
        matches!(self.source.state(self.position(), false), Ok(State::Grown))
    }

    /// True when it is read as it comes, and never again.
    #[must_use]
    pub fn is_pipe(&self) -> bool {
        self.source.pipe_state().is_some()
    }

    /// True for standard input that has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.source.pipe_state() == Some(PipeState::Ended)
    }

    /// True for the log of a container.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        matches!(self.text, Text::Framed(_))
    }

    /// True when the file was truncated, false when it was written anew, none when it holds what
    /// was read of it.
    #[must_use]
    pub fn is_overwritten(&self) -> Option<bool> {
        match self.source.state(self.position(), false) {
            Ok(State::Truncated) => Some(true),
            Ok(State::Rewritten) => Some(false),
            _ => None,
        }
    }

    /// Bytes in the file, at the last look, that are not yet in a batch.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        self.source.unread_bytes(self.batch.end())
    }

    /// True when all that was in the file at the last look is read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.source.is_read(self.position())
    }

    /// Bytes in the file, at the last look, that are not read.
    #[must_use]
    pub fn unread_bytes(&self) -> u64 {
        self.source.unread_bytes(self.position())
    }

    /// Says who writes the records from here on.
    ///
    /// # Errors
    /// When records of the former resource could not be handed over.
    pub fn set_resource(
        &mut self,
        resource: Arc<Resource>,
        emit: &mut Emit<'_>,
    ) -> Result<(), Abandoned> {
        self.batch.set_resource(resource, self.id, emit)
    }

    /// Says how records are redacted from here on. Those that are already are sealed first.
    ///
    /// # Errors
    /// When they could not be handed over.
    pub fn set_redactor(
        &mut self,
        redactor: Arc<Redactor>,
        pass: &mut Pass<'_>,
    ) -> Result<(), Abandoned> {
        self.seal(pass)?;
        self.batch.set_redactor(redactor);
        Ok(())
    }

    /// Who writes the records.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        self.batch.resource()
    }

    /// Reads once and puts the records that are whole into the batch.
    ///
    /// # Errors
    /// The outer error says that the lanes are gone, the inner one that the file cannot be read.
    pub fn look(&mut self, pass: &mut Pass<'_>) -> Result<io::Result<Look>, Abandoned> {
        let is_thorough = self.idle(pass.now) >= THOROUGH_IDLE;
        match self.source.check(self.position(), is_thorough) {
            Ok(State::Grown) => {}
            Ok(State::Quiet) => return Ok(Ok(Look::Quiet)),
            Ok(State::Truncated) => return Ok(Ok(Look::Lost { is_truncated: true })),
            Ok(State::Rewritten) => return Ok(Ok(Look::Lost { is_truncated: false })),
            Err(error) => return Ok(Err(error)),
        }
        match self.has_format() {
            Ok(true) => {}
            // The first line is not whole enough to tell.
            Ok(false) if self.idle(pass.now) < flush::LINE_IDLE => return Ok(Ok(Look::Quiet)),
            Ok(false) => {}
            Err(error) => return Ok(Err(error)),
        }
        let position = self.position();
        let read = match &mut self.text {
            Text::Plain(_) => self.look_at_plain(pass)?,
            Text::Framed(_) => self.look_at_framed(pass)?,
        };
        if self.position() > position {
            self.grew = pass.now;
            telemetry::READ_BYTES.add(self.position() - position);
        }
        Ok(read.map(|bytes| if bytes == 0 { Look::Quiet } else { Look::Read(bytes) }))
    }

    /// Decides how the lines of a file stand in it, once it has any; false while that is not clear.
    fn has_format(&mut self) -> io::Result<bool> {
        if self.position() > 0 || self.is_framed() {
            return Ok(true);
        }
        let head = self.source.head_bytes(CONTAINER_HEAD_BYTES)?;
        let is_container_log = container::is_container_log(&head);
        if is_container_log == Some(true) {
            self.text = framed(0, self.grew);
        }
        Ok(is_container_log.is_some() || self.source.pipe_state().is_some())
    }

    fn look_at_plain(&mut self, pass: &mut Pass<'_>) -> Result<io::Result<usize>, Abandoned> {
        let (source, batch, id) = (&mut self.source, &mut self.batch, self.id);
        let Text::Plain(stream) = &mut self.text else { return Ok(Ok(0)) };
        // The open record moves into the common buffer, and what is left of it back.
        let mut own = std::mem::replace(&mut stream.buffer, std::mem::take(&mut pass.read));
        stream.buffer.append(&mut own);
        let read = fill(source, stream, batch);
        let advanced = match read {
            Ok(1..) => {
                stream.see(pass.now);
                stream.advance(&mut Sink { batch, id, pass, framed: None })
            }
            _ => Ok(()),
        };
        own.extend_from_slice(&stream.buffer);
        own.shrink_to(4 * own.len());
        pass.read = std::mem::replace(&mut stream.buffer, own);
        pass.read.clear();
        advanced.map(|()| read)
    }

    fn look_at_framed(&mut self, pass: &mut Pass<'_>) -> Result<io::Result<usize>, Abandoned> {
        let position = self.position();
        let Text::Framed(framed) = &mut self.text else { return Ok(Ok(0)) };
        let (container, streams) = &mut **framed;
        let mut raw = std::mem::take(&mut pass.read);
        let read = self.source.read(position, READ_BYTES, &mut raw);
        container.take(&raw, streams, pass);
        raw.clear();
        pass.read = raw;
        self.each_stream(pass, |stream, sink| stream.advance(sink))?;
        Ok(read)
    }

    /// Hands records of each stream over. How far the file is settled depends on what waits in the
    /// other one.
    fn each_stream(
        &mut self,
        pass: &mut Pass<'_>,
        mut hand_over: impl FnMut(&mut Stream, &mut Sink<'_, '_>) -> Result<(), Abandoned>,
    ) -> Result<(), Abandoned> {
        let (batch, id) = (&mut self.batch, self.id);
        match &mut self.text {
            Text::Plain(stream) => hand_over(stream, &mut Sink { batch, id, pass, framed: None }),
            Text::Framed(framed) => {
                let (container, streams) = &mut **framed;
                let floor = container.floor();
                for index in 0..2 {
                    let framed = Some(streams[1 - index].floor().unwrap_or(floor).min(floor));
                    hand_over(&mut streams[index], &mut Sink { batch, id, pass, framed })?;
                }
                Ok(())
            }
        }
    }

    /// Hands the open batch over.
    ///
    /// # Errors
    /// When it could not be handed over.
    pub fn seal(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        self.batch.seal(self.id, pass.emit)
    }

    /// When the open batch is old enough.
    #[must_use]
    pub fn seal_due(&self, pass: &Pass<'_>) -> Option<Instant> {
        self.batch.opened().map(|opened| opened + pass.limits.age_max)
    }

    /// Hands the open batch over when it is old enough.
    ///
    /// # Errors
    /// When it could not be handed over.
    pub fn seal_when_old(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        self.batch.seal_when_old(self.id, pass.limits, pass.now, pass.emit)
    }
}

fn framed(offset: u64, now: Instant) -> Text {
    let streams = [Stream::new(offset, now), Stream::new(offset, now)];
    Text::Framed(Box::new((Container::new(offset), streams)))
}

/// Reads into the stream's buffer. A writer that does not append goes on where it was after a
/// truncation: the file then begins with a hole, which reads as zeros and is skipped.
fn fill(source: &mut Source, stream: &mut Stream, batch: &mut OpenBatch) -> io::Result<usize> {
    let is_between_records = stream.buffer.is_empty();
    let offset = stream.origin.of(0).0;
    let position = offset + stream.buffer.len() as u64;
    let bytes = source.read(position, READ_BYTES, &mut stream.buffer)?;
    if is_between_records && stream.buffer.first() == Some(&0) {
        let buffer = &mut stream.buffer;
        let zeros = buffer.iter().position(|byte| *byte != 0).unwrap_or(buffer.len());
        let mut end = offset + zeros as u64;
        if zeros == buffer.len() {
            end = source.next_data(end).max(end);
            source.skip_hole();
        }
        telemetry::HOLE_BYTES.add(end - offset);
        buffer.drain(..zeros);
        stream.origin = Origin::at(end);
        batch.skip_to(end);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
