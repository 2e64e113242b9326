//! The config file: one strict TOML file, environment on top, every problem reported in one pass.

pub mod units;

pub use units::{Bytes, Interval};
