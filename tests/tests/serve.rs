//! The daemon and its clients, on the live kernel: what tenants are given, what they are refused, and what becomes of
//! everything when something is changed or killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, Uid};
use serde_json::Value;
use weir_tests::daemon::{Daemon, Watched, account, children, job, patience, signal, status_line};
use weir_tests::events::{NOWHERE, become_user, call, calls_as};
use weir_tests::held::Held;
use weir_tests::{emulated, not_run};

const A: u32 = 64_011;
const B: u32 = 64_012;
const STRANGER: u32 = 64_013;

/// Two tenants who may have the same.
const POLICY: &str = r#"
[tenants.a]
users = ["64011"]
scope = "user"
probes = ["tracepoint:raw_syscalls:*", "tracepoint:syscalls:sys_enter_*"]
fields = ["comm", "pid", "tid", "args.*"]
unsigned = true

[tenants.a.limits]
tables = 3
plugins = 4
rows = 40000
interval = "1s"
kernel = "100% cpu"
churn = 1000
memory = "300MiB"
deadline = "5s"
cpu = "100% cpu"
series = 100
output = "1MiB"
disk = "10MiB"

[tenants.b]
users = ["64012"]
scope = "user"
probes = ["tracepoint:raw_syscalls:*"]
fields = ["comm", "pid", "args.*"]
unsigned = true
limits = { tables = 3, plugins = 4, rows = 40000, interval = "1s", kernel = "100% cpu", churn = 1000, memory = "300MiB", deadline = "5s", cpu = "100% cpu", series = 100, output = "1MiB", disk = "10MiB" }
"#;

fn table(name: &str, more: &str) -> String {
    format!(
        "[tables.{name}]\non = \"tracepoint:raw_syscalls:sys_enter\"\nwhere = \"args.id >= {NOWHERE} && pid == {}\"\n\
         by = {{ pid = \"pid\" }}\nshow = {{ calls = \"count()\" }}\n{more}\n",
        std::process::id()
    )
}

/// What configurations say of plugins, whose calls take longer where all is emulated.
fn slow() -> String {
    let plugins = [("top", 5), ("well_behaved", 5), ("endless_loop", 1)].map(|(name, seconds)| {
        format!("[plugins.{name}]\ncomponent = \"{name}.wasm\"\nlimits = {{ deadline = \"{seconds}s\" }}\n")
    });
    if emulated() { plugins.concat() } else { String::new() }
}

/// So many rounds, and fewer where each takes some twenty times as long.
fn rounds(here: u64, emulated_there: u64) -> u64 {
    if emulated() { emulated_there } else { here }
}

/// A plugin that was built, or none where there are no compilers.
fn plugin(name: &str) -> Option<PathBuf> {
    let path = weir_tests::plugin(name);
    if path.is_none() {
        not_run(&format!("a daemon's plugin {name}"), "no plugins were built for this kernel");
    }
    path
}

