//! CloudWatch Logs: what the exporters of logs and of metrics share.

pub mod failure;
pub mod gate;
pub mod message;
pub mod names;
mod probe;
pub mod request;
pub mod section;
pub mod service;
pub mod target;
