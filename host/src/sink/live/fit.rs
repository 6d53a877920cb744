//! A table's columns, fitted to a width.

use ratatui::text::Line;

use crate::sink::text::table::{Column, Grid};

/// Between two columns.
const GAP: usize = 2;
/// A column of text is not cut below this.
const NARROWEST: usize = 8;

/// The lines of a table, the first one its header, and how many columns had no room.
pub(super) fn lines(grid: &Grid, width: usize) -> (Vec<String>, usize) {
    let widths = widths(&grid.columns, width);
    let count = grid.columns.first().map_or(0, |column| column.cells.len());
    let line = |at: usize| {
        let cells = grid.columns.iter().zip(&widths).map(|(column, width)| padded(column, at, *width));
        cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    ((0..count).map(line).collect(), grid.columns.len() - widths.len())
}

/// As many columns as have room: text is cut where it is longest, then the last columns are left out.
fn widths(columns: &[Column], width: usize) -> Vec<usize> {
    let widest = |column: &Column| column.cells.iter().map(|cell| length(cell)).max().unwrap_or_default();
    let mut widths: Vec<usize> = columns.iter().map(widest).collect();
    let sum = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    while sum(&widths) > width {
        let text = columns.iter().zip(&mut widths).filter(|(column, _)| column.left).map(|(_, width)| width);
        match text.max_by_key(|width| **width).filter(|width| **width > NARROWEST) {
            Some(widest) => *widest -= 1,
            None => break,
        }
    }
    while widths.len() > 1 && sum(&widths) > width {
        widths.pop();
    }
    widths
}

fn padded(column: &Column, at: usize, width: usize) -> String {
    let cell = column.cells.get(at).map_or("", String::as_str);
    let cell = cut(cell, width, column.stack && at > 0);
    let space = " ".repeat(width.saturating_sub(length(&cell)));
    if column.left { format!("{cell}{space}") } else { format!("{space}{cell}") }
}

/// Cells of the screen that a text takes.
fn length(text: &str) -> usize {
    Line::raw(text).width()
}

/// A text that takes so many cells at most, of which its beginning or its end is left.
fn cut(text: &str, width: usize, keep_end: bool) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut fits = |character: &char| {
        let takes = length(character.encode_utf8(&mut [0; 4]));
        let fits = takes <= left;
        left = left.saturating_sub(if fits { takes } else { left });
        fits
    };
    match keep_end {
        true => {
            let end: Vec<char> = text.chars().rev().take_while(&mut fits).collect();
            format!("…{}", end.iter().rev().collect::<String>())
        }
        false => format!("{}…", text.chars().take_while(&mut fits).collect::<String>()),
    }
}
