//! What holds of all requests and all grants.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::{cases, table};
use crate::policy::{Globs, Grant, PluginRequest, Quota, Request, Scope, Usage};
use crate::table::{Attach, PerfEvent, Period, Program, TableSpec};

const NAMES: [&str; 12] = [
    "pid",
    "comm",
    "args.ret",
    "args.fd",
    "start.fd",
    "elapsed",
    "kstack",
    "curtask.tgid",
    "str",
    "address",
    "struct sock",
    "arg0",
];
const FIELDS: [&str; 7] = ["*", "args.*", "pid", "?omm", "*.fd", "k*", "s*"];
const PROBES: [&str; 6] =
    ["*", "tracepoint:*", "tracepoint:syscalls:*", "*sys_e*", "profile:hz:*", "uprobe:/bin/?:f"];

fn any_point() -> impl Strategy<Value = Attach> {
    let text = str::to_owned;
    prop_oneof![
        prop::sample::select(vec!["syscalls", "sched"]).prop_map(move |category| Attach::Tracepoint {
            category: text(category),
            name: text("sys_exit_read")
        }),
        prop::sample::select(vec!["sys_enter", "bare"])
            .prop_map(move |name| Attach::RawTracepoint { name: text(name) }),
        (1..200u64).prop_map(|hertz| Attach::Profile(Period::Hertz(hertz))),
        (1..1_000_000_000u64).prop_map(|length| Attach::Interval(Period::Nanoseconds(length))),
        (1..100u64).prop_map(|count| Attach::Perf {
            event: PerfEvent { hardware: false, name: "page-faults", number: 2 },
            count
        }),
        Just(Attach::Uprobe {
            program: Program::of_test("/bin/x"),
            symbol: text("f"),
            offset: 0,
            at_return: false,
            pid: None
        }),
    ]
}

/// Expressions do not matter here, for which `refused` and `scope` are.
fn any_table() -> impl Strategy<Value = Arc<TableSpec>> {
    let base = table("on = \"t:syscalls:sys_exit_read\"\nshow = { n = \"count()\" }");
    let points = || prop::collection::vec(any_point(), 0..3);
    let names = prop::collection::btree_set(prop::sample::select(NAMES.to_vec()), 0..4);
    (points(), points(), names, 1..100u32, prop::option::of(100..100_000u32)).prop_map(
        move |(probes, starts, names, rows, budget)| {
            let probe = |attach| crate::table::Probe { attach, ..base.probes[0].clone() };
            Arc::new(TableSpec {
                probes: probes.into_iter().map(probe).collect(),
                starts: starts.into_iter().map(probe).collect(),
                names: names.into_iter().map(str::to_owned).collect(),
                rows,
                budget,
                ..TableSpec::clone(&base)
            })
        },
    )
}

/// Numbers of which one is sometimes more than another.
fn amount() -> std::ops::Range<u64> {
    0..200
}

/// What is asked for, in a form that can be made smaller.
#[derive(Clone, Debug)]
struct Asked {
    tables: Vec<Arc<TableSpec>>,
    interval: u64,
    scope: Option<Scope>,
    plugins: Vec<PluginRequest<'static>>,
    cpu: u32,
    disk: u64,
}

impl Asked {
    fn request(&self) -> Request<'_> {
        Request {
            tables: &self.tables,
            interval: Duration::from_nanos(self.interval),
            scope: self.scope,
            plugins: self.plugins.clone(),
            cpu: self.cpu,
            disk: self.disk,
        }
    }
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let plugin = (amount(), amount(), amount(), amount()).prop_map(|(memory, deadline, series, output)| {
        PluginRequest { name: "p", memory, deadline: Duration::from_nanos(deadline), series, output }
    });
    (
        prop::collection::vec(any_table(), 0..3),
        amount(),
        prop::option::of(prop::sample::select(Scope::ALL.to_vec())),
        prop::collection::vec(plugin, 0..3),
        amount(),
        amount(),
    )
        .prop_map(|(tables, interval, scope, plugins, cpu, disk)| Asked {
            tables,
            interval,
            scope,
            plugins,
            cpu: cpu as u32,
            disk,
        })
}

/// With some things taken away, and others made smaller, as the bits say.
fn smaller(asked: &Asked, bits: u64) -> Asked {
    let bit = |at: u32| bits >> at & 1 == 1;
    let mut less = asked.clone();
    let divided = |number: u64, at| if bit(at) { number / 2 } else { number };
    for (at, table) in (0..).zip(&mut less.tables) {
        let table = Arc::make_mut(table);
        table.rows = divided(table.rows.into(), at).max(1) as u32;
        if let Some(budget) = &mut table.budget {
            *budget = divided((*budget).into(), 3 + at) as u32;
        }
        if bit(6 + at) {
            table.probes.pop();
        }
        if bit(9 + at) {
            table.starts.pop();
        }
        if bit(12 + at) {
            table.names.pop_first();
        }
    }
    for (at, plugin) in (15..).zip(&mut less.plugins) {
        plugin.memory = divided(plugin.memory, at);
        plugin.deadline = Duration::from_nanos(divided(plugin.deadline.as_nanos() as u64, at + 3));
        plugin.series = divided(plugin.series, at + 6);
        plugin.output = divided(plugin.output, at + 9);
    }
    if bit(30) {
        less.tables.pop();
    }
    if bit(31) {
        less.plugins.pop();
    }
    if bit(32) {
        less.scope = None;
    }
    if bit(33) {
        less.interval *= 2;
    }
    less.cpu = divided(less.cpu.into(), 34) as u32;
    less.disk = divided(less.disk, 35);
    less
}

