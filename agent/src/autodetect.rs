//! What the agent does without a config file: looks for logs beside it and a folder for its state.

use crate::config::{Config, Environment};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Variables that name a folder of logs, and what to read in it.
const LOG_FOLDERS: [(&str, &str); 3] = [
    ("SPARK_LOG_DIR", "**/*"),
    ("FLINK_LOG_DIR", "**/*.{log,out}*"),
    ("SPARK_WORKER_DIR", "**/std{out,err}*"),
];

/// Where images and distributions put logs.
const USUAL_FOLDERS: [(&str, &str); 4] = [
    ("/var/log/spark", "**/*"),
    ("/opt/spark/logs", "**/*"),
    ("/opt/flink/log", "**/*.{log,out}*"),
    ("/var/log/flink", "**/*.{log,out}*"),
];

/// The variables whose values are text.
#[must_use]
pub fn readable(variables: &Environment) -> BTreeMap<String, String> {
    let text = |(name, value): (&String, &std::ffi::OsString)| {
        Some((name.clone(), value.to_str()?.to_owned()))
    };
    variables.iter().filter_map(text).collect()
}

/// Fills `tail.include` when neither the config nor `--logs` names any file: what the variables
/// say, else the usual folders that exist.
pub fn find_logs(config: &mut Config, environment: &BTreeMap<String, String>) {
    if !config.tail.include.is_empty() {
        return;
    }
    let named = LOG_FOLDERS.iter().filter_map(|(variable, files)| {
        let folder = environment.get(*variable).filter(|folder| !folder.is_empty())?;
        Some(format!("{}/{files}", folder.trim_end_matches('/')))
    });
    config.tail.include = named.collect();
    if config.tail.include.is_empty() {
        let usual = USUAL_FOLDERS.iter().filter(|(folder, _)| Path::new(folder).is_dir());
        config.tail.include = usual.map(|(folder, files)| format!("{folder}/{files}")).collect();
    }
}

/// A state folder that this user may write, when none was named: the default one, else one in the
/// user's own state folder (XDG Base Directory), else one below `/tmp`.
#[must_use]
pub fn state_folder(default: &Path, environment: &BTreeMap<String, String>) -> PathBuf {
    let of = |variable: &str| environment.get(variable).filter(|text| !text.is_empty());
    let own = of("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| of("HOME").map(|home| Path::new(home).join(".local/state")));
    let candidates = [Some(default.to_owned()), own.map(|folder| folder.join("sidelight"))];
    candidates.into_iter().flatten().find(|folder| is_writable(folder)).unwrap_or_else(|| {
        // One per user, as no other may write it.
        let user = std::fs::metadata("/proc/self").map_or(0, |process| process.uid());
        std::env::temp_dir().join(format!("sidelight-{user}"))
    })
}

/// Whether a file can be made in the folder, which is made too if need be.
fn is_writable(folder: &Path) -> bool {
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    let is_made = std::fs::create_dir_all(folder).is_ok() && std::fs::write(&probe, "").is_ok();
    let _ = std::fs::remove_file(probe);
    is_made
}

#[cfg(test)]
mod tests {
    use super::state_folder;
    use std::collections::BTreeMap;
    use std::path::Path;

    #[test]
    fn state_goes_to_the_users_own_folder_when_the_default_is_not_writable() {
        let home = tempfile::tempdir().unwrap();
        let text = home.path().to_string_lossy().into_owned();
        let environment = BTreeMap::from([("HOME".to_owned(), text)]);
        let folder = state_folder(Path::new("/proc/none"), &environment);
        assert_eq!(folder, home.path().join(".local/state/sidelight"));
        assert_eq!(state_folder(home.path(), &environment), home.path());
    }
}
