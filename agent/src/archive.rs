//! `sidelight archive verify`: proves that an archive on S3, or a copy of it in a folder, is complete.
//!
//! Reads every manifest and every object, one after the other. Memory holds the manifests and the
//! names of the objects.

mod coverage;
mod object;
mod report;
mod source;

pub use report::Report;
pub use source::{PlaceError, Source};

use crate::export::s3::manifest::{FOLDER, Manifest, Object, VERSION};
use coverage::Coverages;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Longest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// A manifest, and its key.
type Read1 = (String, Manifest);

/// Reads all that is in `source` and says what is wrong.
///
/// # Errors
/// When it cannot be listed.
pub fn verify(source: &Source) -> Result<Report, PlaceError> {
    let mut report = Report::default();
    let keys = source.list()?;
    let mut manifests = read_manifests(source, &keys, &mut report);
    manifests.sort_by_cached_key(|(key, it)| {
        (it.job_name.clone(), it.run_id.clone(), it.instance.clone(), it.number, key.clone())
    });
    if manifests.is_empty() {
        report.problem(format!(
            "there is no manifest in {FOLDER}/: is this the prefix of an archive?"
        ));
    }
    check_sequence(&manifests, &mut report);
    let mut coverages = Coverages::default();
    let mut listed = BTreeSet::new();
    for (_, manifest) in &manifests {
        report.begin_run(manifest);
        for object in newest(manifest, &manifests) {
            report.count(object);
            coverages.add(object);
            if let Some(key) = &object.key {
                listed.insert(key.as_str());
                check_object(source, key, object, &mut report);
            }
        }
    }
    coverages.check(&mut report);
    let is_manifest = |key: &str| key.starts_with(FOLDER);
    for key in keys.iter().filter(|key| !is_manifest(key) && !listed.contains(key.as_str())) {
        report.problem(format!("unlisted: {key} is in no manifest"));
    }
    Ok(report)
}

fn read_manifests(source: &Source, keys: &BTreeSet<String>, report: &mut Report) -> Vec<Read1> {
    let mut manifests = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(FOLDER)) {
        let mut bytes = Vec::new();
        let read =
            source.open(key).and_then(|body| body.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes));
        let parsed = read.map_err(|error| error.to_string()).and_then(|_| {
            serde_json::from_slice::<Manifest>(&bytes).map_err(|error| error.to_string())
        });
        match parsed {
            Ok(manifest) if manifest.version == VERSION => manifests.push((key.clone(), manifest)),
            Ok(manifest) => report.problem(format!(
                "corrupt: {key} is a manifest of version {}, this program reads {VERSION}",
                manifest.version
            )),
            Err(reason) => report.problem(format!("corrupt: {key}: {reason}")),
        }
    }
    manifests
}

/// Manifests of a run follow each other, and the last says that it is complete.
fn check_sequence(manifests: &[Read1], report: &mut Report) {
    let mut runs: BTreeMap<(&str, &str, &str), Vec<&Read1>> = BTreeMap::new();
    for read in manifests {
        let it = &read.1;
        runs.entry((&it.job_name, &it.run_id, &it.instance)).or_default().push(read);
    }
    for ((job_name, run_id, instance), parts) in runs {
        let run = format!("run {run_id} of {job_name}, agent {instance}");
        for (key, part) in &parts {
            let before = part.continues;
            if before.is_some_and(|before| parts.iter().all(|(_, it)| it.number != before)) {
                report.problem(format!("missing: the manifest that {key} continues; {run}"));
            }
            let is_followed = parts.iter().any(|(_, it)| it.continues == Some(part.number));
            if part.continued && !is_followed {
                report.problem(format!("missing: the manifest that continues {key}; {run}"));
            }
        }
        if parts.last().is_some_and(|(_, last)| !last.complete && !last.continued) {
            report.problem(format!("not ended: {run}: the agent runs, or has not ended in order"));
        }
    }
}

/// Objects of a manifest but those that a later one of the same agent has again, after a crash.
fn newest<'m>(manifest: &'m Manifest, all: &'m [Read1]) -> impl Iterator<Item = &'m Object> {
    let later: Vec<&Manifest> = all
        .iter()
        .map(|(_, it)| it)
        .filter(|it| it.instance == manifest.instance && it.number > manifest.number)
        .filter(|it| it.continues == Some(manifest.number))
        .collect();
    let is_again = move |object: &&Object| {
        let is_same = |it: &Object| it.key.is_some() && it.key == object.key;
        !later.iter().any(|it| it.objects.first().is_some_and(is_same))
    };
    manifest.objects.iter().filter(is_again)
}

/// The object is there, and is what its manifest says.
fn check_object(source: &Source, key: &str, object: &Object, report: &mut Report) {
    let found = match source.open(key) {
        Ok(body) => object::read(key, body),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return report.problem(format!("missing: {key} is in a manifest and not there"));
        }
        Err(error) => return report.problem(format!("unreadable: {key}: {error}")),
    };
    if found.sha256 != object.sha256 {
        report.problem(format!(
            "corrupt: {key} has {} bytes and SHA-256 {}, its manifest says {} bytes and {}",
            found.compressed_bytes, found.sha256, object.compressed_bytes, object.sha256
        ));
    }
    if let Some(reason) = found.error {
        report.problem(format!("corrupt: {key}: {reason}"));
    }
    if (found.records, found.bytes) != (object.records, object.bytes) {
        report.problem(format!(
            "corrupt: {key} has {} records in {} bytes, its manifest says {} in {}",
            found.records, found.bytes, object.records, object.bytes
        ));
    }
    for part in &object.files {
        let lines = found.files.get(&part.file_id).copied().unwrap_or_default();
        if (lines.records, lines.offsets) != (part.records, part.offsets) {
            report.problem(format!(
                "corrupt: {key} has {} records of {} ({}) at {}, its manifest says {} at {}",
                lines.records,
                part.path,
                part.file_id,
                span(lines.offsets),
                part.records,
                span(part.offsets)
            ));
        }
        let low = part.ranges.first().map(|(from, _)| *from).zip(part.offsets);
        if low.is_some_and(|(from, (low, _))| low < from) {
            let (path, id) = (&part.path, &part.file_id);
            report
                .problem(format!("corrupt: {key} has records of {path} ({id}) before its ranges"));
        }
    }
    for file_id in found.files.keys() {
        if object.files.iter().all(|part| part.file_id != *file_id) {
            report.problem(format!(
                "corrupt: {key} has records of {file_id}, which its manifest lacks"
            ));
        }
    }
}

fn span(offsets: Option<(u64, u64)>) -> String {
    offsets.map_or("no offset".to_owned(), |(low, high)| format!("offsets {low} to {high}"))
}

#[cfg(test)]
mod tests;
