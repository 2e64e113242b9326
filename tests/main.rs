//! The one integration binary.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests may panic and say why they skip"
)]

mod demo;
mod exposition;
mod harness;
mod lanes;
mod panics;
mod redact;
mod sick_ui;
mod spark;
mod tail;
mod tidy;
