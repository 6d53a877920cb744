//! Every kind of probe, with a known number of events and known values.

use std::process::{self, Command};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use weir::error::Kind;
use weir_tests::events::{NOWHERE, call, cpus, name_thread, on_cpu, pin, read_zeros, seek, touch_pages};
use weir_tests::look::{by_text, maybe_numbers, numbers};
use weir_tests::traced::{
    program, weir_traced_end, weir_traced_numbers, weir_traced_start, weir_traced_text,
};
use weir_tests::{attach, close, emulated, not_run, refusal, try_attach};

/// Seeks with offsets 1 to 10 add up to this.
const SUM: i128 = 55;

fn seeks() {
    (1..=10).for_each(|offset| seek(offset, 2));
}

#[test]
fn tracepoints_of_every_kind_find_their_arguments() {
    let number = libc::SYS_lseek;
    let pid = process::id();
    let filter = format!("args.id == {number} && pid == {pid}");
    let mut tables = attach(&format!(
        r#"
        [tables.own]
        on = "tracepoint:syscalls:sys_enter_lseek"
        where = "pid == {pid}"
        show = {{ n = "count()", sum = "sum(args.offset)", whence = "sum(args.whence)" }}

        [tables.all]
        on = "tracepoint:raw_syscalls:sys_enter"
        where = "{filter}"
        show = {{ n = "count()", sum = "sum(args.args[1])", whence = "sum(args.args[2])" }}

        [tables.raw]
        on = "rawtracepoint:sys_enter"
        where = "{filter}"
        show = {{ n = "count()", sum = "sum(args.regs.si)", whence = "sum(args.regs->dx)" }}

        [tables.btf]
        on = "tp_btf:sys_enter"
        where = "{filter}"
        show = {{ n = "count()", sum = "sum(args.regs.si)", whence = "sum(args.regs.dx)" }}

        [tables.exit]
        on = "tracepoint:syscalls:sys_exit_lseek"
        where = "pid == {pid}"
        show = {{ n = "count()", sum = "sum(-args.ret) if args.ret < 0", whence = "max(args.ret)" }}
        "#
    ));
    seeks();
    let snapshots = tables.close().expect("the interval closes");
    for snapshot in &snapshots[..4] {
        let rows = &snapshot.rows;
        assert_eq!(numbers(rows, "n"), [10], "{}", snapshot.table);
        assert_eq!(numbers(rows, "sum"), [SUM], "{}", snapshot.table);
        assert_eq!(numbers(rows, "whence"), [20], "{}", snapshot.table);
        assert_eq!(snapshot.coverage.events, 10);
    }
    let exit = &snapshots[4].rows;
    assert_eq!((numbers(exit, "n"), numbers(exit, "sum")), (vec![10], vec![90]));
    assert_eq!(numbers(exit, "whence"), [-9]);
}

/// Of whomever they are.
#[test]
fn the_65th_program_at_a_tracepoint_is_refused_with_what_helps() {
    let tables = |on: &str| {
        let table = |number| {
            format!(
                "[tables.t{number}]\non = \"{on}\"\nwhere = \"pid == {number}\"\nshow = {{ n = \"count()\" }}\n"
            )
        };
        (1..=65).map(table).collect::<String>()
    };
    // Some twenty for each table.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .expect("a soft limit can be raised");
    let error = refusal(&tables("tracepoint:sched:sched_process_exit"));
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    assert!(error.message.contains("64 programs are attached there already"), "{error}");
    assert!(error.help.as_ref().is_some_and(|help| help.contains("use rawtracepoint:")), "{error}");
    drop(attach(&tables("rawtracepoint:sched_process_exit")));
}

