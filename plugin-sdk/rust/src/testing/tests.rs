use super::*;
use crate::{col, counter, gauge, histogram, interval, log, options, report, state, table, tables};

/// Does what its option says.
#[derive(Default)]
struct Tried {
    what: String,
}

impl Plugin for Tried {
    fn configure(&mut self) -> Result {
        self.what = options::text("what")?.ok_or("what?")?;
        log(Severity::Debug, format_args!("{} rows", tables()?.iter().map(|table| table.len()).sum::<u32>()));
        Ok(())
    }

    fn analyze(&mut self) -> Result {
        let calls: u64 = state::get("calls")?.unwrap_or(0);
        state::set("calls", calls + 1)?;
        match self.what.as_str() {
            "say" => {
                counter("events").label("k", "v").add(2.0)?;
                counter("events").label("k", "v").add(3.0)?;
                gauge("at").set(interval::began().as_secs_f64())?;
                histogram("latency").row(&table("reads")?, 0, "latency")?;
                crate::artefact("a.txt", "text/plain", b"one ")?;
                crate::artefact("b.txt", "text/plain", b"other")?;
                crate::artefact("a.txt", "text/plain", b"two")?;
                report(Severity::Info, "said", format!("interval {}", interval::number()))
                    .field("f", 1)
                    .send()
            }
            "fail" => {
                counter("events").add(1.0)?;
                Err("as asked")?
            }
            "panic" => Err(format!("row {}", table("reads")?.column::<u64>("calls")?[99]))?,
            other => Err(other)?,
        }
    }
}

fn reads() -> Table {
    Table::new("reads")
        .key("comm", ["cat", "dd"])
        .key("pid", [1u64, 2])
        .count("calls", [3, 4])
        .hist("latency", [values([5, 6, 900]), values([])])
}

fn host(what: &str) -> Host {
    Host::new().table(reads()).option("what", what)
}

#[test]
fn what_is_said_is_kept_in_order() {
    let mut host = host("say").began(Duration::from_secs(10)).interval(4).skipped(2);
    let said = host.analyze::<Tried>().unwrap();
    assert_eq!(said.value("events", &[("k", "v")]), Some(5.0));
    assert_eq!(said.value("events", &[]), None);
    assert_eq!(said.value("at", &[]), Some(10.0));
    let Value::Histogram { count, sum, buckets } = &said.metrics[3].value else { panic!() };
    assert_eq!((*count, *sum, buckets.len()), (3, 911.0, 2));
    assert_eq!((buckets[0].low, buckets[0].high, buckets[0].count), (4.0, Some(8.0), 2));
    assert_eq!(said.artefact("a.txt"), Some(&b"one two"[..]));
    assert_eq!(said.artefact("c.txt"), None);
    let report = &said.reports[0];
    assert_eq!((report.level, report.title.as_str()), (Severity::Info, "interval 4"));
    assert_eq!((report.field("f"), report.field("g")), (Some("1"), None));
    assert_eq!(host.log(), [(Severity::Debug, "2 rows".to_owned())]);

    // Two were skipped before that one.
    let next = host.analyze::<Tried>().unwrap();
    assert_eq!(next.reports[0].title, "interval 7");
    assert_eq!(next.value("at", &[]), Some(13.0));
    assert_eq!(host.stored("calls"), Some(&b"2"[..]));
}

#[test]
fn a_failure_leaves_the_log_only() {
    let mut host = host("fail");
    assert_eq!(host.analyze::<Tried>().unwrap_err().message, "as asked");
    assert_eq!(host.stored("calls"), None);
    assert_eq!(host.log().len(), 1);
}

#[test]
fn a_panic_ends_its_call() {
    let mut host = host("panic");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| host.analyze::<Tried>()));
    assert!(panicked.is_err());
    host = host.option("what", "say");
    assert!(host.analyze::<Tried>().is_ok());
    assert!(CALL.with_borrow(Option::is_none));
}

