//! `weir probes`: what can be attached to.

use clap::Args;

use super::answer;
use crate::error::Result;
use crate::probe::Kernel;

#[derive(Debug, Args)]
pub(super) struct Probes {
    /// Only those whose whole name fits this, with * and ?; or any part of it, if it has no colon
    ///
    /// A kind's short form will do, such as t: for tracepoint:. Probes in programs are listed for one program at a
    /// time: 'uprobe:bash:read*', 'usdt:libc:*'.
    #[arg(value_name = "GLOB", default_value = "*")]
    glob: String,
}

/// With the fields of each, if `verbose`.
pub(super) fn probes(asked: &Probes, verbose: bool) -> Result<()> {
    let kernel = Kernel::running();
    let mut text = String::new();
    for name in kernel.list(&asked.glob)? {
        text.push_str(&format!("{name}\n"));
        if verbose {
            // One point that cannot be described does not keep the others from being listed.
            let fields = kernel.fields(&name).unwrap_or_else(|error| vec![format!("? {}", error.message)]);
            text.extend(fields.iter().flat_map(|field| ["    ", field, "\n"]));
        }
    }
    answer(&text)
}
