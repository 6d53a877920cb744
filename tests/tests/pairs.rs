//! Spans between probes of several kinds, and those that are paired by a key and not by thread.

use std::process;
use std::time::Duration;

use weir_tests::events::read_zeros;
use weir_tests::look::{field, numbers};
use weir_tests::traced::{
    program, weir_traced_depth, weir_traced_end, weir_traced_numbers, weir_traced_start,
};
use weir_tests::{attach, close, emulated, not_run, try_attach};

fn table(pair: &str, show: &str) -> String {
    let file = program();
    format!(
        r#"
        [tables.t]
        from = "uprobe:{file}:weir_traced_start"
        to = "uprobe:{file}:weir_traced_end"
        {pair}
        by = {{ value = "start.arg1" }}
        show = {{ n = "count()", elapsed = "stats(elapsed)", {show} }}
        "#
    )
}

/// Starts on one thread, ends on another; the key joins them.
#[test]
fn a_key_pairs_what_happens_on_two_threads() {
    let mut tables = attach(&table("pair = \"arg0\"", "key = \"sum(arg0)\""));
    std::thread::scope(|scope| {
        drop(scope.spawn(|| (1..=100).for_each(|key| weir_traced_start(key, key % 2))).join());
        std::thread::sleep(Duration::from_millis(5));
        drop(scope.spawn(|| (1..=100).rev().for_each(|key| weir_traced_end(key))).join());
    });
    let snapshot = close(&mut tables);
    let rows = &snapshot.rows;
    assert_eq!(numbers(rows, "n"), [50, 50]);
    let (values, keys) = (numbers(rows, "value"), numbers(rows, "key"));
    let of = |value: i128| keys[values.iter().position(|v| *v == value).expect("both are there")];
    assert_eq!((of(0), of(1)), (2550, 2500));
    assert!(field(rows, "elapsed", "min").iter().all(|least| *least >= 5_000_000), "of 5 ms at least");
    let spans = snapshot.coverage.spans.expect("a table of spans");
    assert_eq!(spans, weir::snapshot::Spans::default());
}

/// By thread, the same starts and ends never meet.
#[test]
fn without_a_key_threads_do_not_meet() {
    let mut tables = attach(&table("", "key = \"sum(arg0)\""));
    std::thread::scope(|scope| {
        drop(scope.spawn(|| (1..=10).for_each(|key| weir_traced_start(key, 1))).join());
        drop(scope.spawn(|| (1..=10).for_each(|key| weir_traced_end(key))).join());
    });
    let snapshot = close(&mut tables);
    assert_eq!(snapshot.rows.num_rows(), 0);
    let spans = snapshot.coverage.spans.expect("a table of spans");
    assert_eq!(spans.starts_replaced, 9, "a thread has one start");
    assert_eq!(spans.ends_unmatched, 10);
    // The thread may be joined before its exit is traced.
    let mut abandoned = spans.starts_abandoned;
    for _ in 0..100 {
        abandoned += close(&mut tables).coverage.spans.map_or(0, |spans| spans.starts_abandoned);
        if abandoned == 1 {
            return;
        }
    }
    panic!("{abandoned} starts abandoned");
}

#[test]
fn a_start_that_is_replaced_is_counted() {
    let mut tables = attach(&table("pair = \"arg0\"", "key = \"sum(arg0)\""));
    (0..5).for_each(|value| weir_traced_start(1, value));
    (0..3).for_each(|_| weir_traced_end(1));
    let snapshot = close(&mut tables);
    assert_eq!(numbers(&snapshot.rows, "n"), [1]);
    assert_eq!(numbers(&snapshot.rows, "value"), [4], "the last of them");
    let spans = snapshot.coverage.spans.expect("a table of spans");
    assert_eq!((spans.starts_replaced, spans.ends_unmatched), (4, 2));
}

/// At an end its start is not known before it is found.
#[test]
fn a_key_cannot_be_what_the_start_saved() {
    for key in ["start.arg0", "elapsed", "arg0 + (start.arg0 == 1)"] {
        let error = weir_tests::refusal(&table(&format!("pair = '{key}'"), "key = \"sum(arg0)\""));
        assert_eq!(error.kind, weir::error::Kind::Config, "{error}");
    }
    let pair = "pair = { from = 'arg0', to = 'start.arg0' }";
    let error = weir_tests::refusal(&table(pair, "key = \"sum(arg0)\""));
    assert!(error.message.contains("cannot depend on that start"), "{error}");
}

