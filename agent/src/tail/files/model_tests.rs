//! A model of everything that happens to log files, with a clock of its own: random operations,
//! and an oracle that knows every line. Nothing is lost, nothing comes twice but what a kill had in
//! flight, and the lines of one file stay in order.
//!
//! `SIDELIGHT_MODEL_RUNS` sets the number of runs; 600 by default.

pub(super) mod start;
mod world;
mod writer;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::time::Duration;
use world::World;

/// What can happen; the number is a writer.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// Whole lines.
    Write(usize, u8),
    /// The beginning of a line, which the next write ends.
    WriteHalf(usize),
    /// Rename chain, and a new file.
    Rename(usize),
    /// Rename chain, but the writer goes on in the old file until it reopens its path.
    RenameOnly(usize),
    /// The writer opens its path again.
    Reopen(usize),
    /// Copy to `.1`, then truncate.
    CopyTruncate(usize),
    /// The beginning of a copy to `.1`, which grows with time; in the end the file is truncated.
    CopySlowly(usize, u8),
    /// Truncate; the writer goes on where it was, or at the end if it appends.
    Truncate(usize),
    /// Truncate, and the writer begins anew.
    Restart(usize),
    /// Delete and make anew.
    Recreate(usize),
    /// A link to a file elsewhere takes the path.
    SwapLink(usize),
    /// Compress the newest rotated file.
    Compress(usize),
    /// Milliseconds pass, and the tail works.
    Turn(u16),
    /// The destination takes so many batches.
    Deliver(u8),
    /// The checkpoint is written.
    Save,
    /// Nothing but the disk survives, and an agent starts again.
    Kill,
    /// An orderly end, and an agent starts again.
    Stop,
    /// Another config is taken up in the middle of everything.
    Reload,
}

fn op() -> impl Strategy<Value = Op> {
    let writer = 0..2usize;
    let time = prop_oneof![Just(30), Just(600), Just(7_000), Just(40_000)];
    prop_oneof![
        8 => (writer.clone(), 1..6u8).prop_map(|(writer, lines)| Op::Write(writer, lines)),
        2 => writer.clone().prop_map(Op::WriteHalf),
        2 => writer.clone().prop_map(Op::Rename),
        1 => writer.clone().prop_map(Op::RenameOnly),
        1 => writer.clone().prop_map(Op::Reopen),
        2 => writer.clone().prop_map(Op::CopyTruncate),
        2 => (writer.clone(), 0..2u8).prop_map(|(writer, parts)| Op::CopySlowly(writer, parts)),
        1 => writer.clone().prop_map(Op::Truncate),
        1 => writer.clone().prop_map(Op::Restart),
        1 => writer.clone().prop_map(Op::Recreate),
        1 => writer.clone().prop_map(Op::SwapLink),
        2 => writer.prop_map(Op::Compress),
        8 => time.prop_map(Op::Turn),
        5 => (1..5u8).prop_map(Op::Deliver),
        3 => Just(Op::Save),
        1 => Just(Op::Kill),
        1 => Just(Op::Stop),
        1 => Just(Op::Reload),
    ]
}

fn check(
    ops: &[Op],
    glob: &str,
    is_appending: bool,
    identity_wait: Duration,
) -> Result<(), TestCaseError> {
    let mut world = World::new(glob, is_appending, identity_wait);
    for op in ops {
        world.apply(*op);
    }
    world.end();
    let wrong = world.wrong();
    prop_assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn no_line_is_lost_or_repeated_whatever_happens_to_its_file() {
    let runs = std::env::var("SIDELIGHT_MODEL_RUNS").ok().and_then(|runs| runs.parse().ok());
    let config =
        Config { cases: runs.unwrap_or(600), failure_persistence: None, ..Config::default() };
    let globs = prop_oneof![Just("w*.log"), Just("w*.log*")];
    // The job of no file is ever known.
    let identity_wait = prop_oneof![Just(Duration::ZERO), Just(Duration::from_secs(15))];
    let input = (prop::collection::vec(op(), 1..60), globs, any::<bool>(), identity_wait);
    let result = TestRunner::new(config).run(&input, |(ops, glob, is_appending, identity_wait)| {
        check(&ops, glob, is_appending, identity_wait)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn an_empty_file_that_took_the_number_of_another_hides_no_line() {
    let ops = [
        Op::Turn(40_000),
        Op::Turn(600),
        Op::Reload,
        Op::Recreate(0),
        Op::WriteHalf(0),
        Op::Rename(0),
        Op::Compress(0),
    ];
    // Which number a file gets is up to the file system.
    for _ in 0..20 {
        check(&ops, "w*.log", false, Duration::ZERO).unwrap();
    }
}

#[test]
fn a_copy_of_a_sleeping_file_that_grows_slowly_is_not_read_again() {
    let begin = [Op::Write(0, 2), Op::Turn(600)];
    let cases: [&[Op]; 2] = [
        &[Op::CopySlowly(0, 0), Op::Turn(40_000), Op::Turn(600)],
        &[Op::Turn(40_000), Op::CopySlowly(0, 0), Op::Turn(600), Op::Turn(30), Op::Stop],
    ];
    for ops in cases {
        check(&[&begin, ops].concat(), "w*.log*", false, Duration::ZERO).unwrap();
    }
}
