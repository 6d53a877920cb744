//! Tables as a plugin sees them, over Arrow columns that stay where they are. A column is converted when it is
//! first asked for, and most need no conversion.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, Field, Int64Type, UInt32Type, UInt64Type};

use super::wire::TableOrder;
use super::wit::{Coverage, Failure};
use crate::escape::unescape;

/// How a column is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U64,
    S64,
    F64,
    Text,
    Buckets,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::U64 => "u64",
            Self::S64 => "s64",
            Self::F64 => "f64",
            Self::Text => "text",
            Self::Buckets => "buckets",
        }
    }
}

/// A column's values.
#[derive(Clone, Debug)]
pub(super) enum Data {
    U64(ScalarBuffer<u64>),
    S64(ScalarBuffer<i64>),
    F64(ScalarBuffer<f64>),
    Text(Text),
    Average(Average),
    Buckets(Buckets),
}

/// Text by dictionary: row i is entry `codes[i]`.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) codes: ScalarBuffer<u32>,
    pub(super) words: Arc<Words>,
}

/// Entry e is `bytes[offsets[e]..offsets[e + 1]]`. Two entries may be the same.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) offsets: ScalarBuffer<u32>,
    pub(super) bytes: Buffer,
}

impl Words {
    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(super) fn get(&self, code: u32) -> &[u8] {
        let code = code as usize;
        &self.bytes[self.offsets[code] as usize..self.offsets[code + 1] as usize]
    }
}

/// Sums modulo 2^64, signed or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sums {
    pub(super) words: ScalarBuffer<u64>,
    pub(super) signed: bool,
}

impl Sums {
    #[expect(clippy::cast_precision_loss, reason = "that is what reading as f64 means")]
    pub(super) fn get(&self, row: usize) -> f64 {
        let word = self.words[row];
        if self.signed { word.cast_signed() as f64 } else { word as f64 }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Average {
    pub(super) counts: ScalarBuffer<u64>,
    pub(super) sums: Sums,
    means: OnceLock<ScalarBuffer<f64>>,
}

impl Average {
    pub(super) fn new(counts: ScalarBuffer<u64>, sums: Sums) -> Self {
        Self { counts, sums, means: OnceLock::new() }
    }

    /// 0 where nothing was counted.
    pub(super) fn means(&self) -> &ScalarBuffer<f64> {
        self.means.get_or_init(|| {
            (0..self.counts.len()).map(|row| mean(self.sums.get(row), self.counts[row])).collect()
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
pub(super) fn mean(sum: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// Histograms: row i has entries `offsets[i]..offsets[i + 1]`; entry e counts `entries[e]` values between
/// `lower[bucket[e]]` and the next of `lower`.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    /// All values of a row, those for which there was no bucket included.
    pub(super) counts: ScalarBuffer<u64>,
    pub(super) sums: Sums,
    pub(super) lower: ScalarBuffer<f64>,
    pub(super) offsets: ScalarBuffer<u32>,
    pub(super) bucket: ScalarBuffer<u32>,
    pub(super) entries: ScalarBuffer<u64>,
}

impl Buckets {
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (u32, u64)> {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        self.bucket[range.clone()].iter().copied().zip(self.entries[range].iter().copied())
    }

    /// Where a bucket ends; nothing for the last.
    pub(super) fn upper(&self, bucket: u32) -> Option<f64> {
        self.lower.get(bucket as usize + 1).copied()
    }
}

impl Data {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::U64(_) => Kind::U64,
            Self::S64(_) => Kind::S64,
            Self::F64(_) | Self::Average(_) => Kind::F64,
            Self::Text(_) => Kind::Text,
            Self::Buckets(_) => Kind::Buckets,
        }
    }

    /// These rows of it, in this order.
    fn take(&self, rows: &[u32]) -> Self {
        match self {
            Self::U64(values) => Self::U64(take(values, rows)),
            Self::S64(values) => Self::S64(take(values, rows)),
            Self::F64(values) => Self::F64(take(values, rows)),
            Self::Text(text) => {
                Self::Text(Text { codes: take(&text.codes, rows), words: text.words.clone() })
            }
            Self::Average(average) => {
                let sums = Sums { words: take(&average.sums.words, rows), signed: average.sums.signed };
                Self::Average(Average::new(take(&average.counts, rows), sums))
            }
            Self::Buckets(buckets) => {
                let mut offsets = vec![0u32];
                let (mut bucket, mut entries) = (Vec::new(), Vec::new());
                for row in rows {
                    for (b, count) in buckets.row(*row as usize) {
                        bucket.push(b);
                        entries.push(count);
                    }
                    offsets.push(u32::try_from(bucket.len()).unwrap_or(u32::MAX));
                }
                Self::Buckets(Buckets {
                    counts: take(&buckets.counts, rows),
                    sums: Sums { words: take(&buckets.sums.words, rows), signed: buckets.sums.signed },
                    lower: buckets.lower.clone(),
                    offsets: offsets.into(),
                    bucket: bucket.into(),
                    entries: entries.into(),
                })
            }
        }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::U64(values) => values.len() * 8,
            Self::S64(values) => values.len() * 8,
            Self::F64(values) => values.len() * 8,
            Self::Text(text) => text.codes.len() * 4,
            Self::Average(average) => average.counts.len() * 24,
            Self::Buckets(buckets) => buckets.counts.len() * 20 + buckets.entries.len() * 12,
        }
    }
}

fn take<T: ArrowNativeType>(values: &ScalarBuffer<T>, rows: &[u32]) -> ScalarBuffer<T> {
    rows.iter().map(|row| values[*row as usize]).collect()
}

/// A column and what it is called.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) role: String,
    pub(super) kind: Kind,
    pub(super) unit: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Arrow(ArrayRef, Form, OnceLock<Option<Data>>),
    Computed(Data),
}

/// How a plugin is given texts, which are escaped where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The bytes that were escaped.
    Bytes,
    /// As it is. In a stack `;` ends a frame, and one in a function's name is escaped to be told from it.
    Stack,
}

impl Column {
    pub(super) fn computed(name: String, role: &str, unit: &str, data: Data) -> Self {
        let (role, unit) = (role.to_owned(), unit.to_owned());
        Self { name, role, kind: data.kind(), unit, source: Source::Computed(data) }
    }

