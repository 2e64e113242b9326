//! Folders of YARN containers, which vanish with everything in them when the application ends.

use crate::harness::bed::Bed;
use crate::harness::writer::Writer;
use std::fs;

#[test]
fn folders_that_vanish_with_unread_lines_lose_nothing() {
    let mut bed = Bed::new(&["application_*/container_*/std*"]);
    bed.start();
    for round in 0..3 {
        let folder = bed.log(&format!("application_1700000000000_{round:04}"));
        let mut writers = Vec::new();
        for container in 0..4 {
            let home = folder.join(format!("container_1700000000000_{round:04}_01_{container:06}"));
            fs::create_dir_all(&home).unwrap();
            let name = format!("w{round}-{container}");
            writers.push((Writer::open(&name, &home.join("stderr")), name));
        }
        for (writer, _) in &mut writers {
            writer.write(50);
        }
        for (_, name) in &writers {
            bed.wait_for(name, 40);
        }
        // The last words, and the node manager cleans up.
        for (writer, _) in &mut writers {
            writer.write(200);
        }
        fs::remove_dir_all(&folder).unwrap();
        for (_, name) in &writers {
            bed.wait_for(name, 250);
        }
    }
    bed.stop();
    for (round, container) in (0..3).flat_map(|round| (0..4).map(move |n| (round, n))) {
        bed.expect_all(&format!("w{round}-{container}"), 250);
    }
    bed.expect_no_duplicates();
}
