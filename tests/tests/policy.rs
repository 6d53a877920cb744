//! What a tenant with a scope sees of what others do on the live kernel.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::process::{DumpableBehavior, Gid, Uid, set_dumpable_behavior};
use weir::kernel::Tables;
use weir::policy::{Peer, Policy};
use weir::table::TableSpec;
use weir_tests::events::{NOWHERE, call};
use weir_tests::look::{numbers, texts};
use weir_tests::traced::{program, weir_traced_end, weir_traced_start};
use weir_tests::{not_run, tables};

const A: u32 = 64_001;
const B: u32 = 64_002;
const CALLS: u64 = 1000;

fn peer(cgroup: Option<String>) -> Peer {
    Peer { pid: std::process::id(), uid: A, gids: vec![A], cgroup }
}

/// The tables of a configuration, as the peer may attach them.
fn scoped(config: &str, scope: &str, peer: &Peer) -> Vec<Arc<TableSpec>> {
    let policy = format!(
        r#"
        [tenants.a]
        users = ["{A}"]
        scope = "{scope}"
        probes = ["*"]
        fields = ["*"]
        limits = {{ tables = 10, rows = 100000, interval = "100ms", kernel = "100% cpu", churn = 100 }}
        "#
    );
    let policy = Policy::parse(&policy, Path::new("policy.toml")).expect("a policy");
    let tenant = policy.tenant(peer).expect("a tenant");
    let tables = tables(config);
    let request = weir::policy::Request {
        tables: &tables,
        interval: std::time::Duration::from_secs(1),
        scope: None,
        plugins: Vec::new(),
        cpu: 0,
        disk: 0,
    };
    assert_eq!(tenant.grant.check(&request, &weir::policy::Usage::default()), []);
    tables.iter().map(|table| Arc::new(tenant.grant.scoped(table, peer).expect("it can be scoped"))).collect()
}

/// Runs `work` on a thread of its own that is so much of these users: its real, effective and saved one. Having changed them
/// the process is as one that was executed by them.
fn run_as(real: u32, effective: u32, saved: u32, work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let [real, effective, saved] = [real, effective, saved].map(Uid::from_raw);
            let group = Gid::from_raw(A);
            rustix::thread::set_thread_res_gid(group, group, group).expect("root can be anybody");
            rustix::thread::set_thread_res_uid(real, effective, saved).expect("root can be anybody");
            set_dumpable_behavior(DumpableBehavior::Dumpable).expect("it is its own");
            work();
        });
    });
}

#[test]
fn a_table_of_a_user_counts_all_that_it_does_and_nothing_of_others() {
    let program = program();
    let ours = format!("args.id >= {NOWHERE} && args.id < {}", NOWHERE + 10);
    let mut config = String::new();
    for (name, on) in [
        ("tracepoint", "tracepoint:raw_syscalls:sys_enter"),
        ("raw", "rawtracepoint:sys_enter"),
        ("typed", "tp_btf:sys_enter"),
    ] {
        config += &format!(
            "[tables.{name}]\non = \"{on}\"\nwhere = \"{ours}\"\nby = {{ uid = \"uid\" }}\nshow = {{ n = \"count()\" }}\n"
        );
    }
    config += &format!(
        "[tables.uprobe]\non = \"uprobe:{program}:weir_traced_start\"\nby = {{ uid = \"uid\" }}\nshow = {{ n = \"count()\" }}\n\
         [tables.spans]\nfrom = \"uprobe:{program}:weir_traced_start\"\nto = \"uprobe:{program}:weir_traced_end\"\n\
         pair = \"arg0\"\nby = {{ key = \"start.arg1\" }}\nshow = {{ n = \"count()\" }}\n"
    );
    let mut tables = Tables::attach(&scoped(&config, "user", &peer(None)), &[]).expect("they are attached");
    let work = |value: u64| {
        move || {
            for key in 0..CALLS {
                call(key % 10);
                weir_traced_start(key, value);
            }
        }
    };
    run_as(A, A, A, work(1));
    // Others, and what runs with the privileges of others: their ends take none of A's starts away.
    for (real, effective, saved) in [(B, B, B), (0, 0, 0), (A, 0, 0), (A, A, 0), (A, 0, A), (B, A, A)] {
        run_as(real, effective, saved, || {
            work(2)();
            (0..CALLS).for_each(weir_traced_end_of);
        });
    }
    // Nor is what has changed its user, and may hold what is another's.
    run_as(A, A, A, || {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).expect("it is its own");
        work(2)();
        (0..CALLS).for_each(weir_traced_end_of);
    });
    run_as(A, A, A, || (0..CALLS / 2).for_each(weir_traced_end_of));
    let snapshots = tables.close().expect("the interval closes");
    assert!(snapshots.iter().all(|snapshot| snapshot.coverage.missed == 0), "nothing else is in the way");
    for snapshot in &snapshots[..4] {
        assert_eq!(numbers(&snapshot.rows, "uid"), [A.into()], "{}", snapshot.table);
        assert_eq!(numbers(&snapshot.rows, "n"), [CALLS.into()], "{}", snapshot.table);
        assert_eq!(snapshot.coverage.events, CALLS);
    }
    assert_eq!(numbers(&snapshots[4].rows, "key"), [1], "A's own starts");
    assert_eq!(numbers(&snapshots[4].rows, "n"), [i128::from(CALLS / 2)]);
}