#[test]
fn tables_have_no_rows_in_configure() {
    let mut host = host("say").table(Table::new("two").count("n", [1]).overflow(1));
    host.configure::<Tried>().unwrap();
    assert_eq!(host.log(), [(Severity::Debug, "0 rows".to_owned())]);
    assert_eq!(Host::new().configure::<Tried>().unwrap_err().message, "what?");
}

#[test]
fn outputs_and_state_have_limits() {
    Host::new().table(reads()).call(|| {
        let reason = |result: Result| result.unwrap_err().reason;
        assert_eq!(reason(counter("n").add(-1.0)), "bounds");
        assert_eq!(reason(gauge("n").set(f64::NAN)), "bounds");
        assert_eq!(reason(gauge("").set(1.0)), "too-large");
        assert_eq!(reason(report(Severity::Info, "c", "x".repeat(5000)).send()), "too-large");
        let crowded = (0..33).fold(report(Severity::Info, "c", "t"), |report, n| report.field("f", n));
        assert_eq!(reason(crowded.send()), "too-large");
        assert_eq!(reason(histogram("h").row(&table("reads").unwrap(), 2, "latency")), "bounds");
        assert_eq!(reason(histogram("h").row(&table("reads").unwrap(), 0, "calls")), "kind");
        crate::artefact("a", "t", &vec![0; 1 << 19]).unwrap();
        assert_eq!(reason(crate::artefact("a", "t", &vec![0; 1 << 19])), "quota");
        (0..9_999).for_each(|_| counter("n").add(1.0).unwrap());
        assert_eq!(reason(counter("n").add(1.0)), "quota");

        state::store("a", &[0; 60_000]).unwrap();
        assert_eq!(reason(state::store("b", &[0; 60_000])), "too-large");
        state::store("a", &[0; 65_000]).unwrap();
        assert_eq!(reason(state::store(&"k".repeat(257), b"")), "too-large");
        (1..1_024).for_each(|n| state::store(&format!("{n}"), b"").unwrap_or(()));
        assert_eq!(reason(state::store("one more", b"")), "too-large");
        let reads = table("reads").unwrap();
        assert_eq!((0..300).find_map(|_| reads.sort_asc("pid").ask().err()).unwrap().reason, "quota");
    });
}

#[test]
#[should_panic = "table t: n has not as many rows as comm, 2"]
fn columns_have_as_many_rows() {
    drop(Host::new().table(Table::new("t").key("comm", ["a", "b"]).count("n", [1])));
}

#[test]
fn values_have_the_buckets_of_hist() {
    let all = values([0, 1, 2, 3, 4, u64::MAX]);
    let seen: Vec<_> = all.iter().map(|bucket| (bucket.low, bucket.high, bucket.count)).collect();
    let open = (9_223_372_036_854_775_808.0, None, 1);
    assert_eq!(
        seen,
        [(0.0, Some(1.0), 1), (1.0, Some(2.0), 1), (2.0, Some(4.0), 2), (4.0, Some(8.0), 1), open]
    );
    assert_eq!((all.count(), values([]).count()), (6, 0));
}

/// A table of all that can be compared, with the most awkward values.
fn awkward() -> Host {
    let table = Table::new("t")
        .key("u", [0u64, 1 << 53, (1 << 53) + 1, u64::MAX])
        .key("s", [i64::MIN, -1, 2, i64::MAX])
        .column("mean", "f", [f64::NAN, -0.0, 2.5, f64::INFINITY])
        .key("text", vec![b"".to_vec(), b"cat".to_vec(), b"ca\xff".to_vec(), b"dd".to_vec()])
        .avg("avg", [(0, 0.0), (2, 5.0), (1, 3.0), (4, -4.0)]);
    Host::new().table(table)
}

