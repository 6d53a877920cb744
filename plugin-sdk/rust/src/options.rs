//! The operator's settings.
//!
//! [`options!`](crate::options!) reads them into a structure of the plugin's own, all at once, and checks them. The
//! functions below read one. A setting that is absent has the default that the plugin's manifest gives it, if it gives
//! one; so a default stands there, and not in the code.
//!
//! A setting of another type than it is asked for is a failure that says so, and never a default that hides it.

use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

use sealed::{Found, Make, Value};

use crate::host::options;
use crate::{Failure, Result};

/// Reads the operator's settings into a structure, each field from the option of its name, and checks them.
///
/// ```
/// use weir_plugin::testing::Host;
///
/// weir_plugin::options! {
///     /// What the operator can set.
///     #[derive(Debug)]
///     struct Options {
///         /// How many keys are shown.
///         limit: u32 where 1..=100,
///         objective: f64 where 0.0..=1.0,
///         verbose: bool,
///         /// Not everybody wants it.
///         only: Option<String>,
///     }
/// }
///
/// let host = Host::new().option("limit", 10).option("objective", 0.99);
/// let options = host.call(Options::read).unwrap();
/// assert_eq!((options.limit, options.objective, options.verbose), (10, 0.99, false));
/// assert_eq!(options.only, None);
///
/// let failure = host.option("limit", 1000).call(Options::read).unwrap_err();
/// assert_eq!(failure.message, "option limit: 1 to 100 are possible");
/// ```
///
/// A field is a `String`, a `bool`, an `f64` or any integer, or an `Option` of one. One that is no `Option` has to be
/// given, but for a `bool`, which is false where it is not. A range after `where` is what is possible. Whatever else
/// has to be checked is checked on the structure, with [`wrong`] to say what is wrong.
#[macro_export]
macro_rules! options {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty $(where $range:expr)?),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl $name {
            /// Reads the operator's settings, and checks them.
            $vis fn read() -> $crate::Result<Self> {
                Ok(Self {
                    $($field: $crate::options::setting(
                        ::core::stringify!($field),
                        $crate::options!(@range $($range)?),
                    )?,)*
                })
            }
        }
    };
    (@range) => { .. };
    (@range $range:expr) => { $range };
}

/// A text.
pub fn text(name: &str) -> Result<Option<String>> {
    typed(name, "a text", options::text(name), mistyped)
}

/// An integer.
pub fn integer(name: &str) -> Result<Option<i64>> {
    typed(name, "an integer", options::integer(name), mistyped)
}

/// A number. An integer will do.
#[expect(clippy::cast_precision_loss, reason = "a setting beyond 2^53 that is asked for as a number is one")]
pub fn number(name: &str) -> Result<Option<f64>> {
    let number = options::number(name).or_else(|| options::integer(name).map(|integer| integer as f64));
    typed(name, "a number", number, mistyped)
}

/// True or false.
pub fn flag(name: &str) -> Result<Option<bool>> {
    typed(name, "true or false", options::flag(name), mistyped)
}

/// One setting of a type that [`options!`](crate::options!) knows, within a range, or `..` if whatever the type holds
/// is possible.
///
/// # Errors
/// `option`, if it is of another type, out of range, or absent and no `Option`.
pub fn setting<S: Setting>(name: &str, range: impl RangeBounds<S::Value>) -> Result<S> {
    let value = match S::Value::find(name)? {
        Found::Value(value) if range.contains(&value) => Some(value),
        Found::Absent => S::Value::absent(),
        Found::Value(_) | Found::TooLarge => {
            return Err(wrong(name, possible(&range).unwrap_or_else(S::Value::all)));
        }
    };
    S::make(value).ok_or_else(|| wrong(name, "it has to be given"))
}

/// What is possible, if there are bounds.
fn possible<T: Display>(range: &impl RangeBounds<T>) -> Option<String> {
    Some(match (range.start_bound(), range.end_bound()) {
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high)) => {
            format!("{low} to {high} are possible")
        }
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => {
            format!("{low} to {high}, but not {high} itself, are possible")
        }
        (Bound::Included(low) | Bound::Excluded(low), Bound::Unbounded) => {
            format!("at least {low} is needed")
        }
        (Bound::Unbounded, Bound::Included(high)) => format!("at most {high} is possible"),
        (Bound::Unbounded, Bound::Excluded(high)) => format!("less than {high} is needed"),
        (Bound::Unbounded, Bound::Unbounded) => return None,
    })
}

/// A failure that names the option: what is wrong with it, and what would be right.
#[must_use]
pub fn wrong(name: &str, what: impl Display) -> Failure {
    Failure::new("option", format!("option {name}: {what}"))
}

/// What a field of [`options!`](crate::options!) can be.
pub trait Setting: Make {}

impl<S: Make> Setting for S {}

mod sealed {
    use super::{Display, Result};

