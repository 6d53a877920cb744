//! What a plugin is told, what it puts out, and what it keeps.

use wasmtime::component::LinkerInstance;

use super::{function, long_function};
use crate::sandbox::call::Call;
use crate::sandbox::outputs::labels;
use crate::sandbox::view::Data;
use crate::sandbox::wire::{Level, OptionOrder, Put};
use crate::sandbox::wit::{Failure, Instant, Label, Severity};

type Instance<'a> = LinkerInstance<'a, Call>;

pub(super) fn interval(interval: &mut Instance<'_>) -> wasmtime::Result<()> {
    function(interval, "number", |call, ()| (call.interval.number,))?;
    function(interval, "began", |call, ()| {
        (Instant { seconds: call.interval.began_seconds, nanoseconds: call.interval.began_nanoseconds },)
    })?;
    function(interval, "length", |call, ()| {
        (std::time::Duration::from_nanos(call.interval.length_ns).as_secs_f64(),)
    })?;
    function(interval, "skipped", |call, ()| (call.skipped,))?;
    function(interval, "is-last", |call, ()| (call.interval.last,))
}

pub(super) fn output(output: &mut Instance<'_>) -> wasmtime::Result<()> {
    function(output, "add", |call, (metric, names, delta): (String, Vec<Label>, f64)| {
        (call.outputs.put(Put::Add { metric, labels: labels(names), delta }),)
    })?;
    function(output, "gauge", |call, (metric, names, value): (String, Vec<Label>, f64)| {
        (call.outputs.put(Put::Gauge { metric, labels: labels(names), value }),)
    })?;
    long_function(
        output,
        "histogram",
        |call, (metric, names, table, row, column): (String, Vec<Label>, u32, u32, u32)| {
            let table = call.table(table)?;
            let put = histogram(metric, labels(names), call.work.data(&table, column)?, row)?;
            Ok(call.outputs.put(put)?)
        },
    )?;
    function(
        output,
        "report",
        |call, (level, code, title, fields): (Severity, String, String, Vec<Label>)| {
            (call.outputs.put(Put::Report { level: grade(level), code, title, fields: labels(fields) }),)
        },
    )?;
    function(output, "artefact", |call, (name, media_type, bytes): (String, String, Vec<u8>)| {
        (call.outputs.put(Put::Artefact { name, media_type, bytes }),)
    })?;
    function(output, "log", |call, (level, message): (Severity, String)| {
        call.outputs.log(grade(level), &message);
    })
}

/// One row's histogram, as a metric.
fn histogram(metric: String, labels: Vec<(String, String)>, data: &Data, row: u32) -> Result<Put, Failure> {
    let Data::Buckets(buckets) = data else {
        return Err(Failure::new("kind", "only a column of kind buckets is a histogram"));
    };
    let row = row as usize;
    if row >= buckets.counts.len() {
        return Err(Failure::new("bounds", format!("the table has {} rows", buckets.counts.len())));
    }
    let entry = |(bucket, count): (u32, u64)| (buckets.lower[bucket as usize], buckets.upper(bucket), count);
    Ok(Put::Histogram {
        metric,
        labels,
        count: buckets.counts[row],
        sum: buckets.sums.get(row),
        buckets: buckets.row(row).map(entry).collect(),
    })
}

fn grade(level: Severity) -> Level {
    match level {
        Severity::Debug => Level::Debug,
        Severity::Info => Level::Info,
        Severity::Warning => Level::Warning,
        Severity::Critical => Level::Critical,
    }
}

pub(super) fn state(state: &mut Instance<'_>) -> wasmtime::Result<()> {
    function(state, "load", |call, (key,): (String,)| (call.state.load(&key),))?;
    function(state, "store", |call, (key, value): (String, Vec<u8>)| (call.state.store(key, value),))?;
    function(state, "remove", |call, (key,): (String,)| call.state.remove(&key))
}

/// An option of another type is not there, except that an integer is a number too.
pub(super) fn options(options: &mut Instance<'_>) -> wasmtime::Result<()> {
    function(options, "text", |call, (name,): (String,)| {
        (match call.given.options.get(&name) {
            Some(OptionOrder::Text(text)) => Some(text.clone()),
            _ => None,
        },)
    })?;
    function(options, "integer", |call, (name,): (String,)| {
        (match call.given.options.get(&name) {
            Some(OptionOrder::Integer(integer)) => Some(*integer),
            _ => None,
        },)
    })?;
    #[expect(clippy::cast_precision_loss, reason = "the plugin asked for a float")]
    function(options, "number", |call, (name,): (String,)| {
        (match call.given.options.get(&name) {
            Some(OptionOrder::Number(number)) => Some(*number),
            Some(OptionOrder::Integer(integer)) => Some(*integer as f64),
            _ => None,
        },)
    })?;
    function(options, "flag", |call, (name,): (String,)| {
        (match call.given.options.get(&name) {
            Some(OptionOrder::Flag(flag)) => Some(*flag),
            _ => None,
        },)
    })
}
