//! Trace and span ids (decision 12): derived ones, and the `traceparent` that a job was given.
//!
//! A derived id is the start of SHA-256 over a versioned text, so that every process of a run, and
//! every restart of the agent, gives a run and its stages the same ids without talking to another.
//! Version 1 hashes these bytes, with numbers in decimal and ids in lower-case hex:
//!
//! ```text
//! trace:      sidelight/v1/trace\n<app id>\n<attempt>           first 16 bytes
//! run span:   sidelight/v1/span/run\n<run>                      first 8 bytes
//! job span:   sidelight/v1/span/job\n<run>\n<job>               first 8 bytes
//! stage span: sidelight/v1/span/stage\n<run>\n<stage>\n<attempt>   first 8 bytes
//! checkpoint: sidelight/v1/span/checkpoint\n<run>\n<checkpoint>\n<trigger, unix ms>   first 8 bytes
//! restart:    sidelight/v1/span/restart\n<run>\n<beginning, unix ms>   first 8 bytes
//! rescale:    sidelight/v1/span/rescale\n<run>\n<id of the rescale>   first 8 bytes
//! run:        <trace id>\n<app id>\n<run id>
//! ```
//!
//! A trace that was given may have many runs in it, as all tasks of one Airflow DAG do: the trace
//! alone does not tell their spans apart.

use crate::model::Resource;
use sha2::{Digest, Sha256};

/// Id of one trace, never all zero.
pub type TraceId = [u8; 16];
/// Id of one span, never all zero.
pub type SpanId = [u8; 8];

/// Trace id of one run. `app_id` is the id that the cluster manager gave, `attempt` is empty when
/// the application has none.
#[must_use]
pub fn run_trace_id(app_id: &str, attempt: &str) -> TraceId {
    derive(&["sidelight/v1/trace", app_id, attempt])
}

/// One run in its trace: derives the ids of its spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    trace_id: TraceId,
    /// What the id of each span is made from, besides its own number.
    text: String,
}

impl Run {
    /// The run that a resource is of; none when its trace or its application is not known.
    #[must_use]
    pub fn of(resource: &Resource) -> Option<Self> {
        let trace_id = parse_id(resource.trace_id.as_ref()?.as_bytes())?;
        let job_id = resource.job_id.as_ref()?;
        let run_id = resource.run_id.as_deref().unwrap_or_default();
        let text = format!("{}\n{job_id}\n{run_id}", hex(&trace_id));
        Some(Self { trace_id, text })
    }

    /// The trace that it is in.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// Span id of the whole run.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        derive(&["sidelight/v1/span/run", &self.text])
    }

    /// Span id of one job of it.
    #[must_use]
    pub fn job_span_id(&self, job_id: u32) -> SpanId {
        derive(&["sidelight/v1/span/job", &self.text, &job_id.to_string()])
    }

    /// Span id of one attempt of one stage.
    #[must_use]
    pub fn stage_span_id(&self, stage_id: u32, attempt: u32) -> SpanId {
        let (stage, attempt) = (stage_id.to_string(), attempt.to_string());
        derive(&["sidelight/v1/span/stage", &self.text, &stage, &attempt])
    }

    /// Span id of one checkpoint or savepoint. A JobManager that takes a job over may begin its
    /// numbers anew, which the time tells apart.
    #[must_use]
    pub fn checkpoint_span_id(&self, checkpoint_id: u64, trigger_unix_ms: u64) -> SpanId {
        let (number, time) = (checkpoint_id.to_string(), trigger_unix_ms.to_string());
        derive(&["sidelight/v1/span/checkpoint", &self.text, &number, &time])
    }

    /// Span id of the restart that began then.
    #[must_use]
    pub fn restart_span_id(&self, start_unix_ms: u64) -> SpanId {
        derive(&["sidelight/v1/span/restart", &self.text, &start_unix_ms.to_string()])
    }

    /// Span id of one rescale. `rescale_id` is Flink's own.
    #[must_use]
    pub fn rescale_span_id(&self, rescale_id: &str) -> SpanId {
        derive(&["sidelight/v1/span/rescale", &self.text, rescale_id])
    }
}

fn derive<const N: usize>(parts: &[&str]) -> [u8; N] {
    let digest = Sha256::digest(parts.join("\n"));
    let mut id = [0; N];
    id.copy_from_slice(&digest[..N]);
    make_valid(id)
}

/// W3C calls an id of zeros invalid; a digest that starts so becomes the smallest valid id.
fn make_valid<const N: usize>(mut id: [u8; N]) -> [u8; N] {
    if id == [0; N] {
        id[N - 1] = 1;
    }
    id
}

