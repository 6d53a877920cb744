//! `weir policy test`: what it says, on probes that need no kernel to be known.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::said;

const POLICY: &str = r#"
[tenants.admins]
users = ["root"]
scope = "all"
probes = ["*"]
fields = ["*"]
unsigned = true
limits = { tables = 9, rows = 100000, plugins = 9, interval = "100ms", rate = 1000, events = 1, memory = "1GiB", deadline = "1s", cpu = "100% cpu", kernel = "5% cpu", churn = 600, series = 100, output = "1MiB", disk = "1GiB" }

[tenants.developers]
users = ["4000000"]
scope = "user"
probes = ["profile:*"]
fields = ["pid", "comm"]
keys = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"]
limits = { tables = 1, rows = 1000, interval = "1s", rate = 49, kernel = "1% cpu", churn = 60 }
"#;

const CONFIG: &str = r#"
interval = "500ms"

[tables.stacks]
on = "profile:hz:99"
by = { pid = "pid", stack = "kstack" }
show = { n = "count()" }

[tables.ticks]
on = "interval:s:1"
where = "cpu == 0"
budget = "2% cpu"
show = { n = "count()" }

[plugins.top]
component = "top.wasm"
"#;

/// A component, as far as anybody looks who does not compile it.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// What a plugin asks for, whoever runs it.
const MANIFEST: &str = r#"
name = "asks"
version = "1.0.0"
limits = { memory = "2GiB", deadline = "2s" }

[tables.samples]
on = "profile:hz:5000"
keys = 200000
by = { cpu = "cpu" }
show = { n = "count()" }
"#;

