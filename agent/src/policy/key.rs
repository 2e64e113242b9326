//! The key of pseudonyms: in a file or in a variable of the environment, never in the config.

use crate::config::{Section, read_named};
use redaction::PseudonymKey;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Largest key file: a key is a line, and a longer file is another one.
const FILE_BYTES_MAX: u64 = 4096;

/// Bits of a file's mode that let others than its owner do something with it.
const MODE_OF_OTHERS: u32 = 0o077;

/// Where the key is.
pub(super) struct Given<'a> {
    pub(super) file: Option<&'a Path>,
    pub(super) variable: Option<&'a str>,
    pub(super) id: &'a str,
}

/// Says what to do instead when somebody wrote the key itself.
pub(super) fn refuse_in_text(section: &mut Section<'_>) {
    section.refuse(
        "pseudonym_key",
        "a key never stands in a config: put it into a file and name that with \
         `pseudonym_key_file`, or name a variable of the environment with `pseudonym_key_env`",
    );
}

/// The key, and reports why there is none to the section. None as well when none is given.
pub(super) fn load(section: &mut Section<'_>, given: &Given<'_>) -> Option<PseudonymKey> {
    let is_id = (1..=16).contains(&given.id.len())
        && given.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    section.require("pseudonym_key_id", is_id, "must be 1 to 16 letters and digits");
    let (name, secret) = match (given.file, given.variable) {
        (None, None) => return None,
        (Some(path), None) => ("pseudonym_key_file", of_file(path)),
        (None, Some(name)) => ("pseudonym_key_env", of_variable(section, name)),
        (Some(_), Some(_)) => {
            let law = "there is a `pseudonym_key_file` too; keep one of them".to_owned();
            section.report_at(&["pseudonym_key_env"], law);
            return None;
        }
    };
    match secret {
        Ok(secret) => PseudonymKey::new(if is_id { given.id } else { "k1" }, &secret),
        Err(what) => {
            section.report_at(&[name], what);
            None
        }
    }
}

/// The file's bytes. Refused, as by ssh, when it is ours and others may use it; a secret that
/// Kubernetes mounts for a group is not ours.
fn of_file(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = read_named(path, FILE_BYTES_MAX)?;
    let metadata = File::open(path).and_then(|file| file.metadata());
    let own_uid = std::fs::metadata("/proc/self").map(|it| it.uid());
    if let (Ok(metadata), Ok(own_uid)) = (metadata, own_uid)
        && metadata.uid() == own_uid
        && metadata.mode() & MODE_OF_OTHERS != 0
    {
        let mode = metadata.mode() & 0o777;
        return Err(format!(
            "the key file is open to others (mode {mode:04o}); run `chmod 600` on it"
        ));
    }
    long_enough(bytes, "the key file")
}

fn of_variable(section: &Section<'_>, name: &str) -> Result<Vec<u8>, String> {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !is_name {
        return Err("must be the name of a variable, not the key itself".to_owned());
    }
    if name.starts_with("SIDELIGHT_") {
        return Err(
            "names that begin with SIDELIGHT_ set keys of this config; choose another".to_owned()
        );
    }
    let value = section.variable(name).ok_or("the variable that it names is not set")?;
    long_enough(value.to_owned().into_encoded_bytes(), "the variable")
}

fn long_enough(mut secret: Vec<u8>, what: &str) -> Result<Vec<u8>, String> {
    // Editors and `echo` end a file with a newline.
    for end in [b'\n', b'\r'] {
        secret.pop_if(|last| *last == end);
    }
    let least = PseudonymKey::SECRET_BYTES_MIN;
    if secret.len() < least {
        return Err(format!(
            "{what} holds {} bytes, and a key has {least} or more; make one with `openssl rand -hex 32`",
            secret.len()
        ));
    }
    Ok(secret)
}
