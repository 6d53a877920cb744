//! What the process is left with, by the kernel's account.

use std::time::{Duration, Instant};

use weir::sandbox::Sandbox;

use crate::support::{PATIENCE, snapshot, turn, well_behaved};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("the_process_has_no_privileges", the_process_has_no_privileges),
    ("the_process_has_its_own_descriptors_only", the_process_has_its_own_descriptors_only),
    ("two_sandboxes_are_two_users", two_sandboxes_are_two_users),
    ("the_process_ends_with_its_channel", the_process_ends_with_its_channel),
];

fn file(pid: u32, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap()
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// As whom a process runs.
pub(crate) fn user(pid: u32) -> String {
    field(&file(pid, "status"), "Uid")
}

fn the_process_has_no_privileges() {
    assert_none(Sandbox::start(vec![well_behaved()]).unwrap().pid());
}

/// That a process of Weir's has no privileges.
pub(crate) fn assert_none(pid: u32) {
    let status = file(pid, "status");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(&status, set), "0".repeat(16), "{set}");
    }
    assert_eq!(field(&status, "NoNewPrivs"), "1");
    if root() {
        assert_eq!(field(&status, "CapBnd"), "0".repeat(16));
        let uid = field(&status, "Uid");
        let uids: Vec<u32> = uid.split(' ').map(|uid| uid.parse().unwrap()).collect();
        assert!((61184..=65519).contains(&uids[0]) && uids.iter().all(|uid| *uid == uids[0]), "{uid}");
        assert_eq!(field(&status, "Gid"), uid);
        assert_eq!(field(&status, "Groups"), "");
    }
    // Every task, not just the first.
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert_eq!(field(&status, "CapEff"), "0".repeat(16));
        assert_eq!(field(&status, "NoNewPrivs"), "1");
        assert_eq!(field(&status, "Seccomp"), "2", "no filter of system calls");
    }
    // Its session is its own, which is the sixth field after the name.
    let stat = file(pid, "stat");
    let after_name = stat.rsplit_once(") ").unwrap().1;
    assert_eq!(after_name.split(' ').nth(3).unwrap(), pid.to_string());
    let limits = file(pid, "limits");
    for limit in ["Max core file size", "Max file size", "Max processes"] {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit)).unwrap();
        assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"], "{limit}");
    }
    // A process that is not dumpable belongs to root in /proc, whoever it runs as.
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid(), 0);
}

fn the_process_has_its_own_descriptors_only() {
    // What a careless host could leak.
    let (leak, _other) = std::io::pipe().unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let mut sandbox = Sandbox::start(vec![well_behaved()]).unwrap();
    // The compiled code is closed once it is loaded, which is before the next order is obeyed.
    turn(&mut sandbox, 1, &snapshot(10));
    assert_no_descriptors(sandbox.pid());
}

/// That a process of Weir's has a channel, and no other descriptor that leads anywhere.
pub(crate) fn assert_no_descriptors(pid: u32) {
    let fds = format!("/proc/{pid}/fd");
    if !root() {
        // The process is not dumpable: even the user that started it does not see into it.
        assert_eq!(std::fs::read_dir(fds).unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
        return;
    }
    let open = || {
        let links = std::fs::read_dir(&fds).unwrap().map(|entry| std::fs::read_link(entry.unwrap().path()));
        // One that was closed meanwhile has none.
        let mut open: Vec<String> = links.flatten().map(|link| link.to_string_lossy().into_owned()).collect();
        open.iter_mut().for_each(|name| name.truncate(name.find([':', ' ']).unwrap_or(name.len())));
        open.sort();
        open.dedup();
        open
    };
    // /dev/null for the standard streams. What is handed over may just be arriving.
    let until = Instant::now() + PATIENCE;
    while open() != ["/dev/null", "socket"] {
        assert!(Instant::now() < until, "{:?}", open());
        std::thread::yield_now();
    }
    assert_eq!(file(pid, "environ"), "");
}

fn two_sandboxes_are_two_users() {
    let sandboxes = [0, 1].map(|_| Sandbox::start(vec![well_behaved()]).unwrap());
    let [first, second] = sandboxes.each_ref().map(|sandbox| user(sandbox.pid()));
    assert_eq!(first == second, !root(), "{first} {second}");
}

fn the_process_ends_with_its_channel() {
    let sandbox = Sandbox::start(vec![well_behaved()]).unwrap();
    let pid = rustix::process::Pid::from_raw(sandbox.pid() as i32).unwrap();
    let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    // As if the host had died: nothing kills the process or waits for it, its channel is just closed.
    let channel = std::os::fd::AsFd::as_fd(&sandbox);
    rustix::net::shutdown(channel, rustix::net::Shutdown::Both).unwrap();
    let began = Instant::now();
    let mut fds = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec::try_from(Duration::from_secs(10)).unwrap();
    assert_eq!(rustix::event::poll(&mut fds, Some(&timeout)).unwrap(), 1, "it lives on");
    assert!(began.elapsed() < Duration::from_secs(10));
}
