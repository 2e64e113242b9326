//! Writes families of series as Prometheus text 0.0.4 or OpenMetrics 1.0. Pure.

use super::Format;
use super::table::Labels;
use crate::model::metric::Histogram;
use crate::model::{Kind, MetricDescriptor, SampleValue};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Families by the full name of their metric.
pub(super) type Families<'a> = BTreeMap<&'static str, Family<'a>>;

/// All series of one metric, over all jobs.
#[derive(Debug)]
pub(super) struct Family<'a> {
    pub(super) descriptor: &'static MetricDescriptor,
    pub(super) points: BTreeMap<&'a Labels, Point<'a>>,
}

/// Value of one series.
#[derive(Debug)]
pub(super) struct Point<'a> {
    pub(super) value: &'a SampleValue,
    /// Start of a counter or histogram; 0 when it is not known.
    pub(super) created_unix_ms: u64,
}

/// The whole page.
pub(super) fn write(families: &Families<'_>, format: Format) -> String {
    let mut out = String::new();
    for family in families.values() {
        let (name, type_name) = match format {
            Format::Text => (family.descriptor.name, text_type(family.descriptor.kind)),
            Format::OpenMetrics => open_metrics_type(family.descriptor, families),
        };
        write_head(&mut out, family.descriptor, name, type_name, format);
        let has_created = matches!(type_name, "counter" | "histogram");
        for (labels, point) in &family.points {
            match point.value {
                SampleValue::Number(number) => {
                    write_line(&mut out, family.descriptor.name, labels, None, |out| {
                        write_number(out, *number);
                    });
                }
                SampleValue::Histogram(histogram) => {
                    write_histogram(&mut out, family.descriptor.name, labels, histogram);
                }
            }
            if format == Format::OpenMetrics && has_created && point.created_unix_ms > 0 {
                write_created(&mut out, name, labels, point.created_unix_ms);
            }
        }
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn text_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Info | Kind::StateSet => "gauge",
        Kind::Histogram => "histogram",
    }
}

/// Family name and type in OpenMetrics, chosen so that sample names are those of text 0.0.4.
///
/// OpenMetrics names the family of a counter without `_total` and allows every family name once.
/// Where that leads to a clash (`spark_app_jobs` beside `spark_app_jobs_total`), the counter goes
/// out under its full name as `unknown`, which changes nothing but the type shown to people.
fn open_metrics_type(
    descriptor: &'static MetricDescriptor,
    families: &Families<'_>,
) -> (&'static str, &'static str) {
    let name = descriptor.name;
    match descriptor.kind {
        Kind::Counter => match name.strip_suffix("_total") {
            Some(base) if !families.contains_key(base) => (base, "counter"),
            _ => (name, "unknown"),
        },
        Kind::Info => match name.strip_suffix("_info") {
            Some(base)
                if !families.contains_key(base)
                    && !families.contains_key(format!("{base}_total").as_str()) =>
            {
                (base, "info")
            }
            _ => (name, "gauge"),
        },
        // The label of an OpenMetrics state set has to be called like its metric. Ours is `state`
        // in both formats, so that a query works with either, which makes it a gauge.
        Kind::Gauge | Kind::StateSet => (name, "gauge"),
        Kind::Histogram => (name, "histogram"),
    }
}

fn write_head(
    out: &mut String,
    descriptor: &MetricDescriptor,
    name: &str,
    type_name: &str,
    format: Format,
) {
    let _ = write!(out, "# HELP {name} ");
    // Quotes are escaped in the help of OpenMetrics only.
    write_escaped(out, descriptor.help, format == Format::OpenMetrics);
    let _ = writeln!(out, "\n# TYPE {name} {type_name}");
    let ends_in_unit = name.strip_suffix(descriptor.unit).is_some_and(|base| base.ends_with('_'));
    if format == Format::OpenMetrics && ends_in_unit && !descriptor.unit.is_empty() {
        let _ = writeln!(out, "# UNIT {name} {}", descriptor.unit);
    }
}

