//! Guests of WASI: what there is for them, and that it is the same each time. Those that attack it are in `hostile`.

use std::time::{Duration, Instant, SystemTime};

use weir::error::Kind;
use weir::event::{Output, Severity};
use weir::sandbox::{Answer, Plugin, Sandbox};
use weir::snapshot::Interval;

use crate::hostile::wasi_component;
use crate::support::{drain, of, reason, snapshot, turn, well_behaved};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("wasi_prints_lines_of_the_log", wasi_prints_lines_of_the_log),
    ("a_flood_of_wasi_lines_is_dropped_and_counted", a_flood_of_wasi_lines_is_dropped_and_counted),
    ("wasi_clocks_stand_and_random_bytes_come_again", wasi_clocks_stand_and_random_bytes_come_again),
    ("wasi_has_nothing_in_it", wasi_has_nothing_in_it),
    ("nobody_sleeps_by_wasi", nobody_sleeps_by_wasi),
    ("an_exit_by_wasi_is_a_trap_that_says_so", an_exit_by_wasi_is_a_trap_that_says_so),
    ("a_function_of_wasi_that_is_not_there_is_named", a_function_of_wasi_that_is_not_there_is_named),
    ("wasi_that_is_not_offered_is_refused", wasi_that_is_not_offered_is_refused),
    ("any_patch_of_wasi_will_do", any_patch_of_wasi_will_do),
];

fn guest(name: &str) -> Plugin {
    Plugin { name: name.to_owned(), component: wasi_component(name), ..well_behaved() }
}

fn called(name: &str) -> Answer {
    let mut sandbox = Sandbox::start(vec![guest(name)]).unwrap();
    turn(&mut sandbox, 7, &snapshot(10)).remove(0)
}

fn lines(answer: &Answer) -> Vec<(Severity, &str)> {
    let line = |output| match output {
        &Output::Log { level, ref message } => Some((level, message.as_str())),
        _ => None,
    };
    answer.outputs.iter().filter_map(line).collect()
}

fn found(answer: &Answer) -> &[u8] {
    assert_eq!(reason(answer), None, "{answer:?}");
    let [Output::Artefact { bytes, .. }] = answer.outputs.as_slice() else { panic!("{answer:?}") };
    bytes
}

#[track_caller]
fn assert_fault(answer: &Answer, says: &str) {
    let fault = answer.outputs.iter().find_map(|output| match output {
        Output::Fault { reason, message } => Some((reason.as_str(), message)),
        _ => None,
    });
    assert!(fault.is_some_and(|(reason, message)| reason == "trap" && message.contains(says)), "{answer:?}");
}

fn wasi_prints_lines_of_the_log() {
    let answer = called("prints");
    assert_eq!(reason(&answer), None, "{answer:?}");
    let expected =
        [(Severity::Warning, "mistake"), (Severity::Info, "in piecesend"), (Severity::Info, "half")];
    assert_eq!(lines(&answer), expected);
    assert_eq!(answer.used.suppressed, 0);
}

fn a_flood_of_wasi_lines_is_dropped_and_counted() {
    let mut flood = guest("print_flood");
    flood.limits.deadline = Duration::from_millis(100);
    let mut sandbox = Sandbox::start(vec![flood]).unwrap();
    let answers = turn(&mut sandbox, 0, &snapshot(10));
    let answer = of(&answers, 0);
    let lines = lines(answer);
    assert_eq!(lines.len(), 257);
    assert!(lines[256].1.ends_with("more log lines in this call were dropped"), "{:?}", lines[256]);
    assert!(answer.used.suppressed >= 0x8000 - 256, "{:?}", answer.used);
}

/// As the interval is, whatever the time; and as another is, otherwise.
fn wasi_clocks_stand_and_random_bytes_come_again() {
    let tell = |number| {
        let mut sandbox = Sandbox::start(vec![guest("tells_time")]).unwrap();
        let interval = Interval {
            number,
            began: SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000 + number, 900_000_000),
            length: Duration::from_millis(1_250),
            last: false,
        };
        sandbox.analyze(&interval, &[snapshot(10)]).unwrap();
        found(of(&drain(&mut sandbox), 0)).to_vec()
    };
    let first = tell(5);
    let number = |at: usize| u64::from_le_bytes(first[at..at + 8].try_into().unwrap());
    let seconds_and_rest =
        |at: usize| (number(at), u32::from_le_bytes(first[at + 8..at + 12].try_into().unwrap()));
    assert_eq!(seconds_and_rest(0), (1_700_000_007, 150_000_000));
    assert_eq!(seconds_and_rest(16), (0, 1));
    assert_eq!((number(32), number(40)), (1_700_000_007_150_000_000, 1));
    let random: Vec<_> = (48..112).step_by(8).map(number).collect();
    let unique: std::collections::BTreeSet<_> = random.iter().collect();
    assert_eq!(unique.len(), random.len(), "{random:x?}");
    assert!(random.iter().all(|number| *number != 0), "{random:x?}");
    assert_eq!(tell(5), first);
    let other = tell(6);
    assert!(other[48..112].chunks(8).zip(first[48..112].chunks(8)).all(|(other, first)| other != first));
}

