//! What a person sees for the usual mistakes, and the laws of the config as a whole.

mod laws;

use super::{Config, Environment, Place, Problems};

pub(super) fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
}

#[track_caller]
fn good(text: &str, variables: &[(&str, &str)]) -> Config {
    Config::parse("c.toml", text, &environment(variables)).unwrap_or_else(|it| panic!("{it}"))
}

#[track_caller]
fn bad(text: &str, variables: &[(&str, &str)]) -> Problems {
    Config::parse("c.toml", text, &environment(variables)).expect_err(text)
}

/// One mistake gives exactly this text, before the line with the count.
#[track_caller]
fn check(text: &str, variables: &[(&str, &str)], want: &str) {
    assert_eq!(bad(text, variables).to_string(), format!("{want}\nc.toml: 1 problem"));
}

#[test]
fn a_misspelt_key_says_which_one_was_meant() {
    check(
        "[tail]\npol_interval = \"1s\"\n",
        &[],
        "c.toml:2:1: tail.pol_interval: unknown key; did you mean `tail.poll_interval`?\n  \
         |\n2 | pol_interval = \"1s\"\n  | ^^^^^^^^^^^^",
    );
}

#[test]
fn a_key_in_the_wrong_section_says_where_it_belongs() {
    check(
        "linger = \"1m\"",
        &[],
        "c.toml:1:1: linger: unknown key; did you mean `scrapers.spark.linger`?\n  \
         |\n1 | linger = \"1m\"\n  | ^^^^^^",
    );
}

#[test]
fn an_unknown_section_lists_those_there_are() {
    check(
        "[tial]\nfiles_max = 1\n",
        &[],
        "c.toml:1:2: tial: unknown section; did you mean `tail`?\n  |\n1 | [tial]\n  |  ^^^^",
    );
    check(
        "[kafka]\n",
        &[],
        "c.toml:1:2: kafka: unknown section; known here: state_dir, admin, job, tail, redaction, \
         batch, limits, shutdown, findings, pricing, log, telemetry, scrapers, exporters\n  |\n1 | [kafka]\n  |  ^^^^^",
    );
}

#[test]
fn a_wrong_type_says_what_is_wanted_and_what_was_found() {
    check(
        "[tail]\nfiles_max = \"many\"",
        &[],
        "c.toml:2:13: tail.files_max: expected a whole number, 0 or more, found string \"many\"\n  \
         |\n2 | files_max = \"many\"\n  |             ^^^^^^",
    );
    check(
        "tail = 3",
        &[],
        "c.toml:1:8: tail: expected a section [tail], found integer\n  |\n1 | tail = 3\n  |        ^",
    );
    check(
        "[tail]\ninclude = \"/a\"",
        &[],
        "c.toml:2:11: tail.include: expected a list such as [\"a\", \"b\"], found string \"/a\"\n  \
         |\n2 | include = \"/a\"\n  |           ^^^^",
    );
}

#[test]
fn a_bad_duration_shows_good_ones() {
    check(
        "[shutdown]\ngrace = \"5 seconds\" # short",
        &[],
        "c.toml:2:9: shutdown.grace: \"5 seconds\" is not a duration; write for example \
         \"250ms\", \"10s\" or \"5m\"\n  |\n2 | grace = \"5 seconds\" # short\n  |         ^^^^^^^^^^^",
    );
    check(
        "[shutdown]\ngrace = 5",
        &[],
        "c.toml:2:9: shutdown.grace: expected a duration in quotes such as \"250ms\", \"10s\" or \
         \"5m\", found integer `5`\n  |\n2 | grace = 5\n  |         ^",
    );
}

