//! Two generations, damage of every kind, and the lock.

use super::{CURRENT, Generation, KEPT, LoadError, PREVIOUS, Problem, Store, TEMPORARY, load};
use crate::checkpoint::Damage;
use crate::checkpoint::{Checkpoint, Entry, Event};
use crate::model::FileId;
use crate::tail::fingerprint::{Digest, Inode};

fn checkpoint(path: &str) -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    let entry = Entry {
        path: path.into(),
        inode: Inode { device: 1, inode: u64::MAX },
        head: Digest::of(b"head"),
        offset: 7,
        frontier: Digest::of(b"frontier"),
        job_id: Some("app-1".to_owned()),
        job_name: None,
        seen_unix_s: 1_000,
        archive: None,
        is_ended: false,
    };
    checkpoint.apply(Event::Tracked(FileId(3), Box::new(entry)), 1_000);
    checkpoint
}

#[test]
fn what_is_written_is_read_back_and_expires_after_two_weeks() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, loaded) = Store::open(folder.path(), 1_000).unwrap();
    assert!(loaded.entries.is_empty() && !loaded.is_recovered);
    store.write(checkpoint("a.log").entries()).unwrap();
    drop(store);
    let (store, loaded) = Store::open(folder.path(), 2_000).unwrap();
    assert_eq!(loaded.entries.len(), 1);
    assert_eq!(loaded.entries[0].1.path.to_str(), Some("a.log"));
    drop(store);
    let (_, loaded) = Store::open(folder.path(), 1_000 + 15 * 24 * 3600).unwrap();
    assert!(loaded.entries.is_empty());
}

#[test]
fn a_quiet_file_that_is_still_there_does_not_expire() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    std::fs::write(&log, "head").unwrap();
    let (mut store, _) = Store::open(folder.path(), 1_000).unwrap();
    let mut known = checkpoint(log.to_str().unwrap());
    let inode = Inode::of(&std::fs::metadata(&log).unwrap());
    known.entries.get_mut(&FileId(3)).unwrap().inode = inode;
    store.write(known.entries()).unwrap();
    drop(store);
    for (is_there, n_entries) in [(true, 1), (false, 0)] {
        let (_, loaded) = Store::open(folder.path(), 1_000 + 15 * 24 * 3600).unwrap();
        assert_eq!(loaded.entries.len(), n_entries, "{is_there}");
        let _ = std::fs::remove_file(&log);
    }
}

#[test]
fn a_link_in_the_state_folder_is_not_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let (victim, link) = (folder.path().join("victim"), folder.path().join(TEMPORARY));
    std::fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let (mut store, _) = Store::open(folder.path(), 1_000).unwrap();
    store.write(checkpoint("a.log").entries()).unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn damage_of_any_kind_falls_back_to_the_generation_before() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), 1_000).unwrap();
    store.write(checkpoint("older.log").entries()).unwrap();
    store.write(checkpoint("newest.log").entries()).unwrap();
    let newest = std::fs::read(folder.path().join(CURRENT)).unwrap();
    drop(store);
    for length in 0..newest.len() {
        let mut torn = newest[..length].to_vec();
        torn.resize(newest.len(), 0);
        for damaged in [&newest[..length], &torn[..]] {
            std::fs::write(folder.path().join(CURRENT), damaged).unwrap();
            let (store, loaded) = Store::open(folder.path(), 1_000).unwrap();
            assert!(loaded.is_recovered, "length {length}");
            assert_eq!(loaded.entries[0].1.path.to_str(), Some("older.log"));
            drop(store);
        }
    }
    std::fs::write(folder.path().join(CURRENT), &newest).unwrap();
    assert!(!Store::open(folder.path(), 1_000).unwrap().1.is_recovered);
}

#[test]
fn two_agents_cannot_share_a_state_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Store::open(folder.path(), 0).unwrap();
    assert!(matches!(Store::open(folder.path(), 0), Err(LoadError::Locked { .. })));
}

#[test]
fn without_a_usable_generation_the_agent_starts_anew_and_keeps_the_last_three_damaged_files() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name);
    for number in 0..4 {
        std::fs::write(name(CURRENT), format!("damage {number}")).unwrap();
        std::fs::write(name(PREVIOUS), "").unwrap();
        let (mut store, loaded) = Store::open(folder.path(), 1_000).unwrap();
        assert!(loaded.is_recovered && loaded.entries.is_empty());
        store.write(checkpoint("a.log").entries()).unwrap();
    }
    let kept = |number| std::fs::read_to_string(name(&format!("checkpoint.damaged-{number}")));
    assert_eq!(kept(1).unwrap(), "");
    assert_eq!(kept(2).unwrap(), "damage 3");
    assert_eq!(kept(3).unwrap(), "", "of the start before");
    assert!(kept(4).is_err());
    let (_, loaded) = Store::open(folder.path(), 1_000).unwrap();
    assert!(!loaded.is_recovered && loaded.entries.len() == 1, "it was written over");
}

#[test]
fn a_folder_in_the_place_of_any_file_is_put_aside() {
    for name in [CURRENT, PREVIOUS, TEMPORARY, KEPT] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(name).join("not empty")).unwrap();
        let (mut store, loaded) = Store::open(folder.path(), 1_000).unwrap();
        assert!(loaded.entries.is_empty());
        store.write(checkpoint("a.log").entries()).unwrap();
        store.write(checkpoint("b.log").entries()).unwrap();
        drop(store);
        let (_, loaded) = Store::open(folder.path(), 1_000).unwrap();
        assert!(!loaded.is_recovered && loaded.entries.len() == 1, "{name}");
        assert!(folder.path().join("checkpoint.damaged-1/not empty").is_dir(), "{name}");
    }
}

#[test]
fn what_a_newer_sidelight_wrote_is_told_from_damage_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"version":7,"anything":{"else":[1,2]}}"#;
    std::fs::write(folder.path().join(CURRENT), text).unwrap();
    let problem = Generation::read(folder.path(), CURRENT).unwrap_err();
    assert!(matches!(problem, Problem::Damaged(Damage::Newer(7))), "{problem}");
    assert!(problem.to_string().contains("a newer sidelight wrote it"));
    assert!(load(folder.path()).unwrap().is_recovered);
    let kept = std::fs::read_to_string(folder.path().join("checkpoint.damaged-1")).unwrap();
    assert_eq!(kept, text);
}

#[test]
fn a_failed_write_leaves_the_generation_and_no_half_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), 1_000).unwrap();
    store.write(checkpoint("a.log").entries()).unwrap();
    // In the place of the previous generation nothing can be put.
    std::fs::create_dir_all(folder.path().join(PREVIOUS).join("not empty")).unwrap();
    store.write(checkpoint("b.log").entries()).unwrap_err();
    assert!(!folder.path().join(TEMPORARY).exists());
    let generation = Generation::read(folder.path(), CURRENT).unwrap();
    assert_eq!(generation.entries[0].1.path.to_str(), Some("a.log"));
    std::fs::remove_dir_all(folder.path().join(PREVIOUS)).unwrap();
    store.write(checkpoint("b.log").entries()).unwrap();
    let generation = Generation::read(folder.path(), CURRENT).unwrap();
    assert_eq!(generation.entries[0].1.path.to_str(), Some("b.log"));
}
