//! Stacks of addresses, as the kernel collects them, as text.
//!
//! The text is for plugins, which are strangers: names only, no address and no offset from which one could be
//! computed. Its form is documented in [`text`].
//!
//! Addresses are of the next instruction to run, but for the innermost frame after a call, so that one which is
//! returned to may be of the next function already. blazesym does not correct that; it is done here: every address
//! but the innermost is looked up less one.
//!
//! - A place in the kernel has the name that /proc/kallsyms gives it. No image of the kernel is read, so functions
//!   that were inlined into it are not seen.
//! - A place in a process has the name that its file, or the debug file installed for that, gives it, and a frame for
//!   each function that was inlined there. Code that no file has (just-in-time compilers') is `[unknown]`, and
//!   so is all of a process that has ended: its mappings are gone with it.
//! - Without a name for it, the place is `[file]` or `[kernel module]`.
//!
//! A stack that is not known yet costs, ten frames deep and optimised, on a machine with 2 CPUs:
//!
//! | | median | the first, which reads |
//! |---|---|---|
//! | of the kernel | 8 us | /proc/kallsyms, 50 ms |
//! | of a process with debug information of 230 MB | 180 us | the file, 270 ms |
//!
//! The test `what_a_new_stack_costs` prints them. A process with thousands of mappings, or a file that was not seen
//! before, costs more; what it may cost at most is in [`file`] and [`process`]. All of it is work in the caller's
//! thread, so whoever has many stacks keeps the texts.

mod demangle;
mod file;
mod kallsyms;
mod open;
mod process;
mod text;

use std::io;
use std::time::{Duration, Instant};

use file::Files;
use kallsyms::Kallsyms;
use process::Processes;
use text::{Folded, Frame};

/// The least time between two readings of /proc/kallsyms: modules and BPF programs come and go.
const KALLSYMS_AGE: Duration = Duration::from_secs(10);

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

    /// A stack of a process's, innermost address first, up to the first that is 0. The process is named as this
    /// process sees it, and is the thread group's leader.
    pub(crate) fn user(&mut self, pid: u32, addresses: &[u64]) -> String {
        let mut folded = Folded::default();
        let mut process = match self.processes.get(pid) {
            Ok(process) => Some(process),
            Err(error) => {
                report(&mut self.problem, &error, "/proc/PID/maps", "CAP_SYS_PTRACE");
                None
            }
        };
        for address in places(addresses) {
            let Some(mapping) = process.as_mut().and_then(|process| process.find(address)) else {
                folded.push(Frame::Unknown);
                continue;
            };
            // What is cut off needs no looking up.
            let names = if folded.is_full() {
                Vec::new()
            } else {
                self.files.look_up(pid, mapping, address).unwrap_or_else(|error| {
                    report(&mut self.problem, &error, "/proc/PID/map_files", "CAP_CHECKPOINT_RESTORE");
                    Vec::new()
                })
            };
            if names.is_empty() {
                folded.push(Frame::Module(mapping.name()));
            }
            names.iter().for_each(|name| folded.push(Frame::Function(name.as_bytes())));
        }
        folded.finish()
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
