//! Stacks of addresses, as the kernel collects them, as text.
//!
//! The text is for plugins, which are strangers: names only, no address and no offset from which one could be
//! computed. Its form is documented in [`text`].
//!
//! Addresses are of the next instruction to run, but for the innermost frame after a call, so that one which is
//! returned to may be of the next function already. So every address but the innermost is looked up less one.
//!
//! - A place in the kernel has the name that /proc/kallsyms gives it. No image of the kernel is read, so functions
//!   that were inlined into it are not seen.
//! - A place in a process has the name that its file, or the debug file installed for that, gives it, and a frame for
//!   each function that was inlined there. The file is read by a process without privileges, see [`files`]. Code that no file has (just-in-time compilers') is `[unknown]`, and
//!   so is all of a process that has ended: its mappings are gone with it.
//! - Without a name for it, the place is `[file]` or `[kernel module]`.
//!
//! A stack of the kernel's that is not known yet costs 8 us, ten frames deep and optimised, on a machine with 2 CPUs, and
//! the first 50 ms, for it reads /proc/kallsyms. Those of processes are looked up together, because each time a symbolizer
//! is started and reads the files anew, which takes 350 ms where there are 230 MB of debug information. The test `what_a_new_stack_costs` prints what they take. What they may take
//! at most is the caller's time, and in [`file`], [`files`] and [`process`]. Whoever has many stacks keeps the texts.

mod demangle;
mod file;
mod files;
mod kallsyms;
mod open;
mod process;
mod text;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::file::State;
pub(crate) use demangle::demangle;
use files::{Files, Wanted};
use kallsyms::Kallsyms;
use process::{Mapping, Processes};
pub(crate) use text::{FRAMES, NAME_BYTES};
use text::{Folded, Frame};

/// The least time between two readings of /proc/kallsyms: modules and BPF programs come and go.
const KALLSYMS_AGE: Duration = Duration::from_secs(10);
/// What reading lists of mappings may take even if there is no time: without them, of a place not even the file is known. A
/// process can have many mappings, and there can be many processes.
const LISTS_WALL: Duration = Duration::from_millis(100);

/// What is known of code so far. Empty until it is asked; then it keeps the kernel's names, and copies of the files
/// that stacks led through.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    kallsyms: Option<(Kallsyms, Instant)>,
    processes: Processes,
    files: Files,
    problem: Option<String>,
}

impl Symbols {
    /// Why there are frames without a name, if something could be done about it: the first reason that was met.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// A stack of the kernel's, innermost address first, up to the first that is 0.
    pub(crate) fn kernel(&mut self, addresses: &[u64]) -> String {
        let addresses: Vec<u64> = places(addresses).collect();
        let old = match &self.kallsyms {
            Some((list, read)) => {
                read.elapsed() > KALLSYMS_AGE
                    && addresses.iter().any(|address| !matches!(list.look_up(*address), Frame::Function(_)))
            }
            None => !addresses.is_empty(),
        };
        if old {
            let list = Kallsyms::read().unwrap_or_else(|reason| {
                self.problem.get_or_insert(reason);
                Kallsyms::default()
            });
            self.kallsyms = Some((list, Instant::now()));
        }
        let mut folded = Folded::default();
        for address in addresses {
            folded.push(self.kallsyms.as_ref().map_or(Frame::Unknown, |(list, _)| list.look_up(address)));
        }
        folded.finish()
    }

    /// The texts of stacks of processes. What cannot be found out until then has no name; [`Symbols::waits`] tells
    /// whether it is worth to ask again.
    pub(crate) fn user(&mut self, stacks: &mut [Stack], until: Instant) -> Vec<String> {
        self.files.next_closing();
        let files = stacks.iter().flat_map(Stack::places).filter_map(|(module, _)| module.file.as_ref());
        files.for_each(|file| self.files.keep(file));
        self.place(stacks, until);
        let mut wanted = Wanted::new();
        for (module, place) in stacks.iter().flat_map(Stack::places) {
            if let Some(file) = &module.file {
                match wanted.get_mut(file) {
                    Some(places) => drop(places.insert(place)),
                    None => drop(wanted.insert(file.clone(), BTreeSet::from([place]))),
                }
            }
        }
        if let Err(reason) = self.files.learn(wanted, until) {
            self.problem.get_or_insert(reason);
        }
        stacks.iter().map(|stack| self.fold(stack)).collect()
    }

    /// Whether a stack that has a text can have more names in another one, later.
    pub(crate) fn waits(&self, stack: &Stack) -> bool {
        let waits = |(module, place): (&Module, u64)| {
            module.file.as_ref().is_some_and(|file| self.files.waits(file, place))
        };
        stack.places().any(waits)
    }

