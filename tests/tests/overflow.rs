//! More keys than a table has room for.

use weir::kernel::Tables;
use weir_tests::attach;
use weir_tests::events::{NOWHERE, call};
use weir_tests::look::{buckets, field, numbers, overflows};

fn table() -> Tables {
    attach(&format!(
        r#"
        [tables.calls]
        on = "rawtracepoint:sys_enter"
        where = "args.id >= {NOWHERE} && pid == {}"
        by = {{ id = "args.id" }}
        show = {{ calls = "count()", ids = "hist(args.id)" }}
        keys = 100
        "#,
        std::process::id()
    ))
}

/// Ten thousand keys in a table for a hundred: at least a hundred rows, the rest in the overflow row, and the
/// exact total, of the counts and of the histograms.
#[test]
fn totals_stay_exact_when_keys_overflow() {
    let mut tables = table();
    for round in 0..3 {
        (0..10_000).for_each(call);
        let snapshot = &tables.close().expect("the interval closes")[0];
        let rows = &snapshot.rows;
        let calls = numbers(rows, "calls");
        assert!(calls.len() > 100, "round {round}: {} rows", calls.len());
        assert_eq!(calls.iter().sum::<i128>(), 10_000);
        assert_eq!(snapshot.coverage.events, 10_000);
        let overflow: Vec<bool> = overflows(rows);
        assert_eq!(overflow.iter().filter(|is| **is).count(), 1);
        assert_eq!(overflow.last(), Some(&true), "the overflow row comes last");
        assert_eq!(calls.last(), Some(&snapshot.coverage.overflow.into()));
        assert_eq!(field(rows, "ids", "count"), calls);
        let counted: Vec<i128> =
            buckets(rows, "ids").iter().map(|row| row.iter().map(|(_, count)| count).sum()).collect();
        assert_eq!(counted, calls, "every value found its bucket");
        let sum: i128 = field(rows, "ids", "sum").iter().sum();
        assert_eq!(sum, (0..10_000).map(|key| i128::from(NOWHERE) + key).sum::<i128>());
    }
}

/// A hundred keys an interval, new ones each time: nothing ever overflows.
#[test]
fn new_keys_every_interval_do_not_overflow() {
    let mut tables = table();
    for interval in 0..100u64 {
        (0..100).for_each(|key| call(interval * 100 + key));
        let snapshot = &tables.close().expect("the interval closes")[0];
        assert_eq!(snapshot.coverage.overflow, 0, "interval {interval}");
        let mut ids = numbers(&snapshot.rows, "id");
        ids.sort_unstable();
        let expected: Vec<i128> = (0..100).map(|key| (NOWHERE + interval * 100 + key).into()).collect();
        assert_eq!(ids, expected, "interval {interval}");
        assert_eq!(numbers(&snapshot.rows, "calls"), [1; 100]);
    }
}
