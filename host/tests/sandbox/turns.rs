//! Whose turn it is, and who loses it.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use weir::event::Output;
use weir::sandbox::{Plugin, Sandbox};

use crate::support::{
    assert_behaved, drain, interval, longest, of, plugin, reason, snapshot, turn, well_behaved,
};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_snapshot_goes_in_and_an_answer_comes_out", a_snapshot_goes_in_and_an_answer_comes_out),
    ("the_plugins_that_ship_answer", the_plugins_that_ship_answer),
    ("a_signed_plugin_runs_as_it_is", a_signed_plugin_runs_as_it_is),
    ("who_is_late_misses_the_interval", who_is_late_misses_the_interval),
    ("what_does_not_fit_the_ring_is_skipped", what_does_not_fit_the_ring_is_skipped),
    ("an_endless_loop_costs_its_own_turn", || costs_its_own_turn("endless_loop", &["deadline"])),
    ("a_memory_bomb_costs_its_own_turn", || costs_its_own_turn("memory_bomb", &["memory"])),
    ("a_stack_overflow_costs_its_own_turn", || costs_its_own_turn("stack_overflow", &["stack"])),
    ("a_trap_costs_its_own_turn", || costs_its_own_turn("trap", &["trap"])),
    ("an_output_flood_costs_its_own_turn", || costs_its_own_turn("output_flood", &["output"])),
    ("a_huge_string_costs_its_own_turn", || costs_its_own_turn("huge_string", &["output"])),
    ("a_lying_length_costs_its_own_turn", || costs_its_own_turn("lying_length", &["trap", "output"])),
    ("a_log_flood_costs_its_own_turn", || costs_its_own_turn("log_flood", &["host-calls", "deadline"])),
    ("a_host_call_flood_costs_its_own_turn", || {
        costs_its_own_turn("host_call_flood", &["host-calls", "deadline"])
    }),
    ("a_question_flood_costs_its_own_turn", || {
        costs_its_own_turn("question_flood", &["host-calls", "deadline"])
    }),
    ("a_replay_is_bounded_by_instructions", a_replay_is_bounded_by_instructions),
    ("a_replay_says_the_same_each_time", a_replay_says_the_same_each_time),
    ("plugins_are_told_of_intervals_that_are_missing", plugins_are_told_of_intervals_that_are_missing),
];

/// However fast the machine is, and whatever else it does.
fn a_replay_is_bounded_by_instructions() {
    let mut sandbox = Sandbox::replay(vec![plugin("hostile/endless_loop"), well_behaved()]).unwrap();
    for number in 0..3 {
        let answers = turn(&mut sandbox, number, &snapshot(10));
        let looped = of(&answers, 0);
        assert_eq!(reason(looped), Some("deadline"), "{looped:?}");
        let Some(Output::Fault { message, .. }) = looped.outputs.last() else { panic!("{looped:?}") };
        assert!(message.starts_with("used the instructions that its deadline stands for"), "{message}");
        assert_behaved(of(&answers, 1), 10, number as u32 + 1);
    }
    // The same plugin with less of a deadline than its work takes.
    let mut hurried = well_behaved();
    hurried.limits.deadline = Duration::from_nanos(10);
    let error = Sandbox::replay(vec![hurried]).unwrap_err();
    assert!(error.message.contains("configure failed: deadline"), "{}", error.message);
}

