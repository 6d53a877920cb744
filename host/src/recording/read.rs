//! Reading a recording. It may be anyone's, so nothing in it is believed before it was checked.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{read_dictionary, read_record_batch};
use arrow::ipc::root_as_message;

use super::{ABOUT, About, COVERAGE, FORMAT, TABLES, coverage_schema, is_safe_name};
use crate::error::{Error, Kind, Result};
use crate::escape::unescape;
use crate::sink::check_schema;
use crate::snapshot::{Coverage, Interval, Snapshot, Spans};

/// Bytes of `weir.json`: it is read whole.
const ABOUT_BYTES: u64 = 1 << 20;
/// Bytes of a message's head, which has some for each column.
const METADATA_BYTES: u64 = 16 << 20;
/// Bytes of one interval of a table, its dictionaries included: they are held in memory.
const BATCH_BYTES: u64 = 1 << 30;

/// A recording, open at its next interval.
#[derive(Debug)]
pub struct Recording {
    /// When the recorded run started.
    pub started: SystemTime,
    /// Name and schema of each, in their order.
    pub tables: Vec<(Arc<str>, SchemaRef)>,
    streams: Vec<Stream>,
    coverage: Stream,
    /// The interval that was read last.
    last: Option<Interval>,
    finished: bool,
}

impl Recording {
    pub fn open(folder: &Path) -> Result<Self> {
        let about = read_about(folder)?;
        let path = folder.join(ABOUT);
        let started = humantime::parse_rfc3339(&about.started)
            .ok()
            .filter(|started| *started >= UNIX_EPOCH)
            .ok_or_else(|| bad(&path, "`started` is not a time since 1970 in UTC"))?;
        if about.tables.is_empty() {
            return Err(bad(&path, "there are no tables"));
        }
        let (mut tables, mut streams) = (Vec::new(), Vec::new());
        for (at, name) in about.tables.into_iter().enumerate() {
            if !is_safe_name(&name) {
                return Err(bad(
                    &path,
                    format!("the name of table {at} has more than letters, digits, `_` and `-`"),
                ));
            }
            let name: Arc<str> = name.into();
            if tables.iter().any(|(earlier, _)| *earlier == name) {
                return Err(bad(&path, format!("there are two tables `{name}`")));
            }
            let stream = Stream::open(folder.join(TABLES).join(format!("{name}.arrows")))?;
            let schema = stream.schema.clone();
            check_schema(&schema).map_err(|error| bad(&stream.path, error.message))?;
            tables.push((name, schema));
            streams.push(stream);
        }
        let coverage = Stream::open(folder.join(COVERAGE))?;
        if coverage.schema.fields() != coverage_schema().fields() {
            return Err(bad(&coverage.path, "the columns are not those of a recording's coverage"));
        }
        Ok(Self { started, tables, streams, coverage, last: None, finished: false })
    }

    /// Where the recording breaks off, if its recorder was stopped before it could end it, or something was cut from it
    /// since; known once all was read.
    #[must_use]
    pub fn ended_early(&self) -> Option<String> {
        if !self.finished || self.last.is_some_and(|interval| interval.last) {
            return None;
        }
        let after = match self.last {
            Some(interval) => format!("after interval {}", interval.number),
            None => "before its first interval".to_owned(),
        };
        let streams = std::iter::once(&self.coverage).chain(&self.streams);
        Some(match streams.into_iter().find_map(|stream| Some((&stream.path, stream.cut_off?))) {
            Some((path, at)) => format!("{after}: {} is cut off in the message at byte {at}", path.display()),
            None => format!("{after}: its recorder was stopped"),
        })
    }

    fn read(&mut self) -> Result<Option<(Interval, Vec<Snapshot>)>> {
        let Some(batch) = self.coverage.next_batch()? else { return Ok(None) };
        let (interval, coverage) =
            read_coverage(&batch, &self.tables).map_err(|what| bad(&self.coverage.path, what))?;
        if self.last.is_some_and(|last| last.last || last.number >= interval.number) {
            return Err(bad(&self.coverage.path, format!("interval {} comes too late", interval.number)));
        }
        let mut snapshots = Vec::with_capacity(self.tables.len());
        for ((table, _), (stream, coverage)) in self.tables.iter().zip(self.streams.iter_mut().zip(coverage))
        {
            // The coverage was written last; only a crash of the machine can have kept it and not this.
            let Some(rows) = stream.next_batch()? else { return Ok(None) };
            snapshots.push(Snapshot { table: table.clone(), interval, coverage, rows });
        }
        self.last = Some(interval);
        Ok(Some((interval, snapshots)))
    }
}

