//! How a process gives up everything but its fixed descriptors, before it touches a foreign byte, and how it
//! makes sure that it has. Called while the process has one thread.
#![allow(unsafe_code)] // Closing descriptors that nobody owns.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::{Arc, Barrier};

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior, setrlimit,
    setsid,
};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::landlock;
use super::seccomp::{self, Work};

/// The first descriptor after standard input, output and error, which are /dev/null.
pub(super) const FIRST_FD: RawFd = 3;

/// What is left to a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// A user and group of its own; none where the host has no privilege to give one.
    pub(super) uid: Option<u32>,
    /// Descriptors from [`FIRST_FD`] on.
    pub(super) descriptors: u32,
    /// Bytes of private memory.
    pub(super) memory: u64,
    /// Seconds of processor time.
    pub(super) cpu: Option<u64>,
    /// There is a control group to go into, by one more descriptor.
    pub(super) grouped: bool,
}

/// Goes into its control group, if there is one for it, and gives up the rest, once the descriptors are those that are
/// left; [`last_thread`] has to follow.
pub(super) fn enter(name: &std::ffi::CStr, left: Left, group: Option<OwnedFd>) -> Result<(), String> {
    let step = |what: &'static str| move |error: rustix::io::Errno| format!("cannot {what}: {error}");
    if let Some(group) = group {
        rustix::io::write(&group, b"0").map_err(step("go into its control group"))?;
    }
    rustix::thread::set_name(name).map_err(step("set the process's name"))?;
    // Fails for the leader of a process group, which a spawned process is not.
    setsid().map_err(step("begin a session"))?;

    // No core file shows what plugins saw, no file grows, and memory ends here before it ends elsewhere.
    let mut limits = vec![
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        // A few more than are open now, for reading /proc/self/status and for what loading code needs.
        (Resource::Nofile, FIRST_FD as u64 + u64::from(left.descriptors) + 4),
        (Resource::Data, left.memory),
    ];
    limits.extend(left.cpu.map(|seconds| (Resource::Cpu, seconds)));
    for (resource, bound) in limits {
        limit(resource, bound).map_err(step("lower a resource limit"))?;
    }

    let held = rustix::thread::capabilities(None).map_err(step("read the capabilities"))?.effective;
    let bounding = held.contains(CapabilitySet::SETPCAP);
    if bounding {
        for capability in all_capabilities() {
            rustix::thread::remove_capability_from_bounding_set(capability)
                .map_err(step("drop the bounding set"))?;
        }
    }
    if let Some(id) = left.uid {
        let (uid, gid) = (rustix::fs::Uid::from_raw(id), rustix::fs::Gid::from_raw(id));
        rustix::thread::set_thread_groups(&[]).map_err(step("drop the supplementary groups"))?;
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(step("change the group"))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(step("change the user"))?;
    }
    rustix::thread::clear_ambient_capability_set().map_err(step("drop the ambient capabilities"))?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )
    .map_err(step("drop the capabilities"))?;
    rustix::thread::set_no_new_privs(true).map_err(step("give up new privileges"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step("become undumpable"))?;
    verify(left, bounding)?;
    // Last, for it ends the reading of /proc. What this kernel does not know to refuse is for `weir doctor` to say.
    landlock::restrict().map(drop).map_err(|error| format!("cannot give up files and network: {error}"))
}

/// Starts the one thread beside this one, and waits until it is at work: what a thread calls when it begins,
/// [`last_thread`] refuses.
pub(super) fn beside(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let begun = Arc::new(Barrier::new(2));
    let begins = begun.clone();
    std::thread::Builder::new().name("weir-pulse".to_owned()).spawn(move || {
        take_short_turns();
        begins.wait();
        work();
    })?;
    begun.wait();
    Ok(())
}

