//! Every name that an expression can have, with values that are known otherwise.

use std::collections::BTreeMap;
use std::fs;
use std::process::{self, Command};
use std::time::{Duration, Instant};

use weir::error::Kind;
use weir_tests::events::{cpus, name_thread, on_cpu, open_at, seek};
use weir_tests::look::{by_text, field, numbers, texts};
use weir_tests::traced::{in_memory, program, weir_traced_numbers, weir_traced_text};
use weir_tests::{attach, close, emulated, refusal};

fn seeks(table: &str) -> weir::kernel::Tables {
    attach(&format!(
        "[tables.t]\non = \"tracepoint:syscalls:sys_enter_lseek\"\nwhere = \"pid == {}\"\n{table}\n",
        process::id()
    ))
}

#[test]
fn who_and_where_are_those_of_the_thread() {
    let mut tables = seeks(
        r#"
        by = { pid = "pid", tid = "tid", ppid = "ppid", uid = "uid", gid = "gid", comm = "comm", cpu = "cpu", numa = "numa" }
        show = { n = "count()", first = "min(nsecs)", last = "max(nsecs)" }
        "#,
    );
    let now = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
    };
    let mut expected = BTreeMap::new();
    let before = now();
    for cpu in cpus() {
        let mut tid = 0;
        on_cpu(cpu, || {
            name_thread(c"weir-names");
            tid = rustix::thread::gettid().as_raw_nonzero().get();
            (0..20).for_each(|offset| seek(offset, 0));
        });
        expected.insert(i128::from(tid), cpu as i128);
    }
    let after = now();
    let rows = &close(&mut tables).rows;
    let same = |column: &str, value: i128| {
        assert_eq!(numbers(rows, column), vec![value; expected.len()], "{column}");
    };
    same("pid", process::id().into());
    same("ppid", std::os::unix::process::parent_id().into());
    same("uid", rustix::process::getuid().as_raw().into());
    same("gid", rustix::process::getgid().as_raw().into());
    same("n", 20);
    assert!(texts(rows, "comm").iter().all(|comm| comm.as_deref() == Some("weir-names")));
    let found: BTreeMap<i128, i128> = numbers(rows, "tid").into_iter().zip(numbers(rows, "cpu")).collect();
    assert_eq!(found, expected);
    for (cpu, numa) in numbers(rows, "cpu").into_iter().zip(numbers(rows, "numa")) {
        let node = format!("/sys/devices/system/cpu/cpu{cpu}/node{numa}");
        // A kernel without nodes has node 0 only.
        assert!(fs::exists(&node).expect("sysfs tells") || numa == 0, "{node}");
    }
    assert!(numbers(rows, "first").iter().all(|time| (before..=after).contains(time)));
    assert!(numbers(rows, "last").iter().all(|time| (before..=after).contains(time)));
}

#[test]
fn the_running_task_is_read_by_its_type() {
    let parent = std::os::unix::process::parent_id();
    let mut tables = seeks(
        r#"
        by = { comm = "curtask.comm", parent = "curtask.real_parent.comm", tgid = "curtask.tgid", tid = "curtask.pid", ppid = "curtask.real_parent.tgid", user = "curtask.cred->uid.val" }
        show = { n = "count()", low = "min(curtask.mm.total_vm)", high = "max(curtask.mm.total_vm)", kernel = "max(curtask.flags >> 21 & 1)" }
        "#,
    );
    let pages = || -> i128 {
        let statm = fs::read_to_string("/proc/self/statm").expect("proc is mounted");
        statm.split(' ').next().and_then(|pages| pages.parse().ok()).expect("a number")
    };
    name_thread(c"weir-task");
    let before = pages();
    (0..10).for_each(|offset| seek(offset, 0));
    let after = pages();
    let rows = &close(&mut tables).rows;
    assert_eq!(numbers(rows, "n"), [10]);
    assert_eq!(texts(rows, "comm"), [Some("weir-task".to_owned())]);
    let name = fs::read_to_string(format!("/proc/{parent}/comm")).expect("the parent lives");
    assert_eq!(texts(rows, "parent"), [Some(name.trim_end().to_owned())]);
    assert_eq!(numbers(rows, "tgid"), [process::id().into()]);
    assert_eq!(numbers(rows, "tid"), [rustix::thread::gettid().as_raw_nonzero().get().into()]);
    assert_eq!(numbers(rows, "ppid"), [parent.into()]);
    assert_eq!(numbers(rows, "user"), [rustix::process::getuid().as_raw().into()]);
    assert!((before.min(after)..=before.max(after)).contains(&numbers(rows, "low")[0]));
    assert!((before.min(after)..=before.max(after)).contains(&numbers(rows, "high")[0]));
    assert_eq!(numbers(rows, "kernel"), [0], "it is no thread of the kernel");
}

