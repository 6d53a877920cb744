//! The spawner: the process that starts all others for the daemon, which so need not hold what that takes. It does what
//! it is asked on its channel, by the daemon alone, and looks into nothing that it hands on. All that it can be made
//! to do is to start this binary again, as a user that nothing else runs as, to give up its privileges.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;

use rustix::io::FdFlags;
use rustix::process::{DumpableBehavior, set_dumpable_behavior, setsid};
use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use super::channel::{Channel, Until};
use super::limits::FILES;
use super::lockdown::{self, Left};
use super::spawn::{self, Role, UIDS};

/// What it keeps, each with what it is for. Its bounding set is the same, so that nothing that it starts has more.
const KEPT: [(CapabilitySet, &str); 4] = [
    (CapabilitySet::SETUID, "a user of its own for each sandbox"),
    (CapabilitySet::SETGID, "and a group"),
    (
        CapabilitySet::SETPCAP,
        "for what it starts: emptying the bounding set, which takes a capability itself",
    ),
    (
        CapabilitySet::KILL,
        "ending sandboxes: a parent is not allowed to signal children that are other users",
    ),
];

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// The descriptors come along; this is how many.
    Start {
        role: Role,
        uid: Option<u32>,
        descriptors: u32,
        memory: u64,
        cpu: Option<u64>,
        grouped: bool,
    },
    Kill {
        pid: u32,
    },
    /// Asked once it has ended. Until then its number is no other's.
    Reap {
        pid: u32,
    },
    /// Kill, and reap without being asked again.
    Abandon {
        pid: u32,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It has given up what it does not keep. Can it start processes as other users?
    Ready {
        changes_users: bool,
    },
    Started {
        pid: u32,
    },
    Killed,
    /// As wait(2) has it.
    Reaped {
        status: i32,
    },
    Refused(String),
}

/// Runs until the channel closes.
pub(super) fn main() -> Result<(), ()> {
    let [socket]: [OwnedFd; 1] = lockdown::keep_descriptors(1).map_err(drop)?.try_into().map_err(drop)?;
    let prepared = prepare(&socket);
    let channel = Channel::taking_files(socket);
    let changes_users = match prepared {
        Ok(changes_users) => changes_users,
        Err(error) => {
            let refused = format!("cannot give up privileges: {error}");
            return channel.send(&Reply::Refused(refused), Until::Ever).map_err(drop);
        }
    };
    channel.send(&Reply::Ready { changes_users }, Until::Ever).map_err(drop)?;
    Spawner::new(changes_users).serve(channel);
    Ok(())
}

/// Gives up all but [`KEPT`], and says whether that is enough to change users.
fn prepare(socket: &OwnedFd) -> io::Result<bool> {
    rustix::thread::set_name(c"weir-spawner")?;
    // No key at the terminal ends it before the daemon, which has one more interval to hand out.
    setsid()?;
    rustix::io::fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    let kept = KEPT.iter().fold(CapabilitySet::empty(), |kept, (capability, _)| kept | *capability);
    let kept = spawn::keep_capabilities(kept, kept)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(spawn::changes_users(kept))
}

#[derive(Debug)]
struct Spawner {
    changes_users: bool,
    /// Those that it has not reaped.
    children: BTreeMap<u32, Child>,
}

impl Spawner {
    fn new(changes_users: bool) -> Self {
        Self { changes_users, children: BTreeMap::new() }
    }

    fn serve(mut self, mut channel: Channel) {
        while let Ok(request) = channel.receive_until(Until::Ever) {
            let reply = self.obey(request, channel.files());
            if channel.send(&reply.unwrap_or_else(Reply::Refused), Until::Ever).is_err() {
                break;
            }
        }
    }

    fn obey(&mut self, request: Request, files: Vec<OwnedFd>) -> Result<Reply, String> {
        let unknown = |pid: u32| format!("{pid} is not one of its processes");
        let failed = |error: io::Error| error.to_string();
        match request {
            Request::Start { role, uid, descriptors, memory, cpu, grouped } => {
                let left = Left { uid, descriptors, memory, cpu, grouped };
                self.check(role, left, files.len())?;
                let child = spawn::direct(role, files, left).map_err(failed)?;
                let pid = child.id();
                self.children.insert(pid, child);
                Ok(Reply::Started { pid })
            }
            Request::Kill { pid } => {
                let child = self.children.get_mut(&pid).ok_or_else(|| unknown(pid))?;
                child.kill().map_err(failed)?;
                Ok(Reply::Killed)
            }
            Request::Reap { pid } => {
                let child = self.children.get_mut(&pid).ok_or_else(|| unknown(pid))?;
                let status = child.try_wait().map_err(failed)?;
                let status = status.ok_or_else(|| format!("{pid} has not ended"))?;
                self.children.remove(&pid);
                Ok(Reply::Reaped { status: status.into_raw() })
            }
            Request::Abandon { pid } => {
                let mut child = self.children.remove(&pid).ok_or_else(|| unknown(pid))?;
                child.kill().map_err(failed)?;
                child.wait().map_err(failed)?;
                Ok(Reply::Killed)
            }
        }
    }

