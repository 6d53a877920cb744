//! Tables that need the same programs share them, and cost the kernel what one costs.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::rows::arrow;
use crate::error::{Error, Kind, Result};
use crate::snapshot::{Snapshot, schema};
use crate::table::TableSpec;

/// How a table that was asked for is served.
pub(super) struct Share {
    pub(super) name: Arc<str>,
    schema: SchemaRef,
    /// Which of the tables that are attached.
    pub(super) table: usize,
}

/// The tables to attach, and which of them serves each that was asked for.
pub(super) fn share(specs: &[Arc<TableSpec>]) -> (Vec<Arc<TableSpec>>, Vec<Share>) {
    let mut served: Vec<(TableSpec, Arc<TableSpec>)> = Vec::new();
    let mut shares = Vec::with_capacity(specs.len());
    for spec in specs {
        let plain = nameless(spec);
        let table = served.iter().position(|(other, _)| *other == plain).unwrap_or_else(|| {
            served.push((plain, spec.clone()));
            served.len() - 1
        });
        // Whoever asks for fewer rows gets more.
        if served[table].1.rows < spec.rows {
            served[table].1 = Arc::new(TableSpec { rows: spec.rows, ..TableSpec::clone(&served[table].1) });
        }
        shares.push(Share::alone(spec, table));
    }
    (served.into_iter().map(|(_, spec)| spec).collect(), shares)
}

/// What two tables that can share have in common.
fn nameless(spec: &TableSpec) -> TableSpec {
    let mut spec = spec.clone();
    spec.name.clear();
    spec.names.clear();
    spec.rows = 0;
    spec.keys.iter_mut().for_each(|key| key.name.clear());
    spec.measures.iter_mut().for_each(|measure| measure.name.clear());
    spec
}

impl Share {
    /// A table, served by the one at this place.
    pub(super) fn alone(spec: &TableSpec, table: usize) -> Self {
        Self { name: spec.name.as_str().into(), schema: schema(spec), table }
    }

    /// The snapshot, under the table's own name and with its own names of columns.
    pub(super) fn of(&self, snapshots: &[Snapshot]) -> Result<Snapshot> {
        let snapshot = snapshots
            .get(self.table)
            .ok_or_else(|| Error::new(Kind::Software, "a table without a snapshot"))?;
        let rows = match *snapshot.rows.schema() == *self.schema {
            true => snapshot.rows.clone(),
            false => {
                RecordBatch::try_new(self.schema.clone(), snapshot.rows.columns().to_vec()).map_err(arrow)?
            }
        };
        Ok(Snapshot { table: self.name.clone(), rows, ..snapshot.clone() })
    }
}
