//! The agent with `[exporters.s3]` before moto, and stock tools that restore the archive.

use super::door::Door;
use crate::cloudwatch::moto::Moto;
use crate::harness::bed::{Bed, LIMIT};
use crate::harness::{agent, peers, report, wait};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const BUCKET: &str = "archive";
/// With a slash in it, and one that is too much.
const PREFIX: &str = "logs/spark/";

const ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) bed: Bed,
    pub(super) door: Door,
    moto: Moto,
    /// Keys of `[exporters.s3]`.
    settings: BTreeMap<String, String>,
    /// Other sections of the config.
    pub(super) more: String,
}

impl Archive {
    /// A bucket, and an agent that does not run yet and will read `globs`; none when this run wants no
    /// peers.
    pub(super) fn new(globs: &[&str]) -> Option<Self> {
        if !peers::are_wanted() {
            report::say("s3: skipped, tests/run asks for peers");
            return None;
        }
        let bed = Bed::new(globs);
        let moto = Moto::start(&bed.scratch);
        let door = Door::before(moto.url().rsplit(':').next().unwrap().parse().unwrap());
        let quoted = |text: &str| format!("{text:?}");
        let settings = BTreeMap::from([
            ("bucket".to_owned(), quoted(BUCKET)),
            ("prefix".to_owned(), quoted(PREFIX)),
            ("region".to_owned(), quoted("us-east-1")),
            ("endpoint_url".to_owned(), quoted(&door.url())),
        ]);
        let archive = Self { bed, door, moto, settings, more: String::new() };
        archive.boto("s3.create_bucket(Bucket=BUCKET)");
        Some(archive)
    }

