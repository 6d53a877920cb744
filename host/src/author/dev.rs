//! `weir plugin dev`: edit, look, edit.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::files::Files;
use super::project::{Project, sources};
use super::replay::{Finished, Outputs};
use super::{Dev, build, expect};
use crate::cli::signals::Signals;
use crate::cli::{Format, say, wait};
use crate::error::{Error, Kind, Result};
use crate::manifest;
use crate::sandbox::OptionValue;

/// How often it is looked whether a file has changed.
const LOOK: Duration = Duration::from_millis(200);

/// Why a replay ended before its end.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    No,
    Changed,
    Stopped,
}

/// Files that are looked at for changes: as they were when what is shown was made of them.
struct Watched<'a> {
    dev: &'a Dev,
    verbose: bool,
    signals: &'a Signals,
    seen: Files,
}

pub(super) fn dev(dev: &Dev, verbose: bool) -> Result<()> {
    let signals = Signals::catch(None)?;
    // A folder that is none is a mistake on the command line. What is wrong in one is what whoever edits wants to see, and
    // no reason to end.
    match Project::open(&dev.folder, verbose) {
        Err(error) if error.kind == Kind::NoInput => return Err(error),
        _ => (),
    }
    loop {
        // Before anything is read: what changes after that has changed.
        let mut watched = Watched { dev, verbose, signals: &signals, seen: dev.files()? };
        let mut cut = Cut::No;
        if let Err(error) = dev.show(&mut watched, &mut cut) {
            say("error", &error);
        }
        if cut == Cut::No {
            say("note", &"waiting for a change; Ctrl-C ends this");
            cut = watched.look(None)?;
        }
        if cut == Cut::Stopped {
            return Ok(());
        }
    }
}

impl Dev {
    /// Builds the plugin, and shows what comes of the recording.
    fn show(&self, watched: &mut Watched<'_>, cut: &mut Cut) -> Result<()> {
        let project = Project::open(&self.folder, watched.verbose)?;
        let recording = match &self.recording {
            Some(recording) => recording.clone(),
            None => first(&project)?,
        };
        let mut options = expect::options(&recording)?;
        options.extend(self.given(&project)?);
        let built = build::build(&project);
        watched.seen.after_tools(&self.files()?);
        let mut plugin = Finished::read(&project, &built?)?;
        let mut sink = Outputs(Format::Text.sink(true));
        let broken_off = plugin.replay(&options, &recording, &mut sink, |interval| {
            *cut = watched
                .look(Some(Instant::now() + if self.fast { Duration::ZERO } else { interval.length }))?;
            Ok(*cut == Cut::No)
        })?;
        if let Some(place) = broken_off {
            say("note", &format_args!("{} ends early, {place}", recording.display()));
        }
        Ok(())
    }

    /// What is given on the command line comes before what is written beside the recording.
    fn given(&self, project: &Project) -> Result<BTreeMap<String, OptionValue>> {
        let plugins = [(project.manifest.name.as_str(), Some(&project.manifest))];
        Ok(manifest::typed(&self.options, &plugins)?.pop().unwrap_or_default())
    }

    /// The sources, the tests, and a recording from elsewhere.
    fn files(&self) -> Result<Files> {
        let mut files = sources(&self.folder)?;
        files.extend(Files::of(&self.folder.join("tests"), &[])?);
        if let Some(recording) = &self.recording {
            files.extend(Files::of(recording, &[])?);
        }
        Ok(files)
    }
}

impl Watched<'_> {
    /// Waits until then, for ever if there is no end, or for a change or a signal.
    fn look(&self, until: Option<Instant>) -> Result<Cut> {
        loop {
            if self.signals.came() {
                return Ok(Cut::Stopped);
            }
            if self.dev.files()? != self.seen {
                return Ok(Cut::Changed);
            }
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) {
                return Ok(Cut::No);
            }
            let next = until.map_or(now + LOOK, |until| until.min(now + LOOK));
            wait(&[self.signals.as_fd()], Some(next))?;
        }
    }
}

fn first(project: &Project) -> Result<PathBuf> {
    project.recordings().into_iter().next().ok_or_else(|| {
        Error::new(Kind::NoInput, format!("there is no recording in {}", project.tests().display()))
            .help("name one with --recording; `weir record … -o x.weir` makes one")
    })
}
