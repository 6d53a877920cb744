//! Every recipe of docs/recipes on the running kernel: it attaches, and counts what is made to happen here.
#![allow(clippy::panic, reason = "a test fails by panicking, and so does what it is made of")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use weir::config::Config;
use weir::error::{Error, Kind};
use weir::kernel::Tables;
use weir::probe::Kernel;
use weir::snapshot::Snapshot;
use weir::table::{MeasureKind, TableSpec};
use weir_tests::happen::everything;
use weir_tests::look::{field, numbers};
use weir_tests::{emulated, not_run};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes");

/// Recipes that are attached at once: each of them makes every event dearer for the others.
const BATCH: usize = 12;

/// Rows of a table in a virtual machine, which has many CPUs and little memory.
const ROWS_IN_MACHINES: u32 = 1000;

/// Recipes that are run for this process alone: naming the stacks of everybody's programs can take minutes, and is
/// not what is tested.
const OWN: [&str; 2] = ["page-fault-stacks", "profile-user"];

/// Recipes that may have no rows, for what they count is not made to happen here, and why.
const QUIET: [(&str, &str); 27] = [
    ("bashreadline", "nobody types"),
    ("block-errors", "disks would have to fail"),
    ("block-flushes", "not every disk keeps what it is to flush"),
    ("ext4-sync", "the file system may be another one"),
    ("fileslower", "files are fast"),
    ("hardirqs", "which devices interrupt is the machine's"),
    ("idle", "processors may be busy all the time"),
    ("lock-contention", "who is in whose way is chance"),
    ("major-faults", "what is needed is in memory already"),
    ("modules", "none is loaded"),
    ("oomkill", "memory would have to run out"),
    ("reclaim-latency", "memory would have to run short"),
    ("runqslower", "processors may be free"),
    ("sslsnoop", "nobody uses OpenSSL"),
    ("swapin", "nothing is in swap"),
    ("task-nice", "samples are chance"),
    ("tcpresets", "before Linux 6.9 a refused connection was none"),
    ("tcpretrans", "no packet is lost"),
    ("tlb-flushes", "whether a flush is traced depends on the processor"),
    ("workqueue-latency", "the kernel queues work when it likes"),
    ("workqueue-time", "the kernel queues work when it likes"),
    ("writeback", "the kernel writes when it likes"),
    // What the virtual machines have no disk for.
    ("dirtied", "needs a disk"),
    ("page-cache", "needs a disk"),
    // What is done in virtual machines only.
    ("cgroup-attach", "is nothing to do to a machine in use"),
    ("mountsnoop", "is nothing to do to a machine in use"),
    ("cpu-migrations", "needs two processors"),
];

/// What else no virtual machine has: a disk.
const DISK: [&str; 6] =
    ["biolatency", "biolatency-by-disk", "biolatency-queued", "biosnoop", "biostacks", "bitesize"];

/// What recipes can need that the virtual machines' kernels have, so that none of these recipes is left out in all.
const IN_MACHINES: [&str; 4] = ["kprobes", "fentry", "control groups of version 2", "a kernel with modules"];

struct Recipe {
    name: String,
    path: PathBuf,
    text: String,
    needs: Option<String>,
}

/// All of them, by name.
fn recipes() -> Vec<Recipe> {
    let entries = fs::read_dir(FOLDER).expect("the recipes are there");
    let paths = entries.map(|entry| entry.expect("they can be listed").path());
    let mut recipes: Vec<Recipe> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a recipe is text");
            let needs = text.lines().find_map(|line| line.strip_prefix("# Needs: ")).map(str::to_owned);
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            Recipe { name, path, text, needs }
        })
        .collect();
    recipes.sort_by(|a, b| a.name.cmp(&b.name));
    recipes
}

