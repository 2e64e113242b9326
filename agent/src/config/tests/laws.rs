//! Laws: the reference file is the code's defaults, no input panics, no problem hides another.

use super::{bad, environment, good};
use crate::config::{Config, Place};
use crate::export::EXPORTERS;
use crate::scrape::SCRAPERS;
use proptest::prelude::{Strategy, any, prop, proptest};
use std::collections::BTreeSet;

const REFERENCE: &str = include_str!("../../../../configs/sidelight.toml");

/// Defaults with every component there is. What has no default is as in the reference file.
fn defaults() -> toml::Table {
    let needed = |name| if name == "s3" { "bucket = \"acme-logs\"\n" } else { "" };
    let sections =
        EXPORTERS.iter().map(|it| format!("[exporters.{}]\n{}", it.name, needed(it.name)));
    let sections = sections.chain(SCRAPERS.iter().map(|it| format!("[scrapers.{}]\n", it.name)));
    good(&sections.collect::<String>(), &[]).settings().clone()
}

fn key_paths(table: &toml::Table, path: &str, paths: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = format!("{path}.{key}");
        match value.as_table() {
            Some(table) => key_paths(table, &path, paths),
            None => {
                paths.insert(path);
            }
        }
    }
}

#[test]
fn the_reference_file_holds_every_key_with_its_default() {
    let mut documented = BTreeSet::new();
    key_paths(&REFERENCE.parse().unwrap(), "", &mut documented);
    let mut existing = BTreeSet::new();
    key_paths(&defaults(), "", &mut existing);
    assert_eq!(documented, existing);
    assert_eq!(good(REFERENCE, &[]).settings(), &defaults());
    let names: BTreeSet<_> = EXPORTERS.iter().map(|it| it.name).collect();
    assert_eq!(names.len(), EXPORTERS.len(), "exporters have different names");
}

#[test]
fn the_reference_file_shows_every_key_without_a_default_as_a_comment_that_parses() {
    let is_key = |line: &str| {
        line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).is_some_and(|(key, _)| {
            key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
    };
    let uncommented: String = REFERENCE
        .lines()
        .map(|line| if is_key(line) { &line[2..] } else { line })
        .flat_map(|line| [line, "\n"])
        .collect();
    let job = good(&uncommented, &[]).job;
    let given = [
        &job.job_name,
        &job.run_id,
        &job.run_context,
        &job.user_id,
        &job.source_data_path,
        &job.job_id,
    ];
    assert!(given.iter().all(|value| value.is_some()), "{job:?}");
    // Whoever adds a key to [job] must show it here and in the reference.
    let message = bad("[job]\nnot_a_key_at_all = 1", &[]).to_string();
    assert_eq!(message.matches(", ").count() + 1, given.len(), "{message}");
}

/// A line that is wrong, with the section that it belongs in.
const MISTAKES: [(&str, &str); 12] = [
    ("tail", "files_max = -1"),
    ("tail", "poll_interval = 'soon'"),
    ("tail", "include = ['[']"),
    ("tail", "colour = 'red'"),
    ("tail", "timezone = '${SIDELIGHT_NOT_SET}'"),
    ("job", "job_name = ''"),
    ("job", "run_id = 7"),
    ("batch", "records_max = 0"),
    ("batch", "age_max = 1 s"),
    ("limits", "queue_batches_max = 'x'"),
    ("exporters.file", "format = 'json'"),
    ("scrapers.spark", "urls = ['ftp://h']"),
];

fn check_mistakes(chosen: &BTreeSet<usize>, filler: usize) {
    let mut text = "# filler\n".repeat(filler);
    let mut lines = BTreeSet::new();
    let mut section = "";
    for index in chosen {
        let (its_section, line) = MISTAKES[*index];
        if its_section != section {
            text += &format!("[{its_section}]\n");
            section = its_section;
        }
        lines.insert(1 + text.lines().count());
        text += &format!("{line}\n");
    }
    let problems = bad(&text, &[]);
    let told: BTreeSet<usize> = problems
        .list
        .iter()
        .filter_map(|problem| match problem.place {
            Place::Text { line, .. } => Some(line),
            _ => None,
        })
        .collect();
    assert_eq!(told, lines, "{text}\n{problems}");
    assert_eq!(problems.list.len(), chosen.len(), "{text}\n{problems}");
}

/// Characters that the syntax is made of come more often than chance would have them.
fn texts() -> impl Strategy<Value = String> {
    let pieces = [
        "[",
        "]",
        "tail",
        ".",
        "include",
        "=",
        "\"",
        "'''",
        "\"\"\"",
        "${",
        "}",
        "$",
        "{",
        ",",
        "\n",
        "#",
        "1",
        "exporters",
        "file",
        "\u{feff}",
        "é",
        "\r",
        "\\u",
        "state_dir",
        "[[",
        " ",
        "\0",
        "job",
        "token",
        "://",
        "@",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn each_mistake_is_told_at_its_line_whatever_else_is_wrong(
        chosen in prop::collection::btree_set(0..MISTAKES.len(), 1..=MISTAKES.len()),
        filler in 0..5_usize,
    ) {
        check_mistakes(&chosen, filler);
    }

    #[test]
    fn no_text_and_no_variable_panics(text in texts(), value in texts(), name in texts()) {
        let name = format!("SIDELIGHT_{}", name.to_uppercase().replace('.', "__"));
        let variables = [(name.as_str(), value.as_str()), ("SIDELIGHT_TAIL__INCLUDE", value.as_str())];
        if let Err(problems) = Config::parse("c.toml", &text, &environment(&variables)) {
            assert!(!problems.to_string().is_empty());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(problems) = Config::parse("c.toml", &String::from_utf8_lossy(&bytes), &environment(&[])) {
            assert!(!problems.to_string().chars().any(|c| c.is_control() && c != '\n'));
        }
    }

    #[test]
    fn a_secret_of_the_environment_is_never_shown(key in 0..MISTAKES.len(), secret in "[a-zA-Z0-9/:%]{8,20}") {
        let (section, line) = MISTAKES[key];
        let name = line.split(' ').next().unwrap_or("");
        let text = format!("[{section}]\n{name} = '${{SECRET}}'\n");
        let variable = format!("SIDELIGHT_{}__{}", section.replace('.', "__"), name).to_uppercase();
        for result in [
            Config::parse("c.toml", &text, &environment(&[("SECRET", &secret)])),
            Config::parse("c.toml", "", &environment(&[(&variable, &secret)])),
        ] {
            if let Err(problems) = result {
                assert!(!problems.to_string().contains(&secret), "{problems}");
            }
        }
    }
}
