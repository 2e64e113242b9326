//! What holds for all batches.

use super::super::table::TABLE;
use super::{
    Encoder, Extracted, Histogram, MetricBatch, MetricDescriptor, Sample, WATCHED_SINCE,
    application, batch, histogram, job, metrics, prepare, sample, settings, stage,
};
use crate::model::Kind;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use redaction::Redactor;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static BOUNDS: &[f64] = &[1.0, 10.0, 100.0];
static REDACTOR: LazyLock<Redactor> = LazyLock::new(Redactor::new);

/// Any metric of the table, any labels, any number.
fn any_sample() -> impl Strategy<Value = Sample> {
    let number = prop_oneof![
        any::<f64>(),
        0.0..1e6_f64,
        Just(0.0),
        Just(f64::MAX),
        Just(9_007_199_254_740_991.0)
    ];
    let names = prop::sample::select(vec![
        "state", "outcome", "reason", "medium", "stat", "job_name", "cluster", "source",
    ]);
    let text = prop_oneof!["\\PC{0,5}", "[a-c]", "[ \t\n\u{1}\"\\\\é]{0,3}", "x{1020,1030}"];
    let observations = prop::collection::vec(-10.0..1e4_f64, 0..20);
    let labels = prop::collection::vec((names, text), 0..4);
    (0..=TABLE.len(), number, observations, labels).prop_map(|(idx, number, observed, labels)| {
        // One beyond the table is the metric that carries the properties.
        let descriptor = TABLE.get(idx).map_or(&job::JOB_RUN_INFO, |row| row.metric);
        let mut made = match descriptor.kind {
            Kind::Histogram => {
                let mut all = Histogram::new(BOUNDS);
                observed.iter().for_each(|value| all.observe(*value));
                histogram(descriptor, &[], &all)
            }
            _ => sample(descriptor, &[], number),
        };
        made.labels =
            labels.into_iter().map(|(name, text)| (name, REDACTOR.value(&text))).collect();
        made
    })
}

/// One counter series of the table with its fixed labels, and a histogram.
type Series = (&'static MetricDescriptor, &'static [(&'static str, &'static str)]);

const SERIES: [Series; 7] = [
    (&job::JOB_READ_BYTES, &[]),
    (&stage::SHUFFLE_READ_BYTES, &[("source", "local")]),
    (&stage::SHUFFLE_READ_BYTES, &[("source", "remote")]),
    (&application::APP_EXECUTORS_REMOVED, &[("reason", "oom")]),
    (&application::APP_EXECUTORS_REMOVED, &[("reason", "lost")]),
    (&stage::STAGE_SPILLED, &[("medium", "disk")]),
    (&job::JOB_RUNS, &[("outcome", "failed")]),
];

/// One scrape: by how much each counter grew, or that it is absent; new observations; whether the
/// events arrive; whether the next run of the job began.
#[derive(Debug, Clone)]
struct Scrape {
    growth: [Option<u32>; SERIES.len()],
    observed: Vec<u32>,
    arrives: bool,
    begins: bool,
}

fn scrape() -> impl Strategy<Value = Scrape> {
    let growth = prop::array::uniform7(prop::option::weighted(0.8, 0..1_000_u32));
    let observed = prop::collection::vec(0..300_u32, 0..4);
    (growth, observed, any::<bool>(), prop::bool::weighted(0.1)).prop_map(
        |(growth, observed, arrives, begins)| Scrape { growth, observed, arrives, begins },
    )
}

/// Ledgers of one run, as a scraper keeps them.
struct Run {
    number: u64,
    totals: [f64; SERIES.len()],
    durations: Histogram,
}

impl Run {
    fn new(number: u64) -> Self {
        Self { number, totals: [0.0; SERIES.len()], durations: Histogram::new(BOUNDS) }
    }

    fn batch(&self, second: u64, is_present: impl Fn(usize) -> bool) -> MetricBatch {
        let series = SERIES.iter().zip(&self.totals).enumerate();
        let present = series.filter(|(idx, _)| is_present(*idx));
        let mut samples: Vec<Sample> = present
            .map(|(_, ((descriptor, labels), total))| sample(descriptor, labels, *total))
            .collect();
        samples.push(histogram(&stage::STAGE_DURATION, &[], &self.durations));
        MetricBatch { created_unix_ms: WATCHED_SINCE + self.number, ..batch(second, samples) }
    }
}

/// Sums and counts by metric and extra dimension, as CloudWatch adds them up.
#[derive(Debug, Default)]
struct CloudWatch {
    sums: BTreeMap<String, (f64, u64)>,
}

impl CloudWatch {
    fn store(&mut self, metrics: &[Extracted]) {
        for metric in metrics {
            let known = ["cluster", "job_name"];
            let mut others = metric.dimensions.iter();
            let extra = others.find(|(name, _)| !known.contains(&name.as_str()));
            let extra = extra.map_or("", |(_, value)| value);
            let (sum, count) = self.sums.entry(format!("{} {extra}", metric.name)).or_default();
            *sum += metric.sum();
            *count += metric.count();
        }
    }

