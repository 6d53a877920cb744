//! The sandbox process: gives up its privileges, loads what it was handed, and answers orders until its channel
//! closes. Plugins run one after the other, on the one thread that works.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use arrow::buffer::Buffer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wasmtime::Engine;
use wasmtime::component::Linker;

use super::call::Call;
use super::channel::{Channel, Until};
use super::code::Loaded;
use super::engine::{self, Bound};
use super::limits::SLOTS;
use super::lockdown::{self, Left};
use super::pulse::Pulse;
use super::ring::{self, Slots};
use super::runner::{Export, Runner, Turn};
use super::seccomp::Work;
use super::view::Table;
use super::wire::{Claim, Fault, GrantedTable, IntervalOrder, Order, PluginOrder, Reason, TableOrder, Used};

/// Runs until the channel closes. What went wrong is said on the channel, if there is one.
pub(super) fn main(left: Left, bound: Bound) -> Result<(), ()> {
    let (mut files, group) = lockdown::keep(left).map_err(drop)?;
    if files.len() != SLOTS + 1 {
        return Err(());
    }
    let slots = files.split_off(1);
    let socket = files.pop().ok_or(())?;
    let hang_up = socket.try_clone().map_err(drop)?;
    let mut channel = Channel::taking_files(socket);
    let mut sandbox = match prepare((left, group), bound, hang_up, slots) {
        Ok(sandbox) => sandbox,
        Err(reason) => return channel.send(&Claim::Unfit(reason), Until::Ever).map_err(drop),
    };
    channel.send(&Claim::Up, Until::Ever).map_err(drop)?;
    while let Ok(order) = channel.receive_until(Until::Ever) {
        sandbox.obey(order, &mut channel).ok_or(())?;
    }
    Ok(())
}

/// Privileges first, then the second thread, then the first bytes that are not ours.
fn prepare(
    (left, group): (Left, Option<OwnedFd>),
    bound: Bound,
    hang_up: OwnedFd,
    slots: Vec<OwnedFd>,
) -> Result<Sandbox, String> {
    lockdown::enter(c"weir-sandbox", left, group)?;
    let wasmtime = |error: wasmtime::Error| format!("cannot set up Wasmtime: {error:#}");
    let engine = engine::engine(bound).map_err(wasmtime)?;
    let pulse =
        Pulse::start(engine.clone(), hang_up).map_err(|error| format!("cannot start a thread: {error}"))?;
    lockdown::last_thread(Work::Run)?;
    let slots = Slots::new(slots).map_err(|error| format!("cannot map the ring: {error}"))?;
    let linker = engine::linker(&engine).map_err(wasmtime)?;
    let (runners, loaded) = (BTreeMap::new(), Loaded::default());
    Ok(Sandbox { engine, bound, linker, slots, pulse, runners, loaded })
}

struct Sandbox {
    engine: Engine,
    bound: Bound,
    linker: Linker<Call>,
    slots: Slots,
    pulse: Arc<Pulse>,
    runners: BTreeMap<u32, Runner>,
    loaded: Loaded,
}

impl Sandbox {
    /// Nothing if the order is one that the host does not give, or there is no host any more.
    fn obey(&mut self, order: Order, channel: &mut Channel) -> Option<()> {
        match order {
            Order::Load { plugin, tables, order, configure } => {
                let code = channel.file()?;
                let Turn { end, puts, used, spent } = match self.load(plugin, &tables, order, &code) {
                    Ok(tables) if configure => self.configure(plugin, tables)?,
                    loaded => {
                        let end = loaded.map(drop).map_err(|message| Fault { reason: Reason::Trap, message });
                        let claim = Claim::Loaded { plugin, end, outputs: Vec::new(), used: Used::default() };
                        return channel.send(&claim, Until::Ever).ok();
                    }
                };
                channel.send(&Claim::Loaded { plugin, end, outputs: puts, used }, Until::Ever).ok()?;
                drop(spent);
            }
            Order::Unload { plugin } => {
                drop(self.runners.remove(&plugin));
            }
            Order::Analyze { interval, slot, tables, plugins } => {
                let mut tables = self.read(slot as usize, &tables)?;
                let last = plugins.len().saturating_sub(1);
                for (place, call) in plugins.into_iter().enumerate() {
                    let turn = match self.runners.get_mut(&call.plugin) {
                        Some(runner) => {
                            let granted = runner.granted(&tables)?;
                            self.pulse.during(runner.deadline(), || {
                                runner.run(Export::Analyze, interval, call.skipped, granted)
                            })
                        }
                        // The host gave this order before it heard that the plugin could not be loaded.
                        None => Turn::none(),
                    };
                    let Turn { end, puts, used, spent } = turn;
                    if place == last {
                        // The host may write to the slot again as soon as it reads this.
                        tables.clear();
                    }
                    let (plugin, interval) = (call.plugin, interval.number);
                    let claim = Claim::Answered { plugin, interval, end, outputs: puts, used };
                    channel.send(&claim, Until::Ever).ok()?;
                    drop(spent);
                }
            }
        }
        Some(())
    }

    /// Loads a plugin, and gives back its tables without rows, for `configure`.
    fn load(
        &mut self,
        plugin: u32,
        tables: &[GrantedTable],
        order: PluginOrder,
        code: &OwnedFd,
    ) -> Result<Vec<Arc<Table>>, String> {
        let length = usize::try_from(order.code_bytes).map_err(|_| "its code is too large".to_owned())?;
        let runner = self
            .loaded
            .code(&self.engine, code, length)
            .and_then(|code| Runner::load((&self.engine, self.bound), &self.linker, code, tables, order))
            .map_err(|error| format!("cannot load compiled code: {error:#}"))?;
        let empty = tables.iter().map(|table| {
            let batch = ring::decode(Buffer::from(table.empty.as_slice())).ok()?;
            Table::snapshot(&TableOrder::default(), &batch).map(Arc::new)
        });
        let empty = empty.collect::<Option<_>>().ok_or("a table cannot be read")?;
        self.runners.insert(plugin, runner);
        Ok(empty)
    }

    fn configure(&mut self, plugin: u32, tables: Vec<Arc<Table>>) -> Option<Turn> {
        let runner = self.runners.get_mut(&plugin)?;
        let (deadline, interval) = (runner.deadline(), IntervalOrder::default());
        Some(self.pulse.during(deadline, || runner.run(Export::Configure, interval, 0, tables)))
    }

    fn read(&self, slot: usize, orders: &[TableOrder]) -> Option<BTreeMap<u32, Arc<Table>>> {
        let read = |order: &TableOrder| {
            let (offset, length) = (usize::try_from(order.offset).ok()?, usize::try_from(order.length).ok()?);
            let batch = self.slots.read(slot, offset, length).ok()?;
            Some((order.table, Arc::new(Table::snapshot(order, &batch)?)))
        };
        orders.iter().map(read).collect()
    }
}

/// Waits for the other end of a channel to be closed.
pub(super) fn hung_up(channel: &OwnedFd, timeout: Option<Duration>) -> bool {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut channel = [PollFd::new(channel, PollFlags::empty())];
    poll(&mut channel, timeout.as_ref()).is_ok_and(|_| channel[0].revents().contains(PollFlags::HUP))
}
