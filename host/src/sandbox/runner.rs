//! Runs a plugin's calls, each in an instance of its own, and says how each ended.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Engine, FrameInfo, Store, Trap, UpdateDeadline, WasmBacktrace};

use super::call::{Call, Given};
use super::code::Code;
use super::engine::{self, Bound};
use super::limits::{FAULT_BYTES, HANDLES, HOST_CALL_BYTES};
use super::outputs::cut;
use super::state::State;
use super::view::Table;
use super::wire::{End, Fault, GrantedTable, IntervalOrder, PluginOrder, Put, Reason, Used};
use super::wit::{ANALYSIS, Failure};
use super::work::Stop;

/// A loaded plugin.
#[derive(Debug)]
pub(super) struct Runner {
    engine: Engine,
    pre: Pre,
    given: Arc<Given>,
    /// The tables granted, by what orders name them.
    tables: Vec<u32>,
    state: State,
    /// Last, because what is made from it goes before.
    _code: Arc<Code>,
}

struct Pre {
    instance: InstancePre<Call>,
    configure: ComponentExportIndex,
    analyze: ComponentExportIndex,
}

impl std::fmt::Debug for Pre {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pre")
    }
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Export {
    Configure,
    Analyze,
}

/// How a call went.
pub(super) struct Turn {
    pub(super) end: End,
    pub(super) puts: Vec<Put>,
    pub(super) used: Used,
    /// Nothing waits for what is left here, the instance, whose memory is wiped when it is dropped: answer first. It has
    /// to be gone before the next call, because the pool has room for one.
    pub(super) spent: Option<Store<Call>>,
}

impl Turn {
    /// Of a plugin that is not there.
    pub(super) fn none() -> Self {
        let end = Err(Fault { reason: Reason::Trap, message: "it is not loaded".to_owned() });
        Self { end, puts: Vec::new(), used: Used::default(), spent: None }
    }
}

impl Runner {
    pub(super) fn load(
        (engine, bound): (&Engine, Bound),
        linker: &Linker<Call>,
        code: Arc<Code>,
        tables: &[GrantedTable],
        order: PluginOrder,
    ) -> wasmtime::Result<Self> {
        let instance = engine::link(linker, code.component())?;
        let (configure, analyze) = exports(code.component())
            .ok_or_else(|| wasmtime::Error::msg("an export is gone since it was compiled"))?;
        let given = Given {
            table_names: tables.iter().map(|table| table.name.clone()).collect(),
            options: order.options.into_iter().collect(),
            memory: order.memory,
            deadline: Duration::from_nanos(order.deadline_ns),
            bound,
        };
        Ok(Self {
            engine: engine.clone(),
            pre: Pre { instance, configure, analyze },
            given: Arc::new(given),
            tables: tables.iter().map(|table| table.table).collect(),
            state: State::default(),
            _code: code,
        })
    }

    /// Of the tables of an interval, those that the plugin was granted; nothing if one is not there.
    pub(super) fn granted(&self, tables: &BTreeMap<u32, Arc<Table>>) -> Option<Vec<Arc<Table>>> {
        self.tables.iter().map(|table| tables.get(table).cloned()).collect()
    }

    /// Of each call.
    pub(super) fn deadline(&self) -> Duration {
        self.given.deadline
    }

    /// Calls the plugin once. State and outputs are kept together, and only if it goes well; of `configure`,
    /// of which there is no interval to put anything out for, the state and the log.
    pub(super) fn run(
        &mut self,
        export: Export,
        interval: IntervalOrder,
        skipped: u32,
        tables: Vec<Arc<Table>>,
    ) -> Turn {
        let call = Call::new(self.given.clone(), interval, skipped, tables, self.state.clone());
        let mut store = Store::new(&self.engine, call);
        store.limiter(|call| &mut call.meter);
        store.set_hostcall_fuel(HOST_CALL_BYTES);
        store.set_max_component_handles(HANDLES);
        let end = match bound(&mut store, self.given.bound).and_then(|()| self.call(&mut store, export)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => {
                let message = if failure.message.is_empty() { failure.reason } else { failure.message };
                Err(Fault { reason: Reason::Failed, message: cut(&message, FAULT_BYTES) })
            }
            Err(error) => Err(fault(&error, store.data())),
        };
        let call = store.data_mut();
        let (state, outputs) = call.end();
        let used = Used {
            processor_ns: u64::try_from(call.work.processor().as_nanos()).unwrap_or(u64::MAX),
            memory: call.meter.memory(),
            suppressed: outputs.suppressed(),
        };
        if end.is_ok() {
            self.state = state;
        }
        let puts = outputs.finish(end.is_ok() && matches!(export, Export::Analyze));
        Turn { end, puts, used, spent: Some(store) }
    }

