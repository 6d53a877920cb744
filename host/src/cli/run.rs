//! `weir run` and `weir record`: from the kernel to a sink, an interval at a time.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::flow::{Flow, wait};
use super::plugins::Added;
use super::signals::Signals;
use super::workload::Start;
use super::{Output, Tracing, client, plugins, say};
use crate::config::Config;
use crate::error::Result;
use crate::event::Totals;
use crate::kernel::Tables;
use crate::recording::Recorder;
use crate::sandbox::{Plugin, Sandbox};
use crate::sink::Sink;
use crate::snapshot;
use crate::table::TableSpec;

pub(super) fn run(tracing: &Tracing, output: &Output) -> Result<()> {
    if let Some(socket) = client::instead() {
        let asked = client::of_file(tracing.config.as_deref(), output.added())?;
        let mut sink = output.sink(!asked.1.is_empty())?;
        let start = Start::Command(&tracing.command);
        return client::trace(&socket, asked, tracing.duration, start, &mut *sink, None);
    }
    let (config, plugins) = plugins::plan(tracing.config.as_deref(), output.added())?;
    let mut sink = output.sink(!plugins.is_empty())?;
    Trace::of(&config, tracing).run(plugins, &mut *sink).map(drop)
}

pub(super) fn record(tracing: &Tracing, asking: Added<'_>, path: &Path) -> Result<()> {
    let mut recorder = Recorder::new(path)?;
    let (config, _) = plugins::plan(tracing.config.as_deref(), asking)?;
    let totals = Trace::of(&config, tracing).run(Vec::new(), &mut recorder)?;
    let Totals { events, intervals, overflow, missed, .. } = totals;
    let path = path.display();
    say(
        "recorded",
        &format_args!(
            "{path}: {events} events in {intervals} intervals, {overflow} in overflow, {missed} missed"
        ),
    );
    Ok(())
}

pub(super) fn schemas(tables: &[Arc<TableSpec>]) -> Vec<(Arc<str>, arrow::datatypes::SchemaRef)> {
    tables.iter().map(|table| (table.name.as_str().into(), snapshot::schema(table))).collect()
}

/// What is traced, and for how long.
pub(super) struct Trace<'a> {
    pub(super) config: &'a Config,
    pub(super) duration: Option<Duration>,
    /// It ends when this ends.
    pub(super) start: Start<'a>,
    /// Before a second signal ends the process.
    pub(super) at_once: Option<fn()>,
}

impl<'a> Trace<'a> {
    fn of(config: &'a Config, tracing: &'a Tracing) -> Self {
        let start = Start::Command(&tracing.command);
        Self { config, duration: tracing.duration, start, at_once: None }
    }

    /// Attaches, passes on each interval as it ends, and detaches.
    pub(super) fn run(self, plugins: Vec<Plugin>, sink: &mut dyn Sink) -> Result<Totals> {
        let Self { config, duration, start, at_once } = self;
        let signals = Signals::catch(at_once)?;
        // Before the probes, because compiling a plugin can take seconds.
        let mut flow = Flow::new(plugins, sink)?;
        let mut selves = Selves::of(flow.sandbox());
        let mut tables = Tables::attach(&config.tables, &selves.0)?;
        let begin = Instant::now();
        flow.start(SystemTime::now(), &schemas(&config.tables))?;
        let mut workload = start.go()?;

        let end = duration.and_then(|duration| begin.checked_add(duration));
        let mut close = begin + config.interval;
        loop {
            let mut readable: Vec<BorrowedFd<'_>> = vec![signals.as_fd()];
            readable.extend(workload.as_ref().map(AsFd::as_fd));
            readable.extend(flow.sandbox().map(AsFd::as_fd));
            readable.extend(flow.input());
            let wake = flow.sandbox().and_then(Sandbox::wake);
            wait(&readable, [Some(close), end, wake].into_iter().flatten().min())?;

            flow.tend()?;
            flow.answers()?;
            selves.leave_out(&mut tables, flow.sandbox())?;
            let now = Instant::now();
            if signals.came() || flow.closed() || end.is_some_and(|end| now >= end) {
                break;
            }
            if let Some(workload) = &mut workload
                && workload.has_ended()?
            {
                break;
            }
            if now >= close {
                flow.interval(&tables.close()?)?;
                flow.detached(&tables.detached())?;
                if let Some(problem) = tables.problem() {
                    say("note", &problem);
                }
                close = next(close, config.interval, Instant::now());
            }
        }
        let last = tables.finish()?;
        // A plugin still at work would miss the last interval, and with it whatever it keeps for the end.
        flow.settle()?;
        flow.interval(&last)?;
        flow.settle()?;
        flow.end()
    }
}

/// When the interval that begins now ends. Ends keep to the schedule that the first has set; those that have
/// passed are left out, and the interval is longer.
pub(crate) fn next(close: Instant, interval: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(close).as_nanos();
    let passed = late / interval.as_nanos().max(1) + 1;
    close + interval.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX))
}

/// The processes that are Weir's own.
#[derive(PartialEq)]
struct Selves(Vec<u32>);

impl Selves {
    fn of(sandbox: Option<&Sandbox>) -> Self {
        Self(std::iter::once(std::process::id()).chain(sandbox.map(Sandbox::pid)).collect())
    }

    /// Tells the tables, if it is news: a sandbox that had to be killed has another process after that.
    fn leave_out(&mut self, tables: &mut Tables, sandbox: Option<&Sandbox>) -> Result<()> {
        let selves = Self::of(sandbox);
        if *self != selves {
            tables.leave_out(&selves.0)?;
            *self = selves;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_keep_to_the_schedule() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let at = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        assert_eq!(next(at(1.0), second, at(1.0)), at(2.0));
        assert_eq!(next(at(1.0), second, at(1.9)), at(2.0));
        assert_eq!(next(at(1.0), second, at(2.0)), at(3.0), "an end that has come is not put off to nothing");
        assert_eq!(next(at(1.0), second, at(4.5)), at(5.0));
    }
}
