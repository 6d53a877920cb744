//! One interval of a table: how complete it is, its biggest rows, and its histograms.

use super::number::{average, bound, integer, nanoseconds, quantity};
use super::{coverage, quoted};
use crate::error::Result;
use crate::escape::{escape, guard};
use crate::event::Totals;
use crate::sink::rows::{Bucket, Histogram, Key, KeyValue, Measure, MeasureValue, Rows};
use crate::sink::time;
use crate::snapshot::Snapshot;
use crate::table::MeasureKind;

/// Rows that are shown of each table.
const TOP: usize = 10;
/// Up to so many rows, histograms are drawn; of more, their quantiles are shown.
pub(in crate::sink) const DRAWN: usize = 3;
/// Characters of the longest bar.
const BAR: u128 = 40;

/// The one line that always appears.
pub(in crate::sink) fn heading(snapshot: &Snapshot) -> String {
    let mut totals = Totals::default();
    totals.add(&snapshot.coverage);
    format!(
        "{}, interval {} ({} from {}): {} in {}{}\n",
        escape(snapshot.table.as_bytes()),
        snapshot.interval.number,
        nanoseconds(snapshot.interval.length.as_nanos() as f64),
        time(snapshot.interval.began).get(11..19).unwrap_or_default(),
        plural(snapshot.coverage.events.into(), "event"),
        plural(snapshot.rows.num_rows() as i128, "row"),
        coverage(&totals, snapshot.coverage.spans),
    )
}

/// The rows with the most of their first measure, those of overflow last.
pub(super) fn rows(snapshot: &Snapshot) -> Result<String> {
    let rows = Rows::new(&snapshot.rows)?;
    let (mut order, overflow) = ordered(&rows);
    let hidden = order.len().saturating_sub(TOP);
    order.truncate(TOP);
    order.extend(overflow);

    let (grid, histograms) = if order.len() <= DRAWN {
        let drawn = |row: &usize| draw_all(&rows, *row);
        (Grid::new(&rows, &order, false), order.iter().map(drawn).collect())
    } else {
        (Grid::new(&rows, &order, true), Vec::new())
    };
    let mut text = grid.print(&histograms);
    if hidden > 0 {
        text.push_str(&format!("  and {} more\n", plural(hidden as i128, "row")));
    }
    Ok(text)
}

/// The rows with the most of their first measure first, and apart from them those of overflow.
pub(in crate::sink) fn ordered(rows: &Rows<'_>) -> (Vec<usize>, Vec<usize>) {
    let (overflow, mut order): (Vec<usize>, Vec<usize>) =
        (0..rows.count).partition(|row| rows.is_overflow(*row));
    if let Some(first) = rows.measures.first() {
        let mut sized: Vec<(f64, usize)> =
            order.into_iter().map(|row| (size(&first.value(row)), row)).collect();
        sized.sort_by(|a, b| b.0.total_cmp(&a.0));
        order = sized.into_iter().map(|(_, row)| row).collect();
    }
    (order, overflow)
}

/// What rows are ordered by.
fn size(value: &MeasureValue) -> f64 {
    match value {
        MeasureValue::Null => f64::MIN,
        MeasureValue::Number(number) => *number as f64,
        MeasureValue::Avg { avg, .. } | MeasureValue::Stats { avg, .. } => avg.unwrap_or_default(),
        MeasureValue::Hist(histogram) => histogram.count as f64,
    }
}

/// Columns of cells, the first line being their names.
pub(in crate::sink) struct Grid {
    pub(in crate::sink) columns: Vec<Column>,
}

pub(in crate::sink) struct Column {
    pub(in crate::sink) cells: Vec<String>,
    /// It is text, which begins at the left.
    pub(in crate::sink) left: bool,
    /// Of a text that is too long, the end says most.
    pub(in crate::sink) stack: bool,
}

