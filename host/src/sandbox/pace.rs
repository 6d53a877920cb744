//! How much a tenant may have compiled: on average as much of a processor as its plugins may use, and so much at once that
//! nobody meets this who does not compile again and again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::limits::COMPILE_CPU;

/// What can be saved up, which is what a single compiler may take.
const SAVED: i64 = COMPILE_CPU.as_nanos() as i64;
/// What may be used in advance by a job that has begun to be compiled: it would be compiled from its beginning again.
const ADVANCE: i64 = 4 * SAVED;
const MILLION: i64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Pace {
    credit: Mutex<Credit>,
    used: AtomicU64,
}

#[derive(Debug)]
struct Credit {
    /// Nanoseconds that may be used. Below zero if more was.
    nanoseconds: i64,
    at: Instant,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self { credit: Mutex::new(Credit { nanoseconds: SAVED, at: now }), used: AtomicU64::new(0) }
    }

    /// Nanoseconds of a processor that compilers have used.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// A compiler has used so much, which counts if there is a share of a processor, in millionths.
    pub(super) fn charge(&self, used: Duration, share: Option<u32>, now: Instant) {
        self.used.fetch_add(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(share) = share {
            let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
            credit.earn(share, now);
            credit.nanoseconds = credit.nanoseconds.saturating_sub(nanoseconds(used));
        }
    }

    /// How long it is until there is time for the first compiler of a job, or another one, if there is none now.
    pub(super) fn wait(&self, share: u32, first: bool, now: Instant) -> Option<Duration> {
        let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
        credit.earn(share, now);
        let least = if first { 0 } else { -ADVANCE };
        let lacking =
            u64::try_from(least.saturating_sub(credit.nanoseconds)).ok().filter(|lacking| *lacking > 0)?;
        Some(Duration::from_nanos(lacking.div_ceil(share.max(1).into())).saturating_mul(MILLION as u32))
    }
}

impl Credit {
    fn earn(&mut self, share: u32, now: Instant) {
        let earned = nanoseconds(now.saturating_duration_since(self.at)) / MILLION;
        let earned = earned.saturating_mul(share.into());
        (self.nanoseconds, self.at) = (self.nanoseconds.saturating_add(earned).min(SAVED), now);
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_has_had_more_compiled_than_it_may_waits() {
        let begin = Instant::now();
        let pace = Pace::new(begin);
        let tenth = 100_000;
        pace.charge(seconds(60), Some(tenth), begin);
        assert_eq!(pace.wait(tenth, true, begin), None, "as much as there was");
        pace.charge(seconds(3), Some(tenth), begin);
        assert_eq!(pace.wait(tenth, true, begin), Some(seconds(30)));
        assert_eq!(pace.wait(tenth, false, begin), None, "what has begun is gone on with");
        assert_eq!(pace.wait(tenth, true, begin + seconds(20)), Some(seconds(10)));
        assert_eq!(pace.wait(tenth, true, begin + seconds(30)), None);
        // What is saved up has an end, and the policy may grant less by then.
        let later = begin + seconds(100_000);
        pace.charge(seconds(61), Some(tenth), later);
        assert_eq!(pace.wait(100, true, later), Some(seconds(10_000)));
        assert!(pace.wait(0, true, later) > Some(seconds(100_000)), "without a share there is no end");
        assert_eq!(pace.wait(1_000_000, true, later + seconds(1)), None);
        // What nobody has asked for is counted, and not made up for.
        pace.charge(seconds(1000), None, later + seconds(1));
        assert_eq!(pace.wait(1_000_000, true, later + seconds(1)), None);
        pace.charge(seconds(300), Some(tenth), later + seconds(1));
        assert_eq!(pace.wait(tenth, false, later + seconds(1)), Some(seconds(600)));
        assert_eq!(pace.used(), 1424 * 1_000_000_000);
    }
}
