//! A daemon, and its clients.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use crate::command::binary;

/// Longer than anything here takes.
#[must_use]
pub fn patience() -> Duration {
    Duration::from_secs(if crate::emulated() { 600 } else { 60 })
}

/// A daemon with files of its own. Ends with whoever holds it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
    /// The control group in which it is started, if that is not this process's own.
    group: Option<PathBuf>,
}

impl Daemon {
    /// Starts one, with this configuration of its own, if any, and this policy; once it answers.
    #[must_use]
    pub fn start(config: Option<&str>, policy: &str) -> Self {
        Self::start_there(None, config, policy)
    }

    /// The same, in a control group.
    #[must_use]
    pub fn start_in(group: &Path, config: Option<&str>, policy: &str) -> Self {
        Self::start_there(Some(group.to_owned()), config, policy)
    }

    fn start_there(group: Option<PathBuf>, config: Option<&str>, policy: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Other users have to reach the socket, and the command.
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), all.clone()).expect("the folder is ours");
        // The command is large, and where it is others may not be able to go.
        if fs::hard_link(binary(), folder.path().join("weir")).is_err() {
            fs::copy(binary(), folder.path().join("weir")).expect("the command can be copied");
        }
        fs::set_permissions(folder.path().join("weir"), all).expect("the command is ours");
        fs::write(folder.path().join("policy.toml"), policy).expect("it is written");
        if let Some(config) = config {
            fs::write(folder.path().join("weir.toml"), config).expect("it is written");
        }
        let child = serve(folder.path(), group.as_deref());
        let mut daemon = Self { child, folder, group };
        daemon.wait_until_it_answers();
        daemon
    }

    /// Ends it as nothing should, and starts another in its place.
    pub fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Ends it as nothing should.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(start.elapsed() < patience(), "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts another in the place of one that has ended.
    pub fn start_again(&mut self) {
        self.execute();
        self.wait_until_it_answers();
    }

    /// The same, and does not wait until it answers.
    pub fn execute(&mut self) {
        self.child = serve(self.folder.path(), self.group.as_deref());
    }

    fn wait_until_it_answers(&mut self) {
        let start = Instant::now();
        while !self.weir(0, &["status"]).status.success() {
            assert!(start.elapsed() < patience(), "the daemon does not answer: {}", self.log());
            assert!(self.child.try_wait().expect("it is ours").is_none(), "it ended: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the daemon's folder, which everybody can read.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("it is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
        path.to_str().expect("a plain path").to_owned()
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process that starts others for it.
    #[must_use]
    pub fn spawner(&self) -> u32 {
        let own = children(self.pid());
        let [spawner] = own[..] else { panic!("a daemon has one child, and here are {own:?}") };
        spawner
    }

    /// What it wrote to standard error.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The lines of its audit log.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("audit")).expect("there is an audit log");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The command as a user's, asking this daemon.
    #[must_use]
    pub fn command(&self, uid: u32, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("weir"));
        command.args(arguments).env("WEIR_SOCKET", self.path("socket")).current_dir("/").uid(uid).gid(uid);
        command
    }

    #[must_use]
    pub fn weir(&self, uid: u32, arguments: &[&str]) -> Output {
        self.command(uid, arguments).output().expect("the command runs")
    }

    /// Starts a user's job, with one plugin.
    #[track_caller]
    pub fn start_job(&self, uid: u32, plugin: &Path, config: &str, job: &str) {
        let plugin = plugin.to_str().expect("a plain path");
        let output = self.weir(uid, &["start", plugin, "-c", config, "--name", job]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What the daemon says of itself to a user.
    #[must_use]
    pub fn status(&self, uid: u32) -> Value {
        let output = self.weir(uid, &["status", "--format", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("it is JSON")
    }

    /// Waits until something holds of the daemon's status, as the administrator sees it.
    pub fn wait_for(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let status = self.status(0);
            if holds(&status) {
                return status;
            }
            assert!(start.elapsed() < patience(), "{what}: {status:#}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Has it read its files again.
    pub fn reload(&self) {
        signal(self.pid(), rustix::process::Signal::HUP);
    }

    /// Ends it as it should be.
    pub fn stop(mut self) {
        signal(self.pid(), rustix::process::Signal::TERM);
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}: {}", self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The children of a process, if it runs, and with them those that have ended and were not waited for.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let children: Vec<String> = children.collect();
    children
        .iter()
        .flat_map(|children| children.split_whitespace())
        .map(|pid| pid.parse().expect("a number"))
        .collect()
}

/// The folder of a process's control group of version 2.
#[must_use]
pub fn group_of(pid: u32) -> PathBuf {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/")).expect("version 2");
    Path::new("/sys/fs/cgroup").join(path)
}

/// A running process, to be waited for by whoever is not its parent.
#[derive(Debug)]
pub struct Watched {
    pid: u32,
    pidfd: OwnedFd,
}

impl Watched {
    #[must_use]
    pub fn new(pid: u32) -> Self {
        let process = Pid::from_raw(pid as i32).expect("a process");
        Self { pid, pidfd: pidfd_open(process, PidfdFlags::empty()).expect("it runs") }
    }

    /// None if it has ended by now.
    #[must_use]
    pub fn if_it_runs(pid: u32) -> Option<Self> {
        let pidfd = pidfd_open(Pid::from_raw(pid as i32)?, PidfdFlags::empty()).ok()?;
        Some(Self { pid, pidfd })
    }

    pub fn assert_ends(&self) {
        let patience = Timespec::try_from(patience()).expect("a time");
        let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
        assert_eq!(poll(&mut ended, Some(&patience)), Ok(1), "process {} lives on", self.pid);
    }
}

/// A line of `/proc/PID/status`, or of a thread's.
#[must_use]
pub fn status_line(path: &Path, name: &str) -> String {
    let status = fs::read_to_string(path.join("status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
}

/// Sends a signal to a process that a test has started.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = Pid::from_raw(pid as i32).expect("a process");
    // It may have ended.
    rustix::process::kill_process(pid, signal).unwrap_or_default();
}

fn serve(folder: &Path, group: Option<&Path>) -> Child {
    let log = fs::OpenOptions::new().append(true).create(true).open(folder.join("log")).expect("a log");
    let mut command = match group {
        None => Command::new(binary()),
        Some(group) => {
            // One that was killed has left its controllers behind, with which nobody gets into the group itself.
            let script =
                "echo '-memory -pids' > $0/cgroup.subtree_control; echo $$ > $0/cgroup.procs && exec \"$@\"";
            let mut command = Command::new("sh");
            command.args(["-c", script]).arg(group).arg(binary());
            command
        }
    };
    command.arg("serve").arg("--policy").arg(folder.join("policy.toml"));
    if folder.join("weir.toml").exists() {
        command.arg("-c").arg(folder.join("weir.toml"));
    }
    for name in ["socket", "state", "audit"] {
        command.arg(format!("--{name}")).arg(folder.join(name));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the daemon starts")
}

/// A job of a status.
#[must_use]
pub fn job<'a>(status: &'a Value, tenant: &str, job: &str) -> Option<&'a Value> {
    let tenants = status["tenants"].as_array().expect("tenants");
    let tenant = tenants.iter().find(|found| found["tenant"] == tenant)?;
    tenant["jobs"].as_array().expect("jobs").iter().find(|found| found["job"] == job)
}

/// The account of a job's table or plugin.
#[must_use]
pub fn account<'a>(job: &'a Value, kind: &str, name: &str) -> Option<&'a Value> {
    let of = format!("{kind}s");
    let found = job[of.as_str()].as_array().expect("a list").iter().find(|found| found[kind] == name)?;
    Some(&found["account"])
}

/// Starts a command with a descriptor as its number 3.
pub fn with_descriptor(mut command: Command, file: OwnedFd) -> Child {
    use command_fds::{CommandFdExt, FdMapping};
    command.fd_mappings(vec![FdMapping { parent_fd: file, child_fd: 3 }]).expect("one mapping");
    command.spawn().expect("it starts")
}

/// A process that ends with whoever holds it.
#[derive(Debug)]
pub struct Ending(pub Child);

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
