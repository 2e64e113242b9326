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
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Read;

/// Longest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// A manifest, and its key.
type Read1 = (String, Manifest);
/// An agent, and a number of one of its manifests or segments.
type Numbered<'m> = (&'m str, u64);

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
    let newest = newest(&manifests);
    let mut coverages = Coverages::default();
    for (manifest_key, manifest) in &manifests {
        report.begin_run(manifest);
        for object in &manifest.objects {
            if newest.get(&(&*manifest.instance, object.number)) != Some(&manifest.number) {
                continue;
            }
            report.count(object);
            coverages.add(object);
            check_damage(manifest_key, object, &mut report);
            if let Some(key) = &object.key {
                check_object(source, key, object, &mut report);
            }
        }
    }
    coverages.check(&mut report);
    check_listed(&keys, &manifests, &newest, &mut report);
    Ok(report)
}

fn read_manifests(source: &Source, keys: &BTreeSet<String>, report: &mut Report) -> Vec<Read1> {
    let mut manifests = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(FOLDER)) {
        let read = source.patiently(|| {
            let mut bytes = Vec::new();
            source.open(key)?.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                report.problem(format!("unreadable: {key}: {error}"));
                continue;
            }
        };
        match serde_json::from_slice::<Manifest>(&bytes) {
            Ok(manifest) if manifest.version == VERSION => manifests.push((key.clone(), manifest)),
            Ok(manifest) => report.problem(format!(
                "corrupt: {key} is a manifest of version {}, this program reads {VERSION}",
                manifest.version
            )),
            Err(error) => report.problem(format!("corrupt: {key}: {error}")),
        }
    }
    manifests
}

/// Manifests of a run follow each other, and the last says that it is complete. Names of job and run
/// tell nothing of that: with other rules of redaction they are other ones.
fn check_sequence(manifests: &[Read1], report: &mut Report) {
    let all: HashSet<Numbered<'_>> =
        manifests.iter().map(|(_, it)| (&*it.instance, it.number)).collect();
    let before = |it: &Manifest| it.continues;
    let followed: HashSet<Numbered<'_>> =
        manifests.iter().filter_map(|(_, it)| Some((&*it.instance, before(it)?))).collect();
    for (key, it) in manifests {
        let run = format!("run {} of {}, agent {}", it.run_id, it.job_name, it.instance);
        if before(it).is_some_and(|before| !all.contains(&(&*it.instance, before))) {
            report.problem(format!("missing: the manifest that {key} continues; {run}"));
        }
        if followed.contains(&(&*it.instance, it.number)) {
            continue;
        }
        if it.continued {
            report.problem(format!("missing: the manifest that continues {key}; {run}"));
        } else if !it.complete {
            report.problem(format!(
                "not ended: {run}: the agent runs, or has not ended in order, or has lost or kept aside \
                 something, which its log says"
            ));
        }
    }
}

/// Which manifest tells what is true of each segment: after a crash two may name its object, and the
/// later one is right.
fn newest(manifests: &[Read1]) -> HashMap<Numbered<'_>, u64> {
    let mut newest = HashMap::new();
    for (_, manifest) in manifests {
        for object in &manifest.objects {
            let number = newest.entry((&*manifest.instance, object.number)).or_default();
            *number = manifest.number.max(*number);
        }
    }
    newest
}

/// Every object is in a manifest. One that was made of a segment whose object has another key now, as
/// rules of redaction or the compression have changed in between, is one too many.
fn check_listed(
    keys: &BTreeSet<String>,
    manifests: &[Read1],
    newest: &HashMap<Numbered<'_>, u64>,
    report: &mut Report,
) {
    let is_newest = |manifest: &Manifest, object: &Object| {
        newest.get(&(&*manifest.instance, object.number)) == Some(&manifest.number)
    };
    let listed: HashSet<&str> = manifests
        .iter()
        .flat_map(|(_, it)| it.objects.iter().filter(|object| is_newest(it, object)))
        .filter_map(|object| object.key.as_deref())
        .collect();
    for key in keys.iter().filter(|key| !key.starts_with(FOLDER) && !listed.contains(&***key)) {
        let name = key.rsplit('/').next().and_then(|name| name.split('.').next());
        let segment = name
            .and_then(|name| name.split_once('-'))
            .and_then(|(instance, number)| Some((instance, number.parse().ok()?)));
        if segment.is_some_and(|segment| newest.contains_key(&segment)) {
            report.note(format!(
                "{key} was made before a crash or a change of the config, and another object has its \
                 records: it can be deleted"
            ));
        } else {
            report.problem(format!("unlisted: {key} is in no manifest"));
        }
    }
}

/// What the agent says of what it could not archive.
fn check_damage(manifest: &str, object: &Object, report: &mut Report) {
    if object.damaged_bytes > 0 {
        let key = object.key.as_deref().unwrap_or(manifest);
        report.problem(format!(
            "damaged: {} bytes that were to become lines of {key} could not be read; the agent keeps \
             them aside in its state folder, as s3/*.damaged",
            object.damaged_bytes
        ));
    }
}

/// The object is there, and is what its manifest says.
fn check_object(source: &Source, key: &str, object: &Object, report: &mut Report) {
    let found = match source.patiently(|| object::read(key, source.open(key)?)) {
        Ok(found) => found,
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
