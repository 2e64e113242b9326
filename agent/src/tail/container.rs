//! Logs that a container runtime writes: `2026-11-26T06:26:22.123456789Z stderr F text`. `P` marks
//! the beginning of a line that goes on in the next one of its stream, `F` the end of a line.
//! Source: the CRI logging format of Kubernetes, which containerd and CRI-O write.

use super::batch::Pass;
use super::stream::{Place, Stream};
use crate::telemetry;

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
    /// Stream of the frame that `rest` goes on in, when its beginning is taken, and whether its line
    /// ends in it.
    frame: Option<(usize, bool)>,
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
    pub fn take(&mut self, raw: &[u8], streams: &mut [Stream; 2], pass: &mut Pass<'_>) {
        let mut begin = 0;
        for newline in memchr::memchr_iter(b'\n', raw) {
            self.take_bytes(&raw[begin..newline], streams, pass);
            let rest = std::mem::take(&mut self.rest);
            self.take_frame(&rest, true, streams, pass);
            begin = newline + 1;
        }
        self.take_bytes(&raw[begin..], streams, pass);
    }

    /// Takes bytes of one line. What is too long to wait for its end goes on as a part of it.
    fn take_bytes(&mut self, mut raw: &[u8], streams: &mut [Stream; 2], pass: &mut Pass<'_>) {
        if self.rest.is_empty() && self.frame.is_none() {
            // The hole that a truncation or a loss of power leaves.
            let zeros = raw.iter().position(|byte| *byte != 0).unwrap_or(raw.len());
            telemetry::HOLE_BYTES.add(zeros as u64);
            self.rest_offset += zeros as u64;
            raw = &raw[zeros..];
        }
        let bytes_max = pass.record_bytes_max.saturating_add(MARK_BYTES);
        while raw.len() > bytes_max - self.rest.len() {
            let (now, later) = raw.split_at(bytes_max - self.rest.len());
            self.rest.extend_from_slice(now);
            let mut full = std::mem::take(&mut self.rest);
            self.take_frame(&full, false, streams, pass);
            full.clear();
            (self.rest, raw) = (full, later);
        }
        self.rest.extend_from_slice(raw);
    }

    /// Takes a line, or a part of it, off its frame. The frame is that of the part before, if any.
    fn take_frame(
        &mut self,
        line: &[u8],
        has_newline: bool,
        streams: &mut [Stream; 2],
        pass: &mut Pass<'_>,
    ) {
        let (offset, floor) = (self.rest_offset, self.floor());
        self.rest_offset += line.len() as u64 + u64::from(has_newline);
        let ((index, is_last), text, time_unix_ns) = match (self.frame, Line::parse(line)) {
            (Some(frame), _) => (frame, line, None),
            (None, Some(it)) => {
                let time_unix_ns = pass.context.unix_ns(it.time);
                ((usize::from(it.is_stderr), it.is_whole), it.text, time_unix_ns)
            }
            // What is no such line is taken as it is: nothing is lost for a runtime's own words.
            (None, None) => ((0, true), line, None),
        };
        self.frame = (!has_newline).then_some((index, is_last));
        streams[index].see(pass.now);
        let part = &mut self.parts[index];
        let begin = *part.begin.get_or_insert(Place { offset, floor, time_unix_ns });
        part.pieces.push((part.text.len(), Place { offset, ..begin }));
        part.text.extend_from_slice(text);
        let is_whole = is_last && has_newline;
        if is_whole {
            part.text.push(b'\n');
            part.begin = None;
        }
        // What is too long is cut there, and its end is still its end.
        if is_whole || part.text.len() >= pass.record_bytes_max {
            part.move_to(&mut streams[index]);
        }
    }

    /// Gives up what waits for its end: nothing more will come.
    pub fn finish(&mut self, streams: &mut [Stream; 2], pass: &mut Pass<'_>) {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.take_frame(&rest, false, streams, pass);
        }
        self.finish_parts(streams, |_| true);
    }

    /// Gives up the lines whose end does not come in those streams of which `is_over` is true.
    pub fn finish_parts(&mut self, streams: &mut [Stream; 2], is_over: impl Fn(&Stream) -> bool) {
        for (part, stream) in self.parts.iter_mut().zip(streams) {
            if is_over(stream) {
                part.begin = None;
                part.move_to(stream);
            }
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
