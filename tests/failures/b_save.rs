//! B: the save of a checkpoint, seen and broken at its system calls by strace.

use crate::harness::bed::{Bed, LIMIT};
use crate::harness::peers;
use crate::harness::process::Process;
use crate::harness::report::say;
use crate::harness::wait;
use crate::harness::writer::Writer;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Calls at which a save can be interrupted; those that a libc does not use never come.
const CALLS: [&str; 5] = ["fsync", "fdatasync", "rename", "renameat", "unlink"];

/// The agent's next life under strace; none, after saying so, when peers are not wanted.
fn under_strace(bed: &Bed, arguments: &[&str]) -> Option<Process> {
    if !peers::are_wanted() {
        say("strace: skipped; tests/run starts real peers");
        return None;
    }
    let command = bed.command();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-o"]).arg(bed.scratch.join("calls")).args(arguments).arg("--");
    strace.arg(command.get_program()).args(command.get_args());
    let log = |stream| bed.scratch.join(&format!("strace.{stream}"));
    Some(Process::start("strace", &strace, &log("stdout"), &log("stderr")))
}

#[test]
fn b3_killed_at_each_system_call_of_a_save_loses_nothing() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    let mut n_kills = 0;
    for call in CALLS {
        for nth in 1..=4 {
            writer.write(20);
            let inject = format!("inject={call}:signal=KILL:when={nth}");
            let trace = format!("trace={call}");
            let Some(mut agent) = under_strace(&bed, &["-e", &trace, "-e", &inject]) else {
                return;
            };
            // A save comes with new lines; a call that does not come is not used.
            let is_killed = wait::within(Duration::from_secs(4), || {
                writer.write(1);
                agent.exit_status()
            });
            if is_killed.is_none() {
                agent.kill();
            }
            bed.once();
            bed.expect_all("w", writer.next);
            if is_killed.is_none() {
                break;
            }
            n_kills += 1;
        }
    }
    say(&format!("b3: killed at {n_kills} calls, {} lines twice", bed.tally.n_duplicates()));
    assert!(n_kills >= 6, "killed only {n_kills} times");
}

#[test]
fn b16_a_file_is_synced_before_it_is_renamed_and_its_folder_after() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    writer.write(10);
    let arguments = ["-e", "trace=fsync,fdatasync,rename,renameat,renameat2"];
    let Some(mut agent) = under_strace(&bed, &arguments) else { return };
    let state = bed.scratch.join("state");
    let state = state.to_string_lossy();
    let calls = wait::until("two saves", LIMIT, || {
        writer.write(1);
        let text = fs::read_to_string(bed.scratch.join("calls")).unwrap_or_default();
        let is_sync_of_folder = |line: &&str| is_sync(line) && line.contains(&format!("<{state}>"));
        (text.lines().filter(is_sync_of_folder).count() >= 2).then_some(text)
    });
    agent.kill();
    bed.tally.read(&bed.output());
    let in_state: Vec<&str> = calls.lines().filter(|line| line.contains(&*state)).collect();
    let last_folder_sync = in_state.iter().rposition(|line| line.contains(&format!("<{state}>")));
    for (index, line) in in_state[..last_folder_sync.unwrap()].iter().enumerate() {
        let is_done = line.contains("rename") && !line.contains("ENOENT");
        let Some(source) = line.split('"').nth(1).filter(|_| is_done) else { continue };
        // A second name of a generation that was synced when it was written.
        if source.ends_with("checkpoint.kept.tmp") {
            continue;
        }
        // What moves aside a generation that was synced when it was written needs no other sync.
        let is_new = source.rsplit('/').next().is_some_and(|name| name.contains("tmp"));
        let is_synced = |line: &&str| is_sync(line) && line.contains(&format!("<{source}>"));
        let before = in_state[..index].iter().any(is_synced);
        let after = in_state[index..].iter().any(|line| line.contains(&format!("<{state}>")));
        assert!(before || !is_new, "not synced before {line}:\n{}", in_state.join("\n"));
        assert!(after, "the folder is not synced after {line}");
    }
}

fn is_sync(line: &str) -> bool {
    line.contains("fsync(") || line.contains("fdatasync(")
}
