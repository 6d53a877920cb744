//! The kernel's half of a table: programs, maps, and the closing of intervals.
//!
//! ```text
//! TableSpec ┬ plan ─▶ Plan, sizes of maps ─┐
//!           └ code ─▶ its expressions ─────┴─ object, load ─▶ programs ─ attach ─▶ events
//!
//! close:  flip the control word of every table │ wait │ drain: merge, zero, decode new keys │ Snapshot
//! ```
//!
//! A program reads the control word once and adds to the bank that it names. After the word has changed, and
//! after a wait that outlasts every program which may have read the old one, the old bank is complete and
//! stays so; then it is read, merged and zeroed through shared memory, without a system call.

mod attach;
mod bpf;
pub(crate) mod code;
mod counted;
pub(crate) mod cpus;
mod dictionary;
pub(crate) mod feature;
mod fold;
mod histogram;
mod instruction;
mod keys;
mod load;
mod mapped;
mod merge;
mod object;
mod plan;
mod rewrite;
mod rows;
mod share;
mod table;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, Kind, Result};
use crate::event::Why;
use crate::sandbox::{SYMBOLIZE_LAST_WALL, SYMBOLIZE_WALL};
use crate::snapshot::{Interval, Snapshot};
use crate::table::TableSpec;
use load::Types;
pub(crate) use load::may_trace;
pub(crate) use rows::arrow as arrow_error;
use share::Share;
use table::{Closed, Table};

/// The tables of one run, loaded and attached.
pub struct Tables {
    tables: Vec<Table>,
    /// For each table that was asked for, which of `tables` serves it.
    shares: Vec<Share>,
    detached: Vec<Detached>,
    /// The kernel's types, read when they are first needed.
    types: Types,
    /// What is wrong with names was said.
    told: bool,
    /// The kernel times programs for as long as this is open.
    _statistics: Option<OwnedFd>,
    cpus: u32,
    interval: u64,
    /// Every probe is attached.
    begun: bool,
    began: (SystemTime, Instant),
    timing: Timing,
}

/// What the last closing took, over all tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Waiting until programs that had read the old control words had ended.
    pub wait: Duration,
    /// Reading, merging and zeroing the banks.
    pub merge: Duration,
    /// Decoding keys that are new, and making rows.
    pub rows: Duration,
}

/// A table that counts nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    pub table: Arc<str>,
    /// The last interval that it counted.
    pub interval: u64,
    pub why: Why,
    pub message: String,
}

impl Tables {
    /// Loads the programs of every table and attaches them; interval 0 begins when the last is attached.
    /// `selves` are the processes to leave out, as [`Tables::leave_out`] has them.
    pub fn attach(specs: &[Arc<TableSpec>], selves: &[u32]) -> Result<Self> {
        Self::attach_held(specs, selves, 0)
    }

    /// As [`Tables::attach`], with programs that go through so many turns between reading the control word and
    /// adding. For the test which proves that closing an interval waits for them.
    #[doc(hidden)]
    pub fn attach_held(specs: &[Arc<TableSpec>], selves: &[u32], hold: u32) -> Result<Self> {
        let mut tables = Self::new(specs.iter().any(|spec| spec.budget.is_some()))?;
        let (served, shares) = share::share(specs);
        tables.shares = shares;
        for spec in served {
            tables.tables.push(Table::load(spec, tables.cpus, hold, &mut tables.types)?);
        }
        tables.leave_out(selves)?;
        for table in &mut tables.tables {
            table.attach()?;
        }
        // What the first tables counted while the last were attached belongs to no interval.
        tables.end(false, true)?;
        tables.interval = 0;
        tables.begun = true;
        Ok(tables)
    }

    /// No tables yet; [`Tables::change`] adds some. The kernel times all their programs.
    pub fn empty() -> Result<Self> {
        Ok(Self { begun: true, ..Self::new(true)? })
    }

    fn new(timed: bool) -> Result<Self> {
        Ok(Self {
            tables: Vec::new(),
            shares: Vec::new(),
            detached: Vec::new(),
            types: Types::default(),
            told: false,
            _statistics: timed.then(table::enable_statistics).transpose()?,
            cpus: cpus::possible()?,
            interval: 0,
            begun: false,
            began: (SystemTime::now(), Instant::now()),
            timing: Timing::default(),
        })
    }

    /// Adds tables and takes others away, while the rest count on. A table that is added counts from when it is attached,
    /// in the interval that is under way; what one that is taken away has counted in it is not told. Tables that are
    /// added share programs with no other. If one cannot be attached, nothing has changed.
    pub fn change(&mut self, remove: &[Arc<str>], add: &[Arc<TableSpec>], selves: &[u32]) -> Result<()> {
        let mut added = Vec::with_capacity(add.len());
        for spec in add {
            let mut table = Table::load(spec.clone(), self.cpus, 0, &mut self.types)?;
            table.leave_out(selves);
            table.attach()?;
            added.push((spec, table));
        }
        self.shares.retain(|share| !remove.contains(&share.name));
        let mut kept = Vec::with_capacity(self.tables.len());
        for (number, mut table) in std::mem::take(&mut self.tables).into_iter().enumerate() {
            let place = kept.len();
            let mut served = self.shares.iter_mut().filter(|share| share.table == number).peekable();
            if served.peek().is_none() {
                table.detach();
                continue;
            }
            served.for_each(|share| share.table = place);
            kept.push(table);
        }
        for (spec, table) in added {
            self.shares.push(Share::alone(spec, kept.len()));
            kept.push(table);
        }
        self.tables = kept;
        Ok(())
    }

