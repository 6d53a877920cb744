//! A table of the command line: its columns' names, and errors that point into the arguments.

use weir::config::{Arguments, Config, Whose};
use weir::error::Error;
use weir::table::{Builtin, Comparison, Condition, TableSpec, Value};

use crate::recorded;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn resolve(asked: &Arguments) -> Result<Config, Error> {
    let folder = tempfile::tempdir().unwrap();
    Config::from_arguments(asked, &recorded::kernel(folder.path()))
}

fn reads(by: &[&str], show: &[&str]) -> Arguments {
    Arguments {
        probes: texts(&["tracepoint:syscalls:sys_enter_read"]),
        to: texts(&["tracepoint:syscalls:sys_exit_read"]),
        by: texts(by),
        show: texts(show),
        ..Arguments::default()
    }
}

fn table(asked: &Arguments) -> TableSpec {
    let config = resolve(asked).unwrap_or_else(|error| panic!("{error}"));
    (*config.tables[0]).clone()
}

fn names(asked: &Arguments) -> (Vec<String>, Vec<String>) {
    let table = table(asked);
    (
        table.keys.into_iter().map(|key| key.name).collect(),
        table.measures.into_iter().map(|measure| measure.name).collect(),
    )
}

#[test]
fn columns_are_called_as_what_they_are() {
    for (by, show, keys, measures) in [
        (&["comm"][..], &[][..], &["comm"][..], &["count"][..]),
        (&["comm,pid", "args.ret"], &["hist(elapsed)"], &["comm", "pid", "ret"], &["elapsed"]),
        (&[], &["count(),sum(args.ret)"], &[], &["count", "ret"]),
        // A measure of what is a key already, and two of the same thing.
        (&["args.ret"], &["sum(args.ret)"], &["ret"], &["sum_ret"]),
        (&[], &["avg(elapsed)", "max(elapsed), count()"], &[], &["avg_elapsed", "max_elapsed", "count"]),
        (&[], &["max(elapsed), max(elapsed)"], &[], &["max_elapsed", "max_elapsed_2"]),
        // What is written stays.
        (&["who=comm"], &["who_2 = count(), calls=count() if args.ret == 0"], &["who"], &["who_2", "calls"]),
        (&["uid, uid = pid"], &["count"], &["uid_2", "uid"], &[]),
        // Commas and equal signs that separate nothing.
        (
            &["errno(args.ret), args.ret == 1"],
            &["lhist(args.ret, 0, 10, 1)"],
            &["errno", "ret"],
            &["lhist_ret"],
        ),
        (&["(int32)args.ret + 1"], &["count()"], &["ret"], &["count"]),
        (&["starts_with(comm, \"a,b\")"], &["count()"], &["starts_with"], &["count"]),
    ] {
        let asked = reads(by, show);
        if measures.is_empty() {
            // A measure needs its parentheses; the error is another test's.
            assert!(resolve(&asked).is_err());
            continue;
        }
        assert_eq!(names(&asked), (texts(keys), texts(measures)), "{by:?} {show:?}");
    }
}

#[test]
fn what_is_left_out_has_a_meaning() {
    let asked = Arguments { probes: texts(&["t:sched:sched_switch"]), ..Arguments::default() };
    let config = resolve(&asked).unwrap();
    assert_eq!(config.interval.as_secs(), 1);
    let table = table(&asked);
    assert!(!table.is_span() && table.rows == 1 && table.name == "watch");
    assert_eq!(table.probes[0].attach.to_string(), "tracepoint:sched:sched_switch");
    let asked = reads(&["comm"], &[]);
    let asked = Arguments { keys: Some(7), interval: Some("250ms".into()), ..asked };
    let config = resolve(&asked).unwrap();
    assert_eq!((config.interval.as_millis(), config.tables[0].rows), (250, 7));
    assert_eq!(config.tables[0].starts[0].attach.to_string(), "tracepoint:syscalls:sys_enter_read");
}

#[test]
fn a_process_or_a_group_is_a_filter() {
    for (only, builtin, id) in
        [(Whose::Process(42), Builtin::Pid, 42), (Whose::Cgroup(1 << 40), Builtin::Cgroup, 1 << 40)]
    {
        let asked = Arguments { only: Some(only), ..reads(&[], &[]) };
        let is = Condition::Compare {
            op: Comparison::Equal,
            signed: true,
            left: Value::Builtin(builtin),
            right: Value::Constant(id),
        };
        assert_eq!(table(&asked).probes[0].filter, Some(is));
    }
}

#[test]
fn errors_point_into_the_arguments() {
    let by = |text: &str| reads(&[text], &[]);
    let show = |text: &str| reads(&[], &[text]);
    for (asked, printed) in [
        (
            by("comm, args.rett"),
            "tracepoint:syscalls:sys_exit_read has no field `rett`
 --> --by:1:7
  |
1 | comm, args.rett
  |       ^^^^^^^^^
  help: did you mean `ret`? fields that can be used: __syscall_nr, ret",
        ),
        (
            by("comm,,pid"),
            "a column is empty
 --> --by:1:1
  |
1 | comm,,pid
  | ^^^^^^^^^
  help: columns are separated by commas: --by comm,pid --show 'count(), bytes=sum(args.ret)'",
        ),
        (
            by("a=pid,a=tid"),
            "there is a column `a` already
 --> --by:1:7
  |
1 | a=pid,a=tid
  |       ^
  help: each column of `by` and `show` needs a name of its own",
        ),
        (
            show("count(), total = summ(args.ret)"),
            "there is no measure `summ`
 --> --show:1:18
  |
1 | count(), total = summ(args.ret)
  |                  ^^^^
  help: did you mean `sum`? the measures are count(), sum(x), min(x), max(x), avg(x), stats(x), hist(x) and lhist(x, low, high, step)",
        ),
        (
            Arguments { filter: Some("args.ret >".into()), ..reads(&[], &[]) },
            "an expression is missing
 --> --where:1:11
  |
1 | args.ret >
  |           ^
  help: write one such as `args.ret > 0`",
        ),
        (
            Arguments { probes: texts(&["t:sched:sched_swich"]), ..Arguments::default() },
            "this kernel has no tracepoint `sched:sched_swich`
 --> PROBE:1:1
  |
1 | t:sched:sched_swich
  | ^^^^^^^^^^^^^^^^^^^
  help: did you mean `tracepoint:sched:sched_switch`?",
        ),
        (
            Arguments { pair: Some("pid".into()), to: Vec::new(), ..reads(&[], &[]) },
            "`--pair` says which start belongs to which end, and there are no spans
 --> --pair:1:1
  |
1 | pid
  | ^^^
  help: give the probe at their end: --to PROBE",
        ),
        (
            Arguments { interval: Some("1ms".into()), ..reads(&[], &[]) },
            "an interval is from 100ms to 24h
 --> --interval:1:1
  |
1 | 1ms
  | ^^^",
        ),
    ] {
        assert_eq!(resolve(&asked).unwrap_err().to_string(), printed);
    }
}
