//! How long calls took, as a distribution: of many calls the mean says little.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_abi::{log_bucket, log_bucket_low, log_buckets};

/// Powers of two, each divided into 32: what is told is exact to 3 %.
const RESOLUTION: u32 = 5;

/// A histogram, of which only buckets that have something are kept. Calls have a deadline, so they are some hundreds at
/// most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Told", into = "Told")]
pub(crate) struct Times {
    /// By the bucket's number.
    calls: BTreeMap<u32, u64>,
    max: u64,
}

/// As it is told: with what somebody would compute of it.
#[derive(Serialize, Deserialize)]
struct Told {
    p50: u64,
    p99: u64,
    max: u64,
    /// The lowest time of each bucket, and its calls. What was between two looks is their difference.
    buckets: Vec<(u64, u64)>,
}

impl Times {
    pub(super) fn add(&mut self, nanoseconds: u64) {
        *self.calls.entry(bucket(nanoseconds)).or_default() += 1;
        self.max = self.max.max(nanoseconds);
    }

    /// A time that so many percent of the calls did not exceed, and at most 1/32 above the least such time; 0 without
    /// calls.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.calls.values().sum::<u64>() * percent).div_ceil(100);
        let mut below = 0;
        let found = self.calls.iter().find(|(_, calls)| {
            below += **calls;
            below >= rank
        });
        found.map_or(0, |(bucket, _)| highest(*bucket).min(self.max))
    }
}

fn bucket(nanoseconds: u64) -> u32 {
    // There are 1,920.
    log_bucket(nanoseconds, false, RESOLUTION, |value| value.ilog2().into()) as u32
}

/// The highest time of a bucket.
fn highest(bucket: u32) -> u64 {
    // Above the last one there is none.
    if bucket + 2 < log_buckets(RESOLUTION) { log_bucket_low(bucket + 1, RESOLUTION) - 1 } else { u64::MAX }
}

impl From<Times> for Told {
    fn from(times: Times) -> Self {
        let buckets = times.calls.iter().map(|(bucket, calls)| (log_bucket_low(*bucket, RESOLUTION), *calls));
        Self {
            p50: times.percentile(50),
            p99: times.percentile(99),
            max: times.max,
            buckets: buckets.collect(),
        }
    }
}

impl From<Told> for Times {
    fn from(told: Told) -> Self {
        let calls = told.buckets.into_iter().map(|(low, calls)| (bucket(low), calls));
        Self { calls: calls.collect(), max: told.max }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(of: &[u64]) -> Times {
        let mut times = Times::default();
        of.iter().for_each(|time| times.add(*time));
        times
    }

    /// Up to the longest deadline, 60 s, all magnitudes alike, and what nobody expects.
    fn time() -> impl Strategy<Value = u64> {
        prop_oneof![(0u32..36, any::<u64>()).prop_map(|(bits, any)| any % (2 << bits)), any::<u64>()]
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_times(
            mut sorted in prop::collection::vec(time(), 1..300),
            percent in 1u64..=100,
        ) {
            let times = times(&sorted);
            sorted.sort_unstable();
            let exact = sorted[(sorted.len() * percent as usize).div_ceil(100) - 1];
            let found = times.percentile(percent);
            prop_assert!(found >= exact && found - exact <= exact / 32, "{} of {}", found, exact);
            prop_assert_eq!(times.percentile(100), sorted[sorted.len() - 1]);
        }

        #[test]
        fn what_is_told_is_what_was_kept(of in prop::collection::vec(time(), 0..100)) {
            let times = times(&of);
            let json = serde_json::to_string(&times).unwrap();
            prop_assert_eq!(serde_json::from_str::<Times>(&json).unwrap(), times);
        }
    }

    #[test]
    fn what_was_never_called_took_no_time() {
        assert_eq!(Times::default().percentile(99), 0);
    }
}
