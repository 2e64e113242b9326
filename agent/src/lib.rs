//! Sidelight, the observability agent for Spark and Flink jobs. ARCHITECTURE.md is the map.

pub mod admin;
pub mod app;
pub mod archive;
pub mod autodetect;
pub mod aws;
pub mod checkpoint;
pub mod config;
pub mod dead_letters_command;
pub mod demo;
pub mod encode;
pub mod ending;
pub mod export;
pub mod health;
pub mod identity;
pub mod life;
pub mod model;
pub mod online;
pub mod panics;
pub mod parse;
pub mod policy;
pub mod redact;
pub mod scrape;
pub mod state;
pub mod tail;
pub mod telemetry;
pub mod trace;
