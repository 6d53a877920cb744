//! Columns, read in pages that are as large as the host allows.

use std::fmt;

use crate::Result;
use crate::bindings::weir::plugin::types;
use crate::host::tables;

/// What a column can be read as: `u64`, `i64`, `f64`, [`Text`] or [`Histogram`](crate::Histogram).
pub trait Kind: sealed::Read {}

/// A column that was read. Numbers come as `Vec`, texts as [`Texts`], histograms as
/// [`Histograms`](crate::Histograms).
pub trait Cells {
    /// What is in a row.
    type Cell<'a>
    where
        Self: 'a;

    /// What is in this row.
    ///
    /// # Panics
    /// If there is no such row.
    fn cell(&self, row: usize) -> Self::Cell<'_>;
}

pub(crate) mod sealed {
    use super::{Cells, Result, types};

    /// How columns of one kind are read, and how their pages are joined.
    pub trait Read {
        /// What the interface calls it.
        const NAME: &'static str;
        /// A whole column.
        type Column: Cells;
        fn read(table: u32, column: u32, first: u32, count: u32) -> Result<Self::Column, types::Failure>;
        fn join(column: &mut Self::Column, page: Self::Column);
    }
}

/// Reads `count` rows from `first` on in as few pages as the host allows: all at once, or, as long as that is
/// `too-large`, half as many.
pub(crate) fn read_all<K: Kind>(
    first: u32,
    count: u32,
    mut read: impl FnMut(u32, u32) -> Result<K::Column>,
) -> Result<K::Column> {
    let mut page = count;
    let mut whole = loop {
        match read(first, page) {
            Err(failure) if failure.reason == "too-large" && page > 1 => page = page.div_ceil(2),
            answer => break answer?,
        }
    };
    let mut done = page;
    while done < count {
        let rows = page.min(count - done);
        match read(first + done, rows) {
            Err(failure) if failure.reason == "too-large" && rows > 1 => page = rows.div_ceil(2),
            answer => {
                K::join(&mut whole, answer?);
                done += rows;
            }
        }
    }
    Ok(whole)
}

macro_rules! numbers {
    ($($number:ty as $name:literal => $read:path),*) => {$(
        impl Kind for $number {}

        impl sealed::Read for $number {
            const NAME: &'static str = $name;
            type Column = Vec<$number>;

            fn read(table: u32, column: u32, first: u32, count: u32) -> Result<Self::Column, types::Failure> {
                $read(table, column, first, count)
            }

            fn join(column: &mut Self::Column, page: Self::Column) {
                column.extend(page);
            }
        }
    )*};
}

numbers!(u64 as "u64" => tables::read_u64, i64 as "s64" => tables::read_s64, f64 as "f64" => tables::read_f64);

impl<T: Copy> Cells for Vec<T> {
    type Cell<'a>
        = T
    where
        T: 'a;

    fn cell(&self, row: usize) -> T {
        self[row]
    }
}

/// One text as the kernel wrote it: bytes, most often UTF-8.
///
/// It prints with its backslashes doubled and with `\xNN` for a NUL and for what is no UTF-8, in every language's SDK,
/// so that two different texts never print alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// What the kernel wrote.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// It has no bytes: it was empty, or the memory that it was to be read from was not there.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let mut rest = chunk.valid();
            while let Some(at) = rest.find(['\\', '\0']) {
                let escape = if rest[at..].starts_with('\0') { "\\x00" } else { "\\\\" };
                write!(f, "{}{escape}", &rest[..at])?;
                rest = &rest[at + 1..];
            }
            f.write_str(rest)?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// A column of texts, by dictionary: rows with the same text most often share a code.
#[derive(Clone, Debug)]
pub struct Texts(types::Texts);

impl Texts {
    /// The text of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Text<'_> {
        self.word(self.0.codes[row])
    }

    /// The texts of all rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Text<'_>> {
        self.0.codes.iter().map(|&code| self.word(code))
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.codes.len()
    }

    /// There is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.codes.is_empty()
    }

    /// A number below [`Texts::words`] for each row: rows of one code have the same text, so that work which is
    /// the same for the same text can be done once a code.
    #[must_use]
    pub fn codes(&self) -> &[u32] {
        &self.0.codes
    }

    /// The text of a code.
    ///
    /// # Panics
    /// If there is no such code.
    #[must_use]
    pub fn word(&self, code: u32) -> Text<'_> {
        let code = code as usize;
        Text(&self.0.bytes[self.0.offsets[code] as usize..self.0.offsets[code + 1] as usize])
    }

    /// How many codes there are. (A column of several pages can have several for one text.)
    #[must_use]
    pub fn words(&self) -> u32 {
        // The first offset is 0 and belongs to none; a table is bounded far below 2^32 rows.
        self.0.offsets.len().saturating_sub(1) as u32
    }
}

