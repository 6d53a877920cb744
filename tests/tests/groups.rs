//! The daemon's control groups, on kernels whose control groups of version 2 have the controllers: in whose group each
//! process is and how that is bounded, what becomes of a tenant that takes too much memory, and that nothing is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use weir_tests::daemon::{Daemon, children, group_of, job, patience, signal};
use weir_tests::not_run;

const A: u32 = 64_021;
const B: u32 = 64_022;

fn policy() -> String {
    let tenant = |name: &str, uid: u32| {
        format!(
            "[tenants.{name}]\nusers = [\"{uid}\"]\nscope = \"user\"\nprobes = [\"tracepoint:raw_syscalls:*\"]\n\
             fields = [\"comm\"]\nunsigned = true\nlimits = {{ tables = 4, plugins = 4, rows = 4000, interval = \"1s\", \
             kernel = \"100% cpu\", churn = 1000, memory = \"300MiB\", deadline = \"5s\", cpu = \"100% cpu\", \
             series = 100, output = \"1MiB\", disk = \"10MiB\" }}\n"
        )
    };
    tenant("a", A) + &tenant("b", B)
}

const CONFIG: &str = r#"
[tables.t]
on = "tracepoint:raw_syscalls:sys_enter"
by = { comm = "comm" }
show = { calls = "count()" }
keys = 100
[plugins.top]
component = "top.wasm"
limits = { memory = "16MiB", deadline = "5s" }
[plugins.memory_bomb]
component = "memory_bomb.wasm"
limits = { memory = "96MiB", deadline = "5s" }
"#;

/// A group for a daemon to be started in, as a service manager would make one.
struct Own(PathBuf);

impl Own {
    /// None where groups have no controllers.
    fn make() -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        if !["memory", "pids"].iter().all(|wanted| controllers.split_whitespace().any(|has| has == *wanted)) {
            not_run("control groups", "this machine's of version 2 lack the controllers for memory and pids");
            return None;
        }
        fs::write(root.join("cgroup.subtree_control"), "+memory +pids")
            .expect("the root of all groups is root's");
        let own = root.join(format!("weir-tests-{}", std::process::id()));
        fs::create_dir(&own).expect("the root of all groups is root's");
        // As systemd marks what it does not look after. A kernel that keeps no such marks runs no such systemd.
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&own, "user.delegate", b"1", flags).unwrap_or_default();
        Some(Self(own))
    }

    /// The groups in it.
    fn groups(&self) -> Vec<PathBuf> {
        let entries =
            fs::read_dir(&self.0).expect("it is there").map(|entry| entry.expect("it is there").path());
        entries.filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // After the daemon, which a test that failed has killed.
        let start = Instant::now();
        while self.0.exists() && start.elapsed() < Duration::from_secs(10) {
            self.groups().iter().for_each(|group| fs::remove_dir(group).unwrap_or_default());
            fs::remove_dir(&self.0).unwrap_or_default();
        }
    }
}

/// A plugin that was built, or none where there are no compilers.
fn plugin(name: &str) -> Option<PathBuf> {
    let path = weir_tests::plugin(name);
    if path.is_none() {
        not_run(&format!("a control group's plugin {name}"), "no plugins were built for this kernel");
    }
    path
}

fn tenant<'a>(status: &'a Value, name: &str) -> &'a Value {
    let tenants = status["tenants"].as_array().expect("tenants");
    tenants.iter().find(|tenant| tenant["tenant"] == name).expect("it is there")
}

fn sandbox(status: &Value, name: &str) -> u32 {
    tenant(status, name)["sandbox"].as_u64().expect("it has one") as u32
}

fn group(status: &Value, name: &str) -> PathBuf {
    tenant(status, name)["control_group"].as_str().expect("it has one").into()
}

fn value(group: &Path, file: &str) -> String {
    fs::read_to_string(group.join(file)).expect("the kernel has it").trim().to_owned()
}

#[test]
fn each_tenant_has_a_group_with_bounds_that_goes_with_the_daemon() {
    let Some(top) = plugin("top") else { return };
    let Some(own) = Own::make() else { return };
    let daemon = Daemon::start_in(&own.0, None, &policy());
    let config = daemon.write("tables.toml", CONFIG);
    let used = &daemon.status(0)["control_groups"];
    assert_eq!(*used, serde_json::json!({ "controllers": ["memory", "pids"], "lacking": null }));
    let leaf = own.0.join(format!("weir.{}.daemon", daemon.pid()));
    assert_eq!([daemon.pid(), daemon.spawner()].map(group_of), [leaf.clone(), leaf.clone()]);

    // Each compiler, from when it says its name, is where its tenant is.
    let spawner = daemon.spawner();
    let (started, seen) = (AtomicBool::new(false), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !started.load(Ordering::Relaxed) {
                for pid in children(spawner) {
                    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
                    if name.trim() == "weir-compiler" && !groups.is_empty() {
                        seen.lock().expect("no panic").push(groups);
                    }
                }
            }
        });
        daemon.start_job(A, &top, &config, "job");
        started.store(true, Ordering::Relaxed);
    });
    daemon.start_job(B, &top, &config, "job");
    let status = daemon.status(0);
    let groups = ["a", "b"].map(|name| group(&status, name));
    assert_ne!(groups[0], groups[1]);
    let seen = seen.into_inner().expect("no panic");
    let expected =
        groups[0].strip_prefix("/sys/fs/cgroup").expect("it is there").to_str().expect("a plain path");
    assert!(
        !seen.is_empty() && seen.iter().all(|found| found.trim() == format!("0::/{expected}")),
        "{seen:?}"
    );
    for (group, name) in groups.iter().zip(["a", "b"]) {
        assert_eq!(group.parent(), Some(own.0.as_path()));
        assert_eq!(group_of(sandbox(&status, name)), *group);
        // The tenant's 300 MiB, the sandbox's own 512, of code twice 512, and 64 for the kernel.
        assert_eq!(value(group, "memory.max"), ((300 + 512 + 1024 + 64) << 20).to_string());
        assert_eq!((value(group, "memory.oom.group"), value(group, "pids.max")), ("1".into(), "16".into()));
        if group.join("memory.swap.max").exists() {
            assert_eq!(value(group, "memory.swap.max"), "0");
        }
    }
    assert_eq!(own.groups().len(), 3, "{:?}", own.groups());
    daemon.stop();
    assert!(own.groups().is_empty(), "{:?}", own.groups());
    // Its spawner ends when it is gone, and is there until somebody has noticed.
    let start = Instant::now();
    while !value(&own.0, "cgroup.procs").is_empty() {
        assert!(start.elapsed() < patience(), "{} stays", value(&own.0, "cgroup.procs"));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(value(&own.0, "cgroup.subtree_control"), "");
}

