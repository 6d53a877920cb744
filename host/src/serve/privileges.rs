//! What the daemon keeps of the privileges that it was started with, once it no longer needs the others.

use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::{Error, Kind, Result};

/// Each with what it is for.
const KEPT: [(CapabilitySet, &str); 10] = [
    (CapabilitySet::BPF, "making maps and loading programs"),
    (CapabilitySet::PERFMON, "programs that trace, and perf events"),
    (CapabilitySet::DAC_READ_SEARCH, "tracefs, and the files by which processes' addresses become names"),
    (CapabilitySet::SYS_PTRACE, "/proc of processes whose stacks are keys"),
    (CapabilitySet::SYSLOG, "addresses of the kernel's functions, for names in stacks"),
    (CapabilitySet::SYS_RESOURCE, "memory that stays, where the kernel counts maps against a limit"),
    (CapabilitySet::SETUID, "a user of its own for each sandbox"),
    (CapabilitySet::SETGID, "and a group"),
    (CapabilitySet::SETPCAP, "taking the bounding set from sandboxes"),
    (CapabilitySet::KILL, "ending sandboxes, which are other users"),
];

/// Gives up every other capability, for good.
pub(super) fn drop_others() -> Result<()> {
    let failed =
        |error: rustix::io::Errno| Error::new(Kind::Software, format!("cannot give up privileges: {error}"));
    let held = rustix::thread::capabilities(None).map_err(failed)?.permitted;
    let kept = KEPT.iter().fold(CapabilitySet::empty(), |kept, (capability, _)| kept | *capability) & held;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(failed)
}