/// Attaches what this kernel has to have if it has kprobes, or functions that can be attached to; nothing, with what is
/// said about it checked, on one that has none.
fn attach_function(config: &str, kind: &str) -> Option<weir::kernel::Tables> {
    match try_attach(config) {
        Ok(tables) => Some(tables),
        Err(error) => {
            assert!(!emulated(), "the kernels of the virtual machines have them: {error}");
            assert_eq!(error.kind, Kind::Unavailable, "{error}");
            let help = error.help.as_deref().unwrap_or_default();
            assert!(help.contains("tracepoint"), "{error}");
            not_run(kind, "this kernel has none");
            None
        }
    }
}

fn has_kprobes() -> bool {
    std::path::Path::new("/sys/bus/event_source/devices/kprobe").exists()
}

#[test]
fn a_kernel_without_kprobes_says_what_to_use_instead() {
    if has_kprobes() {
        return;
    }
    for kind in ["kprobe", "kretprobe"] {
        let error = refusal(&format!("[tables.t]\non = \"{kind}:vfs_read\"\nshow = {{ n = \"count()\" }}"));
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.message.contains("CONFIG_KPROBE_EVENTS"), "{error}");
        assert!(error.help.as_deref().is_some_and(|help| help.contains("tracepoint")), "{error}");
    }
}

/// Bytes of each read; others of this program, if there are any, are smaller.
const BYTES: usize = 12_345;

#[test]
fn functions_of_the_kernel_have_arguments_and_results() {
    let pid = process::id();
    let entry = |name: &str, on: &str| {
        format!(
            "[tables.{name}]\non = \"{on}\"\nwhere = \"pid == {pid} && args.count == {BYTES}\"\n\
             show = {{ n = \"count()\", bytes = \"sum(args.count)\" }}\n"
        )
    };
    let back = |name: &str, on: &str| {
        format!(
            "[tables.{name}]\non = \"{on}\"\nwhere = \"pid == {pid} && (retval == {BYTES} || retval == -21)\"\n\
             by = {{ error = \"errno(retval)\" }}\nshow = {{ n = \"count()\", bytes = \"sum(retval)\" }}\n"
        )
    };
    let check = |tables: Option<weir::kernel::Tables>| {
        let Some(mut tables) = tables else { return };
        (0..7).for_each(|_| assert_eq!(read_zeros("/dev/zero", BYTES), BYTES as isize));
        (0..3).for_each(|_| assert_eq!(read_zeros("/", BYTES), -1));
        let snapshots = tables.close().expect("the interval closes");
        assert_eq!(numbers(&snapshots[0].rows, "n"), [10]);
        assert_eq!(numbers(&snapshots[0].rows, "bytes"), [10 * BYTES as i128]);
        let results = by_text(&snapshots[1].rows, "error", "bytes");
        assert_eq!(results[&Some(BYTES.to_string())], 7 * BYTES as i128, "{results:?}");
        assert_eq!(results[&Some("EISDIR".to_owned())], 3 * -21);
        assert_eq!(numbers(&snapshots[1].rows, "n").iter().sum::<i128>(), 10);
    };
    let kprobes = entry("entry", "kprobe:vfs_read") + &back("back", "kretprobe:vfs_read");
    check(attach_function(&kprobes, "kprobes"));
    let trampolines = entry("entry", "fentry:vfs_read") + &back("back", "fexit:vfs_read");
    check(attach_function(&trampolines, "fentry and fexit"));
    // A kprobe knows its arguments by their numbers too, and a fexit sees them beside the result.
    let kprobes = format!(
        "[tables.entry]\non = \"kprobe:vfs_read\"\nwhere = \"pid == {pid} && arg2 == {BYTES}\"\n\
         show = {{ n = \"count()\", bytes = \"sum(arg2)\" }}\n"
    ) + &back("back", "kretprobe:vfs_read");
    check(attach_function(&kprobes, "arguments of kprobes"));
    let both = entry("entry", "fexit:vfs_read") + &back("back", "fexit:vfs_read");
    check(attach_function(&both, "arguments beside results"));
}

