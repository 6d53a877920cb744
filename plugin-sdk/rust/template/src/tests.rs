//! Without Weir: `cargo test`.

use weir_plugin::testing::{Host, Table};

use super::First;

/// Three processes, and four events that found no row of their own.
fn host() -> Host {
    let comm = vec![&b"cat"[..], b"a\\b", b"\xff", b""];
    let opens = Table::new("opens")
        .key("comm", comm)
        .count("calls", [3, 20, 100, 4])
        .overflow(4);
    Host::new().table(opens).option("limit", 2)
}

#[test]
fn the_biggest_keys_are_reported() {
    let said = host().analyze::<First>().unwrap();
    let titles: Vec<_> = said
        .reports
        .iter()
        .map(|report| report.title.as_str())
        .collect();
    assert_eq!(titles, ["opens 1: \\xff", "opens 2: a\\\\b"]);
    assert_eq!(said.reports[0].field("calls"), Some("100"));
    assert_eq!(said.value("events", &[("table", "opens")]), Some(127.0));
}

#[test]
fn a_limit_that_makes_no_sense_is_refused() {
    let failure = host().option("limit", 0).configure::<First>().unwrap_err();
    assert_eq!(failure.message, "option limit: 1 to 100 are possible");
}
