//! Every query of every panel and rule, asked of a Prometheus that scrapes the agent beside a real engine.

use super::files::{Query, queries};
use super::labels::Metrics;
use super::query;
use super::tools::filled_in;
use crate::harness::metrics::{self, Prometheus};

/// The engine of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Spark, with logs to a file and to CloudWatch.
    Spark,
    /// Flink.
    Flink,
}

/// Metrics that the runs do not have, or not yet, and why. All others must be there.
const ABSENT: &[(&str, &str)] = &[
    ("flink_sink_committables", "the sink does not commit"),
    ("flink_sink_send_seconds", "the sink does not measure it"),
    ("flink_source_fetch_lag_seconds", "the source does not fetch"),
    ("flink_source_pending_records", "the source makes its records and knows of none that wait"),
    ("flink_source_watermark_drift_seconds", "no watermarks are aligned"),
    ("flink_taskmanagers_blocked", "Flink says it only where hosts can be blocked"),
    ("job_lag_records", "the source makes its records and knows of none that wait"),
    ("job_last_success_timestamp_seconds", "the run goes on"),
    ("job_run_duration_seconds_count", "the run goes on"),
    ("job_run_duration_seconds_sum", "the run goes on"),
    ("job_runs_total", "the run goes on"),
    ("sidelight_config_reloads_total", "no config is loaded anew"),
    ("sidelight_dead_letters_total", "nothing is refused"),
    ("sidelight_lane_dropped_records_total", "nothing is given up"),
    ("sidelight_otlp_requests_total", "there is no receiver of OTLP"),
    ("sidelight_otlp_sent_bytes_total", "there is no receiver of OTLP"),
    ("sidelight_s3_staged_bytes", "there is no archive"),
    ("sidelight_s3_uploads_total", "there is no archive"),
    ("sidelight_scrape_cut_total", "no limit is reached"),
    ("sidelight_source_degraded", "the engine is well"),
    ("sidelight_spool_drained_batches_total", "no destination is down"),
    ("sidelight_spooled_batches_total", "no destination is down"),
    ("spark_executor_rss_peak_bytes", "Spark was not told to measure it"),
    ("spark_stage_speculative_tasks_total", "speculation is off"),
];
/// What else has no series: part of a query, and why.
const EMPTY: &[(&str, &str)] = &[("offset 7d", "the run is not a week old")];

/// Panels without series, and queries that Prometheus refuses.
pub(crate) fn problems(prometheus: &Prometheus, beside: Beside) -> Vec<String> {
    let mut problems = Vec::new();
    let mut n_asked = 0;
    for Query { place, expr } in queries() {
        let n_series = prometheus.n_series(&filled_in(&expr));
        if n_series.is_none() {
            problems.push(format!("{place}: refused: {expr}"));
        }
        // Alerts are silent when all is well; recorded series are not there without the rules.
        let is_panel = !place.contains(".yml") && !place.contains("annotations");
        if is_panel && is_of(&expr, beside) {
            n_asked += 1;
            if n_series == Some(0) && !is_excused(&expr) {
                problems.push(format!("{place}: no series: {expr}"));
            }
        }
    }
    assert!(n_asked > 50, "{n_asked} queries of this engine were found");
    println!("        {n_asked} queries of panels were asked");
    problems
}

fn is_excused(expr: &str) -> bool {
    let metrics = query::read(expr).metrics;
    let is_absent = |name: &str| ABSENT.iter().any(|(absent, _)| *absent == name);
    metrics.iter().any(|used| is_absent(&used.name))
        || EMPTY.iter().any(|(part, _)| expr.contains(part))
}

/// True if the run beside this engine can have all series of a query.
fn is_of(expr: &str, beside: Beside) -> bool {
    let metrics = query::read(expr).metrics;
    let is_flink = |name: &str| name.starts_with("flink_") || name.starts_with("job_lag_");
    let has_flink = metrics.iter().any(|used| is_flink(&used.name));
    has_flink == (beside == Beside::Flink)
}

/// Labels on `/metrics` that the table of labels does not have.
pub(crate) fn unknown_labels(body: &str) -> Vec<String> {
    let known = Metrics::of_the_agent();
    let mut problems = Vec::new();
    for series in metrics::parse(body) {
        let Some(labels) = known.labels(&series.name) else { continue };
        // Which metrics are in no query does not matter here.
        let is_asked = known.is_described(&series.name);
        for used in query::read(&format!("x{{{}}}", series.labels)).metrics {
            for label in used.labels.iter().filter(|_| is_asked) {
                if !labels.contains(label.as_str()) {
                    problems.push(format!("{} has a label {label}", series.name));
                }
            }
        }
    }
    problems.sort();
    problems.dedup();
    problems
}
