//! The recorder: a sink whose output is a recording.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{
    ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;

use super::{ABOUT, About, COVERAGE, FORMAT, TABLES, coverage_schema, is_safe_name};
use crate::error::{Error, Kind, Result};
use crate::escape::escape;
use crate::event::{Event, nanoseconds};
use crate::sink::{Sink, time};
use crate::snapshot::{Coverage, Interval, Snapshot, Spans};

/// Writes a recording. The folder appears with the event that starts the run.
#[derive(Debug)]
pub struct Recorder {
    folder: PathBuf,
    streams: Option<Streams>,
}

#[derive(Debug)]
struct Streams {
    tables: Vec<(Arc<str>, Stream)>,
    coverage: Stream,
    /// Of the tables that this interval has been written of.
    rows: Vec<(Interval, Coverage)>,
}

impl Recorder {
    /// Refuses a path that exists, before anything is attached.
    pub fn new(folder: &Path) -> Result<Self> {
        if folder.symlink_metadata().is_ok() {
            return Err(exists(folder));
        }
        Ok(Self { folder: folder.to_owned(), streams: None })
    }
}

impl Sink for Recorder {
    fn put(&mut self, event: &Event<'_>) -> Result<()> {
        let streams = match (event, &mut self.streams) {
            (Event::Start { at, tables }, streams @ None) => {
                streams.insert(Streams::create(&self.folder, *at, tables)?)
            }
            (_, Some(streams)) => streams,
            _ => return Ok(()),
        };
        match event {
            Event::Snapshot(snapshot) => streams.write(snapshot),
            Event::End { .. } => streams.finish(),
            // What was detached is in the coverage.
            Event::Start { .. } | Event::Detached { .. } | Event::Plugin { .. } => Ok(()),
        }
    }
}

impl Streams {
    fn create(folder: &Path, started: SystemTime, tables: &[(Arc<str>, SchemaRef)]) -> Result<Self> {
        if let Some((name, _)) = tables.iter().find(|(name, _)| !is_safe_name(name)) {
            let name = escape(name.as_bytes());
            return Err(Error::new(Kind::Config, format!("the table `{name}` cannot be recorded"))
                .help("a name of letters, digits, `_` and `-` can"));
        }
        let failed = |path: &Path, error: &dyn std::fmt::Display| {
            Error::new(Kind::Io, format!("cannot create {}: {error}", path.display()))
        };
        fs::create_dir(folder).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(folder),
            _ => failed(folder, &error),
        })?;
        let subfolder = folder.join(TABLES);
        fs::create_dir(&subfolder).map_err(|error| failed(&subfolder, &error))?;
        let about = About {
            format: FORMAT,
            weir: env!("CARGO_PKG_VERSION").to_owned(),
            started: time(started),
            tables: tables.iter().map(|(name, _)| name.to_string()).collect(),
        };
        let path = folder.join(ABOUT);
        let json = serde_json::to_vec_pretty(&about).map_err(|error| failed(&path, &error))?;
        fs::write(&path, json).map_err(|error| failed(&path, &error))?;
        let stream = |(name, schema): &(Arc<str>, SchemaRef)| {
            let path = subfolder.join(format!("{name}.arrows"));
            Ok((name.clone(), Stream::create(path, schema)?))
        };
        Ok(Self {
            tables: tables.iter().map(stream).collect::<Result<_>>()?,
            coverage: Stream::create(folder.join(COVERAGE), &coverage_schema())?,
            rows: Vec::new(),
        })
    }

    /// Snapshots come in the order of the tables; with the last table's the interval is whole.
    fn write(&mut self, snapshot: &Snapshot) -> Result<()> {
        let Some((name, stream)) = self.tables.get_mut(self.rows.len()) else {
            return Err(Error::new(Kind::Software, "a recording has no tables"));
        };
        if *name != snapshot.table {
            let message = format!("a snapshot of `{}` came where one of `{name}` was due", snapshot.table);
            return Err(Error::new(Kind::Software, message));
        }
        stream.write(&snapshot.rows)?;
        self.rows.push((snapshot.interval, snapshot.coverage));
        if self.rows.len() == self.tables.len() {
            let batch = self.coverage_batch()?;
            self.coverage.write(&batch)?;
            self.rows.clear();
        }
        Ok(())
    }

    fn coverage_batch(&self) -> Result<RecordBatch> {
        let rows = &self.rows;
        let number = |get: fn(&Interval, &Coverage) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(
                rows.iter().map(|(interval, coverage)| get(interval, coverage)),
            ))
        };
        let flag = |get: fn(&Interval, &Coverage) -> bool| -> ArrayRef {
            let flags: Vec<bool> = rows.iter().map(|(interval, coverage)| get(interval, coverage)).collect();
            Arc::new(BooleanArray::from(flags))
        };
        let span = |get: fn(&Spans) -> u64| -> ArrayRef {
            let spans = rows.iter().map(|(_, coverage)| coverage.spans.as_ref().map(get));
            Arc::new(UInt64Array::from_iter(spans))
        };
        let began = rows.iter().map(|(interval, _)| {
            let since = interval.began.duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        });
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(self.tables.iter().map(|(name, _)| name))),
            number(|interval, _| interval.number),
            Arc::new(TimestampNanosecondArray::from_iter_values(began).with_timezone("UTC")),
            number(|interval, _| nanoseconds(interval.length)),
            flag(|interval, _| interval.last),
            number(|_, coverage| coverage.events),
            number(|_, coverage| coverage.overflow),
            number(|_, coverage| coverage.missed),
            flag(|_, coverage| coverage.missed_reliable),
            number(|_, coverage| coverage.inexact),
            flag(|_, coverage| coverage.detached),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|(_, coverage)| coverage.cpus))),
            span(|spans| spans.starts_dropped),
            span(|spans| spans.starts_replaced),
            span(|spans| spans.starts_abandoned),
            span(|spans| spans.ends_unmatched),
        ];
        RecordBatch::try_new(coverage_schema(), columns)
            .map_err(|error| Error::new(Kind::Software, format!("a recording's coverage: {error}")))
    }

    fn finish(&mut self) -> Result<()> {
        self.tables.iter_mut().try_for_each(|(_, stream)| stream.finish())?;
        self.coverage.finish()
    }
}

struct Stream {
    path: PathBuf,
    writer: StreamWriter<BufWriter<File>>,
}

/// By hand, because the writer has none.
impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Stream {
    fn create(path: PathBuf, schema: &Schema) -> Result<Self> {
        let create = || -> Result<_, ArrowError> {
            let mut writer = StreamWriter::try_new_buffered(File::create_new(&path)?, schema)?;
            writer.flush()?;
            Ok(writer)
        };
        let writer = create().map_err(|error| failed(&path, &error))?;
        Ok(Self { path, writer })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let written = self.writer.write(batch).and_then(|()| self.writer.flush());
        written.map_err(|error| failed(&self.path, &error))
    }

    fn finish(&mut self) -> Result<()> {
        self.writer.finish().map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &ArrowError) -> Error {
    Error::new(Kind::Io, format!("cannot write {}: {error}", path.display()))
}

fn exists(folder: &Path) -> Error {
    Error::new(Kind::Usage, format!("{} exists", folder.display()))
        .help("name a recording that does not exist yet; none is overwritten")
}
