//! Throughput of redaction beside other ways to do the same work, on one thread, in one run.
//!
//! `cargo bench -p sidelight-redaction --bench redact -- [--engines NAME,NAME] [FILE...]`
//!
//! Every engine gets the same bytes in the same chunks and must end with the same findings, or the
//! run fails. All times are CPU times of one thread, medians of nine. The other engines only
//! locate; lines that they hit are decided and redacted by the crate, so their rules are the
//! crate's.
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "redact/corpus.rs"]
mod corpus;
#[path = "redact/hostile.rs"]
mod hostile;
#[path = "redact/locators.rs"]
mod locators;
#[path = "redact/measure.rs"]
mod measure;
#[path = "redact/pii.rs"]
mod pii;
#[path = "redact/reference.rs"]
mod reference;
#[path = "redact/regex_set.rs"]
mod regex_set;
#[path = "redact/regions.rs"]
mod regions;
#[path = "redact/table.rs"]
mod table;
#[path = "redact/vectorscan.rs"]
mod vectorscan;

use std::hint::black_box;
use std::process::ExitCode;

use redaction::{DETECTORS, Redactor, Text};

use corpus::Corpus;
use measure::{N_RUNS, chunks, cpu_seconds, lines, rate};
use regions::{Found, are_equal, detect};
use table::Row;

/// What can be measured. The references come first, then whole engines, then sections.
const ENGINES: &[&str] =
    &["memcpy", "classes", "regexset", "vectorscan", "chunk", "line", "hostile", "types"];
/// Lines of a thousand with PII in the made-up logs.
const PII_PER_MILLE: [u64; 3] = [1, 20, 200];

/// What the command line asks for.
struct Options {
    engines: Vec<String>,
    files: Vec<String>,
}

/// The engines, built.
struct Contest {
    options: Options,
    of_18: Redactor,
    of_all: Redactor,
    regex_set: regex_set::Rules,
    vectorscan: Option<vectorscan::Scanner>,
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            println!("{problem}");
            return ExitCode::from(64);
        }
    };
    let contest = Contest::new(options);
    println!(
        "MB/s of CPU time of one thread, median of {N_RUNS}; {} detectors of {}",
        contest.of_18.counts().len(),
        DETECTORS.len()
    );
    let mut rows = Vec::new();
    let mut all_equal = true;
    for per_mille in PII_PER_MILLE {
        all_equal &= contest.run(&corpus::synthetic(per_mille), &mut rows);
    }
    for path in &contest.options.files {
        match corpus::file(path) {
            Ok(corpus) if corpus.raw.is_empty() => println!("{path} is empty: skipped"),
            Ok(corpus) => all_equal &= contest.run(&corpus, &mut rows),
            Err(error) => {
                println!("{path}: {error}");
                return ExitCode::from(66);
            }
        }
    }
    table::print(&rows);
    if contest.options.wants("hostile") {
        hostile::report(&contest.of_all);
    }
    if all_equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The redactor that does the work of the other engines: the 18 types that have a locator.
fn redactor_of_18() -> Redactor {
    let is_known = |name: &&&str| DETECTORS.iter().any(|d| d.rule().entity == **name);
    let names: Vec<&str> = locators::ENTITIES.iter().filter(is_known).copied().collect();
    Redactor::with_types(&names).expect("the types are known")
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut engines, mut files) = (Vec::new(), Vec::new());
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--engines" => {
                    let names = arguments.next().unwrap_or_default();
                    engines.extend(names.split(',').map(str::to_owned));
                }
                flag if flag.starts_with("--") => return Err(format!("unknown option {flag}")),
                _ => files.push(argument),
            }
        }
        if let Some(name) = engines.iter().find(|name| !ENGINES.contains(&name.as_str())) {
            return Err(format!("no engine {name:?}; there are {}", ENGINES.join(", ")));
        }
        // Said now, not after minutes of measuring.
        match files.iter().find(|path| std::fs::File::open(path).is_err()) {
            Some(path) => Err(format!("{path} is not readable")),
            None => Ok(Self { engines, files }),
        }
    }

    fn wants(&self, engine: &str) -> bool {
        self.engines.is_empty() || self.engines.iter().any(|name| name == engine)
    }
}

impl Contest {
    fn new(options: Options) -> Self {
        let scanner = options.wants("vectorscan").then(vectorscan::Scanner::new);
        let vectorscan = match scanner {
            Some(Err(problem)) => {
                println!("vectorscan is skipped: {problem}");
                None
            }
            scanner => scanner.and_then(Result::ok),
        };
        Self {
            options,
            of_18: redactor_of_18(),
            of_all: Redactor::new(),
            regex_set: regex_set::Rules::new(),
            vectorscan,
        }
    }

