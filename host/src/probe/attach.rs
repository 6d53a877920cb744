//! Names of attach points, as they are written.

use std::ops::Range;

use super::flaw::Flaw;
use super::glob::Glob;
use super::nearest::did_you_mean;
use super::unit;
use crate::table::{PerfEvent, Period};

const FORMS: &str = "write tracepoint:CATEGORY:NAME, rawtracepoint:NAME, tp_btf:NAME, kprobe:FUNCTION, \
                     kretprobe:FUNCTION, fentry:FUNCTION, fexit:FUNCTION, uprobe:PATH:SYMBOL, uretprobe:PATH:SYMBOL, \
                     usdt:PATH:PROVIDER:NAME, profile:hz:NUMBER, interval:s:NUMBER, software:EVENT:COUNT or \
                     hardware:EVENT:COUNT";
/// Names beyond this are no kernel's; it bounds what goes into paths and messages, and is what a pattern can have.
const LONGEST_NAME: usize = Glob::LONGEST;
const LONGEST_PATH: usize = 4096;

/// Kinds of probes, by their names and short forms, as bpftrace has them.
const KINDS: [(&str, Kind); 29] = [
    ("tracepoint", Kind::Tracepoint),
    ("t", Kind::Tracepoint),
    ("rawtracepoint", Kind::RawTracepoint),
    ("rt", Kind::RawTracepoint),
    ("tp_btf", Kind::BtfTracepoint),
    ("kprobe", Kind::Kprobe),
    ("k", Kind::Kprobe),
    ("kretprobe", Kind::Kretprobe),
    ("kr", Kind::Kretprobe),
    ("fentry", Kind::Fentry),
    ("f", Kind::Fentry),
    ("kfunc", Kind::Fentry),
    ("fexit", Kind::Fexit),
    ("fr", Kind::Fexit),
    ("kretfunc", Kind::Fexit),
    ("uprobe", Kind::Uprobe),
    ("u", Kind::Uprobe),
    ("uretprobe", Kind::Uretprobe),
    ("ur", Kind::Uretprobe),
    ("usdt", Kind::Usdt),
    ("U", Kind::Usdt),
    ("profile", Kind::Profile),
    ("p", Kind::Profile),
    ("interval", Kind::Interval),
    ("i", Kind::Interval),
    ("software", Kind::Software),
    ("s", Kind::Software),
    ("hardware", Kind::Hardware),
    ("h", Kind::Hardware),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tracepoint,
    RawTracepoint,
    BtfTracepoint,
    Kprobe,
    Kretprobe,
    Fentry,
    Fexit,
    Uprobe,
    Uretprobe,
    Usdt,
    Profile,
    Interval,
    Software,
    Hardware,
}

/// What is written, not yet looked up: names may have wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Tracepoint { category: String, name: String },
    RawTracepoint { name: String },
    BtfTracepoint { name: String },
    Kprobe { function: String, offset: u64, at_return: bool },
    Function { function: String, at_return: bool },
    Uprobe { binary: String, symbol: Symbol, at_return: bool },
    Usdt { binary: String, provider: String, name: String },
    Profile(Period),
    Interval(Period),
    Perf { event: PerfEvent, count: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    Named {
        name: String,
        offset: u64,
    },
    /// An offset into the file.
    Offset(u64),
}

/// The kernel's software events (`enum perf_sw_ids`), by bpftrace's names, with how many of them make one event if
/// nothing is said.
pub(crate) const SOFTWARE: [(&str, u64, u64); 11] = [
    ("cpu-clock", 0, 1_000_000),
    ("task-clock", 1, 1_000_000),
    ("page-faults", 2, 100),
    ("context-switches", 3, 1000),
    ("cpu-migrations", 4, 1),
    ("minor-faults", 5, 100),
    ("major-faults", 6, 1),
    ("alignment-faults", 7, 1),
    ("emulation-faults", 8, 1),
    ("dummy", 9, 1),
    ("bpf-output", 10, 1),
];
const SOFTWARE_SHORT: [(&str, &str); 4] = [
    ("cpu", "cpu-clock"),
    ("faults", "page-faults"),
    ("cs", "context-switches"),
    ("migrations", "cpu-migrations"),
];

