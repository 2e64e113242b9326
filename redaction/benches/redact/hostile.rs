//! Text that is made to be slow: lines full of what detectors look for, never or always finding it.

use redaction::{Redactor, Text};

use crate::measure::{chunks, cpu_seconds, rate};

const UNITS: &[&str] = &[
    "@",
    "a@a",
    "4",
    "0123456789",
    "4111 ",
    "password=a ",
    "1.1.1.1.",
    "+1 ",
    "::a:b:",
    "eyJ",
    "://",
    "-----BEGIN\n",
    "key=",
    "AKIA",
    "pass",
    "::",
    "GB29",
    "0x",
    r#"{"token":""#,
];
/// Short lines, which go in chunks, and long ones, each of which is a chunk of its own.
const LINE_BYTES: [usize; 3] = [200, 200 << 10, 1 << 20];
const TEXT_BYTES: usize = 1 << 20;
/// Slower than this and one bad log file stops the agent.
const RATE_MIN: f64 = 50.0;
/// How much more a byte of the longest lines may cost than one of long lines.
const SLOWDOWN_MAX: f64 = 2.0;

/// Prints the speed at each kind of hostile text.
pub(crate) fn report(redactor: &Redactor) {
    println!("\nHostile text, MB/s of redact_chunk, all types");
    println!("{:>10} {:>10} {:>10}  lines of", "200 B", "200 KiB", "1 MiB");
    let mut n_flagged = 0;
    for unit in UNITS {
        let rates = LINE_BYTES.map(|line_bytes| measure(redactor, unit, line_bytes));
        let mut flag = String::new();
        if rates.iter().any(|rate| *rate < RATE_MIN) {
            flag += "  UNDER 50 MB/s";
        }
        if rates[1] > SLOWDOWN_MAX * rates[2] {
            flag += "  NOT LINEAR";
        }
        n_flagged += usize::from(!flag.is_empty());
        println!("{:10.0} {:10.0} {:10.0}  {unit:?}{flag}", rates[0], rates[1], rates[2]);
    }
    println!("{n_flagged} of {} are slow", UNITS.len());
}

fn measure(redactor: &Redactor, unit: &str, line_bytes: usize) -> f64 {
    let mut line = unit.repeat(line_bytes.div_ceil(unit.len())).into_bytes();
    line.truncate(line_bytes - 1);
    line.push(b'\n');
    let raw = line.repeat(TEXT_BYTES / line.len());
    let mut text = Text::default();
    let mut redact = |chunk: &[u8]| {
        text.clear();
        redactor.redact_chunk(std::hint::black_box(chunk), &mut text);
        std::hint::black_box(text.as_bytes());
    };
    let seconds = cpu_seconds(|| {
        if line_bytes == LINE_BYTES[0] {
            chunks(&raw).for_each(&mut redact);
        } else {
            raw.chunks(line_bytes).for_each(&mut redact);
        }
    });
    rate(raw.len(), seconds)
}
