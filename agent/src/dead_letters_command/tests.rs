//! The commands over letters that a lane could have left.

use super::{Command, Error, Place, Selection, run};
use crate::config::Environment;
use crate::export::dead_letters::{self, DeadLetters};
use crate::model::{Engine, LogBatch, LogRecord, Resource, Severity};
use redaction::{Redactor, Text, Value};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

struct Bed {
    folder: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let bed = Self { folder: tempfile::tempdir().unwrap() };
        let text = format!(
            "state_dir = {:?}\n[exporters.file]\npath = {:?}\n",
            bed.state_dir(),
            bed.records()
        );
        fs::write(bed.config(), text).unwrap();
        bed
    }

    fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn records(&self) -> PathBuf {
        self.folder.path().join("records.jsonl")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("c.toml")
    }

    fn add(&self, offsets: std::ops::Range<u64>) {
        let mut letters = DeadLetters::open(&self.state_dir(), "file", 1 << 20).unwrap();
        for offset in offsets {
            let logs = logs(offset);
            let reason = Value::literal("too old");
            let lines = dead_letters::lines("file", &logs, &logs.records, &reason);
            letters.append(&lines, 1).unwrap();
        }
    }

    fn selection(&self) -> Selection {
        Selection { exporter: None, place: self.place() }
    }

    fn place(&self) -> Place {
        Place { config: Some(self.config()), state_dir: None }
    }

    fn run(&self, command: &Command) -> Result<String, Error> {
        let mut out = Vec::new();
        run(command, &Environment::new(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }
}

fn logs(offset: u64) -> LogBatch {
    let (redactor, mut text) = (Redactor::new(), Text::default());
    let body = redactor.redact_chunk(b"from jane.doe@example.com \xff \"quoted\"", &mut text);
    let logger = redactor.redact_chunk(b"com.acme.Job", &mut text);
    let is_own_trace = offset.is_multiple_of(2);
    let trace = redactor.redact_chunk(b"4bf92f3577b34da6a3ce929d0e0e4736", &mut text);
    let record = LogRecord {
        time_unix_ns: (offset > 1).then_some(1_700_000_000_123_456_789),
        observed_unix_ns: 1_700_000_000_000_000_001,
        severity: Severity::Error,
        body,
        logger,
        trace_id: if is_own_trace { trace } else { 0..0 },
        stage_id: Some(7),
        stage_attempt: 2,
        task_id: Some(u64::MAX),
        offset,
        is_truncated: offset == 3,
        ..LogRecord::default()
    };
    let resource = Resource {
        job_id: Some(redactor.value("app-1")),
        engine: Some(Engine::Flink),
        trace_id: Some(Value::hex(&[9; 16])),
        trace_id_origin: Some(Value::literal("derived")),
        file: Some(redactor.value("/a.log")),
        file_id: Some(Value::hex(&[1; 8])),
        ..Resource::default()
    };
    LogBatch { resource: Arc::new(resource), text, records: vec![record], covers: None }
}

/// The records as the exporter would have written them at first.
fn lines(offsets: std::ops::Range<u64>) -> String {
    let mut out = Vec::new();
    for offset in offsets {
        let logs = logs(offset);
        crate::encode::JsonEncoder::default().encode(&logs, &logs.records[0], &mut out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn letters_are_listed_shown_sent_again_as_they_were_and_gone_then() {
    let bed = Bed::new();
    fs::create_dir_all(bed.state_dir().join("dead_letters")).unwrap();
    assert_eq!(bed.run(&Command::Ls(bed.place())).unwrap(), "no dead letters\n");
    bed.add(0..5);
    let listed = bed.run(&Command::Ls(bed.place())).unwrap();
    assert!(listed.starts_with("file: 5 dead letters, ") && listed.ends_with("\n  5 x too old\n"));
    let shown = bed.run(&Command::Show(bed.selection())).unwrap();
    let stored = fs::read_to_string(bed.state_dir().join("dead_letters/file/000000000001.jsonl"));
    assert_eq!(shown, stored.unwrap(), "nothing to hide, so nothing changes");
    assert!(shown.contains("[EMAIL]") && !shown.contains("jane.doe"));
    let said = bed.run(&Command::Replay(bed.selection())).unwrap();
    assert!(said.starts_with("file: 5 sent, 0 refused again"), "{said}");
    assert_eq!(fs::read_to_string(bed.records()).unwrap(), lines(0..5));
    assert_eq!(bed.run(&Command::Ls(bed.place())).unwrap(), "no dead letters\n");
}

#[test]
fn what_cannot_be_sent_stays_and_says_why() {
    let bed = Bed::new();
    bed.add(0..3);
    // A folder where the file should be.
    fs::create_dir(bed.records()).unwrap();
    let error = bed.run(&Command::Replay(bed.selection())).unwrap_err();
    assert!(matches!(error, Error::NotSent { n_left: 3, .. }), "{error}");
    let shown = bed.run(&Command::Show(bed.selection())).unwrap();
    assert_eq!(shown.lines().count(), 3);
    fs::remove_dir(bed.records()).unwrap();
    bed.run(&Command::Replay(bed.selection())).unwrap();
    assert_eq!(fs::read_to_string(bed.records()).unwrap(), lines(0..3));
}

#[test]
fn letters_of_an_exporter_that_is_not_configured_are_not_touched() {
    let bed = Bed::new();
    bed.add(0..1);
    let folder = bed.state_dir().join("dead_letters");
    fs::rename(folder.join("file"), folder.join("loki")).unwrap();
    let error = bed.run(&Command::Replay(bed.selection())).unwrap_err();
    assert!(error.to_string().contains("[exporters.loki]"), "{error}");
    assert!(bed.run(&Command::Ls(bed.place())).unwrap().starts_with("loki: 1 dead letters"));
}

#[test]
fn letters_are_deleted_when_that_is_confirmed_and_no_agent_runs() {
    let bed = Bed::new();
    bed.add(0..4);
    let purge = |yes| Command::Purge { selection: bed.selection(), yes };
    assert!(matches!(bed.run(&purge(false)), Err(Error::NotConfirmed(4))));
    let lock = crate::checkpoint::Store::open(&bed.state_dir(), 0).unwrap();
    for command in [purge(true), Command::Replay(bed.selection())] {
        let error = bed.run(&command).unwrap_err();
        assert!(error.to_string().contains("stop it first"), "{error}");
    }
    assert!(bed.run(&Command::Ls(bed.place())).unwrap().contains("4 dead letters"));
    drop(lock);
    assert_eq!(bed.run(&purge(true)).unwrap(), "4 dead letters deleted\n");
    assert_eq!(bed.run(&Command::Ls(bed.place())).unwrap(), "no dead letters\n");
}

#[test]
fn the_policy_of_today_hides_and_drops_what_was_stored_before_it() {
    let bed = Bed::new();
    bed.add(0..2);
    let text = fs::read_to_string(bed.config()).unwrap();
    let rule = "[[redaction.rules]]\nname = \"WORD\"\nterms = [\"quoted\"]\n";
    fs::write(bed.config(), format!("{text}{rule}")).unwrap();
    let shown = bed.run(&Command::Show(bed.selection())).unwrap();
    assert!(shown.contains("[WORD]") && !shown.contains("quoted"), "{shown}");
    fs::write(bed.config(), format!("{text}{rule}strategy = \"drop_record\"\n")).unwrap();
    assert_eq!(bed.run(&Command::Show(bed.selection())).unwrap(), "");
    let said = bed.run(&Command::Replay(bed.selection())).unwrap();
    assert!(said.contains("0 sent") && said.contains("2 dropped by the policy"), "{said}");
}

#[test]
fn damaged_lines_are_passed_over() {
    let bed = Bed::new();
    bed.add(0..2);
    let path = bed.state_dir().join("dead_letters/file/000000000001.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let (first, _) = whole.split_once('\n').unwrap();
    for cut in [0, 1, first.len() / 2, first.len() - 1] {
        fs::write(&path, format!("{first}\n\n\u{0}\n[1]\n{}", &first[..cut])).unwrap();
        let shown = bed.run(&Command::Show(bed.selection())).unwrap();
        assert_eq!(shown.lines().count(), 1, "{cut}");
    }
    // They are nobody's to delete, but the half line of a crash is no line.
    let said = bed.run(&Command::Replay(bed.selection())).unwrap();
    assert!(said.contains("1 sent") && said.contains("2 lines are no dead letters"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "\u{0}\n[1]\n");
}

#[test]
fn a_folder_without_state_and_an_exporter_that_does_not_exist_are_told() {
    let bed = Bed::new();
    let refused = |bed: &Bed| {
        let purge = Command::Purge { selection: bed.selection(), yes: true };
        let (ls, show) = (Command::Ls(bed.place()), Command::Show(bed.selection()));
        [ls, show, Command::Replay(bed.selection()), purge].into_iter().all(|command| {
            let told = bed.run(&command).unwrap_err().to_string();
            told.starts_with("no state of an agent in ") && told.contains("--state-dir")
        })
    };
    assert!(refused(&bed) && !bed.state_dir().exists());
    fs::create_dir(bed.state_dir()).unwrap();
    assert!(refused(&bed), "an empty one");
    bed.add(0..1);
    let show = |name: &str| {
        let selection = Selection { exporter: Some(name.to_owned()), ..bed.selection() };
        bed.run(&Command::Show(selection))
    };
    let told = show("cloudwatch_log").unwrap_err().to_string();
    assert!(told.contains("did you mean cloudwatch_logs?"), "{told}");
    let told = show("foo").unwrap_err().to_string();
    assert!(told.contains("\"foo\"; there are cloudwatch_logs, "), "{told}");
    assert_eq!(show("cloudwatch_logs").unwrap(), "");
    assert_eq!(show("file").unwrap().lines().count(), 1);
}