/// A thread of the kernel has no memory of a process: what would be read from there is null, and no condition holds.
#[test]
fn what_is_not_there_is_null() {
    let mut tables = attach(
        r#"
        [tables.switches]
        on = "tp_btf:sched_switch"
        by = { kernel = "args.prev.flags >> 21 & 1", pages = "args.prev.mm.total_vm / 0" }
        show = { n = "count()", any = "count() if args.prev.mm.total_vm >= 0", none = "count() if !(args.prev.mm.total_vm >= 0)", sum = "stats(args.prev.mm.total_vm)" }
        "#,
    );
    (0..20).for_each(|_| std::thread::sleep(Duration::from_millis(1)));
    let rows = &close(&mut tables).rows;
    let pages = weir_tests::look::maybe_numbers(rows, "pages");
    let (n, any, none) = (numbers(rows, "n"), numbers(rows, "any"), numbers(rows, "none"));
    let (mut of_kernel, mut of_processes) = (0, 0);
    for (row, kernel) in numbers(rows, "kernel").into_iter().enumerate() {
        // A process that exits has given its memory back.
        if pages[row].is_none() {
            assert_eq!((any[row], none[row]), (0, n[row]));
            assert_eq!(field(rows, "sum", "count")[row], 0);
            assert_eq!(weir_tests::look::maybe_field(rows, "sum", "min")[row], None);
            of_kernel += n[row];
        } else {
            assert_eq!(kernel, 0, "a thread of the kernel has no memory");
            assert_eq!((any[row], none[row]), (n[row], 0));
            of_processes += n[row];
        }
    }
    assert!(of_kernel > 0 && of_processes >= 20, "{of_kernel} and {of_processes}");
}

#[test]
fn control_groups_have_ids_paths_and_containers() {
    let table = r#"
        by = { cgroup = "cgroup", path = "cgroup_path", container = "container" }
        show = { n = "count()" }
    "#;
    if !fs::exists("/sys/fs/cgroup/cgroup.controllers").expect("sysfs tells") {
        let error = refusal(&format!("[tables.t]\non = \"tracepoint:syscalls:sys_enter_lseek\"\n{table}"));
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.message.contains("version 2"), "{error}");
        weir_tests::not_run("keys of control groups", "this machine mounts those of version 1");
        return;
    }
    let id = "0123456789abcdef".repeat(4);
    let group = format!("weir-test/docker-{id}.scope");
    let folder = std::path::Path::new("/sys/fs/cgroup").join(&group);
    fs::create_dir_all(&folder).expect("a new control group");
    let before = fs::read_to_string("/proc/self/cgroup").expect("proc is mounted");
    let before =
        before.lines().find_map(|line| line.strip_prefix("0::/")).expect("a group of version 2").to_owned();
    let mut tables = seeks(table);
    let pid = process::id().to_string();
    fs::write(folder.join("cgroup.procs"), &pid).expect("it moves");
    (0..30).for_each(|offset| seek(offset, 0));
    fs::write(std::path::Path::new("/sys/fs/cgroup").join(before).join("cgroup.procs"), &pid)
        .expect("it moves back");
    (0..5).for_each(|offset| seek(offset, 0));
    let rows = &close(&mut tables).rows;
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&folder).expect("it is there"));
    fs::remove_dir(&folder).expect("it is empty");
    let row = texts(rows, "path").iter().position(|path| path.as_deref() == Some(&format!("/{group}")));
    let row = row.expect("a row of the group");
    assert_eq!(numbers(rows, "n")[row], 30);
    assert_eq!(numbers(rows, "cgroup")[row], inode.into());
    assert_eq!(texts(rows, "container")[row], Some(id));
    assert_eq!(numbers(rows, "n").iter().sum::<i128>(), 35);
}

