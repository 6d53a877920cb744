//! What a plugin puts out in one call, within its quotas, and the same quotas counted again by the host.

use super::limits::{LABELS, LOG_LINES, NAME_BYTES, OUTPUT_BYTES, OUTPUTS, TEXT_BYTES};
use super::wire::{Level, Put};
use super::wit::{Failure, Label};

/// The outputs of a call that is under way, in their order.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    puts: Vec<Put>,
    /// Bytes and number of what is not a log line, which have a quota of their own.
    bytes: usize,
    count: usize,
    lines: usize,
    lines_dropped: usize,
    /// Outputs that were refused, whether or not the plugin took notice.
    pub(super) refused: u32,
}

impl Outputs {
    /// Takes an output if there is room.
    pub(super) fn put(&mut self, put: Put) -> Result<(), Failure> {
        let taken = self.admit(&put);
        match taken {
            Ok(bytes) => {
                self.bytes += bytes;
                self.append(put);
                Ok(())
            }
            Err(failure) => {
                self.refused = self.refused.saturating_add(1);
                Err(failure)
            }
        }
    }

    fn admit(&self, put: &Put) -> Result<usize, Failure> {
        check(put)?;
        let bytes = size(put);
        if self.count >= OUTPUTS {
            return Err(Failure::new("quota", format!("a call puts out no more than {OUTPUTS} things")));
        }
        if self.bytes + bytes > OUTPUT_BYTES {
            return Err(Failure::new("quota", format!("a call puts out no more than {OUTPUT_BYTES} bytes")));
        }
        Ok(bytes)
    }

    /// Chunks of one artefact are put together.
    fn append(&mut self, put: Put) {
        if let Put::Artefact { name, media_type, bytes } = &put {
            let same = self.puts.iter_mut().rev().find_map(|earlier| match earlier {
                Put::Artefact { name: n, media_type: m, bytes } if n == name && m == media_type => {
                    Some(bytes)
                }
                _ => None,
            });
            if let Some(earlier) = same {
                earlier.extend_from_slice(bytes);
                return;
            }
        }
        self.count += 1;
        self.puts.push(put);
    }

    /// Logging cannot be refused with a value, so lines beyond the quota are counted, and long ones cut.
    pub(super) fn log(&mut self, level: Level, message: &str) {
        if !self.takes_lines() {
            self.drop_lines(1);
            return;
        }
        self.lines += 1;
        self.puts.push(Put::Log { level, message: cut(message, TEXT_BYTES) });
    }

    /// Whether there is room for another line.
    pub(super) fn takes_lines(&self) -> bool {
        self.lines < LOG_LINES
    }

    /// Counts lines that there was no room for.
    pub(super) fn drop_lines(&mut self, lines: usize) {
        self.lines_dropped = self.lines_dropped.saturating_add(lines);
    }

    /// What was refused, and what was dropped.
    pub(super) fn suppressed(&self) -> u64 {
        u64::from(self.refused).saturating_add(self.lines_dropped as u64)
    }

    /// Everything if the call went well, else the log.
    pub(super) fn finish(mut self, well: bool) -> Vec<Put> {
        if !well {
            self.puts.retain(|put| matches!(put, Put::Log { .. }));
        }
        if self.lines_dropped > 0 {
            let message = format!("{} more log lines in this call were dropped", self.lines_dropped);
            self.puts.push(Put::Log { level: Level::Warning, message });
        }
        self.puts
    }
}

/// The host's own count of a finished call's outputs.
pub(super) fn within_quota(puts: &[Put]) -> bool {
    let (logs, others): (Vec<_>, Vec<_>) = puts.iter().partition(|put| matches!(put, Put::Log { .. }));
    // One line more says how many were dropped.
    logs.len() <= LOG_LINES + 1
        && others.len() <= OUTPUTS
        && others.iter().map(|put| size(put)).sum::<usize>() <= OUTPUT_BYTES
        && puts.iter().all(|put| check(put).is_ok())
}

/// Whether an output is well-formed, whatever came before it.
fn check(put: &Put) -> Result<(), Failure> {
    match put {
        Put::Add { metric, labels, delta } => {
            name("metric", metric)?;
            pairs(labels)?;
            number(*delta)?;
            if *delta < 0.0 {
                return Err(Failure::new("bounds", "a counter never falls; put out a gauge instead"));
            }
            Ok(())
        }
        Put::Gauge { metric, labels, value } => {
            name("metric", metric)?;
            pairs(labels)?;
            number(*value)
        }
        Put::Histogram { metric, labels, sum, buckets, .. } => {
            name("metric", metric)?;
            pairs(labels)?;
            buckets.iter().flat_map(|(low, high, _)| [Some(*low), *high]).flatten().try_for_each(number)?;
            number(*sum)
        }
        Put::Report { code, title, fields, .. } => {
            name("report code", code)?;
            text("title", title)?;
            pairs(fields)
        }
        Put::Artefact { name: artefact, media_type, .. } => {
            name("artefact", artefact)?;
            name("media type", media_type)
        }
        Put::Log { message, .. } => text("log line", message),
    }
}

fn name(what: &str, name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(Failure::new("too-large", format!("a {what} has 1 to {NAME_BYTES} bytes")));
    }
    Ok(())
}

fn text(what: &str, text: &str) -> Result<(), Failure> {
    if text.len() > TEXT_BYTES {
        return Err(Failure::new("too-large", format!("a {what} has no more than {TEXT_BYTES} bytes")));
    }
    Ok(())
}

