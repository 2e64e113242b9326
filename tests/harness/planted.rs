//! The PII and secrets that the Spark application plants, and the search for them in output.

use super::scratch::fixture;
use std::path::Path;

/// One planted value.
#[derive(Debug)]
pub(crate) struct Planted {
    /// What kind of value it is.
    pub(crate) kind: String,
    /// The text that is logged with it.
    pub(crate) text: String,
    /// The parts that must never leave the agent.
    pub(crate) secrets: Vec<String>,
}

/// Every planted value: the list in planted.json, which the application reads as well.
pub(crate) fn all() -> Vec<Planted> {
    let raw = std::fs::read_to_string(fixture("planted.json")).unwrap();
    let list: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&raw).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    list.iter()
        .map(|(kind, value)| Planted {
            kind: kind.clone(),
            text: text(&value["text"]),
            secrets: value["secrets"].as_array().unwrap().iter().map(text).collect(),
        })
        .collect()
}

/// One problem for each kind that stands in `output`.
pub(crate) fn leaks(planted: &[Planted], output: &[u8], what: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for value in planted {
        let n: usize =
            value.secrets.iter().map(|s| memchr::memmem::find_iter(output, s).count()).sum();
        if n > 0 {
            problems.push(format!("{} stands {n} times in {what}", value.kind));
        }
    }
    problems
}

/// The leaks of every file under `folder`.
pub(crate) fn leaks_under(planted: &[Planted], folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            problems.extend(leaks_under(planted, &path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            problems.extend(leaks(planted, &bytes, &path.display().to_string()));
        }
    }
    problems
}