/// The processor's events (`enum perf_hw_id`), likewise.
pub(crate) const HARDWARE: [(&str, u64, u64); 10] = [
    ("cpu-cycles", 0, 1_000_000),
    ("instructions", 1, 1_000_000),
    ("cache-references", 2, 1_000_000),
    ("cache-misses", 3, 1_000_000),
    ("branch-instructions", 4, 100_000),
    ("branch-misses", 5, 100_000),
    ("bus-cycles", 6, 100_000),
    ("frontend-stalls", 7, 1_000_000),
    ("backend-stalls", 8, 1_000_000),
    ("ref-cycles", 9, 1_000_000),
];
const HARDWARE_SHORT: [(&str, &str); 2] = [("cycles", "cpu-cycles"), ("branches", "branch-instructions")];

/// The whole name of a kind of probe, from it or a short form.
pub(crate) fn kind_name(name: &str) -> Option<&'static str> {
    let (_, kind) = KINDS.into_iter().find(|(known, _)| *known == name)?;
    // The first of each kind is the whole name.
    KINDS.into_iter().find(|(_, known)| *known == kind).map(|(name, _)| name)
}

/// Whether a name has wildcards.
pub(crate) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Reads the name of one or several attach points. Whether this machine has them, [`super::Kernel::points`] says.
pub(crate) fn pattern(text: &str) -> Result<Pattern, Flaw> {
    let whole = 0..text.len();
    let kind_name = text.split(':').next().unwrap_or_default();
    if kind_name.is_empty() {
        return Err(Flaw::new(whole, "a probe's name is missing").help(FORMS));
    }
    let Some((_, kind)) = KINDS.into_iter().find(|(name, _)| *name == kind_name) else {
        let names = KINDS.into_iter().map(|(name, _)| name).filter(|name| name.len() > 2);
        let help = did_you_mean(kind_name, names).unwrap_or_else(|| FORMS.to_owned());
        let message = format!("there is no kind of probe `{}`", kind_name.escape_debug());
        return Err(Flaw::new(0..kind_name.len(), message).help(help));
    };
    let Some(rest) = text.get(kind_name.len() + 1..) else {
        return Err(Flaw::new(whole, format!("`{kind_name}` is not a probe's whole name")).help(FORMS));
    };
    let reader = Reader { text, start: kind_name.len() + 1 };
    match kind {
        Kind::Tracepoint => {
            let [category, name] = reader.names(rest)?;
            Ok(Pattern::Tracepoint { category, name })
        }
        Kind::RawTracepoint => reader.names(rest).map(|[name]| Pattern::RawTracepoint { name }),
        Kind::BtfTracepoint => reader.names(rest).map(|[name]| Pattern::BtfTracepoint { name }),
        Kind::Kprobe | Kind::Kretprobe => {
            let at_return = kind == Kind::Kretprobe;
            let (function, offset) = reader.with_offset(rest)?;
            if at_return && offset != 0 {
                return Err(Flaw::new(
                    whole,
                    "a function returns from where it was entered: there is no offset",
                ));
            }
            let [function] = reader.names(function)?;
            Ok(Pattern::Kprobe { function, offset, at_return })
        }
        Kind::Fentry | Kind::Fexit => {
            let [function] = reader.names(rest)?;
            Ok(Pattern::Function { function, at_return: kind == Kind::Fexit })
        }
        Kind::Uprobe | Kind::Uretprobe => {
            // A path can have colons, a symbol of C cannot.
            let (binary, symbol) = rest.rsplit_once(':').ok_or_else(|| reader.incomplete())?;
            let at_return = kind == Kind::Uretprobe;
            let symbol = match number(symbol) {
                Some(offset) => Symbol::Offset(offset),
                None => {
                    let (name, offset) = reader.with_offset(symbol)?;
                    Symbol::Named { name: reader.symbol(name)?, offset }
                }
            };
            if at_return && matches!(symbol, Symbol::Named { offset: 1.., .. }) {
                return Err(Flaw::new(
                    whole,
                    "a function returns from where it was entered: there is no offset",
                ));
            }
            Ok(Pattern::Uprobe { binary: reader.path(binary)?, symbol, at_return })
        }
        Kind::Usdt => {
            let (front, name) = rest.rsplit_once(':').ok_or_else(|| reader.incomplete())?;
            let (binary, provider) = front.rsplit_once(':').ok_or_else(|| reader.incomplete())?;
            let (provider, name) = (reader.symbol(provider)?, reader.symbol(name)?);
            Ok(Pattern::Usdt { binary: reader.path(binary)?, provider, name })
        }
        Kind::Profile => reader.period(rest).map(Pattern::Profile),
        Kind::Interval => reader.period(rest).map(Pattern::Interval),
        Kind::Software => reader.event(rest, false, &SOFTWARE, &SOFTWARE_SHORT),
        Kind::Hardware => reader.event(rest, true, &HARDWARE, &HARDWARE_SHORT),
    }
}

