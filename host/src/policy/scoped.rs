//! A table as it may be attached for a tenant: its scope is a part of its filters, before everything else.

use super::Peer;
use super::credentials::{DUMPABLE, POWERS, Privileges, privileges};
use super::grant::{Grant, Scope};
use super::memory::is_of_task;
use crate::cgroup;
use crate::error::{Error, Kind, Result};
use crate::kernel::code;
use crate::snapshot::{Coverage, Spans};
use crate::table::{Arithmetic, Builtin, Comparison, Condition, TableSpec, Value};

/// Of so many of its groups a user sees what its processes do; each is compared with at every event.
const GROUPS: usize = 64;
/// The first namespace of control groups (`enum proc_ns_inode` in include/linux/proc_ns.h). In another one, levels are
/// not those that the kernel counts.
const FIRST_NAMESPACE: &str = "cgroup:[4026531835]";

impl Grant {
    /// The table as it may be attached for this peer: with the scope in its filters, its rows and its budget bounded.
    /// For a table that [`Grant::check`] has nothing against.
    pub fn scoped(&self, table: &TableSpec, peer: &Peer) -> Result<TableSpec> {
        let mut table = table.clone();
        table.rows = table.rows.min(u32::try_from(self.limits.rows).unwrap_or(u32::MAX));
        table.budget = Some(self.budget(&table).min(self.limits.kernel));
        if let Some(condition) = self.scope.condition(peer)? {
            put(&mut table, &condition)?;
            table.scoped = true;
        }
        Ok(table)
    }
}

/// Puts a scope's condition into all that a table does.
pub(super) fn put(table: &mut TableSpec, scope: &Condition) -> Result<()> {
    for probe in table.probes.iter_mut().chain(&mut table.starts) {
        if !is_of_task(&probe.attach) {
            let message = format!("{} is not of the task that runs there", probe.attach);
            return Err(Error::new(Kind::NoPermission, message));
        }
        probe.filter = Some(match probe.filter.take() {
            Some(filter) => Condition::And(Box::new(scope.clone()), Box::new(filter)),
            None => scope.clone(),
        });
        if let Some(pair) = probe.pair.take() {
            let pair = within(scope, pair);
            code::check_value(&pair)?;
            probe.pair = Some(pair);
        }
    }
    Ok(())
}

/// The key of a pair, which an end looks up and takes away before its filter is asked. Starts that are kept have odd
/// keys, and what is not of the scope has 0: it finds none, and takes none away. For that, a key loses its highest bit.
fn within(scope: &Condition, pair: Value) -> Value {
    let calculate = |op, left, right| Value::Arithmetic {
        op,
        signed: false,
        left: Box::new(left),
        right: Box::new(right),
    };
    let shifted = calculate(Arithmetic::Left, pair, Value::Constant(1));
    let odd = calculate(Arithmetic::Or, shifted, Value::Constant(1));
    calculate(Arithmetic::Multiply, odd, Value::Truth(Box::new(scope.clone())))
}

impl Scope {
    /// What holds of the events that a peer may see, if not all of them.
    fn condition(self, peer: &Peer) -> Result<Option<Condition>> {
        Ok(match self {
            Self::All => None,
            Self::User => Some(of_user(peer.uid, &peer.gids, privileges()?)),
            Self::Cgroup => {
                let (id, level) = group(peer)?;
                Some(below(id, level))
            }
        })
    }
}

/// The running task is this user's, and all privileges that it has are the user's: nobody else's, of none but these groups, and
/// no capabilities but in a namespace of its own. So is its memory.
pub(super) fn of_user(uid: u32, gids: &[u32], privileges: Privileges) -> Condition {
    let Privileges { owners: [effective, saved], groups, capabilities, namespace, dumpable } = privileges;
    // The last is the one that its files are of, and most processes: it is compared with first.
    let gids = || gids.iter().rev().take(GROUPS);
    let among = |group: Value| any(gids().map(|gid| is(group.clone(), (*gid).into())).collect());
    let powers = Value::Arithmetic {
        op: Arithmetic::And,
        signed: false,
        left: Box::new(capabilities),
        right: Box::new(Value::Constant(POWERS)),
    };
    let [group, saved_group] = groups.map(among);
    let all = [
        is(effective, uid.into()),
        is(saved, uid.into()),
        is(dumpable, DUMPABLE),
        group,
        saved_group,
        or(is(powers, 0), Condition::Nonzero(namespace)),
    ];
    all.into_iter().fold(is(Value::Builtin(Builtin::Uid), uid.into()), |scope, more| {
        Condition::And(Box::new(scope), Box::new(more))
    })
}

fn or(left: Condition, right: Condition) -> Condition {
    Condition::Or(Box::new(left), Box::new(right))
}

/// Whether one of these holds, in halves, because what is made of it is made by calls as deep as it is.
fn any(mut conditions: Vec<Condition>) -> Condition {
    let second = conditions.split_off(conditions.len().div_ceil(2));
    match (conditions.pop(), second.is_empty()) {
        (None, _) => is(Value::Constant(0), 1),
        (Some(only), true) => only,
        (Some(last), false) => {
            conditions.push(last);
            or(any(conditions), any(second))
        }
    }
}

/// The running task is in the group of this id, or in one below it.
pub(super) fn below(id: u64, level: u32) -> Condition {
    is(Value::Builtin(Builtin::Ancestor(level)), id)
}

fn is(value: Value, constant: u64) -> Condition {
    Condition::Compare { op: Comparison::Equal, signed: true, left: value, right: Value::Constant(constant) }
}

/// The id of a peer's control group, and how many levels it is below the root.
fn group(peer: &Peer) -> Result<(u64, u32)> {
    let failed = |why: String| {
        Error::new(
            Kind::NoPermission,
            format!("the control group of process {} is not known: {why}", peer.pid),
        )
    };
    let Some(path) = peer.cgroup.as_deref() else {
        return Err(failed("it has none of version 2".to_owned()));
    };
    let namespace = std::fs::read_link("/proc/self/ns/cgroup").unwrap_or_default();
    if namespace.to_str() != Some(FIRST_NAMESPACE) {
        return Err(failed("Weir runs in a namespace of control groups".to_owned()));
    }
    let root = cgroup::mount().map_err(|error| failed(error.to_string()))?;
    let root = root.ok_or_else(|| failed("none of version 2 are mounted".to_owned()))?;
    cgroup::find(&root, path).map_err(|error| failed(format!("{path}: {error}")))
}

/// A coverage as a tenant with this scope may see it. What counts others' events too tells of them: what was missed is
/// only yes or no, and ends without a start and the programs' runs are left out.
#[must_use]
pub fn blurred(coverage: Coverage, scope: Scope) -> Coverage {
    if scope == Scope::All {
        return coverage;
    }
    Coverage {
        missed: coverage.missed.min(1),
        kernel: None,
        spans: coverage.spans.map(|spans| Spans { ends_unmatched: 0, ..spans }),
        ..coverage
    }
}
