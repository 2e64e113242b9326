//! Limits of CloudWatch, and values that it does not take.

use super::{
    Encoder, Histogram, Kind, MetricBatch, Root, Row, Sample, Value, WATCHED_SINCE, application,
    batch, deliver, encoder, extract, histogram, job, leak_row, metrics, prepare, sample, settings,
    shown,
};
use crate::telemetry::CLOUDWATCH_METRICS_DROPPED;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

static BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(|| (1..160).map(f64::from).collect());

fn leak(rows: Vec<Row>) -> &'static [Row] {
    Box::leak(rows.into_boxed_slice())
}

#[test]
fn e26_of_250_metrics_and_160_buckets_nothing_is_lost() {
    let mut rows: Vec<Row> =
        (0..250).map(|idx| leak_row(format!("m{idx:03}"), Kind::Counter, None)).collect();
    rows.push(leak_row("h".to_owned(), Kind::Histogram, None));
    let table = leak(rows);
    let mut encoder = Encoder::with_table(settings(), WATCHED_SINCE, table);
    let mut spread = Histogram::new(BOUNDS.as_slice());
    (0..160).for_each(|value| spread.observe(f64::from(value) + 0.5));
    let mut samples: Vec<Sample> = table[..250]
        .iter()
        .zip(1..)
        .map(|(row, n)| sample(row.metric, &[], f64::from(n)))
        .collect();
    samples.push(histogram(table[250].metric, &[], &spread));
    let prepared = prepare(&mut encoder, &batch(1, samples));
    assert_eq!(prepared.events.len(), 3, "100 metrics an event, the histogram in two of them");
    let metrics = metrics(&prepared);
    let counters: BTreeMap<&str, f64> = metrics
        .iter()
        .filter(|metric| metric.name != "h")
        .map(|metric| (metric.name.as_str(), metric.sum()))
        .collect();
    assert_eq!(counters.len(), 250);
    assert_eq!(counters.values().sum::<f64>(), f64::from((1..=250).sum::<i32>()));
    let parts: Vec<_> = metrics.iter().filter(|metric| metric.name == "h").collect();
    assert_eq!(parts.iter().map(|part| part.count()).sum::<u64>(), 160);
    let sum: f64 = parts.iter().map(|part| part.sum()).sum();
    assert!((sum - spread.sum).abs() < 1e-6, "{sum}");
    assert_eq!(prepared.dropped(), &BTreeMap::new());
    encoder.commit(prepared, WATCHED_SINCE);
    assert_eq!(encoder.n_billed(WATCHED_SINCE), 251);
}

#[test]
fn e27_nan_infinity_and_blank_dimensions_are_counted_and_the_rest_is_sent() {
    let removed = |reason, n| sample(&application::APP_EXECUTORS_REMOVED, &[("reason", reason)], n);
    let samples = vec![
        sample(&application::APP_CORES, &[], f64::NAN),
        sample(&job::JOB_PROGRESS, &[], f64::NEG_INFINITY),
        sample(&job::JOB_READ_BYTES, &[], f64::INFINITY),
        sample(&job::JOB_WRITTEN_BYTES, &[], 9_007_199_254_740_992.0),
        sample(&job::JOB_RECORDS_READ, &[], 9_007_199_254_740_991.0),
        removed(" ", 1.0),
        sample(&application::APP_EXECUTORS_REMOVED, &[], 1.0),
        removed("höher", 2.0),
        removed("oom", 3.0),
    ];
    let mut encoder = encoder();
    let prepared = prepare(&mut encoder, &batch(1, samples));
    let want = [
        "job_records_read_total 9007199254740991",
        "spark_app_executors_removed_total{reason=h%C3%B6her} 2",
        "spark_app_executors_removed_total{reason=oom} 3",
    ];
    assert_eq!(shown(&metrics(&prepared)), want);
    let dropped = BTreeMap::from([("dimension", 2), ("not_finite", 3), ("too_large", 1)]);
    assert_eq!(prepared.dropped(), &dropped);
    let counted = |reason| CLOUDWATCH_METRICS_DROPPED.get(reason).unwrap_or(0.0);
    let before: Vec<f64> = dropped.keys().map(|reason| counted(reason)).collect();
    encoder.commit(prepared, WATCHED_SINCE);
    for ((reason, n), before) in dropped.into_iter().zip(before) {
        // Other tests count at the same time.
        assert!(counted(reason) >= before + n as f64, "{reason}");
        assert!(counted("other") < 1.0, "every reason has a series of its own");
    }
}

#[test]
fn counters_over_the_bound_are_counted_and_those_that_are_known_go_on() {
    let mut encoder = encoder();
    let failed = |n: u64, total| {
        let mut made = sample(&job::JOB_RUNS, &[], total);
        made.labels = vec![("outcome", Value::number(n))];
        made
    };
    // The job itself takes one of 20,000 places, and counters at 0 make no events.
    let prepared = prepare(&mut encoder, &batch(1, (0..20_001).map(|n| failed(n, 0.0)).collect()));
    assert!(prepared.events.is_empty());
    assert_eq!(prepared.dropped(), &BTreeMap::from([("series_max", 2)]));
    let later = batch(2, vec![failed(7, 2.0), failed(20_000, 2.0)]);
    let prepared = prepare(&mut encoder, &later);
    assert_eq!(shown(&metrics(&prepared)), ["job_runs_total{outcome=7} 2"]);
    assert_eq!(prepared.dropped(), &BTreeMap::from([("series_max", 1)]));
}

