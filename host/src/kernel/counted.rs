//! What the kernel itself counts of a table's programs: the events for which it skipped them, and what their runs
//! took.
//!
//! The kernel skips a program that would run inside itself, and, for programs attached through perf events,
//! any that would run while another such program or a map system call runs on the same CPU
//! (`bpf_prog_active`). It counts what it skips for raw and BTF tracepoints in every kernel that skips there
//! (commit 05b24ff9b2cf, Linux 6.2), for the others from Linux 6.7 on (commit dd8657894c11). A kprobe that is hit within
//! another, and a return for which there is no room, are counted with the attachment, from 6.7 on too (commits
//! 7ac8d0d26192 and 3acf8ace6823).

use std::mem::offset_of;
use std::os::fd::BorrowedFd;

use aya_obj::generated::bpf_prog_info;

use super::bpf;
use super::load::Programs;
use crate::error::{Error, Kind, Result};
use crate::snapshot::Cost;
use crate::table::Attach;

/// The counters of a table's programs, as they were last read.
#[derive(Debug, Default)]
pub(super) struct Counted {
    missed: u64,
    cost: Cost,
}

/// What they rose by.
#[derive(Debug)]
pub(super) struct Rise {
    pub(super) missed: u64,
    /// Nothing if the kernel does not time programs.
    pub(super) cost: Option<Cost>,
}

impl Counted {
    /// The rise since this was last asked.
    pub(super) fn take(&mut self, programs: &Programs) -> Result<Rise> {
        let mut now = Self::default();
        for (program, _) in programs.each() {
            let read = read(program)?;
            now.missed += read.missed;
            now.cost.runs += read.cost.runs;
            now.cost.nanoseconds += read.cost.nanoseconds;
        }
        now.missed += programs.kprobe_links().map(missed_by_kprobes).sum::<u64>();
        let cost = Cost {
            runs: now.cost.runs.saturating_sub(self.cost.runs),
            nanoseconds: now.cost.nanoseconds.saturating_sub(self.cost.nanoseconds),
        };
        let rise = Rise {
            missed: now.missed.saturating_sub(self.missed),
            cost: (now.cost.runs > 0).then_some(cost),
        };
        // A link that is gone takes its counters along.
        *self = Self { missed: now.missed.max(self.missed), ..now };
        Ok(rise)
    }
}

/// Whether the kernel counts all that it skips at such a point.
pub(super) fn reliable(attach: &Attach) -> bool {
    match attach {
        Attach::RawTracepoint { .. } | Attach::BtfTracepoint { .. } | Attach::Function { .. } => true,
        Attach::Tracepoint { .. }
        | Attach::Kprobe { .. }
        | Attach::Uprobe { .. }
        | Attach::Usdt { .. }
        | Attach::Profile(_)
        | Attach::Interval(_)
        | Attach::Perf { .. } => kernel_version() >= (6, 7),
    }
}

fn read(program: BorrowedFd<'_>) -> Result<Counted> {
    // Not from /proc/self/fdinfo, which has the same figures and takes a descriptor: where there is none, counting goes on.
    const TIME: usize = offset_of!(bpf_prog_info, run_time_ns);
    const RUNS: usize = offset_of!(bpf_prog_info, run_cnt);
    const MISSED: usize = offset_of!(bpf_prog_info, recursion_misses);
    let mut information = [0; MISSED + 8];
    bpf::information(program, &mut information)
        .map_err(|error| Error::new(Kind::Io, format!("cannot ask the kernel about a program: {error}")))?;
    let cost = Cost { runs: word(&information, RUNS), nanoseconds: word(&information, TIME) };
    Ok(Counted { missed: word(&information, MISSED), cost })
}

/// What stands in a structure of the kernel's.
fn word(information: &[u8], at: usize) -> u64 {
    information
        .get(at..at + 8)
        .and_then(|word| word.try_into().ok())
        .map(u64::from_ne_bytes)
        .unwrap_or_default()
}

/// What an attachment to kprobes missed by itself; 0 where the kernel does not say.
fn missed_by_kprobes(link: BorrowedFd<'_>) -> u64 {
    /// BPF_LINK_TYPE_PERF_EVENT and BPF_LINK_TYPE_KPROBE_MULTI, of `enum bpf_link_type`.
    const PERF_EVENT: u32 = 7;
    const KPROBE_MULTI: u32 = 8;
    // The beginning of `struct bpf_link_info` (include/uapi/linux/bpf.h), as it is since Linux 6.7.
    let mut information = [0; 64];
    if bpf::information(link, &mut information).is_err() {
        return 0;
    }
    match word(&information, 0) as u32 {
        PERF_EVENT => word(&information, 48),
        KPROBE_MULTI => word(&information, 32),
        _ => 0,
    }
}

/// The running kernel's version; 0.0 if it cannot be read, which makes no kernel newer than it is.
pub(crate) fn kernel_version() -> (u32, u32) {
    version(&std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default())
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_kernels_version() {
        assert_eq!(super::version("6.12.117+deb12-cloud-amd64\n"), (6, 12));
        assert_eq!(super::version(""), (0, 0));
    }
}
