//! Whose privileges the running task has, beside its user: who runs a program with the set-user-ID bit is its user, and
//! the program's memory and system calls are another's all the same. So are those of a program with the set-group-ID bit or
//! with capabilities, and of one that has changed its user. This is what the kernel goes by when it is asked to trace
//! (`__ptrace_may_access` in kernel/ptrace.c); it keeps of each memory whether its user may look into it.

use std::sync::OnceLock;

use crate::error::{Error, Kind, Result};
use crate::probe::Kernel;
use crate::table::{Access, Builtin, Memory, Value};

/// What a task's privileges are told by, as values.
#[derive(Clone, Debug)]
pub(super) struct Privileges {
    /// Whose they are, by `struct cred`: the effective and the saved user.
    pub(super) owners: [Value; 2],
    /// Likewise the groups.
    pub(super) groups: [Value; 2],
    /// Its capabilities.
    pub(super) capabilities: Value,
    /// How deep the namespace is in which it has them: in one of a user's own they are none outside of it.
    pub(super) namespace: Value,
    /// Whether its memory may be looked into by its user, which [`DUMPABLE`] says.
    pub(super) dumpable: Value,
}

/// `SUID_DUMP_USER` in include/linux/sched/coredump.h: neither what nobody but root may dump nor what nobody may.
pub(super) const DUMPABLE: u64 = 1;
/// How many of the lowest bits of a memory's flags have it: `MMF_DUMPABLE_BITS`.
pub(super) const DUMPABLE_BITS: u32 = 2;
/// All capabilities but CAP_WAKE_ALARM, which systemd gives to whole sessions.
pub(super) const POWERS: u64 = !(1 << 35);

pub(super) fn privileges() -> Result<Privileges> {
    // The kernel stays the same, and reading its types takes a while.
    static PRIVILEGES: OnceLock<Result<Privileges>> = OnceLock::new();
    PRIVILEGES.get_or_init(|| privileges_of(&Kernel::running())).clone()
}

fn privileges_of(kernel: &Kernel) -> Result<Privileges> {
    let types = kernel.types()?;
    let member = |structure: &str, name: &str| {
        let found = types.structure(structure).and_then(|id| types.member(id, name));
        found.map(|member| i64::from(member.bit / 8)).ok_or_else(|| {
            Error::new(
                Kind::Unavailable,
                format!("this kernel's `struct {structure}` has no member `{name}`"),
            )
        })
    };
    let load = |base, offset, bytes: u32, bits| {
        Value::Memory(Box::new(Memory {
            base,
            offset,
            bytes,
            shift: 0,
            bits,
            signed: false,
            access: Access::Typed,
        }))
    };
    let credentials = load(Value::Builtin(Builtin::Task), member("task_struct", "cred")?, 8, 64);
    let number = |offset| load(credentials.clone(), offset, 4, 32);
    let namespace = load(credentials.clone(), member("cred", "user_ns")?, 8, 64);
    // From Linux 7.2 on it is kept beside the memory.
    let dumpable = match member("task_struct", "exec_state") {
        Ok(offset) => {
            let state = load(Value::Builtin(Builtin::Task), offset, 8, 64);
            load(state, member("task_exec_state", "dumpable")?, 4, 32)
        }
        Err(_) => {
            let memory = load(Value::Builtin(Builtin::Task), member("task_struct", "mm")?, 8, 64);
            load(memory, member("mm_struct", "flags")?, 4, DUMPABLE_BITS)
        }
    };
    Ok(Privileges {
        owners: [number(member("cred", "euid")?), number(member("cred", "suid")?)],
        groups: [number(member("cred", "egid")?), number(member("cred", "sgid")?)],
        capabilities: load(credentials.clone(), member("cred", "cap_permitted")?, 8, 64),
        namespace: load(namespace, member("user_namespace", "level")?, 4, 32),
        dumpable,
    })
}
