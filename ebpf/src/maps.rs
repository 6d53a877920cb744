//! The maps. Sizes that depend on the table stand here as numbers that occur nowhere else; the host writes the
//! true ones over them in the object's type information before it loads it.

use core::ffi::c_void;
use core::ptr::NonNull;

use aya_ebpf::helpers::generated::{bpf_map_delete_elem, bpf_map_lookup_elem, bpf_map_update_elem};
use weir_abi::{Control, placeholder};

const HASH: usize = 1;
const ARRAY: usize = 2;
const PERCPU_ARRAY: usize = 6;
const ARRAY_OF_MAPS: usize = 12;
/// BPF_F_MMAPABLE: the host reads and writes the map through memory.
const MAPPED: usize = 1 << 10;
/// BPF_NOEXIST: insert only.
const NOEXIST: u64 = 1;
const EEXIST: i32 = -17;

/// A map's definition, which lives in the object's type information only: each number is an array's length.
#[repr(C)]
pub struct Map<
    const TYPE: usize,
    const KEY_SIZE: usize,
    const VALUE_SIZE: usize,
    const ENTRIES: usize,
    const FLAGS: usize,
> {
    r#type: *const [i32; TYPE],
    key_size: *const [i32; KEY_SIZE],
    value_size: *const [i32; VALUE_SIZE],
    max_entries: *const [i32; ENTRIES],
    map_flags: *const [i32; FLAGS],
}

/// Two maps of one kind, the first two generations of a dictionary.
#[repr(C)]
pub struct Pair<Inner> {
    r#type: *const [i32; ARRAY_OF_MAPS],
    key_size: *const [i32; 4],
    value_size: *const [i32; 4],
    max_entries: *const [i32; 2],
    map_flags: *const [i32; 0],
    values: [*const Inner; 0],
}

// SAFETY: no program reads the definition; its address stands for the map.
unsafe impl<const T: usize, const K: usize, const V: usize, const E: usize, const F: usize> Sync
    for Map<T, K, V, E, F>
{
}
// SAFETY: as above.
unsafe impl<Inner> Sync for Pair<Inner> {}

impl<const T: usize, const K: usize, const V: usize, const E: usize, const F: usize> Map<T, K, V, E, F> {
    const fn new() -> Self {
        use core::ptr::null;
        Self { r#type: null(), key_size: null(), value_size: null(), max_entries: null(), map_flags: null() }
    }

    #[inline(always)]
    fn any(&self) -> AnyMap {
        AnyMap((&raw const *self).cast_mut().cast())
    }
}

impl<Inner> Pair<Inner> {
    const fn new() -> Self {
        use core::ptr::null;
        Self {
            r#type: null(),
            key_size: null(),
            value_size: null(),
            max_entries: null(),
            map_flags: null(),
            values: [],
        }
    }

    /// The map of a generation.
    #[inline(always)]
    fn of(&self, generation: u32) -> Option<AnyMap> {
        let outer = AnyMap((&raw const *self).cast_mut().cast());
        outer.get::<c_void, u32>(&(generation & 1)).map(|inner| AnyMap(inner.as_ptr()))
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

#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
static CONTROL: Map<ARRAY, 4, { size_of::<Control>() }, 1, MAPPED> = Map::new();

/// Key bytes to row id.
#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
static ROWS: Pair<Map<HASH, { placeholder::KEY_SIZE }, 4, 1, 0>> = Pair::new();

/// Row id to key bytes, `[generation & 1][id]`.
#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
static KEYS: Map<ARRAY, 4, { placeholder::KEY_STRIDE }, 1, MAPPED> = Map::new();

/// The measures, `[bank][shard][id]`.
#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
static CELLS: Map<ARRAY, 4, { placeholder::CELL_SIZE }, 1, MAPPED> = Map::new();

/// A packed (row id, histogram, bucket) to bucket id.
#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
static BUCKETS: Pair<Map<HASH, 8, 4, 1, 0>> = Pair::new();

/// Bucket id to what it counts, `[generation & 1][id]`.
#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
static BUCKET_KEYS: Map<ARRAY, 4, 8, 1, MAPPED> = Map::new();

/// The counts of buckets, `[bank][shard][id]`.
#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
static BUCKET_CELLS: Map<ARRAY, 4, 8, 1, MAPPED> = Map::new();

/// One row id and one bucket id a CPU that lost a race and can be used again, with their generation.
#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
static SPARES: Map<PERCPU_ARRAY, 4, 8, 2, 0> = Map::new();

/// Thread to the start of its span.
#[unsafe(link_section = ".maps")]
#[unsafe(no_mangle)]
static STARTS: Map<HASH, 8, { placeholder::START_SIZE }, 1, 0> = Map::new();

#[inline(always)]
pub fn control() -> Option<NonNull<Control>> {
    CONTROL.any().get(&0u32)
}

#[inline(always)]
pub fn rows(generation: u32) -> Option<AnyMap> {
    ROWS.of(generation)
}

#[inline(always)]
pub fn key(index: u32) -> Option<NonNull<u64>> {
    KEYS.any().get(&index)
}

#[inline(always)]
pub fn cell(index: u32) -> Option<NonNull<u64>> {
    CELLS.any().get(&index)
}

#[inline(always)]
pub fn buckets(generation: u32) -> Option<AnyMap> {
    BUCKETS.of(generation)
}

#[inline(always)]
pub fn bucket_key(index: u32) -> Option<NonNull<u64>> {
    BUCKET_KEYS.any().get(&index)
}

#[inline(always)]
pub fn bucket_cell(index: u32) -> Option<NonNull<u64>> {
    BUCKET_CELLS.any().get(&index)
}

#[inline(always)]
pub fn spare(index: u32) -> Option<NonNull<u64>> {
    SPARES.any().get(&index)
}

#[inline(always)]
pub fn starts() -> AnyMap {
    STARTS.any()
}