#[test]
fn elapsed_is_the_time_from_start_to_end() {
    let mut tables = attach(&format!(
        r#"
        [tables.t]
        from = "tracepoint:syscalls:sys_enter_clock_nanosleep"
        to = "tracepoint:syscalls:sys_exit_clock_nanosleep"
        where = "pid == {} && elapsed >= 2ms"
        show = {{ n = "count()", elapsed = "stats(elapsed)" }}
        "#,
        process::id()
    ));
    let start = Instant::now();
    (0..10).for_each(|_| std::thread::sleep(Duration::from_millis(2)));
    let all = start.elapsed().as_nanos() as i128;
    let rows = &close(&mut tables).rows;
    assert_eq!(numbers(rows, "n"), [10]);
    assert!(field(rows, "elapsed", "min")[0] >= 2_000_000);
    assert!((20_000_000..=all).contains(&field(rows, "elapsed", "sum")[0]));
}

#[test]
fn texts_of_processes_are_read_where_they_are() {
    let mut tables = attach(&format!(
        r#"
        [tables.opens]
        on = "tracepoint:syscalls:sys_enter_openat"
        where = "pid == {pid} && tid == {tid}"
        by = {{ name = "str(args.filename)" }}
        show = {{ n = "count()", starts = "count() if starts_with(str(args.filename), '/weir/no')", same = "count() if str(args.filename) == '/weir/nothing'", other = "count() if str(args.filename) != '/weir/nothing'" }}

        [tables.short]
        on = "tracepoint:syscalls:sys_enter_openat"
        where = "pid == {pid} && starts_with(str(args.filename), '/weir/')"
        by = {{ name = "str(args.filename, 9)" }}
        show = {{ n = "count()" }}

        [tables.traced]
        on = "uprobe:{file}:weir_traced_text"
        by = {{ text = "str(arg0, 120)" }}
        show = {{ n = "count()" }}

        [tables.returned]
        on = "uretprobe:{file}:weir_traced_text"
        where = "str(retval) == 'b\\x61r'"
        by = {{ text = "str(retval)" }}
        show = {{ n = "count()" }}
        "#,
        pid = process::id(),
        tid = rustix::thread::gettid().as_raw_nonzero(),
        file = program(),
    ));
    for (path, times) in [(c"/weir/nothing", 5), (c"/weir/nowhere", 4), (c"/weir", 3)] {
        (0..times).for_each(|_| assert!(open_at(in_memory(path).addr()) < 0));
    }
    // No memory is there.
    (0..6).for_each(|_| assert!(open_at(16) < 0));
    let long = std::ffi::CString::new("y".repeat(200)).expect("no NUL");
    for (text, times) in [(c"foo", 1), (c"bar", 2), (c"caf\xc3\xa9 \x1b[31m\\", 3), (&long, 4), (c"", 5)] {
        for _ in 0..times {
            weir_traced_text(in_memory(text));
        }
    }
    for _ in 0..7 {
        weir_traced_text(16 as *const u8);
    }
    let snapshots = tables.close().expect("the interval closes");
    let rows = &snapshots[0].rows;
    let opens = by_text(rows, "name", "n");
    let text = |text: &str| Some(text.to_owned());
    for (name, times) in
        [(text("/weir/nothing"), 5), (text("/weir/nowhere"), 4), (text("/weir"), 3), (None, 6)]
    {
        assert_eq!(opens[&name], times, "{name:?}");
    }
    let sum = |column: &str| numbers(rows, column).iter().sum::<i128>();
    assert_eq!((sum("starts"), sum("same")), (9, 5));
    // What cannot be read is neither the same nor another.
    let other = by_text(rows, "name", "other");
    assert_eq!((other[&text("/weir/nothing")], other[&text("/weir/nowhere")], other[&None]), (0, 4, 0));
    assert_eq!(by_text(&snapshots[1].rows, "name", "n"), [(text("/weir/no"), 9)].into());
    let traced = by_text(&snapshots[2].rows, "text", "n");
    let expected = [
        (text("foo"), 1),
        (text("bar"), 2),
        (text("café \\x1b[31m\\\\"), 3),
        (text(&"y".repeat(119)), 4),
        (text(""), 5),
        (None, 7),
    ];
    assert_eq!(traced, expected.into());
    assert_eq!(by_text(&snapshots[3].rows, "text", "n"), [(text("bar"), 2)].into());
}

