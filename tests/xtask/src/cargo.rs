//! Cargo, and what it built.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::step::{line, root, say};

/// The cargo that runs this, in the project's folder, without what it set for this program: that would make
/// it build again what it has built already.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command.current_dir(root());
    command
}

/// Something that cargo built, or found built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// The package's folder.
    pub(crate) package: PathBuf,
    /// The target's name.
    pub(crate) name: String,
    /// What it is built as: bin, lib, cdylib, test, …
    pub(crate) kinds: Vec<String>,
    /// Whether it is a test harness.
    pub(crate) is_test: bool,
    pub(crate) executable: Option<PathBuf>,
    pub(crate) files: Vec<PathBuf>,
}

impl Artifact {
    /// Reads one line of cargo's messages, most of which tell of other things.
    fn parse(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        if message.get("reason")? != "compiler-artifact" {
            return None;
        }
        let strings = |value: &Value| -> Option<Vec<String>> {
            Some(value.as_array()?.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
        };
        Some(Self {
            package: PathBuf::from(message.get("manifest_path")?.as_str()?).parent()?.to_owned(),
            name: message.pointer("/target/name")?.as_str()?.to_owned(),
            kinds: strings(message.pointer("/target/crate_types")?)?,
            is_test: message.pointer("/profile/test")?.as_bool()?,
            executable: message.get("executable").and_then(Value::as_str).map(PathBuf::from),
            files: strings(message.get("filenames")?)?.into_iter().map(PathBuf::from).collect(),
        })
    }
}

/// Runs a build, and tells what came of it.
pub(crate) fn artifacts(mut build: Command) -> Result<Vec<Artifact>> {
    say(format_args!("$ {}", line(&build)));
    build.arg("--message-format=json-render-diagnostics").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = build.spawn().with_context(|| format!("cannot run {}", build.get_program().display()))?;
    let messages = child.stdout.take().context("its output is a pipe")?;
    let mut artifacts = Vec::new();
    for message in BufReader::new(messages).lines() {
        artifacts.extend(Artifact::parse(&message.context("cargo's messages")?));
    }
    let status = child.wait().context("cargo")?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(&build));
    }
    Ok(artifacts)
}

/// The command, as it is built for tests.
pub(crate) fn weir() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--workspace", "--bins"]);
    let built = artifacts(build)?;
    // The library has the same name, and no executable.
    let weir =
        built.into_iter().filter(|artifact| artifact.name == "weir").find_map(|artifact| artifact.executable);
    weir.context("cargo built no weir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_read_from_cargos_message() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///weir/plugins/top#weir-plugin-top@0.1.0",
            "manifest_path":"/weir/plugins/top/Cargo.toml","target":{"kind":["cdylib"],"crate_types":["cdylib"],
            "name":"top","src_path":"/weir/plugins/top/src/lib.rs","edition":"2024","doc":true,"test":true},
            "profile":{"opt_level":"3","debuginfo":0,"test":false},"features":[],
            "filenames":["/weir/target/top.wasm"],"executable":null,"fresh":true}"#;
        let artifact = Artifact::parse(line).unwrap();
        assert_eq!(artifact.package, PathBuf::from("/weir/plugins/top"));
        assert_eq!(artifact.name, "top");
        assert_eq!(artifact.kinds, ["cdylib"]);
        assert!(!artifact.is_test);
        assert_eq!(artifact.executable, None);
        assert_eq!(artifact.files, [PathBuf::from("/weir/target/top.wasm")]);
    }

    #[test]
    fn other_messages_are_passed_over() {
        assert_eq!(Artifact::parse(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(Artifact::parse("not a message"), None);
    }
}
