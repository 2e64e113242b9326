//! What reviewers would else have to look for.

use sidelight::encode::JsonEncoder;
use sidelight::model::{Engine, LogBatch, LogRecord, Resource, Severity};
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file with `ending` below `folder`, without what cargo made.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() && name != "target" && name != ".git" {
            found.extend(files(&entry, ending));
        } else if name.ends_with(ending) {
            found.push(entry);
        }
    }
    found
}

#[test]
fn source_files_are_short_and_say_what_they_are_for() {
    let files = files(&root(), ".rs");
    assert!(files.len() > 50, "the sources were found");
    let mut problems = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let n_lines = text.lines().count();
        if n_lines > FILE_LINES_MAX {
            problems.push(format!("{}: {n_lines} lines", path.display()));
        }
        if !text.starts_with("//!") && !text.starts_with("#![no_main]") {
            problems.push(format!("{}: begins without //!", path.display()));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_map_names_every_module_of_the_agent() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for path in fs::read_dir(root().join("agent/src")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".rs") && name != "lib.rs" {
            assert!(map.contains(&name), "ARCHITECTURE.md does not name {name}");
        }
    }
}

#[test]
fn no_machine_and_no_unfinished_work_stands_in_what_is_committed() {
    // Written in two parts, as this file is searched too.
    let marks = [["/wo", "rk/"], ["/ro", "ot/"], ["TO", "DO"], ["FIX", "ME"], ["todo", "!("]];
    let mut problems = Vec::new();
    for ending in [".rs", ".toml", ".md", ".py", "run", "setup", ".log", ".json", ".yaml"] {
        for path in files(&root(), ending) {
            let text = fs::read(&path).unwrap();
            for mark in marks.map(|parts| parts.concat()) {
                // Executors of a standalone cluster work in a folder of that name.
                let is_found = memchr::memmem::find_iter(&text, &mark)
                    .any(|at| at == 0 || !text[at - 1].is_ascii_alphanumeric());
                if is_found {
                    problems.push(format!("{}: {mark}", path.display()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_readme_names_every_key_of_a_record_and_every_type_of_redaction() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let all = redaction::DETECTORS.iter().chain(redaction::DETECTORS_ON_REQUEST);
    for name in all.map(|detector| detector.rule().entity) {
        assert!(readme.contains(name), "README.md does not name {name}");
    }
    for key in keys_of_a_full_record(&redaction::Redactor::new()) {
        assert!(readme.contains(&format!("`{key}`")), "README.md does not name {key}");
    }
}

/// Every key that the encoder can write.
pub(crate) fn keys_of_a_full_record(redactor: &redaction::Redactor) -> Vec<String> {
    let mut text = redaction::Text::default();
    let word = redactor.redact_chunk(b"0123456789abcdef", &mut text);
    let value = || Some(redaction::Value::hex(&[1; 16]));
    let record = LogRecord {
        time_unix_ns: Some(1),
        observed_unix_ns: 1,
        severity: Severity::Info,
        body: word.clone(),
        logger: word.clone(),
        thread: word.clone(),
        exception_type: word.clone(),
        span_id: word,
        stage_id: Some(1),
        task_id: Some(1),
        is_truncated: true,
        ..LogRecord::default()
    };
    let resource = Resource {
        job_id: value(),
        job_name: value(),
        run_id: value(),
        user_id: value(),
        run_context: value(),
        source_data_path: value(),
        engine: Some(Engine::Spark),
        component: value(),
        executor_id: value(),
        trace_id: value(),
        trace_id_origin: value(),
        file: value(),
        file_id: value(),
        host: value(),
    };
    let batch = LogBatch { resource: resource.into(), text, records: vec![record], covers: None };
    let mut line = Vec::new();
    JsonEncoder::default().encode(&batch, &batch.records[0], &mut line);
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&line).unwrap();
    assert!(fields.len() > 20, "every field is filled: {fields:?}");
    fields.keys().cloned().collect()
}