/// The exit code, and what goes to standard output and to standard error.
fn test(arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
    fs::write(folder.path().join("weir.toml"), CONFIG).unwrap();
    fs::write(folder.path().join("top.wasm"), COMPONENT).unwrap();
    fs::write(folder.path().join("plugin.toml"), MANIFEST).unwrap();
    let pack = ["plugin", "pack", "top.wasm", "--manifest", "plugin.toml", "-o", "asks.wasm"];
    assert_eq!(said(&crate::command::weir(folder.path(), &pack)).1, "");
    let output = weir(folder.path(), arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn weir(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let command = ["policy", "test", "--policy", "policy.toml"].iter().chain(arguments);
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(command)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What a job takes of the disk is the component's bytes and some more.
fn without_bytes(answer: &str) -> String {
    let line = |line: &str| match line.strip_prefix("  disk: ").and_then(|rest| rest.split_once("B, ")) {
        Some((bytes, rest)) => {
            assert!(bytes.parse::<usize>().unwrap() >= COMPONENT.len(), "{line}");
            format!("  disk: …, {rest}\n")
        }
        None => format!("{line}\n"),
    };
    answer.lines().map(line).collect()
}

const DEVELOPERS: &str = "\
uid 4000000 is of tenant `developers`, which may have
  events    of its own user
  probes    profile:*
  fields    pid, comm
  tables    1, of 1000 rows
  interval  1s and more
  samples   49 a second
  kernel    1% cpu
  churn     60 probes in a minute
  plugins   0, signed by one of 1 keys
  memory    0B
  deadline  0ns
  cpu       0% cpu
  series    0
  output    0B
  disk      0B
";

#[test]
fn what_a_user_may_have() {
    assert_eq!(test(&["--as", "4000000"]), (Some(0), DEVELOPERS.to_owned(), String::new()));
    let (code, answer, errors) = test(&["--as", "root", "-c", "weir.toml"]);
    assert_eq!((code, errors), (Some(0), String::new()));
    assert_eq!(
        answer,
        "\
root (uid 0) is of tenant `admins`, which may have
  events    of everybody
  probes    *
  fields    *
  tables    9, of 100000 rows
  interval  100ms and more
  samples   1000 a second, one for 1 events
  kernel    5% cpu
  churn     600 probes in a minute
  plugins   9, signed by anybody or nobody
  memory    1GiB
  deadline  1s
  cpu       100% cpu
  series    100
  output    1MiB
  disk      1GiB
weir.toml is granted
"
    );
}

#[test]
fn all_that_is_too_much_is_said() {
    let (code, answer, errors) = test(&["--as", "4000000", "-c", "weir.toml"]);
    assert_eq!(code, Some(77));
    assert_eq!(errors, "error: 17 things are too much for tenant `developers`\n");
    assert_eq!(
        without_bytes(answer.strip_prefix(DEVELOPERS).unwrap()),
        "\
weir.toml is refused
  context: table `stacks`: profile:hz:99 can be in the context of another task
  rate: table `stacks`: profile:hz:99, and granted: 49 samples a second
  field: table `stacks`: kstack
  probe: table `ticks`: interval:s:1
  context: table `ticks`: interval:s:1 can be in the context of another task
  field: table `ticks`: cpu
  interval: 500ms, and granted: 1s and more
  tables: 2, and granted: 1
  rows: 2001, and granted: 1000
  kernel: 3% cpu, and granted: 1% cpu
  deadline: plugin `top`: 100ms for a call, and granted: 0ns
  plugins: 1, and granted: 0
  memory: 64MiB, and granted: 0B
  output: 1B, and granted: 0B
  cpu: 0.0001% cpu, and granted: 0% cpu
  disk: …, and granted: 0B
  unsigned: plugin `top`: it has no signature
"
    );
}

#[test]
fn what_a_plugin_asks_for_is_asked_for() {
    let (code, answer, errors) = test(&["--as", "root", "--plugin", "asks.wasm"]);
    assert_eq!((code, &*errors), (Some(77), "error: 4 things are too much for tenant `admins`\n"));
    assert_eq!(
        answer.lines().skip(16).collect::<Vec<_>>(),
        [
            "asks.wasm is refused",
            "  rate: table `samples`: profile:hz:5000, and granted: 1000 samples a second",
            "  rows: 200000, and granted: 100000",
            "  deadline: plugin `asks`: 2s for a call, and granted: 1s",
            "  memory: 2GiB, and granted: 1GiB",
        ]
    );
    let (code, answer, _) = test(&["--as", "root", "-c", "weir.toml", "--plugin", "asks.wasm"]);
    assert!(code == Some(77) && answer.contains("weir.toml is refused"), "both: {answer}");
    let (code, _, errors) = test(&["--as", "root", "--plugin", "none.wasm"]);
    assert!(code == Some(66) && errors.contains("cannot read none.wasm"), "{errors}");
}

#[test]
fn what_is_kept_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let policy = POLICY.replace("disk = \"1GiB\"", "disk = \"7B\"");
    fs::write(folder.path().join("policy.toml"), policy).unwrap();
    fs::write(folder.path().join("weir.toml"), CONFIG).unwrap();
    fs::write(folder.path().join("top.wasm"), COMPONENT).unwrap();
    let (answer, _, code) = said(&weir(folder.path(), &["--as", "root", "-c", "weir.toml"]));
    assert_eq!(code, Some(77));
    let answer = without_bytes(&answer);
    let end = "weir.toml is refused\n  disk: …, and granted: 7B\n`weir run` keeps nothing on disk, and is granted\n";
    assert!(answer.ends_with(end), "{answer}");
}

#[test]
fn whoever_is_of_no_tenant_may_have_nothing() {
    let (code, answer, errors) = test(&["--as", "4000001"]);
    assert_eq!((code, &*answer), (Some(77), ""));
    assert_eq!(
        errors,
        "error: uid 4000001 is of no tenant, and may have nothing\n  help: a tenant of policy.toml names `users` or `groups`\n"
    );
    let (code, _, errors) = test(&["--as", "no such user"]);
    assert_eq!((code, &*errors), (Some(64), "error: this machine has no user `no such user`\n"));
}