    /// The daemon asks for nothing that is refused here; whoever had taken it over could.
    fn check(&self, role: Role, left: Left, files: usize) -> Result<(), String> {
        if role == Role::Spawner {
            return Err("it starts no other spawner".to_owned());
        }
        if left.uid.is_some() != self.changes_users || left.uid.is_some_and(|uid| !UIDS.contains(&uid)) {
            return Err(format!("{:?} is no user for a process that it starts", left.uid));
        }
        let expected = left.descriptors as usize + usize::from(left.grouped);
        if !(1..=FILES).contains(&files) || files != expected {
            return Err(format!("{files} descriptors came, and not {expected}"));
        }
        Ok(())
    }
}

impl Drop for Spawner {
    /// They end by themselves when their own channels close, unless somebody has stopped them.
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            drop(child.kill());
        }
        for child in self.children.values_mut() {
            drop(child.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::engine::Bound;

    fn files(number: usize) -> Vec<OwnedFd> {
        (0..number).map(|_| crate::memfd::sealed("file", b"").unwrap()).collect()
    }

    #[test]
    fn what_the_daemon_does_not_ask_for_is_refused() {
        let start = |role, uid, descriptors| Request::Start {
            role,
            uid,
            descriptors,
            memory: 0,
            cpu: None,
            grouped: false,
        };
        let grouped = |uid, descriptors| {
            let (role, memory, cpu) = (Role::Sandbox(Bound::Time), 0, None);
            Request::Start { role, uid, descriptors, memory, cpu, grouped: true }
        };
        let (some, many) = (Some(*UIDS.start()), FILES + 1);
        for (changes_users, came, request, why) in [
            (true, 1, start(Role::Spawner, some, 1), "it starts no other spawner"),
            (true, 1, start(Role::Sandbox(Bound::Time), None, 1), "None is no user"),
            (true, 1, start(Role::Sandbox(Bound::Time), Some(0), 1), "Some(0) is no user"),
            (true, 1, start(Role::Compiler(Bound::Time), Some(1000), 1), "Some(1000) is no user"),
            (false, 1, start(Role::Compiler(Bound::Time), some, 1), "Some(61184) is no user"),
            (true, 0, start(Role::Sandbox(Bound::Time), some, 0), "0 descriptors came"),
            (true, 1, start(Role::Sandbox(Bound::Time), some, 2), "1 descriptors came"),
            (true, 2, start(Role::Sandbox(Bound::Time), some, 1), "2 descriptors came"),
            (true, many, start(Role::Sandbox(Bound::Time), some, many as u32), "6 descriptors came"),
            (true, 1, grouped(some, 1), "1 descriptors came, and not 2"),
            (true, 0, Request::Kill { pid: 1 }, "1 is not one of its processes"),
            (true, 0, Request::Reap { pid: 1 }, "1 is not one of its processes"),
            (true, 0, Request::Abandon { pid: 1 }, "1 is not one of its processes"),
        ] {
            let asked = format!("{request:?}");
            let refused = Spawner::new(changes_users).obey(request, files(came)).unwrap_err();
            assert!(refused.starts_with(why), "{asked}: {refused}");
        }
    }

    fn sleeping() -> (Spawner, u32) {
        let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id();
        (Spawner { changes_users: true, children: BTreeMap::from([(pid, child)]) }, pid)
    }

    #[test]
    fn a_process_is_reaped_once_and_says_how_it_ended() {
        let (mut spawner, pid) = sleeping();
        let refused = spawner.obey(Request::Reap { pid }, Vec::new()).unwrap_err();
        assert_eq!(refused, format!("{pid} has not ended"));
        spawner.obey(Request::Kill { pid }, Vec::new()).unwrap();
        // As the daemon does.
        spawner.children.get_mut(&pid).unwrap().wait().unwrap();
        let Reply::Reaped { status } = spawner.obey(Request::Reap { pid }, Vec::new()).unwrap() else {
            panic!("it is reaped")
        };
        assert_eq!(std::process::ExitStatus::from_raw(status).signal(), Some(9));
        spawner.obey(Request::Kill { pid }, Vec::new()).unwrap_err();
        let (mut spawner, pid) = sleeping();
        spawner.obey(Request::Abandon { pid }, Vec::new()).unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn what_it_started_ends_with_it() {
        let (spawner, pid) = sleeping();
        let (ours, theirs) = Channel::pair().unwrap();
        drop(ours);
        spawner.serve(Channel::taking_files(theirs));
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
