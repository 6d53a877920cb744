//! Plugins that come and go while others are being called.

use std::collections::BTreeMap;

use weir::sandbox::{Room, Sandbox};

use crate::support::{assert_behaved, drain, interval, of, plugin, reason, snapshot, turn, well_behaved};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_plugin_is_added_while_another_runs", a_plugin_is_added_while_another_runs),
    ("a_plugin_is_taken_away_in_its_call", a_plugin_is_taken_away_in_its_call),
    (
        "a_plugin_that_cannot_be_configured_costs_nobody_else",
        a_plugin_that_cannot_be_configured_costs_nobody_else,
    ),
    ("a_held_plugin_is_not_called", a_held_plugin_is_not_called),
    ("what_has_no_room_is_refused", what_has_no_room_is_refused),
    ("a_process_that_is_replaced_has_every_plugin_again", a_process_that_is_replaced_has_every_plugin_again),
];

const ROOM: Room = Room { guest: 64 << 20, code: 64 << 20 };

/// Adds a plugin that was compiled for the sandbox.
fn add(sandbox: &mut Sandbox, plugin: weir::sandbox::Plugin) -> usize {
    let compiled = sandbox.compiler().compile(plugin).unwrap();
    sandbox.add(compiled).unwrap()
}

/// Waits until the process has nothing to do.
fn settle(sandbox: &mut Sandbox) -> Vec<weir::sandbox::Answer> {
    let mut answers = Vec::new();
    while sandbox.wake().is_some() {
        answers.extend(drain(sandbox));
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        let mut fds = [rustix::event::PollFd::new(&*sandbox, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&timeout)).unwrap();
    }
    answers
}

fn a_plugin_is_added_while_another_runs() {
    let mut sandbox = Sandbox::empty(ROOM).unwrap();
    let pid = sandbox.pid();
    let first = add(&mut sandbox, well_behaved());
    assert!(settle(&mut sandbox).iter().all(|answer| answer.configure && reason(answer).is_none()));
    let snapshot = snapshot(1_000);
    assert_behaved(of(&turn(&mut sandbox, 0, &snapshot), first), 1_000, 1);
    sandbox.analyze(&interval(1), std::slice::from_ref(&snapshot)).unwrap();
    let second = add(&mut sandbox, well_behaved());
    assert_ne!(first, second);
    let answers = settle(&mut sandbox);
    let calls: Vec<_> = answers.iter().map(|answer| (answer.plugin, answer.configure)).collect();
    assert_eq!(calls, [(first, false), (second, true)]);
    let answers = turn(&mut sandbox, 2, &snapshot);
    assert_behaved(of(&answers, first), 1_000, 3);
    assert_behaved(of(&answers, second), 1_000, 1);
    let used = of(&answers, first).used;
    assert!(used.processor_ns > 0 && used.memory > 0, "{used:?}");

    sandbox.remove(first);
    let answers = turn(&mut sandbox, 3, &snapshot);
    assert_behaved(of(&answers, second), 1_000, 2);
    assert_eq!(answers.len(), 1);
    assert_eq!(sandbox.pid(), pid);
}

fn a_plugin_is_taken_away_in_its_call() {
    let mut sandbox = Sandbox::empty(ROOM).unwrap();
    let looping = add(&mut sandbox, plugin("hostile/endless_loop"));
    let good = add(&mut sandbox, well_behaved());
    settle(&mut sandbox);
    let snapshot = snapshot(10);
    sandbox.analyze(&interval(0), std::slice::from_ref(&snapshot)).unwrap();
    sandbox.remove(looping);
    let answers = settle(&mut sandbox);
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_behaved(of(&answers, good), 10, 1);
    // Its slot is free again, and it is gone.
    for number in 1..6 {
        assert_eq!(turn(&mut sandbox, number, &snapshot).len(), 1);
    }
}

fn a_plugin_that_cannot_be_configured_costs_nobody_else() {
    let mut sandbox = Sandbox::empty(ROOM).unwrap();
    let good = add(&mut sandbox, well_behaved());
    let bad = add(&mut sandbox, plugin("hostile/loops_in_configure"));
    let answers = settle(&mut sandbox);
    assert_eq!(reason(of(&answers, good)), None);
    assert_eq!((reason(of(&answers, bad)), of(&answers, bad).configure), (Some("deadline"), true));
    let answers = turn(&mut sandbox, 0, &snapshot(10));
    assert_eq!(answers.len(), 1, "it is not called: {answers:?}");
    assert_behaved(of(&answers, good), 10, 1);
}

fn a_held_plugin_is_not_called() {
    let mut sandbox = Sandbox::empty(ROOM).unwrap();
    let good = add(&mut sandbox, well_behaved());
    let held = add(&mut sandbox, well_behaved());
    settle(&mut sandbox);
    sandbox.hold(held, true);
    for number in 0..3 {
        assert_eq!(turn(&mut sandbox, number, &snapshot(10)).len(), 1);
    }
    sandbox.hold(held, false);
    let answers = turn(&mut sandbox, 3, &snapshot(10));
    assert_eq!(answers.len(), 2);
    assert_behaved(of(&answers, good), 10, 4);
    assert_behaved(of(&answers, held), 10, 1);
}

fn what_has_no_room_is_refused() {
    let mut sandbox = Sandbox::empty(Room { guest: 32 << 20, ..ROOM }).unwrap();
    let compiled = sandbox.compiler().compile(well_behaved()).unwrap();
    let error = sandbox.add(compiled).unwrap_err();
    assert!(error.to_string().contains("no room"), "{error}");
    let mut sandbox = Sandbox::empty(Room { code: 1 << 10, ..ROOM }).unwrap();
    let compiled = sandbox.compiler().compile(well_behaved()).unwrap();
    assert!(sandbox.add(compiled).unwrap_err().to_string().contains("no room"));
}

fn a_process_that_is_replaced_has_every_plugin_again() {
    let mut sandbox = Sandbox::empty(ROOM).unwrap();
    let plugins: BTreeMap<usize, ()> = (0..3).map(|_| (add(&mut sandbox, well_behaved()), ())).collect();
    settle(&mut sandbox);
    let first = *plugins.keys().next().unwrap();
    sandbox.remove(first);
    let pid = rustix::process::Pid::from_raw(sandbox.pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    sandbox.analyze(&interval(0), &[snapshot(10)]).unwrap();
    settle(&mut sandbox);
    let answers = turn(&mut sandbox, 1, &snapshot(10));
    let numbers: Vec<_> = answers.iter().map(|answer| answer.plugin).collect();
    assert_eq!(numbers, plugins.keys().copied().skip(1).collect::<Vec<_>>());
}
