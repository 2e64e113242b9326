//! What scraping costs the scraped, and the pace that follows from it.
//! Knows nothing of HTTP or of any engine.

use std::time::Duration;

/// A response slower than this makes the scraper slow down (facts: adaptive interval).
const SLOW_RESPONSE: Duration = Duration::from_secs(1);
/// A response larger than this, in bytes, makes the scraper slow down.
const LARGE_RESPONSE_BYTES: usize = 2 << 20;
/// The interval grows to this many times the configured one at most.
const INTERVAL_FACTOR_MAX: u32 = 16;
/// Requests of one round that the pace looks at.
const REQUESTS_TIMED_MAX: usize = 1024;

/// How one request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// JSON that was understood.
    Ok,
    /// No complete answer in time.
    Timeout,
    /// 3xx, which is never followed.
    Redirected,
    /// 4xx.
    ClientError,
    /// 5xx.
    ServerError,
    /// JSON that was not understood, or was cut short.
    Parse,
    /// 200 with something else than JSON.
    Html,
    /// Nothing listens there.
    Gone,
    /// The connection broke during the request.
    Broken,
    /// The answer was over the size limit.
    TooLarge,
    /// TLS could not be agreed on.
    Tls,
}

impl Outcome {
    /// Every outcome, in the order of [`ScrapeStats::requests`].
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Timeout,
        Self::Redirected,
        Self::ClientError,
        Self::ServerError,
        Self::Parse,
        Self::Html,
        Self::Gone,
        Self::Broken,
        Self::TooLarge,
        Self::Tls,
    ];

    /// Value of the label `outcome`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::Redirected => "http_3xx",
            Self::ClientError => "http_4xx",
            Self::ServerError => "http_5xx",
            Self::Parse => "parse",
            Self::Html => "html",
            Self::Gone => "gone",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
            Self::Tls => "tls",
        }
    }
}

/// What a limit made a scraper leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// An application over the limit of applications, or with an unusable id.
    Application,
    /// A stage attempt that the API forgot before its last values were read, or over the limit.
    Stage,
    /// A job, executor, vertex, metric or class of exceptions over the limit of tracked ones, or a
    /// checkpoint that the API forgot before it was read.
    Entry,
    /// A request that had to wait for the next round.
    Request,
    /// The history of a job name over the limit of names.
    JobName,
    /// A span over the limit of spans of one round, or of a job that the API forgot before its end
    /// was read.
    Span,
}

impl Cut {
    /// Every kind, in the order of [`ScrapeStats::cut`].
    pub const ALL: [Self; 6] =
        [Self::Application, Self::Stage, Self::Entry, Self::Request, Self::JobName, Self::Span];

    /// Value of the label `what`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Stage => "stage",
            Self::Entry => "entry",
            Self::Request => "request",
            Self::JobName => "job_name",
            Self::Span => "span",
        }
    }
}

/// Totals of one scraper since it started.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct ScrapeStats {
    /// Requests by outcome, in the order of [`Outcome::ALL`].
    pub requests: [u64; Outcome::ALL.len()],
    /// Body bytes received.
    pub response_bytes: u64,
    /// Time spent waiting for answers: at most this long the agent kept the target busy.
    pub busy: Duration,
    /// What limits left out, in the order of [`Cut::ALL`].
    pub cut: [u64; Cut::ALL.len()],
}

impl ScrapeStats {
    /// Requests that ended with `outcome`.
    #[must_use]
    pub fn requests_with(&self, outcome: Outcome) -> u64 {
        self.requests[outcome as usize]
    }

    /// Number of things of kind `what` that were left out.
    #[must_use]
    pub fn cut_of(&self, what: Cut) -> u64 {
        self.cut[what as usize]
    }

    /// Share of `wall`, the time since the scraper started, that was spent inside the target.
    #[must_use]
    pub fn busy_ratio(&self, wall: Duration) -> f64 {
        if wall.is_zero() { 0.0 } else { self.busy.as_secs_f64() / wall.as_secs_f64() }
    }
}

/// Counts requests and sets the pace of rounds.
#[derive(Debug)]
pub struct Meter {
    stats: ScrapeStats,
    base: Duration,
    interval: Duration,
    round: Vec<Duration>,
    largest_bytes: usize,
}

