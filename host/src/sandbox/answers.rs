//! What a sandbox claims, checked and made into what sinks print.

use std::collections::HashMap;

use super::limits::{FAULT_BYTES, SERIES, SERIES_BYTES};
use super::outputs::{cut, within_quota};
use super::wire::{End, Fault, Level, Put, Reason};
use crate::event::{Label, MetricValue, Output, Severity};

/// The counters of one plugin: their totals, by name and labels.
pub(super) type Totals = HashMap<(String, Vec<(String, String)>), f64>;

/// A call's outputs; nothing if a sandbox that counted its quotas could not have sent this.
pub(super) fn believe(totals: &mut Totals, end: End, puts: Vec<Put>) -> Option<Vec<Output>> {
    let log_only = puts.iter().all(|put| matches!(put, Put::Log { .. }));
    if !within_quota(&puts) || (end.is_err() && !log_only) {
        return None;
    }
    let mut outputs = Vec::with_capacity(puts.len() + 1);
    let (series, bytes) = series(totals, &puts);
    if series > SERIES || bytes > SERIES_BYTES {
        let message = format!(
            "it has more than {SERIES} different counters, or more than {SERIES_BYTES} bytes of their names and \
             labels; give labels fewer values"
        );
        outputs.extend(
            puts.into_iter().filter(|put| matches!(put, Put::Log { .. })).map(|put| output(totals, put)),
        );
        outputs.push(fault(Reason::Output, message));
        return Some(outputs);
    }
    outputs.extend(puts.into_iter().map(|put| output(totals, put)));
    if let Err(Fault { reason, message }) = end {
        if message.len() > FAULT_BYTES || matches!(reason, Reason::Killed | Reason::Skipped) {
            return None;
        }
        outputs.push(fault(reason, message));
    }
    Some(outputs)
}

/// How many counters there would be with these, and how many bytes their names and labels would have.
fn series(totals: &Totals, puts: &[Put]) -> (usize, usize) {
    let new = puts.iter().filter_map(|put| match put {
        Put::Add { metric, labels, .. } => Some((metric.clone(), labels.clone())),
        _ => None,
    });
    let new: std::collections::HashSet<_> = new.filter(|series| !totals.contains_key(series)).collect();
    let bytes = |(metric, labels): &(String, Vec<(String, String)>)| {
        metric.len() + labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    };
    (totals.len() + new.len(), totals.keys().chain(&new).map(bytes).sum())
}

pub(super) fn fault(reason: Reason, message: impl AsRef<str>) -> Output {
    Output::Fault { reason: reason.name().to_owned(), message: cut(message.as_ref(), FAULT_BYTES) }
}

fn output(totals: &mut Totals, put: Put) -> Output {
    let labels = |pairs: Vec<(String, String)>| -> Vec<Label> {
        pairs.into_iter().map(|(name, value)| Label { name, value }).collect()
    };
    match put {
        Put::Add { metric, labels: pairs, delta } => {
            let total = totals.entry((metric.clone(), pairs.clone())).or_insert(0.0);
            *total += delta;
            let value = MetricValue::Counter { delta, total: *total };
            Output::Metric { name: metric, labels: labels(pairs), value }
        }
        Put::Gauge { metric, labels: pairs, value } => {
            Output::Metric { name: metric, labels: labels(pairs), value: MetricValue::Gauge(value) }
        }
        Put::Histogram { metric, labels: pairs, count, sum, buckets } => {
            let value = MetricValue::Histogram { count, sum, buckets };
            Output::Metric { name: metric, labels: labels(pairs), value }
        }
        Put::Report { level, code, title, fields } => {
            Output::Report { level: severity(level), code, title, fields: labels(fields) }
        }
        Put::Artefact { name, media_type, bytes } => Output::Artefact { name, media_type, bytes },
        Put::Log { level, message } => Output::Log { level: severity(level), message },
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Debug => Severity::Debug,
        Level::Info => Severity::Info,
        Level::Warning => Severity::Warning,
        Level::Critical => Severity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(number: usize) -> Put {
        let labels = vec![("n".to_owned(), number.to_string())];
        Put::Add { metric: "m".to_owned(), labels, delta: 2.0 }
    }

    #[test]
    fn counters_have_totals() {
        let mut totals = Totals::new();
        believe(&mut totals, Ok(()), vec![add(0), add(1)]).unwrap();
        let outputs = believe(&mut totals, Ok(()), vec![add(0)]).unwrap();
        assert!(matches!(
            outputs[..],
            [Output::Metric { value: MetricValue::Counter { delta: 2.0, total: 4.0 }, .. }]
        ));
    }

    #[test]
    fn labels_that_never_repeat_are_a_fault() {
        let mut totals = Totals::new();
        for batch in 0..SERIES / 5_000 {
            let puts = (0..5_000).map(|n| add(batch * 5_000 + n)).collect();
            assert_eq!(believe(&mut totals, Ok(()), puts).unwrap().len(), 5_000);
        }
        let outputs = believe(&mut totals, Ok(()), vec![add(SERIES)]).unwrap();
        assert!(matches!(&outputs[..], [Output::Fault { reason, .. }] if reason == "output"));
        assert_eq!(totals.len(), SERIES);
    }

    #[test]
    fn long_labels_that_never_repeat_are_a_fault() {
        let mut totals = Totals::new();
        let put = |number: usize| Put::Add {
            metric: "m".to_owned(),
            labels: vec![("n".to_owned(), format!("{number:04000}"))],
            delta: 1.0,
        };
        let faulty = (0..2_000).position(|number| {
            let outputs = believe(&mut totals, Ok(()), vec![put(number)]).unwrap();
            matches!(&outputs[..], [Output::Fault { reason, .. }] if reason == "output")
        });
        assert_eq!(faulty, Some(SERIES_BYTES / 4_002));
        assert_eq!(totals.len(), SERIES_BYTES / 4_002);
    }

    #[test]
    fn impossible_claims_are_not_believed() {
        let mut totals = Totals::new();
        let ended = |reason, message: &str| Err(Fault { reason, message: message.to_owned() });
        assert!(believe(&mut totals, ended(Reason::Trap, ""), vec![add(0)]).is_none());
        assert!(believe(&mut totals, ended(Reason::Killed, ""), Vec::new()).is_none());
        assert!(
            believe(&mut totals, ended(Reason::Trap, &"x".repeat(FAULT_BYTES + 1)), Vec::new()).is_none()
        );
        assert!(believe(&mut totals, Ok(()), vec![add(0); super::super::limits::OUTPUTS + 1]).is_none());
        assert!(totals.is_empty());
    }
}
