//! What a call has used so far: time, host calls and memory on this side. Looked at from the epoch's callback
//! while Wasm runs, and from within long work done for it.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::limits::{DERIVED_BYTES, HOST_CALLS, STALL_FACTOR};
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
    deadline: Duration,
    processor: Duration,
    clock: Instant,
    host_calls: u32,
    derived: usize,
}

impl Work {
    pub(super) fn begin(deadline: Duration) -> Self {
        Self { deadline, processor: processor_time(), clock: Instant::now(), host_calls: 0, derived: 0 }
    }

    /// Is there time left?
    pub(super) fn look(&self) -> Result<(), Stop> {
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
