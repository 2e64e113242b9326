//! Archives that are older than what is wanted.

use super::{Begin, Candidate};
use crate::checkpoint::{Archive, Entry, unix_seconds};
use crate::model::FileId;
use crate::tail::fingerprint::{Digest, HEAD_BYTES_MAX, Inode};
use crate::tail::source::head_bytes;
use crate::telemetry;
use std::io;

/// Takes an old archive for read. What its text is long only unpacking it would tell.
pub(super) fn archive(candidate: Candidate<'_>) -> io::Result<Begin> {
    let file_bytes = candidate.metadata.len();
    telemetry::LOST_BYTES.add("skipped_old", file_bytes);
    let entry = Entry {
        path: candidate.path.to_owned(),
        inode: Inode::of(candidate.metadata),
        head: Digest::of(&head_bytes(candidate.file, true, HEAD_BYTES_MAX)?),
        offset: 0,
        frontier: Digest::default(),
        job_id: None,
        job_name: None,
        seen_unix_s: unix_seconds(),
        archive: Some(Archive { file_bytes, text_bytes: 0 }),
        is_ended: false,
    };
    Ok(Begin::Resume(FileId::random(), Box::new(entry)))
}