impl Recipe {
    fn attach(&self, kernel: &Kernel) -> Result<Attached<'_>, Error> {
        let text = match OWN.contains(&self.name.as_str()) {
            true => self.text.replace("\nby ", &format!("\npid = {}\nby ", std::process::id())),
            false => self.text.clone(),
        };
        let mut specs = Config::parse(&text, &self.path, kernel)?.tables;
        if emulated() {
            specs.iter_mut().map(Arc::make_mut).for_each(|spec| spec.rows = spec.rows.min(ROWS_IN_MACHINES));
        }
        weir_tests::command::start_hidden();
        let tables = Tables::attach(&specs, &[])?;
        Ok(Attached { recipe: self, specs, tables, rows: 0, read: BTreeSet::new() })
    }

    /// Whether this kernel has what the recipe needs; nothing if that shows only when it is tried.
    fn can_run(&self) -> Option<bool> {
        let Some(needs) = &self.needs else { return Some(true) };
        if emulated() && IN_MACHINES.iter().any(|needed| needs.starts_with(needed)) {
            return Some(true);
        }
        let tracepoint = needs.split_once("(tracepoint:").and_then(|(_, name)| name.strip_suffix(')'));
        if let Some((category, name)) = tracepoint.and_then(|name| name.split_once(':')) {
            return Some(Path::new("/sys/kernel/tracing/events").join(category).join(name).is_dir());
        }
        if let Some(version) = needs.strip_prefix("Linux ") {
            return Some(release() >= numbers_of(version));
        }
        match needs.as_str() {
            "kprobes" => Some(Path::new("/sys/bus/event_source/devices/kprobe").is_dir()),
            "control groups of version 2" => Some(Path::new("/sys/fs/cgroup/cgroup.controllers").is_file()),
            "fentry" | "libssl" | "bash with readline in itself" => None,
            other => panic!("{}: nobody knows when there is {other}", self.name),
        }
    }

    /// Whether what happens here is sure to make rows.
    fn is_sure(&self) -> bool {
        let quiet = QUIET.iter().any(|(name, _)| *name == self.name);
        let without_disk = emulated() && DISK.contains(&self.name.as_str());
        !(quiet || without_disk)
    }
}

/// The major and minor number that begin a text.
fn numbers_of(version: &str) -> (u32, u32) {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    (parts.next().expect("a major number"), parts.next().expect("a minor number"))
}

fn release() -> (u32, u32) {
    numbers_of(&fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel has a version"))
}

struct Attached<'a> {
    recipe: &'a Recipe,
    specs: Vec<Arc<TableSpec>>,
    tables: Tables,
    rows: usize,
    /// Columns in which there was something.
    read: BTreeSet<String>,
}

impl Attached<'_> {
    fn close(&mut self) {
        let snapshots = self.tables.close().unwrap_or_else(|error| panic!("{}: {error}", self.recipe.name));
        for (spec, snapshot) in self.specs.iter().zip(&snapshots) {
            self.rows += snapshot.rows.num_rows();
            check(&self.recipe.name, spec, snapshot);
            self.read.extend(
                columns(spec)
                    .filter(|(name, kind)| has_value(&snapshot.rows, name, *kind))
                    .map(|(name, _)| name.to_owned()),
            );
        }
    }

    /// What is wrong with what was counted, if what happens here is sure to make rows.
    fn lacks(&self) -> Option<String> {
        let name = &self.recipe.name;
        if self.rows == 0 {
            return Some(format!("{name} has no rows"));
        }
        let specs = self.specs.iter().filter(|spec| spec.name != "setresuid");
        let mut columns = specs.flat_map(|spec| columns(spec));
        let never = columns.find(|(column, _)| !self.read.contains(*column));
        never.map(|(column, _)| format!("{name}: {column} could never be read"))
    }
}

/// The columns that have something in them wherever something can be read: not those with a condition.
fn columns(spec: &TableSpec) -> impl Iterator<Item = (&str, Option<MeasureKind>)> {
    let measures = spec.probes.iter().flat_map(|probe| spec.measures.iter().zip(&probe.measures));
    let measures = measures.filter(|(_, value)| value.condition.is_none());
    let keys = spec.keys.iter().map(|key| (key.name.as_str(), None));
    keys.chain(measures.map(|(column, _)| (column.name.as_str(), Some(column.kind))))
}