fn globs(patterns: Vec<&str>) -> Globs {
    let mut globs = Globs::default();
    assert!(patterns.into_iter().all(|pattern| globs.add(pattern)));
    globs
}

/// Large enough that many requests are granted.
fn any_grant() -> impl Strategy<Value = Grant> {
    let some = |of: &[&'static str]| {
        prop_oneof![prop::sample::subsequence(of.to_vec(), 1..of.len()), Just(vec!["*"])]
    };
    let count = || 0..9u32;
    let large = || 0..1000u64;
    (
        (
            some(&PROBES),
            some(&FIELDS),
            prop_oneof![prop::sample::select(Scope::ALL.to_vec()), Just(Scope::All)],
        ),
        (count(), count(), large(), large(), large(), large(), large(), large()),
        (
            prop::option::of(amount()),
            0..1_000_000_000u64,
            prop::option::of(1..100u64),
            large(),
            0..400_000u32,
            0..40u32,
        ),
    )
        .prop_map(|((probes, fields, scope), counts, rest)| {
            let (tables, plugins, rows, series, memory, deadline, output, disk) = counts;
            let (interval, rate, events, cpu, kernel, churn) = rest;
            let limits = Quota {
                tables,
                plugins,
                rows,
                series,
                memory,
                deadline: Duration::from_nanos(deadline),
                output,
                disk,
                interval: interval.map(Duration::from_nanos),
                rate,
                events,
                cpu: cpu as u32,
                kernel,
                churn,
            };
            Grant { probes: globs(probes), fields: globs(fields), scope, limits, ..Grant::default() }
        })
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let usage = (0..3u32, amount(), 0..3u32, amount(), amount()).prop_map(
        |(tables, rows, plugins, series, memory)| Usage {
            tables,
            rows,
            plugins,
            series,
            memory,
            ..Usage::default()
        },
    );
    prop_oneof![2 => Just(Usage::default()), 1 => usage]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn less_is_never_refused_where_more_is_granted(
        asked in any_asked(),
        grant in any_grant(),
        used in any_usage(),
        bits in any::<u64>(),
    ) {
        let codes = |asked: &Asked| grant.check(&asked.request(), &used).into_iter().map(|refusal| refusal.code).collect::<Vec<_>>();
        let (more, less) = (codes(&asked), codes(&smaller(&asked, bits)));
        prop_assert!(less.iter().all(|code| more.contains(code)), "{:?} of {:?}", less, more);
    }

    #[test]
    fn all_that_is_granted_fits(asked in any_asked(), grant in any_grant(), used in any_usage()) {
        if !grant.check(&asked.request(), &used).is_empty() {
            return Ok(());
        }
        let limits = &grant.limits;
        for table in &asked.tables {
            prop_assert!(table.names.iter().all(|name| grant.fields.fit(name)));
            for probe in table.probes.iter().chain(&table.starts) {
                prop_assert!(grant.probes.fit(&probe.attach.to_string()));
            }
        }
        prop_assert!(asked.scope.is_none_or(|scope| grant.scope.covers(scope)));
        prop_assert!(asked.tables.is_empty() || asked.tables.len() + used.tables as usize <= limits.tables as usize);
        let rows: u64 = asked.tables.iter().map(|table| u64::from(table.rows)).sum();
        prop_assert!(asked.tables.is_empty() || rows + used.rows <= limits.rows);
        // What the tables are given is not more than there is.
        let everybody = Grant { scope: Scope::All, ..grant.clone() };
        let peer = crate::policy::Peer { pid: 1, uid: 1, gids: vec![], cgroup: None };
        let attached: Vec<TableSpec> =
            asked.tables.iter().map(|table| everybody.scoped(table, &peer).unwrap()).collect();
        prop_assert!(attached.iter().map(|table| table.budget.unwrap()).sum::<u32>() <= limits.kernel);
        prop_assert!(attached.iter().map(|table| u64::from(table.rows)).sum::<u64>() <= limits.rows);
    }
}

#[test]
fn there_are_requests_that_are_granted() {
    let mut runner = TestRunner::deterministic();
    let requests = (any_asked(), any_grant());
    let granted = (0..2000).filter(|_| {
        let (asked, grant) = requests.new_tree(&mut runner).unwrap().current();
        grant.check(&asked.request(), &Usage::default()).is_empty() && !asked.tables.is_empty()
    });
    let granted = granted.count();
    assert!(granted > 20, "{granted}");
}
