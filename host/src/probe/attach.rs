//! Names of attach points.

use super::flaw::Flaw;
use super::nearest::did_you_mean;
use crate::table::Attach;

const FORMS: &str = "write tracepoint:CATEGORY:NAME (or t:), rawtracepoint:NAME (or rt:), or tp_btf:NAME";
/// Names beyond this are no kernel's; it bounds what goes into paths and messages.
const LONGEST_NAME: usize = 128;

/// Reads the name of an attach point: `tracepoint:CATEGORY:NAME` or `t:CATEGORY:NAME`, `rawtracepoint:NAME`
/// or `rt:NAME`, `tp_btf:NAME`. Whether the kernel has it, [`super::Kernel::record`] says.
pub fn attach(text: &str) -> Result<Attach, Flaw> {
    let whole = 0..text.len();
    let parts: Vec<&str> = text.split(':').collect();
    let names = &parts[1..];
    let count = match parts[0] {
        "tracepoint" | "t" => 2,
        "rawtracepoint" | "rt" | "tp_btf" => 1,
        "" => return Err(Flaw::new(whole, "a probe's name is missing").help(FORMS)),
        kind => {
            let kinds = ["tracepoint", "rawtracepoint", "tp_btf"];
            let help = did_you_mean(kind, kinds)
                .map_or_else(|| FORMS.to_owned(), |meant| format!("{meant} {FORMS}"));
            let message = format!("there is no kind of probe `{}`", kind.escape_debug());
            return Err(Flaw::new(0..kind.len(), message).help(help));
        }
    };
    if names.len() != count {
        return Err(
            Flaw::new(whole, format!("`{}` is not a probe's whole name", text.escape_debug())).help(FORMS)
        );
    }
    let mut start = parts[0].len() + 1;
    for name in names {
        let span = start..start + name.len();
        start = span.end + 1;
        if name.contains(['*', '?', '[', '{']) {
            return Err(Flaw::new(span, "a table is attached to one probe, and patterns are not supported")
                .help("name the probe itself"));
        }
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(in_name) {
            let message = format!("`{}` is not the name of a probe", name.escape_debug());
            return Err(Flaw::new(span, message).help(FORMS));
        }
    }
    Ok(match (parts[0], names) {
        ("tp_btf", names) => Attach::BtfTracepoint { name: names[0].to_owned() },
        (_, [category, name]) => {
            Attach::Tracepoint { category: (*category).to_owned(), name: (*name).to_owned() }
        }
        (_, names) => Attach::RawTracepoint { name: names[0].to_owned() },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_and_short_forms() {
        for (text, shown) in [
            ("t:sched:sched_switch", "tracepoint:sched:sched_switch"),
            ("tracepoint:sched:sched_switch", "tracepoint:sched:sched_switch"),
            ("rt:sys_enter", "rawtracepoint:sys_enter"),
            ("rawtracepoint:sys_enter", "rawtracepoint:sys_enter"),
            ("tp_btf:sys_enter", "tp_btf:sys_enter"),
        ] {
            assert_eq!(attach(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_name_is_never_a_path() {
        for text in
            ["t:..:x", "t:sched:../../x", "rt:", "t::x", "t:a:b:c", "rt:a/b", "t:sched", "", ":", "kprobe:f"]
        {
            assert!(attach(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(text in "(t|rt|tp_btf|x)?:?.{0,40}") {
            if let Ok(attach_point) = attach(&text) {
                prop_assert_eq!(attach(&attach_point.to_string()), Ok(attach_point));
            }
        }
    }
}