#[test]
fn a_bad_size_address_choice_glob_zone_or_url_says_what_would_be_right() {
    for (text, want) in [
        (
            "[batch]\nbytes_max = '16 mb'",
            "\"16 mb\" is not a size; write for example \"16MiB\" or 4096",
        ),
        ("[batch]\nbytes_max = true", "expected a size such as \"16MiB\" or 4096, found boolean"),
        (
            "[admin]\nlisten = 'localhost'",
            "not an IP address with a port; write for example \"127.0.0.1:9779\"",
        ),
        ("[tail]\nread_from = 'begin'", "\"begin\" is not one of auto, beginning, end"),
        ("[tail]\nread_from = 'begining'", "; did you mean `beginning`?"),
        (
            "[tail]\ninclude = ['/a/*.log', '/b/[.log']",
            "\"/b/[.log\" is no glob: unclosed character class",
        ),
        (
            "[tail]\ntimezone = 'Mars'",
            "\"Mars\" is no time zone; write \"local\", \"UTC\", \"+02:00\" or a name such as \"Europe/Paris\"",
        ),
        (
            "[scrapers.spark]\nurls = ['localhost:4040']",
            "\"localhost:4040\" must look like http://host:4040",
        ),
        ("[scrapers.spark]\nurls = ['http://u:p@h:1']", "must look like http://host:4040"),
        ("[scrapers.spark]\ninterval = '10ms'", "must be from 1s to 1h"),
        (
            "[scrapers.flink]\nurls = ['http://jobmanager:8081']\ntoken_file = '/run/token'",
            "must begin with https://, as a password or token is sent to it",
        ),
        (
            "[scrapers.flink]\nca_file = '/ca.pem'",
            "must name whom certificates, passwords and tokens",
        ),
        ("[scrapers.flink]\ntoken = 'x'", "a secret never stands in a config"),
        (
            "[scrapers.flink]\nkey_file = '/k'\nurls = ['https://h']",
            "needs `key_file`, and that needs it",
        ),
        ("[scrapers.flink]\nvertices_max = 257", "must be from 0 to 256"),
        ("[scrapers.flink]\nmetrics = ['a,b']", "must be the end of a metric's name"),
        ("[tail]\npoll_interval = '9ms'", "must be from 10ms to 1m"),
        ("[tail]\nfiles_max = 0", "must be from 1 to 200000"),
        ("[tail]\nfiles_max = 200001", "must be from 1 to 200000"),
        ("[tail]\nfiles_max = -1", "expected a whole number, 0 or more, found integer `-1`"),
        ("[job]\nrun_id = ''", "empty; leave it out instead"),
        ("state_dir = 'state'", "must be an absolute path"),
        ("[exporters.file]\npath = ''", "must name a file, or `-` for standard output"),
        ("[exporters.prometheus]", "no exporter takes logs; add [exporters.file]"),
        (
            "[limits]\nmemory_bytes_max = 4096",
            "limits.memory_bytes_max (4096 bytes) must hold batch.bytes_max and tail.record_bytes_max together (1572864 bytes)",
        ),
    ] {
        let problems = bad(text, &[]);
        assert_eq!(problems.list.len(), 1, "{problems}");
        assert!(problems.list[0].what.contains(want), "{problems}");
    }
}

#[test]
fn a_url_that_is_refused_does_not_show_its_password() {
    let text = bad("[scrapers.spark]\nurls = ['http://me:hunter2@h:1']", &[]).to_string();
    assert!(!text.contains("me:hunter2@"), "{text}");
}

#[test]
fn a_missing_variable_says_its_name_where_it_is_used() {
    check(
        "[job]\njob_name = \"x-${STAGE}\"",
        &[],
        "c.toml:2:15: job.job_name: variable `STAGE` is not set; set it or write \
         `${STAGE:-default}`\n  |\n2 | job_name = \"x-${STAGE}\"\n  |               ^^^^^^^^",
    );
}

#[test]
fn an_unknown_exporter_lists_those_there_are() {
    check(
        "[exporters.file]\n[exporters.kafka]\nbrokers = 3\n",
        &[],
        "c.toml:2:12: exporters.kafka: unknown exporter; known here: file, prometheus, cloudwatch_logs, cloudwatch_metrics, otlp, s3\n  \
         |\n2 | [exporters.kafka]\n  |            ^^^^^",
    );
    check(
        "[scrapers.sparc]",
        &[],
        "c.toml:1:11: scrapers.sparc: unknown scraper; did you mean `scrapers.spark`?\n  \
         |\n1 | [scrapers.sparc]\n  |           ^^^^^",
    );
}

#[test]
fn a_bad_variable_is_named_and_its_value_never_shown() {
    for (name, value, want) in [
        (
            "SIDELIGHT_SHUTDOWN__GRACE",
            "hunter2",
            "shutdown.grace: the value is not a duration; write for example \"250ms\", \"10s\" or \"5m\"",
        ),
        (
            "SIDELIGHT_TAIL__FILES_MAX",
            "hunter2",
            "tail.files_max: expected a whole number, 0 or more, found string",
        ),
        (
            "SIDELIGHT_TAIL__READ_FROM",
            "hunter2",
            "tail.read_from: the value is not one of auto, beginning, end",
        ),
        (
            "SIDELIGHT_TAIL__INCLUDE",
            "/hunter2/[",
            "tail.include: the value is no glob: unclosed character class; missing ']'",
        ),
        (
            "SIDELIGHT_TAIL__TIMEZONE",
            "hunter2",
            "tail.timezone: the value is no time zone; write \"local\", \"UTC\", \"+02:00\" or a name such as \"Europe/Paris\"",
        ),
        (
            "SIDELIGHT_JOB_NAME",
            "hunter2",
            "job_name: unknown key; did you mean SIDELIGHT_JOB__JOB_NAME?",
        ),
        (
            "SIDELIGHT_TAIL_INCLUDE",
            "hunter2",
            "tail_include: unknown key; did you mean SIDELIGHT_TAIL__INCLUDE?",
        ),
        (
            "SIDELIGHT_EXPORTERS__FIEL__PATH",
            "hunter2",
            "exporters.fiel: unknown exporter; did you mean SIDELIGHT_EXPORTERS__FILE?",
        ),
        (
            "SIDELIGHT_STATE_DIR__X",
            "hunter2",
            "state_dir.x: state_dir is a key with a value, so nothing can stand below it",
        ),
        (
            "SIDELIGHT_TAIL",
            "hunter2",
            "tail: this is a section; set one of its keys with SIDELIGHT_TAIL__KEY",
        ),
    ] {
        check("state_dir = '/s'\n[tail]\n", &[(name, value)], &format!("{name}: {want}"));
    }
}

