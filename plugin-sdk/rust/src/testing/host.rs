//! The functions of the interface, answered by the test's [`Host`](super::Host). They are what `wit-bindgen` makes of
//! `weir.wit`, name for name.

use super::{Call, Setting};
use crate::Failure;
use crate::bindings::weir::plugin::types;

type Answer<T> = Result<T, types::Failure>;

/// Answers a call that can be refused.
fn answer<T>(f: impl FnOnce(&mut Call) -> crate::Result<T>) -> Answer<T> {
    Call::with(f).map_err(Failure::into_host)
}

pub(crate) mod interval {
    use super::Call;
    use crate::bindings::weir::plugin::types::Instant;

    pub(crate) fn number() -> u64 {
        Call::with(|call| call.interval.number)
    }

    pub(crate) fn began() -> Instant {
        let began = Call::with(|call| call.interval.began);
        Instant { seconds: began.as_secs(), nanoseconds: began.subsec_nanos() }
    }

    pub(crate) fn length() -> f64 {
        Call::with(|call| call.interval.length.as_secs_f64())
    }

    pub(crate) fn skipped() -> u32 {
        Call::with(|call| call.interval.skipped)
    }

    pub(crate) fn is_last() -> bool {
        Call::with(|call| call.interval.last)
    }
}

pub(crate) mod tables {
    use std::collections::HashMap;

    use super::super::table::{Cells, Column as Cell, Table};
    use super::{Answer, Call, answer};
    use crate::bindings::weir::plugin::types::{Buckets, Texts};
    use crate::{Column, Coverage, Failure, Result};

    /// The largest page.
    const READ_BYTES: usize = 16 << 20;

    pub(crate) fn names() -> Vec<String> {
        Call::with(|call| call.granted.clone())
    }

    pub(crate) fn columns(table: u32) -> Answer<Vec<Column>> {
        let column = |column: &Cell| Column {
            name: column.name.clone(),
            role: column.role.clone(),
            kind: column.cells.kind().to_owned(),
            unit: column.unit.clone(),
        };
        answer(|call| Ok(call.table(table)?.columns.iter().map(column).collect()))
    }

    pub(crate) fn rows(table: u32) -> Answer<u32> {
        answer(|call| Ok(call.table(table)?.rows() as u32))
    }

    pub(crate) fn covered(table: u32) -> Answer<Coverage> {
        answer(|call| Ok(call.table(table)?.coverage))
    }

    pub(crate) fn read_u64(table: u32, column: u32, first: u32, count: u32) -> Answer<Vec<u64>> {
        page(table, column, first, count, |cells, rows| match cells {
            Cells::Unsigned(values) => Some(few(rows.len() * 8).map(|()| values[rows].to_vec())),
            _ => None,
        })
    }

    pub(crate) fn read_s64(table: u32, column: u32, first: u32, count: u32) -> Answer<Vec<i64>> {
        page(table, column, first, count, |cells, rows| match cells {
            Cells::Signed(values) => Some(few(rows.len() * 8).map(|()| values[rows].to_vec())),
            _ => None,
        })
    }

    pub(crate) fn read_f64(table: u32, column: u32, first: u32, count: u32) -> Answer<Vec<f64>> {
        page(table, column, first, count, |cells, rows| match cells {
            Cells::Float(_) | Cells::Average(_) => {
                Some(few(rows.len() * 8).map(|()| cells.floats().unwrap_or_default()[rows].to_vec()))
            }
            _ => None,
        })
    }

    pub(crate) fn read_raw(table: u32, column: u32, first: u32, count: u32) -> Answer<Vec<u8>> {
        page(table, column, first, count, |cells, rows| {
            Some(few(rows.len() * 8).and_then(|()| match cells {
                Cells::Unsigned(values) => Ok(values[rows].iter().flat_map(|v| v.to_le_bytes()).collect()),
                Cells::Signed(values) => Ok(values[rows].iter().flat_map(|v| v.to_le_bytes()).collect()),
                Cells::Text(texts) => {
                    Ok(dictionary(&texts[rows])?.codes.iter().flat_map(|v| v.to_le_bytes()).collect())
                }
                Cells::Float(_) | Cells::Average(_) => {
                    let values = cells.floats().unwrap_or_default();
                    Ok(values[rows].iter().flat_map(|v| v.to_le_bytes()).collect())
                }
                Cells::Histogram(_) => Err(Failure::new("kind", "buckets have no bytes")),
            }))
        })
    }

