//! What a plugin put out in a test, within the limits that Weir has.

use crate::bindings::weir::plugin::types::Label;
use crate::{Bucket, Failure, Result, Severity};

/// What a call put out, each in the order in which it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Counters, gauges and histograms.
    pub metrics: Vec<Metric>,
    /// Reports.
    pub reports: Vec<Report>,
    /// Artefacts, each with all of its chunks.
    pub artefacts: Vec<Artefact>,
    outputs: usize,
    bytes: usize,
}

/// A metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// What was said.
    pub value: Value,
}

/// What was said of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter's increase.
    Added(f64),
    /// A gauge.
    Set(f64),
    /// A row's histogram.
    Histogram {
        /// How many values there are.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Its buckets.
        buckets: Vec<Bucket>,
    },
}

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How urgent it is.
    pub level: Severity,
    /// Its sort.
    pub code: String,
    /// Its one line.
    pub title: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

/// An artefact.
#[derive(Clone, Debug, PartialEq)]
pub struct Artefact {
    /// Its name.
    pub name: String,
    /// What it is, such as `text/plain`.
    pub media_type: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Report {
    /// The first field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }
}

impl Said {
    /// What the metric of this name and these labels, in their order, was set to, or all that was added to it.
    #[must_use]
    pub fn value(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let same = |metric: &&Metric| {
            let theirs = metric.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            theirs.eq(labels.iter().copied())
        };
        self.metrics.iter().filter(|other| other.name == metric).filter(same).fold(None, |sum, metric| {
            match metric.value {
                Value::Added(delta) => Some(sum.unwrap_or(0.0) + delta),
                Value::Set(value) => Some(value),
                Value::Histogram { .. } => sum,
            }
        })
    }

    /// The bytes of the artefact of this name.
    #[must_use]
    pub fn artefact(&self, name: &str) -> Option<&[u8]> {
        self.artefacts.iter().find(|artefact| artefact.name == name).map(|artefact| artefact.bytes.as_slice())
    }

    pub(super) fn metric(&mut self, name: &str, labels: &[Label], value: Value) -> Result {
        check_name("metric", name)?;
        let buckets = match &value {
            Value::Added(delta) if *delta < 0.0 => {
                return Err(Failure::new("bounds", "a counter never falls; put out a gauge instead"));
            }
            Value::Added(value) | Value::Set(value) if !value.is_finite() => {
                return Err(Failure::new("bounds", "a metric is a finite number"));
            }
            Value::Histogram { buckets, .. } => buckets.len() * 28,
            Value::Added(_) | Value::Set(_) => 0,
        };
        let bytes = name.len() + check_labels(labels)? + buckets;
        self.room(1, bytes)?;
        self.metrics.push(Metric { name: name.to_owned(), labels: pairs(labels), value });
        Ok(())
    }

    pub(super) fn report(&mut self, level: Severity, code: &str, title: &str, fields: &[Label]) -> Result {
        check_name("report code", code)?;
        check_text("title", title)?;
        let bytes = code.len() + title.len() + check_labels(fields)?;
        self.room(1, bytes)?;
        let (code, title) = (code.to_owned(), title.to_owned());
        self.reports.push(Report { level, code, title, fields: pairs(fields) });
        Ok(())
    }

    pub(super) fn append(&mut self, name: &str, media_type: &str, chunk: &[u8]) -> Result {
        check_name("artefact", name)?;
        check_name("media type", media_type)?;
        let same = |other: &Artefact| other.name == name && other.media_type == media_type;
        let place = self.artefacts.iter().position(same);
        self.room(usize::from(place.is_none()), name.len() + media_type.len() + chunk.len())?;
        match place {
            Some(place) => self.artefacts[place].bytes.extend(chunk),
            None => {
                let (name, media_type, bytes) = (name.to_owned(), media_type.to_owned(), chunk.to_vec());
                self.artefacts.push(Artefact { name, media_type, bytes });
            }
        }
        Ok(())
    }

    fn room(&mut self, outputs: usize, bytes: usize) -> Result {
        let bytes = bytes + 16;
        if self.outputs + outputs > OUTPUTS {
            return Err(Failure::new("quota", format!("a call puts out no more than {OUTPUTS} things")));
        }
        if self.bytes + bytes > OUTPUT_BYTES {
            return Err(Failure::new("quota", format!("a call puts out no more than {OUTPUT_BYTES} bytes")));
        }
        self.outputs += outputs;
        self.bytes += bytes;
        Ok(())
    }
}

// The limits that weir.wit tells.
const OUTPUTS: usize = 10_000;
const OUTPUT_BYTES: usize = 1 << 20;
const TEXT_BYTES: usize = 4 << 10;
const NAME_BYTES: usize = 256;
const LABELS: usize = 32;

fn pairs(labels: &[Label]) -> Vec<(String, String)> {
    labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
}

fn check_name(what: &str, name: &str) -> Result {
    if (1..=NAME_BYTES).contains(&name.len()) {
        return Ok(());
    }
    Err(Failure::new("too-large", format!("a {what} has 1 to {NAME_BYTES} bytes")))
}

fn check_text(what: &str, text: &str) -> Result {
    if text.len() <= TEXT_BYTES {
        return Ok(());
    }
    Err(Failure::new("too-large", format!("a {what} has no more than {TEXT_BYTES} bytes")))
}

/// How many bytes they count for.
fn check_labels(labels: &[Label]) -> Result<usize> {
    if labels.len() > LABELS {
        return Err(Failure::new("too-large", format!("there are no more than {LABELS} labels or fields")));
    }
    for label in labels {
        check_name("label", &label.name)?;
        check_text("label's value", &label.value)?;
    }
    Ok(labels.iter().map(|label| label.name.len() + label.value.len() + 8).sum())
}
