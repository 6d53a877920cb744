//! Doing one thing after the other, and saying so.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Says what happens next.
pub(crate) fn say(what: impl std::fmt::Display) {
    eprintln!("xtask: {what}");
}

/// The project's folder.
pub(crate) fn root() -> &'static Path {
    // This file's package is tests/xtask.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package)
}

/// Where everything that is built lies.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Runs a command with this program's own output, and says which.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    say(format_args!("$ {}", line(command)));
    command.stdin(Stdio::null()).status().with_context(|| cannot_run(command))
}

/// Runs a command that has to end well.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// What a person would type to install something.
#[derive(Debug)]
pub(crate) struct Shell {
    line: String,
    as_root: bool,
}

impl Shell {
    pub(crate) fn user(line: impl Into<String>) -> Self {
        Self { line: line.into(), as_root: false }
    }

    pub(crate) fn root(line: impl Into<String>) -> Self {
        Self { line: line.into(), as_root: true }
    }

    fn line(&self) -> String {
        if self.as_root && !is_root() { format!("sudo {}", self.line) } else { self.line.clone() }
    }
}

/// Installs something if this is root's, or if `yes` allows it; else says how that is done.
pub(crate) fn carry_out(what: &str, commands: &[Shell], yes: bool) -> Result<()> {
    let lines: Vec<_> = commands.iter().map(Shell::line).collect();
    if !is_root() && !yes {
        bail!("to install {what}, run:\n  {}\nor this command again with --yes", lines.join(" && "));
    }
    for line in lines {
        say(format_args!("$ {line}"));
        // sudo may ask for a password: standard input stays what it is.
        let status = Command::new("sh").args(["-c", &line]).current_dir(root()).status();
        let status = status.context("cannot run sh")?;
        if !status.success() {
            bail!("`{line}` failed: {status}");
        }
    }
    Ok(())
}

/// What a command prints; it has to end well, and says nothing else unless it does not.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_run(command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}: {}", line(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cannot_run(command: &Command) -> String {
    format!("cannot run {}", command.get_program().display())
}

/// Whether a program of that name is on PATH, or where only root's PATH looks.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).any(|file| file.is_file())
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command as someone would type it: the variables that are set for it, the program, its arguments.
pub(crate) fn line(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let variables =
        set.map(|(name, value)| format!("{}={}", name.display(), quote(&value.to_string_lossy())));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| quote(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_said_as_it_would_be_typed() {
        let mut command = Command::new("cargo");
        command.env("LLVM_PREFIX", "/usr/lib/llvm-22").args(["test", "it's", ""]);
        assert_eq!(line(&command), r"LLVM_PREFIX=/usr/lib/llvm-22 cargo test 'it'\''s' ''");
    }

    #[test]
    fn the_root_is_the_workspaces() {
        assert!(root().join("host/toolchain").is_dir());
    }
}
