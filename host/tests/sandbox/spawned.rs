//! The same through a spawner, as in a daemon: these tests once more, in a process that has one.

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};

use crate::{bombs, bounds, changes, privileges, refusals};

pub(crate) const TESTS: &[(&str, fn())] =
    &[("the_same_is_true_of_what_a_spawner_started", the_same_is_true_of_what_a_spawner_started)];

/// The first argument of this binary when it is to have a spawner.
const ROLE: &str = "test:spawned";

fn the_same_is_true_of_what_a_spawner_started() {
    let output = Command::new("/proc/self/exe").arg(ROLE).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("test the_process_has_no_privileges "), "{said}");
}

/// What a process is left with, what ends it, and what is said of one that has ended.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    if std::env::args().nth(1).as_deref() != Some(ROLE) {
        return None;
    }
    let spawner = weir::sandbox::start_spawner().unwrap();
    let tests = [privileges::TESTS, bounds::TESTS, changes::TESTS, refusals::TESTS].concat();
    let mut trials: Vec<Trial> = tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        })
        .collect();
    trials.extend(bombs::trials().into_iter().filter(|trial| trial.name() == "bomb_nested_components"));
    // One of them counts descriptors.
    let done = libtest_mimic::run(&Arguments { test_threads: Some(1), ..Arguments::default() }, trials);
    assert!(spawner.ended().is_none());
    // Nothing but the spawner was started here, and it has nothing left.
    let children = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let own = children(&std::process::id().to_string());
    let own: Vec<&str> = own.split_whitespace().collect();
    assert_eq!(own.iter().map(|pid| children(pid)).collect::<Vec<_>>(), [""]);
    Some(done.exit_code())
}
