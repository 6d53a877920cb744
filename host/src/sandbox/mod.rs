//! Where plugins run: a process without privileges, fed through shared memory, answering in bounded messages.
//!
//! In the order in which data passes: the host's handle is here, with what it believes of the answers in
//! `answers`. `ring` and `channel` lead to a `process` that `spawn` started, `lockdown` stripped (with `landlock` and
//! `seccomp`) and `child` runs, in a control group if there are any (`groups`); `compile` and `symbolize` are the other such processes. A daemon has them all started by a
//! `spawner`. In the sandbox, `runner` gives each call of a
//! plugin an instance in Wasmtime (`engine`), of compiled code that is run where it was written (`code`), whose imports (`guest`, `wasi`) work on the call's own data (`call`, `view`,
//! `questions`, `outputs`, `state`, `work`). `wire` is what crosses between the processes, `wit` what crosses into
//! Wasm, and every bound is in `limits`.
//!
//! The host neither parses a component nor loads compiled code, and believes nothing that a sandbox says
//! before it has checked it. A plugin that misbehaves loses its turn, for one of these reasons:
//!
//! | reason | |
//! |---|---|
//! | `deadline` | it used the processor time of its deadline |
//! | `stalled` | it was not done after ten times its deadline by the clock |
//! | `memory` | it was refused memory, and trapped |
//! | `stack` | it recursed too deeply |
//! | `trap` | it trapped otherwise |
//! | `output` | it went on putting out what was refused, or handed over too much at once |
//! | `host-calls` | it called the host too often |
//! | `failed` | it said itself that it failed |
//! | `killed` | its process had to be ended; what it kept is lost |
//! | `skipped` | it was not called |
//!
//! Plugins of one sandbox run one after the other, so they are not protected from each other's timing.

mod answers;
mod call;
mod channel;
mod child;
mod code;
mod compile;
mod engine;
mod groups;
mod guest;
mod handle;
mod landlock;
mod limits;
mod lockdown;
mod outputs;
mod pace;
mod process;
mod pulse;
mod questions;
mod ring;
mod runner;
mod seccomp;
mod spawn;
mod spawner;
mod state;
mod symbolize;
mod view;
mod wasi;
mod wire;
mod wit;
mod work;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;

use crate::error::Kind;
use crate::event::Output;
pub(crate) use groups::controllers as group_controllers;
pub use groups::{Groups, start_groups};
pub use handle::{Compiled, Compiler, Room, Sandbox};
pub(crate) use limits::{COMPONENT_BYTES, SYMBOLIZE_LAST_WALL, SYMBOLIZE_PLACES, SYMBOLIZE_WALL};
pub(crate) use pace::Pace;
pub use process::{Spawner, start_spawner};
pub(crate) use ring::{decode, encode};
pub(crate) use spawn::{keep_capabilities, separates_users};
#[doc(hidden)]
pub use symbolize::{Links, Lost, Symbolizer, Symbolizers};
pub use wire::Used;

/// A setting that the operator gives to a plugin.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    Text(String),
    Integer(i64),
    Number(f64),
    Flag(bool),
}

impl OptionValue {
    /// How much of it there is, about.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Integer(_) | Self::Number(_) | Self::Flag(_) => 8,
        }
    }
}

/// What one plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, over all of a component's memories.
    pub memory: u64,
    /// Processor time of one call.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 64 << 20, deadline: Duration::from_millis(100) }
    }
}

/// A plugin, ready to be compiled.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub name: String,
    /// The component's bytes.
    pub component: Vec<u8>,
    /// The tables granted to it, by name and schema; table 0 is the first.
    pub tables: Vec<(Arc<str>, SchemaRef)>,
    pub options: BTreeMap<String, OptionValue>,
    pub limits: Limits,
}

/// What a plugin put out in one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The number of the plugin, as [`Sandbox::add`] gave it; in [`Sandbox::start`], its place.
    pub plugin: usize,
    pub interval: u64,
    /// The call was of `configure`, of no interval.
    pub configure: bool,
    pub outputs: Vec<Output>,
    /// What the call used, as far as its process tells.
    pub used: Used,
    /// Its process was ended during the call. Others that were under way have such an answer, too; the one that ran has
    /// the first.
    pub ended: bool,
}

/// The user as which a sandbox would run now; none where it would run as this process's own.
pub(crate) fn own_user() -> std::io::Result<Option<u32>> {
    spawn::Identity::choose().map(|identity| identity.uid())
}

/// What this kernel's landlock does not refuse a sandbox; the filter of system calls does in any case.
pub(crate) fn unenforced() -> Result<Vec<&'static str>, String> {
    landlock::unenforced()
}

/// How far [`lock_down`] goes.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// As far as a process goes before it starts its second thread: there is no filter of system calls.
    Unfiltered,
    Run,
    Compile,
    Symbolize,
}

/// For tests whose own binary does not call [`enter_if_asked`]: what is started instead of it. The first call decides.
#[doc(hidden)]
pub fn start_from(program: std::path::PathBuf) {
    spawn::start_from(program);
}

/// For tests that make the attempts of an exploit: gives up what a sandbox or a compiler gives up, in this process,
/// which is to have begun with so many descriptors from 3 on. `beside` runs on the second thread.
#[doc(hidden)]
pub fn lock_down(
    locked: Locked,
    uid: Option<u32>,
    descriptors: u32,
    beside: impl FnOnce() + Send + 'static,
) -> Result<Vec<OwnedFd>, String> {
    let files = lockdown::keep_descriptors(descriptors).map_err(|error| error.to_string())?;
    let left = lockdown::Left { uid, descriptors, memory: limits::SANDBOX_MEMORY, cpu: None, grouped: false };
    lockdown::enter(c"weir-attempts", left, None)?;
    lockdown::beside(beside).map_err(|error| error.to_string())?;
    match locked {
        Locked::Unfiltered => {}
        Locked::Run => lockdown::last_thread(seccomp::Work::Run)?,
        Locked::Compile => lockdown::last_thread(seccomp::Work::Compile)?,
        Locked::Symbolize => lockdown::last_thread(seccomp::Work::Symbolize)?,
    }
    Ok(files)
}

/// To be called first thing in `main`: if this process was started to be a sandbox, a compiler, a symbolizer or a
/// spawner, it is that until it ends, and the exit code says how that went.
#[must_use]
pub fn enter_if_asked() -> Option<ExitCode> {
    let (role, left) = spawn::asked()?;
    let done = match (role, left) {
        (spawn::Role::Sandbox(bound), Some(left)) => child::main(left, bound),
        (spawn::Role::Compiler(bound), Some(left)) => compile::main(left, bound),
        (spawn::Role::Spawner, _) => spawner::main(),
        (spawn::Role::Symbolizer, Some(left)) => symbolize::main(left),
        (_, None) => Err(()),
    };
    Some(done.map_or_else(|()| ExitCode::from(Kind::Software as u8), |()| ExitCode::SUCCESS))
}