impl Grid {
    pub(in crate::sink) fn new(rows: &Rows<'_>, order: &[usize], quantiles: bool) -> Self {
        let mut columns = Vec::new();
        for (at, key) in rows.keys.iter().enumerate() {
            let cell = |row: &usize| match rows.is_overflow(*row) {
                true if at == 0 => "(overflow)".to_owned(),
                true => String::new(),
                false => key_cell(key, *row),
            };
            let stack = key.kind == "stack";
            let left = stack || key.kind == "text";
            columns.push(Column { stack, ..Column::new(key.name, order.iter().map(cell), left) });
        }
        for measure in &rows.measures {
            if measure.kind == MeasureKind::Stats {
                for (name, part) in [("avg", stats_avg as StatsCell), ("min", stats_min), ("max", stats_max)]
                {
                    let cells = order.iter().map(|row| part(measure, *row));
                    columns.push(Column::new(&format!("{} {name}", measure.name), cells, false));
                }
            } else if !measure.kind.is_histogram() {
                let cells = order.iter().map(|row| value_cell(measure, *row));
                columns.push(Column::new(measure.name, cells, false));
            } else if quantiles {
                for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
                    let cells = order.iter().map(|row| quantile_cell(measure, *row, share));
                    columns.push(Column::new(&format!("{} {name}", measure.name), cells, false));
                }
            }
        }
        Self { columns }
    }

    /// A line each, and below each what belongs to it.
    fn print(&self, below: &[String]) -> String {
        let mut text = String::new();
        let lines = self.columns.first().map_or(0, |column| column.cells.len());
        for line in 0..lines.max(below.len() + 1) {
            let mut printed = String::new();
            for column in &self.columns {
                let cell = &column.cells[line];
                let space = " ".repeat(column.width() - cell.chars().count());
                let (before, after) = if column.left { ("", &*space) } else { (&*space, "") };
                printed.push_str(&format!("  {before}{cell}{after}"));
            }
            if !self.columns.is_empty() {
                text.push_str(printed.trim_end());
                text.push('\n');
            }
            text.push_str(line.checked_sub(1).and_then(|row| below.get(row)).map_or("", String::as_str));
        }
        text
    }
}

impl Column {
    fn new(name: &str, cells: impl Iterator<Item = String>, left: bool) -> Self {
        let name = escape(name.as_bytes()).into_owned();
        Self { cells: std::iter::once(name).chain(cells).collect(), left, stack: false }
    }

    fn width(&self) -> usize {
        self.cells.iter().map(|cell| cell.chars().count()).max().unwrap_or_default()
    }
}

fn key_cell(key: &Key<'_>, row: usize) -> String {
    match key.value(row) {
        KeyValue::Null => "(null)".to_owned(),
        KeyValue::Number(number) if key.unit == "ns" => quantity(number, key.unit),
        // An identifier more often than an amount.
        KeyValue::Number(number) => number.to_string(),
        KeyValue::Text(text) => {
            // Quoted where it could be taken for another: an empty one, or one with spaces at its ends.
            let plain = !text.is_empty() && !text.starts_with(['(', '"', ' ']) && !text.ends_with(' ');
            if plain { guard(text).into_owned() } else { quoted(&guard(text)) }
        }
    }
}

fn value_cell(measure: &Measure<'_>, row: usize) -> String {
    match measure.value(row) {
        // What is counted has no unit, whatever is measured beside it.
        MeasureValue::Number(number) if measure.kind == MeasureKind::Count => integer(number),
        MeasureValue::Number(number) => quantity(number, measure.unit),
        MeasureValue::Null | MeasureValue::Stats { .. } => "-".to_owned(),
        MeasureValue::Avg { avg, .. } => avg.map_or("-".to_owned(), |avg| average(avg, measure.unit)),
        MeasureValue::Hist(histogram) => integer(histogram.count.into()),
    }
}