    fn sum(&self, name: &str) -> f64 {
        self.sums.get(name).map_or(0.0, |(sum, _)| *sum)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_event_of_any_batch_is_valid(
        batches in prop::collection::vec(prop::collection::vec(any_sample(), 0..60), 1..4),
        job_name in "\\PC{0,12}",
    ) {
        let mut encoder = Encoder::new(settings(), WATCHED_SINCE);
        for (second, samples) in (1..).zip(batches) {
            let mut batch = batch(second, samples);
            batch.labels[1].1 = REDACTOR.value(&job_name);
            let prepared = prepare(&mut encoder, &batch);
            metrics(&prepared);
            encoder.commit(prepared, batch.time_unix_ms);
        }
    }

    #[test]
    fn the_sum_of_what_arrived_is_what_the_job_counted(
        scrapes in prop::collection::vec(scrape(), 1..30)
    ) {
        let mut encoder = Encoder::new(settings(), WATCHED_SINCE);
        let (mut cloud, mut ended) = (CloudWatch::default(), [0.0; SERIES.len()]);
        let (mut n_observed, mut observed) = (0, 0.0);
        let mut run = Run::new(0);
        let mut second = 0;
        let send = |encoder: &mut Encoder, cloud: &mut CloudWatch, batch, arrives| {
            let prepared = prepare(encoder, &batch);
            let metrics = metrics(&prepared);
            assert_eq!(prepared.dropped(), &BTreeMap::new());
            if arrives {
                cloud.store(&metrics);
                encoder.commit(prepared, batch.time_unix_ms);
            }
        };
        for scrape in &scrapes {
            second += 10;
            if scrape.begins {
                // The lane tries the last batch of a run until it arrives.
                send(&mut encoder, &mut cloud, run.batch(second, |_| true), true);
                second += 10;
                ended.iter_mut().zip(&run.totals).for_each(|(ended, total)| *ended += total);
                run = Run::new(run.number + 1);
            }
            for (total, growth) in run.totals.iter_mut().zip(scrape.growth) {
                *total += f64::from(growth.unwrap_or(0));
            }
            for value in scrape.observed.iter().map(|value| f64::from(*value)) {
                run.durations.observe(value);
                (n_observed, observed) = (n_observed + 1, observed + value);
            }
            let batch = run.batch(second, |idx| scrape.growth[idx].is_some());
            send(&mut encoder, &mut cloud, batch, scrape.arrives);
        }
        send(&mut encoder, &mut cloud, run.batch(second + 10, |_| true), true);
        ended.iter_mut().zip(&run.totals).for_each(|(ended, total)| *ended += total);
        assert_eq!(cloud.sum("job_read_bytes_total "), ended[0]);
        assert_eq!(cloud.sum("spark_stage_shuffle_read_bytes_total "), ended[1] + ended[2]);
        assert_eq!(cloud.sum("spark_app_executors_removed_total oom"), ended[3]);
        assert_eq!(cloud.sum("spark_app_executors_removed_total lost"), ended[4]);
        assert_eq!(cloud.sum("spark_stage_spilled_bytes_total disk"), ended[5]);
        assert_eq!(cloud.sum("job_runs_total failed"), ended[6]);
        let durations = cloud.sums.get("spark_stage_duration_seconds ").copied();
        let (sum, count) = durations.unwrap_or_default();
        assert_eq!(count, n_observed);
        assert!((sum - observed).abs() < 1e-6, "{sum} {observed}");
    }

    #[test]
    fn the_same_batch_makes_the_same_events(samples in prop::collection::vec(any_sample(), 0..40)) {
        let mut encoder = Encoder::new(settings(), WATCHED_SINCE);
        let batch = batch(1, samples);
        let once = prepare(&mut encoder, &batch);
        assert_eq!(prepare(&mut encoder, &batch).events, once.events);
    }
}

#[test]
fn a_lost_batch_of_a_single_job_is_within_the_next() {
    // Kept beside the law so that its smallest case can be read.
    let mut encoder = Encoder::new(settings(), WATCHED_SINCE);
    let mut cloud = CloudWatch::default();
    for (second, total, arrives) in [(1, 3.0, false), (2, 4.0, true), (3, 9.0, false)] {
        let batch = batch(second, vec![sample(&job::JOB_READ_BYTES, &[], total)]);
        let prepared = prepare(&mut encoder, &batch);
        if arrives {
            cloud.store(&metrics(&prepared));
            encoder.commit(prepared, batch.time_unix_ms);
        }
    }
    assert_eq!(cloud.sum("job_read_bytes_total "), 4.0);
}
