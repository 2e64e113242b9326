//! A: which file is which, over restarts, with inodes that come again.

use super::{create_with_inode, inode};
use crate::harness::bed::{Bed, run};
use crate::harness::report::say;
use crate::harness::wait;
use crate::harness::writer::{Writer, line};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

#[test]
fn a1_a_new_file_with_the_inode_of_an_old_checkpoint_is_read() {
    let mut bed = Bed::new(&["*.log"]);
    let mut old = Writer::open("old", &bed.log("a.log"));
    old.write(8_000);
    bed.start();
    bed.wait_for("old", 8_000);
    bed.stop();
    let number = inode(&bed.log("a.log"));
    drop(old);
    fs::remove_file(bed.log("a.log")).unwrap();
    if !create_with_inode(&bed.log("b.log"), number) {
        return say("a1: skipped; this file system does not give an inode again soon");
    }
    let mut new = Writer::open("new", &bed.log("b.log"));
    new.write(10);
    bed.start();
    bed.wait_for("new", 10);
    // Where the old offset would be: nothing more is skipped.
    new.write(9_000);
    bed.wait_for("new", 9_010);
    bed.stop();
    bed.expect_all("new", 9_010);
    bed.expect_no_duplicates();
}

#[test]
fn a2_inodes_that_come_again_while_running_lose_nothing() {
    let mut bed = Bed::new(&["*.log"]);
    bed.start();
    for round in 0..15 {
        let paths: Vec<_> = (0..14).map(|n| bed.log(&format!("{round}-{n}.log"))).collect();
        for (n, path) in paths.iter().enumerate() {
            Writer::open(&format!("w{round}-{n}"), path).write(20);
        }
        for n in 0..paths.len() {
            bed.wait_for(&format!("w{round}-{n}"), 20);
        }
        for path in &paths {
            fs::remove_file(path).unwrap();
        }
    }
    bed.stop();
    for (round, n) in (0..15).flat_map(|round| (0..14).map(move |n| (round, n))) {
        bed.expect_all(&format!("w{round}-{n}"), 20);
    }
    bed.expect_no_duplicates();
}

#[test]
fn a3_checkpoints_of_deleted_files_do_not_pile_up() {
    let mut bed = Bed::new(&["*.log"]);
    let mut sizes = Vec::new();
    for round in 0..4 {
        for n in 0..250 {
            Writer::open(&format!("w{round}-{n}"), &bed.log(&format!("{n}.log"))).write(2);
        }
        bed.once();
        for n in 0..250 {
            bed.expect_all(&format!("w{round}-{n}"), 2);
            fs::remove_file(bed.log(&format!("{n}.log"))).unwrap();
        }
        sizes.push(bed.state_files().iter().map(|path| fs::metadata(path).unwrap().len()).max());
    }
    bed.expect_no_duplicates();
    let (first, last) = (sizes[0].unwrap(), sizes[3].unwrap());
    assert!(last < first * 3 / 2, "the state grew with every round: {sizes:?}");
}

#[test]
fn a6_files_that_begin_alike_are_all_read() {
    let mut bed = Bed::new(&["app.log"]);
    let banner = "26/11/22 06:26:22 INFO Jvm: banner -Xmx4g -XX:+UseG1GC\n".repeat(80);
    let log = bed.log("app.log");
    fs::write(&log, &banner).unwrap();
    let mut writer = Writer::open("w", &log);
    bed.start();
    for round in 0..12 {
        writer.write(50);
        bed.wait_for("w", writer.next);
        fs::rename(&log, bed.log(&format!("app.log.{round}"))).unwrap();
        fs::write(&log, &banner).unwrap();
        writer.reopen();
    }
    writer.write(50);
    bed.wait_for("w", writer.next);
    bed.stop();
    bed.expect_all("w", writer.next);
    bed.expect_no_duplicates();
    let n_banners = bed.bodies().iter().filter(|body| body.contains("banner")).count();
    assert_eq!(n_banners, 13 * 80);
}

#[test]
fn a7_two_live_files_with_equal_heads_are_two_files() {
    let mut bed = Bed::new(&["*.log"]);
    let head = "26/11/22 06:26:22 INFO Jvm: banner of both\n".repeat(1_500);
    for name in ["messages", "syslog"] {
        fs::write(bed.log(&format!("{name}.log")), &head).unwrap();
    }
    let open = |bed: &Bed, name: &str| Writer::open(name, &bed.log(&format!("{name}.log")));
    let mut writers = [open(&bed, "messages"), open(&bed, "syslog")];
    for _ in 0..3 {
        writers.iter_mut().for_each(|writer| writer.write(100));
        bed.start();
        writers.iter_mut().for_each(|writer| writer.write(100));
        for (name, writer) in ["messages", "syslog"].iter().zip(&writers) {
            bed.wait_for(name, writer.next);
        }
        bed.stop();
    }
    bed.expect_all("messages", 600);
    bed.expect_all("syslog", 600);
    bed.expect_no_duplicates();
    let n_banners = bed.bodies().iter().filter(|body| body.contains("banner")).count();
    assert_eq!(n_banners, 2 * 1_500);
}