/// Appends the lower-case hex digits of an id.
pub fn write_hex(id: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in id {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Lower-case hex digits of an id.
#[must_use]
pub fn hex(id: &[u8]) -> String {
    let mut digits = Vec::with_capacity(2 * id.len());
    write_hex(id, &mut digits);
    digits.into_iter().map(char::from).collect()
}

/// Reads an id of `N` bytes from exactly `2 * N` lower-case hex digits; zeros are not an id.
#[must_use]
pub fn parse_id<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut id = [0; N];
    for (byte, digits) in id.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(digits[0])? << 4 | nibble(digits[1])?;
    }
    (id != [0; N]).then_some(id)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Reads a `traceparent` header or `TRACEPARENT` variable.
///
/// Source: W3C Trace Context, section 3.2: version 00 is exactly 55 characters, a later version
/// may add more after another `-`, version ff and ids of zeros are invalid.
#[must_use]
pub fn parse_traceparent(text: &str) -> Option<(TraceId, SpanId)> {
    let text = text.as_bytes();
    if text.len() < 55 || text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
        return None;
    }
    let version = nibble(text[0])? << 4 | nibble(text[1])?;
    nibble(text[53])?;
    nibble(text[54])?;
    let is_length_right = match version {
        0 => text.len() == 55,
        0xff => false,
        _ => text.len() == 55 || text[55] == b'-',
    };
    if !is_length_right {
        return None;
    }
    Some((parse_id(&text[3..35])?, parse_id(&text[36..52])?))
}

#[cfg(test)]
mod tests {
    use super::{Run, hex, make_valid, parse_id, parse_traceparent, run_trace_id};
    use crate::model::Resource;
    use redaction::Value;

    /// The example of W3C Trace Context, section 3.2.3.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn derived_ids_are_the_documented_digests() {
        // printf 'sidelight/v1/trace\napp-20261122063935-0000\n1' | sha256sum
        let trace_id = run_trace_id("app-20261122063935-0000", "1");
        assert_eq!(hex(&trace_id), "a7a00e1924d3651ea449aed9cf3036ee");
        // printf 'sidelight/v1/span/stage\na7a0...36ee\napp-20261122063935-0000\nr-1\n41\n0' | sha256sum
        let run = run(&trace_id, "app-20261122063935-0000", "r-1");
        assert_eq!(hex(&run.span_id()), "7e7ba923caf38cbd");
        assert_eq!(hex(&run.job_span_id(7)), "a42bfcf31cd2bc66");
        assert_eq!(hex(&run.stage_span_id(41, 0)), "67e4d4255c250993");
        // printf 'sidelight/v1/span/checkpoint\n<run>\n22\n1795331162719' | sha256sum, and so on
        assert_eq!(hex(&run.checkpoint_span_id(22, 1_795_331_162_719)), "df5fb12b9bac440d");
        assert_eq!(hex(&run.restart_span_id(1_795_331_121_873)), "73fc8d45ba7ebb24");
        assert_eq!(hex(&run.rescale_span_id("9f1c")), "0b87f23bf21929b6");
    }

    fn run(trace_id: &[u8], job_id: &'static str, run_id: &'static str) -> Run {
        let resource = Resource {
            trace_id: Some(Value::hex(trace_id)),
            job_id: Some(Value::literal(job_id)),
            run_id: Some(Value::literal(run_id)),
            ..Resource::default()
        };
        Run::of(&resource).unwrap()
    }

    #[test]
    fn ids_differ_by_run_job_stage_and_attempt() {
        let trace_id = run_trace_id("app-1", "");
        assert_ne!(trace_id, run_trace_id("app-1", "1"));
        assert_ne!(trace_id, run_trace_id("app-2", ""));
        let one = run(&trace_id, "app-1", "r-1");
        assert_ne!(one.stage_span_id(1, 0), one.stage_span_id(1, 1));
        assert_ne!(one.stage_span_id(11, 0), one.stage_span_id(1, 10));
        assert_ne!(one.job_span_id(1), one.job_span_id(2));
        // Runs of one workflow share the trace that it gives them.
        for other in [run(&trace_id, "app-2", "r-1"), run(&trace_id, "app-1", "r-2")] {
            assert_eq!(one.trace_id(), other.trace_id());
            assert_ne!(one.span_id(), other.span_id());
            assert_ne!(one.job_span_id(1), other.job_span_id(1));
            assert_ne!(one.stage_span_id(1, 0), other.stage_span_id(1, 0));
        }
    }

    #[test]
    fn an_id_of_zeros_is_neither_made_nor_read() {
        assert_eq!(make_valid([0_u8; 8]), [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(parse_id::<8>(b"0000000000000000"), None);
        assert_eq!(parse_id::<8>(b"00f067aa0ba902b"), None);
        assert_eq!(parse_id::<8>(b"00F067AA0BA902B7"), None);
    }

    #[test]
    fn traceparent_is_read_as_w3c_says() {
        let (trace_id, span_id) = parse_traceparent(EXAMPLE).unwrap();
        assert_eq!(hex(&trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(hex(&span_id), "00f067aa0ba902b7");
        let later = EXAMPLE.replacen("00", "cc", 1);
        assert!(parse_traceparent(&later).is_some());
        assert!(parse_traceparent(&format!("{later}-what-the-future-brings")).is_some());
    }

    #[test]
    fn malformed_traceparents_are_refused() {
        for bad in [
            String::new(),
            format!("{EXAMPLE}-"),
            format!("{EXAMPLE} "),
            EXAMPLE.replacen("00", "ff", 1),
            EXAMPLE.replacen("00", "cc", 1) + ".more",
            EXAMPLE.to_uppercase(),
            EXAMPLE.replace("-01", "-0g"),
            EXAMPLE.replace('-', "_"),
            EXAMPLE.replace("00f067aa0ba902b7", "0000000000000000"),
            EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        ] {
            assert_eq!(parse_traceparent(&bad), None, "{bad}");
        }
    }
}