fn write_histogram(out: &mut String, name: &str, labels: &Labels, histogram: &Histogram) {
    let bucket = format!("{name}_bucket");
    let mut count = 0;
    for (idx, n_observed) in histogram.counts.iter().enumerate() {
        count += n_observed;
        // `10.0`, not `10`: OpenMetrics wants a float here, text 0.0.4 takes it, and Prometheus 3
        // stores it so. The same spelling in both keeps the series the same.
        let bound = histogram.bounds.get(idx).map(|bound| format!("{bound:?}"));
        let bound = bound.as_deref().unwrap_or("+Inf");
        write_line(out, &bucket, labels, Some(bound), |out| {
            let _ = write!(out, "{count}");
        });
    }
    write_line(out, &format!("{name}_sum"), labels, None, |out| write_number(out, histogram.sum));
    write_line(out, &format!("{name}_count"), labels, None, |out| {
        let _ = write!(out, "{count}");
    });
}

fn write_created(out: &mut String, name: &str, labels: &Labels, created_unix_ms: u64) {
    let (seconds, ms) = (created_unix_ms / 1000, created_unix_ms % 1000);
    write_line(out, &format!("{name}_created"), labels, None, |out| {
        let _ = write!(out, "{seconds}.{ms:03}");
    });
}

fn write_line(
    out: &mut String,
    name: &str,
    labels: &Labels,
    bound: Option<&str>,
    write_value: impl FnOnce(&mut String),
) {
    out.push_str(name);
    let labels = labels.iter().map(|(label, value)| (*label, value.as_str()));
    let mut separator = '{';
    for (label, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        out.push(separator);
        out.push_str(label);
        out.push_str("=\"");
        write_escaped(out, value, true);
        out.push('"');
        separator = ',';
    }
    out.push_str(if separator == ',' { "} " } else { " " });
    write_value(out);
    out.push('\n');
}

