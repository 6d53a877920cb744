//! Numbers as an engineer reads them.

/// Thousands are set apart: `1,234,567`.
pub(super) fn integer(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A value of a column: nanoseconds in the unit that fits them, everything else as it is.
pub(super) fn quantity(number: i128, unit: &str) -> String {
    if unit == "ns" { nanoseconds(number as f64) } else { integer(number) }
}

/// As [`quantity`], for what is no integer.
pub(super) fn average(number: f64, unit: &str) -> String {
    if unit == "ns" { nanoseconds(number) } else { decimal(number) }
}

/// A bound of a bucket. Powers of 1,024 are short: `4K`.
pub(super) fn bound(number: i128, unit: &str) -> String {
    if unit == "ns" {
        return nanoseconds(number as f64);
    }
    let (mut short, mut suffixes) = (number, "KMGTPE".chars());
    let mut suffix = None;
    while short != 0 && short % 1024 == 0 {
        let Some(next) = suffixes.next() else { break };
        (short, suffix) = (short / 1024, Some(next));
    }
    format!("{short}{}", suffix.map_or(String::new(), String::from))
}

/// Three digits that matter, in the unit that leaves at most three before the point.
pub(super) fn nanoseconds(number: f64) -> String {
    const UNITS: [&str; 4] = ["ns", "µs", "ms", "s"];
    let (mut scaled, mut unit) = (number, 0);
    // What would be rounded to 1000 belongs to the next unit.
    while scaled.abs() >= 999.5 && unit + 1 < UNITS.len() {
        (scaled, unit) = (scaled / 1000.0, unit + 1);
    }
    let decimals = match scaled.abs() {
        _ if unit == 0 && scaled.fract() == 0.0 => 0,
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$}{}", UNITS[unit])
}

/// A number with up to three decimals.
pub(super) fn decimal(number: f64) -> String {
    if !number.is_finite() || number.abs() >= 1e15 {
        return number.to_string();
    }
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let whole = integer(whole.trim_start_matches('-').parse().unwrap_or_default());
    fraction.map_or_else(|| format!("{sign}{whole}"), |fraction| format!("{sign}{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(integer(number), text);
        }
        assert_eq!(integer(u64::MAX.into()), "18,446,744,073,709,551,615");
    }

    #[test]
    fn times_have_three_digits() {
        let cases = [
            (0.0, "0ns"),
            (1.0, "1ns"),
            (12.345, "12.3ns"),
            (999.0, "999ns"),
            (999.5, "1.00µs"),
            (1024.0, "1.02µs"),
            (65_536.0, "65.5µs"),
            (131_072.0, "131µs"),
            (-1_500_000.0, "-1.50ms"),
            (3_600e9, "3600s"),
        ];
        for (number, text) in cases {
            assert_eq!(nanoseconds(number), text);
        }
    }

    #[test]
    fn bounds_are_short() {
        let cases = [
            (0, "0"),
            (1, "1"),
            (512, "512"),
            (1024, "1K"),
            (3 << 20, "3M"),
            (1500, "1500"),
            (1 << 63, "8E"),
        ];
        for (number, text) in cases {
            assert_eq!(bound(number, ""), text);
        }
        assert_eq!(bound(1 << 20, "ns"), "1.05ms");
    }

    #[test]
    fn decimals_are_cut() {
        let cases =
            [(0.5, "0.5"), (-0.25, "-0.25"), (1234.0, "1,234"), (1234.56789, "1,234.568"), (f64::NAN, "NaN")];
        for (number, text) in cases {
            assert_eq!(decimal(number), text);
        }
    }
}
