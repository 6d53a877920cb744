//! `weir doctor` and `weir probes` agree with the kernel that they speak of.

use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::Value;
use weir_tests::command::{answer, binary, weir};

/// Kinds of probes as `doctor` calls them, and a point of each.
const KINDS: [(&str, &str); 11] = [
    ("tracepoint", "tracepoint:sched:sched_switch"),
    ("raw tracepoint", "rawtracepoint:sched_switch"),
    ("BTF tracepoint", "tp_btf:sched_switch"),
    ("kprobe", "kprobe:vfs_read"),
    ("kretprobe", "kretprobe:vfs_read"),
    ("fentry", "fentry:vfs_read"),
    ("fexit", "fexit:vfs_read"),
    ("uprobe", "uprobe:libc:malloc"),
    ("profile", "profile:hz:99"),
    ("software events", "software:context-switches:100"),
    ("hardware counters", "hardware:cpu-cycles:1000000"),
];

fn findings(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// What it calls ok can be attached; what it does not is refused with a reason.
#[test]
fn verdicts_are_true() {
    let findings = findings(&answer(&["doctor", "--format", "json"]));
    for (name, probe) in KINDS {
        let finding = findings.iter().find(|finding| finding["name"] == name).expect(name);
        let output = weir(&["watch", probe, "--duration", "100ms"]);
        let error = String::from_utf8_lossy(&output.stderr);
        let ok = finding["verdict"] == "ok";
        assert_eq!(ok, output.status.success(), "{finding}: {error}");
        if !ok {
            assert!(matches!(output.status.code(), Some(69 | 77)), "{finding}: {error}");
            assert!(error.contains("help:"), "{error}");
            assert!(finding["why"].is_string(), "{finding}");
        }
    }
}

#[test]
fn a_line_says_what_it_is_and_why_not() {
    for line in answer(&["doctor"]).lines() {
        let (verdict, rest) = line.split_once(' ').expect(line);
        assert!(["ok", "no", "unknown"].contains(&verdict), "{line}");
        assert!(rest.contains(": "), "{line}");
        assert!(verdict == "ok" || rest.contains("; "), "{line}");
    }
}

/// Nobody has no capability, and is told what is not to be known without.
#[test]
fn it_runs_without_privileges() {
    let folder = tempfile::tempdir().expect("a folder");
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), readable).expect("its owner may");
    let copy = folder.path().join("weir");
    std::fs::copy(binary(), &copy).expect("it is copied");
    let output = Command::new(copy)
        .args(["doctor", "--format", "json"])
        .uid(65534)
        .gid(65534)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(77), "{}", String::from_utf8_lossy(&output.stderr));
    let findings = findings(&String::from_utf8(output.stdout).expect("JSON is UTF-8"));
    let verdict = |name: &str| {
        let finding = findings.iter().find(|finding| finding["name"] == name).expect(name);
        finding["verdict"].as_str().expect("a text").to_owned()
    };
    assert_eq!(verdict("CAP_BPF"), "no");
    assert_eq!(verdict("raw tracepoint"), "unknown");
    assert_eq!(verdict("tracefs"), "unknown");
}

/// Every point that is listed has fields that can be told, or is of a kind that has none.
#[test]
fn points_that_are_listed_can_be_watched() {
    let names = answer(&["probes", "tracepoint:sched:sched_*"]);
    assert!(names.lines().any(|name| name == "tracepoint:sched:sched_switch"), "{names}");
    let verbose = answer(&["probes", "-v", "t:syscalls:sys_exit_read"]);
    assert_eq!(
        verbose,
        "tracepoint:syscalls:sys_exit_read\n    args.__syscall_nr (int)\n    args.ret (long)\n"
    );
    let all = answer(&["probes", "-v", "*sched*"]);
    assert!(all.lines().filter(|line| !line.starts_with(' ')).count() > 10);
    assert!(!all.contains("    ? "), "{all}");
    let output = weir(&["probes", "tracepoint:sched:sched_swich"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`tracepoint:sched:sched_switch`"));
}
