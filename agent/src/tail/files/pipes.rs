//! Named pipes and standard input. What was read of one cannot be read again: it is read only while
//! the lanes have room, and what a kill finds in memory is lost.

use super::{Tail, Tracked};
use crate::identity::{Evidence, Written};
use crate::tail::batch::{Abandoned, Pass};
use crate::tail::file::{LogFile, Look};
use crate::tail::fingerprint::Inode;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// What stands for standard input in `tail.include`.
pub const STDIN: &str = "-";

impl Tail {
    /// Begins to read pipes that were found and are not read yet.
    pub(super) fn open_pipes(&mut self, now: Instant) {
        let is_read = |path: &PathBuf, inode: Inode| {
            self.files.iter().any(|it| it.file.path() == path && it.file.inode() == inode)
        };
        let is_new =
            |path: &&PathBuf| path.metadata().is_ok_and(|now| !is_read(path, Inode::of(&now)));
        let new: Vec<PathBuf> = self.finder.pipes().iter().filter(is_new).cloned().collect();
        for path in new {
            // With a writer of its own, a pipe does not end when the last other one leaves.
            let opened = File::options().read(true).write(true).open(&path);
            if let Err(error) = opened.and_then(|file| self.open_pipe(&path, file, now)) {
                self.complain_of(&path, &error);
            }
        }
        if self.finder.takes_stdin() && !std::mem::replace(&mut self.has_stdin, true) {
            let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
            if let Err(error) = stdin.and_then(|file| self.open_pipe(Path::new(STDIN), file, now)) {
                self.complain_of(Path::new(STDIN), &error);
            }
        }
    }

    fn open_pipe(&mut self, path: &Path, file: File, now: Instant) -> io::Result<()> {
        let since_unix_ms = crate::clock::unix_ms();
        let written = Written { since_unix_ms, until_unix_ms: since_unix_ms };
        let evidence = Evidence::find(self.redactors.base(), path, &[]);
        let resource = self.identity.resource(path, &evidence, &self.applied_jobs, written);
        let redactor = self.redactors.of_file(path).clone();
        let file = LogFile::pipe(path.to_owned(), file, Arc::new(resource), redactor, now)?;
        self.files.push(Tracked {
            file,
            home: path.to_owned(),
            family: path.to_owned(),
            modified: (0, 0),
            evidence,
            seen_bytes: 0,
            since_unix_ms,
            is_detached: false,
            due: now,
            is_failing: false,
            announced_head_bytes: 0,
        });
        self.say_begun(self.files.len() - 1, 0);
        Ok(())
    }

    /// Lets go of standard input once it has ended, and of pipes whose name is another's.
    pub(super) fn close_ended_pipes(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let has_ended = |tracked: &Tracked| {
            let file = &tracked.file;
            let is_nameless = file.path() != Path::new(STDIN)
                && !file.path().metadata().is_ok_and(|now| Inode::of(&now) == file.inode());
            file.has_ended() || (is_nameless && file.idle(pass.now) >= super::DETACHED_IDLE)
        };
        let is_over = |tracked: &Tracked| tracked.file.is_pipe() && has_ended(tracked);
        let Some(index) = self.files.iter().position(is_over) else { return Ok(()) };
        let file = &mut self.files[index].file;
        // It may be quiet only because the lanes had no room for what is in it.
        let is_unread = !file.has_ended()
            && (!(pass.has_room)() || matches!(file.look(pass)?, Ok(Look::Read(_))));
        if is_unread {
            return Ok(());
        }
        let mut tracked = self.files.swap_remove(index);
        tracked.file.flush(pass, false)?;
        tracked.file.seal(pass)
    }

    /// True when standard input was all there was to read, and it has ended.
    pub(super) fn has_read_all_input(&self) -> bool {
        self.has_stdin && self.finder.takes_nothing_but_stdin() && self.files.is_empty()
    }
}
