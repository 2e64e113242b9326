//! Who a run is: its allow-listed properties, and the stable name of its job.

use super::rest::Environment;
use redaction::{Redactor, Value};
use std::collections::BTreeMap;

/// Longest label value or attribute in bytes.
const VALUE_BYTES_MAX: usize = 256;

/// Spark properties that are read; all others, which hold most secrets, never leave the parser.
const ALLOWED: [&str; 18] = [
    "spark.app.name",
    "spark.eventLog.dir",
    "spark.executor.cores",
    "spark.executor.instances",
    "spark.executor.memory",
    "spark.kubernetes.namespace",
    "spark.master",
    "spark.openlineage.parentJobName",
    "spark.openlineage.parentJobNamespace",
    "spark.openlineage.parentRunId",
    "spark.openlineage.rootParentRunId",
    "spark.sidelight.job_name",
    "spark.sidelight.run_context",
    "spark.sidelight.run_id",
    "spark.sidelight.source_data_path",
    "spark.sidelight.user_id",
    "spark.submit.deployMode",
    "spark.yarn.queue",
];

/// `name`, if it is that of a property that is read.
pub(crate) fn allowed_property(name: &str) -> Option<&'static str> {
    ALLOWED.binary_search(&name).ok().map(|index| ALLOWED[index])
}

/// The allow-listed properties of `environment`, redacted and cut to a length. Empty ones count as
/// absent.
pub(super) fn properties(
    environment: &Environment,
    redactor: &Redactor,
) -> BTreeMap<&'static str, Value> {
    let mut properties = BTreeMap::new();
    for (name, value) in &environment.spark_properties {
        if let Some(name) = allowed_property(name)
            && !value.is_empty()
        {
            properties.insert(name, bounded(value, redactor));
        }
    }
    properties
}

/// `raw`, redacted and cut to a length that a label may have.
///
/// It is redacted whole first: half of a secret would not be recognised.
pub(crate) fn bounded(raw: &str, redactor: &Redactor) -> Value {
    bounded_to(raw, VALUE_BYTES_MAX, redactor)
}

/// [`bounded`] to `bytes_max` bytes.
pub(crate) fn bounded_to(raw: &str, bytes_max: usize, redactor: &Redactor) -> Value {
    let value = redactor.value(raw);
    if value.len() <= bytes_max {
        return value;
    }
    redactor.value(&value[..value.floor_char_boundary(bytes_max)])
}

/// The stable part of an application's name, redacted.
///
/// It is redacted before too: without a number a secret may not be recognised any more.
pub(crate) fn derived_name(raw: &str, redactor: &Redactor) -> Value {
    bounded(&stable_name(&redactor.value(raw)), redactor)
}

/// The part of an application's name that all its runs share: dates, UUIDs, hashes and run numbers
/// are dropped. A name that consists of nothing else stays as it is.
fn stable_name(name: &str) -> String {
    let cleaned = without_uuids(name);
    let mut stable = String::new();
    let mut rest = cleaned.as_str();
    while !rest.is_empty() {
        let gap = rest.find(|c| !is_separator(c)).unwrap_or(rest.len());
        let (separators, tail) = rest.split_at(gap);
        let (word, after) = tail.split_at(tail.find(is_separator).unwrap_or(tail.len()));
        if !word.is_empty() && !is_of_one_run(word) {
            if !stable.is_empty() {
                stable.push_str(separators);
            }
            stable.push_str(word);
        }
        rest = after;
    }
    if stable.is_empty() { name.trim().to_owned() } else { stable }
}

fn is_separator(c: char) -> bool {
    !c.is_alphanumeric()
}

/// True for run numbers, dates, times (`20261122T063935Z`) and hashes of 8 or more hex digits.
fn is_of_one_run(word: &str) -> bool {
    let starts_with_digit = word.starts_with(|c: char| c.is_ascii_digit());
    let is_time = starts_with_digit && word.chars().all(|c| c.is_ascii_digit() || "TZ".contains(c));
    let is_hash = word.len() >= 8
        && word.chars().all(|c| c.is_ascii_hexdigit())
        && word.contains(|c: char| c.is_ascii_digit());
    is_time || is_hash
}

/// Replaces every UUID by a number; its short groups would not be recognised one by one.
fn without_uuids(name: &str) -> String {
    const LEN: usize = 36;
    let is_uuid = |text: &[u8]| {
        text.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let mut cleaned = name.to_owned();
    while let Some(start) = cleaned.as_bytes().windows(LEN).position(is_uuid) {
        cleaned.replace_range(start..start + LEN, "0");
    }
    cleaned
}

/// [`derived_name`], with a word for an application whose name has no stable part.
pub(crate) fn named(raw: &str, redactor: &Redactor) -> Value {
    match derived_name(raw, redactor) {
        name if name.is_empty() => Value::literal("unnamed"),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED, bounded, derived_name, properties, stable_name};
    use crate::scrape::spark::rest::Environment;
    use redaction::Redactor;

    #[test]
    fn the_allow_list_is_sorted_for_its_search() {
        assert!(ALLOWED.is_sorted());
    }

    #[test]
    fn only_allowed_properties_that_say_something_are_kept() {
        let environment: Environment = serde_json::from_str(
            r#"{"sparkProperties":[["spark.master","local[2]"],["spark.yarn.queue",""],
                ["spark.hadoop.fs.s3a.secret.key","hunter2"]],
                "systemProperties":[["spark.app.name","no"]]}"#,
        )
        .unwrap();
        let kept = properties(&environment, &Redactor::new());
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), ["spark.master"]);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let value = bounded(&"é".repeat(200), &Redactor::new());
        assert_eq!(&*value, "é".repeat(128));
        let value = bounded(&format!("a{}", "é".repeat(200)), &Redactor::new());
        assert_eq!(value.len(), 255);
    }

    #[test]
    fn a_secret_in_a_name_is_gone_although_the_name_loses_its_numbers() {
        for (name, secret) in [
            ("export for jane.doe@20261122.example.com", "jane"),
            ("load jdbc:mysql://root:20261122@db/x", "root"),
            ("nightly password=hunter2", "hunter2"),
        ] {
            let derived = derived_name(name, &Redactor::new());
            assert!(!derived.contains(secret), "{derived}");
        }
    }

    #[test]
    fn all_runs_of_one_job_have_one_name() {
        for (name, stable) in [
            ("nightly-orders-etl", "nightly-orders-etl"),
            ("nightly-orders-2026-11-22", "nightly-orders"),
            ("nightly_orders_20261122T063935Z", "nightly_orders"),
            ("orders #4711", "orders"),
            ("orders-3a8b6c79-4192-499a-8c67-699ea427496e-eu", "orders-eu"),
            ("orders (run 17) of etl", "orders (run) of etl"),
            ("etl-v2 cafe", "etl-v2 cafe"),
            ("build 9f86d081 orders", "build orders"),
            (" 2026-11-22", "2026-11-22"),
            ("3a8b6c79-4192-499a-8c67-699ea427496e", "3a8b6c79-4192-499a-8c67-699ea427496e"),
            ("", ""),
        ] {
            assert_eq!(stable_name(name), stable, "{name}");
        }
    }
}
