//! The numbers that a program can take from its context, its task and its span.

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_uid_gid, bpf_get_smp_processor_id,
    bpf_probe_read_kernel,
};
use weir_abi::source::{
    CGROUP, CONTEXT_COPY, CONTEXT4, CONTEXT8, CPU, ELAPSED, GID, PID, SAVED, SIGNED, TID, UID,
};

use crate::plan::SourceRef;
use crate::span::Taken;

/// Loads from the context at one of the offsets listed. The verifier allows only literal offsets there, so
/// each has an instruction of its own, of which it keeps the one that the plan names.
macro_rules! load {
    ($width:literal, $context:expr, $offset:expr, $($at:literal)+) => {
        match $offset {
            $($at => {
                let value: u64;
                // SAFETY: the verifier checks the access against the context's type.
                unsafe {
                    asm!(
                        concat!("{0} = *(", $width, " *)({1} + ", $at, ")"),
                        out(reg) value,
                        in(reg) $context,
                    );
                }
                value
            })+
            _ => 0,
        }
    };
}

#[inline(always)]
fn load8(context: *mut c_void, offset: u32) -> u64 {
    load!("u64", context, offset,
        0 8 16 24 32 40 48 56 64 72 80 88 96 104 112 120)
}

#[inline(always)]
fn load4(context: *mut c_void, offset: u32) -> u64 {
    load!("u32", context, offset,
        8 12 16 20 24 28 32 36 40 44 48 52 56 60 64 68 72 76 80 84 88 92 96 100 104 108 112 116 120 124)
}

/// Up to eight bytes that no single load can have: not aligned, or too far into the record.
#[inline(always)]
fn copy(context: *mut c_void, offset: u32, size: u32) -> u64 {
    let mut value = 0u64;
    // SAFETY: the helper checks the source; the target has eight bytes, of which `size` is masked to fit.
    unsafe {
        bpf_probe_read_kernel(
            (&raw mut value).cast(),
            if size == 0 || size > 8 { 8 } else { size },
            context.cast::<u8>().add(offset as usize).cast(),
        );
    }
    value
}

/// The thread that runs now: its process's id in the high half, its own in the low.
#[inline(always)]
pub fn thread() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_current_pid_tgid() }
}

#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_smp_processor_id() }
}

/// Evaluates one source.
#[inline(always)]
pub fn read(context: *mut c_void, taken: &Taken, source: SourceRef) -> u64 {
    let kind = source.kind();
    if kind == CONTEXT8 {
        return narrow(load8(context, source.a()), source);
    }
    if kind == CONTEXT4 {
        return narrow(load4(context, source.a()), source);
    }
    if kind == CONTEXT_COPY {
        return narrow(copy(context, source.a(), source.c() >> 16), source);
    }
    if kind == PID {
        return thread() >> 32;
    }
    if kind == TID {
        return thread() & 0xffff_ffff;
    }
    if kind == UID {
        // SAFETY: the helper takes nothing.
        return unsafe { bpf_get_current_uid_gid() } & 0xffff_ffff;
    }
    if kind == GID {
        // SAFETY: the helper takes nothing.
        return unsafe { bpf_get_current_uid_gid() } >> 32;
    }
    if kind == CPU {
        return u64::from(cpu());
    }
    if kind == CGROUP {
        // SAFETY: the helper takes nothing.
        return unsafe { bpf_get_current_cgroup_id() };
    }
    if kind == ELAPSED {
        return taken.elapsed;
    }
    if kind == SAVED {
        return taken.saved(source.a());
    }
    0
}

/// Shifts a field to the top of the word and down again, which drops its neighbours and extends its sign.
#[inline(always)]
fn narrow(value: u64, source: SourceRef) -> u64 {
    let (left, right) = (source.b() & 63, source.c() & 63);
    // Compared first so that a pointer from a typed context stays untouched by arithmetic.
    let value = if left == 0 { value } else { value << left };
    if right == 0 {
        return value;
    }
    if source.c() & SIGNED != 0 {
        return ((value as i64) >> right) as u64;
    }
    value >> right
}
