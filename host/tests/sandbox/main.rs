//! Plugins in their sandbox: what they get, what they can do to others, and what their process is left with.
//!
//! Runs the plugins and the hostile guests that `cargo xtask plugins` builds.

#![allow(clippy::unwrap_used, clippy::panic)]

mod attempts;
mod bombs;
mod bounds;
mod changes;
mod host;
mod hostile;
mod locked;
mod privileges;
mod refusals;
mod spawned;
mod support;
mod symbolizer;
mod turns;
mod wasi;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(code) = weir::sandbox::enter_if_asked() {
        return code;
    }
    if locked::enter_if_asked() {
        return ExitCode::SUCCESS;
    }
    if let Some(code) = spawned::run_if_asked() {
        return code;
    }
    let mut trials = Vec::new();
    let mut add = |tests: &[(&str, fn())]| {
        trials.extend(tests.iter().map(|(name, test)| {
            let test = *test;
            Trial::test(*name, move || {
                test();
                Ok(())
            })
        }));
    };
    add(turns::TESTS);
    add(bounds::TESTS);
    add(changes::TESTS);
    add(privileges::TESTS);
    add(locked::TESTS);
    add(refusals::TESTS);
    add(spawned::TESTS);
    add(symbolizer::TESTS);
    add(wasi::TESTS);
    let mut arguments = Arguments::from_args();
    let side_by_side = libtest_mimic::run(&arguments, trials);
    // These measure this process, and so have it for themselves.
    arguments.test_threads = Some(1);
    let alone = hostile::trials().into_iter().chain(bombs::trials()).chain(symbolizer::trials());
    let alone = libtest_mimic::run(&arguments, alone.collect());
    if side_by_side.has_failed() { side_by_side.exit_code() } else { alone.exit_code() }
}
