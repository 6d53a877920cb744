//! Nanoseconds an event: Weir's kernel side, hand-written C and bpftrace, for the same jobs on the same
//! tracepoint, net of an empty program, as the kernel itself times programs.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at once if it cannot measure"
)]

mod peers;

use peers::{Bpftrace, Timing, attach, ids, statistics};
use weir_tests::events::{cpus, pin};

const CALLS: u64 = 400_000;
const ROUNDS: usize = 25;
/// How often bpftrace has its turn, for it takes seconds to start.
const BPFTRACE_ROUNDS: usize = 5;
/// getppid: nothing that could fail, and short.
const GETPPID: libc::c_long = 110;

struct Job {
    name: &'static str,
    /// One program, or the two of a span.
    c: &'static [(&'static str, &'static str)],
    bpftrace: &'static str,
    weir: &'static str,
}

const ENTER: &str = "sys_enter";
const EXIT: &str = "sys_exit";

const JOBS: [Job; 6] = [
    Job {
        name: "count by pid",
        c: &[("by_pid", ENTER)],
        bpftrace: "tracepoint:raw_syscalls:sys_enter { @[pid] = count(); }",
        weir: r#"by = { pid = "pid" }
                 show = { calls = "count()" }"#,
    },
    Job {
        name: "count by comm",
        c: &[("by_comm", ENTER)],
        bpftrace: "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }",
        weir: r#"by = { comm = "comm" }
                 show = { calls = "count()" }"#,
    },
    Job {
        name: "histogram with a filter; C with an array of slots",
        c: &[("histogram", ENTER)],
        bpftrace: "tracepoint:raw_syscalls:sys_enter /args->id == 110/ { @ = hist(args->args[1]); }",
        weir: r#"where = "args.id == 110"
                 show = { values = "hist(args.args[1])" }"#,
    },
    Job {
        name: "histogram with a filter; C with a hash of buckets",
        c: &[("histogram_by_hash", ENTER)],
        bpftrace: "tracepoint:raw_syscalls:sys_enter /args->id == 110/ { @ = hist(args->args[1]); }",
        weir: r#"where = "args.id == 110"
                 show = { values = "hist(args.args[1])" }"#,
    },
    Job {
        name: "a span, by thread, as a histogram (a run of either program)",
        c: &[("span_start", ENTER), ("span_end", EXIT)],
        bpftrace: "tracepoint:raw_syscalls:sys_enter { @s[tid] = nsecs; } \
                   tracepoint:raw_syscalls:sys_exit /@s[tid]/ { @ = hist(nsecs - @s[tid]); delete(@s[tid]); }",
        weir: r#"from = "tracepoint:raw_syscalls:sys_enter"
                 to = "tracepoint:raw_syscalls:sys_exit"
                 show = { time = "hist(elapsed)" }"#,
    },
    Job {
        name: "count by kernel stack",
        c: &[("by_stack", ENTER)],
        bpftrace: "tracepoint:raw_syscalls:sys_enter { @[kstack] = count(); }",
        weir: r#"by = { stack = "kstack" }
                 show = { calls = "count()" }"#,
    },
];

/// Nanoseconds an event of whatever `start` attaches.
fn measure<T>(start: impl FnOnce() -> T) -> f64 {
    let others = ids();
    let attached = start();
    (0..CALLS / 10).for_each(getppid);
    let before = statistics(&others);
    (0..CALLS).for_each(getppid);
    let after = statistics(&others);
    drop(attached);
    (after.0 - before.0).as_nanos() as f64 / (after.1 - before.1).max(1) as f64
}

fn c(programs: &[(&str, &str)]) -> f64 {
    measure(|| {
        let mut c = peers::c();
        programs.iter().for_each(|(program, tracepoint)| attach(&mut c, program, tracepoint));
        c
    })
}

#[allow(unsafe_code, reason = "arguments that no library passes to a call that has none")]
fn getppid(value: u64) {
    // SAFETY: the call takes no arguments and cannot fail.
    unsafe { libc::syscall(GETPPID, 0u64, value & 0xffff) };
}

fn main() {
    let _timing = Timing::start();
    pin(*cpus().last().expect("there is a CPU"));
    let bpftrace = std::process::Command::new("bpftrace").arg("--version").output().is_ok();
    println!("ns an event, net of an empty program, the least of {ROUNDS} rounds in turn\n");
    println!("| job | empty | Weir | C | bpftrace | Weir / C | Weir / bpftrace |");
    println!("|---|---|---|---|---|---|---|");
    for job in &JOBS {
        let on = if job.weir.contains("from") { "" } else { "on = \"tracepoint:raw_syscalls:sys_enter\"" };
        let config = format!("[tables.t]\n{on}\ninclude_self = true\n{}", job.weir);
        let mut best = [f64::MAX; 4];
        for round in 0..ROUNDS {
            let other = if bpftrace && round < BPFTRACE_ROUNDS {
                measure(|| Bpftrace::start(job.bpftrace))
            } else {
                f64::NAN
            };
            let round = [c(&[("empty", ENTER)]), measure(|| weir_tests::attach(&config)), c(job.c), other];
            best = std::array::from_fn(|index| best[index].min(round[index]));
        }
        let [empty, weir, by_hand, other] = best;
        let [weir, by_hand, other] = [weir, by_hand, other].map(|total| total - empty);
        let (to_c, to_bpftrace) = (weir / by_hand, weir / other);
        let name = job.name;
        println!(
            "| {name} | {empty:.1} | {weir:.1} | {by_hand:.1} | {other:.1} | {to_c:.2} | {to_bpftrace:.2} |"
        );
    }
}