/// There is room for 32,768 starts and a few more; what finds none is counted.
#[test]
fn starts_without_room_are_counted() {
    let starts = if emulated() { 34_000 } else { 50_000 };
    let mut tables = attach(&table("pair = \"arg0\"", "key = \"sum(arg0)\""));
    (1..=starts).for_each(|key| weir_traced_start(key, 1));
    (1..=starts).for_each(|key| weir_traced_end(key));
    let snapshot = close(&mut tables);
    let spans = snapshot.coverage.spans.expect("a table of spans");
    assert!(spans.starts_dropped > 0);
    assert_eq!(spans.ends_unmatched, spans.starts_dropped);
    assert_eq!(numbers(&snapshot.rows, "n"), [i128::from(starts - spans.starts_dropped)]);
}

/// A call within a call takes the place of its start, and the outer returns find none: that is said.
#[test]
fn recursion_is_counted() {
    let file = program();
    let mut tables = attach(&format!(
        r#"
        [tables.thread]
        from = "uprobe:{file}:weir_traced_depth"
        to = "uretprobe:{file}:weir_traced_depth"
        by = {{ depth = "start.arg0" }}
        show = {{ n = "count()", result = "max(retval)" }}
        "#
    ));
    (0..3).for_each(|_| assert_eq!(weir_traced_depth(9), 9));
    let snapshot = close(&mut tables);
    assert_eq!(numbers(&snapshot.rows, "depth"), [0], "the innermost call");
    assert_eq!((numbers(&snapshot.rows, "n"), numbers(&snapshot.rows, "result")), (vec![3], vec![0]));
    let spans = snapshot.coverage.spans.expect("a table of spans");
    assert_eq!((spans.starts_replaced, spans.ends_unmatched), (27, 27));
}

#[test]
fn a_call_and_its_return_are_a_span() {
    let file = program();
    let mut tables = attach(&format!(
        r#"
        [tables.calls]
        from = "uprobe:{file}:weir_traced_numbers"
        to = "uretprobe:{file}:weir_traced_numbers"
        where = "retval + start.arg1 == start.arg0"
        show = {{ n = "count()", a = "sum(start.arg0)", result = "sum(retval)", elapsed = "min(elapsed)" }}

        [tables.into]
        from = "uprobe:{file}:weir_traced_numbers"
        to = "tracepoint:syscalls:sys_enter_lseek"
        where = "pid == {pid}"
        show = {{ n = "count()", a = "sum(start.arg0)", offset = "sum(args.offset)" }}
        "#,
        pid = process::id()
    ));
    for a in 0..50 {
        weir_traced_numbers(a, 3, 0);
        weir_tests::events::seek(a as i64, 0);
    }
    let snapshots = tables.close().expect("the interval closes");
    let calls = &snapshots[0].rows;
    assert_eq!(numbers(calls, "n"), [50]);
    assert_eq!(numbers(calls, "a"), [1225]);
    let wrapped: u64 = (0..50u64).map(|a| a.wrapping_sub(3)).fold(0, u64::wrapping_add);
    assert_eq!(numbers(calls, "result"), [wrapped.into()]);
    assert!(numbers(calls, "elapsed")[0] > 0);
    let into = &snapshots[1].rows;
    assert_eq!(numbers(into, "n"), [50], "between two kinds of probes");
    assert_eq!((numbers(into, "a"), numbers(into, "offset")), (vec![1225], vec![1225]));
}

#[test]
fn a_function_of_the_kernel_and_its_return_are_a_span() {
    const BYTES: usize = 23_456;
    let pid = process::id();
    let config = |from: &str, to: &str| {
        format!(
            "[tables.t]\nfrom = \"{from}\"\nto = \"{to}\"\nwhere = \"pid == {pid} && start.count == {BYTES}\"\n\
             show = {{ n = \"count()\", elapsed = \"min(elapsed)\", asked = \"sum(start.count)\", got = \"sum(retval)\" }}"
        )
    };
    for (from, to) in [
        ("kprobe:vfs_read", "kretprobe:vfs_read"),
        ("fentry:vfs_read", "fexit:vfs_read"),
        ("tracepoint:syscalls:sys_enter_read", "kretprobe:vfs_read"),
        ("kprobe:vfs_read", "fexit:vfs_read"),
    ] {
        let mut tables = match try_attach(&config(from, to)) {
            Ok(tables) => tables,
            Err(error) if emulated() => panic!("{from} to {to}: {error}"),
            Err(error) => {
                assert_eq!(error.kind, weir::error::Kind::Unavailable, "{error}");
                not_run(&format!("spans from {from} to {to}"), "this kernel does not have these probes");
                continue;
            }
        };
        (0..25).for_each(|_| assert_eq!(read_zeros("/dev/zero", BYTES), BYTES as isize));
        let rows = &close(&mut tables).rows;
        assert_eq!(numbers(rows, "n"), [25], "{from} to {to}");
        assert_eq!(numbers(rows, "asked"), [25 * BYTES as i128]);
        assert_eq!(numbers(rows, "got"), [25 * BYTES as i128]);
        assert!(numbers(rows, "elapsed")[0] > 0);
    }
}
