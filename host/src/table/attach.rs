//! Points to which a program can be attached.

use std::fmt;

use super::Program;

/// A point in the kernel, or in a program, to which a program can be attached. It prints as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attach {
    /// `tracepoint:category:name`, through perf events.
    Tracepoint { category: String, name: String },
    /// `rawtracepoint:name`.
    RawTracepoint { name: String },
    /// `tp_btf:name`, a raw tracepoint whose arguments are typed by BTF.
    BtfTracepoint { name: String },
    /// `kprobe:function[+offset]` and `kretprobe:function`.
    Kprobe { function: String, offset: u64, at_return: bool },
    /// `fentry:function` and `fexit:function`.
    Function { function: String, at_return: bool },
    /// `uprobe:path:symbol[+offset]` and `uretprobe:path:symbol`, in all processes or in one.
    Uprobe { program: Program, symbol: String, offset: u64, at_return: bool, pid: Option<u32> },
    /// `usdt:path:provider:name`, at one of its places.
    Usdt {
        program: Program,
        provider: String,
        name: String,
        offset: u64,
        semaphore: Option<u64>,
        pid: Option<u32>,
    },
    /// `profile:hz:99` and the like: on every CPU.
    Profile(Period),
    /// `interval:s:1` and the like: on one CPU.
    Interval(Period),
    /// `software:event:count` and `hardware:event:count`: once for so many of them, on every CPU.
    Perf { event: PerfEvent, count: u64 },
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    Hertz(u64),
    Nanoseconds(u64),
}

/// An event that the kernel, or the processor, counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PerfEvent {
    pub hardware: bool,
    pub name: &'static str,
    /// Its number in `enum perf_sw_ids` or `enum perf_hw_id` (include/uapi/linux/perf_event.h).
    pub number: u64,
}

impl fmt::Display for Attach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = |offset: &u64| if *offset == 0 { String::new() } else { format!("+{offset}") };
        match self {
            Self::Tracepoint { category, name } => write!(f, "tracepoint:{category}:{name}"),
            Self::RawTracepoint { name } => write!(f, "rawtracepoint:{name}"),
            Self::BtfTracepoint { name } => write!(f, "tp_btf:{name}"),
            Self::Kprobe { function, offset, at_return } => {
                let kind = if *at_return { "kretprobe" } else { "kprobe" };
                write!(f, "{kind}:{function}{}", plus(offset))
            }
            Self::Function { function, at_return } => {
                write!(f, "{}:{function}", if *at_return { "fexit" } else { "fentry" })
            }
            Self::Uprobe { program, symbol, at_return, .. } => {
                let kind = if *at_return { "uretprobe" } else { "uprobe" };
                write!(f, "{kind}:{}:{symbol}", program.path().display())
            }
            Self::Usdt { program, provider, name, .. } => {
                write!(f, "usdt:{}:{provider}:{name}", program.path().display())
            }
            Self::Profile(period) => write!(f, "profile:{period}"),
            Self::Interval(period) => write!(f, "interval:{period}"),
            Self::Perf { event, count } => {
                let kind = if event.hardware { "hardware" } else { "software" };
                write!(f, "{kind}:{}:{count}", event.name)
            }
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hertz(hertz) => write!(f, "hz:{hertz}"),
            Self::Nanoseconds(nanoseconds) => {
                let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
                let (unit, length) =
                    units.into_iter().find(|(_, length)| nanoseconds % length == 0).unwrap_or(("ns", 1));
                write!(f, "{unit}:{}", nanoseconds / length)
            }
        }
    }
}
