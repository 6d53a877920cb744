//! The units, under systemd, in a machine that is theirs alone: `cargo xtask vm --test systemd` makes one. Here is what only
//! systemd and the units' hardening change; what the daemon does for whom is in `serve.rs` and `groups.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use weir_tests::command::binary;
use weir_tests::daemon::{Watched, account, children, group_of, job, patience, signal, status_line};
use weir_tests::events::{NOWHERE, calls_as, seek};
use weir_tests::held::Held;
use weir_tests::{emulated, not_run};

/// Of the user `tenant`, and of one whom no policy names.
const TENANT: u32 = 1000;
const STRANGER: u32 = 1001;

const CONFIG: &str =
    "[tables.own]\non = \"tracepoint:syscalls:sys_enter_setpriority\"\nshow = { calls = \"count()\" }\n";

/// By name, which the daemon has to look up.
const POLICY: &str = r#"
[tenants.a]
users = ["tenant"]
scope = "user"
probes = ["tracepoint:raw_syscalls:*"]
fields = ["pid", "args.*"]
unsigned = true
limits = { tables = 3, plugins = 4, rows = 40000, interval = "1s", kernel = "100% cpu", churn = 1000, memory = "300MiB", deadline = "5s", cpu = "100% cpu", series = 100, output = "1MiB", disk = "10MiB" }
"#;

/// The group that systemd makes for the service.
const GROUP: &str = "/sys/fs/cgroup/system.slice/weir.service";
/// What changes the units for one test.
const DROP_IN: &str = "/run/systemd/system/weir.service.d";

/// The units as an administrator begins with them: the socket is enabled, and nobody has connected.
struct Units(tempfile::TempDir);

impl Units {
    /// None in every other machine, whose services these tests do not touch.
    fn enable() -> Option<Self> {
        if !emulated() || !Path::new("/run/systemd/system").exists() {
            not_run("units under systemd", "they take a virtual machine of their own");
            return None;
        }
        // Clients, who are other users, read what is in it.
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::create_dir_all("/etc/weir").expect("this is root");
        fs::write("/etc/weir/weir.toml", CONFIG).expect("this is root");
        fs::write("/etc/weir/policy.toml", POLICY).expect("this is root");
        systemctl(&["daemon-reload"]);
        systemctl(&["enable", "--now", "weir.socket"]);
        Some(Self(folder))
    }

    fn weir(&self, uid: u32, arguments: &[&str]) -> Output {
        self.command(uid, arguments).output().expect("it runs")
    }

