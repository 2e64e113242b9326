//! When what was read of a file goes into its batch though nothing says that it is whole.

use super::{LogFile, Text};
use crate::tail::batch::{Abandoned, Pass};
use crate::tail::stream::Keep;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// A single line waits this long for its continuation when no further line comes, a trace longer.
pub(super) const LINE_IDLE: Duration = Duration::from_secs(1);
const TRACE_IDLE: Duration = Duration::from_secs(5);

/// A line without its newline waits this long. Writers with a buffer stop anywhere in a line, and
/// half a secret slips through the redactor.
const HALF_LINE_IDLE: Duration = Duration::from_secs(60);

/// A file that nobody wrote to for so long by the clock of its file system is a backlog: nothing is
/// waited for in it. Long enough for clocks that differ.
const BACKLOG_AGE: Duration = Duration::from_secs(5);

impl LogFile {
    /// Puts the open record into the batch when nothing came for so long that it must be whole.
    ///
    /// # Errors
    /// When a batch could not be handed over.
    pub fn flush_when_idle(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let idle = self.idle(pass.now);
        if idle >= HALF_LINE_IDLE {
            self.flush(pass, false)?;
        }
        if let Text::Framed(framed) = &mut self.text {
            let (container, streams) = &mut **framed;
            container.finish_parts(streams, |stream| stream.idle(pass.now) >= HALF_LINE_IDLE);
        }
        let is_backlog = self.is_read() && !self.is_pipe() && self.source.age() >= BACKLOG_AGE;
        self.each_stream(pass, |stream, sink| {
            let newline = memchr::memchr(b'\n', &stream.buffer);
            let is_one_line = newline.is_some_and(|at| at + 1 == stream.buffer.len());
            let wait = if is_one_line { LINE_IDLE } else { TRACE_IDLE };
            // The other stream of a container may go on.
            let idle = stream.idle(sink.pass.now);
            if idle >= HALF_LINE_IDLE {
                stream.flush(sink, Keep::Nothing)
            } else if newline.is_some() && (idle >= wait || is_backlog) {
                stream.flush(sink, Keep::HalfLine)
            } else {
                Ok(())
            }
        })?;
        // What was waited for need not wait for others.
        let is_over = !self.batch.is_empty() && (idle >= LINE_IDLE || is_backlog);
        if is_over && self.is_read() { self.seal(pass) } else { Ok(()) }
    }

    /// Puts the lines that were read into the batch: at the end of the file's or the agent's life.
    ///
    /// A line without its newline goes too, but with `only_lines`. Where it may go on, because its file
    /// has a name and was written less than five seconds ago, the position stays before the line, or
    /// before the record when a private key is not whole in it: the next start, if there is one, reads
    /// the line whole, as half a secret is not recognised.
    ///
    /// # Errors
    /// When a batch could not be handed over.
    pub fn flush(&mut self, pass: &mut Pass<'_>, only_lines: bool) -> Result<(), Abandoned> {
        let keep = self.kept(only_lines, self.idle(pass.now));
        self.flush_but(keep, pass)?;
        if keep == Keep::OpenKey && !only_lines && !self.source.is_archive() && !self.has_more() {
            let mark = self.batch.mark();
            self.flush_but(Keep::Nothing, pass)?;
            self.batch.go_back(mark);
        }
        Ok(())
    }

    fn flush_but(&mut self, keep: Keep, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        if let Text::Framed(framed) = &mut self.text
            && keep == Keep::Nothing
        {
            let (container, streams) = &mut **framed;
            container.finish(streams, pass);
        }
        self.each_stream(pass, |stream, sink| stream.flush(sink, keep))
    }

    /// What the next start reads again.
    fn kept(&self, only_lines: bool, idle: Duration) -> Keep {
        if self.is_overwritten().is_some() {
            // What was read may stand in a copy.
            return if only_lines { Keep::HalfLine } else { Keep::Nothing };
        }
        let has_name = || self.source.file().metadata().is_ok_and(|now| now.nlink() > 0);
        if self.is_pipe() || !has_name() {
            return Keep::Nothing;
        }
        match self.may_go_on(idle) {
            true => Keep::OpenKey,
            false if only_lines => Keep::HalfLine,
            false => Keep::Nothing,
        }
    }

    /// True when more of the last line that was read is there, or may be on its way.
    fn may_go_on(&self, idle: Duration) -> bool {
        if self.source.is_archive() {
            return self.source.archive().is_none();
        }
        let is_young = idle < BACKLOG_AGE && self.source.age() < BACKLOG_AGE;
        is_young || self.has_more()
    }
}
