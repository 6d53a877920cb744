//! A TOML table whose keys and types are checked as it is read.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::Document;
use super::is_name;
use super::piece::Piece;
use crate::error::{Error, Result};
use crate::probe::nearest::did_you_mean;

/// The entries of a table, in the order of the file.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    entries: Vec<Entry<'a>>,
}

/// One key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) document: &'a Document<'a>,
    pub(crate) key: &'a str,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Section<'a> {
    /// The file's own table, which may have these keys and no others.
    pub(crate) fn of_root(
        document: &'a Document<'a>,
        root: &'a Spanned<DeTable<'a>>,
        keys: &[&str],
    ) -> Result<Self> {
        Self { entries: entries(document, root.get_ref()) }.with_keys(keys)
    }

    fn with_keys(self, keys: &[&str]) -> Result<Self> {
        for entry in &self.entries {
            if !keys.contains(&entry.key) {
                let error = entry.key_error(format!("unknown key `{}`", entry.key.escape_debug()));
                return Err(error.help(
                    did_you_mean(entry.key, keys.iter().copied())
                        .unwrap_or_else(|| format!("the keys here are {}", keys.join(", "))),
                ));
            }
        }
        Ok(self)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl<'a> Entry<'a> {
    /// An error at the key.
    pub(crate) fn key_error(&self, message: impl Into<String>) -> Error {
        self.document.error(self.key_span.clone(), message)
    }

    /// An error at the value.
    pub(crate) fn value_error(&self, message: impl Into<String>) -> Error {
        self.document.error(self.value.span(), message)
    }

    fn wrong_type(&self, wanted: &str) -> Error {
        let found = match self.value.get_ref() {
            DeValue::Integer(_) => "an integer",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::String(_) => "a string",
        };
        self.value_error(format!("`{}` must be {wanted}, not {found}", self.key.escape_debug()))
    }

    /// The text that this is, with its place.
    pub(crate) fn piece(&self) -> Result<Piece<'a>> {
        Ok(Piece { document: *self.document, text: self.text()?, span: self.value.span() })
    }

    /// The key, with its place.
    pub(crate) fn key_piece(&self) -> Piece<'a> {
        Piece { document: *self.document, text: self.key, span: self.key_span.clone() }
    }

    pub(crate) fn text(&self) -> Result<&'a str> {
        self.value.get_ref().as_str().ok_or_else(|| self.wrong_type("a string"))
    }

    pub(crate) fn flag(&self) -> Result<bool> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    /// A whole number within these bounds.
    pub(crate) fn integer(&self, (low, high): (i64, i64)) -> Result<i64> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            return Err(self.wrong_type("an integer"));
        };
        i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| {
                self.value_error(format!("`{}` must be from {low} to {high}", self.key.escape_debug()))
            })
    }

    /// A number with a unit, within these bounds.
    pub(crate) fn quantity(
        &self,
        parse: fn(&str) -> Result<u64, String>,
        show: fn(u64) -> String,
        (low, high): (u64, u64),
    ) -> Result<u64> {
        let bounds = format!("from {} to {}", show(low), show(high));
        let DeValue::String(text) = self.value.get_ref() else {
            let example = format!("a string {bounds}, such as \"{}\"", show(low));
            return Err(self.wrong_type(&example));
        };
        let number = parse(text)
            .map_err(|why| self.value_error(format!("`{}` must be {bounds}", self.key)).help(why))?;
        if !(low..=high).contains(&number) {
            return Err(self.value_error(format!("`{}` must be {bounds}", self.key)));
        }
        Ok(number)
    }

    fn table(&self) -> Result<&'a DeTable<'a>> {
        self.value.get_ref().as_table().ok_or_else(|| self.wrong_type("a table"))
    }

    /// The table that this is, which may have these keys and no others.
    pub(crate) fn section(&self, keys: &[&str]) -> Result<Section<'a>> {
        Section { entries: entries(self.document, self.table()?) }.with_keys(keys)
    }

    /// The entries of the table that this is, whatever their keys, in the order of the file.
    pub(crate) fn entries(&self) -> Result<Vec<Entry<'a>>> {
        Ok(entries(self.document, self.table()?))
    }

    /// This itself, if it is a text, or else the texts of the array that it is.
    pub(crate) fn one_or_more(&self) -> Result<Vec<Piece<'a>>> {
        match self.value.get_ref() {
            DeValue::String(_) => Ok(vec![self.piece()?]),
            DeValue::Array(array) => {
                array.iter().map(|value| Self { value, ..self.clone() }.piece()).collect()
            }
            _ => Err(self.wrong_type("a string or an array of strings")),
        }
    }

    /// The texts of the array that this is.
    pub(crate) fn pieces(&self) -> Result<Vec<Piece<'a>>> {
        let wrong = || self.wrong_type("an array of strings");
        let array = self.value.get_ref().as_array().ok_or_else(wrong)?;
        let piece = |value: &'a Spanned<DeValue<'a>>| {
            Some(Piece { document: *self.document, text: value.get_ref().as_str()?, span: value.span() })
        };
        array.iter().map(|value| piece(value).ok_or_else(wrong)).collect()
    }

    /// The key, as the name of a table or a plugin.
    pub(crate) fn name(&self) -> Result<String> {
        if is_name(self.key) {
            return Ok(self.key.to_owned());
        }
        Err(self
            .key_error(format!("`{}` cannot be a name", self.key.escape_debug()))
            .help("a name is a letter or _, then letters, digits, _ and -, 64 characters at most"))
    }
}

fn entries<'a>(document: &'a Document<'a>, table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = table
        .iter()
        .map(|(key, value)| Entry { document, key: key.get_ref(), key_span: key.span(), value })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}
