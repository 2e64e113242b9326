//! Whoever changes anything in an archive is told of it by `archive verify`.

use super::bed::{Archive, manifests, objects};
use crate::harness::writer::Writer;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
}

#[test]
fn every_change_of_an_archive_is_told() {
    let Some(mut archive) = Archive::new(&["app.log"]) else { return };
    archive.set("object_bytes", "\"64KiB\"");
    archive.set("object_age", "\"1s\"");
    let mut writer = Writer::open("w", &archive.bed.log("app.log"));
    archive.start();
    for n_objects in 1..4 {
        writer.write(100);
        let is_there = |n: f64| n >= f64::from(n_objects);
        archive.bed.wait_for_metric("sidelight_s3_objects_total", "", is_there);
    }
    archive.bed.stop();
    let whole = archive.download("whole");
    assert_eq!(archive.verify(&whole).0, 0);
    let check = |name: &str, change: &dyn Fn(&Path), want: &[&str]| {
        let folder = archive.bed.scratch.join(name);
        let copied = Command::new("cp").arg("-r").args([&whole, &folder]).status().unwrap();
        assert!(copied.success());
        change(&folder);
        let (code, told) = archive.verify(&folder);
        assert_eq!(code, 1, "{name}: {told}");
        for part in want {
            assert!(told.contains(part), "{name}: {part} is not in\n{told}");
        }
    };
    let second = |folder: &Path| objects(folder)[1].clone();
    check("deleted", &|it| fs::remove_file(second(it)).unwrap(), &["missing: engine="]);
    let flip = |folder: &Path| {
        let mut bytes = fs::read(second(folder)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(second(folder), bytes).unwrap();
    };
    check("changed", &flip, &["corrupt: engine=", "SHA-256"]);
    let swap = |folder: &Path| fs::copy(&objects(folder)[0], second(folder)).map(drop).unwrap();
    check("replaced", &swap, &["corrupt: engine=", "SHA-256", "its manifest says"]);
    let no_entry = |folder: &Path| {
        edit(&manifests(folder)[0], |it| drop(it["objects"].as_array_mut().unwrap().remove(1)));
    };
    check("entry", &no_entry, &["gap: bytes ", "unlisted: engine="]);
    let no_last = |folder: &Path| {
        edit(&manifests(folder)[0], |it| drop(it["objects"].as_array_mut().unwrap().pop()));
    };
    check("last_entry", &no_last, &["unlisted: engine="]);
    let twice = |folder: &Path| {
        edit(&manifests(folder)[0], |it| {
            it["objects"][1]["files"][0]["ranges"][0][0] = 5.into();
        });
    };
    check("range", &twice, &["overlap: bytes 5 to "]);
    let open = |folder: &Path| edit(&manifests(folder)[0], |it| it["complete"] = false.into());
    check("open", &open, &["not ended: run "]);
    let no_manifest = |folder: &Path| fs::remove_file(&manifests(folder)[0]).unwrap();
    check("manifest", &no_manifest, &["there is no manifest", "unlisted: engine="]);
    let half = |folder: &Path| fs::write(&manifests(folder)[0], "{\"version\":1").unwrap();
    check("torn", &half, &["corrupt: _manifests/"]);
    assert_eq!(archive.verify(&archive.bed.scratch.join("nowhere")).0, 2);
}
