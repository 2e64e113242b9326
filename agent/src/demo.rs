//! A recorded Spark job through the real agent: an appender writes its log, a loopback server
//! answers its REST calls, and the agent does what it always does.
//!
//! The recording is of Spark 3.5.9 with a skewed shuffle, failing and retried tasks, an aborted job
//! and PII in messages and exceptions; `tests/fixtures/record_demo.py` made it.

mod server;
mod show;

use crate::app::{App, Options, StartError};
use crate::config::{Config, Environment, Problems};
use crate::telemetry;
use server::Recording;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const DRIVER_LOG: &str = include_str!("../../tests/fixtures/demo/driver.log");
const REST_ANSWERS: &str = include_str!("../../tests/fixtures/demo/rest.json");

/// How long the replay takes; the recorded job ran about 25 s.
const REPLAY: Duration = Duration::from_secs(8);

/// What the agent gets to read and scrape the end of the replay.
const SETTLE: Duration = Duration::from_secs(3);

/// Pieces in which the log is written, so that the agent sees a file that grows.
const PIECES: usize = 80;

/// Why the demo did not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The temporary folder or a socket cannot be used.
    #[error("the demo needs a temporary folder and a port of this host: {0}")]
    Io(#[from] io::Error),
    /// The agent did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The demo's own config is wrong, which only an environment variable can cause.
    #[error("{0}")]
    Config(Problems),
}

/// Runs the demo. With `keep` it stays up until it is interrupted.
///
/// # Errors
/// When the agent cannot start.
pub async fn run(keep: bool) -> Result<(), DemoError> {
    let folder = Folder::create()?;
    let log = folder.0.join("driver.log");
    File::create(&log)?;
    let began = Instant::now();
    let rest = server::start(Recording::parse(REST_ANSWERS), began, REPLAY).await?;
    let records = folder.0.join("records.jsonl");
    let mut app = App::start(&config(&folder.0, rest, &records)?, &Options::default())?;
    let metrics = app.admin_address();
    show::say(&format!(
        "replaying a recorded Spark 3.5.9 job, {} s; /metrics is at http://{metrics}/metrics\n",
        REPLAY.as_secs()
    ));

    let appender = tokio::task::spawn_blocking(move || append(&log, began));
    let mut shown = show::Shown::new(&records);
    let end = began + REPLAY + SETTLE;
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(200)).await;
        shown.print_new()?;
    }
    appender.await.map_err(io::Error::other)??;
    let page = show::fetch(metrics).await?;
    shown.print_summary(&page, metrics);
    if !keep {
        show::say("\n`sidelight demo --keep` stays up, so that you can look at /metrics");
    } else {
        show::say("\nstaying up; press Ctrl-C to end");
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = app.ended() => {}
        }
    }
    app.drain().await;
    Ok(())
}

fn config(folder: &Path, rest: SocketAddr, records: &Path) -> Result<Config, DemoError> {
    let text = format!(
        "state_dir = {:?}\n[admin]\nlisten = \"127.0.0.1:0\"\n[job]\nrun_context = \"demo\"\n\
         [tail]\ninclude = [{:?}]\nread_from = \"beginning\"\ntimezone = \"UTC\"\n[scrapers.spark]\n\
         urls = [\"http://{rest}\"]\ninterval = \"1s\"\n[exporters.file]\npath = {records:?}\n\
         [exporters.prometheus]\n[log]\nlevel = \"warn\"\n",
        folder.join("state"),
        folder.join("driver.log"),
    );
    let config = Config::parse("(demo)", &text, &Environment::new()).map_err(DemoError::Config)?;
    telemetry::start_log(tracing::Level::from(config.log.level).into());
    Ok(config)
}

/// Writes the log in pieces that do not care for lines, as a buffered writer does.
fn append(path: &Path, began: Instant) -> io::Result<()> {
    let mut file = File::options().append(true).open(path)?;
    let bytes = DRIVER_LOG.as_bytes();
    for piece in 0..PIECES {
        let due = REPLAY.mul_f64(piece as f64 / PIECES as f64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        file.write_all(&bytes[bytes.len() * piece / PIECES..bytes.len() * (piece + 1) / PIECES])?;
    }
    Ok(())
}

/// A folder that goes away with the demo.
struct Folder(PathBuf);

impl Folder {
    fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("sidelight-demo-{}", std::process::id()));
        // Nobody else may have laid it out, and nobody else needs to read it.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
