//! Starting a process of our own binary that is to give up its privileges: with a hidden first argument, an
//! empty environment and fixed descriptors, by this process or by its spawner. The user it is to become is chosen here.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use command_fds::{CommandFdExt, FdMapping};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

use super::engine::Bound;
use super::groups::{self, Group};
use super::lockdown::{self, FIRST_FD, Left};
use super::process::{self, Process};

/// What the hidden process is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Sandbox(Bound),
    Compiler(Bound),
    Symbolizer,
    /// Starts the others.
    Spawner,
}

impl Role {
    const ALL: [Self; 6] = [
        Self::Sandbox(Bound::Time),
        Self::Sandbox(Bound::Fuel),
        Self::Compiler(Bound::Time),
        Self::Compiler(Bound::Fuel),
        Self::Symbolizer,
        Self::Spawner,
    ];

    /// Shows in a list of processes. Whoever types it gets a process that refuses to go on.
    fn argument(self) -> &'static str {
        match self {
            Self::Sandbox(Bound::Time) => "internal:sandbox",
            Self::Sandbox(Bound::Fuel) => "internal:replay-sandbox",
            Self::Compiler(Bound::Time) => "internal:compiler",
            Self::Compiler(Bound::Fuel) => "internal:replay-compiler",
            Self::Spawner => "internal:spawner",
            Self::Symbolizer => "internal:symbolizer",
        }
    }
}

/// Starts a process with these descriptors, from [`FIRST_FD`] on.
pub(super) fn spawn(role: Role, files: Vec<OwnedFd>, left: Left) -> io::Result<Process> {
    match process::spawner() {
        Some(spawner) => spawner.start(role, &files, left),
        None => Process::child(direct(role, files, left)?),
    }
}

/// The same, as a child of this process.
pub(super) fn direct(role: Role, files: Vec<OwnedFd>, left: Left) -> io::Result<Child> {
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let (uid, descriptors) = (number(left.uid.map(u64::from)), left.descriptors.to_string());
    let mut arguments = vec![uid, descriptors, left.memory.to_string(), number(left.cpu)];
    arguments.extend(left.grouped.then(|| "grouped".to_owned()));
    exec(role, &arguments, files)
}

pub(super) fn exec(role: Role, arguments: &[String], files: Vec<OwnedFd>) -> io::Result<Child> {
    let mappings = (FIRST_FD..).zip(files).map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    Command::new(program()?)
        .arg0("weir")
        .arg(role.argument())
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .fd_mappings(mappings.collect())
        .map_err(io::Error::other)?
        .spawn()
}

/// What is started instead of this very binary.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// For tests whose own binary does not know of hidden processes. The first call decides.
pub(super) fn start_from(program: PathBuf) {
    PROGRAM.get_or_init(|| program);
}

fn program() -> io::Result<PathBuf> {
    if let Some(program) = PROGRAM.get() {
        return Ok(program.clone());
    }
    // The link names this very binary, even if another one lies at its path by now.
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}

/// In the new process: what it was started for, and what is left to it; a spawner is told nothing.
pub(super) fn asked() -> Option<(Role, Option<Left>)> {
    let mut arguments = std::env::args_os().skip(1).map(|argument| argument.into_string().ok());
    let first = arguments.next()??;
    let role = Role::ALL.into_iter().find(|role| role.argument() == first)?;
    let mut number = || match arguments.next()??.as_str() {
        "" => Some(None),
        digits => digits.parse().ok().map(Some),
    };
    let mut left = || {
        Some(Left {
            uid: match number()? {
                Some(uid) => Some(u32::try_from(uid).ok()?),
                None => None,
            },
            descriptors: u32::try_from(number()??).ok()?,
            memory: number()??,
            cpu: number()?,
            grouped: false,
        })
    };
    let left = left();
    let grouped = arguments.next().is_some();
    Some((role, left.map(|left| Left { grouped, ..left })))
}

/// The range that systemd gives to services with `DynamicUser=`: no person's, no package's, and no files'.
/// <https://systemd.io/UIDS-GIDS/>
pub(super) const UIDS: std::ops::RangeInclusive<u32> = 61184..=65519;

/// Those of other sandboxes of this process.
static TAKEN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Whether sandboxes have users of their own: it takes privileges, and the range of users.
pub(crate) fn separates_users() -> bool {
    match process::spawner() {
        Some(spawner) => spawner.changes_users,
        None => rustix::thread::capabilities(None).is_ok_and(|held| changes_users(held.effective)),
    }
}

