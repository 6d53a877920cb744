//! Spans: paired by thread, counted at their end, and nothing about them lost in silence.

use weir_tests::attach;
use weir_tests::daemon::patience;
use weir_tests::events::seek;
use weir_tests::look::{field, numbers};
use weir_tests::traced::{program, weir_traced_end, weir_traced_start};

#[test]
fn a_span_is_counted_at_its_end_with_what_its_start_saved() {
    let mut tables = attach(&format!(
        r#"
        [tables.seeks]
        from = "tracepoint:syscalls:sys_enter_lseek"
        to = "tracepoint:syscalls:sys_exit_lseek"
        where = "args.ret < 0 && pid == {} && elapsed < 10s"
        by = {{ whence = "start.whence" }}
        show = {{ calls = "count()", low = "min(start.offset)", ret = "max(args.ret)", elapsed = "hist(elapsed)" }}
        "#,
        std::process::id()
    ));
    (0..1000).for_each(|call| seek(-call, 7));
    (0..500).for_each(|call| seek(call, 8));
    let snapshot = &tables.close().expect("the interval closes")[0];
    let rows = &snapshot.rows;
    assert_eq!(numbers(rows, "whence"), [7, 8]);
    assert_eq!(numbers(rows, "calls"), [1000, 500]);
    assert_eq!(numbers(rows, "low"), [-999, 0]);
    assert_eq!(numbers(rows, "ret"), [-9, -9], "EBADF");
    assert_eq!(field(rows, "elapsed", "count"), [1000, 500]);
    assert!(field(rows, "elapsed", "sum").iter().all(|sum| *sum > 0));
}

/// A thread that is in a sleep when probes attach ends a span that was never seen to start; one that exits in
/// a system call leaves a start that will never end.
#[test]
fn ends_without_a_start_and_starts_without_an_end_are_counted() {
    let (woken, sleeper) = std::sync::mpsc::channel::<()>();
    let asleep = std::thread::spawn(move || sleeper.recv_timeout(patience()).is_err());
    let mut tables = attach(
        r#"
        [tables.exits]
        from = "tracepoint:syscalls:sys_enter_exit"
        to = "tracepoint:syscalls:sys_exit_exit"
        show = { calls = "count()" }

        [tables.futexes]
        from = "tracepoint:syscalls:sys_enter_futex"
        to = "tracepoint:syscalls:sys_exit_futex"
        show = { calls = "count()" }
        "#,
    );
    drop(woken);
    assert!(asleep.join().expect("the sleeper wakes"));
    (0..10).for_each(|_| std::thread::spawn(|| ()).join().expect("the thread ends"));
    // A thread is joined when its memory is free, which is shortly before its exit is traced.
    let mut abandoned = 0;
    let mut unmatched = 0;
    for _ in 0..100 {
        let snapshots = tables.close().expect("the interval closes");
        abandoned += snapshots[0].coverage.spans.map_or(0, |spans| spans.starts_abandoned);
        unmatched += snapshots[1].coverage.spans.map_or(0, |spans| spans.ends_unmatched);
        if abandoned >= 11 && unmatched >= 1 {
            return;
        }
    }
    panic!("{abandoned} starts abandoned and {unmatched} ends unmatched");
}

/// Probes are detached one after the other. What comes between is nothing that a span lost. These probes are nobody else's,
/// and no kernel skips them while a CPU is in another program: a skipped end leaves its start to be replaced.
#[test]
fn the_end_of_a_run_replaces_no_starts() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    let spans = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                weir_traced_start(0, 0);
                weir_traced_end(0);
            }
        });
        let mut tables = attach(&format!(
            r#"
            [tables.calls]
            from = "uprobe:{file}:weir_traced_start"
            to = "uprobe:{file}:weir_traced_end"
            show = {{ calls = "count()" }}
            "#,
            file = program()
        ));
        // A start from before the end was attached may be replaced, which is the beginning's doing.
        tables.close().expect("the interval closes");
        let snapshots = tables.finish().expect("the last interval closes");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        snapshots[0].coverage.spans.expect("it is a table of spans")
    });
    assert_eq!((spans.starts_replaced, spans.starts_dropped), (0, 0));
}
