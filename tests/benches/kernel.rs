//! Nanoseconds an event: Weir's kernel side, hand-written C and bpftrace, for the same jobs on the same
//! tracepoint, net of an empty program, as the kernel itself times programs.

mod peers;

use peers::{Bpftrace, Timing, attach, ids, statistics};
use weir_tests::events::{cpus, pin};

const CALLS: u64 = 400_000;
const ROUNDS: usize = 7;
/// getppid: nothing that could fail, and short.
const GETPPID: libc::c_long = 110;

struct Job {
    name: &'static str,
    c: &'static str,
    bpftrace: &'static str,
    weir: &'static str,
}

const JOBS: [Job; 3] = [
    Job {
        name: "count by pid",
        c: "by_pid",
        bpftrace: "tracepoint:raw_syscalls:sys_enter { @[pid] = count(); }",
        weir: r#"by = { pid = "pid" }
                 show = { calls = "count()" }"#,
    },
    Job {
        name: "count by comm",
        c: "by_comm",
        bpftrace: "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }",
        weir: r#"by = { comm = "comm" }
                 show = { calls = "count()" }"#,
    },
    Job {
        name: "histogram with a filter",
        c: "histogram",
        bpftrace: "tracepoint:raw_syscalls:sys_enter /args->id == 110/ { @ = hist(args->args[1]); }",
        weir: r#"where = "args.id == 110"
                 show = { values = "hist(args.args[1])" }"#,
    },
];

/// Nanoseconds an event of whatever `start` attaches, the least of some rounds.
fn measure<T>(start: impl FnOnce() -> T) -> f64 {
    let others = ids();
    let attached = start();
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let before = statistics(&others);
        for call in 0..CALLS {
            getppid(call);
        }
        let after = statistics(&others);
        let time = (after.0 - before.0).as_nanos() as f64;
        best = best.min(time / (after.1 - before.1).max(1) as f64);
    }
    drop(attached);
    best
}

#[allow(unsafe_code, reason = "arguments that no library passes to a call that has none")]
fn getppid(value: u64) {
    // SAFETY: the call takes no arguments and cannot fail.
    unsafe { libc::syscall(GETPPID, 0u64, value & 0xffff) };
}

fn main() {
    let _timing = Timing::start();
    pin(*cpus().last().expect("there is a CPU"));
    let c = |program: &'static str| {
        measure(|| {
            let mut c = peers::c();
            attach(&mut c, program);
            c
        })
    };
    let empty = c("empty");
    println!("ns an event, net of an empty program ({empty:.1} ns)\n");
    println!("| job | Weir | C | bpftrace | Weir / C | Weir / bpftrace |");
    println!("|---|---|---|---|---|---|");
    for job in &JOBS {
        let by_hand = c(job.c) - empty;
        let config = format!(
            "[tables.t]\non = \"tracepoint:raw_syscalls:sys_enter\"\ninclude_self = true\n{}",
            job.weir
        );
        let weir = measure(|| weir_tests::attach(&config)) - empty;
        let bpftrace = std::process::Command::new("bpftrace").arg("--version").output().is_ok();
        if bpftrace {
            let other = measure(|| Bpftrace::start(job.bpftrace)) - empty;
            let (to_c, to_bpftrace) = (weir / by_hand, weir / other);
            println!(
                "| {} | {weir:.1} | {by_hand:.1} | {other:.1} | {to_c:.2} | {to_bpftrace:.2} |",
                job.name
            );
        } else {
            println!("| {} | {weir:.1} | {by_hand:.1} | not here | {:.2} | |", job.name, weir / by_hand);
        }
    }
}
