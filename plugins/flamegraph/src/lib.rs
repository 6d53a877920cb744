//! Stacks as a flame graph: a picture that stands alone, `flamegraph.svg`, each interval.
//!
//! README.md says what it shows and how to read it. Here is what it looks at: every table that has a key that is a
//! stack, and a count or a sum to draw. A row is a stack of frames: its keys that are no stacks, in their order, below
//! those that are. All rows are merged into a tree, which is drawn, and folded if that is asked for.

#![forbid(unsafe_code)]

mod folded;
mod svg;
mod text;
mod tree;

use svg::Head;
use tree::{Origin, Tree};
use weir_plugin::{
    Column, Plugin, Result, Severity, Table, Text, Texts, artefact, interval, options, report, tables,
};

/// What a call may put out is 1 MiB. This leaves room for reports.
const ROOM: usize = 960 << 10;
/// Rows that are read at once. Stacks are long, and there may be two in a row.
const PAGE_ROWS: u32 = 1024;

weir_plugin::options! {
    #[derive(Default)]
    struct Options {
        measure: Option<String>,
        stacks: Option<String>,
        folded: bool,
    }
}

#[derive(Default)]
struct FlameGraph {
    options: Options,
}

weir_plugin::export!(FlameGraph);

/// What is drawn of a table.
struct Plan {
    table: Table,
    measure: Column,
    keys: Vec<Key>,
}

/// A key, in the place that it has in a stack.
struct Key {
    name: String,
    kind: String,
    /// Of a stack, whose.
    stack: Option<Origin>,
}

impl Plugin for FlameGraph {
    fn configure(&mut self) -> Result {
        self.options = Options::read()?;
        self.plans().map(drop)
    }

    fn analyze(&mut self) -> Result {
        let plans = self.plans()?;
        let mut room = ROOM;
        for (number, plan) in plans.iter().enumerate() {
            let share = room / (plans.len() - number);
            // One table has the names that are easy to remember.
            let suffix = if plans.len() > 1 { format!("-{}", plan.table.name()) } else { String::new() };
            room -= self.draw(plan, &suffix, share)?;
        }
        Ok(())
    }
}

impl FlameGraph {
    /// The tables that have stacks.
    fn plans(&self) -> Result<Vec<Plan>> {
        let mut plans = Vec::new();
        for table in tables()? {
            let keys = self.keys(&table)?;
            if keys.iter().any(|key| key.stack.is_some()) {
                let measure = self.measure(&table)?;
                plans.push(Plan { table, measure, keys });
            }
        }
        match (&self.options.stacks, plans.is_empty()) {
            (_, false) => Ok(plans),
            (Some(stacks), true) => {
                Err(options::wrong("stacks", format_args!("no table has a key that is one of {stacks}")))
            }
            (None, true) => Err("no table has a key that is a stack, such as kstack or ustack")?,
        }
    }

    /// The keys of a table from the outermost frame on: what is no stack, then the process's stack, then the kernel's,
    /// which the process called.
    fn keys(&self, table: &Table) -> Result<Vec<Key>> {
        let named: Option<Vec<&str>> =
            self.options.stacks.as_ref().map(|names| names.split(',').map(str::trim).collect());
        let mut keys = Vec::new();
        for column in table.columns().iter().filter(|column| column.role == "key") {
            let is_text = column.kind == "text";
            let is_stack = match &named {
                Some(named) => named.contains(&column.name.as_str()),
                None => is_text && column.name.contains("stack"),
            };
            if is_stack && !is_text {
                let what =
                    format_args!("{} of table {} is a number, and no stack", column.name, table.name());
                return Err(options::wrong("stacks", what));
            }
            let origin = if column.name.starts_with('k') { Origin::Kernel } else { Origin::Process };
            let (name, kind) = (column.name.clone(), column.kind.clone());
            keys.push(Key { name, kind, stack: is_stack.then_some(origin) });
        }
        keys.sort_by_key(|key| match (&named, key.stack) {
            (_, None) => 0,
            (Some(named), Some(_)) => 1 + named.iter().position(|name| *name == key.name).unwrap_or(0),
            (None, Some(origin)) => 1 + usize::from(origin == Origin::Kernel),
        });
        Ok(keys)
    }

