//! One table in the kernel: its maps, and how its bank is taken.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Instant;

use arrow::array::RecordBatch;
use aya_obj::generated::bpf_map_type::{BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_ARRAY};
use weir_abi::{Counters, DIRECT_ROWS, STACK_WORDS, STACKS_AT_ONCE};

use super::Timing;
use super::attach::permission;
use super::bpf::{self, MapShape};
use super::counted::{self, Counted};
use super::dictionary::Dictionary;
use super::load::{Programs, Types};
use super::mapped::{Mapped, MappedControl};
use super::merge;
use super::object;
use super::plan::{self, Law, Layout};
use super::rows::{Drained, Rows};
use crate::error::{Error, Kind, Result};
use crate::snapshot::{Coverage, Interval, Snapshot, Spans, schema};
use crate::table::{KeyKind, TableSpec};

/// Spans of one table that can be between their start and their end; the start of any other is counted as dropped.
const STARTS: u32 = 32_768;

/// BPF_F_MMAPABLE.
const MAPPABLE: u32 = 1 << 10;

/// A table, loaded, and attached once it is told to.
pub(super) struct Table {
    spec: Arc<TableSpec>,
    layout: Layout,
    programs: Programs,
    counted: Counted,
    rows: Rows,
    control: MappedControl,
    keys: Mapped,
    stacks: Mapped,
    cells: Mapped,
    bucket_keys: Mapped,
    bucket_cells: Mapped,
    dictionary: Dictionary,
    buckets: Dictionary,
    generation: u32,
    bank: usize,
    /// It was over its budget, or could not go on, and is detached.
    retired: bool,
    trouble: Option<Error>,
    /// Programs that are loaded name the maps; those of a dictionary are replaced by their descriptors.
    _maps: Vec<OwnedFd>,
}

/// What [`Table::flip`] has ended and [`Table::drain`] is to read.
#[derive(Clone, Copy)]
pub(super) struct Closed {
    bank: usize,
    generation: u32,
}

impl Table {
    /// Makes the maps and loads the programs. Nothing is attached yet.
    pub(super) fn load(spec: Arc<TableSpec>, cpus: u32, hold: u32, types: &mut Types) -> Result<Self> {
        let (plan, layout) = plan::plan(&spec, cpus, hold)?;
        let mut maps = Maps::default();
        let (capacity, buckets, shards) = (layout.capacity(), layout.bucket_capacity(), layout.shards());
        let control =
            maps.array(object::CONTROL, 1, object::section_bytes(object::CONTROL)? / 8, MAPPABLE)?;
        let control = MappedControl::new(control)?;
        let keys = maps.mapped("KEYS", 2 * capacity, layout.key_words.max(1))?;
        let stacks = if layout.stacks == 0 { 1 } else { 2 * capacity };
        let stacks = maps.mapped("STACKS", stacks, layout.stack_words().max(1))?;
        let cells = maps.mapped("CELLS", 2 * shards * capacity, layout.cell_words())?;
        let bucket_keys = maps.mapped("BUCKET_KEYS", 2 * buckets, 1)?;
        let bucket_cells = maps.mapped("BUCKET_CELLS", 2 * shards * buckets, 1)?;
        maps.add("SPARES", BPF_MAP_TYPE_PERCPU_ARRAY as u32, 4, 8, 2)?;
        let room = if layout.stacks == 0 { 8 } else { (1 + 2 * STACK_WORDS as u32) * 8 };
        maps.add("ROOM", BPF_MAP_TYPE_PERCPU_ARRAY as u32, 4, room, STACKS_AT_ONCE)?;
        let starts = if spec.is_span() { STARTS + cpus } else { 1 };
        maps.add("STARTS", BPF_MAP_TYPE_HASH as u32, 8, (1 + spec.saved) * 8, starts)?;
        // A few more than there are ids: the kernel keeps some elements aside for each CPU.
        let spare = 2 * cpus;
        let rows = if layout.key_words == 0 { 1 } else { capacity as u32 + spare };
        let dictionary =
            Dictionary::new("weir_rows", layout.key_words.max(1) as u32 * 8, rows).map_err(no_map)?;
        let bucket_ids = if buckets == 1 { 1 } else { buckets as u32 + spare };
        let buckets = Dictionary::new("weir_buckets", 8, bucket_ids).map_err(no_map)?;
        let mut named = maps.named();
        named.extend(object::descriptors(
            [("ROWS", dictionary.as_fd()), ("BUCKETS", buckets.as_fd())].into_iter(),
        ));
        let programs = Programs::load(&spec, &plan, &layout, &named, types)
            .map_err(|error| error.context(format_args!("table {}", spec.name)))?;
        let table = Self {
            rows: Rows::new(spec.clone(), &layout),
            spec,
            layout,
            programs,
            counted: Counted::default(),
            control,
            keys,
            stacks,
            cells,
            bucket_keys,
            bucket_cells,
            dictionary,
            buckets,
            // Generation 0 is that of a spare id which was never parked.
            generation: 1,
            bank: 0,
            retired: false,
            trouble: None,
            _maps: maps.0.into_iter().map(|(_, map)| map).collect(),
        };
        table.start_ids(0);
        table.start_ids(1);
        for pid in &table.control.get().selves {
            pid.store(u64::MAX, Relaxed);
        }
        table.control.get().word.store(2, Release);
        Ok(table)
    }

