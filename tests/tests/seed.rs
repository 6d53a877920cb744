//! The case that Weir began with: counted on one CPU, read on another.

use std::process;

use weir_tests::events::{cpus, on_cpu, pin, seek};
use weir_tests::look::{buckets, field, numbers};
use weir_tests::{attach, emulated};

const CALLS: i64 = 100;

/// A writer pinned to one CPU makes exactly 100 calls; the reader, pinned to another, sees exactly 100 in one
/// row, a thousand times in a row. The same calls are averaged, summed, compared and put into a histogram,
/// with negative numbers among them, and once more under a key of several columns.
#[test]
fn what_one_cpu_counts_another_reads() {
    let cpus = cpus();
    let mut tables = attach(&format!(
        r#"
        [tables.count]
        on = "tracepoint:syscalls:sys_enter_lseek"
        where = "pid == {pid}"
        show = {{ calls = "count()" }}

        [tables.all]
        on = "tracepoint:syscalls:sys_enter_lseek"
        where = "pid == {pid}"
        show = {{ avg = "avg(args.offset)", min = "min(args.offset)", max = "max(args.offset)", sum = "sum(args.offset)", hist = "hist(args.offset)" }}

        [tables.keys]
        on = "tracepoint:syscalls:sys_enter_lseek"
        where = "pid == {pid}"
        by = {{ pid = "pid", comm = "comm", whence = "args.whence", cpu = "cpu", uid = "uid" }}
        show = {{ calls = "count()", min = "min(args.offset)" }}
        "#,
        pid = process::id()
    ));
    for round in 0..if emulated() { 100 } else { 1000 } {
        // Each CPU has its turn as the writer, for a reader of one CPU only would be right now and then.
        let (writer, reader) = (cpus[round % cpus.len()], cpus[(round + 1) % cpus.len()]);
        pin(reader);
        // -50 to 49, half of them with one `whence` and half with another.
        on_cpu(writer, || (0..CALLS).for_each(|call| seek(call - 50, (call % 2) as i32)));
        let snapshots = tables.close().expect("the interval closes");
        let missed = snapshots.iter().map(|snapshot| snapshot.coverage.missed).max();
        assert_eq!(missed, Some(0), "nothing else attaches to lseek");

        let count = &snapshots[0].rows;
        assert_eq!(numbers(count, "calls"), [100], "round {round}");

        let all = &snapshots[1].rows;
        assert_eq!(field(all, "avg", "count"), [100]);
        assert_eq!(field(all, "avg", "sum"), [-50]);
        assert_eq!(numbers(all, "min"), [-50]);
        assert_eq!(numbers(all, "max"), [49]);
        assert_eq!(numbers(all, "sum"), [-50]);
        let expected =
            vec![(i64::MIN.into(), 50), (0, 1), (1, 1), (2, 2), (4, 4), (8, 8), (16, 16), (32, 18)];
        assert_eq!(buckets(all, "hist"), [expected]);

        let keys = &snapshots[2].rows;
        assert_eq!(numbers(keys, "calls"), [50, 50], "round {round}");
        assert_eq!(numbers(keys, "min"), [-50, -49]);
        assert_eq!(numbers(keys, "whence"), [0, 1]);
        assert_eq!(numbers(keys, "cpu"), [writer as i128; 2]);
    }
}
