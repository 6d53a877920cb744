//! Typed looks into a snapshot's rows.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt32Type, UInt64Type};

/// The numbers of a column, whichever integer type it has.
#[must_use]
pub fn numbers(rows: &RecordBatch, column: &str) -> Vec<i128> {
    integers(rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}")))
}

fn integers(column: &dyn Array) -> Vec<i128> {
    match column.as_primitive_opt::<UInt64Type>() {
        Some(column) => column.values().iter().map(|value| (*value).into()).collect(),
        None => column.as_primitive::<Int64Type>().values().iter().map(|value| (*value).into()).collect(),
    }
}

/// A field of a column that is a structure, such as an average's `sum`.
#[must_use]
pub fn field(rows: &RecordBatch, column: &str, field: &str) -> Vec<i128> {
    let column = rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    integers(column.as_struct().column_by_name(field).unwrap_or_else(|| panic!("no field {field}")))
}

/// The buckets of each row of a histogram: its lower bound and its count.
#[must_use]
pub fn buckets(rows: &RecordBatch, column: &str) -> Vec<Vec<(i128, i128)>> {
    let column = rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    let lists =
        column.as_struct().column_by_name("buckets").expect("a histogram has buckets").as_list::<i32>();
    lists
        .iter()
        .map(|entries| {
            let entries = entries.expect("no row lacks its list");
            let entries = entries.as_struct();
            integers(entries.column(0)).into_iter().zip(integers(entries.column(2))).collect()
        })
        .collect()
}

/// Which rows are the overflow row.
#[must_use]
pub fn overflows(rows: &RecordBatch) -> Vec<bool> {
    rows.column_by_name("overflow")
        .expect("every snapshot has it")
        .as_boolean()
        .iter()
        .map(|o| o == Some(true))
        .collect()
}

/// Adds a column up by key, the overflow row left out; fails if a key comes twice.
pub fn add_by_key(into: &mut BTreeMap<i128, i128>, rows: &RecordBatch, key: &str, value: &str) {
    let mut seen = std::collections::BTreeSet::new();
    let overflows = overflows(rows);
    for ((key, value), overflow) in numbers(rows, key).into_iter().zip(numbers(rows, value)).zip(overflows) {
        if !overflow {
            assert!(seen.insert(key), "two rows of one snapshot have the key {key}");
            *into.entry(key).or_default() += value;
        }
    }
}

/// The texts of a column; nothing where it is null.
#[must_use]
pub fn texts(rows: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    let column = column.as_dictionary::<UInt32Type>();
    let values = column.values().as_string::<i32>();
    column.keys().iter().map(|code| code.map(|code| values.value(code as usize).to_owned())).collect()
}

/// As [`numbers`], nothing where the column is null.
#[must_use]
pub fn maybe_numbers(rows: &RecordBatch, column: &str) -> Vec<Option<i128>> {
    maybe_integers(rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}")))
}

/// As [`field`], nothing where the field is null.
#[must_use]
pub fn maybe_field(rows: &RecordBatch, column: &str, field: &str) -> Vec<Option<i128>> {
    let column = rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    maybe_integers(column.as_struct().column_by_name(field).unwrap_or_else(|| panic!("no field {field}")))
}

fn maybe_integers(column: &dyn Array) -> Vec<Option<i128>> {
    integers(column)
        .into_iter()
        .enumerate()
        .map(|(row, number)| column.is_valid(row).then_some(number))
        .collect()
}

/// The rows' texts of one column, with the numbers of another.
#[must_use]
pub fn by_text(rows: &RecordBatch, text: &str, number: &str) -> BTreeMap<Option<String>, i128> {
    let mut found = BTreeMap::new();
    for (text, number) in texts(rows, text).into_iter().zip(numbers(rows, number)) {
        assert!(found.insert(text.clone(), number).is_none(), "two rows have the key {text:?}");
    }
    found
}

/// The buckets of each row of a histogram: both bounds, the upper one if there is one, and the count.
#[must_use]
pub fn bounds(rows: &RecordBatch, column: &str) -> Vec<Vec<(i128, Option<i128>, i128)>> {
    let column = rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    let lists =
        column.as_struct().column_by_name("buckets").expect("a histogram has buckets").as_list::<i32>();
    let row = |entries: arrow::array::ArrayRef| {
        let entries = entries.as_struct();
        let (low, high) = (integers(entries.column(0)), maybe_integers(entries.column(1)));
        low.into_iter().zip(high).zip(integers(entries.column(2))).map(|((l, h), n)| (l, h, n)).collect()
    };
    lists.iter().map(|entries| row(entries.expect("no row lacks its list"))).collect()
}
