//! What the commands print, as a shell's pipe takes it.

use std::process::Command;

#[test]
fn a_reader_that_has_seen_enough_ends_a_command_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    let ended = command.args(["deadline", "list"]).stdout(writer).output().expect("run writ");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn output_that_cannot_be_written_is_an_error_that_says_so() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("the full device");
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    let ended = command.args(["deadline", "list"]).stdout(full).output().expect("run writ");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("print to standard output"), "{said}");
}
