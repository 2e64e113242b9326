//! `sidelight dlq`: lists, shows, sends again and deletes dead letters.
//!
//! Whatever was stored goes through the redactor of today before it is shown or sent.

mod replay;
#[cfg(test)]
mod tests;

use crate::autodetect;
use crate::checkpoint::{LoadError, Store, unix_seconds};
use crate::config::{Config, Environment, Problems, closest};
use crate::export::dead_letters::{self, Letter};
use crate::export::{BuildError, EXPORTERS};
use crate::parse::time::write_rfc3339_nanos;
use crate::policy::Redactors;
use clap::{Args, Subcommand};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most reasons that `ls` shows of one exporter.
const REASONS_MAX: usize = 5;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say how many there are of each exporter, since when, and why.
    Ls(Place),
    /// Print them, one JSON object a line: time, exporter, reason, and the record.
    Show(Selection),
    /// Send them again through the configured exporter; what it refuses again stays.
    Replay(Selection),
    /// Delete them.
    Purge {
        #[command(flatten)]
        selection: Selection,
        /// Yes, delete them.
        #[arg(long)]
        yes: bool,
    },
}

/// Where they are.
#[derive(Debug, Args)]
pub struct Place {
    /// Config file; `-` is standard input. It names the state folder, and says what is redacted.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the agent keeps its state.
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
}

/// Which of them.
#[derive(Debug, Args)]
pub struct Selection {
    /// Only those of this exporter.
    exporter: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The config is wrong.
    #[error("{0}")]
    Config(Problems),
    /// No agent ever wrote there.
    #[error("no state of an agent in {}; name its folder with --state-dir, or its config with -c", .0.display())]
    NoState(PathBuf),
    /// There is no such exporter, and nothing of one is stored.
    #[error("there is no exporter {name:?}{hint}")]
    UnknownExporter {
        /// What was asked for.
        name: String,
        /// What was meant, or what there is.
        hint: String,
    },
    /// An exporter cannot be made from its section.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The agent that owns the state folder runs.
    #[error("an agent is running with state folder {}; stop it first, as it has the dead letters in hand", .0.display())]
    AgentRuns(PathBuf),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(LoadError),
    /// A destination does not take them now.
    #[error(
        "{n_left} dead letters of exporter {exporter} are not sent: {reason}; they stay where they are"
    )]
    NotSent {
        /// Its name.
        exporter: &'static str,
        /// How many.
        n_left: usize,
        /// What the destination said.
        reason: String,
    },
    /// They belong to an exporter that is not in the config.
    #[error(
        "dead letters of exporter {0} cannot be sent: the config has no section [exporters.{0}]; name the config with -c"
    )]
    NoExporter(String),
    /// Nobody said that they may go.
    #[error("this deletes {0} dead letters for good; say --yes if that is what you want")]
    NotConfirmed(u64),
    /// Files cannot be read or written, or the output cannot.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// The config, and the state folder that it or the command line names.
struct State {
    config: Config,
    folder: PathBuf,
}

/// Does it, and says on `out` what it has to say.
///
/// # Errors
/// When it could not be done, or not wholly.
pub fn run(command: &Command, environment: &Environment, out: &mut dyn Write) -> Result<(), Error> {
    match command {
        Command::Ls(place) => {
            let state = open(place, environment)?;
            let listed = list(&state)?;
            write!(out, "{listed}").map_err(Error::io("output"))
        }
        Command::Show(selection) => {
            let state = open(&selection.place, environment)?;
            for (exporter, path) in state.files(selection.exporter.as_deref())? {
                show(&exporter, &path, &state.config.redaction, out)?;
            }
            Ok(())
        }
        Command::Replay(selection) => {
            let state = open(&selection.place, environment)?;
            let _lock = state.lock()?;
            replay::run(&state, selection.exporter.as_deref(), out)
        }
        Command::Purge { selection, yes } => {
            let state = open(&selection.place, environment)?;
            // What is counted is what is deleted.
            let _lock = if *yes { Some(state.lock()?) } else { None };
            let files = state.files(selection.exporter.as_deref())?;
            let mut n_letters = 0;
            for (_, path) in &files {
                n_letters += read(path)?.len() as u64;
            }
            if !yes && n_letters > 0 {
                return Err(Error::NotConfirmed(n_letters));
            }
            for (_, path) in files {
                fs::remove_file(&path).map_err(Error::io(path.display().to_string()))?;
            }
            writeln!(out, "{n_letters} dead letters deleted").map_err(Error::io("output"))
        }
    }
}

