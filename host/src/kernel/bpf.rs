//! The system calls bpf(2), perf_event_open(2) and ioctl(2) on perf events, as far as Weir needs them.
//!
//! They are made here and not through a library because one program is attached in ways that no library offers for
//! all kinds: with cookies, to many functions at once, with a semaphore. Each structure is the beginning of the
//! union of include/uapi/linux/bpf.h that its command uses; the kernel takes what is not there for zeros.
#![allow(unsafe_code, reason = "system calls, each with memory that it may read and write")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use aya_obj::generated::{bpf_func_info, bpf_insn, bpf_line_info, perf_event_attr};

/// Commands, of `enum bpf_cmd`.
mod command {
    pub(super) const MAP_CREATE: i32 = 0;
    pub(super) const MAP_UPDATE_ELEM: i32 = 2;
    pub(super) const PROG_LOAD: i32 = 5;
    pub(super) const OBJ_GET_INFO_BY_FD: i32 = 15;
    pub(super) const RAW_TRACEPOINT_OPEN: i32 = 17;
    pub(super) const BTF_LOAD: i32 = 18;
    pub(super) const LINK_CREATE: i32 = 28;
    pub(super) const ENABLE_STATS: i32 = 32;
}

/// What the verifier may say. What it says beyond is cut off at the beginning.
const LOG_BYTES: usize = 1 << 20;

fn bpf<T>(command: i32, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the kernel reads and writes the structure within its size; what it points to is valid, as each
    // caller sees to.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// As [`bpf`], for a command that answers with a new descriptor.
fn descriptor<T>(command: i32, attributes: &mut T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attributes)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn address<T: ?Sized>(of: &T) -> u64 {
    std::ptr::from_ref(of).cast::<u8>() as u64
}

/// A name as the kernel takes it, cut to what fits.
fn name(text: &str) -> [u8; 16] {
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().take(15).zip(text.bytes()) {
        *to = if from.is_ascii_alphanumeric() || from == b'_' || from == b'.' { from } else { b'_' };
    }
    name
}

/// The sizes of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapShape {
    pub(super) kind: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) entries: u32,
    pub(super) flags: u32,
}

pub(super) fn create_map(text: &str, shape: MapShape, inner: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        kind: u32,
        key_size: u32,
        value_size: u32,
        entries: u32,
        flags: u32,
        inner: u32,
        numa_node: u32,
        name: [u8; 16],
    }
    let MapShape { kind, key_size, value_size, entries, flags } = shape;
    let inner = inner.map_or(0, |inner| inner.as_raw_fd() as u32);
    let attributes =
        &mut Attributes { kind, key_size, value_size, entries, flags, inner, numa_node: 0, name: name(text) };
    descriptor(command::MAP_CREATE, attributes)
}

/// Puts a value into a map.
pub(super) fn update<K, V>(map: BorrowedFd<'_>, key: &K, value: &V) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        map: u32,
        _padding: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    let (map, key, value) = (map.as_raw_fd() as u32, address(key), address(value));
    bpf(command::MAP_UPDATE_ELEM, &mut Attributes { map, _padding: 0, key, value, flags: 0 }).map(drop)
}

/// Type information for programs.
pub(super) fn load_btf(bytes: &[u8]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        btf: u64,
        log: u64,
        size: u32,
        log_size: u32,
        log_level: u32,
        _padding: u32,
    }
    let attributes = &mut Attributes {
        btf: address(bytes),
        log: 0,
        size: bytes.len() as u32,
        log_size: 0,
        log_level: 0,
        _padding: 0,
    };
    descriptor(command::BTF_LOAD, attributes)
}

/// A program to be loaded.
#[derive(Debug)]
pub(super) struct Program<'a> {
    pub(super) name: &'a str,
    /// Of `enum bpf_prog_type`.
    pub(super) kind: u32,
    /// Of `enum bpf_attach_type`.
    pub(super) attach_type: u32,
    /// The kernel's own type to which it is attached.
    pub(super) attach_btf: u32,
    pub(super) instructions: &'a [bpf_insn],
    pub(super) license: &'a CStr,
    pub(super) types: Option<BorrowedFd<'a>>,
    pub(super) functions: &'a [bpf_func_info],
    pub(super) lines: &'a [bpf_line_info],
}

