//! Columns, read in pages that are as large as the host allows.

use std::fmt;

use crate::Result;
use crate::bindings::weir::plugin::{tables, types};

/// What a column can be read as: `u64`, `i64`, `f64`, [`Text`] or [`Histogram`].
pub trait Kind: sealed::Read {}

pub(crate) mod sealed {
    use super::types;

    /// How columns of one kind are read, and how their pages are joined.
    pub trait Read {
        /// A whole column.
        type Column;
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
    ($($number:ty => $read:path),*) => {$(
        impl Kind for $number {}

        impl sealed::Read for $number {
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

numbers!(u64 => tables::read_u64, i64 => tables::read_s64, f64 => tables::read_f64);

/// One text as the kernel wrote it: bytes, most often UTF-8.
///
/// It prints with its backslashes doubled and with `\xNN` for what is no UTF-8, so that two different texts never
/// print alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for (number, part) in chunk.valid().split('\\').enumerate() {
                f.write_str(if number > 0 { "\\\\" } else { "" })?;
                f.write_str(part)?;
            }
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

impl Kind for Text<'_> {}

impl sealed::Read for Text<'_> {
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

/// How many values v were seen with `low <= v < high`; no `high` in the last bucket there can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub low: f64,
    pub high: Option<f64>,
    pub count: u64,
}

/// The histogram of one row.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    lower: &'a [f64],
    bucket: &'a [u32],
    counts: &'a [u64],
    sum: f64,
    total: u64,
}

impl<'a> Histogram<'a> {
    /// Its buckets that are not empty, from low to high.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = Bucket> + Clone + use<'a> {
        let lower = self.lower;
        self.bucket.iter().zip(self.counts).map(move |(&bucket, &count)| {
            let bucket = bucket as usize;
            let high = lower.get(bucket + 1).copied().filter(|high| high.is_finite());
            Bucket { low: lower[bucket], high, count }
        })
    }

    /// How many values there are. Those that found no room for a bucket are in none.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

/// A column of histograms.
#[derive(Clone, Debug)]
pub struct Histograms(types::Buckets);

impl Histograms {
    /// The histogram of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Histogram<'_> {
        let entries = self.0.offsets[row] as usize..self.0.offsets[row + 1] as usize;
        Histogram {
            lower: &self.0.lower,
            bucket: &self.0.bucket[entries.clone()],
            counts: &self.0.counts[entries],
            sum: self.0.sums[row],
            total: self.0.totals[row],
        }
    }

    /// The histograms of all rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Histogram<'_>> {
        (0..self.0.sums.len()).map(|row| self.get(row))
    }

    /// All rows' buckets, added up, from low to high.
    #[must_use]
    pub fn merged(&self) -> Vec<Bucket> {
        let mut counts = vec![0; self.0.lower.len()];
        for (&bucket, count) in self.0.bucket.iter().zip(&self.0.counts) {
            counts[bucket as usize] += count;
        }
        let bucket: Vec<u32> =
            (0..).take(counts.len()).filter(|&bucket| counts[bucket as usize] > 0).collect();
        counts.retain(|&count| count > 0);
        let all = Histogram { lower: &self.0.lower, bucket: &bucket, counts: &counts, sum: 0.0, total: 0 };
        let mut merged: Vec<Bucket> = all.buckets().collect();
        // Each page came with bounds of its own.
        merged.sort_by(|a, b| a.low.total_cmp(&b.low));
        merged.dedup_by(|next, kept| {
            let same = next.low == kept.low;
            if same {
                kept.count += next.count;
            }
            same
        });
        merged
    }
}

impl Kind for Histogram<'_> {}