    fn arrow(field: &Field, array: ArrayRef) -> Option<Self> {
        let tag = |name: &str| field.metadata().get(name).map_or("", String::as_str);
        let role = match (field.name().as_str(), tag("weir.role")) {
            ("overflow", "") => "overflow",
            (_, "measure") => tag("weir.kind"),
            (_, role) => role,
        };
        let kind = match field.data_type() {
            DataType::Boolean | DataType::UInt64 => Kind::U64,
            DataType::Int64 => Kind::S64,
            DataType::Dictionary(_, _) => Kind::Text,
            // An average has two parts, statistics have four, a histogram has three.
            DataType::Struct(fields) if fields.len() != 3 => Kind::F64,
            DataType::Struct(_) => Kind::Buckets,
            _ => return None,
        };
        let form = if tag("weir.kind") == "stack" { Form::Stack } else { Form::Bytes };
        Some(Self {
            name: field.name().clone(),
            role: role.to_owned(),
            kind,
            unit: tag("weir.unit").to_owned(),
            source: Source::Arrow(array, form, OnceLock::new()),
        })
    }

    fn data(&self) -> Result<&Data, Failure> {
        match &self.source {
            Source::Computed(data) => Ok(data),
            Source::Arrow(array, form, data) => data
                .get_or_init(|| convert(array, *form))
                .as_ref()
                .ok_or_else(|| Failure::new("unknown", format!("column {} is in no known form", self.name))),
        }
    }
}

fn convert(array: &ArrayRef, form: Form) -> Option<Data> {
    let nulls = array.nulls();
    Some(match array.data_type() {
        DataType::Boolean => Data::U64(array.as_boolean().values().iter().map(u64::from).collect()),
        DataType::UInt64 => Data::U64(zeroed(array.as_primitive::<UInt64Type>().values(), nulls)),
        DataType::Int64 => Data::S64(zeroed(array.as_primitive::<Int64Type>().values(), nulls)),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_dictionary_opt::<UInt32Type>()?;
            text(dictionary.keys().values(), dictionary.keys().nulls(), dictionary.values(), form)?
        }
        DataType::Struct(_) => {
            let parts = array.as_struct();
            let counts = numbers(parts.column(0))?.0;
            let (words, signed) = numbers(parts.column(1))?;
            let sums = Sums { words, signed };
            match parts.columns() {
                [_, _, lists] => buckets(counts, sums, lists)?,
                _ => Data::Average(Average::new(counts, sums)),
            }
        }
        _ => return None,
    })
}