#[test]
fn filters_compare_by_value() {
    awkward().call(|| {
        let t = table("t").unwrap();
        let rows = |condition| {
            let kept = t.filter(condition).ask().unwrap().column::<u64>("u").unwrap();
            let all = t.column::<u64>("u").unwrap();
            all.iter().enumerate().filter(|(_, u)| kept.contains(u)).map(|(row, _)| row).collect::<Vec<_>>()
        };
        assert_eq!(rows(col("u").gt(-1)), [0, 1, 2, 3]);
        assert_eq!(rows(col("u").gt(9_007_199_254_740_992.0)), [2, 3]);
        assert_eq!(rows(col("u").le(9_007_199_254_740_992.5)), [0, 1]);
        assert_eq!(rows(col("u").eq(f64::NAN)), [0usize; 0]);
        assert_eq!(rows(col("u").ne(f64::NAN)), [0, 1, 2, 3]);
        assert_eq!(rows(col("u").lt(f64::INFINITY)), [0, 1, 2, 3]);
        assert_eq!(rows(col("s").lt(0u64)), [0, 1]);
        assert_eq!(rows(col("s").gt(1.5)), [2, 3]);
        assert_eq!(rows(col("s").le(-0.5)), [0, 1]);
        assert_eq!(rows(col("f").ge(0)), [1, 2, 3]);
        assert_eq!(rows(col("f").ne(2.5)), [0, 1, 3]);
        assert_eq!(rows(col("avg").gt(2)), [1, 2]);
        assert_eq!(rows(col("text").starts_with("ca")), [1, 2]);
        assert_eq!(rows(col("text").eq(&b"ca\xff"[..])), [2]);
        assert_eq!(rows(col("text").ne("")), [1, 2, 3]);
    });
}

#[test]
fn sorting_is_stable_and_puts_what_is_no_number_last() {
    awkward().call(|| {
        let t = table("t").unwrap();
        let order = |question: crate::Question| question.ask().unwrap().column::<u64>("u").unwrap();
        let [a, b, c, d] = [0, 1 << 53, (1 << 53) + 1, u64::MAX];
        assert_eq!(order(t.sort_asc("f")), [b, c, d, a]);
        assert_eq!(order(t.sort_desc("f")), [d, c, b, a]);
        assert_eq!(order(t.sort_desc("s").limit(2)), [d, c]);
        assert_eq!(
            order(t.sort_asc("text")),
            [a, c, b, d].map(|u| if u == c {
                b
            } else if u == b {
                c
            } else {
                u
            })
        );
        assert_eq!(order(t.sort_asc("avg")), [d, a, b, c]);
        assert_eq!(order(t.sort_asc("overflow")), [a, b, c, d]);
        assert_eq!(order(t.sort_desc("overflow")), [a, b, c, d]);
    });
}

