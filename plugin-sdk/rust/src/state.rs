//! A few kilobytes that outlive the instance: 64 KiB, and 1,024 keys. What a call that fails stored is gone.
//!
//! Numbers and texts are kept as they print, so that whatever prints and can be read back can be kept:
//!
//! ```
//! # use weir_plugin::{Plugin, Result, state};
//! # #[derive(Default)]
//! # struct Calls;
//! # impl Plugin for Calls {
//! #     fn analyze(&mut self) -> Result {
//! let calls: u64 = state::get("calls")?.unwrap_or(0);
//! state::set("calls", calls + 1)?;
//! #         Ok(())
//! #     }
//! # }
//! # let mut host = weir_plugin::testing::Host::new();
//! # host.analyze::<Calls>().unwrap();
//! # host.analyze::<Calls>().unwrap();
//! # assert_eq!(host.stored("calls"), Some(&b"2"[..]));
//! ```

use std::any::type_name;
use std::fmt::Display;
use std::str::FromStr;

use crate::host::state;
use crate::{Failure, Result};

/// The number or text under this key, if there is one.
///
/// # Errors
/// `state`, if what was stored is something else, perhaps by an earlier version of the plugin.
pub fn get<T: FromStr>(key: &str) -> Result<Option<T>> {
    let Some(bytes) = state::load(key) else { return Ok(None) };
    let value = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
    let wrong = || Failure::new("state", format!("what is stored as {key} is no {}", type_name::<T>()));
    value.map(Some).ok_or_else(wrong)
}

/// Stores a number or a text, which [`get`] gives back, numbers exactly.
///
/// # Errors
/// `too-large`, if there is no room for it.
pub fn set(key: &str, value: impl Display) -> Result {
    store(key, value.to_string().as_bytes())
}

/// The bytes under this key, if there are any.
#[must_use]
pub fn load(key: &str) -> Option<Vec<u8>> {
    state::load(key)
}

/// Stores bytes.
///
/// # Errors
/// `too-large`, if there is no room for them.
pub fn store(key: &str, value: &[u8]) -> Result {
    state::store(key, value).map_err(Failure::refused)
}

/// Forgets what is under this key.
pub fn remove(key: &str) {
    state::remove(key);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn what_is_set_is_got_back() {
        Host::new().call(|| {
            assert_eq!(get::<u64>("n").unwrap(), None);
            set("n", u64::MAX).unwrap();
            set("x", f64::MIN_POSITIVE).unwrap();
            set("t", "two\nlines").unwrap();
            assert_eq!(get("n").unwrap(), Some(u64::MAX));
            assert_eq!(get("x").unwrap(), Some(f64::MIN_POSITIVE));
            assert_eq!(get("t").unwrap(), Some("two\nlines".to_owned()));
            remove("n");
            assert_eq!(load("n"), None);
        });
    }

    #[test]
    fn what_is_stored_as_something_else_is_told() {
        let host = Host::new().store("n", b"ten").store("raw", [0xff]);
        host.call(|| {
            let failure = get::<u64>("n").unwrap_err();
            assert_eq!(
                (failure.reason.as_str(), failure.message.as_str()),
                ("state", "what is stored as n is no u64")
            );
            assert_eq!(get::<String>("raw").unwrap_err().reason, "state");
            assert_eq!(load("raw"), Some(vec![0xff]));
        });
    }
}
