//! Tables with a scope, in worlds in which events are of it or not.

use proptest::prelude::*;

use super::super::credentials::{DUMPABLE, DUMPABLE_BITS, POWERS, Privileges};
use super::super::memory::reads_kernel;
use super::super::scoped::{below, of_user, put};
use super::{cases, table};
use crate::kernel::code::tests::{Done, World, any_spec, any_world, happen};
use crate::policy::{Scope, blurred};
use crate::snapshot::{Cost, Coverage, Spans};
use crate::table::{Access, Attach, Builtin, Condition, Memory, Program, TableSpec, Value};

fn load(base: Value, offset: i64, bytes: u32) -> Memory {
    Memory { base, offset, bytes, shift: 0, bits: bytes * 8, signed: false, access: Access::Typed }
}

fn value(memory: Memory) -> Value {
    Value::Memory(Box::new(memory))
}

/// Where a task's credentials are, and what is known of its memory.
const CREDENTIALS: u64 = 0xffff_8888_0000_1000;
const MEMORY: u64 = 0xffff_8888_0000_2000;
const NAMESPACE: u64 = 0xffff_8888_0000_3000;

/// A scope, and a world with what is known of it: whether its event is of the scope.
fn any_scope() -> impl Strategy<Value = (Condition, World, bool)> {
    // Of the user itself, or of the one with the next number.
    let other = || prop::bool::weighted(0.1).prop_map(u32::from);
    let flags = prop_oneof![8 => Just(DUMPABLE), 1 => Just(0), 1 => Just(2)];
    let powers = prop_oneof![4 => Just((0, 0)), 1 => Just((!POWERS, 0)), 2 => (any::<u64>(), 0..3u64)];
    let groups = (prop::collection::vec(0..4u32, 0..5), 0..4u32, 0..4u32);
    let who = ((other(), other(), other()), groups, powers, flags);
    let user = (any_world(), who).prop_map(|(mut world, (users, groups, (powers, level), flags))| {
        let ((user, effective, saved), (gids, group, saved_group)) = (users, groups);
        let uid = world.uid();
        // As the policy reads them, wherever the kernel has them.
        let mut say = |memory: Memory, number: u64| {
            world.say(&memory, number);
            value(memory)
        };
        let credentials = say(load(Value::Builtin(Builtin::Task), 2800, 8), CREDENTIALS);
        let mut number = |offset, number: u32| say(load(credentials.clone(), offset, 4), number.into());
        let owners = [number(24, uid.wrapping_add(effective)), number(16, uid.wrapping_add(saved))];
        let groups = [number(28, group), number(20, saved_group)];
        let capabilities = say(load(credentials.clone(), 48, 8), powers);
        let namespace = say(load(credentials, 136, 8), NAMESPACE);
        let namespace = say(load(namespace, 232, 4), level);
        let memory = say(load(Value::Builtin(Builtin::Task), 2304, 8), MEMORY);
        let dumpable = say(Memory { bits: DUMPABLE_BITS, ..load(memory, 1184, 4) }, flags);
        let is_within = user + effective + saved == 0
            && gids.contains(&group)
            && gids.contains(&saved_group)
            && (powers & POWERS == 0 || level > 0)
            && flags == DUMPABLE;
        let privileges = Privileges { owners, groups, capabilities, namespace, dumpable };
        (of_user(uid.wrapping_add(user), &gids, privileges), world, is_within)
    });
    let cgroup = (any_world(), 0..4u32, 1..4u64).prop_map(|(world, level, id)| {
        let is_below = world.ancestor(level.into()) == id;
        (below(id, level), world, is_below)
    });
    prop_oneof![user, cgroup]
}

fn points() -> Vec<Attach> {
    let (category, name) = ("syscalls".to_owned(), "sys_enter_read".to_owned());
    let uprobe = |at_return| Attach::Uprobe {
        program: Program::of_test("/bin/x"),
        symbol: "f".to_owned(),
        offset: 0,
        at_return,
        pid: None,
    };
    vec![
        Attach::Tracepoint { category, name },
        Attach::RawTracepoint { name: "sys_exit".to_owned() },
        Attach::BtfTracepoint { name: "sys_enter".to_owned() },
        uprobe(false),
        uprobe(true),
    ]
}