/// Nulls read as 0. Builders write 0 there, so this seldom copies.
fn zeroed<T: ArrowNativeType>(values: &ScalarBuffer<T>, nulls: Option<&NullBuffer>) -> ScalarBuffer<T> {
    let Some(nulls) = nulls else { return values.clone() };
    let invalid = !nulls.inner();
    if invalid.set_indices().all(|row| values[row] == T::default()) {
        return values.clone();
    }
    let mut values = values.to_vec();
    invalid.set_indices().for_each(|row| values[row] = T::default());
    values.into()
}

/// The words of a number's column, and whether they are signed.
fn numbers(array: &ArrayRef) -> Option<(ScalarBuffer<u64>, bool)> {
    if let Some(unsigned) = array.as_primitive_opt::<UInt64Type>() {
        return Some((unsigned.values().clone(), false));
    }
    let signed = array.as_primitive_opt::<Int64Type>()?;
    Some((ScalarBuffer::from(signed.values().inner().clone()), true))
}

/// Nulls read as empty.
fn text(codes: &ScalarBuffer<u32>, nulls: Option<&NullBuffer>, words: &ArrayRef, form: Form) -> Option<Data> {
    let words = words.as_string_opt::<i32>()?;
    let mut offsets = Vec::with_capacity(words.len() + 2);
    let mut bytes = Vec::with_capacity(words.value_data().len());
    offsets.push(0u32);
    for word in words {
        let word = word.unwrap_or("");
        let escaped = form == Form::Bytes && word.contains('\\');
        match unescape(word).filter(|_| escaped) {
            Some(raw) => bytes.extend_from_slice(&raw),
            None => bytes.extend_from_slice(word.as_bytes()),
        }
        offsets.push(u32::try_from(bytes.len()).ok()?);
    }
    let codes = match nulls {
        None => codes.clone(),
        Some(nulls) => {
            offsets.push(u32::try_from(bytes.len()).ok()?);
            let empty = u32::try_from(words.len()).ok()?;
            let mut codes = codes.to_vec();
            (!nulls.inner()).set_indices().for_each(|row| codes[row] = empty);
            codes.into()
        }
    };
    Some(Data::Text(Text { codes, words: Arc::new(Words { offsets: offsets.into(), bytes: bytes.into() }) }))
}

/// Gives each bucket the number of its lower bound among all of the column's bounds.
fn buckets(counts: ScalarBuffer<u64>, sums: Sums, lists: &ArrayRef) -> Option<Data> {
    let lists = lists.as_list_opt::<i32>()?;
    let parts = lists.values().as_struct_opt()?;
    let (low, signed) = numbers(parts.column(0))?;
    let (high, _) = numbers(parts.column(1))?;
    let bounded = parts.column(1).nulls();
    let entries = numbers(parts.column(2))?.0;

    // Ordered as numbers, whatever their sign.
    let image = |word: u64| weir_abi::ordered(word, signed);
    let mut bounds: Vec<u64> = Vec::new();
    let mut note = |bound: u64| {
        // There are few bounds and they repeat in order, so the one after the last one found is a good guess.
        if let Err(place) = bounds.binary_search(&bound) {
            bounds.insert(place, bound);
        }
    };
    let mut seen = (None, None);
    for entry in 0..low.len() {
        let ends = bounded.is_none_or(|valid| valid.is_valid(entry));
        let bounds = (Some(low[entry]), ends.then(|| high[entry]));
        if bounds != seen {
            seen = bounds;
            note(image(low[entry]));
            if ends {
                note(image(high[entry]));
            }
        }
    }
    let place =
        |word: u64| bounds.binary_search(&image(word)).ok().and_then(|place| u32::try_from(place).ok());
    let bucket: Vec<u32> = low.iter().map(|word| place(*word)).collect::<Option<_>>()?;
    #[expect(clippy::cast_precision_loss, reason = "bounds are given as floats")]
    let lower = bounds.iter().map(|bound| {
        let word = image(*bound);
        if signed { word.cast_signed() as f64 } else { word as f64 }
    });
    let offsets = lists.value_offsets().iter().map(|offset| u32::try_from(*offset).ok());
    Some(Data::Buckets(Buckets {
        counts,
        sums,
        lower: lower.collect(),
        offsets: offsets.collect::<Option<Vec<u32>>>()?.into(),
        bucket: bucket.into(),
        entries,
    }))
}