fn pairs(pairs: &[(String, String)]) -> Result<(), Failure> {
    if pairs.len() > LABELS {
        return Err(Failure::new("too-large", format!("there are no more than {LABELS} labels or fields")));
    }
    pairs.iter().try_for_each(|(label, value)| {
        name("label", label)?;
        text("label's value", value)
    })
}

fn number(number: f64) -> Result<(), Failure> {
    if number.is_finite() {
        return Ok(());
    }
    Err(Failure::new("bounds", "a metric is a finite number"))
}

/// Bytes of an output, counted alike on both sides.
fn size(put: &Put) -> usize {
    let pairs = |pairs: &[(String, String)]| -> usize {
        pairs.iter().map(|(name, value)| name.len() + value.len() + 8).sum()
    };
    16 + match put {
        Put::Add { metric, labels, .. } | Put::Gauge { metric, labels, .. } => metric.len() + pairs(labels),
        Put::Histogram { metric, labels, buckets, .. } => metric.len() + pairs(labels) + buckets.len() * 28,
        Put::Report { code, title, fields, .. } => code.len() + title.len() + pairs(fields),
        Put::Artefact { name, media_type, bytes } => name.len() + media_type.len() + bytes.len(),
        Put::Log { message, .. } => message.len(),
    }
}

pub(super) fn labels(labels: Vec<Label>) -> Vec<(String, String)> {
    labels.into_iter().map(|label| (label.name, label.value)).collect()
}

/// The beginning of a text, whole characters of it, and a mark if there was more.
pub(super) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes.saturating_sub(3)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::limits::MESSAGE_BYTES;
    use crate::sandbox::wire::Claim;

    fn gauge(number: usize) -> Put {
        Put::Gauge { metric: "m".to_owned(), labels: vec![("n".to_owned(), number.to_string())], value: 1.0 }
    }

    #[test]
    fn what_a_call_may_put_out_is_what_the_host_believes() {
        let mut outputs = Outputs::default();
        let failed = (0..=OUTPUTS).find_map(|number| outputs.put(gauge(number)).err());
        assert_eq!(failed.unwrap().reason, "quota");
        assert_eq!(outputs.refused, 1);
        (0..LOG_LINES + 7).for_each(|_| outputs.log(Level::Info, &"é".repeat(TEXT_BYTES)));
        let mut puts = outputs.finish(true);
        assert_eq!(puts.len(), OUTPUTS + LOG_LINES + 1);
        assert!(within_quota(&puts));
        puts.push(gauge(0));
        assert!(!within_quota(&puts));
    }

    /// Else the process could not send it, and would end with the turns of all its plugins.
    #[test]
    fn the_largest_answer_fits_a_message() {
        let mut outputs = Outputs::default();
        // What is largest beside what is counted of it.
        for _ in 1..OUTPUTS {
            let (metric, sum) = ("m".to_owned(), 1.0);
            let put =
                Put::Histogram { metric, labels: Vec::new(), count: u64::MAX, sum, buckets: Vec::new() };
            outputs.put(put).unwrap();
        }
        let bytes = vec![0; OUTPUT_BYTES - outputs.bytes - 18];
        outputs.put(Put::Artefact { name: "a".to_owned(), media_type: "t".to_owned(), bytes }).unwrap();
        (0..=LOG_LINES).for_each(|_| outputs.log(Level::Info, &"l".repeat(TEXT_BYTES)));
        assert_eq!(outputs.bytes, OUTPUT_BYTES);
        let outputs = outputs.finish(true);
        assert!(within_quota(&outputs));
        let claim = Claim::Answered {
            plugin: u32::MAX,
            interval: u64::MAX,
            end: Ok(()),
            outputs,
            used: crate::sandbox::Used { processor_ns: u64::MAX, memory: u64::MAX, suppressed: u64::MAX },
        };
        assert!(postcard::to_stdvec(&claim).unwrap().len() <= MESSAGE_BYTES);
    }

    #[test]
    fn bytes_have_a_quota_too() {
        let chunk = |bytes: usize| Put::Artefact {
            name: "a".to_owned(),
            media_type: "text/plain".to_owned(),
            bytes: vec![0; bytes],
        };
        let mut outputs = Outputs::default();
        outputs.put(chunk(OUTPUT_BYTES / 2)).unwrap();
        outputs.put(chunk(OUTPUT_BYTES / 4)).unwrap();
        assert_eq!(outputs.put(chunk(OUTPUT_BYTES / 4)).unwrap_err().reason, "quota");
        let puts = outputs.finish(true);
        assert_eq!(puts, [chunk(OUTPUT_BYTES / 4 * 3)]);
        assert!(within_quota(&puts));
        assert!(!within_quota(&[chunk(OUTPUT_BYTES)]));
    }

    #[test]
    fn a_failed_call_keeps_its_log_only() {
        let mut outputs = Outputs::default();
        outputs.put(gauge(1)).unwrap();
        outputs.log(Level::Info, "so far");
        let log = Put::Log { level: Level::Info, message: "so far".to_owned() };
        assert_eq!(outputs.finish(false), [log]);
    }

    #[test]
    fn numbers_that_cannot_be_shown_are_refused() {
        let mut outputs = Outputs::default();
        for value in [f64::NAN, f64::INFINITY] {
            let put = Put::Gauge { metric: "m".to_owned(), labels: Vec::new(), value };
            assert_eq!(outputs.put(put).unwrap_err().reason, "bounds");
        }
        let put = Put::Add { metric: "m".to_owned(), labels: Vec::new(), delta: -1.0 };
        assert_eq!(outputs.put(put).unwrap_err().reason, "bounds");
    }
}
