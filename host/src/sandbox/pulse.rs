//! What has a plugin looked at that may have used its time.
#![allow(unsafe_code)] // The clock of another thread.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::child::hung_up;
use super::limits::{HANG_UP, STALL_FACTOR, TICK};
use super::lockdown;

/// A thread that advances the epoch when the plugin that runs has used its time, and ends the process when the host is gone
/// meanwhile. While none runs it waits; then the thread that works sees the channel close.
///
/// It runs seldom and briefly: where there are more threads than processors, who has run has to wait for the others; and waking
/// it costs as much as many a call.
pub(super) struct Pulse {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: Option<Call>,
    /// When this thread wakes by itself, if it does.
    wakes: Option<Instant>,
}

/// Of the plugin that runs.
#[derive(Clone, Copy)]
struct Call {
    deadline: Duration,
    begun: Instant,
    /// What the thread that works had used of the processor before.
    used: Duration,
}

impl Call {
    /// No sooner has it used its time.
    fn left(&self) -> Duration {
        let elapsed = self.begun.elapsed();
        if elapsed >= self.deadline * STALL_FACTOR {
            return Duration::ZERO;
        }
        if elapsed < self.deadline {
            // It cannot have had more of the processor; asking how much is a system call.
            return self.deadline - elapsed;
        }
        // Were it not to be known, the plugin would look at its own time.
        processor_time()
            .map_or(Duration::ZERO, |used| self.deadline.saturating_sub(used.saturating_sub(self.used)))
    }
}

impl Pulse {
    pub(super) fn start(engine: Engine, hang_up: OwnedFd) -> io::Result<Arc<Self>> {
        let pulse = Arc::new(Self { state: Mutex::default(), changed: Condvar::new() });
        let beat = pulse.clone();
        lockdown::beside(move || {
            let mut known = None;
            loop {
                let Some(call) = beat.next(known.take()) else { continue };
                if hung_up(&hang_up, Some(Duration::ZERO)) {
                    std::process::exit(0);
                }
                let left = call.left();
                if left.is_zero() {
                    engine.increment_epoch();
                }
                // Soon again if it is over: by the call's own account it began a moment later, and until then it said of no
                // epoch that it is its last.
                known = Some((call, left.clamp(TICK / 8, HANG_UP)));
            }
        })?;
        Ok(pulse)
    }

    /// What runs: at once if it is another one than is known, or else in so long; without one that is known when there is one.
    fn next(&self, known: Option<(Call, Duration)>) -> Option<Call> {
        let mut state = self.lock();
        if let Some((known, pause)) = known {
            if state.running.is_none_or(|call| call.begun == known.begun) {
                state.wakes = Some(Instant::now() + pause);
                state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
            }
            return state.running;
        }
        state.wakes = None;
        let waited = self.changed.wait_while(state, |state| state.running.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).running
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By the thread that works, while a plugin runs.
    pub(super) fn during<T>(&self, deadline: Duration, work: impl FnOnce() -> T) -> T {
        let call = Call { deadline, begun: Instant::now(), used: processor_time().unwrap_or_default() };
        let is_in_time = {
            let mut state = self.lock();
            state.running = Some(call);
            state.wakes.is_some_and(|wakes| wakes <= call.begun + deadline)
        };
        if !is_in_time {
            self.changed.notify_one();
        }
        let done = work();
        // Most are done long before they are due, and nobody has to know.
        self.lock().running = None;
        done
    }
}

/// What the process's first thread, the one that works, has used of the processor.
fn processor_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to, and nothing else.
    let known = unsafe { libc::clock_gettime(first_thread(), &raw mut time) } == 0;
    known.then(|| Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?)))?
}

/// The clock of that thread, as the kernel numbers clocks of threads (include/linux/posix-timers_types.h): by the
/// thread, which has the process's number, as one of a thread (4) by the scheduler's account (2).
pub(super) fn first_thread() -> libc::clockid_t {
    (!rustix::process::getpid().as_raw_nonzero().get() << 3) | 4 | 2
}
