//! A process that lies. Here it is a program that does nothing, while the test speaks in its place.

use std::process::Command;

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
        next_plugin: 2,
        tables: BTreeMap::new(),
        next_table: 0,
        room: Room { guest: 0, code: 0 },
        ring,
        process,
        compiler: Compiler::new(choose_user().unwrap(), Bound::Time),
        failed_starts: 0,
        ready: Vec::new(),
        skipped: 0,
        progress: Instant::now(),
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

/// A compiler that is started here is this test, which compiles nothing.
#[test]
fn code_is_known_to_its_own_compiler_for_as_long_as_a_plugin_has_it() {
    let user = choose_user().unwrap();
    let (compiler, other) = (Compiler::new(user.clone(), Bound::Time), Compiler::new(user, Bound::Time));
    let compile = |compiler: &Compiler, component: &[u8]| {
        compiler.compile(Plugin {
            name: "p".to_owned(),
            component: component.to_vec(),
            tables: Vec::new(),
            options: BTreeMap::new(),
            limits: Limits::default(),
        })
    };
    let code = code();
    compiler.known.lock().unwrap().insert(Digest::of(b"component"), Arc::downgrade(&code));
    let again = compile(&compiler, b"component").unwrap();
    assert!(Arc::ptr_eq(&again.code, &code));
    compile(&compiler, b"another").unwrap_err();
    compile(&other, b"component").unwrap_err();
    drop((code, again));
    compile(&compiler, b"component").unwrap_err();
}
