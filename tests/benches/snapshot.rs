//! From the end of an interval to a plugin's answer: nanoseconds a key of reading a table, beside the ways that
//! system calls offer, and milliseconds until a plugin has answered.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at once if it cannot measure"
)]

mod peers;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use aya::maps::{Map, PerCpuHashMap};
use peers::{attach, lookup_batch};
use weir::kernel::{Tables, Timing};
use weir::sandbox::{Plugin, Sandbox};
use weir_tests::events::{NOWHERE, call, cpus, on_cpu};

const SIZES: [u64; 2] = [10_000, 100_000];
const ROUNDS: usize = 9;

fn main() -> std::process::ExitCode {
    // The sandbox is this program, started again.
    if let Some(code) = weir::sandbox::enter_if_asked() {
        return code;
    }
    println!("reading a table, median of {ROUNDS}, ns a key\n");
    println!(
        "| keys | Weir: merge and zero | first time, with its rows | rows of known keys | LOOKUP_BATCH | aya's iterator | LOOKUP_BATCH / Weir |"
    );
    println!("|---|---|---|---|---|---|---|");
    for keys in SIZES {
        read(keys);
    }
    println!("\nfrom the end of an interval to the answer of `top`, median of {ROUNDS}, ms\n");
    println!("| keys | wait | from the wait's end to the answer | of it in the host |");
    println!("|---|---|---|---|");
    for keys in SIZES {
        answer(keys);
    }
    std::process::ExitCode::SUCCESS
}

fn table(keys: u64) -> Tables {
    weir_tests::attach(&format!(
        "[tables.ids]\non = \"tp_btf:sys_enter\"\nwhere = \"args.id >= {NOWHERE}\"\nby = {{ id = \"args.id\" }}\nshow = {{ n = \"count()\" }}\nkeys = {keys}"
    ))
}

/// Every key once from each CPU.
fn fill(keys: u64) {
    for cpu in cpus() {
        on_cpu(cpu, || (0..keys).for_each(call));
    }
}

fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("times compare"));
    values[values.len() / 2]
}

fn read(keys: u64) {
    let nanoseconds = |time: Duration| time.as_nanos() as f64 / keys as f64;
    let mut tables = table(keys);
    let mut close = || -> Timing {
        fill(keys);
        let snapshot = &tables.close().expect("the interval closes")[0];
        assert_eq!(snapshot.rows.num_rows() as u64, keys);
        tables.timing()
    };
    let first = close();
    let times: Vec<Timing> = (0..ROUNDS).map(|_| close()).collect();
    let merge = nanoseconds(median(times.iter().map(|timing| timing.merge).collect()));
    let rows = nanoseconds(median(times.iter().map(|timing| timing.rows).collect()));
    drop(tables);

    let mut c = peers::c();
    attach(&mut c, "by_id", "sys_enter");
    fill(keys);
    let map = c.take_map("ids").expect("the map is there");
    let Map::PerCpuHashMap(data) = &map else { panic!("its kind") };
    let batch = median(
        (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                let (found, sum) =
                    lookup_batch(data.fd().as_fd(), aya::util::nr_cpus().expect("CPUs"), 1 << 17);
                assert_eq!((found as u64, sum), (keys, keys * cpus().len() as u64));
                nanoseconds(start.elapsed())
            })
            .collect(),
    );
    let map: PerCpuHashMap<_, u64, u64> = map.try_into().expect("its kind");
    let iterator = median(
        (0..3)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(map.iter().filter(Result::is_ok).count() as u64, keys);
                nanoseconds(start.elapsed())
            })
            .collect(),
    );
    println!(
        "| {keys} | {merge:.1} | {:.1} | {rows:.1} | {batch:.0} | {iterator:.0} | {:.0} |",
        nanoseconds(first.merge + first.rows),
        batch / merge
    );
}

fn answer(keys: u64) {
    let component = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins/top.wasm"))
        .expect("cargo xtask plugins builds it");
    let mut tables = table(keys);
    let schema = tables.close().expect("the interval closes")[0].rows.schema();
    let plugin = Plugin {
        name: "top".into(),
        component,
        tables: vec![("ids".into(), schema)],
        options: Default::default(),
        limits: Default::default(),
    };
    let mut sandbox = Sandbox::start(vec![plugin]).expect("the plugin starts");
    let (mut waits, mut answers, mut host) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        fill(keys);
        let start = Instant::now();
        let snapshots = tables.close().expect("the interval closes");
        let wait = tables.timing().wait;
        sandbox.analyze(&snapshots[0].interval, &snapshots).expect("the snapshot is handed over");
        let handed = start.elapsed();
        let mut answered = Vec::new();
        while answered.is_empty() {
            let mut fds = [rustix::event::PollFd::new(&sandbox, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut fds, None).expect("poll");
            answered = sandbox.answers().expect("the sandbox answers");
        }
        answers.push((start.elapsed() - wait).as_secs_f64() * 1e3);
        host.push((handed - wait).as_secs_f64() * 1e3);
        assert!(
            answered.iter().all(|answer| answer.interval == snapshots[0].interval.number),
            "{answered:?}"
        );
        assert!(answered.iter().all(|answer| !answer.outputs.is_empty()), "{answered:?}");
        waits.push(wait.as_secs_f64() * 1e3);
        assert!(
            answered.iter().all(|answer| answer
                .outputs
                .iter()
                .all(|output| !matches!(output, weir::event::Output::Fault { .. }))),
            "{answered:?}"
        );
    }
    println!("| {keys} | {:.1} | {:.1} | {:.1} |", median(waits), median(answers), median(host));
}