/// What a system call is given is a text of the process, wherever it is met.
#[test]
fn texts_of_processes_are_read_by_addresses_in_registers() {
    let (pid, tid) = (process::id(), rustix::thread::gettid().as_raw_nonzero());
    let mut probes = vec![
        (format!("tp_btf:sys_enter\"\nwhere = \"args.id == {}", libc::SYS_openat), "args.regs.si"),
        (format!("rawtracepoint:sys_enter\"\nwhere = \"args.id == {}", libc::SYS_openat), "args.regs.si"),
    ];
    if cfg!(not(target_arch = "x86_64")) {
        probes.clear();
    }
    // Kernels without kprobes refuse these; another test sees to what they say.
    if emulated() {
        probes.push(("kprobe:do_sys_openat2\"\nwhere = \"args.dfd == -100".to_owned(), "args.filename"));
        probes.push(("kprobe:do_sys_openat2\"\nwhere = \"tid != 0".to_owned(), "arg1"));
        probes.push(("fentry:do_sys_openat2\"\nwhere = \"args.dfd == -100".to_owned(), "args.filename"));
    }
    for (probe, address) in probes {
        let mut tables = attach(&format!(
            "[tables.t]\non = \"{probe} && pid == {pid} && tid == {tid}\"\nby = {{ name = \"str({address})\" }}\nshow = {{ n = \"count()\" }}"
        ));
        (0..5).for_each(|_| assert!(open_at(in_memory(c"/weir/nothing").addr()) < 0));
        (0..3).for_each(|_| assert!(open_at(16) < 0));
        let opens = by_text(&close(&mut tables).rows, "name", "n");
        assert_eq!(opens[&Some("/weir/nothing".to_owned())], 5, "{probe}");
        assert_eq!(opens[&None], 3, "{probe}");
    }
}

#[test]
fn texts_of_records_and_of_the_kernel_are_read() {
    let pid = process::id();
    let mut tables = attach(&format!(
        r#"
        [tables.renames]
        on = "tracepoint:task:task_rename"
        where = "pid == {pid} && starts_with(args.newcomm, 'weir-') && args.newcomm != 'weir-'"
        by = {{ old = "args.oldcomm", new = "args.newcomm" }}
        show = {{ n = "count()" }}

        [tables.switches]
        on = "tracepoint:sched:sched_switch"
        where = "args.prev_comm == 'weir-sleeper-15'"
        by = {{ comm = "args.prev_comm" }}
        show = {{ n = "count()" }}

        [tables.located]
        on = "tracepoint:sched:sched_process_exec"
        where = "ppid == {pid}"
        by = {{ file = "args.filename" }}
        show = {{ n = "count()" }}

        [tables.pointed]
        on = "tp_btf:sched_process_exec"
        where = "ppid == {pid} && str(args.bprm.filename) == '/bin/true'"
        by = {{ file = "str(args.bprm.filename)", comm = "args.p.comm", short = "str(args.p.comm, 3)" }}
        show = {{ n = "count()" }}
        "#
    ));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..10).for_each(|_| {
                name_thread(c"weir-a");
                name_thread(c"weir-b");
            });
            name_thread(c"other");
        });
        scope.spawn(|| {
            // As long as a name can be.
            name_thread(c"weir-sleeper-15");
            // So long that it is asleep before it is to wake.
            (0..25).for_each(|_| std::thread::sleep(Duration::from_millis(2)));
        });
    });
    for _ in 0..3 {
        assert!(Command::new("/bin/true").status().expect("it runs").success());
    }
    let snapshots = tables.close().expect("the interval closes");
    let rows = &snapshots[0].rows;
    let renames: BTreeMap<(String, String), i128> = texts(rows, "old")
        .into_iter()
        .zip(texts(rows, "new"))
        .zip(numbers(rows, "n"))
        .map(|((old, new), n)| ((old.expect("a text"), new.expect("a text")), n))
        .collect();
    let key = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    assert_eq!(renames[&key("weir-a", "weir-b")], 10);
    assert_eq!(renames[&key("weir-b", "weir-a")], 9);
    assert_eq!(numbers(rows, "n").iter().sum::<i128>(), 21, "{renames:?}");
    let switches = by_text(&snapshots[1].rows, "comm", "n");
    assert_eq!(switches.len(), 1);
    assert!(switches[&Some("weir-sleeper-15".to_owned())] >= 25, "{switches:?}");
    let file = Some("/bin/true".to_owned());
    assert_eq!(by_text(&snapshots[2].rows, "file", "n"), [(file.clone(), 3)].into());
    let rows = &snapshots[3].rows;
    assert_eq!(by_text(rows, "file", "n"), [(file, 3)].into());
    assert_eq!(texts(rows, "comm"), [Some("true".to_owned())]);
    assert_eq!(texts(rows, "short"), [Some("tr".to_owned())], "the NUL is one of three bytes");
}

