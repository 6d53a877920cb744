//! `weir plugin dev`: edit, look, edit.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::project::Project;
use super::replay::{Outputs, replay};
use crate::cli::signals::Signals;
use crate::cli::{Format, say, wait};
use crate::error::{Error, Kind, Result};

/// How often it is looked whether a source has changed.
const LOOK: Duration = Duration::from_millis(200);

/// Why a replay ended before its end.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    No,
    Changed,
    Stopped,
}

pub(super) fn dev(folder: &Path, recording: Option<&Path>, fast: bool) -> Result<()> {
    let signals = Signals::catch(None)?;
    loop {
        let project = Project::open(folder)?;
        let recording = match recording {
            Some(recording) => recording.to_owned(),
            None => first(&project)?,
        };
        let since = project.changed()?;
        let mut cut = Cut::No;
        let mut watch = |until: Option<Instant>| -> Result<bool> {
            cut = look(&project, since, &signals, until)?;
            Ok(cut == Cut::No)
        };
        let shown = super::build::build(&project).and_then(|plugin| {
            let mut sink = Outputs(Format::Text.sink(true));
            let plugin = (&*plugin, &project.manifest);
            replay(plugin, &Default::default(), &recording, &mut sink, |interval| {
                watch(Some(Instant::now() + if fast { Duration::ZERO } else { interval.length }))
            })
        });
        // What is wrong is what whoever edits wants to see, and no reason to end.
        if let Err(error) = shown {
            say("error", &error);
        }
        if cut == Cut::No {
            say("note", &"waiting for a change; Ctrl-C ends this");
            cut = look(&project, since, &signals, None)?;
        }
        if cut == Cut::Stopped {
            return Ok(());
        }
    }
}

/// Waits until then, for ever if there is no end, or for a change or a signal.
fn look(project: &Project, since: SystemTime, signals: &Signals, until: Option<Instant>) -> Result<Cut> {
    loop {
        if signals.came() {
            return Ok(Cut::Stopped);
        }
        if project.changed()? > since {
            return Ok(Cut::Changed);
        }
        let now = Instant::now();
        if until.is_some_and(|until| now >= until) {
            return Ok(Cut::No);
        }
        let next = until.map_or(now + LOOK, |until| until.min(now + LOOK));
        wait(&[signals.as_fd()], Some(next))?;
    }
}

fn first(project: &Project) -> Result<PathBuf> {
    project.recordings().into_iter().next().ok_or_else(|| {
        Error::new(Kind::NoInput, format!("there is no recording in {}", project.tests().display()))
            .help("name one with --recording; `weir record … -o x.weir` makes one")
    })
}
