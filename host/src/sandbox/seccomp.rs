//! The system calls that are left to a process, each with the reason why: one list for running plugins, one for
//! compiling them, and one for looking up the names of functions. A filter in the kernel refuses the rest to all threads, from before the first byte that is
//! not ours.
//!
//! What is not listed answers EPERM, as to any process without privileges. To end the process instead would
//! stop no attack that EPERM does not stop, and would make every call that a library merely tries (a feature
//! that it has a substitute for, a file that it could do without) an end to the plugins of all turns. Only what
//! no part of Weir tries, and an exploit would try next, ends the process: see [`FATAL`].
//!
//! `host/tests/sandbox/attempts.rs` makes the calls that are refused. Who needs those that are allowed is said
//! beside each, as the test that fails without it.

use std::collections::BTreeMap;

use libc::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_THREAD_CPUTIME_ID, FUTEX_PRIVATE_FLAG, FUTEX_WAIT,
    FUTEX_WAIT_BITSET, FUTEX_WAKE, MADV_DONTNEED, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE,
    MAP_SHARED, MREMAP_MAYMOVE, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, PROT_EXEC, PROT_NONE,
    PROT_READ, PROT_WRITE, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, c_long,
};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

use super::lockdown::FIRST_FD;
use super::pulse;

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Run,
    Compile,
    Symbolize,
}

/// A call and who needs it.
type Call = (c_long, &'static str);

/// Needed for all work, with the arguments of [`arguments`].
const COMMON: &[Call] = &[
    // The channel, which is a socket that is there already.
    (libc::SYS_sendto, "answers: every test"),
    (libc::SYS_ppoll, "waiting for orders, and for the host to be gone: every test"),
    (libc::SYS_close, "slots and code, once they are mapped: the_process_has_its_own_descriptors_only"),
    (libc::SYS_fstat, "the size of what is mapped: every test"),
    // Memory.
    (libc::SYS_mmap, "slots, code, files, Wasmtime's and the allocator's memory: every test"),
    (libc::SYS_munmap, "the same, given back: every test"),
    (libc::SYS_mremap, "the allocator, for what grows, which it copies otherwise: what_is_needed_is_allowed"),
    (libc::SYS_brk, "the allocator, which takes any answer for memory: every test"),
    // Small things.
    (libc::SYS_getrandom, "seeds of hash tables that a library makes late: what_is_needed_is_allowed"),
    // Ends of the process. A fault that is not a guest's sets the default action, returns, and comes again: without
    // the first of these calls it would come for ever.
    (libc::SYS_rt_sigaction, "a_fault_ends_the_process"),
    (libc::SYS_rt_sigreturn, "the way back from a guest's fault: a_trap_costs_its_own_turn"),
    (libc::SYS_getpid, "abort() when there is no memory left: an_abort_ends_the_process"),
    (libc::SYS_gettid, "the same"),
    (libc::SYS_tgkill, "the same"),
    (libc::SYS_exit_group, "the end of a process that is done: what_is_not_listed_is_refused"),
];

/// Needed where Wasmtime is, which has a second thread beside it.
const WASMTIME: &[Call] = &[
    (libc::SYS_mprotect, "compiled code becomes executable, Wasm memory grows: every test"),
    (libc::SYS_madvise, "memory of guests, emptied: a_memory_bomb_costs_its_own_turn"),
    (libc::SYS_futex, "a thread waits for the other, or for a lock: every test"),
    (libc::SYS_clock_gettime, "processor time; and all clocks where the vDSO has none: every test"),
    (libc::SYS_exit, "the second thread, should it panic, would try for ever: a_thread_can_end"),
    // New code is published to all processors, which other architectures do by themselves.
    #[cfg(target_arch = "aarch64")]
    (libc::SYS_membarrier, "loading compiled code: every test"),
];

/// Needed where descriptors come with orders.
const TAKE: &[Call] = &[(libc::SYS_recvmsg, "orders, and the code or file that comes with one: every test")];

/// Needed for running only.
const RUN: &[Call] =
    &[(libc::SYS_sigaltstack, "the stack on which a guest's stack overflow is found out: every test")];

/// These end the process, which the host says and the kernel's log: it would become another program, reach into
/// another process, or load a program into the kernel.
const FATAL: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_bpf,
];

/// These seem not to exist. Wasmtime keeps images of memory in files without names; it does without where there is
/// no such call, and fails to load where the call is refused. Set up as it is here, it does not ask, so that one
/// setting stands between loading and this.
const MISSING: &[c_long] = &[libc::SYS_memfd_create];

/// An argument: its place, its size, what of it is compared, and with what.
type Condition = (u8, SeccompCmpArgLen, u64, u64);

/// An argument of 32 bits, of which the kernel ignores the rest.
fn int(place: u8, value: i32) -> Condition {
    (place, SeccompCmpArgLen::Dword, u64::from(u32::MAX), u64::from(value.cast_unsigned()))
}

/// An argument of 64 bits.
fn long(place: u8, value: i32) -> Condition {
    long_but(place, 0, value)
}

/// An argument of 64 bits, whatever these bits of it are.
fn long_but(place: u8, ignored: i32, value: i32) -> Condition {
    let bits = |bits: i32| u64::from(bits.cast_unsigned());
    (place, SeccompCmpArgLen::Qword, !bits(ignored), bits(value))
}