/// Has this thread run as soon as it wakes, before a thread that is in the middle of a turn of the usual length: it
/// works for microseconds, and ends those that work too long. From Linux 6.12 on; others take no note of it.
fn take_short_turns() {
    /// The shortest that there is.
    const TURN: u64 = 100_000;
    let size = size_of::<libc::sched_attr>() as u32;
    let attributes = libc::sched_attr {
        size,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: rustix::process::getpriority_process(None).unwrap_or(0),
        sched_priority: 0,
        sched_runtime: TURN,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the structure is whole, says its size, and is only read.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

/// From here on the process starts no thread and no other process, and makes only the system calls of its work.
pub(super) fn last_thread(work: Work) -> Result<(), String> {
    limit(Resource::Nproc, 0).map_err(|error| format!("cannot lower a resource limit: {error}"))?;
    seccomp::restrict(work)
}

fn limit(resource: Resource, bound: u64) -> rustix::io::Result<()> {
    let bound = getrlimit(resource).maximum.map_or(bound, |maximum| maximum.min(bound));
    setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) })
}

/// The capabilities that this kernel knows.
pub(super) fn all_capabilities() -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS)
        .map(|bit| CapabilitySet::from_bits_retain(1 << bit))
        .take_while(|one| rustix::thread::capability_is_in_bounding_set(*one).is_ok())
}

/// The descriptors that are left, and that by which this process goes into its control group, if there is one.
pub(super) fn keep(left: Left) -> io::Result<(Vec<OwnedFd>, Option<OwnedFd>)> {
    let mut files = keep_descriptors(left.descriptors + u32::from(left.grouped))?;
    let group = if left.grouped { files.pop() } else { None };
    Ok((files, group))
}

/// Closes every descriptor but the fixed ones, and owns those.
pub(super) fn keep_descriptors(count: u32) -> io::Result<Vec<OwnedFd>> {
    let end = FIRST_FD + RawFd::try_from(count).unwrap_or(0);
    for fd in open_descriptors()?.into_iter().filter(|fd| *fd >= end) {
        // SAFETY: it is open, and nothing owns it: the process has just begun, and uses the standard streams only.
        unsafe { rustix::io::close(fd) };
    }
    let open = open_descriptors()?;
    if (FIRST_FD..end).any(|fd| !open.contains(&fd)) {
        return Err(io::Error::other("one that was promised is not there"));
    }
    if open.iter().any(|fd| *fd >= end) {
        return Err(io::Error::other("one stayed open"));
    }
    let own = |fd| {
        // SAFETY: the descriptor is open, as was just seen, and nothing else in this process owns it.
        unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }
    };
    Ok((FIRST_FD..end).map(own).collect())
}

fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let numbers = std::fs::read_dir("/proc/self/fd")?.map(|entry| {
        let name = entry?.file_name();
        name.to_str()
            .and_then(|name| name.parse::<RawFd>().ok())
            .ok_or_else(|| io::Error::other("not a number"))
    });
    let mut open = numbers.collect::<io::Result<Vec<_>>>()?;
    // The listing's own is closed by now.
    open.retain(|fd| std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok());
    Ok(open)
}

/// Reads back what was asked for, from the kernel's own account of this process.
fn verify(left: Left, bounding: bool) -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| format!("cannot read /proc/self/status: {error}"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let mut expected = vec![("NoNewPrivs", "1".to_owned()), ("Threads", "1".to_owned())];
    let zero = "0".repeat(16);
    expected.extend(["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|set| (set, zero.clone())));
    if bounding {
        expected.push(("CapBnd", zero));
    }
    if let Some(id) = left.uid {
        expected.extend([("Uid", format!("{id} {id} {id} {id}")), ("Gid", format!("{id} {id} {id} {id}"))]);
        expected.push(("Groups", String::new()));
    }
    for (name, value) in expected {
        let found = field(name);
        if found.as_deref() != Some(value.as_str()) {
            return Err(format!("{name} is {found:?} and not {value:?} after giving up privileges"));
        }
    }
    match dumpable_behavior() {
        Ok(DumpableBehavior::NotDumpable) => Ok(()),
        other => Err(format!("still dumpable: {other:?}")),
    }
}
