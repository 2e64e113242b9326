//! Vectorscan, the fastest matcher of many regular expressions there is: a C program scans, because
//! calling C takes `unsafe`, and this side decides its matches and redacts.

use std::path::{Path, PathBuf};
use std::process::Command;

use redaction::Redactor;

use crate::locators::locators;
use crate::measure::{CHUNK_BYTES, N_RUNS, chunks, cpu_seconds};
use crate::regions::{Found, Output, Regions};

/// The C program, compiled, in a folder that goes with this.
pub(crate) struct Scanner {
    folder: tempfile::TempDir,
    begins_block: Vec<bool>,
}

/// What a scan of one corpus found.
pub(crate) struct Scan {
    /// CPU seconds of the scan.
    pub(crate) seconds: f64,
    /// Version of the library and what it uses of this machine.
    pub(crate) library: String,
    /// Ascending: offset of a match's end in the corpus, and the rule.
    matches: Vec<(usize, u8)>,
}

impl Scanner {
    /// Compiles the C program; the error says why that is not possible here.
    pub(crate) fn new() -> Result<Self, String> {
        let flags = output(Command::new("pkg-config").args(["--cflags", "--libs", "libhs"]))?;
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/redact/vectorscan.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-Wall", "-Wextra", "-o"]).arg(folder.path().join("scan"));
        output(compiler.arg(source).args(flags.split_whitespace()))?;
        let locators = locators();
        let patterns: Vec<&str> = locators.iter().map(|l| l.pattern.as_str()).collect();
        let write = std::fs::write(folder.path().join("patterns"), patterns.join("\n") + "\n");
        write.map_err(|e| e.to_string())?;
        let begins_block = locators.iter().map(|l| l.entity == "PRIVATE_KEY").collect();
        Ok(Self { folder, begins_block })
    }

    /// Scans `raw` in chunks.
    pub(crate) fn scan(&self, raw: &[u8]) -> Result<Scan, String> {
        let path = |name: &str| -> PathBuf { self.folder.path().join(name) };
        std::fs::write(path("corpus"), raw).map_err(|e| e.to_string())?;
        let mut program = Command::new(path("scan"));
        program.args([path("patterns"), path("corpus"), path("matches")]);
        let printed = output(program.args([CHUNK_BYTES.to_string(), N_RUNS.to_string()]))?;
        let (seconds, library) = printed.trim().split_once(' ').unwrap_or_default();
        let encoded = std::fs::read(path("matches")).map_err(|e| e.to_string())?;
        let (words, _) = encoded.as_chunks::<8>();
        let decode = |word: &[u8; 8]| {
            let word = u64::from_ne_bytes(*word);
            ((word >> 8) as usize, word as u8)
        };
        let mut matches: Vec<(usize, u8)> = words.iter().map(decode).collect();
        matches.sort_unstable();
        let seconds = seconds.parse().map_err(|_| format!("{printed:?} is no time"))?;
        Ok(Scan { seconds, library: library.to_owned(), matches })
    }

    /// Lines with matches of each chunk in turn.
    fn for_each_chunk(
        &self,
        scan: &Scan,
        raw: &[u8],
        mut step: impl FnMut(&[u8], usize, &Regions),
    ) {
        let (mut regions, mut base) = (Regions::default(), 0);
        let mut matches = scan.matches.iter().peekable();
        for chunk in chunks(raw) {
            regions.clear();
            while let Some((end, rule)) = matches.next_if(|(end, _)| *end <= base + chunk.len()) {
                let begins_block = self.begins_block[usize::from(*rule)];
                // A match has at least one byte and ends on its line.
                let last = end - 1 - base;
                if begins_block || !regions.covers(last) {
                    let start = memchr::memrchr(b'\n', &chunk[..last]).map_or(0, |i| i + 1);
                    let line_end = memchr::memchr(b'\n', &chunk[last..]);
                    let line = start..line_end.map_or(chunk.len(), |i| last + i + 1);
                    regions.add(chunk, line, begins_block);
                }
            }
            step(chunk, base, &regions);
            base += chunk.len();
        }
    }

    /// CPU seconds of deciding the matches and redacting.
    pub(crate) fn measure_rest(&self, scan: &Scan, raw: &[u8], redactor: &Redactor) -> f64 {
        let mut output = Output::default();
        cpu_seconds(|| {
            self.for_each_chunk(scan, raw, |chunk, _, regions| {
                regions.redact(redactor, chunk, &mut output);
                std::hint::black_box(&output.bytes);
            });
        })
    }

    pub(crate) fn findings(&self, scan: &Scan, raw: &[u8], redactor: &Redactor) -> Vec<Found> {
        let mut found = Vec::new();
        self.for_each_chunk(scan, raw, |chunk, base, regions| {
            regions.detect(redactor, chunk, base, &mut found);
        });
        found
    }
}

impl Scan {
    pub(crate) fn n_matches(&self) -> usize {
        self.matches.len()
    }
}

/// What a command prints; the error is what it complains about.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("{name}: {}", complaint.trim().lines().next().unwrap_or("failed")))
    }
}
