//! Every dispatch path finds the same: `cargo +nightly fuzz run paths` in `redaction/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redaction::Redactor;

thread_local!(static PATHS: Vec<Redactor> = Redactor::on_every_path());

fuzz_target!(|raw: &[u8]| {
    PATHS.with(|paths| {
        let mut all = paths.iter().map(|redactor| {
            let mut spans = Vec::new();
            redactor.detect(raw, &mut spans);
            spans.into_iter().map(|span| (span.entity.to_owned(), span.range)).collect::<Vec<_>>()
        });
        let first = all.next().expect("there is a portable path");
        assert!(all.all(|other| other == first), "paths differ");
    });
});
