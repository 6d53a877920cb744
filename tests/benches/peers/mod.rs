//! What Weir is measured against: hand-written C, loaded through aya, and bpftrace.
#![allow(dead_code, reason = "each benchmark is a program of its own and uses what it needs")]
#![allow(unsafe_code, reason = "the batched look-up that the benchmark compares with has no library here")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::programs::{ProgramInfo, TracePoint, loaded_programs};
use aya_obj::generated::bpf_prog_type;

const TRACEPOINT: bpf_prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACEPOINT;
const PATIENCE: Duration = Duration::from_secs(20);

/// The hand-written programs, compiled with the C compiler that is there.
pub(crate) fn c() -> Ebpf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/peers.bpf.c");
    let object = std::env::temp_dir().join(format!("weir-peers-{}.o", std::process::id()));
    let clang =
        ["clang-22", "clang"].into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    let status = Command::new(clang.expect("the benchmark needs clang"))
        .args(["-O2", "-g", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu", "-c"])
        .arg(&source)
        .arg("-o")
        .arg(&object)
        .status()
        .expect("clang runs");
    assert!(status.success(), "{} does not compile", source.display());
    let loaded = Ebpf::load_file(&object).expect("the C programs load");
    std::fs::remove_file(object).expect("the object was there");
    loaded
}

/// Attaches one of the C programs to a tracepoint of system calls, which stays so for as long as the rest.
pub(crate) fn attach(c: &mut Ebpf, program: &str, tracepoint: &str) {
    let program: &mut TracePoint = c.program_mut(program).expect("it is there").try_into().expect("its kind");
    program.load().expect("the verifier takes it");
    program.attach("raw_syscalls", tracepoint).expect("it attaches");
}

/// bpftrace with one probe, running.
pub(crate) struct Bpftrace(Child);

impl Bpftrace {
    /// `None` if this machine has no bpftrace.
    pub(crate) fn start(script: &str) -> Option<Self> {
        let before = ids();
        let child = Command::new("bpftrace").args(["-e", script]).stdout(Stdio::null()).spawn().ok()?;
        let start = Instant::now();
        // Its program is loaded when there is one more than before.
        while ids().difference(&before).next().is_none() {
            assert!(start.elapsed() < PATIENCE, "bpftrace does not attach");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self(child))
    }
}

impl Drop for Bpftrace {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The ids of all loaded programs of the kind that the benchmark compares.
pub(crate) fn ids() -> BTreeSet<u32> {
    programs().map(|program| program.id()).collect()
}

fn programs() -> impl Iterator<Item = ProgramInfo> {
    loaded_programs().filter_map(Result::ok).filter(|program| program.program_type() == TRACEPOINT)
}

/// Time and runs so far of the programs that are not among `others`.
pub(crate) fn statistics(others: &BTreeSet<u32>) -> (Duration, u64) {
    programs()
        .filter(|program| !others.contains(&program.id()))
        .fold((Duration::ZERO, 0), |(time, runs), program| {
            (time + program.run_time(), runs + program.run_count())
        })
}

/// Reads all of a per-CPU map of 8-byte keys and values by BPF_MAP_LOOKUP_BATCH, and adds up what it finds.
/// How many keys there were, and their sum.
pub(crate) fn lookup_batch(map: std::os::fd::BorrowedFd<'_>, cpus: usize, most: usize) -> (usize, u64) {
    use std::os::fd::AsRawFd;
    const BPF_MAP_LOOKUP_BATCH: i64 = 24;
    #[repr(C)]
    struct Batch {
        in_batch: u64,
        out_batch: u64,
        keys: u64,
        values: u64,
        count: u32,
        map_fd: u32,
        elem_flags: u64,
        flags: u64,
    }
    let (mut keys, mut values) = (vec![0u64; most], vec![0u64; most * cpus]);
    let (mut token, mut found) = (0u32, 0);
    let mut first = true;
    loop {
        let mut batch = Batch {
            in_batch: if first { 0 } else { (&raw const token) as u64 },
            out_batch: (&raw mut token) as u64,
            keys: (&raw mut keys[found]) as u64,
            values: (&raw mut values[found * cpus]) as u64,
            count: (most - found) as u32,
            map_fd: map.as_raw_fd() as u32,
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: every pointer is to memory of the size that the call's `count` allows it to write.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_BATCH, &raw mut batch, size_of::<Batch>()) };
        let end = result < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOENT);
        assert!(result == 0 || end, "BPF_MAP_LOOKUP_BATCH: {}", std::io::Error::last_os_error());
        found += batch.count as usize;
        first = false;
        if end || found == most {
            return (found, values[..found * cpus].iter().sum());
        }
    }
}

/// The kernel's own timing of programs, on for as long as this lives.
pub(crate) struct Timing(#[allow(dead_code, reason = "held for its drop")] std::os::fd::OwnedFd);

impl Timing {
    pub(crate) fn start() -> Self {
        Self(aya::sys::enable_stats(aya::sys::Stats::RunTime).expect("the kernel times programs"))
    }
}
