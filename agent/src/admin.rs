//! The admin server: `/metrics`, `/livez` and `/readyz`, on a thread of its own so that probes are
//! answered while exporters compress.

mod server;

pub use server::{Admin, AdminHandle};

use crate::checkpoint;
use crate::export::prometheus::{Format, SeriesTable};
use crate::health::Health;
use crate::policy::Redactors;
use crate::telemetry;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Why the admin server did not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken, or not one of this host.
    #[error(
        "cannot listen on {address}: {source}; stop what uses that port or change admin.listen"
    )]
    Listen {
        /// The value of `admin.listen`.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused a thread or a socket.
    #[error("cannot start the admin server: {source}; raise the limit of processes or open files")]
    Start {
        /// What the system said.
        source: std::io::Error,
    },
}

/// What the admin server shows; shared with whoever changes it.
pub struct AdminState {
    table: Arc<SeriesTable>,
    redactors: Arc<Redactors>,
    health: Arc<Health>,
}

impl AdminState {
    /// What is shown. `redactors` are asked for their counts when `/metrics` is.
    #[must_use]
    pub fn new(table: Arc<SeriesTable>, redactors: Arc<Redactors>, health: Arc<Health>) -> Self {
        Self { table, redactors, health }
    }

    /// Why the agent is not ready; empty when it is.
    fn reasons(&self) -> Vec<String> {
        let checkpoint = "degraded: checkpoint cannot be written";
        let failing = checkpoint::is_failing().then(|| checkpoint.to_owned());
        self.health.reasons().into_iter().chain(failing).collect()
    }

    fn metrics(&self, format: Format) -> String {
        telemetry::SERIES.set(self.table.n_series() as f64);
        self.table.render(format, &telemetry::own_batch(&self.redactors))
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").field("health", &self.health).finish_non_exhaustive()
    }
}