    /// Measures every engine on one corpus; false when their findings differ.
    fn run(&self, corpus: &Corpus, rows: &mut Vec<Row>) -> bool {
        let (raw, wants) = (&corpus.raw[..], |engine| self.options.wants(engine));
        let mut row = Row::new(corpus);
        let ours = findings(raw, &self.of_18);
        println!("\n{}: {}", corpus.name, describe(raw, &ours));
        row.copy = wants("memcpy").then(|| reference::copy_rate(raw));
        row.class_scan = wants("classes").then(|| reference::class_scan_rate(raw));
        row.chunk = wants("chunk").then(|| chunk_rate(raw, &self.of_18));
        row.all_types = wants("types").then(|| chunk_rate(raw, &self.of_all));
        let (mut is_equal, mut compared) = (true, Vec::new());
        if wants("line") {
            row.line = Some(line_rate(raw, &self.of_18));
            is_equal &= self.has_equal_lines(raw, &ours);
            compared.push("per line");
        }
        if wants("regexset") {
            let cost = self.regex_set.measure(raw, &self.of_18);
            row.regex_set = Some(rate(raw.len(), cost.seconds));
            println!(
                "  RegexSet: {:.0} MB/s to find lines, {:.0} MB/s to find and decide them whole",
                rate(raw.len(), cost.set_seconds),
                rate(raw.len(), cost.lines_seconds)
            );
            let theirs = self.regex_set.findings(raw, &self.of_18);
            is_equal &= are_equal(raw, &ours, "RegexSet", &theirs);
            compared.push("RegexSet");
        }
        if let Some(scanner) = &self.vectorscan {
            match scanner.scan(raw) {
                Ok(scan) => {
                    let rest = scanner.measure_rest(&scan, raw, &self.of_18);
                    row.vectorscan = Some(rate(raw.len(), scan.seconds + rest));
                    println!(
                        "  vectorscan: {:.0} MB/s to find {} matches, {:.0} MB/s to decide them ({})",
                        rate(raw.len(), scan.seconds),
                        scan.n_matches(),
                        rate(raw.len(), rest),
                        scan.library
                    );
                    let theirs = scanner.findings(&scan, raw, &self.of_18);
                    is_equal &= are_equal(raw, &ours, "vectorscan", &theirs);
                    compared.push("vectorscan");
                }
                Err(problem) => println!("  vectorscan is skipped: {problem}"),
            }
        }
        if !compared.is_empty() {
            let answer = if is_equal { "yes" } else { "NO" };
            println!("  spans equal: {answer} (chunk, {})", compared.join(", "));
        }
        rows.push(row);
        is_equal
    }

    /// Compares calls per line with calls per chunk, but for what spans lines.
    fn has_equal_lines(&self, raw: &[u8], ours: &[Found]) -> bool {
        let (blocks, ours): (Vec<Found>, Vec<Found>) =
            ours.iter().partition(|found| found.entity == "PRIVATE_KEY");
        let mut theirs = Vec::new();
        let mut base = 0;
        for line in lines(raw) {
            detect(&self.of_18, &raw[line.clone()], base, &mut theirs);
            base += line.len();
        }
        theirs.retain(|found| {
            let next = blocks.partition_point(|block| block.end <= found.start);
            let is_in_block = blocks.get(next).is_some_and(|block| block.start < found.end);
            found.entity != "PRIVATE_KEY" && !is_in_block
        });
        are_equal(raw, &ours, "redact_chunk per line", &theirs)
    }
}

fn findings(raw: &[u8], redactor: &Redactor) -> Vec<Found> {
    let (mut found, mut base) = (Vec::new(), 0);
    for chunk in chunks(raw) {
        detect(redactor, chunk, base, &mut found);
        base += chunk.len();
    }
    found
}

/// Size of a corpus, and how much there is to find.
fn describe(raw: &[u8], found: &[Found]) -> String {
    let (mut n_lines, mut n_hit, mut rest) = (0, 0, found);
    for line in lines(raw) {
        let n_before = rest.partition_point(|f| f.start < line.end);
        n_lines += 1;
        n_hit += usize::from(n_before > 0);
        rest = &rest[n_before..];
    }
    format!(
        "{} MB, {n_lines} lines, {:.2} % of them with {} findings",
        raw.len() / 1_000_000,
        f64::from(n_hit as u32) * 100.0 / f64::from(n_lines.max(1)),
        found.len()
    )
}

fn chunk_rate(raw: &[u8], redactor: &Redactor) -> f64 {
    let mut text = Text::default();
    let pass = || {
        for chunk in chunks(raw) {
            text.clear();
            redactor.redact_chunk(black_box(chunk), &mut text);
            black_box(text.as_bytes());
        }
    };
    rate(raw.len(), cpu_seconds(pass))
}

fn line_rate(raw: &[u8], redactor: &Redactor) -> f64 {
    let mut text = Text::default();
    let pass = || {
        for line in lines(raw) {
            text.clear();
            redactor.redact_chunk(black_box(&raw[line]), &mut text);
            black_box(text.as_bytes());
        }
    };
    rate(raw.len(), cpu_seconds(pass))
}
