//! Recordings are opened by what people open Arrow files with.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each reader makes of a recording: by interval, the rows and the sum of a measure of it, and of a histogram.
const SCRIPT: &str = r#"
import json, sys
import duckdb, polars, pyarrow as pa

folder = sys.argv[1]
calls = pa.ipc.open_stream(f"{folder}/tables/syscalls.arrows").read_all()
reads = pa.ipc.open_stream(f"{folder}/tables/reads.arrows").read_all()
coverage = pa.ipc.open_stream(f"{folder}/coverage.arrows").read_all()

def by_pyarrow():
    groups = calls.group_by("interval").aggregate([("calls", "sum"), ("calls", "count")]).sort_by("interval")
    rows = [[row["interval"], row["calls_count"], row["calls_sum"]] for row in groups.to_pylist()]
    buckets = sum(bucket["count"] for row in reads.to_pylist() for bucket in row["latency"]["buckets"])
    events = sum(row["events"] for row in coverage.select(["table", "events"]).to_pylist() if row["table"] == "syscalls")
    return rows, buckets, events

def by_polars():
    groups = polars.from_arrow(calls).group_by("interval").agg(
        polars.len().alias("rows"), polars.col("calls").sum()).sort("interval")
    rows = [[interval, count, total] for interval, count, total in groups.iter_rows()]
    buckets = polars.from_arrow(reads).select(polars.col("latency").struct.field("buckets")).explode("buckets")
    buckets = buckets.select(polars.col("buckets").struct.field("count").sum()).item()
    events = polars.from_arrow(coverage).filter(polars.col("table") == "syscalls")["events"].sum()
    return rows, buckets, events

def by_duckdb():
    rows = duckdb.sql("select interval, count(*), sum(calls)::ubigint from calls group by 1 order by 1").fetchall()
    buckets = duckdb.sql(
        "select sum(bucket.count)::ubigint from (select unnest(latency.buckets) as bucket from reads)").fetchall()[0][0]
    events = duckdb.sql("select sum(events)::ubigint from coverage where \"table\" = 'syscalls'").fetchall()[0][0]
    return [list(row) for row in rows], buckets, events

print(json.dumps({"pyarrow": by_pyarrow(), "polars": by_polars(), "duckdb": by_duckdb()}))
"#;

fn recording() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/demo.weir")
}

/// The same by Weir itself.
fn expected() -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["replay", "--format", "json"])
        .arg(recording())
        .output()
        .unwrap();
    let (mut rows, mut buckets, mut events) = (Vec::new(), 0, 0);
    for line in str::from_utf8(&output.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["type"] != "snapshot" {
            continue;
        }
        let values = || line["rows"].as_array().unwrap().iter().map(|row| &row["values"]);
        if line["table"] == "syscalls" {
            events += line["coverage"]["events"].as_u64().unwrap();
            let calls: u64 = values().map(|values| values["calls"].as_u64().unwrap()).sum();
            rows.push(serde_json::json!([line["interval"], values().count(), calls]));
        } else {
            let parts = values().flat_map(|values| values["latency"]["buckets"].as_array().unwrap());
            buckets += parts.map(|bucket| bucket[2].as_u64().unwrap()).sum::<u64>();
        }
    }
    // An interval without rows is in no group.
    rows.retain(|row| row[1] != 0);
    assert!(events > 0 && buckets > 0);
    serde_json::json!([rows, buckets, events])
}

#[test]
fn pyarrow_polars_and_duckdb_read_the_same() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/languages/bin/python3");
    let python = std::env::var_os("WEIR_PYTHON").map_or(built, PathBuf::from);
    let output = Command::new(&python).arg("-c").arg(SCRIPT).arg(recording()).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{}: {error}\n  help: `cargo xtask plugins` installs what is needed", python.display())
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    for reader in ["pyarrow", "polars", "duckdb"] {
        assert_eq!(read[reader], expected(), "{reader}");
    }
}
