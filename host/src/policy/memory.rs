//! What a table can reach that is not the running task's own.

use crate::table::{Access, Attach, Builtin, Condition, KeyValue, Probe, Text, Value};

/// At this point the running task is the one that the event is of.
pub(super) fn is_of_task(attach: &Attach) -> bool {
    let is_call = |name: &str| matches!(name, "sys_enter" | "sys_exit");
    match attach {
        Attach::Tracepoint { category, .. } => matches!(category.as_str(), "syscalls" | "raw_syscalls"),
        Attach::RawTracepoint { name } | Attach::BtfTracepoint { name } => is_call(name),
        Attach::Uprobe { .. } | Attach::Usdt { .. } => true,
        Attach::Kprobe { .. }
        | Attach::Function { .. }
        | Attach::Profile(_)
        | Attach::Interval(_)
        | Attach::Perf { .. } => false,
    }
}

/// Whether a probe's expressions can read memory of the kernel's.
pub(super) fn reads_kernel(probe: &Probe) -> bool {
    let measured = |number: usize| {
        probe.measures.get(number).is_some_and(|measure| {
            measure.condition.as_ref().is_some_and(condition) || measure.value.as_ref().is_some_and(value)
        })
    };
    probe.filter.as_ref().is_some_and(condition)
        || probe.keys.iter().any(|key| match key {
            KeyValue::Number(number) => value(number),
            KeyValue::Text(other) => text(other),
            // By its name.
            KeyValue::Stack => false,
        })
        || (0..probe.measures.len()).any(measured)
        || probe.saved.iter().chain(&probe.pair).any(value)
}

fn value(of: &Value) -> bool {
    match of {
        Value::Constant(_) | Value::Context(_) | Value::Elapsed | Value::Saved(_) => false,
        // An address, from which all else can be reached.
        Value::Builtin(builtin) => *builtin == Builtin::Task,
        Value::Memory(memory) => memory.access != Access::User || value(&memory.base),
        Value::Narrow { value: of, .. } | Value::Negative(of) | Value::Complement(of) => value(of),
        Value::Arithmetic { left, right, .. } => value(left) || value(right),
        Value::Truth(of) => condition(of),
    }
}

fn condition(of: &Condition) -> bool {
    match of {
        Condition::Nonzero(of) => value(of),
        Condition::Compare { left, right, .. } => value(left) || value(right),
        Condition::Text { text: of, .. } => text(of),
        Condition::Not(of) => condition(of),
        Condition::And(left, right) | Condition::Or(left, right) => condition(left) || condition(right),
    }
}

fn text(of: &Text) -> bool {
    match of {
        Text::Comm | Text::Context { .. } | Text::Located { .. } => false,
        Text::At { address, access } => *access != Access::User || value(address),
    }
}
