//! Events for which the kernel skipped a program.
//!
//! The kernel skips a program that would run inside itself, and, for programs attached through perf events,
//! any that would run while another such program or a map system call runs on the same CPU
//! (`bpf_prog_active`). It counts what it skips for raw and BTF tracepoints in every kernel that skips there
//! (commit 05b24ff9b2cf, Linux 6.2), for the others from Linux 6.7 on (commit dd8657894c11). What a kprobe itself
//! misses, because it was hit within another or because too many functions were to return, is not in that figure.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::error::{Error, Kind, Result};
use crate::table::Attach;

/// The counters of a table's programs.
#[derive(Debug, Default)]
pub(super) struct Missed {
    before: u64,
}

impl Missed {
    /// Events missed since this was last asked.
    pub(super) fn take<'a>(&mut self, programs: impl Iterator<Item = BorrowedFd<'a>>) -> Result<u64> {
        let mut total = 0;
        for program in programs {
            total += counted(program)?;
        }
        let since = total.saturating_sub(self.before);
        self.before = total;
        Ok(since)
    }
}

/// Whether the kernel counts all that it skips at such a point.
pub(super) fn reliable(attach: &Attach) -> bool {
    match attach {
        Attach::Tracepoint { .. }
        | Attach::Uprobe { .. }
        | Attach::Usdt { .. }
        | Attach::Profile(_)
        | Attach::Interval(_)
        | Attach::Perf { .. } => kernel_version() >= (6, 7),
        Attach::RawTracepoint { .. } | Attach::BtfTracepoint { .. } | Attach::Function { .. } => true,
        Attach::Kprobe { .. } => false,
    }
}

fn counted(program: BorrowedFd<'_>) -> Result<u64> {
    // The same figure as BPF_OBJ_GET_INFO_BY_FD gives.
    let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
    let text =
        std::fs::read_to_string(&path).map_err(|error| Error::new(Kind::Io, format!("{path}: {error}")))?;
    Ok(misses(&text).unwrap_or_default())
}

fn misses(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
}

/// The running kernel's version; 0.0 if it cannot be read, which makes no kernel newer than it is.
fn kernel_version() -> (u32, u32) {
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
        let text = "pos:\t0\nprog_type:\t17\nrun_cnt:\t0\nrecursion_misses:\t42\nverified_insns:\t9\n";
        assert_eq!(super::misses(text), Some(42));
        assert_eq!(super::misses("pos:\t0\n"), None);
        assert_eq!(super::version("6.12.117+deb12-cloud-amd64\n"), (6, 12));
        assert_eq!(super::version(""), (0, 0));
    }
}
