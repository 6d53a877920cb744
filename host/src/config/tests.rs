//! What users see of a configuration that is right, and of each that is wrong.

use proptest::prelude::*;

use super::*;
use crate::probe::describe;
use crate::probe::kernel::tests::recorded;
use crate::table::{
    Access, Arithmetic, Attach, Builtin, Comparison, Condition, KeyKind, KeyValue, Load, MeasureKind, Memory,
    Text, TextComparison, Value,
};

fn parse(text: &str) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    Config::parse(text, Path::new("etc/weir.toml"), &recorded(folder.path()))
}

/// The whole of what a user sees.
#[track_caller]
fn refused(text: &str, shown: &str) {
    let error = parse(text).expect_err("this should be refused");
    assert_eq!(error.kind, Kind::Config);
    assert_eq!(error.to_string(), shown.trim_start_matches('\n'), "\n{error}\n");
}

/// A table on `sys_exit_read` with these lines added; these count from line 3.
fn table(lines: &str) -> String {
    on("t:syscalls:sys_exit_read", lines)
}

/// A table on another probe, likewise.
fn on(probe: &str, lines: &str) -> String {
    format!("[tables.t]\non = \"{probe}\"\n{lines}")
}

/// A table of spans; its lines count from line 4.
fn span(lines: &str) -> String {
    format!("[tables.t]\nfrom = \"t:syscalls:sys_enter_read\"\nto = \"t:syscalls:sys_exit_read\"\n{lines}")
}

/// The one table of a text that is right.
#[track_caller]
fn one(text: &str) -> Arc<TableSpec> {
    parse(text).unwrap_or_else(|error| panic!("{error}")).tables[0].clone()
}

/// The filter of a table with this `where`.
#[track_caller]
fn filter(probe: &str, filter: &str) -> Condition {
    let table = one(&on(probe, &format!("where = '{filter}'\nshow = {{ n = \"count()\" }}")));
    table.probes[0].filter.clone().unwrap()
}

fn context(offset: u32, bytes: u32, signed: bool) -> Value {
    Value::Context(Load { offset, bytes, copied: false, shift: 0, bits: bytes * 8, signed })
}

fn compare(left: Value, op: Comparison, signed: bool, right: u64) -> Condition {
    Condition::Compare { op, signed, left, right: Value::Constant(right) }
}

fn and(left: Condition, right: Condition) -> Condition {
    Condition::And(Box::new(left), Box::new(right))
}

fn kernel(base: Value, offset: i64, bytes: u32, signed: bool, access: Access) -> Value {
    Value::Memory(Box::new(Memory { base, offset, bytes, shift: 0, bits: bytes * 8, signed, access }))
}

#[test]
fn everything_that_can_be_said() {
    let config = parse(
        r#"
        interval = "250ms"

        [tables.read_latency]
        from  = "tracepoint:syscalls:sys_enter_read"
        to    = "tracepoint:syscalls:sys_exit_read"
        where = "args.ret > 0 && elapsed >= 1ms && uid != 0x10"
        by    = { comm = "comm", file = "start.fd", pid = "pid" }
        show  = { latency = "hist(elapsed)", least = "min(args.ret)", size = "max(start.count)", calls = "count()" }
        keys  = 1000
        include_self = true

        [tables.exits]
        on = "rt:sys_exit"
        show = { failed = "sum(args.ret)" }

        [plugins.slow-reads]
        component = "plugins/slow_reads.wasm"
        tables    = ["read_latency"]
        options   = { threshold = "1ms", most = 10, share = 0.5, loud = true }
        limits    = { memory = "16MiB", deadline = "50ms" }

        [plugins.all]
        component = "/usr/lib/weir/top.wasm"
        "#,
    )
    .unwrap();
    assert_eq!(config.interval, Duration::from_millis(250));
    let names: Vec<&str> = config.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["read_latency", "exits"], "in the order of the file");

    let table = &config.tables[0];
    let (start, end) = (&table.starts[0], &table.probes[0]);
    assert_eq!((table.starts.len(), table.probes.len()), (1, 1));
    assert_eq!(
        start.attach,
        Attach::Tracepoint { category: "syscalls".to_owned(), name: "sys_enter_read".to_owned() }
    );
    let keys: Vec<_> = table.keys.iter().map(|key| (key.name.as_str(), key.kind.clone())).collect();
    assert_eq!(keys, [("comm", KeyKind::Text(16)), ("file", KeyKind::Unsigned), ("pid", KeyKind::Unsigned)]);
    assert_eq!(
        end.keys,
        [
            KeyValue::Text(Text::Comm),
            KeyValue::Number(Value::Saved(0)),
            KeyValue::Number(Value::Builtin(Builtin::Pid)),
        ]
    );
    assert_eq!(start.saved, [context(16, 4, false), context(32, 8, false)]);
    assert_eq!((table.saved, &start.pair, &start.filter), (2, &None, &None));
    let measures: Vec<_> = table
        .measures
        .iter()
        .map(|m| (m.name.as_str(), m.kind, m.signed, m.conditional, m.unit.as_str()))
        .collect();
    assert_eq!(
        measures,
        [
            ("latency", MeasureKind::Hist(0), false, false, "ns"),
            ("least", MeasureKind::Min, true, false, ""),
            ("size", MeasureKind::Max, false, false, ""),
            ("calls", MeasureKind::Count, false, false, ""),
        ]
    );
    let ret = context(16, 8, true);
    let values: Vec<_> = end.measures.iter().map(|measure| measure.value.clone()).collect();
    assert_eq!(values, [Some(Value::Elapsed), Some(ret.clone()), Some(Value::Saved(1)), None]);
    assert_eq!(
        end.filter,
        Some(and(
            and(
                compare(ret, Comparison::Greater, true, 0),
                compare(Value::Elapsed, Comparison::GreaterOrEqual, false, 1_000_000),
            ),
            compare(Value::Builtin(Builtin::Uid), Comparison::NotEqual, true, 16),
        ))
    );
    assert_eq!((table.rows, table.include_self), (1000, true));
    assert_eq!(
        describe(table),
        "read_latency: tracepoint:syscalls:sys_enter_read to tracepoint:syscalls:sys_exit_read: \
         latency (hist, unsigned, ns), least (min, signed), size (max, unsigned), calls (count) \
         by comm (text), file (unsigned), pid (unsigned), at most 1000 rows"
    );
    assert_eq!(config.tables[1].rows, 1);
    assert_eq!(describe(&config.tables[1]), "exits: rawtracepoint:sys_exit: failed (sum, signed), one row");

    let plugin = &config.plugins[0];
    assert_eq!(plugin.name, "slow-reads");
    assert_eq!(plugin.component, Path::new("etc/plugins/slow_reads.wasm"));
    assert_eq!(plugin.tables, Some(vec!["read_latency".to_owned()]));
    assert_eq!(
        plugin.limits.or(&Limits::default()),
        Limits { memory: 16 << 20, deadline: Duration::from_millis(50) }
    );
    assert_eq!(plugin.options["threshold"], OptionValue::Text("1ms".to_owned()));
    assert_eq!(plugin.options["most"], OptionValue::Integer(10));
    assert_eq!(plugin.options["share"], OptionValue::Number(0.5));
    assert_eq!(plugin.options["loud"], OptionValue::Flag(true));
    let all = &config.plugins[1];
    assert_eq!(all.component, Path::new("/usr/lib/weir/top.wasm"));
    assert_eq!((&all.tables, &all.limits), (&None, &SetLimits::default()));
}

