//! The operator's settings. One that is absent is `None`; one of another type is a failure that says so, rather
//! than a default which hides it.

use crate::bindings::weir::plugin::options;
use crate::{Failure, Result};

pub fn text(name: &str) -> Result<Option<String>> {
    typed(name, "a text", options::text(name), mistyped)
}

pub fn integer(name: &str) -> Result<Option<i64>> {
    typed(name, "an integer", options::integer(name), mistyped)
}

/// An integer will do for a number.
#[expect(clippy::cast_precision_loss, reason = "a setting beyond 2^53 that is asked for as a number is one")]
pub fn number(name: &str) -> Result<Option<f64>> {
    let number = options::number(name).or_else(|| options::integer(name).map(|integer| integer as f64));
    typed(name, "a number", number, mistyped)
}

pub fn flag(name: &str) -> Result<Option<bool>> {
    typed(name, "true or false", options::flag(name), mistyped)
}

/// A failure that names the option: what is wrong with it, and what would be right.
#[must_use]
pub fn wrong(name: &str, what: impl std::fmt::Display) -> Failure {
    Failure::new("option", format!("option {name}: {what}"))
}

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

    #[test]
    fn a_setting_of_another_type_is_no_absent_one() {
        assert_eq!(typed("limit", "an integer", Some(3), |_| None).unwrap(), Some(3));
        assert_eq!(typed::<i64>("limit", "an integer", None, |_| None).unwrap(), None);
        let failure = typed::<i64>("limit", "an integer", None, |_| Some("a text")).unwrap_err();
        assert_eq!(failure.message, "option limit: an integer is needed, and this is a text");
    }
}
