//! What a process can still do that is locked down as the sandbox, the compiler and the symbolizer are: this binary again, which
//! gives up what they give up and then makes the attempts of an exploit.
#![allow(unsafe_code)] // A fault.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use command_fds::{CommandFdExt, FdMapping};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use weir::sandbox::{Locked, lock_down};

use crate::attempts::{FATAL, FOREIGN, Host, MISSING, REFUSED, all, call, protect};
use crate::support::PATIENCE;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("what_is_not_listed_is_refused", what_is_not_listed_is_refused),
    ("what_is_fatal_ends_the_process", what_is_fatal_ends_the_process),
    ("other_numbers_are_refused", other_numbers_are_refused),
    ("all_threads_are_refused", all_threads_are_refused),
    ("what_is_needed_is_allowed", what_is_needed_is_allowed),
    ("the_symbolizer_needs_less", the_symbolizer_needs_less),
    ("files_are_written_by_the_compiler_only", files_are_written_by_the_compiler_only),
    ("nothing_is_open_but_what_was_handed_over", nothing_is_open_but_what_was_handed_over),
    ("much_is_refused_without_the_filter", much_is_refused_without_the_filter),
    ("the_attempts_are_real", the_attempts_are_real),
    ("a_fault_ends_the_process", a_fault_ends_the_process),
    ("an_abort_ends_the_process", an_abort_ends_the_process),
    ("a_thread_can_end", a_thread_can_end),
];

/// The first argument of this binary when it is to make attempts.
const ROLE: &str = "test:attempts";
/// How far it goes first, by name.
const STAGES: [(&str, Option<Locked>); 5] = [
    ("free", None),
    ("unfiltered", Some(Locked::Unfiltered)),
    ("run", Some(Locked::Run)),
    ("compile", Some(Locked::Compile)),
    ("symbolize", Some(Locked::Symbolize)),
];
const FILTERED: [&str; 3] = ["run", "compile", "symbolize"];
/// Those with Wasmtime and a second thread.
const THREADED: [&str; 2] = ["run", "compile"];

// In the process that makes attempts.

/// Makes attempts, if this process was started for that.
pub(crate) fn enter_if_asked() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, stage, uid, port, name, what] = &arguments[..] else { return false };
    if role != ROLE {
        return false;
    }
    let pid = rustix::process::getppid().unwrap().as_raw_nonzero().get();
    let host = Host { pid, port: port.parse().unwrap(), name: name.clone() };
    let (ask, asked) = mpsc::channel::<()>();
    let (answer, answered) = mpsc::channel();
    let beside = move || {
        while asked.recv().is_ok() {
            answer.send(code(&socket())).unwrap();
        }
    };
    let locked = STAGES.iter().find(|(name, _)| name == stage).unwrap().1;
    // Held as long as the process lives, as the sandbox holds its channel.
    let _files = locked.map(|locked| lock_down(locked, uid.parse().ok(), 1, beside).unwrap());
    match what.as_str() {
        "descriptors" => {
            let mut space = [0_u64; 32];
            let mut open = |fd: usize| call(libc::SYS_fstat, &[fd, space.as_mut_ptr() as usize]).is_ok();
            (0..1024).filter(|fd| open(*fd)).for_each(|fd| say(&fd.to_string(), 0));
        }
        "needed" => NEEDED.iter().for_each(|(name, need)| say(name, code(&need()))),
        "thread" => {
            ask.send(()).unwrap();
            say("socket", answered.recv().unwrap());
        }
        "end_thread" => {
            drop(ask);
            say("ended", 0);
            let channel = channel();
            // Until the test hangs up.
            let mut host = [rustix::event::PollFd::new(&channel, rustix::event::PollFlags::empty())];
            rustix::event::poll(&mut host, None).unwrap();
        }
        "map" => say("map", code(&map_writable())),
        // SAFETY: it is not: nothing is mapped there, and the process ends, which is what is tested.
        "fault" => drop(unsafe { std::ptr::read_volatile(std::hint::black_box(64 as *const u8)) }),
        "abort" => std::process::abort(),
        one => {
            let chosen = all().filter(|(name, _)| one == *name || one == "all" && !alone(name));
            chosen.for_each(|(name, attempt)| say(name, code(&attempt(&host))));
        }
    }
    true
}

