//! The `weir` command on the live kernel: what it prints, and what it ends with.

use std::io::Write;
use std::process::Command;

use serde_json::Value;
use weir_tests::command::{binary, weir};

/// A configuration in a file of its own.
fn config(text: &str) -> tempfile::TempPath {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("it is written");
    file.into_temp_path()
}

const TABLES: &str = r#"
    interval = "200ms"

    [tables.switches]
    on = "tp_btf:sched_switch"
    by = { cpu = "cpu" }
    show = { n = "count()" }

    [tables.sleeps]
    from = "tracepoint:syscalls:sys_enter_clock_nanosleep"
    to = "tracepoint:syscalls:sys_exit_clock_nanosleep"
    by = { comm = "comm" }
    show = { slept = "hist(elapsed)" }
"#;

/// Each line is an object of a known type, intervals count from 0, and the last line's totals are the sum of all
/// that came before.
#[test]
fn json_lines_add_up() {
    let config = config(TABLES);
    let path = config.to_str().expect("a plain path");
    let output = weir(&["run", "-c", path, "--format", "json", "--duration", "60s", "--", "sleep", "0.3"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let kind = |line: &Value| line["type"].as_str().expect("every line has a type").to_owned();
    assert_eq!(kind(&lines[0]), "start");
    assert_eq!(kind(&lines[lines.len() - 1]), "end");
    let snapshots: Vec<&Value> = lines.iter().filter(|line| kind(line) == "snapshot").collect();
    let of =
        |table: &str| snapshots.iter().filter(|line| line["table"] == table).copied().collect::<Vec<_>>();
    for table in ["switches", "sleeps"] {
        let numbers: Vec<u64> =
            of(table).iter().map(|line| line["interval"].as_u64().expect("a number")).collect();
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    }
    let events: u64 =
        snapshots.iter().map(|line| line["coverage"]["events"].as_u64().expect("a number")).sum();
    assert_eq!(lines[lines.len() - 1]["events"].as_u64(), Some(events));
    // The command ended the run, and its one sleep is there.
    let slept: u64 = of("sleeps")
        .iter()
        .flat_map(|line| line["rows"].as_array().expect("rows").clone())
        .filter(|row| row["key"]["comm"] == "sleep")
        .map(|row| row["values"]["slept"]["count"].as_u64().expect("a number"))
        .sum();
    assert_eq!(slept, 1);
}

/// Each refusal is one error that says where and what would be right, with the documented exit code.
#[test]
fn bad_input_is_refused_with_its_reason() {
    let table = |on: &str, rest: &str| format!("[tables.t]\non = \"{on}\"\n{rest}");
    let good = "show = { n = \"count()\" }";
    for (text, code, parts) in [
        (format!("intervall = \"1s\"\n{}", table("tp_btf:sys_enter", good)), 78, ["intervall", "`interval`"]),
        (
            table("tp_btf:sys_enter", "by = { a = \"args.idd\" }\nshow = { n = \"count()\" }"),
            78,
            ["idd", "id"],
        ),
        (table("tracepoint:sched:sched_swich", good), 78, ["sched_swich", "sched_switch"]),
        (table("tp_btf:sys_enter", "show = { n = \"cuont()\" }"), 78, ["cuont", "count"]),
    ] {
        let config = config(&text);
        let output = weir(&["check", "-c", config.to_str().expect("a plain path")]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.starts_with("error:"), "{error}");
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
    }
    let output = weir(&["run", "-c", "/nowhere/weir.toml"]);
    assert_eq!(output.status.code(), Some(66), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Without the privilege for BPF the error says which is missing.
#[test]
fn no_privilege_is_an_error_that_names_it() {
    use std::os::unix::process::CommandExt;
    let config = config("[tables.t]\non = \"tp_btf:sys_enter\"\nshow = { n = \"count()\" }");
    // The file and the binary are read as anyone; nobody has no capability.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&config, readable).expect("its owner may");
    let weir = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(weir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("its owner may");
    let copy = weir.path().join("weir");
    std::fs::copy(binary(), &copy).expect("it is copied");
    let output = Command::new(copy)
        .args(["run", "-c"])
        .arg(&config)
        .args(["--duration", "1s"])
        .uid(65534)
        .gid(65534)
        .output()
        .expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{error}");
    assert!(error.contains("CAP_BPF"), "{error}");
}
