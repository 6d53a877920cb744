//! What an exploit would try next: each attempt is harmless if it goes well, and says what came of it.
#![allow(unsafe_code)] // System calls, as an exploit makes them.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::ptr::null;

use libc::c_long;

/// Whom the attempts are made on.
pub(crate) struct Host {
    pub(crate) pid: i32,
    /// A port at which it listens.
    pub(crate) port: u16,
    /// An abstract Unix socket at which it listens.
    pub(crate) name: String,
}

type Attempt = (&'static str, fn(&Host) -> io::Result<()>);

/// A system call with up to six arguments, whatever they are.
pub(crate) fn call(number: c_long, arguments: &[usize]) -> io::Result<usize> {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: every caller's pointers are null, or to what lives longer than the call and is large enough.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result.cast_unsigned() as usize) }
}

fn done(result: io::Result<usize>) -> io::Result<()> {
    result.map(drop)
}

const HERE: usize = libc::AT_FDCWD as usize;

fn open(path: &str, flags: i32) -> io::Result<()> {
    let path = std::ffi::CString::new(path).unwrap();
    done(call(libc::SYS_openat, &[HERE, path.as_ptr() as usize, flags as usize, 0o600]))
}

fn socket(family: i32, kind: i32) -> io::Result<()> {
    done(call(libc::SYS_socket, &[family as usize, kind as usize, 0]))
}

/// A new process, which ends at once.
fn process(number: c_long, arguments: &[usize]) -> io::Result<()> {
    let child = call(number, arguments)?;
    if child == 0 {
        // SAFETY: ends the new process, whatever state it was copied in.
        unsafe { libc::_exit(0) };
    }
    Ok(())
}

fn map(protection: i32, flags: i32, file: i32) -> io::Result<()> {
    let arguments = [0, 4096, protection as usize, flags as usize, file as usize, 0];
    done(call(libc::SYS_mmap, &arguments))
}

/// Makes a fresh page of memory what it says.
pub(crate) fn protect(protection: i32) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let page = call(libc::SYS_mmap, &[0, 4096, libc::PROT_READ as usize, flags as usize, usize::MAX, 0])?;
    done(call(libc::SYS_mprotect, &[page, 4096, protection as usize]))
}

/// One byte of the host's memory. Whether anything is at that place is looked at after whether it may be looked at.
fn other_memory(number: c_long, host: &Host) -> io::Result<()> {
    let mut byte = 0_u8;
    let ours = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let theirs = libc::iovec { iov_base: call as *mut libc::c_void, iov_len: 1 };
    let (ours, theirs) = (&raw const ours as usize, &raw const theirs as usize);
    done(call(number, &[host.pid as usize, ours, 1, theirs, 1, 0]))
}

fn program(number: c_long, first: &[usize]) -> io::Result<()> {
    let arguments: [*const libc::c_char; 2] = [c"true".as_ptr(), null()];
    let mut all = first.to_vec();
    all.extend([c"/bin/true".as_ptr() as usize, arguments.as_ptr() as usize, 0, 0]);
    done(call(number, &all))
}

/// These end the process.
pub(crate) const FATAL: &[Attempt] = &[
    ("execve", |_| program(libc::SYS_execve, &[])),
    ("execveat", |_| program(libc::SYS_execveat, &[HERE])),
    ("ptrace", |host| done(call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as usize, host.pid as usize, 0, 0]))),
    ("process_vm_readv", |host| other_memory(libc::SYS_process_vm_readv, host)),
    // Writes nothing.
    ("process_vm_writev", |host| {
        done(call(libc::SYS_process_vm_writev, &[host.pid as usize, 0, 0, 0, 0, 0]))
    }),
    ("bpf", |_| {
        // An array of one number.
        let map: [u32; 5] = [2, 4, 4, 1, 0];
        done(call(libc::SYS_bpf, &[0, map.as_ptr() as usize, size_of_val(&map)]))
    }),
];

