//! A recorded Spark job through the real agent.
use std::process::ExitCode;
/// x
pub fn run(_keep: bool) -> ExitCode {
    ExitCode::SUCCESS
}
