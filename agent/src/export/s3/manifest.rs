//! What an archive says of itself: objects with their hashes, and which bytes of which file they hold.
//! `sidelight archive verify` reads the same.

use super::partition::Partition;
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
    /// Number of the first object; it orders the manifests of a run.
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
}

impl Manifest {
    /// An empty one of the run of `partition`.
    #[must_use]
    pub(super) fn new(instance: &str, partition: &Partition, number: u64) -> Self {
        Self {
            version: VERSION,
            instance: instance.to_owned(),
            job_name: partition.job_name.clone(),
            run_id: partition.run_id.clone(),
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

    /// Adds an object, or replaces the one of the same key: a crash may repeat it.
    pub(super) fn add(&mut self, object: Object) {
        self.objects.retain(|it| it.key.is_none() || it.key != object.key);
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
        self.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{FileParts, Manifest, OBJECTS_MAX, Object};
    use crate::export::s3::partition::Partition;
    use crate::model::{Coverage, LogBatch, LogRecord, Resource};
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
        let partition = Partition::of(&Resource::default(), &LogRecord::default());
        let mut manifest = Manifest::new("i", &partition, 7);
        let object = |key: usize, records| Object {
            key: Some(key.to_string()),
            records,
            ..Object::default()
        };
        (0..OBJECTS_MAX).for_each(|key| manifest.add(object(key, 1)));
        manifest.complete = true;
        assert!(manifest.is_full());
        manifest.add(object(3, 2));
        assert_eq!(manifest.objects.len(), OBJECTS_MAX);
        assert_eq!(manifest.objects.last().map(|it| it.records), Some(2));
        assert!(!manifest.complete, "there was more to come");
        assert_eq!(manifest.key(), "_manifests/job_name=unknown/unknown-i-000000000007.json");
    }
}
