//! Text and report, however the input is cut.

use super::{Filter, Output, listing};
use crate::policy::Redactors;
use redaction::{DETECTORS, Policy, Strategy};
use std::io::Write;

fn run_with(redactors: &Redactors, input: &[u8], output: Output) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(input).unwrap();
    let mut out = Vec::new();
    Filter::new(redactors, output, &mut out).run(&[file.path().to_owned()]).unwrap();
    String::from_utf8(out).unwrap()
}

fn run(input: &[u8], output: Output) -> String {
    run_with(&Redactors::default(), input, output)
}

#[test]
fn text_goes_through_line_for_line_also_without_a_last_newline() {
    assert_eq!(run(b"", Output::Text), "");
    let text = b"a\n\nto jane.doe@example.com now\nlast";
    assert_eq!(run(text, Output::Text), "a\n\nto [EMAIL] now\nlast");
}

#[test]
fn the_report_has_a_row_for_every_line_and_no_byte_of_it() {
    assert_eq!(run(b"", Output::Report), "");
    let rows = run(b"none\nto jane.doe@example.com now\n\nlast", Output::Report);
    let want = "{\"line\":1,\"entities\":[]}\n\
                {\"line\":2,\"entities\":[{\"type\":\"EMAIL\",\"start\":3,\"end\":23}]}\n\
                {\"line\":3,\"entities\":[]}\n{\"line\":4,\"entities\":[]}\n";
    assert_eq!(rows, want);
}

#[test]
fn the_report_counts_offsets_from_the_begin_of_lines_that_are_cut() {
    // Longer than what is redacted at a time, twice.
    let word = "word jane.doe@example.com ";
    let line = word.repeat((5 << 19) / word.len());
    let rows = run(format!("x\n{line}\na joe@example.com\n").as_bytes(), Output::Report);
    let rows: Vec<serde_json::Value> =
        rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    let entities = rows[1]["entities"].as_array().unwrap();
    assert_eq!(entities.len(), line.len() / word.len());
    for (index, entity) in entities.iter().enumerate() {
        let at = index * word.len() + "word ".len();
        assert_eq!(
            (entity["start"].as_u64(), entity["end"].as_u64()),
            (Some(at as u64), Some(at as u64 + 20))
        );
    }
    assert_eq!(rows[2]["entities"][0]["start"], 2);
}

#[test]
fn a_key_block_is_named_on_each_of_its_lines() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----";
    let rows = run(format!("a\n{key}\nb\n").as_bytes(), Output::Report);
    let named: Vec<(bool, u64)> = rows
        .lines()
        .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap())
        .map(|row| {
            let first = &row["entities"][0];
            (first["type"] == "PRIVATE_KEY", first["end"].as_u64().unwrap_or(0))
        })
        .collect();
    assert_eq!(named, [(false, 0), (true, 27), (true, 24), (true, 25), (false, 0)]);
}

#[test]
fn a_dropped_line_is_reported_as_such_and_all_that_was_found_is_counted() {
    let strategies = [("EMAIL".to_owned(), Strategy::DropRecord)].into();
    let redactors = Redactors::new(Policy { strategies, ..Policy::default() }).unwrap();
    let raw = b"1 10.0.0.1\nto jane.doe@example.com now\n";
    assert_eq!(run_with(&redactors, raw, Output::Text), "1 [IP_ADDRESS]\n[DROPPED]\n");
    let rows = run_with(&redactors, raw, Output::Report);
    let want = "{\"line\":2,\"entities\":[{\"type\":\"DROPPED\",\"start\":0,\"end\":27}]}\n";
    assert!(rows.ends_with(want), "{rows}");
}

#[test]
fn both_outputs_count_what_they_find() {
    for output in [Output::Text, Output::Report] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"10.0.0.1 10.0.0.2\n").unwrap();
        let redactors = Redactors::default();
        let mut out = Vec::new();
        let mut filter = Filter::new(&redactors, output, &mut out);
        filter.run(&[file.path().to_owned()]).unwrap();
        let counts = filter.counts();
        assert_eq!(counts[&("IP_ADDRESS", "mask")], 2, "{output:?}");
        assert_eq!(counts.values().sum::<u64>(), 2, "{output:?}");
        assert!(counts.len() >= DETECTORS.len());
        let row = format!("{:<24} {:<18} {:>12}\n", "IP_ADDRESS", "mask", 2);
        assert!(listing::stats(&counts).contains(&row));
    }
}

