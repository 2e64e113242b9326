//! What was found, as a short table and a line for each problem.

use crate::export::s3::manifest::{Manifest, Object};
use std::collections::BTreeSet;
use std::fmt;

/// Problems that are told one by one.
const TOLD_MAX: usize = 1_000;

/// See the head of the file.
#[derive(Debug, Default)]
pub struct Report {
    runs: Vec<Run>,
    problems: Vec<String>,
    n_untold: usize,
    /// What is worth knowing and makes nothing incomplete.
    notes: Vec<String>,
}

#[derive(Debug, Default)]
struct Run {
    job_name: String,
    run_id: String,
    n_manifests: u64,
    n_objects: u64,
    records: u64,
    dropped: u64,
    bytes: u64,
    compressed_bytes: u64,
    files: BTreeSet<String>,
}

impl Report {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }

    /// All that is wrong, as far as it is told.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    pub(super) fn problem(&mut self, told: String) {
        if self.problems.len() < TOLD_MAX {
            self.problems.push(told);
        } else {
            self.n_untold += 1;
        }
    }

    pub(super) fn note(&mut self, told: String) {
        if self.notes.len() < TOLD_MAX {
            self.notes.push(told);
        }
    }

    /// What is counted from here on is of this manifest.
    pub(super) fn begin_run(&mut self, manifest: &Manifest) {
        let (job_name, run_id) = (&manifest.job_name, &manifest.run_id);
        let is_same = |run: &Run| (&run.job_name, &run.run_id) == (job_name, run_id);
        if !self.runs.last().is_some_and(is_same) {
            let (job_name, run_id) = (job_name.clone(), run_id.clone());
            self.runs.push(Run { job_name, run_id, ..Run::default() });
        }
        self.runs.iter_mut().last().into_iter().for_each(|run| run.n_manifests += 1);
    }

    pub(super) fn count(&mut self, object: &Object) {
        let Some(run) = self.runs.last_mut() else { return };
        run.n_objects += u64::from(object.key.is_some());
        run.records += object.records;
        run.bytes += object.bytes;
        run.compressed_bytes += object.compressed_bytes;
        for part in &object.files {
            run.dropped += part.dropped;
            run.files.insert(part.file_id.clone());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24} {:<32} {:>9} {:>7} {:>6} {:>12} {:>14} {:>12} {:>8}",
            "job",
            "run",
            "manifests",
            "objects",
            "files",
            "records",
            "bytes",
            "compressed",
            "dropped"
        )?;
        for run in &self.runs {
            writeln!(
                f,
                "{:<24} {:<32} {:>9} {:>7} {:>6} {:>12} {:>14} {:>12} {:>8}",
                run.job_name,
                run.run_id,
                run.n_manifests,
                run.n_objects,
                run.files.len(),
                run.records,
                run.bytes,
                run.compressed_bytes,
                run.dropped
            )?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        if self.n_untold > 0 {
            writeln!(f, "and {} more", self.n_untold)?;
        }
        match self.problems.len() + self.n_untold {
            0 => write!(f, "complete"),
            n_problems => write!(f, "NOT complete: {n_problems} problems"),
        }
    }
}
