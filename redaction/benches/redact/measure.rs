//! CPU time of one thread, and the chunks that every engine gets.

use std::time::Duration;

/// What the tail thread reads at once.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;
/// Measurements of which the median counts.
pub(crate) const N_RUNS: usize = 9;
/// Shortest measurement: reading the clock costs some ten microseconds.
const RUN_TIME_MIN: Duration = Duration::from_millis(50);
/// A pass that takes longer is measured once: somebody waits for the result.
const PASS_TIME_MAX: Duration = Duration::from_secs(2);

/// Cuts `raw` behind the last line end in each chunk's worth of bytes; a longer line is cut.
pub(crate) fn chunks(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let limit = rest.len().min(CHUNK_BYTES);
        let end = memchr::memrchr(b'\n', &rest[..limit]).map_or(limit, |i| i + 1);
        let (chunk, after) = rest.split_at(end);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// The lines of `chunk` with their line ends.
pub(crate) fn lines(chunk: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', &chunk[start..]).map_or(chunk.len(), |i| start + i + 1);
        let line = start..end;
        start = end;
        (!line.is_empty()).then_some(line)
    })
}

/// CPU seconds of one call of `pass`: the median of [`N_RUNS`] measurements after a warm-up.
pub(crate) fn cpu_seconds(mut pass: impl FnMut()) -> f64 {
    let before = cpu_time();
    pass();
    let warm_up = cpu_time().saturating_sub(before);
    if warm_up > PASS_TIME_MAX {
        return warm_up.as_secs_f64();
    }
    let n_passes = 1 + RUN_TIME_MIN.as_nanos() / warm_up.as_nanos().max(1);
    let mut times: Vec<Duration> = (0..N_RUNS)
        .map(|_| {
            let before = cpu_time();
            (0..n_passes).for_each(|_| pass());
            cpu_time().saturating_sub(before)
        })
        .collect();
    times.sort_unstable();
    times[N_RUNS / 2].as_secs_f64() / n_passes as f64
}

/// Megabytes a second.
pub(crate) fn rate(bytes: usize, seconds: f64) -> f64 {
    bytes as f64 / 1e6 / seconds.max(1e-9)
}

/// CPU time of this thread, from the scheduler (nanoseconds; first field).
fn cpu_time() -> Duration {
    // The scheduler counts at ticks, some milliseconds apart, and whenever a thread yields.
    std::thread::yield_now();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = stat.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}
