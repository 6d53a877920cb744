use weir_plugin::testing::{self, Host};

use super::*;

fn column(name: &str, role: &str, kind: &str) -> Column {
    let unit = if name == "time" { "ns" } else { "" };
    Column { name: name.into(), role: role.into(), kind: kind.into(), unit: unit.into() }
}

fn columns() -> Vec<Column> {
    vec![
        column("overflow", "overflow", "u64"),
        column("pid", "key", "u64"),
        column("slowest", "max", "u64"),
        column("latency", "hist", "buckets"),
        column("calls", "count", "u64"),
        column("time", "sum", "u64"),
    ]
}

fn by(name: &str) -> Top {
    Top { by: Some(name.to_owned()), limit: 10 }
}

#[test]
fn the_first_that_adds_up_is_ranked_by() {
    let columns = columns();
    assert_eq!(Top::default().measure("reads", &columns).unwrap().name, "calls");
    assert_eq!(by("slowest").measure("reads", &columns).unwrap().name, "slowest");
}

#[test]
fn what_cannot_be_ranked_by_is_refused_with_what_can() {
    for name in ["latency", "pid", "overflow", "call"] {
        let failure = by(name).measure("reads", &columns()).unwrap_err();
        let message = format!(
            "option by: table reads has no number called {name}; it can be ranked by slowest, calls, time"
        );
        assert_eq!(failure.message, message);
    }
    let failure = Top::default().measure("reads", &columns()[..4]).unwrap_err();
    assert_eq!(failure.message, "option by: table reads has no count or sum; it can be ranked by slowest");
    let failure = Top::default().measure("reads", &columns()[..2]).unwrap_err();
    assert!(failure.message.ends_with("ranked by nothing"), "{failure}");
}

#[test]
fn a_title_says_how_much_is_shown() {
    let measure = |name: &str| columns().into_iter().find(|column| column.name == name).unwrap();
    let of = |name: &str, shown: &[u64], keys, total| {
        let shown: Vec<Value<'_>> = shown.iter().map(|value| Value::Unsigned(*value)).collect();
        title("reads", &measure(name), &shown, keys, total)
    };
    let total = Total::Unsigned(1000);
    assert_eq!(of("calls", &[500, 313], 143, total), "reads: 2 of 143 keys have 81.3% of calls (1000)");
    assert_eq!(of("calls", &[600], 143, total), "reads: 1 of 143 keys has 60.0% of calls (1000)");
    assert_eq!(of("time", &[900, 50], 2, total), "reads: all 2 keys have 95.0% of time (1000 ns)");
    assert_eq!(of("calls", &[1000], 1, total), "reads: its only key has 100.0% of calls (1000)");
    assert_eq!(of("calls", &[], 0, total), "reads: all 0 keys have 0.0% of calls (1000)");
    assert_eq!(of("slowest", &[7, 5], 9, Total::None), "reads: 2 of 9 keys by slowest");
    assert_eq!(of("time", &[7], 9, Total::Signed(-3)), "reads: 1 of 9 keys by time (-3 ns in all)");
}

#[test]
fn what_is_missing_is_said() {
    let coverage = |overflow, missed| Coverage { events: 50, overflow, missed };
    assert!(missing(coverage(0, Some(0)), 0).is_empty());
    let all = missing(coverage(7, Some(2)), 3);
    assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["overflow", "missed", "skipped"]);
    assert_eq!(all[0].1, "7 of 50 events found no row of their own");
    assert_eq!(missing(coverage(0, None), 0)[0].1, "this kernel does not tell");
}

#[test]
fn a_stack_has_room_in_a_field() {
    let stack = format!("main;{}read", "work;".repeat(5_000));
    let stacks = testing::Table::new("stacks").key("stack", [stack]).count("samples", [7]);
    let said = Host::new().table(stacks).analyze::<Top>().unwrap();
    let shown = said.reports[0].field("1").unwrap();
    assert!(shown.starts_with("7  100.0%  main;work;") && shown.ends_with("work;read"), "{shown}");
    assert!(shown.len() <= "7  100.0%  ".len() + KEY_BYTES, "{shown}");
}
