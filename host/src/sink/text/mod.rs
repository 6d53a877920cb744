//! For an engineer at a terminal. No colour and no cursor moves, so that a pipe gets the same.

mod number;
pub(super) mod table;

use std::io::Write;

use self::number::{decimal, integer, nanoseconds};
use self::table::plural;
use super::{Out, Sink};
use crate::error::Result;
use crate::escape::{escape, guard};
use crate::event::{Event, Label, MetricValue, Output, Totals};
use crate::snapshot::Spans;

/// What is shown of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Its rows.
    Rows,
    /// How complete it is, and no more: plugins speak about the rows.
    Coverage,
}

/// The sink for a terminal.
#[derive(Debug)]
pub struct Text<W> {
    out: Out<W>,
    detail: Detail,
}

impl<W: Write> Text<W> {
    pub fn new(writer: W, detail: Detail) -> Self {
        Self { out: Out::new(writer), detail }
    }

    /// What was written to.
    pub(super) fn into_inner(self) -> W {
        self.out.writer
    }
}

impl<W: Write> Sink for Text<W> {
    fn put(&mut self, event: &Event<'_>) -> Result<()> {
        let text = match *event {
            Event::Start { tables, .. } => {
                let names: Vec<_> = tables.iter().map(|(name, _)| escape(name.as_bytes())).collect();
                format!("counting {}\n", names.join(", "))
            }
            Event::Snapshot(snapshot) if self.detail == Detail::Rows => {
                format!("\n{}{}", table::heading(snapshot), table::rows(snapshot)?)
            }
            Event::Snapshot(snapshot) => table::heading(snapshot),
            Event::Detached { table, message, .. } => {
                format!("{}: DETACHED: {}\n", escape(table.as_bytes()), guard(message))
            }
            Event::Plugin { plugin, output, .. } => {
                format!("{}: {}\n", escape(plugin.as_bytes()), plugin_output(output))
            }
            Event::End { totals, .. } => end(totals, self.detail),
        };
        self.out.write(text.as_bytes())
    }

    fn closed(&self) -> bool {
        self.out.closed
    }
}

/// What was lost, always; in capitals where it is not nothing.
fn coverage(totals: &Totals, spans: Option<Spans>) -> String {
    let loss = |number: u64, what: &str| {
        let what = if number > 0 { what.to_uppercase() } else { what.to_owned() };
        format!(", {} {what}", integer(number.into()))
    };
    let mut text = loss(totals.overflow, "in overflow");
    text.push_str(&loss(totals.missed, "missed"));
    if !totals.missed_reliable {
        text.push_str(" (this kernel may not count all)");
    }
    if totals.inexact > 0 {
        text.push_str(&loss(totals.inexact, "not in a min or max"));
    }
    if totals.starts_dropped > 0 {
        text.push_str(&loss(totals.starts_dropped, "starts dropped"));
    }
    let spans = spans.unwrap_or_default();
    for (number, what) in [
        (spans.starts_replaced, "starts replaced"),
        (spans.starts_abandoned, "starts abandoned"),
        (spans.ends_unmatched, "ends without a start"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {} {what}", integer(number.into())));
        }
    }
    text
}

pub(super) fn end(totals: &Totals, detail: Detail) -> String {
    let mut text = format!(
        "\n{} counted in {} over {}{}",
        plural(totals.events.into(), "event"),
        plural(totals.intervals.into(), "interval"),
        nanoseconds(totals.elapsed.as_nanos() as f64),
        coverage(totals, None),
    );
    if detail == Detail::Coverage {
        text.push_str(&format!(", {}", plural(totals.plugin_faults.into(), "plugin fault")));
        if totals.plugin_skipped > 0 {
            text.push_str(&format!(
                ", {} SKIPPED BY A PLUGIN",
                plural(totals.plugin_skipped.into(), "interval")
            ));
        }
    }
    text.push('\n');
    text
}

pub(super) fn plugin_output(output: &Output) -> String {
    match output {
        Output::Metric { name, labels, value } => {
            format!("{}{} {}", escape(name.as_bytes()), in_braces(labels), metric(value))
        }
        Output::Report { level, code, title, fields } => {
            let (code, title) = (escape(code.as_bytes()), escape(title.as_bytes()));
            format!("{} [{code}]: {title}{}", level.name(), below(fields))
        }
        Output::Artefact { name, media_type, bytes } => {
            let (name, media_type) = (escape(name.as_bytes()), escape(media_type.as_bytes()));
            format!("artefact {name} ({media_type}): {}", plural(bytes.len() as i128, "byte"))
        }
        Output::Log { level, message } => format!("{}: {}", level.name(), escape(message.as_bytes())),
        Output::Fault { reason, message } => {
            format!("FAULT [{}]: {}", escape(reason.as_bytes()), escape(message.as_bytes()))
        }
    }
}

fn metric(value: &MetricValue) -> String {
    match value {
        MetricValue::Counter { delta, total } => format!("+{} = {}", decimal(*delta), decimal(*total)),
        MetricValue::Gauge(value) => format!("= {}", decimal(*value)),
        MetricValue::Histogram { count, sum, .. } => {
            format!("= {}, sum {}", plural((*count).into(), "value"), decimal(*sum))
        }
    }
}

fn in_braces(labels: &[Label]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs = labels.iter().map(|label| {
        format!("{}={}", escape(label.name.as_bytes()), quoted(&escape(label.value.as_bytes())))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// Fields of a report, a line each, their values aligned.
fn below(fields: &[Label]) -> String {
    let names: Vec<_> = fields.iter().map(|field| escape(field.name.as_bytes())).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let lines = names
        .iter()
        .zip(fields)
        .map(|(name, field)| format!("\n  {name:width$}  {}", escape(field.value.as_bytes())));
    lines.collect()
}

/// Escaped text between quotes, those in it escaped too.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}