/// Behind the place where a function is entered there is an instruction, four or five bytes on.
#[test]
fn a_kprobe_can_be_at_an_instruction() {
    if !has_kprobes() {
        not_run("kprobes at instructions", "this kernel has none");
        return;
    }
    let config = |offset: u32| {
        format!(
            "[tables.t]\non = \"kprobe:vfs_read+{offset}\"\nwhere = \"pid == {} && arg2 == {BYTES}\"\nshow = {{ n = \"count()\" }}",
            process::id()
        )
    };
    let mut attached = 0;
    for offset in [4, 5] {
        let Ok(mut tables) = try_attach(&config(offset)) else { continue };
        (0..9).for_each(|_| assert_eq!(read_zeros("/dev/zero", BYTES), BYTES as isize));
        assert_eq!(numbers(&close(&mut tables).rows, "n"), [9], "{offset}");
        attached += 1;
    }
    assert!(attached > 0, "at neither");
    let error = refusal(&config(1));
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(error.message.contains("kprobe:vfs_read+1"), "{error}");
}

/// One program serves both, and no one link can.
#[test]
fn a_function_is_probed_at_its_entry_and_at_its_return() {
    let config = format!(
        "[tables.t]\non = [\"kprobe:vfs_read\", \"kretprobe:vfs_read\"]\nwhere = \"pid == {} && comm == 'weir-work'\"\n\
         by = {{ probe = \"probe\" }}\nshow = {{ n = \"count()\" }}\n",
        process::id()
    );
    let Some(mut tables) = attach_function(&config, "a function's entry and return in one table") else {
        return;
    };
    let work = || {
        name_thread(c"weir-work");
        (0..40).for_each(|_| assert_eq!(read_zeros("/dev/zero", 1), 1));
    };
    std::thread::scope(|scope| scope.spawn(work).join().expect("it works"));
    let found = by_text(&close(&mut tables).rows, "probe", "n");
    for probe in ["kprobe:vfs_read", "kretprobe:vfs_read"] {
        assert_eq!(found.get(&Some(probe.to_owned())), Some(&40), "{found:?}");
    }
}

/// How many links of kprobes of many functions this process holds.
fn links_of_many() -> usize {
    let infos = std::fs::read_dir("/proc/self/fdinfo").expect("proc is mounted").flatten();
    infos
        .filter_map(|info| std::fs::read_to_string(info.path()).ok())
        .filter(|text| text.contains("kprobe_multi"))
        .count()
}

#[test]
fn many_functions_are_counted_as_each_of_them_is() {
    let pid = process::id();
    let config = |on: &str| {
        format!(
            "[tables.t]\non = {on}\nwhere = \"pid == {pid} && comm == 'weir-work'\"\nby = {{ probe = \"probe\" }}\n\
             show = {{ n = \"count()\" }}\n"
        )
    };
    // On a thread of its own: closing an interval reads files too.
    let work = || {
        name_thread(c"weir-work");
        (0..40).for_each(|_| assert_eq!(read_zeros("/dev/zero", 1), 1));
        (0..30).for_each(|_| assert!(std::fs::read_link("/proc/self/nothing").is_err()));
        (0..20).for_each(|_| assert!(std::fs::rename("/proc/nothing", "/proc/nowhere").is_err()));
        (0..10).for_each(|_| drop(std::fs::metadata("/proc")));
    };
    for kind in ["kprobe", "kretprobe"] {
        // One by one, each takes its time to come and to go.
        let patterns: &[&str] =
            if kernel_is("6.1") { &["vfs_rea*", "vfs_st*", "vfs_op*"] } else { &["vfs_*"] };
        let on: Vec<String> = patterns.iter().map(|pattern| format!("{kind}:{pattern}")).collect();
        let on = format!("{on:?}");
        let Some(mut many) = attach_function(&config(&on), "many kprobes at once") else { return };
        // Debian's 6.12 has fprobes.
        let links = links_of_many();
        if kernel_is("6.1") {
            assert_eq!(links, 0, "Debian's 6.1 has none, and loads the programs for them");
        } else if emulated() {
            assert_eq!(links, 1, "not one link for all");
        } else if links == 0 {
            not_run("one link for many kprobes", "this kernel has no fprobes");
        }
        std::thread::scope(|scope| scope.spawn(work).join().expect("it works"));
        let found = by_text(&close(&mut many).rows, "probe", "n");
        drop(many);
        assert_eq!(links_of_many(), 0);
        // One by one.
        let names: Vec<String> = ["vfs_read", "vfs_statx", "vfs_getattr", "vfs_open"]
            .iter()
            .map(|name| format!("{kind}:{name}"))
            .filter(|name| found.contains_key(&Some(name.clone())))
            .collect();
        assert!(names.len() >= 2, "{found:?}");
        for name in &names {
            let mut one = attach(&config(&format!("\"{name}\"")));
            assert_eq!(links_of_many(), 0);
            std::thread::scope(|scope| scope.spawn(work).join().expect("it works"));
            let single = by_text(&close(&mut one).rows, "probe", "n");
            assert_eq!(single.get(&Some(name.clone())), found.get(&Some(name.clone())), "{name}");
        }
        assert_eq!(found[&Some(format!("{kind}:vfs_read"))], 40, "{found:?}");
    }
}

