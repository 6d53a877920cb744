//! Stacks of addresses, as the kernel collects them, as text.
//!
//! The text is for plugins, which are strangers: names only, no address and no offset from which one could be
//! computed. Its form is documented in [`text`].
//!
//! Addresses are of the next instruction to run, but for the innermost frame after a call, so that one which is
//! returned to may be of the next function already. Every address but the innermost is looked up less
//! one.
//!
//! - A place in the kernel has the name that /proc/kallsyms gives it. No image of the kernel is read, so functions
//!   that were inlined into it are not seen.
//! - Without a name for it, the place is `[kernel module]`.

mod demangle;
mod kallsyms;
mod text;

use std::time::{Duration, Instant};

use kallsyms::Kallsyms;
use text::{Folded, Frame};

/// The least time between two readings of /proc/kallsyms: modules and BPF programs come and go.
const KALLSYMS_AGE: Duration = Duration::from_secs(10);

/// What is known of code so far. Empty until it is asked; then it keeps the kernel's names.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    kallsyms: Option<(Kallsyms, Instant)>,
    problem: Option<String>,
}

impl Symbols {
    pub(crate) fn new() -> Self {
        Self::default()
    }

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
}

/// The addresses to look up.
fn places(addresses: &[u64]) -> impl Iterator<Item = u64> {
    let addresses = addresses.iter().copied().take_while(|address| *address != 0);
    addresses.enumerate().map(|(depth, address)| if depth == 0 { address } else { address - 1 })
}
