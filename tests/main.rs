//! Integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests may panic and say why they skip"
)]

mod exposition;