fn wasi_has_nothing_in_it() {
    let answer = called("finds_nothing");
    let expected = [
        // Lists of no length and options that are none: files, environment, arguments, a working directory, terminals.
        0, 0, 0, 0, 0, 0, 0, //
        // Refused by `access-denied`: TCP, UDP, two look-ups.
        1, 1, 1, 1, 1, 1, 1, 1, //
        // Standard input is at its end, by `closed`, also for who copies it.
        1, 1, 1, 1,
    ];
    assert_eq!(found(&answer), expected);
}

fn nobody_sleeps_by_wasi() {
    let mut sandbox = Sandbox::start(vec![guest("sleeps")]).unwrap();
    let snapshot = snapshot(10);
    for number in 0..3 {
        let began = Instant::now();
        let answers = turn(&mut sandbox, number, &snapshot);
        assert_eq!(reason(of(&answers, 0)), None, "{answers:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

fn an_exit_by_wasi_is_a_trap_that_says_so() {
    assert_fault(&called("exits"), "the plugin called exit");
    assert_fault(&called("exits_with_code"), "the plugin called exit");
}

fn a_function_of_wasi_that_is_not_there_is_named() {
    assert_fault(
        &called("absent_function"),
        "the plugin called wasi:clocks/timezone@0.2.12#display, which is not there",
    );
}

fn refused(component: Vec<u8>) -> String {
    let plugin = Plugin { name: "bad".to_owned(), component, ..well_behaved() };
    let error = Sandbox::start(vec![plugin]).unwrap_err();
    assert_eq!(error.kind, Kind::Data, "{error}");
    error.to_string()
}

fn wasi_that_is_not_offered_is_refused() {
    let says = |text: &str, parts: &[&str]| {
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    };
    let text = refused(wasi_component("asks_the_network"));
    says(
        &text,
        &["imports wasi:http/outgoing-handler@0.2.12, which is not offered", "a plugin can import cli, "],
    );
    let import = |name: &str, what: &str| {
        refused(wat::parse_str(format!(r#"(component (import "{name}" {what}))"#)).unwrap())
    };
    for version in ["@0.3.0", "@0.2.0-rc-2023-11-10", "@1.2.0", ""] {
        let text = import(&format!("wasi:cli/exit{version}"), "(instance)");
        says(&text, &["imports wasi:cli/exit", "of WASI only 0.2 is offered", "wasm32-wasip2"]);
    }
    // A function with another type, what is no interface, and more of it than there can be.
    let text = import("wasi:cli/exit@0.2.0", r#"(instance (export "exit" (func)))"#);
    says(&text, &["imports what is not offered, or not like that"]);
    says(&import("wasi:cli/exit@0.2.0", "(func)"), &["as something else than an interface"]);
    says(
        &import("wasi:cli/exit@0.2.0", r#"(instance (export "a" (instance)))"#),
        &["which is neither function"],
    );
    let many: String = (0..1_025).map(|item| format!(r#"(export "a{item}" (func))"#)).collect();
    says(&import("wasi:cli/exit@0.2.0", &format!("(instance {many})")), &["more than 1024"]);
}

fn any_patch_of_wasi_will_do() {
    // Parts of a component can be made for different ones.
    let imports = ["0", "3", "99"].map(|patch| {
        format!(
            r#"(import "wasi:cli/exit@0.2.{patch}" (instance
                (export "exit" (func (param "status" (result))))
                (export "came-later" (func (param "a" u64) (result bool)))
            ))"#
        )
    });
    // Nothing is wrong with it, but that it is no plugin.
    let text = refused(wat::parse_str(format!("(component {})", imports.concat())).unwrap());
    assert!(text.contains("does not export weir:plugin/analysis"), "{text}");
}