#[test]
fn a_value_that_a_variable_fills_in_is_not_shown_either() {
    let text =
        bad("[tail]\nfiles_max = '${N}'\ntimezone = '${N}'", &[("N", "hunter2")]).to_string();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("c.toml:2:13") && text.contains("c.toml:3:12"), "{text}");
}

#[test]
fn the_environment_overrides_the_file_and_is_read_as_what_the_key_wants() {
    let config = good(
        "[tail]\ninclude = ['/file']\nfiles_max = '${N}'\n",
        &[
            ("N", "7"),
            ("SIDELIGHT_STATE_DIR", "/s"),
            ("SIDELIGHT_JOB__JOB_NAME", "123"),
            ("SIDELIGHT_TAIL__INCLUDE", "/a/{b,c}/*.log,/d"),
            ("SIDELIGHT_TAIL__EXCLUDE", "[\"/e,f\"]"),
            ("SIDELIGHT_BATCH__BYTES_MAX", "8192"),
            ("SIDELIGHT_ADMIN__LISTEN", "0.0.0.0:1"),
            ("SIDELIGHT_LIMITS__QUEUE_BATCHES_MAX", "9"),
            ("SIDELIGHT_SERVICE_HOST", "10.0.0.1"),
            ("SIDELIGHT_TEST_SPARK_HOME", "/spark"),
            ("OTHER", "x"),
        ],
    );
    assert_eq!(config.state_dir, std::path::Path::new("/s"));
    assert_eq!(config.job.job_name.as_deref(), Some("123"));
    assert_eq!(config.tail.include, ["/a/{b,c}/*.log", "/d"]);
    assert_eq!(config.tail.exclude, ["/e,f"]);
    assert_eq!(config.tail.files_max, 7);
    assert_eq!(config.batch.bytes_max.0, 8192);
    assert_eq!(config.admin.listen.to_string(), "0.0.0.0:1");
    assert_eq!(config.limits.queue_batches_max, 9);
}

#[test]
fn a_component_runs_when_it_has_a_section_or_its_kind_has_none() {
    let names = |text: &str, variables: &[(&str, &str)]| {
        let config = good(text, variables);
        let exporters = config.exporters.iter().map(|(it, _)| it.name);
        exporters.chain(config.scrapers.iter().map(|(it, _)| it.name)).collect::<Vec<_>>()
    };
    assert_eq!(names("", &[]), ["file", "prometheus", "spark", "flink", "logs"]);
    assert_eq!(names("[exporters.file]", &[]), ["file", "spark", "flink", "logs"]);
    assert_eq!(names("[scrapers]", &[]), ["file", "prometheus"]);
    // A variable adds to the defaults; it never takes one away.
    let variable = [("SIDELIGHT_EXPORTERS__FILE__PATH", "/out.jsonl")];
    assert_eq!(names("", &variable), ["file", "prometheus", "spark", "flink", "logs"]);
    assert_eq!(names("[exporters]", &variable), ["file", "spark", "flink", "logs"]);
}

#[test]
fn all_problems_of_a_file_are_told_in_its_order() {
    let text = "state_dir = 'x'\n\
                [admin]\nlisten = 5\nport = 9779\n\
                [tail]\ninclude = ['/a/[', 3, '${NONE}', 4, '/b/[']\npoll_interval = '1'\nfile_max = 2\n\
                [exporters.s4]\n\
                [exporters.file]\npath = ''\nformat = 'json'\n\
                [batch]\nbytes_max = 1\nage_max = 1 s\n";
    let problems = bad(text, &[("SIDELIGHT_JOB_NAME", "x"), ("SIDELIGHT_JOB__RUN_ID", "")]);
    let lines: Vec<_> = problems
        .list
        .iter()
        .map(|problem| match &problem.place {
            Place::Text { line, .. } => (*line, problem.key.as_str()),
            Place::Variable(_) => (0, problem.key.as_str()),
            Place::WholeFile => panic!("{problem:?}"),
        })
        .collect();
    let want = [
        (1, "state_dir"),
        (3, "admin.listen"),
        (4, "admin.port"),
        (6, "tail.include"),
        (6, "tail.include"),
        (6, "tail.include"),
        (6, "tail.include"),
        (6, "tail.include"),
        (7, "tail.poll_interval"),
        (8, "tail.file_max"),
        (9, "exporters.s4"),
        (11, "exporters.file.path"),
        (12, "exporters.file.format"),
        (14, "batch.bytes_max"),
        (15, ""),
        (0, "job_name"),
        (0, "job.run_id"),
    ];
    assert_eq!(lines, want, "{problems}");
}

