//! The CPUs of this machine.

use crate::error::{Error, Kind, Result};

/// How many CPUs this machine could ever have, whether they are online or not.
pub(crate) fn possible() -> Result<u32> {
    Ok(list("possible")?.into_iter().max().map_or(1, |last| last + 1))
}

/// The CPUs that are online now.
pub(crate) fn online() -> Result<Vec<u32>> {
    list("online")
}

fn list(which: &str) -> Result<Vec<u32>> {
    let path = format!("/sys/devices/system/cpu/{which}");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::new(Kind::Unavailable, format!("{path}: {error}")))?;
    parse(text.trim())
        .ok_or_else(|| Error::new(Kind::Unavailable, format!("{path}: {text} is no list of CPUs")))
}

/// `0-3,8`. No kernel has more CPUs than the bound, which keeps a damaged list from filling memory.
fn parse(text: &str) -> Option<Vec<u32>> {
    const MOST: u32 = 1 << 16;
    let mut cpus = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok().filter(|last| *last < MOST)?);
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_have_ranges() {
        assert_eq!(super::parse("0-3,8"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(super::parse("0"), Some(vec![0]));
        for text in ["", "0-", "a", "0-99999999"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
    }
}