#[test]
fn groups_of_a_daemon_that_was_killed_are_swept() {
    let Some(top) = plugin("top") else { return };
    let Some(own) = Own::make() else { return };
    let mut daemon = Daemon::start_in(&own.0, None, &policy());
    let config = daemon.write("tables.toml", CONFIG);
    daemon.start_job(A, &top, &config, "job");
    daemon.wait_for("it is kept", |_| daemon.path("state/jobs/a.job/.job").exists());
    let before = own.groups();
    assert_eq!(before.len(), 2, "{before:?}");
    // One that is stopped does not see that its channel is closed.
    signal(sandbox(&daemon.status(0), "a"), Signal::STOP);
    daemon.kill();
    daemon.start_again();
    daemon.wait_for("the job is there again", |status| {
        job(status, "a", "job").is_some_and(|job| job["plugins"][0]["state"] == "running")
    });
    let after = own.groups();
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(after.iter().all(|group| !before.contains(group)), "{before:?} {after:?}");
    daemon.stop();
    assert!(own.groups().is_empty(), "{:?}", own.groups());
}

/// The bound is lowered here, to what its linear memory alone, which it may have, goes beyond.
#[test]
fn a_tenant_that_takes_too_much_memory_loses_a_turn_and_nobody_else_does() {
    let (Some(top), Some(bomb)) = (plugin("top"), plugin("hostile/memory_bomb")) else { return };
    let Some(own) = Own::make() else { return };
    let daemon = Daemon::start_in(&own.0, None, &policy());
    let config = daemon.write("tables.toml", CONFIG);
    daemon.start_job(A, &bomb, &config, "bad");
    daemon.start_job(A, &top, &config, "good");
    daemon.start_job(B, &top, &config, "good");
    let of = |status: &Value, tenant: &str, name: &str| {
        job(status, tenant, name).expect("the job is there")["plugins"][0].clone()
    };
    // By then its memory has been given back. Started again it is not compiled again.
    let quiet = |status: &Value| of(status, "a", "bad")["state"] == "quarantined";
    let intervals = |status: &Value| status["intervals"].as_u64().expect("a number");
    let ended = intervals(&daemon.wait_for("it had all that it may have", quiet));
    let status = daemon.wait_for("some intervals are over", |status| intervals(status) >= ended + 3);
    assert_eq!(of(&status, "a", "bad")["fault"][0], "memory", "{status:#}");
    assert_eq!(tenant(&status, "a")["replaced"].as_u64(), Some(0), "{status:#}");
    let (group, others) = (group(&status, "a"), sandbox(&status, "b"));
    let current: u64 = value(&group, "memory.current").parse().expect("a number");
    fs::write(group.join("memory.max"), (current + (24 << 20)).to_string()).expect("it is root's");
    daemon.start_job(A, &bomb, &config, "bad");
    let told = |status: &Value| {
        let fault = of(status, "a", "bad")["fault"].clone();
        fault[1].as_str().is_some_and(|message| message.contains("control group"))
    };
    let status = daemon.wait_for("it was ended", told);
    let bad = of(&status, "a", "bad");
    assert_eq!(bad["fault"][0], "memory", "{bad:#}");
    assert!(tenant(&status, "a")["replaced"].as_u64() >= Some(1), "{status:#}");
    // What it used, as far as is known.
    assert!(bad["account"]["call_ns"]["max"].as_u64() >= Some(5_000_000_000), "{bad:#}");
    assert_eq!((sandbox(&status, "b"), tenant(&status, "b")["replaced"].as_u64()), (others, Some(0)));
    let start = Instant::now();
    for name in ["a", "b"] {
        let calls = |status: &Value| of(status, name, "good")["account"]["calls"].as_u64().expect("a number");
        let before = calls(&status);
        let status = daemon.wait_for("it is called again", |status| calls(status) >= before + 2);
        let good = of(&status, name, "good");
        assert_eq!((good["state"].as_str(), &good["fault"]), (Some("running"), &Value::Null), "{good:#}");
        assert!(start.elapsed() < patience());
    }
    daemon.stop();
    assert!(own.groups().is_empty(), "{:?}", own.groups());
}