fn kernel_is(series: &str) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("proc is mounted");
    release.starts_with(&format!("{series}."))
}

/// Calls with known arguments: a from 1 to `count`, b half of it.
fn calls(count: u64) {
    (1..=count).for_each(|a| assert_eq!(weir_traced_numbers(a, a / 2, 7), a - a / 2));
}

#[test]
fn functions_of_a_program_are_found_by_symbol_offset_and_pattern() {
    let file = program();
    let by_symbol = format!(
        r#"
        [tables.symbol]
        on = "uprobe:{file}:weir_traced_numbers"
        show = {{ n = "count()", a = "sum(arg0)", b = "max(arg1)", seven = "min(arg2)" }}

        [tables.return]
        on = "uretprobe:{file}:weir_traced_numbers"
        show = {{ n = "count()", difference = "sum(retval)" }}

        [tables.pattern]
        on = "uprobe:{file}:weir_traced_*t"
        by = {{ probe = "probe" }}
        show = {{ n = "count()", least = "min(arg0) if arg0 < 1000" }}

        [tables.several]
        on = ["uprobe:{file}:weir_traced_start", "uprobe:{file}:weir_traced_end"]
        by = {{ probe = "probe" }}
        show = {{ n = "count()" }}
        "#
    );
    let mut tables = attach(&by_symbol);
    calls(100);
    (0..5).for_each(|_| assert!(!weir_traced_text(c"text".as_ptr().cast()).is_null()));
    (0..6).for_each(|key| weir_traced_start(key + 1, 0));
    (0..7).for_each(|key| weir_traced_end(key));
    let snapshots = tables.close().expect("the interval closes");
    let symbol = &snapshots[0].rows;
    assert_eq!(numbers(symbol, "n"), [100]);
    assert_eq!(numbers(symbol, "a"), [5050]);
    assert_eq!(numbers(symbol, "b"), [50]);
    assert_eq!(numbers(symbol, "seven"), [7]);
    assert_eq!(numbers(&snapshots[1].rows, "n"), [100]);
    assert_eq!(numbers(&snapshots[1].rows, "difference"), [2550]);
    let probe = |name: &str| Some(format!("uprobe:{file}:{name}"));
    let pattern = by_text(&snapshots[2].rows, "probe", "n");
    assert_eq!(pattern, [(probe("weir_traced_start"), 6), (probe("weir_traced_text"), 5)].into());
    let mut least = maybe_numbers(&snapshots[2].rows, "least");
    least.sort_unstable();
    assert_eq!(least, [None, Some(1)], "an address is not below 1000");
    let several = by_text(&snapshots[3].rows, "probe", "n");
    assert_eq!(several, [(probe("weir_traced_start"), 6), (probe("weir_traced_end"), 7)].into());
    // What was detached stays detached.
    drop(tables);
    calls(10);
}

