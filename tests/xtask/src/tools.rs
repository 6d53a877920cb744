//! What only some of the commands use.

use std::path::Path;

use anyhow::{Result, anyhow};

use crate::apt::{self, Apt};
use crate::step::{carry_out, has_program, say};

/// A program, or a file by its path, and Debian's package of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    package: &'static str,
}

impl Tool {
    fn is_here(&self) -> bool {
        if self.name.starts_with('/') { Path::new(self.name).exists() } else { has_program(self.name) }
    }
}

/// For virtual machines.
pub(crate) const MACHINES: &[Tool] = &[
    Tool { name: "qemu-system-x86_64", package: "qemu-system-x86" },
    Tool { name: "busybox", package: "busybox-static" },
    Tool { name: "cpio", package: "cpio" },
    Tool { name: "strip", package: "binutils" },
];

/// For the virtual machine whose first process is systemd.
pub(crate) const SYSTEMD: &[Tool] = &[Tool { name: "/usr/lib/systemd/systemd", package: "systemd" }];

/// The compiler of plugins in C, and of what Weir's programs in the kernel are measured against.
pub(crate) const CLANG: &str = "clang-22";

/// For the benchmark.
pub(crate) const BENCH: &[Tool] = &[
    Tool { name: CLANG, package: CLANG },
    Tool { name: "/usr/include/bpf/bpf_helpers.h", package: "libbpf-dev" },
    Tool { name: "bpftrace", package: "bpftrace" },
];

/// For plugins in other languages, and for shipping them.
pub(crate) const LANGUAGES: &[Tool] = &[
    Tool { name: CLANG, package: CLANG },
    Tool { name: "wasm-ld-22", package: "lld-22" },
    Tool { name: "npm", package: "npm" },
    Tool { name: "docker-registry", package: "docker-registry" },
];

/// Installs those that are missing, if that is allowed.
pub(crate) fn ensure(tools: &[Tool], yes: bool) -> Result<()> {
    let missing: Vec<_> = tools.iter().filter(|tool| !tool.is_here()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ");
    let apt = Apt::here().ok_or_else(|| anyhow!("there is no {names}: install what has them"))?;
    say(format_args!("there is no {names}"));
    apt.update(yes);
    carry_out(&names, &[apt::install(missing.iter().map(|tool| tool.package.to_owned()))], yes)
}
