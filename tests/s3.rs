//! The archive on moto: what is restored with stock tools, what survives kills and outages, and what
//! `archive verify` tells of an archive that somebody changed.

mod bed;
mod changes;
mod door;
mod outages;
mod real_spark;
mod tampering;

use crate::harness::scratch::fixture;
use bed::{Archive, lines_of};
use std::fs;

/// Lines that the file exporter has written, and those of the archive, both sorted: the same records go
/// through the same encoder, so every byte is the same.
#[track_caller]
fn check_restored(archive: &mut Archive) {
    let folder = archive.download("restored");
    let restored = lines_of(&archive.unpack(&folder));
    let mut written = lines_of(&fs::read(archive.bed.output()).unwrap());
    let mut restored_sorted = restored.clone();
    restored_sorted.sort();
    written.sort();
    assert!(!written.is_empty());
    assert_eq!(restored_sorted.len(), written.len());
    assert!(restored_sorted == written, "an archived line is not the one that was written");
}

fn archive_of_real_logs(compression: &str) {
    let Some(mut archive) = Archive::new(&["**"]) else { return };
    let (mut n_files, mut n_bytes) = (0, 0);
    for entry in fs::read_dir(fixture("logs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        fs::copy(&path, archive.bed.log(&name)).unwrap();
        n_files += 1;
        n_bytes += path.metadata().unwrap().len();
    }
    archive.set("compression", &format!("{compression:?}"));
    archive.set("tags", "{ team = \"etl + co=x\" }");
    archive.set("storage_class", "\"STANDARD_IA\"");
    archive.start();
    archive.wait_until_read(n_bytes);
    archive.bed.stop();
    check_restored(&mut archive);
    let (code, told) = archive.verify_bucket();
    assert_eq!(code, 0, "{told}");
    let (code, told) = archive.verify(&archive.bed.scratch.join("restored"));
    assert_eq!(code, 0, "{told}");
    assert!(told.ends_with("complete\n"), "{told}");
    // Every byte of every file is accounted for.
    let parts = archive.parts(&archive.bed.scratch.join("restored"));
    let covered: u64 = parts.iter().map(|(_, from, to)| to - from).sum();
    assert_eq!((parts.len() >= n_files, covered), (true, n_bytes));
    let told = archive.boto(
        "o = s3.list_objects_v2(Bucket=BUCKET, Prefix='logs/spark/engine=')['Contents'][0]\n\
         h = s3.head_object(Bucket=BUCKET, Key=o['Key'])\n\
         t = s3.get_object_tagging(Bucket=BUCKET, Key=o['Key'])['TagSet']\n\
         print(h['ContentType'], h['StorageClass'], t[0]['Key'], t[0]['Value'])",
    );
    let kind = if compression == "zstd" { "zstd" } else { "gzip" };
    assert_eq!(told.trim(), format!("application/{kind} STANDARD_IA team etl + co=x"));
}

#[test]
fn real_logs_are_restored_line_by_line_with_zstd() {
    archive_of_real_logs("zstd");
}

#[test]
fn real_logs_are_restored_line_by_line_with_gzip() {
    archive_of_real_logs("gzip");
}

#[test]
fn check_online_says_what_the_bucket_allows() {
    let Some(mut archive) = Archive::new(&["*.log"]) else { return };
    let (code, told) = archive.check_online();
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("ok: bucket archive is there"), "{told}");
    // moto has no good answer to a part of no upload; S3 says NoSuchUpload or AccessDenied.
    assert!(told.contains("note: whether s3:PutObject is allowed on logs/spark/"), "{told}");
    assert!(told.contains("ok: s3:ListBucketMultipartUploads is allowed"), "{told}");
    archive.set("bucket", "\"nobody-has-it\"");
    let (code, told) = archive.check_online();
    assert_eq!(code, 69, "{told}");
    assert!(told.contains("FAILED: bucket nobody-has-it is not there"), "{told}");
}
