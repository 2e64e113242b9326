//! What becomes of a panic: the process ends, unless it is one that the redactor catches.

use std::io::Write;
use std::panic::{Location, PanicHookInfo};

/// Replaces the hook of the process.
///
/// The redactor catches its own panics and fails closed, for which panics must unwind; every other
/// one ends the process at once, as a half-dead agent is worse than a restart from the checkpoint.
/// Messages are never printed: they may hold what was being read.
pub fn install_hook() {
    std::panic::set_hook(Box::new(hook));
}

fn hook(panic: &PanicHookInfo<'_>) {
    if redaction::is_guarded() {
        return;
    }
    let _ = std::io::stderr().write_all(line(panic.location()).as_bytes());
    std::process::abort();
}

fn line(location: Option<&Location<'_>>) -> String {
    let (file, line) = location.map_or(("?", 0), |it| (it.file(), it.line()));
    format!("sidelight: internal error at {file}:{line}\n")
}
