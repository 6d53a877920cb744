//! Events that are made on purpose.
#![allow(unsafe_code, reason = "system calls that no library offers, because they do nothing")]

use rustix::process::{DumpableBehavior, Gid, Uid, set_dumpable_behavior};
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

/// Makes this thread a user's, and that of the group with the same number, as one of a process that the user executed: changing the user makes a memory one that its
/// user may not look into, for a moment that of all threads.
pub fn become_user(uid: u32) {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).expect("root can be anybody");
    rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root can be anybody");
    set_dumpable_behavior(DumpableBehavior::Dumpable).expect("it is the process's own");
}

/// Makes so many of these calls as a user, each with the number [`NOWHERE`].
pub fn calls_as(uid: u32, number: u64) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            become_user(uid);
            (0..number).for_each(|_| call(0));
        });
    });
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

/// Has the calling thread run before all others, whenever the kernel lets any run.
pub fn run_first() {
    let most = libc::sched_param { sched_priority: 1 };
    // SAFETY: the structure is whole, and is only read.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const most) };
    assert_eq!(set, 0, "root may");
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

/// Reads once from a file, into memory that was touched before. What read answers.
pub fn read_zeros(path: &str, bytes: usize) -> isize {
    use std::os::fd::AsRawFd as _;
    let file = std::fs::File::open(path).expect("it can be opened");
    let mut memory = vec![1u8; bytes];
    // SAFETY: the memory has so many bytes.
    unsafe { libc::read(file.as_raw_fd(), memory.as_mut_ptr().cast(), bytes) }
}

/// Touches so many fresh pages, each of which is a page fault.
pub fn touch_pages(pages: usize) {
    let bytes = pages * rustix::param::page_size();
    // SAFETY: new memory, which nobody else knows.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(memory, libc::MAP_FAILED, "there is memory");
    // One fault for each page, and not one for many.
    // SAFETY: the memory is mapped.
    unsafe { libc::madvise(memory, bytes, libc::MADV_NOHUGEPAGE) };
    for page in 0..pages {
        // SAFETY: within the memory that was mapped.
        let place = unsafe { memory.cast::<u8>().add(page * rustix::param::page_size()) };
        // SAFETY: as above.
        unsafe { place.write_volatile(1) };
    }
    // SAFETY: nothing refers to it any more.
    unsafe { libc::munmap(memory, bytes) };
}

/// Names the calling thread.
pub fn name_thread(name: &std::ffi::CStr) {
    // SAFETY: the name ends with a NUL.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Opens what is at an address, read as a path; the address need not be one.
pub fn open_at(path: usize) -> i32 {
    // SAFETY: the kernel answers EFAULT where there is no text, and no path of these tests exists.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, libc::O_RDONLY) as i32 }
}
