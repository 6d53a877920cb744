//! The way of the data once intervals are there: to the sink, through the plugins, and what they answer to
//! the sink as well.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arrow::datatypes::SchemaRef;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Error, Result};
use crate::event::{Event, Label, MetricValue, Output, Totals};
use crate::kernel::Detached;
use crate::sandbox::{Answer, Compiled, Compiler, Plugin, Sandbox};
use crate::sink::Sink;
use crate::snapshot::Snapshot;

/// Counters of one plugin whose totals are kept: each costs memory for as long as the run lasts.
const SERIES: usize = 10_000;

/// One run's data on its way.
pub(crate) struct Flow<'a> {
    sink: &'a mut dyn Sink,
    sandbox: Option<Sandbox>,
    plugins: Vec<Counters>,
    totals: Totals,
    ended: SystemTime,
}

/// A plugin by its name, with the totals of its counters.
struct Counters {
    plugin: String,
    totals: HashMap<(String, Vec<Label>), f64>,
    /// There was one too many.
    full: bool,
}

impl<'a> Flow<'a> {
    /// Starts the plugins, if there are any.
    pub(crate) fn new(plugins: Vec<Plugin>, sink: &'a mut dyn Sink) -> Result<Self> {
        Self::with(plugins, Sandbox::start, sink)
    }

    /// The same for a replay.
    pub(crate) fn replay(plugins: Vec<Plugin>, sink: &'a mut dyn Sink) -> Result<Self> {
        Self::with(plugins, Sandbox::replay, sink)
    }

    /// The same of a plugin that this compiler has compiled.
    pub(crate) fn replay_compiled(
        (compiler, compiled): (&Compiler, Compiled),
        sink: &'a mut dyn Sink,
    ) -> Result<Self> {
        let counters = vec![Counters::new(compiled.name())];
        Ok(Self::of(counters, Some(Sandbox::replay_compiled(compiler, compiled)?), sink))
    }

    fn with(
        plugins: Vec<Plugin>,
        start: fn(Vec<Plugin>) -> Result<Sandbox>,
        sink: &'a mut dyn Sink,
    ) -> Result<Self> {
        let counters = plugins.iter().map(|plugin| Counters::new(&plugin.name)).collect();
        let sandbox = if plugins.is_empty() { None } else { Some(start(plugins)?) };
        Ok(Self::of(counters, sandbox, sink))
    }

    fn of(plugins: Vec<Counters>, sandbox: Option<Sandbox>, sink: &'a mut dyn Sink) -> Self {
        Self { sink, sandbox, plugins, totals: Totals::default(), ended: UNIX_EPOCH }
    }

    /// Intervals are missing, which plugins are told.
    pub(crate) fn missing(&mut self, intervals: u64) {
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.missing(u32::try_from(intervals).unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn start(&mut self, at: SystemTime, tables: &[(Arc<str>, SchemaRef)]) -> Result<()> {
        self.ended = at;
        self.sink.put(&Event::Start { at, tables })
    }

    /// Takes one interval's snapshots. Never waits for a plugin.
    pub(crate) fn interval(&mut self, snapshots: &[Snapshot]) -> Result<()> {
        let Some(interval) = snapshots.first().map(|snapshot| snapshot.interval) else { return Ok(()) };
        self.totals.intervals += 1;
        self.totals.elapsed = self.totals.elapsed.saturating_add(interval.length);
        self.ended = interval.began.checked_add(interval.length).unwrap_or(interval.began);
        for snapshot in snapshots {
            self.totals.add(&snapshot.coverage);
            self.sink.put(&Event::Snapshot(snapshot))?;
        }
        self.sandbox.as_mut().map_or(Ok(()), |sandbox| sandbox.analyze(&interval, snapshots))
    }

    /// Tells of tables that cost too much.
    pub(crate) fn detached(&mut self, tables: &[Detached]) -> Result<()> {
        tables.iter().try_for_each(|Detached { table, interval, why, message }| {
            self.sink.put(&Event::Detached { table, interval: *interval, why: *why, message })
        })
    }

    /// Passes on what plugins have answered by now.
    pub(crate) fn answers(&mut self) -> Result<()> {
        let answers = self.sandbox.as_mut().map_or(Ok(Vec::new()), Sandbox::answers)?;
        self.pass_on(answers)
    }

    /// Waits until no plugin is at work. The sandbox's watchdog bounds this.
    pub(crate) fn settle(&mut self) -> Result<()> {
        let Some(sandbox) = &mut self.sandbox else { return Ok(()) };
        let mut answers = sandbox.answers()?;
        while !sandbox.idle() {
            wait(&[sandbox.as_fd()], sandbox.wake())?;
            answers.extend(sandbox.answers()?);
        }
        self.pass_on(answers)
    }

    /// In the order of intervals and plugins, whichever answered first, so that a replay is always the same.
    fn pass_on(&mut self, mut answers: Vec<Answer>) -> Result<()> {
        answers.sort_by_key(|answer| (answer.interval, answer.plugin));
        for Answer { plugin, interval, outputs, .. } in answers {
            let Some(counters) = self.plugins.get_mut(plugin) else { continue };
            for output in outputs {
                let Some(output) = counters.total(output) else { continue };
                if matches!(&output, Output::Fault { reason, .. } if reason != "skipped") {
                    self.totals.plugin_faults += 1;
                }
                self.sink.put(&Event::Plugin { plugin: &counters.plugin, interval, output: &output })?;
            }
        }
        Ok(())
    }

    pub(crate) fn end(mut self) -> Result<Totals> {
        self.totals.plugin_skipped = self.sandbox.as_ref().map_or(0, Sandbox::skipped);
        self.sink.put(&Event::End { at: self.ended, totals: &self.totals })?;
        Ok(self.totals)
    }

    /// Nobody reads any more.
    pub(crate) fn closed(&self) -> bool {
        self.sink.closed()
    }

    /// What the sink wants to be read.
    pub(crate) fn input(&self) -> Option<BorrowedFd<'_>> {
        self.sink.input()
    }

    /// Lets the sink read it.
    pub(crate) fn tend(&mut self) -> Result<()> {
        self.sink.tend()
    }

    /// The sandbox's process, its channel, and when it must be looked after.
    pub(crate) fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }
}

