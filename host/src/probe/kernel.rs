//! The kernel's own descriptions of what it offers.

use std::cell::OnceCell;
use std::fs;
use std::io;
use std::path::PathBuf;

use super::btf::Btf;
use super::nearest::{nearest, one_of};
use super::record::Record;
use super::tracefs;
use crate::error::{Error, Kind, Result};
use crate::table::Attach;

/// Where a kernel describes itself. What is read is kept, so that a configuration of many tables reads the
/// type information once.
#[derive(Debug)]
pub struct Kernel {
    tracefs: Vec<PathBuf>,
    btf: PathBuf,
    cgroup: PathBuf,
    types: OnceCell<Result<Btf>>,
}

impl Kernel {
    /// The kernel that is running.
    #[must_use]
    pub fn running() -> Self {
        Self {
            tracefs: tracefs::mounts().into(),
            btf: "/sys/kernel/btf/vmlinux".into(),
            cgroup: "/sys/fs/cgroup".into(),
            types: OnceCell::new(),
        }
    }

    /// What a program at this point finds in its context; an error that names the nearest points if there is
    /// no such point.
    pub fn record(&self, attach: &Attach) -> Result<Record> {
        match attach {
            Attach::Tracepoint { category, name } => {
                let events = tracefs::events(&self.tracefs)?;
                if let Some(text) = tracefs::format(&events, category, name)? {
                    return Ok(tracefs::parse(category, &text));
                }
                let names = tracefs::list(&events)?;
                let wanted = format!("{category}:{name}");
                Err(absent("tracepoint", &wanted, "tracepoint:", names.iter().map(String::as_str)))
            }
            Attach::RawTracepoint { name } => {
                let types = self.types()?;
                types
                    .record(name)
                    .ok_or_else(|| absent("raw tracepoint", name, "rawtracepoint:", types.tracepoints()))
            }
            Attach::BtfTracepoint { name } => {
                let types = self.types()?;
                types
                    .record(name)
                    .ok_or_else(|| absent("BTF tracepoint", name, "tp_btf:", types.tracepoints()))
            }
        }
    }

    /// Every point that a table can be attached to, by the names of [`super::attach`], sorted by kind.
    pub fn points(&self) -> Result<Vec<String>> {
        let tracepoints = tracefs::list(&tracefs::events(&self.tracefs)?)?;
        let mut points: Vec<String> = tracepoints.iter().map(|name| format!("tracepoint:{name}")).collect();
        let types = self.types()?;
        points.extend(types.tracepoints().map(|name| format!("rawtracepoint:{name}")));
        points.extend(types.tracepoints().map(|name| format!("tp_btf:{name}")));
        Ok(points)
    }

    /// Whether control groups have an id of their own: with version 1, a process is in one group of each
    /// hierarchy, and `bpf_get_current_cgroup_id` knows none of them.
    pub(crate) fn has_cgroup_ids(&self) -> bool {
        self.cgroup.join("cgroup.controllers").exists()
    }

    fn types(&self) -> Result<&Btf> {
        let read = || {
            let bytes = fs::read(&self.btf).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Error::new(
                    Kind::Unavailable,
                    format!("this kernel has no type information: {} is not there", self.btf.display()),
                )
                .help("use tracepoint:CATEGORY:NAME, or a kernel built with CONFIG_DEBUG_INFO_BTF"),
                io::ErrorKind::PermissionDenied => Error::new(
                    Kind::NoPermission,
                    format!("{} cannot be read: permission denied", self.btf.display()),
                )
                .help("run as root"),
                _ => Error::from(error).context(self.btf.display()),
            })?;
            Btf::parse(bytes)
        };
        self.types.get_or_init(read).as_ref().map_err(Clone::clone)
    }
}

fn absent<'a>(what: &str, name: &str, prefix: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let near: Vec<String> = nearest(name, names).iter().map(|name| format!("{prefix}{name}")).collect();
    let help = match near.is_empty() {
        true => "its module may not be loaded, or the kernel was built without it".to_owned(),
        false => format!("did you mean {}?", one_of(near.iter().map(String::as_str))),
    };
    Error::new(Kind::Config, format!("this kernel has no {what} `{name}`")).help(help)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::probe::attach;
    use crate::probe::btf::tests::sample;
    use crate::probe::record::Content;

    /// A kernel made of the recorded descriptions under `fixtures`, with control groups of version 2.
    pub(crate) fn recorded(folder: &Path) -> Kernel {
        fs::write(folder.join("btf"), sample()).unwrap();
        fs::write(folder.join("cgroup.controllers"), "").unwrap();
        Kernel {
            tracefs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/src/probe/fixtures").into()],
            btf: folder.join("btf"),
            cgroup: folder.to_owned(),
            types: OnceCell::new(),
        }
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = Kernel {
            tracefs: vec![folder.path().join("tracing")],
            btf: folder.path().join("btf"),
            cgroup: folder.path().to_owned(),
            types: OnceCell::new(),
        };
        let error = kernel.record(&attach("t:sched:sched_switch").unwrap()).unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.to_string().contains("mount -t tracefs tracefs /sys/kernel/tracing"), "{error}");
        let error = kernel.record(&attach("rt:sys_enter").unwrap()).unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.to_string().contains("CONFIG_DEBUG_INFO_BTF"), "{error}");
        assert!(!kernel.has_cgroup_ids());
    }

    /// On the running kernel, all that it offers, if this process may see it.
    #[test]
    fn every_point_of_this_kernel_is_understood() {
        let kernel = Kernel::running();
        let points = match kernel.points() {
            Ok(points) => points,
            Err(error) if matches!(error.kind, Kind::NoPermission | Kind::Unavailable) => {
                eprintln!("not run: {error}");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        assert!(points.len() > 500, "{} points", points.len());
        let mut numbers = 0;
        for point in &points {
            let record =
                kernel.record(&attach(point).unwrap()).unwrap_or_else(|error| panic!("{point}: {error}"));
            for field in &record.fields {
                if let Content::Number(number) | Content::Numbers(number, _) = field.content {
                    numbers += 1;
                    record.load(number);
                }
            }
        }
        assert!(numbers > points.len(), "{numbers} numbers in {} points", points.len());
    }
}
