//! Whether a receiver will take what is sent: it is asked with an empty request, which it must answer
//! with success (OTLP specification: "If the server receives an empty request, the server SHOULD
//! respond with success").

use super::config::Routes;
use super::exchange::Exchange;
use super::logs::new_message;
use crate::export::Finding;
use redaction::Redactor;
use std::sync::Arc;
use std::time::Duration;

/// Asks for each signal.
pub(super) async fn ask(routes: &Routes, time: Duration, redactor: Arc<Redactor>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (signal, route) in routes {
        let signal = signal.as_str();
        // Addresses are free text of the operator.
        let endpoint = redactor.value(&route.endpoint);
        let mut exchange = Exchange::new(route.clone(), time, redactor.clone());
        found.push(match exchange.send(new_message(), time).await {
            Ok(()) => Finding::Good(format!("{endpoint} takes {signal}")),
            Err(failure) => Finding::Bad(format!("{signal} to {endpoint}: {}", failure.reason)),
        });
    }
    found
}
