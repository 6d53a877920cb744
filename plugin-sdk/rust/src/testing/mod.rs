//! Tests of plugins without a host: `cargo test`, on the machine itself.
//!
//! [`Host`] stands for Weir. It is given tables, options and state, calls the plugin, and says what came of it:
//!
//! ```
//! # use weir_plugin::{Plugin, Result, Severity, col, counter, report, table};
//! # weir_plugin::options! {
//! #     #[derive(Default)]
//! #     struct Options { calls: u64 }
//! # }
//! # #[derive(Default)]
//! # struct Busy { options: Options }
//! # impl Plugin for Busy {
//! #     fn configure(&mut self) -> Result {
//! #         self.options = Options::read()?;
//! #         table("opens")?.holds::<u64>("calls")
//! #     }
//! #     fn analyze(&mut self) -> Result {
//! #         let opens = table("opens")?;
//! #         for row in opens.filter(col("calls").gt(self.options.calls)).ask()?.rows() {
//! #             counter("busy").label("comm", row.key()?).add(1.0)?;
//! #             report(Severity::Warning, "busy", row.key()?).field("calls", row.u64("calls")?).send()?;
//! #         }
//! #         Ok(())
//! #     }
//! # }
//! use weir_plugin::testing::{Host, Table};
//!
//! let opens = Table::new("opens").key("comm", ["cat", "make"]).count("calls", [3, 1200]);
//! let mut host = Host::new().table(opens).option("calls", 1000);
//!
//! host.configure::<Busy>().unwrap();
//! let said = host.analyze::<Busy>().unwrap();
//! assert_eq!(said.reports[0].title, "make");
//! assert_eq!(said.reports[0].field("calls"), Some("1200"));
//! assert_eq!(said.value("busy", &[("comm", "make")]), Some(1.0));
//!
//! let failure = Host::new().option("calls", 1000).configure::<Busy>().unwrap_err();
//! assert_eq!(failure.reason, "unknown");
//! ```
//!
//! Questions are answered as Weir answers them, outputs and state have its limits, and what a failed call put out is
//! gone. Time and memory are not bounded. Expect what `weir plugin test` shows with a recording; this is for the cases
//! that no recording has.

mod answer;
pub(crate) mod host;
mod said;
mod table;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

pub use said::{Artefact, Metric, Report, Said, Value};
pub use table::{Cells, Table, values};

use crate::plugin::configured;
use crate::{Failure, Plugin, Result, Severity};

/// What calls a plugin in a test. At first it has no table and no option, and is in interval 0, one second long.
#[derive(Clone, Debug)]
pub struct Host {
    tables: Vec<Table>,
    options: BTreeMap<String, Setting>,
    state: BTreeMap<String, Vec<u8>>,
    interval: Interval,
    log: Vec<(Severity, String)>,
}

#[derive(Clone, Copy, Debug)]
struct Interval {
    number: u64,
    began: Duration,
    length: Duration,
    skipped: u32,
    last: bool,
}

/// An option's value: a text, an integer, a number or a flag.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// `"…"` in the configuration.
    Text(String),
    /// `10`.
    Integer(i64),
    /// `0.5`.
    Number(f64),
    /// `true`.
    Flag(bool),
}

macro_rules! settings {
    ($($from:ty => $kind:ident),*) => {$(
        impl From<$from> for Setting {
            fn from(value: $from) -> Self {
                Self::$kind(value.into())
            }
        }
    )*};
}

