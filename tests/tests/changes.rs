//! Tables come and go while others count on, and lose nothing by it.

use std::sync::Arc;

use weir::kernel::Tables;
use weir_tests::events::{NOWHERE, call};
use weir_tests::look::numbers;

fn table(name: &str, key: &str) -> Vec<Arc<weir::table::TableSpec>> {
    weir_tests::tables(&format!(
        "[tables.{name}]\non = \"tp_btf:sys_enter\"\nwhere = \"args.id >= {NOWHERE} && pid == {}\"\n\
         by = {{ {key} = \"args.id\" }}\nshow = {{ calls = \"count()\" }}\n",
        std::process::id()
    ))
}

fn events(tables: &mut Tables) -> Vec<(String, u64)> {
    let snapshots = tables.close().expect("the interval closes");
    snapshots.iter().map(|snapshot| (snapshot.table.to_string(), snapshot.coverage.events)).collect()
}

#[test]
fn what_stays_loses_nothing() {
    let mut tables = Tables::empty().expect("programs can be timed");
    assert_eq!(events(&mut tables), []);
    tables.change(&[], &table("a", "id"), &[]).expect("it attaches");
    let mut made = 0;
    let mut counted = 0;
    for round in 0..20 {
        (0..50).for_each(call);
        made += 50;
        let name: Arc<str> = format!("t{round}").into();
        let before: Vec<Arc<str>> = if round == 0 { vec![] } else { vec![format!("t{}", round - 1).into()] };
        tables.change(&before, &table(&name, "number"), &[]).expect("it attaches");
        (0..7).for_each(call);
        made += 7;
        let found = events(&mut tables);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[1], (name.to_string(), 7), "a table counts from when it was attached");
        counted += found[0].1;
    }
    assert_eq!(counted, made);
    tables.change(&["a".into()], &[], &[]).expect("it detaches");
    (0..5).for_each(call);
    assert_eq!(events(&mut tables), [("t19".to_owned(), 5)]);
}

#[test]
fn what_cannot_be_attached_changes_nothing() {
    let mut tables = Tables::empty().expect("programs can be timed");
    tables.change(&[], &table("a", "id"), &[]).expect("it attaches");
    let broken = weir::table::TableSpec {
        name: "broken".to_owned(),
        probes: vec![weir::table::Probe {
            attach: weir::table::Attach::RawTracepoint { name: "no_such_tracepoint".into() },
            ..table("b", "id")[0].probes[0].clone()
        }],
        ..weir::table::TableSpec::clone(&table("b", "id")[0])
    };
    tables.change(&["a".into()], &[Arc::new(broken)], &[]).expect_err("there is no such tracepoint");
    (0..5).for_each(call);
    assert_eq!(events(&mut tables), [("a".to_owned(), 5)]);
}

#[test]
fn tables_that_are_gone_leave_nothing_behind() {
    let mut tables = Tables::empty().expect("programs can be timed");
    let descriptors = || std::fs::read_dir("/proc/self/fd").expect("a process has descriptors").count();
    tables.change(&[], &table("a", "id"), &[]).expect("it attaches");
    let before = descriptors();
    for _ in 0..20 {
        tables.change(&["a".into()], &table("a", "id"), &[]).expect("it attaches");
        (0..3).for_each(call);
        let snapshots = tables.close().expect("the interval closes");
        assert_eq!(numbers(&snapshots[0].rows, "calls"), [1; 3]);
    }
    assert_eq!(descriptors(), before);
}
