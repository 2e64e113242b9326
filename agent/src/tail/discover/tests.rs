//! Which files the globs find.

use super::Finder;
use std::fs;
use std::time::Instant;

fn found(mut finder: Finder) -> Vec<std::path::PathBuf> {
    finder.scan(Instant::now());
    finder.found().keys().cloned().collect()
}

#[track_caller]
fn check(include: &[&str], exclude: &[&str], want: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for file in
        ["a.log", "b.txt", "old.log.zst", "app-1/0/stderr", "app-1/0/stdout", "deep/x/y.log"]
    {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let place = |globs: &[&str]| -> Vec<String> {
        globs.iter().map(|glob| format!("{}/{glob}", folder.path().display())).collect()
    };
    let found = found(Finder::new(&place(include), &place(exclude), Vec::new()).unwrap());
    let want: Vec<_> = want.iter().map(|file| folder.path().join(file)).collect();
    assert_eq!(found, want);
}

#[test]
fn stars_stay_in_their_folder_and_double_stars_do_not() {
    check(&["*.log"], &[], &["a.log"]);
    check(&["**/*.log"], &[], &["a.log", "deep/x/y.log"]);
    check(&["app-*/*/std*"], &["**/stdout"], &["app-1/0/stderr"]);
    check(&["a.log", "missing.log"], &[], &["a.log"]);
    check(&["**/*"], &["**/x/**", "app-1/**"], &["a.log", "b.txt"]);
}

#[test]
fn double_slashes_and_dots_are_nothing() {
    check(&["//./*.log"], &[".//a.log"], &[]);
    check(&["./deep//x/*.log"], &[], &["deep/x/y.log"]);
}

#[test]
fn only_as_deep_as_the_globs_look() {
    let below = |glob| super::Root::of(glob).depth;
    assert_eq!([below("/a/b.log"), below("/a/*.log"), below("/a/*/b/*")], [0, 1, 3]);
    assert!(super::Root::of("/a/**").covers(&super::Root::of("/a/b/**/c")));
    assert!(!super::Root::of("/a/*").covers(&super::Root::of("/a/b/*")));
    check(&["*.log", "deep/x/*.log"], &[], &["a.log", "deep/x/y.log"]);
    check(&["*/*.log", "deep/*/*.log"], &[], &["deep/x/y.log"]);
    check(&["*/*.log", "deep/**/*.log"], &[], &["deep/x/y.log"]);
    check(&["*/*/*.txt", "deep/x/**/*.log"], &[], &["deep/x/y.log"]);
}

#[test]
fn a_loop_of_links_is_walked_once_and_own_files_are_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("logs/state")).unwrap();
    for file in ["logs/a.log", "logs/out.log", "logs/state/b.log"] {
        fs::write(path(file), "x").unwrap();
    }
    std::os::unix::fs::symlink("..", path("logs/up")).unwrap();
    let globs = [format!("{}/**/*.log", path("logs").display())];
    let own = vec![path("logs/out.log"), path("logs/state")];
    let found = found(Finder::new(&globs, &[], own).unwrap());
    assert_eq!(found, [path("logs/a.log")]);
}

#[test]
fn a_folder_that_cannot_be_looked_at_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("logs/a/b")).unwrap();
    fs::write(path("x"), "x").unwrap();
    fs::write(path("logs/a/b/c.log"), "x").unwrap();
    std::os::unix::fs::symlink(path("x"), path("logs/a/d.log")).unwrap();
    let globs = [format!("{}/**/*.log", path("logs").display())];
    let mut finder = Finder::new(&globs, &[], Vec::new()).unwrap();
    finder.scan(Instant::now());
    let before = finder.found().clone();
    assert_eq!(before.len(), 2);
    // Not even root can look through a link to itself.
    fs::rename(path("logs/a"), path("away")).unwrap();
    std::os::unix::fs::symlink("a", path("logs/a")).unwrap();
    finder.scan(Instant::now());
    assert_eq!(finder.found(), &before, "it may come back");
    fs::remove_file(path("logs/a")).unwrap();
    finder.scan(Instant::now());
    assert!(finder.found().is_empty(), "it is gone");
}

#[test]
fn new_files_may_appear_in_the_folder_of_a_file_that_is_named_outright() {
    let folder = tempfile::tempdir().unwrap();
    let globs = [format!("{}/app.log", folder.path().display())];
    let mut finder = Finder::new(&globs, &[], Vec::new()).unwrap();
    for _ in 0..2 {
        finder.scan(Instant::now());
        assert_eq!(finder.folders().collect::<Vec<_>>(), [folder.path()]);
        fs::write(folder.path().join("app.log"), "x").unwrap();
    }
}

#[test]
fn what_is_found_by_its_own_name_is_not_found_by_a_link_as_well() {
    let folder = tempfile::tempdir().unwrap();
    // The folder of temporary files may itself be behind a link.
    let root = folder.path().canonicalize().unwrap();
    let path = |name: &str| root.join(name);
    for name in ["containers", "pods"] {
        fs::create_dir(path(name)).unwrap();
    }
    fs::write(path("pods/0.log"), "x").unwrap();
    std::os::unix::fs::symlink(path("pods/0.log"), path("containers/a.log")).unwrap();
    let glob = |name: &str| path(name).to_string_lossy().into_owned();
    let links = glob("containers/*.log");
    let only = Finder::new(std::slice::from_ref(&links), &[], Vec::new()).unwrap();
    assert_eq!(found(only), [path("containers/a.log")]);
    let mut both = Finder::new(&[links, glob("pods/*.log")], &[], Vec::new()).unwrap();
    both.scan(Instant::now());
    assert_eq!(both.found().keys().collect::<Vec<_>>(), [&path("pods/0.log")]);
    // Of two generations the former has no name that is wanted, whenever they are looked at.
    fs::rename(path("pods/0.log"), path("pods/0.log.1")).unwrap();
    let former = both.linked.clone();
    fs::write(path("pods/0.log"), "y").unwrap();
    both.scan(Instant::now());
    both.linked = former;
    both.collect();
    let inode = super::Inode::of(&fs::metadata(path("pods/0.log")).unwrap());
    assert_eq!(both.found().iter().collect::<Vec<_>>(), [(&path("pods/0.log"), &inode)]);
}
