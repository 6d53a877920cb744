//! What the kernel itself counts of a table's programs: the events for which it skipped them, and what their runs
//! took.
//!
//! The kernel skips a program that would run inside itself, and, for programs attached through perf events,
//! any that would run while another such program or a map system call runs on the same CPU
//! (`bpf_prog_active`). It counts what it skips for raw and BTF tracepoints in every kernel that skips there
//! (commit 05b24ff9b2cf, Linux 6.2), for the others from Linux 6.7 on (commit dd8657894c11). A kprobe that is hit within
//! another, and a return for which there is no room, are counted with the attachment, from 6.7 on too (commits
//! 7ac8d0d26192 and 3acf8ace6823).

use std::os::fd::{AsRawFd, BorrowedFd};

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
    // The same figures as BPF_OBJ_GET_INFO_BY_FD gives.
    let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
    let text =
        std::fs::read_to_string(&path).map_err(|error| Error::new(Kind::Io, format!("{path}: {error}")))?;
    Ok(parse(&text))
}

fn parse(fdinfo: &str) -> Counted {
    let number = |name: &str| {
        let mut lines = fdinfo.lines();
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
    };
    let cost = Cost { runs: number("run_cnt:"), nanoseconds: number("run_time_ns:") };
    Counted { missed: number("recursion_misses:"), cost }
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
    let word = |at: usize| information[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
    match word(0) as u32 {
        PERF_EVENT => word(48),
        KPROBE_MULTI => word(32),
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
    fn reads_the_kernels_text() {
        let text = "pos:\t0\nrun_time_ns:\t900\nrun_cnt:\t9\nrecursion_misses:\t42\nverified_insns:\t9\n";
        let read = super::parse(text);
        assert_eq!((read.missed, read.cost.runs, read.cost.nanoseconds), (42, 9, 900));
        assert_eq!(super::parse("pos:\t0\n").missed, 0);
        assert_eq!(super::version("6.12.117+deb12-cloud-amd64\n"), (6, 12));
        assert_eq!(super::version(""), (0, 0));
    }
}