fn has_value(rows: &RecordBatch, column: &str, measure: Option<MeasureKind>) -> bool {
    match measure {
        None | Some(MeasureKind::Min | MeasureKind::Max) => {
            rows.column_by_name(column).is_some_and(|values| values.null_count() < values.len())
        }
        Some(MeasureKind::Count | MeasureKind::Sum) => {
            numbers(rows, column).into_iter().any(|number| number != 0)
        }
        Some(_) => field(rows, column, "count").into_iter().any(|count| count != 0),
    }
}

/// Every event is in a row, and whatever counts all of them counts as many.
fn check(recipe: &str, spec: &TableSpec, snapshot: &Snapshot) {
    let (coverage, rows) = (snapshot.coverage, &snapshot.rows);
    assert!(coverage.overflow <= coverage.events, "{recipe}: {coverage:?}");
    assert_eq!(coverage.events > 0, rows.num_rows() > 0, "{recipe}: {coverage:?}");
    assert_eq!(coverage.spans.is_some(), spec.is_span(), "{recipe}: {coverage:?}");
    for measure in spec.measures.iter().filter(|measure| !measure.conditional) {
        let counts = match measure.kind {
            MeasureKind::Count => numbers(rows, &measure.name),
            MeasureKind::Sum | MeasureKind::Min | MeasureKind::Max => continue,
            _ => field(rows, &measure.name, "count"),
        };
        let counted: i128 = counts.iter().sum();
        assert_eq!(counted, coverage.events.into(), "{recipe}, {}: {coverage:?}", measure.name);
    }
}

#[test]
fn every_recipe_runs_where_it_can() {
    weir_tests::command::start_hidden();
    let (recipes, kernel) = (recipes(), Kernel::running());
    assert!(recipes.len() >= 60, "{} recipes", recipes.len());
    let mut wrong = Vec::new();
    for batch in recipes.chunks(BATCH) {
        let mut attached = Vec::new();
        for recipe in batch {
            match (recipe.attach(&kernel), recipe.can_run()) {
                (Ok(tables), Some(true) | None) => attached.push(tables),
                (Ok(_), Some(false)) => wrong.push(format!("{} says that it cannot run", recipe.name)),
                (Err(error), Some(true)) => wrong.push(format!("{}: {error}", recipe.name)),
                (Err(error), _) => match error.kind {
                    Kind::Unavailable | Kind::NoInput | Kind::Config => {
                        not_run(&format!("recipe {}", recipe.name), &error.message);
                    }
                    _ => wrong.push(format!("{}: {error}", recipe.name)),
                },
            }
        }
        for _ in 0..2 {
            everything();
            attached.iter_mut().for_each(Attached::close);
        }
        let sure = attached.iter().filter(|attached| attached.recipe.is_sure());
        wrong.extend(sure.filter_map(Attached::lacks));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The index has each recipe, in its own words.
#[test]
fn the_index_is_complete() {
    let index = fs::read_to_string(Path::new(FOLDER).join("README.md")).expect("it is there");
    let rows = index.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| [")?.split_once(']')?;
        Some((name.to_owned(), rest.to_owned()))
    });
    let mut rows: BTreeMap<String, String> = rows.collect();
    for Recipe { name, text, needs, .. } in recipes() {
        let question = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a question");
        let expected = format!("({name}.toml) | {question} | {} |", needs.unwrap_or_default());
        assert_eq!(rows.remove(&name), Some(expected));
    }
    assert!(rows.is_empty(), "{rows:?} are no recipes");
    for (name, _) in QUIET {
        assert!(Path::new(FOLDER).join(name).with_extension("toml").is_file(), "{name} is no recipe");
    }
}
