//! A process that lies. Here it is a program that does nothing, while the test speaks in its place.

use std::os::unix::fs::FileExt;
use std::process::Command;

use arrow::array::{ArrayRef, UInt64Array};
use proptest::prelude::*;

use super::*;
use crate::event::Output;
use crate::sandbox::limits::{OUTPUTS, PACKET_BYTES};
use crate::sandbox::wire::{Fault, Put};

fn code() -> Arc<Code> {
    Arc::new(Code { file: crate::memfd::sealed("code", b"").unwrap(), bytes: 0 })
}

/// A sandbox of two plugins that have both been called for interval 5, and the end of its channel.
fn called() -> (Sandbox, Channel) {
    let mut ring = Ring::new().unwrap();
    let hosted = || Hosted {
        name: "p".to_owned(),
        tables: Vec::new(),
        options: Vec::new(),
        limits: Limits::default(),
        code: code(),
        totals: Totals::new(),
        phase: Phase::Loaded,
        again: false,
        under_way: Some(UnderWay { interval: 5, slot: 0 }),
        held: false,
        missed: 0,
    };
    let plugins = BTreeMap::from([(0, hosted()), (1, hosted())]);
    ring.lend(0, 2);
    let (channel, theirs) = Channel::pair().unwrap();
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    let process =
        Process { child: process::Process::child(child).unwrap(), channel, up: true, out_of_memory: 0 };
    let sandbox = Sandbox {
        plugins,
        // The last one was taken away.
        next_plugin: 3,
        tables: BTreeMap::new(),
        next_table: 0,
        room: Room { guest: 0, code: 0 },
        ring,
        process,
        loads: VecDeque::new(),
        compiler: Compiler::new(choose_user().unwrap(), Bound::Time),
        failed_starts: 0,
        ready: Vec::new(),
        skipped: 0,
        progress: Instant::now(),
        persists: false,
        down: None,
    };
    (sandbox, Channel::new(theirs))
}

fn answered(plugin: u32, interval: u64, outputs: Vec<Put>) -> Claim {
    Claim::Answered { plugin, interval, end: Ok(()), outputs, used: Used::default() }
}

