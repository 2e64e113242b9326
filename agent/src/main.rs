//! Arguments, config, runtime, run, exit code.

use clap::{Args, CommandFactory, Parser, Subcommand};
use redaction::Profile;
use sidelight::analyze::{self, Format};
use sidelight::app::Options;
use sidelight::checkpoint::unix_seconds;
use sidelight::config::{self, Config};
use sidelight::export::s3::bucket::Access;
use sidelight::findings::Thresholds;
use sidelight::life::Sources;
use sidelight::manual::{self, ManualError};
use sidelight::policy::Redactors;
use sidelight::redact::{self, Filter, FilterError, Output};
use sidelight::state::{self, StateError};
use sidelight::{
    archive, autodetect, dashboards, dead_letters_command, demo, life, panics, telemetry,
};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Exit codes of sysexits(3), as decision 9 wants them.
mod exit {
    /// Of `archive verify` alone: what is read is not complete, or cannot be read, as with diff(1).
    pub(super) const INCOMPLETE: u8 = 1;
    pub(super) const UNREADABLE: u8 = 2;
    pub(super) const USAGE: u8 = 64;
    pub(super) const DATA: u8 = 65;
    pub(super) const NO_INPUT: u8 = 66;
    pub(super) const UNAVAILABLE: u8 = 69;
    pub(super) const INTERNAL: u8 = 70;
    pub(super) const OUTPUT: u8 = 74;
    pub(super) const CONFIG: u8 = 78;
}

