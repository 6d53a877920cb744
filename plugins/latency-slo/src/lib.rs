//! A histogram of times against a threshold: what share of the values is below it, and where the quantiles are.
//!
//! | option | |
//! |---|---|
//! | `threshold` | what values are to be below, at first `10ms` |
//! | `objective` | the share of values that is to be below the threshold, at first 0.99 |
//! | `quantiles` | at first `0.5,0.9,0.99` |
//! | `measure` | the histogram; without it, each table's first one of times, such as `hist(elapsed)` |
//!
//! Each interval gives one report a table (code `latency-slo`, a warning if the objective is certainly missed) and the
//! gauges `slo_share_below_min`, `slo_share_below_max` and `slo_quantile_below` (in the histogram's unit, ns).
//!
//! Histograms count in buckets, so a quantile is known by the bucket that it is in, and is given as that bucket's
//! upper bound. A threshold inside a bucket leaves a range for the share below it: the truth lies between that bucket's
//! values all being above and all being below. Then a breach can be certain, possible or excluded. With a threshold that
//! is a bound, which the report names, it is always certain or excluded. Values that found no room for a bucket may be
//! above or below too.

#![forbid(unsafe_code)]

mod duration;
mod share;

use duration::Nanoseconds;
use share::{Share, Verdict, percent};
use weir_plugin::{
    Bucket, Column, Coverage, Histogram, Plugin, Result, Row, Severity, Table, brief, gauge, interval,
    options, report, tables,
};

/// How many of the keys that miss the threshold most often are named.
const WORST: usize = 3;
/// Of each of them: a stack can be longer than a field.
const KEY_BYTES: usize = 256;
/// Each quantile is a field of the report.
const QUANTILES: usize = 8;

#[derive(Default)]
struct LatencySlo {
    threshold: u64,
    objective: f64,
    quantiles: Vec<f64>,
    measure: Option<String>,
}

weir_plugin::export!(LatencySlo);

impl Plugin for LatencySlo {
    fn configure(&mut self) -> Result {
        let threshold = options::text("threshold")?;
        self.threshold = duration::parse(threshold.as_deref().unwrap_or("10ms"))
            .map_err(|what| options::wrong("threshold", what))?;
        self.objective = options::number("objective")?.unwrap_or(0.99);
        if !(self.objective > 0.0 && self.objective <= 1.0) {
            return Err(options::wrong("objective", "a share above 0 and up to 1 is needed, such as 0.99"));
        }
        let quantiles = options::text("quantiles")?;
        self.quantiles = parse_quantiles(quantiles.as_deref().unwrap_or("0.5,0.9,0.99"))
            .map_err(|what| options::wrong("quantiles", what))?;
        self.measure = options::text("measure")?;
        self.tables().map(drop)
    }

    fn analyze(&mut self) -> Result {
        self.tables()?.iter().try_for_each(|(table, measure)| self.judge(table, measure))
    }
}

impl LatencySlo {
    /// The tables that have a histogram to look at, and its name.
    fn tables(&self) -> Result<Vec<(Table, String)>> {
        let mut found = Vec::new();
        for table in tables()? {
            if let Some(measure) = self.measure(table.name(), table.columns())? {
                found.push((table, measure));
            }
        }
        match (&self.measure, found.is_empty()) {
            (_, false) => Ok(found),
            (Some(name), true) => {
                Err(options::wrong("measure", format_args!("no table has a histogram {name}")))
            }
            (None, true) => Err("no table has a histogram of times, such as hist(elapsed)")?,
        }
    }

    /// The histogram of a table, if it has the one that is asked for.
    fn measure(&self, table: &str, columns: &[Column]) -> Result<Option<String>> {
        let is_time = |column: &&Column| column.kind == "buckets" && column.unit == "ns";
        let Some(name) = &self.measure else {
            return Ok(columns.iter().find(is_time).map(|column| column.name.clone()));
        };
        match columns.iter().find(|column| column.name == *name) {
            None => Ok(None),
            Some(column) if is_time(&column) => Ok(Some(name.clone())),
            Some(_) => {
                let what =
                    format_args!("{name} of table {table} is no histogram of times, such as hist(elapsed)");
                Err(options::wrong("measure", what))
            }
        }
    }

