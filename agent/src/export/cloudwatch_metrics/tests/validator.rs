//! Reads an event as CloudWatch does. Written from its specification, not from the encoder.
//!
//! CloudWatch takes an event that breaks a rule as a log line and makes no metrics of it, so here
//! every broken rule is a panic.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const UNITS: &str = "Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes \
    Terabytes Bits Kilobits Megabits Gigabits Terabits Percent Count Bytes/Second \
    Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second \
    Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None";
const NUMBER_MAX: f64 = 9_007_199_254_740_991.0; // 2^53 - 1

/// A metric as CloudWatch has it after one event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extracted {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) dimensions: BTreeMap<String, String>,
    /// Values and how often each was seen.
    pub(super) values: Vec<(f64, u64)>,
    pub(super) time_unix_ms: u64,
}

impl Extracted {
    pub(super) fn sum(&self) -> f64 {
        self.values.iter().map(|(value, count)| value * *count as f64).sum()
    }

    pub(super) fn count(&self) -> u64 {
        self.values.iter().map(|(_, count)| count).sum()
    }
}

/// The root of an event; serde_json would silently keep the last of two members of one name.
pub(super) struct Root(pub(super) BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Root;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Root, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    assert!(members.insert(name.clone(), value).is_none(), "{name} stands twice");
                }
                Ok(Root(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Checks one event and returns its metrics.
pub(super) fn extract(event: &[u8]) -> Vec<Extracted> {
    assert!(event.len() <= 1_000_000, "{} bytes", event.len());
    assert!(!event.contains(&b'\n'), "one line");
    assert!(event.starts_with(b"{") && event.ends_with(b"}"), "nothing around the object");
    let Root(root) = serde_json::from_slice(event).expect("valid JSON");
    let aws = root["_aws"].as_object().expect("_aws is an object");
    let time_unix_ms = aws["Timestamp"].as_u64().expect("Timestamp is milliseconds");
    let directives = aws["CloudWatchMetrics"].as_array().expect("directives");
    assert!(!directives.is_empty());
    let mut extracted = Vec::new();
    let mut defined = BTreeSet::new();
    for directive in directives {
        let namespace = directive["Namespace"].as_str().expect("Namespace");
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._#:/-".contains(c);
        assert!((1..=256).contains(&namespace.len()) && namespace.chars().all(is_allowed));
        let sets = directive["Dimensions"].as_array().expect("Dimensions");
        assert_eq!(sets.len(), 1, "more sets would be more metrics to pay for");
        let dimensions = dimensions(&sets[0], &root);
        let metrics = directive["Metrics"].as_array().expect("Metrics");
        assert!((1..=100).contains(&metrics.len()), "{} metrics", metrics.len());
        for metric in metrics {
            let name = metric["Name"].as_str().expect("Name");
            assert!((1..=1024).contains(&name.len()) && !name.trim().is_empty());
            assert!(defined.insert(name.to_owned()), "{name} is defined twice");
            let unit = metric["Unit"].as_str().unwrap_or("None");
            assert!(UNITS.split_whitespace().any(|known| known == unit), "{unit}");
            if let Some(resolution) = metric.get("StorageResolution") {
                assert!(*resolution == 1 || *resolution == 60);
            }
            extracted.push(Extracted {
                name: name.to_owned(),
                unit: unit.to_owned(),
                dimensions: dimensions.clone(),
                values: values(root.get(name).expect("a metric is a member of the root")),
                time_unix_ms,
            });
        }
    }
    assert!(defined.len() <= 100, "{} metrics in one event", defined.len());
    extracted
}

fn dimensions(set: &Value, root: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let names = set.as_array().expect("a set of dimensions");
    // CloudWatch takes 30; the issue says 3.
    assert!(names.len() <= 3, "{} dimensions", names.len());
    let mut dimensions = BTreeMap::new();
    for name in names {
        let name = name.as_str().expect("names are strings");
        assert!((1..=250).contains(&name.len()) && name.is_ascii() && !name.starts_with(':'));
        let value = root.get(name).expect("a dimension is a member of the root");
        let value = value.as_str().expect("its value is a string");
        assert!((1..=1024).contains(&value.len()) && !value.trim().is_empty(), "{value:?}");
        assert!(value.is_ascii() && !value.chars().any(|c| c.is_ascii_control()), "{value:?}");
        assert!(dimensions.insert(name.to_owned(), value.to_owned()).is_none());
    }
    dimensions
}

fn values(target: &Value) -> Vec<(f64, u64)> {
    let number = |value: &Value| {
        let number = value.as_f64().expect("a number");
        assert!(number.is_finite() && number.abs() <= NUMBER_MAX, "{number}");
        number
    };
    let Some(distribution) = target.as_object() else { return vec![(number(target), 1)] };
    assert_eq!(distribution.len(), 2);
    let list = |name: &str| distribution[name].as_array().expect("an array").clone();
    let (values, counts) = (list("Values"), list("Counts"));
    assert!((1..=100).contains(&values.len()), "{} values", values.len());
    assert_eq!(values.len(), counts.len());
    let mut seen = BTreeSet::new();
    let pair = |(value, count): (&Value, &Value)| {
        assert!(seen.insert(value.to_string()), "each value once");
        let count = count.as_u64().expect("a count");
        assert!(count > 0);
        (number(value), count)
    };
    values.iter().zip(&counts).map(pair).collect()
}

mod tests {
    use super::extract;

    const GOOD: &str = r#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"a","Dimensions":[["j"]],"Metrics":[{"Name":"m","Unit":"Count"}]}]},"j":"x","m":1}"#;

    #[test]
    fn an_event_as_it_should_be_is_read() {
        let metrics = extract(GOOD.as_bytes());
        assert_eq!((metrics.len(), metrics[0].sum()), (1, 1.0));
    }

    #[test]
    fn every_broken_rule_is_seen() {
        let many = |n: usize| vec!["1"; n].join(",");
        let long = format!("\"j\":\"{}\"", "x".repeat(1025));
        let values = |n| format!("\"m\":{{\"Values\":[{}],\"Counts\":[{}]}}", many(n), many(n));
        for (from, to) in [
            ("\"m\":1", "\"m\":NaN"),
            ("\"m\":1", "\"m\":1e16"),
            ("\"m\":1", "\"m\":\"1\""),
            ("\"m\":1", "\"m\":1,\"m\":1"),
            (",\"m\":1", ""),
            ("\"m\":1", &values(101)),
            ("\"m\":1", "\"m\":{\"Values\":[],\"Counts\":[]}"),
            ("\"m\":1", "\"m\":{\"Values\":[1],\"Counts\":[0]}"),
            ("\"j\":\"x\"", "\"j\":\" \""),
            ("\"j\":\"x\"", "\"j\":\"é\""),
            ("\"j\":\"x\"", "\"j\":1"),
            ("\"j\":\"x\"", &long),
            ("[\"j\"]", "[\"k\"]"),
            ("[\"j\"]", "[\"j\",\"m\",\"a\",\"b\"]"),
            ("Count\"", "Counts\""),
            ("\"a\"", "\"a b\""),
            ("{\"_aws\"", "x{\"_aws\""),
            ("\"Timestamp\":1", "\"Timestamp\":\"1\""),
        ] {
            let event = GOOD.replacen(from, to, 1);
            assert_ne!(event, GOOD);
            let read = std::panic::catch_unwind(|| extract(event.as_bytes()));
            assert!(read.is_err(), "{event}");
        }
    }
}