/// A user of its own for a sandbox, given back when dropped, and the control group of what runs as it, if there are
/// such groups.
#[derive(Debug)]
pub(super) struct Identity {
    uid: Option<u32>,
    group: Option<Group>,
}

impl Identity {
    /// One that no process runs as and that has no name. None where that cannot be: then
    /// the sandbox runs as the same user, and everything else still applies.
    pub(super) fn choose() -> io::Result<Self> {
        if !separates_users() {
            return Ok(Self { uid: None, group: None });
        }
        let mut used = running_users()?;
        used.extend(named_users());
        let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Begins at another place in every process, so that two that choose at once seldom choose the same.
        let (first, count) = (*UIDS.start(), UIDS.end() - UIDS.start() + 1);
        let begin = std::process::id() % count;
        let free = (0..count)
            .map(|step| first + (begin + step) % count)
            .find(|uid| !used.contains(uid) && !taken.contains(uid))
            .ok_or_else(|| io::Error::other("every user from 61184 to 65519 is in use"))?;
        taken.insert(free);
        Ok(Self { uid: Some(free), group: None })
    }

    /// With a group of its own, if there are groups, for so much private memory of all its processes.
    pub(super) fn within(mut self, name: &str, memory: u64) -> io::Result<Self> {
        self.group = groups::make(name, groups::with_overhead(memory))?;
        Ok(self)
    }

    /// Changes how much private memory that is.
    pub(super) fn widen(&self, memory: u64) -> io::Result<()> {
        self.group.as_ref().map_or(Ok(()), |group| group.widen(groups::with_overhead(memory)))
    }

    pub(super) fn uid(&self) -> Option<u32> {
        self.uid
    }

    pub(super) fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// The last descriptor of what is started in the group.
    pub(super) fn entrance(&self) -> io::Result<Option<OwnedFd>> {
        self.group.as_ref().map(Group::entrance).transpose()
    }

    /// Processes of the group that were killed so far because all together took too much memory.
    pub(super) fn out_of_memory(&self) -> u64 {
        self.group.as_ref().map_or(0, Group::out_of_memory)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        if let Some(uid) = self.uid {
            TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&uid);
        }
    }
}

/// Whether a process that holds this can become one of [`UIDS`].
pub(super) fn changes_users(held: CapabilitySet) -> bool {
    held.contains(CapabilitySet::SETUID | CapabilitySet::SETGID) && mapped(*UIDS.start(), *UIDS.end())
}

/// Gives up every other capability, those too that an exec could give, for good. What was not held stays away.
/// Says what is left. It is the calling thread that does so, which has to be the only one.
pub(crate) fn keep_capabilities(kept: CapabilitySet, bounding: CapabilitySet) -> io::Result<CapabilitySet> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("another thread has begun already"));
    }
    let held = rustix::thread::capabilities(None)?.permitted;
    if held.contains(CapabilitySet::SETPCAP) {
        for capability in lockdown::all_capabilities().filter(|one| !bounding.contains(*one)) {
            rustix::thread::remove_capability_from_bounding_set(capability)?;
        }
    }
    let kept = kept & held;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(kept)
}

/// Whether this user namespace has those users, as user_namespaces(7) says.
fn mapped(first: u32, last: u32) -> bool {
    ["/proc/self/uid_map", "/proc/self/gid_map"].iter().all(|map| {
        let Ok(map) = std::fs::read_to_string(map) else { return true };
        map.lines().any(|line| {
            let mut numbers = line.split_whitespace().map_while(|number| number.parse::<u64>().ok());
            let (Some(inside), Some(_), Some(length)) = (numbers.next(), numbers.next(), numbers.next())
            else {
                return false;
            };
            inside <= u64::from(first) && u64::from(last) < inside + length
        })
    })
}

/// The users of all processes; a process that ends meanwhile is left out.
fn running_users() -> io::Result<BTreeSet<u32>> {
    let mut users = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(status) = std::fs::read_to_string(entry?.path().join("status")) else { continue };
        let ids = status.lines().filter(|line| line.starts_with("Uid:") || line.starts_with("Gid:"));
        users.extend(ids.flat_map(str::split_whitespace).filter_map(|id| id.parse::<u32>().ok()));
    }
    Ok(users)
}

fn named_users() -> BTreeSet<u32> {
    let text = ["/etc/passwd", "/etc/group"].map(|file| std::fs::read_to_string(file).unwrap_or_default());
    text.iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.split(':').nth(2)?.parse().ok())
        .collect()
}
