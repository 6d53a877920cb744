//! What tables cost the kernel: those that need the same programs share them, and one that takes more than its budget is
//! detached, with a reason, while the others count on.

use std::time::Instant;

use weir::kernel::Tables;
use weir_tests::attach;
use weir_tests::events::{NOWHERE, call};
use weir_tests::look::numbers;

/// The programs that this process holds.
fn programs() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fdinfo").expect("a process has descriptors");
    let texts = descriptors.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
    texts.filter(|text| text.lines().any(|line| line.starts_with("prog_type:"))).count()
}

fn table(name: &str, key: &str, measure: &str, more: &str) -> String {
    format!(
        "[tables.{name}]\non = \"tp_btf:sys_enter\"\nwhere = \"args.id >= {NOWHERE} && pid == {}\"\n\
         by = {{ {key} = \"args.id\" }}\nshow = {{ {measure} = \"count()\" }}\n{more}\n",
        std::process::id()
    )
}

/// The events of each table in the interval that ends now, and whether it is detached.
fn counted(tables: &mut Tables) -> Vec<(u64, bool)> {
    let snapshots = tables.close().expect("the interval closes");
    snapshots.iter().map(|snapshot| (snapshot.coverage.events, snapshot.coverage.detached)).collect()
}

#[test]
fn tables_that_need_the_same_programs_share_them() {
    let before = programs();
    let same = [table("a", "id", "calls", "keys = 10"), table("b", "number", "n", "keys = 100")].concat();
    let mut tables = attach(&(same + &table("c", "id", "calls", "include_self = true")));
    assert_eq!(programs() - before, 2, "one for two tables, and one for the third");
    (0..50).for_each(call);
    let snapshots = tables.close().expect("the interval closes");
    let names: Vec<&str> = snapshots.iter().map(|snapshot| &*snapshot.table).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for (snapshot, key, measure) in
        [(&snapshots[0], "id", "calls"), (&snapshots[1], "number", "n"), (&snapshots[2], "id", "calls")]
    {
        assert_eq!(snapshot.coverage.events, 50);
        assert_eq!(snapshot.coverage.overflow, 0, "the larger table serves the smaller one");
        assert_eq!(numbers(&snapshot.rows, key).len(), 50);
        assert_eq!(numbers(&snapshot.rows, measure), [1; 50]);
        assert_eq!(snapshot.rows.schema().metadata()["weir.table"], *snapshot.table);
    }
}

#[test]
fn a_table_over_its_budget_is_detached_and_no_other_is() {
    let configuration =
        [table("dear", "id", "calls", "budget = \"0.01% cpu\""), table("other", "id", "n", "")].concat();
    let mut tables = attach(&configuration);
    let start = Instant::now();
    // A hundredth of a per cent of a second is 0.1 ms, which two thousand runs take.
    let mut made = 0;
    while start.elapsed().as_millis() < 200 {
        (0..1000).for_each(|_| call(0));
        made += 1000;
    }
    let snapshots = tables.close().expect("the interval closes");
    let cost = snapshots[0].coverage.kernel.expect("the kernel times programs for a budget");
    assert!(cost.runs >= made && cost.nanoseconds > 0, "{cost:?}");
    assert_eq!(snapshots[0].coverage.events, made, "the interval that cost too much is whole");
    assert!(!snapshots[0].coverage.detached);
    assert_eq!(snapshots[1].coverage.events, made);
    let detached = tables.detached();
    assert_eq!(detached.len(), 1, "{detached:?}");
    assert_eq!((&*detached[0].table, detached[0].interval), ("dear", 0));
    assert!(detached[0].message.contains("budget is 0.01%"), "{}", detached[0].message);

    (0..500).for_each(|_| call(0));
    assert_eq!(counted(&mut tables), [(0, true), (500, false)]);
    assert!(tables.detached().is_empty(), "it is told once");
}

/// Takes every descriptor that this process may have, until it is dropped.
struct NoDescriptors(Vec<std::fs::File>);

impl NoDescriptors {
    fn take() -> Self {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // Whatever number the next descriptor would have.
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum }).expect("it is lowered");
        Self(std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect())
    }
}

#[test]
fn a_table_that_cannot_go_on_is_detached_and_no_other_is() {
    const KEYS: u64 = 64;
    // What needs other programs is another table.
    let other = "include_self = true\nkeys = 10_000";
    let configuration =
        [table("full", "id", "n", &format!("keys = {KEYS}")), table("other", "id", "m", other)].concat();
    let mut tables = attach(&configuration);
    let mut next = 0;
    let mut interval = |tables: &mut Tables| {
        (0..KEYS).for_each(|_| {
            call(next);
            next += 1;
        });
        counted(tables)
    };
    assert_eq!(interval(&mut tables), [(KEYS, false); 2]);
    // A fresh dictionary is a map, and that is a descriptor.
    let descriptors = NoDescriptors::take();
    let detached = (0..10).find_map(|_| {
        assert_eq!(interval(&mut tables), [(KEYS, false); 2], "what was counted so far is right");
        Some(tables.detached()).filter(|detached| !detached.is_empty())
    });
    assert!(!descriptors.0.is_empty());
    drop(descriptors);
    let detached = detached.expect("a dictionary has room for no more than two intervals");
    assert_eq!(detached.len(), 1, "{detached:?}");
    assert_eq!((&*detached[0].table, detached[0].why), ("full", weir::event::Why::Failed));
    assert!(detached[0].message.contains("Too many open files"), "{}", detached[0].message);
    assert_eq!(interval(&mut tables), [(0, true), (KEYS, false)]);
    assert!(tables.detached().is_empty(), "it is told once");
}