    fn judge(&self, table: &Table, measure: &str) -> Result {
        let name = format!("{}.{measure}", table.name());
        let coverage = table.coverage()?;
        let histograms = table.column::<Histogram>(measure)?;
        let all = histograms.merged();
        let total = histograms.iter().map(|histogram| histogram.count()).sum();
        let share = Share::below(self.threshold, total, all.iter().copied());
        if share.total == 0 {
            let report = report(Severity::Info, "latency-slo", format!("{name}: no values in this interval"));
            return with_missing(report, coverage).send();
        }

        let labelled = |metric| gauge(metric).label("table", table.name()).label("measure", measure);
        let verdict = share.verdict(self.objective);
        let level = if verdict == Verdict::Breach { Severity::Warning } else { Severity::Info };
        let mut report = report(level, "latency-slo", self.title(&name, share))
            .field("verdict", verdict)
            .field("values", share.total)
            .field("below", share);
        if let Some((low, high)) = share.around {
            let bounds = match high {
                Some(high) => format!("{} or {}", Nanoseconds(low), Nanoseconds(high)),
                None => Nanoseconds(low).to_string(),
            };
            report = report.field("threshold", format!("is inside a bucket; exact would be {bounds}"));
        }
        for quantile in &self.quantiles {
            let bucket = share::quantile(&all, total, *quantile);
            report = report.field(&quantile_name(*quantile), upper(bucket));
            if let Some(high) = bucket.and_then(|bucket| bucket.high) {
                labelled("slo_quantile_below").label("quantile", quantile).set(high)?;
            }
        }
        let rows = table.rows().zip(histograms.iter());
        for (rank, worst) in (1..).zip(self.worst(rows)?) {
            report = report.field(&format!("worst {rank}"), worst);
        }
        with_missing(report, coverage).send()?;

        labelled("slo_share_below_min").set(share.least())?;
        labelled("slo_share_below_max").set(share.most())
    }

    fn title(&self, name: &str, share: Share) -> String {
        let threshold = Nanoseconds(self.threshold);
        let (objective, digits) = share::objective(self.objective);
        let (least, most) = (percent(share.least(), digits), percent(share.most(), digits));
        match share.verdict(self.objective) {
            Verdict::Met => {
                format!("{name}: at least {least} below {threshold}, as the objective of {objective} asks")
            }
            Verdict::Possible => format!(
                "{name}: between {least} and {most} below {threshold}; whether the objective of {objective} is met is not known"
            ),
            Verdict::Breach => {
                format!("{name}: at most {most} below {threshold}, and the objective is {objective}")
            }
        }
    }

    /// The keys with the most values that are not certainly below the threshold.
    fn worst<'a>(&self, rows: impl Iterator<Item = (Row, Histogram<'a>)>) -> Result<Vec<String>> {
        let mut worst: Vec<(Share, Row, Histogram<'a>)> = Vec::new();
        for (row, histogram) in rows {
            let share = Share::below(self.threshold, histogram.count(), histogram.buckets());
            let place = worst.partition_point(|(other, ..)| other.not_below() >= share.not_below());
            if share.not_below() > 0 && place < WORST && !row.is_overflow()? {
                worst.insert(place, (share, row, histogram));
                worst.truncate(WORST);
            }
        }
        let highest = self.quantiles.iter().copied().fold(0.0, f64::max);
        let line = |(share, row, histogram): (Share, Row, Histogram<'a>)| {
            let buckets: Vec<Bucket> = histogram.buckets().collect();
            let quantile = upper(share::quantile(&buckets, share.total, highest));
            let (name, total) = (quantile_name(highest), share.total);
            let key = row.key()?;
            Ok(format!("{share} of {total} below, {name} {quantile}: {}", brief(&key, KEY_BYTES)))
        };
        worst.into_iter().map(line).collect()
    }
}

/// Says of a report what its figures do not contain.
fn with_missing<'a>(mut report: weir_plugin::Report<'a>, coverage: Coverage) -> weir_plugin::Report<'a> {
    match coverage.missed {
        Some(0) => {}
        Some(missed) => {
            report = report.field("missed", format_args!("{missed} events were skipped by the kernel"))
        }
        None => report = report.field("missed", "this kernel does not tell"),
    }
    if coverage.overflow > 0 {
        let what =
            format_args!("{} of {} events are in no key's figures", coverage.overflow, coverage.events);
        report = report.field("overflow", what);
    }
    match interval::skipped() {
        0 => report,
        skipped => report.field("skipped", format_args!("{skipped} intervals before this one")),
    }
}

/// What is known of a value in this bucket.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are whole and not negative"
)]
fn upper(bucket: Option<Bucket>) -> String {
    match bucket {
        Some(Bucket { high: Some(high), .. }) => format!("below {}", Nanoseconds(high as u64)),
        Some(Bucket { low, high: None, .. }) => format!("{} or more", Nanoseconds(low as u64)),
        None => "not known, too many values found no bucket".to_owned(),
    }
}

/// `0.999` is `p99.9`.
fn quantile_name(quantile: f64) -> String {
    // Rounded, because 0.07 * 100 is not 7 in binary.
    format!("p{}", (quantile * 1e8).round() / 1e6)
}

fn parse_quantiles(list: &str) -> Result<Vec<f64>, String> {
    let parse = |item: &str| match item.trim().parse::<f64>() {
        Ok(quantile) if quantile > 0.0 && quantile < 1.0 => Ok(quantile),
        _ => Err(format!("{:?} is no number between 0 and 1, such as 0.99", item.trim())),
    };
    let quantiles = list.split(',').map(parse).collect::<Result<Vec<f64>, String>>()?;
    if quantiles.len() > QUANTILES {
        return Err(format!("{} are more than the {QUANTILES} that a report has room for", quantiles.len()));
    }
    Ok(quantiles)
}

#[cfg(test)]
mod tests;
