//! What is encoded, decoded with the same types, says what the JSON of `encode.rs` says; and what the
//! config and the environment come to.

mod parts;
mod records;
mod samples;
mod settings;
