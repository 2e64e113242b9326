//! Finds the class of the outermost exception in a message with its stack trace.

use memchr::{memchr, memchr_iter, memmem};
use std::ops::Range;

/// How far into a record the class is looked for.
const SEARCH_BYTES_MAX: usize = 64 << 10;
/// How far into the first line of a message.
const FIRST_LINE_BYTES_MAX: usize = 4 << 10;
/// What Python writes before the frames.
pub const TRACEBACK: &[u8] = b"Traceback (most recent call last):";

/// Class of the outermost exception in `body`, as it is written there.
///
/// In order: a Java class that starts a later line, or the class of the last Python traceback;
/// then a class after `: ` in the first line, as in `Lost task 0.0 ...: java.io.IOException: gone`.
#[must_use]
pub fn exception_type(body: &[u8]) -> Option<Range<usize>> {
    let body = &body[..body.len().min(SEARCH_BYTES_MAX)];
    let first_end = memchr(b'\n', body).unwrap_or(body.len());
    let first_line = &body[..first_end];
    let in_first_line = first_line_class(first_line);
    let mut is_in_traceback = ends_with_traceback(first_line);
    if is_in_traceback && in_first_line.is_some() {
        return in_first_line;
    }
    let mut python = None;
    let mut start = first_end + 1;
    while start < body.len() {
        let end = memchr(b'\n', &body[start..]).map_or(body.len(), |len| start + len);
        let line = &body[start..end];
        if !line.first().is_some_and(u8::is_ascii_alphabetic) {
            // A frame, a blank line or text.
        } else if line.starts_with(TRACEBACK) {
            is_in_traceback = true;
        } else if let Some(len) = class_len(line) {
            let is_java = python.is_none() && is_java_class(&line[..len], &body[end..]);
            if is_in_traceback {
                python = Some(start..start + len);
                is_in_traceback = false;
            } else if is_java {
                return Some(start..start + len);
            }
        }
        start = end + 1;
    }
    python.or(in_first_line)
}

/// True when the frames of a Python traceback follow `line`.
#[must_use]
pub fn ends_with_traceback(line: &[u8]) -> bool {
    line.trim_ascii_end().ends_with(TRACEBACK)
}

/// Length of the class name that `line` starts with, when a colon or the end of the line follows.
#[must_use]
pub fn class_len(line: &[u8]) -> Option<usize> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$');
    let len = line.iter().position(|byte| !is_part(byte)).unwrap_or(line.len());
    let is_name = line.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && line[len - 1] != b'.';
    (is_name && matches!(line.get(len), None | Some(b':' | b'\r'))).then_some(len)
}

/// A qualified name that is called an exception, or that frames follow.
fn is_java_class(class: &[u8], after: &[u8]) -> bool {
    class.contains(&b'.') && (is_called_exception(class) || after.starts_with(b"\n\tat "))
}

fn is_called_exception(class: &[u8]) -> bool {
    [b"Exception".as_slice(), b"Error", b"Throwable", b"Interrupt", b"Exit"]
        .iter()
        .any(|suffix| class.ends_with(suffix))
}

fn first_line_class(line: &[u8]) -> Option<Range<usize>> {
    let line = &line[..line.len().min(FIRST_LINE_BYTES_MAX)];
    let class_at = |at: usize| {
        let text = &line[at..];
        // `Lost task 0.0 ...: java.io.IOException (gone) [duplicate 1]`, as Spark's driver logs.
        let head = memmem::find(text, b" (").map_or(text, |end| &text[..end]);
        let len = class_len(text).or_else(|| class_len(head))?;
        let class = &line[at..at + len];
        (class.contains(&b'.') && is_called_exception(class)).then_some(at..at + len)
    };
    // `Exception in thread "main" java.lang.OutOfMemoryError: Java heap space`
    if line.starts_with(b"Exception in thread \"")
        && let Some(name_end) = memmem::find(line, b"\" ")
    {
        return class_len(&line[name_end + 2..]).map(|len| name_end + 2..name_end + 2 + len);
    }
    class_at(0).or_else(|| {
        memchr_iter(b':', line)
            .filter(|colon| line.get(colon + 1) == Some(&b' '))
            .find_map(|colon| class_at(colon + 2))
    })
}
