//! Ranges, manifests of runs, and what a restart finds.

use super::{Book, FILES_MAX, RANGES_MAX, RUNS_KNOWN_MAX, RUNS_MAX};
use crate::export::s3::manifest::{FilePart, Manifest, Object};
use crate::export::s3::partition::Partition;
use crate::model::{FileId, LogRecord, Resource};
use crate::policy::Redactors;
use redaction::{Policy, Profile, Redactor};

fn partition(run: &str) -> Partition {
    let run_id = Some(Redactor::new().value(run));
    Partition::of(&Resource { run_id, ..Resource::default() }, &LogRecord::default())
}

fn object(number: u64) -> Object {
    let (file_id, ranges) = (format!("{:016x}", 7), vec![(5, 9)]);
    let files = vec![FilePart { file_id, ranges, ..FilePart::default() }];
    Object { number, files, ..Object::default() }
}

fn manifests(book: &Book) -> Vec<Manifest> {
    let parse = |(_, json): (_, Vec<u8>)| serde_json::from_slice(&json).unwrap();
    book.unsent().into_iter().map(parse).collect()
}

#[test]
fn what_was_written_is_there_after_a_restart_and_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let redactors = Redactors::default();
    let mut book = Book::open(folder.path(), "b", &redactors).unwrap();
    let number = book.take_number();
    book.add(&partition("r"), object(number), |_, _| true);
    book.cover(FileId(u64::MAX), (3, 17));
    book.write().unwrap();
    let (instance, sent) = (book.instance().to_owned(), manifests(&book));
    let mut book = Book::open(folder.path(), "b", &redactors).unwrap();
    assert_eq!((book.instance(), manifests(&book)), (instance.as_str(), sent));
    assert_eq!(book.covered(FileId(u64::MAX)), [(3, 17)]);
    assert!(book.covered(FileId(1)).is_empty());
    assert_eq!(book.take_number(), number + 1);
    let keys: Vec<_> = book.unsent().into_iter().map(|(key, _)| key).collect();
    book.note_sent(&keys);
    assert!(book.unsent().is_empty());
    book.complete();
    assert!(manifests(&book)[0].complete);
}

#[test]
fn a_full_manifest_is_continued_in_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(folder.path(), "b", &Redactors::default()).unwrap();
    for number in 1..=257 {
        book.add(&partition("r"), object(number), |_, _| true);
    }
    let both = manifests(&book);
    let told: Vec<_> =
        both.iter().map(|it| (it.number, it.continues, it.continued, it.objects.len())).collect();
    assert_eq!(told, [(1, None, true, 256), (257, Some(1), false, 1)]);
}

/// Number, what it continues, whether it is continued and complete, and how many objects it has.
fn told(it: &Manifest) -> (u64, Option<u64>, bool, bool, usize) {
    (it.number, it.continues, it.continued, it.complete, it.objects.len())
}

fn send(book: &mut Book) -> Vec<Manifest> {
    let sent = manifests(book);
    let keys: Vec<_> = book.unsent().into_iter().map(|(key, _)| key).collect();
    book.note_sent(&keys);
    sent
}

#[test]
fn a_run_that_is_closed_for_others_is_complete_only_when_the_agent_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(folder.path(), "b", &Redactors::default()).unwrap();
    let number = |book: &mut Book| book.take_number();
    for run in 0..=RUNS_MAX {
        let object = object(number(&mut book));
        book.add(&partition(&format!("run-{run}")), object, |_, _| false);
    }
    assert_eq!(told(&manifests(&book)[0]), (1, None, true, false, 1));
    assert_eq!(send(&mut book).len(), RUNS_MAX + 1);
    // It lives, and has a next one; the one that had to go for it ends without objects.
    let next = object(number(&mut book));
    book.add(&partition("run-0"), next, |_, _| false);
    let both: Vec<_> = send(&mut book).iter().map(told).collect();
    assert_eq!(both, [(2, None, true, false, 1), (66, Some(1), false, false, 1)]);
    book.complete();
    let all = send(&mut book);
    assert!(all.iter().all(|it| it.complete && !it.continued), "{all:?}");
    assert_eq!(told(&all[0]), (67, Some(2), false, true, 0));
    book.write().unwrap();
    let mut book = Book::open(folder.path(), "b", &Redactors::default()).unwrap();
    send(&mut book);
    book.complete();
    assert!(send(&mut book).is_empty(), "that is told once");
}