    pub(super) fn attach(&mut self) -> Result<()> {
        self.programs.attach().map_err(|error| error.context(format_args!("table {}", self.spec.name)))
    }

    pub(super) fn detach(&mut self) {
        // Ends are detached before starts, which find their predecessors still there from then on: that is no more
        // than the order of detaching, and nothing that was lost.
        let counters = &self.control.get().counters[self.bank];
        let counters = [&counters.starts_replaced, &counters.starts_dropped];
        let before = counters.map(|counter| counter.load(Relaxed));
        self.programs.detach();
        counters.into_iter().zip(before).for_each(|(counter, before)| counter.store(before, Relaxed));
    }

    /// Detaches it for good: it costs too much, or cannot go on.
    /// False if it is already.
    pub(super) fn retire(&mut self) -> bool {
        self.programs.detach();
        !std::mem::replace(&mut self.retired, true)
    }

    /// Attaches on CPUs that came online.
    pub(super) fn keep_up(&mut self) -> Result<()> {
        if self.retired { Ok(()) } else { self.programs.keep_up() }
    }

    /// Why it cannot go on after this interval, if it cannot.
    pub(super) fn trouble(&mut self) -> Option<Error> {
        self.trouble.take()
    }

    /// An interval of which nothing is known, for a table that failed in it.
    pub(super) fn nothing(&self, interval: Interval) -> Snapshot {
        let rows = RecordBatch::new_empty(schema(&self.spec));
        let coverage = Coverage { detached: true, ..Coverage::default() };
        Snapshot { table: self.spec.name.as_str().into(), interval, coverage, rows }
    }

    /// Why names are missing in its rows, if something could be done about it.
    pub(super) fn problem(&self) -> Option<&str> {
        self.rows.problem()
    }

    /// Why the table is to be detached, if it cost the kernel more than it may.
    pub(super) fn over_budget(&self, snapshot: &Snapshot) -> Option<String> {
        let (budget, cost) = (self.spec.budget?, snapshot.coverage.kernel?);
        let length = snapshot.interval.length.as_nanos().max(1);
        // In a scope, most runs are for others' events, at which a program ends at once. How many these are is nothing
        // that the tenant could help, or others should be able to use against it. Of the rest those are counted that its
        // filter accepts: what others cost it is its own tasks' time.
        let runs = cost.runs.max(1);
        let own = if self.spec.scoped { snapshot.coverage.events.min(runs) } else { runs };
        let nanoseconds = (u128::from(cost.nanoseconds) * u128::from(own)).div_ceil(u128::from(runs));
        let share = nanoseconds * 1_000_000 / length;
        let percent = |millionths: u128| millionths as f64 / 10_000.0;
        (!self.retired && share > budget.into()).then(|| {
            format!(
                "its programs took {:.2}% of a CPU, {own} of {runs} runs of {} ns each, and its budget is {}%",
                percent(share),
                cost.nanoseconds / runs,
                percent(budget.into()),
            )
        })
    }

    pub(super) fn leave_out(&self, pids: &[u32]) {
        let pids = pids.iter().copied().map(u64::from).chain(std::iter::repeat(u64::MAX));
        for (slot, pid) in self.control.get().selves.iter().zip(pids) {
            slot.store(pid, Relaxed);
        }
    }

