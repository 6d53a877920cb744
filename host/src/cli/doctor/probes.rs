//! Each kind of probe, tried: a table with one row is attached to a point of that kind, and detached.

use std::fs;
use std::path::Path;

use super::finding::{Finding, Verdict};
use crate::config::{Arguments, Config, Whose};
use crate::error::{Error, Kind, Result};
use crate::kernel::{Tables, feature};
use crate::probe::Kernel;

/// Tracepoints, raw tracepoints and functions that every kernel has, and that seldom run.
const TRACEPOINTS: [&str; 3] = ["sched:sched_process_exec", "sched:sched_process_exit", "sched:sched_switch"];
const RAW: [&str; 3] = ["sched_process_exec", "sched_process_exit", "sched_switch"];
const FUNCTIONS: [&str; 4] = ["vfs_fsync_range", "vfs_fallocate", "do_sys_openat2", "vfs_read"];

pub(super) struct Trial<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) privileged: bool,
}

impl Trial<'_> {
    pub(super) fn all(&self) -> Vec<Finding> {
        let whether = |name, about, result: Result<()>| Finding::tried(name, about, &result, self.privileged);
        vec![
            whether("tracepoint", "probes tracepoint:", self.first("tracepoint", &TRACEPOINTS)),
            whether("raw tracepoint", "probes rawtracepoint:", self.first("rawtracepoint", &RAW)),
            whether("BTF tracepoint", "probes tp_btf:", self.first("tp_btf", &RAW)),
            whether("kprobe", "probes kprobe:, in functions of the kernel", self.first("kprobe", &FUNCTIONS)),
            whether("kretprobe", "probes kretprobe:", self.first("kretprobe", &FUNCTIONS)),
            self.many(),
            whether("fentry", "probes fentry:, in functions of the kernel", self.first("fentry", &FUNCTIONS)),
            whether("fexit", "probes fexit:", self.first("fexit", &FUNCTIONS)),
            whether("uprobe", "probes uprobe:, in programs", self.uprobe()),
            self.semaphores(),
            whether("profile", "probes profile:, at regular times", self.attach("profile:hz:1")),
            whether("interval", "probes interval:, likewise on one CPU", self.attach("interval:s:1")),
            whether(
                "software events",
                "probes software:, which the kernel counts",
                self.attach("software:dummy:1"),
            ),
            whether(
                "hardware counters",
                "probes hardware:, which the processor counts",
                self.attach("hardware:cpu-cycles:1000000000"),
            ),
        ]
    }

    /// One of these, for a kernel may lack any of them.
    fn first(&self, kind: &str, names: &[&str]) -> Result<()> {
        let mut failed = None;
        for name in names {
            match self.attach(&format!("{kind}:{name}")) {
                // A name that is not there says nothing of the kind.
                Err(error) if error.kind == Kind::Config => drop(failed.get_or_insert(error)),
                other => return other,
            }
        }
        Err(failed.unwrap_or_else(|| Error::new(Kind::Software, "nothing was tried")))
    }

    /// Counts what this very process does there, so that nobody else is slowed down by it.
    fn attach(&self, probe: &str) -> Result<()> {
        let arguments = Arguments {
            probes: vec![probe.to_owned()],
            only: Some(Whose::Process(std::process::id())),
            ..Arguments::default()
        };
        let config = Config::from_arguments(&arguments, self.kernel);
        // The place is one in a command line that nobody wrote.
        let config = config.map_err(|error| Error { place: None, ..error })?;
        let attached = Tables::attach(&config.tables, &[]).and_then(Tables::finish);
        attached.map(drop).map_err(|error| {
            let message = error.message.strip_prefix("table watch: ").unwrap_or(&error.message).to_owned();
            Error { message, ..error }
        })
    }

    fn many(&self) -> Finding {
        const NAME: &str = "kprobe multi";
        let about = "many functions attached to at once; otherwise one after the other";
        let two: Vec<&str> =
            FUNCTIONS.into_iter().filter(|name| self.kernel.has_function(name)).take(2).collect();
        Finding::of(NAME, about, &feature::many_kprobes(&two), self.privileged)
    }

    /// In this program's own file, at its first instruction, which it does not pass again.
    fn uprobe(&self) -> Result<()> {
        let path = fs::read_link("/proc/self/exe")?;
        let offset = self.kernel.entry(&path.to_string_lossy())?;
        self.attach(&format!("uprobe:{}:{offset}", path.display()))
    }

    fn semaphores(&self) -> Finding {
        const NAME: &str = "USDT semaphores";
        let about = "probes usdt: in programs that look whether anybody traces";
        let uprobes = Path::new("/sys/bus/event_source/devices/uprobe");
        if uprobes.join("format/ref_ctr_offset").exists() {
            return Finding::new(Verdict::Ok, NAME, about);
        }
        let finding = Finding::new(Verdict::No, NAME, about);
        match uprobes.exists() {
            true => finding.why("this kernel does not keep their counters").help("Linux 4.20 and later do"),
            false => {
                finding.why("this kernel has no uprobes").help("it was built without CONFIG_UPROBE_EVENTS")
            }
        }
    }
}