/// Reads what follows the kind.
struct Reader<'a> {
    text: &'a str,
    start: usize,
}

impl Reader<'_> {
    fn whole(&self) -> Range<usize> {
        0..self.text.len()
    }

    fn incomplete(&self) -> Flaw {
        Flaw::new(self.whole(), format!("`{}` is not a probe's whole name", self.text.escape_debug()))
            .help(FORMS)
    }

    /// Names of the kernel's, separated by colons.
    fn names<const COUNT: usize>(&self, rest: &str) -> Result<[String; COUNT], Flaw> {
        let names: Vec<&str> = rest.split(':').collect();
        let mut start = self.start;
        for name in &names {
            let span = start..start + name.len();
            start = span.end + 1;
            let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '?');
            if name.is_empty()
                || name.len() > LONGEST_NAME
                || name.starts_with('.')
                || !name.chars().all(in_name)
            {
                let message = format!("`{}` is not the name of a probe", name.escape_debug());
                return Err(Flaw::new(span, message).help(FORMS));
            }
        }
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.try_into().map_err(|_| self.incomplete())
    }

    /// `name` or `name+offset`.
    fn with_offset<'b>(&self, text: &'b str) -> Result<(&'b str, u64), Flaw> {
        let Some((name, offset)) = text.rsplit_once('+') else { return Ok((text, 0)) };
        let offset = number(offset).ok_or_else(|| {
            Flaw::new(self.whole(), format!("`{}` is no offset", offset.escape_debug()))
                .help("an offset is written `function+16` or `function+0x10`")
        })?;
        Ok((name, offset))
    }

    fn symbol(&self, name: &str) -> Result<String, Flaw> {
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(|c| c.is_control() || c == '/') {
            return Err(Flaw::new(self.whole(), format!("`{}` is not a symbol's name", name.escape_debug())));
        }
        Ok(name.to_owned())
    }

    fn path(&self, path: &str) -> Result<String, Flaw> {
        if path.is_empty() || path.len() > LONGEST_PATH || path.contains('\0') {
            return Err(Flaw::new(self.whole(), "the path of a program or library is missing")
                .help("write its path, or its name: /usr/bin/bash, bash, libc, libssl.so.3"));
        }
        Ok(path.to_owned())
    }

    fn period(&self, rest: &str) -> Result<Period, Flaw> {
        const HELP: &str = "write hz:99, or a period as s:1, ms:10 or us:500";
        let wrong = |message: &str| Flaw::new(self.start..self.text.len(), message).help(HELP);
        // `interval:1s` is a duration as elsewhere.
        if let Ok(nanoseconds) = unit::duration(rest) {
            return period(Period::Nanoseconds(nanoseconds))
                .ok_or_else(|| wrong("a period is from 10us to 1h"));
        }
        let (unit, count) = rest.split_once(':').ok_or_else(|| self.incomplete())?;
        let count: u64 = count.parse().map_err(|_| wrong("how often is not a number"))?;
        let long = |nanoseconds: u64| count.checked_mul(nanoseconds).map(Period::Nanoseconds);
        let found = match unit {
            "hz" => Some(Period::Hertz(count)),
            "s" => long(1_000_000_000),
            "ms" => long(1_000_000),
            "us" => long(1_000),
            _ => return Err(wrong("this is no unit of time")),
        };
        found
            .and_then(period)
            .ok_or_else(|| wrong("how often is from once an hour to 100,000 times a second"))
    }

    fn event(
        &self,
        rest: &str,
        hardware: bool,
        known: &'static [(&str, u64, u64)],
        short: &[(&str, &str)],
    ) -> Result<Pattern, Flaw> {
        let (name, count) = rest.split_once(':').map_or((rest, None), |(name, count)| (name, Some(count)));
        let name = short.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long);
        let Some((name, number, usual)) = known.iter().find(|(known, ..)| *known == name) else {
            let names = known.iter().map(|(name, ..)| *name);
            let all = format!("there are {}", names.clone().collect::<Vec<_>>().join(", "));
            let help = did_you_mean(name, names).map_or(all.clone(), |meant| format!("{meant} {all}"));
            return Err(Flaw::new(self.start..self.text.len(), "there is no such event").help(help));
        };
        let count = match count {
            None | Some("") => Some(*usual),
            Some(count) => count.parse().ok().filter(|count| *count > 0),
        };
        let count = count.ok_or_else(|| {
            Flaw::new(self.start..self.text.len(), "how many events make one is a number above 0")
        })?;
        Ok(Pattern::Perf { event: PerfEvent { hardware, name, number: *number }, count })
    }
}

