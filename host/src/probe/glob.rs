//! Patterns with `*` and `?`.

/// A pattern, as an automaton whose states are the bits of a number: bit `n` is set while the first `n` parts of
/// the pattern may have matched what was read. So a name takes time in proportion to its length, whatever the
/// pattern; trying each `*` at each place would take a product of lengths, and both may be a stranger's.
#[derive(Debug)]
pub(crate) struct Glob {
    /// For each byte, the parts that it matches.
    parts: Box<[u128; 256]>,
    /// The states before which a `*` stands, and which therefore stay.
    stays: u128,
    end: u128,
}

impl Glob {
    /// Characters of a pattern, so that all states fit.
    pub(crate) const LONGEST: usize = 127;

    /// `None` if it is too long.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        let (mut parts, mut stays, mut state) = (Box::new([0; 256]), 0, 1_u128);
        if pattern.len() > Self::LONGEST {
            return None;
        }
        for byte in pattern.bytes() {
            match byte {
                b'*' => {
                    stays |= state;
                    continue;
                }
                b'?' => parts.iter_mut().for_each(|part| *part |= state),
                byte => parts[usize::from(byte)] |= state,
            }
            state <<= 1;
        }
        Some(Self { parts, stays, end: state })
    }

    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let step =
            |state: u128, byte: &u8| ((state & self.parts[usize::from(*byte)]) << 1) | (state & self.stays);
        name.iter().fold(1, step) & self.end != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, in exponential time.
    fn slow(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            ([b'*', rest @ ..], []) => slow(rest, &[]),
            ([b'*', rest @ ..], [_, after @ ..]) => slow(rest, name) || slow(pattern, after),
            ([_, ..], []) => false,
            ([part, rest @ ..], [byte, after @ ..]) => (*part == b'?' || part == byte) && slow(rest, after),
        }
    }

    #[test]
    fn examples() {
        let matches = |pattern: &str, name: &str| Glob::new(pattern).unwrap().matches(name.as_bytes());
        assert!(
            matches("malloc", "malloc") && !matches("malloc", "mallocs") && !matches("malloc", "xmalloc")
        );
        assert!(matches("*malloc*", "__libc_malloc_impl") && matches("*", "") && matches("SSL_*", "SSL_"));
        assert!(matches("m?ll*c", "malloc") && !matches("?", "") && !matches("", "x"));
        let longest = "?".repeat(Glob::LONGEST);
        assert!(matches(&longest, &"x".repeat(Glob::LONGEST)) && Glob::new(&format!("{longest}?")).is_none());
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,10}", name in "[ab]{0,12}") {
            prop_assert_eq!(
                Glob::new(&pattern).unwrap().matches(name.as_bytes()),
                slow(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
