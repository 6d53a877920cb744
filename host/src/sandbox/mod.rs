//! Where plugins run: a process without privileges, fed through shared memory, answering in bounded messages.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;

use crate::error::{Error, Kind, Result};
use crate::event::Output;
use crate::snapshot::{Interval, Snapshot};

/// A setting that the operator gives to a plugin.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    Text(String),
    Integer(i64),
    Number(f64),
    Flag(bool),
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

/// What a plugin put out in the call for one interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The index of the plugin, as given to [`Sandbox::start`].
    pub plugin: usize,
    pub interval: u64,
    pub outputs: Vec<Output>,
}

/// The sandbox process of one tenant, with its plugins.
#[derive(Debug)]
pub struct Sandbox {}

impl Sandbox {
    /// Compiles each plugin in a process of its own, starts the sandbox, and configures the plugins.
    pub fn start(_plugins: Vec<Plugin>) -> Result<Self> {
        Err(Error::new(Kind::Software, "not built yet"))
    }

    /// The sandbox's process now; another one after it had to be killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        0
    }

    /// Hands an interval's snapshots to every plugin. Never blocks: a plugin that has not yet answered the
    /// last interval misses this one.
    pub fn analyze(&mut self, _interval: &Interval, _snapshots: &[Snapshot]) -> Result<()> {
        Ok(())
    }

    /// What has been answered by now. Also keeps watch: a sandbox that outlived deadline and grace is killed
    /// and replaced here.
    pub fn answers(&mut self) -> Result<Vec<Answer>> {
        Ok(Vec::new())
    }

    /// No call is under way.
    #[must_use]
    pub fn idle(&self) -> bool {
        true
    }

    /// When [`Sandbox::answers`] has to be called next, even if the channel stays silent.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        None
    }

    /// Intervals for which a plugin was not called, over all plugins.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        0
    }
}

impl AsFd for Sandbox {
    /// Readable when there may be something to answer.
    fn as_fd(&self) -> BorrowedFd<'_> {
        unimplemented!("the sandbox is not built yet")
    }
}

/// Becomes the sandbox, if this process was started to be it.
#[must_use]
pub fn enter_if_asked() -> Option<std::process::ExitCode> {
    None
}
