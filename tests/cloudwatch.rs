//! A strict fake of CloudWatch Logs, what proves it right, and moto as the second opinion.
//!
//! The server that only counts, for figures; it ends when its standard input does:
//!
//! ```sh
//! cargo test -p sidelight --test integration cloudwatch::serve -- --ignored --nocapture
//! ```
//!
//! It prints its address, answers `GET /` with its counts, and waits `SIDELIGHT_FAKE_DELAY_MS`
//! before each answer. This build takes 2 GB per CPU second, one with `--release` 3 GB.

mod auth;
mod auth_tests;
mod client;
mod counting;
pub(crate) mod emf;
mod emf_tests;
mod entity;
pub(crate) mod fake;
pub(crate) mod fault;
mod fault_tests;
mod limits;
mod model;
pub(crate) mod moto;
mod operations;
mod operations_tests;
mod put;
mod put_tests;
mod read_back;
mod rig;
mod sdk;
mod server;
mod state;
mod sts;
mod sts_tests;
mod wire;

#[test]
#[ignore = "a server for figures; it runs until its standard input ends"]
fn serve() {
    let delay_ms = std::env::var("SIDELIGHT_FAKE_DELAY_MS");
    let delay_ms = delay_ms.map_or(0, |delay| delay.parse().expect("SIDELIGHT_FAKE_DELAY_MS"));
    let server = counting::Counting::start(std::time::Duration::from_millis(delay_ms));
    // The test runner leaves its own line open.
    println!("\nlistening on {}", server.url());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    println!("{}", server.counts());
}
