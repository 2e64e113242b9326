//! A report for people.

use super::Report;
use crate::findings::{Finding, Severity, size, time};
use crate::run_summary::{Outcome, Redacted, RunSummary};
use std::fmt::Write;

/// The report, with an empty line at its end.
pub(super) fn write(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = head(&mut out, &report.summary);
    let _ = work(&mut out, &report.summary);
    let _ = failures(&mut out, &report.summary);
    let _ = findings(&mut out, &report.summary.findings);
    let _ = source(&mut out, report);
    out.push('\n');
    out
}

fn text(value: Option<&Redacted>) -> &str {
    value.map_or("?", |value| value.0.as_str())
}

fn ms(seconds: f64) -> String {
    time((seconds * 1e3) as u64)
}

fn head(out: &mut String, run: &RunSummary) -> std::fmt::Result {
    let (id, name) = (text(run.job_id.as_ref()), text(run.app_name.as_ref()));
    let version = text(run.engine_version.as_ref());
    writeln!(out, "{id}  {name}  Spark {version} on {}", text(run.master.as_ref()))?;
    let outcome = match run.outcome {
        Outcome::Running => "is running",
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Unknown => "ended; its log does not say how",
    };
    let exit = run.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let start = run.start_time.as_deref().unwrap_or("?");
    let took = run.duration_seconds.map_or_else(|| "?".to_owned(), ms);
    writeln!(out, "  outcome    {outcome}{exit}; started {start}, took {took}")?;
    if let Some(cause) = &run.cause {
        writeln!(out, "  cause      {}", cause.0.lines().next().unwrap_or_default())?;
    }
    writeln!(
        out,
        "  jobs       {} succeeded, {} failed; stages {} and {}; SQL {} and {}",
        run.jobs_succeeded,
        run.jobs_failed,
        run.stages_succeeded,
        run.stages_failed,
        run.sql_succeeded,
        run.sql_failed
    )
}

fn work(out: &mut String, run: &RunSummary) -> std::fmt::Result {
    let work = &run.work;
    writeln!(
        out,
        "  tasks      {} succeeded, {} failed, {} killed; {} retried, {} speculative",
        work.tasks_succeeded,
        work.tasks_failed,
        work.tasks_killed,
        work.tasks_retried,
        work.tasks_speculative
    )?;
    writeln!(
        out,
        "  time       tasks {}, CPU {}, GC {}, fetch wait {}",
        ms(work.task_seconds),
        ms(work.cpu_seconds),
        ms(work.gc_seconds),
        ms(work.shuffle_fetch_wait_seconds)
    )?;
    writeln!(
        out,
        "  data       read {} in {} records, written {} in {} records",
        size(work.input_bytes),
        work.input_records,
        size(work.output_bytes),
        work.output_records
    )?;
    writeln!(
        out,
        "  shuffle    read {}, written {}; spilled to disk {}",
        size(work.shuffle_read_bytes),
        size(work.shuffle_write_bytes),
        size(work.disk_spilled_bytes)
    )?;
    let idle = run.idle_core_ratio.map(|it| format!(", {:.0} % idle", it * 100.0));
    writeln!(
        out,
        "  executors  {} added; {} cores at most, {:.0} core seconds{}; {:.1} GiB hours of memory",
        run.executors_added,
        run.cores_max,
        run.core_seconds,
        idle.unwrap_or_default(),
        run.memory_byte_seconds / 3_600.0 / f64::from(1 << 30)
    )
}

fn failures(out: &mut String, run: &RunSummary) -> std::fmt::Result {
    for (reason, n) in &run.executors_removed {
        writeln!(out, "  removed    {n} executors: {reason}")?;
    }
    for exception in &run.exceptions {
        let (class, message) = (&exception.class.0, &exception.message.0);
        writeln!(out, "  exception  {class}, {} tasks: {message}", exception.n_tasks)?;
    }
    for stream in &run.streams {
        let name = text(stream.name.as_ref());
        let (batches, rows) = (stream.batches, stream.input_records);
        let longest = ms(stream.batch_seconds_max);
        writeln!(out, "  stream     {name}: {batches} batches, {rows} rows, longest {longest}")?;
    }
    Ok(())
}

fn findings(out: &mut String, findings: &[Finding]) -> std::fmt::Result {
    if findings.is_empty() {
        return writeln!(out, "  findings   none");
    }
    for finding in findings {
        let severity = match finding.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        writeln!(out, "  {severity:<10} {}: {}", finding.id, finding.sentence)?;
        writeln!(out, "             {}", finding.advice)?;
        for (property, value) in &finding.settings {
            writeln!(out, "             {property}={value}")?;
        }
    }
    Ok(())
}

fn source(out: &mut String, report: &Report) -> std::fmt::Result {
    let (source, tally) = (&report.source, &report.source.tally);
    let path = &source.path.0;
    writeln!(out, "  log        {path}: {} events, {}", tally.n_events, size(tally.n_bytes))?;
    if tally.n_broken_lines + tally.n_too_long_lines > 0 {
        let (broken, long) = (tally.n_broken_lines, tally.n_too_long_lines);
        writeln!(out, "  skipped    {broken} broken lines, {long} lines that are too long")?;
    }
    if source.n_forgotten_stages + source.n_dropped > 0 {
        let (stages, others) = (source.n_forgotten_stages, source.n_dropped);
        writeln!(
            out,
            "  over limit {stages} stages, of which only sums are left; {others} others"
        )?;
    }
    match &source.damage {
        Some(damage) => writeln!(out, "  damaged    {}", damage.0),
        None => Ok(()),
    }
}
