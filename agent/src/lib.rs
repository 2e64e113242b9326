//! Sidelight, the observability agent for Spark and Flink jobs. ARCHITECTURE.md is the map.

pub mod config;
pub mod encode;
pub mod export;
pub mod model;
pub mod parse;
pub mod scrape;
pub mod tail;
pub mod trace;