fn weir_traced_end_of(key: u64) {
    weir_traced_end(key);
}

/// A budget is of what a tenant's own events cost: others have no way to take a tenant's table away.
#[test]
fn what_others_do_is_not_charged_to_a_table_with_a_scope() {
    let config = format!(
        "[tables.t]\non = \"tp_btf:sys_enter\"\nwhere = \"args.id >= {NOWHERE}\"\nby = {{ uid = \"uid\" }}\n\
         show = {{ n = \"count()\" }}\nbudget = \"0.01% cpu\"\n"
    );
    let mut tables = Tables::attach(&scoped(&config, "user", &peer(None)), &[]).expect("they are attached");
    // A hundredth of a per cent of a second is 0.1 ms, which two thousand runs take.
    let busy = || {
        let (start, mut made) = (std::time::Instant::now(), 0);
        while start.elapsed().as_millis() < 200 || made < 3_000 {
            (0..1000).for_each(|_| call(0));
            made += 1000;
        }
    };
    run_as(B, B, B, busy);
    let snapshots = tables.close().expect("the interval closes");
    let cost = snapshots[0].coverage.kernel.expect("the kernel times programs for a budget");
    assert!(cost.runs >= 2_000 && snapshots[0].coverage.events == 0, "{cost:?}");
    assert!(tables.detached().is_empty());
    run_as(A, A, A, busy);
    drop(tables.close().expect("the interval closes"));
    assert_eq!(tables.detached().len(), 1, "its own are");
}

/// Such as one that is of the group that may read everybody's passwords: whoever executes it is its user in all respects.
#[test]
fn what_has_a_groups_privileges_is_not_seen_by_its_user() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("its own");
    let no_suid = statvfs(folder.path()).expect("it is there").f_flag.contains(StatVfsMountFlags::NOSUID);
    if no_suid {
        return not_run("programs with the set-group-ID bit", "temporary files have none");
    }
    let shell = |name: &str, mode, gid| {
        let path = folder.path().join(name);
        fs::copy("/bin/sh", &path).expect("there is a shell");
        chown(&path, None, Some(B)).expect("root can give it");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("root can");
        let mut shell = Command::new(path);
        shell.arg0("sh").args(["-c", "cd /; cd /; cd /"]).uid(A).gid(gid);
        assert!(shell.status().expect("it runs").success());
    };
    let config = "[tables.changes]\non = \"tracepoint:syscalls:sys_enter_chdir\"\nby = { comm = \"comm\" }\nshow = { n = \"count()\" }\n";
    let mut tables = Tables::attach(&scoped(config, "user", &peer(None)), &[]).expect("they are attached");
    shell("plain", 0o755, A);
    shell("grouped", 0o2755, A);
    // As a service that is given a group which its user is not of.
    shell("of_others", 0o755, B);
    let rows = tables.close().expect("the interval closes").remove(0).rows;
    assert_eq!(texts(&rows, "comm"), [Some("plain".to_owned())]);
    assert_eq!(numbers(&rows, "n"), [3]);
}

/// A control group, which is taken away when dropped.
struct Group(PathBuf);

impl Group {
    fn new(path: PathBuf) -> Self {
        fs::create_dir(&path).expect("a group is made");
        Self(path)
    }

    /// Has a shell in this group change its folder so many times.
    fn change(&self, times: usize) {
        let script = format!("read line; {}", "cd /; ".repeat(times));
        let mut shell =
            Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().expect("there is a shell");
        fs::write(self.0.join("cgroup.procs"), shell.id().to_string()).expect("it is moved");
        shell.stdin.take().expect("a pipe").write_all(b"go\n").expect("it waits for a line");
        assert!(shell.wait().expect("it ends").success());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).expect("nobody is left in it");
    }
}

#[test]
fn a_table_of_a_control_group_counts_what_is_in_it_and_below() {
    let mounts = fs::read_to_string("/proc/mounts").expect("there are mounts");
    let root = mounts.lines().find_map(|line| {
        let mut parts = line.split(' ').skip(1);
        let folder = parts.next()?;
        (parts.next() == Some("cgroup2")).then(|| PathBuf::from(folder))
    });
    let Some(root) = root else { return not_run("scopes of control groups", "no groups of version 2") };
    let name = format!("weir-policy-{}", std::process::id());
    let parent = Group::new(root.join(&name));
    let own = Group::new(parent.0.join("own"));
    let below = Group::new(own.0.join("below"));
    let other = Group::new(parent.0.join("own2"));

    let config =
        "[tables.changes]\non = \"tracepoint:syscalls:sys_enter_chdir\"\nshow = { n = \"count()\" }\n";
    let peer = peer(Some(format!("/{name}/own")));
    let mut tables = Tables::attach(&scoped(config, "cgroup", &peer), &[]).expect("they are attached");
    parent.change(1);
    own.change(10);
    other.change(100);
    below.change(1000);
    std::env::set_current_dir("/").expect("there is a root");
    let snapshots = tables.close().expect("the interval closes");
    assert_eq!(numbers(&snapshots[0].rows, "n"), [1010]);
    drop(tables);
    drop((below, own, other, parent));
}