fn open(place: &Place, environment: &Environment) -> Result<State, Error> {
    let config = Config::load(place.config.as_deref(), environment).map_err(Error::Config)?;
    let folder = match (&place.state_dir, &place.config) {
        (Some(folder), _) => folder.clone(),
        (None, Some(_)) => config.state_dir.clone(),
        (None, None) => {
            autodetect::state_folder(&config.state_dir, &autodetect::readable(environment))
        }
    };
    // One that was only looked for may have been made, and is empty.
    match fs::read_dir(&folder).map(|mut entries| entries.next().is_none()) {
        Ok(false) => Ok(State { config, folder }),
        Ok(true) => Err(Error::NoState(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NoState(folder)),
        Err(error) => Err(Error::io(folder.display().to_string())(error)),
    }
}

impl State {
    /// Keeps agents away for as long as it is held.
    fn lock(&self) -> Result<Store, Error> {
        match Store::open(&self.folder, unix_seconds()) {
            Ok((store, _)) => Ok(store),
            Err(LoadError::Locked { path }) => Err(Error::AgentRuns(path)),
            Err(error) => Err(Error::State(error)),
        }
    }

    /// Files of dead letters with the names of their exporters.
    fn files(&self, exporter: Option<&str>) -> Result<Vec<(String, PathBuf)>, Error> {
        let unreadable = |error| Error::io(self.folder.display().to_string())(error);
        let mut files = Vec::new();
        let stored = dead_letters::exporters(&self.folder).map_err(unreadable)?;
        if let Some(exporter) = exporter {
            let names = EXPORTERS.iter().map(|it| it.name).chain(stored.iter().map(String::as_str));
            known(exporter, &names.collect())?;
        }
        for name in stored {
            if exporter.is_none_or(|wanted| wanted == name) {
                let folder = dead_letters::folder(&self.folder, &name);
                let found = dead_letters::files_of(&folder).map_err(unreadable)?;
                files.extend(found.into_iter().map(|(_, path)| (name.clone(), path)));
            }
        }
        Ok(files)
    }
}

/// Fails unless `name` is one of `names`.
fn known(name: &str, names: &BTreeSet<&str>) -> Result<(), Error> {
    if names.contains(name) {
        return Ok(());
    }
    let hint = match closest(name, names.iter().copied()) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => format!("; there are {}", names.iter().copied().collect::<Vec<_>>().join(", ")),
    };
    Err(Error::UnknownExporter { name: name.to_owned(), hint })
}

/// A letter with the line that it stands in.
struct Stored {
    line: Vec<u8>,
    letter: Letter,
}

/// The letters of a file; what is none is passed over.
fn read(path: &Path) -> Result<Vec<Stored>, Error> {
    read_all(path).map(|(letters, _)| letters)
}

/// The letters of a file, and the lines in it that are none: damaged, or of a newer version. Half a
/// line at the end is no line: its record came again after the crash.
fn read_all(path: &Path) -> Result<(Vec<Stored>, Vec<Vec<u8>>), Error> {
    let bytes = fs::read(path).map_err(Error::io(path.display().to_string()))?;
    let (mut letters, mut unknown) = (Vec::new(), Vec::new());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match Letter::parse(line) {
            Some(letter) => letters.push(Stored { letter, line: line.to_vec() }),
            None if line.len() > 1 && line.ends_with(b"\n") => unknown.push(line.to_vec()),
            None => {}
        }
    }
    Ok((letters, unknown))
}

/// What `ls` says of one exporter.
#[derive(Default)]
struct Summary {
    n_letters: u64,
    bytes: u64,
    oldest_unix_ns: Option<u64>,
    newest_unix_ns: u64,
    reasons: BTreeMap<String, u64>,
}

fn list(state: &State) -> Result<String, Error> {
    let mut summaries: BTreeMap<String, Summary> = BTreeMap::new();
    for (exporter, path) in state.files(None)? {
        let summary = summaries.entry(exporter).or_default();
        for Stored { line, letter } in read(&path)? {
            summary.bytes += line.len() as u64;
            let (time, known) = (letter.time_unix_ns(), summary.oldest_unix_ns);
            summary.n_letters += 1;
            summary.oldest_unix_ns = Some(known.map_or(time, |known| known.min(time)));
            summary.newest_unix_ns = summary.newest_unix_ns.max(time);
            let reason = letter.reason(&state.config.redaction).to_string();
            *summary.reasons.entry(reason).or_default() += 1;
        }
    }
    if summaries.values().all(|it| it.n_letters == 0) {
        return Ok("no dead letters\n".to_owned());
    }
    let mut listed = String::new();
    for (exporter, summary) in summaries {
        let Summary { n_letters, bytes, oldest_unix_ns, newest_unix_ns, reasons } = summary;
        let (oldest, newest) =
            (rfc3339(oldest_unix_ns.unwrap_or_default()), rfc3339(newest_unix_ns));
        // Writing to a string cannot fail.
        let _ = writeln!(
            listed,
            "{exporter}: {n_letters} dead letters, {bytes} bytes, from {oldest} to {newest}"
        );
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        for (reason, n) in reasons.iter().take(REASONS_MAX) {
            let _ = writeln!(listed, "  {n} x {reason}");
        }
        if reasons.len() > REASONS_MAX {
            let _ = writeln!(listed, "  and {} other reasons", reasons.len() - REASONS_MAX);
        }
    }
    Ok(listed)
}

fn rfc3339(unix_ns: u64) -> String {
    let mut text = Vec::new();
    write_rfc3339_nanos(unix_ns, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn show(
    exporter: &str,
    path: &Path,
    redactors: &Redactors,
    out: &mut dyn Write,
) -> Result<(), Error> {
    for Stored { letter, .. } in read(path)? {
        if let Some(line) = letter.show(exporter, redactors) {
            out.write_all(&line).map_err(Error::io("output"))?;
        }
    }
    Ok(())
}
