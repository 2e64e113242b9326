//! How many requests are under way: fewer when the service throttles, slowly more when it does not.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lets so many requests through at a time.
#[derive(Debug)]
pub struct Gate {
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    max: usize,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Permits that are to be taken away as they come back.
    owed: usize,
    /// Requests that went well since the limit was changed.
    n_well: usize,
}

impl Gate {
    /// At most `max` at a time, at least one.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let state = State { limit: max, owed: 0, n_well: 0 };
        Self { permits: Arc::new(Semaphore::new(max)), state: Mutex::new(state), max }
    }

    /// Waits for a turn.
    pub async fn enter(self: &Arc<Self>) -> Pass {
        // It is never closed.
        let permit = self.permits.clone().acquire_owned().await.ok();
        Pass { gate: self.clone(), permit }
    }

    /// The service throttles: half as many from now on.
    pub fn throttled(&self) {
        self.change(|state, _| {
            let limit = (state.limit / 2).max(1);
            state.owed += state.limit - limit;
            (state.limit, state.n_well) = (limit, 0);
        });
    }

    /// A request went well: one more after as many as are let through.
    pub fn went_well(&self) {
        self.change(|state, gate| {
            state.n_well += 1;
            if state.n_well > state.limit && state.limit < gate.max {
                (state.limit, state.n_well) = (state.limit + 1, 0);
                match state.owed {
                    0 => gate.permits.add_permits(1),
                    _ => state.owed -= 1,
                }
            }
        });
    }

    /// How many are let through now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).limit
    }

    fn change(&self, change: impl FnOnce(&mut State, &Self)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), self);
    }
}

/// One turn.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let permit = self.permit.take();
        self.gate.change(|state, _| {
            if state.owed > 0 && permit.is_some() {
                state.owed -= 1;
                permit.into_iter().for_each(OwnedSemaphorePermit::forget);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use std::sync::Arc;

    #[tokio::test]
    async fn throttling_halves_what_is_let_through_and_good_answers_bring_it_back() {
        let gate = Arc::new(Gate::new(8));
        let passes: Vec<_> = futures_util::future::join_all((0..8).map(|_| gate.enter())).await;
        gate.throttled();
        gate.throttled();
        assert_eq!(gate.limit(), 2);
        drop(passes);
        assert_eq!(gate.permits.available_permits(), 2);
        gate.throttled();
        gate.throttled();
        let pass = gate.enter().await;
        drop(pass);
        assert_eq!((gate.limit(), gate.permits.available_permits()), (1, 1), "never none");
        (0..100).for_each(|_| gate.went_well());
        assert_eq!((gate.limit(), gate.permits.available_permits()), (8, 8));
    }
}
