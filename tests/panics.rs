//! What a panic leaves behind: where it was, and nothing of what was being read.

use std::process::Command;

/// Set for the process that panics.
const MARK: &str = "SIDELIGHT_TEST_PANIC";

#[test]
fn a_panic_ends_the_process_and_says_where_and_not_what() {
    if std::env::var_os(MARK).is_some() {
        sidelight::panics::install_hook();
        let _ = std::thread::spawn(|| panic!("read hunter2")).join();
        // Not reached: the process has ended with the thread.
        println!("went on");
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "--nocapture",
        "panics::a_panic_ends_the_process_and_says_where_and_not_what",
    ]);
    let output = command.env(MARK, "1").output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        said.contains("sidelight: internal error at ") && said.contains("panics.rs:"),
        "{said}"
    );
    assert!(!said.contains("hunter2") && !said.contains("went on"), "{said}");
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(6), "{said}");
}