#[test]
fn a9_the_smallest_files_are_read() {
    let mut bed = Bed::new(&["*.log"]);
    fs::write(bed.log("one.log"), "x").unwrap();
    fs::write(bed.log("ten.log"), "0123456789").unwrap();
    fs::write(bed.log("line.log"), "y\n").unwrap();
    super::age(&bed.log("one.log"));
    super::age(&bed.log("ten.log"));
    bed.once();
    let mut bodies = bed.bodies();
    bodies.sort();
    assert_eq!(bodies, ["0123456789", "x", "y"]);
}

#[test]
fn a26_a_mount_that_comes_back_as_another_device_repeats_nothing() {
    let mut bed = Bed::new(&["mnt/*.log"]);
    let (image, folder) = (bed.scratch.join("image"), bed.log("mnt"));
    fs::create_dir(&folder).unwrap();
    let Some(mounted) = Mounted::new(&image, &folder) else {
        return say("a26: skipped; it needs root, mkfs.ext4 and loop devices");
    };
    let mut writer = Writer::open("w", &bed.log("mnt/app.log"));
    writer.write(100);
    bed.start();
    bed.wait_for("w", 100);
    bed.stop();
    writer.write(50);
    drop(writer);
    let device = std::os::unix::fs::MetadataExt::dev(&fs::metadata(&folder).unwrap());
    drop(mounted);
    // A file of its own device is mounted in between, so that the number of the first is taken.
    let (other_image, other_folder) = (bed.scratch.join("other"), bed.scratch.join("other-mnt"));
    fs::create_dir(&other_folder).unwrap();
    let _other = Mounted::new(&other_image, &other_folder).unwrap();
    let _mounted = Mounted::new(&image, &folder).unwrap();
    let now = std::os::unix::fs::MetadataExt::dev(&fs::metadata(&folder).unwrap());
    assert_ne!(device, now, "the mount has another device number");
    bed.start();
    bed.wait_for("w", 150);
    bed.stop();
    bed.expect_all("w", 150);
    bed.expect_no_duplicates();
}

/// An ext4 file system in a file.
struct Mounted<'p>(&'p Path);

impl<'p> Mounted<'p> {
    fn new(image: &Path, folder: &'p Path) -> Option<Self> {
        let [image_text, folder_text] = [image, folder].map(|path| path.to_str().unwrap());
        let works = |program: &str, arguments: &[&str]| {
            let output = std::process::Command::new(program).args(arguments).output();
            output.is_ok_and(|output| output.status.success())
        };
        if !image.exists() {
            File::create(image).unwrap().set_len(8 << 20).unwrap();
            if !works("/usr/sbin/mkfs.ext4", &["-q", image_text]) {
                return None;
            }
        }
        works("mount", &["-o", "loop", image_text, folder_text]).then_some(Self(folder))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        run("umount", &[self.0.to_str().unwrap()], Path::new("/"));
    }
}

#[test]
fn a27_two_files_of_one_moment_keep_their_own_offsets() {
    let mut bed = Bed::new(&["*.log"]);
    bed.start();
    Writer::open("long", &bed.log("long.log")).write(3_000);
    Writer::open("short", &bed.log("short.log")).write(3);
    bed.wait_for("long", 3_000);
    bed.wait_for("short", 3);
    bed.stop();
    for (name, first, n_lines) in [("long", 3_000, 10), ("short", 3, 4_000)] {
        let mut file = File::options().append(true).open(bed.log(&format!("{name}.log"))).unwrap();
        let text: String = (first..first + n_lines).map(|n| line(name, n)).collect();
        file.write_all(text.as_bytes()).unwrap();
    }
    bed.start();
    bed.wait_for("long", 3_010);
    bed.wait_for("short", 4_003);
    bed.stop();
    bed.expect_all("long", 3_010);
    bed.expect_all("short", 4_003);
    bed.expect_no_duplicates();
}

#[test]
fn a28_a_file_that_is_written_under_one_name_and_renamed_afterwards_is_read_once() {
    let mut bed = Bed::new(&["access*"]);
    bed.start();
    let mut next = 0;
    for round in 0..5 {
        let path = bed.log(&format!("access.{round}.tmp"));
        let mut writer = Writer::open("w", &path);
        writer.next = next;
        writer.write(200);
        bed.wait_for("w", next + 200);
        fs::rename(&path, bed.log(&format!("access.{round}"))).unwrap();
        // It is written on, and the next one is begun.
        writer.write(50);
        next = writer.next;
        wait::until("the file under its new name", Duration::from_secs(20), || {
            bed.tally.read(&bed.output());
            (bed.tally.n_distinct("w") >= next).then_some(())
        });
    }
    bed.stop();
    bed.expect_all("w", next);
    bed.expect_no_duplicates();
}
