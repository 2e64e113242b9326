//! Who writes the files that are read, and what the checkpointer is told of them.

use super::Tail;
use crate::checkpoint::Event;
use crate::identity::{Evidence, HEAD_BYTES, Written};
use crate::tail::batch::{Abandoned, Pass};
use redaction::Value;
use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files whose beginning is told at level info.
const FILES_TOLD_MAX: usize = 50;

impl Tail {
    /// Learns what the scrapers found out since the last scan.
    pub(super) fn refresh_tracked(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let jobs = self.jobs.borrow().clone();
        let has_news = !Arc::ptr_eq(&jobs, &self.applied_jobs);
        self.applied_jobs = jobs;
        let is_nameless = |this: &Self, index: usize| {
            let tracked = &this.files[index];
            let may_say_more = tracked.seen_bytes < HEAD_BYTES as u64;
            tracked.file.resource().job_id.is_none() || tracked.evidence.is_adopted && may_say_more
        };
        let has_nameless = (0..self.files.len()).any(|index| is_nameless(self, index));
        let siblings = if has_nameless { self.siblings() } else { HashMap::new() };
        for index in 0..self.files.len() {
            let is_nameless = is_nameless(self, index);
            if has_news || is_nameless {
                let stem = stem(self.files[index].file.path());
                self.files[index].evidence.adopt(siblings.get(&stem));
                self.identify(index, pass)?;
            }
        }
        Ok(())
    }

    /// What is known of files by their name without its ending: `driver.stdout` tells nothing of
    /// its job, but `driver.stderr` beside it does.
    pub(super) fn siblings(&self) -> HashMap<PathBuf, Evidence> {
        let tracked = self.files.iter().filter(|tracked| !tracked.is_detached);
        let tracked = tracked.map(|tracked| (tracked.file.path(), &tracked.evidence));
        let waiting = self.waiting.iter().filter(|waiting| !waiting.is_detached);
        let waiting = waiting.map(|waiting| (waiting.path.as_path(), &waiting.evidence));
        let known = tracked.chain(waiting).filter(|(_, evidence)| evidence.names_job());
        known.map(|(path, evidence)| (stem(path), evidence.clone())).collect()
    }

    /// Names of jobs by their ids: only the driver's log tells a name.
    pub(super) fn job_names(&self) -> HashMap<Value, Value> {
        let tracked = self.files.iter().map(|tracked| &tracked.evidence);
        let all = tracked.chain(self.waiting.iter().map(|waiting| &waiting.evidence));
        let named = all.filter(|evidence| !evidence.is_daemon()).filter_map(|evidence| {
            let (job_id, job_name) = (&evidence.resource.job_id, &evidence.resource.job_name);
            Some((job_id.clone()?, job_name.clone()?))
        });
        named.collect()
    }

    fn identify(&mut self, index: usize, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let tracked = &mut self.files[index];
        let Ok(metadata) = tracked.file.source().file().metadata() else { return Ok(()) };
        let path = tracked.file.path().to_owned();
        let has_grown = tracked.seen_bytes != metadata.len();
        let is_head_whole = tracked.seen_bytes >= HEAD_BYTES as u64;
        let is_adopted = tracked.evidence.is_adopted;
        let is_nameless = tracked.evidence.resource.job_id.is_none();
        if (is_nameless || is_adopted) && has_grown && !is_head_whole {
            tracked.seen_bytes = metadata.len();
            if let Ok(head) = tracked.file.source().head_bytes(HEAD_BYTES) {
                let found = self.identity.evidence(&path, &head);
                if !is_adopted || found.names_job() {
                    tracked.evidence = found;
                }
            }
        }
        let since_unix_ms = tracked.since_unix_ms;
        let written = Written { since_unix_ms, until_unix_ms: modified_unix_ms(&metadata) };
        let mut resource =
            self.identity.resource(&path, &tracked.evidence, &self.applied_jobs, written);
        let known = tracked.file.resource();
        resource.file_id.clone_from(&known.file_id);
        resource.keep(known, &self.applied_jobs);
        if resource != **known {
            tracked.file.set_resource(Arc::new(resource), pass.emit)?;
            self.announce_job(index);
        }
        Ok(())
    }

    /// One line for each of the first files; thousands of them would hide the rest of the log.
    pub(super) fn say_begun(&self, index: usize, offset: u64) {
        let resource = self.files[index].file.resource();
        let file = resource.file.as_deref().unwrap_or("");
        let job_id = resource.job_id.as_deref().unwrap_or("unknown");
        if self.files.len() <= FILES_TOLD_MAX {
            tracing::info!(file, offset, job_id, "reading");
        } else {
            tracing::debug!(file, offset, job_id, "reading");
        }
    }

    /// Tells the checkpointer where a file is and how to know it again.
    pub(super) fn announce(&mut self, index: usize) {
        let tracked = &mut self.files[index];
        if tracked.file.is_pipe() {
            return;
        }
        tracked.announced_head_bytes = tracked.file.source().head().bytes;
        // A name that no glob matches is not looked for at the next start, but the former one is.
        if self.finder.wants(tracked.file.path()) {
            tracked.home = tracked.file.path().to_owned();
        }
        // Only a path with PII in it differs from its redacted form; the file is then known again by
        // its inode alone.
        let path = self.redactors.base().value(&tracked.home.to_string_lossy());
        let entry = tracked.file.entry(PathBuf::from(path.as_str()));
        let id = tracked.file.id();
        self.send(Event::Tracked(id, Box::new(entry)));
    }

    pub(super) fn announce_job(&self, index: usize) {
        let file = &self.files[index].file;
        let text = |value: &Option<Value>| value.as_deref().map(str::to_owned);
        if let Some(job_id) = text(&file.resource().job_id) {
            self.send(Event::Identified(file.id(), job_id, text(&file.resource().job_name)));
        }
    }
}

/// A path without what tells standard output, standard error and log of one process apart.
pub(super) fn stem(path: &Path) -> PathBuf {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("stdout" | "stderr") => path.with_file_name("std"),
        _ => path.with_extension(""),
    }
}

pub(super) fn modified_unix_ms(metadata: &Metadata) -> u64 {
    metadata.modified().map_or(0, crate::clock::to_unix_ms)
}
