//! What is told of manifests; objects are in the tests of the exporter and on moto.

use super::{Source, verify};
use crate::export::s3::manifest::{FilePart, Manifest, Object, VERSION};
use std::fs;
use std::path::Path;

fn manifest(number: u64, objects: Vec<Object>) -> Manifest {
    Manifest {
        version: VERSION,
        instance: "i".to_owned(),
        job_name: "j".to_owned(),
        run_id: "r".to_owned(),
        number,
        continues: None,
        continued: false,
        complete: true,
        objects,
    }
}

/// What is known of a segment of which the policy has dropped all records.
fn dropped(from: u64, to: u64) -> Object {
    let (file_id, path) = ("1".to_owned(), "a.log".to_owned());
    let ranges = vec![(from, to)];
    let files = vec![FilePart { file_id, path, dropped: 1, ranges, ..FilePart::default() }];
    Object { number: from, files, ..Object::default() }
}

fn put(folder: &Path, manifest: &Manifest) {
    let path = folder.join(format!("_manifests/{}.json", manifest.number));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, serde_json::to_vec(manifest).unwrap()).unwrap();
}

#[track_caller]
fn check(manifests: &[Manifest], want: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    manifests.iter().for_each(|manifest| put(folder.path(), manifest));
    let report = verify(&Source::Folder(folder.path().to_owned())).unwrap();
    assert_eq!(report.problems().len(), want.len(), "{report}");
    for (problem, want) in report.problems().iter().zip(want) {
        assert!(problem.contains(want), "{problem} is not {want}");
    }
}

#[test]
fn manifests_of_a_run_follow_each_other_to_one_that_is_complete() {
    let first = Manifest { continued: true, complete: false, ..manifest(1, vec![dropped(0, 5)]) };
    let second = Manifest { continues: Some(1), ..manifest(2, vec![dropped(5, 9)]) };
    check(&[first.clone(), second.clone()], &[]);
    check(
        std::slice::from_ref(&first),
        &["missing: the manifest that continues _manifests/1.json"],
    );
    let gap = "gap: bytes 0 to 5 of a.log";
    check(
        std::slice::from_ref(&second),
        &["missing: the manifest that _manifests/2.json continues", gap],
    );
    let open = Manifest { complete: false, ..second };
    check(&[first, open], &["not ended: run r of j, agent i"]);
    check(&[], &["there is no manifest"]);
}

#[test]
fn an_object_that_a_later_manifest_has_again_counts_once() {
    // Also one that has no key, as all of its records were dropped.
    for key in [None, Some("x".to_owned())] {
        let again = Object { key: key.clone(), ..dropped(0, 5) };
        let first = manifest(1, vec![again.clone()]);
        let second = Manifest { continues: Some(1), ..manifest(2, vec![again]) };
        let missing = ["missing: x is in a manifest and not there"];
        check(&[first, second], if key.is_some() { &missing } else { &[] });
    }
}

#[test]
fn manifests_of_a_run_that_other_rules_of_redaction_call_otherwise_belong_together() {
    let first = Manifest { complete: false, ..manifest(1, vec![dropped(0, 5)]) };
    let second = manifest(2, vec![dropped(5, 9)]);
    let second = Manifest { continues: Some(1), run_id: "[EMAIL]".to_owned(), ..second };
    check(&[first, second], &[]);
}

#[test]
fn an_object_whose_segment_has_another_one_is_told_and_one_that_nobody_knows_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), &manifest(1, vec![dropped(0, 5)]));
    let verified = || verify(&Source::Folder(folder.path().to_owned())).unwrap();
    fs::write(folder.path().join("i-000000000000.jsonl.gz"), "").unwrap();
    let report = verified();
    assert!(report.is_complete(), "{report}");
    assert!(
        report.to_string().contains("note: i-000000000000.jsonl.gz was made before"),
        "{report}"
    );
    fs::write(folder.path().join("i-000000000009.jsonl.gz"), "").unwrap();
    let unlisted = "unlisted: i-000000000009.jsonl.gz is in no manifest";
    assert_eq!(verified().problems(), [unlisted]);
}

#[test]
fn many_manifests_take_little_time() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3_000 {
        put(folder.path(), &manifest(number + 1, vec![dropped(number, number + 1)]));
    }
    let began = std::time::Instant::now();
    assert!(verify(&Source::Folder(folder.path().to_owned())).unwrap().is_complete());
    // Each with each other would be nine million.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn a_manifest_of_another_version_or_with_a_key_that_leads_elsewhere_is_told() {
    let other = Manifest { version: 2, ..manifest(1, vec![]) };
    check(&[other], &["of version 2, this program reads 1", "there is no manifest"]);
    for key in ["../secret.zst", "/etc/passwd"] {
        let object = Object { key: Some(key.to_owned()), ..dropped(0, 5) };
        check(&[manifest(1, vec![object])], &["leads out of the archive"]);
    }
}