impl Iterator for Recording {
    type Item = Result<(Interval, Vec<Snapshot>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let read = self.read();
        self.finished = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}

fn read_about(folder: &Path) -> Result<About> {
    let path = folder.join(ABOUT);
    if folder.symlink_metadata().is_ok() && !path.exists() {
        let message = format!("{} is not a recording: it has no {ABOUT}", folder.display());
        return Err(
            Error::new(Kind::Data, message).help("`weir record … -o x.weir` makes a folder that is one")
        );
    }
    let mut json = Vec::new();
    open(&path)?
        .take(ABOUT_BYTES)
        .read_to_end(&mut json)
        .map_err(|error| Error::new(Kind::Io, format!("cannot read {}: {error}", path.display())))?;
    /// Of any format.
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let invalid = |error: serde_json::Error| bad(&path, format!("this is not a recording's: {error}"));
    let Format { format } = serde_json::from_slice(&json).map_err(invalid)?;
    if format != FORMAT {
        let message = format!("the recording has format {format}, and this Weir reads format {FORMAT}");
        return Err(bad(&path, message).help("read it with the version of Weir that recorded it"));
    }
    serde_json::from_slice(&json).map_err(invalid)
}

/// One batch of `coverage.arrows`: an interval, and for each table how complete its snapshot is.
fn read_coverage(
    batch: &RecordBatch,
    tables: &[(Arc<str>, SchemaRef)],
) -> Result<(Interval, Vec<Coverage>), &'static str> {
    // Open has checked the schema, so that a column of another type cannot be; the error is for the compiler.
    const TYPE: &str = "a column has another type";
    let number =
        |name: &str| batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<UInt64Type>()).ok_or(TYPE);
    let flag = |name: &str| batch.column_by_name(name).and_then(|c| c.as_boolean_opt()).ok_or(TYPE);
    let names = batch.column_by_name("table").and_then(|c| c.as_string_opt::<i32>()).ok_or(TYPE)?;
    if !names.iter().flatten().eq(tables.iter().map(|(name, _)| &**name)) {
        return Err("an interval does not have every table once");
    }
    let began = batch.column_by_name("began").and_then(|c| c.as_primitive_opt::<TimestampNanosecondType>());
    let (began, cpus) =
        (began.ok_or(TYPE)?, batch.column_by_name("cpus").and_then(|c| c.as_primitive_opt::<UInt32Type>()));
    let (numbers, lengths, last, cpus) =
        (number("interval")?, number("length_ns")?, flag("last")?, cpus.ok_or(TYPE)?);
    let same = |row: usize| {
        numbers.value(row) == numbers.value(0)
            && began.value(row) == began.value(0)
            && lengths.value(row) == lengths.value(0)
            && last.value(row) == last.value(0)
    };
    if !(0..batch.num_rows()).all(same) {
        return Err("the tables of an interval differ in its number, beginning, length or end");
    }
    let began = u64::try_from(began.value(0)).map_err(|_| "an interval began before 1970")?;
    let interval = Interval {
        number: numbers.value(0),
        began: UNIX_EPOCH + Duration::from_nanos(began),
        length: Duration::from_nanos(lengths.value(0)),
        last: last.value(0),
    };
    let (events, overflow, missed, inexact) =
        (number("events")?, number("overflow")?, number("missed")?, number("inexact")?);
    let (missed_reliable, detached) = (flag("missed_reliable")?, flag("detached")?);
    let spans = [
        number("starts_dropped")?,
        number("starts_replaced")?,
        number("starts_abandoned")?,
        number("ends_unmatched")?,
    ];
    let coverage = (0..batch.num_rows()).map(|row| {
        let [starts_dropped, starts_replaced, starts_abandoned, ends_unmatched] =
            spans.map(|column| column.value(row));
        let spans = Spans { starts_dropped, starts_replaced, starts_abandoned, ends_unmatched };
        Coverage {
            events: events.value(row),
            overflow: overflow.value(row),
            missed: missed.value(row),
            missed_reliable: missed_reliable.value(row),
            inexact: inexact.value(row),
            kernel: None,
            detached: detached.value(row),
            cpus: cpus.value(row),
            spans: number("starts_dropped").is_ok_and(|column| column.is_valid(row)).then_some(spans),
        }
    });
    Ok((interval, coverage.collect()))
}

