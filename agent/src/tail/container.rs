//! Logs that a container runtime writes: `2026-11-26T06:26:22.123456789Z stderr F text`. `P` marks
//! the beginning of a line that goes on in the next one of its stream, `F` the end of a line.
//! Source: the CRI logging format of Kubernetes, which containerd and CRI-O write.

use super::stream::{Place, Stream};
use crate::parse::ParseContext;

/// Enough bytes to tell the format.
const MARK_BYTES: usize = 44;

/// What a file's first bytes say of its format; none when there are too few.
#[must_use]
pub fn is_container_log(head: &[u8]) -> Option<bool> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.len() == head.len()
        && head.len() < MARK_BYTES
        && head.first().is_none_or(|it| *it == b'2')
    {
        return None;
    }
    Some(Line::parse(line).is_some())
}

/// One line of such a log.
struct Line<'a> {
    time: &'a [u8],
    is_stderr: bool,
    is_whole: bool,
    text: &'a [u8],
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let time_end = memchr::memchr(b' ', &line[..line.len().min(40)])?;
        let (time, rest) = line.split_at(time_end);
        let is_time = time.len() >= 20 && time[10] == b'T' && time[4] == b'-';
        let rest = &rest[1..];
        let is_stderr = rest.starts_with(b"stderr ");
        if !is_time || !(is_stderr || rest.starts_with(b"stdout ")) {
            return None;
        }
        // Tags are separated by colons; the first says whether the line is whole.
        let tags = &rest[b"stdout ".len()..];
        let is_whole = match tags.first()? {
            b'F' => true,
            b'P' => false,
            _ => return None,
        };
        let text = memchr::memchr(b' ', tags).map_or(&[][..], |end| &tags[end + 1..]);
        Some(Self { time, is_stderr, is_whole, text })
    }
}

/// Takes the frames off the lines and joins their parts, each stream for itself.
#[derive(Debug, Default)]
pub struct Container {
    /// Raw bytes after the last newline.
    rest: Vec<u8>,
    /// Offset of `rest` in the file.
    rest_offset: u64,
    parts: [Part; 2],
}

/// The beginning of a line whose end is still to come.
#[derive(Debug, Clone, Default)]
pub struct Part {
    text: Vec<u8>,
    /// Start in `text` of what came in each frame, and its place.
    pieces: Vec<(usize, Place)>,
    /// Where the line began; set while it is open.
    begin: Option<Place>,
}

impl Container {
    /// Begins at `offset`, which is the start of a line.
    #[must_use]
    pub fn new(offset: u64) -> Self {
        Self { rest_offset: offset, ..Self::default() }
    }

    /// Offset after the last byte that was taken in.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.rest_offset + self.rest.len() as u64
    }

    /// True when nothing waits for its end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty() && !self.has_part()
    }

    fn has_part(&self) -> bool {
        self.parts.iter().any(|part| part.begin.is_some())
    }

    /// Offset from which what waits for its line's end can be read again.
    #[must_use]
    pub fn floor(&self) -> u64 {
        let begins = self.parts.iter().filter_map(|part| part.begin);
        begins.map(|begin| begin.floor).fold(self.rest_offset, u64::min)
    }

    /// The beginnings of lines, which go on in the file that takes this one's place.
    #[must_use]
    pub fn parts(&self) -> Option<[Part; 2]> {
        self.has_part().then(|| self.parts.clone())
    }

    /// Goes on with the lines of the file before this one.
    pub fn adopt(&mut self, parts: [Part; 2]) {
        let offset = self.rest_offset;
        let here = |place: Place| Place { offset, floor: offset, ..place };
        self.parts = parts.map(|part| {
            let begin = part.begin.map(here);
            Part { pieces: begin.map(|begin| (0, begin)).into_iter().collect(), begin, ..part }
        });
    }

    /// Forgets the beginnings of lines: another file goes on with them.
    pub fn forget_parts(&mut self) {
        self.parts = Default::default();
    }

    /// Puts the text of whole lines into `streams`: standard output, standard error.
    pub fn take(
        &mut self,
        raw: &[u8],
        streams: &mut [Stream; 2],
        context: &mut ParseContext,
        line_bytes_max: usize,
    ) {
        let mut lines = std::mem::take(&mut self.rest);
        lines.extend_from_slice(raw);
        let mut begin = 0;
        for newline in memchr::memchr_iter(b'\n', &lines) {
            self.take_line(&lines[begin..newline], streams, context, line_bytes_max);
            begin = newline + 1;
        }
        lines.drain(..begin);
        self.rest = lines;
    }

    fn take_line(
        &mut self,
        line: &[u8],
        streams: &mut [Stream; 2],
        context: &mut ParseContext,
        line_bytes_max: usize,
    ) {
        let (offset, floor) = (self.rest_offset, self.floor());
        self.rest_offset += line.len() as u64 + 1;
        // What is no such line is taken as it is: nothing is lost for a runtime's own words.
        let parsed = Line::parse(line);
        let (index, is_whole, text) = match &parsed {
            Some(it) => (usize::from(it.is_stderr), it.is_whole, it.text),
            None => (0, true, line),
        };
        let time_unix_ns = parsed.as_ref().and_then(|it| context.unix_ns(it.time));
        let part = &mut self.parts[index];
        let begin = *part.begin.get_or_insert(Place { offset, floor, time_unix_ns });
        part.pieces.push((part.text.len(), Place { offset, ..begin }));
        part.text.extend_from_slice(text);
        if is_whole {
            part.text.push(b'\n');
            part.begin = None;
        }
        // What is too long is cut there, and its end is still its end.
        if is_whole || part.text.len() >= line_bytes_max {
            part.move_to(&mut streams[index]);
        }
    }

    /// Gives up what waits for its end: nothing more will come.
    pub fn finish(&mut self, streams: &mut [Stream; 2], context: &mut ParseContext) {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.take_line(&rest, streams, context, usize::MAX);
            // It had no newline.
            self.rest_offset -= 1;
        }
        for (part, stream) in self.parts.iter_mut().zip(streams) {
            part.begin = None;
            part.move_to(stream);
        }
    }
}

impl Part {
    fn move_to(&mut self, stream: &mut Stream) {
        stream.push(&self.text, &self.pieces);
        self.text.clear();
        self.pieces.clear();
    }
}

#[cfg(test)]
mod tests;
