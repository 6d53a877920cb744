//! Numbers with a unit, as people write them: `100ms`, `16MiB`. A number is whole and a unit is exact, so
//! that what is written is what is meant.

const TIMES: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Nanoseconds.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    parse(text, &TIMES)
        .map_err(|why| format!("{why}; a duration is a whole number and one of ns, us, ms, s, m, h"))
}

/// Bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    parse(text, &SIZES).map_err(|why| format!("{why}; a size is a whole number and one of B, KiB, MiB, GiB"))
}

fn parse(text: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("there is no number".to_owned());
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(match unit {
            "" => "the unit is missing".to_owned(),
            unit => format!("`{}` is not a unit", unit.escape_debug()),
        });
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| "the number is too large".to_owned())
}

/// A duration in the largest unit in which it is a whole number.
pub(crate) fn show_duration(nanoseconds: u64) -> String {
    show(nanoseconds, &TIMES)
}

/// A size in the largest unit in which it is a whole number.
pub(crate) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

fn show(number: u64, units: &[(&str, u64)]) -> String {
    let unit = units.iter().rev().find(|(_, factor)| number >= *factor && number.is_multiple_of(*factor));
    let (name, factor) = unit.unwrap_or(&units[0]);
    format!("{}{name}", number / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_units() {
        assert_eq!(duration("1500us"), Ok(1_500_000));
        assert_eq!(duration("2m"), Ok(120_000_000_000));
        assert_eq!(size("16MiB"), Ok(16 << 20));
        for (number, shown) in [(0, "0ns"), (1_000, "1us"), (1_500, "1500ns"), (90_000_000_000, "90s")] {
            assert_eq!(show_duration(number), shown);
            assert_eq!(duration(shown), Ok(number));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "1", "s", "1.5s", "-1s", "1 s", "1S", "1sec", "1s ", "99999999999h", "+1s", "１s"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        for text in ["16MB", "16M", "16", "1TiB", "0x10B", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }
}
