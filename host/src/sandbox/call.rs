//! One call of a plugin: everything that its host functions work on, gone when it ends but for what is kept.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Bound, Meter};
use super::limits::{DERIVED_TABLES, REFUSALS};
use super::outputs::Outputs;
use super::state::State;
use super::view::Table;
use super::wasi::Wasi;
use super::wire::{IntervalOrder, OptionOrder, Reason};
use super::wit::Failure;
use super::work::{Stop, Work};

/// What the plugin is given.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) table_names: Vec<String>,
    pub(super) options: BTreeMap<String, OptionOrder>,
    pub(super) memory: u64,
    pub(super) deadline: Duration,
    pub(super) bound: Bound,
}

/// The data of the store in which the plugin's instance lives.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) given: Arc<Given>,
    pub(super) interval: IntervalOrder,
    pub(super) skipped: u32,
    /// Those granted, then the answers to questions.
    tables: Vec<Arc<Table>>,
    pub(super) outputs: Outputs,
    pub(super) state: State,
    pub(super) wasi: Wasi,
    pub(super) meter: Meter,
    pub(super) work: Work,
}

impl Call {
    pub(super) fn new(
        given: Arc<Given>,
        interval: IntervalOrder,
        skipped: u32,
        tables: Vec<Arc<Table>>,
        state: State,
    ) -> Self {
        let (meter, work) = (Meter::new(given.memory), Work::begin(given.deadline, given.bound));
        let (outputs, wasi) = (Outputs::default(), Wasi::default());
        Self { given, interval, skipped, tables, outputs, state, wasi, meter, work }
    }

    /// At the beginning of every host function.
    pub(super) fn enter(&mut self) -> Result<(), Stop> {
        if self.outputs.refused > REFUSALS {
            return Err(Stop(Reason::Output));
        }
        self.work.count_host_call()
    }

    pub(super) fn table(&self, number: u32) -> Result<Arc<Table>, Failure> {
        self.tables.get(number as usize).cloned().ok_or_else(|| {
            let message =
                format!("there is no table {number}; {} were granted", self.given.table_names.len());
            Failure::new("unknown", message)
        })
    }

    /// What is kept of a call that has ended. Lets go of the tables, because their memory is written to again
    /// as soon as the host has the answer.
    pub(super) fn end(&mut self) -> (State, Outputs) {
        self.tables.clear();
        self.wasi.end(&mut self.outputs);
        (mem::take(&mut self.state), mem::take(&mut self.outputs))
    }

    /// Gives the answer to a question its number.
    pub(super) fn derive(&mut self, table: Table) -> Result<u32, Failure> {
        if self.tables.len() >= self.given.table_names.len() + DERIVED_TABLES {
            return Err(Failure::new(
                "quota",
                format!("a call asks no more than {DERIVED_TABLES} questions"),
            ));
        }
        self.work.charge(table.bytes())?;
        self.tables.push(Arc::new(table));
        u32::try_from(self.tables.len() - 1).map_err(|_| Failure::new("quota", "too many tables"))
    }
}
