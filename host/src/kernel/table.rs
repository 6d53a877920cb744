//! One table in the kernel: its maps, and how its bank is taken.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Instant;

use aya::Btf;
use aya::maps::{ArrayOfMaps, MapData};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_HASH;
use weir_abi::{Counters, DIRECT_ROWS};

use super::Timing;
use super::load::{self, Link, Loaded, permission};
use super::mapped::{Mapped, MappedControl};
use super::merge;
use super::missed::Missed;
use super::plan::{self, Law, Layout};
use super::rows::{Drained, Rows};
use crate::error::{Error, Kind, Result};
use crate::snapshot::{Coverage, Interval, Snapshot, Spans};
use crate::table::TableSpec;

/// A dictionary: two maps, of which the one at `generation & 1` is in use.
struct Dictionary {
    pair: ArrayOfMaps<MapData, MapData>,
    maps: [MapData; 2],
    key_size: u32,
    entries: u32,
}

impl Dictionary {
    fn new(pair: MapData, key_size: u32, entries: u32) -> Result<Self> {
        let pair = ArrayOfMaps::try_from(aya::maps::Map::ArrayOfMaps(pair)).map_err(map_error)?;
        let maps = [ids(key_size, entries)?, ids(key_size, entries)?];
        let mut dictionary = Self { pair, maps, key_size, entries };
        dictionary.put(0)?;
        dictionary.put(1)?;
        Ok(dictionary)
    }

    /// Puts an empty map in the place of the one at `slot`.
    fn renew(&mut self, slot: usize) -> Result<()> {
        self.maps[slot] = ids(self.key_size, self.entries)?;
        self.put(slot)
    }

    /// Puts the map at `slot` where programs find it, and waits until every program that has started by now
    /// has ended.
    ///
    /// The kernel waits for a grace period of RCU before a change to a map of maps returns
    /// (`maybe_wait_bpf_programs`, commit 1ae80cf31938). That covers all programs that are not sleepable, and
    /// none of Weir's are.
    fn put(&mut self, slot: usize) -> Result<()> {
        self.pair.set(slot as u32, &self.maps[slot], 0).map_err(map_error)
    }
}

fn ids(key_size: u32, entries: u32) -> Result<MapData> {
    let map = aya_obj::Map::new_from_params(BPF_MAP_TYPE_HASH as u32, key_size, 4, entries, 0);
    MapData::create(map, "weir_ids", None).map_err(map_error)
}

/// A table, attached.
pub(super) struct Table {
    spec: Arc<TableSpec>,
    layout: Layout,
    loaded: Loaded,
    links: Vec<Link>,
    missed: Option<Missed>,
    rows: Rows,
    control: MappedControl,
    keys: Mapped,
    cells: Mapped,
    bucket_keys: Mapped,
    bucket_cells: Mapped,
    dictionary: Dictionary,
    buckets: Dictionary,
    generation: u32,
    bank: usize,
}

/// What [`Table::flip`] has ended and [`Table::drain`] is to read.
#[derive(Clone, Copy)]
pub(super) struct Closed {
    bank: usize,
    generation: u32,
}