/// With which arguments a call is let through: with any of these combinations, or, where there are none, with all.
fn arguments(work: Work, call: c_long) -> Vec<Vec<Condition>> {
    let one_of = |place, values: &[i32]| values.iter().map(|value| vec![int(place, *value)]).collect();
    match call {
        // To the other end and nobody else; no urgent data, a corner of Unix sockets that had exploits.
        libc::SYS_sendto => vec![vec![int(0, FIRST_FD), int(3, MSG_DONTWAIT | MSG_NOSIGNAL), long(4, 0)]],
        libc::SYS_recvmsg => vec![vec![int(0, FIRST_FD), int(2, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)]],
        libc::SYS_mmap => {
            let plain = MAP_PRIVATE | MAP_ANONYMOUS;
            let mut allowed = vec![
                // Never executable, and not in the place of something else.
                vec![long_but(2, PROT_READ | PROT_WRITE, PROT_NONE), long_but(3, MAP_NORESERVE, plain)],
                vec![long(2, PROT_READ), long(3, MAP_SHARED)],
            ];
            if work == Work::Run {
                // What a guest that was refused its memory has left is wiped by what cannot be used until it is asked for
                // again. (Whoever took the process over could do as much with munmap.)
                let wiped = plain | MAP_NORESERVE | MAP_FIXED;
                allowed.push(vec![long(2, PROT_NONE), long(3, wiped)]);
            }
            if work == Work::Compile {
                // The output.
                allowed.push(vec![long(2, PROT_READ | PROT_WRITE), long(3, MAP_SHARED)]);
            }
            allowed
        }
        // Writable or executable, not both. Compiling needs it too: Wasmtime loads what it compiled.
        libc::SYS_mprotect => {
            let protections = [PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC];
            protections.iter().map(|protection| vec![long(2, *protection)]).collect()
        }
        libc::SYS_madvise => one_of(2, &[MADV_DONTNEED]),
        libc::SYS_mremap => vec![vec![long(3, MREMAP_MAYMOVE)]],
        // None of those that inherit priorities or requeue, which had exploits.
        libc::SYS_futex => {
            let operations = [FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET];
            one_of(1, &operations.map(|operation| operation | FUTEX_PRIVATE_FLAG))
        }
        libc::SYS_clock_gettime => {
            one_of(0, &[CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, pulse::first_thread()])
        }
        libc::SYS_rt_sigaction => one_of(0, &[SIGSEGV, SIGBUS, SIGILL, SIGFPE]),
        #[cfg(target_arch = "aarch64")]
        libc::SYS_membarrier => one_of(
            0,
            &[
                libc::MEMBARRIER_CMD_GLOBAL as i32,
                libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE as i32,
                libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE as i32,
            ],
        ),
        libc::SYS_tgkill => {
            let own = rustix::process::getpid().as_raw_nonzero().get();
            vec![vec![int(0, own), int(2, SIGABRT)]]
        }
        _ => Vec::new(),
    }
}

/// The calls that are allowed for some work.
fn allowed(work: Work) -> impl Iterator<Item = c_long> {
    let more: &[&[Call]] = match work {
        Work::Run => &[WASMTIME, TAKE, RUN],
        Work::Compile => &[WASMTIME],
        Work::Symbolize => &[TAKE],
    };
    COMMON.iter().chain(more.iter().copied().flatten()).map(|(call, _)| *call)
}

/// Refuses all threads of this process everything else, for ever.
pub(super) fn restrict(work: Work) -> Result<(), String> {
    // The kernel asks all filters, and the strictest answer is taken, so the last lets through what the first two
    // have an answer for.
    let passed = FATAL.iter().chain(MISSING).copied();
    let refuse = |error: i32| SeccompAction::Errno(error.cast_unsigned());
    let whole = |calls: &[c_long]| calls.iter().map(|call| (*call, Vec::new())).collect();
    let filters = || {
        install(whole(FATAL), SeccompAction::Allow, SeccompAction::KillProcess)?;
        install(whole(MISSING), SeccompAction::Allow, refuse(libc::ENOSYS))?;
        let mut listed: BTreeMap<_, _> = passed.map(|call| (call, Vec::new())).collect();
        for call in allowed(work) {
            let rules = arguments(work, call).into_iter().map(rule);
            listed.insert(call, rules.collect::<Result<_, _>>()?);
        }
        install(listed, refuse(libc::EPERM), SeccompAction::Allow)
    };
    filters().map_err(|error| format!("cannot install the filter of system calls: {error}"))
}

fn rule(conditions: Vec<Condition>) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition =
        |(place, size, mask, value)| SeccompCondition::new(place, size, SeccompCmpOp::MaskedEq(mask), value);
    SeccompRule::new(conditions.into_iter().map(condition).collect::<Result<_, _>>()?)
}

fn install(
    calls: BTreeMap<c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> seccompiler::Result<()> {
    // Ends a process that calls by the numbers of another architecture.
    let filter = SeccompFilter::new(calls, otherwise, listed, std::env::consts::ARCH.try_into()?)?;
    let program: seccompiler::BpfProgram = filter.try_into()?;
    apply_filter_all_threads(&program)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn few_calls_are_allowed_each_once_and_for_a_reason() {
        for work in [Work::Run, Work::Compile, Work::Symbolize] {
            let calls: Vec<_> = allowed(work).collect();
            assert!(calls.len() < 40, "{} calls", calls.len());
            assert_eq!(calls.iter().collect::<BTreeSet<_>>().len(), calls.len(), "one is there twice");
            assert!(calls.iter().all(|call| !FATAL.contains(call) && !MISSING.contains(call)));
        }
        assert!([COMMON, WASMTIME, TAKE, RUN].concat().iter().all(|(_, why)| !why.is_empty()));
    }
}
