//! Attacks nothing: what every other program here is compared with, run beside them and after them.
//!
//! Echoes each table's coverage as gauges, reads every column of table 0, and counts its rows.

use weir_plugin::bindings::weir::plugin::types::Label;
use weir_plugin::bindings::weir::plugin::{output, tables};
use weir_plugin::{Failure, Plugin, Result};

#[derive(Default)]
struct WellBehaved;

fn refused(failure: weir_plugin::bindings::weir::plugin::types::Failure) -> Failure {
    Failure::new(failure.reason, failure.message)
}

impl Plugin for WellBehaved {
    fn analyze(&mut self) -> Result {
        for (number, name) in (0..).zip(tables::names()) {
            let labels = [Label { name: "table".to_owned(), value: name }];
            let coverage = tables::covered(number).map_err(refused)?;
            output::gauge("events", &labels, coverage.events as f64).map_err(refused)?;
            output::gauge("overflow", &labels, coverage.overflow as f64).map_err(refused)?;
        }
        let rows = tables::rows(0).map_err(refused)?;
        for (index, column) in (0..).zip(tables::columns(0).map_err(refused)?) {
            match column.kind.as_str() {
                "u64" => drop(tables::read_u64(0, index, 0, rows).map_err(refused)?),
                "s64" => drop(tables::read_s64(0, index, 0, rows).map_err(refused)?),
                "f64" => drop(tables::read_f64(0, index, 0, rows).map_err(refused)?),
                "text" => drop(tables::read_texts(0, index, 0, rows).map_err(refused)?),
                "buckets" => drop(tables::read_buckets(0, index, 0, rows).map_err(refused)?),
                other => Err(format!("column {} is of an unknown kind, {other}", column.name))?,
            }
        }
        output::add("rows", &[], f64::from(rows)).map_err(refused)
    }
}

weir_plugin::export!(WellBehaved);
