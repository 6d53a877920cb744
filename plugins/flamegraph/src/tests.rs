use weir_plugin::testing::{Host, Said, Table, values};

use super::*;

fn stacks() -> Table {
    Table::new("stacks")
        .key("comm", ["cat", "cat", "dd", "dd", ""])
        .key("kstack", ["entry;sys_read;copy", "", "entry;sys_write", "", ""])
        .key("ustack", ["main;read", "main", "main;write", "", ""])
        .count("samples", [40, 30, 20, 9, 1])
        .overflow(1)
}

fn said(host: Host) -> Said {
    { host }.analyze::<FlameGraph>().unwrap()
}

fn file(said: &Said, name: &str) -> String {
    String::from_utf8(said.artefact(name).unwrap().to_vec()).unwrap()
}

/// The titles of all frames, from left to right and from the ground up.
fn frames(svg: &str) -> Vec<String> {
    let frames = svg.split("<g><title>").skip(1);
    frames.map(|frame| frame.split_once("</title>").unwrap().0.to_owned()).collect()
}

/// Every element that begins ends, in order, and nothing that has a meaning stands in a text.
fn assert_well_formed(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut parts = xml.split('<');
    assert_eq!(parts.next(), Some(""));
    for part in parts {
        let (tag, text) = part.split_once('>').expect(part);
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{xml}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let escaped = ["&amp;", "&lt;", "&gt;", "&quot;"];
        let left = escaped.iter().fold(text.to_owned(), |text, escape| text.replace(escape, ""));
        assert!(!left.contains('&') && !left.contains('"') || tag == "style", "{text}");
        assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
    }
    assert!(open.is_empty());
}

#[test]
fn a_picture_has_all_stacks() {
    let said = said(Host::new().table(stacks()).interval(3));
    let svg = file(&said, "flamegraph.svg");
    assert_well_formed(&svg);
    assert_eq!(svg.lines().count(), 1);
    let wanted = [
        "all (100 samples, 100.00%)",
        "(no row of their own) (1 samples, 1.00%)",
        "cat (70 samples, 70.00%)",
        "main (70 samples, 70.00%)",
        "read (40 samples, 40.00%)",
        "entry (40 samples, 40.00%)",
        "sys_read (40 samples, 40.00%)",
        "copy (40 samples, 40.00%)",
        "dd (29 samples, 29.00%)",
        "main (20 samples, 20.00%)",
        "write (20 samples, 20.00%)",
        "entry (20 samples, 20.00%)",
        "sys_write (20 samples, 20.00%)",
    ];
    assert_eq!(frames(&svg), wanted);
    assert!(svg.contains(">stacks: 100 samples</text>"), "{svg}");
    assert!(svg.contains(">interval 3, 1.000 s; 1 of 100 events found no row of their own</text>"), "{svg}");
    assert_eq!(said.artefacts.len(), 1);

    let report = &said.reports[0];
    assert_eq!(report.title, "stacks: 100 samples, in flamegraph.svg");
    assert_eq!(report.field("stacks"), Some("5"));
    assert_eq!(report.field("left out"), None);
}

#[test]
fn folded_stacks_are_for_other_tools() {
    let folded = file(&said(Host::new().table(stacks()).option("folded", true)), "folded.txt");
    let wanted = "(no row of their own) 1\ncat;main 30\ncat;main;read;entry;sys_read;copy 40\ndd 9\n\
                  dd;main;write;entry;sys_write 20\n";
    assert_eq!(folded, wanted);
}

#[test]
fn hostile_names_stay_texts() {
    let names = vec![
        &b"</title><script>alert(1)</script>;\"&amp;\";\xff\n\x1b[31m"[..],
        "\u{202e}evil;;…;[unknown]".as_bytes(),
        b";",
    ];
    let hostile =
        Table::new("s").key("comm", ["a;b", "]]>", "<!--"]).key("stack", names).count("n", [3, 2, 1]);
    let said = said(Host::new().table(hostile).option("folded", true));
    let svg = file(&said, "flamegraph.svg");
    assert_well_formed(&svg);
    assert!(svg.contains("&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;"));
    let folded = file(&said, "folded.txt");
    assert_eq!(folded.lines().count(), 3);
    assert!(folded.contains("a\\x3bb;</title>"), "{folded}");
    assert!(folded.contains("]]>;\\u{202e}evil;;…;[unknown] 2\n"), "{folded}");
}

