//! Reading a recording. It may be anyone's, so nothing in it is believed before it was checked.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;

use super::{ABOUT, About, COVERAGE, FORMAT, TABLES, coverage_schema, is_safe_name};
use crate::error::{Error, Kind, Result};
use crate::escape::unescape;
use crate::sink::check_schema;
use crate::snapshot::{Coverage, Interval, Snapshot, Spans};

/// Bytes of `weir.json`: it is read whole.
const ABOUT_BYTES: u64 = 1 << 20;
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
            let schema = stream.reader.schema();
            check_schema(&schema).map_err(|error| bad(&stream.path, error.message))?;
            tables.push((name, schema));
            streams.push(stream);
        }
        let coverage = Stream::open(folder.join(COVERAGE))?;
        if coverage.reader.schema().fields() != coverage_schema().fields() {
            return Err(bad(&coverage.path, "the columns are not those of a recording's coverage"));
        }
        Ok(Self { started, tables, streams, coverage, last: None, finished: false })
    }

    /// Whether the recorder was stopped before it could end the recording; known once all was read.
    #[must_use]
    pub fn ended_early(&self) -> bool {
        self.finished && !self.last.is_some_and(|interval| interval.last)
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
            stream.check_texts(&rows)?;
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
    let missed_reliable = flag("missed_reliable")?;
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
            cpus: cpus.value(row),
            spans: number("starts_dropped").is_ok_and(|column| column.is_valid(row)).then_some(spans),
        }
    });
    Ok((interval, coverage.collect()))
}

/// One Arrow stream, and what of it was checked already.
#[derive(Debug)]
struct Stream {
    path: PathBuf,
    reader: StreamReader<Bounded<BufReader<File>>>,
    checked: Vec<StringArray>,
}

impl Stream {
    fn open(path: PathBuf) -> Result<Self> {
        let file = Bounded { inner: BufReader::new(open(&path)?), left: BATCH_BYTES, ended: false };
        let reader = StreamReader::try_new(file, None).map_err(|error| unreadable(&path, &error))?;
        Ok(Self { path, reader, checked: Vec::new() })
    }

    /// Nothing at the stream's end, and where it was cut off.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        self.reader.get_mut().left = BATCH_BYTES;
        match self.reader.next().transpose() {
            Err(_) if self.reader.get_ref().ended => Ok(None),
            other => other.map_err(|error| unreadable(&self.path, &error)),
        }
    }

    /// Texts must be what was escaped, or plugins could not be given their bytes.
    fn check_texts(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns =
            batch.columns().iter().filter(|column| matches!(column.data_type(), DataType::Dictionary(..)));
        let texts =
            columns.filter_map(|column| column.as_dictionary_opt::<UInt32Type>()?.values().as_string_opt());
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

/// A reader that gives up after so many bytes, and remembers whether it came to the end.
#[derive(Debug)]
struct Bounded<R> {
    inner: R,
    left: u64,
    ended: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(format!("an interval has more than {BATCH_BYTES} bytes")));
        }
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..wanted])?;
        self.left -= read as u64;
        self.ended |= read == 0 && wanted > 0;
        Ok(read)
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

fn unreadable(path: &Path, error: &ArrowError) -> Error {
    bad(path, format!("this is not a readable Arrow stream: {error}"))
}

fn bad(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::new(Kind::Data, format!("{}: {what}", path.display()))
}
