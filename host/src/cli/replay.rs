//! `weir replay`: a recording in place of the kernel.

use std::path::Path;

use super::flow::Flow;
use super::{Output, plugins, say};
use crate::error::Result;
use crate::recording::Recording;
use crate::snapshot::Interval;

pub(super) fn replay(path: &Path, config: Option<&Path>, output: &Output) -> Result<()> {
    let mut recording = Recording::open(path)?;
    let plugins = plugins::load(config, output.added(), &recording.tables)?;
    let mut sink = output.sink(!plugins.is_empty())?;
    let mut flow = Flow::replay(plugins, &mut *sink)?;
    flow.start(recording.started, &recording.tables)?;
    let played = play(&mut recording, &mut flow, |_| Ok(true));
    if flow.closed() {
        return Ok(());
    }
    // What could be read counts, whatever follows it.
    flow.end()?;
    played?;
    if let Some(place) = recording.ended_early() {
        say("note", &format_args!("{} ends early, {place}", path.display()));
    }
    Ok(())
}

/// Passes a recording on, up to its end or to what is damaged, or until `between`, which is asked after each interval, wants
/// no more of it. Every plugin answers for an interval before it gets the next, so nothing is skipped, however slow they are.
pub(crate) fn play(
    recording: &mut Recording,
    flow: &mut Flow<'_>,
    mut between: impl FnMut(&Interval) -> Result<bool>,
) -> Result<()> {
    let mut intervals = recording.peekable();
    let mut next = 0;
    while let Some(interval) = intervals.next() {
        let (interval, mut snapshots) = interval?;
        // What ends early ends here all the same, and plugins are told so.
        let last = !matches!(intervals.peek(), Some(Ok(_)));
        snapshots.iter_mut().for_each(|snapshot| snapshot.interval.last = last);
        if interval.number > next {
            flow.missing(interval.number - next);
        }
        next = interval.number.saturating_add(1);
        flow.interval(&snapshots)?;
        flow.settle()?;
        if flow.closed() || !between(&interval)? {
            break;
        }
    }
    Ok(())
}
