//! Typed looks into a snapshot's rows.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt64Type};

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