#[test]
fn a_counter_goes_on_after_a_value_that_was_no_number() {
    let mut encoder = encoder();
    let at = |second, total| batch(second, vec![sample(&job::JOB_READ_BYTES, &[], total)]);
    deliver(&mut encoder, &at(1, 5.0));
    assert_eq!(deliver(&mut encoder, &at(2, f64::NAN)), []);
    assert_eq!(shown(&deliver(&mut encoder, &at(3, 9.0))), ["job_read_bytes_total 4"]);
}

#[test]
fn a_job_without_a_usable_name_and_a_batch_out_of_time_are_counted_and_lose_nothing() {
    let mut encoder = encoder();
    let good = batch(1, vec![sample(&job::JOB_READ_BYTES, &[], 5.0)]);
    let engine = vec![("engine", Value::literal("spark"))];
    let nameless = MetricBatch { labels: engine, ..good.clone() };
    let blank = MetricBatch { labels: vec![("job_name", Value::literal("\t"))], ..good.clone() };
    for batch in [nameless, blank] {
        let prepared = prepare(&mut encoder, &batch);
        assert!(prepared.events.is_empty());
        assert_eq!(prepared.dropped(), &BTreeMap::from([("dimension", 1)]));
    }
    let (day, hour) = (86_400_000, 3_600_000);
    for (now, reason) in [
        (good.time_unix_ms + 14 * day + 1, Some("too_old")),
        (good.time_unix_ms - 2 * hour - 1, Some("too_new")),
        (good.time_unix_ms - 2 * hour, None),
        (good.time_unix_ms + 14 * day, None),
    ] {
        let prepared = encoder.prepare(&good, now);
        assert_eq!(prepared.events.is_empty(), reason.is_some());
        let dropped = prepared.dropped().clone();
        assert_eq!(dropped, reason.map(|reason| (reason, 1)).into_iter().collect());
        if reason.is_some() {
            encoder.commit(prepared, now);
        }
    }
    assert_eq!(shown(&deliver(&mut encoder, &good)), ["job_read_bytes_total 5"]);
}

#[test]
fn long_properties_are_left_out_whole_and_the_largest_event_is_within_the_limit() {
    // Control characters are six bytes each in JSON.
    let control: &'static str = Box::leak("\u{1}".repeat(1_024).into_boxed_str());
    let too_long: &'static str = Box::leak("x".repeat(1_025).into_boxed_str());
    let name = |idx: usize| -> &'static str { Box::leak(format!("p{idx}").into_boxed_str()) };
    let mut ids: Vec<(&'static str, &'static str)> =
        (0..40).map(|idx| (name(idx), control)).collect();
    ids.push(("too_long", too_long));
    let mut rows: Vec<Row> =
        (0..400).map(|idx| leak_row(format!("h{idx}"), Kind::Histogram, Some("part"))).collect();
    rows.push(leak_row("g".to_owned(), Kind::Gauge, None));
    let table = leak(rows);
    let mut spread = Histogram::new(BOUNDS.as_slice());
    for value in 0..160 {
        (0..3).for_each(|_| spread.observe(f64::from(value) + 1.0 / 3.0));
    }
    let quotes: &'static str = Box::leak("\"".repeat(1_024).into_boxed_str());
    let mut samples = vec![sample(&job::JOB_RUN_INFO, &ids, 1.0)];
    let part = [("part", quotes)];
    samples.extend(table[..400].iter().map(|row| histogram(row.metric, &part, &spread)));
    let mut encoder = Encoder::with_table(settings(), WATCHED_SINCE, table);
    let prepared = prepare(&mut encoder, &batch(1, samples));
    let metrics = metrics(&prepared);
    assert_eq!(metrics.iter().map(|metric| metric.count()).sum::<u64>(), 400 * 480);
    // The labels of the batch take two of the 16 places.
    assert_eq!(prepared.dropped(), &BTreeMap::from([("property", 27)]));
    let largest = prepared.events.iter().map(Vec::len).max().unwrap();
    assert!((250_000..1_000_000).contains(&largest), "{largest} bytes");
}

#[test]
fn more_values_of_a_dimension_make_more_events_and_other_metrics_share_them() {
    let removed = |reason, n| sample(&application::APP_EXECUTORS_REMOVED, &[("reason", reason)], n);
    let slots = |state| sample(&application::APP_SLOTS, &[("state", state)], 1.0);
    let executors = |state| sample(&application::APP_EXECUTORS, &[("state", state)], 1.0);
    let samples = vec![
        removed("oom", 1.0),
        removed("lost", 1.0),
        removed("idle", 1.0),
        slots("busy"),
        slots("idle"),
        executors("active"),
        executors("busy"),
        sample(&application::APP_CORES, &[], 1.0),
    ];
    let prepared = prepare(&mut encoder(), &batch(1, samples));
    assert_eq!(prepared.events.len(), 3, "three reasons, three states");
    assert_eq!(metrics(&prepared).len(), 8);
    for event in &prepared.events {
        let Root(root) = serde_json::from_slice(event).unwrap();
        assert_eq!(root["slot"], "0", "properties stand in every event");
    }
    let events: BTreeSet<usize> = prepared.events.iter().map(|it| extract(it).len()).collect();
    assert!(events.iter().all(|n| *n >= 2));
}
