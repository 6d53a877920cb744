//! Tables, read by pages of whole columns. A page shares the column's memory until it is copied into the guest.

use arrow::buffer::ScalarBuffer;
use arrow::datatypes::ArrowNativeType;
use wasmtime::component::LinkerInstance;

use super::{function, long_function};
use crate::sandbox::call::Call;
use crate::sandbox::limits::READ_BYTES;
use crate::sandbox::view::{Buckets, Data, Table, Text};
use crate::sandbox::wit::{self, Failure, List, Texts};
use crate::sandbox::work::Refusal;

/// Which rows of which column.
type Page = (u32, u32, u32, u32);

pub(super) fn tables(tables: &mut LinkerInstance<'_, Call>) -> wasmtime::Result<()> {
    function(tables, "names", |call, ()| (call.given.table_names.clone(),))?;
    function(tables, "columns", |call, (table,): (u32,)| (call.table(table).map(|table| columns(&table)),))?;
    #[expect(clippy::cast_possible_truncation, reason = "no table has more rows")]
    function(tables, "rows", |call, (table,): (u32,)| (call.table(table).map(|table| table.rows as u32),))?;
    function(tables, "covered", |call, (table,): (u32,)| (call.table(table).map(|table| table.coverage),))?;
    long_function(tables, "read-u64", |call, page: Page| {
        read(call, page, |data| match data {
            Data::U64(values) => Some(values),
            _ => None,
        })
    })?;
    long_function(tables, "read-s64", |call, page: Page| {
        read(call, page, |data| match data {
            Data::S64(values) => Some(values),
            _ => None,
        })
    })?;
    long_function(tables, "read-f64", |call, page: Page| {
        read(call, page, |data| match data {
            Data::F64(values) => Some(values),
            Data::Average(average) => Some(average.means()),
            _ => None,
        })
    })?;
    long_function(tables, "read-raw", read_raw)?;
    long_function(tables, "read-texts", read_texts)?;
    long_function(tables, "read-buckets", read_buckets)
}

fn columns(table: &Table) -> Vec<wit::Column> {
    let column = |column: &crate::sandbox::view::Column| wit::Column {
        name: column.name.clone(),
        role: column.role.clone(),
        kind: column.kind.name().to_owned(),
        unit: column.unit.clone(),
    };
    table.columns.iter().map(column).collect()
}

/// The page's place in the column, if the table has it.
fn place(table: &Table, first: u32, count: u32) -> Result<(usize, usize), Failure> {
    let (first, count) = (first as usize, count as usize);
    if first + count > table.rows {
        let message = format!("rows {first} to {} of a table of {}", first + count, table.rows);
        return Err(Failure::new("bounds", message));
    }
    Ok((first, count))
}

fn few(bytes: usize) -> Result<(), Failure> {
    if bytes > READ_BYTES {
        return Err(Failure::new(
            "too-large",
            format!("a page has no more than {READ_BYTES} bytes; read fewer rows"),
        ));
    }
    Ok(())
}

fn wrong_kind(table: &Table, column: u32) -> Failure {
    let kind = table.column(column).map_or("unknown", |column| column.kind.name());
    Failure::new("kind", format!("column {column} is of kind {kind}"))
}

fn read<T: ArrowNativeType>(
    call: &mut Call,
    (table, column, first, count): Page,
    values: fn(&Data) -> Option<&ScalarBuffer<T>>,
) -> Result<List<T>, Refusal> {
    let table = call.table(table)?;
    let values = values(call.work.data(&table, column)?).ok_or_else(|| wrong_kind(&table, column))?;
    let (first, count) = place(&table, first, count)?;
    few(count * size_of::<T>())?;
    Ok(List::page(values, first, count))
}

fn read_raw(call: &mut Call, (number, column, first, count): Page) -> Result<List<u8>, Refusal> {
    let table = call.table(number)?;
    let buffer = match call.work.data(&table, column)? {
        Data::U64(values) => values.inner(),
        Data::S64(values) => values.inner(),
        Data::F64(values) => values.inner(),
        Data::Average(average) => average.means().inner(),
        // The same codes as `read-texts` gives for the page.
        Data::Text(_) => {
            let texts = read_texts(call, (number, column, first, count))?;
            return Ok(texts.codes.0.into_inner().into());
        }
        Data::Buckets(_) => return Err(wrong_kind(&table, column).into()),
    };
    let (first, count) = place(&table, first, count)?;
    few(count * 8)?;
    Ok(buffer.slice_with_length(first * 8, count * 8).into())
}

fn read_texts(call: &mut Call, (table, column, first, count): Page) -> Result<Texts, Refusal> {
    let table = call.table(table)?;
    let data = call.work.data(&table, column)?;
    let Data::Text(text) = data else { return Err(wrong_kind(&table, column).into()) };
    let (first, count) = place(&table, first, count)?;
    few(count * 4)?;
    // A few rows of a large table need few of its words.
    let texts =
        if count < text.words.len() { compact(text, first, count)? } else { whole(text, first, count) };
    few(count * 4 + texts.offsets.0.len() * 4 + texts.bytes.0.len())?;
    Ok(texts)
}

fn whole(text: &Text, first: usize, count: usize) -> Texts {
    Texts {
        codes: List::page(&text.codes, first, count),
        offsets: List(text.words.offsets.clone()),
        bytes: text.words.bytes.clone().into(),
    }
}

/// Only the words that the page has, numbered anew.
fn compact(text: &Text, first: usize, count: usize) -> Result<Texts, Failure> {
    let mut numbers = std::collections::HashMap::new();
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    let mut codes = Vec::with_capacity(count);
    for code in &text.codes[first..first + count] {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        let number = *numbers.entry(*code).or_insert(next);
        if number == next {
            bytes.extend_from_slice(text.words.get(*code));
            few(bytes.len())?;
            offsets.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        codes.push(number);
    }
    Ok(Texts { codes: codes.into(), offsets: offsets.into(), bytes: bytes.into() })
}

fn read_buckets(call: &mut Call, (table, column, first, count): Page) -> Result<wit::Buckets, Refusal> {
    let table = call.table(table)?;
    let data = call.work.data(&table, column)?;
    let Data::Buckets(buckets) = data else { return Err(wrong_kind(&table, column).into()) };
    let (first, count) = place(&table, first, count)?;
    Ok(page(buckets, first, count)?)
}

fn page(buckets: &Buckets, first: usize, count: usize) -> Result<wit::Buckets, Failure> {
    let offsets = &buckets.offsets[first..=first + count];
    let (begin, end) = (offsets[0] as usize, offsets[count] as usize);
    few(count * 20 + (end - begin) * 12 + buckets.lower.len() * 8)?;
    Ok(wit::Buckets {
        lower: List(buckets.lower.clone()),
        offsets: offsets.iter().map(|offset| offset - offsets[0]).collect::<Vec<_>>().into(),
        bucket: List::page(&buckets.bucket, begin, end - begin),
        counts: List::page(&buckets.entries, begin, end - begin),
        totals: List::page(&buckets.counts, first, count),
        sums: (first..first + count).map(|row| buckets.sums.get(row)).collect::<Vec<_>>().into(),
    })
}
