//! Attacks nothing: what the other programs here are compared with, run beside them and after them.
//!
//! Puts out each table's coverage as the gauges `events` and `overflow`, reads every column of table 0 whole, and adds
//! the number of its rows to the counter `rows`.

use weir_plugin::{Histogram, Plugin, Result, Text, counter, gauge, tables};

#[derive(Default)]
struct WellBehaved;

impl Plugin for WellBehaved {
    fn analyze(&mut self) -> Result {
        let tables = tables()?;
        for table in &tables {
            let coverage = table.coverage()?;
            gauge("events").label("table", table.name()).set(coverage.events as f64)?;
            gauge("overflow").label("table", table.name()).set(coverage.overflow as f64)?;
        }
        let table = tables.first().ok_or("there is no table")?;
        for column in table.columns() {
            let name = &column.name;
            let rows = match column.kind.as_str() {
                "u64" => table.column::<u64>(name)?.len(),
                "s64" => table.column::<i64>(name)?.len(),
                "f64" => table.column::<f64>(name)?.len(),
                "text" => table.column::<Text>(name)?.iter().len(),
                "buckets" => table.column::<Histogram>(name)?.iter().len(),
                other => Err(format!("column {name} is of an unknown kind, {other}"))?,
            };
            if rows != table.len() as usize {
                Err(format!("column {name} has {rows} rows, and the table {}", table.len()))?;
            }
        }
        counter("rows").add(f64::from(table.len()))
    }
}

weir_plugin::export!(WellBehaved);