#[test]
fn of_the_run_that_nobody_expects_more_of_the_manifests_come_to_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(folder.path(), "b", &Redactors::default()).unwrap();
    for run in 0..=RUNS_KNOWN_MAX {
        let object = object(book.take_number());
        book.add(&partition(&format!("run-{run}")), object, |_, run| run == "run-1");
    }
    let last: Vec<_> =
        manifests(&book).iter().filter(|it| it.run_id == "run-0").map(told).collect();
    assert_eq!(last, [(1, None, true, false, 1), (1_026, Some(1), false, true, 0)]);
}

#[test]
fn at_another_place_the_archive_begins_anew_and_says_what_is_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let redactors = Redactors::default();
    let mut book = Book::open(folder.path(), "b", &redactors).unwrap();
    let first = object(book.take_number());
    book.add(&partition("r"), first, |_, _| true);
    book.cover(FileId(7), (0, 5));
    book.write().unwrap();
    let mut moved = Book::open(folder.path(), "c", &redactors).unwrap();
    assert!(moved.unsent().is_empty() && moved.instance() != book.instance());
    let next = object(moved.take_number());
    moved.add(&partition("r"), next, |_, _| true);
    let manifest = &manifests(&moved)[0];
    assert_eq!(told(manifest), (2, None, false, false, 1));
    assert_eq!(manifest.objects[0].files[0].elsewhere, [(0, 5)]);
    assert_eq!(moved.covered(FileId(7)), [(0, 5)]);
}

#[test]
fn files_and_their_ranges_have_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(folder.path(), "b", &Redactors::default()).unwrap();
    for file in 0..=FILES_MAX as u64 {
        book.cover(FileId(file), (0, 1));
    }
    assert!(book.covered(FileId(0)).is_empty());
    assert_eq!(book.covered(FileId(1)), [(0, 1)]);
    for from in 0..=RANGES_MAX as u64 {
        book.cover(FileId(1), (10 * from + 2, 10 * from + 4));
    }
    assert_eq!(book.covered(FileId(1)).len(), RANGES_MAX);
    assert_eq!(book.covered(FileId(1)).last(), Some(&(642, 644)));
}

#[test]
fn ranges_of_a_file_join_in_whatever_order_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(folder.path(), "b", &Redactors::default()).unwrap();
    let mut check = |range, want: &[(u64, u64)]| {
        book.cover(FileId(1), range);
        assert_eq!(book.covered(FileId(1)), want);
    };
    check((50, 60), &[(50, 60)]);
    check((10, 20), &[(10, 20), (50, 60)]);
    check((70, 80), &[(10, 20), (50, 60), (70, 80)]);
    check((20, 30), &[(10, 30), (50, 60), (70, 80)]);
    check((52, 55), &[(10, 30), (50, 60), (70, 80)]);
    check((25, 70), &[(10, 80)]);
    check((0, 5), &[(0, 5), (10, 80)]);
}

#[test]
fn texts_of_other_rules_do_not_leave_and_damage_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(folder.path(), "b", &Redactors::default()).unwrap();
    book.add(&partition("r"), object(5), |_, _| true);
    book.cover(FileId(3), (0, 9));
    book.write().unwrap();
    let other = Redactors::new(Policy { profile: Profile::Pci, ..Policy::default() }).unwrap();
    let mut changed = Book::open(folder.path(), "b", &other).unwrap();
    assert!(changed.unsent().is_empty());
    changed.add(&partition("r"), object(6), |_, _| true);
    assert_eq!(manifests(&changed)[0].continues, Some(5));
    assert_eq!(changed.covered(FileId(3)), [(0, 9)]);
    let path = folder.path().join("book");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let anew = Book::open(folder.path(), "b", &Redactors::default()).unwrap();
    assert_ne!(anew.instance(), book.instance(), "no object of the old one is overwritten");
}
