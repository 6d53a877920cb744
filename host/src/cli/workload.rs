//! The command that is run while tables fill.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};

use super::say;
use crate::error::{Error, Kind, Result};

/// The first argument of a process that stops itself, and becomes another once it is woken.
const HELD: &str = "internal:held";

/// What a run starts once its probes are attached.
pub(super) enum Start<'a> {
    Command(&'a [OsString]),
    Held(Workload),
}

/// Where the command's output goes. Standard output carries Weir's data alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    ToErrors,
    /// Whatever it writes would be written over the screen.
    Nowhere,
}

/// A process that was started for the run.
pub(super) struct Workload {
    name: OsString,
    child: Child,
    pidfd: OwnedFd,
    status: Option<ExitStatus>,
}

impl Start<'_> {
    pub(super) fn go(self) -> Result<Option<Workload>> {
        match self {
            Self::Command([]) => Ok(None),
            Self::Command([name, arguments @ ..]) => {
                let mut command = Command::new(name);
                Workload::spawn(name, command.args(arguments), Output::ToErrors).map(Some)
            }
            Self::Held(workload) => {
                workload.signal(Signal::CONT)?;
                Ok(Some(workload))
            }
        }
    }
}

impl Workload {
    /// A process that has its number already and does nothing until it is let go, when it becomes the command.
    pub(super) fn hold(command: &[OsString], output: Output) -> Result<Self> {
        let [name, arguments @ ..] = command else {
            return Err(Error::new(Kind::Usage, "the command is empty"));
        };
        let program = find(name)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("weir").arg(HELD).arg(name).arg(program).args(arguments);
        if output == Output::Nowhere {
            command.stdin(Stdio::null());
        }
        let held = Self::spawn(name, &mut command, output)?;
        let stopped = waitpid(Some(Pid::from_child(&held.child)), WaitOptions::UNTRACED);
        match stopped.map_err(io::Error::from)? {
            Some((_, status)) if status.stopped() => Ok(held),
            _ => Err(Error::new(Kind::Software, "the process that was to become the command has ended")),
        }
    }

    fn spawn(name: &OsString, command: &mut Command, output: Output) -> Result<Self> {
        let mut spawn = || {
            match output {
                Output::ToErrors => {
                    command.stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?));
                }
                Output::Nowhere => {
                    command.stdout(Stdio::null()).stderr(Stdio::null());
                }
            }
            let child = command.spawn()?;
            let pid = Pid::from_child(&child);
            let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
            Ok((child, pidfd))
        };
        let (child, pidfd) = spawn().map_err(|error: io::Error| {
            Error::new(Kind::NoInput, format!("cannot run {}: {error}", name.display()))
        })?;
        Ok(Self { name: name.clone(), child, pidfd, status: None })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    pub(super) fn has_ended(&mut self) -> Result<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status.is_some())
    }
}

impl AsFd for Workload {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Workload {
    /// A run that ends first takes its command along.
    fn drop(&mut self) {
        match self.status {
            None => {
                // It may have ended in this moment; one that is stopped ends once it is woken.
                self.signal(Signal::TERM).ok();
                self.signal(Signal::CONT).ok();
            }
            Some(status) if !status.success() => {
                say("note", &format_args!("{} ended with {status}", self.name.display()));
            }
            Some(_) => {}
        }
    }
}

/// The program that a shell would run. Looked up before anything is attached, so that a wrong name ends the run.
fn find(name: &OsString) -> Result<PathBuf> {
    let absent =
        || Error::new(Kind::NoInput, format!("cannot run {}: there is no such program", name.display()));
    if name.as_encoded_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return if path.is_file() { Ok(path) } else { Err(absent()) };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(name));
    paths
        .find(|path| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok())
        .ok_or_else(absent)
}

/// In the new process, if this is one: waits until it is woken, and becomes the command.
pub(super) fn become_if_held() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != HELD {
        return None;
    }
    let (name, program) = (arguments.next()?, arguments.next()?);
    let stopped = kill_process(rustix::process::getpid(), Signal::STOP).map_err(io::Error::from);
    let error = match stopped {
        Ok(()) => Command::new(program).arg0(&name).args(arguments).exec(),
        Err(error) => error,
    };
    say("error", &format_args!("cannot run {}: {error}", name.display()));
    Some(ExitCode::from(Kind::NoInput as u8))
}
