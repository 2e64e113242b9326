//! Changes of the config while records come, and a folder that a policy denies.

use super::bed::{Archive, objects};
use super::door::Rule;
use super::outages::check_complete;
use crate::harness::bed::LIMIT;
use crate::harness::writer::{Pump, Writer};
use crate::harness::{http, wait};
use std::fs::File;
use std::io::Write;

#[test]
fn changes_of_the_config_lose_nothing_and_repeat_nothing() {
    let Some(mut archive) = Archive::new(&["app.log"]) else { return };
    archive.set("object_age", "\"1s\"");
    archive.start();
    let pump = Pump::start(Writer::open("w", &archive.bed.log("app.log")), 300);
    for object_bytes in ["64KiB", "128KiB", "64KiB", "16MiB"] {
        let n_lines = pump.n_written();
        archive.bed.wait_for("w", n_lines + 100);
        archive.set("object_bytes", &format!("{object_bytes:?}"));
        archive.reload();
    }
    let n_lines = pump.stop();
    archive.bed.wait_for("w", n_lines);
    archive.wait_until_settled();
    archive.bed.stop();
    check_complete(&archive, n_lines);
}

#[test]
fn a_folder_that_a_policy_denies_holds_up_no_other_and_is_told() {
    let Some(mut archive) = Archive::new(&["*.log"]) else { return };
    archive.set("object_age", "\"1s\"");
    archive.set("folder", "\"{hour}-of-{date}/{engine}\"");
    archive.start();
    archive.door.set(Rule::Deny("06-of-2026-11-22"));
    Writer::open("w", &archive.bed.log("w.log")).write(100);
    let port = archive.bed.port();
    let ready = || http::get(port, "/readyz").unwrap();
    wait::until("somebody has to act", LIMIT, || {
        let answer = ready();
        (answer.status == 503 && answer.body.contains("archive_not_sent:s3")).then_some(())
    });
    assert!(archive.bed.own_log().contains("AccessDenied"), "{}", archive.bed.own_log());
    // Of another hour, and behind them.
    let mut other = File::create(archive.bed.log("v.log")).unwrap();
    for number in 0..10 {
        writeln!(other, "26/11/22 07:26:22 INFO Writer: line =v:{number}= x").unwrap();
    }
    archive.bed.wait_for_metric("sidelight_s3_records_total", "", |n| n == 10.0);
    assert_eq!(ready().status, 503, "the first ones wait");
    archive.door.set(Rule::Pass);
    archive.bed.wait_for_metric("sidelight_s3_records_total", "", |n| n == 110.0);
    wait::until("it is well", LIMIT, || (ready().status == 200).then_some(()));
    archive.bed.stop();
    check_complete(&archive, 100);
    let folder = archive.bed.scratch.join("restored");
    let found = objects(&folder);
    let is_there = |hour: &str| found.iter().any(|path| path.starts_with(folder.join(hour)));
    assert!(is_there("06-of-2026-11-22") && is_there("07-of-2026-11-22"), "{found:?}");
}
