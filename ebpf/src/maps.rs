//! The maps. The host makes them, for their sizes depend on the table; what stands here gives them names.

use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

use aya_ebpf::helpers::generated::{bpf_map_delete_elem, bpf_map_lookup_elem, bpf_map_update_elem};
use weir_abi::{Control, Counters};

use crate::atomic;
use crate::plan::plan;

/// BPF_NOEXIST: insert only.
const NOEXIST: u64 = 1;
const EEXIST: i32 = -17;

/// A map's definition, which lives in the object's type information only: each number is an array's length.
#[repr(C)]
struct Map {
    r#type: *const [i32; 1],
    key_size: *const [i32; 1],
    value_size: *const [i32; 1],
    max_entries: *const [i32; 1],
}

// SAFETY: no program reads the definition; its address stands for the map.
unsafe impl Sync for Map {}

impl Map {
    const fn new() -> Self {
        use core::ptr::null;
        Self { r#type: null(), key_size: null(), value_size: null(), max_entries: null() }
    }

    #[inline(always)]
    fn any(&self) -> AnyMap {
        AnyMap((&raw const *self).cast_mut().cast())
    }

    /// Of two maps, the one of a generation.
    #[inline(always)]
    fn of(&self, generation: u32) -> Option<AnyMap> {
        self.any().get::<c_void, u32>(&(generation & 1)).map(|inner| AnyMap(inner.as_ptr()))
    }
}

/// A map, as helpers take it.
#[derive(Clone, Copy)]
pub struct AnyMap(*mut c_void);

impl AnyMap {
    #[inline(always)]
    pub fn get<V, K>(self, key: *const K) -> Option<NonNull<V>> {
        // SAFETY: the verifier checks that the map is one and that the key is initialised to its size.
        NonNull::new(unsafe { bpf_map_lookup_elem(self.0, key.cast_mut().cast()) }.cast())
    }

    #[inline(always)]
    pub fn put<K, V>(self, key: *const K, value: *const V) -> bool {
        // SAFETY: as in `get`, and the same for the value.
        unsafe { bpf_map_update_elem(self.0, key.cast_mut().cast(), value.cast_mut().cast(), 0) as i32 == 0 }
    }

    #[inline(always)]
    pub fn insert<K, V>(self, key: *const K, value: *const V) -> Inserted {
        // SAFETY: as in `put`.
        let result =
            unsafe { bpf_map_update_elem(self.0, key.cast_mut().cast(), value.cast_mut().cast(), NOEXIST) };
        // Before Linux 6.4 (commit d7ba4cc900bf) the map's own function, which the verifier calls in the helper's
        // place, answers an int and leaves the upper half of the register as it is.
        match result as i32 {
            0 => Inserted::New,
            EEXIST => Inserted::Exists,
            _ => Inserted::Refused,
        }
    }

    #[inline(always)]
    pub fn remove<K>(self, key: *const K) -> bool {
        // SAFETY: as in `get`.
        unsafe { bpf_map_delete_elem(self.0, key.cast_mut().cast()) as i32 == 0 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    New,
    /// Another CPU was faster.
    Exists,
    /// The map is full, busy, or cannot be changed in this context.
    Refused,
}

/// Zeroed memory that the host has mapped too.
#[unsafe(no_mangle)]
static mut CONTROL: Control = Control::ZERO;

macro_rules! maps {
    ($($(#[$doc:meta])* $name:ident;)+) => {
        $(
            $(#[$doc])*
            #[unsafe(link_section = ".maps")]
            #[unsafe(no_mangle)]
            static $name: Map = Map::new();
        )+
    };
}

maps! {
    /// Key bytes to row id: a map of two hashes, by generation.
    ROWS;
    /// Row id to key bytes, `[generation & 1][id]`.
    KEYS;
    /// The measures, `[bank][shard][id]`.
    CELLS;
    /// A packed (row id, histogram, bucket) to bucket id: a map of two hashes, by generation.
    BUCKETS;
    /// Bucket id to what it counts, `[generation & 1][id]`.
    BUCKET_KEYS;
    /// The counts of buckets, `[bank][shard][id]`.
    BUCKET_CELLS;
    /// One row id and one bucket id a CPU that lost a race and can be used again, with their generation.
    SPARES;
    /// Thread, or the key of a pair, to the start of its span.
    STARTS;
    /// Row id to its stacks, `[generation & 1][id]`: the kernel's, if it is a key, then the process's.
    STACKS;
    /// A CPU's room for stacks that are being taken.
    ROOM;
}

#[inline(always)]
pub fn control() -> &'static Control {
    // SAFETY: a static that lives as long as the program; its fields are atomic.
    unsafe { &*(&raw const CONTROL) }
}

/// The counters of the current bank.
#[inline(always)]
pub fn counters(control: &Control) -> &Counters {
    let bank = atomic::load(&control.word) & 1;
    if bank == 0 { &control.counters[0] } else { &control.counters[1] }
}

#[inline(always)]
pub fn rows(generation: u32) -> Option<AnyMap> {
    ROWS.of(generation)
}

#[inline(always)]
pub fn buckets(generation: u32) -> Option<AnyMap> {
    BUCKETS.of(generation)
}

#[inline(always)]
pub fn starts() -> AnyMap {
    STARTS.any()
}

macro_rules! words {
    ($($name:ident = $map:ident;)+) => {
        $(
            #[inline(always)]
            pub fn $name(index: u32) -> Option<NonNull<u64>> {
                $map.any().get(&index)
            }
        )+
    };
}

words! {
    key = KEYS;
    cell = CELLS;
    bucket_key = BUCKET_KEYS;
    bucket_cell = BUCKET_CELLS;
    stacks = STACKS;
    room = ROOM;
}

/// The spare id of a dictionary.
#[inline(always)]
pub fn spare(index: u32) -> Option<&'static AtomicU64> {
    let spare = SPARES.any().get::<u64, u32>(&index)?;
    // SAFETY: the verifier checked that the value is there; it is aligned and only accessed atomically.
    Some(unsafe { AtomicU64::from_ptr(spare.as_ptr()) })
}

/// The place of an id of a generation in an array of `1 << shift` of each of two generations.
#[inline(always)]
pub fn of_generation(generation: u32, id: u32) -> u32 {
    (generation & 1) << (plan!(capacity_shift) & 31) | id
}