    /// What the width of a frame shows.
    fn measure(&self, table: &Table) -> Result<Column> {
        let adds_up =
            |column: &&Column| column.kind == "u64" && matches!(column.role.as_str(), "count" | "sum");
        let mut measures = table.columns().iter().filter(adds_up);
        let found = match &self.options.measure {
            Some(name) => measures.clone().find(|column| column.name == *name),
            None => measures.next(),
        };
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> = measures.map(|column| column.name.as_str()).collect();
            let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            let wanted = self.options.measure.as_deref().unwrap_or("count() or sum(x) without a sign");
            options::wrong(
                "measure",
                format_args!("table {} has no {wanted} to draw; it has {known}", table.name()),
            )
        })
    }

    /// Draws a table in at most so many bytes, and says how many it took.
    fn draw(&self, plan: &Plan, suffix: &str, bytes: usize) -> Result<usize> {
        let (table, tree) = (&plan.table, plan.read()?);
        let missing = missing(table)?;
        let (measure, unit) = (plan.measure.name.clone(), plan.measure.unit.clone());
        let mut head = Head { title: String::new(), about: String::new(), measure, unit };
        if tree.total() == 0 {
            let report = report(Severity::Info, "flamegraph", format!("{}: nothing to draw", table.name()));
            missing.iter().fold(report, |report, (name, what)| report.field(name, what)).send()?;
            return Ok(0);
        }

        head.title = format!("{}: {}", table.name(), head.amount(tree.total()));
        if !head.unit.is_empty() {
            head.title.push_str(&format!(" of {}", head.measure));
        }
        head.about = format!("interval {}, {:.3} s", interval::number(), interval::seconds());
        missing.iter().for_each(|(_, what)| head.about.push_str(&format!("; {what}")));
        let picture = svg::draw(&tree, &head, if self.options.folded { bytes / 2 } else { bytes });
        let name = format!("flamegraph{suffix}.svg");
        artefact(&name, "image/svg+xml", picture.svg.as_bytes())?;
        let mut used = picture.svg.len();
        if self.options.folded {
            let folded = folded::fold(&tree, bytes.saturating_sub(used));
            artefact(&format!("folded{suffix}.txt"), "text/plain", folded.as_bytes())?;
            used += folded.len();
        }

        let mut report = report(Severity::Info, "flamegraph", format!("{}, in {name}", head.title));
        report = report.field("stacks", tree.stacks());
        if let Some(left_out) = picture.left_out {
            report = report.field("left out", left_out);
        }
        missing.iter().fold(report, |report, (name, what)| report.field(name, what)).send()?;
        Ok(used)
    }
}

impl Plan {
    /// The table's rows as a tree.
    fn read(&self) -> Result<Tree> {
        let mut tree = Tree::new();
        let overflow = tree.frame(b"(no row of their own)", Origin::Label);
        let unknown = tree.frame(b"(no stack)", Origin::Label);
        let rows = self.table.len();
        for first in (0..rows).step_by(PAGE_ROWS as usize) {
            let count = PAGE_ROWS.min(rows - first);
            let parts = self.keys.iter().map(|key| key.read(&self.table, first, count, &mut tree));
            let parts = parts.collect::<Result<Vec<Part>>>()?;
            let values = self.table.page::<u64>(&self.measure.name, first, count)?;
            let overflows = self.table.page::<u64>("overflow", first, count)?;
            for (row, (value, overflows)) in values.into_iter().zip(overflows).enumerate() {
                let mut stack = parts.iter().flat_map(|part| part.frames(row)).peekable();
                match (value, overflows) {
                    (0, _) => {}
                    (_, 1..) => tree.add([overflow], value),
                    _ if stack.peek().is_none() => tree.add([unknown], value),
                    _ => tree.add(stack.copied(), value),
                }
            }
        }
        tree.sort();
        Ok(tree)
    }
}

/// What one key adds to the stacks of a page's rows.
struct Part {
    codes: Vec<u32>,
    /// The frames of each code.
    frames: Vec<Vec<u32>>,
}

impl Part {
    fn frames(&self, row: usize) -> &[u32] {
        &self.frames[self.codes[row] as usize]
    }

    /// Of texts, each of which is taken apart once.
    fn of(texts: &Texts, mut frames: impl FnMut(Text<'_>) -> Vec<u32>) -> Self {
        let frames = (0..texts.words()).map(|code| frames(texts.word(code))).collect();
        Self { codes: texts.codes().to_vec(), frames }
    }

    /// Of numbers.
    fn each(numbers: Vec<impl std::fmt::Display>, key: &str, tree: &mut Tree) -> Self {
        let codes = (0..).take(numbers.len()).collect();
        let frame = |number| vec![tree.frame(format!("{key} {number}").as_bytes(), Origin::Label)];
        Self { codes, frames: numbers.into_iter().map(frame).collect() }
    }
}

impl Key {
    fn read(&self, table: &Table, first: u32, count: u32, tree: &mut Tree) -> Result<Part> {
        if self.kind == "u64" {
            return Ok(Part::each(table.page::<u64>(&self.name, first, count)?, &self.name, tree));
        }
        if self.kind == "s64" {
            return Ok(Part::each(table.page::<i64>(&self.name, first, count)?, &self.name, tree));
        }
        let texts = table.page::<Text>(&self.name, first, count)?;
        Ok(Part::of(&texts, |text| match self.stack {
            // What could not be taken is empty, and so is the kernel's where only the process ran.
            Some(_) if text.is_empty() => Vec::new(),
            Some(origin) => {
                let frames = text.as_bytes().split(|byte| *byte == b';');
                frames.map(|frame| tree.frame(frame, origin)).collect()
            }
            None if text.is_empty() => {
                vec![tree.frame(format!("(no {})", self.name).as_bytes(), Origin::Label)]
            }
            None => vec![tree.frame(text.as_bytes(), Origin::Label)],
        }))
    }
}

/// What the picture does not show.
fn missing(table: &Table) -> Result<Vec<(&'static str, String)>> {
    let coverage = table.coverage()?;
    let mut missing = Vec::new();
    if coverage.overflow > 0 {
        let what = format!("{} of {} events found no row of their own", coverage.overflow, coverage.events);
        missing.push(("overflow", what));
    }
    match coverage.missed {
        Some(0) => {}
        Some(missed) => missing.push(("missed", format!("{missed} events were skipped by the kernel"))),
        None => missing.push(("missed", "this kernel does not tell what it skips".to_owned())),
    }
    match interval::skipped() {
        0 => {}
        skipped => missing.push(("skipped", format!("{skipped} intervals before this one"))),
    }
    Ok(missing)
}

#[cfg(test)]
mod tests;
