//! Where records of a job and an hour lie in the bucket, and which records of a batch those are.

use crate::model::{Coverage, Engine, LogRecord, Resource};
use crate::parse::time::write_rfc3339_nanos;
use sha2::{Digest, Sha256};
use std::ops::Range;

const HOUR_NS: u64 = 3_600_000_000_000;
/// Longest template of folders.
const TEMPLATE_BYTES_MAX: usize = 128;
const UNKNOWN: &str = "unknown";
/// Longest value in a key; a whole key has 1,024 bytes.
const VALUE_BYTES_MAX: usize = 200;

/// Records that may share an object: those of one run and one hour.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Partition {
    engine: &'static str,
    /// As the record has it, redacted.
    pub(super) job_name: String,
    /// As the record has it, redacted.
    pub(super) run_id: String,
    /// Hours since the epoch, UTC.
    hour: u64,
}

impl Partition {
    /// That of a record: by the time that it states, else by when it was read.
    #[must_use]
    pub(super) fn of(resource: &Resource, record: &LogRecord) -> Self {
        let text = |value: Option<&str>| match value {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => UNKNOWN.to_owned(),
        };
        Self {
            engine: resource.engine.map_or(UNKNOWN, Engine::as_str),
            job_name: text(resource.job_name.as_deref()),
            run_id: text(resource.run_id.as_deref()),
            hour: hour(record),
        }
    }

    /// Its folder: `template` with what is in braces filled in.
    #[must_use]
    pub(super) fn folder(&self, template: &str) -> String {
        let mut time = Vec::new();
        write_rfc3339_nanos(self.hour * HOUR_NS, &mut time);
        // 2026-11-27T13:00:00Z
        let time = String::from_utf8_lossy(&time);
        let part = |range: Range<usize>| time.get(range).unwrap_or_default().to_owned();
        // What is filled in has no braces.
        template
            .replace("{engine}", self.engine)
            .replace("{job_name}", &key_value(&self.job_name))
            .replace("{run_id}", &key_value(&self.run_id))
            .replace("{date}", &part(0..10))
            .replace("{year}", &part(0..4))
            .replace("{month}", &part(5..7))
            .replace("{day}", &part(8..10))
            .replace("{hour}", &part(11..13))
    }
}

/// What is wrong with a template of folders; none when it is good.
#[must_use]
pub(super) fn wrong(template: &str) -> Option<&'static str> {
    const NAMES: [&str; 8] =
        ["engine", "job_name", "run_id", "date", "year", "month", "day", "hour"];
    let mut plain = template.to_owned();
    NAMES.iter().for_each(|name| plain = plain.replace(&format!("{{{name}}}"), "x"));
    let is_char = |it: char| it.is_ascii_alphanumeric() || "-_.=/".contains(it);
    if !plain.chars().all(is_char) {
        return Some(
            "has letters, digits and - _ . = / only, and {engine}, {job_name}, {run_id}, {date}, {year}, \
             {month}, {day} and {hour}",
        );
    }
    let is_part = |part: &str| !part.is_empty() && part.chars().any(|it| it != '.');
    if template.len() > TEMPLATE_BYTES_MAX || !plain.split('/').all(is_part) {
        return Some("has at most 128 bytes and no empty part between slashes");
    }
    // Else they would be looked for among objects, or objects among them.
    template.starts_with('_').then_some("must not begin with _, as the folder of manifests does")
}

fn hour(record: &LogRecord) -> u64 {
    record.time_unix_ns.unwrap_or(record.observed_unix_ns) / HOUR_NS
}

/// `text` as a part of a key between slashes: letters, digits, `-`, `_` and `.`. When anything had to
/// change it ends in a hash, so that no two values become one.
#[must_use]
pub(super) fn key_value(text: &str) -> String {
    let is_kept = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let kept = |it: char| if is_kept(it) { it } else { '_' };
    let name: String = text.chars().map(kept).take(VALUE_BYTES_MAX).collect();
    // A path of dots alone means something else to whoever unpacks it.
    if name == text && !name.is_empty() && !name.chars().all(|it| it == '.') {
        return name;
    }
    let hash = Sha256::digest(text.as_bytes());
    let hash: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let head: String = name.chars().take(VALUE_BYTES_MAX - hash.len() - 1).collect();
    format!("{head}-{hash}")
}

/// Records of a batch that follow each other and share a partition, and what they account for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which records.
    pub(super) records: Range<usize>,
    /// What of the file.
    pub(super) covers: Option<Coverage>,
}