#[test]
fn what_is_small_enough_is_whole() {
    let rows = 5000u64;
    let stack = |row: u64| format!("main;{}leaf{}", "f;".repeat(50), row);
    let table = Table::new("stacks")
        .key("pid", (0..rows).map(|row| row / 100).collect::<Vec<_>>())
        .key("ustack", (0..rows).map(stack).collect::<Vec<_>>())
        .sum("time", (0..rows).map(|row| 1000 + row).collect::<Vec<_>>())
        .unit("ns");
    let said = said(Host::new().table(table).option("folded", true));
    let svg = file(&said, "flamegraph.svg");
    assert_well_formed(&svg);
    assert!(svg.len() <= ROOM / 2, "{}", svg.len());
    assert!(svg.contains("all (17497500 ns, 100.00%)"));
    assert!(svg.contains(">stacks: 17497500 ns of time</text>"));
    let left_out = said.reports[0].field("left out").unwrap();
    assert!(left_out.ends_with("so that the picture fits 491520 bytes"), "{left_out}");
    assert!(svg.contains(left_out));
    let folded = file(&said, "folded.txt");
    assert!(svg.len() + folded.len() <= ROOM);
    assert!(folded.starts_with("pid 0;main;f;f;"), "{folded:.20}");
}

#[test]
fn each_table_has_a_picture() {
    let counts = Table::new("counts").key("comm", ["cat"]).count("n", [1]);
    let offs = Table::new("offs").key("stack", ["a;b"]).count("n", [1]).sum("time", [9u64]).unit("ns");
    let host = Host::new().table(stacks()).table(counts).table(offs).option("folded", true);
    let said = said(host.option("measure", "time").table(stacks().sum("time", vec![2u64; 5])));
    let names: Vec<_> = said.artefacts.iter().map(|artefact| artefact.name.as_str()).collect();
    assert_eq!(
        names,
        ["flamegraph-stacks.svg", "folded-stacks.txt", "flamegraph-offs.svg", "folded-offs.txt"]
    );
    assert_eq!(file(&said, "folded-offs.txt"), "a;b 9\n");
}

#[test]
fn an_interval_without_events_has_no_picture() {
    let none: [&str; 0] = [];
    let empty = Table::new("stacks").key("kstack", none).count("samples", []).missed(None);
    let said = said(Host::new().table(empty).skipped(2));
    assert!(said.artefacts.is_empty());
    assert_eq!(said.reports[0].title, "stacks: nothing to draw");
    assert_eq!(said.reports[0].field("missed"), Some("this kernel does not tell what it skips"));
    assert_eq!(said.reports[0].field("skipped"), Some("2 intervals before this one"));
}

#[test]
fn stacks_can_be_named() {
    let table =
        || Table::new("t").key("where", ["a;b"]).key("kstack", ["k"]).key("n", [-3i64]).count("c", [1]);
    let folded = |stacks| {
        let host = Host::new().table(table()).option("folded", true).option("stacks", stacks);
        file(&said(host), "folded.txt")
    };
    assert_eq!(folded("where"), "k;n -3;a;b 1\n");
    assert_eq!(folded("kstack, where"), "n -3;k;a;b 1\n");
}

#[test]
fn what_cannot_be_drawn_is_told_before_it_begins() {
    let told = |host: Host| { host }.configure::<FlameGraph>().unwrap_err().message;
    let host = || Host::new().table(stacks());
    let plain = Table::new("t").key("comm", ["a"]).key("stack_size", [1u64]).count("n", [1]);
    assert_eq!(
        told(Host::new().table(plain.clone())),
        "no table has a key that is a stack, such as kstack or ustack"
    );
    assert_eq!(
        told(host().option("stacks", "stak")),
        "option stacks: no table has a key that is one of stak"
    );
    assert_eq!(
        told(Host::new().table(plain).option("stacks", "stack_size")),
        "option stacks: stack_size of table t is a number, and no stack"
    );
    assert_eq!(
        told(host().option("measure", "time")),
        "option measure: table stacks has no time to draw; it has samples"
    );
    let signed = Table::new("t").key("stack", ["a"]).sum("ret", [1i64]).hist("size", [values([1])]);
    assert_eq!(
        told(Host::new().table(signed)),
        "option measure: table t has no count() or sum(x) without a sign to draw; it has nothing"
    );
    assert!(host().configure::<FlameGraph>().is_ok());
}
