//! Control groups (version 2) of what the daemon starts, below the one in which it was started itself, and nowhere else.
//!
//! ```text
//! OWN                      has no process any more, for only such a group can bound those below it
//!   weir.PID.daemon        the daemon, and its spawner
//!   weir.PID.1.TENANT      a tenant's sandbox, and its compilers
//!   weir.PID.2.symbolizer  the symbolizers of one table
//! ```
//!
//! A process goes into its group by itself, first thing, through a descriptor that it was started with; it reads
//! nothing of a stranger's before it has given up its privileges, which it does not do before (`lockdown.rs`).
//!
//! The processor is not bounded here. A tenant's `cpu` is of its plugins' calls, over ten intervals; a group's would hold up
//! its compilers, and single calls until they are late by the clock.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::limits::{GROUP_MEMORY, GROUP_PROCESSES, GROUP_WALL};
use crate::cgroup;

/// What is bounded, as far as the kernel has it.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// What a group's name begins with, of all daemons.
const PREFIX: &str = "weir.";
const DAEMON: &str = "daemon";

static GROUPS: OnceLock<Groups> = OnceLock::new();

/// Has everything that is started from now on be in groups. Why that cannot be, if so. To be called before the first
/// thread and the first process.
pub fn start_groups() -> Result<&'static Groups, String> {
    let groups = Groups::begin(own()?, std::process::id())?;
    Ok(GROUPS.get_or_init(|| groups))
}

/// A group of its own for what is started, where there are groups: with so much memory for all its processes together.
pub(super) fn make(name: &str, memory: u64) -> io::Result<Option<Group>> {
    GROUPS.get().map(|groups| groups.make(name, memory)).transpose()
}

/// The controllers that this machine has for groups of version 2, and those that it lacks.
pub(crate) fn controllers() -> Result<(Vec<&'static str>, Vec<&'static str>), String> {
    partition(&mount()?)
}

/// The groups of one daemon.
#[derive(Debug)]
pub struct Groups {
    own: PathBuf,
    pid: u32,
    controllers: Vec<&'static str>,
    lacking: Vec<&'static str>,
    /// Those that nobody had enabled before.
    enabled: Vec<&'static str>,
    made: AtomicU32,
}

impl Groups {
    fn begin(own: PathBuf, pid: u32) -> Result<Self, String> {
        let (controllers, lacking) = partition(&own)?;
        if controllers.is_empty() {
            return Err(format!("{} has none of the controllers {}", own.display(), CONTROLLERS.join(", ")));
        }
        // Without privileges, which are to be given up. The root of all groups is not.
        let about = fs::metadata(&own).map_err(|error| error.to_string())?;
        if about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o300 != 0o300 {
            return Err(format!(
                "{} is not this user's to write to: it takes a group of its own",
                own.display()
            ));
        }
        let failed = |doing: &str| {
            let place = format!("{doing} {}", own.display());
            move |error: io::Error| format!("cannot {place}: {error}")
        };
        let processes = read(&own.join("cgroup.procs")).map_err(failed("read"))?;
        let mut processes = processes.lines();
        if !processes.clone().any(|process| process == pid.to_string()) {
            return Err(format!("{} is not the group of this process", own.display()));
        }
        if processes.any(|process| process != pid.to_string()) {
            return Err(format!("{} has other processes, too", own.display()));
        }
        sweep(&own, pid).map_err(failed("remove groups in"))?;
        let mut groups =
            Self { own, pid, controllers, lacking, enabled: Vec::new(), made: AtomicU32::new(0) };
        let leaf = groups.leaf();
        let entered =
            fs::create_dir(&leaf).and_then(|()| write(&leaf.join("cgroup.procs"), &pid.to_string()));
        if let Err(error) = entered.and_then(|()| groups.enable()) {
            groups.end();
            return Err(format!("cannot make groups in {}: {error}", groups.own.display()));
        }
        Ok(groups)
    }

