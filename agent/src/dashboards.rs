//! `sidelight dashboards`: writes the dashboards, rules, alerts and their pages that the binary holds.
//!
//! What they say is made by `dashboards/generate.py`; here only names change: the prefix of what is
//! named after the product, and the source that Grafana asks first.

mod files;

use files::FILES;
use std::io;
use std::path::{Path, PathBuf};

/// Longest prefix in bytes: with a name behind it it must fit into a uid of Grafana, of 40 bytes.
const PREFIX_BYTES_MAX: usize = 24;
/// Longest uid of a data source in bytes.
const SOURCE_BYTES_MAX: usize = 40;

/// What of it is wanted, and where.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Folder to write to; it is made if it is not there. Nothing is written when a file in it would
    /// change, unless --force is given.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Stands for `sidelight` in uids, titles, tags and names of groups, so that several sets of
    /// dashboards can be in one Grafana.
    #[arg(long, value_name = "NAME", default_value = "sidelight", value_parser = parse_prefix)]
    pub prefix: String,
    /// Uid of the source of metrics that dashboards open with. Without it: Grafana's default one.
    #[arg(long, value_name = "UID", value_parser = parse_source)]
    pub datasource: Option<String>,
    /// Overwrite files that differ from what would be written: after an upgrade.
    #[arg(long)]
    pub force: bool,
}

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Files that are not as they would be written.
    #[error(
        "{} differs from what would be written, and {n_more} more; nothing was written: \
         choose another --out, or --force to overwrite",
        first.display()
    )]
    Differs {
        /// One of them.
        first: PathBuf,
        /// How many more there are.
        n_more: usize,
    },
    /// The disk refused.
    #[error("{} cannot be written: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn parse_prefix(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_short = (1..=PREFIX_BYTES_MAX).contains(&text.len());
    let is_good = is_short && text.bytes().all(is_plain) && !text.starts_with('-');
    let wanted = || format!("write up to {PREFIX_BYTES_MAX} of a-z, 0-9 and -");
    is_good.then(|| text.to_owned()).ok_or_else(wanted)
}

fn parse_source(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_short = (1..=SOURCE_BYTES_MAX).contains(&text.len());
    let wanted = || format!("write its uid: up to {SOURCE_BYTES_MAX} of letters, digits, - and _");
    (is_short && text.bytes().all(is_plain)).then(|| text.to_owned()).ok_or_else(wanted)
}

/// Writes all files, and says how many.
pub fn write(options: &Options) -> Result<String, WriteError> {
    let made = FILES.iter().map(|(name, text)| (options.out.join(name), adapted(text, options)));
    let made: Vec<(PathBuf, String)> = made.collect();
    let differs = |(path, text): &&(PathBuf, String)| {
        std::fs::read(path).is_ok_and(|present| present != text.as_bytes())
    };
    let mut different = made.iter().filter(differs);
    if let Some((first, _)) = different.next().filter(|_| !options.force) {
        return Err(WriteError::Differs { first: first.clone(), n_more: different.count() });
    }
    for (path, text) in &made {
        write_file(path, text).map_err(|source| WriteError::Io { path: path.clone(), source })?;
    }
    Ok(format!("{} files in {}", made.len(), options.out.display()))
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

/// `text` with the names that `options` want.
fn adapted(text: &str, options: &Options) -> String {
    let mut text = text.replace("sidelight-", &format!("{}-", options.prefix));
    if options.prefix != "sidelight" {
        text = text.replace("\"Sidelight: ", &format!("\"{}: ", options.prefix));
    }
    let Some(uid) = &options.datasource else { return text };
    // The first variable of a dashboard is its source of metrics.
    match text.split_once("\"name\": \"datasource\"") {
        Some((before, after)) => {
            let after = after.replacen("\"default\"", &format!("\"{uid}\""), 2);
            format!("{before}\"name\": \"datasource\"{after}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{FILES, Options, WriteError, parse_prefix, parse_source, write};
    use serde_json::Value;
    use std::fs;
    use std::path::Path;

    fn options(out: &Path, prefix: &str, datasource: Option<&str>) -> Options {
        let datasource = datasource.map(str::to_owned);
        Options { out: out.to_owned(), prefix: prefix.to_owned(), datasource, force: false }
    }

    #[test]
    fn without_wishes_the_files_are_those_of_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        write(&options(folder.path(), "sidelight", None)).unwrap();
        for (name, text) in FILES {
            assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), *text, "{name}");
        }
        // Once more: they are there already, which is as wanted.
        write(&options(folder.path(), "sidelight", None)).unwrap();
    }

    #[test]
    fn prefix_and_source_are_in_every_dashboard_and_nowhere_else_is_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        write(&options(folder.path(), "team-a", Some("prom_1"))).unwrap();
        let mut n_dashboards = 0;
        for (name, before) in FILES.iter().filter(|(name, _)| name.ends_with(".json")) {
            let text = fs::read_to_string(folder.path().join(name)).unwrap();
            let dashboard: Value = serde_json::from_str(&text).unwrap();
            let before: Value = serde_json::from_str(before).unwrap();
            n_dashboards += 1;
            assert!(dashboard["uid"].as_str().unwrap().starts_with("team-a-"), "{name}");
            assert!(dashboard["title"].as_str().unwrap().starts_with("team-a: "), "{name}");
            let source = &dashboard["templating"]["list"][0];
            assert_eq!(source["name"], "datasource");
            assert_eq!(source["current"]["value"], "prom_1");
            assert!(!text.contains("sidelight-"), "{name}");
            for (panel, same) in dashboard["panels"]
                .as_array()
                .unwrap()
                .iter()
                .zip(before["panels"].as_array().unwrap())
            {
                assert_eq!(panel["targets"], same["targets"], "queries stay what they are");
            }
        }
        assert_eq!(n_dashboards, 7);
        let rules = fs::read_to_string(folder.path().join("prometheus/recording.yml")).unwrap();
        assert!(rules.contains("team-a-recording"), "{rules}");
    }

    #[test]
    fn a_file_of_somebody_else_stays_and_nothing_is_written_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let (name, text) = FILES[3];
        let theirs = folder.path().join(name);
        fs::create_dir_all(theirs.parent().unwrap()).unwrap();
        fs::write(&theirs, "mine").unwrap();
        let mut wanted = options(folder.path(), "sidelight", None);
        let error = write(&wanted).unwrap_err();
        assert!(matches!(&error, WriteError::Differs { first, n_more: 0 } if *first == theirs));
        assert!(error.to_string().contains("--force"), "{error}");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "mine");
        assert!(!folder.path().join(FILES[0].0).exists());
        wanted.force = true;
        write(&wanted).unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), text);
    }

    #[test]
    fn names_that_would_break_json_or_a_uid_are_refused() {
        for wrong in ["", "-a", "a b", "a\"", "A", "a_b", "abcdefghijklmnopqrstuvwxy"] {
            assert!(parse_prefix(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "a b", "a\"", "${x}"] {
            assert!(parse_source(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_prefix("team-1").unwrap(), "team-1");
        assert_eq!(parse_source("P1809F7CD0C75ACF3").unwrap(), "P1809F7CD0C75ACF3");
    }
}