/// To be made in a process that makes no other.
fn alone(name: &str) -> bool {
    FATAL.iter().chain(FOREIGN).any(|(alone, _)| name == *alone)
}

fn code(result: &io::Result<()>) -> i32 {
    result.as_ref().map_or_else(|error| error.raw_os_error().unwrap_or(-1), |()| 0)
}

fn channel() -> BorrowedFd<'static> {
    // SAFETY: the first descriptor after the standard streams is the channel, and is never closed.
    unsafe { BorrowedFd::borrow_raw(3) }
}

/// To the test, by the only way out that is left.
fn say(name: &str, code: i32) {
    let packet = format!("{name} {code}");
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::send(channel(), packet.as_bytes(), flags).unwrap();
}

fn socket() -> io::Result<()> {
    call(libc::SYS_socket, &[libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0]).map(drop)
}

/// Maps the channel for writing, which is no file that can be mapped.
fn map_writable() -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    call(libc::SYS_mmap, &[0, 4096, protection as usize, libc::MAP_SHARED as usize, 3, 0]).map(drop)
}

type Need = (&'static str, fn() -> io::Result<()>);

/// What the processes do in the course of their work, also where this machine or this run of the tests do not make
/// them.
const NEEDED: &[Need] = &[
    ("clock_realtime", || clock(libc::CLOCK_REALTIME)),
    ("clock_monotonic", || clock(libc::CLOCK_MONOTONIC)),
    ("clock_thread", || clock(libc::CLOCK_THREAD_CPUTIME_ID)),
    // As the kernel numbers the clocks of threads.
    ("clock_first_thread", || clock(!rustix::process::getpid().as_raw_nonzero().get() << 3 | 6)),
    ("getrandom", || {
        let mut seed = 0_u64;
        call(libc::SYS_getrandom, &[&raw mut seed as usize, 8, 1]).map(drop)
    }),
    ("memory", || {
        let (fresh, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let page = call(libc::SYS_mmap, &[0, 4096, fresh as usize, flags as usize, usize::MAX, 0])?;
        let pages = call(libc::SYS_mremap, &[page, 4096, 8192, libc::MREMAP_MAYMOVE as usize])?;
        call(libc::SYS_madvise, &[pages, 8192, libc::MADV_DONTNEED as usize])?;
        call(libc::SYS_munmap, &[pages, 8192])?;
        call(libc::SYS_brk, &[0]).map(drop)
    }),
    ("protect_none", || protect(libc::PROT_NONE)),
    ("protect_write", || protect(libc::PROT_READ | libc::PROT_WRITE)),
    ("protect_execute", || protect(libc::PROT_READ | libc::PROT_EXEC)),
    ("threads", || {
        let lock = std::sync::Mutex::new(());
        drop(lock.lock());
        let word = 1_u32;
        let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // The word is another by now.
        match call(libc::SYS_futex, &[&raw const word as usize, wait as usize, 0, 0, 0, 0]) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(()),
            other => other.map(drop),
        }
    }),
];

fn clock(clock: i32) -> io::Result<()> {
    let mut time = [0_u64; 2];
    call(libc::SYS_clock_gettime, &[clock as usize, time.as_mut_ptr() as usize]).map(drop)
}

// In the test.

/// What came of attempts: the error's number, or 0, by name; and how the process ended.
struct Outcome {
    said: BTreeMap<String, i32>,
    status: ExitStatus,
}

fn attempt(stage: &str, what: &str) -> Outcome {
    let mut attempts = Attempts::start(stage, what);
    let mut said = BTreeMap::new();
    while let Some((name, code)) = attempts.said() {
        said.insert(name, code);
    }
    Outcome { said, status: attempts.process.wait().unwrap() }
}

/// The process that makes attempts, and what it makes them on.
struct Attempts {
    process: Child,
    channel: OwnedFd,
    _listens: (std::net::TcpListener, UnixListener),
}

impl Attempts {
    fn start(stage: &str, what: &str) -> Self {
        let listens = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("weir-test-{}-{}", std::process::id(), listens.local_addr().unwrap().port());
        let listens_too = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        // What a careless host could leak.
        let leak = io::pipe().unwrap();
        rustix::io::fcntl_setfd(&leak.0, rustix::io::FdFlags::empty()).unwrap();
        let (channel, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let uid = if rustix::process::geteuid().is_root() { "61184" } else { "" };
        let mut command = Command::new("/proc/self/exe");
        command.args([ROLE, stage, uid, &listens.local_addr().unwrap().port().to_string(), &name, what]);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.fd_mappings(vec![FdMapping { parent_fd: theirs, child_fd: 3 }]).unwrap();
        Self { process: command.spawn().unwrap(), channel, _listens: (listens, listens_too) }
    }

    /// The next thing that it says; none when it is gone.
    fn said(&mut self) -> Option<(String, i32)> {
        let mut fds = [rustix::event::PollFd::new(&self.channel, rustix::event::PollFlags::IN)];
        let timeout = rustix::event::Timespec::try_from(PATIENCE).unwrap();
        assert_eq!(rustix::event::poll(&mut fds, Some(&timeout)).unwrap(), 1, "it neither speaks nor ends");
        let mut packet = [0; 256];
        let packet = match rustix::net::recv(&self.channel, &mut packet, RecvFlags::empty()) {
            Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => return None,
            other => std::str::from_utf8(&packet[..other.unwrap().0]).unwrap(),
        };
        let (name, code) = packet.split_once(' ').unwrap();
        Some((name.to_owned(), code.parse().unwrap()))
    }
}

impl Drop for Attempts {
    fn drop(&mut self) {
        // Neither fails for a process that has ended and been waited for.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn what_is_not_listed_is_refused() {
    for stage in FILTERED {
        let Outcome { said, status } = attempt(stage, "all");
        assert!(status.success(), "{status}");
        assert_eq!(said.len(), REFUSED.len() + MISSING.len());
        for (name, _) in REFUSED {
            assert_eq!(said[*name], libc::EPERM, "{name} to {stage}");
        }
        for (name, _) in MISSING {
            assert_eq!(said[*name], libc::ENOSYS, "{name} to {stage}");
        }
    }
}

fn what_is_fatal_ends_the_process() {
    for stage in FILTERED {
        for (name, _) in FATAL {
            let Outcome { said, status } = attempt(stage, name);
            assert!(said.is_empty(), "{name} to {stage}: {said:?}");
            assert_eq!(status.signal(), Some(libc::SIGSYS), "{name} to {stage}");
        }
    }
}

/// The numbers of other architectures, by which a call could be made past a list of this one's.
fn other_numbers_are_refused() {
    for stage in FILTERED {
        for (name, _) in FOREIGN {
            let Outcome { said, status } = attempt(stage, name);
            match said.get(*name) {
                Some(code) => assert_eq!(*code, libc::EPERM, "{name} to {stage}"),
                // SIGSEGV: this kernel knows them not at all.
                None => assert!([Some(libc::SIGSYS), Some(libc::SIGSEGV)].contains(&status.signal())),
            }
        }
    }
}

/// Also the one that was there before the filter.
fn all_threads_are_refused() {
    for stage in THREADED {
        assert_eq!(attempt(stage, "thread").said["socket"], libc::EPERM, "to {stage}");
    }
    assert_eq!(attempt("unfiltered", "thread").said["socket"], 0);
}

fn what_is_needed_is_allowed() {
    for stage in THREADED {
        let Outcome { said, status } = attempt(stage, "needed");
        assert!(status.success(), "{status}");
        assert_eq!(said.len(), NEEDED.len());
        assert!(said.values().all(|code| *code == 0), "to {stage}: {said:?}");
    }
}

/// Of what the others do in the course of their work.
fn the_symbolizer_needs_less() {
    let Outcome { said, status } = attempt("symbolize", "needed");
    assert!(status.success(), "{status}");
    assert_eq!(said.len(), NEEDED.len());
    for (name, code) in said {
        assert_eq!(code, if name == "getrandom" { 0 } else { libc::EPERM }, "{name}");
    }
}

fn files_are_written_by_the_compiler_only() {
    assert_eq!(attempt("run", "map").said["map"], libc::EPERM);
    assert_eq!(attempt("symbolize", "map").said["map"], libc::EPERM);
    assert_eq!(attempt("compile", "map").said["map"], libc::ENODEV);
}

fn nothing_is_open_but_what_was_handed_over() {
    let open = |stage| attempt(stage, "descriptors").said.into_keys().collect::<Vec<_>>();
    for stage in ["unfiltered", "run", "compile", "symbolize"] {
        assert_eq!(open(stage), ["0", "1", "2", "3"], "{stage}");
    }
    assert!(open("free").len() > 4, "the test leaks nothing");
}

/// What the filter refuses first is refused again by what is behind it: landlock, and the lack of privileges.
fn much_is_refused_without_the_filter() {
    let refused = |names: &[&str]| {
        for name in names {
            // Each in a process of its own, for what goes well takes descriptors, of which there are few.
            let code = attempt("unfiltered", name).said[*name];
            // Or the kernel was built without.
            let fine = [libc::EPERM, libc::EACCES, libc::ENOSYS].contains(&code);
            assert!(fine, "{name}: {code}");
        }
    };
    let landlock = call(libc::SYS_landlock_create_ruleset, &[0, 0, 1]).unwrap_or(0);
    if landlock >= 1 {
        refused(&["open_read", "open_write", "open_device", "open_folder", "openat2", "execve", "execveat"]);
    }
    if landlock >= 4 {
        refused(&["connect_tcp", "bind_tcp"]);
    }
    if landlock >= 6 {
        refused(&["kill_host", "kill_thread", "connect_abstract"]);
    }
    refused(&["ptrace", "process_vm_readv", "open_host_memory", "open_host_environment"]);
    refused(&["open_by_handle_at", "mount", "umount2", "chroot", "unshare_mounts", "socket_packet"]);
    refused(&["setuid", "setresuid", "setgid", "setgroups", "capset", "prctl_capability"]);
    refused(&["init_module", "kexec_load"]);
}

/// Attempts that need no privileges go well in a process that is not locked down.
fn the_attempts_are_real() {
    let Outcome { said, status } = attempt("free", "all");
    assert!(status.success(), "{status}");
    let real = ["open_read", "open_write", "open_device", "open_folder", "openat2", "newfstatat", "chdir"];
    let real = real.into_iter().chain(["read", "write", "dup", "fcntl_dup", "pipe2", "epoll_create1"]);
    let real = real.chain(["eventfd2", "inotify_init1", "socket_tcp", "socket_unix", "socket_netlink"]);
    let real =
        real.chain(["connect_tcp", "bind_tcp", "connect_abstract", "fork", "kill_host", "kill_thread"]);
    let real = real.chain(["signal_itself", "pidfd_open", "prlimit64", "getppid", "sigaction_of_others"]);
    let real = real.chain(["prctl_dumpable", "personality", "futex_inherit", "map_executable"]);
    let real = real.chain(["protect_write_and_execute", "protect_execute", "memfd_create"]);
    for name in real {
        assert_eq!(said[name], 0, "{name}");
    }
    // The others get as far as looking at their arguments, or at privileges that only some have.
    let hidden = said.iter().filter(|(_, code)| **code == libc::ENOSYS).count();
    assert!(hidden < 5, "{said:?}");
    for name in ["execve", "execveat"] {
        let Outcome { said, status } = attempt("free", name);
        assert!(said.is_empty() && status.success(), "{name}: {said:?} {status}");
    }
}

fn a_fault_ends_the_process() {
    for stage in FILTERED {
        assert_eq!(attempt(stage, "fault").status.signal(), Some(libc::SIGSEGV), "in {stage}");
    }
}

/// And is told from other ends, for the host says that there was no memory left.
fn an_abort_ends_the_process() {
    for stage in FILTERED {
        assert_eq!(attempt(stage, "abort").status.signal(), Some(libc::SIGABRT), "in {stage}");
    }
}

/// Which it does by one more system call, after everything of it is gone.
fn a_thread_can_end() {
    for stage in THREADED {
        let mut attempts = Attempts::start(stage, "end_thread");
        assert_eq!(attempts.said().unwrap().0, "ended");
        let tasks = format!("/proc/{}/task", attempts.process.id());
        let until = Instant::now() + PATIENCE;
        while std::fs::read_dir(&tasks).unwrap().count() > 1 {
            assert!(Instant::now() < until, "it does not end in {stage}");
            std::thread::yield_now();
        }
        rustix::net::shutdown(&attempts.channel, rustix::net::Shutdown::Both).unwrap();
        assert!(attempts.process.wait().unwrap().success());
    }
}
