//! How the agent ends: by a signal, by a file, by silence; and how it takes a new config.

mod carried;
mod ends;
mod reload;
