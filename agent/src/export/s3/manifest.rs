//! What an archive says of itself: objects with their hashes, and which bytes of which file they hold.
//! `sidelight archive verify` reads the same.

use crate::model::LogBatch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Folder of all manifests. Athena and Hive do not look into one whose name begins so.
pub const FOLDER: &str = "_manifests";
/// Of this format.
pub const VERSION: u32 = 1;
/// Objects of one manifest; then a next one begins, as the whole is sent again with each object.
const OBJECTS_MAX: usize = 256;
/// Ranges of files in all of them, for the same reason.
const RANGES_MAX: usize = 16_384;

/// What one agent has archived of one run, or a part of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// Which agent: 16 hex digits that stand in its state folder.
    pub instance: String,
    /// Name of the job.
    pub job_name: String,
    /// Which run of it.
    pub run_id: String,
    /// Number of the first object, or else one that no object has; it orders the manifests of a run.
    pub number: u64,
    /// Number of the manifest of this run that goes before.
    pub continues: Option<u64>,
    /// True when another manifest of this run follows.
    pub continued: bool,
    /// True when the agent has ended in order and nothing of the run was left to archive.
    pub complete: bool,
    /// Oldest first.
    pub objects: Vec<Object>,
}

/// One object.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Of the segment that it was made of; no other one of this agent has it.
    pub number: u64,
    /// Key below the prefix; none when the policy of redaction has dropped all records, and there is
    /// no object.
    pub key: Option<String>,
    /// Lines in it.
    pub records: u64,
    /// Bytes of those lines.
    pub bytes: u64,
    /// Bytes of the object.
    pub compressed_bytes: u64,
    /// SHA-256 of the object, 64 hex digits.
    pub sha256: String,
    /// What it holds of which file.
    pub files: Vec<FilePart>,
    /// Bytes that were to become lines of it and that the disk of the agent has damaged.
    #[serde(default)]
    pub damaged_bytes: u64,
}

/// What an object holds of one file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// As in the records.
    pub file_id: String,
    /// Path, redacted.
    pub path: String,
    /// Lines.
    pub records: u64,
    /// Records in the ranges that a policy of redaction has dropped.
    pub dropped: u64,
    /// Lowest and highest offset of a line.
    pub offsets: Option<(u64, u64)>,
    /// Bytes of the file that the lines account for, from and to, ascending.
    pub ranges: Vec<(u64, u64)>,
    /// Bytes of the file that the agent has archived in another bucket or below another prefix, before
    /// its config changed.
    #[serde(default)]
    pub elsewhere: Vec<(u64, u64)>,
}

impl Manifest {
    /// An empty one.
    #[must_use]
    pub(super) fn new(instance: &str, job_name: &str, run_id: &str, number: u64) -> Self {
        Self {
            version: VERSION,
            instance: instance.to_owned(),
            job_name: job_name.to_owned(),
            run_id: run_id.to_owned(),
            number,
            continues: None,
            continued: false,
            complete: false,
            objects: Vec::new(),
        }
    }

    /// Its key below the prefix.
    #[must_use]
    pub(super) fn key(&self) -> String {
        use super::partition::key_value;
        let (job, run) = (key_value(&self.job_name), key_value(&self.run_id));
        format!("{FOLDER}/job_name={job}/{run}-{}-{:012}.json", self.instance, self.number)
    }

    /// True when no more objects go into it.
    #[must_use]
    pub(super) fn is_full(&self) -> bool {
        let ranges: usize = self.objects.iter().map(Object::n_ranges).sum();
        self.objects.len() >= OBJECTS_MAX || ranges >= RANGES_MAX
    }

    /// Adds an object, or replaces that of the same segment: a crash may repeat it.
    pub(super) fn add(&mut self, object: Object) {
        self.objects.retain(|it| it.number != object.number);
        self.objects.push(object);
        self.complete = false;
    }
}

impl Object {
    fn n_ranges(&self) -> usize {
        self.files.iter().map(|file| file.ranges.len().max(1)).sum()
    }
}

/// Gathers what the batches of an object hold of which file.
#[derive(Debug, Default)]
pub(super) struct FileParts(BTreeMap<String, FilePart>);

impl FileParts {
    /// Adds a batch.
    pub(super) fn note(&mut self, logs: &LogBatch) {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let file_id = text(logs.resource.file_id.as_deref());
        let part = self.0.entry(file_id.clone()).or_insert_with(|| FilePart {
            file_id,
            path: text(logs.resource.file.as_deref()),
            ..FilePart::default()
        });
        part.records += logs.records.len() as u64;
        for record in &logs.records {
            let (low, high) = part.offsets.unwrap_or((record.offset, record.offset));
            part.offsets = Some((low.min(record.offset), high.max(record.offset)));
        }
        let Some(covers) = logs.covers else { return };
        part.dropped += covers.n_dropped;
        match part.ranges.last_mut() {
            _ if covers.from >= covers.to => {}
            Some((_, to)) if *to == covers.from => *to = covers.to,
            _ => part.ranges.push((covers.from, covers.to)),
        }
    }

    /// All of them.
    #[must_use]
    pub(super) fn finish(self) -> Vec<FilePart> {
        let mut parts: Vec<_> = self.0.into_values().collect();
        // What a failed disk has left open comes behind what follows it.
        parts.iter_mut().for_each(|part| part.ranges.sort_unstable());
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::{FileParts, Manifest, OBJECTS_MAX, Object};
    use crate::model::{Coverage, LogBatch, LogRecord};
    use redaction::Text;
    use std::sync::Arc;

    fn batch(from: u64, to: u64) -> LogBatch {
        let records = vec![LogRecord { offset: from, ..LogRecord::default() }];
        let covers = Some(Coverage { from, to, n_dropped: 1 });
        LogBatch { resource: Arc::default(), text: Text::default(), records, covers }
    }

    #[test]
    fn ranges_that_join_become_one() {
        let mut parts = FileParts::default();
        for (from, to) in [(0, 10), (10, 20), (20, 20), (30, 40)] {
            parts.note(&batch(from, to));
        }
        let parts = parts.finish();
        assert_eq!(parts[0].ranges, [(0, 20), (30, 40)]);
        assert_eq!((parts[0].records, parts[0].dropped, parts[0].offsets), (4, 4, Some((0, 30))));
    }

    #[test]
    fn an_object_that_comes_again_takes_its_own_place() {
        let mut manifest = Manifest::new("i", "j", "r", 7);
        // Those of which the policy has dropped everything have no key.
        let object = |number, records| Object { number, records, ..Object::default() };
        (0..OBJECTS_MAX as u64).for_each(|number| manifest.add(object(number, 1)));
        manifest.complete = true;
        assert!(manifest.is_full());
        manifest.add(object(3, 2));
        assert_eq!(manifest.objects.len(), OBJECTS_MAX);
        assert_eq!(manifest.objects.last().map(|it| it.records), Some(2));
        assert!(!manifest.complete, "there was more to come");
        assert_eq!(manifest.key(), "_manifests/job_name=j/r-i-000000000007.json");
    }
}