/// The bounds of what a machine can be asked for.
fn period(period: Period) -> Option<Period> {
    let within = match period {
        Period::Hertz(hertz) => (1..=100_000).contains(&hertz),
        Period::Nanoseconds(nanoseconds) => (10_000..=3_600_000_000_000).contains(&nanoseconds),
    };
    within.then_some(period)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_and_short_forms() {
        for (short, long) in [
            ("t:sched:sched_switch", "tracepoint:sched:sched_switch"),
            ("rt:sys_enter", "rawtracepoint:sys_enter"),
            ("k:vfs_read+0x10", "kprobe:vfs_read+16"),
            ("kr:tcp_*", "kretprobe:tcp_*"),
            ("f:vfs_read", "fentry:vfs_read"),
            ("kretfunc:vfs_read", "fexit:vfs_read"),
            ("u:/bin/a:b:main", "uprobe:/bin/a:b:main"),
            ("U:/bin/a:p:n", "usdt:/bin/a:p:n"),
            ("p:hz:99", "profile:hz:99"),
            ("i:s:1", "interval:1s"),
            ("s:faults:1", "software:page-faults:1"),
            ("h:cycles:", "hardware:cpu-cycles"),
        ] {
            let read = |text| pattern(text).unwrap_or_else(|flaw| panic!("{text}: {}", flaw.error));
            assert_eq!(read(short), read(long));
        }
    }

    #[test]
    fn a_name_is_never_a_path() {
        for text in [
            "t:..:x",
            "t:sched:../../x",
            "rt:",
            "t::x",
            "t:a:b:c",
            "rt:a/b",
            "t:sched",
            "",
            ":",
            "kprobe:",
            "kprobe:a b",
            "kr:a+1",
            "p:hz:0",
            "p:hz",
            "profile:hz:x",
            "i:s:99999",
            "s:fault",
            "uprobe:main",
            "uprobe::main",
            "usdt:a:b",
        ] {
            assert!(pattern(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(text in "(t|rt|tp_btf|k|kr|f|u|U|p|i|s|h|x)?:?.{0,40}") {
            if let Err(flaw) = pattern(&text) {
                prop_assert!(text.get(flaw.span.clone()).is_some(), "{:?}", flaw);
            }
        }
    }
}
