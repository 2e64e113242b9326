//! Where the config of a run comes from: file, environment and command line.

use crate::autodetect;
use crate::config::{self, Config, Problems};
use redaction::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What the command line says of the config. The environment is that of the process.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Config file; `-` is standard input.
    pub file: Option<PathBuf>,
    /// More to read than the config names.
    pub logs: Vec<String>,
    /// Where checkpoints are, whatever the config says.
    pub state_dir: Option<PathBuf>,
    /// Address of the admin server, whatever the config says.
    pub listen: Option<SocketAddr>,
}

impl Sources {
    /// The config that all of them make, and what is found on this host where none says anything.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Config, Problems> {
        let mut config = self.load_given()?;
        if !self.is_state_dir_given() {
            config.state_dir = autodetect::state_folder(&config.state_dir, &environment());
        }
        Ok(config)
    }

    /// The same in the middle of a run: a state folder that was found stays.
    pub(super) fn load_again(&self, running: &Config) -> Result<Config, Problems> {
        if self.file.as_deref() == Some(Path::new("-")) {
            let what = "standard input cannot be read twice; use a file, or restart".to_owned();
            return Err(Problems::whole_file("(standard input)", what));
        }
        let mut config = self.load_given()?;
        if !self.is_state_dir_given() {
            config.state_dir.clone_from(&running.state_dir);
        }
        Ok(config)
    }

    /// The arguments with which other commands find the same state folder, `state_dir`.
    pub(super) fn naming(&self, state_dir: &Value) -> String {
        let file = self.file.as_deref().filter(|file| *file != Path::new("-"));
        let file = file.map(|file| format!("-c {}", file.display()));
        // The one of the file is named by the file.
        let is_named = file.is_some() && self.state_dir.is_none();
        let folder = (!is_named).then(|| format!("--state-dir {state_dir}"));
        file.into_iter().chain(folder).collect::<Vec<_>>().join(" ")
    }

    fn load_given(&self) -> Result<Config, Problems> {
        let mut config = Config::load(self.file.as_deref(), &config::environment())?;
        config.tail.include.extend(self.logs.iter().cloned());
        autodetect::find_logs(&mut config, &environment());
        if let Some(folder) = &self.state_dir {
            config.state_dir.clone_from(folder);
        }
        config.admin.listen = self.listen.unwrap_or(config.admin.listen);
        Ok(config)
    }

    fn is_state_dir_given(&self) -> bool {
        self.file.is_some() || self.state_dir.is_some()
    }
}

fn environment() -> BTreeMap<String, String> {
    autodetect::readable(&config::environment())
}

#[cfg(test)]
mod tests {
    use super::Sources;
    use redaction::Value;
    use std::path::PathBuf;

    #[test]
    fn other_commands_are_told_where_the_state_is() {
        let naming = |file: Option<&str>, state_dir: Option<&str>| {
            let (file, state_dir) = (file.map(PathBuf::from), state_dir.map(PathBuf::from));
            Sources { file, state_dir, ..Sources::default() }.naming(&Value::literal("/s"))
        };
        assert_eq!(naming(Some("c.toml"), None), "-c c.toml");
        assert_eq!(naming(Some("c.toml"), Some("/s")), "-c c.toml --state-dir /s");
        assert_eq!(naming(Some("-"), None), "--state-dir /s");
        assert_eq!(naming(None, None), "--state-dir /s");
    }
}
