//! Reads a log while Spark writes it: what is there, then what comes, then the end.
//!
//! A file that is done loses its `.inprogress`, the last of rolled files is done when `appstatus_…` loses
//! it. The open descriptor stays the same through both, so a rename between two looks costs nothing.

use super::EventLog;
use super::decode::Decoder;
use super::source::{
    COMPACT, Damage, DamageReason, IN_PROGRESS, Log, list, name, number_of, path_when_done,
};
use redaction::Redactor;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const READ_BYTES: usize = 256 << 10;

/// A log that is read bit by bit.
pub struct Follower {
    /// The file without `.inprogress`, or the folder of rolled files.
    path: PathBuf,
    is_rolled: bool,
    log: EventLog,
    part: Option<Part>,
    /// Number of the part that was opened last; 0 for a log of one file.
    number: Option<u64>,
    is_in_progress: bool,
    is_finished: bool,
    damage: Option<Damage>,
}

/// The file that is read now.
struct Part {
    path: PathBuf,
    file: File,
    decoder: Decoder,
    /// Nobody writes it any more, which was found out before it was read to its end once more.
    is_closed: bool,
}

/// Where reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is more to be read now.
    Behind,
    /// All that is there was read; more may come.
    UpToDate,
    /// All was read, and no more comes.
    Finished,
}

/// What a look for the next file of a log found.
enum Next {
    Part(PathBuf),
    /// None yet.
    Later,
    /// None, and none will come.
    End,
}

impl Follower {
    /// Will read `log` from its beginning.
    #[must_use]
    pub fn new(log: &Log, redactor: Arc<Redactor>) -> Self {
        Self {
            path: if log.is_rolled { log.path.clone() } else { path_when_done(&log.path) },
            is_rolled: log.is_rolled,
            log: EventLog::new(redactor),
            part: None,
            number: None,
            is_in_progress: true,
            is_finished: false,
            damage: None,
        }
    }

    /// The log with its state.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// As [`log`](Self::log), to take what has changed.
    pub fn log_mut(&mut self) -> &mut EventLog {
        &mut self.log
    }

    /// Spark has not said yet that it is done with it.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        self.is_in_progress
    }

    /// Where it could not be read any further first, and why.
    #[must_use]
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    pub(super) fn into_parts(mut self) -> (EventLog, bool, Option<Damage>) {
        // What nobody completes is half a line.
        self.log.finish();
        (self.log, self.is_in_progress, self.damage)
    }

    /// Reads on, about `bytes_max` unpacked bytes at most. What is damaged ends at the damage, and the
    /// next part goes on.
    pub fn read(&mut self, bytes_max: u64) -> Progress {
        let until = self.log.tally().n_bytes.saturating_add(bytes_max);
        let mut buffer = vec![0; READ_BYTES];
        while !self.is_finished {
            let Some(mut part) = self.part.take() else {
                match self.next() {
                    Next::Part(path) => self.open(path),
                    Next::Later => return Progress::UpToDate,
                    Next::End => self.is_finished = true,
                }
                continue;
            };
            match part.feed(&mut buffer, &mut self.log) {
                Err(reason) => self.leave(&part, Some(reason)),
                Ok(0) if part.is_closed => {
                    let is_cut = !part.decoder.is_whole();
                    self.leave(&part, is_cut.then_some(DamageReason::Cut));
                }
                Ok(0) => {
                    part.is_closed = self.is_closed(&part);
                    let is_closed = part.is_closed;
                    self.part = Some(part);
                    if !is_closed {
                        return Progress::UpToDate;
                    }
                }
                Ok(_) => {
                    self.part = Some(part);
                    if self.log.tally().n_bytes >= until {
                        return Progress::Behind;
                    }
                }
            }
        }
        Progress::Finished
    }

    fn open(&mut self, path: PathBuf) {
        let number = number_of(&name(&path)).unwrap_or(0);
        if self.number.is_some_and(|before| number != before + 1) {
            self.note(&path, DamageReason::Gap);
        }
        self.number = Some(number);
        match File::open(&path) {
            Ok(file) => {
                let decoder = Decoder::default();
                self.part = Some(Part { path, file, decoder, is_closed: false });
            }
            Err(error) => self.note(&path, DamageReason::Io(error)),
        }
    }

    /// No event goes on in the next file.
    fn leave(&mut self, part: &Part, damage: Option<DamageReason>) {
        self.log.finish();
        if let Some(reason) = damage {
            self.note(&part.path, reason);
        }
    }

    fn note(&mut self, path: &Path, reason: DamageReason) {
        self.damage.get_or_insert_with(|| Damage { path: path.to_owned(), reason });
    }

    /// The file to be read after all that were.
    fn next(&mut self) -> Next {
        if !self.is_rolled {
            // Renamed between two looks, it is found by its other name.
            let growing = with_suffix(&self.path, IN_PROGRESS);
            self.is_in_progress = growing.exists();
            return match self.number {
                None if self.is_in_progress => Next::Part(growing),
                None => Next::Part(self.path.clone()),
                Some(_) => Next::End,
            };
        }
        let log = match list(&self.path) {
            Ok(entries) => Log::of_rolled(&self.path, &entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // A folder that cannot be listed now, for want of descriptors, say, has not ended.
            Err(_) => return Next::Later,
        };
        let Some(log) = log else {
            self.is_in_progress = false;
            return Next::End;
        };
        self.is_in_progress = log.is_in_progress;
        let is_new = |path: &&PathBuf| {
            let name = name(path);
            // A compacted part repeats what was read.
            self.number.is_none_or(|read| {
                number_of(&name).is_some_and(|number| number > read) && !name.ends_with(COMPACT)
            })
        };
        match log.parts.iter().find(is_new) {
            Some(path) => Next::Part(path.clone()),
            None if self.is_in_progress => Next::Later,
            None => Next::End,
        }
    }

    /// True when nobody writes `part` any more.
    fn is_closed(&mut self, part: &Part) -> bool {
        // Deleted, as by somebody who tidies up.
        let is_deleted = part.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        is_deleted || !matches!(self.next(), Next::Later) && !self.is_growing_file()
    }

    fn is_growing_file(&self) -> bool {
        !self.is_rolled && self.is_in_progress
    }
}

impl Part {
    /// Hands on the next bytes; their number, 0 at the end of the file.
    fn feed(&mut self, buffer: &mut [u8], log: &mut EventLog) -> Result<usize, DamageReason> {
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DamageReason::Io(error)),
                Ok(0) => return Ok(0),
                Ok(n_bytes) => {
                    let bytes = &buffer[..n_bytes];
                    let fed = self.decoder.feed(bytes, &mut |bytes| log.feed(bytes));
                    return fed.map(|()| n_bytes).map_err(DamageReason::Decode);
                }
            }
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