#[test]
fn elements_of_arrays_and_negative_numbers() {
    let table = one(r#"
        [tables.t]
        on = "t:raw_syscalls:sys_enter"
        where = "args.id != -1 && args.id < 0x7fffffffffffffff"
        by = { second = "args.args[1]" }
        show = { calls = "count()" }
        "#);
    assert_eq!(table.probes[0].keys, [KeyValue::Number(context(24, 8, false))]);
    let id = || context(8, 8, true);
    assert_eq!(
        table.probes[0].filter,
        Some(and(
            compare(id(), Comparison::NotEqual, true, u64::MAX),
            compare(id(), Comparison::Less, true, i64::MAX as u64),
        ))
    );
    assert_eq!(table.rows, 10_000);
}

#[test]
fn numbers_meet_by_their_signs() {
    let ret = || context(16, 8, true);
    let probe = "t:syscalls:sys_exit_read";
    let double = Value::Arithmetic {
        op: Arithmetic::Multiply,
        signed: true,
        left: Box::new(ret()),
        right: Box::new(Value::Constant(2)),
    };
    assert_eq!(filter(probe, "args.ret * 2 > -2"), compare(double, Comparison::Greater, true, -2i64 as u64));
    // 64 bits without a sign.
    assert_eq!(
        filter(probe, "(uint64)args.ret > 0xffffffffffffffff - 1"),
        Condition::Compare {
            op: Comparison::Greater,
            signed: false,
            left: ret(),
            right: Value::Arithmetic {
                op: Arithmetic::Subtract,
                signed: false,
                left: Box::new(Value::Constant(u64::MAX)),
                right: Box::new(Value::Constant(1)),
            },
        }
    );
    let low = Value::Narrow { value: Box::new(ret()), bits: 8, signed: true };
    assert_eq!(
        filter(probe, "(int8)args.ret == -128"),
        compare(low, Comparison::Equal, true, -128i64 as u64)
    );
    // The difference of two numbers without a sign has one; a remainder by what may be 0 is as wide as its left.
    let table = one(&on(
        "t:block:block_rq_issue",
        "show = { d = \"sum(args.bytes - args.nr_sector)\", r = \"max(args.sector % args.bytes)\", \
         s = \"max(args.sector % 512 - 1)\" }",
    ));
    let signs: Vec<bool> = table.measures.iter().map(|measure| measure.signed).collect();
    assert_eq!(signs, [true, false, true]);
    refused(
        &on("t:block:block_rq_issue", "show = { d = \"sum(args.sector % args.bytes + -1)\" }"),
        r#"
one side is signed, and the other has 64 bits without a sign
 --> etc/weir.toml:3:19
  |
3 | show = { d = "sum(args.sector % args.bytes + -1)" }
  |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: cast one of them: `(int64)x` or `(uint64)x`"#,
    );
}

#[test]
fn texts() {
    let probe = "t:syscalls:sys_enter_openat";
    let at = |access| Text::At { address: context(24, 8, false), access };
    let text = |op, text, is: &str| Condition::Text { op, text, is: is.into() };
    assert_eq!(
        filter(probe, r#"str(args.filename) == "/etc/\x2a""#),
        text(TextComparison::Equal, at(Access::User), "/etc/*")
    );
    assert_eq!(filter(probe, r#"comm != "a b""#), text(TextComparison::NotEqual, Text::Comm, "a b"));
    assert_eq!(
        filter(probe, r#"!starts_with(str(args.filename), "/proc/")"#),
        Condition::Not(Box::new(text(TextComparison::StartsWith, at(Access::User), "/proc/")))
    );
    let table = one(&on(
        probe,
        "by = { file = \"str(args.filename, 100)\", cut = \"str(comm, 8)\" }\nshow = { n = \"count()\" }",
    ));
    let kinds: Vec<_> = table.keys.iter().map(|key| key.kind.clone()).collect();
    assert_eq!(kinds, [KeyKind::Text(100), KeyKind::Text(8)]);
    assert_eq!(table.probes[0].keys, [KeyValue::Text(at(Access::User)), KeyValue::Text(Text::Comm)]);
    assert!(table.has_nulls(), "memory of a process may not be there");

    let table = one(&on(
        "t:block:block_rq_issue",
        "by = { command = \"args.cmd\", kind = \"args.rwbs\" }\nshow = { n = \"count()\" }",
    ));
    let kinds: Vec<_> = table.keys.iter().map(|key| key.kind.clone()).collect();
    assert_eq!(kinds, [KeyKind::Text(64), KeyKind::Text(10)]);
    assert!(!table.has_nulls(), "the record is there");
}

#[test]
fn paths_into_structures() {
    let regs = context(0, 8, false);
    assert_eq!(
        filter("tp_btf:sys_exit", "args.regs->r15 > 0"),
        compare(kernel(regs.clone(), 0, 8, true, Access::Typed), Comparison::Greater, true, 0)
    );
    // The kernel does not know this type.
    let cast = kernel(regs, 8, 4, true, Access::Kernel);
    assert_eq!(
        filter("tp_btf:sys_exit", "((struct task_struct *)args.regs).tgid == 1"),
        compare(cast, Comparison::Equal, true, 1)
    );
    let task = || Value::Builtin(Builtin::Task);
    let parent = kernel(task(), 0, 8, false, Access::Typed);
    let table = one(&table(
        "by = { parent = \"ppid\", name = \"curtask.comm\", of = \"curtask->real_parent->comm\", \
         last = \"curtask.times[2]\" }\nshow = { n = \"count()\" }",
    ));
    let text = |address| KeyValue::Text(Text::At { address, access: Access::Kernel });
    let plus = |base, offset| Value::Arithmetic {
        op: Arithmetic::Add,
        signed: false,
        left: Box::new(base),
        right: Box::new(Value::Constant(offset)),
    };
    assert_eq!(
        table.probes[0].keys,
        [
            KeyValue::Number(kernel(parent.clone(), 8, 4, true, Access::Typed)),
            text(plus(task(), 12)),
            text(plus(parent, 12)),
            KeyValue::Number(kernel(task(), 48, 8, true, Access::Typed)),
        ]
    );
    assert_eq!(table.keys[0].kind, KeyKind::Unsigned);
}

#[test]
fn numbers_with_names() {
    let reason = || context(36, 4, false);
    let probe = "t:skb:kfree_skb";
    assert_eq!(
        filter(probe, r#"args.reason == "NO_SOCKET""#),
        compare(reason(), Comparison::Equal, false, 3)
    );
    // Not the negation of `==`, for both are false of what cannot be read.
    assert_eq!(
        filter("tp_btf:sys_exit", r#"errno(args.ret) != "ENOENT""#),
        compare(context(8, 8, true), Comparison::NotEqual, true, -2i64 as u64)
    );
    let table = one(&on(probe, "by = { why = \"args.reason\" }\nshow = { n = \"count()\" }"));
    let KeyKind::Named(names) = &table.keys[0].kind else { panic!("it has names") };
    assert_eq!(names[&3], "NO_SOCKET");
}

#[test]
fn measures_of_all_kinds() {
    let table = table(
        "show = { a = \"count() if args.ret < 0\", b = \"hist(args.ret, 5)\", \
         c = \"lhist(args.ret, -10, 0x10, 2) if pid > 1\", d = \"stats(curtask.real_parent.tgid)\", \
         e = \"avg(args.ret > 0)\", f = \"lhist(args.ret, 0, 1000, 1)\" }",
    );
    let table = one(&table);
    let kinds: Vec<_> = table.measures.iter().map(|m| (m.kind, m.signed, m.conditional)).collect();
    assert_eq!(
        kinds,
        [
            (MeasureKind::Count, false, true),
            (MeasureKind::Hist(5), true, false),
            (MeasureKind::Lhist { low: -10, high: 16, step: 2 }, true, true),
            // It may not be there to be read.
            (MeasureKind::Stats, true, true),
            (MeasureKind::Avg, false, false),
            (MeasureKind::Lhist { low: 0, high: 1000, step: 1 }, true, false),
        ]
    );
}

#[test]
fn several_probes() {
    let table = one("[tables.t]\non = [\"t:syscalls:sys_exit_*\", \"t:raw_syscalls:sys_exit\", \
         \"t:syscalls:sys_exit_read\"]\n\
         by = { at = \"probe\", ret = \"args.ret\" }\nshow = { n = \"count()\" }");
    let probes: Vec<String> = table.probes.iter().map(|probe| probe.attach.to_string()).collect();
    let expected = ["syscalls:sys_exit_openat", "syscalls:sys_exit_read", "raw_syscalls:sys_exit"];
    assert_eq!(probes, expected.map(|name| format!("tracepoint:{name}")), "each once");
    let KeyKind::Named(names) = &table.keys[0].kind else { panic!("it has names") };
    assert_eq!(names[&2], "tracepoint:raw_syscalls:sys_exit");
    assert!(describe(&table).contains("tracepoint:syscalls:sys_exit_openat and 2 others"));

    let table = one("[tables.t]\nfrom = [\"t:syscalls:sys_enter_read\", \"t:syscalls:sys_enter_lseek\"]\n\
         to = \"t:syscalls:sys_exit_*\"\npair = { from = \"args.fd\", to = \"args.ret\" }\n\
         by = { fd = \"start.fd\", stack = \"kstack\" }\nshow = { n = \"count()\" }\npid = 7");
    assert_eq!((table.starts.len(), table.probes.len(), table.saved), (2, 2, 1));
    assert_eq!(table.starts[1].pair, Some(context(16, 4, false)));
    assert_eq!(table.probes[1].pair, Some(context(16, 8, true)));
    assert_eq!(table.rows, 2_000);
    let pid = compare(Value::Builtin(Builtin::Pid), Comparison::Equal, true, 7);
    assert!(table.probes.iter().all(|probe| probe.filter == Some(pid.clone())));
}

#[test]
fn keys_that_are_not_known() {
    refused(
        "intervall = \"1s\"\n",
        r#"
unknown key `intervall`
 --> etc/weir.toml:1:1
  |
1 | intervall = "1s"
  | ^^^^^^^^^
  help: did you mean `interval`?"#,
    );
    refused(
        &table("colour = 1"),
        r#"
unknown key `colour`
 --> etc/weir.toml:3:1
  |
3 | colour = 1
  | ^^^^^^
  help: the keys here are on, from, to, pair, where, by, show, keys, pid, include_self, budget"#,
    );
}

#[test]
fn a_file_that_is_not_toml() {
    refused(
        "[tables.t]\non = \"t:a:b\nshow = 1",
        r#"
invalid basic string, expected `"`
 --> etc/weir.toml:2:12
  |
2 | on = "t:a:b
  |            ^"#,
    );
    refused(
        &table("keys = 1\nkeys = 2"),
        r#"
duplicate key
 --> etc/weir.toml:4:1
  |
4 | keys = 2
  | ^^^^"#,
    );
}

#[test]
fn values_of_another_type() {
    refused(
        &table("by = \"comm\""),
        r#"
`by` must be a table, not a string
 --> etc/weir.toml:3:6
  |
3 | by = "comm"
  |      ^^^^^^"#,
    );
    refused(
        "interval = 1",
        r#"
`interval` must be a string from 100ms to 24h, such as "100ms", not an integer
 --> etc/weir.toml:1:12
  |
1 | interval = 1
  |            ^"#,
    );
    refused(
        "interval = \"1 sec\"",
        r#"
`interval` must be from 100ms to 24h
 --> etc/weir.toml:1:12
  |
1 | interval = "1 sec"
  |            ^^^^^^^
  help: ` sec` is not a unit; a duration is a whole number and one of ns, us, ms, s, m, h"#,
    );
    refused(
        "interval = \"10ms\"",
        r#"
`interval` must be from 100ms to 24h
 --> etc/weir.toml:1:12
  |
1 | interval = "10ms"
  |            ^^^^^^"#,
    );
    refused(
        &table("by = { c = \"comm\" }\nshow = { n = \"count()\" }\nkeys = 2_000_000"),
        r#"
`keys` must be from 1 to 1000000
 --> etc/weir.toml:5:8
  |
5 | keys = 2_000_000
  |        ^^^^^^^^^"#,
    );
}

#[test]
fn tables_without_what_they_need() {
    refused(
        "interval = \"1s\"",
        r#"
etc/weir.toml: there are no tables
  help: add one: [tables.NAME] with `on`, the probe, and `show`, what to measure"#,
    );
    refused(
        "[tables.reads]\nshow = { n = \"count()\" }",
        r#"
table `reads` has no probe
 --> etc/weir.toml:1:9
  |
1 | [tables.reads]
  |         ^^^^^
  help: give `on`, a probe, or `from` and `to`, the probes that start and end a span"#,
    );
    refused(
        &table("by = { comm = \"comm\" }"),
        r#"
table `t` has nothing to show
 --> etc/weir.toml:1:9
  |
1 | [tables.t]
  |         ^
  help: give at least one measure: show = { calls = "count()" }"#,
    );
    refused(
        &table("from = \"t:syscalls:sys_enter_read\""),
        r#"
`from` and `on` cannot both be given
 --> etc/weir.toml:3:1
  |
3 | from = "t:syscalls:sys_enter_read"
  | ^^^^
  help: a table is `on` one probe, or measures spans `from` one `to` another"#,
    );
    refused(
        "[tables.t]\nfrom = \"t:syscalls:sys_enter_read\"",
        r#"
`from` needs a `to`
 --> etc/weir.toml:2:1
  |
2 | from = "t:syscalls:sys_enter_read"
  | ^^^^"#,
    );
    refused(
        &table("keys = 10\nshow = { n = \"count()\" }"),
        r#"
`keys` bounds the rows of a table, and without `by` there is only one
 --> etc/weir.toml:3:1
  |
3 | keys = 10
  | ^^^^
  help: leave it out, or give `by`"#,
    );
}

#[test]
fn probes_that_are_not_there() {
    refused(
        "[tables.t]\non = \"tracepoint:syscalls:sys_enter_raed\"",
        r#"
this kernel has no tracepoint `syscalls:sys_enter_raed`
 --> etc/weir.toml:2:6
  |
2 | on = "tracepoint:syscalls:sys_enter_raed"
  |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: did you mean `tracepoint:syscalls:sys_enter_read`, `tracepoint:syscalls:sys_enter_lseek` or `tracepoint:syscalls:sys_enter_openat`?"#,
    );
    refused(
        "[tables.t]\non = [\"t:syscalls:sys_exit_read\", \"tp_btf:sys_exitt\"]",
        r#"
this kernel has no BTF tracepoint `sys_exitt`
 --> etc/weir.toml:2:35
  |
2 | on = ["t:syscalls:sys_exit_read", "tp_btf:sys_exitt"]
  |                                   ^^^^^^^^^^^^^^^^^^
  help: did you mean `tp_btf:sys_exit`?"#,
    );
    refused(
        "[tables.t]\non = \"fentry:__traceiter_sys_exi\"",
        r#"
this kernel's type information has no function `__traceiter_sys_exi`
 --> etc/weir.toml:2:6
  |
2 | on = "fentry:__traceiter_sys_exi"
  |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: did you mean `fentry:__traceiter_sys_exit`?"#,
    );
    refused(
        "[tables.t]\non = [\"t:syscalls:sys_exit_read\", \"kprob:vfs_read\"]",
        r#"
there is no kind of probe `kprob`
 --> etc/weir.toml:2:36
  |
2 | on = ["t:syscalls:sys_exit_read", "kprob:vfs_read"]
  |                                    ^^^^^
  help: did you mean `kprobe` or `uprobe`?"#,
    );
    refused(
        "[tables.t]\non = \"t:syscalls:nothing_*\"",
        r#"
no probe of this machine fits the pattern
 --> etc/weir.toml:2:6
  |
2 | on = "t:syscalls:nothing_*"
  |      ^^^^^^^^^^^^^^^^^^^^^^
  help: `weir probes PATTERN` lists those that do"#,
    );
    refused(
        "[tables.t]\non = \"t:sys calls:read\"",
        r#"
`sys calls` is not the name of a probe
 --> etc/weir.toml:2:9
  |
2 | on = "t:sys calls:read"
  |         ^^^^^^^^^
  help: write tracepoint:CATEGORY:NAME, rawtracepoint:NAME, tp_btf:NAME, kprobe:FUNCTION, kretprobe:FUNCTION, fentry:FUNCTION, fexit:FUNCTION, uprobe:PATH:SYMBOL, uretprobe:PATH:SYMBOL, usdt:PATH:PROVIDER:NAME, profile:hz:NUMBER, interval:s:NUMBER, software:EVENT:COUNT or hardware:EVENT:COUNT"#,
    );
    refused(
        "[tables.t]\non = \"profile:hz:0\"",
        r#"
how often is from once an hour to 100,000 times a second
 --> etc/weir.toml:2:15
  |
2 | on = "profile:hz:0"
  |               ^^^^
  help: write hz:99, or a period as s:1, ms:10 or us:500"#,
    );
    refused(
        "[tables.t]\non = \"software:page-fault\"",
        r#"
there is no such event
 --> etc/weir.toml:2:16
  |
2 | on = "software:page-fault"
  |                ^^^^^^^^^^
  help: did you mean `page-faults`? there are cpu-clock, task-clock, page-faults, context-switches, cpu-migrations, minor-faults, major-faults, alignment-faults, emulation-faults, dummy, bpf-output"#,
    );
    refused(
        "[tables.t]\non = 1",
        r#"
`on` must be a string or an array of strings, not an integer
 --> etc/weir.toml:2:6
  |
2 | on = 1
  |      ^"#,
    );
    refused(
        "[tables.t]\non = [\"t:syscalls:sys_exit_read\", 1]",
        r#"
`on` must be a string, not an integer
 --> etc/weir.toml:2:35
  |
2 | on = ["t:syscalls:sys_exit_read", 1]
  |                                   ^"#,
    );
    refused(
        "[tables.t]\non = []",
        r#"
`on` names from 1 to 64 probes
 --> etc/weir.toml:2:6
  |
2 | on = []
  |      ^^"#,
    );
}

#[test]
fn spans_that_are_wrong() {
    refused(
        "[tables.t]\nfrom = \"t:syscalls:sys_*_read\"\nto = \"t:syscalls:sys_exit_read\"",
        r#"
`from` and `to` are the same probe, tracepoint:syscalls:sys_exit_read
 --> etc/weir.toml:3:6
  |
3 | to = "t:syscalls:sys_exit_read"
  |      ^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: a span is from one probe to another; to count one probe, use `on`"#,
    );
    refused(
        &table("pair = \"args.ret\""),
        r#"
`pair` says which start belongs to which end, and this table has no spans
 --> etc/weir.toml:3:1
  |
3 | pair = "args.ret"
  | ^^^^
  help: give `from` and `to` in place of `on`"#,
    );
    refused(
        &span("pair = { from = \"args.fd\" }"),
        r#"
`pair` is an expression, or one for `from` and one for `to`
 --> etc/weir.toml:4:8
  |
4 | pair = { from = "args.fd" }
  |        ^^^^^^^^^^^^^^^^^^^^
  help: write pair = "args.rq", or pair = { from = "args.sk", to = "arg0" }"#,
    );
    refused(
        &span("pair = \"args.fd\"\nshow = { n = \"count()\" }"),
        r#"
tracepoint:syscalls:sys_exit_read has no field `fd`
 --> etc/weir.toml:4:9
  |
4 | pair = "args.fd"
  |         ^^^^^^^
  help: fields that can be used: __syscall_nr, ret"#,
    );
    refused(
        &span("pair = { from = \"comm\", to = \"args.ret\" }\nshow = { n = \"count()\" }"),
        r#"
`comm` is text, and not a number
 --> etc/weir.toml:4:18
  |
4 | pair = { from = "comm", to = "args.ret" }
  |                  ^^^^"#,
    );
    refused(
        &table("show = { n = \"sum(start.fd)\" }"),
        r#"
`start` is the probe at the start of a span, and this table has none
 --> etc/weir.toml:3:19
  |
3 | show = { n = "sum(start.fd)" }
  |                   ^^^^^^^^
  help: give `from` and `to` in place of `on`"#,
    );
    // What another start does not have, or has otherwise, is where it was asked for.
    let starts = |lines: &str| {
        format!(
            "[tables.t]\nfrom = [\"t:syscalls:sys_enter_lseek\", \"t:syscalls:sys_enter_openat\"]\n\
             to = \"t:syscalls:sys_exit_*\"\n{lines}"
        )
    };
    refused(
        &starts("by = { fd = \"start.fd\" }\nshow = { n = \"count()\" }"),
        r#"
tracepoint:syscalls:sys_enter_openat has no field `fd`
 --> etc/weir.toml:4:14
  |
4 | by = { fd = "start.fd" }
  |              ^^^^^^^^
  help: did you mean `dfd`? fields that can be used: __syscall_nr, dfd, filename, flags, mode"#,
    );
    refused(
        &span("by = { buffer = \"start.buf\" }\nshow = { n = \"sum(start.comm)\" }"),
        r#"
tracepoint:syscalls:sys_enter_read has no field `comm`
 --> etc/weir.toml:5:19
  |
5 | show = { n = "sum(start.comm)" }
  |                   ^^^^^^^^^^
  help: fields that can be used: __syscall_nr, fd, buf, count"#,
    );
    let block = "[tables.t]\nfrom = \"t:block:block_rq_issue\"\nto = \"t:sched:sched_switch\"\n";
    refused(
        &format!("{block}by = {{ c = \"start.comm\" }}\nshow = {{ n = \"count()\" }}"),
        r#"
text cannot be saved at the start of a span
 --> etc/weir.toml:4:13
  |
4 | by = { c = "start.comm" }
  |             ^^^^^^^^^^
  help: a span saves numbers and addresses"#,
    );
}

#[test]
fn probes_that_differ() {
    let both = "[tables.t]\non = [\"t:raw_syscalls:sys_exit\", \"t:raw_syscalls:sys_enter\"]\n";
    refused(
        &format!("{both}show = {{ n = \"sum(args.ret)\" }}"),
        r#"
tracepoint:raw_syscalls:sys_enter has no field `ret`
 --> etc/weir.toml:3:19
  |
3 | show = { n = "sum(args.ret)" }
  |                   ^^^^^^^^
  help: fields that can be used: id, args"#,
    );
    let both = "[tables.t]\non = [\"fentry:__traceiter_sys_exit\", \"fentry:do_work\"]\n";
    refused(
        &format!("{both}by = {{ r = \"args.ret + 1\" }}\nshow = {{ n = \"count()\" }}"),
        r#"
`r` is of another kind at fentry:do_work than at the probes before it
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.ret + 1" }
  |             ^^^^^^^^^^^^
  help: cast it, or make a table of each"#,
    );
    refused(
        &format!("{both}show = {{ n = \"count()\", r = \"sum(args.ret)\" }}"),
        r#"
`r` is of another kind at fentry:do_work than at the probes before it
 --> etc/weir.toml:3:34
  |
3 | show = { n = "count()", r = "sum(args.ret)" }
  |                                  ^^^^^^^^
  help: cast it, or make a table of each"#,
    );
    let both = both.replace("on =", "to = \"t:raw_syscalls:sys_exit\"\nfrom =");
    refused(
        &format!("{both}show = {{ n = \"sum(start.ret)\" }}"),
        r#"
this is of another kind at fentry:do_work than at the start before it
 --> etc/weir.toml:4:19
  |
4 | show = { n = "sum(start.ret)" }
  |                   ^^^^^^^^^
  help: make a table of each kind of start"#,
    );
    let table = one(&on("fexit:do_work", "show = { n = \"sum(retval)\" }"));
    assert_eq!(table.probes[0].measures[0].value, Some(context(8, 8, false)));
}

#[test]
fn names_that_mean_nothing_here() {
    refused(
        &table("by = { r = \"args.rett\" }\nshow = { n = \"count()\" }"),
        r#"
tracepoint:syscalls:sys_exit_read has no field `rett`
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.rett" }
  |             ^^^^^^^^^
  help: did you mean `ret`? fields that can be used: __syscall_nr, ret"#,
    );
    refused(
        &on("t:raw_syscalls:sys_enter", "by = { r = \"args.args\" }\nshow = { n = \"count()\" }"),
        r#"
`args.args` is an array
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.args" }
  |             ^^^^^^^^^
  help: name one element, such as `args.args[0]`"#,
    );
    refused(
        &on("t:raw_syscalls:sys_enter", "by = { r = \"args.args[6]\" }\nshow = { n = \"count()\" }"),
        r#"
`args.args` has elements 0 to 5 only
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.args[6]" }
  |             ^^^^^^^^^^^^"#,
    );
    refused(
        &table("by = { r = \"ret\" }\nshow = { n = \"count()\" }"),
        r#"
there is no `ret`
 --> etc/weir.toml:3:13
  |
3 | by = { r = "ret" }
  |             ^^^
  help: there are pid, tid, ppid, uid, gid, comm, cgroup, cgroup_path, container, cpu, numa, elapsed, nsecs, probe, kstack, ustack, retval, curtask, arg0 to arg5, and the probe's fields as args.NAME or start.NAME; is `args.ret` meant?"#,
    );
    refused(
        &table("by = { r = \"arg0\" }\nshow = { n = \"count()\" }"),
        r#"
tracepoint:syscalls:sys_exit_read has no field `arg0`
 --> etc/weir.toml:3:13
  |
3 | by = { r = "arg0" }
  |             ^^^^
  help: fields that can be used: __syscall_nr, ret"#,
    );
    refused(
        &table("show = { t = \"hist(elapsed)\" }"),
        r#"
`elapsed` is the length of a span, and this table has none
 --> etc/weir.toml:3:20
  |
3 | show = { t = "hist(elapsed)" }
  |                    ^^^^^^^
  help: give `from` and `to` in place of `on`"#,
    );
    refused(
        &table("where = \"retval < 0\"\nshow = { n = \"count()\" }"),
        r#"
`retval` is what a function returns, and tracepoint:syscalls:sys_exit_read is no return of one
 --> etc/weir.toml:3:10
  |
3 | where = "retval < 0"
  |          ^^^^^^
  help: use kretprobe:, fexit: or uretprobe:; at the exit of a system call it is `args.ret`"#,
    );
    refused(
        &table("where = \"args > 0\"\nshow = { n = \"count()\" }"),
        r#"
`args` is not a value
 --> etc/weir.toml:3:10
  |
3 | where = "args > 0"
  |          ^^^^
  help: name a field: `args.NAME`"#,
    );
    refused(
        &table("where = \"strr(args.ret) == 1\"\nshow = { n = \"count()\" }"),
        r#"
there is no function `strr`
 --> etc/weir.toml:3:10
  |
3 | where = "strr(args.ret) == 1"
  |          ^^^^^^^^^^^^^^
  help: did you mean `str`? there are str(address), str(address, bytes), starts_with(text, "…"), syscall(number) and errno(number)"#,
    );
}

#[test]
fn addresses_and_structures() {
    refused(
        &on("tp_btf:sys_exit", "by = { r = \"args.regs\" }\nshow = { n = \"count()\" }"),
        r#"
`args.regs` cannot be used: it is a kernel address, and these stay in the kernel
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.regs" }
  |             ^^^^^^^^^"#,
    );
    refused(
        &on("tp_btf:sys_exit", "show = { r = \"sum((uint64)args.regs)\" }"),
        r#"
`args.regs` cannot be used: it is a kernel address, and these stay in the kernel
 --> etc/weir.toml:3:27
  |
3 | show = { r = "sum((uint64)args.regs)" }
  |                           ^^^^^^^^^"#,
    );
    refused(
        &on("tp_btf:sys_exit", "by = { r = \"args.regs->r155\" }\nshow = { n = \"count()\" }"),
        r#"
`struct pt_regs` has no member `r155`
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.regs->r155" }
  |             ^^^^^^^^^^^^^^^
  help: did you mean `r15`?"#,
    );
    refused(
        &table("by = { r = \"curtask.frobnicate\" }\nshow = { n = \"count()\" }"),
        r#"
`struct task_struct` has no member `frobnicate`
 --> etc/weir.toml:3:13
  |
3 | by = { r = "curtask.frobnicate" }
  |             ^^^^^^^^^^^^^^^^^^
  help: it has real_parent, tgid, comm, times, state"#,
    );
    refused(
        &table("by = { r = \"curtask.tgid.low\" }\nshow = { n = \"count()\" }"),
        r#"
a number has no fields
 --> etc/weir.toml:3:13
  |
3 | by = { r = "curtask.tgid.low" }
  |             ^^^^^^^^^^^^^^^^"#,
    );
    refused(
        &table("by = { r = \"curtask.times\" }\nshow = { n = \"count()\" }"),
        r#"
`curtask.times` is a structure or an array, and no key
 --> etc/weir.toml:3:13
  |
3 | by = { r = "curtask.times" }
  |             ^^^^^^^^^^^^^
  help: name one of its members"#,
    );
    refused(
        &table("by = { r = \"curtask.times[3]\" }\nshow = { n = \"count()\" }"),
        r#"
`curtask.times` has elements 0 to 2 only
 --> etc/weir.toml:3:13
  |
3 | by = { r = "curtask.times[3]" }
  |             ^^^^^^^^^^^^^^^^"#,
    );
    refused(
        &on("t:skb:kfree_skb", "by = { r = \"args.skbaddr.len\" }\nshow = { n = \"count()\" }"),
        r#"
what this points to is not known
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.skbaddr.len" }
  |             ^^^^^^^^^^^^^^^^
  help: say what it is: `((struct NAME *)args.x).field`"#,
    );
    refused(
        &on(
            "t:skb:kfree_skb",
            "by = { r = \"((struct skbuf *)args.skbaddr).len\" }\nshow = { n = \"count()\" }",
        ),
        r#"
this kernel has no structure `skbuf`
 --> etc/weir.toml:3:13
  |
3 | by = { r = "((struct skbuf *)args.skbaddr).len" }
  |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#,
    );
}

#[test]
fn texts_that_are_wrong() {
    let filtered = |filter: &str| table(&format!("where = '{filter}'\nshow = {{ n = \"count()\" }}"));
    refused(
        &filtered("comm == 1"),
        r#"
`comm` is text, and not a number
 --> etc/weir.toml:3:10
  |
3 | where = 'comm == 1'
  |          ^^^^"#,
    );
    refused(
        &filtered(r#"pid != "cat""#),
        r#"
`pid` is a number, and is compared with a text
 --> etc/weir.toml:3:10
  |
3 | where = 'pid != "cat"'
  |          ^^^
  help: the text at an address is `str(address)`"#,
    );
    refused(
        &filtered(r#""cat" < comm"#),
        r#"
texts are compared by == and != only
 --> etc/weir.toml:3:10
  |
3 | where = '"cat" < comm'
  |          ^^^^^"#,
    );
    refused(
        &filtered("comm == comm"),
        r#"
texts can be compared with what is written only
 --> etc/weir.toml:3:10
  |
3 | where = 'comm == comm'
  |          ^^^^^^^^^^^^
  help: write `comm == "bash"`"#,
    );
    refused(
        &filtered(r#"comm == "nginx*""#),
        r#"
a text is compared as it is, without wildcards
 --> etc/weir.toml:3:18
  |
3 | where = 'comm == "nginx*"'
  |                  ^^^^^^^^
  help: write starts_with(text, "…"); a star itself is \x2a, a question mark \x3f"#,
    );
    refused(
        &filtered(&format!("comm == \"{}\"", "x".repeat(63))),
        r#"
a text is compared with at most 62 bytes, none of them a NUL
 --> etc/weir.toml:3:18
  |
3 | where = 'comm == "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"'
  |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#,
    );
    refused(
        &filtered(r#"starts_with(comm, "")"#),
        r#"
every text starts with an empty one
 --> etc/weir.toml:3:28
  |
3 | where = 'starts_with(comm, "")'
  |                            ^^"#,
    );
    refused(
        &filtered("starts_with(comm, comm)"),
        r#"
a text starts with what is written
 --> etc/weir.toml:3:28
  |
3 | where = 'starts_with(comm, comm)'
  |                            ^^^^
  help: write starts_with(text, "…"), such as starts_with(comm, "nginx")"#,
    );
    refused(
        &filtered(r#"cgroup_path == "/a""#),
        r#"
`cgroup_path` is looked up after the event, and cannot be compared
 --> etc/weir.toml:3:10
  |
3 | where = 'cgroup_path == "/a"'
  |          ^^^^^^^^^^^
  help: use it as a key: the kernel has numbers in its place"#,
    );
    refused(
        &filtered("kstack == 1"),
        r#"
`kstack` is a stack, and not a number
 --> etc/weir.toml:3:10
  |
3 | where = 'kstack == 1'
  |          ^^^^^^"#,
    );
    refused(
        &filtered(r#"str(pid) == "1""#),
        r#"
`pid` is a number, and not an address
 --> etc/weir.toml:3:14
  |
3 | where = 'str(pid) == "1"'
  |              ^^^
  help: an address has 64 bits; a text that is one already needs no `str`"#,
    );
    refused(
        &filtered(r#"str(args.ret, 121) == "1""#),
        r#"
a text has from 1 to 120 bytes
 --> etc/weir.toml:3:24
  |
3 | where = 'str(args.ret, 121) == "1"'
  |                        ^^^"#,
    );
    refused(
        &filtered(r#"str() == "1""#),
        r#"
`str` takes other arguments
 --> etc/weir.toml:3:10
  |
3 | where = 'str() == "1"'
  |          ^^^^^
  help: write str(address), or str(address, bytes)"#,
    );
    refused(
        &filtered(r#"comm == "cat"#),
        r#"
a text is not closed
 --> etc/weir.toml:3:18
  |
3 | where = 'comm == "cat'
  |                  ^^^^"#,
    );
    refused(
        &filtered(r#"errno(args.ret) == "ENOET""#),
        r#"
`errno(args.ret)` has no value of this name
 --> etc/weir.toml:3:29
  |
3 | where = 'errno(args.ret) == "ENOET"'
  |                             ^^^^^^^
  help: did you mean `ENOENT`, `ENONET` or `ENODEV`?"#,
    );
    refused(
        &table("by = { a = \"kstack\", b = \"ustack\", c = \"kstack\" }\nshow = { n = \"count()\" }"),
        r#"
`kstack` is a key already
 --> etc/weir.toml:3:41
  |
3 | by = { a = "kstack", b = "ustack", c = "kstack" }
  |                                         ^^^^^^"#,
    );
    refused(
        &table("by = { k = \"'cat'\" }\nshow = { n = \"count()\" }"),
        r#"
what is written is the same for every event, and no key
 --> etc/weir.toml:3:13
  |
3 | by = { k = "'cat'" }
  |             ^^^^^"#,
    );
}

#[test]
fn measures_that_are_wrong() {
    refused(
        &table("show = { t = \"summ(args.ret)\" }"),
        r#"
there is no measure `summ`
 --> etc/weir.toml:3:15
  |
3 | show = { t = "summ(args.ret)" }
  |               ^^^^
  help: did you mean `sum`? the measures are count(), sum(x), min(x), max(x), avg(x), stats(x), hist(x) and lhist(x, low, high, step)"#,
    );
    refused(
        &table("show = { t = \"count\" }"),
        r#"
expected `(` after `count`, found the end
 --> etc/weir.toml:3:20
  |
3 | show = { t = "count" }
  |                    ^
  help: write `count()`"#,
    );
    refused(
        &table("show = { t = \"args.ret\" }"),
        r#"
there is no measure `args`
 --> etc/weir.toml:3:15
  |
3 | show = { t = "args.ret" }
  |               ^^^^
  help: the measures are count(), sum(x), min(x), max(x), avg(x), stats(x), hist(x) and lhist(x, low, high, step)"#,
    );
    refused(
        &table("show = { t = \"count(args.ret)\" }"),
        r#"
`count` counts events and takes nothing in its parentheses
 --> etc/weir.toml:3:21
  |
3 | show = { t = "count(args.ret)" }
  |                     ^^^^^^^^
  help: filter what is counted with `where`, or with a condition: `count() if x > 0`"#,
    );
    refused(
        &table("show = { t = \"sum()\" }"),
        r#"
`sum` needs something to measure
 --> etc/weir.toml:3:15
  |
3 | show = { t = "sum()" }
  |               ^^^
  help: write what to measure in parentheses, such as `sum(elapsed)`"#,
    );
    refused(
        &table("show = { t = \"sum(args.ret, 2)\" }"),
        r#"
`sum` measures one thing
 --> etc/weir.toml:3:29
  |
3 | show = { t = "sum(args.ret, 2)" }
  |                             ^"#,
    );
    refused(
        &table("show = { t = \"max(comm)\" }"),
        r#"
`comm` is text and cannot be measured
 --> etc/weir.toml:3:19
  |
3 | show = { t = "max(comm)" }
  |                   ^^^^
  help: use it as a key: by = { comm = "comm" }"#,
    );
    refused(
        &table("show = { t = \"sum(ustack)\" }"),
        r#"
`ustack` is a stack, and not a number
 --> etc/weir.toml:3:19
  |
3 | show = { t = "sum(ustack)" }
  |                   ^^^^^^"#,
    );
    refused(
        &table("show = { t = \"hist(args.ret, 6)\" }"),
        r#"
the resolution of a histogram is from 0 to 5
 --> etc/weir.toml:3:30
  |
3 | show = { t = "hist(args.ret, 6)" }
  |                              ^
  help: each power of two is divided into 2^resolution buckets"#,
    );
    refused(
        &table("show = { t = \"lhist(args.ret)\" }"),
        r#"
a linear histogram has bounds and a step
 --> etc/weir.toml:3:15
  |
3 | show = { t = "lhist(args.ret)" }
  |               ^^^^^
  help: write lhist(x, low, high, step), such as lhist(args.ret, 0, 1000, 100)"#,
    );
    refused(
        &table("show = { t = \"lhist(args.ret, 0, pid, 1)\" }"),
        r#"
the bounds and the step of a histogram are written numbers
 --> etc/weir.toml:3:34
  |
3 | show = { t = "lhist(args.ret, 0, pid, 1)" }
  |                                  ^^^"#,
    );
    refused(
        &table("show = { t = \"lhist(args.ret, 10, -10, 1)\" }"),
        r#"
the upper bound is above the lower one, 10
 --> etc/weir.toml:3:35
  |
3 | show = { t = "lhist(args.ret, 10, -10, 1)" }
  |                                   ^^^"#,
    );
    refused(
        &table("show = { t = \"lhist(args.ret, 0, 10, 0)\" }"),
        r#"
the step of a histogram is above 0
 --> etc/weir.toml:3:38
  |
3 | show = { t = "lhist(args.ret, 0, 10, 0)" }
  |                                      ^"#,
    );
    refused(
        &table("show = { t = \"lhist(args.ret, 0, 2001, 2)\" }"),
        r#"
a linear histogram has at most 1000 buckets, and this one 1001
 --> etc/weir.toml:3:40
  |
3 | show = { t = "lhist(args.ret, 0, 2001, 2)" }
  |                                        ^
  help: make the step larger"#,
    );
    refused(
        &table("show = { t = \"count() if args.re < 0\" }"),
        r#"
tracepoint:syscalls:sys_exit_read has no field `re`
 --> etc/weir.toml:3:26
  |
3 | show = { t = "count() if args.re < 0" }
  |                          ^^^^^^^
  help: did you mean `ret`? fields that can be used: __syscall_nr, ret"#,
    );
    refused(
        &table("show = { t = \"count() when args.ret < 0\" }"),
        r#"
expected the end, found `when`
 --> etc/weir.toml:3:23
  |
3 | show = { t = "count() when args.ret < 0" }
  |                       ^^^^
  help: a measure can have a condition: `count() if args.ret < 0`"#,
    );
    refused(
        &table("show = { t = \"count() if\" }"),
        r#"
an expression is missing
 --> etc/weir.toml:3:25
  |
3 | show = { t = "count() if" }
  |                         ^
  help: write one such as `args.ret > 0`"#,
    );
}

#[test]
fn filters_that_are_wrong() {
    let filtered = |filter: &str| table(&format!("where = \"{filter}\"\nshow = {{ n = \"count()\" }}"));
    refused(
        &filtered("args.ret = 0"),
        r#"
expected an operator or the end, found `=`
 --> etc/weir.toml:3:19
  |
3 | where = "args.ret = 0"
  |                   ^
  help: equality is written `==`"#,
    );
    refused(
        &filtered("args.ret < 0 or pid == 1"),
        r#"
expected an operator or the end, found `or`
 --> etc/weir.toml:3:23
  |
3 | where = "args.ret < 0 or pid == 1"
  |                       ^^
  help: write `||`"#,
    );
    refused(
        &filtered("pid == -1"),
        r#"
`pid` is never -1: it is from 0 to 4294967295
 --> etc/weir.toml:3:17
  |
3 | where = "pid == -1"
  |                 ^^"#,
    );
    refused(
        &filtered("args.ret > 1ms"),
        r#"
`args.ret` is not a time and cannot be compared with one
 --> etc/weir.toml:3:21
  |
3 | where = "args.ret > 1ms"
  |                     ^^^
  help: only `elapsed` and `nsecs` are known to be times; write a plain number"#,
    );
    refused(
        &filtered("nsecs > args.ret"),
        r#"
one side is signed, and the other has 64 bits without a sign
 --> etc/weir.toml:3:10
  |
3 | where = "nsecs > args.ret"
  |          ^^^^^^^^^^^^^^^^
  help: cast one of them: `(int64)x` or `(uint64)x`"#,
    );
    refused(
        &filtered("-nsecs < 0"),
        r#"
the negative of this is no number of 64 bits
 --> etc/weir.toml:3:11
  |
3 | where = "-nsecs < 0"
  |           ^^^^^
  help: cast it: `-(int64)x`"#,
    );
    refused(
        &filtered("args.ret << 64 > 0"),
        r#"
a number of 64 bits is shifted by 0 to 63 of them
 --> etc/weir.toml:3:10
  |
3 | where = "args.ret << 64 > 0"
  |          ^^^^^^^^^^^^^^"#,
    );
    refused(
        &filtered("(int)args.ret > 0"),
        r#"
there is no type `int`
 --> etc/weir.toml:3:11
  |
3 | where = "(int)args.ret > 0"
  |           ^^^
  help: the types are int8, int16, int32, int64, uint8, uint16, uint32, uint64 and `struct NAME *`"#,
    );
    refused(
        &filtered("(struct sock)args.ret > 0"),
        r#"
expected `*`, found `)`
 --> etc/weir.toml:3:22
  |
3 | where = "(struct sock)args.ret > 0"
  |                      ^
  help: a cast to a structure is one to its pointer: `(struct NAME *)`"#,
    );
    refused(
        &filtered("args.ret > 12345678901234567890123"),
        r#"
`12345678901234567890123` is not a number of 64 bits
 --> etc/weir.toml:3:21
  |
3 | where = "args.ret > 12345678901234567890123"
  |                     ^^^^^^^^^^^^^^^^^^^^^^^
  help: numbers are decimal (12), hexadecimal (0x1f), or durations (1ms)"#,
    );
    refused(
        &filtered("args.ret >"),
        r#"
an expression is missing
 --> etc/weir.toml:3:20
  |
3 | where = "args.ret >"
  |                    ^
  help: write one such as `args.ret > 0`"#,
    );
    refused(
        &filtered("((args.ret) > 0"),
        r#"
expected `)`, found the end
 --> etc/weir.toml:3:25
  |
3 | where = "((args.ret) > 0"
  |                         ^
  help: a parenthesis was opened before"#,
    );
    // The place is known only roughly where TOML escapes something.
    refused(
        &filtered("comm == \\\"a\\\" && pdi == 1"),
        r#"
there is no `pdi`
 --> etc/weir.toml:3:9
  |
3 | where = "comm == \"a\" && pdi == 1"
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: did you mean `pid`? The probe's fields are written args.NAME or start.NAME"#,
    );
}

#[test]
fn too_much_of_anything() {
    let columns = |prefix: &str, count: usize, text: &str| {
        let columns: Vec<String> = (0..count).map(|n| format!("{prefix}{n} = \"{text}\"")).collect();
        format!("{{ {} }}", columns.join(", "))
    };
    let by = |count| table(&format!("by = {}\nshow = {{ n = \"count()\" }}", columns("k", count, "pid")));
    assert!(parse(&by(15)).is_ok());
    let error = parse(&by(16)).unwrap_err();
    assert_eq!(
        error.message,
        "the keys of a table can take 15 words of eight bytes; with this one they take 16"
    );
    assert_eq!(error.place.unwrap().line, 3);

    let show = |count| table(&format!("show = {}", columns("m", count, "count()")));
    assert!(parse(&show(8)).is_ok());
    assert_eq!(parse(&show(9)).unwrap_err().message, "a table can have 8 measures, and this is one more");

    let filter = |filter: &str| parse(&table(&format!("where = \"{filter}\"\nshow = {{ n = \"count()\" }}")));
    let many = |count| ["pid > 0"].repeat(count).join(" && ");
    assert!(filter(&many(100)).is_ok());
    assert_eq!(filter(&many(101)).unwrap_err().message, "an expression has at most 200 operators");
    assert_eq!(filter(&" ".repeat(4097)).unwrap_err().message, "an expression has at most 4096 bytes");
    let nested = |depth: usize| format!("{}pid{}", "(".repeat(depth), ")".repeat(depth));
    assert!(filter(&nested(48)).is_ok());
    refused(
        &table(&format!("where = \"{}\"\nshow = {{ n = \"count()\" }}", nested(49))),
        r#"
an expression is nested at most 48 deep
 --> etc/weir.toml:3:59
  |
3 | where = "(((((((((((((((((((((((((((((((((((((((((((((((((pid)))))))))))))))))))))))))))))))))))))))))))))))))"
  |                                                           ^^^"#,
    );
    // What would have to wait at once has no room where the program keeps it.
    let waiting = |depth: usize| format!("{}cpu{}", "cpu + (".repeat(depth), ")".repeat(depth));
    assert!(filter(&waiting(8)).is_ok());
    refused(
        &table(&format!("show = {{ n = \"sum({})\" }}", waiting(9))),
        r#"
an expression is nested too deeply
 --> etc/weir.toml:3:19
  |
3 | show = { n = "sum(cpu + (cpu + (cpu + (cpu + (cpu + (cpu + (cpu + (cpu + (cpu + (cpu))))))))))" }
  |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: make it simpler"#,
    );

    let saved = |fields: &[&str]| {
        let keys: Vec<String> =
            fields.iter().map(|f| format!("{} = \"start.{f}\"", f.replace(['[', ']'], ""))).collect();
        format!(
            "[tables.t]\nfrom = \"t:raw_syscalls:sys_enter\"\nto = \"t:raw_syscalls:sys_exit\"\n\
             by = {{ {} }}\nshow = {{ n = \"count()\", same = \"max(start.id)\" }}",
            keys.join(", ")
        )
    };
    assert!(parse(&saved(&["id", "args[0]", "args[1]", "args[2]"])).is_ok(), "the same value is saved once");
    assert_eq!(
        parse(&saved(&["id", "args[0]", "args[1]", "args[2]", "args[3]"])).unwrap_err().message,
        "a span can save 4 values at its start, and this is one more"
    );
}

#[test]
fn columns_that_cannot_be() {
    refused(
        &table("by = { n = \"pid\" }\nshow = { n = \"count()\" }"),
        r#"
there is a column `n` already
 --> etc/weir.toml:4:10
  |
4 | show = { n = "count()" }
  |          ^
  help: each column of `by` and `show` needs a name of its own"#,
    );
    refused(
        &table("by = { interval = \"pid\" }"),
        r#"
every table has a column `interval` of its own
 --> etc/weir.toml:3:8
  |
3 | by = { interval = "pid" }
  |        ^^^^^^^^"#,
    );
    refused(
        &table("by = { \"a\\nb\" = \"pid\" }"),
        r#"
`a\nb` cannot be the name of a column
 --> etc/weir.toml:3:8
  |
3 | by = { "a\nb" = "pid" }
  |        ^^^^^^
  help: a column's name is a letter or _, then letters, digits and _, 64 characters at most"#,
    );
}

#[test]
fn plugins_that_are_wrong() {
    let plugin = |lines: &str| table(&format!("show = {{ n = \"count()\" }}\n[plugins.p]\n{lines}"));
    refused(
        &plugin("tables = [\"t\"]"),
        r#"
plugin `p` has no component
 --> etc/weir.toml:4:10
  |
4 | [plugins.p]
  |          ^
  help: give the file: component = "plugins/top.wasm""#,
    );
    refused(
        &plugin("component = \"p.wasm\"\ntables = [\"t\", \"reads\"]"),
        r#"
there is no table `reads`
 --> etc/weir.toml:6:16
  |
6 | tables = ["t", "reads"]
  |                ^^^^^^^
  help: the tables here are `t`"#,
    );
    refused(
        &plugin("component = \"p.wasm\"\nlimits = { memory = \"16MB\" }"),
        r#"
`memory` must be from 1MiB to 4GiB
 --> etc/weir.toml:6:21
  |
6 | limits = { memory = "16MB" }
  |                     ^^^^^^
  help: `MB` is not a unit; a size is a whole number and one of B, KiB, MiB, GiB"#,
    );
    refused(
        &plugin("component = \"p.wasm\"\noptions = { when = 2026-01-01 }"),
        r#"
option `when` is of a type that plugins do not have
 --> etc/weir.toml:6:20
  |
6 | options = { when = 2026-01-01 }
  |                    ^^^^^^^^^^
  help: an option is a string, an integer, a number or a boolean"#,
    );
}

#[test]
fn digests() {
    let plugin = |digest: &str| {
        table(&format!(
            "show = {{ n = \"count()\" }}\n[plugins.p]\ncomponent = \"p.wasm\"\ndigest = {digest}"
        ))
    };
    let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let config = parse(&plugin(&format!("\"{abc}\""))).unwrap();
    assert_eq!(config.plugins[0].digest, Some(Digest::of(b"abc")));
    assert_eq!(parse(&plugin("1").replace("digest = 1", "")).unwrap().plugins[0].digest, None);
    refused(
        &plugin("\"sha256:ba7816bf\""),
        r#"
`digest` must be `sha256:` and 64 hexadecimal digits
 --> etc/weir.toml:6:10
  |
6 | digest = "sha256:ba7816bf"
  |          ^^^^^^^^^^^^^^^^^
  help: it has 8 digits, and SHA-256 has 64; `sha256sum FILE` prints the digits"#,
    );
    refused(
        &plugin("\"md5:900150983cd24fb0d6963f7d28e17f72\""),
        r#"
`digest` must be `sha256:` and 64 hexadecimal digits
 --> etc/weir.toml:6:10
  |
6 | digest = "md5:900150983cd24fb0d6963f7d28e17f72"
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: it does not begin with `sha256:`; `sha256sum FILE` prints the digits"#,
    );
    let error = parse(&plugin(&format!("\"{}\"", abc.replace("ad", "xy")))).unwrap_err();
    assert_eq!(error.help.unwrap(), "`x` is no hexadecimal digit; `sha256sum FILE` prints the digits");
    refused(
        &plugin("true"),
        r#"
`digest` must be a string, not a boolean
 --> etc/weir.toml:6:10
  |
6 | digest = true
  |          ^^^^"#,
    );
}

#[test]
fn the_line_shown_has_no_power_over_a_terminal() {
    let error = parse("\tkees = 1 # \u{202e}\u{1b}[2J").unwrap_err().to_string();
    assert!(!error.contains(['\u{202e}', '\u{1b}', '\t']), "{error:?}");
    let error = parse("\tkees = 1 # \u{202e}").unwrap_err().to_string();
    assert!(error.contains("\n1 |  kees = 1 # \u{fffd}\n  |  ^^^^\n"), "{error:?}");
    let error = parse("x = 1 # é 日本\ny = \"\u{7f}\"").unwrap_err().to_string();
    assert!(!error.contains('\u{7f}'), "{error:?}");
}

#[test]
fn cgroups_of_version_1_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = recorded(folder.path());
    let text = table("by = { g = \"cgroup\" }\nshow = { n = \"count()\" }");
    let parse = || Config::parse(&text, Path::new("weir.toml"), &kernel);
    assert!(parse().is_ok());
    fs::remove_file(folder.path().join("cgroup.controllers")).unwrap();
    let error = parse().unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert_eq!(
        error.message,
        "`cgroup` needs control groups of version 2, and this machine mounts version 1"
    );
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.toml");
    let error = Config::load(&path).unwrap_err();
    assert_eq!(error.kind, Kind::NoInput);
    assert_eq!(error.to_string(), format!("cannot read {}: there is no such file", path.display()));
    assert_eq!(Config::load(folder.path()).unwrap_err().kind, Kind::NoInput);
    fs::write(&path, b"interval = \"\xff\"").unwrap();
    let error = Config::load(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}: byte 13 is not UTF-8", path.display()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "(\\[tables\\.t\\]\n)?[a-z\\[\\]\\.=\"'{}\n,é\u{202e} 0-9&<>()-]{0,80}") {
        drop(parse(&text).map_err(|error| error.to_string()));
    }

    #[test]
    fn no_value_panics(key in "(on|from|to|pair|where|by|show|keys|pid|include_self)", value in "(\"|'|\"\"\"|)(\\{ a = )?[-a-z.\\[\\](){}=!<>&|0-9\"'\\\\é\n ]{0,30}(\"|'|\"\"\"|)( \\})?") {
        drop(parse(&table(&format!("{key} = {value}"))).map_err(|error| error.to_string()));
    }
}
