//! How much time the requests of one batch have. The lane waits for all of them no longer than its
//! `request_timeout`, and a request that is under way then may arrive twice: so none begins that may
//! not end.

use super::exchange::Exchange;
use super::failure::{Class, Failure};
use std::time::Duration;
use tokio::time::Instant;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Pace {
    end: Instant,
    /// The longest that a request took.
    slowest: Duration,
}

impl Pace {
    /// `time` is for all requests of a batch.
    pub(super) fn new(time: Duration) -> Self {
        Self { end: Instant::now() + time, slowest: Duration::ZERO }
    }

    /// What is left.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// True when another request has time enough: twice what the slowest took.
    pub(super) fn has_room(&self) -> bool {
        2 * self.slowest < self.left()
    }

    /// Waits for a request.
    pub(super) async fn time<T>(&mut self, request: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = request.await;
        self.slowest = self.slowest.max(began.elapsed());
        answer
    }
}

/// Why a batch is not done with, when what is left of it comes next.
pub(super) fn out_of_time(exchange: &Exchange) -> Failure {
    let told = "a batch in parts takes longer than request_timeout; the rest of it comes next: raise \
                request_bytes_max or request_timeout";
    // Nothing has failed, so nothing waits for long.
    let retry_after = Some(Duration::ZERO);
    Failure { retry_after, ..Failure::own(Class::Transient, told, exchange.cleaner()) }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::time::Duration;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn no_request_begins_that_may_not_end() {
        let mut pace = Pace::new(Duration::from_secs(10));
        for (seconds, has_room) in [(0, true), (1, true), (3, false), (0, false)] {
            pace.time(sleep(Duration::from_secs(seconds))).await;
            assert_eq!(pace.has_room(), has_room, "{:?}", pace.left());
        }
    }
}
