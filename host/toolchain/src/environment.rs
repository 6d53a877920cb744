//! The environment of a cargo that is started from within another cargo's build.

use std::env;
use std::process::Command;

/// What of cargo's and rustup's variables a build of its own keeps: where things are kept, how the network is
/// reached, how progress is shown, and the job server, which bounds both builds together. All else (flags,
/// wrappers, target directories, the package being built) is meant for the outer build's target.
const KEPT: [&str; 9] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "RUSTUP_HOME",
    "RUST_BACKTRACE",
];

/// What has neither of the prefixes below.
const OTHERS: [&str; 3] = ["OUT_DIR", "TARGET", "PROFILE"];

/// Takes away what the build that this is part of has set for itself.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| !keeps(name)) {
            command.env_remove(name);
        }
    }
}

fn keeps(name: &str) -> bool {
    let is_theirs = name.starts_with("CARGO") || name.starts_with("RUST") || OTHERS.contains(&name);
    !is_theirs || KEPT.iter().any(|kept| name.starts_with(kept))
}

#[cfg(test)]
mod tests {
    use super::keeps;

    #[test]
    fn a_nested_build_keeps_only_what_is_its_own() {
        for name in ["PATH", "HOME", "CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_MAKEFLAGS", "RUSTUP_HOME"] {
            assert!(keeps(name), "{name}");
        }
        for name in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_PROFILE_RELEASE_LTO",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "TARGET",
        ] {
            assert!(!keeps(name), "{name}");
        }
    }
}
