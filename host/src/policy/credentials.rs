//! Whose privileges the running task has, beside its user: who runs a program with the set-user-ID bit is its user, and
//! the program's memory and system calls are another's all the same.

use std::sync::OnceLock;

use crate::error::{Error, Kind, Result};
use crate::probe::Kernel;
use crate::table::{Access, Builtin, Memory, Value};

/// The users of `struct cred` to whom a task's privileges belong, as values: the effective and the saved one.
pub(super) fn owners() -> Result<[Value; 2]> {
    // The kernel stays the same, and reading its types takes a while.
    static OWNERS: OnceLock<Result<[Value; 2]>> = OnceLock::new();
    OWNERS.get_or_init(|| owners_of(&Kernel::running())).clone()
}

fn owners_of(kernel: &Kernel) -> Result<[Value; 2]> {
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
    let load = |base, offset, bytes: u32| {
        let bits = bytes * 8;
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
    let credentials = load(Value::Builtin(Builtin::Task), member("task_struct", "cred")?, 8);
    let owner = |offset| load(credentials.clone(), offset, 4);
    Ok([owner(member("cred", "euid")?), owner(member("cred", "suid")?)])
}
