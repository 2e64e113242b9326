//! Which metrics of a vertex are read, and what they become. Names of operators stand before the names
//! of their metrics, so that those are told by how they end.

use super::metrics::vertex::{
    SINK_COMMITTABLES, SINK_SEND, SOURCE_DRIFT, SOURCE_EMIT_LAG, SOURCE_FETCH_LAG, SOURCE_IDLE,
    SOURCE_PENDING, TASK_ALIGNMENT, TASK_BUFFERS, TASK_INITIALIZATION, TASK_MAILBOX_LATENCY,
    TASK_MAILBOX_QUEUE, TASK_START_DELAY, VERTEX_BACKPRESSURED, VERTEX_BUSY,
    VERTEX_HARD_BACKPRESSURED, VERTEX_IDLE,
};
use super::rest::{Aggregate, Real};
use crate::model::MetricDescriptor;
use crate::scrape::spark::metrics::{MILLISECONDS, NANOSECONDS};

/// What a metric of a vertex says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Alignment,
    Backpressured,
    Busy,
    Committables(&'static str),
    Drift,
    EmitLag,
    FetchLag,
    /// Number so and so of `scrapers.flink.metrics`.
    Further(usize),
    HardBackpressured,
    Idle,
    Initialization,
    InputBuffers,
    Late,
    MailboxLatency,
    MailboxQueue,
    OutputBuffers,
    Pending,
    RecordsIn,
    RecordsOut,
    SendErrors,
    SendTime,
    SentBytes,
    SentRecords,
    SourceBytes,
    SourceIdle,
    SourceRecords,
    StartDelay,
    Watermark,
}

/// Metrics of a task as a whole.
const WHOLE: [(&str, Wanted); 16] = [
    ("backPressuredTimeMsPerSecond", Wanted::Backpressured),
    ("buffers.inPoolUsage", Wanted::InputBuffers),
    ("buffers.outPoolUsage", Wanted::OutputBuffers),
    ("busyTimeMsPerSecond", Wanted::Busy),
    ("checkpointAlignmentTime", Wanted::Alignment),
    ("checkpointStartDelayNanos", Wanted::StartDelay),
    ("currentInputWatermark", Wanted::Watermark),
    ("hardBackPressuredTimeMsPerSecond", Wanted::HardBackpressured),
    ("idleTimeMsPerSecond", Wanted::Idle),
    ("initializationTime", Wanted::Initialization),
    ("mailboxLatencyMs_p99", Wanted::MailboxLatency),
    ("mailboxQueueSize", Wanted::MailboxQueue),
    ("numRecordsIn", Wanted::RecordsIn),
    ("numRecordsOut", Wanted::RecordsOut),
    ("Shuffle.Netty.Input.Buffers.inPoolUsage", Wanted::InputBuffers),
    ("Shuffle.Netty.Output.Buffers.outPoolUsage", Wanted::OutputBuffers),
];

/// Metrics of operators.
const ENDINGS: [(&str, Wanted); 15] = [
    (".alreadyCommittedCommittables", Wanted::Committables("already_committed")),
    (".currentEmitEventTimeLag", Wanted::EmitLag),
    (".currentFetchEventTimeLag", Wanted::FetchLag),
    (".currentSendTime", Wanted::SendTime),
    (".failedCommittables", Wanted::Committables("failed")),
    (".numBytesSend", Wanted::SentBytes),
    (".numLateRecordsDropped", Wanted::Late),
    (".numRecordsSend", Wanted::SentRecords),
    (".numRecordsSendErrors", Wanted::SendErrors),
    (".pendingCommittables", Wanted::Committables("pending")),
    (".pendingRecords", Wanted::Pending),
    (".retriedCommittables", Wanted::Committables("retried")),
    (".sourceIdleTime", Wanted::SourceIdle),
    (".successfulCommittables", Wanted::Committables("successful")),
    (".watermarkAlignmentDrift", Wanted::Drift),
];

/// How the metrics of operators that read a source begin.
const SOURCE: &str = "Source__";