/// Makes calls as a user, each of which one probe counts, until it is dropped.
struct Caller {
    ends: std::sync::Arc<AtomicBool>,
    made: std::sync::Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Caller {
    fn start(uid: u32) -> Self {
        let (ends, made) = (std::sync::Arc::<AtomicBool>::default(), std::sync::Arc::<AtomicU64>::default());
        let (until, counted) = (ends.clone(), made.clone());
        let thread = std::thread::spawn(move || {
            become_user(uid);
            while !until.load(Ordering::Relaxed) {
                call(0);
                counted.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        Self { ends, made, thread: Some(thread) }
    }

    /// How many calls it made.
    fn end(mut self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is there").join().expect("it ends well");
        self.made.load(Ordering::Relaxed)
    }
}

fn events(status: &Value, tenant: &str, name: &str, table: &str) -> u64 {
    let job = job(status, tenant, name).expect("the job is there");
    account(job, "table", table).expect("the table is there")["events"].as_u64().expect("a number")
}

/// The daemon's own table of it counts so many events.
fn wait_for_events(daemon: &Daemon, tenant: &str, name: &str, number: u64) {
    let status = daemon.wait_for("events are counted", |status| events(status, tenant, name, "t") >= number);
    assert_eq!(events(&status, tenant, name, "t"), number);
}

/// The lines of JSON of a client that was told to end.
fn lines(client: Child) -> Vec<Value> {
    let output = client.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_user_is_told_of_all_that_is_its_own_and_of_nothing_else() {
    let daemon = Daemon::start(None, POLICY);
    let filter = format!("args.id >= {NOWHERE} && pid == {}", std::process::id());
    let arguments =
        ["watch", "t:raw_syscalls:sys_enter", "--by", "pid", "--where", &filter, "--format", "json"];
    let mut clients: Vec<Child> = [A, B]
        .iter()
        .map(|uid| {
            daemon
                .command(*uid, &arguments)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    let attached = |status: &Value| {
        ["a", "b"].iter().all(|tenant| {
            let tenants = status["tenants"].as_array().expect("tenants");
            let found = tenants.iter().find(|found| found["tenant"] == *tenant);
            found.is_some_and(|found| found["jobs"].as_array().expect("jobs").len() == 1)
        })
    };
    daemon.wait_for("both are attached", attached);
    calls_as(A, 3_000);
    calls_as(B, 500);
    calls_as(STRANGER, 70);
    // The clients' intervals with these calls have to be over before they are told to end, or have to be their last.
    clients.iter().for_each(|client| signal(client.id(), Signal::INT));
    let counted: Vec<(u64, usize)> = clients
        .drain(..)
        .map(|client| {
            let lines = lines(client);
            let snapshots: Vec<&Value> = lines.iter().filter(|line| line["type"] == "snapshot").collect();
            let events =
                snapshots.iter().map(|line| line["coverage"]["events"].as_u64().expect("a number")).sum();
            let end = lines.last().expect("there are lines");
            assert_eq!((end["type"].as_str(), end["events"].as_u64()), (Some("end"), Some(events)));
            (events, snapshots.len())
        })
        .collect();
    assert_eq!(counted.iter().map(|(events, _)| *events).collect::<Vec<_>>(), [3_000, 500]);
    daemon.wait_for("their jobs are gone", |status| {
        status["tenants"]
            .as_array()
            .expect("tenants")
            .iter()
            .all(|tenant| tenant["jobs"] == Value::Array(vec![]))
    });
    daemon.stop();
}

/// What `weir run` does by itself, it does through the daemon: a configuration's plugins, and those of the command line.
#[test]
fn a_run_through_the_daemon_is_a_run() {
    let Some(top) = plugin("top") else { return };
    let daemon = Daemon::start(None, POLICY);
    std::fs::copy(&top, daemon.path("top.wasm")).expect("it is copied");
    let ranks = "[plugins.ranks]\ncomponent = \"top.wasm\"\noptions = { limit = 3 }\nlimits = { deadline = \"5s\" }\n";
    let more = daemon.path("top.wasm");
    let mut config = table("t", "") + ranks;
    let mut arguments = vec!["run", "--format", "json"];
    if emulated() {
        // On the command line it would have the deadline that plugins usually have.
        config += &ranks.replace("plugins.ranks", "plugins.top");
    } else {
        arguments.extend(["--plugin", more.to_str().expect("a plain path")]);
    }
    let path = daemon.write("run.toml", &config);
    arguments.extend(["-c", &path]);
    let client = daemon
        .command(A, &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    daemon.wait_for("it runs", |status| {
        let tenant =
            status["tenants"].as_array().expect("tenants").iter().find(|tenant| tenant["tenant"] == "a");
        let plugins = tenant.and_then(|tenant| tenant["jobs"][0]["plugins"].as_array());
        plugins.is_some_and(|plugins| {
            plugins.len() == 2 && plugins.iter().all(|plugin| plugin["state"] == "running")
        })
    });
    calls_as(A, 700);
    signal(client.id(), Signal::INT);
    let lines = lines(client);
    assert_eq!(lines[0]["type"], "start");
    let reports = |plugin: &str| {
        lines.iter().filter(|line| line["type"] == "report" && line["plugin"] == plugin).count()
    };
    assert!(reports("ranks") > 0 && reports("top") > 0, "{lines:#?}");
    let end = lines.last().expect("there are lines");
    assert_eq!((end["type"].as_str(), end["events"].as_u64()), (Some("end"), Some(700)));
    assert_eq!(end["plugin_faults"].as_u64(), Some(0));
    daemon.stop();
}

/// Each way of asking for too much, with the code of its refusal, and nothing of it begun.
#[test]
fn what_is_too_much_is_refused_and_written_down() {
    let daemon = Daemon::start(Some(&table("t", "")), POLICY);
    let ok = table("t", "");
    let on = |probe: &str, more: &str| {
        format!(
            "[tables.t]\non = \"{probe}\"\nby = {{ comm = \"comm\" }}\nshow = {{ n = \"count()\" }}\n{more}\n"
        )
    };
    let tables = |number: usize| (0..number).map(|n| table(&format!("t{n}"), "")).collect::<String>();
    std::fs::write(daemon.path("none.wasm"), "\0asm").expect("it is written");
    let with =
        |limits: &str| format!("{ok}[plugins.none]\ncomponent = \"none.wasm\"\nlimits = {{ {limits} }}\n");
    let begun = daemon.audit().len();
    for (config, codes) in [
        (on("tracepoint:sched:sched_switch", ""), vec!["probe", "context"]),
        (on("tp_btf:sys_enter", ""), vec!["probe"]),
        // Whoever may have none has no program looked into.
        (on("uprobe:/bin/sh:main", ""), vec!["probe"]),
        (ok.replace("pid = \"pid\"", "parent = \"ppid\""), vec!["field"]),
        (ok.replace("pid = \"pid\"", "stack = \"kstack\""), vec!["field"]),
        (tables(4), vec!["tables"]),
        (table("t", "keys = 50000"), vec!["rows"]),
        (format!("interval = \"2s\"\n{ok}"), vec!["interval"]),
        // What a client says of its own bounds is asked of the policy.
        (table("t", "budget = \"60% cpu\"") + &table("u", "budget = \"60% cpu\""), vec!["kernel"]),
        (with("memory = \"400MiB\""), vec!["memory"]),
        (with("deadline = \"6s\""), vec!["deadline"]),
        (with("memory = \"400MiB\", deadline = \"6s\""), vec!["memory", "deadline"]),
    ] {
        let path = daemon.write("asked.toml", &config);
        let output = daemon.weir(A, &["run", "-c", &path, "--duration", "1s"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(77), "{config}\n{error}");
        for code in &codes {
            assert!(error.contains(&format!("\n  {code}: ")), "{code} of\n{config}\n{error}");
        }
        let line = daemon.audit().pop().expect("a line for each refusal");
        assert_eq!((line["uid"].as_u64(), line["tenant"].as_str()), (Some(A.into()), Some("a")));
        let written: Vec<&str> =
            line["result"].as_array().expect("codes").iter().filter_map(Value::as_str).collect();
        for code in codes {
            assert!(written.contains(&code), "{code}: {line}");
        }
    }
    // Whoever is of no tenant may not even ask.
    for arguments in [&["status"][..], &["tables"], &["logs"], &["stop", "configuration"]] {
        let output = daemon.weir(STRANGER, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(77) && error.contains("tenant: user 64013"), "{error}");
    }
    // What is another's is not there, and whoever asks for it by its name is refused.
    let output = daemon.weir(A, &["stop", "configuration"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no job `configuration`"));
    for arguments in [["stop", "operator/configuration"], ["logs", "b/any"]] {
        let output = daemon.weir(A, &arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(77) && error.contains("\n  tenant: "), "{error}");
        let line = daemon.audit().pop().expect("a line for each refusal");
        assert_eq!(
            (line["action"].as_str(), line["result"][0].as_str()),
            (Some(arguments[0]), Some("tenant"))
        );
    }
    let seen = daemon.status(A);
    assert_eq!(seen["tenants"].as_array().expect("tenants").len(), 1, "{seen}");
    let status = daemon.status(0);
    assert!(job(&status, "operator", "configuration").is_some());
    assert_eq!(job(&status, "a", "t"), None);
    assert_eq!(seen["tenants"][0]["refused"].as_u64(), Some(14));
    // One line for each, and one for whoever is of no tenant, who is written down once a second.
    let lines = daemon.audit().len() - begun;
    assert!((15..21).contains(&lines), "{lines} lines");
    daemon.stop();
}

/// What a policy demands of plugins, before anything is compiled.
#[test]
fn a_plugin_that_is_not_what_the_policy_demands_is_refused() {
    // It says no version.
    let Some(behaved) = plugin("hostile/well_behaved") else { return };
    let pinned = "unsigned = true\ndigests = [\"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"]";
    for (demands, code) in
        [("", "unsigned"), (pinned, "digest"), ("unsigned = true\nversions = true", "older")]
    {
        // The first tenant's, and not the others'.
        let daemon = Daemon::start(None, &POLICY.replacen("unsigned = true", demands, 1));
        let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
        let path = behaved.to_str().expect("a plain path");
        let output = daemon.weir(A, &["start", path, "-c", &config]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(77), "{error}");
        assert!(error.contains(&format!("\n  {code}: plugin `well_behaved`: ")), "{error}");
        assert_eq!(daemon.audit().pop().expect("a line")["result"][0], code);
        assert!(daemon.weir(B, &["start", path, "-c", &config]).status.success());
        daemon.stop();
    }
}

#[test]
fn a_plugin_that_loops_is_quarantined_and_its_neighbours_are_called() {
    let (Some(looping), Some(top)) = (plugin("hostile/endless_loop"), plugin("top")) else { return };
    let daemon = Daemon::start(None, POLICY);
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    for (uid, path, name) in [(A, &looping, "bad"), (A, &top, "good"), (B, &top, "good")] {
        daemon.start_job(uid, path, &config, name);
    }
    let of = |status: &Value, tenant: &str, name: &str| {
        job(status, tenant, name).expect("the job is there")["plugins"][0].clone()
    };
    let status =
        daemon.wait_for("it is quarantined", |status| of(status, "a", "bad")["state"] == "quarantined");
    let bad = of(&status, "a", "bad");
    // On a busy machine it may be late by the clock before it is by the processor's time, or not end its call in time.
    let faults = |code: &str| bad["account"]["faults"][code].as_u64().unwrap_or_default();
    assert_eq!(faults("deadline") + faults("stalled") + faults("killed"), 5, "{bad}");
    // Where all is emulated they are still being compiled.
    let called = |status: &Value| {
        ["a", "b"].iter().all(|tenant| of(status, tenant, "good")["account"]["calls"].as_u64() >= Some(1))
    };
    let status = if emulated() { daemon.wait_for("they are called", called) } else { status };
    for tenant in ["a", "b"] {
        let good = of(&status, tenant, "good");
        assert_eq!((good["state"].as_str(), &good["fault"]), (Some("running"), &Value::Null), "{good}");
        // In each of sixteen intervals, but for those that a busy machine has it miss.
        assert!(good["account"]["calls"].as_u64() >= Some(rounds(10, 1)), "it was called: {good}");
        for figure in ["processor_ns", "memory_peak", "bytes_out"] {
            assert!(good["account"][figure].as_u64() > Some(0), "{figure}: {good}");
        }
    }
    // A tenant is charged for all of its plugins together.
    let tenants = status["tenants"].as_array().expect("tenants");
    let account = |name: &str| {
        tenants.iter().find(|tenant| tenant["tenant"] == name).expect("it is there")["account"].clone()
    };
    let sum = |figure: &str| {
        ["bad", "good"]
            .iter()
            .filter_map(|job| of(&status, "a", job)["account"][figure].as_u64())
            .sum::<u64>()
    };
    for figure in ["calls", "processor_ns", "bytes_out"] {
        assert_eq!(account("a")[figure].as_u64(), Some(sum(figure)), "{figure}");
    }
    let faults = account("b")["faults"].as_object().cloned().unwrap_or_default();
    assert!(faults.keys().all(|reason| reason == "skipped"), "{faults:?}");
    // The same is in the tables for people, which have no more than what is one's own.
    let output = daemon.weir(A, &["plugins"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[1][..4], ["a", "bad", "endless_loop", "quarantined"], "{text}");
    assert_eq!(lines[2][..4], ["a", "good", "top", "running"], "{text}");
    let output = daemon.weir(A, &["tables"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().skip(1).all(|line| line.starts_with("a ")), "{text}");
    // Started again, it has another chance.
    daemon.start_job(A, &looping, &config, "bad");
    assert_ne!(of(&daemon.status(A), "a", "bad")["state"], "quarantined");
    daemon.stop();
}

#[test]
fn a_plugin_is_replaced_while_its_tables_count_on() {
    let (Some(top), Some(behaved)) = (plugin("top"), plugin("hostile/well_behaved")) else { return };
    let daemon = Daemon::start(None, POLICY);
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    let start = |path: &PathBuf| {
        let path = path.to_str().expect("a plain path");
        daemon.weir(A, &["start", path, "-c", &config, "--name", "job"])
    };
    assert!(start(&top).status.success());
    let caller = Caller::start(A);
    for round in 0..rounds(6, 2) {
        let output = start(if round % 2 == 0 { &behaved } else { &top });
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // One that cannot be configured changes nothing.
    if let Some(bad) = plugin("hostile/loops_in_configure") {
        let output = start(&bad);
        assert_eq!(output.status.code(), Some(65), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let made = caller.end();
    wait_for_events(&daemon, "a", "job", made);
    let status = daemon.status(A);
    let plugins =
        job(&status, "a", "job").expect("the job is there")["plugins"].as_array().expect("plugins").clone();
    assert_eq!(plugins.len(), 1, "{plugins:?}");
    assert_eq!(plugins[0]["plugin"], "top");
    // Of a component that was there, the code is; of others each compiling counts.
    assert!(status["tenants"][0]["compile_ns"].as_u64() > Some(10_000_000), "{status:#}");
    daemon.stop();
}

#[test]
fn a_version_that_asks_for_more_waits_until_that_is_granted() {
    let Some(top) = plugin("top") else { return };
    let daemon = Daemon::start(None, POLICY);
    let deadline = if emulated() { "5s" } else { "1s" };
    let version = |number: u32, more: &str| {
        let manifest = format!(
            "name = \"top\"\nversion = \"{number}.0.0\"\nlimits = {{ deadline = \"{deadline}\" }}\n{}{more}",
            table("t", "")
        );
        let manifest = daemon.write(&format!("plugin{number}.toml"), &manifest);
        let packed = daemon.write(&format!("top{number}.wasm"), "");
        let top = top.to_str().expect("a plain path");
        let output = daemon.weir(0, &["plugin", "pack", top, "--manifest", &manifest, "-o", &packed]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        packed
    };
    let start = |plugin: &str| daemon.weir(A, &["start", plugin, "--name", "job"]);
    // It brings its table itself.
    let output = start(&version(1, ""));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let caller = Caller::start(A);
    let more = table("more", "")
        .replace("raw_syscalls:sys_enter", "syscalls:sys_exit_read")
        .replace("args.id", "args.ret");
    let output = start(&version(2, &more));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{error}");
    assert!(error.contains("waits until the policy grants it"), "{error}");
    assert!(error.contains("\n  probe: table `more`: tracepoint:syscalls:sys_exit_read"), "{error}");
    let status = daemon.status(A);
    let waits = |status: &Value| job(status, "a", "job").expect("it goes on")["waits"].clone();
    assert_eq!(waits(&status)[0][0], "probe", "{status}");
    let has_more =
        |status: &Value| job(status, "a", "job").is_some_and(|job| account(job, "table", "more").is_some());
    assert!(!has_more(&status));
    let line = daemon.audit().pop().expect("a line for each refusal");
    assert_eq!(line["result"][0], "probe", "{line}");

    // Another policy that does not grant it either changes nothing, and one that does begins it.
    daemon.write("policy.toml", &POLICY.replace("tables = 3", "tables = 4"));
    daemon.reload();
    daemon.wait_for("it is asked for again", |_| daemon.audit().len() > 2);
    assert!(!has_more(&daemon.status(A)));
    daemon.write("policy.toml", &POLICY.replace("sys_enter_*", "sys_*"));
    daemon.reload();
    daemon.wait_for("the new version is there", |status| {
        has_more(status) && waits(status).as_array().is_some_and(Vec::is_empty)
    });
    let made = caller.end();
    wait_for_events(&daemon, "a", "job", made);
    daemon.stop();
}

/// What waits is kept, as the job is; and more memory is more of it for the sandbox that is there.
#[test]
fn a_version_that_waits_does_so_over_a_restart_and_is_given_the_memory_that_it_waited_for() {
    let Some(top) = plugin("top") else { return };
    let mut daemon = Daemon::start(None, POLICY);
    let config = |memory: &str| {
        let plugin = format!(
            "[plugins.top]\ncomponent = \"top.wasm\"\nlimits = {{ memory = \"{memory}\", deadline = \"5s\" }}\n"
        );
        daemon.write("tables.toml", &(table("t", "") + &plugin))
    };
    let first = config("100MiB");
    daemon.start_job(A, &top, &first, "job");
    let more = config("400MiB");
    let path = top.to_str().expect("a plain path");
    let output = daemon.weir(A, &["start", path, "-c", &more, "--name", "job"]);
    assert_eq!(output.status.code(), Some(77), "{}", String::from_utf8_lossy(&output.stderr));
    let waits = |status: &Value| job(status, "a", "job").map(|job| job["waits"][0][0].clone());
    assert_eq!(waits(&daemon.status(A)), Some("memory".into()));
    daemon.wait_for("it is kept", |_| daemon.path("state/waits/a.job/.job").exists());
    daemon.kill_and_start_again();
    daemon.wait_for("it waits again", |status| waits(status) == Some("memory".into()));
    daemon.write("policy.toml", &POLICY.replacen("300MiB", "500MiB", 1));
    daemon.reload();
    let status = daemon.wait_for("it is there", |status| {
        job(status, "a", "job").is_some_and(|job| {
            job["waits"].as_array().is_some_and(Vec::is_empty) && job["plugins"][0]["state"] == "running"
        })
    });
    daemon.wait_for("it is called", |status| {
        let job = job(status, "a", "job").expect("it is there");
        account(job, "plugin", "top").is_some_and(|account| account["calls"].as_u64() > Some(1))
    });
    assert!(status["tenants"][0]["no_sandbox"].is_null(), "{status:#}");
    assert!(!daemon.path("state/waits/a.job").exists());
    daemon.stop();
}

/// A plugin takes a second or more to be compiled again.
#[test]
fn a_job_that_is_stopped_while_it_is_begun_again_stays_so() {
    let Some(top) = plugin("top") else { return };
    let mut daemon = Daemon::start(None, POLICY);
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    daemon.start_job(A, &top, &config, "job");
    daemon.wait_for("it is kept", |_| daemon.path("state/jobs/a.job/.job").exists());
    daemon.kill_and_start_again();
    let status = daemon.wait_for("its tables are there", |status| job(status, "a", "job").is_some());
    let plugins = job(&status, "a", "job").expect("it is there")["plugins"].as_array().map(Vec::len);
    let output = daemon.weir(A, &["stop", "job"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    if plugins == Some(0) {
        // They may be by now.
        let begun = || {
            let is_begun = |line: &&Value| line["action"] == "start" && line["result"][0] == "done";
            daemon.audit().iter().filter(is_begun).count()
        };
        daemon.wait_for("its plugins are compiled", |_| {
            daemon.log().contains("was stopped, or started again") || begun() == 3
        });
    }
    daemon.wait_for("intervals are over", |status| status["intervals"].as_u64() >= Some(3));
    assert_eq!(job(&daemon.status(0), "a", "job"), None);
    assert!(!daemon.path("state/jobs/a.job").exists());
    daemon.stop();
}

#[test]
fn a_changed_configuration_changes_only_what_is_different() {
    let mut daemon = Daemon::start(Some(&table("t", "")), POLICY);
    let has = |status: &Value, name: &str| {
        job(status, "operator", "configuration").is_some_and(|job| account(job, "table", name).is_some())
    };
    daemon.wait_for("the configuration's table is attached", |status| has(status, "t"));
    let caller = Caller::start(0);
    for round in 0..4 {
        daemon.write("weir.toml", &(table("t", "") + &table(&format!("other{round}"), "")));
        daemon.reload();
        daemon.wait_for("another table is there", |status| has(status, &format!("other{round}")));
    }
    // Signals that come faster than they are obeyed: what the file has at last counts.
    for round in 0..rounds(50, 10) {
        daemon.write("new.toml", &(table("t", "") + &table(&format!("quick{round}"), "")));
        std::fs::rename(daemon.path("new.toml"), daemon.path("weir.toml")).expect("both are ours");
        daemon.reload();
    }
    let last = format!("quick{}", rounds(50, 10) - 1);
    daemon.wait_for("the last table is there", |status| has(status, &last));
    daemon.write("weir.toml", &(table("t", "") + &table("other3", "")));
    daemon.reload();
    daemon.wait_for("it is gone", |status| has(status, "other3") && !has(status, &last));
    // What is wrong changes nothing.
    daemon.write("weir.toml", "[tables.t]\non = \"nothing\"\n");
    daemon.reload();
    let start = Instant::now();
    while !daemon.log().contains("what was running goes on") {
        assert!(start.elapsed() < patience(), "{}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = daemon.status(0);
    assert!(has(&status, "other3") && !has(&status, "other2"), "{status:#}");
    let made = caller.end();
    wait_for_events(&daemon, "operator", "configuration", made);
    // A daemon need not have tables of its own, neither later nor when it starts.
    daemon.write("weir.toml", "");
    daemon.reload();
    daemon.wait_for("the configuration's tables are gone", |status| !has(status, "t"));
    daemon.kill_and_start_again();
    daemon.stop();
}

/// Programs of the kernel that the daemon holds, its descriptors and its spawner's, and how many processes they have,
/// with those that have ended and were not waited for.
fn held(daemon: &Daemon) -> (usize, usize, usize, usize) {
    let programs = Held::by(daemon.pid()).programs;
    let spawner = daemon.spawner();
    (programs.len(), Held::descriptors(daemon.pid()), Held::descriptors(spawner), children(spawner).len())
}

/// A client that was just ending was counted before, perhaps, so that fewer descriptors will do.
fn wait_until_held_again(daemon: &Daemon, before: (usize, usize, usize, usize)) {
    let start = Instant::now();
    loop {
        let now = held(daemon);
        if (now.0, now.2, now.3) == (before.0, before.2, before.3) && now.1 <= before.1 {
            return;
        }
        assert!(start.elapsed() < patience(), "{now:?} and before {before:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// It has given up its privileges. One that is killed before is started again only a few times.
fn has_begun(sandbox: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{sandbox}/status")).unwrap_or_default();
    status.lines().any(|line| line == "Seccomp:\t2")
}

#[test]
fn what_is_killed_leaves_nothing_behind_and_costs_others_nothing() {
    let Some(top) = plugin("top") else { return };
    let daemon = Daemon::start(None, POLICY);
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    for uid in [A, B] {
        daemon.start_job(uid, &top, &config, "job");
    }
    let quiet = |status: &Value| {
        let jobs = |tenant: &Value| tenant["jobs"].as_array().expect("jobs").len();
        status["tenants"].as_array().expect("tenants").iter().all(|tenant| jobs(tenant) <= 1)
    };
    daemon.wait_for("it is quiet", quiet);
    let before = held(&daemon);
    assert_eq!((before.0 > 0, before.2, before.3), (true, 4, 2), "{before:?}");
    let caller = Caller::start(B);
    let rounds = rounds(200, 10);
    let mut random = 12_345u64;
    let mut killed = None;
    for _ in 0..rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut client = daemon
            .command(A, &["watch", "t:raw_syscalls:sys_enter", "--by", "comm", "--format", "json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_millis(random >> 56));
        signal(client.id(), Signal::KILL);
        client.wait().expect("it ends");
        let status = daemon.status(0);
        let tenants = status["tenants"].as_array().expect("tenants").clone();
        let a = tenants.iter().find(|tenant| tenant["tenant"] == "a").expect("a is there");
        if random >> 55 & 1 == 0
            && let Some(sandbox) = a["sandbox"].as_u64()
            && killed != Some(sandbox)
            && has_begun(sandbox as u32)
        {
            signal(sandbox as u32, Signal::KILL);
            killed = Some(sandbox);
        }
    }
    let made = caller.end();
    wait_for_events(&daemon, "b", "job", made);
    let status = daemon.wait_for("clients' jobs are gone", quiet);
    let b = job(&status, "b", "job").expect("it is there");
    assert_eq!(b["plugins"][0]["fault"], Value::Null, "{b:#}");
    wait_until_held_again(&daemon, before);
    daemon.stop();
}

#[test]
fn a_daemon_that_was_killed_goes_on_and_says_what_it_has_missed() {
    let Some(top) = plugin("top") else { return };
    let mut daemon = Daemon::start(None, POLICY);
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    daemon.start_job(A, &top, &config, "job");
    for _ in 0..rounds(3, 1) {
        daemon.wait_for("an interval is over", |status| status["intervals"].as_u64() >= Some(2));
        daemon.kill();
        let executed = Instant::now();
        daemon.start_again();
        // Tables do not wait for plugins to be compiled.
        daemon.wait_for("it is counting again", |status| {
            job(status, "a", "job").is_some_and(|job| account(job, "table", "t").is_some())
        });
        assert!(executed.elapsed() < Duration::from_secs(rounds(3, 60)), "{:?}", executed.elapsed());
        let answered = Instant::now();
        let status = daemon.wait_for("the job is there again", |status| {
            job(status, "a", "job").is_some_and(|job| job["plugins"][0]["state"] == "running")
        });
        // Compiling the plugin is a part of it, in a debug build.
        assert!(answered.elapsed() < Duration::from_secs(rounds(5, 120)), "{:?}", answered.elapsed());
        let gap = &job(&status, "a", "job").expect("it is there")["not_covered"];
        let (from, to) = (gap[0].as_str().expect("a time"), gap[1].as_str().expect("a time"));
        assert!(from < to, "{gap}");
        let before = events(&status, "a", "job", "t");
        calls_as(A, 100);
        wait_for_events(&daemon, "a", "job", before + 100);
    }
    let output = daemon.weir(A, &["stop", "job"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!daemon.path("state/jobs/a.job").exists(), "what is said to be stopped is kept no more");
    daemon.kill_and_start_again();
    daemon.wait_for("an interval is over", |status| status["intervals"].as_u64() >= Some(1));
    assert_eq!(job(&daemon.status(0), "a", "job"), None, "what was stopped stays so");
    daemon.stop();
}

/// Who counts everything counts the sandboxes of others, and not its own.
#[test]
fn a_sandbox_at_work_is_not_in_its_own_tables_before_a_restart_or_after() {
    let Some(top) = plugin("top") else { return };
    let policy = POLICY.replacen("scope = \"user\"", "scope = \"all\"", 1);
    let mut daemon = Daemon::start(None, &policy);
    let config = "[tables.t]\non = \"tracepoint:raw_syscalls:sys_enter\"\nwhere = \"comm == \\\"weir-sandbox\\\"\"\n\
                  by = { pid = \"pid\" }\nshow = { calls = \"count()\" }\n";
    let config = daemon.write("tables.toml", &(config.to_owned() + &slow()));
    daemon.start_job(A, &top, &config, "job");
    let calls = |status: &Value, tenant: &str| {
        let job = job(status, tenant, "job")?;
        account(job, "plugin", "top")?["calls"].as_u64()
    };
    for _ in 0..2 {
        // What a process does before it is known as a sandbox may be counted. To configure a plugin is a call, too.
        let status = daemon.wait_for("its plugin is called", |status| calls(status, "a") >= Some(3));
        let (before, called) = (events(&status, "a", "job", "t"), calls(&status, "a").unwrap_or_default());
        let status = daemon.wait_for("it is called on", |status| calls(status, "a") >= Some(called + 3));
        assert_eq!(events(&status, "a", "job", "t"), before);
        daemon.kill_and_start_again();
    }
    let other = daemon.write("other.toml", &(table("t", "") + &slow()));
    daemon.start_job(B, &top, &other, "job");
    daemon.wait_for("the other's plugin is called", |status| calls(status, "b") >= Some(3));
    daemon.wait_for("the other's sandbox is seen", |status| {
        job(status, "a", "job").is_some_and(|job| account(job, "table", "t").is_some())
            && events(status, "a", "job", "t") > 0
    });
    daemon.stop();
}

#[test]
fn a_job_that_cannot_be_begun_again_is_told_of_and_takes_its_room_until_it_is_stopped() {
    let Some(top) = plugin("top") else { return };
    let mut daemon = Daemon::start(None, POLICY);
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    daemon.start_job(A, &top, &config, "job");
    daemon.start_job(B, &top, &config, "job");
    daemon.wait_for("they are kept", |_| {
        ["a", "b"].iter().all(|tenant| daemon.path(&format!("state/jobs/{tenant}.job/.job")).exists())
    });
    daemon.kill();
    // Room for one plugin, and no table may have `pid` any more; of the other tenant there is nothing left.
    let bytes = std::fs::metadata(&top).expect("it is there").len();
    let policy = POLICY.replacen("\"comm\", \"pid\", ", "\"comm\", ", 1).replacen(
        "10MiB",
        &format!("{}B", bytes + bytes / 2),
        1,
    );
    let policy = policy.split("[tenants.b]").next().expect("there is a first part").to_owned();
    daemon.write("policy.toml", &policy);
    daemon.start_again();
    let why = |status: &Value, tenant: &str| {
        job(status, tenant, "job").and_then(|job| Some(job["not_restored"].as_str()?.to_owned()))
    };
    let status = daemon
        .wait_for("they are told of", |status| why(status, "a").is_some() && why(status, "b").is_some());
    assert!(why(&status, "a").expect("it is there").contains("field: table `t`: pid"), "{status:#}");
    assert!(why(&status, "b").expect("it is there").contains("is of no tenant"), "{status:#}");
    assert_eq!(why(&daemon.status(A), "a"), why(&status, "a"));
    let output = daemon.weir(A, &["tables"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("not begun again: it is refused: field"), "{text}");

    let other = table("t", "")
        .replace("pid = \"pid\"", "comm = \"comm\"")
        .replace(&format!(" && pid == {}", std::process::id()), "");
    let config = daemon.write("tables.toml", &(other + &slow()));
    let start =
        || daemon.weir(A, &["start", top.to_str().expect("a plain path"), "-c", &config, "--name", "new"]);
    let output = start();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(77) && error.contains("\n  disk: "), "{error}");
    let stop = |uid, job: &str| {
        let output = daemon.weir(uid, &["stop", job]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    stop(A, "job");
    assert!(!daemon.path("state/jobs/a.job").exists());
    let output = start();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Nobody else can.
    stop(0, "b/job");
    assert!(!daemon.path("state/jobs/b.job").exists());
    let status = daemon.status(0);
    assert!(job(&status, "a", "job").is_none() && job(&status, "b", "job").is_none(), "{status:#}");
    daemon.stop();
}

/// It would be another tenant's, by whose name it could not be stopped.
#[test]
fn a_job_whose_user_is_of_another_tenant_is_told_of_and_not_begun() {
    let Some(top) = plugin("top") else { return };
    let mut daemon = Daemon::start(None, POLICY);
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    daemon.start_job(A, &top, &config, "job");
    daemon.wait_for("it is kept", |_| daemon.path("state/jobs/a.job/.job").exists());
    daemon.kill();
    daemon.write("policy.toml", &POLICY.replace("[tenants.a", "[tenants.c"));
    daemon.start_again();
    let status = daemon.wait_for("it is told of", |status| {
        job(status, "a", "job").is_some_and(|job| job["not_restored"].is_string())
    });
    let why = job(&status, "a", "job").expect("it is there")["not_restored"].to_string();
    assert!(why.contains("is of c by now"), "{why}");
    assert_eq!(job(&daemon.status(0), "c", "job"), None);
    let output = daemon.weir(0, &["stop", "a/job"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!daemon.path("state/jobs/a.job").exists());
    daemon.stop();
}

/// At any time, while it begins too: nothing of it is left in the kernel, nor a process, and the next one goes on.
#[test]
fn a_daemon_that_is_killed_again_and_again_leaves_nothing_behind() {
    let Some(top) = plugin("top") else { return };
    let mut daemon = Daemon::start(None, POLICY);
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    for uid in [A, B] {
        daemon.start_job(uid, &top, &config, "job");
    }
    daemon.wait_for("they are kept", |_| {
        ["a", "b"].iter().all(|tenant| daemon.path(&format!("state/jobs/{tenant}.job/.job")).exists())
    });
    let (mut held, mut processes, mut random) = (Held::default(), Vec::new(), 1u64);
    let rounds = rounds(150, 3);
    for _ in 0..rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis((random >> 33) % rounds.max(50) * 2));
        held.add(Held::by(daemon.pid()));
        let own = children(daemon.pid());
        let others = own.iter().flat_map(|spawner| children(*spawner)).collect::<Vec<_>>();
        processes.extend(own.iter().copied().chain(others).filter_map(Watched::if_it_runs));
        daemon.kill();
        daemon.execute();
    }
    daemon.kill();
    assert!(!emulated() && held.links.len() > 50 || held.links.len() > 1, "{}", held.links.len());
    processes.iter().for_each(Watched::assert_ends);
    held.assert_gone();
    daemon.start_again();
    daemon.wait_for("the jobs are there again", |status| {
        ["a", "b"].iter().all(|tenant| {
            job(status, tenant, "job").is_some_and(|job| job["plugins"][0]["state"] == "running")
        })
    });
    let before = events(&daemon.status(0), "a", "job", "t");
    calls_as(A, 100);
    wait_for_events(&daemon, "a", "job", before + 100);
    daemon.stop();
}

/// As a service manager starts it: with a socket that is there already, told when it is ready, and looked after.
#[test]
fn a_service_manager_is_answered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (socket, notes) = (folder.path().join("socket"), folder.path().join("notes"));
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("it is bound");
    let told = std::os::unix::net::UnixDatagram::bind(&notes).expect("it is bound");
    told.set_read_timeout(Some(patience())).expect("a timeout");
    let binary = weir_tests::command::binary();
    // The number of the process has to be in its environment.
    let script = "LISTEN_PID=$$ WATCHDOG_PID=$$ exec \"$0\" serve --socket \"$1\"";
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script])
        .arg(&binary)
        .arg(&socket)
        .env("LISTEN_FDS", "1")
        .env("NOTIFY_SOCKET", &notes);
    // As the service manager's first descriptor.
    command.env("WATCHDOG_USEC", "400000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut daemon =
        weir_tests::daemon::Ending(weir_tests::daemon::with_descriptor(command, listener.into()));
    // They are read as they come: a service manager does, and few have room.
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut note = [0; 256];
        while let Ok(length) = told.recv(&mut note) {
            let note = String::from_utf8_lossy(&note[..length]).trim().to_owned();
            if tell.send(note).is_err() {
                return;
            }
        }
    });
    let next = || heard.recv_timeout(patience()).expect("a note in time");
    assert_eq!(next(), "READY=1");
    assert_eq!([next(), next(), next()], ["WATCHDOG=1"; 3]);
    let status = std::process::Command::new(&binary).arg("status").env("WEIR_SOCKET", &socket).output();
    assert!(status.expect("it runs").status.success());
    signal(daemon.0.id(), Signal::TERM);
    let start = Instant::now();
    while next() != "STOPPING=1" {
        assert!(start.elapsed() < patience());
    }
    assert!(daemon.0.wait().expect("it ends").success());
    assert!(socket.exists(), "the service manager's socket is not the daemon's to remove");
}

/// Whatever comes to the socket costs its own connection, and no user can take all of them.
#[test]
fn clients_that_say_nothing_or_nonsense_cost_nobody_else() {
    use std::io::{Read, Write};
    let daemon = Daemon::start(None, POLICY);
    let connect = || std::os::unix::net::UnixStream::connect(daemon.path("socket")).expect("it connects");
    let mut random = 1u64;
    let mut greeting = [0; 8];
    connect().read_exact(&mut greeting).expect("a daemon greets");
    for length in 0..rounds(200, 40) {
        let mut client = connect();
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) as u8
            })
            .collect();
        // Every other one begins as a client does.
        let greeting = if length % 2 == 0 { &greeting[..] } else { &[] };
        drop(client.write_all(&[greeting, &bytes].concat()));
        client.shutdown(std::net::Shutdown::Write).expect("it is open");
        drop(client.read_to_end(&mut Vec::new()));
    }
    // All connections that a user can have, and more, of a user that says nothing.
    let silent: Vec<_> = (0..rounds(100, 40))
        .map(|_| {
            let mut command = daemon.command(A, &["logs", "-f"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
        })
        .collect();
    for _ in 0..rounds(20, 3) {
        assert!(daemon.weir(B, &["status"]).status.success(), "{}", daemon.log());
        assert!(daemon.weir(0, &["status"]).status.success(), "{}", daemon.log());
    }
    for mut client in silent {
        drop(client.kill());
        drop(client.wait());
    }
    // So do as many as there are places for, of users of no tenant: whoever may have nothing has few, and soon none.
    let began = Instant::now();
    let strangers = std::thread::scope(|scope| {
        let many = |uid: u32| {
            let path = daemon.path("socket");
            move || {
                let uid = Uid::from_raw(uid);
                rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root can be anybody");
                let connect = |_| std::os::unix::net::UnixStream::connect(&path).expect("it connects");
                (0..32).map(connect).collect::<Vec<_>>()
            }
        };
        let users: Vec<_> = (0..10).map(|user| scope.spawn(many(STRANGER + user))).collect();
        users.into_iter().flat_map(|user| user.join().expect("it ends well")).collect::<Vec<_>>()
    });
    for _ in 0..rounds(20, 3) {
        assert!(daemon.weir(B, &["status"]).status.success(), "{}", daemon.log());
    }
    assert!(emulated() || began.elapsed() < Duration::from_secs(20), "it was answered meanwhile");
    drop(strangers);
    daemon.stop();
}

/// Users of one tenant share its jobs, and not what they count.
#[test]
fn a_job_that_another_user_takes_over_counts_that_users_events() {
    const OTHER: u32 = 64_014;
    let Some(top) = plugin("top") else { return };
    let daemon = Daemon::start(None, &POLICY.replacen("[\"64011\"]", "[\"64011\", \"64014\"]", 1));
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    let start = |uid| daemon.start_job(uid, &top, &config, "job");
    start(A);
    calls_as(A, 100);
    calls_as(OTHER, 7);
    wait_for_events(&daemon, "a", "job", 100);
    start(OTHER);
    calls_as(A, 50);
    calls_as(OTHER, 30);
    wait_for_events(&daemon, "a", "job", 30);
    // What others' events made it cost is not told.
    let status = daemon.status(A);
    let told =
        account(job(&status, "a", "job").expect("it is there"), "table", "t").expect("it is there").clone();
    assert_eq!((told["kernel_runs"].as_u64(), told["kernel_ns"].as_u64()), (Some(0), Some(0)));
    daemon.stop();
}

#[test]
fn a_table_is_taken_from_a_job_and_its_plugins_go_on() {
    let Some(top) = plugin("top") else { return };
    let daemon = Daemon::start(None, POLICY);
    let one = table("t", "");
    for config in [one.clone() + &table("other", ""), one.clone(), one.clone() + &table("third", ""), one] {
        let config = daemon.write("tables.toml", &(config + &slow()));
        daemon.start_job(A, &top, &config, "job");
        let calls = |status: &Value| {
            let job = job(status, "a", "job").expect("it is there");
            assert_eq!(job["plugins"].as_array().expect("plugins").len(), 1, "{job:#}");
            account(job, "plugin", "top").expect("it is there")["calls"].as_u64()
        };
        daemon.wait_for("its plugin is called", |status| calls(status) >= Some(2));
    }
    daemon.stop();
}

/// A daemon with a tenant's plugin, and the processes that are its, last of which is the sandbox.
fn with_sandbox() -> Option<(Daemon, Vec<Watched>, u32)> {
    let top = plugin("top")?;
    let daemon = Daemon::start(None, POLICY);
    let config = daemon.write("tables.toml", &(table("t", "") + &slow()));
    daemon.start_job(A, &top, &config, "job");
    daemon.wait_for("it is kept", |_| daemon.path("state/jobs/a.job/.job").exists());
    let spawner = daemon.spawner();
    let [sandbox]: [u32; 1] = children(spawner).try_into().expect("there is one sandbox");
    let processes = [daemon.pid(), spawner, sandbox].map(Watched::new).into();
    Some((daemon, processes, sandbox))
}

/// By the kernel's account of every thread.
#[test]
fn the_daemon_and_its_spawner_hold_what_is_listed() {
    let Some((daemon, _, sandbox)) = with_sandbox() else { return };
    let bits = |numbers: &[u32]| numbers.iter().fold(0u64, |bits, number| bits | 1 << number);
    // DAC_READ_SEARCH, SYS_PTRACE, SYS_RESOURCE, SYSLOG, PERFMON, BPF, CHECKPOINT_RESTORE, as far as this process has them.
    let ours = u64::from_str_radix(&status_line(Path::new("/proc/self"), "CapPrm"), 16).expect("a number");
    let own = bits(&[2, 19, 24, 34, 38, 39, 40]) & ours;
    // KILL, SETGID, SETUID, SETPCAP.
    let spawner = bits(&[5, 6, 7, 8]);
    for (pid, held, bounding) in
        [(daemon.pid(), own, 0), (daemon.spawner(), spawner, spawner), (sandbox, 0, 0)]
    {
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs") {
            let thread = thread.expect("it runs").path();
            // That of a client's connection may end.
            let Ok(status) = std::fs::read_to_string(thread.join("status")) else { continue };
            let line = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.expect("the kernel says so").trim()
            };
            let expected =
                [("CapEff", held), ("CapPrm", held), ("CapBnd", bounding), ("CapInh", 0), ("CapAmb", 0)];
            for (set, bits) in expected {
                assert_eq!(line(set), format!("{bits:016x}"), "{set} of {}", thread.display());
            }
            assert_eq!(line("NoNewPrivs"), "1", "{}", thread.display());
        }
    }
    let spawner = PathBuf::from(format!("/proc/{}", daemon.spawner()));
    assert_eq!(
        (status_line(&spawner, "Threads"), status_line(&spawner, "Name")),
        ("1".into(), "weir-spawner".into())
    );
    let files = std::fs::read_dir(spawner.join("fd")).expect("it runs");
    let mut files: Vec<PathBuf> =
        files.map(|file| std::fs::read_link(file.expect("it runs").path()).expect("it is open")).collect();
    files.sort();
    let channel = files.pop().expect("there are some");
    assert_eq!(files, [Path::new("/dev/null"); 3]);
    assert!(channel.to_string_lossy().starts_with("socket:"), "{}", channel.display());
    daemon.stop();
}

#[test]
fn a_daemon_that_ends_leaves_no_process() {
    // One that is stopped cannot see that its channel is closed.
    for (kill, stopped) in [(true, false), (true, true), (false, true)] {
        let Some((mut daemon, processes, sandbox)) = with_sandbox() else { return };
        if stopped {
            signal(sandbox, Signal::STOP);
        }
        if kill {
            daemon.kill();
        } else {
            daemon.stop();
        }
        processes.iter().for_each(Watched::assert_ends);
    }
}

/// It can start no other, so that it ends, and says why; one that is started in its place has everything again.
#[test]
fn a_daemon_whose_spawner_was_killed_ends() {
    let Some((mut daemon, processes, _)) = with_sandbox() else { return };
    for round in 0..2 {
        // The second time it is busy with it.
        let client = (round == 1).then(|| {
            let arguments = ["watch", "t:raw_syscalls:sys_enter", "--by", "comm", "--format", "json"];
            let mut command = daemon.command(A, &arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        });
        signal(daemon.spawner(), Signal::KILL);
        assert_eq!(daemon.wait_for_end().code(), Some(70), "{}", daemon.log());
        let log = daemon.log();
        assert_eq!(log.matches("the spawner has ended (signal: 9 (SIGKILL))").count(), round + 1, "{log}");
        processes.iter().for_each(Watched::assert_ends);
        if let Some(client) = client {
            assert!(!client.wait_with_output().expect("it ends").status.success());
        }
        daemon.start_again();
        daemon.wait_for("the job is there again", |status| {
            job(status, "a", "job").is_some_and(|job| job["plugins"][0]["state"] == "running")
        });
    }
    daemon.stop();
}

#[test]
fn a_sandbox_that_is_ended_many_times_leaves_no_process() {
    let Some((daemon, _, mut sandbox)) = with_sandbox() else { return };
    let before = held(&daemon);
    for _ in 0..rounds(20, 3) {
        let process = Watched::new(sandbox);
        signal(sandbox, Signal::KILL);
        process.assert_ends();
        let other = |status: &Value| {
            let tenants = status["tenants"].as_array().expect("tenants");
            let a = tenants.iter().find(|tenant| tenant["tenant"] == "a").expect("a is there");
            a["sandbox"].as_u64().map(|sandbox| sandbox as u32).filter(|other| *other != sandbox)
        };
        let status = daemon.wait_for("it is replaced", |status| other(status).is_some_and(has_begun));
        sandbox = other(&status).expect("it is there");
        assert_eq!(children(daemon.spawner()), [sandbox]);
    }
    wait_until_held_again(&daemon, before);
    daemon.stop();
}