#[test]
fn numbers_have_their_names() {
    let pid = process::id();
    let mut tables = attach(&format!(
        r#"
        [tables.calls]
        on = "rawtracepoint:sys_enter"
        where = "pid == {pid} && (syscall(args.id) == 'lseek' || args.id >= 1000000)"
        by = {{ call = "syscall(args.id)" }}
        show = {{ n = "count()", seeks = "count() if syscall(args.id) == 'lseek'", others = "count() if syscall(args.id) != 'lseek'" }}

        [tables.errors]
        on = "tracepoint:syscalls:sys_exit_lseek"
        where = "pid == {pid}"
        by = {{ error = "errno(args.ret)" }}
        show = {{ n = "count()", bad = "count() if errno(args.ret) == 'EBADF'" }}

        [tables.vectors]
        on = "tracepoint:irq:softirq_raise"
        by = {{ vector = "args.vec" }}
        show = {{ n = "count()", timers = "count() if args.vec == 'TIMER'" }}

        [tables.timers]
        on = "tp_btf:hrtimer_start"
        where = "pid == {pid} && tid == {tid}"
        by = {{ mode = "args.mode" }}
        show = {{ n = "count()", relative = "count() if args.mode == 'HRTIMER_MODE_REL'" }}
        "#,
        tid = rustix::thread::gettid().as_raw_nonzero(),
    ));
    (0..12).for_each(|offset| seek(offset, 0));
    (0..3).for_each(weir_tests::events::call);
    // Where there is a file, lseek answers where it is.
    let file = fs::File::open("/proc/self/status").expect("proc is mounted");
    (0..2).for_each(|_| {
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).expect("it can");
    });
    (0..20).for_each(|_| std::thread::sleep(Duration::from_millis(1)));
    let snapshots = tables.close().expect("the interval closes");
    let text = |text: &str| Some(text.to_owned());
    let calls = by_text(&snapshots[0].rows, "call", "n");
    assert_eq!(calls[&text("lseek")], 14);
    assert_eq!((calls[&text("1000000")], calls[&text("1000002")]), (1, 1), "what has no name is a number");
    let sum = |table: usize, column: &str| numbers(&snapshots[table].rows, column).iter().sum::<i128>();
    assert_eq!((sum(0, "seeks"), sum(0, "others")), (14, 3));
    let errors = by_text(&snapshots[1].rows, "error", "n");
    assert_eq!(errors, [(text("EBADF"), 12), (text("OK"), 2)].into());
    assert_eq!(sum(1, "bad"), 12);
    let vectors = by_text(&snapshots[2].rows, "vector", "n");
    let known =
        ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];
    assert!(!vectors.is_empty());
    for name in vectors.keys() {
        assert!(name.as_deref().is_some_and(|name| known.contains(&name)), "{vectors:?}");
    }
    assert_eq!(sum(2, "timers"), vectors.get(&text("TIMER")).copied().unwrap_or(0));
    let timers = by_text(&snapshots[3].rows, "mode", "n");
    assert!(timers.values().sum::<i128>() >= 20, "{timers:?}");
    for name in timers.keys() {
        assert!(name.as_deref().is_some_and(|name| name.starts_with("HRTIMER_MODE_")), "{timers:?}");
    }
    assert_eq!(sum(3, "relative"), timers.get(&text("HRTIMER_MODE_REL")).copied().unwrap_or(0));
}