    /// Finds out where in which files addresses are, which is done once: soon the process may have ended, or run another
    /// program.
    fn place(&mut self, stacks: &mut [Stack], until: Instant) {
        let lists_until = until.max(Instant::now() + LISTS_WALL);
        let mut new: Vec<(u32, &mut Stack)> = Vec::new();
        for stack in stacks {
            if let Stack::Addresses(pid, _) = stack {
                new.push((*pid, stack));
            }
        }
        new.sort_by_key(|(pid, _)| *pid);
        for of_process in new.chunk_by_mut(|a, b| a.0 == b.0) {
            let Some((pid, _)) = of_process.first() else { continue };
            let pid = *pid;
            if Instant::now() >= lists_until {
                return;
            }
            let mut process = match self.processes.get(pid) {
                Ok(process) => Some(process),
                Err(error) => {
                    report(&mut self.problem, &error, "/proc/PID/maps", "CAP_SYS_PTRACE");
                    None
                }
            };
            // By where they begin.
            let mut known: HashMap<u64, Arc<Module>> = HashMap::new();
            for (_, stack) in of_process {
                let Stack::Addresses(_, addresses) = &**stack else { continue };
                let mut find = |address: u64| {
                    let mapping = process.as_mut()?.find(address)?;
                    let (begin, offset) = (mapping.addresses.start, mapping.offset);
                    let module = known.entry(begin).or_insert_with(|| {
                        Arc::new(Module::new(mapping, pid, &mut self.files, &mut self.problem, until))
                    });
                    Some((module.clone(), (address - begin).saturating_add(offset)))
                };
                **stack = Stack::Placed(places(addresses).map(&mut find).collect());
            }
        }
    }

    fn fold(&self, stack: &Stack) -> String {
        let mut folded = Folded::default();
        let places = match stack {
            Stack::Placed(places) => places,
            Stack::Addresses(_, addresses) => {
                places(addresses).for_each(|_| folded.push(Frame::Unknown));
                return folded.finish();
            }
        };
        for place in places {
            let Some((module, place)) = place else {
                folded.push(Frame::Unknown);
                continue;
            };
            let names = module.file.as_ref().map_or(&[][..], |file| self.files.names(file, *place));
            if names.is_empty() {
                folded.push(Frame::Module(&module.name));
            }
            names.iter().for_each(|name| folded.push(Frame::Function(name.as_bytes())));
        }
        folded.finish()
    }
}

/// A stack of a process's.
#[derive(Debug)]
pub(crate) enum Stack {
    /// Of the process, named as this process sees it, being the thread group's leader: innermost address first, up to
    /// the first that is 0.
    Addresses(u32, Vec<u64>),
    /// Where those are in files, as far as they are in any.
    Placed(Vec<Option<(Arc<Module>, u64)>>),
}

impl Stack {
    fn places(&self) -> impl Iterator<Item = (&Module, u64)> {
        let places = match self {
            Self::Addresses(..) => &[][..],
            Self::Placed(places) => places,
        };
        places.iter().flatten().map(|(module, place)| (&**module, *place))
    }
}

/// A file's code in a process.
#[derive(Debug)]
pub(crate) struct Module {
    name: Vec<u8>,
    /// None if it is not to be looked into.
    file: Option<State>,
}

impl Module {
    fn new(
        mapping: &mut Mapping,
        pid: u32,
        files: &mut Files,
        problem: &mut Option<String>,
        until: Instant,
    ) -> Self {
        // There may be many.
        let file = if Instant::now() < until { files.find(pid, mapping) } else { Ok(None) };
        let file = file.unwrap_or_else(|error| {
            report(problem, &error, "/proc/PID/map_files", "CAP_CHECKPOINT_RESTORE");
            None
        });
        Self { name: mapping.name().to_vec(), file }
    }
}

/// The addresses to look up.
fn places(addresses: &[u64]) -> impl Iterator<Item = u64> {
    let addresses = addresses.iter().copied().take_while(|address| *address != 0);
    addresses.enumerate().map(|(depth, address)| if depth == 0 { address } else { address - 1 })
}

/// Keeps a reason that is not the process's own end.
fn report(problem: &mut Option<String>, error: &io::Error, what: &str, capability: &str) {
    if error.kind() == io::ErrorKind::PermissionDenied {
        problem.get_or_insert_with(|| {
            format!("stacks of processes have no names: cannot read {what}: {error}; start with {capability}")
        });
    }
}

#[cfg(test)]
mod tests;