impl Meter {
    /// A meter for rounds that are `base` apart while the target is quick.
    #[must_use]
    pub fn new(base: Duration) -> Self {
        let (stats, round) = (ScrapeStats::default(), Vec::new());
        Self { stats, base, interval: base, round, largest_bytes: 0 }
    }

    /// Totals so far.
    #[must_use]
    pub fn stats(&self) -> &ScrapeStats {
        &self.stats
    }

    /// Time between rounds at the present pace.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Counts one request that took `elapsed` and brought `bytes` of body.
    pub fn record(&mut self, outcome: Outcome, elapsed: Duration, bytes: usize) {
        self.stats.requests[outcome as usize] += 1;
        self.stats.response_bytes += bytes as u64;
        self.stats.busy += elapsed;
        self.largest_bytes = self.largest_bytes.max(bytes);
        if self.round.len() < REQUESTS_TIMED_MAX {
            self.round.push(elapsed);
        }
    }

    /// Counts `count` things of kind `what` that a limit left out.
    pub fn cut(&mut self, what: Cut, count: u64) {
        self.stats.cut[what as usize] += count;
    }

    /// Ends a round: doubles the interval after a slow one, halves it back after a quick one.
    pub fn finish_round(&mut self) {
        self.round.sort_unstable();
        // The nearest-rank 95th percentile: of fewer than 20 requests it is the slowest.
        let rank = (self.round.len() * 95).div_ceil(100);
        let is_slow = (rank > 0 && self.round[rank - 1] > SLOW_RESPONSE)
            || self.largest_bytes > LARGE_RESPONSE_BYTES;
        self.interval = if is_slow {
            (self.interval * 2).min(self.base * INTERVAL_FACTOR_MAX)
        } else {
            (self.interval / 2).max(self.base)
        };
        self.round.clear();
        self.largest_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, Meter, Outcome};
    use std::time::Duration;

    const BASE: Duration = Duration::from_secs(10);

    #[test]
    fn a_slow_or_large_round_doubles_the_interval_and_a_quick_one_halves_it_back() {
        let mut meter = Meter::new(BASE);
        meter.record(Outcome::Timeout, Duration::from_millis(1001), 10);
        meter.finish_round();
        assert_eq!(meter.interval(), BASE * 2);
        meter.record(Outcome::Ok, Duration::from_millis(5), (2 << 20) + 1);
        meter.finish_round();
        assert_eq!(meter.interval(), BASE * 4);
        for expected in [BASE * 2, BASE, BASE] {
            meter.record(Outcome::Ok, Duration::from_millis(1000), 2 << 20);
            meter.finish_round();
            assert_eq!(meter.interval(), expected);
        }
    }

    #[test]
    fn the_interval_has_an_upper_end() {
        let mut meter = Meter::new(BASE);
        for _ in 0..20 {
            meter.record(Outcome::Ok, Duration::from_secs(9), 1);
            meter.finish_round();
        }
        assert_eq!(meter.interval(), BASE * 16);
    }

    #[test]
    fn one_slow_request_in_forty_does_not_change_the_pace() {
        let mut meter = Meter::new(BASE);
        for request in 0..40 {
            let elapsed = if request == 7 { 5_000 } else { 5 };
            meter.record(Outcome::Ok, Duration::from_millis(elapsed), 1);
        }
        meter.finish_round();
        assert_eq!(meter.interval(), BASE);
    }

    #[test]
    fn totals_and_busy_ratio_follow_from_the_requests() {
        let mut meter = Meter::new(BASE);
        meter.record(Outcome::Ok, Duration::from_millis(300), 100);
        meter.record(Outcome::Html, Duration::from_millis(200), 20);
        meter.cut(Cut::Stage, 3);
        let stats = meter.stats();
        assert_eq!(stats.requests_with(Outcome::Ok), 1);
        assert_eq!(stats.requests_with(Outcome::Html), 1);
        assert_eq!(stats.requests_with(Outcome::Gone), 0);
        assert_eq!(stats.response_bytes, 120);
        assert_eq!(stats.cut_of(Cut::Stage), 3);
        assert!((stats.busy_ratio(Duration::from_secs(50)) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn names_are_listed_in_the_order_of_the_counters() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index, "{}", outcome.as_str());
        }
        for (index, cut) in Cut::ALL.into_iter().enumerate() {
            assert_eq!(cut as usize, index, "{}", cut.as_str());
        }
    }
}
