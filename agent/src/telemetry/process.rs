//! What the kernel says about this process, read from `/proc/self` when `/metrics` is asked.

use super::metric::descriptor;
use crate::model::{Kind, MetricDescriptor, Sample};
use redaction::Value;
use std::sync::OnceLock;

/// Clock ticks per second in `/proc/self/stat`: `USER_HZ`, which Linux fixed at 100 for user space
/// on every architecture that we build for (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

static INFO: MetricDescriptor =
    descriptor(Kind::Info, "sidelight_info", "", "Version of the agent.");
static START: MetricDescriptor = descriptor(
    Kind::Gauge,
    "sidelight_start_timestamp_seconds",
    "seconds",
    "Time at which the agent started, since the epoch.",
);
/// CPU time of this process.
pub static CPU: MetricDescriptor = descriptor(
    Kind::Counter,
    "sidelight_cpu_seconds_total",
    "seconds",
    "CPU time that the agent used, user and system.",
);
/// Resident memory of this process.
pub static MEMORY: MetricDescriptor = descriptor(
    Kind::Gauge,
    "sidelight_memory_bytes",
    "bytes",
    "Resident memory of the agent, as VmRSS in /proc/self/status.",
);
static OPEN_FILES: MetricDescriptor = descriptor(
    Kind::Gauge,
    "sidelight_open_files",
    "",
    "Descriptors that the agent holds open: log files, sockets, its own.",
);

/// What [`collect`] collects.
pub(super) const DESCRIPTORS: [&MetricDescriptor; 5] = [&INFO, &START, &CPU, &MEMORY, &OPEN_FILES];

/// Start of the agent, milliseconds since the epoch; fixed by the first call.
pub(super) fn start_unix_ms() -> u64 {
    static START_UNIX_MS: OnceLock<u64> = OnceLock::new();
    *START_UNIX_MS.get_or_init(crate::clock::unix_ms)
}

/// Appends the samples of this process; what cannot be read is absent.
pub(super) fn collect(out: &mut Vec<Sample>) {
    let version = Value::literal(env!("CARGO_PKG_VERSION"));
    out.push(Sample::number(&INFO, vec![("version", version)], 1.0));
    out.push(Sample::number(&START, vec![], start_unix_ms() as f64 / 1e3));
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    out.extend(cpu_seconds(&stat).map(|seconds| Sample::number(&CPU, vec![], seconds)));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    out.extend(memory_bytes(&status).map(|bytes| Sample::number(&MEMORY, vec![], bytes as f64)));
    if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
        // The listing itself holds one descriptor.
        let n_open = descriptors.count().saturating_sub(1);
        out.push(Sample::number(&OPEN_FILES, vec![], n_open as f64));
    }
}

/// `utime` and `stime`, fields 14 and 15 of `/proc/self/stat` (proc(5)).
fn cpu_seconds(stat: &str) -> Option<f64> {
    // Field 2, the program's name, may hold spaces and parentheses; field 3 follows the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(14 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

fn memory_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::{collect, cpu_seconds, memory_bytes};

    #[test]
    fn cpu_time_is_found_behind_a_program_name_with_spaces_and_parentheses() {
        let stat = "42 (a) (b c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 8 20 0 3 0 999";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(cpu_seconds("1 (x) S 1 2"), None);
    }

    #[test]
    fn resident_memory_is_read_in_kib() {
        assert_eq!(memory_bytes("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n"), Some(2 << 20));
        assert_eq!(memory_bytes("Name:\tx\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_process_metric_is_there_on_linux() {
        let mut samples = Vec::new();
        collect(&mut samples);
        assert_eq!(samples.len(), 5);
    }
}
