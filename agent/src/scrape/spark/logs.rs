//! Event logs as a source of the scraper: found in a folder, and read while Spark writes them.
//!
//! Reading blocks, so it is done on a thread for that; a file system that hangs holds up neither the
//! rounds nor the end of the agent. After a restart a log is read from its beginning again: what is
//! counted is the state of the run.

mod folder;
mod report;

use crate::scrape::Shared;
pub(super) use folder::SILENCE_MAX;
use folder::{Folder, Heard, Wanted};
pub(super) use report::Report;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a round waits for what is being read. What takes longer comes with the next round.
const PATIENCE: Duration = Duration::from_secs(1);
/// Where Spark writes when the property names no folder.
const DEFAULT_FOLDER: &str = "/tmp/spark-events";

/// All event logs that are followed.
pub(super) struct Logs {
    wanted: Wanted,
    state: State,
    /// What was said last, so that it is said once.
    told: Option<String>,
}

enum State {
    Idle(Box<Folder>),
    Reading(JoinHandle<(Box<Folder>, Vec<Heard>)>),
    /// The thread has died.
    Lost,
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl Logs {
    /// Follows the logs in `folder`, if it is named.
    pub(super) fn new(folder: Option<&Path>, linger: Duration, shared: &Shared) -> Self {
        let (redactor, thresholds) = (shared.redactor.clone(), shared.findings.clone());
        let wanted = Wanted { folder: folder.map(Path::to_owned), ..Wanted::default() };
        let state = State::Idle(Box::new(Folder::new(redactor, thresholds, linger)));
        Self { wanted, state, told: None }
    }

    /// Follows the logs of an application in the folder that it names itself, too.
    pub(super) fn follow(&mut self, folder: PathBuf, app_id: &str) {
        self.wanted.named.entry(folder).or_default().insert(file_name(app_id));
    }

    /// An application has ended; what is read of its log is read to its end.
    pub(super) fn forget(&mut self, app_id: &str) {
        let name = file_name(app_id);
        self.wanted.named.retain(|_, names| {
            names.remove(&name);
            !names.is_empty()
        });
    }

    /// Begins to read, unless what was begun before still goes on.
    pub(super) fn begin(&mut self) {
        let is_wanted = self.wanted.folder.is_some() || !self.wanted.named.is_empty();
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Idle(mut folder) if is_wanted || folder.is_reading() => {
                let wanted = self.wanted.clone();
                self.state = State::Reading(tokio::task::spawn_blocking(move || {
                    let heard = folder.round(&wanted);
                    (folder, heard)
                }));
            }
            state => self.state = state,
        }
    }

    /// What was read, and how many logs were left out for the limit; nothing while it takes longer.
    pub(super) async fn finish(&mut self) -> (Vec<Report>, u64) {
        let State::Reading(task) = &mut self.state else { return (Vec::new(), 0) };
        let Ok(ended) = timeout(PATIENCE, task).await else { return (Vec::new(), 0) };
        let Ok((mut folder, heard)) = ended else {
            tracing::error!("the reader of event logs has died; numbers come from REST alone");
            self.state = State::Lost;
            return (Vec::new(), 0);
        };
        let n_cut = std::mem::take(&mut folder.n_cut);
        let is_behind = folder.is_behind;
        self.tell(folder.problem.take());
        self.state = State::Idle(folder);
        if is_behind {
            self.begin();
        }
        for damage in heard.iter().filter_map(|heard| heard.damage.as_ref()) {
            tracing::warn!(damage, "an event log cannot be read to its end");
        }
        (heard.into_iter().map(|heard| heard.report).collect(), n_cut)
    }

    fn tell(&mut self, problem: Option<String>) {
        if let Some(error) = problem.as_ref().filter(|_| problem != self.told) {
            tracing::warn!(error, "event logs cannot be listed; REST is asked all the same");
        }
        self.told = problem;
    }
}

/// The folder of the event logs of an application with these properties, if it is one of this host.
pub(super) fn folder_of(properties: &[(String, String)]) -> Option<PathBuf> {
    let property = |name: &str| {
        let found = properties.iter().find(|(property, _)| property == name);
        found.map(|(_, value)| value.as_str())
    };
    if property("spark.eventLog.enabled") != Some("true") {
        return None;
    }
    let dir = property("spark.eventLog.dir").unwrap_or(DEFAULT_FOLDER);
    let path = match dir.strip_prefix("file:") {
        // `file:/tmp/x` and `file:///tmp/x` are the same.
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None => dir,
    };
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// How the name of an application's log begins. Source: `EventLogFileWriter.nameForAppAndAttempt`.
fn file_name(app_id: &str) -> String {
    let replace = |c: char| match c {
        ' ' | ':' | '/' => '-',
        '.' | '$' | '{' | '}' | '\'' | '"' => '_',
        _ => c,
    };
    app_id.chars().map(replace).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{file_name, folder_of};
    use std::path::PathBuf;

    #[test]
    fn the_folder_is_read_from_the_properties_as_spark_reads_them() {
        let cases = [
            (Some("true"), Some("file:///var/log/events"), Some("/var/log/events")),
            (Some("true"), Some("file:/var/log/events"), Some("/var/log/events")),
            (Some("true"), Some("/var/log/events"), Some("/var/log/events")),
            (Some("true"), None, Some("/tmp/spark-events")),
            (Some("true"), Some("hdfs:///var/log/events"), None),
            (Some("true"), Some("s3://bucket/events"), None),
            (Some("false"), Some("/var/log/events"), None),
            (None, Some("/var/log/events"), None),
        ];
        for (is_enabled, dir, want) in cases {
            let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let mut properties: Vec<_> =
                is_enabled.map(|it| own("spark.eventLog.enabled", it)).into_iter().collect();
            properties.extend(dir.map(|it| own("spark.eventLog.dir", it)));
            assert_eq!(folder_of(&properties), want.map(PathBuf::from), "{is_enabled:?} {dir:?}");
        }
    }

    #[test]
    fn names_of_logs_are_those_that_spark_makes() {
        assert_eq!(file_name("application_1_0001"), "application_1_0001");
        assert_eq!(file_name("App.1 of:me"), "app_1-of-me");
    }
}