/// Where a function of this program stands in its file.
fn file_offset(address: usize) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("proc is mounted");
    let mapped = maps.lines().find_map(|line| {
        let mut parts = line.split_whitespace();
        let (start, end) = parts.next()?.split_once('-')?;
        let hex = |text: &str| usize::from_str_radix(text, 16).ok();
        let (start, end, offset) = (hex(start)?, hex(end)?, hex(parts.nth(1)?)?);
        (start..end).contains(&address).then(|| address - start + offset)
    });
    mapped.expect("the function is mapped")
}

#[cfg(target_arch = "x86_64")]
#[test]
fn instructions_of_a_program_are_found_by_offset() {
    use weir_tests::traced::x86_64::{outer, outer_address};
    let file = program();
    let offset = file_offset(outer_address());
    let mut tables = attach(&format!(
        r#"
        [tables.plus]
        on = "uprobe:{file}:weir_traced_outer+1"
        show = {{ n = "count()", sum = "sum(arg1)" }}

        [tables.raw]
        on = "uprobe:{file}:{offset}"
        show = {{ n = "count()", sum = "sum(arg1)" }}

        [tables.hexadecimal]
        on = "uprobe:{file}:0x{offset:x}"
        show = {{ n = "count()", sum = "sum(arg1)" }}
        "#
    ));
    (0..20).for_each(|number| assert_eq!(outer(number), -9));
    for snapshot in tables.close().expect("the interval closes") {
        assert_eq!(numbers(&snapshot.rows, "n"), [20], "{}", snapshot.table);
        assert_eq!(numbers(&snapshot.rows, "sum"), [190], "{}", snapshot.table);
    }
}

/// Run by the test below in a process of its own.
#[test]
fn called_by_another_process() {
    if std::env::var_os("WEIR_TEST_CALLS").is_some() {
        calls(30);
    }
}