    pub(crate) fn read_texts(table: u32, column: u32, first: u32, count: u32) -> Answer<Texts> {
        page(table, column, first, count, |cells, rows| match cells {
            Cells::Text(texts) => Some(dictionary(&texts[rows])),
            _ => None,
        })
    }

    pub(crate) fn read_buckets(table: u32, column: u32, first: u32, count: u32) -> Answer<Buckets> {
        page(table, column, first, count, |cells, rows| match cells {
            Cells::Histogram(histograms) => Some(sparse(histograms, rows)),
            _ => None,
        })
    }

    fn page<T>(
        table: u32,
        column: u32,
        first: u32,
        count: u32,
        read: impl FnOnce(&Cells, std::ops::Range<usize>) -> Option<Result<T>>,
    ) -> Answer<T> {
        answer(|call| {
            let table: &Table = &*call.table(table)?;
            let cells = &table.find(column)?.cells;
            let rows = first as usize..first as usize + count as usize;
            if rows.end > table.rows() {
                let message = format!("rows {} to {} of a table of {}", rows.start, rows.end, table.rows());
                return Err(Failure::new("bounds", message));
            }
            let kind = || Failure::new("kind", format!("column {column} is of kind {}", cells.kind()));
            read(cells, rows).ok_or_else(kind)?
        })
    }

    fn few(bytes: usize) -> Result {
        if bytes <= READ_BYTES {
            return Ok(());
        }
        let message = format!("a page has no more than {READ_BYTES} bytes; read fewer rows");
        Err(Failure::new("too-large", message))
    }

    fn dictionary(texts: &[Vec<u8>]) -> Result<Texts> {
        let (mut numbers, mut offsets, mut bytes) = (HashMap::new(), vec![0], Vec::new());
        let mut codes = Vec::new();
        for text in texts {
            let next = numbers.len() as u32;
            let number = *numbers.entry(text).or_insert(next);
            if number == next {
                bytes.extend(text);
                offsets.push(bytes.len() as u32);
            }
            codes.push(number);
        }
        few(codes.len() * 4 + offsets.len() * 4 + bytes.len())?;
        Ok(Texts { codes, offsets, bytes })
    }

    /// The bounds are those of the whole column, in order.
    fn sparse(histograms: &[crate::Buckets], rows: std::ops::Range<usize>) -> Result<Buckets> {
        let buckets = histograms.iter().flat_map(|histogram| histogram.iter());
        let mut lower: Vec<f64> =
            buckets.flat_map(|bucket| [Some(bucket.low), bucket.high]).flatten().collect();
        lower.sort_by(f64::total_cmp);
        lower.dedup();
        let mut page = Buckets {
            lower,
            offsets: vec![0],
            bucket: Vec::new(),
            counts: Vec::new(),
            sums: Vec::new(),
            totals: Vec::new(),
        };
        for histogram in &histograms[rows] {
            for bucket in histogram.iter() {
                page.bucket.push(page.lower.partition_point(|low| *low < bucket.low) as u32);
                page.counts.push(bucket.count);
            }
            page.offsets.push(page.bucket.len() as u32);
            page.sums.push(histogram.sum());
            page.totals.push(histogram.count());
        }
        few(page.lower.len() * 8 + page.offsets.len() * 20 + page.bucket.len() * 12)?;
        Ok(page)
    }
}

pub(crate) mod questions {
    use std::rc::Rc;

    use super::super::table::Table;
    use super::{Answer, Call, answer};
    use crate::bindings::weir::plugin::questions::{Aggregate, Condition};
    use crate::{Failure, Result};

    /// Answers of one call.
    const DERIVED_TABLES: usize = 256;

    pub(crate) fn filter(table: u32, every: &[Condition]) -> Answer<u32> {
        derive(table, |table| table.filter(every))
    }

    pub(crate) fn group(table: u32, by: &[u32], show: &[Aggregate]) -> Answer<u32> {
        derive(table, |table| table.group(by, show))
    }

    pub(crate) fn sort(table: u32, by: u32, descending: bool, limit: u32) -> Answer<u32> {
        derive(table, |table| table.sort(by, descending, limit))
    }