    /// Sets a key of `[exporters.s3]`; `value` is TOML.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), value.to_owned());
    }

    fn write_config(&self) -> Command {
        let mut command = self.bed.command();
        self.bed.edit_config(|text| {
            let mut text = format!("{text}[exporters.s3]\n");
            for (key, value) in &self.settings {
                text.push_str(&format!("{key} = {value}\n"));
            }
            text + &self.more
        });
        command.envs(ENVIRONMENT);
        command
    }

    pub(super) fn start(&mut self) {
        let command = self.write_config();
        self.bed.start_with(&command);
    }

    /// Lets the agent go on with the settings of now.
    pub(super) fn reload(&mut self) {
        let (name, label) = ("sidelight_config_reloads_total", "outcome=\"applied\"");
        let before = self.bed.metric(name, label);
        self.write_config();
        self.bed.process().send("HUP");
        self.bed.wait_for_metric(name, label, |n| n > before);
    }

    /// Waits until this life has read `n_bytes`, and all of them are delivered to both exporters.
    pub(super) fn wait_until_read(&self, n_bytes: u64) {
        let counted =
            |exporter: &str| self.bed.metric("sidelight_exported_records_total", exporter);
        let is_read = |bytes: f64| bytes >= n_bytes as f64;
        self.bed.wait_for_metric("sidelight_read_bytes_total", "", is_read);
        self.wait_until_settled();
        wait::until("both exporters have all", LIMIT, || {
            let read = self.bed.metric("sidelight_records_total", "");
            (read > 0.0 && counted("file") == read && counted("\"s3\"") == read).then_some(())
        });
    }

    /// Waits until nothing of what stands in the logs is owed to an exporter.
    pub(super) fn wait_until_settled(&self) {
        self.bed.wait_for_metric("sidelight_files", "", |n_files| n_files > 0.0);
        let page = || crate::harness::http::get(self.bed.port(), "/metrics").unwrap().body;
        wait::until("nothing is owed", LIMIT * 2, || {
            page().contains("\nsidelight_lag_bytes 0\n").then_some(())
        });
    }

    /// Runs Python with the SDK of AWS, which knows `s3`, `BUCKET` and `PREFIX`.
    pub(super) fn boto(&self, code: &str) -> String {
        let head = format!(
            "import boto3, os\ns3 = boto3.client('s3', endpoint_url={:?}, region_name='us-east-1')\n\
             BUCKET, PREFIX = {BUCKET:?}, {PREFIX:?}\n",
            self.moto.url()
        );
        let output = Command::new(peers::moto_python())
            .args(["-c", &format!("{head}{code}")])
            .envs(ENVIRONMENT)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A copy of the archive, as `aws s3 sync` makes it.
    pub(super) fn download(&self, name: &str) -> PathBuf {
        let folder = self.bed.scratch.join(name);
        self.boto(&format!(
            "for page in s3.get_paginator('list_objects_v2').paginate(Bucket=BUCKET, Prefix=PREFIX):\n\
             \x20   for it in page.get('Contents', []):\n\
             \x20       path = os.path.join({folder:?}, it['Key'][len(PREFIX):])\n\
             \x20       os.makedirs(os.path.dirname(path), exist_ok=True)\n\
             \x20       s3.download_file(BUCKET, it['Key'], path)\n"
        ));
        folder
    }

    /// All lines of a copy, unpacked by zstd or gzip and read by jq.
    pub(super) fn unpack(&self, folder: &Path) -> Vec<u8> {
        let mut lines = Vec::new();
        for path in objects(folder) {
            let tool = if path.extension().unwrap() == "zst" { "zstd" } else { "gzip" };
            let output = Command::new(tool).arg("-dc").arg(&path).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{tool} {}: {said}", path.display());
            lines.extend(output.stdout);
        }
        let all = self.bed.scratch.join("restored.jsonl");
        fs::write(&all, &lines).unwrap();
        let jq = Command::new("jq").args(["-e", "-c", ".offset >= 0"]).arg(&all).output().unwrap();
        assert!(jq.status.success(), "{}", String::from_utf8_lossy(&jq.stderr));
        lines
    }

    /// Runs `archive verify` on a copy: its exit code and what it says.
    pub(super) fn verify(&self, folder: &Path) -> (i32, String) {
        self.run(&["archive", "verify", folder.to_str().unwrap()])
    }

    /// The same on the bucket itself.
    pub(super) fn verify_bucket(&self) -> (i32, String) {
        let place = format!("s3://{BUCKET}/{PREFIX}");
        let url = self.moto.url();
        let options = ["--region", "us-east-1", "--endpoint-url", url.as_str()];
        self.run(&[&["archive", "verify", place.as_str()], options.as_slice()].concat())
    }

    pub(super) fn check_online(&self) -> (i32, String) {
        self.write_config();
        let config = self.bed.scratch.join("sidelight.toml");
        self.run(&["check", "--online", config.to_str().unwrap()])
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(agent::binary());
        let output = command.args(arguments).envs(ENVIRONMENT).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(told).unwrap())
    }

    /// Uploads that were begun and neither completed nor aborted.
    pub(super) fn n_open_uploads(&self) -> usize {
        let code = "print(len(s3.list_multipart_uploads(Bucket=BUCKET).get('Uploads', [])))";
        self.boto(code).trim().parse().unwrap()
    }

    /// File, from and to of all ranges of all manifests of a copy.
    pub(super) fn parts(&self, folder: &Path) -> Vec<(String, u64, u64)> {
        let mut parts = Vec::new();
        for path in manifests(folder) {
            let manifest: serde_json::Value =
                serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            for object in manifest["objects"].as_array().unwrap() {
                for file in object["files"].as_array().unwrap() {
                    for range in file["ranges"].as_array().unwrap() {
                        let id = file["file_id"].as_str().unwrap().to_owned();
                        parts.push((id, range[0].as_u64().unwrap(), range[1].as_u64().unwrap()));
                    }
                }
            }
        }
        parts
    }
}

/// Files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Objects with records of a copy, sorted.
pub(super) fn objects(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| path.extension().unwrap() != "json").collect()
}

/// Manifests of a copy, sorted.
pub(super) fn manifests(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| path.extension().unwrap() == "json").collect()
}

/// Lines, as they are.
pub(super) fn lines_of(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect()
}