    fn enable(&mut self) -> io::Result<()> {
        let control = self.own.join("cgroup.subtree_control");
        let had = read(&control)?;
        let had: Vec<&str> = had.split_whitespace().collect();
        for controller in &self.controllers {
            if !had.contains(controller) {
                write(&control, &format!("+{controller}"))?;
                self.enabled.push(controller);
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn controllers(&self) -> &[&'static str] {
        &self.controllers
    }

    /// Of those that are used where there are.
    #[must_use]
    pub fn lacking(&self) -> &[&'static str] {
        &self.lacking
    }

    fn leaf(&self) -> PathBuf {
        self.own.join(format!("{PREFIX}{}.{DAEMON}", self.pid))
    }

    fn make(&self, name: &str, memory: u64) -> io::Result<Group> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let folder = self.own.join(format!("{PREFIX}{}.{number}.{name}", self.pid));
        fs::create_dir(&folder)?;
        let group = Group { folder };
        group.bound(memory, &self.controllers)?;
        Ok(group)
    }

    /// Ends what is left in the groups, removes them, and leaves everything as it was.
    pub fn end(&self) {
        let leaf = self.leaf();
        for (pid, group) in all(&self.own).unwrap_or_default() {
            if pid == self.pid && group != leaf {
                drop(remove(&group));
            }
        }
        for controller in &self.enabled {
            drop(write(&self.own.join("cgroup.subtree_control"), &format!("-{controller}")));
        }
        for process in read(&leaf.join("cgroup.procs")).unwrap_or_default().lines() {
            drop(write(&self.own.join("cgroup.procs"), process));
        }
        drop(fs::remove_dir(leaf));
    }
}

/// A group. Removed when it is dropped, which is to be after its processes have ended.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
}

impl Group {
    fn bound(&self, memory: u64, controllers: &[&str]) -> io::Result<()> {
        let set = |file: &str, value: &str| write(&self.folder.join(file), value);
        if controllers.contains(&"memory") {
            set("memory.max", &memory.to_string())?;
            // Of a tenant's processes none is of use without the others.
            set("memory.oom.group", "1")?;
            match set("memory.swap.max", "0") {
                // A kernel that does not account for it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
        if controllers.contains(&"pids") {
            set("pids.max", &GROUP_PROCESSES.to_string())?;
        }
        Ok(())
    }

    /// Changes how much memory its processes may have together, where that is bound.
    pub(super) fn widen(&self, memory: u64) -> io::Result<()> {
        match write(&self.folder.join("memory.max"), &memory.to_string()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// Whoever writes `0` there is in the group.
    pub(super) fn entrance(&self) -> io::Result<OwnedFd> {
        Ok(OpenOptions::new().write(true).open(self.folder.join("cgroup.procs"))?.into())
    }

    /// Processes that were killed so far because all together took too much memory.
    pub(super) fn out_of_memory(&self) -> u64 {
        let events = read(&self.folder.join("memory.events")).unwrap_or_default();
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        killed.unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What cannot be removed now is at the daemon's end, or by the next one.
        drop(remove(&self.folder));
    }
}

/// For a group whose processes have so much private memory.
pub(super) fn with_overhead(memory: u64) -> u64 {
    memory.saturating_add(GROUP_MEMORY)
}

/// The group of this process, if it may make others below it.
fn own() -> Result<PathBuf, String> {
    let mount = mount()?;
    let groups =
        read(Path::new("/proc/self/cgroup")).map_err(|error| format!("/proc/self/cgroup: {error}"))?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.ok_or("this process is in no group of version 2")?;
    if path.split('/').any(|part| part == "..") {
        return Err(format!("the group {path} is not to be seen here"));
    }
    let own = mount.join(path.trim_start_matches('/'));
    // Where systemd makes groups, those that it does not delegate are its own (https://systemd.io/CGROUP_DELEGATION/).
    if Path::new("/run/systemd/system").exists() && !is_delegated(&own) {
        return Err(format!("systemd has not delegated {}: its unit takes Delegate=yes", own.display()));
    }
    Ok(own)
}

/// As systemd marks it: for root only before its version 251.
fn is_delegated(group: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(group, *name, &mut value).is_ok_and(|length| value[..length] == *b"1")
    })
}

fn mount() -> Result<PathBuf, String> {
    let mount = cgroup::mount().map_err(|error| format!("/proc/self/mountinfo: {error}"))?;
    mount.ok_or_else(|| "control groups of version 2 are not mounted".to_owned())
}

/// The controllers that a group has, and those that it lacks.
fn partition(group: &Path) -> Result<(Vec<&'static str>, Vec<&'static str>), String> {
    let has = read(&group.join("cgroup.controllers"))
        .map_err(|error| format!("cannot read the controllers of {}: {error}", group.display()))?;
    let has: Vec<&str> = has.split_whitespace().collect();
    Ok(CONTROLLERS.into_iter().partition(|controller| has.contains(controller)))
}

/// Removes the groups of daemons that were killed, and ends what is left in them.
fn sweep(own: &Path, pid: u32) -> io::Result<()> {
    for (of, group) in all(own)? {
        if of == pid || !lives(own, of) {
            remove(&group)?;
        }
    }
    Ok(())
}

/// Whether a daemon is there: in its own group, whoever else has been given its number meanwhile.
fn lives(own: &Path, pid: u32) -> bool {
    let processes = read(&own.join(format!("{PREFIX}{pid}.{DAEMON}/cgroup.procs"))).unwrap_or_default();
    // One that is not to be seen from here has the number 0.
    processes.lines().any(|process| process == "0" || process == pid.to_string())
}

/// The groups of all daemons, with the numbers of these.
fn all(own: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let of = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let (pid, _) = name.to_str()?.strip_prefix(PREFIX)?.split_once('.')?;
        Some((pid.parse().ok()?, entry.path()))
    };
    let entries: Vec<fs::DirEntry> = fs::read_dir(own)?.collect::<io::Result<_>>()?;
    Ok(entries.into_iter().filter_map(of).collect())
}

/// Ends what is left in a group, and removes it.
fn remove(group: &Path) -> io::Result<()> {
    // From Linux 5.14 on. They are ending before, for their channels are closed.
    drop(write(&group.join("cgroup.kill"), "1"));
    let until = Instant::now() + GROUP_WALL;
    loop {
        match fs::remove_dir(group) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error),
        }
    }
}

