//! What this process has taken of the machine, by the kernel's account.

/// Kibibytes that it may have taken more than before, for what the allocator keeps of large answers, in several places.
/// A leak of what every round has is more.
const SLACK_KIB: u64 = 8 << 10;

pub(crate) struct Host {
    resident_kib: u64,
    descriptors: usize,
}

impl Host {
    pub(crate) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            resident_kib: line.trim().trim_end_matches(" kB").parse().unwrap(),
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
        }
    }

    /// To be called of a host that had done the same before.
    pub(crate) fn assert_flat(&self, after: &str) {
        self.assert_descriptors(after);
        let grown = Self::now().resident_kib.saturating_sub(self.resident_kib);
        assert!(grown <= SLACK_KIB, "{grown} KiB more after {after}");
    }

    /// To be called when all that was started has been dropped.
    pub(crate) fn assert_descriptors(&self, after: &str) {
        assert_eq!(Self::now().descriptors, self.descriptors, "descriptors after {after}");
    }
}
