//! Components that cannot be run, and what their authors are told.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use weir::error::Kind;
use weir::sandbox::{Plugin, Sandbox};

use crate::support::{plugin, well_behaved};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("what_is_not_a_component_is_refused", what_is_not_a_component_is_refused),
    ("what_does_not_fit_is_refused", what_does_not_fit_is_refused),
    ("configure_that_loops_is_refused", configure_that_loops_is_refused),
    ("a_name_that_lies_is_escaped", a_name_that_lies_is_escaped),
];

fn refused(component: Vec<u8>) -> String {
    let plugin = Plugin { name: "bad".to_owned(), component, ..well_behaved() };
    let error = Sandbox::start(vec![plugin]).unwrap_err();
    assert_eq!(error.kind, Kind::Data, "{error}");
    error.to_string()
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// A file of tests/hostile/bad.
fn bad(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/hostile/bad").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if name.ends_with(".wat") { wat::parse_bytes(&bytes).unwrap().into_owned() } else { bytes }
}

fn what_is_not_a_component_is_refused() {
    says(&refused(Vec::new()), &["plugin bad: is not WebAssembly"]);
    says(&refused(b"#!/bin/sh\n".to_vec()), &["is not WebAssembly"]);
    says(&refused(bad("empty.wasm")), &["plugin bad: "]);
    says(&refused(bad("core_module.wat")), &["is a core WebAssembly module", "wasm-tools component new"]);
    let whole = well_behaved().component;
    says(&refused(whole[..whole.len() / 2].to_vec()), &["is not a valid component", "damaged"]);
}

fn what_does_not_fit_is_refused() {
    says(&refused(bad("other_version.wat")), &["is made for version", "this Weir speaks 0.1.0"]);
    says(&refused(bad("exports_nothing.wat")), &["does not export weir:plugin/analysis@0.1.0"]);
    says(&refused(bad("imports_more.wat")), &["imports host:clock/now@1.0.0, which is not offered"]);
    says(&refused(bad("imports_function.wat")), &["imports what is not offered", "moon-phase"]);
    says(&refused(bad("other_type.wat")), &["imports what is not offered, or not like that"]);
}

fn configure_that_loops_is_refused() {
    let looping = plugin("hostile/loops_in_configure");
    let (began, deadline) = (Instant::now(), looping.limits.deadline);
    let error = Sandbox::start(vec![looping]).unwrap_err();
    says(&error.to_string(), &["configure failed: deadline"]);
    // Compiling is most of it.
    assert!(began.elapsed() < deadline + Duration::from_secs(60));
}

fn a_name_that_lies_is_escaped() {
    let component = r#"(component (import "a\u{1b}[2J" (func)))"#;
    let refused = wat::parse_str(component).map(refused);
    if let Ok(message) = refused {
        assert!(!message.contains('\u{1b}'), "{message:?}");
    }
}
