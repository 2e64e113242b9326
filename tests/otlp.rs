//! The exporter of OTLP: against receivers that others wrote, and against one of our own that
//! misbehaves on request.

mod bed;
mod fault_tests;
pub(crate) mod real;
mod real_tests;
mod receiver;
mod recorded_ui;
mod tls_tests;
mod wire;
