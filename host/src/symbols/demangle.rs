//! Names as their programmers wrote them, for Rust and C++. A mangled name can refer to parts of itself, so that a
//! short one stands for gigabytes: what is written is bounded, and writing more ends it.

use std::borrow::Cow;
use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, Symbol};

use super::text::NAME_BYTES;

/// A longer name is not looked into; what could be shown of it is its beginning anyway.
const MANGLED_BYTES: usize = 4 << 10;

/// The name itself if it is not mangled.
pub(crate) fn demangle(name: &str) -> Cow<'_, str> {
    if name.len() > MANGLED_BYTES {
        return Cow::Borrowed(name);
    }
    let mut written = Bounded(String::new());
    let result = if let Ok(symbol) = rustc_demangle::try_demangle(name) {
        // Without the hash, which is new in every build.
        write!(written, "{symbol:#}")
    } else if name.starts_with("_Z")
        && let Ok(symbol) = Symbol::new(name)
    {
        symbol.structured_demangle(&mut written, &DemangleOptions::default())
    } else {
        Err(fmt::Error)
    };
    match result {
        Ok(()) => Cow::Owned(written.0),
        // There was more than is shown.
        Err(_) if written.0.len() > NAME_BYTES => Cow::Owned(written.0),
        Err(_) => Cow::Borrowed(name),
    }
}

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            // One byte more than is shown makes the name a cut one.
            if self.0.len() > NAME_BYTES {
                return Err(fmt::Error);
            }
            self.0.push(c);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_as_programmers_wrote_them() {
        for (mangled, name) in [
            ("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place"),
            ("_RNvCskwGfYPst2Cb_3foo16example_function", "foo::example_function"),
            ("_ZN5space3fooEibc", "space::foo(int, bool, char)"),
            ("do_sys_open", "do_sys_open"),
            ("_Znonsense", "_Znonsense"),
            ("", ""),
        ] {
            assert_eq!(demangle(mangled), name);
        }
    }

    #[test]
    fn a_name_that_grows_without_end_is_cut() {
        // Each argument is a pointer to a function of the one before, twice: two to the power of forty.
        let mut bomb = "_Z1fPFiiiE".to_owned();
        for n in 0..40 {
            let digit = char::from_digit(n % 36, 36).unwrap().to_ascii_uppercase();
            bomb.push_str(&match n {
                0 => "PFvS_S_E".to_owned(),
                1..=36 => format!("PFvS{digit}_S{digit}_E"),
                _ => format!("PFvS1{digit}_S1{digit}_E"),
            });
        }
        let begun = std::time::Instant::now();
        assert!(demangle(&bomb).len() <= NAME_BYTES + 4);
        assert!(begun.elapsed() < std::time::Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn anything_is_bounded(name in "(_Z|_R|_ZN)?[A-Za-z0-9_$.]{0,200}") {
            let shown = demangle(&name);
            prop_assert!(shown.len() <= NAME_BYTES + 4 || shown == name);
        }
    }
}