#[test]
fn what_is_not_toml_is_told_with_all_else_that_can_be_trusted() {
    let text = bad("[tail]\nfiles_max = 1\nfiles_max = 2\npoll_interval = 10s\ninclud = []\n", &[])
        .to_string();
    for want in [
        "c.toml:3:1: duplicate key\n",
        "c.toml:4:17: string values must be quoted\n",
        "c.toml:5:1: tail.includ: unknown key; did you mean `tail.include`?\n",
        "c.toml: 3 problems",
    ] {
        assert!(text.contains(want), "{text}");
    }
    // Below a broken header nothing can be trusted.
    let text = bad("[tail\nfiles_max = 1\n", &[]).to_string();
    assert!(text.starts_with("c.toml:1:6: unclosed table, expected `]`\n"), "{text}");
    assert!(text.ends_with("c.toml: 1 problem"), "{text}");
}

#[test]
fn the_agent_does_not_read_its_own_output() {
    let text = "[tail]\ninclude = ['/log/*']\n[exporters.file]\npath = '/log/out'\n";
    let told = bad(text, &[]).to_string();
    assert!(told.contains("c.toml:4:8: exporters.file.path: tail.include matches"), "{told}");
    good(text, &[("SIDELIGHT_TAIL__EXCLUDE", "/log/o*")]);
    good(text, &[("SIDELIGHT_EXPORTERS__FILE__PATH", "-")]);
}

#[test]
fn a_stand_in_for_a_bad_value_is_not_held_against_another_key() {
    let text = "[limits]\nmemory_bytes_max = '1MiB'\n[batch]\nbytes_max = 'x'\n";
    let problems = bad(text, &[]);
    assert_eq!(problems.list.len(), 1, "{problems}");
    assert_eq!(problems.list[0].key, "batch.bytes_max");
}

#[test]
fn a_key_that_a_variable_replaces_is_told_as_the_variable() {
    let problems = bad("[tail]\ncolour = 1", &[("SIDELIGHT_TAIL__COLOUR", "red")]);
    let variable = Place::Variable("SIDELIGHT_TAIL__COLOUR".to_owned());
    assert_eq!(problems.list.len(), 1, "{problems}");
    assert_eq!(problems.list[0].place, variable, "{problems}");
}

#[test]
fn a_path_without_end_does_not_use_up_the_stack() {
    let name = format!("SIDELIGHT_{}", "A__".repeat(100_000));
    let problems = bad("", &[(&name, "x")]);
    assert_eq!(problems.list[0].what, "no key lies as deep as this");
    let text = format!("[{}a]", "a.".repeat(100_000));
    assert!(!bad(&text, &[]).list.is_empty());
}

#[test]
fn a_flood_of_problems_is_cut_and_counted() {
    let text: String = (0..50_000).map(|n| format!("x{n} = 1\n")).collect();
    let problems = bad(&text, &[]);
    assert_eq!(problems.list.len(), 100);
    assert!(problems.to_string().ends_with("c.toml: 100 problems or more"), "{problems}");
}

#[test]
fn a_lane_is_configured_below_every_exporter_of_logs_and_only_there() {
    let lane = |config: &Config| config.exporters[0].1.lane.clone();
    let text = "[exporters.file]\n[exporters.file.lane]\nrequired = false\nspool_bytes_max = 0\n";
    let config = lane(&good(text, &[("SIDELIGHT_EXPORTERS__FILE__LANE__REQUEST_TIMEOUT", "3s")]));
    assert!(!config.required && config.spool_bytes_max.0 == 0);
    assert_eq!(config.request_timeout.0.as_secs(), 3);
    for (text, want) in [
        ("[exporters.file.lane]\nrequird = true", "did you mean `exporters.file.lane.required`?"),
        ("[exporters.file.lane]\nrequest_timeout = '1h'", "must be from 100ms to 10m"),
        (
            "[exporters.file.lane]\nspool_bytes_max = 4096",
            "must be 0 or at least limits.memory_bytes_max",
        ),
        ("[exporters.file]\nlane = 3", "expected a section [exporters.file.lane], found integer"),
        ("[exporters.file]\n[exporters.prometheus.lane]", "exporters.prometheus.lane: unknown key"),
    ] {
        let problems = bad(text, &[]).to_string();
        assert!(problems.contains(want), "{problems}");
    }
}