type StatsCell = fn(&Measure<'_>, usize) -> String;

fn stats_avg(measure: &Measure<'_>, row: usize) -> String {
    match measure.value(row) {
        MeasureValue::Stats { avg: Some(avg), .. } => average(avg, measure.unit),
        _ => "-".to_owned(),
    }
}

fn stats_min(measure: &Measure<'_>, row: usize) -> String {
    match measure.value(row) {
        MeasureValue::Stats { min: Some(min), .. } => quantity(min, measure.unit),
        _ => "-".to_owned(),
    }
}

fn stats_max(measure: &Measure<'_>, row: usize) -> String {
    match measure.value(row) {
        MeasureValue::Stats { max: Some(max), .. } => quantity(max, measure.unit),
        _ => "-".to_owned(),
    }
}

/// The bound below which that share of the values is: a bucket tells no more.
fn quantile_cell(measure: &Measure<'_>, row: usize, share: f64) -> String {
    let MeasureValue::Hist(histogram) = measure.value(row) else { return String::new() };
    let total: u128 = histogram.buckets.iter().map(|bucket| u128::from(bucket.count)).sum();
    let mut left = (total as f64 * share).ceil() as u128;
    for bucket in histogram.buckets.iter().filter(|bucket| bucket.count > 0) {
        left = left.saturating_sub(bucket.count.into());
        if left == 0 {
            return match bucket {
                Bucket { low: 0, high: Some(1), .. } => "0".to_owned(),
                Bucket { high: Some(high), .. } => format!("<{}", bound(*high, measure.unit)),
                Bucket { low, .. } => format!("≥{}", bound(*low, measure.unit)),
            };
        }
    }
    "-".to_owned()
}

/// The histograms of a row, a line a bucket.
pub(in crate::sink) fn draw_all(rows: &Rows<'_>, row: usize) -> String {
    let drawn = rows.measures.iter().filter_map(|measure| match measure.value(row) {
        MeasureValue::Hist(histogram) => Some(draw(measure, &histogram)),
        _ => None,
    });
    drawn.collect()
}

/// A histogram, a line a bucket.
fn draw(measure: &Measure<'_>, histogram: &Histogram) -> String {
    let name = escape(measure.name.as_bytes());
    let mut text = format!("    {name}: {}", plural(histogram.count.into(), "value"));
    if histogram.count > 0 {
        let mean = histogram.sum as f64 / histogram.count as f64;
        text.push_str(&format!(", {} on average", average(mean, measure.unit)));
    }
    text.push('\n');
    let labels: Vec<String> = histogram.buckets.iter().map(|bucket| label(bucket, measure.unit)).collect();
    let counts: Vec<String> = histogram.buckets.iter().map(|bucket| integer(bucket.count.into())).collect();
    let widest = |cells: &[String]| cells.iter().map(|cell| cell.chars().count()).max().unwrap_or_default();
    let (label_width, count_width) = (widest(&labels), widest(&counts));
    let most = histogram.buckets.iter().map(|bucket| bucket.count).max().unwrap_or_default().max(1);
    for (at, bucket) in histogram.buckets.iter().enumerate() {
        if at > 0 && histogram.buckets[at - 1].high != Some(bucket.low) {
            text.push_str("    ...\n");
        }
        let bar = "@".repeat((u128::from(bucket.count) * BAR / u128::from(most)) as usize);
        let (label, count) = (&labels[at], &counts[at]);
        let line = format!(
            "    {label:label_width$}  {count:>count_width$} |{bar:<width$}|\n",
            width = BAR as usize
        );
        text.push_str(&line);
    }
    let kept: u128 = histogram.buckets.iter().map(|bucket| u128::from(bucket.count)).sum();
    if let Some(lost @ 1..) = u128::from(histogram.count).checked_sub(kept) {
        text.push_str(&format!("    {} FOUND NO BUCKET\n", plural(lost as i128, "value")));
    }
    text
}

fn label(bucket: &Bucket, unit: &str) -> String {
    match *bucket {
        Bucket { low: 0, high: Some(1), .. } => "[0]".to_owned(),
        Bucket { low, high: Some(high), .. } if low == i64::MIN.into() => {
            format!("(..., {})", bound(high, unit))
        }
        Bucket { low, high: Some(high), .. } => format!("[{}, {})", bound(low, unit), bound(high, unit)),
        Bucket { low, high: None, .. } => format!("[{}, ...)", bound(low, unit)),
    }
}

pub(in crate::sink) fn plural(number: i128, noun: &str) -> String {
    format!("{} {noun}{}", integer(number), if number == 1 { "" } else { "s" })
}
