//! What users see of a configuration that is right, and of each that is wrong.

use proptest::prelude::*;
use weir_abi::{Source, op, source};

use super::*;
use crate::probe::describe;
use crate::probe::kernel::tests::recorded;
use crate::table::{Attach, KeyKind, MeasureKind};

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
    format!("[tables.t]\non = \"t:syscalls:sys_exit_read\"\n{lines}")
}

const CONTEXT4: Source = Source { kind: source::CONTEXT4, a: 0, b: 0, c: 0 };
const CONTEXT8: Source = Source { kind: source::CONTEXT8, a: 0, b: 0, c: 0 };

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
    assert_eq!(
        table.from,
        Some(Attach::Tracepoint { category: "syscalls".to_owned(), name: "sys_enter_read".to_owned() })
    );
    let keys: Vec<_> = table.keys.iter().map(|key| (key.name.as_str(), key.kind, key.source)).collect();
    let of_kind = |kind| Source { kind, ..Source::default() };
    let saved = |a| Source { kind: source::SAVED, a, ..Source::default() };
    assert_eq!(
        keys,
        [
            ("comm", KeyKind::Text, of_kind(source::COMM)),
            ("file", KeyKind::Unsigned, saved(0)),
            ("pid", KeyKind::Unsigned, of_kind(source::PID)),
        ]
    );
    assert_eq!(table.saved, [Source { a: 16, ..CONTEXT4 }, Source { a: 32, ..CONTEXT8 }]);
    let ret = Source { a: 16, ..CONTEXT8 };
    let measures: Vec<_> = table
        .measures
        .iter()
        .map(|m| (m.name.as_str(), m.kind, m.signed, m.source, m.unit.as_str()))
        .collect();
    assert_eq!(
        measures,
        [
            ("latency", MeasureKind::Hist, false, of_kind(source::ELAPSED), "ns"),
            ("least", MeasureKind::Min, true, ret, ""),
            ("size", MeasureKind::Max, false, saved(1), ""),
            ("calls", MeasureKind::Count, false, Source::default(), ""),
        ]
    );
    let clauses: Vec<_> = table.clauses.iter().map(|c| (c.source, c.op, c.signed, c.value)).collect();
    assert_eq!(
        clauses,
        [
            (ret, op::GT, 1, 0),
            (of_kind(source::ELAPSED), op::GE, 0, 1_000_000),
            (of_kind(source::UID), op::NE, 0, 16),
        ]
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
    assert_eq!(plugin.limits, Limits { memory: 16 << 20, deadline: Duration::from_millis(50) });
    assert_eq!(plugin.options["threshold"], OptionValue::Text("1ms".to_owned()));
    assert_eq!(plugin.options["most"], OptionValue::Integer(10));
    assert_eq!(plugin.options["share"], OptionValue::Number(0.5));
    assert_eq!(plugin.options["loud"], OptionValue::Flag(true));
    let all = &config.plugins[1];
    assert_eq!(all.component, Path::new("/usr/lib/weir/top.wasm"));
    assert_eq!((&all.tables, &all.limits), (&None, &Limits::default()));
}

#[test]
fn elements_of_arrays_and_negative_numbers() {
    let config = parse(
        r#"
        [tables.t]
        on = "t:raw_syscalls:sys_enter"
        where = "args.id != -1 && args.id < 0x7fffffffffffffff"
        by = { second = "args.args[1]" }
        show = { calls = "count()" }
        "#,
    )
    .unwrap();
    let table = &config.tables[0];
    assert_eq!(table.keys[0].source, Source { a: 24, ..CONTEXT8 });
    assert_eq!(table.clauses[0].value, u64::MAX);
    assert_eq!((table.clauses[1].value, table.clauses[1].signed), (i64::MAX as u64, 1));
    assert_eq!(table.rows, 10_000);
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
  help: the keys here are on, from, to, where, by, show, keys, include_self"#,
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
        "[tables.t]\non = \"tp_btf:sys_exitt\"",
        r#"
this kernel has no BTF tracepoint `sys_exitt`
 --> etc/weir.toml:2:6
  |
2 | on = "tp_btf:sys_exitt"
  |      ^^^^^^^^^^^^^^^^^^
  help: did you mean `tp_btf:sys_exit`?"#,
    );
    refused(
        "[tables.t]\non = \"kprobe:vfs_read\"",
        r#"
there is no kind of probe `kprobe`
 --> etc/weir.toml:2:7
  |
2 | on = "kprobe:vfs_read"
  |       ^^^^^^
  help: write tracepoint:CATEGORY:NAME (or t:), rawtracepoint:NAME (or rt:), or tp_btf:NAME"#,
    );
    refused(
        "[tables.t]\non = \"t:syscalls:sys_*\"",
        r#"
a table is attached to one probe, and patterns are not supported
 --> etc/weir.toml:2:18
  |
2 | on = "t:syscalls:sys_*"
  |                  ^^^^^
  help: name the probe itself"#,
    );
}