    /// Names processes of Weir itself to one table, as [`Tables::leave_out`] does to all.
    pub fn leave_out_of(&self, table: &str, pids: &[u32]) {
        let share = self.shares.iter().find(|share| &*share.name == table);
        if let Some(table) = share.and_then(|share| self.tables.get(share.table)) {
            table.leave_out(pids);
        }
    }

    /// Names the processes of Weir itself, which tables leave out unless they `include_self`.
    pub fn leave_out(&mut self, pids: &[u32]) -> Result<()> {
        if pids.len() > weir_abi::SELVES {
            return Err(Error::new(Kind::Software, format!("{} processes to leave out", pids.len())));
        }
        for table in &self.tables {
            table.leave_out(pids);
        }
        Ok(())
    }

    /// Ends the interval of every table and begins the next: one snapshot for each table, in their order.
    /// Blocks for the wait, some milliseconds.
    pub fn close(&mut self) -> Result<Vec<Snapshot>> {
        for number in 0..self.tables.len() {
            if let Err(error) = self.tables[number].keep_up() {
                self.retire(number, self.interval, Why::Failed, &error.to_string());
            }
        }
        self.end(false, true)
    }

    /// Detaches a table for good. The others count on.
    fn retire(&mut self, number: usize, interval: u64, why: Why, message: &str) {
        if !self.tables[number].retire() {
            return;
        }
        let shares = self.shares.iter().filter(|share| share.table == number);
        let detached = |share: &Share| Detached {
            table: share.name.clone(),
            interval,
            why,
            message: message.to_owned(),
        };
        self.detached.extend(shares.map(detached));
    }

    /// As [`Tables::close`] without the wait, which is wrong; a test shows how.
    #[doc(hidden)]
    pub fn close_without_waiting(&mut self) -> Result<Vec<Snapshot>> {
        self.end(false, false)
    }

    /// Detaches every probe, and ends the last interval.
    pub fn finish(mut self) -> Result<Vec<Snapshot>> {
        for table in &mut self.tables {
            table.detach();
        }
        self.end(true, true)
    }

    /// Why names are missing in stacks, if something could be done about it. Said once.
    pub fn problem(&mut self) -> Option<String> {
        if self.told {
            return None;
        }
        let problem = self.tables.iter().find_map(Table::problem).map(str::to_owned);
        self.told = problem.is_some();
        problem
    }

    /// The tables that were detached since this was last asked.
    pub fn detached(&mut self) -> Vec<Detached> {
        std::mem::take(&mut self.detached)
    }

    /// What the last closing took.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// How often dictionaries were replaced by empty ones, over all tables.
    #[must_use]
    pub fn renewals(&self) -> u64 {
        self.tables.iter().map(Table::renewals).sum()
    }

    /// How many programs were held so far; see [`Tables::attach_held`].
    #[doc(hidden)]
    #[must_use]
    pub fn held(&self) -> u64 {
        self.tables.iter().map(Table::held).sum()
    }

    fn end(&mut self, last: bool, wait: bool) -> Result<Vec<Snapshot>> {
        let now = (SystemTime::now(), Instant::now());
        let closed: Vec<Closed> = self.tables.iter_mut().map(Table::flip).collect();
        let length = now.1 - self.began.1;
        let interval = Interval { number: self.interval, began: self.began.0, length, last };
        self.interval += 1;
        self.began = now;
        let mut timing = Timing::default();
        if wait {
            // One wait serves all tables.
            if let Some(table) = self.tables.first_mut() {
                table.wait()?;
            }
            timing.wait = now.1.elapsed();
        }
        let cpus = self.cpus;
        let mut snapshots = Vec::with_capacity(self.tables.len());
        // What one table leaves of its share of the time is for those after it, and no table takes another's.
        let names_end = Instant::now() + if last { SYMBOLIZE_LAST_WALL } else { SYMBOLIZE_WALL };
        let mut waiting = self.tables.iter().filter(|table| table.waits_for_names()).count() as u32;
        let mut gone = Vec::new();
        for (number, (table, closed)) in self.tables.iter_mut().zip(closed).enumerate() {
            let begun = Instant::now();
            let until = begun + names_end.saturating_duration_since(begun) / waiting.max(1);
            waiting -= u32::from(table.waits_for_names());
            let snapshot = match table.drain(closed, interval, cpus, until, &mut timing) {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    gone.push((number, Why::Failed, error.to_string()));
                    table.nothing(interval)
                }
            };
            gone.extend(table.trouble().map(|error| (number, Why::Failed, error.to_string())));
            let over = table.over_budget(&snapshot).filter(|_| self.begun);
            gone.extend(over.map(|message| (number, Why::Budget, message)));
            snapshots.push(snapshot);
        }
        // What is wrong with one table is no other's business.
        for (number, why, message) in gone {
            self.retire(number, interval.number, why, &message);
        }
        self.timing = timing;
        self.shares.iter().map(|share| share.of(&snapshots)).collect()
    }
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables")
            .field("cpus", &self.cpus)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
