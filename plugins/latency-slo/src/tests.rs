use weir_plugin::testing::{self, Host, values};

use super::*;

fn column(name: &str, kind: &str, unit: &str) -> Column {
    Column { name: name.into(), role: "hist".into(), kind: kind.into(), unit: unit.into() }
}

fn columns() -> Vec<Column> {
    vec![column("calls", "u64", ""), column("size", "buckets", ""), column("latency", "buckets", "ns")]
}

fn slo() -> LatencySlo {
    let quantiles = vec![0.5, 0.99];
    LatencySlo { threshold: 10_000_000, objective: 0.99, quantiles, measure: None }
}

fn wanting(measure: &str) -> LatencySlo {
    LatencySlo { measure: Some(measure.to_owned()), ..slo() }
}

#[test]
fn the_first_histogram_of_times_is_taken() {
    assert_eq!(slo().measure("reads", &columns()).unwrap().as_deref(), Some("latency"));
    assert_eq!(slo().measure("opens", &columns()[..2]).unwrap(), None);
}

#[test]
fn what_is_no_time_is_refused() {
    assert_eq!(wanting("latency").measure("reads", &columns()).unwrap().as_deref(), Some("latency"));
    assert_eq!(wanting("other").measure("reads", &columns()).unwrap(), None);
    for name in ["size", "calls"] {
        let failure = wanting(name).measure("reads", &columns()).unwrap_err();
        assert!(failure.message.starts_with("option measure: "), "{failure}");
    }
}

#[test]
fn quantiles_are_read_and_named() {
    assert_eq!(parse_quantiles("0.5, 0.999"), Ok(vec![0.5, 0.999]));
    for wrong in
        ["", "0.5,", "1", "0", "-0.5", "NaN", "p99", "0.5;0.9", "0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1"]
    {
        assert!(parse_quantiles(wrong).is_err(), "{wrong}");
    }
    assert_eq!([0.5, 0.99, 0.999, 0.07].map(quantile_name), ["p50", "p99", "p99.9", "p7"]);
}

#[test]
fn a_title_promises_no_more_than_is_known() {
    let bucket = |low: f64, count: u64| Bucket { low, high: Some(low * 2.0), count };
    let title = |fast: u64, inside, slow| {
        let buckets = [bucket(65_536.0, fast), bucket(8_388_608.0, inside), bucket(16_777_216.0, slow)];
        slo().title("reads.latency", Share::below(10_000_000, fast + inside + slow, buckets.into_iter()))
    };
    assert_eq!(title(995, 5, 0), "reads.latency: at least 99.5% below 10ms, as the objective of 99% asks");
    assert_eq!(
        title(980, 15, 5),
        "reads.latency: between 98% and 99.5% below 10ms; whether the objective of 99% is met is not known"
    );
    assert_eq!(title(980, 0, 20), "reads.latency: at most 98% below 10ms, and the objective is 99%");
    let strict = LatencySlo { objective: 0.999_99, ..slo() };
    let share =
        |slow: u64| Share::below(10_000_000, 1_000_000, [bucket(65_536.0, 1_000_000 - slow)].into_iter());
    assert_eq!(
        strict.title("reads.latency", share(12)),
        "reads.latency: between 99.998% and 100% below 10ms; whether the objective of 99.999% is met is not known"
    );
}

#[test]
fn a_quantile_is_given_as_an_upper_bound() {
    assert_eq!(
        upper(Some(Bucket { low: 8_388_608.0, high: Some(16_777_216.0), count: 1 })),
        "below 16.777216ms"
    );
    assert_eq!(upper(Some(Bucket { low: 1024.0, high: None, count: 1 })), "1.024us or more");
}

#[test]
fn a_stack_has_room_in_a_field() {
    let stack = format!("main;{}read", "work;".repeat(5_000));
    let slow = [values([20_000_000])];
    let reads = testing::Table::new("reads").key("stack", [stack]).hist("latency", slow).unit("ns");
    let said = Host::new().table(reads).analyze::<LatencySlo>().unwrap();
    let worst = said.reports[0].field("worst 1").unwrap();
    assert!(worst.contains(": main;work;") && worst.ends_with("work;read"), "{worst}");
    assert!(worst.len() < 2 * KEY_BYTES, "{worst}");
}
