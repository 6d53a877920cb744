//! What buckets say, and what they leave open.

use std::fmt;

use weir_plugin::Bucket;

/// How many of a histogram's values are below a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) total: u64,
    /// Values that are below it for certain.
    below: u64,
    /// Values in the bucket that the threshold is inside of, and those that found no bucket.
    open: u64,
    /// That bucket's bounds, if it has values.
    pub(crate) around: Option<(u64, Option<u64>)>,
}

/// Whether the objective is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Possible,
    Breach,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "ok",
            Self::Possible => "possible breach",
            Self::Breach => "breach",
        })
    }
}

impl Share {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounds are whole and not negative"
    )]
    /// Of a histogram of so many values, of which these are the buckets.
    pub(crate) fn below(threshold: u64, total: u64, buckets: impl Iterator<Item = Bucket>) -> Self {
        let mut share = Self { total, below: 0, open: 0, around: None };
        let limit = threshold as f64;
        let mut placed = 0;
        for Bucket { low, high, count } in buckets {
            placed += count;
            // A bucket ends below its upper bound.
            if high.is_some_and(|high| high <= limit) {
                share.below += count;
            } else if low < limit {
                share.open += count;
                share.around = Some((low as u64, high.map(|high| high as u64)));
            }
        }
        share.open += total.saturating_sub(placed);
        share
    }

    /// The share that is below the threshold at least.
    pub(crate) fn least(self) -> f64 {
        part(self.below, self.total)
    }

    /// The share that is below the threshold at most.
    pub(crate) fn most(self) -> f64 {
        part(self.below + self.open, self.total)
    }

    /// Values that are not below it for certain.
    pub(crate) fn not_below(self) -> u64 {
        self.total - self.below
    }

    pub(crate) fn verdict(self, objective: f64) -> Verdict {
        if self.least() >= objective {
            Verdict::Met
        } else if self.most() >= objective {
            Verdict::Possible
        } else {
            Verdict::Breach
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&percent(self.least(), 2))?;
        if self.open > 0 {
            write!(f, " to {}", percent(self.most(), 2))?;
        }
        Ok(())
    }
}

/// Of nothing, everything is below.
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn part(part: u64, total: u64) -> f64 {
    if total == 0 { 1.0 } else { part as f64 / total as f64 }
}

/// With at most so many digits behind the point, rounded down, so that what misses 99 % never prints as 99 %.
pub(crate) fn percent(share: f64, digits: i32) -> String {
    let scale = 10f64.powi(digits);
    // What binary fractions lack of a decimal one is less than this.
    let parts = (share * 100.0 * scale + 1e-9).floor();
    format!("{}%", parts / scale)
}

/// What an operator wrote as a share, in percent and not rounded down; and with how many digits it is told from what misses
/// it, which are two at least.
pub(crate) fn objective(share: f64) -> (String, i32) {
    // Rounded, because 0.07 * 100 is not 7 in binary.
    let percent = ((share * 1e12).round() / 1e10).to_string();
    let digits = percent.split_once('.').map_or(0, |(_, digits)| digits.len());
    (format!("{percent}%"), i32::try_from(digits).unwrap_or(i32::MAX).max(2))
}

