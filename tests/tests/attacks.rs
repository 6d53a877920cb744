//! Hostile plugins of one tenant of a daemon: another tenant's plugin is called in every interval meanwhile, its table is
//! exact, and the daemon is as it was when they are gone. What each of them loses its turn for, the sandbox's own tests say.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_tests::daemon::{Daemon, account, job, patience};
use weir_tests::events::{NOWHERE, calls_as};
use weir_tests::held::Held;
use weir_tests::{emulated, not_run};

const A: u32 = 64_051;
const B: u32 = 64_052;
/// Attackers that are there at once.
const TOGETHER: usize = 9;
/// What a daemon may keep of so many plugins that have been there: the allocator's own, and the audit log's buffers.
const GROWTH_KIB: u64 = 16 << 10;

fn policy() -> String {
    let tenant = |name: &str, uid: u32| {
        format!(
            "[tenants.{name}]\nusers = [\"{uid}\"]\nscope = \"user\"\nunsigned = true\nprobes = [\"tracepoint:raw_syscalls:*\"]\n\
             fields = [\"pid\", \"args.*\"]\nlimits = {{ tables = 20, plugins = 20, rows = 40000, interval = \"1s\", \
             kernel = \"100% cpu\", churn = 1000, memory = \"2GiB\", deadline = \"5s\", cpu = \"100% cpu\", series = 100, \
             output = \"1MiB\", disk = \"100MiB\" }}\n"
        )
    };
    tenant("a", A) + &tenant("b", B)
}

fn config(plugin: &str, deadline: &str) -> String {
    format!(
        "[tables.t]\non = \"tracepoint:raw_syscalls:sys_enter\"\nwhere = \"args.id >= {NOWHERE}\"\n\
         by = {{ pid = \"pid\" }}\nshow = {{ calls = \"count()\" }}\nkeys = 100\n\
         [plugins.{plugin}]\ncomponent = \"{plugin}.wasm\"\nlimits = {{ memory = \"64MiB\", deadline = \"{deadline}\" }}\n"
    )
}

/// All programs that attack and are components as they are.
fn attackers() -> Vec<(String, PathBuf)> {
    let Some(one) = weir_tests::plugin("hostile/endless_loop") else { return Vec::new() };
    let folder = one.parent().expect("it is in a folder");
    let entries =
        std::fs::read_dir(folder).expect("it can be read").map(|entry| entry.expect("it can be read"));
    let components =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "wasm"));
    let name =
        |path: &PathBuf| path.file_stem().and_then(|name| name.to_str()).expect("a plain name").to_owned();
    let mut all: Vec<_> = components.map(|path| (name(&path), path)).collect();
    all.sort();
    all
}

/// Memory of the daemon that is its own, in KiB, and its descriptors.
fn held(daemon: &Daemon) -> (u64, usize) {
    (Held::memory(daemon.pid()), Held::descriptors(daemon.pid()))
}

fn good(status: &Value) -> Value {
    job(status, "b", "good").expect("the neighbour is there")["plugins"][0]["account"].clone()
}

#[test]
fn a_neighbour_of_hostile_plugins_is_called_in_every_interval() {
    let (attackers, Some(top)) = (attackers(), weir_tests::plugin("top")) else {
        return not_run("hostile plugins of a daemon", "no plugins were built for this kernel");
    };
    // Where all is emulated, compiling them takes half an hour.
    let some = if emulated() { 9 } else { 1 };
    let attackers: Vec<_> = attackers.into_iter().step_by(some).collect();
    let daemon = Daemon::start(None, &policy());
    let neighbour = daemon.write("good.toml", &config("top", "5s"));
    daemon.start_job(B, &top, &neighbour, "good");
    let intervals = |status: &Value| status["intervals"].as_u64().expect("a number");
    let wait = |number: u64| {
        let end = intervals(&daemon.status(0)) + number;
        daemon.wait_for("intervals are over", |status| intervals(status) >= end)
    };
    let begin = wait(2);
    let mut before = None;
    let mut started = 0;
    for batch in attackers.chunks(TOGETHER) {
        for (name, path) in batch {
            let config = daemon.write("bad.toml", &config(name, "100ms"));
            let path = path.to_str().expect("a plain path");
            // Some cannot be configured, which ends their start.
            started += usize::from(daemon.weir(A, &["start", path, "-c", &config]).status.success());
        }
        calls_as(B, 100);
        wait(4);
        for (name, _) in batch {
            // Of those that could not be started there is none.
            drop(daemon.weir(A, &["stop", name]));
        }
        // The first have shown what one needs who has run some.
        before.get_or_insert_with(|| held(&daemon));
    }
    assert!(started + 2 >= attackers.len(), "{started} of {} were there", attackers.len());
    let end = wait(2);
    let (calls, over) = (
        good(&end)["calls"].as_u64().expect("a number") - good(&begin)["calls"].as_u64().expect("a number"),
        intervals(&end) - intervals(&begin),
    );
    let skipped = good(&end)["faults"]["skipped"].as_u64().unwrap_or(0);
    assert_eq!(good(&end)["faults"].as_object().map_or(0, |faults| faults.len() as u64), skipped.min(1));
    // An interval that is not over for its plugin, at either end; and a machine that is busy has it miss some.
    let few = if emulated() { 4 } else { 8 };
    assert!(
        calls + skipped + 1 >= over && skipped <= over.div_ceil(few),
        "{calls} calls, {skipped} skipped of {over}"
    );
    let table = account(job(&end, "b", "good").expect("it is there"), "table", "t").cloned();
    let batches = attackers.len().div_ceil(TOGETHER) as u64;
    assert_eq!(table.expect("it is there")["events"].as_u64(), Some(100 * batches));
    // Who has asked last may not be quite gone.
    let (before, begun) = (before.expect("there was a batch"), Instant::now());
    loop {
        let after = held(&daemon);
        if after.0 <= before.0 + GROWTH_KIB && after.1 <= before.1 {
            break;
        }
        assert!(begun.elapsed() < patience(), "{after:?} KiB and descriptors, and before {before:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.stop();
}
