//! New keys in every interval, for a minute: every event is counted, and nothing grows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weir_tests::events::{NOWHERE, call, cpus, pin};
use weir_tests::look::numbers;
use weir_tests::{attach, close, emulated};

/// As many as the table asks for.
const KEYS: u64 = 4096;

/// The memory of this process, in pages.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc is mounted");
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number")
}

#[test]
fn new_keys_in_every_interval_cost_no_memory() {
    let mut tables = attach(&format!(
        r#"
        [tables.t]
        on = "tp_btf:sys_enter"
        where = "args.id >= {NOWHERE} && pid == {}"
        by = {{ id = "args.id" }}
        show = {{ n = "count()", ids = "hist(args.id)" }}
        keys = {KEYS}
        "#,
        std::process::id()
    ));
    let (first, stop, produced) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    let (mut total, mut missed, mut sum, mut most) = (0i128, 0u64, 0usize, 0usize);
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(cpus()[0]);
            let mut next = 0;
            // At full rate; each interval has a window of keys of its own.
            while !stop.load(Ordering::Acquire) {
                let window = first.load(Ordering::Acquire);
                for _ in 0..256 {
                    call(window + next % KEYS);
                    next += 1;
                }
                produced.fetch_add(256, Ordering::Release);
            }
        });
        let start = Instant::now();
        let length = Duration::from_secs(if emulated() { 20 } else { 60 });
        while start.elapsed() < length {
            std::thread::sleep(Duration::from_millis(100));
            first.fetch_add(KEYS, Ordering::Release);
            let snapshot = close(&mut tables);
            total += numbers(&snapshot.rows, "n").iter().sum::<i128>();
            missed += snapshot.coverage.missed;
            assert!(snapshot.coverage.missed_reliable);
            sum += snapshot.rows.num_rows();
            most = most.max(snapshot.rows.num_rows());
            memory.push(resident());
        }
        stop.store(true, Ordering::Release);
    });
    // A dictionary has room for the keys of two intervals, and is used up by one.
    let (intervals, renewals) = (memory.len() as u64, tables.renewals());
    assert!(renewals >= intervals / 4 && renewals <= intervals, "{renewals} in {intervals} intervals");
    let snapshot = &tables.finish().expect("the last interval closes")[0];
    total += numbers(&snapshot.rows, "n").iter().sum::<i128>();
    missed += snapshot.coverage.missed;
    assert_eq!(total + i128::from(missed), produced.load(Ordering::Acquire).into());
    assert!(memory.len() > 5 && sum > 4 * KEYS as usize, "{} intervals, {sum} rows", memory.len());
    // Once both dictionaries have been full, nothing more is taken: half of the time is as much as all of it, but for
    // what the allocator keeps.
    let half = memory.len() / 2;
    let (early, late) = (memory[..half].iter().max(), memory[half..].iter().max());
    let pages = (8 << 20) / rustix::param::page_size() as u64;
    assert!(late.copied() <= early.map(|early| early + pages), "{memory:?} pages, {most} rows");
}