/// One Arrow stream. Arrow's own reader of streams leaves no room for [`check_buffers`].
#[derive(Debug)]
struct Stream {
    path: PathBuf,
    file: BufReader<File>,
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
    /// The texts of the last batch, which were found to be escaped.
    checked: Vec<StringArray>,
    /// Where the last message begins that was begun to be read.
    at: u64,
    /// Where the message begins of which the end is missing.
    cut_off: Option<u64>,
}

impl Stream {
    fn open(path: PathBuf) -> Result<Self> {
        let mut file = BufReader::new(open(&path)?);
        let read = read_metadata(&mut file).map_err(|what| bad(&path, what))?;
        let metadata = read.ok_or_else(|| bad(&path, "this is no Arrow stream: it has no schema"))?;
        let schema = root_as_message(&metadata).ok().and_then(|message| message.header_as_schema());
        let schema = schema.and_then(|schema| try_fb_to_schema(schema).ok());
        let schema =
            schema.ok_or_else(|| bad(&path, "this is no Arrow stream: its schema cannot be read"))?;
        let (dictionaries, checked) = (HashMap::new(), Vec::new());
        Ok(Self { path, file, schema: Arc::new(schema), dictionaries, checked, at: 0, cut_off: None })
    }

    /// Nothing at the stream's end, and where it was cut off.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let batch = self.try_next_batch();
        let batch =
            batch.map_err(|what| bad(&self.path, format!("the message at byte {}: {what}", self.at)))?;
        if let Some(batch) = &batch {
            self.check_texts(batch)?;
        }
        Ok(batch)
    }

    /// There is no further message, or less than a whole one.
    fn ends(&mut self) -> Result<Option<RecordBatch>, String> {
        let end = self.file.stream_position().map_err(|error| error.to_string())?;
        // A stream's end is eight bytes, and one that is still being written has none.
        self.cut_off = (end != self.at && end != self.at + 8).then_some(self.at);
        Ok(None)
    }

    fn try_next_batch(&mut self) -> Result<Option<RecordBatch>, String> {
        let unreadable = |error: ArrowError| format!("the Arrow stream is damaged: {error}");
        let mut left = BATCH_BYTES;
        loop {
            self.at = self.file.stream_position().map_err(|error| error.to_string())?;
            let Some(metadata) = read_metadata(&mut self.file)? else { return self.ends() };
            let message = root_as_message(&metadata)
                .map_err(|error| format!("the Arrow stream is damaged: {error}"))?;
            let Some(length) = u64::try_from(message.bodyLength()).ok().filter(|length| *length <= left)
            else {
                return Err(format!("an interval has more than {BATCH_BYTES} bytes"));
            };
            left -= length;
            let Some(body) = read_bytes(&mut self.file, length)?.map(Buffer::from) else {
                return self.ends();
            };
            let version = message.version();
            if let Some(batch) = message.header_as_record_batch() {
                let schema = self.schema.clone();
                check_buffers(batch, schema.fields().iter().map(|field| field.data_type()), length)?;
                let batch = read_record_batch(&body, batch, schema, &self.dictionaries, None, &version);
                return batch.map(Some).map_err(unreadable);
            }
            let dictionary = message.header_as_dictionary_batch();
            let Some((dictionary, batch)) = dictionary.and_then(|batch| Some((batch, batch.data()?))) else {
                return Err("the Arrow stream has a message that belongs elsewhere".to_owned());
            };
            check_buffers(batch, std::iter::once(&DataType::Utf8), length)?;
            read_dictionary(&body, dictionary, &self.schema, &mut self.dictionaries, &version)
                .map_err(unreadable)?;
        }
    }

    /// Texts must be what was escaped, or plugins could not be given their bytes.
    fn check_texts(&mut self, batch: &RecordBatch) -> Result<()> {
        let dictionaries =
            batch.columns().iter().filter_map(|column| column.as_dictionary_opt::<UInt32Type>());
        let texts = dictionaries.filter_map(|column| column.values().as_string_opt());
        let texts: Vec<StringArray> = texts.cloned().collect();
        for (at, texts) in texts.iter().enumerate() {
            // Most intervals share the last one's dictionaries.
            if self.checked.get(at).is_some_and(|checked| checked.to_data().ptr_eq(&texts.to_data())) {
                continue;
            }
            if texts.iter().flatten().any(|text| unescape(text).is_none()) {
                return Err(bad(&self.path, "a text is not escaped as texts are"));
            }
        }
        self.checked = texts;
        Ok(())
    }
}

