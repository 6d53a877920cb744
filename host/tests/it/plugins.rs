//! Plugins that ship, on what their own recordings do not have.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;
use weir::escape::unescape;
use weir::recording::Recorder;
use weir::table::{KeyKind, MeasureKind, TableSpec};

use crate::command::plugins;
use crate::samples::*;

/// What a plugin puts out in two intervals, each with one row of every table.
fn replayed(folder: &Path, plugin: &str, options: &str, tables: &[TableSpec], keys: &[Key]) -> Vec<Json> {
    let (recording, config) = (folder.join("x.weir"), folder.join("weir.toml"));
    let row = (Some(keys.to_vec()), vec![Value::Number(7)]);
    let intervals = [interval(0, false), interval(1, true)].map(|at| {
        tables.iter().map(|table| snapshot(table, at, coverage(7), std::slice::from_ref(&row))).collect()
    });
    put_run(&mut Recorder::new(&recording).unwrap(), tables, &intervals);
    let component = plugins().join(plugin).with_extension("wasm");
    let text = format!(
        "[plugins.it]\ncomponent = {component:?}\noptions = {{ {options} }}\nlimits = {{ deadline = \"5s\" }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.args(["replay", "--format", "json"]).arg(&recording).arg("-c").arg(&config).stdin(Stdio::null());
    let output = weir.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines =
        str::from_utf8(&output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Json| line["plugin"] == "it").collect()
}

#[test]
fn a_semicolon_in_a_name_ends_no_frame() {
    let folder = tempfile::tempdir().unwrap();
    let stacks = table(
        "stacks",
        &[("comm", KeyKind::Text(16)), ("ustack", KeyKind::UserStack)],
        &[("samples", MeasureKind::Count, false, "")],
    );
    let keys = [text("a;b"), text(r"main;<[T\x3b 3]>::map;\x5bunknown];[unknown]")];
    let said = replayed(folder.path(), "flamegraph", "folded = true", &[stacks], &keys);
    let folded = said.iter().find(|line| line["name"] == "folded.txt").unwrap();
    let line = r"a\x3bb;main;<[T\x3b 3]>::map;\x5bunknown];[unknown] 7".to_owned() + "\n";
    assert_eq!(unescape(folded["content"].as_str().unwrap()).unwrap(), line.as_bytes());
}

#[test]
fn a_digest_of_many_tables_with_long_names_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    // More than the plugin's state has room for, of which each table takes a part.
    let long = |at: usize, length| format!("t{at:0length$}");
    let tables: Vec<TableSpec> = (0..60)
        .map(|at| {
            let measure = long(at, 1150);
            table(&long(at, 50), &[("comm", KeyKind::Text(16))], &[(&measure, MeasureKind::Count, false, "")])
        })
        .collect();
    let said = replayed(folder.path(), "digest", "", &tables, &[text("cat")]);
    let of = |kind: &str| said.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((of("fault"), of("report"), of("artefact")), (0, 2 * 60, 2), "{said:?}");
}