    /// What is known of a setting.
    #[derive(Debug)]
    pub enum Found<T> {
        Absent,
        /// An integer that the type does not hold.
        TooLarge,
        Value(T),
    }

    pub trait Value: Sized + Display + PartialOrd {
        fn find(name: &str) -> Result<Found<Self>>;

        /// What it is where it was not given.
        fn absent() -> Option<Self> {
            None
        }

        /// What is possible where no range says it.
        fn all() -> String {
            String::new()
        }
    }

    pub trait Make: Sized {
        type Value: Value;
        fn make(value: Option<Self::Value>) -> Option<Self>;
    }
}

impl<V: Value> Make for V {
    type Value = V;

    fn make(value: Option<V>) -> Option<V> {
        value
    }
}

impl<V: Value> Make for Option<V> {
    type Value = V;

    fn make(value: Option<V>) -> Option<Self> {
        Some(value)
    }
}

macro_rules! values {
    ($($type:ty => $read:ident),*) => {$(
        impl Value for $type {
            fn find(name: &str) -> Result<Found<Self>> {
                Ok($read(name)?.map_or(Found::Absent, Found::Value))
            }
        }
    )*};
}

values!(String => text, f64 => number);

impl Value for bool {
    fn find(name: &str) -> Result<Found<Self>> {
        Ok(flag(name)?.map_or(Found::Absent, Found::Value))
    }

    fn absent() -> Option<Self> {
        Some(false)
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn find(name: &str) -> Result<Found<Self>> {
                let Some(integer) = integer(name)? else { return Ok(Found::Absent) };
                Ok(<$type>::try_from(integer).map_or(Found::TooLarge, Found::Value))
            }

            fn all() -> String {
                format!("{} to {} are possible", <$type>::MIN, <$type>::MAX)
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

fn typed<T>(
    name: &str,
    wanted: &str,
    value: Option<T>,
    mistyped: impl FnOnce(&str) -> Option<&'static str>,
) -> Result<Option<T>> {
    match value {
        Some(value) => Ok(Some(value)),
        None => match mistyped(name) {
            Some(other) => Err(wrong(name, format_args!("{wanted} is needed, and this is {other}"))),
            None => Ok(None),
        },
    }
}

/// What a setting is that was not of the type it was asked for.
fn mistyped(name: &str) -> Option<&'static str> {
    options::text(name)
        .map(|_| "a text")
        .or_else(|| options::integer(name).map(|_| "an integer"))
        .or_else(|| options::number(name).map(|_| "a number"))
        .or_else(|| options::flag(name).map(|_| "true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    crate::options! {
        #[derive(Debug, PartialEq)]
        struct Options {
            limit: u32 where 1..=100,
            share: f64 where 0.0..=1.0,
            name: String,
            quiet: bool,
            offset: Option<i8>,
            least: Option<u64> where 5..,
        }
    }

    fn host() -> Host {
        Host::new().option("limit", 3).option("share", 1).option("name", "x")
    }

    fn message(host: &Host) -> String {
        let failure = host.call(Options::read).unwrap_err();
        assert_eq!(failure.reason, "option");
        failure.message
    }

    #[test]
    fn options_become_a_structure() {
        let options = host().option("offset", -7).call(Options::read).unwrap();
        let (name, least) = ("x".to_owned(), None);
        let wanted = Options { limit: 3, share: 1.0, name, quiet: false, offset: Some(-7), least };
        assert_eq!(options, wanted);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_right() {
        assert_eq!(message(&Host::new()), "option limit: it has to be given");
        for limit in [0, 101, -1, i64::MIN] {
            assert_eq!(message(&host().option("limit", limit)), "option limit: 1 to 100 are possible");
        }
        assert_eq!(message(&host().option("share", 1.5)), "option share: 0 to 1 are possible");
        assert_eq!(message(&host().option("share", f64::NAN)), "option share: 0 to 1 are possible");
        assert_eq!(message(&host().option("offset", 128)), "option offset: -128 to 127 are possible");
        assert_eq!(message(&host().option("least", 4)), "option least: at least 5 is needed");
        assert_eq!(message(&host().option("least", -4)), "option least: at least 5 is needed");
        let mistyped = host().option("limit", "3");
        assert_eq!(message(&mistyped), "option limit: an integer is needed, and this is a text");
        let mistyped = host().option("offset", 1.5);
        assert_eq!(message(&mistyped), "option offset: an integer is needed, and this is a number");
    }

    #[test]
    fn bounds_are_said_as_they_are() {
        assert_eq!(possible(&(1..3)).unwrap(), "1 to 3, but not 3 itself, are possible");
        assert_eq!(possible(&(..3)).unwrap(), "less than 3 is needed");
        assert_eq!(possible(&(..=3)).unwrap(), "at most 3 is possible");
        assert_eq!(possible::<u8>(&(..)), None);
    }
}
