//! Says all that it is told, in the words that every language's SDK uses for it, so that they can be compared.

mod all;
mod fnv;
mod histograms;

use std::hint::black_box;

use weir_plugin::bindings::weir::plugin::tables::rows;
use weir_plugin::{
    Failure, Plugin, Result, Severity, Table, artefact, gauge, histogram, log, options, report, state, tables,
};

#[derive(Default)]
struct Tally {
    mode: String,
}

weir_plugin::export!(Tally);

impl Plugin for Tally {
    fn configure(&mut self) -> Result {
        self.mode = options::text("mode")?.unwrap_or_else(|| "all".to_owned());
        Ok(())
    }

    fn analyze(&mut self) -> Result {
        match self.mode.as_str() {
            "all" => tables()?.iter().try_for_each(all::tally),
            "columns" => by_columns(&first()?),
            "questions" => by_questions(&first()?),
            "histograms" => tables()?.iter().try_for_each(histograms::tell),
            "state" => remember(),
            "fail" => Err(Failure::new("tally", "as asked")),
            "trap" => Err(format!("row {}", [0u8; 3][black_box(3)]))?,
            "loop" => loop {
                black_box(());
            },
            "memory" => {
                let mut all = Vec::new();
                loop {
                    all.push(black_box(vec![1u8; 1 << 20]));
                }
            }
            "unknown" => {
                let reason = rows(99).map_or_else(|failure| failure.reason, |rows| format!("{rows} rows"));
                report(Severity::Info, "unknown", reason).send()
            }
            other => Err(options::wrong("mode", format_args!("there is no {other}"))),
        }
    }
}

fn first() -> Result<Table> {
    Ok(tables()?.into_iter().next().ok_or("there is no table")?)
}

/// The first three columns that add up.
fn summed(table: &Table) -> Vec<&str> {
    let adds_up = table
        .columns()
        .iter()
        .filter(|column| column.kind == "u64" && matches!(column.role.as_str(), "count" | "sum"));
    adds_up.map(|column| column.name.as_str()).take(3).collect()
}

/// The same report, however it was come by.
fn say(table: &Table, names: &[&str], sums: &[u64], top: &[u64]) -> Result {
    let report = report(Severity::Info, "columns", table.name());
    let report = names.iter().zip(sums).fold(report, |report, (name, sum)| report.field(name, sum));
    let top: Vec<String> = top.iter().map(u64::to_string).collect();
    report.field("top", top.join(" ")).send()
}

fn by_columns(table: &Table) -> Result {
    let names = summed(table);
    let mut sums = Vec::new();
    let mut top = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let values = table.column::<u64>(name)?;
        sums.push(sum(&values));
        if number == 0 {
            top = biggest(&values);
        }
    }
    say(table, &names, &sums, &top)
}

// Each loop in a function of its own, as it is fastest in a plugin.

#[inline(never)]
fn sum(values: &[u64]) -> u64 {
    values.iter().fold(0, |sum, value| sum.wrapping_add(*value))
}

/// The ten biggest values, the biggest first.
#[inline(never)]
fn biggest(values: &[u64]) -> Vec<u64> {
    let mut top = Vec::with_capacity(11);
    let mut least = None;
    for value in values {
        if least.is_none_or(|least| *value > least) {
            least = insert(&mut top, *value);
        }
    }
    top
}

/// Gives a value its place, and the least of the ten once there are as many.
#[cold]
#[inline(never)]
fn insert(top: &mut Vec<u64>, value: u64) -> Option<u64> {
    top.insert(top.partition_point(|other| *other >= value), value);
    top.truncate(10);
    top.get(9).copied()
}

fn by_questions(table: &Table) -> Result {
    let names = summed(table);
    let question = names.iter().fold(table.group_by([]), |question, name| question.sum(name));
    let answer = question.ask()?;
    let sum = |name: &&str| Ok(answer.column::<u64>(&format!("sum({name})"))?[0]);
    let sums = names.iter().map(sum).collect::<Result<Vec<u64>>>()?;
    let top = match names.first() {
        Some(first) => table.sort_desc(first).limit(10).ask()?.column::<u64>(first)?,
        None => Vec::new(),
    };
    say(table, &names, &sums, &top)
}

fn remember() -> Result {
    let calls = state::get("n")?.unwrap_or(0u64) + 1;
    state::set("n", calls)?;
    report(Severity::Info, "state", calls.to_string()).send()?;
    log(Severity::Debug, format_args!("call {calls}"));
    artefact("a.txt", "text/plain", b"call ")?;
    artefact("a.txt", "text/plain", format!("{calls}\n").as_bytes())?;
    gauge("n").label("k", "v").set(calls as f64)?;
    for table in tables()?.iter().filter(|table| !table.is_empty()) {
        if let Some(column) = table.columns().iter().find(|column| column.kind == "buckets") {
            return histogram("h").row(table, 0, &column.name);
        }
    }
    Ok(())
}