/// The process is gone, another is there, and both calls are known to be lost.
fn assert_killed(mut sandbox: Sandbox, what: &str) {
    let before = sandbox.pid();
    // A process that another test is just starting may hold the other end open for a moment.
    let patience = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    let mut readable = [rustix::event::PollFd::new(&sandbox, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut readable, Some(&patience)).unwrap();
    let answers = sandbox.answers().unwrap_or_else(|error| panic!("{what}: {error}"));
    let reasons: Vec<_> = answers
        .iter()
        .map(|answer| match &answer.outputs[..] {
            [Output::Fault { reason, .. }] => (answer.plugin, answer.interval, reason.as_str()),
            other => panic!("{what} was believed: {other:?}"),
        })
        .collect();
    assert_eq!(reasons, [(0, 5, "killed"), (1, 5, "killed")], "{what}");
    // The first ran, for as long as it might, as far as is known.
    let used: Vec<_> = answers.iter().map(|answer| (answer.used.processor_ns, answer.ended)).collect();
    assert_eq!(used, [(100_000_000, true), (0, true)], "{what}");
    assert_ne!(sandbox.pid(), before, "{what}");
    assert!(!std::path::Path::new(&format!("/proc/{before}")).exists(), "{what}: it lives on");
    assert!(sandbox.idle() && sandbox.ring.free() == Some(0), "{what}");
}

#[test]
fn what_was_asked_for_is_believed() {
    let (mut sandbox, channel) = called();
    channel.send(&answered(1, 5, Vec::new()), Until::Now).unwrap();
    assert_eq!(
        sandbox.answers().unwrap(),
        [Answer {
            plugin: 1,
            interval: 5,
            configure: false,
            outputs: Vec::new(),
            used: Used::default(),
            ended: false,
        }]
    );
    assert!(!sandbox.idle());
    channel.send(&answered(0, 5, Vec::new()), Until::Now).unwrap();
    assert_eq!(sandbox.answers().unwrap().len(), 1);
    assert!(sandbox.idle() && sandbox.ring.free() == Some(0));
}

#[test]
fn claims_that_cannot_be_end_the_process() {
    let nothing = Put::Gauge { metric: String::new(), labels: Vec::new(), value: 1.0 };
    let gauge = Put::Gauge { metric: "m".to_owned(), labels: Vec::new(), value: 1.0 };
    let infinite = Put::Gauge { metric: "m".to_owned(), labels: Vec::new(), value: f64::INFINITY };
    let failed = Fault { reason: Reason::Trap, message: String::new() };
    let claims = [
        ("another plugin", answered(2, 5, Vec::new())),
        ("another interval", answered(0, 6, Vec::new())),
        ("too many outputs", answered(0, 5, vec![gauge.clone(); OUTPUTS + 1])),
        ("a metric without a name", answered(0, 5, vec![nothing])),
        ("an infinite metric", answered(0, 5, vec![infinite])),
        (
            "output of a failed call",
            Claim::Answered {
                plugin: 0,
                interval: 5,
                end: Err(failed),
                outputs: vec![gauge],
                used: Used::default(),
            },
        ),
        (
            "loaded when it was not asked",
            Claim::Loaded { plugin: 0, end: Ok(()), outputs: Vec::new(), used: Used::default() },
        ),
        (
            "loaded again after it was taken away",
            Claim::Loaded { plugin: 2, end: Ok(()), outputs: Vec::new(), used: Used::default() },
        ),
    ];
    for (what, claim) in claims {
        let (sandbox, channel) = called();
        channel.send(&claim, Until::Now).unwrap();
        assert_killed(sandbox, what);
    }
}

#[test]
fn packets_that_are_no_claims_end_the_process() {
    let packets: [(&str, &[u8]); 4] = [
        ("garbage", &[1, 250, 250, 250]),
        ("an unknown mark", &[7, 0]),
        ("an empty message", &[1]),
        ("a packet that is too large", &[0; PACKET_BYTES + 1]),
    ];
    for (what, packet) in packets {
        let (sandbox, channel) = called();
        channel.send_packet(packet, &[], Until::Now).unwrap();
        assert_killed(sandbox, what);
    }
    let (sandbox, channel) = called();
    drop(channel);
    assert_killed(sandbox, "a closed channel");
}

#[test]
fn an_answer_counts_once() {
    let (mut sandbox, channel) = called();
    channel.send(&answered(0, 5, Vec::new()), Until::Now).unwrap();
    channel.send(&answered(0, 5, Vec::new()), Until::Now).unwrap();
    let before = sandbox.pid();
    assert_eq!(sandbox.answers().unwrap().len(), 2, "one answer, and one that was lost");
    assert_ne!(sandbox.pid(), before);
}

/// A process that is in a call reads no orders, for as long as its deadline lasts.
#[test]
fn loading_many_plugins_waits_for_nobody() {
    let (mut sandbox, channel) = called();
    sandbox.room = Room { guest: u64::MAX, code: u64::MAX };
    let mut channel = Channel::taking_files(channel.into_socket());
    let began = Instant::now();
    let text = OptionValue::Text("x".repeat(OPTION_BYTES - 10));
    let added: Vec<usize> = (0..100)
        .map(|_| {
            let options = BTreeMap::from([("o".to_owned(), text.clone())]);
            let (name, component, tables) = ("p".to_owned(), Vec::new(), Vec::new());
            let plugin = Plugin { name, component, tables, options, limits: Limits::default() };
            sandbox.add(Compiled { plugin, code: code() }).unwrap()
        })
        .collect();
    assert!((sandbox.process.channel.behind() > 0), "no socket holds all of it");
    assert!(sandbox.wake().unwrap() <= Instant::now() + LOOK);
    // Nor is it told of an interval in the middle of an order.
    let interval = Interval { number: 6, began: SystemTime::now(), length: LOOK, last: false };
    sandbox.analyze(&interval, &[]).unwrap();
    assert!(began.elapsed() < LOAD_WALL, "{:?}", began.elapsed());
    // Without an end it does not go on.
    let mut more = 0;
    let refused = loop {
        let (name, component, options, tables) = ("p".to_owned(), Vec::new(), BTreeMap::new(), Vec::new());
        let plugin = Plugin { name, component, tables, options, limits: Limits::default() };
        match sandbox.add(Compiled { plugin, code: code() }) {
            Ok(number) => sandbox.remove(number),
            Err(error) => break error,
        }
        more += 1;
    };
    assert!(refused.to_string().contains("is busy") && more <= BEHIND, "{more}: {refused}");
    // Once it reads, all come, in order, each with its code.
    for number in added {
        let order = loop {
            match channel.receive::<Order>() {
                Ok(order) => break order,
                Err(Silence::Waiting) => drop(sandbox.answers().unwrap()),
                Err(other) => panic!("{other:?}"),
            }
        };
        let Order::Load { plugin, .. } = order else { panic!("{order:?}") };
        assert_eq!((plugin, channel.files().len()), (small(number), 1));
    }
    while sandbox.process.channel.behind() > 0 {
        drop(channel.receive::<Order>());
        drop(sandbox.answers().unwrap());
    }
}

#[test]
fn a_tenant_goes_on_when_its_sandbox_cannot_be_started() {
    let (mut sandbox, channel) = called();
    sandbox.persists = true;
    drop(channel);
    let failed = || Error::new(Kind::Unavailable, "no process".to_owned());
    drop(sandbox.process.end());
    let before = sandbox.pid();
    sandbox.plugins.values_mut().for_each(|plugin| plugin.under_way = None);
    let mut last = Duration::ZERO;
    for _ in 0..STARTS + 4 {
        sandbox.failed_starts += 1;
        sandbox.went_down(failed()).unwrap();
        let pause = sandbox.wake().unwrap().saturating_duration_since(Instant::now());
        assert!(pause + LOOK >= last && pause <= LEAST_PAUSE * 2u32.pow(PAUSES), "{pause:?} after {last:?}");
        last = pause;
    }
    assert!(last > LEAST_PAUSE * 8, "{last:?}");
    assert_eq!(sandbox.down(), Some("no process"));
    // Plugins are not to blame.
    let interval = Interval { number: 6, began: SystemTime::now(), length: LOOK, last: false };
    sandbox.analyze(&interval, &[]).unwrap();
    let skipped = sandbox.answers().unwrap();
    let reason = |answer: &Answer| match &answer.outputs[..] {
        [Output::Fault { reason, message }] => (reason.clone(), message.contains("no process")),
        other => panic!("{other:?}"),
    };
    assert_eq!(skipped.iter().map(reason).collect::<Vec<_>>(), vec![("skipped".to_owned(), true); 2]);
    // When it is time, there is another one, with the same plugins.
    sandbox.down.as_mut().unwrap().until = Instant::now();
    drop(sandbox.answers().unwrap());
    assert_ne!(sandbox.pid(), before);
    assert_eq!(sandbox.plugins.len(), 2);
    // One that is no tenant's is over.
    sandbox.persists = false;
    assert!(sandbox.went_down(failed()).is_err());
}

fn of(component: &[u8]) -> Plugin {
    Plugin {
        name: "p".to_owned(),
        component: component.to_vec(),
        tables: Vec::new(),
        options: BTreeMap::new(),
        limits: Limits::default(),
    }
}

#[test]
fn nothing_is_compiled_without_time_for_it_but_what_is_there_is_had() {
    let pace = Arc::new(Pace::new(Instant::now()));
    let compiler = Compiler::new(choose_user().unwrap(), Bound::Time).at_pace(&pace, Some(100_000));
    // It is started, and ends without a word.
    assert!(compiler.compile_next(of(b"component"), true).is_err());
    pace.charge(Duration::from_secs(120), Some(100_000), Instant::now());
    let wait = compiler.compile_next(of(b"component"), true).unwrap().unwrap_err();
    assert!(wait > Duration::from_secs(590) && wait < Duration::from_secs(601), "{wait:?}");
    assert!(compiler.compile_next(of(b"component"), false).is_err(), "what has begun is gone on with");
    let code = code();
    compiler.known.lock().unwrap().insert(Digest::of(b"known"), Arc::downgrade(&code));
    assert!(compiler.compile_next(of(b"known"), true).unwrap().is_ok());
    // Another one of the same tenant's, which is not bounded.
    assert!(compiler.at_pace(&pace, None).compile_next(of(b"component"), true).is_err());
}

/// A compiler that is started here is this test, which compiles nothing.
#[test]
fn code_is_known_to_its_own_compiler_for_as_long_as_a_plugin_has_it() {
    let user = choose_user().unwrap();
    let (compiler, other) = (Compiler::new(user.clone(), Bound::Time), Compiler::new(user, Bound::Time));
    let compile = |compiler: &Compiler, component: &[u8]| compiler.compile(of(component));
    let code = code();
    compiler.known.lock().unwrap().insert(Digest::of(b"component"), Arc::downgrade(&code));
    let again = compile(&compiler, b"component").unwrap();
    assert!(Arc::ptr_eq(&again.code, &code));
    compile(&compiler, b"another").unwrap_err();
    compile(&other, b"component").unwrap_err();
    drop((code, again));
    compile(&compiler, b"component").unwrap_err();
}

/// Tables of a daemon, whose rows are known by their numbers.
const POOL: usize = 8;

fn rows_of(table: usize, rows: u64) -> RecordBatch {
    let numbers = (0..rows).map(|row| marked(table, row));
    let column = UInt64Array::from_iter_values(numbers);
    RecordBatch::try_from_iter([("n", Arc::new(column) as ArrayRef)]).unwrap()
}

/// A number that is nowhere by chance.
fn marked(table: usize, row: u64) -> u64 {
    0x5eed_0000_0000_0000 | (table as u64) << 32 | row
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default().cases
    } else {
        128
    }))]

    /// Whatever tables there are, what reaches a sandbox's process are the rows of those that its plugins were granted: in
    /// the orders, by the numbers that these tables have there, and in the memory that it is handed.
    #[test]
    fn no_row_of_a_table_that_was_not_granted_reaches_a_sandbox(
        grants in prop::collection::vec(prop::collection::btree_set(0..POOL, 0..4), 1..4),
        intervals in prop::collection::vec(prop::collection::vec(0..5u64, POOL), 1..6),
    ) {
        let (mut sandbox, channel) = called();
        sandbox.plugins.clear();
        sandbox.ring.take_back();
        sandbox.room = Room { guest: u64::MAX, code: u64::MAX };
        let mut channel = Channel::taking_files(channel.into_socket());
        let name = |table: usize| -> Arc<str> { format!("tenant{}/job/1/t{table}", table % 3).into() };
        let slots: Vec<std::fs::File> = sandbox.ring.files().unwrap().into_iter().map(Into::into).collect();
        let mut known: BTreeMap<u32, usize> = BTreeMap::new();
        for granted in &grants {
            let tables = granted.iter().map(|table| (name(*table), rows_of(*table, 0).schema())).collect();
            let (options, component) = (BTreeMap::new(), Vec::new());
            let plugin = Plugin { name: "p".to_owned(), component, tables, options, limits: Limits::default() };
            let number = sandbox.add(Compiled { plugin, code: code() }).unwrap();
            let Ok(Order::Load { tables, .. }) = channel.receive::<Order>() else { panic!("no order to load") };
            prop_assert_eq!(tables.len(), granted.len());
            for (table, granted) in tables.iter().zip(granted) {
                // A plugin is told the table's own name, and nothing of whose it is.
                prop_assert_eq!(&table.name, &format!("t{granted}"));
                prop_assert_eq!(*known.entry(table.table).or_insert(*granted), *granted);
            }
            let loaded = Claim::Loaded { plugin: small(number), end: Ok(()), outputs: Vec::new(), used: Used::default() };
            channel.send(&loaded, Until::Now).unwrap();
        }
        prop_assert_eq!(sandbox.answers().unwrap().len(), grants.len());
        let granted: std::collections::BTreeSet<usize> = grants.iter().flatten().copied().collect();
        for (at, rows) in intervals.iter().enumerate() {
            let interval =
                Interval { number: at as u64, began: SystemTime::now(), length: LOOK, last: false };
            let snapshots: Vec<Snapshot> = rows.iter().enumerate().map(|(table, rows)| Snapshot {
                table: name(table),
                interval,
                coverage: crate::snapshot::Coverage { events: 100 + table as u64, ..Default::default() },
                rows: rows_of(table, *rows),
            }).collect();
            sandbox.analyze(&interval, &snapshots).unwrap();
            let Ok(Order::Analyze { slot, tables, plugins, .. }) = channel.receive::<Order>() else {
                panic!("no order to analyze")
            };
            let ordered: std::collections::BTreeSet<usize> =
                tables.iter().map(|table| known[&table.table]).collect();
            prop_assert_eq!(&ordered, &granted);
            for table in &tables {
                let of = known[&table.table];
                prop_assert_eq!(table.events, 100 + of as u64, "counts of another one");
            }
            let mut memory = vec![0; 1 << 16];
            slots[slot as usize].read_exact_at(&mut memory, 0).unwrap();
            // A row is somewhere in it, at eight bytes' alignment, if and only if its table was granted.
            let words = || memory.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
            for (table, rows) in rows.iter().enumerate() {
                for row in 0..*rows {
                    let is_there = words().any(|word| word == marked(table, row));
                    prop_assert_eq!(is_there, granted.contains(&table), "row {} of table {}", row, table);
                }
            }
            for call in plugins {
                channel.send(&answered(call.plugin, at as u64, Vec::new()), Until::Now).unwrap();
            }
            prop_assert_eq!(sandbox.answers().unwrap().len(), grants.len());
        }
    }
}
