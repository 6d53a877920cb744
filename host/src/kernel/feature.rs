//! What this kernel and this process can do, where attaching a table does not show it by itself.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use aya_obj::generated::bpf_prog_type::BPF_PROG_TYPE_KPROBE;
use rustix::thread::CapabilitySet;

use super::bpf::{self, Program};
use super::instruction::{Assembler, R0};
use crate::error::{Error, Kind, Result};
use crate::table::Attach;

pub(crate) use super::counted::kernel_version;

/// Attaches a program that does nothing to these functions at once, and detaches it.
pub(crate) fn many_kprobes(functions: &[&str]) -> Result<()> {
    let mut nothing = Assembler::default();
    nothing.constant(R0, 0);
    nothing.exit();
    let failed = |doing: &str, error: &std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Kind::NoPermission,
            _ => Kind::Unavailable,
        };
        Error::new(kind, format!("{doing}: {error}"))
    };
    let program = bpf::load_program(&Program {
        name: "weir_nothing",
        kind: BPF_PROG_TYPE_KPROBE as u32,
        attach_type: bpf::KPROBE_MULTI,
        attach_btf: 0,
        instructions: &nothing.finish()?,
        license: c"GPL",
        types: None,
        functions: &[],
        lines: &[],
    })
    .map_err(|refusal| failed("a program for many functions is refused", &refusal.error))?;
    let names: Vec<CString> = functions.iter().filter_map(|name| CString::new(*name).ok()).collect();
    let names: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
    let cookies = vec![0; names.len()];
    bpf::link_kprobes(program.as_fd(), &names, &cookies, false)
        .map(drop)
        .map_err(|error| failed("attaching to many functions at once is refused", &error))
}

/// Opens a perf event that counts nothing, as `tracepoint:` and others need one.
pub(crate) fn perf_event() -> Result<()> {
    let mut nothing = bpf::blank_event();
    // PERF_TYPE_SOFTWARE and PERF_COUNT_SW_DUMMY.
    (nothing.type_, nothing.config) = (1, 9);
    bpf::open_event(&mut nothing, bpf::Scope::Cpu(0)).map(drop).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => super::attach::perf_permission("opening a perf event"),
        _ => Error::new(Kind::Unavailable, format!("opening a perf event: {error}")),
    })
}

/// What the kernel's setting says, if it is one by which some kernels, Debian's among them, refuse perf events to whoever
/// lacks CAP_SYS_ADMIN, CAP_PERFMON or not. Linux itself knows none above 2.
pub(crate) fn perf_restriction() -> Option<i32> {
    let setting = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?;
    setting.trim().parse().ok().filter(|setting| *setting > 2)
}

/// What this process holds.
pub(crate) fn held() -> CapabilitySet {
    rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}

/// Whether this kernel counts all events that it skips at a tracepoint.
pub(crate) fn counts_missed() -> bool {
    super::counted::reliable(&Attach::Tracepoint { category: String::new(), name: String::new() })
}