impl Cells for Texts {
    type Cell<'a> = Text<'a>;

    fn cell(&self, row: usize) -> Text<'_> {
        self.get(row)
    }
}

impl Kind for Text<'_> {}

impl sealed::Read for Text<'_> {
    const NAME: &'static str = "text";
    type Column = Texts;

    fn read(table: u32, column: u32, first: u32, count: u32) -> Result<Texts, types::Failure> {
        tables::read_texts(table, column, first, count).map(Texts)
    }

    fn join(column: &mut Texts, page: Texts) {
        let (words, bytes) = (column.words(), column.0.bytes.len() as u32);
        column.0.codes.extend(page.0.codes.iter().map(|code| words + code));
        column.0.offsets.extend(page.0.offsets.iter().skip(1).map(|offset| bytes + offset));
        column.0.bytes.extend(page.0.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Read;
    use super::*;
    use crate::Failure;

    /// A host with rows 0, 1, 2, … that refuses pages of more than `limit` rows, and what it was asked for.
    fn read_from(limit: u32, first: u32, count: u32) -> (Result<Vec<u64>>, Vec<(u32, u32)>) {
        let mut asked = Vec::new();
        let rows = read_all::<u64>(first, count, |first, count| {
            asked.push((first, count));
            if count > limit {
                return Err(Failure::new("too-large", "a page this large"));
            }
            Ok((u64::from(first)..u64::from(first + count)).collect())
        });
        (rows, asked)
    }

    #[test]
    fn what_fits_is_read_in_one_page() {
        let (rows, asked) = read_from(10, 5, 10);
        assert_eq!(rows.unwrap(), (5..15).collect::<Vec<u64>>());
        assert_eq!(asked, [(5, 10)]);
        let (rows, asked) = read_from(10, 0, 0);
        assert!(rows.unwrap().is_empty());
        assert_eq!(asked, [(0, 0)]);
    }

    #[test]
    fn a_page_is_halved_until_it_fits() {
        for (first, count) in [(0, 11), (3, 100), (7, 101)] {
            let (rows, _) = read_from(10, first, count);
            let all = u64::from(first)..u64::from(first + count);
            assert_eq!(rows.unwrap(), all.collect::<Vec<u64>>(), "{count} rows from {first}");
        }
        assert_eq!(read_from(4, 0, 10).1, [(0, 10), (0, 5), (0, 3), (3, 3), (6, 3), (9, 1)]);
    }

    #[test]
    fn a_row_that_never_fits_is_a_failure() {
        let (rows, asked) = read_from(0, 0, 8);
        assert_eq!(rows.unwrap_err().reason, "too-large");
        assert_eq!(asked.last(), Some(&(0, 1)));
    }

    fn texts(codes: &[u32], words: &[&str]) -> Texts {
        let ends = words.iter().scan(0, |end, word| {
            *end += word.len() as u32;
            Some(*end)
        });
        Texts(types::Texts {
            codes: codes.to_vec(),
            offsets: std::iter::once(0).chain(ends).collect(),
            bytes: words.concat().into_bytes(),
        })
    }

    #[test]
    fn pages_of_texts_join() {
        let mut column = texts(&[1, 0, 1], &["cat", "dog"]);
        Text::join(&mut column, texts(&[0, 1], &["", "cat"]));
        let all: Vec<String> = column.iter().map(|text| text.to_string()).collect();
        assert_eq!(all, ["dog", "cat", "dog", "", "cat"]);
        assert_eq!((column.words(), column.len()), (4, 5));
        assert_eq!(column.get(4), "cat");
        assert!(column.get(3).is_empty());
    }

    #[test]
    fn different_texts_print_differently() {
        let print = |bytes: &[u8]| Text::from(bytes).to_string();
        assert_eq!(print(b"caf\xc3\xa9"), "café");
        assert_eq!(print(b"a\xffb"), "a\\xffb");
        assert_eq!(print(b"a\\xffb"), "a\\\\xffb");
        assert_eq!(print(b"\\"), "\\\\");
        assert_eq!(print(b"a\0\\b\0"), "a\\x00\\\\b\\x00");
        assert_eq!(print(b""), "");
    }
}