/// A star is no pattern here; who means one writes it by its number.
#[test]
fn a_star_is_compared_where_it_is_meant() {
    let on = format!("on = \"uprobe:{}:weir_traced_text\"", program());
    let table = |text: &str| {
        format!("[tables.t]\n{on}\nwhere = 'str(arg0) == \"{text}\"'\nshow = {{ n = \"count()\" }}")
    };
    let error = refusal(&table("a*"));
    let help = error.help.as_deref().unwrap_or_default();
    assert!(help.contains("starts_with") && help.contains("\\x2a"), "{error}");
    let mut tables = attach(&table("a\\x2a"));
    for text in [c"a*", c"ab", c"a*", c"a"] {
        weir_traced_text(in_memory(text));
    }
    assert_eq!(numbers(&close(&mut tables).rows, "n"), [2]);
}

/// What a table holds goes to plugins, which are strangers.
#[test]
fn addresses_of_the_kernel_are_refused() {
    for expression in
        ["args.regs", "(uint64)args.regs", "args.regs + 1", "curtask", "curtask.mm", "~(int64)args.regs"]
    {
        let error = refusal(&format!(
            "[tables.t]\non = \"tp_btf:sys_enter\"\nby = {{ x = \"{expression}\" }}\nshow = {{ n = \"count()\" }}"
        ));
        assert_eq!(error.kind, Kind::Config);
        assert!(error.message.contains("kernel address"), "{expression}: {error}");
        let error = refusal(&format!(
            "[tables.t]\non = \"tp_btf:sys_enter\"\nshow = {{ n = \"max({expression})\" }}"
        ));
        assert!(error.message.contains("kernel address"), "{expression}: {error}");
    }
    // They can be followed and compared.
    let mut tables = attach(&format!(
        "[tables.t]\non = \"tp_btf:sys_enter\"\nwhere = \"pid == {} && args.id == 8 && args.regs && curtask.mm == curtask.active_mm\"\nshow = {{ n = \"count()\" }}",
        process::id()
    ));
    if cfg!(target_arch = "x86_64") {
        (0..9).for_each(|offset| seek(offset, 0));
        assert_eq!(numbers(&close(&mut tables).rows, "n"), [9]);
    }
}

#[test]
fn the_address_of_a_process_is_its_own() {
    let mut tables = attach(&format!(
        "[tables.t]\non = \"tracepoint:syscalls:sys_enter_openat\"\nwhere = \"pid == {} && args.filename == 16\"\nby = {{ at = \"args.filename\" }}\nshow = {{ n = \"count()\" }}",
        process::id()
    ));
    (0..4).for_each(|_| assert!(open_at(16) < 0));
    let rows = &close(&mut tables).rows;
    assert_eq!((numbers(rows, "at"), numbers(rows, "n")), (vec![16], vec![4]));
    // Whatever it is, reading it does no harm.
    let mut tables = attach(&format!(
        "[tables.t]\non = \"uprobe:{}:weir_traced_numbers\"\nby = {{ text = \"str(arg0)\", structure = \"((struct task_struct *)arg1).pid\" }}\nshow = {{ n = \"count()\" }}",
        program()
    ));
    for address in [0, 1, u64::MAX, 1 << 63, 0xffff_ffff_8100_0000, 1 << 47] {
        weir_traced_numbers(address, address, 0);
    }
    let rows = &close(&mut tables).rows;
    assert_eq!(numbers(rows, "n").iter().sum::<i128>(), 6);
    assert!(texts(rows, "text").iter().all(Option::is_none), "{:?}", texts(rows, "text"));
}