#[test]
fn a_private_key_is_found_wherever_the_reads_cut_it() {
    let key = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}-----END RSA PRIVATE KEY-----\n",
        "MIIEpAIBAAKCAQEAtd9qkV6O0PqkKkVjZ2pBzQ==\n".repeat(20)
    );
    for lines in [6_395, 6_400, 6_405, 6_410] {
        let text =
            format!("{}{key}after\n", "0123456789012345678901234567890123456789\n".repeat(lines));
        let redacted = run(text.as_bytes(), Output::Text);
        assert!(redacted.ends_with("[PRIVATE_KEY]\nafter\n"), "{lines}");
        assert!(!redacted.contains("MIIE"), "{lines}");
    }
}

#[test]
fn every_type_is_listed_with_its_profiles_and_those_on_request_are_in_none() {
    let listed: serde_json::Value = serde_json::from_str(&listing::detectors_json()).unwrap();
    let types = listed["types"].as_array().unwrap();
    let of = |name: &str| types.iter().find(|it| it["type"] == name).unwrap().clone();
    assert_eq!(of("CREDIT_CARD")["profiles"], serde_json::json!(["pci", "gdpr", "all"]));
    assert_eq!(of("JWT")["profiles"], serde_json::json!(["secrets", "pci", "all"]));
    let text = listing::detectors();
    for detector in redaction::DETECTORS_ON_REQUEST {
        let it = of(detector.rule().entity);
        assert_eq!((&it["on_request"], &it["profiles"]), (&true.into(), &serde_json::json!([])));
        assert!(text.contains("on request"), "{text}");
    }
    assert!(of("EMAIL")["samples"][0].as_str().unwrap().contains('«'));
    assert_eq!(listed["strategies"].as_array().unwrap().len(), Strategy::ALL.len());
    assert!(text.lines().filter(|line| line.starts_with("    ")).count() >= DETECTORS.len());
}

/// The filter over files of that content.
fn run_files(inputs: &[&[u8]], output: Output) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |(index, input): (usize, &&[u8])| {
        let path = folder.path().join(index.to_string());
        std::fs::write(&path, input).unwrap();
        path
    };
    let paths: Vec<_> = inputs.iter().enumerate().map(path).collect();
    let (redactors, mut out) = (Redactors::default(), Vec::new());
    let mut filter = Filter::new(&redactors, output, &mut out);
    filter.run(&paths).unwrap();
    let tally = filter.tally().to_string();
    (String::from_utf8(out).unwrap(), tally)
}

#[test]
fn a_file_that_ends_within_a_line_is_not_glued_to_the_next_one() {
    let files: &[&[u8]] = &[b"a\nto joe@example", b"", b".com\nb", b"c"];
    let (text, tally) = run_files(files, Output::Text);
    assert_eq!(text, "a\nto joe@example\n.com\nb\nc");
    assert_eq!(tally, "5 lines, 23 bytes: 0 lines changed, 0 failed");
    let (rows, tally) = run_files(files, Output::Report);
    assert_eq!(rows.lines().count(), 5, "{rows}");
    assert_eq!(tally, "5 lines, 23 bytes: 0 lines changed, 0 failed");
    // A block that one file leaves open does not swallow what the next one holds.
    let key = b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B";
    let (text, _) = run_files(&[key, b"INFO after\n"], Output::Text);
    assert!(text.ends_with("\nINFO after\n") && !text.contains("MIIE"), "{text}");
}

#[test]
fn lines_are_counted_with_those_that_changed() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----";
    let raw = format!("a\n10.0.0.1 10.0.0.2\nb\n{key} 10.0.0.3\n{key}\nc 10.0.0.4");
    let want = format!("10 lines, {} bytes: 8 lines changed, 0 failed", raw.len());
    // One line, which is redacted in parts.
    let long = "word joe@example.com ".repeat(120_000);
    for output in [Output::Text, Output::Report] {
        assert_eq!(run_files(&[raw.as_bytes()], output).1, want, "{output:?}");
        let (_, told) = run_files(&[long.as_bytes()], output);
        let want = format!("1 lines, {} bytes: 1 lines changed, 0 failed", long.len());
        assert_eq!(told, want, "{output:?}");
    }
}
