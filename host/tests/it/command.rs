//! What the command says, and where what is built for its tests lies.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Standard output, standard error, and the exit code.
pub(crate) fn said(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The folder of the plugins that `cargo xtask plugins` builds.
pub(crate) fn plugins() -> PathBuf {
    std::env::var_os("WEIR_PLUGINS").map_or_else(|| repository("target/plugins"), PathBuf::from)
}

/// Runs `weir` in a folder.
pub(crate) fn weir(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}
