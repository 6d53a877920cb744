//! Programs that only some of the commands use.

use anyhow::{Result, anyhow};

use crate::apt::{self, Apt};
use crate::step::{carry_out, has_program, say};

/// A program, and Debian's package of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
}

/// For virtual machines.
pub(crate) const MACHINES: &[Tool] = &[
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Tool { program: "busybox", package: "busybox-static" },
    Tool { program: "cpio", package: "cpio" },
    Tool { program: "strip", package: "binutils" },
];

/// For the benchmark.
pub(crate) const BENCH: &[Tool] = &[
    Tool { program: "clang-22", package: "clang-22" },
    Tool { program: "bpftrace", package: "bpftrace" },
    Tool { program: "bpftool", package: "bpftool" },
];

/// Installs those that are missing, if that is allowed.
pub(crate) fn ensure(tools: &[Tool], yes: bool) -> Result<()> {
    let missing: Vec<_> = tools.iter().filter(|tool| !has_program(tool.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ");
    let apt = Apt::here().ok_or_else(|| anyhow!("there is no {programs}: install what has them"))?;
    say(format_args!("there is no {programs}"));
    apt.update(yes);
    carry_out(&programs, &[apt::install(missing.iter().map(|tool| tool.package.to_owned()))], yes)
}