/// These are refused.
pub(crate) const REFUSED: &[Attempt] = &[
    // Files.
    ("open_read", |_| open("/etc/passwd", libc::O_RDONLY)),
    ("open_write", |_| open("/dev/null", libc::O_WRONLY)),
    ("open_device", |_| open("/dev/urandom", libc::O_RDONLY)),
    ("open_folder", |host| open(&format!("/proc/{}", host.pid), libc::O_RDONLY | libc::O_DIRECTORY)),
    ("open_host_memory", |host| open(&format!("/proc/{}/mem", host.pid), libc::O_RDONLY)),
    ("open_host_environment", |host| open(&format!("/proc/{}/environ", host.pid), libc::O_RDONLY)),
    ("openat2", |_| {
        let how = [0_u64; 3];
        let path = c"/etc/passwd".as_ptr() as usize;
        done(call(libc::SYS_openat2, &[HERE, path, how.as_ptr() as usize, size_of_val(&how)]))
    }),
    ("open_by_handle_at", |_| {
        // Inode 2, the root of many file systems.
        let handle = [8_u32, 1, 2, 0];
        done(call(libc::SYS_open_by_handle_at, &[HERE, handle.as_ptr() as usize, 0]))
    }),
    ("newfstatat", |_| {
        let mut space = [0_u64; 32];
        let path = c"/etc/passwd".as_ptr() as usize;
        done(call(libc::SYS_newfstatat, &[HERE, path, space.as_mut_ptr() as usize, 0]))
    }),
    ("getdents64", |_| done(call(libc::SYS_getdents64, &[0, 0, 0]))),
    ("unlinkat", |_| done(call(libc::SYS_unlinkat, &[HERE, c"/tmp/weir-none".as_ptr() as usize, 0]))),
    ("chdir", |_| done(call(libc::SYS_chdir, &[c"/".as_ptr() as usize]))),
    ("inotify_init1", |_| done(call(libc::SYS_inotify_init1, &[0]))),
    ("fanotify_init", |_| done(call(libc::SYS_fanotify_init, &[0, 0]))),
    // Descriptors, the channel among them.
    ("read", |_| done(call(libc::SYS_read, &[0, 0, 0]))),
    ("write", |_| done(call(libc::SYS_write, &[1, 0, 0]))),
    ("dup", |_| done(call(libc::SYS_dup, &[3]))),
    ("fcntl_dup", |_| done(call(libc::SYS_fcntl, &[3, libc::F_DUPFD as usize, 0]))),
    ("fcntl_owner", |_| done(call(libc::SYS_fcntl, &[3, libc::F_SETOWN as usize, 0]))),
    ("ioctl", |_| done(call(libc::SYS_ioctl, &[3, libc::FIONREAD as usize, 0]))),
    ("pipe2", |_| {
        let mut ends = [0_i32; 2];
        done(call(libc::SYS_pipe2, &[ends.as_mut_ptr() as usize, 0]))
    }),
    ("epoll_create1", |_| done(call(libc::SYS_epoll_create1, &[0]))),
    ("eventfd2", |_| done(call(libc::SYS_eventfd2, &[0, 0]))),
    ("sendmsg", |_| done(call(libc::SYS_sendmsg, &[3, 0, 0]))),
    ("recvmsg", |_| done(call(libc::SYS_recvmsg, &[3, 0, libc::MSG_DONTWAIT as usize]))),
    ("send_urgent", |_| done(call(libc::SYS_sendto, &[3, 0, 0, libc::MSG_OOB as usize, 0, 0]))),
    ("send_to_other", |_| {
        // The address is ignored on such a socket, and what is sent is as if the test were told something.
        let (address, said) = ([0_u64; 2], b"sent 0");
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let said = [3, said.as_ptr() as usize, said.len(), flags as usize, address.as_ptr() as usize, 16];
        done(call(libc::SYS_sendto, &said))
    }),
    ("send_elsewhere", |_| {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        done(call(libc::SYS_sendto, &[0, 0, 0, flags as usize, 0, 0]))
    }),
    ("receive_urgent", |_| {
        let flags = libc::MSG_DONTWAIT | libc::MSG_OOB;
        done(call(libc::SYS_recvfrom, &[3, 0, 0, flags as usize, 0, 0]))
    }),
    // The network, and others on this machine.
    ("socket_tcp", |_| socket(libc::AF_INET, libc::SOCK_STREAM)),
    ("socket_udp", |_| socket(libc::AF_INET6, libc::SOCK_DGRAM)),
    ("socket_unix", |_| socket(libc::AF_UNIX, libc::SOCK_STREAM)),
    ("socket_netlink", |_| socket(libc::AF_NETLINK, libc::SOCK_RAW)),
    ("socket_packet", |_| socket(libc::AF_PACKET, libc::SOCK_RAW)),
    ("connect_tcp", |host| std::net::TcpStream::connect(("127.0.0.1", host.port)).map(drop)),
    ("bind_tcp", |_| std::net::TcpListener::bind("127.0.0.1:0").map(drop)),
    ("connect_abstract", |host| {
        UnixStream::connect_addr(&SocketAddr::from_abstract_name(&host.name)?).map(drop)
    }),
    ("shmget", |_| done(call(libc::SYS_shmget, &[0, 4096, 0]))),
    ("msgget", |_| done(call(libc::SYS_msgget, &[0, 0]))),
    ("mq_open", |_| done(call(libc::SYS_mq_open, &[c"weir".as_ptr() as usize, 0, 0, 0]))),
    // Processes.
    ("fork", |_| process(libc::SYS_clone, &[libc::SIGCHLD as usize])),
    ("clone_thread", |_| {
        // Flags that do not go together, so that there is no thread in any case.
        done(call(libc::SYS_clone, &[libc::CLONE_THREAD as usize, 0, 0, 0, 0]))
    }),
    ("clone3", |_| {
        let mut arguments = [0_u64; 8];
        arguments[4] = libc::SIGCHLD as u64;
        process(libc::SYS_clone3, &[arguments.as_ptr() as usize, size_of_val(&arguments)])
    }),
    ("kill_host", |host| done(call(libc::SYS_kill, &[host.pid as usize, 0]))),
    ("kill_all", |_| done(call(libc::SYS_kill, &[usize::MAX, 0]))),
    ("kill_thread", |host| done(call(libc::SYS_tgkill, &[host.pid as usize, host.pid as usize, 0]))),
    ("signal_itself", |_| {
        let own = std::process::id() as usize;
        done(call(libc::SYS_tgkill, &[own, own, libc::SIGCONT as usize]))
    }),
    ("queue_signal", |host| done(call(libc::SYS_rt_sigqueueinfo, &[host.pid as usize, 0, 0]))),
    ("pidfd_open", |host| done(call(libc::SYS_pidfd_open, &[host.pid as usize, 0]))),
    ("prlimit64", |host| {
        let mut limit = [0_u64; 2];
        done(call(libc::SYS_prlimit64, &[host.pid as usize, 0, 0, limit.as_mut_ptr() as usize]))
    }),
    ("setpriority", |host| done(call(libc::SYS_setpriority, &[0, host.pid as usize, 0]))),
    ("sched_setaffinity", |_| done(call(libc::SYS_sched_setaffinity, &[0, 0, 0]))),
    ("getppid", |_| done(call(libc::SYS_getppid, &[]))),
    ("sigaction_of_others", |_| done(call(libc::SYS_rt_sigaction, &[libc::SIGXCPU as usize, 0, 0, 8]))),
    // Privileges.
    ("setuid", |_| done(call(libc::SYS_setuid, &[0]))),
    ("setresuid", |_| done(call(libc::SYS_setresuid, &[0, 0, 0]))),
    ("setgid", |_| done(call(libc::SYS_setgid, &[0]))),
    ("setgroups", |_| done(call(libc::SYS_setgroups, &[0, 0]))),
    ("capset", |_| {
        // Version 3, this thread; effective and permitted: CAP_SYS_ADMIN.
        let (header, sets) = ([0x2008_0522_u32, 0], [1_u32 << 21, 1 << 21, 0, 0, 0, 0]);
        done(call(libc::SYS_capset, &[header.as_ptr() as usize, sets.as_ptr() as usize]))
    }),
    ("prctl_dumpable", |_| done(call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as usize, 1, 0, 0, 0]))),
    ("prctl_capability", |_| {
        done(call(
            libc::SYS_prctl,
            &[libc::PR_CAP_AMBIENT as usize, libc::PR_CAP_AMBIENT_RAISE as usize, 21, 0, 0],
        ))
    }),
    ("seccomp", |_| done(call(libc::SYS_seccomp, &[libc::SECCOMP_GET_ACTION_AVAIL as usize, 0, 0]))),
    ("personality", |_| done(call(libc::SYS_personality, &[0xffff_ffff]))),
    ("unshare_user", |_| done(call(libc::SYS_unshare, &[libc::CLONE_NEWUSER as usize]))),
    ("unshare_mounts", |_| done(call(libc::SYS_unshare, &[libc::CLONE_NEWNS as usize]))),
    ("setns", |_| done(call(libc::SYS_setns, &[0, 0]))),
    ("mount", |_| {
        // Moves what is not there.
        let [from, to] = [c"/weir-none".as_ptr() as usize, c"/etc".as_ptr() as usize];
        done(call(libc::SYS_mount, &[from, to, 0, libc::MS_MOVE as usize, 0]))
    }),
    // What is not mounted.
    ("umount2", |_| done(call(libc::SYS_umount2, &[c"/etc/passwd".as_ptr() as usize, 0]))),
    ("chroot", |_| done(call(libc::SYS_chroot, &[c"/".as_ptr() as usize]))),
    ("pivot_root", |_| done(call(libc::SYS_pivot_root, &[0, 0]))),
    ("fsopen", |_| done(call(libc::SYS_fsopen, &[c"tmpfs".as_ptr() as usize, 0]))),
    ("open_tree", |_| done(call(libc::SYS_open_tree, &[HERE, c"/".as_ptr() as usize, 0]))),
    // Parts of the kernel that had exploits.
    ("perf_event_open", |_| {
        let mut attributes = [0_u32; 32];
        // A software event; the size of this structure; the processor's clock.
        attributes[..3].copy_from_slice(&[1, 128, 0]);
        done(call(libc::SYS_perf_event_open, &[attributes.as_ptr() as usize, 0, usize::MAX, usize::MAX, 0]))
    }),
    ("keyctl", |_| done(call(libc::SYS_keyctl, &[0, usize::MAX, 0, 0, 0]))),
    ("add_key", |_| {
        let user = c"user".as_ptr() as usize;
        done(call(libc::SYS_add_key, &[user, user, user, 4, usize::MAX - 1]))
    }),
    ("request_key", |_| done(call(libc::SYS_request_key, &[0, 0, 0, 0]))),
    ("io_uring_setup", |_| {
        let parameters = [0_u32; 30];
        done(call(libc::SYS_io_uring_setup, &[1, parameters.as_ptr() as usize]))
    }),
    ("userfaultfd", |_| done(call(libc::SYS_userfaultfd, &[1]))),
    ("init_module", |_| done(call(libc::SYS_init_module, &[0, 0, 0]))),
    ("kexec_load", |_| done(call(libc::SYS_kexec_load, &[0, 0, 0, 0xffff]))),
    ("syslog", |_| done(call(libc::SYS_syslog, &[10, 0, 0]))),
    ("quotactl", |_| done(call(libc::SYS_quotactl, &[0, 0, 0, 0]))),
    ("reboot", |_| done(call(libc::SYS_reboot, &[0, 0, 0, 0]))),
    ("memfd_secret", |_| done(call(libc::SYS_memfd_secret, &[0]))),
    ("futex_inherit", |_| {
        let word = 0_u32;
        done(call(libc::SYS_futex, &[&raw const word as usize, libc::FUTEX_TRYLOCK_PI as usize, 0, 0, 0, 0]))
    }),
    // Memory.
    ("map_executable", |_| {
        map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }),
    ("map_file_executable", |_| map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE, 3)),
    ("protect_write_and_execute", |_| protect(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC)),
    ("protect_execute", |_| protect(libc::PROT_EXEC)),
    ("madvise_poison", |_| done(call(libc::SYS_madvise, &[0, 0, libc::MADV_HWPOISON as usize]))),
    ("mremap_fixed", |_| {
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        done(call(libc::SYS_mremap, &[0, 4096, 4096, flags as usize, 4096]))
    }),
];

/// What gives the process's id by the numbers of other architectures, which this one's kernel may know.
#[cfg(target_arch = "x86_64")]
pub(crate) const FOREIGN: &[Attempt] = &[
    ("x32", |_| done(call(0x4000_0000 | libc::SYS_getpid, &[]))),
    ("i386", |_| {
        let mut _pid = 20_u64;
        // SAFETY: the call takes no arguments and touches no memory; what it may change is said.
        unsafe {
            std::arch::asm!(
                "int 0x80", inout("rax") _pid,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("rcx") _,
                options(nostack),
            );
        }
        Ok(())
    }),
];
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const FOREIGN: &[Attempt] = &[];

/// This seems not to exist.
pub(crate) const MISSING: &[Attempt] =
    &[("memfd_create", |_| done(call(libc::SYS_memfd_create, &[c"weir".as_ptr() as usize, 0])))];

pub(crate) fn all() -> impl Iterator<Item = &'static Attempt> {
    REFUSED.iter().chain(MISSING).chain(FATAL).chain(FOREIGN)
}
