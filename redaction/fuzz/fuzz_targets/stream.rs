//! A stream is redacted the same however it arrives: `cargo +nightly fuzz run stream` in `redaction/`.
//!
//! The first two bytes of the input are the sizes of the parts, in turn.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redaction::{Chunks, Redactor, Text};

thread_local!(static REDACTOR: Redactor = Redactor::new());

fuzz_target!(|input: &[u8]| {
    let [first, second, raw @ ..] = input else { return };
    REDACTOR.with(|redactor| {
        let redact = |parts: &[&[u8]]| {
            let (mut text, mut chunks) = (Text::default(), Chunks::default());
            for part in parts {
                chunks.push(part, |chunk| {
                    redactor.redact_chunk(chunk, &mut text);
                });
            }
            chunks.finish(|chunk| {
                redactor.redact_chunk(chunk, &mut text);
            });
            text.as_bytes().to_vec()
        };
        let (mut parts, mut rest) = (Vec::new(), raw);
        for size in [*first, *second].into_iter().cycle().map(|n| usize::from(n) + 1) {
            let (part, after) = rest.split_at(size.min(rest.len()));
            parts.push(part);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(redact(&parts), redact(&[raw]));
    });
});