/// Observability sidecar and agent for Apache Spark and Apache Flink jobs.
///
/// Exit codes: 0 every orderly end, 64 wrong arguments, 65 damaged checkpoint at `state verify` or damaged log at `analyze`,
/// 66 unreadable input of `redact`, `state` or `analyze`, 69 undelivered data with --strict-exit or a state folder in use, 70 internal error,
/// 74 output of `redact`, `state`, `analyze` or `dashboards` that cannot be written,
/// 78 wrong config; of `archive verify` 1 an archive that is not complete, 2 one that cannot be read.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tail logs, scrape the engine, redact, enrich, deliver.
    Run(Box<Run>),
    /// Check a config file and say all that is wrong with it.
    Check {
        /// The file; `-` is standard input. Without it the defaults and the environment are checked.
        file: Option<PathBuf>,
        /// The same, as the other commands have it.
        #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
        /// Ask the destinations too whether all will work. Writes nothing there.
        #[arg(long)]
        online: bool,
    },
    /// Redact text: standard input or files to standard output.
    Redact(Redact),
    /// List what redaction finds, with samples of each type.
    Detectors {
        /// One JSON object, with all samples.
        #[arg(long)]
        json: bool,
    },
    /// Say what Spark's event logs tell about runs: a summary and what is wrong, one log after the other.
    Analyze(Analyze),
    /// Look at the checkpoint, and correct it while no agent runs.
    State(StateOptions),
    /// List, show, send again or delete dead letters: records that a destination refused for good.
    Dlq {
        #[command(subcommand)]
        command: dead_letters_command::Command,
    },
    /// Prove that an archive on S3 is complete.
    Archive {
        #[command(subcommand)]
        command: Archive,
    },
    /// Write the dashboards, rules and alerts that come with this version.
    Dashboards(dashboards::Options),
    /// Print completions for a shell: source them, or put them where the shell looks.
    Completion {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
    /// Print a manual page: `sidelight man run | man -l -`.
    Man {
        /// Of this command; else that of sidelight.
        command: Option<String>,
    },
    /// Replay a recorded Spark job through the real agent; needs nothing but this binary.
    Demo {
        /// Stay up after the replay, so that /metrics can be looked at.
        #[arg(long)]
        keep: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Archive {
    /// Read all manifests and objects: says what is missing, changed, twice or in no manifest.
    ///
    /// Exits with 0 when the archive is complete, 1 when it is not, 2 when it cannot be looked at.
    Verify {
        /// `s3://BUCKET/PREFIX`, with the prefix of [exporters.s3], or a folder with a copy of it.
        place: String,
        /// AWS region. Without it: as every AWS tool finds it.
        #[arg(long, value_name = "REGION")]
        region: Option<String>,
        /// Other address of S3. Without it: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, that of the region.
        #[arg(long, value_name = "URL")]
        endpoint_url: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Redact {
    /// Config file, of which [redaction] says what is hidden, and how. A file to redact has the policy
    /// of the first [[redaction.sources]] that its path matches, as in the agent; standard input and
    /// all other files have that of [redaction]. Must be a file: standard input is what is redacted.
    #[arg(short, long, value_name = "FILE", value_parser = parse_file)]
    config: Option<PathBuf>,
    /// Types to look for: secrets, pci, gdpr or all. Goes before every `profile` of the config, also
    /// those of [[redaction.sources]]; types that the config names, its rules and its allow lists stay.
    #[arg(long, value_name = "PROFILE", value_parser = parse_profile)]
    profile: Option<Profile>,
    /// Write one JSON object per input line instead, with types and byte offsets and no text.
    #[arg(long)]
    report: bool,
    /// Say at the end, on standard error, how many lines and bytes were read, how many lines changed
    /// and failed, and how often each type was found.
    #[arg(long)]
    stats: bool,
    /// Files; none or `-` is standard input.
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct Analyze {
    /// Config file, of which [findings] says what is worth a word, and [redaction] what is hidden.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// text or json: one JSON object a run, on a line of its own.
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = parse_format)]
    format: Format,
    /// Event logs: files, rolled folders (eventlog_v2_*), or folders with some of both. Plain or
    /// compressed with zstd, lz4 or snappy; also while they are written.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct StateOptions {
    /// Config file, of which state_dir is taken.
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Where the checkpoints are, whatever the config says.
    #[arg(long, value_name = "FOLDER", global = true)]
    state_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: state::Command,
}

#[derive(Debug, Args)]
struct Run {
    /// Config file; `-` is standard input. Without one the agent discovers what runs beside it.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Log files to read, besides those of the config. May be given several times.
    #[arg(long, value_name = "GLOB")]
    logs: Vec<String>,
    /// Where checkpoints are kept.
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// Address of /metrics, /livez and /readyz.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
    /// Read to the end of every file, deliver, and end.
    #[arg(long)]
    once: bool,
    /// End when no log line came for this long, such as 30s.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    exit_when_idle: Option<Duration>,
    /// Exit with 69 when something could not be delivered before the end.
    #[arg(long)]
    strict_exit: bool,
}

/// Threads of the runtime: one works while another waits in a write to a file.
const RUNTIME_THREADS: usize = 2;

fn parse_duration(text: &str) -> Result<Duration, String> {
    config::Interval::parse(text)
        .map(|interval| interval.0)
        .ok_or_else(|| "write for example 30s, 250ms or 5m".to_owned())
}

fn parse_profile(text: &str) -> Result<Profile, String> {
    let found = Profile::ALL.into_iter().find(|profile| profile.name() == text);
    found.ok_or_else(|| format!("write one of {}", Profile::ALL.map(Profile::name).join(", ")))
}

fn parse_format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err("write text or json".to_owned()),
    }
}

fn parse_file(text: &str) -> Result<PathBuf, String> {
    if text == "-" { Err("name a file".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn main() -> ExitCode {
    panics::install_hook();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let is_wrong = error.use_stderr();
            let _ = error.print();
            return if is_wrong { ExitCode::from(exit::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Run(run) => start(&run),
        Command::Check { file, config, online } => check(file.or(config).as_deref(), online),
        Command::Redact(options) => filter(&options),
        Command::Detectors { json } => {
            let listed = if json { redact::detectors_json() } else { redact::detectors() };
            print(&listed.trim_end());
            ExitCode::SUCCESS
        }
        Command::Analyze(options) => analyze_logs(&options),
        Command::State(options) => run_state(&options),
        Command::Dlq { command } => dead_letters(&command),
        Command::Archive { command: Archive::Verify { place, region, endpoint_url } } => {
            verify(&place, &Access { region, endpoint_url })
        }
        Command::Dashboards(options) => match dashboards::write(&options) {
            Ok(said) => {
                print(&said);
                ExitCode::SUCCESS
            }
            Err(error) => failed(exit::OUTPUT, &error),
        },
        Command::Completion { shell } => {
            let out = &mut std::io::stdout();
            written(manual::completion(Arguments::command(), shell, out).map_err(Into::into))
        }
        Command::Man { command } => {
            let out = &mut std::io::stdout();
            written(manual::page(Arguments::command(), command.as_deref(), out))
        }
        Command::Demo { keep } => run_demo(keep),
    }
}

fn start(run: &Run) -> ExitCode {
    let sources = Sources {
        file: run.config.clone(),
        logs: run.logs.clone(),
        state_dir: run.state_dir.clone(),
        listen: run.listen,
    };
    let config = match sources.load() {
        Ok(config) => config,
        Err(problems) => return wrong_config(&problems),
    };
    telemetry::start_log(tracing::Level::from(config.log.level).into());
    let environment = autodetect::readable(&config::environment());
    let options = Options { is_once: run.once, exit_when_idle: run.exit_when_idle, environment };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(exit::INTERNAL, &error),
    };
    let drained = runtime.block_on(life::run(&sources, config, &options));
    // A thread that hangs in a write to a dead pipe must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match drained {
        Ok(drained) if run.strict_exit && !drained.is_delivered() => {
            ExitCode::from(exit::UNAVAILABLE)
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => failed(exit::CONFIG, &error),
    }
}

fn analyze_logs(options: &Analyze) -> ExitCode {
    let (thresholds, redactors) = match &options.config {
        Some(path) => match Config::load(Some(path), &config::environment()) {
            Ok(config) => (config.findings, config.redaction),
            Err(problems) => return wrong_config(&problems),
        },
        None => (Thresholds::default(), Arc::default()),
    };
    let mut out = std::io::stdout();
    let redactor = redactors.base();
    match analyze::run(&options.paths, options.format, &thresholds, redactor, &mut out) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(exit::OUTPUT, &error),
        Ok(analysis) => {
            analysis.problems.iter().for_each(|problem| eprint(problem));
            match (analysis.problems.is_empty(), analysis.n_damaged) {
                (false, _) => ExitCode::from(exit::NO_INPUT),
                (true, 0) => ExitCode::SUCCESS,
                (true, _) => ExitCode::from(exit::DATA),
            }
        }
    }
}

fn run_state(options: &StateOptions) -> ExitCode {
    let sources = Sources {
        file: options.config.clone(),
        state_dir: options.state_dir.clone(),
        ..Sources::default()
    };
    let folder = match sources.load() {
        Ok(config) => config.state_dir,
        Err(problems) => return wrong_config(&problems),
    };
    match options.command.run(&folder, unix_seconds()) {
        Ok(state::Answer { text, is_good }) => {
            print(&text.trim_end());
            if is_good { ExitCode::SUCCESS } else { ExitCode::from(exit::DATA) }
        }
        Err(error) => {
            let code = match &error {
                StateError::InUse { .. } => exit::UNAVAILABLE,
                StateError::Unwritten { .. } => exit::OUTPUT,
                StateError::Refused { .. } => exit::USAGE,
                _ => exit::NO_INPUT,
            };
            failed(code, &error)
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("lane")
        .enable_all()
        .build()
}

fn run_demo(keep: bool) -> ExitCode {
    match runtime().map_err(demo::DemoError::from).and_then(|it| it.block_on(demo::run(keep))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(exit::INTERNAL, &error),
    }
}

fn check(file: Option<&Path>, is_online: bool) -> ExitCode {
    let check = config::check::check(file, &config::environment());
    print(&check);
    let Ok(config) = &check.config else { return ExitCode::from(exit::CONFIG) };
    if !is_online {
        return ExitCode::SUCCESS;
    }
    match runtime() {
        Ok(runtime) => {
            let (text, is_good) = runtime.block_on(sidelight::online::check(config));
            print(&text);
            if is_good { ExitCode::SUCCESS } else { ExitCode::from(exit::UNAVAILABLE) }
        }
        Err(error) => failed(exit::INTERNAL, &error),
    }
}

/// What the config says, if there is one, with the profile of the command line.
fn redactors(options: &Redact) -> Result<Arc<Redactors>, config::Problems> {
    let redactors = match &options.config {
        Some(path) => Config::load(Some(path), &config::environment())?.redaction,
        None => Arc::default(),
    };
    match options.profile {
        Some(profile) => redactors.with_profile(profile).map(Arc::new),
        None => Ok(redactors),
    }
}

fn filter(options: &Redact) -> ExitCode {
    let redactors = match redactors(options) {
        Ok(redactors) => redactors,
        Err(problems) => return wrong_config(&problems),
    };
    let output = if options.report { Output::Report } else { Output::Text };
    // Past the buffer of standard output: the filter writes in large pieces, and at once.
    let out = std::io::stdout().as_fd().try_clone_to_owned();
    let mut out = match out {
        Ok(out) => std::fs::File::from(out),
        Err(error) => return failed(exit::INTERNAL, &error),
    };
    let mut filter = Filter::new(&redactors, output, &mut out);
    let result = filter.run(&options.files);
    if options.stats {
        let (tally, types) = (filter.tally(), redact::stats(&filter.counts()));
        eprint(&format_args!("redacted {}", format!("{tally}\n{types}").trim_end()));
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(FilterError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            // `| head` has what it wanted.
            ExitCode::SUCCESS
        }
        Err(error @ FilterError::Output(_)) => failed(exit::OUTPUT, &error),
        Err(error) => failed(exit::NO_INPUT, &error),
    }
}

fn dead_letters(command: &dead_letters_command::Command) -> ExitCode {
    use dead_letters_command::Error;
    // Not locked: what is sent again may go to standard output as well, from another thread.
    let done = dead_letters_command::run(command, &config::environment(), &mut std::io::stdout());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Error::Config(problems)) => wrong_config(&problems),
        Err(error @ (Error::NotConfirmed(_) | Error::UnknownExporter { .. })) => {
            failed(exit::USAGE, &error)
        }
        Err(error @ Error::NoState(_)) => failed(exit::NO_INPUT, &error),
        Err(error @ (Error::AgentRuns(_) | Error::NotSent { .. })) => {
            failed(exit::UNAVAILABLE, &error)
        }
        Err(error @ Error::Io { .. }) => failed(exit::OUTPUT, &error),
        Err(error) => failed(exit::CONFIG, &error),
    }
}

fn verify(place: &str, access: &Access) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(exit::INTERNAL, &error),
    };
    let source = archive::Source::new(place, access, runtime);
    match source.and_then(|source| archive::verify(&source)) {
        Ok(report) => {
            print(&report);
            if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(exit::INCOMPLETE) }
        }
        Err(error) => failed(exit::UNREADABLE, &error),
    }
}

fn written(page: Result<(), ManualError>) -> ExitCode {
    match page {
        Ok(()) => ExitCode::SUCCESS,
        Err(ManualError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error @ ManualError::Output(_)) => failed(exit::OUTPUT, &error),
        Err(error @ ManualError::Unknown(_)) => failed(exit::USAGE, &error),
    }
}

fn wrong_config(problems: &config::Problems) -> ExitCode {
    eprint(problems);
    ExitCode::from(exit::CONFIG)
}

fn failed(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprint(&error);
    ExitCode::from(code)
}

/// Says the answer of a command. A reader that went away is no reason to panic.
fn print(text: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Says what went wrong where the agent's log may not run yet.
fn eprint(text: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "sidelight: {text}");
}