/// A table: the columns of a snapshot or of an answer, or some of another table's rows.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) rows: usize,
    pub(super) coverage: Coverage,
    pub(super) columns: Arc<[Column]>,
    /// Which rows of the columns are this table's; all of them, if none are given.
    picked: Option<Picked>,
}

#[derive(Debug)]
struct Picked {
    rows: Arc<[u32]>,
    taken: Vec<OnceLock<Data>>,
}

impl Table {
    /// A snapshot, without the column that says which interval it is of.
    pub(super) fn snapshot(order: &TableOrder, batch: &RecordBatch) -> Option<Self> {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).skip(1);
        let columns = columns.map(|(field, array)| Column::arrow(field, array.clone()));
        let coverage = Coverage { events: order.events, overflow: order.overflow, missed: order.missed };
        // Rows are counted in 32 bits on the way to a plugin.
        u32::try_from(batch.num_rows()).ok()?;
        Some(Self {
            rows: batch.num_rows(),
            coverage,
            columns: columns.collect::<Option<_>>()?,
            picked: None,
        })
    }

    /// An answer of columns of its own.
    pub(super) fn computed(rows: usize, coverage: Coverage, columns: Vec<Column>) -> Self {
        Self { rows, coverage, columns: columns.into(), picked: None }
    }

    /// An answer of some of this table's rows.
    pub(super) fn pick(&self, mut rows: Vec<u32>) -> Self {
        if let Some(picked) = &self.picked {
            rows.iter_mut().for_each(|row| *row = picked.rows[*row as usize]);
        }
        let taken = self.columns.iter().map(|_| OnceLock::new()).collect();
        let picked = Picked { rows: rows.into(), taken };
        Self {
            rows: picked.rows.len(),
            coverage: self.coverage,
            columns: self.columns.clone(),
            picked: Some(picked),
        }
    }

    pub(super) fn column(&self, column: u32) -> Result<&Column, Failure> {
        self.columns.get(column as usize).ok_or_else(|| {
            Failure::new(
                "unknown",
                format!("there is no column {column}; the table has {}", self.columns.len()),
            )
        })
    }

    /// A column's values, and how many bytes had to be allocated for them.
    pub(super) fn data(&self, column: u32) -> Result<(&Data, usize), Failure> {
        let values = self.column(column)?.data()?;
        let Some(picked) = &self.picked else { return Ok((values, 0)) };
        let taken = &picked.taken[column as usize];
        let fresh = taken.get().is_none();
        let data = taken.get_or_init(|| values.take(&picked.rows));
        Ok((data, if fresh { data.bytes() } else { 0 }))
    }

    /// What it takes beside columns that are taken later.
    pub(super) fn bytes(&self) -> usize {
        let computed = self.columns.iter().map(|column| match &column.source {
            Source::Computed(data) if self.picked.is_none() => data.bytes(),
            _ => 0,
        });
        computed.sum::<usize>() + self.picked.as_ref().map_or(0, |picked| picked.rows.len() * 4)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringDictionaryBuilder;

    use super::*;

    /// What a plugin sees of a key's texts.
    fn seen(kind: &str, words: &[Option<&str>]) -> Vec<String> {
        let mut builder = StringDictionaryBuilder::<UInt32Type>::new();
        words.iter().for_each(|word| builder.append_option(*word));
        let array: ArrayRef = Arc::new(builder.finish());
        let tags =
            [("weir.role", "key"), ("weir.kind", kind)].map(|(tag, is)| (tag.to_owned(), is.to_owned()));
        let field = Field::new("k", array.data_type().clone(), true).with_metadata(tags);
        let column = Column::arrow(&field, array).unwrap();
        assert_eq!((column.role.as_str(), column.kind), ("key", Kind::Text));
        let Data::Text(text) = column.data().unwrap() else { panic!("{column:?}") };
        let word = |code: &u32| String::from_utf8(text.words.get(*code).to_vec()).unwrap();
        text.codes.iter().map(word).collect()
    }

    #[test]
    fn a_stack_has_the_frames_that_it_splits_into() {
        let stack = r"main;<[T\x3b 3]>::map;\x5bunknown];[unknown];a\\b";
        assert_eq!(seen("stack", &[Some(stack), None, Some(stack)]), [stack, "", stack]);
        // Other texts are the bytes that they were.
        assert_eq!(seen("text", &[Some(r"a\x3bb\\"), None]), ["a;b\\", ""]);
    }
}