/// The bucket of the smallest value that at least the share `quantile` of all values does not exceed, taking those
/// without a bucket for the largest, so that its upper bound is one; none if it is one of those. The buckets ascend.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among fewer values than 2^53"
)]
pub(crate) fn quantile(buckets: &[Bucket], total: u64, quantile: f64) -> Option<Bucket> {
    let rank = ((total as f64 * quantile).ceil() as u64).max(1);
    let mut seen = 0;
    buckets.iter().copied().find(|bucket| {
        seen += bucket.count;
        seen >= rank
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Powers of two: `(4, 10)` is ten values from 4 up to 8. The bucket from 2^63 is open.
    fn buckets(counts: &[(u64, u64)]) -> Vec<Bucket> {
        let high = |low: u64| low.checked_mul(2).map(|high| high as f64);
        counts.iter().map(|&(low, count)| Bucket { low: low as f64, high: high(low), count }).collect()
    }

    fn share(threshold: u64, counts: &[(u64, u64)]) -> Share {
        Share::below(threshold, counts.iter().map(|count| count.1).sum(), buckets(counts).into_iter())
    }

    #[test]
    fn a_threshold_on_a_bound_is_exact() {
        let share = share(8, &[(2, 10), (4, 89), (8, 1)]);
        assert_eq!((share.least(), share.most(), share.not_below()), (0.99, 0.99, 1));
        assert_eq!(share.around, None);
        assert_eq!(share.verdict(0.99), Verdict::Met);
        assert_eq!(share.verdict(0.9901), Verdict::Breach);
        assert_eq!(share.to_string(), "99%");
    }

    #[test]
    fn a_threshold_inside_a_bucket_leaves_a_range() {
        let share = share(7, &[(2, 90), (4, 8), (8, 2)]);
        assert_eq!((share.least(), share.most(), share.not_below()), (0.9, 0.98, 10));
        assert_eq!(share.around, Some((4, Some(8))));
        assert_eq!(share.verdict(0.9), Verdict::Met);
        assert_eq!(share.verdict(0.95), Verdict::Possible);
        assert_eq!(share.verdict(0.98), Verdict::Possible);
        assert_eq!(share.verdict(0.99), Verdict::Breach);
        assert_eq!(share.to_string(), "90% to 98%");
    }

    #[test]
    fn an_open_bucket_is_never_certain() {
        let share = share(u64::MAX, &[(2, 1), (1 << 63, 1)]);
        assert_eq!((share.least(), share.most()), (0.5, 1.0));
        assert_eq!(share.around, Some((1 << 63, None)));
    }

    #[test]
    fn nothing_breaches_nothing() {
        assert_eq!(share(8, &[]).verdict(1.0), Verdict::Met);
    }

    #[test]
    fn a_miss_never_prints_as_a_hit() {
        assert_eq!(percent(0.989_999, 2), "98.99%");
        assert_eq!(percent(0.99, 2), "99%");
        assert_eq!(percent(0.29, 2), "29%");
        assert_eq!(percent(0.999, 2), "99.9%");
        assert_eq!(percent(0.0, 2), "0%");
        assert_eq!(percent(1.0, 2), "100%");
        assert_eq!(percent(0.999_988, 3), "99.998%");
        assert_eq!(percent(0.999_99, 3), "99.999%");
    }

    #[test]
    fn an_objective_is_as_it_was_written() {
        let of = |share| objective(share);
        assert_eq!(of(0.99), ("99%".to_owned(), 2));
        assert_eq!(of(0.07), ("7%".to_owned(), 2));
        assert_eq!(of(0.9995), ("99.95%".to_owned(), 2));
        assert_eq!(of(0.999_99), ("99.999%".to_owned(), 3));
        assert_eq!(of(0.999_999_9), ("99.99999%".to_owned(), 5));
        assert_eq!(of(1.0), ("100%".to_owned(), 2));
    }

    #[test]
    fn a_quantile_is_in_the_bucket_of_its_rank() {
        let all = buckets(&[(2, 50), (4, 40), (8, 9), (1 << 63, 1)]);
        let low = |share| quantile(&all, 100, share).unwrap().low;
        assert_eq!([low(0.01), low(0.5), low(0.51), low(0.9)], [2.0, 2.0, 4.0, 4.0]);
        assert_eq!([low(0.91), low(0.99)], [8.0, 8.0]);
        assert_eq!(quantile(&all, 100, 0.999).unwrap().high, None);
        assert_eq!(quantile(&[], 0, 0.5), None);
    }

    #[test]
    fn values_without_a_bucket_are_not_known() {
        let all = buckets(&[(2, 50), (4, 40)]);
        let share = Share::below(8, 100, all.iter().copied());
        assert_eq!((share.least(), share.most(), share.around), (0.9, 1.0, None));
        assert_eq!(share.verdict(0.99), Verdict::Possible);
        assert_eq!(quantile(&all, 100, 0.9).unwrap().low, 4.0);
        assert_eq!(quantile(&all, 100, 0.91), None);
    }
}