#[test]
fn names_that_mean_nothing_here() {
    refused(
        &table("by = { r = \"args.rett\" }"),
        r#"
the probe has no field `rett`
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.rett" }
  |             ^^^^^^^^^
  help: did you mean `ret`? fields that can be used: __syscall_nr, ret"#,
    );
    refused(
        "[tables.t]\non = \"t:sched:sched_switch\"\nby = { c = \"args.next_comm\" }",
        r#"
`args.next_comm` (char[16]) cannot be used: text fields other than comm are not supported
 --> etc/weir.toml:3:13
  |
3 | by = { c = "args.next_comm" }
  |             ^^^^^^^^^^^^^^
  help: fields that can be used: prev_pid, prev_prio, prev_state, next_pid, next_prio"#,
    );
    refused(
        "[tables.t]\non = \"tp_btf:sys_exit\"\nby = { r = \"args.regs\" }",
        r#"
`args.regs` (struct pt_regs *) cannot be used: it is a kernel address, and these stay in the kernel
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.regs" }
  |             ^^^^^^^^^
  help: fields that can be used: ret"#,
    );
    refused(
        "[tables.t]\non = \"t:raw_syscalls:sys_enter\"\nby = { r = \"args.args\" }",
        r#"
`args.args` (unsigned long[6]) is an array
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.args" }
  |             ^^^^^^^^^
  help: name one element, such as `args.args[0]`"#,
    );
    refused(
        "[tables.t]\non = \"t:raw_syscalls:sys_enter\"\nby = { r = \"args.args[6]\" }",
        r#"
`args.args` (unsigned long[6]) has elements 0 to 5 only
 --> etc/weir.toml:3:13
  |
3 | by = { r = "args.args[6]" }
  |             ^^^^^^^^^^^^"#,
    );
    refused(
        &table("by = { r = \"ret\" }"),
        r#"
there is no `ret`
 --> etc/weir.toml:3:13
  |
3 | by = { r = "ret" }
  |             ^^^
  help: there are pid, tid, uid, gid, comm, cgroup, cpu, elapsed, and the probe's fields as args.NAME or start.NAME; is `args.ret` meant?"#,
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
  help: did you mean `sum`? the measures are count(), sum(x), min(x), max(x), avg(x) and hist(x)"#,
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
        &table("show = { t = \"sum(args.ret / 2)\" }"),
        r#"
expected `)`, found `/`
 --> etc/weir.toml:3:28
  |
3 | show = { t = "sum(args.ret / 2)" }
  |                            ^
  help: a measure takes one name: there is no arithmetic, and there are no further arguments"#,
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
}

#[test]
fn filters_that_are_wrong() {
    refused(
        &table("where = \"args.ret = 0\""),
        r#"
expected a comparison after `args.ret`, found `=`
 --> etc/weir.toml:3:19
  |
3 | where = "args.ret = 0"
  |                   ^
  help: equality is written `args.ret == …`"#,
    );
    refused(
        &table("where = \"args.ret < 0 || pid == 1\""),
        r#"
`||` cannot follow a comparison
 --> etc/weir.toml:3:23
  |
3 | where = "args.ret < 0 || pid == 1"
  |                       ^^
  help: only && is supported: what either of two filters lets through are two tables"#,
    );
    refused(
        &table("where = 'comm == \"cat\"'"),
        r#"
`comm` cannot be compared in a filter
 --> etc/weir.toml:3:10
  |
3 | where = 'comm == "cat"'
  |          ^^^^
  help: use it as a key (by = { comm = "comm" }), or filter by `pid`"#,
    );
    refused(
        &table("where = \"pid == -1\""),
        r#"
`pid` is never -1: it is from 0 to 4294967295
 --> etc/weir.toml:3:17
  |
3 | where = "pid == -1"
  |                 ^^"#,
    );
    refused(
        &table("where = \"args.ret > 1ms\""),
        r#"
`args.ret` is not a time and cannot be compared with one
 --> etc/weir.toml:3:21
  |
3 | where = "args.ret > 1ms"
  |                     ^^^
  help: only `elapsed` is known to be a time; write a plain number"#,
    );
    refused(
        &table("where = \"args.ret\""),
        r#"
expected a comparison after `args.ret`, found the end
 --> etc/weir.toml:3:18
  |
3 | where = "args.ret"
  |                  ^
  help: write `args.ret != 0` for a flag"#,
    );
}

#[test]
fn too_much_of_anything() {
    let columns = |prefix: &str, count: usize, text: &str| {
        let columns: Vec<String> = (0..count).map(|n| format!("{prefix}{n} = \"{text}\"")).collect();
        format!("{{ {} }}", columns.join(", "))
    };
    let by = |count| table(&format!("by = {}\nshow = {{ n = \"count()\" }}", columns("k", count, "pid")));
    assert!(parse(&by(8)).is_ok());
    let error = parse(&by(9)).unwrap_err();
    assert_eq!(
        error.message,
        "the keys of a table can take 8 words of eight bytes; with this one they take 9"
    );
    assert_eq!(error.place.unwrap().line, 3);

    let show = |count| table(&format!("show = {}", columns("m", count, "count()")));
    assert!(parse(&show(8)).is_ok());
    assert_eq!(parse(&show(9)).unwrap_err().message, "a table can have 8 measures, and this is one more");

    let filter = |count| {
        table(&format!(
            "where = \"{}\"\nshow = {{ n = \"count()\" }}",
            ["pid > 0"].repeat(count).join(" && ")
        ))
    };
    assert!(parse(&filter(8)).is_ok());
    assert_eq!(
        parse(&filter(9)).unwrap_err().message,
        "a filter can have 8 comparisons, and this is one more"
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
  help: the tables of this file are `t`"#,
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
    fn no_value_panics(key in "(on|from|to|where|by|show|keys|include_self)", value in "(\"|'|\"\"\"|)(\\{ a = )?[-a-z.\\[\\](){}=!<>&|0-9\"'\\\\é\n ]{0,30}(\"|'|\"\"\"|)( \\})?") {
        drop(parse(&table(&format!("{key} = {value}"))).map_err(|error| error.to_string()));
    }
}
