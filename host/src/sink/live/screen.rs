//! What is on the screen.

use std::collections::VecDeque;
use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;

use super::fit;
use crate::error::Result;
use crate::escape::{escape, guard};
use crate::event::{Event, Totals};
use crate::sink::Sink as _;
use crate::sink::rows::Rows;
use crate::sink::text::table::{DRAWN, Grid, draw_all, heading, ordered, plural};
use crate::sink::text::{Detail, Text, end, plugin_output};
use crate::snapshot::Snapshot;

/// Lines of plugins that are kept.
const MOST_LINES: usize = 100;

/// The last interval of each table, what plugins had to say, and what came before in numbers.
#[derive(Debug, Default)]
pub struct Screen {
    tables: Vec<(Arc<str>, Option<Snapshot>)>,
    said: VecDeque<String>,
    totals: Totals,
    ended: Option<Totals>,
}

impl Screen {
    pub fn put(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { tables, .. } => {
                self.tables = tables.iter().map(|(name, _)| (name.clone(), None)).collect();
            }
            Event::Snapshot(snapshot) => {
                self.totals.add(&snapshot.coverage);
                self.totals.intervals = snapshot.interval.number + 1;
                let table = self.tables.iter_mut().find(|(name, _)| *name == snapshot.table);
                if let Some((_, last)) = table {
                    // The last interval is cut short, and says less than the one before it.
                    let says_less = |last: &Snapshot| {
                        snapshot.interval.last && last.interval.length > snapshot.interval.length
                    };
                    if !last.as_ref().is_some_and(says_less) {
                        *last = Some((*snapshot).clone());
                    }
                }
            }
            Event::Detached { table, message, .. } => {
                self.say(&format!("{}: DETACHED: {}", escape(table.as_bytes()), guard(message)));
            }
            Event::Plugin { plugin, output, .. } => {
                self.say(&format!("{}: {}", escape(plugin.as_bytes()), plugin_output(output)));
            }
            Event::End { totals, .. } => self.ended = Some(**totals),
        }
    }

    fn say(&mut self, text: &str) {
        self.said.extend(text.lines().map(str::to_owned));
        while self.said.len() > MOST_LINES {
            self.said.pop_front();
        }
    }

    /// Fills the whole frame.
    pub fn draw(&self, frame: &mut Frame<'_>) -> Result<()> {
        let area = frame.area();
        let Some(room) = area.height.checked_sub(1) else { return Ok(()) };
        let said = (self.said.len() as u16).min(room / 3);
        let room = room - said;
        let each = room / (self.tables.len().max(1) as u16);
        let (mut top, mut hidden) = (area.y, 0);
        for (name, last) in &self.tables {
            let part = Rect { y: top, height: each, ..area };
            top += each;
            match last {
                Some(snapshot) => hidden += table(frame, part, snapshot)?,
                None => {
                    print(frame, part, 0, Line::raw(format!("{}: counting", escape(name.as_bytes()))).bold());
                }
            }
        }
        let part = Rect { y: area.y + room, height: said, ..area };
        for (at, line) in self.said.iter().skip(self.said.len() - usize::from(said)).enumerate() {
            print(frame, part, at, Line::raw(line));
        }
        let mut last = format!(
            "{} in {}; q or Ctrl-C ends",
            plural(self.totals.events.into(), "event"),
            plural(self.totals.intervals.into(), "interval")
        );
        if hidden > 0 {
            last.push_str(&format!("; the window is too narrow for {}", plural(hidden as i128, "column")));
        }
        let part = Rect { y: area.y + area.height - 1, height: 1, ..area };
        print(frame, part, 0, Line::raw(last).dim());
        Ok(())
    }

    /// What is left on the terminal when the screen is gone: the last interval, and the totals.
    pub fn summary(&self) -> Result<String> {
        let mut shown = Text::new(Vec::new(), Detail::Rows);
        for snapshot in self.tables.iter().filter_map(|(_, last)| last.as_ref()) {
            shown.put(&Event::Snapshot(snapshot))?;
        }
        let mut text = String::from_utf8_lossy(&shown.into_inner()).into_owned();
        text.extend(self.said.iter().flat_map(|line| [line.as_str(), "\n"]));
        text.push_str(&self.ended.as_ref().map(|totals| end(totals, Detail::Rows)).unwrap_or_default());
        Ok(text)
    }
}

fn print(frame: &mut Frame<'_>, area: Rect, at: usize, line: Line<'_>) {
    let Ok(at) = u16::try_from(at) else { return };
    if at < area.height {
        frame.render_widget(line, Rect { y: area.y + at, height: 1, ..area });
    }
}

/// Draws one table, and says how many of its columns had no room.
fn table(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) -> Result<usize> {
    let lost = snapshot.coverage.overflow > 0 || snapshot.coverage.missed > 0;
    let style = if lost { Style::new().bold().red() } else { Style::new().bold() };
    print(frame, area, 0, Line::styled(heading(snapshot).trim_end().to_owned(), style));
    let (width, height) = (usize::from(area.width), usize::from(area.height).saturating_sub(1));
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let rows = Rows::new(&snapshot.rows)?;
    let (mut order, overflow) = ordered(&rows);

    if order.len() + overflow.len() <= DRAWN
        && rows.measures.iter().any(|measure| measure.kind.is_histogram())
    {
        let all: Vec<usize> = order.iter().chain(&overflow).copied().collect();
        let (cells, hidden) = fit::lines(&Grid::new(&rows, &all, false), width);
        let lines = drawn(&rows, &all, cells);
        // Of one row, what has room is still more than quantiles would be.
        if lines.len() <= height || all.len() <= 1 {
            for (at, line) in lines.into_iter().enumerate() {
                print(frame, below, at, line);
            }
            return Ok(hidden);
        }
    }

    // A line for the header, and one for what has no room.
    let room = height.saturating_sub(1 + overflow.len());
    let more = order.len() > room;
    let kept = if more { room.saturating_sub(1) } else { order.len() };
    let left_out = order.len() - kept;
    order.truncate(kept);
    order.extend(overflow);
    let (cells, hidden) = fit::lines(&Grid::new(&rows, &order, true), width);
    let count = cells.len();
    for (at, cells) in cells.into_iter().enumerate() {
        let line = Line::raw(cells);
        print(frame, below, at, if at == 0 { line.underlined() } else { line });
    }
    if more {
        print(frame, below, count, Line::raw(format!("and {} more", plural(left_out as i128, "row"))).dim());
    }
    Ok(hidden)
}

/// The rows with their histograms below them.
fn drawn(rows: &Rows<'_>, order: &[usize], cells: Vec<String>) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (at, cells) in cells.into_iter().enumerate() {
        // Without keys and other measures there is nothing to be said beside the histogram.
        if !cells.is_empty() {
            let line = Line::raw(cells);
            lines.push(if at == 0 { line.underlined() } else { line });
        }
        if let Some(row) = at.checked_sub(1).and_then(|at| order.get(at)) {
            lines.extend(draw_all(rows, *row).lines().map(|line| Line::raw(line.to_owned())));
        }
    }
    // A table without such columns has no cells, and its one row is not to be passed over.
    if rows.keys.is_empty() && rows.measures.iter().all(|measure| measure.kind.is_histogram()) {
        lines = order
            .iter()
            .flat_map(|row| {
                draw_all(rows, *row).lines().map(|line| Line::raw(line.to_owned())).collect::<Vec<_>>()
            })
            .collect();
    }
    lines
}