/// Why a program was not loaded, with what the verifier says.
#[derive(Debug)]
pub(super) struct NotLoaded {
    pub(super) error: io::Error,
    pub(super) log: String,
}

pub(super) fn load_program(program: &Program<'_>) -> Result<OwnedFd, NotLoaded> {
    // The verifier's log takes time, so it is asked for only after a refusal.
    load(program, &mut []).map_err(|error| {
        let mut log = vec![0; LOG_BYTES];
        let again = load(program, &mut log);
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        let log = String::from_utf8_lossy(&log[..end]).into_owned();
        NotLoaded { error: again.err().unwrap_or(error), log }
    })
}

fn load(program: &Program<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        kind: u32,
        instruction_count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        interface: u32,
        attach_type: u32,
        types: u32,
        function_size: u32,
        functions: u64,
        function_count: u32,
        line_size: u32,
        lines: u64,
        line_count: u32,
        attach_btf: u32,
    }
    let typed = program.types.is_some();
    let attributes = &mut Attributes {
        kind: program.kind,
        instruction_count: program.instructions.len() as u32,
        instructions: address(program.instructions),
        license: address(program.license),
        log_level: (!log.is_empty()).into(),
        log_size: log.len() as u32,
        log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kernel_version: 0,
        flags: 0,
        name: name(program.name),
        interface: 0,
        attach_type: program.attach_type,
        types: program.types.map_or(0, |types| types.as_raw_fd() as u32),
        function_size: if typed { size_of::<bpf_func_info>() as u32 } else { 0 },
        functions: address(program.functions),
        function_count: if typed { program.functions.len() as u32 } else { 0 },
        line_size: if typed { size_of::<bpf_line_info>() as u32 } else { 0 },
        lines: address(program.lines),
        line_count: if typed { program.lines.len() as u32 } else { 0 },
        attach_btf: program.attach_btf,
    };
    descriptor(command::PROG_LOAD, attributes)
}

/// Attaches to a raw tracepoint by its name, or, without one, where the program was loaded for.
pub(super) fn open_raw_tracepoint(program: BorrowedFd<'_>, tracepoint: Option<&CStr>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        name: u64,
        program: u32,
        _padding: u32,
    }
    let name = tracepoint.map_or(0, |name| name.as_ptr() as u64);
    let attributes = &mut Attributes { name, program: program.as_raw_fd() as u32, _padding: 0 };
    descriptor(command::RAW_TRACEPOINT_OPEN, attributes)
}

/// BPF_PERF_EVENT, BPF_TRACE_KPROBE_MULTI and BPF_TRACE_UPROBE_MULTI, of `enum bpf_attach_type`.
const PERF_EVENT: u32 = 41;
pub(super) const KPROBE_MULTI: u32 = 42;
pub(super) const UPROBE_MULTI: u32 = 48;

/// Makes a link; what each kind of them takes comes behind what all have.
fn link<T>(program: BorrowedFd<'_>, target: u32, attach_type: u32, more: T) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes<T> {
        program: u32,
        target: u32,
        attach_type: u32,
        flags: u32,
        more: T,
    }
    let program = program.as_raw_fd() as u32;
    descriptor(command::LINK_CREATE, &mut Attributes { program, target, attach_type, flags: 0, more })
}

/// Attaches to a perf event. The program can ask for the cookie.
pub(super) fn link_perf_event(
    program: BorrowedFd<'_>,
    event: BorrowedFd<'_>,
    cookie: u64,
) -> io::Result<OwnedFd> {
    link(program, event.as_raw_fd() as u32, PERF_EVENT, cookie)
}

/// Attaches to many functions at once, each with its cookie (Linux 5.18).
pub(super) fn link_kprobes(
    program: BorrowedFd<'_>,
    functions: &[&CStr],
    cookies: &[u64],
    at_return: bool,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Kprobes {
        flags: u32,
        count: u32,
        symbols: u64,
        addresses: u64,
        cookies: u64,
    }
    let pointers: Vec<u64> = functions.iter().map(|name| name.as_ptr() as u64).collect();
    let kprobes = Kprobes {
        flags: at_return.into(),
        count: functions.len().min(cookies.len()) as u32,
        symbols: address(&pointers[..]),
        addresses: 0,
        cookies: address(cookies),
    };
    link(program, 0, KPROBE_MULTI, kprobes)
}

