//! What a call has used so far: time, host calls and memory on this side. Looked at from the epoch's callback
//! while Wasm runs, and from within long work done for it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::engine::Bound;
use super::limits::{
    DERIVED_BYTES, FUEL_PER_NANOSECOND, FUEL_PER_ROW, HOST_CALLS, ROWS_BETWEEN_LOOKS, STALL_FACTOR,
};
use super::view::{Data, Table};
use super::wire::Reason;
use super::wit::Failure;

/// The call is ended here and now, whatever the guest thinks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop(pub(super) Reason);

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Reason::Deadline => "used the processor time of its deadline",
            Reason::Stalled => "was not done after ten times its deadline by the clock",
            Reason::HostCalls => "called the host too often",
            Reason::Output => "went on putting out what was refused",
            other => other.name(),
        })
    }
}

impl std::error::Error for Stop {}

/// Why work for a guest was not done: a value for the guest, or the end of its call.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    Failure(Failure),
    Stop(Stop),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

#[derive(Debug)]
pub(super) struct Work {
    bound: Bound,
    deadline: Duration,
    /// In a replay, what questions have used.
    fuel: Cell<u64>,
    processor: Duration,
    clock: Instant,
    host_calls: u32,
    derived: usize,
}

impl Work {
    pub(super) fn begin(deadline: Duration, bound: Bound) -> Self {
        let (processor, clock) = (processor_time(), Instant::now());
        Self { bound, deadline, fuel: Cell::new(0), processor, clock, host_calls: 0, derived: 0 }
    }

    /// Instructions that stand for the deadline.
    pub(super) fn budget(&self) -> u64 {
        u64::try_from(self.deadline.as_nanos()).unwrap_or(u64::MAX).saturating_mul(FUEL_PER_NANOSECOND)
    }

    /// Is there time left? In a replay: for that many rows again?
    pub(super) fn look(&self) -> Result<(), Stop> {
        if self.bound == Bound::Fuel {
            let used = self.fuel.get().saturating_add(ROWS_BETWEEN_LOOKS as u64 * FUEL_PER_ROW);
            self.fuel.set(used);
            return if used > self.budget() { Err(Stop(Reason::Deadline)) } else { Ok(()) };
        }
        let elapsed = self.clock.elapsed();
        if elapsed < self.deadline {
            // A thread cannot have had more of the processor; asking how much is a system call.
            return Ok(());
        }
        if self.processor() >= self.deadline {
            return Err(Stop(Reason::Deadline));
        }
        if elapsed >= self.deadline * STALL_FACTOR {
            return Err(Stop(Reason::Stalled));
        }
        Ok(())
    }

    /// Processor time so far.
    pub(super) fn processor(&self) -> Duration {
        processor_time().saturating_sub(self.processor)
    }

    pub(super) fn count_host_call(&mut self) -> Result<(), Stop> {
        self.host_calls += 1;
        if self.host_calls > HOST_CALLS { Err(Stop(Reason::HostCalls)) } else { Ok(()) }
    }

    /// Takes note of memory for the answers to questions.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Failure> {
        self.derived = self.derived.saturating_add(bytes);
        self.room(0)
    }

    /// Whether an answer that has so many bytes by now may have them; to be asked while it grows.
    pub(super) fn room(&self, bytes: usize) -> Result<(), Failure> {
        if self.derived.saturating_add(bytes) <= DERIVED_BYTES {
            return Ok(());
        }
        Err(Failure::new("quota", format!("the answers of one call take no more than {DERIVED_BYTES} bytes")))
    }

    /// A column's values, which may have to be gathered first.
    pub(super) fn data<'a>(&mut self, table: &'a Table, column: u32) -> Result<&'a Data, Failure> {
        let (data, bytes) = table.data(column)?;
        self.charge(bytes)?;
        Ok(data)
    }
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