#[test]
fn a_probe_in_a_program_can_be_of_one_process_only() {
    let (file, pid) = (program(), process::id());
    let on = format!(
        "on = \"uprobe:{file}:weir_traced_numbers\"\nby = {{ pid = \"pid\" }}\nshow = {{ n = \"count()\" }}"
    );
    let mut tables = attach(&format!("[tables.all]\n{on}\n[tables.own]\npid = {pid}\n{on}\n"));
    calls(20);
    // Another thread of the same process counts.
    std::thread::scope(|scope| drop(scope.spawn(|| calls(5)).join()));
    let mut child = Command::new(&file);
    child.args(["--exact", "called_by_another_process"]).env("WEIR_TEST_CALLS", "");
    assert!(child.output().expect("the test runs again").status.success());
    let snapshots = tables.close().expect("the interval closes");
    let mut all = numbers(&snapshots[0].rows, "n");
    all.sort_unstable();
    assert_eq!(all, [25, 30]);
    assert_eq!(numbers(&snapshots[1].rows, "n"), [25]);
    assert_eq!(numbers(&snapshots[1].rows, "pid"), [pid.into()]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_probes_of_a_program_have_arguments_and_know_who_listens() {
    use weir_tests::traced::x86_64::{probe, semaphore};
    let (file, pid) = (program(), process::id());
    assert_eq!(semaphore(), 0);
    for scope in [String::new(), format!("pid = {pid}")] {
        let mut tables = attach(&format!(
            r#"
            [tables.t]
            on = "usdt:{file}:weir:called"
            {scope}
            by = {{ probe = "probe" }}
            show = {{ n = "count()", register = "sum(arg0)", half = "min(arg1)", constant = "max(arg2)", memory = "sum(arg3)", indexed = "sum(arg4)", negative = "max(arg5)" }}
            "#
        ));
        // Once for each place at which this process has mapped the code, which may have been mapped to be read too.
        assert_ne!(semaphore(), 0, "somebody listens");
        (1..=10).for_each(|number| probe(number, -5, -(number as i64)));
        let rows = &close(&mut tables).rows;
        assert_eq!(by_text(rows, "probe", "n"), [(Some(format!("usdt:{file}:weir:called")), 10)].into());
        assert_eq!(numbers(rows, "register"), [SUM]);
        assert_eq!(numbers(rows, "half"), [-5]);
        assert_eq!(numbers(rows, "constant"), [u32::MAX.into()]);
        assert_eq!(numbers(rows, "memory"), [-SUM]);
        assert_eq!(numbers(rows, "indexed"), [i128::from((-55i64).cast_unsigned())]);
        assert_eq!(numbers(rows, "negative"), [-1]);
        drop(tables);
        assert_eq!(semaphore(), 0, "nobody listens any more");
    }
    // A pattern finds it too.
    let mut tables =
        attach(&format!("[tables.t]\non = \"usdt:{file}:weir:c*\"\nshow = {{ n = \"count()\" }}"));
    probe(1, 2, 3);
    assert_eq!(numbers(&close(&mut tables).rows, "n"), [1]);
}

/// Keeps the processor busy until this thread has used so much of its time.
fn busy(time: Duration) {
    let start = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let used = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(now - start).expect("time goes on")
    };
    while used() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn a_profile_counts_by_the_time_that_was_used() {
    let pid = process::id();
    let begun = Instant::now();
    let mut tables = attach(&format!(
        r#"
        [tables.busy]
        on = "profile:hz:499"
        where = "pid == {pid}"
        by = {{ cpu = "cpu" }}
        show = {{ n = "count()" }}

        [tables.period]
        on = "profile:ms:2"
        where = "pid == {pid}"
        show = {{ n = "count()" }}

        [tables.everything]
        on = "profile:hz:499"
        by = {{ cpu = "cpu" }}
        show = {{ n = "count()" }}
        "#
    ));
    let cpu = cpus()[0];
    on_cpu(cpu, || busy(Duration::from_secs(1)));
    let snapshots = tables.close().expect("the interval closes");
    // The interval begins within attaching.
    let seconds = begun.elapsed().as_secs_f64();
    for snapshot in &snapshots {
        let rows: i128 = numbers(&snapshot.rows, "n").iter().sum();
        assert_eq!(rows, snapshot.coverage.events.into(), "{}", snapshot.table);
    }
    // A thread that shares its CPU is met by chance, and those chances go with the clock by which threads take turns;
    // an emulated machine is late.
    let least = if emulated() { 100 } else { 200 };
    for snapshot in &snapshots[..2] {
        let n: i128 = numbers(&snapshot.rows, "n").iter().sum();
        assert!((least..=900).contains(&n), "{}: {n} times within a second", snapshot.table);
    }
    let of_cpu = numbers(&snapshots[0].rows, "cpu");
    assert!(of_cpu.contains(&(cpu as i128)));
    let everything = &snapshots[2];
    assert_eq!(numbers(&everything.rows, "cpu").len(), cpus().len(), "every CPU, the idle ones too");
    let most = seconds * 520.0 * cpus().len() as f64;
    assert!((everything.coverage.events as f64) < most, "{} of {most}", everything.coverage.events);
}

#[test]
fn an_interval_comes_on_one_cpu() {
    // The interval begins within attaching.
    let start = Instant::now();
    let mut tables =
        attach("[tables.t]\non = \"interval:ms:10\"\nby = { cpu = \"cpu\" }\nshow = { n = \"count()\" }");
    on_cpu(cpus()[0], || busy(Duration::from_millis(500)));
    let rows = &close(&mut tables).rows;
    let most = start.elapsed().as_millis() as i128 / 10 + 2;
    assert_eq!(numbers(rows, "cpu").len(), 1);
    let n = numbers(rows, "n")[0];
    let least = if emulated() { 10 } else { 40 };
    assert!((least..=most).contains(&n), "{n} times, at most {most}");
}

#[test]
fn software_events_are_counted_one_by_one() {
    let pid = process::id();
    let mut tables = attach(&format!(
        r#"
        [tables.faults]
        on = "software:page-faults:1"
        where = "pid == {pid}"
        show = {{ n = "count()" }}

        [tables.some]
        on = "software:faults:10"
        where = "pid == {pid}"
        show = {{ n = "count()" }}

        [tables.switches]
        on = "software:cs:1"
        where = "pid == {pid}"
        show = {{ n = "count()" }}
        "#
    ));
    pin(cpus()[0]);
    touch_pages(500);
    // So long that it is asleep before it is to wake.
    (0..50).for_each(|_| std::thread::sleep(Duration::from_millis(2)));
    let snapshots = tables.close().expect("the interval closes");
    let n = |table: usize| numbers(&snapshots[table].rows, "n").iter().sum::<i128>();
    assert!((500..700).contains(&n(0)), "{} page faults", n(0));
    assert!((50..=70).contains(&n(1)), "{} times ten page faults", n(1));
    assert!((50..500).contains(&n(2)), "{} context switches", n(2));
}

#[test]
fn hardware_events_are_counted_or_refused_with_the_reason() {
    let config = "[tables.t]\non = \"hardware:cpu-cycles:1000000\"\nshow = { n = \"count()\" }";
    match try_attach(config) {
        Ok(mut tables) => {
            on_cpu(cpus()[0], || busy(Duration::from_millis(200)));
            assert!(close(&mut tables).coverage.events > 0);
        }
        Err(error) => {
            assert_eq!(error.kind, Kind::Unavailable);
            assert!(error.message.contains("hardware:cpu-cycles"), "{error}");
            assert!(error.help.as_deref().is_some_and(|help| help.contains("software:")), "{error}");
            // QEMU emulates none.
            if !emulated() {
                not_run("hardware events", "this machine has no counters for them");
            }
        }
    }
}

#[test]
fn a_pattern_counts_each_of_its_tracepoints() {
    let pid = process::id();
    let mut tables = attach(
        &format!(
            r#"
        [tables.pattern]
        on = "tracepoint:syscalls:sys_enter_l*"
        where = "pid == {pid}"
        by = {{ probe = "probe" }}
        show = {{ n = "count()" }}

        [tables.array]
        on = ["tracepoint:syscalls:sys_enter_lseek", "tracepoint:syscalls:sys_exit_lseek", "tp_btf:sys_enter"]
        where = "pid == {pid} && tid == {tid}"
        by = {{ probe = "probe" }}
        show = {{ n = "count()" }}

        [tables.raw]
        on = "rawtracepoint:sys_e*"
        where = "pid == {pid} && (args.id >= {NOWHERE} || args.ret == -38)"
        by = {{ probe = "probe" }}
        show = {{ n = "count()" }}
        "#,
            tid = rustix::thread::gettid().as_raw_nonzero(),
        )
        .replace("(args.id >= 1000000 || args.ret == -38)", "tid != 0"),
    );
    seeks();
    (0..5).for_each(call);
    let snapshots = tables.close().expect("the interval closes");
    let lseek = Some("tracepoint:syscalls:sys_enter_lseek".to_owned());
    assert_eq!(by_text(&snapshots[0].rows, "probe", "n")[&lseek], 10);
    let array = by_text(&snapshots[1].rows, "probe", "n");
    assert_eq!(array[&lseek], 10);
    assert_eq!(array[&Some("tracepoint:syscalls:sys_exit_lseek".to_owned())], 10);
    assert!(array[&Some("tp_btf:sys_enter".to_owned())] >= 15, "{array:?}");
    let raw = by_text(&snapshots[2].rows, "probe", "n");
    assert!(raw[&Some("rawtracepoint:sys_enter".to_owned())] >= 15, "{raw:?}");
    assert!(raw[&Some("rawtracepoint:sys_exit".to_owned())] >= 15, "{raw:?}");
}