/// A place in a program's file: its offset, that of the counter of those who listen (0 if there is none), and the cookie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) counter: u64,
    pub(super) cookie: u64,
}

/// Attaches to places in a program's file (Linux 6.6), in one process or in all.
pub(super) fn link_uprobes(
    program: BorrowedFd<'_>,
    file: &CStr,
    places: &[Place],
    (at_return, pid): (bool, Option<u32>),
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Uprobes {
        path: u64,
        offsets: u64,
        counters: u64,
        cookies: u64,
        count: u32,
        flags: u32,
        pid: u32,
        _padding: u32,
    }
    let all = |of: fn(&Place) -> u64| places.iter().map(of).collect::<Vec<u64>>();
    let (offsets, counters, cookies) =
        (all(|place| place.offset), all(|place| place.counter), all(|place| place.cookie));
    let uprobes = Uprobes {
        path: file.as_ptr() as u64,
        offsets: address(&offsets[..]),
        counters: address(&counters[..]),
        cookies: address(&cookies[..]),
        count: places.len() as u32,
        flags: at_return.into(),
        pid: pid.unwrap_or(0),
        _padding: 0,
    };
    link(program, 0, UPROBE_MULTI, uprobes)
}

/// What the kernel says of a descriptor of its own, as far as it fits.
pub(super) fn information(fd: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        fd: u32,
        length: u32,
        into: u64,
    }
    let attributes = &mut Attributes {
        fd: fd.as_raw_fd() as u32,
        length: into.len() as u32,
        into: into.as_mut_ptr() as u64,
    };
    bpf(command::OBJ_GET_INFO_BY_FD, attributes).map(drop)
}

/// Has the kernel count and time the runs of programs, for as long as the descriptor is open.
pub(super) fn enable_statistics() -> io::Result<OwnedFd> {
    // BPF_STATS_RUN_TIME.
    let mut kind = 0u32;
    descriptor(command::ENABLE_STATS, &mut kind)
}

/// Whose events, and where.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope {
    Cpu(u32),
    Process(u32),
}

/// PERF_FLAG_FD_CLOEXEC.
const FD_CLOEXEC: u64 = 1 << 3;

/// A perf event of which nothing is said yet.
pub(super) fn blank_event() -> perf_event_attr {
    // SAFETY: the structure has integers and unions of integers only, for which zeros are valid.
    unsafe { std::mem::zeroed() }
}

/// Opens a perf event.
pub(super) fn open_event(attributes: &mut perf_event_attr, scope: Scope) -> io::Result<OwnedFd> {
    attributes.size = size_of::<perf_event_attr>() as u32;
    let (pid, cpu) = match scope {
        Scope::Cpu(cpu) => (-1, cpu as i32),
        Scope::Process(pid) => (pid as i32, -1),
    };
    // SAFETY: the structure has the size that it says; the strings to which it may point outlive the call, as
    // each caller sees to.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, std::ptr::from_mut(attributes), pid, cpu, -1, FD_CLOEXEC)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Lets an event count that was opened disabled.
pub(super) fn enable_event(event: impl AsFd) -> io::Result<()> {
    // PERF_EVENT_IOC_ENABLE, `_IO('$', 0)`.
    const ENABLE: libc::Ioctl = 0x2400;
    // SAFETY: the request takes no memory.
    let result = unsafe { libc::ioctl(event.as_fd().as_raw_fd(), ENABLE, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// PERF_FORMAT_TOTAL_TIME_ENABLED: for how long an event was enabled can be read after its count.
pub(super) const TIME_ENABLED: u64 = 1;

/// Nanoseconds for which an event was enabled that was opened for [`TIME_ENABLED`].
pub(super) fn time_enabled(event: BorrowedFd<'_>) -> io::Result<u64> {
    // The count, and the time.
    let mut read = [[0; 8]; 2];
    let length = rustix::io::read(event, read.as_flattened_mut())?;
    Ok(if length == 16 { u64::from_ne_bytes(read[1]) } else { 0 })
}
