//! Every example config is one that the agent takes, and every manifest one that Kubernetes takes.

use super::shipped;
use crate::harness::report::say;
use crate::harness::scratch::Scratch;
use crate::harness::{agent, peers, spark};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every config below `folder`.
fn configs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(configs(&entry));
        // What things cost is no config of the agent.
        } else if entry.extension().is_some_and(|it| it == "toml")
            && !entry.ends_with("pricing.toml")
        {
            found.push(entry);
        }
    }
    found
}

fn check(path: &Path) -> (bool, String) {
    let output = Command::new(agent::binary()).arg("check").arg(path).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&told).into_owned())
}

#[test]
fn every_example_config_is_valid() {
    let configs = configs(&shipped(""));
    assert!(configs.len() >= 5, "{configs:?}");
    for path in configs {
        let (is_good, told) = check(&path);
        assert!(is_good, "{}: {told}", path.display());
    }
}

#[test]
fn a_key_that_does_not_exist_is_told_in_an_example_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidelight.toml");
    let text = fs::read_to_string(shipped("emr/sidelight.toml")).unwrap();
    fs::write(&path, text.replace("timezone =", "time_zone =")).unwrap();
    let (is_good, told) = check(&path);
    assert!(!is_good && told.contains("time_zone"), "{told}");
}

/// tests/deploy/*.py, with the validators that tests/setup installs.
#[track_caller]
fn run_checker(name: &str, arguments: &[&OsStr]) {
    if !peers::are_wanted() {
        say(&format!("{name}: skipped; tests/run has the validators"));
        return;
    }
    run_checker_with(&peers::deploy_program("python"), name, arguments);
}

/// The same with the interpreter of another environment.
#[track_caller]
pub(super) fn run_checker_with(python: &Path, name: &str, arguments: &[&OsStr]) {
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/deploy/").to_owned() + name);
    command.args(arguments);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    say(told.trim_end());
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_manifest_is_valid_and_every_sidecar_keeps_the_rules() {
    let configs = shipped("");
    let mut arguments = vec![configs.as_os_str()];
    // The published CRDs are not ours to hand on; who has them names the folder.
    let definitions = std::env::var_os("SIDELIGHT_TEST_CRDS");
    arguments.extend(definitions.as_deref());
    run_checker("manifests.py", &arguments);
}

#[test]
fn every_policy_of_iam_is_valid_and_allows_little() {
    run_checker("iam.py", &[shipped("").as_os_str()]);
}

/// Old libraries of Kubernetes might drop what they do not know, such as native sidecars.
#[test]
fn real_spark_makes_the_pods_that_the_templates_want() {
    for environment in ["spark35", "spark4"].into_iter().filter(|_| peers::are_wanted()) {
        let _turn = spark::take_turn();
        let (scratch, spark) = (Scratch::new(), peers::spark(environment));
        let (configs, folder) = (shipped(""), scratch.join(""));
        let paths = [&spark.home, &spark.python, &configs, &folder];
        run_checker("submit.py", &paths.map(|path| path.as_os_str()));
    }
}
