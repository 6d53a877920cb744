//! What the host does when the process itself fails.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use weir::sandbox::{Room, Sandbox};

use crate::support::{
    PATIENCE, assert_behaved, drain, interval, of, plugin, reason, snapshot, turn, well_behaved,
};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_stopped_process_is_replaced", a_stopped_process_is_replaced),
    ("a_stopped_process_goes_on", a_stopped_process_goes_on),
    ("a_killed_process_is_replaced", a_killed_process_is_replaced),
    ("a_process_that_does_not_come_up_is_started_again", a_process_that_does_not_come_up_is_started_again),
    ("state_stays_within_its_limit", state_stays_within_its_limit),
];

fn signal(sandbox: &Sandbox, signal: Signal) {
    kill_process(Pid::from_raw(sandbox.pid() as i32).unwrap(), signal).unwrap();
}

fn a_stopped_process_is_replaced() {
    let mut sandbox = Sandbox::start(vec![well_behaved(), well_behaved()]).unwrap();
    let snapshot = snapshot(1_000);
    let before = sandbox.pid();
    signal(&sandbox, Signal::STOP);
    let began = Instant::now();
    let answers = turn(&mut sandbox, 0, &snapshot);
    assert_eq!([0, 1].map(|plugin| reason(of(&answers, plugin))), [Some("killed"); 2]);
    // Ten deadlines and the grace.
    assert!(began.elapsed() >= Duration::from_millis(3_500), "{:?}", began.elapsed());
    assert_ne!(sandbox.pid(), before);
    assert!(!std::path::Path::new(&format!("/proc/{before}")).exists(), "it is still there");
    let answers = turn(&mut sandbox, 1, &snapshot);
    assert_behaved(of(&answers, 0), 1_000, 1);
    assert_behaved(of(&answers, 1), 1_000, 1);
}

/// What a system call was interrupted in, it takes up again under the filter.
fn a_stopped_process_goes_on() {
    let mut sandbox = Sandbox::start(vec![plugin("hostile/endless_loop"), well_behaved()]).unwrap();
    let (before, snapshot) = (sandbox.pid(), snapshot(1_000));
    for (number, times) in [(0, 1), (1, 2), (2, 3)] {
        // Once while it waits for an order, and once while it works and looks at the time.
        signal(&sandbox, Signal::STOP);
        sandbox.analyze(&interval(number), std::slice::from_ref(&snapshot)).unwrap();
        signal(&sandbox, Signal::CONT);
        signal(&sandbox, Signal::STOP);
        signal(&sandbox, Signal::CONT);
        let answers = drain(&mut sandbox);
        assert_eq!(reason(of(&answers, 0)), Some("deadline"));
        assert_behaved(of(&answers, 1), 1_000, times);
    }
    assert_eq!(sandbox.pid(), before);
}

fn a_killed_process_is_replaced() {
    let mut sandbox = Sandbox::start(vec![plugin("hostile/endless_loop"), well_behaved()]).unwrap();
    let snapshot = snapshot(1_000);
    sandbox.analyze(&interval(0), std::slice::from_ref(&snapshot)).unwrap();
    signal(&sandbox, Signal::KILL);
    let answers = drain(&mut sandbox);
    assert_eq!([0, 1].map(|plugin| reason(of(&answers, plugin))), [Some("killed"); 2]);
    let answers = turn(&mut sandbox, 1, &snapshot);
    assert_eq!(reason(of(&answers, 0)), Some("deadline"));
    assert_behaved(of(&answers, 1), 1_000, 1);
}

fn state_stays_within_its_limit() {
    let mut flood = plugin("hostile/state_flood");
    // What is tested is the limit on state, also where copying so much takes a debug build seconds.
    flood.limits.deadline = Duration::from_secs(30);
    let mut sandbox = Sandbox::start(vec![flood, well_behaved()]).unwrap();
    for (number, times) in [(0, 1), (1, 2)] {
        let answers = turn(&mut sandbox, number, &snapshot(1_000));
        assert_eq!(reason(of(&answers, 0)), None);
        assert_behaved(of(&answers, 1), 1_000, times);
    }
}

/// Only a few times in a row. One that comes up before it is killed begins a new row.
fn a_process_that_does_not_come_up_is_started_again() {
    let mut sandbox = Sandbox::empty(Room { guest: 1 << 20, code: 1 << 20 }).unwrap();
    let began = Instant::now();
    for killed in 1.. {
        let pid = sandbox.pid();
        signal(&sandbox, Signal::KILL);
        let error = loop {
            assert!(began.elapsed() < PATIENCE, "it is always up, or never replaced");
            match sandbox.answers() {
                Ok(answers) => assert!(answers.is_empty(), "{answers:?}"),
                Err(error) => break Some(error),
            }
            if sandbox.pid() != pid {
                break None;
            }
            std::thread::yield_now();
        };
        let Some(error) = error else { continue };
        assert!(killed >= 3 && error.to_string().contains("did not come up"), "{killed}: {error}");
        return;
    }
}
