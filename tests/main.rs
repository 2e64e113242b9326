//! The one integration binary.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests may panic and say why they skip"
)]

mod cloudwatch;
mod dashboards;
mod demo;
mod deploy;
mod event_log;
mod exposition;
mod failures;
mod flink;
mod harness;
mod inputs;
mod kills;
mod lanes;
mod life_cycle;
mod otlp;
mod panics;
mod redact;
mod rotators;
mod s3;
mod sick_ui;
mod spark;
mod state;
mod tail;
mod tidy;
mod whose;
