//! What a plugin says. It is kept only if `analyze` returns ok; log lines always.

use std::borrow::Cow;
use std::fmt::Display;

use crate::bindings::weir::plugin::types::Label;
use crate::host::output;
use crate::table::Table;
use crate::{Failure, Result};

pub use crate::bindings::weir::plugin::output::Severity;

fn label(name: &str, value: impl Display) -> Label {
    Label { name: name.to_owned(), value: value.to_string() }
}

macro_rules! metrics {
    ($($(#[$meta:meta])* $type:ident $function:ident { $($rest:tt)* })*) => {$(
        $(#[$meta])*
        pub fn $function(name: &str) -> $type<'_> {
            $type { name, labels: Vec::new() }
        }

        #[doc = concat!("What [`", stringify!($function), "`] starts.")]
        #[derive(Clone, Debug)]
        #[must_use]
        pub struct $type<'a> {
            name: &'a str,
            labels: Vec<Label>,
        }

        impl $type<'_> {
            /// One of the labels that tell the values of a metric apart.
            pub fn label(mut self, name: &str, value: impl Display) -> Self {
                self.labels.push(label(name, value));
                self
            }

            $($rest)*
        }
    )*};
}

metrics! {
    /// A number that only grows; the host keeps its total: `counter("calls").label("comm", comm).add(1.0)?`.
    Counter counter {
        /// By how much it grew since the last call.
        ///
        /// # Errors
        /// `bounds` if it is negative or not finite, `quota`, `too-large`.
        #[expect(clippy::should_implement_trait, reason = "a counter is added to, as everywhere")]
        pub fn add(self, delta: f64) -> Result {
            output::add(self.name, &self.labels, delta).map_err(Failure::refused)
        }
    }

    /// A number as it is now: `gauge("share").label("comm", comm).set(0.5)?`.
    Gauge gauge {
        /// The number.
        ///
        /// # Errors
        /// `bounds` if it is not finite, `quota`, `too-large`.
        pub fn set(self, value: f64) -> Result {
            output::gauge(self.name, &self.labels, value).map_err(Failure::refused)
        }
    }

    /// A row's histogram, passed on whole: `histogram("latency").row(&table, 0, "latency")?`.
    Distribution histogram {
        /// The row and the column that it is in.
        ///
        /// # Errors
        /// `unknown`, `kind`, `bounds` if there is no such row, `quota`, `too-large`.
        pub fn row(self, table: &Table, row: u32, column: &str) -> Result {
            let column = table.find(column)?;
            output::histogram(self.name, &self.labels, table.number, row, column).map_err(Failure::refused)
        }
    }
}

/// Something for a person to read. `code` names its sort, and is always the same, for programs to select by;
/// `title` is one line.
///
/// ```no_run
/// # fn say() -> weir_plugin::Result {
/// use weir_plugin::{Severity, report};
///
/// report(Severity::Warning, "slow", "reads take long").field("p99", "12 ms").field("calls", 1200).send()?;
/// # Ok(())
/// # }
/// ```
pub fn report(level: Severity, code: &str, title: impl Into<String>) -> Report<'_> {
    Report { level, code, title: title.into(), fields: Vec::new() }
}

/// What [`report`] starts.
#[derive(Clone, Debug)]
#[must_use = "a report is sent by `send`"]
pub struct Report<'a> {
    level: Severity,
    code: &'a str,
    title: String,
    fields: Vec<Label>,
}

impl Report<'_> {
    /// Fields are shown in the order in which they are added; there can be 32. A value has 4,096 bytes at most, as the title
    /// does: [`brief`] makes room for the keys of a table.
    pub fn field(mut self, name: &str, value: impl Display) -> Self {
        self.fields.push(label(name, value));
        self
    }

    /// Says it.
    ///
    /// # Errors
    /// `quota`, `too-large`.
    pub fn send(self) -> Result {
        output::report(self.level, self.code, &self.title, &self.fields).map_err(Failure::refused)
    }
}

/// What stands for the middle of a text.
const GAP: &str = " … ";

/// A text for people in so many bytes, 5 or more: what is longer keeps both its ends.
///
/// A key can be a stack of 32 KiB, and a report with it would be refused. Two texts can come to the same.
///
/// ```
/// use weir_plugin::brief;
///
/// assert_eq!(brief("main;read", 21), "main;read");
/// assert_eq!(brief("main;run;poll;read;vfs_read", 21), "main;run … vfs_read");
/// ```
#[must_use]
pub fn brief(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    let kept = bytes.saturating_sub(GAP.len());
    let first = &text[..text.floor_char_boundary(kept.div_ceil(2))];
    let last = &text[text.ceil_char_boundary(text.len() - kept / 2)..];
    Cow::Owned(format!("{first}{GAP}{last}"))
}

/// Appends to a file that this interval leaves behind.
///
/// # Errors
/// `quota`: everything that a call puts out has 1 MiB together. `too-large`, if a name is.
pub fn artefact(name: &str, media_type: &str, chunk: &[u8]) -> Result {
    output::artefact(name, media_type, chunk).map_err(Failure::refused)
}

/// A line for whoever writes or runs the plugin, kept even if the call fails.
pub fn log(level: Severity, message: impl Display) {
    output::log(level, &message.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brief_has_both_ends_and_no_more_bytes() {
        for text in
            ["", "short", "main;run;poll;read", "größer als größer", "日本語日本語日本語", "a🦀🦀🦀🦀🦀z"]
        {
            for bytes in GAP.len()..=text.len() + 1 {
                let brief = brief(text, bytes);
                assert!(brief.len() <= bytes, "{brief:?} in {bytes}");
                match brief {
                    Cow::Borrowed(whole) => assert_eq!(whole, text),
                    Cow::Owned(brief) => {
                        let (first, last) = brief.split_once(GAP).unwrap();
                        assert!(text.starts_with(first) && text.ends_with(last), "{brief:?}");
                        // Less than a character is lost at each end.
                        assert!(text.len() > bytes && brief.len() + 2 * 3 >= bytes, "{brief:?} in {bytes}");
                    }
                }
            }
        }
        assert_eq!(brief("a text", 0), GAP, "there is no less");
    }
}