impl Wanted {
    /// What the metric `id` says; none for one that nobody wants. `further` are the user's endings.
    pub(super) fn of(id: &str, further: &[String]) -> Option<Self> {
        if let Some((_, wanted)) = WHOLE.iter().find(|(whole, _)| *whole == id) {
            return Some(*wanted);
        }
        if let Some((_, wanted)) = ENDINGS.iter().find(|(ending, _)| id.ends_with(ending)) {
            return Some(*wanted);
        }
        if id.starts_with(SOURCE) && id.ends_with(".numRecordsOut") {
            return Some(Self::SourceRecords);
        }
        if id.starts_with(SOURCE) && id.ends_with(".numBytesIn") {
            return Some(Self::SourceBytes);
        }
        let is_whole_word = |before: &str| before.is_empty() || before.ends_with('.');
        let named = further
            .iter()
            .position(|ending| id.strip_suffix(ending.as_str()).is_some_and(is_whole_word));
        named.map(Self::Further)
    }

    /// True for what only a vertex with a source has.
    pub(super) fn is_of_source(id: &str) -> bool {
        id.starts_with(SOURCE)
    }

    /// True if every subtask sets it right from the beginning: one below 0 is a real value.
    fn may_be_negative(self) -> bool {
        matches!(self, Self::Further(_))
    }
}

/// Numbers about all subtasks of a vertex, of all its operators that have the metric.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Numbers {
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) avg: Option<f64>,
    pub(super) sum: Option<f64>,
}

impl Numbers {
    /// What an answer says of `wanted`. "Not known" is a number below 0, and one subtask that does not
    /// know makes the sums worthless, but not the largest of all.
    pub(super) fn new(answer: &Aggregate, wanted: Wanted) -> Self {
        let known = |number: Real| {
            if wanted.may_be_negative() { number.0 } else { number.known() }
        };
        let min = known(answer.min);
        let has_all = |number: Real| min.and(known(number));
        Self { min, max: known(answer.max), avg: has_all(answer.avg), sum: has_all(answer.sum) }
    }

    /// Both operators together; of averages the higher one, as of two operators the worse counts.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        let both = |one: Option<f64>, two: Option<f64>, join: fn(f64, f64) -> f64| match (one, two)
        {
            (Some(one), Some(two)) => Some(join(one, two)),
            (one, two) => one.or(two),
        };
        Self {
            min: both(self.min, other.min, f64::min),
            max: both(self.max, other.max, f64::max),
            avg: both(self.avg, other.avg, f64::max),
            sum: self.sum.zip(other.sum).map(|(one, two)| one + two),
        }
    }
}

