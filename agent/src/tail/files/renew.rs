//! A tail that goes on under another config: files that are still wanted keep their readers.

use super::{Start, Tail};
use crate::model::Resource;
use crate::tail::batch::{Abandoned, Pass};
use crate::tail::discover::Finder;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

impl Tail {
    /// A tail that begins anew in the middle of a run: files that `former` wanted are no old ones.
    #[must_use]
    pub fn after(mut self, former: Option<Finder>) -> Self {
        self.former_finder = former;
        self
    }

    /// The same files under the config of `start`, whose entries are not looked at.
    #[must_use]
    pub fn renew(mut self: Box<Self>, start: Start, now: Instant) -> Box<Self> {
        self.rotated.renew(self.known.homes(), (&self.finder, &start.finder), now);
        let globs = |config: &crate::tail::Config| (config.include.clone(), config.exclude.clone());
        self.is_first_scan |= globs(&self.config) != globs(&start.config);
        self.former_finder = Some(std::mem::replace(&mut self.finder, start.finder));
        self.config = start.config;
        self.limits = start.limits;
        self.redactors = start.redactors;
        self.identity = start.identity;
        self.jobs = start.jobs;
        // What is known of the jobs is made anew.
        self.applied_jobs = Arc::default();
        self.exit_when_idle = start.exit_when_idle;
        (self.next_scan, self.last_read) = (now, now);
        (self.is_unsettled, self.is_watch_stale) = (true, true);
        self
    }

    /// Lets go of files that the config does not want any more, and redacts the others as it says.
    pub(super) fn take_up_config(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        if self.former_finder.is_none() {
            return Ok(());
        }
        self.finder.scan(pass.now);
        for index in (0..self.files.len()).rev() {
            let file = &self.files[index].file;
            let is_wanted = match file.is_pipe() {
                true if file.path() == Path::new(super::STDIN) => self.finder.takes_stdin(),
                true => self.finder.pipes().contains(file.path()),
                false => self.finder.wants(&self.files[index].home),
            };
            if !is_wanted {
                self.leave(index, pass)?;
                continue;
            }
            let redactor = self.redactors.of_file(file.path()).clone();
            self.files[index].file.set_redactor(redactor, pass)?;
        }
        let finder = &self.finder;
        self.waiting.retain(|waiting| finder.wants(&waiting.home));
        // What is known of them stays known.
        self.asleep
            .retain(|path, asleep| finder.wants(asleep.rotated_from.as_ref().unwrap_or(path)));
        self.redact_again(pass)
    }

    /// What is known of files was redacted under another policy.
    fn redact_again(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let redactor = self.redactors.base().clone();
        for tracked in &mut self.files {
            let resource = Arc::new(tracked.file.resource().redacted(&redactor));
            tracked.file.set_resource(resource, pass.emit)?;
            tracked.evidence.resource = tracked.evidence.resource.redacted(&redactor);
        }
        let again = |it: &mut Arc<Resource>| *it = Arc::new(it.redacted(&redactor));
        for waiting in &mut self.waiting {
            waiting.resource.iter_mut().for_each(again);
            waiting.evidence.resource = waiting.evidence.resource.redacted(&redactor);
        }
        self.asleep.values_mut().filter_map(|asleep| asleep.resource.as_mut()).for_each(again);
        Ok(())
    }

    /// Stops reading a file. It goes on there if it is wanted again.
    fn leave(&mut self, index: usize, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let mut tracked = self.files.swap_remove(index);
        if tracked.file.is_pipe() {
            // What was read of it cannot be read again.
            tracked.file.flush(pass, false)?;
            self.has_stdin &= tracked.file.path() != Path::new(super::STDIN);
        }
        tracked.file.seal(pass)?;
        if !tracked.file.is_pipe() {
            let entry = tracked.file.entry(tracked.home);
            self.known.put(tracked.file.id(), entry);
        }
        Ok(())
    }
}
