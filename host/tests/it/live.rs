//! What is on the screen of a terminal.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;
use ratatui::text::Line;
use weir::event::{Event, Output, Severity};
use weir::sink::Screen;
use weir::snapshot::Snapshot;
use weir::table::{KeyKind, MeasureKind, TableSpec};

use crate::samples::*;

fn screen(table: &TableSpec, snapshot: &Snapshot) -> Screen {
    let mut screen = Screen::default();
    let at = std::time::SystemTime::UNIX_EPOCH + BEGAN;
    screen.put(&Event::Start { at, tables: &schemas(std::slice::from_ref(table)) });
    screen.put(&Event::Snapshot(snapshot));
    screen
}

/// The lines of a window of this size, without the spaces at their ends.
fn drawn(screen: &Screen, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(frame).unwrap()).unwrap();
    let line = |cells: &[Cell]| {
        let (mut text, mut cells) = (String::new(), cells.iter());
        while let Some(cell) = cells.next() {
            text.push_str(cell.symbol());
            // The cell after a wide character is a part of it.
            if Line::raw(cell.symbol()).width() > 1 {
                cells.next();
            }
        }
        text.trim_end().to_owned()
    };
    terminal.backend().buffer().content.chunks(usize::from(width)).map(line).collect()
}

fn counts(number: i128) -> Snapshot {
    let rows: Vec<Row> = (1..=number)
        .map(|n| (Some(vec![text(&format!("job-{n}"))]), vec![Value::Number(n * 1000)]))
        .chain([(None, vec![Value::Number(5)])])
        .collect();
    snapshot(&opens(), interval(7, false), coverage(78_005), &rows)
}

#[test]
fn as_many_rows_as_have_room_the_biggest_first() {
    let screen = screen(&opens(), &counts(12));
    assert_eq!(
        drawn(&screen, 100, 8),
        [
            "opens, interval 7 (1.00s from 10:00:07): 78,005 events in 13 rows, 0 in overflow, 0 missed",
            "comm         calls",
            "job-12      12,000",
            "job-11      11,000",
            "job-10      10,000",
            "(overflow)       5",
            "and 9 rows more",
            "78,005 events in 8 intervals; q or Ctrl-C ends",
        ]
    );
    let whole = drawn(&screen, 100, 20);
    assert_eq!(whole[13..16], ["job-1        1,000", "(overflow)       5", ""]);
}

#[test]
fn no_window_is_too_small() {
    let screen = screen(&opens(), &counts(12));
    for width in 1..12 {
        for height in 1..8 {
            assert_eq!(drawn(&screen, width, height).len(), usize::from(height));
        }
    }
}

#[test]
fn long_text_is_cut_and_what_has_no_room_is_said() {
    let table = table(
        "t",
        &[("kstack", KeyKind::KernelStack), ("comm", KeyKind::Text(16))],
        &[("calls", MeasureKind::Count, false, ""), ("bytes", MeasureKind::Sum, false, "")],
    );
    let row = (
        Some(vec![text("entry;do_syscall;vfs_read"), text("日本日本日本")]),
        vec![Value::Number(1), Value::Number(1_234_567)],
    );
    let screen = screen(&table, &snapshot(&table, interval(0, false), coverage(1), &[row]));
    assert_eq!(
        drawn(&screen, 46, 4)[1..3],
        ["kstack          comm          calls      bytes", "…call;vfs_read  日本日本日本      1  1,234,567"]
    );
    let narrow = drawn(&screen, 27, 4);
    assert_eq!(narrow[2], "…fs_read  日本日…       1");
    assert!(drawn(&screen, 80, 4)[3].ends_with("q or Ctrl-C ends"));
    assert!(drawn(&screen, 90, 4)[2].contains("entry;do_syscall;vfs_read"));
}

#[test]
fn histograms_are_drawn_where_there_is_room() {
    let table =
        table("reads", &[("comm", KeyKind::Text(16))], &[("latency", MeasureKind::Hist(0), false, "ns")]);
    let buckets = vec![(1024, Some(2048), 10), (2048, Some(4096), 5)];
    let row = |comm: &str| (Some(vec![text(comm)]), vec![Value::Hist(15, 30_000, buckets.clone())]);
    let two = [row("cat"), row("dd")];
    let screen = screen(&table, &snapshot(&table, interval(0, false), coverage(30), &two));
    let tall = drawn(&screen, 100, 12);
    assert_eq!(
        tall[1..6],
        [
            "comm",
            "cat",
            "    latency: 15 values, 2.00µs on average",
            "    [1.02µs, 2.05µs)  10 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|",
            "    [2.05µs, 4.10µs)   5 |@@@@@@@@@@@@@@@@@@@@                    |",
        ]
    );
    let low = drawn(&screen, 100, 6);
    assert_eq!(
        low[1..4],
        [
            "comm  latency p50  latency p99",
            "cat       <2.05µs      <4.10µs",
            "dd        <2.05µs      <4.10µs"
        ]
    );
}

#[test]
fn what_plugins_say_is_below_and_escaped_and_the_end_is_left_on_the_terminal() {
    let mut screen = screen(&opens(), &counts(1));
    let output = Output::Log { level: Severity::Info, message: "a\x1b[2Jb".into() };
    screen.put(&Event::Plugin { plugin: "top", interval: 0, output: &output });
    assert_eq!(drawn(&screen, 60, 8)[6], "top: info: a\\x1b[2Jb");
    let summary = screen.summary().unwrap();
    assert!(summary.contains("  job-1       1,000\n"), "{summary}");
}
