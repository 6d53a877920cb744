//! Who runs, and where.

use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_get_smp_processor_id, bpf_ktime_get_ns};

/// The thread that runs now: its process's id in the high half, its own in the low.
#[inline(always)]
pub fn thread() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_current_pid_tgid() }
}

#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_smp_processor_id() }
}

/// Nanoseconds by the monotonic clock.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_ktime_get_ns() }
}