/// One statistic of [`Numbers`].
pub(super) type Statistic = (&'static str, fn(&Numbers) -> Option<f64>);
const MIN: Statistic = ("min", |numbers| numbers.min);
const AVG: Statistic = ("avg", |numbers| numbers.avg);
const MAX: Statistic = ("max", |numbers| numbers.max);

/// A gauge that is read off as it is.
pub(super) struct Plain {
    pub(super) wanted: Wanted,
    pub(super) descriptor: &'static MetricDescriptor,
    pub(super) label: Option<(&'static str, &'static str)>,
    /// Raw units in one exported unit.
    pub(super) divisor: f64,
    /// With a label `stat` for each.
    pub(super) statistics: &'static [Statistic],
    /// Without one.
    pub(super) one: Option<fn(&Numbers) -> Option<f64>>,
}

const fn several(
    wanted: Wanted,
    descriptor: &'static MetricDescriptor,
    statistics: &'static [Statistic],
) -> Plain {
    let (label, one) = (None, None);
    Plain { wanted, descriptor, label, divisor: MILLISECONDS, statistics, one }
}

const fn single(
    wanted: Wanted,
    descriptor: &'static MetricDescriptor,
    divisor: f64,
    one: fn(&Numbers) -> Option<f64>,
) -> Plain {
    Plain { wanted, descriptor, label: None, divisor, statistics: &[], one: Some(one) }
}

const fn labelled(
    wanted: Wanted,
    descriptor: &'static MetricDescriptor,
    label: (&'static str, &'static str),
    one: fn(&Numbers) -> Option<f64>,
) -> Plain {
    let (label, one) = (Some(label), Some(one));
    Plain { wanted, descriptor, label, divisor: 1.0, statistics: &[], one }
}

const fn committables(state: &'static str) -> Plain {
    let sum: fn(&Numbers) -> Option<f64> = |numbers| numbers.sum;
    labelled(Wanted::Committables(state), &SINK_COMMITTABLES, ("state", state), sum)
}

/// Gauges that are read off as they are.
pub(super) static PLAIN: [Plain; 22] = [
    several(Wanted::Busy, &VERTEX_BUSY, &[MIN, AVG, MAX]),
    several(Wanted::Idle, &VERTEX_IDLE, &[MIN, AVG, MAX]),
    several(Wanted::Backpressured, &VERTEX_BACKPRESSURED, &[MIN, AVG, MAX]),
    several(Wanted::HardBackpressured, &VERTEX_HARD_BACKPRESSURED, &[MIN, AVG, MAX]),
    several(Wanted::FetchLag, &SOURCE_FETCH_LAG, &[AVG, MAX]),
    several(Wanted::EmitLag, &SOURCE_EMIT_LAG, &[AVG, MAX]),
    single(Wanted::Pending, &SOURCE_PENDING, 1.0, |numbers| numbers.sum),
    single(Wanted::SourceIdle, &SOURCE_IDLE, MILLISECONDS, |numbers| numbers.max),
    single(Wanted::Drift, &SOURCE_DRIFT, MILLISECONDS, |numbers| numbers.max),
    single(Wanted::SendTime, &SINK_SEND, MILLISECONDS, |numbers| numbers.max),
    committables("pending"),
    committables("successful"),
    committables("failed"),
    committables("retried"),
    committables("already_committed"),
    single(Wanted::MailboxLatency, &TASK_MAILBOX_LATENCY, MILLISECONDS, |numbers| numbers.max),
    single(Wanted::MailboxQueue, &TASK_MAILBOX_QUEUE, 1.0, |numbers| numbers.max),
    single(Wanted::StartDelay, &TASK_START_DELAY, NANOSECONDS, |numbers| numbers.max),
    single(Wanted::Alignment, &TASK_ALIGNMENT, NANOSECONDS, |numbers| numbers.max),
    single(Wanted::Initialization, &TASK_INITIALIZATION, MILLISECONDS, |numbers| numbers.max),
    labelled(Wanted::InputBuffers, &TASK_BUFFERS, ("direction", "in"), |numbers| numbers.max),
    labelled(Wanted::OutputBuffers, &TASK_BUFFERS, ("direction", "out"), |numbers| numbers.max),
];

#[cfg(test)]
mod tests {
    use super::{Numbers, Wanted};
    use crate::scrape::flink::rest::Aggregate;

    #[test]
    fn ids_are_known_by_their_whole_or_their_end() {
        let further = ["rocksdb_estimate-num-keys".to_owned()];
        for (id, wanted) in [
            ("busyTimeMsPerSecond", Some(Wanted::Busy)),
            ("count-per-key.numLateRecordsDropped", Some(Wanted::Late)),
            ("Source__orders.KafkaSourceReader.pendingRecords", Some(Wanted::Pending)),
            ("Source__orders.numRecordsOut", Some(Wanted::SourceRecords)),
            ("enrich.numRecordsIn", None),
            ("Shuffle.Netty.Input.Buffers.inPoolUsage", Some(Wanted::InputBuffers)),
            ("agg.window-contents.rocksdb_estimate-num-keys", Some(Wanted::Further(0))),
            ("rocksdb_estimate-num-keys", Some(Wanted::Further(0))),
            ("agg.xrocksdb_estimate-num-keys", None),
            ("enrich.currentInputWatermark", None),
        ] {
            assert_eq!(Wanted::of(id, &further), wanted, "{id}");
        }
    }

    #[test]
    fn one_subtask_that_knows_nothing_leaves_the_largest_of_the_others() {
        let text = r#"{"id":"x","min":-1.0,"max":7.0,"avg":3.0,"sum":6.0}"#;
        let answer: Aggregate = serde_json::from_str(text).unwrap();
        let numbers = Numbers::new(&answer, Wanted::Pending);
        assert_eq!(numbers, Numbers { max: Some(7.0), ..Numbers::default() });
    }
}