    /// How often its dictionaries were replaced by empty ones.
    pub(super) fn renewals(&self) -> u64 {
        u64::from(self.generation) - 1
    }

    /// How many programs were held; see [`weir_abi::Plan::hold`].
    pub(super) fn held(&self) -> u64 {
        self.control.get().held.load(Relaxed)
    }

    /// Ends the interval: programs that start from now on use the other bank, and a fresh dictionary if the
    /// old one may not have room for another interval's keys. What programs that run now still write is
    /// complete after a wait.
    pub(super) fn flip(&mut self) -> Closed {
        let closed = Closed { bank: self.bank, generation: self.generation };
        self.bank ^= 1;
        if self.used_up() {
            self.generation += 1;
        }
        let word = u64::from(self.generation) << 1 | self.bank as u64;
        self.control.get().word.store(word, Release);
        closed
    }

    /// Whether more ids are in use than leaves room for as many keys as were asked for.
    fn used_up(&self) -> bool {
        let rows =
            self.layout.key_words != 0 && self.next_row(self.generation) > u64::from(self.layout.keys) + 1;
        let buckets = self.layout.histograms != 0
            && !self.layout.buckets_in_cells()
            && self.next_bucket(self.generation) > self.layout.bucket_capacity() as u64 / 2;
        rows || buckets
    }

    fn next_row(&self, generation: u32) -> u64 {
        self.control.get().next_row[generation as usize & 1].load(Relaxed)
    }

    fn next_bucket(&self, generation: u32) -> u64 {
        self.control.get().next_bucket[generation as usize & 1].load(Relaxed)
    }

    fn start_ids(&self, slot: usize) {
        let control = self.control.get();
        control.next_row[slot].store(1, Relaxed);
        control.next_bucket[slot].store(self.layout.first_bucket().into(), Relaxed);
    }

    /// Waits until every program that has started by now has ended. The dictionary stays as it is.
    pub(super) fn wait(&mut self) -> Result<()> {
        Ok(self.dictionary.put(0)?)
    }

    /// Whether names in it may have to be waited for.
    pub(super) fn waits_for_names(&self) -> bool {
        self.spec.keys.iter().any(|key| matches!(key.kind, KeyKind::UserStack))
    }

    /// Reads and zeroes a closed bank, after the wait. Names that cannot be found out until then are missing.
    pub(super) fn drain(
        &mut self,
        closed: Closed,
        interval: Interval,
        cpus: u32,
        until: Instant,
        timing: &mut Timing,
    ) -> Result<Snapshot> {
        let start = Instant::now();
        let layout = &self.layout;
        let slot = closed.generation as usize & 1;
        let (capacity, bucket_capacity) = (layout.capacity(), layout.bucket_capacity());
        let used = if layout.key_words == 0 {
            DIRECT_ROWS as usize
        } else {
            (self.next_row(closed.generation) as usize).min(capacity)
        };
        let cells = bank(self.cells.words(), closed.bank);
        let cells = merge::drain(cells, layout.shards(), layout.capacity_shift, used, &layout.laws);
        let buckets = if layout.histograms == 0 || layout.buckets_in_cells() {
            Vec::new()
        } else {
            let used = (self.next_bucket(closed.generation) as usize).min(bucket_capacity);
            let cells = bank(self.bucket_cells.words(), closed.bank);
            merge::drain(cells, layout.shards(), layout.bucket_shift, used, &[Law::Add])
        };
        let merged = Instant::now();
        let events = cells.chunks_exact(layout.cell_words()).map(|cell| cell[0]).sum();
        let overflow = cells.first().copied().unwrap_or_default();
        let drained = Drained {
            cells,
            buckets,
            keys: &self.keys.words()[slot * capacity * layout.key_words..],
            stacks: &self.stacks.words()[slot * capacity * layout.stack_words()..],
            bucket_keys: &self.bucket_keys.words()[slot * bucket_capacity..],
        };
        let rows = self.rows.batch(interval.number, layout, drained, until)?;
        timing.merge += merged - start;
        timing.rows += merged.elapsed();
        let counters = take(&self.control.get().counters[closed.bank], self.spec.is_span());
        let counted = self.counted.take(&self.programs)?;
        let missed_reliable = self.programs.each().all(|(_, attach)| counted::reliable(attach));
        if closed.generation != self.generation && !self.retired {
            // What was counted so far is right nevertheless.
            self.trouble = self.renew(slot).err();
        }
        let coverage = Coverage {
            events,
            overflow,
            missed: counted.missed,
            missed_reliable,
            kernel: counted.cost,
            detached: self.retired,
            cpus,
            ..counters
        };
        Ok(Snapshot { table: self.spec.name.as_str().into(), interval, coverage, rows })
    }

