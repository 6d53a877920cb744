//! The command itself, where it needs no kernel.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use weir::recording::Recorder;

use crate::samples::*;

fn weir(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn assert_fails(arguments: &[&str], code: i32, stderr: &str) {
    let output = weir(arguments);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
    assert!(printed.starts_with("error: ") && printed.contains(stderr), "{arguments:?}: {printed}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

fn recording(folder: &Path, whole: bool) -> PathBuf {
    let path = folder.join("x.weir");
    let table = opens();
    let intervals: Vec<_> = (0..2)
        .map(|number| {
            let row = (Some(vec![text("a\n")]), vec![Value::Number(i128::from(number) + 1)]);
            vec![snapshot(&table, interval(number, whole && number == 1), coverage(number + 1), &[row])]
        })
        .collect();
    put_run(&mut Recorder::new(&path).unwrap(), &[table], &intervals);
    path
}

#[test]
fn a_wrong_command_line_is_a_mistake_of_usage() {
    for wrong in [
        &["dance"][..],
        &["run"],
        &["run", "-c", "x", "--duration", "10"],
        &["replay", "x.weir", "--format", "yaml"],
        &["record", "-c", "x"],
    ] {
        assert_fails(wrong, 64, "");
    }
}

#[test]
fn help_and_version_are_answers() {
    for (asked, answer) in [("--help", "Exit codes:"), ("--version", "weir 0.")] {
        let output = weir(&[asked]);
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(answer));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("no\x1b[2Jwhere");
    assert_fails(&["replay", nowhere.to_str().unwrap()], 66, "no\\x1b[2Jwhere/weir.json: No such file");
    let recording = recording(folder.path(), true);
    let replay = ["replay", recording.to_str().unwrap(), "--plugin", "no.wasm"];
    assert_fails(&replay, 66, "cannot read no.wasm: No such file");
}

#[test]
fn a_plugin_of_another_digest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = |name: &str, digest: &str| {
        let path = folder.path().join(name);
        let text = format!(
            "[tables.t]\non = \"interval:s:1\"\nshow = {{ n = \"count()\" }}\n\
             [plugins.p]\ncomponent = \"p.wasm\"\ndigest = \"sha256:{digest}\"\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    };
    std::fs::write(folder.path().join("p.wasm"), "abc").unwrap();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let other = config("other.toml", &"0".repeat(64));
    let other = other.to_str().unwrap();
    let message = format!("p.wasm is sha256:{abc}, and the configuration wants sha256:{}\n", "0".repeat(64));
    assert_fails(&["check", "-c", other], 65, &message);
    assert_fails(&["run", "-c", other, "--duration", "1s"], 65, &message);
    // With the right one it is looked at.
    let same = config("same.toml", abc);
    assert_fails(&["check", "-c", same.to_str().unwrap()], 65, "plugin p: is not WebAssembly");
}

#[test]
fn a_recording_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording(folder.path(), true);
    assert_fails(&["record", "-c", "weir.toml", "-o", recording.to_str().unwrap()], 64, "x.weir exists");
}

#[test]
fn a_replay_is_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording(folder.path(), true);
    let output = weir(&["replay", recording.to_str().unwrap()]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        r"counting opens

opens, interval 0 (1.00s from 10:00:00): 1 event in 1 row, 0 in overflow, 0 missed
  comm  calls
  a\n       1

opens, interval 1 (1.00s from 10:00:01): 2 events in 1 row, 0 in overflow, 0 missed
  comm  calls
  a\n       2

3 events counted in 2 intervals over 2.00s, 0 in overflow, 0 missed
"
    );
    assert!(output.stderr.is_empty());
    assert!(output.status.success());
}

#[test]
fn a_replay_that_ends_early_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording(folder.path(), false);
    let output = weir(&["replay", recording.to_str().unwrap(), "--format", "json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let types: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(types, ["start", "snapshot", "snapshot", "end"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("x.weir ends early"));
    assert!(output.status.success());
}

/// The types of the lines of a replay, what it says beside them, and its exit code.
fn replayed(recording: &Path) -> (Vec<String>, String, Option<i32>) {
    let output = weir(&["replay", recording.to_str().unwrap(), "--format", "json"]);
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let types = String::from_utf8(output.stdout).unwrap();
    let types = types.lines().map(|text| line(text)["type"].as_str().unwrap().to_owned()).collect();
    (types, String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[test]
fn what_is_cut_off_is_read_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording(folder.path(), true);
    let coverage = recording.join("coverage.arrows");
    let whole = std::fs::read(&coverage).unwrap();
    // The stream ends with eight bytes, before which the second interval's message is.
    std::fs::write(&coverage, &whole[..whole.len() - 20]).unwrap();
    let (types, said, code) = replayed(&recording);
    assert_eq!((types, code), (["start", "snapshot", "end"].map(str::to_owned).to_vec(), Some(0)));
    assert!(said.contains("ends early, after interval 0: "), "{said}");
    assert!(said.contains("coverage.arrows is cut off in the message at byte "), "{said}");
}

#[test]
fn what_is_damaged_is_read_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording(folder.path(), true);
    let coverage = recording.join("coverage.arrows");
    let mut bytes = std::fs::read(&coverage).unwrap();
    let last = bytes.windows(4).rposition(|bytes| bytes == [0xff; 4]).unwrap();
    let message = bytes[..last].windows(4).rposition(|bytes| bytes == [0xff; 4]).unwrap();
    bytes[message] = 0;
    std::fs::write(&coverage, bytes).unwrap();
    let (types, said, code) = replayed(&recording);
    assert_eq!((types, code), (["start", "snapshot", "end"].map(str::to_owned).to_vec(), Some(65)));
    let place = format!("coverage.arrows: the message at byte {message}: the Arrow stream is damaged");
    assert!(said.contains(&place), "{said}");
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording(folder.path(), true);
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["replay", recording.to_str().unwrap()])
        .stdout({
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer
        })
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    let mut printed = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut printed).unwrap();
    assert_eq!(printed, "");
}
