//! What the integration tests stand on: processes, real peers, and the oracle that judges output.

pub(crate) mod agent;
pub(crate) mod bed;
pub(crate) mod content;
pub(crate) mod events;
pub(crate) mod flink;
pub(crate) mod http;
pub(crate) mod metrics;
pub(crate) mod oracle;
pub(crate) mod peers;
pub(crate) mod planted;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod scratch;
pub(crate) mod sink;
pub(crate) mod spark;
pub(crate) mod tally;
pub(crate) mod wait;
pub(crate) mod writer;