#[test]
fn groups_add_up() {
    let sizes = Table::new("t")
        .key("comm", ["cat", "dd", "cat", ""])
        .count("calls", [1, 2, 3, u64::MAX])
        .sum("ret", [-5i64, 7, 1, 0])
        .unit("B")
        .avg("size", [(1, 10.0), (0, 0.0), (3, 2.0), (1, 1.0)])
        .hist("latency", [values([1]), values([2]), values([1, 900]), values([])])
        .unit("ns")
        .overflow(9)
        .events(99);
    Host::new().table(sizes).call(|| {
        let t = table("t").unwrap();
        let by =
            t.group_by(["comm"]).count("comm").sum("calls").min("ret").max("calls").mean("ret").share("ret");
        let by = by.sum("size").mean("size").sum("latency").quantile("latency", 0.9).quantile("calls", 0.5);
        let by = by.mean("latency").min("size").ask().unwrap();
        assert_eq!(by.len(), 3);
        assert_eq!(by.coverage().unwrap().events, 99);
        assert_eq!(by.column::<u64>("count(comm)").unwrap(), [2, 1, 1]);
        assert_eq!(by.column::<u64>("sum(calls)").unwrap(), [4, 2, u64::MAX]);
        assert_eq!(by.column::<i64>("min(ret)").unwrap(), [-5, 7, 0]);
        assert_eq!(by.column::<u64>("max(calls)").unwrap(), [3, 2, u64::MAX]);
        assert_eq!(by.column::<f64>("mean(ret)").unwrap(), [-2.0, 7.0, 0.0]);
        assert_eq!(by.column::<f64>("share(ret)").unwrap(), [-4.0 / 3.0, 7.0 / 3.0, 0.0]);
        assert_eq!(by.column::<f64>("sum(size)").unwrap(), [3.0, 0.0, 1.0]);
        assert_eq!(by.column::<f64>("mean(size)").unwrap(), [3.0, 0.0, 1.0]);
        assert_eq!(by.column::<f64>("min(size)").unwrap(), [2.0 / 3.0, 0.0, 1.0]);
        let latency = by.column::<crate::Histogram>("sum(latency)").unwrap();
        assert_eq!(latency.get(0).count(), 3);
        let quantiles = by.column::<f64>("quantile(latency)").unwrap();
        assert_eq!(quantiles[..2], [1024.0, 4.0]);
        assert!(quantiles[2].is_nan());
        assert_eq!(by.column::<f64>("mean(latency)").unwrap()[1], 2.0);
        assert_eq!(by.column::<f64>("quantile(calls)").unwrap()[0], 1.0);
        let shown: Vec<_> = by.columns().iter().map(|c| (c.role.as_str(), c.unit.as_str())).collect();
        assert_eq!(shown[..4], [("key", ""), ("count", ""), ("sum", ""), ("min", "B")]);
        assert_eq!(shown[6..10], [("share", ""), ("avg", ""), ("mean", ""), ("hist", "ns")]);

        let all =
            t.filter(col("comm").eq("none")).group_by([]).sum("calls").max("ret").quantile("ret", 1.0).ask();
        let all = all.unwrap();
        assert_eq!((all.len(), all.column::<u64>("sum(calls)").unwrap()[0]), (1, 0));
        assert_eq!(all.column::<i64>("max(ret)").unwrap(), [0]);
        assert!(all.column::<f64>("quantile(ret)").unwrap()[0].is_nan());
        assert!(t.filter(col("comm").eq("none")).group_by(["comm"]).ask().unwrap().is_empty());
    });
}

#[test]
fn what_cannot_be_answered_is_refused_with_its_reason() {
    awkward().table(Table::new("h").hist("h", [values([1])])).call(|| {
        let (t, h) = (table("t").unwrap(), table("h").unwrap());
        let reason = |question: crate::Question| question.ask().unwrap_err().reason;
        assert_eq!(reason(t.filter(col("none").eq(1))), "unknown");
        assert_eq!(reason(t.filter(col("u").eq("1"))), "kind");
        assert_eq!(reason(t.filter(col("u").starts_with("1"))), "kind");
        assert_eq!(reason(t.filter(col("text").gt("1"))), "kind");
        assert_eq!(reason(h.filter(col("h").gt(1))), "kind");
        assert_eq!(reason(h.sort_asc("h")), "kind");
        assert_eq!(reason(h.group_by(["h"])), "kind");
        assert_eq!(reason(h.group_by([]).min("h")), "kind");
        assert_eq!(reason(t.group_by([]).sum("text")), "kind");
        assert_eq!(reason(t.group_by([]).share("avg")), "kind");
        assert_eq!(reason(t.group_by([]).quantile("u", 1.5)), "bounds");
        assert_eq!(reason((0..65).fold(t.group_by([]), |question, _| question.sum("u"))), "too-large");
        assert_eq!(
            reason((0..65).fold(t.filter(col("u").eq(1)), |all, _| all.filter(col("u").eq(1)))),
            "too-large"
        );
    });
}
