//! A plugin on a recording, and nothing but what it puts out.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::{Flow, play, read_component};
use crate::error::Result;
use crate::event::{Event, Output};
use crate::manifest::{Given, Manifest};
use crate::recording::Recording;
use crate::sandbox::{OptionValue, Plugin};
use crate::sink::Sink;
use crate::snapshot::Interval;

/// Runs a finished plugin, with these options, over a recording, into a sink. `between` is asked after each interval whether
/// to go on.
pub(super) fn replay(
    (plugin, manifest): (&Path, &Manifest),
    options: &BTreeMap<String, OptionValue>,
    recording: &Path,
    sink: &mut dyn Sink,
    between: impl FnMut(&Interval) -> Result<bool>,
) -> Result<()> {
    let mut recording = Recording::open(recording)?;
    let given = Given::asked(manifest, options)?;
    let tables = given.of(&manifest.name, &recording.tables)?;
    let plugin = Plugin {
        name: manifest.name.clone(),
        component: read_component(plugin)?,
        tables,
        options: given.options,
        limits: given.limits,
    };
    let mut flow = Flow::replay(vec![plugin], sink)?;
    flow.start(recording.started, &recording.tables)?;
    play(&mut recording, &mut flow, between)?;
    flow.end().map(drop)
}

/// Keeps what a plugin puts out.
#[derive(Debug, Default)]
pub(super) struct Collect(pub(super) Vec<(u64, Output)>);

impl Sink for Collect {
    fn put(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Plugin { interval, output, .. } = event {
            self.0.push((*interval, (*output).clone()));
        }
        Ok(())
    }
}

/// Passes on what a plugin puts out, and not what it was given.
pub(super) struct Outputs(pub(super) Box<dyn Sink>);

impl Sink for Outputs {
    fn put(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Snapshot(_) | Event::Start { .. } => Ok(()),
            _ => self.0.put(event),
        }
    }

    fn closed(&self) -> bool {
        self.0.closed()
    }
}