fn read(file: &Path) -> io::Result<String> {
    fs::read_to_string(file)
}

/// To a file that is there.
fn write(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PID: u32 = 4711;

    /// A folder with the files of a group.
    fn group(controllers: &str, processes: &[u32]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let processes: String = processes.iter().map(|process| format!("{process}\n")).collect();
        for (file, text) in [
            ("cgroup.controllers", controllers),
            ("cgroup.procs", &processes),
            ("cgroup.subtree_control", ""),
            ("cgroup.type", "domain"),
        ] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        folder
    }

    fn refusal(own: &tempfile::TempDir) -> String {
        Groups::begin(own.path().to_owned(), PID).unwrap_err()
    }

    #[test]
    fn a_group_that_cannot_be_used_is_left_as_it_is() {
        for (own, why) in [
            (group("cpu io", &[PID]), "has none of the controllers memory, pids"),
            (group("memory pids", &[1]), "is not the group of this process"),
            (group("memory pids", &[PID, 1]), "has other processes, too"),
        ] {
            let refused = refusal(&own);
            assert!(refused.ends_with(why), "{refused}");
            assert!(all(own.path()).unwrap().is_empty());
        }
        let roots = group("memory pids", &[PID]);
        fs::set_permissions(roots.path(), PermissionsExt::from_mode(0o555)).unwrap();
        assert!(refusal(&roots).contains("is not this user's to write to"));
        let nothing = tempfile::tempdir().unwrap();
        assert!(refusal(&nothing).starts_with("cannot read the controllers of"));
        // A group that the kernel does not let anybody into: here it makes no files in new folders.
        let own = group("memory pids", &[PID]);
        assert!(refusal(&own).starts_with("cannot make groups in"));
        assert!(all(own.path()).unwrap().is_empty());
        assert_eq!(fs::read_to_string(own.path().join("cgroup.subtree_control")).unwrap(), "");
    }

    /// A folder with the files of a group that has been made.
    fn made(files: &[&str]) -> (tempfile::TempDir, Group) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(folder.path().join(file), "max").unwrap();
        }
        let group = Group { folder: folder.path().to_owned() };
        (folder, group)
    }

    #[test]
    fn bounds_are_written_where_there_are_files_for_them() {
        let bounds = ["memory.max", "memory.oom.group", "memory.swap.max", "pids.max"];
        let values = |folder: &tempfile::TempDir| bounds.map(|file| read(&folder.path().join(file)).ok());
        let written = |value: &str| Some(value.to_owned());
        let processes = GROUP_PROCESSES.to_string();
        let (folder, group) = made(&bounds);
        group.bound(1 << 20, &CONTROLLERS).unwrap();
        assert_eq!(values(&folder), ["1048576", "1", "0", &processes].map(written));
        let (folder, group) = made(&["memory.max", "memory.oom.group"]);
        group.bound(5, &["memory"]).unwrap();
        assert_eq!(values(&folder), [written("5"), written("1"), None, None]);
        let (folder, group) = made(&bounds);
        group.bound(5, &["pids"]).unwrap();
        assert_eq!(values(&folder), ["max", "max", "max", &processes].map(written));
        let (_folder, group) = made(&[]);
        assert_eq!(group.bound(5, &CONTROLLERS).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn who_was_killed_for_memory_is_counted() {
        let (folder, group) = made(&[]);
        assert_eq!(group.out_of_memory(), 0);
        let events = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n";
        fs::write(folder.path().join("memory.events"), events).unwrap();
        assert_eq!(group.out_of_memory(), 2);
    }

    #[test]
    fn groups_of_daemons_that_are_gone_are_swept() {
        let own = group("memory pids", &[PID]);
        let add = |name: &str| fs::create_dir(own.path().join(name)).unwrap();
        for name in
            ["weir.1.1.a", "weir.2.daemon", "weir.2.1.a", "weir.3.daemon", "weir.3.2.a", "weir.x.1.a", "user"]
        {
            add(name);
        }
        // The second lives; the third's number is another process's by now.
        fs::write(own.path().join("weir.2.daemon/cgroup.procs"), "2\n17\n").unwrap();
        sweep(own.path(), PID).unwrap();
        let mut left: Vec<_> = fs::read_dir(own.path())
            .unwrap()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["user", "weir.2.1.a", "weir.2.daemon", "weir.x.1.a"]);
    }
}
