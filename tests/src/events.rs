//! Events that are made on purpose.
#![allow(unsafe_code, reason = "system calls that no library offers, because they do nothing")]

use rustix::thread::CpuSet;

/// The first of the system call numbers that no kernel has. A call of one fires raw_syscalls' tracepoints
/// with that number, and does nothing else.
pub const NOWHERE: u64 = 1_000_000;

/// Calls the system call number `NOWHERE + key`, which does not exist.
#[inline]
pub fn call(key: u64) {
    // SAFETY: the kernel has no such system call and answers ENOSYS.
    unsafe { libc::syscall((NOWHERE + key).cast_signed()) };
}

/// Calls lseek with a descriptor that is not open.
#[inline]
pub fn seek(offset: i64, whence: i32) {
    // SAFETY: the call fails with EBADF and changes nothing.
    unsafe { libc::syscall(libc::SYS_lseek, -1, offset, whence) };
}

/// The CPUs that this process may run on, in their order.
#[must_use]
pub fn cpus() -> Vec<usize> {
    let set = rustix::thread::sched_getaffinity(None).expect("the kernel tells the affinity");
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Moves the calling thread to a CPU and keeps it there.
pub fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).expect("the CPU is online");
}

/// Runs `work` on a thread of its own that is pinned to `cpu`, to its end.
pub fn on_cpu(cpu: usize, work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(cpu);
            work();
        });
    });
}