fn write_escaped(out: &mut String, text: &str, escapes_quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if escapes_quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

/// Writes a number as both formats read it: integers in digits, the rest in the shortest form that
/// reads back to the same number.
fn write_number(out: &mut String, number: f64) {
    const DIGITS_MAX: f64 = 18_446_744_073_709_551_616.0; // 2^64, the largest counter of any source
    let _ = if number.is_nan() {
        write!(out, "NaN")
    } else if number.is_infinite() {
        write!(out, "{}", if number > 0.0 { "+Inf" } else { "-Inf" })
    } else if number.fract() == 0.0 && number.abs() <= DIGITS_MAX {
        write!(out, "{number}")
    } else {
        write!(out, "{number:?}")
    };
}

#[cfg(test)]
mod tests {
    use super::write_number;
    use crate::export::prometheus::{Format, SeriesTable};
    use crate::model::metric::Histogram;
    use crate::model::{Kind, MetricBatch, MetricDescriptor, Sample, SampleValue};
    use redaction::Value;
    use std::sync::Arc;

    const fn descriptor(
        name: &'static str,
        unit: &'static str,
        kind: Kind,
        help: &'static str,
    ) -> MetricDescriptor {
        MetricDescriptor { name, unit, kind, help, source: "test" }
    }
    static BYTES: MetricDescriptor =
        descriptor("read_bytes_total", "bytes", Kind::Counter, "Bytes \"read\" \\ here\n.");
    static JOBS: MetricDescriptor = descriptor("jobs", "", Kind::Gauge, "Jobs.");
    static JOBS_TOTAL: MetricDescriptor = descriptor("jobs_total", "", Kind::Counter, "Ended.");
    static RUN_INFO: MetricDescriptor = descriptor("run_info", "", Kind::Info, "Facts.");
    static STATE: MetricDescriptor = descriptor("run_state", "", Kind::StateSet, "State.");
    static DURATION: MetricDescriptor =
        descriptor("stage_seconds", "seconds", Kind::Histogram, "Stages.");

    fn page(format: Format, samples: Vec<Sample>) -> String {
        let own = MetricBatch {
            resource: Arc::default(),
            labels: vec![],
            created_unix_ms: 1_500,
            time_unix_ms: 0,
            samples,
        };
        SeriesTable::new(0).render(format, &own)
    }

    fn number(descriptor: &'static MetricDescriptor, number: f64) -> Sample {
        Sample::number(descriptor, vec![], number)
    }

    #[test]
    fn a_counter_loses_its_suffix_in_openmetrics_only_and_gets_unit_and_start_there() {
        assert_eq!(
            page(Format::Text, vec![number(&BYTES, 7.0)]),
            "# HELP read_bytes_total Bytes \"read\" \\\\ here\\n.\n\
             # TYPE read_bytes_total counter\nread_bytes_total 7\n"
        );
        assert_eq!(
            page(Format::OpenMetrics, vec![number(&BYTES, 7.0)]),
            "# HELP read_bytes Bytes \\\"read\\\" \\\\ here\\n.\n# TYPE read_bytes counter\n\
             # UNIT read_bytes bytes\nread_bytes_total 7\nread_bytes_created 1.500\n# EOF\n"
        );
    }

    #[test]
    fn facts_and_states_are_gauges_in_text_and_keep_their_labels_in_openmetrics() {
        let samples = vec![
            Sample::number(&RUN_INFO, vec![("run_id", Value::literal("r1"))], 1.0),
            Sample::number(&STATE, vec![("state", Value::literal("running"))], 1.0),
        ];
        let lines = "run_state{state=\"running\"} 1\n";
        let text = page(Format::Text, samples.clone());
        assert!(text.contains("# TYPE run_info gauge\nrun_info{run_id=\"r1\"} 1\n"), "{text}");
        assert!(text.contains("# TYPE run_state gauge\n") && text.contains(lines), "{text}");
        let open = page(Format::OpenMetrics, samples);
        assert!(open.contains("# TYPE run info\nrun_info{run_id=\"r1\"} 1\n"), "{open}");
        assert!(open.contains("# TYPE run_state gauge\n") && open.contains(lines), "{open}");
    }

    #[test]
    fn a_histogram_is_cumulative_and_ends_with_infinity() {
        static BOUNDS: [f64; 2] = [0.5, 10.0];
        let mut histogram = Histogram::new(&BOUNDS);
        for seconds in [0.5, 0.75, 10.0, 99.0] {
            histogram.observe(seconds);
        }
        let sample = Sample {
            descriptor: &DURATION,
            labels: vec![("job_name", Value::literal("a"))],
            value: SampleValue::Histogram(Arc::new(histogram)),
        };
        let lines = "stage_seconds_bucket{job_name=\"a\",le=\"0.5\"} 1\n\
            stage_seconds_bucket{job_name=\"a\",le=\"10.0\"} 3\n\
            stage_seconds_bucket{job_name=\"a\",le=\"+Inf\"} 4\n\
            stage_seconds_sum{job_name=\"a\"} 110.25\nstage_seconds_count{job_name=\"a\"} 4\n";
        let text = page(Format::Text, vec![sample.clone()]);
        assert!(text.ends_with(&format!("# TYPE stage_seconds histogram\n{lines}")), "{text}");
        let open = page(Format::OpenMetrics, vec![sample]);
        let created = "stage_seconds_created{job_name=\"a\"} 1.500\n# EOF\n";
        assert!(open.ends_with(&format!("{lines}{created}")), "{open}");
    }

    #[test]
    fn a_gauge_and_a_counter_of_one_base_name_stay_two_families_in_openmetrics() {
        let open = page(Format::OpenMetrics, vec![number(&JOBS, 1.0), number(&JOBS_TOTAL, 2.0)]);
        assert!(open.contains("# TYPE jobs gauge\njobs 1\n"), "{open}");
        assert!(open.contains("# TYPE jobs_total unknown\njobs_total 2\n# EOF\n"), "{open}");
    }

    #[test]
    fn numbers_are_written_as_go_and_openmetrics_read_them() {
        #[track_caller]
        fn check(number: f64, want: &str) {
            let mut out = String::new();
            write_number(&mut out, number);
            assert_eq!(out, want);
        }
        check(0.0, "0");
        check(-3.0, "-3");
        check(9_007_199_254_740_993.0, "9007199254740992");
        check(1e19, "10000000000000000000");
        check(0.1, "0.1");
        check(1e300, "1e300");
        check(2.5e-9, "2.5e-9");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
    }
}