fn scoped(table: &TableSpec, scope: &Condition) -> Option<TableSpec> {
    let mut table = table.clone();
    // The pair can be too deep already, which is refused.
    put(&mut table, scope).ok().map(|()| table)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_scope_lets_through_its_own_events_and_no_others(
        (scope, world, is_within) in any_scope(),
        table in any_spec(points()),
    ) {
        let Some(narrow) = scoped(&table, &scope) else { return Err(TestCaseError::reject("too deep")) };
        let wide = table.probes.iter().chain(&table.starts);
        for (probe, before) in narrow.probes.iter().chain(&narrow.starts).zip(wide) {
            let (now, before): (Done, Done) = (happen(&narrow, probe, &world), happen(&table, before, &world));
            prop_assert_eq!(now.accepted, is_within && before.accepted);
            // Before anything else is read, and instead of it.
            let mut asked = world.asked(&scope);
            if is_within {
                asked.extend(before.asked);
            }
            prop_assert_eq!(now.asked, asked);
            match (now.pair, before.pair) {
                // What a start of the scope can never have.
                (Some(now), Some(_)) if !is_within => prop_assert_eq!(now, 0),
                (Some(now), Some(before)) => prop_assert_eq!(now, before << 1 | 1),
                (now, before) => prop_assert!(now.is_none() && before.is_none()),
            }
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_said_to_read_nothing_of_the_kernel_reads_nothing(world in any_world(), table in any_spec(points())) {
        for probe in table.probes.iter().chain(&table.starts) {
            let done = happen(&table, probe, &world);
            prop_assert!(reads_kernel(probe) || !done.read_kernel);
        }
    }
}

/// Some are of hundreds, where a directory service has them.
#[test]
fn a_user_may_be_of_many_groups() {
    let number = |number| Value::Constant(number);
    let privileges = Privileges {
        owners: [number(5), number(5)],
        groups: [number(999), number(0)],
        capabilities: number(0),
        namespace: number(0),
        dumpable: number(DUMPABLE),
    };
    let mut table = TableSpec::clone(&table("on = \"rt:sys_exit\"\nshow = { n = \"count()\" }"));
    put(&mut table, &of_user(5, &(0..1000).collect::<Vec<_>>(), privileges)).unwrap();
    crate::kernel::code::check_condition(table.probes[0].filter.as_ref().unwrap()).unwrap();
}

#[test]
fn a_scope_has_no_place_where_another_task_may_run() {
    for attach in [
        Attach::Tracepoint { category: "sched".to_owned(), name: "sched_switch".to_owned() },
        Attach::RawTracepoint { name: "sched_switch".to_owned() },
        Attach::Kprobe { function: "f".to_owned(), offset: 0, at_return: false },
    ] {
        let mut table = TableSpec::clone(&table("on = \"rt:sys_exit\"\nshow = { n = \"count()\" }"));
        table.probes[0].attach = attach;
        assert!(put(&mut table, &below(1, 1)).is_err());
    }
}

#[test]
fn a_coverage_does_not_tell_of_others() {
    let coverage = Coverage {
        events: 10,
        overflow: 2,
        missed: 77,
        missed_reliable: true,
        inexact: 1,
        kernel: Some(Cost { runs: 5, nanoseconds: 6 }),
        detached: false,
        cpus: 4,
        spans: Some(Spans { starts_dropped: 1, starts_replaced: 2, starts_abandoned: 3, ends_unmatched: 4 }),
    };
    assert_eq!(blurred(coverage, Scope::All), coverage);
    for scope in [Scope::User, Scope::Cgroup] {
        let spans = coverage.spans.map(|spans| Spans { ends_unmatched: 0, ..spans });
        assert_eq!(blurred(coverage, scope), Coverage { missed: 1, kernel: None, spans, ..coverage });
        assert_eq!(blurred(Coverage { missed: 0, ..coverage }, scope).missed, 0);
    }
}
