//! Attacks nothing: what the benchmark of plugins measures, the sums of three columns and the ten biggest rows of one.
//!
//! The option `way` says how: `columns` pulls them and works here, `questions` asks the host, `nothing` does neither.

use std::hint::black_box;

use weir_plugin::{Failure, Plugin, Result, options, tables};

#[derive(Default)]
struct Reader {
    way: String,
}

weir_plugin::export!(Reader);

const COLUMNS: [&str; 3] = ["a", "b", "c"];

impl Plugin for Reader {
    fn configure(&mut self) -> Result {
        self.way = options::text("way")?.unwrap_or_default();
        Ok(())
    }

    fn analyze(&mut self) -> Result {
        let tables = tables()?;
        let table = tables.first().ok_or("there is no table")?;
        match self.way.as_str() {
            "columns" => {
                let mut top = Vec::new();
                for name in COLUMNS {
                    let values = table.column::<u64>(name)?;
                    black_box(sum(&values));
                    if name == "c" {
                        top = top_ten(&values);
                    }
                }
                black_box(top);
                Ok(())
            }
            "questions" => {
                let sums = table.group_by([]).sum("a").sum("b").sum("c").ask()?;
                black_box(sums.column::<u64>("sum(a)")?.len());
                let top = table.sort_desc("c").limit(10).ask()?;
                black_box(top.column::<u64>("c")?.len());
                Ok(())
            }
            "nothing" => Ok(()),
            other => Err(Failure::new("options", format!("there is no way called {other}"))),
        }
    }
}

// Every loop looks at the deadline, which is a call if it is over, and what a loop holds in registers has to survive
// that call. So each loop is in a function of its own, without anything that seldom happens.

#[inline(never)]
fn sum(values: &[u64]) -> u64 {
    values.iter().fold(0u64, |sum, value| sum.wrapping_add(*value))
}

/// The rows of the ten biggest values, the biggest first.
#[inline(never)]
fn top_ten(values: &[u64]) -> Vec<(u64, usize)> {
    let mut best: Vec<(u64, usize)> = Vec::with_capacity(11);
    let (first, rest) = values.split_at(values.len().min(10));
    for (row, value) in first.iter().enumerate() {
        insert(&mut best, *value, row);
    }
    let mut least = best.last().map_or(0, |last| last.0);
    for (row, value) in (10..).zip(rest) {
        if *value > least {
            least = insert(&mut best, *value, row);
        }
    }
    best
}

/// Gives a value its place, and the least of the ten.
#[cold]
#[inline(never)]
fn insert(best: &mut Vec<(u64, usize)>, value: u64, row: usize) -> u64 {
    let place = best.partition_point(|(other, _)| *other >= value);
    best.insert(place, (value, row));
    best.truncate(10);
    best[best.len() - 1].0
}
