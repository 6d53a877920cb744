//! What `weir probes` lists, on a kernel that was recorded.

use weir::error::Kind;
use weir::probe::Kernel;

use crate::recorded;

fn listed(kernel: &Kernel, glob: &str) -> Vec<String> {
    kernel.list(glob).unwrap_or_else(|error| panic!("{glob}: {error}"))
}

fn verbose(kernel: &Kernel, point: &str) -> String {
    let fields = kernel.fields(point).unwrap_or_else(|error| panic!("{point}: {error}"));
    fields.iter().map(|field| format!("    {field}\n")).collect()
}

#[test]
fn patterns_fit_whole_names_or_any_part() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = recorded::kernel(folder.path());
    let read = ["tracepoint:syscalls:sys_enter_read", "tracepoint:syscalls:sys_exit_read"];
    assert_eq!(listed(&kernel, "t:syscalls:sys_*_read"), read);
    assert_eq!(listed(&kernel, "*:syscalls:sys_*_read"), read);
    assert_eq!(listed(&kernel, "_read"), read);
    assert_eq!(listed(&kernel, "tp_btf:*"), ["tp_btf:bare", "tp_btf:sys_exit"]);
    let all = listed(&kernel, "*");
    assert!(all.is_sorted() && all.contains(&"software:page-faults".to_owned()), "{all:?}");
}

#[test]
fn probes_in_programs_are_listed_for_one() {
    // This program would not know what it was started for.
    weir::sandbox::start_from(env!("CARGO_BIN_EXE_weir").into());
    let folder = tempfile::tempdir().unwrap();
    let kernel = recorded::kernel(folder.path());
    let program = std::env::current_exe().unwrap();
    let mains = listed(&kernel, &format!("u:{}:mai?", program.display()));
    assert_eq!(mains, [format!("uprobe:{}:main", program.display())]);
    let error = kernel.list("uprobe:*").unwrap_err();
    assert_eq!(error.kind, Kind::Config);
    assert!(error.to_string().contains("one at a time"), "{error}");
}

#[test]
fn that_nothing_fits_is_an_error_with_what_is_near() {
    let folder = tempfile::tempdir().unwrap();
    let error = recorded::kernel(folder.path()).list("tracepoint:sched:sched_swich").unwrap_err();
    assert_eq!(error.kind, Kind::Config);
    assert_eq!(
        error.to_string(),
        "no probe of this machine fits `tracepoint:sched:sched_swich`\n  help: did you mean `tracepoint:sched:sched_switch`?"
    );
}

#[test]
fn fields_are_as_expressions_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = recorded::kernel(folder.path());
    for (point, fields) in [
        (
            "tracepoint:syscalls:sys_enter_openat",
            "    args.__syscall_nr (int)
    args.dfd (int)
    args.filename (const char *): an address in the process, where a text is read by str(args.filename)
    args.flags (int)
    args.mode (umode_t)
",
        ),
        (
            "tracepoint:syscalls:sys_exit_read",
            "    args.__syscall_nr (int)
    args.ret (long)
",
        ),
        (
            "tracepoint:raw_syscalls:sys_enter",
            "    args.id (long)
    args.args (unsigned long[6]): 6 numbers, args.args[0] to args.args[5]
",
        ),
        (
            "tp_btf:sys_exit",
            "    args.regs (struct pt_regs *): an address in the kernel, whose members are args.regs.MEMBER
    args.ret (long)
",
        ),
        (
            "tp_btf:bare",
            "    arg0 (enum colour): one of RED 0, GREEN 1
    arg1 (const int)
",
        ),
        (
            "fexit:vfs_read",
            "    args.file (struct pt_regs *): an address in the kernel, whose members are args.file.MEMBER
    args.flags (int)
    retval (int64)
",
        ),
        ("profile:hz:99", ""),
    ] {
        assert_eq!(verbose(&kernel, point), fields, "{point}");
    }
    let switch = verbose(&kernel, "tracepoint:sched:sched_switch");
    assert!(switch.starts_with("    args.prev_comm (char[16]): text of at most 16 bytes\n"), "{switch}");
    let skb = verbose(&kernel, "tracepoint:skb:kfree_skb");
    assert!(skb.contains("    args.skbaddr (void *): an address in the kernel\n"), "{skb}");
}
