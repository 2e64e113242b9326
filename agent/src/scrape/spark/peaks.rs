//! Peaks of memory over executors: the least, the middle and the most.

use super::metrics::application::{
    EXECUTOR_DIRECT_PEAK, EXECUTOR_EXECUTION_PEAK, EXECUTOR_HEAP_PEAK, EXECUTOR_HEAP_PEAK_RATIO,
    EXECUTOR_MAPPED_PEAK, EXECUTOR_OFFHEAP_PEAK, EXECUTOR_RSS_PEAK, EXECUTOR_STORAGE_PEAK,
    EXECUTOR_UNIFIED_PEAK,
};
use super::rest::{Executor, Number, PeakMemory};
use crate::model::{MetricDescriptor, Sample};
use redaction::Value;

/// One kind of memory of an executor.
struct Peak {
    descriptor: &'static MetricDescriptor,
    label: Option<(&'static str, &'static str)>,
    read: fn(&PeakMemory) -> Number,
}

const fn peak(descriptor: &'static MetricDescriptor, read: fn(&PeakMemory) -> Number) -> Peak {
    Peak { descriptor, label: None, read }
}

impl Peak {
    const fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.label = Some((name, value));
        self
    }
}

static PEAKS: [Peak; 13] = [
    peak(&EXECUTOR_HEAP_PEAK, |p| p.heap),
    peak(&EXECUTOR_OFFHEAP_PEAK, |p| p.offheap),
    peak(&EXECUTOR_EXECUTION_PEAK, |p| p.execution_heap).with("location", "heap"),
    peak(&EXECUTOR_EXECUTION_PEAK, |p| p.execution_offheap).with("location", "offheap"),
    peak(&EXECUTOR_STORAGE_PEAK, |p| p.storage_heap).with("location", "heap"),
    peak(&EXECUTOR_STORAGE_PEAK, |p| p.storage_offheap).with("location", "offheap"),
    peak(&EXECUTOR_UNIFIED_PEAK, |p| p.unified_heap).with("location", "heap"),
    peak(&EXECUTOR_UNIFIED_PEAK, |p| p.unified_offheap).with("location", "offheap"),
    peak(&EXECUTOR_DIRECT_PEAK, |p| p.direct),
    peak(&EXECUTOR_MAPPED_PEAK, |p| p.mapped),
    peak(&EXECUTOR_RSS_PEAK, |p| known(p.rss_jvm)).with("process", "jvm"),
    peak(&EXECUTOR_RSS_PEAK, |p| known(p.rss_python)).with("process", "python"),
    peak(&EXECUTOR_RSS_PEAK, |p| known(p.rss_other)).with("process", "other"),
];

/// Spark writes zero for processes that it does not look at.
fn known(rss: Number) -> Number {
    Number(rss.0.filter(|bytes| *bytes > 0))
}

/// Adds least, median and largest of every kind of memory over `executors`.
///
/// An executor that died before its first heartbeat has no heap yet, and is left out.
pub(super) fn push_peaks(
    executors: &[Executor],
    heap_max_bytes: Option<u64>,
    samples: &mut Vec<Sample>,
) {
    let measured: Vec<&PeakMemory> = executors
        .iter()
        .filter_map(|executor| executor.peak_memory_metrics.as_ref())
        .filter(|peaks| peaks.heap.0.is_some_and(|bytes| bytes > 0))
        .collect();
    for peak in &PEAKS {
        let mut bytes: Vec<u64> = measured.iter().filter_map(|m| (peak.read)(m).0).collect();
        bytes.sort_unstable();
        push_statistics(peak.descriptor, peak.label, &bytes, 1.0, samples);
        if std::ptr::eq(peak.descriptor, &EXECUTOR_HEAP_PEAK)
            && let Some(max) = heap_max_bytes.filter(|max| *max > 0)
        {
            push_statistics(&EXECUTOR_HEAP_PEAK_RATIO, None, &bytes, max as f64, samples);
        }
    }
}

fn push_statistics(
    descriptor: &'static MetricDescriptor,
    label: Option<(&'static str, &'static str)>,
    sorted: &[u64],
    divisor: f64,
    samples: &mut Vec<Sample>,
) {
    let Some(last) = sorted.len().checked_sub(1) else { return };
    for (statistic, index) in [("min", 0), ("p50", last / 2), ("max", last)] {
        let mut labels = vec![("stat", Value::literal(statistic))];
        labels.extend(label.map(|(name, value)| (name, Value::literal(value))));
        samples.push(Sample::number(descriptor, labels, sorted[index] as f64 / divisor));
    }
}

/// Reads a size as Spark writes it, such as `1g` or `512`, which is MiB. Bytes.
pub(crate) fn spark_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "b" => 0,
        "k" | "kb" => 10,
        "" | "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::{push_peaks, spark_bytes};
    use crate::model::{Sample, SampleValue};
    use crate::scrape::spark::rest::Executor;

    #[test]
    fn peaks_are_least_middle_and_largest_of_executors_that_reported() {
        let executor = |heap: u64| {
            serde_json::json!({"peakMemoryMetrics":
                {"JVMHeapMemory": heap, "ProcessTreeJVMRSSMemory": 0}})
        };
        let answer = serde_json::json!([executor(512), executor(0), executor(128), executor(256)]);
        let executors: Vec<Executor> = serde_json::from_value(answer).unwrap();
        let mut samples = Vec::new();
        push_peaks(&executors, Some(1_024), &mut samples);
        let of = |name: &str| -> Vec<SampleValue> {
            let named = |sample: &&Sample| sample.descriptor.name == name;
            samples.iter().filter(named).map(|sample| sample.value.clone()).collect()
        };
        let numbers = |expected: [f64; 3]| expected.map(SampleValue::Number).to_vec();
        assert_eq!(of("spark_executor_heap_peak_bytes"), numbers([128.0, 256.0, 512.0]));
        assert_eq!(of("spark_executor_heap_peak_ratio"), numbers([0.125, 0.25, 0.5]));
        assert_eq!(of("spark_executor_rss_peak_bytes"), [], "zero means that nobody looked");
        assert_eq!(of("spark_executor_direct_peak_bytes"), [], "absent is not zero");
    }

    #[test]
    fn sizes_are_read_as_spark_means_them() {
        assert_eq!(spark_bytes("1g"), Some(1 << 30));
        assert_eq!(spark_bytes("512"), Some(512 << 20));
        assert_eq!(spark_bytes("4096k"), Some(4 << 20));
        assert_eq!(spark_bytes("99999999999999999999g"), None);
        assert_eq!(spark_bytes("9999999999999g"), None);
        assert_eq!(spark_bytes("a lot"), None);
    }
}
