//! CloudWatch Logs: what the exporters of logs and of metrics share.

pub mod failure;
pub mod gate;
pub mod message;
pub mod names;
pub mod request;
pub mod service;
pub mod target;
