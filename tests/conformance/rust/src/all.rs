//! A table, column by column.

use weir_plugin::{ColumnOf, Histogram, Kind, Result, Severity, Table, Text, interval, report};

use crate::fnv::Fnv;

/// Rows of a page.
const PAGE: u32 = 10_000;

pub(crate) fn tally(table: &Table) -> Result {
    let (began, coverage) = (interval::began(), table.coverage()?);
    let (number, is_last, skipped) = (interval::number(), interval::is_last(), interval::skipped());
    let at = format!("{number} {}.{:09} {is_last} {skipped}", began.as_secs(), began.subsec_nanos());
    let missed = coverage.missed.map_or_else(|| "none".to_owned(), |missed| missed.to_string());
    let mut report = report(Severity::Info, "tally", table.name())
        .field("interval", at)
        .field("rows", table.len())
        .field("coverage", format_args!("{} {} {missed}", coverage.events, coverage.overflow));
    for column in table.columns() {
        let told = match column.kind.as_str() {
            "u64" => unsigned(table, &column.name)?,
            "s64" => signed(table, &column.name)?,
            "f64" => floats(table, &column.name)?,
            "text" => texts(table, &column.name)?,
            "buckets" => buckets(table, &column.name)?,
            other => other.to_owned(),
        };
        report = report.field(&column.name, told);
    }
    report.field("raw", raw(table)?).send()
}

/// The first rows of all pages, each with how many rows it has.
fn pages(table: &Table) -> impl Iterator<Item = (u32, u32)> {
    let rows = table.len();
    (0..rows).step_by(PAGE as usize).map(move |first| (first, PAGE.min(rows - first)))
}

/// Goes through a column, page by page.
fn each<K: Kind>(table: &Table, column: &str, mut page: impl FnMut(u32, ColumnOf<K>)) -> Result {
    for (first, count) in pages(table) {
        page(first, table.page::<K>(column, first, count)?);
    }
    Ok(())
}

fn unsigned(table: &Table, column: &str) -> Result<String> {
    let (mut sum, mut most) = (0u64, 0);
    each::<u64>(table, column, |_, values| {
        sum = values.iter().fold(sum, |sum, value| sum.wrapping_add(*value));
        most = values.iter().fold(most, |most, value| most.max(*value));
    })?;
    Ok(format!("{sum} {most}"))
}

fn signed(table: &Table, column: &str) -> Result<String> {
    let (mut sum, mut least) = (0i64, None);
    each::<i64>(table, column, |_, values| {
        sum = values.iter().fold(sum, |sum, value| sum.wrapping_add(*value));
        least = values.iter().copied().chain(least).min();
    })?;
    Ok(format!("{sum} {}", least.unwrap_or(0)))
}

fn floats(table: &Table, column: &str) -> Result<String> {
    let mut sum = 0.0f64;
    each::<f64>(table, column, |_, values| {
        sum = values.iter().filter(|value| value.is_finite()).fold(sum, |sum, value| sum + value);
    })?;
    Ok(format!("{:016x}", sum.to_bits()))
}

fn texts(table: &Table, column: &str) -> Result<String> {
    let mut fnv = Fnv::new();
    each::<Text>(table, column, |_, texts| {
        for text in texts.iter() {
            fnv.add(text.as_bytes());
            fnv.add(&[0xff]);
        }
    })?;
    Ok(fnv.to_string())
}

fn buckets(table: &Table, column: &str) -> Result<String> {
    let (mut entries, mut counts, mut totals, mut fnv) = (0u64, 0u64, 0u64, Fnv::new());
    each::<Histogram>(table, column, |first, histograms| {
        for (row, histogram) in (first..).zip(histograms.iter()) {
            totals = totals.wrapping_add(histogram.count());
            for bucket in histogram.buckets() {
                entries += 1;
                counts = counts.wrapping_add(bucket.count);
                fnv.add(&row.to_le_bytes());
                fnv.add(&bucket.low.to_bits().to_le_bytes());
                fnv.add(&bucket.count.to_le_bytes());
            }
        }
    })?;
    Ok(format!("{entries} {counts} {totals} {fnv}"))
}

/// The bytes of the first column that adds up.
fn raw(table: &Table) -> Result<String> {
    let mut fnv = Fnv::new();
    let mut columns = table.columns().iter();
    let adds_up =
        columns.find(|column| column.kind == "u64" && matches!(column.role.as_str(), "count" | "sum"));
    if let Some(column) = adds_up {
        for (first, count) in pages(table) {
            fnv.add(&table.raw(&column.name, first, count)?);
        }
    }
    Ok(fnv.to_string())
}