impl Table {
    /// Loads the programs and prepares the maps. Nothing is attached yet.
    pub(super) fn load(spec: Arc<TableSpec>, cpus: u32, hold: u32, btf: Option<&Btf>) -> Result<Self> {
        let (plan, layout) = plan::plan(&spec, cpus, hold)?;
        let mut loaded = load::load(&spec, plan, &layout, cpus, btf)?;
        let (capacity, buckets, shards) = (layout.capacity(), layout.bucket_capacity(), layout.shards());
        let mut map = |name: &str, words: usize| -> Result<Mapped> {
            Mapped::new(loaded.map(name)?, words).map_err(|error| Error::from(error).context(name))
        };
        let keys = map("KEYS", 2 * capacity * layout.key_words.max(1))?;
        let cells = map("CELLS", 2 * shards * capacity * layout.cell_words())?;
        let bucket_keys = map("BUCKET_KEYS", 2 * buckets)?;
        let bucket_cells = map("BUCKET_CELLS", 2 * shards * buckets)?;
        let control = MappedControl::new(loaded.map("CONTROL")?)?;
        // A few more than there are ids: the kernel keeps some elements aside for each CPU.
        let spare = 2 * cpus;
        let dictionary = Dictionary::new(
            loaded.map("ROWS")?,
            layout.key_words.max(1) as u32 * 8,
            if layout.key_words == 0 { 1 } else { capacity as u32 + spare },
        )?;
        let bucket_ids =
            if layout.histograms == 0 || layout.key_words == 0 { 1 } else { buckets as u32 + spare };
        let buckets = Dictionary::new(loaded.map("BUCKETS")?, 8, bucket_ids)?;
        let table = Self {
            rows: Rows::new(spec.clone(), &layout),
            spec,
            layout,
            loaded,
            links: Vec::new(),
            missed: None,
            control,
            keys,
            cells,
            bucket_keys,
            bucket_cells,
            dictionary,
            buckets,
            // Generation 0 is that of a spare id which was never parked.
            generation: 1,
            bank: 0,
        };
        table.start_ids(0);
        table.start_ids(1);
        for pid in &table.control.get().selves {
            pid.store(u64::MAX, Relaxed);
        }
        table.control.get().word.store(2, Release);
        Ok(table)
    }

    pub(super) fn attach(&mut self, btf: Option<&Btf>) -> Result<()> {
        let (links, program) = self.loaded.attach(&self.spec, btf)?;
        self.links = links;
        self.missed = Some(Missed::new(program, &self.spec.attach));
        Ok(())
    }

    pub(super) fn detach(&mut self) {
        // The end of a span before its start: the other way round, ends in between would find no start.
        while self.links.pop().is_some() {}
    }

    pub(super) fn leave_out(&self, pids: &[u32]) {
        let pids = pids.iter().copied().map(u64::from).chain(std::iter::repeat(u64::MAX));
        for (slot, pid) in self.control.get().selves.iter().zip(pids) {
            slot.store(pid, Relaxed);
        }
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
            && self.layout.key_words != 0
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
        control.next_bucket[slot].store(self.layout.direct_buckets().into(), Relaxed);
    }

    /// Waits until every program that has started by now has ended. The dictionary stays as it is.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.dictionary.put(0)
    }

    /// Reads and zeroes a closed bank, after the wait.
    pub(super) fn drain(
        &mut self,
        closed: Closed,
        interval: Interval,
        cpus: u32,
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
        let buckets = if layout.histograms == 0 {
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
            bucket_keys: &self.bucket_keys.words()[slot * bucket_capacity..],
        };
        let rows = self.rows.batch(interval.number, layout, &drained)?;
        timing.merge += merged - start;
        timing.rows += merged.elapsed();
        let counters = take(&self.control.get().counters[closed.bank], self.spec.from.is_some());
        let (missed, missed_reliable) = match &mut self.missed {
            Some(missed) => (missed.take()?, missed.reliable),
            None => (0, true),
        };
        if closed.generation != self.generation {
            self.renew(slot)?;
        }
        let coverage = Coverage { events, overflow, missed, missed_reliable, cpus, ..counters };
        Ok(Snapshot { table: self.spec.name.as_str().into(), interval, coverage, rows })
    }

    /// Empties the dictionaries of a generation that is over, for the next but one.
    fn renew(&mut self, slot: usize) -> Result<()> {
        if self.layout.histograms > 0 {
            self.buckets.renew(slot)?;
        }
        self.dictionary.renew(slot)?;
        self.start_ids(slot);
        self.rows.forget(&self.layout);
        Ok(())
    }
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

fn map_error(error: aya::maps::MapError) -> Error {
    let text = error.to_string();
    match std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>()) {
        Some(cause) if cause.kind() == std::io::ErrorKind::PermissionDenied => permission("creating a map"),
        Some(cause) => Error::new(Kind::Unavailable, format!("{text}: {cause}")),
        None => Error::new(Kind::Software, text),
    }
}