fn a_replay_says_the_same_each_time() {
    let run = || {
        let mut sandbox = Sandbox::replay(vec![plugin("top"), plugin("hostile/endless_loop")]).unwrap();
        let outputs = |number| {
            let answers = turn(&mut sandbox, number, &snapshot(1_000));
            [0, 1].map(|plugin| of(&answers, plugin).outputs.clone())
        };
        (0..3).map(outputs).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

fn plugins_are_told_of_intervals_that_are_missing() {
    let mut sandbox = Sandbox::replay(vec![plugin("top")]).unwrap();
    let skipped = |sandbox: &mut Sandbox, number| {
        let answers = turn(sandbox, number, &snapshot(10));
        let Output::Report { fields, .. } = of(&answers, 0).outputs[0].clone() else { panic!("{answers:?}") };
        fields.into_iter().find(|field| field.name == "skipped").map(|field| field.value)
    };
    assert_eq!(skipped(&mut sandbox, 0), None);
    sandbox.missing(3);
    assert_eq!(skipped(&mut sandbox, 4).as_deref(), Some("3 intervals before this one"));
    assert_eq!(skipped(&mut sandbox, 5), None);
}

fn a_snapshot_goes_in_and_an_answer_comes_out() {
    let mut sandbox = Sandbox::start(vec![well_behaved()]).unwrap();
    for (number, rows) in [(0, 1), (1, 1_000), (2, 100_000), (3, 2)] {
        let answers = turn(&mut sandbox, number, &snapshot(rows));
        let answer = of(&answers, 0);
        assert_eq!(answer.interval, number);
        let Output::Metric { .. } = &answer.outputs[0] else { panic!("{answer:?}") };
        assert_eq!(reason(answer), None, "{answer:?}");
    }
    assert_eq!(sandbox.skipped(), 0);
}

/// The sandbox does not ask whose signature it is: the section is skipped.
fn a_signed_plugin_runs_as_it_is() {
    let first = BASE64_STANDARD.encode([b"ED".as_slice(), &[0; 72]].concat());
    let second = BASE64_STANDARD.encode([0; 64]);
    let text = format!("untrusted comment: \n{first}\ntrusted comment: \n{second}\n");
    let unsigned = well_behaved();
    let component = weir::trust::signed(unsigned.component.clone(), &text).unwrap();
    assert!(component.len() > unsigned.component.len());
    let mut sandbox = Sandbox::start(vec![Plugin { component, ..unsigned }]).unwrap();
    assert_behaved(of(&turn(&mut sandbox, 0, &snapshot(10)), 0), 10, 1);
}

fn the_plugins_that_ship_answer() {
    let mut slo = plugin("latency-slo");
    slo.options.insert("threshold".to_owned(), weir::sandbox::OptionValue::Text("1ms".to_owned()));
    let mut sandbox = Sandbox::start(vec![plugin("top"), slo]).unwrap();
    let answers = turn(&mut sandbox, 0, &snapshot(1_000));
    for number in [0, 1] {
        let answer = of(&answers, number);
        assert_eq!(reason(answer), None, "{answer:?}");
        assert!(!answer.outputs.is_empty());
    }
}

/// The attack's turn is lost, for one of the reasons; its neighbour answers in the same interval; and both get
/// the next one, on time.
fn costs_its_own_turn(attack: &str, reasons: &[&str]) {
    let attacker = plugin(&format!("hostile/{attack}"));
    let deadline = attacker.limits.deadline;
    let mut sandbox = Sandbox::start(vec![attacker, well_behaved()]).unwrap();
    let pid = sandbox.pid();
    let snapshot = snapshot(1_000);
    for (number, times) in [(0, 1), (1, 2), (2, 3)] {
        let began = Instant::now();
        let answers = turn(&mut sandbox, number, &snapshot);
        let attacker = of(&answers, 0);
        let reason = reason(attacker).unwrap_or("none");
        assert!(reasons.contains(&reason), "{attacker:?}");
        let kept = attacker.outputs.iter().all(|o| matches!(o, Output::Fault { .. } | Output::Log { .. }));
        assert!(kept, "{attacker:?}");
        assert_behaved(of(&answers, 1), 1_000, times);
        assert!(began.elapsed() < longest(deadline), "{:?} for {attack}", began.elapsed());
        // Of the processor, which others take nothing of. An instruction that has begun is done; a machine may stand still.
        let used = Duration::from_nanos(attacker.used.processor_ns);
        assert!(used < deadline * 3, "{used:?} for {attack}");
    }
    assert_eq!(sandbox.pid(), pid, "the process had to be replaced");
}

fn who_is_late_misses_the_interval() {
    let mut sandbox = Sandbox::start(vec![plugin("hostile/endless_loop")]).unwrap();
    let snapshot = snapshot(10);
    sandbox.analyze(&interval(0), std::slice::from_ref(&snapshot)).unwrap();
    let began = Instant::now();
    sandbox.analyze(&interval(1), std::slice::from_ref(&snapshot)).unwrap();
    assert!(began.elapsed() < Duration::from_millis(250), "handing over blocked for as long as the call");
    assert_eq!(sandbox.skipped(), 1);
    let answers = drain(&mut sandbox);
    let reasons: Vec<_> = answers.iter().map(|answer| (answer.interval, reason(answer).unwrap())).collect();
    assert_eq!(reasons, [(1, "skipped"), (0, "deadline")]);
}

fn what_does_not_fit_the_ring_is_skipped() {
    let mut sandbox = Sandbox::start(vec![well_behaved()]).unwrap();
    let answers = turn(&mut sandbox, 0, &snapshot(4_000_000));
    assert_eq!(reason(of(&answers, 0)), Some("skipped"));
    assert_behaved(of(&turn(&mut sandbox, 1, &snapshot(1_000)), 0), 1_000, 1);
}