impl sealed::Read for Histogram<'_> {
    type Column = Histograms;

    fn read(table: u32, column: u32, first: u32, count: u32) -> Result<Histograms, types::Failure> {
        tables::read_buckets(table, column, first, count).map(Histograms)
    }

    /// A page's bounds follow those before it, after an infinite one, which ends the bucket that was open.
    fn join(column: &mut Histograms, page: Histograms) {
        column.0.lower.push(f64::INFINITY);
        let (bounds, entries) = (column.0.lower.len() as u32, column.0.counts.len() as u32);
        column.0.lower.extend(page.0.lower);
        column.0.offsets.extend(page.0.offsets.iter().skip(1).map(|offset| entries + offset));
        column.0.bucket.extend(page.0.bucket.iter().map(|bucket| bounds + bucket));
        column.0.counts.extend(page.0.counts);
        column.0.sums.extend(page.0.sums);
        column.0.totals.extend(page.0.totals);
    }
}

/// Pages as a test would have them.
#[cfg(test)]
impl Histograms {
    pub(crate) fn example(lower: &[f64], rows: &[&[(u32, u64)]]) -> Self {
        let entries = rows.concat();
        let ends = rows.iter().scan(0, |end, row| {
            *end += row.len() as u32;
            Some(*end)
        });
        Self(types::Buckets {
            lower: lower.to_vec(),
            offsets: std::iter::once(0).chain(ends).collect(),
            bucket: entries.iter().map(|entry| entry.0).collect(),
            counts: entries.iter().map(|entry| entry.1).collect(),
            sums: vec![0.5; rows.len()],
            totals: rows.iter().map(|row| row.iter().map(|entry| entry.1).sum::<u64>() + 1).collect(),
        })
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
        assert_eq!(column.words(), 4);
        assert_eq!(column.get(4).as_bytes(), b"cat");
    }

    #[test]
    fn different_texts_print_differently() {
        assert_eq!(Text(b"caf\xc3\xa9").to_string(), "café");
        assert_eq!(Text(b"a\xffb").to_string(), "a\\xffb");
        assert_eq!(Text(b"a\\xffb").to_string(), "a\\\\xffb");
        assert_eq!(Text(b"\\").to_string(), "\\\\");
        assert_eq!(Text(b"").to_string(), "");
    }

    fn bucket(low: f64, high: Option<f64>, count: u64) -> Bucket {
        Bucket { low, high, count }
    }

    #[test]
    fn the_last_bound_opens_a_bucket() {
        let column = Histograms::example(&[0.0, 1.0, 2.0], &[&[(0, 3), (2, 1)], &[], &[(1, 9)]]);
        let rows: Vec<Vec<Bucket>> = column.iter().map(|row| row.buckets().collect()).collect();
        assert_eq!(rows[0], [bucket(0.0, Some(1.0), 3), bucket(2.0, None, 1)]);
        assert!(rows[1].is_empty());
        assert_eq!(rows[2], [bucket(1.0, Some(2.0), 9)]);
        // One value found no bucket.
        assert_eq!(column.get(0).count(), 5);
    }

    #[test]
    fn pages_of_histograms_join_and_merge() {
        let mut column = Histograms::example(&[0.0, 1.0], &[&[(0, 3), (1, 1)]]);
        Histogram::join(&mut column, Histograms::example(&[-2.0, 0.0, 1.0], &[&[(0, 5)], &[(1, 4), (2, 2)]]));
        let rows: Vec<Vec<Bucket>> = column.iter().map(|row| row.buckets().collect()).collect();
        assert_eq!(rows[0], [bucket(0.0, Some(1.0), 3), bucket(1.0, None, 1)]);
        assert_eq!(rows[1], [bucket(-2.0, Some(0.0), 5)]);
        assert_eq!(rows[2], [bucket(0.0, Some(1.0), 4), bucket(1.0, None, 2)]);
        assert_eq!(column.iter().map(|row| row.count()).collect::<Vec<_>>(), [5, 6, 7]);
        let merged = [bucket(-2.0, Some(0.0), 5), bucket(0.0, Some(1.0), 7), bucket(1.0, None, 3)];
        assert_eq!(column.merged(), merged);
    }
}
