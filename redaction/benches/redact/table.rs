//! The result as a table, and the targets held against it.

use crate::corpus::Corpus;

/// Rates of one corpus in MB/s; none where an engine did not run.
pub(crate) struct Row {
    name: String,
    has_little_pii: bool,
    pub(crate) copy: Option<f64>,
    pub(crate) class_scan: Option<f64>,
    pub(crate) regex_set: Option<f64>,
    pub(crate) vectorscan: Option<f64>,
    pub(crate) chunk: Option<f64>,
    pub(crate) line: Option<f64>,
    pub(crate) all_types: Option<f64>,
}

/// Least ratios to reach.
const REGEX_SET_RATIO_MIN: f64 = 5.0;
const VECTORSCAN_RATIO_MIN: f64 = 8.0;
const CLASS_SCAN_RATIO_MIN: f64 = 0.09;
/// How much of its speed the redactor keeps when all types are on.
const ALL_TYPES_RATIO_MIN: f64 = 0.75;

impl Row {
    pub(crate) fn new(corpus: &Corpus) -> Self {
        Self {
            name: corpus.name.clone(),
            has_little_pii: corpus.has_little_pii,
            copy: None,
            class_scan: None,
            regex_set: None,
            vectorscan: None,
            chunk: None,
            line: None,
            all_types: None,
        }
    }
}

/// Prints all rows: rates first, then what the redactor makes of the others' rates.
pub(crate) fn print(rows: &[Row]) {
    println!("\nMB/s");
    println!(
        "{:>8} {:>8} {:>9} {:>10} {:>8} {:>8} {:>9}",
        "memcpy", "classes", "RegexSet", "vectorscan", "chunk", "line", "all types"
    );
    for row in rows {
        let cells = [row.copy, row.class_scan, row.regex_set, row.vectorscan]
            .into_iter()
            .chain([row.chunk, row.line, row.all_types])
            .zip([8, 8, 9, 10, 8, 8, 9]);
        for (cell, width) in cells {
            match cell {
                Some(rate) => print!("{rate:width$.0} "),
                None => print!("{:>width$} ", "-"),
            }
        }
        println!(" {}", row.name);
    }
    println!("\nRatios of redact_chunk, and targets");
    for row in rows.iter().filter(|row| row.chunk.is_some()) {
        println!("{}", row.name);
        let class_target = row.has_little_pii.then_some(CLASS_SCAN_RATIO_MIN);
        print_ratio("RegexSet", row.chunk, row.regex_set, Some(REGEX_SET_RATIO_MIN));
        print_ratio("vectorscan", row.chunk, row.vectorscan, Some(VECTORSCAN_RATIO_MIN));
        print_ratio("byte-class scan", row.chunk, row.class_scan, class_target);
        print_ratio(
            "18 types, with all types",
            row.all_types,
            row.chunk,
            Some(ALL_TYPES_RATIO_MIN),
        );
    }
}

fn print_ratio(of: &str, ours: Option<f64>, theirs: Option<f64>, least: Option<f64>) {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
    let ratio = ours / theirs;
    let verdict = match least {
        Some(least) if ratio >= least => format!("target {least}: reached"),
        Some(least) => format!("target {least}: MISSED"),
        None => "no target".to_owned(),
    };
    println!("  {ratio:7.3} x {of:<26} {verdict}");
}