    fn call(&self, store: &mut Store<Call>, export: Export) -> wasmtime::Result<Result<(), Failure>> {
        let instance = self.pre.instance.instantiate(&mut *store)?;
        let index = match export {
            Export::Configure => &self.pre.configure,
            Export::Analyze => &self.pre.analyze,
        };
        let function = instance.get_typed_func::<(), (Result<(), Failure>,)>(&mut *store, index)?;
        let (result,) = function.call(store, ())?;
        Ok(result)
    }
}

/// Has a call end in time.
fn bound(store: &mut Store<Call>, bound: Bound) -> wasmtime::Result<()> {
    match bound {
        Bound::Fuel => return store.set_fuel(store.data().work.budget()),
        Bound::Time => {
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(|store| {
                store.data().work.look()?;
                Ok(UpdateDeadline::Continue(1))
            });
        }
    }
    Ok(())
}

/// `configure` and `analyze`, if the component has them.
pub(super) fn exports(component: &Component) -> Option<(ComponentExportIndex, ComponentExportIndex)> {
    let analysis = component.get_export_index(None, ANALYSIS)?;
    let function = |name: &str| component.get_export_index(Some(&analysis), name);
    Some((function("configure")?, function("analyze")?))
}

/// Why a call was ended, from what Wasmtime says of it and what the call had used.
fn fault(error: &wasmtime::Error, call: &Call) -> Fault {
    let reason = if let Some(Stop(reason)) = error.downcast_ref() {
        *reason
    } else if let Some(Trap::StackOverflow) = error.downcast_ref() {
        Reason::Stack
    } else if let Some(Trap::OutOfFuel) = error.downcast_ref() {
        Reason::Deadline
    } else if call.meter.refused || refused_by_the_kernel(error) {
        // Guests trap, or give up, when they are refused memory. That with which an instance begins is taken before
        // anybody is asked, and the kernel may refuse it first.
        Reason::Memory
    } else if handed_over_too_much(error) {
        Reason::Output
    } else {
        Reason::Trap
    };
    let mut message = match error.downcast_ref() {
        Some(Trap::OutOfFuel) => "used the instructions that its deadline stands for".to_owned(),
        _ => error.root_cause().to_string(),
    };
    if let Some(trace) = error.downcast_ref::<WasmBacktrace>() {
        let names: Vec<_> = trace.frames().iter().filter_map(place).take(5).collect();
        if !names.is_empty() {
            message = format!("{}, in {}", cut(&message, FAULT_BYTES / 2), names.join(" < "));
        }
    }
    Fault { reason, message: cut(&message, FAULT_BYTES) }
}

/// A function's name, with the line of its source if that is known.
fn place(frame: &FrameInfo) -> Option<String> {
    let name = cut(frame.func_name()?, 100);
    let symbol = frame.symbols().first();
    let Some((file, line)) = symbol.and_then(|symbol| Some((symbol.file()?, symbol.line()?))) else {
        return Some(name);
    };
    // Where the project lay when it was built is nobody's business.
    let parts: Vec<&str> = file.rsplit(['/', '\\']).take(2).collect();
    let file: Vec<&str> = parts.into_iter().rev().collect();
    Some(format!("{name} ({}:{line})", cut(&file.join("/"), 100)))
}

fn refused_by_the_kernel(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::OutOfMemory)
}

/// The error has no public type in Wasmtime; a test fails if its text changes.
fn handed_over_too_much(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted")
}
