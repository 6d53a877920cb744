//! Stacks: the functions that are on them, in their order, and how often.

use std::process;

use arrow::array::RecordBatch;
use weir::kernel::Tables;
use weir_tests::events::read_zeros;
use weir_tests::look::{buckets, by_text, numbers, texts};
use weir_tests::{attach, close, emulated, not_run, try_attach};

/// No address of the kernel's, nor what could be made into one.
fn assert_plain(stack: &str) {
    // A program's tag has digits of its own, and so has the name of a test's file, after a `-`.
    for frame in stack.split(';').filter(|frame| !frame.starts_with("bpf_prog_")) {
        let known = frame.strip_prefix('[').and_then(|file| file.split_once('-')).map(|(name, _)| name);
        assert!(!known.unwrap_or(frame).contains("ffff") && !frame.contains("0x"), "{stack}");
    }
}

/// The names, in this order, with others between them.
fn assert_order(stack: &str, names: &[&str]) {
    let mut frames = stack.split(';');
    for name in names {
        assert!(frames.any(|frame| frame == *name), "{name} is not after those before it in {stack}");
    }
}

/// The rows of the first interval in which all stacks have their names: on a busy machine those of a large file, as this
/// one is, are late.
#[cfg(target_arch = "x86_64")]
fn until_named(tables: &mut Tables, events: impl Fn()) -> RecordBatch {
    let begun = std::time::Instant::now();
    loop {
        events();
        let rows = close(tables).rows;
        let stacks: Vec<String> = texts(&rows, "stack").into_iter().flatten().collect();
        stacks.iter().for_each(|stack| assert_plain(stack));
        if stacks.iter().all(|stack| stack.ends_with("_outer;weir_traced_middle;weir_traced_inner")) {
            return rows;
        }
        assert!(begun.elapsed() < weir_tests::daemon::patience(), "{stacks:?}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_stack_of_a_process_names_its_functions() {
    use weir_tests::traced::x86_64::outer;
    let mut tables = attach(&format!(
        r#"
        [tables.t]
        on = "tracepoint:syscalls:sys_enter_lseek"
        where = "pid == {} && args.offset >= 1000"
        by = {{ stack = "ustack", offset = "args.offset" }}
        show = {{ n = "count()" }}
        "#,
        process::id()
    ));
    let call = |offset: i64, times: usize| (0..times).for_each(|_| assert_eq!(outer(offset), -9));
    let rows = until_named(&mut tables, || {
        call(1000, 30);
        call(1001, 20);
    });
    assert_eq!((numbers(&rows, "offset"), numbers(&rows, "n")), (vec![1000, 1001], vec![30, 20]));
    // The same stack in the next interval is the same row, with a count of its own.
    call(1000, 7);
    let rows = &close(&mut tables).rows;
    assert_eq!(numbers(rows, "n"), [7]);
}

/// Sends every symbolizer of this process a signal, as soon as it is seen, until it is dropped.
#[cfg(target_arch = "x86_64")]
struct Signals {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    sent: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    thread: Option<std::thread::JoinHandle<Vec<rustix::process::Pid>>>,
}

#[cfg(target_arch = "x86_64")]
impl Signals {
    fn send(signal: rustix::process::Signal) -> Self {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = sent.clone();
        let watch = move || {
            let mut seen = std::collections::HashSet::new();
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                for entry in std::fs::read_dir("/proc").expect("there is /proc").flatten() {
                    let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
                    let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else { continue };
                    // "4711 (weir-symbolizer) S 4700 ..."
                    let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
                    let ours = format!(" {} ", process::id());
                    if stat
                        .split_once("(weir-symbolizer) ")
                        .is_some_and(|(_, rest)| rest[1..].starts_with(&ours))
                        && seen.insert(pid)
                    {
                        // Or it has ended by itself.
                        rustix::process::kill_process(pid, signal).unwrap_or_default();
                        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            }
            seen.into_iter().collect()
        };
        Self { stop, sent, thread: Some(std::thread::spawn(watch)) }
    }

    fn sent(&self) -> usize {
        self.sent.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Those that there were.
    fn end(mut self) -> Vec<rustix::process::Pid> {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.take().expect("it ends once").join().expect("it does not panic")
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_symbolizer_that_is_killed_or_stopped_makes_its_names_late_only() {
    use rustix::process::Signal;
    use weir_tests::traced::x86_64::{other, outer};
    let events = || {
        (0..30).for_each(|_| assert_eq!(outer(2000), -9));
        (0..7).for_each(|_| assert_eq!(other(4000), -9));
    };
    for signal in [Signal::KILL, Signal::STOP] {
        let mut tables = attach(&format!(
            r#"
            [tables.t]
            on = "tracepoint:syscalls:sys_enter_lseek"
            where = "pid == {} && args.offset >= 2000"
            by = {{ stack = "ustack" }}
            show = {{ n = "count()", offsets = "hist(args.offset)" }}
            "#,
            process::id()
        ));
        let signals = Signals::send(signal);
        let started = std::time::Instant::now();
        let snapshot = loop {
            events();
            let begun = std::time::Instant::now();
            let snapshot = close(&mut tables);
            // What it may wait for names is less than a second.
            let took = begun.elapsed();
            let most = std::time::Duration::from_secs(if emulated() { 30 } else { 3 });
            assert!(took < most, "{signal:?}: {took:?}");
            // A slow machine takes a closing to copy the file, and another one to start a symbolizer.
            if signals.sent() > 0 {
                break snapshot;
            }
            assert!(started.elapsed() < weir_tests::daemon::patience(), "none was seen");
        };
        let seen = signals.end();
        // Without names both look the same.
        assert_eq!(numbers(&snapshot.rows, "n"), [37]);
        assert_eq!(buckets(&snapshot.rows, "offsets"), [[(1024, 30), (2048, 7)]]);
        let stacks = texts(&snapshot.rows, "stack");
        let stack = stacks[0].as_deref().expect("there is a stack");
        assert!(stack.ends_with(']') && !stack.contains("weir_traced"), "{stack}");
        assert_plain(stack);
        let problem = tables.problem().expect("it is said");
        assert!(problem.starts_with("functions of /") && problem.contains(" have no names: "), "{problem}");
        assert_eq!(tables.problem(), None, "it is said once");

        // Nobody is in its way any more: another starts, or it goes on. What had no names has them now.
        for pid in seen {
            rustix::process::kill_process(pid, Signal::CONT).unwrap_or_default();
        }
        let rows = until_named(&mut tables, events);
        let counts = by_text(&rows, "stack", "n");
        let of = |name: &str| {
            let ends = |stack: &Option<String>| stack.as_deref().is_some_and(|stack| stack.contains(name));
            counts.iter().filter(|(stack, _)| ends(stack)).map(|(_, n)| *n).collect::<Vec<_>>()
        };
        assert_eq!((of("weir_traced_outer"), of("weir_other_outer")), (vec![30], vec![7]), "{counts:?}");
        let mut histograms = buckets(&rows, "offsets");
        histograms.sort();
        assert_eq!(histograms, [[(1024, 30)], [(2048, 7)]]);
    }
}

/// Nothing comes after it that could have them.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_last_interval_waits_for_names() {
    let tables = attach(&format!(
        r#"
        [tables.t]
        on = "tracepoint:syscalls:sys_enter_lseek"
        where = "pid == {} && args.offset >= 3000"
        by = {{ stack = "ustack" }}
        show = {{ n = "count()" }}
        "#,
        process::id()
    ));
    let signals = Signals::send(rustix::process::Signal::STOP);
    assert_eq!(weir_tests::traced::x86_64::outer(3000), -9);
    // For longer than another interval would wait.
    let stopped = std::time::Duration::from_millis(1500);
    let begun = std::time::Instant::now();
    let go_on = std::thread::spawn(move || {
        std::thread::sleep(stopped);
        // As long as a slow machine may take to start one, and no longer than the last interval waits.
        while signals.sent() == 0 && begun.elapsed() < std::time::Duration::from_secs(4) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let seen = signals.end();
        for pid in &seen {
            rustix::process::kill_process(*pid, rustix::process::Signal::CONT).unwrap_or_default();
        }
        seen.len()
    });
    let rows = tables.finish().expect("the interval closes").remove(0).rows;
    assert!(begun.elapsed() + std::time::Duration::from_millis(500) > stopped, "it was not stopped in time");
    assert!(go_on.join().expect("it does not panic") > 0, "none was seen");
    let stacks = texts(&rows, "stack");
    let stack = stacks[0].as_deref().expect("there is a stack");
    assert!(
        emulated() || stack.ends_with("weir_traced_outer;weir_traced_middle;weir_traced_inner"),
        "{stack}"
    );
}

/// Where a system call was entered, what is called there, down to the program of the probe.
#[test]
fn a_stack_of_the_kernel_names_its_functions() {
    let pid = process::id();
    let mut tables = attach(&format!(
        r#"
        [tables.raw]
        on = "tp_btf:sys_enter"
        where = "pid == {pid} && args.id == {lseek}"
        by = {{ stack = "kstack" }}
        show = {{ n = "count()" }}

        [tables.switch]
        on = "tp_btf:sched_switch"
        where = "pid == {pid} && tid == {tid}"
        by = {{ stack = "kstack" }}
        show = {{ n = "count()" }}

        [tables.record]
        on = "tracepoint:sched:sched_switch"
        where = "pid == {pid} && tid == {tid}"
        by = {{ stack = "kstack" }}
        show = {{ n = "count()" }}
        "#,
        lseek = libc::SYS_lseek,
        tid = rustix::thread::gettid().as_raw_nonzero(),
    ));
    (0..40).for_each(|offset| weir_tests::events::seek(offset, 0));
    // So long that it is asleep before it is to wake.
    (0..25).for_each(|_| std::thread::sleep(std::time::Duration::from_millis(10)));
    let snapshots = tables.close().expect("the interval closes");
    assert_eq!(numbers(&snapshots[0].rows, "n").iter().sum::<i128>(), 40);
    for snapshot in &snapshots {
        for stack in texts(&snapshot.rows, "stack") {
            assert_plain(&stack.expect("there is a stack"));
        }
    }
    let enters = texts(&snapshots[0].rows, "stack");
    let enter = enters[0].as_deref().unwrap_or_default();
    if cfg!(target_arch = "x86_64") {
        assert_order(enter, &["entry_SYSCALL_64_after_hwframe", "do_syscall_64"]);
    }
    // What sleeps for a time, from the outermost function to the innermost.
    for snapshot in &snapshots[1..] {
        let of_sleep: i128 = texts(&snapshot.rows, "stack")
            .iter()
            .zip(numbers(&snapshot.rows, "n"))
            .filter(|(stack, _)| stack.as_deref().is_some_and(|stack| stack.contains("hrtimer_nanosleep")))
            .inspect(|(stack, _)| {
                assert_order(
                    stack.as_deref().unwrap_or_default(),
                    &["hrtimer_nanosleep", "do_nanosleep", "schedule"],
                );
            })
            .map(|(_, n)| n)
            .sum();
        assert_eq!(of_sleep, 25, "{}", snapshot.table);
    }
}

#[test]
fn a_function_of_the_kernel_is_the_innermost_of_its_stack() {
    for on in ["kprobe:vfs_read", "fentry:vfs_read"] {
        let config = format!(
            r#"
            [tables.t]
            on = "{on}"
            where = "pid == {} && args.count == 4321"
            by = {{ stack = "kstack" }}
            show = {{ n = "count()" }}
            "#,
            process::id()
        );
        let mut tables = match try_attach(&config) {
            Ok(tables) => tables,
            Err(error) if emulated() => panic!("{on}: {error}"),
            Err(_) => {
                not_run(&format!("stacks at {on}"), "this kernel does not have this probe");
                continue;
            }
        };
        (0..15).for_each(|_| assert_eq!(read_zeros("/dev/zero", 4321), 4321));
        let rows = &close(&mut tables).rows;
        assert_eq!(numbers(rows, "n"), [15], "{on}");
        let stacks = texts(rows, "stack");
        let stack = stacks[0].as_deref().expect("there is a stack");
        assert_plain(stack);
        assert_order(stack, &["do_syscall_64", "ksys_read", "vfs_read"]);
    }
}

/// Several stacks of one event, beside other keys; and one that is no stack of a process.
#[test]
fn both_stacks_are_keys_together() {
    let mut tables = attach(
        r#"
        [tables.t]
        on = "profile:hz:199"
        by = { cpu = "cpu", kernel = "kstack", user = "ustack" }
        show = { n = "count()" }
        "#,
    );
    let end = std::time::Instant::now() + std::time::Duration::from_millis(500);
    while std::time::Instant::now() < end {
        std::hint::spin_loop();
    }
    let snapshot = close(&mut tables);
    let rows = &snapshot.rows;
    assert_eq!(numbers(rows, "n").iter().sum::<i128>(), snapshot.coverage.events.into());
    assert!(snapshot.coverage.events > 20);
    for stack in texts(rows, "kernel").into_iter().chain(texts(rows, "user")).flatten() {
        assert!(!stack.contains("ffff8") && !stack.contains("ffffffff"), "{stack}");
    }
}