    /// Empties the dictionaries of a generation that is over, for the next but one.
    fn renew(&mut self, slot: usize) -> Result<()> {
        // First, for the next interval has another dictionary's ids whether or not the rest can be done.
        self.rows.forget(&self.layout);
        if self.layout.histograms > 0 {
            self.buckets.renew(slot)?;
        }
        self.dictionary.renew(slot)?;
        self.start_ids(slot);
        Ok(())
    }
}

/// Has the kernel time programs, for as long as the descriptor is open.
pub(super) fn enable_statistics() -> Result<OwnedFd> {
    bpf::enable_statistics().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => permission("timing programs for a budget"),
        _ => Error::new(Kind::Unavailable, format!("the kernel does not time programs: {error}"))
            .help("leave `budget` out"),
    })
}

fn bank<T>(words: &[T], bank: usize) -> &[T] {
    &words[bank * (words.len() / 2)..][..words.len() / 2]
}

/// Reads and zeroes the counters of a closed bank.
fn take(counters: &Counters, spans: bool) -> Coverage {
    let take = |counter: &std::sync::atomic::AtomicU64| counter.swap(0, Relaxed);
    Coverage {
        inexact: take(&counters.inexact),
        spans: spans.then(|| Spans {
            starts_dropped: take(&counters.starts_dropped),
            starts_replaced: take(&counters.starts_replaced),
            starts_abandoned: take(&counters.starts_abandoned),
            ends_unmatched: take(&counters.ends_unmatched),
        }),
        ..Coverage::default()
    }
}

/// The maps of a table, by the names that programs have for them.
#[derive(Default)]
struct Maps(Vec<(&'static str, OwnedFd)>);

impl Maps {
    fn create(&mut self, name: &'static str, shape: MapShape) -> Result<&OwnedFd> {
        let map = bpf::create_map(name, shape, None).map_err(no_map)?;
        self.0.push((name, map));
        self.0.last().map(|(_, map)| map).ok_or_else(|| Error::new(Kind::Software, "a map is gone"))
    }

    fn add(
        &mut self,
        name: &'static str,
        kind: u32,
        key_size: u32,
        value_size: u32,
        entries: u32,
    ) -> Result<()> {
        self.create(name, MapShape { kind, key_size, value_size, entries, flags: 0 }).map(drop)
    }

    /// An array of values of so many words.
    fn array(&mut self, name: &'static str, entries: usize, words: usize, flags: u32) -> Result<&OwnedFd> {
        let too_large = |_| Error::new(Kind::Config, "a table is too large").help("give it fewer `keys`");
        let entries = u32::try_from(entries).map_err(too_large)?;
        let kind = BPF_MAP_TYPE_ARRAY as u32;
        self.create(name, MapShape { kind, key_size: 4, value_size: words as u32 * 8, entries, flags })
    }

    fn mapped(&mut self, name: &'static str, entries: usize, words: usize) -> Result<Mapped> {
        let map = self.array(name, entries, words, MAPPABLE)?;
        Mapped::new(map, entries * words).map_err(|error| Error::from(error).context(name))
    }

    fn named(&self) -> HashMap<&'static str, RawFd> {
        object::descriptors(self.0.iter().map(|(name, map)| (*name, map.as_fd())))
    }
}

fn no_map(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => permission("creating a map"),
        io::ErrorKind::OutOfMemory | io::ErrorKind::ArgumentListTooLong => {
            Error::new(Kind::Unavailable, "the kernel has no memory for a table").help("give it fewer `keys`")
        }
        _ => Error::new(Kind::Unavailable, format!("the kernel makes no map: {error}")),
    }
}