    fn command(&self, uid: u32, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.0.path()).uid(uid).gid(uid);
        if uid == 0 {
            // Who may trace would do so without the daemon.
            command.env("WEIR_SOCKET", "/run/weir/weir.sock");
        }
        command
    }

    /// The daemon's status, as the administrator sees it.
    fn status(&self) -> Value {
        let output = self.weir(0, &["status", "--format", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("it is JSON")
    }

    fn wait_for_status(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || Some(self.status()).filter(&holds))
    }

    /// What a client of the daemon's is told of what is done while it watches.
    fn watch(&self, uid: u32, arguments: &[&str], work: impl FnOnce()) -> (u64, String) {
        let mut command = self.command(uid, &["watch", "--format", "json"]);
        let client = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let client = client.expect("it starts");
        let watches = |status: &Value| status.to_string().contains("\"job\":\"client.");
        self.wait_for_status("its table is attached", watches);
        work();
        signal(client.id(), Signal::INT);
        let output = client.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        let end: Value = serde_json::from_str(text.lines().last().expect("there are lines")).expect("JSON");
        (end["events"].as_u64().expect("the last line has all events"), text)
    }

    /// Starts a job of the tenant's, once the service is active. Its sandbox.
    fn start_job(&self) -> u32 {
        let top = weir_tests::plugin("top").expect("it is packed with the tests");
        let table = format!(
            "[tables.t]\non = \"tracepoint:raw_syscalls:sys_enter\"\nwhere = \"args.id >= {NOWHERE}\"\nby = {{ pid = \"pid\" }}\n\
             show = {{ calls = \"count()\" }}\n[plugins.top]\ncomponent = \"top.wasm\"\nlimits = {{ deadline = \"5s\" }}\n"
        );
        fs::write(self.0.path().join("tables.toml"), table).expect("it is written");
        let top = top.to_str().expect("a plain path");
        let output = self.weir(TENANT, &["start", top, "-c", "tables.toml", "--name", "job"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        wait_until_active();
        self.wait_until_it_runs()
    }

    /// Waits for the job, and its plugin. Its sandbox.
    fn wait_until_it_runs(&self) -> u32 {
        let called = |status: &Value| {
            job(status, "a", "job").is_some_and(|job| {
                job["plugins"][0]["state"] == "running"
                    && account(job, "plugin", "top").is_some_and(|top| top["calls"].as_u64() >= Some(1))
            })
        };
        let status = self.wait_for_status("its plugin is called", called);
        tenant(&status)["sandbox"].as_u64().expect("it has one") as u32
    }

    /// Makes calls as the tenant, and as somebody else, and waits until the former are counted.
    fn make_calls(&self, number: u64) {
        let events = |status: &Value| {
            let account = job(status, "a", "job").and_then(|job| account(job, "table", "t"));
            account.expect("the job's table")["events"].as_u64().expect("a number")
        };
        let expected = events(&self.status()) + number;
        calls_as(TENANT, number);
        calls_as(STRANGER, 70);
        let status = self.wait_for_status("events are counted", |status| events(status) >= expected);
        assert_eq!(events(&status), expected, "{status:#}");
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        // Not all of it is there, and a test that has failed is to say why itself.
        fs::remove_dir_all(DROP_IN).unwrap_or_default();
        for arguments in
            [&["daemon-reload"][..], &["disable", "weir.socket"], &["stop", "weir.socket", "weir.service"]]
        {
            drop(Command::new("systemctl").args(arguments).output());
        }
        fs::remove_dir_all("/var/lib/weir").unwrap_or_default();
    }
}

/// What it prints. It has to end well.
#[track_caller]
fn systemctl(arguments: &[&str]) -> String {
    let output = Command::new("systemctl").arg("--quiet").args(arguments).output().expect("systemd is here");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}: {error}", output.status);
    String::from_utf8(output.stdout).expect("it is UTF-8").trim().to_owned()
}

/// A property of the service.
fn property(name: &str) -> String {
    systemctl(&["show", "--property", name, "--value", "weir.service"])
}

fn main_process() -> u32 {
    property("MainPID").parse().expect("a number")
}

fn states() -> [String; 2] {
    ["weir.socket", "weir.service"]
        .map(|unit| systemctl(&["show", "--property", "ActiveState", "--value", unit]))
}

/// Waits until the daemon has told systemd that it is ready, for which its type is `notify`.
fn wait_until_active() {
    wait_for("the service is active", || (states() == ["active", "active"]).then_some(()));
    assert_eq!([property("Type"), property("SubState")], ["notify", "running"]);
}

fn wait_for<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(start.elapsed() < patience(), "{what}: not in {:?}: {:?}", patience(), states());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn tenant(status: &Value) -> &Value {
    let tenants = status["tenants"].as_array().expect("tenants");
    tenants.iter().find(|tenant| tenant["tenant"] == "a").expect("it is there")
}

/// The control groups in that of the service, if there is one.
fn groups() -> Vec<PathBuf> {
    let entries = fs::read_dir(GROUP).into_iter().flatten().map(|entry| entry.expect("it is there").path());
    entries.filter(|path| path.is_dir()).collect()
}

/// Processes of the users that sandboxes are.
fn sandboxes() -> Vec<u32> {
    let numbers = fs::read_dir("/proc").expect("it is mounted").filter_map(|entry| {
        let path = entry.expect("it is mounted").path();
        // It may have ended.
        let status = fs::read_to_string(path.join("status")).ok()?;
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?;
        (61184..=65519).contains(&uid.parse::<u32>().ok()?).then_some(path)
    });
    numbers.map(|path| path.file_name()?.to_str()?.parse().ok()).map(|pid| pid.expect("a number")).collect()
}

/// Stops the service, and looks for what could be left of it.
fn stop_and_find_nothing() {
    let pid = main_process();
    let spawner = children(pid)[0];
    let held = Held::by(pid);
    let processes = [pid, spawner].into_iter().chain(sandboxes()).map(Watched::new).collect::<Vec<_>>();
    assert!(processes.len() > 2, "it has a sandbox");
    assert!(!held.programs.is_empty() && !held.links.is_empty(), "its tables are attached");
    systemctl(&["stop", "weir.service"]);
    // Its socket would start it again.
    assert_eq!(states(), ["active", "inactive"]);
    assert_eq!(property("Result"), "success");
    processes.iter().for_each(Watched::assert_ends);
    assert!(sandboxes().is_empty(), "{:?} are left", sandboxes());
    assert!(!Path::new(GROUP).exists(), "{GROUP} is left, with {:?}", groups());
    held.assert_gone();
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let Some(_units) = Units::enable() else { return };
    let output = Command::new("systemd-analyze").args(["verify", "weir.service", "weir.socket"]).output();
    let output = output.expect("systemd is here");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
}

#[test]
fn a_user_who_connects_starts_the_service_which_has_no_more_rights_than_it_needs() {
    let Some(units) = Units::enable() else { return };
    assert_eq!(states(), ["active", "inactive"], "nobody has connected");
    let output = units.weir(TENANT, &["status"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until_active();

    let pid = main_process();
    // DAC_READ_SEARCH, SYS_PTRACE, SYS_RESOURCE, SYSLOG, PERFMON, BPF, CHECKPOINT_RESTORE.
    let own = [2, 19, 24, 34, 38, 39, 40].iter().fold(0u64, |bits, number| bits | 1 << number);
    for thread in fs::read_dir(format!("/proc/{pid}/task")).expect("it runs") {
        let thread = thread.expect("it runs").path();
        for (set, bits) in [("CapEff", own), ("CapPrm", own), ("CapBnd", 0), ("CapInh", 0), ("CapAmb", 0)] {
            assert_eq!(status_line(&thread, set), format!("{bits:016x}"), "{set} of {}", thread.display());
        }
        // That there are filters of system calls is the units' doing.
        assert_eq!([status_line(&thread, "NoNewPrivs"), status_line(&thread, "Seccomp")], ["1", "2"]);
    }
    for namespace in ["mnt", "net", "uts"] {
        let of = |pid| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).expect("it runs");
        assert_ne!(of(pid), of(1), "it has a namespace of its own");
    }
    assert_eq!(property("WatchdogUSec"), "30s");
    let state = fs::metadata("/var/lib/weir").expect("systemd has made it").permissions();
    assert_eq!(state.mode() & 0o777, 0o700);
}

/// Each in its own way, and where stacks are asked for with the names of functions.
#[test]
fn probes_attach_in_spite_of_the_hardening() {
    let Some(units) = Units::enable() else { return };
    let pid = std::process::id().to_string();
    for probe in ["tracepoint:syscalls:sys_enter_lseek", "kprobe:__x64_sys_lseek", "fentry:__x64_sys_lseek"] {
        let (events, text) = units.watch(0, &[probe, "--by", "comm", "-p", &pid], || {
            (0..100).for_each(|offset| seek(offset, 0));
        });
        assert_eq!(events, 100, "{probe}: {text}");
    }
    // Those of a process are looked up in another one, which may be late.
    wait_for("functions have names", || {
        let arguments = ["kprobe:__x64_sys_lseek", "--by", "kstack,ustack", "-p", &pid];
        let (events, text) = units.watch(0, &arguments, || seek(0, 0));
        assert_eq!(events, 1, "{text}");
        assert!(text.contains("do_syscall_64"), "{text}");
        text.contains("syscall\"").then_some(())
    });
}

#[test]
fn tenants_are_served_bounded_and_told_of_another_policy_until_the_service_is_stopped() {
    let Some(units) = Units::enable() else { return };
    let filter = format!("args.id >= {NOWHERE} && pid == {}", std::process::id());
    let watch = |by| ["t:raw_syscalls:sys_enter", "--by", by, "--where", &filter];
    let (events, text) = units.watch(TENANT, &watch("pid"), || {
        calls_as(TENANT, 3_000);
        calls_as(STRANGER, 70);
    });
    assert_eq!(events, 3_000, "{text}");
    let sandbox = units.start_job();
    units.make_calls(1_000);

    let (status, pid) = (units.status(), main_process());
    let used = &status["control_groups"];
    assert_eq!(*used, serde_json::json!({ "controllers": ["memory", "pids"], "lacking": null }));
    let group = PathBuf::from(tenant(&status)["control_group"].as_str().expect("it has one"));
    assert_eq!(group.parent(), Some(Path::new(GROUP)));
    assert_eq!(group_of(sandbox), group);
    assert_eq!(group_of(pid), Path::new(GROUP).join(format!("weir.{pid}.daemon")));
    let value = |file| fs::read_to_string(group.join(file)).expect("the kernel has it").trim().to_owned();
    // As in `groups.rs`.
    assert_eq!(value("memory.max"), ((300 + 512 + 1024 + 64) << 20).to_string());
    assert_eq!([value("memory.oom.group"), value("pids.max")], ["1", "16"]);
    systemctl(&["status", "weir.service"]);

    let more = [&watch("tid")[..], &["--duration", "1s"]].concat();
    let more = [&["watch"], &more[..]].concat();
    let output = units.weir(TENANT, &more);
    assert_eq!(output.status.code(), Some(77), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write("/etc/weir/policy.toml", POLICY.replace("\"pid\"", "\"pid\", \"tid\"")).expect("this is root");
    systemctl(&["reload", "weir.service"]);
    wait_for("the policy is another one", || units.weir(TENANT, &more).status.success().then_some(()));
    units.make_calls(500);
    assert_eq!((states(), main_process()), (["active", "active"].map(String::from), pid));
    let status = units.status();
    let job = job(&status, "a", "job").expect("it goes on");
    assert_eq!(account(job, "table", "t").expect("its table")["events"].as_u64(), Some(1_500), "{job:#}");
    assert_eq!(job["plugins"][0]["fault"], Value::Null, "{job:#}");
    stop_and_find_nothing();
}

#[test]
fn a_daemon_that_hangs_is_killed_and_the_next_one_goes_on() {
    let Some(units) = Units::enable() else { return };
    // Sooner than in the unit, and with a note of why it ended.
    fs::create_dir_all(DROP_IN).expect("this is root");
    let drop_in = "[Service]\nWatchdogSec=20s\n\
                   ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT > /var/lib/weir/ended'\n";
    fs::write(Path::new(DROP_IN).join("test.conf"), drop_in).expect("this is root");
    systemctl(&["daemon-reload"]);
    let sandbox = units.start_job();
    units.make_calls(300);
    wait_for("it is kept", || {
        fs::exists("/var/lib/weir/jobs/a.job/.job").expect("this is root").then_some(())
    });

    let (pid, before) = (main_process(), groups());
    let processes = [pid, children(pid)[0], sandbox].map(Watched::new);
    let held = Held::by(pid);
    assert!(!held.programs.is_empty() && !held.links.is_empty(), "its tables are attached");
    signal(pid, Signal::STOP);
    processes.iter().for_each(Watched::assert_ends);
    let next =
        wait_for("another is started", || Some(main_process()).filter(|next| ![0, pid].contains(next)));
    wait_until_active();
    assert_eq!(fs::read_to_string("/var/lib/weir/ended").expect("it is noted").trim(), "watchdog");
    assert_eq!(property("NRestarts"), "1");

    let sandbox = units.wait_until_it_runs();
    assert_eq!(sandboxes(), [sandbox]);
    let after = groups();
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(after.iter().all(|group| !before.contains(group)), "{before:?} {after:?}");
    assert_eq!(group_of(next), Path::new(GROUP).join(format!("weir.{next}.daemon")));
    held.assert_gone();
    let status = units.status();
    let gap = &job(&status, "a", "job").expect("it goes on")["not_covered"];
    let (from, to) = (gap[0].as_str().expect("a time"), gap[1].as_str().expect("a time"));
    assert!(from < to, "{gap}");
    units.make_calls(100);
    assert_eq!(main_process(), next, "it is looked after, too");
    stop_and_find_nothing();
}
