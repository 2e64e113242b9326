//! CloudWatch metrics as log events in the embedded metric format (EMF): what is sent, not how.
//!
//! Nothing here opens a connection. [`Encoder::prepare`] makes the events of one batch, the sender
//! delivers them, and [`Encoder::commit`] takes note that it did.

mod dimension;
mod distribution;
mod encode;
mod estimate;
mod event;
mod exporter;
mod settings;
pub mod table;
#[cfg(test)]
mod tests;

pub use encode::{Encoder, Prepared};
pub use exporter::{Config, DEFINITION};
pub use settings::{Scope, Settings, SettingsError};
