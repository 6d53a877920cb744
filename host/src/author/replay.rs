//! A plugin on a recording, and nothing but what it puts out.

use std::collections::BTreeMap;
use std::path::Path;

use oxc_sourcemap::SourceMap;

use super::lines::{self, Mend};
use super::project::Project;
use crate::cli::{Flow, play, read_component};
use crate::error::Result;
use crate::event::{Event, Output};
use crate::manifest::{Given, Manifest};
use crate::recording::Recording;
use crate::sandbox::{Compiled, Compiler, OptionValue, Plugin};
use crate::sink::Sink;
use crate::snapshot::Interval;

/// A project's finished plugin, which is compiled once for all recordings.
pub(super) struct Finished<'a> {
    manifest: &'a Manifest,
    component: Vec<u8>,
    compiler: Compiler,
    /// The compiler knows what it has compiled for as long as that is kept.
    compiled: Option<Compiled>,
    map: Option<SourceMap<'static>>,
}

impl<'a> Finished<'a> {
    pub(super) fn read(project: &'a Project, plugin: &Path) -> Result<Self> {
        Ok(Self {
            manifest: &project.manifest,
            component: read_component(plugin)?,
            compiler: Compiler::of_replays()?,
            compiled: None,
            map: lines::map(project),
        })
    }

    /// Runs it, with these options, over a recording, into a sink. `between` is asked after each interval whether to go on.
    /// Says where the recording breaks off, if it was read so far and does.
    pub(super) fn replay(
        &mut self,
        options: &BTreeMap<String, OptionValue>,
        recording: &Path,
        sink: &mut dyn Sink,
        between: impl FnMut(&Interval) -> Result<bool>,
    ) -> Result<Option<String>> {
        let mut recording = Recording::open(recording)?;
        let given = Given::asked(self.manifest, options)?;
        let tables = given.of(&self.manifest.name, &recording.tables)?;
        let compiled = self.compiler.compile(Plugin {
            name: self.manifest.name.clone(),
            component: self.component.clone(),
            tables,
            options: given.options,
            limits: given.limits,
        })?;
        self.compiled = Some(compiled.clone());
        let mut sink = Mend::new(self.map.as_ref(), sink);
        let mut flow = Flow::replay_compiled((&self.compiler, compiled), &mut sink)?;
        flow.start(recording.started, &recording.tables)?;
        play(&mut recording, &mut flow, between)?;
        flow.end()?;
        Ok(recording.ended_early())
    }
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
