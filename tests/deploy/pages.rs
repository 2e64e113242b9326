//! The pages under configs/: what they tell to type works, and what they point at is there.

use super::shipped;
use crate::harness::agent;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says, before a block or in it, that nobody runs it here; a reason follows.
const NOT_RUN: &str = "ot run by our";

fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(shipped("")).unwrap().map(|entry| entry.unwrap().path()) {
        found.push(entry.join("README.md"));
    }
    found.retain(|path| path.is_file());
    assert!(found.len() >= 6, "{found:?}");
    found
}

/// Blocks of a page: what stands behind the fence, the block, and the text before it.
fn blocks(page: &str) -> Vec<(&str, &str, &str)> {
    let parts: Vec<&str> = page.split("```").collect();
    let block = |at: usize| {
        let (language, text) = parts[at].split_once('\n').unwrap();
        (language, text, parts[at - 1])
    };
    (1..parts.len()).step_by(2).map(block).collect()
}

/// Runs what is marked so in a folder that has what the repository has, as a new user would.
#[test]
fn every_command_of_a_page_works_or_says_why_nobody_runs_it() {
    let mut n_run = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for name in ["configs", "tests"] {
            symlink(shipped("..").join(name).canonicalize().unwrap(), folder.path().join(name))
                .unwrap();
        }
        fs::create_dir(folder.path().join("bin")).unwrap();
        symlink(agent::binary(), folder.path().join("bin/sidelight")).unwrap();
        for (language, text, before) in blocks(&page) {
            match language {
                "sh tested" => {
                    run(folder.path(), text, &path);
                    n_run += 1;
                }
                "sh" => {
                    let last = before.trim_end().rsplit("\n\n").next().unwrap().replace('\n', " ");
                    let is_told = text.contains(NOT_RUN) || last.contains(NOT_RUN);
                    assert!(is_told, "{}: run it, or say why not:\n{text}", path.display());
                    let mut check = Command::new("bash");
                    assert!(check.args(["-n", "-c", text]).status().unwrap().success(), "{text}");
                }
                _ => {}
            }
        }
    }
    assert!(n_run >= 5, "{n_run} blocks were run");
}

#[track_caller]
fn run(folder: &Path, text: &str, page: &Path) {
    if text.contains("kubectl") && Command::new("kubectl").arg("version").output().is_err() {
        println!("{}: skipped where there is no kubectl:\n{text}", page.display());
        return;
    }
    let old = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", text])
        .current_dir(folder)
        .env("PATH", format!("{}:{old}", folder.join("bin").display()))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{text}\n{told}", page.display());
}

#[test]
fn what_a_page_points_at_is_there() {
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        let folder = path.parent().unwrap();
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|it| !it.contains("://")) {
            assert!(folder.join(target).exists(), "{}: {target}", path.display());
        }
        for word in page.split(|it: char| it.is_whitespace() || "`'(),".contains(it)) {
            // Folders with wildcards or placeholders are no paths.
            if word.starts_with("configs/") && !word.contains(['*', '…']) {
                let word = word.trim_start_matches("file://");
                assert!(shipped("..").join(word).exists(), "{}: {word}", path.display());
            }
        }
    }
}