impl Counters {
    fn new(plugin: &str) -> Self {
        Self { plugin: plugin.to_owned(), totals: HashMap::new(), full: false }
    }

    /// Sets the total of what is a counter's increase. One counter too many is a fault, which is told once.
    fn total(&mut self, mut output: Output) -> Option<Output> {
        let Output::Metric { name, labels, value: MetricValue::Counter { delta, total } } = &mut output
        else {
            return Some(output);
        };
        // The same labels in another order are the same series.
        let mut series = (name.clone(), labels.clone());
        series.1.sort();
        if self.totals.len() >= SERIES && !self.totals.contains_key(&series) {
            let fault = Output::Fault {
                reason: "output".to_owned(),
                message: format!("it has {SERIES} counters with their labels; those beyond are left out"),
            };
            return (!std::mem::replace(&mut self.full, true)).then_some(fault);
        }
        let kept = self.totals.entry(series).or_default();
        *kept += *delta;
        *total = *kept;
        Some(output)
    }
}

/// Waits until one of them can be read, or until then. May return early.
pub(crate) fn wait(readable: &[BorrowedFd<'_>], until: Option<Instant>) -> Result<()> {
    let mut fds: Vec<_> = readable.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut fds, left.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(Error::from(std::io::Error::from(error)).context("cannot wait")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(name: &str, labels: &[(&str, &str)], delta: f64) -> Output {
        let labels =
            labels.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() });
        let value = MetricValue::Counter { delta, total: 0.0 };
        Output::Metric { name: name.to_owned(), labels: labels.collect(), value }
    }

    fn total(output: Option<Output>) -> Option<f64> {
        match output? {
            Output::Metric { value: MetricValue::Counter { total, .. }, .. } => Some(total),
            _ => None,
        }
    }

    #[test]
    fn totals_are_kept_for_each_set_of_labels() {
        let mut counters = Counters::new("p");
        assert_eq!(total(counters.total(counter("c", &[("a", "1"), ("b", "2")], 1.0))), Some(1.0));
        assert_eq!(total(counters.total(counter("c", &[("b", "2"), ("a", "1")], 2.0))), Some(3.0));
        assert_eq!(total(counters.total(counter("c", &[("a", "1")], 4.0))), Some(4.0));
        assert_eq!(total(counters.total(counter("d", &[("a", "1")], 8.0))), Some(8.0));
    }

    #[test]
    fn a_plugin_cannot_fill_the_memory_with_counters() {
        let mut counters = Counters::new("p");
        for at in 0..SERIES {
            assert!(counters.total(counter(&at.to_string(), &[], 1.0)).is_some());
        }
        let fault = counters.total(counter("one more", &[], 1.0));
        assert!(matches!(fault, Some(Output::Fault { reason, .. }) if reason == "output"));
        assert_eq!(counters.total(counter("and another", &[], 1.0)), None, "told once");
        assert_eq!(total(counters.total(counter("0", &[], 1.0))), Some(2.0), "those that are kept go on");
        assert_eq!(counters.totals.len(), SERIES);
    }
}
