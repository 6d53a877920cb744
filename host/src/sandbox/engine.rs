//! How Wasmtime is set up, the same where components are compiled and where they run.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, PoolingAllocationConfig, ResourceLimiter, WasmBacktraceDetails};

use super::call::Call;
use super::code::InPlace;
use super::guest;
use super::limits::{
    INSTANCES, MEMORIES, REPLAY_STALL_FACTOR, RESIDENT_BYTES, STALL_FACTOR, TABLE_ELEMENTS, TABLES,
    WASM_STACK,
};
use super::wasi;

/// What ends a call that does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Bound {
    /// The processor's time.
    Time,
    /// Instructions, so that the same recording gives the same on every machine.
    Fuel,
}

impl Bound {
    /// Wall-clock time for each unit of the deadline, before a call is ended all the same.
    pub(super) fn patience(self) -> u32 {
        match self {
            Self::Time => STALL_FACTOR,
            Self::Fuel => REPLAY_STALL_FACTOR,
        }
    }
}

pub(super) fn engine(bound: Bound) -> wasmtime::Result<Engine> {
    // One instance at a time, in memory that stays from call to call and is wiped after each: a fresh mapping
    // costs a page fault for every page that a plugin reads a column into, more than all its own work.
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(1)
        .total_core_instances(INSTANCES)
        .max_core_instances_per_component(INSTANCES)
        .total_memories(MEMORIES)
        .max_memories_per_component(MEMORIES)
        .total_tables(TABLES)
        .max_tables_per_component(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(RESIDENT_BYTES);
    let mut config = Config::new();
    config
        .allocation_strategy(pool)
        .wasm_component_model(true)
        // A plugin that loops is found at its next branch backwards or call.
        .epoch_interruption(bound == Bound::Time)
        .consume_fuel(bound == Bound::Fuel)
        .max_wasm_stack(WASM_STACK)
        // The same bytes in give the same bytes out, on every processor.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Compiled code is run where the compiler wrote it.
        .with_custom_code_memory(Some(Arc::new(InPlace)))
        // The interface is synchronous, and one plugin runs at a time.
        .concurrency_support(false)
        // Memory images are files that Wasmtime writes, which a sandbox has no right to.
        .memory_init_cow(false)
        // A compiler is one process with one thread that works; several run side by side.
        .parallel_compilation(false)
        // A seventh of a plugin's code, for debuggers and lines of traps.
        .native_unwind_info(false)
        .generate_address_map(bound == Bound::Fuel)
        // Where a plugin is written its traps have lines of its source, if it has debug information. Elsewhere they have names
        // only, whatever an environment variable asks for: nobody knows how long that information takes to be read.
        .wasm_backtrace_details(match bound {
            Bound::Time => WasmBacktraceDetails::Disable,
            Bound::Fuel => WasmBacktraceDetails::Enable,
        });
    Engine::new(&config)
}

/// All that a plugin can import, but for WASI.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Call>> {
    let mut linker = Linker::new(engine);
    guest::offer(&mut linker)?;
    Ok(linker)
}

/// A component with all that it imports. What is WASI's of it is offered as this component imports it, so it is in a
/// linker of its own.
pub(super) fn link(linker: &Linker<Call>, component: &Component) -> wasmtime::Result<InstancePre<Call>> {
    if !wasi::imported_by(component) {
        return linker.instantiate_pre(component);
    }
    let mut linker = linker.clone();
    wasi::offer(&mut linker, component)?;
    linker.instantiate_pre(component)
}

/// The interfaces that a plugin can import, for messages.
pub(super) static OFFERED: LazyLock<String> = LazyLock::new(|| guest::INTERFACES.join(", "));

/// Bounds what a component's instances take, all of its memories together.
#[derive(Debug)]
pub(super) struct Meter {
    limit: u64,
    memory: u64,
    /// Memory was refused, which is why the guest traps if it does.
    pub(super) refused: bool,
}

impl Meter {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, memory: 0, refused: false }
    }

    /// Bytes that were granted.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_add(wanted.saturating_sub(now) as u64);
        if memory > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.memory = memory;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    /// The pool has no larger ones.
    fn table_growing(&mut self, _: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = wanted <= TABLE_ELEMENTS;
        self.refused |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}
