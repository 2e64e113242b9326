//! Integration tests: one binary, so that it is linked once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
mod spark;
