//! docs/json.md is the contract; these lines are it.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use weir::event::{Event, Label, MetricValue, Output, Severity, Totals};
use weir::sink::Sink;
use weir::snapshot::{Snapshot, Spans};
use weir::table::MeasureKind;

use crate::samples::*;

fn line(event: &Event<'_>) -> String {
    let out = Shared::default();
    weir::sink::Json::new(out.clone()).put(event).unwrap();
    let line = out.take();
    assert_eq!(line.find('\n'), Some(line.len() - 1), "one object is one line");
    line.trim_end().to_owned()
}

#[test]
fn the_start_names_tables_and_columns() {
    let at = SystemTime::UNIX_EPOCH + BEGAN;
    assert_eq!(
        line(&Event::Start { at, tables: &schemas(&[opens()]) }),
        r#"{"schema":1,"type":"start","at":"2026-11-22T10:00:00.000000000Z","tables":[{"name":"opens","#
            .to_owned()
            + r#""keys":[{"name":"comm","kind":"text","unit":""}],"measures":[{"name":"calls","kind":"count","unit":""}]}]}"#
    );
}

#[test]
fn a_snapshot_has_every_kind_of_column() {
    let values = |number: i128| {
        vec![
            Value::Number(600),
            Value::Number(u64::MAX.into()),
            Value::Number(number),
            Value::Avg(4, -10),
            Value::Hist(18, 40_000, vec![(1024, Some(2048), 17), (1 << 63, None, 1)]),
        ]
    };
    let rows = [
        (Some(vec![text("cat"), Key::Number(7), Key::Number(-1)]), values(i64::MIN.into())),
        (Some(vec![text("a\n\x1b[2J\\"), Key::Number(u64::MAX.into()), Key::Null]), values(0)),
        (None, values(1)),
    ];
    let mut coverage = coverage(1800);
    coverage.overflow = 600;
    let snapshot = snapshot(&reads(), interval(7, false), coverage, &rows);
    let rest = r#""mean":{"count":4,"sum":-10,"avg":-2.5},"latency":{"count":18,"sum":40000,"buckets":[[1024,2048,17],[9223372036854775808,null,1]]}}}"#;
    let values = |least: &str| {
        format!(r#""values":{{"calls":600,"bytes":18446744073709551615,"least":{least},{rest}"#)
    };
    assert_eq!(
        line(&Event::Snapshot(&snapshot)),
        [
            r#"{"schema":1,"type":"snapshot","table":"reads","interval":7,"began":"2026-11-22T10:00:07.000000000Z","#,
            r#""length_ns":1000123456,"coverage":{"events":1800,"overflow":600,"missed":0,"missed_reliable":true,"#,
            r#""cpus":8,"inexact":0},"rows":[{"key":{"comm":"cat","pid":7,"ret":-1},"#,
            &values("-9223372036854775808"),
            r#",{"key":{"comm":"a\\n\\x1b[2J\\\\","pid":18446744073709551615,"ret":null},"#,
            &values("0"),
            r#",{"key":null,"#,
            &values("1"),
            "]}",
        ]
        .concat()
    );
}

#[test]
fn a_table_of_spans_says_what_became_of_them() {
    let mut coverage = coverage(1);
    coverage.spans =
        Some(Spans { starts_dropped: 1, starts_replaced: 2, starts_abandoned: 3, ends_unmatched: 4 });
    let line = line(&Event::Snapshot(&snapshot(&opens(), interval(0, false), coverage, &[])));
    let spans = r#""spans":{"starts_dropped":1,"starts_replaced":2,"starts_abandoned":3,"ends_unmatched":4}},"rows":[]}"#;
    assert!(line.ends_with(spans), "{line}");
}

#[test]
fn what_plugins_put_out_has_a_line_each() {
    let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
    let labels = vec![label("z", "1"), label("a", "\u{202e}2"), label("z", "again")];
    let metric = |value| Output::Metric { name: "m".to_owned(), labels: labels.clone(), value };
    let cases = [
        (
            metric(MetricValue::Counter { delta: 1.5, total: 3.0 }),
            r#""type":"metric","plugin":"p","interval":3,"name":"m","labels":{"z":"1","a":"\\u{202e}2"},"kind":"counter","delta":1.5,"total":3.0"#,
        ),
        (
            metric(MetricValue::Gauge(f64::NAN)),
            r#""type":"metric","plugin":"p","interval":3,"name":"m","labels":{"z":"1","a":"\\u{202e}2"},"kind":"gauge","value":null"#,
        ),
        (
            Output::Metric {
                name: "h".to_owned(),
                labels: Vec::new(),
                value: MetricValue::Histogram {
                    count: 3,
                    sum: 9.0,
                    buckets: vec![(1.0, Some(2.0), 2), (2.0, None, 1)],
                },
            },
            r#""type":"metric","plugin":"p","interval":3,"name":"h","labels":{},"kind":"histogram","count":3,"sum":9.0,"buckets":[[1.0,2.0,2],[2.0,null,1]]"#,
        ),
        (
            Output::Report {
                level: Severity::Warning,
                code: "slow".to_owned(),
                title: "it is\nslow".to_owned(),
                fields: vec![label("p99", "12ms")],
            },
            r#""type":"report","plugin":"p","interval":3,"level":"warning","code":"slow","title":"it is\\nslow","fields":{"p99":"12ms"}"#,
        ),
        (
            Output::Artefact {
                name: "a".to_owned(),
                media_type: "text/plain".to_owned(),
                bytes: b"\xff\"a\"".to_vec(),
            },
            r#""type":"artefact","plugin":"p","interval":3,"name":"a","media_type":"text/plain","content":"\\xff\"a\"""#,
        ),
        (
            Output::Log { level: Severity::Info, message: "hello".to_owned() },
            r#""type":"log","plugin":"p","interval":3,"level":"info","message":"hello""#,
        ),
        (
            Output::Fault { reason: "trap".to_owned(), message: "unreachable".to_owned() },
            r#""type":"fault","plugin":"p","interval":3,"reason":"trap","message":"unreachable""#,
        ),
    ];
    for (output, expected) in &cases {
        let line = line(&Event::Plugin { plugin: "p", interval: 3, output });
        assert_eq!(line, format!("{{\"schema\":1,{expected}}}"));
    }
}

#[test]
fn the_end_has_the_totals() {
    let at = SystemTime::UNIX_EPOCH + BEGAN;
    let totals =
        Totals { intervals: 2, elapsed: Duration::from_secs(2), events: u64::MAX, ..Totals::default() };
    assert_eq!(
        line(&Event::End { at, totals: &totals }),
        [
            r#"{"schema":1,"type":"end","at":"2026-11-22T10:00:00.000000000Z","intervals":2,"elapsed_ns":2000000000,"#,
            r#""events":18446744073709551615,"overflow":0,"missed":0,"missed_reliable":true,"inexact":0,"#,
            r#""starts_dropped":0,"plugin_faults":0,"plugin_skipped":0}"#,
        ]
        .concat()
    );
}

/// What a row is in JSON, said by the test itself.
fn expected(table: &weir::table::TableSpec, (keys, values): &Row) -> Json {
    // Numbers of 64 bits are all that serde_json takes, and all there are.
    let number =
        |number: &i128| u64::try_from(*number).map_or_else(|_| json!(*number as i64), |number| json!(number));
    let key = keys.as_ref().map(|keys| {
        let cells = table.keys.iter().zip(keys).map(|(column, key)| {
            let value = match key {
                Key::Null => Json::Null,
                Key::Number(n) => number(n),
                Key::Text(bytes) => json!(weir::escape::escape(bytes)),
            };
            (column.name.clone(), value)
        });
        cells.collect::<serde_json::Map<_, _>>()
    });
    let values = table.measures.iter().zip(values).map(|(column, value)| {
        let value = match value {
            Value::Null => Json::Null,
            Value::Number(n) => number(n),
            Value::Stats(count, sum, bounds) => {
                let avg = (*count > 0).then(|| *sum as f64 / *count as f64);
                let [min, max] = [0, 1].map(|which| bounds.map(|bounds| number(&bounds[which])));
                json!({"count": count, "sum": number(sum), "avg": avg, "min": min, "max": max})
            }
            Value::Avg(count, sum) => {
                let avg = (*count > 0).then(|| *sum as f64 / *count as f64);
                json!({"count": count, "sum": number(sum), "avg": avg})
            }
            Value::Hist(count, sum, buckets) => {
                let buckets: Vec<_> = buckets
                    .iter()
                    .map(|(low, high, count)| json!([number(low), high.as_ref().map(number), count]))
                    .collect();
                json!({"count": count, "sum": number(sum), "buckets": buckets})
            }
        };
        (column.name.clone(), value)
    });
    json!({"key": key, "values": values.collect::<serde_json::Map<_, _>>()})
}

proptest! {
    #[test]
    fn every_number_and_text_is_there((table, intervals) in any_run()) {
        for (at, (coverage, rows)) in intervals.iter().enumerate() {
            let snapshot: Snapshot = snapshot(&table, interval(at as u64, false), *coverage, rows);
            let line: Json = serde_json::from_str(&line(&Event::Snapshot(&snapshot))).unwrap();
            let expected: Vec<_> = rows.iter().map(|row| expected(&table, row)).collect();
            // Through text as well, because serde_json reads the last digits of a float as it likes.
            let expected: Json = serde_json::from_str(&Json::from(expected).to_string()).unwrap();
            prop_assert_eq!(&line["rows"], &expected);
            prop_assert_eq!(&line["coverage"]["events"], &Json::from(coverage.events));
        }
    }
}

#[test]
fn a_column_of_an_unknown_kind_is_refused() {
    let schema = weir::snapshot::schema(&table("t", &[], &[("m", MeasureKind::Sum, false, "")]));
    let mut fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields[2].set_metadata(std::collections::HashMap::from([
        ("weir.role".to_owned(), "measure".to_owned()),
        ("weir.kind".to_owned(), "hist".to_owned()),
    ]));
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(fields));
    let batch = arrow::array::RecordBatch::new_empty(schema);
    let error = weir::sink::Rows::new(&batch).unwrap_err();
    assert_eq!(error.message, "the column `m` is not as a table has it");
}