    fn derive(table: u32, ask: impl FnOnce(&Table) -> Result<Table>) -> Answer<u32> {
        answer(|call: &mut Call| {
            let derived = ask(&*call.table(table)?)?;
            if call.tables.len() - call.granted.len() >= DERIVED_TABLES {
                let message = format!("a call derives no more than {DERIVED_TABLES} tables");
                return Err(Failure::new("quota", message));
            }
            call.tables.push(Rc::new(derived));
            Ok(call.tables.len() as u32 - 1)
        })
    }
}

pub(crate) mod output {
    use super::super::said::Value;
    use super::super::table::Cells;
    use super::{Answer, Call, answer};
    use crate::bindings::weir::plugin::types::Label;
    use crate::{Failure, Severity};

    pub(crate) fn add(metric: &str, labels: &[Label], delta: f64) -> Answer<()> {
        answer(|call| call.said.metric(metric, labels, Value::Added(delta)))
    }

    pub(crate) fn gauge(metric: &str, labels: &[Label], value: f64) -> Answer<()> {
        answer(|call| call.said.metric(metric, labels, Value::Set(value)))
    }

    pub(crate) fn histogram(metric: &str, labels: &[Label], table: u32, row: u32, column: u32) -> Answer<()> {
        answer(|call| {
            let table = call.table(table)?;
            let Cells::Histogram(rows) = &table.find(column)?.cells else {
                return Err(Failure::new("kind", "only a column of kind buckets is a histogram"));
            };
            let bounds = || Failure::new("bounds", format!("the table has {} rows", rows.len()));
            let row = rows.get(row as usize).ok_or_else(bounds)?;
            let (count, sum, buckets) = (row.count(), row.sum(), row.to_vec());
            call.said.metric(metric, labels, Value::Histogram { count, sum, buckets })
        })
    }

    pub(crate) fn report(level: Severity, code: &str, title: &str, fields: &[Label]) -> Answer<()> {
        answer(|call| call.said.report(level, code, title, fields))
    }

    pub(crate) fn artefact(name: &str, media_type: &str, chunk: &[u8]) -> Answer<()> {
        answer(|call| call.said.append(name, media_type, chunk))
    }

    pub(crate) fn log(level: Severity, message: &str) {
        Call::with(|call| call.log.push((level, message.to_owned())));
    }
}

pub(crate) mod state {
    use super::{Answer, Call, answer};
    use crate::Failure;

    const STATE_BYTES: usize = 64 << 10;
    const STATE_KEYS: usize = 1_024;
    const KEY_BYTES: usize = 256;

    pub(crate) fn load(key: &str) -> Option<Vec<u8>> {
        Call::with(|call| call.state.get(key).cloned())
    }

    pub(crate) fn store(key: &str, value: &[u8]) -> Answer<()> {
        answer(|call| {
            if key.len() > KEY_BYTES {
                return Err(Failure::new("too-large", format!("a key has no more than {KEY_BYTES} bytes")));
            }
            let others = call.state.iter().filter(|(other, _)| *other != key);
            let (keys, bytes) = others.fold((1, key.len() + value.len()), |(keys, bytes), (key, value)| {
                (keys + 1, bytes + key.len() + value.len())
            });
            if keys > STATE_KEYS || bytes > STATE_BYTES {
                let message = format!("the state has no more than {STATE_BYTES} bytes and {STATE_KEYS} keys");
                return Err(Failure::new("too-large", message));
            }
            call.state.insert(key.to_owned(), value.to_vec());
            Ok(())
        })
    }

    pub(crate) fn remove(key: &str) {
        Call::with(|call| call.state.remove(key));
    }
}

pub(crate) mod options {
    use super::{Call, Setting};

    fn get<T>(name: &str, of: impl FnOnce(&Setting) -> Option<T>) -> Option<T> {
        Call::with(|call| call.options.get(name).and_then(of))
    }

    pub(crate) fn text(name: &str) -> Option<String> {
        get(name, |setting| match setting {
            Setting::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    pub(crate) fn integer(name: &str) -> Option<i64> {
        get(name, |setting| match setting {
            Setting::Integer(integer) => Some(*integer),
            _ => None,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "the plugin asked for a float")]
    pub(crate) fn number(name: &str) -> Option<f64> {
        get(name, |setting| match setting {
            Setting::Number(number) => Some(*number),
            Setting::Integer(integer) => Some(*integer as f64),
            _ => None,
        })
    }

    pub(crate) fn flag(name: &str) -> Option<bool> {
        get(name, |setting| match setting {
            Setting::Flag(flag) => Some(*flag),
            _ => None,
        })
    }
}
