//! `weir replay`: a recording in place of the kernel.

use std::path::Path;

use super::flow::Flow;
use super::{Output, plugins, say};
use crate::error::Result;
use crate::recording::Recording;

/// Every plugin answers for an interval before it gets the next, so nothing is skipped, however slow they are.
pub(super) fn replay(path: &Path, output: &Output) -> Result<()> {
    let recording = Recording::open(path)?;
    let plugins = plugins::load(&[], &output.plugins, &recording.tables)?;
    let mut sink = output.format.sink(!plugins.is_empty());
    let mut flow = Flow::new(plugins, &mut *sink)?;
    flow.start(recording.started, &recording.tables)?;
    let mut intervals = recording.peekable();
    let mut whole = false;
    while let Some(interval) = intervals.next() {
        let (_, mut snapshots) = interval?;
        whole = snapshots.iter().all(|snapshot| snapshot.interval.last);
        // What ends early ends here all the same, and plugins are told so.
        let last = intervals.peek().is_none();
        snapshots.iter_mut().for_each(|snapshot| snapshot.interval.last = last);
        flow.interval(&snapshots)?;
        flow.settle()?;
        if flow.closed() {
            return Ok(());
        }
    }
    flow.end()?;
    if !whole {
        say("note", &format_args!("{} ends early: its recorder was stopped", path.display()));
    }
    Ok(())
}
