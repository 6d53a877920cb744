//! What the daemon keeps of the privileges that it was started with, once it no longer needs the others.

use rustix::thread::CapabilitySet;

use crate::error::{Error, Kind, Result};
use crate::sandbox;

/// Each with what it is for.
const KEPT: [(CapabilitySet, &str); 7] = [
    (CapabilitySet::BPF, "making maps and loading programs"),
    (CapabilitySet::PERFMON, "programs that trace, and perf events"),
    (CapabilitySet::DAC_READ_SEARCH, "tracefs, and the files by which processes' addresses become names"),
    (CapabilitySet::SYS_PTRACE, "/proc of processes whose stacks are keys"),
    (CapabilitySet::CHECKPOINT_RESTORE, "these files, whatever their paths mean by now: /proc/PID/map_files"),
    (CapabilitySet::SYSLOG, "addresses of the kernel's functions, for names in stacks"),
    (CapabilitySet::SYS_RESOURCE, "memory that stays, where the kernel counts maps against a limit"),
];

/// Gives up every other capability, for good: what starts processes as other users is the spawner.
pub(super) fn drop_others() -> Result<()> {
    let kept = KEPT.iter().fold(CapabilitySet::empty(), |kept, (capability, _)| kept | *capability);
    sandbox::keep_capabilities(kept, CapabilitySet::empty())
        .map(drop)
        .map_err(|error| Error::new(Kind::Software, format!("cannot give up privileges: {error}")))
}