settings!(&str => Text, String => Text, i64 => Integer, i32 => Integer, u32 => Integer, f64 => Number, bool => Flag);

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host without tables and options, in interval 0.
    #[must_use]
    pub fn new() -> Self {
        let (began, length) = (Duration::ZERO, Duration::from_secs(1));
        Self {
            tables: Vec::new(),
            options: BTreeMap::new(),
            state: BTreeMap::new(),
            interval: Interval { number: 0, began, length, skipped: 0, last: false },
            log: Vec::new(),
        }
    }

    /// Grants a table, or replaces the one of this name.
    #[must_use]
    pub fn table(mut self, table: Table) -> Self {
        table.check();
        match self.tables.iter_mut().find(|other| other.name == table.name) {
            Some(other) => *other = table,
            None => self.tables.push(table),
        }
        self
    }

    /// Sets an option: `.option("limit", 10)`.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<Setting>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
    }

    /// Stores something in the plugin's state, as an earlier call would have.
    #[must_use]
    pub fn store(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.state.insert(key.to_owned(), value.as_ref().to_vec());
        self
    }

    /// Which interval the next call is for.
    #[must_use]
    pub fn interval(mut self, number: u64) -> Self {
        self.interval.number = number;
        self
    }

    /// When it began, since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn began(mut self, began: Duration) -> Self {
        self.interval.began = began;
        self
    }

    /// How long each interval is.
    #[must_use]
    pub fn length(mut self, length: Duration) -> Self {
        self.interval.length = length;
        self
    }

    /// How many intervals the next call was too late for.
    #[must_use]
    pub fn skipped(mut self, intervals: u32) -> Self {
        self.interval.skipped = intervals;
        self
    }

    /// The next call is the last one.
    #[must_use]
    pub fn last(mut self) -> Self {
        self.interval.last = true;
        self
    }

    /// Has the plugin look at its options and tables, which have no rows yet.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn configure<P: Plugin>(&mut self) -> Result {
        let tables = self.tables.iter().map(Table::empty).collect();
        self.enter(tables, || configured::<P>().map(drop)).0
    }

    /// Has the plugin analyse the interval, as Weir does: a new instance looks at its options again, and then at the
    /// tables. The next call is for the interval after this one.
    ///
    /// # Errors
    /// Those of the plugin. What it put out and stored is gone then.
    pub fn analyze<P: Plugin>(&mut self) -> Result<Said> {
        let (result, call) =
            self.enter(self.tables.clone(), || configured::<P>().and_then(|mut plugin| plugin.analyze()));
        let interval = &mut self.interval;
        interval.number += 1 + u64::from(interval.skipped);
        interval.began += interval.length * (1 + interval.skipped);
        interval.skipped = 0;
        result?;
        self.state = call.state;
        Ok(call.said)
    }

    /// Runs a part of a plugin that asks the host, such as a function that takes a [`Table`](crate::Table). What it
    /// puts out and stores is dropped.
    pub fn call<T>(&self, part: impl FnOnce() -> T) -> T {
        self.clone().enter(self.tables.clone(), part).0
    }

    /// What is in the plugin's state.
    #[must_use]
    pub fn stored(&self, key: &str) -> Option<&[u8]> {
        self.state.get(key).map(Vec::as_slice)
    }

    /// The lines that the last call logged, whether or not it failed.
    #[must_use]
    pub fn log(&self) -> &[(Severity, String)] {
        &self.log
    }

    fn enter<T>(&mut self, tables: Vec<Table>, part: impl FnOnce() -> T) -> (T, Call) {
        let call = Call {
            granted: tables.iter().map(|table| table.name.clone()).collect(),
            tables: tables.into_iter().map(|table| Rc::new(table.granted())).collect(),
            options: self.options.clone(),
            state: self.state.clone(),
            interval: self.interval,
            said: Said::default(),
            log: Vec::new(),
        };
        let outer = CALL.replace(Some(call));
        let leave = Leave(outer);
        let result = part();
        let call = CALL.take().unwrap_or_else(|| unreachable!("a call ends once"));
        drop(leave);
        self.log.clone_from(&call.log);
        (result, call)
    }
}

/// Ends a call also if the plugin panics, so that the test's thread can begin another one.
struct Leave(Option<Call>);

impl Drop for Leave {
    fn drop(&mut self) {
        CALL.set(self.0.take());
    }
}

/// A call that is under way.
#[derive(Debug)]
struct Call {
    granted: Vec<String>,
    /// Those that were granted, and answers to questions.
    tables: Vec<Rc<Table>>,
    options: BTreeMap<String, Setting>,
    state: BTreeMap<String, Vec<u8>>,
    interval: Interval,
    said: Said,
    log: Vec<(Severity, String)>,
}

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

impl Call {
    /// The call that this thread is in.
    fn with<T>(f: impl FnOnce(&mut Self) -> T) -> T {
        CALL.with_borrow_mut(|call| {
            let call = call.as_mut();
            f(call.expect("there is no host here: in a test, call this from within testing::Host::call"))
        })
    }

    fn table(&self, number: u32) -> Result<Rc<Table>> {
        let unknown = || Failure::new("unknown", format!("there is no table {number}"));
        self.tables.get(number as usize).cloned().ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests;
