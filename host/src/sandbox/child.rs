//! The sandbox process: gives up its privileges, loads what it was handed, and answers orders until its channel
//! closes. Plugins run one after the other, on the one thread that works.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use arrow::buffer::Buffer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wasmtime::Engine;

use super::channel::{Channel, Until};
use super::engine;
use super::limits::{SLOTS, TICK};
use super::lockdown::{self, Left};
use super::ring::{self, Slots};
use super::runner::{Export, Runner};
use super::view::Table;
use super::wire::{Claim, IntervalOrder, Order, TableOrder};

/// Runs until the channel closes. What went wrong is said on the channel, if there is one.
pub(super) fn main(left: Left) -> Result<(), ()> {
    let mut files = lockdown::keep_descriptors(left.descriptors).map_err(drop)?;
    if files.len() <= SLOTS {
        return Err(());
    }
    let codes = files.split_off(SLOTS + 1);
    let slots = files.split_off(1);
    let socket = files.pop().ok_or(())?;
    let hang_up = socket.try_clone().map_err(drop)?;
    let mut channel = Channel::new(socket);
    let mut sandbox = match prepare(left, &mut channel, hang_up, slots, codes) {
        Ok(sandbox) => sandbox,
        Err(reason) => return channel.send(&Claim::Unfit(reason), Until::Ever).map_err(drop),
    };
    sandbox.serve(&mut channel)
}

/// Privileges first, then the second thread, then the first bytes that are not ours.
fn prepare(
    left: Left,
    channel: &mut Channel,
    hang_up: OwnedFd,
    slots: Vec<OwnedFd>,
    codes: Vec<OwnedFd>,
) -> Result<Sandbox, String> {
    lockdown::enter(c"weir-sandbox", left)?;
    let engine = engine::engine().map_err(|error| format!("cannot set up Wasmtime: {error:#}"))?;
    let pulse =
        Pulse::start(engine.clone(), hang_up).map_err(|error| format!("cannot start a thread: {error}"))?;
    lockdown::last_thread()?;
    let slots = Slots::new(slots).map_err(|error| format!("cannot map the ring: {error}"))?;
    let order = channel.receive_until(Until::Ever).map_err(|error| format!("no first order: {error:?}"))?;
    let Order::Start { tables, plugins, configure } = order else {
        return Err("the first order is another".to_owned());
    };
    let linker = engine::linker(&engine).map_err(|error| format!("cannot set up Wasmtime: {error:#}"))?;
    let load = |(order, code)| Runner::load(&engine, &linker, &tables, order, code);
    let runners = plugins.into_iter().zip(&codes).map(load).collect::<wasmtime::Result<_>>();
    let runners = runners.map_err(|error| format!("cannot load compiled code: {error:#}"))?;
    let empty = tables.into_iter().map(|table| {
        let batch = ring::decode(Buffer::from_vec(table.empty)).ok()?;
        Table::snapshot(&TableOrder::default(), &batch).map(Arc::new)
    });
    let empty = empty.collect::<Option<_>>().ok_or("a table cannot be read")?;
    Ok(Sandbox { slots, pulse, runners, empty, configure })
}

struct Sandbox {
    slots: Slots,
    pulse: Arc<Pulse>,
    runners: Vec<Runner>,
    /// The tables without rows, for `configure`.
    empty: Vec<Arc<Table>>,
    configure: bool,
}

impl Sandbox {
    fn serve(&mut self, channel: &mut Channel) -> Result<(), ()> {
        channel.send(&Claim::Loaded, Until::Ever).map_err(drop)?;
        let unconfigured = if self.configure { &mut self.runners[..] } else { &mut [] };
        for (number, runner) in (0u32..).zip(unconfigured) {
            let (end, outputs, spent) =
                self.pulse.during(|| runner.run(Export::Configure, IntervalOrder::default(), 0, &self.empty));
            let claim = Claim::Configured { plugin: number, end, outputs };
            channel.send(&claim, Until::Ever).map_err(drop)?;
            drop(spent);
        }
        while let Ok(order) = channel.receive_until(Until::Ever) {
            let Order::Analyze { interval, slot, tables, plugins } = order else { return Err(()) };
            let mut tables = self.read(slot as usize, &tables).ok_or(())?;
            let last = plugins.len().saturating_sub(1);
            for (place, call) in plugins.into_iter().enumerate() {
                let runner = self.runners.get_mut(call.plugin as usize).ok_or(())?;
                let (end, outputs, spent) =
                    self.pulse.during(|| runner.run(Export::Analyze, interval, call.skipped, &tables));
                let claim = Claim::Answered { plugin: call.plugin, interval: interval.number, end, outputs };
                if place == last {
                    // The host may write to the slot again as soon as it reads this.
                    tables.clear();
                }
                channel.send(&claim, Until::Ever).map_err(drop)?;
                drop(spent);
            }
        }
        Ok(())
    }

    fn read(&self, slot: usize, orders: &[TableOrder]) -> Option<Vec<Arc<Table>>> {
        let read = |order: &TableOrder| {
            let (offset, length) = (usize::try_from(order.offset).ok()?, usize::try_from(order.length).ok()?);
            let batch = self.slots.read(slot, offset, length).ok()?;
            Table::snapshot(order, &batch).map(Arc::new)
        };
        orders.iter().map(read).collect()
    }
}

/// The thread that advances epochs while a plugin runs, and ends the process when the host is gone. It waits
/// for as long as none runs; then the thread that works sees the channel close.
struct Pulse {
    running: Mutex<bool>,
    changed: Condvar,
}

impl Pulse {
    fn start(engine: Engine, hang_up: OwnedFd) -> io::Result<Arc<Self>> {
        let pulse = Arc::new(Self { running: Mutex::new(false), changed: Condvar::new() });
        let beat = pulse.clone();
        std::thread::Builder::new().name("weir-pulse".to_owned()).spawn(move || {
            loop {
                beat.wait();
                if hung_up(&hang_up, Some(TICK)) {
                    std::process::exit(0);
                }
                engine.increment_epoch();
            }
        })?;
        Ok(pulse)
    }

    fn wait(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while !*running {
            running = self.changed.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn set(&self, running: bool) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
        self.changed.notify_one();
    }

    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.set(true);
        let done = work();
        self.set(false);
        done
    }
}

/// Waits for the other end of a channel to be closed.
pub(super) fn hung_up(channel: &OwnedFd, timeout: Option<Duration>) -> bool {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut channel = [PollFd::new(channel, PollFlags::empty())];
    poll(&mut channel, timeout.as_ref()).is_ok_and(|_| channel[0].revents().contains(PollFlags::HUP))
}