/// Records in pieces. Together they cover what `covers` says: each piece up to where the next one
/// begins.
#[must_use]
pub(super) fn pieces(records: &[LogRecord], covers: Option<Coverage>) -> Vec<Piece> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    let mut rest = covers;
    while start < records.len() {
        let is_same = |record: &&LogRecord| hour(record) == hour(&records[start]);
        let end = start + records[start..].iter().take_while(is_same).count();
        let covered = rest.map(|whole| {
            // Behind the frames of a container, offsets may go back.
            let next = records.get(end).map(|record| record.offset);
            let to = next.map_or(whole.to, |next| next.clamp(whole.from, whole.to));
            rest = Some(Coverage { from: to, to: whole.to, n_dropped: 0 });
            Coverage { to, ..whole }
        });
        pieces.push(Piece { records: start..end, covers: covered });
        start = end;
    }
    if pieces.is_empty() && rest.is_some_and(|covers| covers.from < covers.to) {
        pieces.push(Piece { records: 0..0, covers: rest });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::{HOUR_NS, Partition, VALUE_BYTES_MAX, key_value, pieces, wrong};
    use crate::export::s3::Config;
    use crate::model::{Coverage, Engine, LogRecord, Resource};
    use proptest::prelude::*;
    use redaction::Redactor;

    #[test]
    fn a_folder_names_engine_job_day_and_hour() {
        let resource = Resource {
            engine: Some(Engine::Spark),
            job_name: Some(Redactor::new().value("nightly")),
            ..Resource::default()
        };
        let time_unix_ns = Some(1_795_785_000_000_000_000);
        let record = LogRecord { time_unix_ns, ..LogRecord::default() };
        let partition = Partition::of(&resource, &record);
        let hive = Config::default().folder;
        assert_eq!(partition.folder(&hive), "engine=spark/job_name=nightly/dt=2026-11-27/hour=13");
        let flat = "logs/{year}/{month}/{day}/{job_name}-{run_id}";
        assert_eq!(partition.folder(flat), "logs/2026/11/27/nightly-unknown");
        let observed = LogRecord { observed_unix_ns: 1, ..LogRecord::default() };
        let unknown = Partition::of(&Resource::default(), &observed);
        assert_eq!(unknown.folder(&hive), "engine=unknown/job_name=unknown/dt=1970-01-01/hour=00");
    }

    #[test]
    fn a_template_fills_in_what_it_names_and_nothing_else() {
        assert_eq!(wrong(&Config::default().folder), None);
        assert_eq!(wrong("{engine}/{run_id}"), None);
        for template in
            ["", "/a", "a//b", "a/", "{user}", "a/../b", "_manifests/{date}", "a b", "{"]
        {
            assert!(wrong(template).is_some(), "{template}");
        }
        assert!(wrong(&"a".repeat(129)).is_some());
    }

    proptest! {
        #[test]
        fn every_value_may_stand_in_a_key_and_two_jobs_share_none(
            one in ".{0,300}", other in ".{0,300}",
        ) {
            let keys = [key_value(&one), key_value(&other)];
            for key in &keys {
                let is_allowed = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
                prop_assert!(key.chars().all(is_allowed), "{}", key);
                prop_assert!((1..=VALUE_BYTES_MAX).contains(&key.len()));
                prop_assert!(key != "." && key != "..");
            }
            prop_assert_eq!(one == other, keys[0] == keys[1]);
        }

        #[test]
        fn pieces_have_every_record_once_and_cover_the_batch_without_a_gap(
            hours in prop::collection::vec(0..3_u64, 0..20),
            offsets in prop::collection::vec(0..200_u64, 20),
        ) {
            let record = |(hour, offset): (&u64, &u64)| LogRecord {
                observed_unix_ns: hour * HOUR_NS,
                offset: *offset,
                ..LogRecord::default()
            };
            let records: Vec<_> = hours.iter().zip(&offsets).map(record).collect();
            let pieces = pieces(&records, Some(Coverage { from: 50, to: 150, n_dropped: 3 }));
            let (mut next, mut at, mut n_dropped) = (0, 50, 0);
            for piece in &pieces {
                prop_assert_eq!(piece.records.start, next);
                next = piece.records.end;
                let covers = piece.covers.unwrap();
                prop_assert_eq!(covers.from, at);
                prop_assert!(covers.to >= at);
                (at, n_dropped) = (covers.to, n_dropped + covers.n_dropped);
            }
            prop_assert_eq!((next, at, n_dropped), (hours.len(), 150, 3));
        }
    }
}
