use std::path::Path;

use super::section::NAME;
use super::*;
use crate::error::Kind;
use crate::trust::{Layout, custom};

const WHOLE: &str = r#"
name        = "errno-watch"
version     = "1.2.3"
description = "Whose system calls fail"
license     = "Apache-2.0 OR MIT"
homepage    = "https://example.com/errno-watch"
language    = "c"
limits      = { memory = "16MiB", deadline = "50ms" }

[tables.errors]
on   = ["tracepoint:raw_syscalls:sys_exit",
        "tracepoint:sched:sched_switch"]
show = { errors = "count()" }
[tables.errors.by]
comm = "comm"

[options.limit]
type    = "integer"
default = 10
help    = "How many to show"
[options.factor]
type = "number"
default = 2
[options.who]
type = "text"

[metrics.errors_total]
type = "counter"
help = "Calls that failed"
"#;

fn parse(text: &str) -> Result<Manifest> {
    Manifest::parse(text, Path::new("plugin.toml"))
}

/// The error, as a person is told it.
fn wrong(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn given(options: &[(&str, OptionValue)]) -> BTreeMap<String, OptionValue> {
    options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

#[test]
fn a_whole_manifest() {
    let manifest = parse(WHOLE).unwrap();
    assert_eq!(manifest.name, "errno-watch");
    assert_eq!(manifest.version, Version::new(1, 2, 3));
    assert_eq!(manifest.language, Some(Language::C));
    assert_eq!(manifest.limits.memory, Some(16 << 20));
    let (table, parts) = &manifest.tables[0];
    let parts: Vec<_> = parts.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    assert_eq!(table, "errors");
    assert_eq!(
        parts,
        [
            r#"on = ["tracepoint:raw_syscalls:sys_exit", "tracepoint:sched:sched_switch"]"#,
            r#"show = { errors = "count()" }"#,
            r#"by = { comm = "comm" }"#,
        ]
    );
    assert_eq!(manifest.options[0].1.default, Some(OptionValue::Integer(10)));
    assert_eq!(manifest.metrics[0].1.kind, MetricType::Counter);
    assert_eq!(manifest.text.as_ref(), WHOLE);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    const LEAST: &str = "name = \"a\"\nversion = \"1.0.0\"\n";
    let with = |rest: &str| wrong(&format!("{LEAST}{rest}"));
    assert_eq!(wrong("version = \"1.0.0\"").lines().next(), Some("a manifest needs a `name`"));
    assert!(wrong("name = \"a\"").contains("help: write version = \"0.1.0\""));
    assert!(wrong("name = \"../a\"\nversion = \"1.0.0\"").contains("cannot be the name of a plugin"));
    assert!(wrong("name = \"a\"\nversion = \"one\"").contains("three numbers"));
    assert!(with("langauge = \"c\"").contains("did you mean `language`?"));
    assert!(with("language = \"rusty\"").contains("did you mean `rust`?"));
    assert!(with("language = \"cobol\"").contains("there are `rust`, `c`, `go`"));
    assert!(with("description = \"a\\nb\"").contains("one line"));
    assert!(with("[options.a]\nhelp = \"b\"").contains("`a` has no type"));
    assert!(with("[options.a]\ntype = \"flag\"\ndefault = 1").contains("the default of a flag must be one"));
    assert!(with("[metrics.\"a b\"]\ntype = \"gauge\"").contains("cannot be the name of a metric"));
    for name in ["", "1a", "a-b", "ä"] {
        assert!(
            with(&format!("[metrics.{name:?}]\ntype = \"gauge\"")).contains("cannot be the name of a metric")
        );
    }
    for name in ["", "a b", "a=b", "a\\u0007", "1a"] {
        assert!(
            with(&format!("[options.\"{name}\"]\ntype = \"flag\""))
                .contains("cannot be the name of an option")
        );
    }
    assert!(with("[tables.a]\nonn = \"x\"").contains("did you mean `on`?"));
    assert!(with("[tables.a]\non = \"x\"").contains("nothing to show"));
    assert!(with("[tables.a]\nshow = { n = \"count()\" }").contains("no probe"));
    assert!(
        with("[tables.a]\non = \"x\"\nshow = { n = \"count()\" }\n[options.a]\ntype = 1")
            .contains("must be a string")
    );
}

#[test]
fn options_are_checked_and_filled_in() {
    let manifest = parse(WHOLE).unwrap();
    let settled = manifest.settle(&given(&[("who", OptionValue::Text("me".to_owned()))])).unwrap();
    let expected = [
        ("limit", OptionValue::Integer(10)),
        ("factor", OptionValue::Integer(2)),
        ("who", OptionValue::Text("me".to_owned())),
    ];
    assert_eq!(settled, given(&expected));
    assert_eq!(
        manifest.settle(&given(&[("limit", OptionValue::Integer(3))])).unwrap()["limit"],
        OptionValue::Integer(3)
    );
    let wrong = |name, value| manifest.settle(&given(&[(name, value)])).unwrap_err().to_string();
    assert_eq!(
        wrong("limt", OptionValue::Integer(3)),
        "there is no option `limt`\n  help: did you mean `limit`?"
    );
    assert_eq!(
        wrong("limit", OptionValue::Text("3".to_owned())),
        "option `limit` is an integer, and this is a text\n  help: limit: How many to show"
    );
}

fn component() -> Vec<u8> {
    [&b"\0asm\x0d\0\x01\0"[..], &custom(b"version", b"0.0.1"), &custom(b"other", b"kept")].concat()
}

#[test]
fn what_is_packed_is_found_again_once() {
    let manifest = parse(WHOLE).unwrap();
    let once = pack(&component(), &manifest).unwrap();
    assert_eq!(within(&once, Path::new("x.wasm")).unwrap().as_ref(), Some(&manifest));
    assert_eq!(pack(&once, &manifest).unwrap(), once, "packing again changes nothing");
    let layout = Layout::of(&once).unwrap();
    assert_eq!(layout.version(), Some(Version::new(1, 2, 3)));
    let names: Vec<_> = layout.customs().map(|custom| str::from_utf8(custom.name).unwrap()).collect();
    let expected =
        ["other", "component-name", "version", "description", "licenses", "homepage", "weir:manifest"];
    assert_eq!(names, expected);
    assert_eq!(within(&component(), Path::new("x.wasm")).unwrap(), None);
}

#[test]
fn forged_manifests_are_refused() {
    let forged = |content: &[u8]| {
        let bytes = [component(), custom(NAME, content)].concat();
        let error = within(&bytes, Path::new("x.wasm")).unwrap_err();
        (error.kind, error.to_string())
    };
    assert_eq!(forged(b"\xff"), (Kind::Data, "x.wasm: its manifest is not UTF-8".to_owned()));
    let (_, message) = forged(b"name = \"a\x1b[2J\"\nversion = \"1.0.0\"");
    assert!(!message.contains('\x1b'), "{message}");
    let (_, message) = forged(&[b' '; MANIFEST_BYTES + 1]);
    assert_eq!(message, "x.wasm: its manifest has more than 64 KiB");
    let least = b"name = \"a\"\nversion = \"1.0.0\"";
    let twice = [component(), custom(NAME, least), custom(NAME, least)].concat();
    assert_eq!(within(&twice, Path::new("x.wasm")).unwrap_err().message, "x.wasm: it has two manifests");
}