/// The head of the stream's next message; nothing at its end, and where it was cut off.
/// <https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format>
fn read_metadata(file: &mut impl Read) -> Result<Option<Vec<u8>>, String> {
    let Some(prefix) = read_bytes(file, 8)? else { return Ok(None) };
    let Some(length) = prefix.strip_prefix(&[0xff; 4]).and_then(|length| length.try_into().ok()) else {
        return Err("the Arrow stream is damaged: a message does not begin as messages do".to_owned());
    };
    match u64::from(u32::from_le_bytes(length)) {
        0 => Ok(None),
        length if length > METADATA_BYTES => {
            Err(format!("a message's head has more than {METADATA_BYTES} bytes"))
        }
        length => read_bytes(file, length),
    }
}

/// So many bytes, or nothing if there are fewer. What memory it takes grows with what is really there.
fn read_bytes(file: &mut impl Read, length: u64) -> Result<Option<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok((bytes.len() as u64 == length).then_some(bytes))
}

/// Arrow's decoder panics where a batch's buffers lie outside its body, or do not hold whole values.
fn check_buffers<'a>(
    batch: arrow::ipc::RecordBatch<'_>,
    types: impl Iterator<Item = &'a DataType>,
    length: u64,
) -> Result<(), String> {
    let mut widths = Vec::new();
    types.for_each(|data_type| buffer_widths(data_type, &mut widths));
    let fits = |buffer: &arrow::ipc::Buffer, width: u64| {
        let (offset, size) = (u64::try_from(buffer.offset()).ok()?, u64::try_from(buffer.length()).ok()?);
        offset.checked_add(size).filter(|end| *end <= length && size.is_multiple_of(width))
    };
    match batch.buffers() {
        Some(buffers)
            if buffers.len() == widths.len()
                && buffers.iter().zip(widths).all(|(buffer, width)| fits(buffer, width).is_some()) =>
        {
            Ok(())
        }
        _ => Err("the Arrow stream is damaged: a buffer is not where, or not what it should be".to_owned()),
    }
}

/// The bytes of a value in each buffer of a column, in their order; 1 where values are bits or bytes.
/// Only types that [`check_schema`] lets pass need to be right.
/// <https://arrow.apache.org/docs/format/Columnar.html#buffer-listing-for-each-layout>
fn buffer_widths(data_type: &DataType, widths: &mut Vec<u64>) {
    let validity = 1;
    match data_type {
        DataType::Struct(fields) => {
            widths.push(validity);
            fields.iter().for_each(|field| buffer_widths(field.data_type(), widths));
        }
        DataType::List(item) => {
            widths.extend([validity, 4]);
            buffer_widths(item.data_type(), widths);
        }
        DataType::Utf8 => widths.extend([validity, 4, 1]),
        DataType::Dictionary(codes, _) => buffer_widths(codes, widths),
        other => widths.extend([validity, other.primitive_width().unwrap_or(1) as u64]),
    }
}

/// A plain file: a pipe or a device in a recording could hold the reader up for ever.
fn open(path: &Path) -> Result<File> {
    let failed = |error: &io::Error| {
        let kind = if error.kind() == io::ErrorKind::NotFound { Kind::NoInput } else { Kind::Io };
        Error::new(kind, format!("cannot read {}: {error}", path.display()))
    };
    if !path.metadata().map_err(|error| failed(&error))?.is_file() {
        return Err(bad(path, "this is not a plain file"));
    }
    File::open(path).map_err(|error| failed(&error))
}

fn bad(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::new(Kind::Data, format!("{}: {what}", path.display()))
}
