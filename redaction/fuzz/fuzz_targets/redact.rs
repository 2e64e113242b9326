//! The laws of redaction on arbitrary bytes: `cargo +nightly fuzz run redact` in `redaction/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redaction::{Redactor, Text};

thread_local!(static REDACTOR: Redactor = Redactor::new());

fuzz_target!(|raw: &[u8]| {
    REDACTOR.with(|redactor| {
        let mut once = Text::default();
        let range = redactor.redact_chunk(raw, &mut once);
        let mut rebuilt = Vec::new();
        let mut copied = 0;
        for edit in once.edits() {
            assert!(edit.raw.start as usize >= copied && edit.raw.start < edit.raw.end);
            rebuilt.extend_from_slice(&raw[copied..edit.raw.start as usize]);
            rebuilt.extend_from_slice(once.get(&edit.text));
            copied = edit.raw.end as usize;
        }
        rebuilt.extend_from_slice(&raw[copied..]);
        assert_eq!(once.get(&range), rebuilt, "the text is the input with the edits applied");
        assert_eq!(redactor.n_failed_lines(), 0, "the engine failed");
        let mut twice = Text::default();
        redactor.redact_chunk(once.as_bytes(), &mut twice);
        assert_eq!(twice.as_bytes(), once.as_bytes(), "redacting twice changes nothing");
    });
});
