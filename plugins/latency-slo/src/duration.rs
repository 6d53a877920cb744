//! Durations as an operator writes them: a number and one of ns, us, ms, s.

use std::fmt;

/// The units, from the largest, with their nanoseconds.
const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

/// Nanoseconds, printed exactly in the largest unit of which there is at least one: 1500000 is `1.5ms`, which
/// [`parse`] takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nanoseconds(pub(crate) u64);

impl fmt::Display for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = UNITS.into_iter().find(|(_, size)| self.0 >= *size).unwrap_or(("ns", 1));
        write!(f, "{}", self.0 / size)?;
        let rest = self.0 % size;
        if rest > 0 {
            // As many digits as the unit has zeros.
            let digits = format!("{:0width$}", rest, width = size.ilog10() as usize);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

/// A duration above 0 in whole nanoseconds: digits, perhaps a point and more digits, and a unit.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    nanoseconds(text).filter(|duration| *duration > 0).ok_or_else(|| {
        format!(
            "{text:?} is no duration above 0; write a number and one of ns, us, ms, s, such as 10ms or 1.5s"
        )
    })
}

fn nanoseconds(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, name) = text.split_at(end);
    let (_, size) = UNITS.into_iter().find(|(unit, _)| *unit == name)?;
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (number, ""),
    };
    let whole: u64 = whole.parse().ok()?;
    // What is left of a nanosecond would be lost in silence.
    let digits = u32::try_from(fraction.trim_end_matches('0').len()).ok()?;
    let part = 10u64.checked_pow(digits).filter(|part| size % part == 0)?;
    let fraction: u64 = if digits == 0 { 0 } else { fraction[..digits as usize].parse().ok()? };
    whole.checked_mul(size)?.checked_add(fraction * (size / part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let cases = [
            ("1ns", 1),
            ("10us", 10_000),
            ("10ms", 10_000_000),
            ("1.5s", 1_500_000_000),
            ("0.000000001s", 1),
            ("1.0ns", 1),
            ("007ms", 7_000_000),
            ("18446744073709551615ns", u64::MAX),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let cases = [
            "",
            "10",
            "ms",
            "10 ms",
            " 10ms",
            "10ms ",
            "-1ms",
            "+1ms",
            "1e3ms",
            "10MS",
            "10m",
            "1,5s",
            "1.s",
            ".5s",
            "1..5s",
            "1.5.1s",
            "0s",
            "0.0ms",
            "1.5ns",
            "0.0000000001s",
            "18446744073709551616ns",
            "18446744074s",
            "1ms1us",
            "½s",
            "1.99999999999999999999999999s",
        ];
        for text in cases {
            let message = parse(text).unwrap_err();
            assert!(message.starts_with(&format!("{text:?} is no duration above 0")), "{message}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        let cases = [
            (1, "1ns"),
            (999, "999ns"),
            (1_024, "1.024us"),
            (8_388_608, "8.388608ms"),
            (10_000_000, "10ms"),
            (1_000_000_001, "1.000000001s"),
            (u64::MAX, "18446744073.709551615s"),
        ];
        for (duration, text) in cases {
            assert_eq!(Nanoseconds(duration).to_string(), text);
            assert_eq!(parse(text), Ok(duration));
        }
        assert_eq!(Nanoseconds(0).to_string(), "0ns");
    }
}
