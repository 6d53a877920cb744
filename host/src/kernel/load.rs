//! Loading a table's programs and attaching them.

use aya::maps::{Map, MapData};
use aya::programs::{
    BtfTracePoint, ProgramError, ProgramFd, RawTracePoint, TracePoint, raw_trace_point, tp_btf, trace_point,
};
use aya::{Btf, Ebpf, EbpfError, EbpfLoader, Pod};
use rustix::io::Errno;
use weir_abi::Plan;

use super::object;
use super::plan::Layout;
use crate::error::{Error, Kind, Result};
use crate::table::{Attach, TableSpec};

/// Threads that can be between the start and the end of a span of one table; the start of any other is
/// counted as dropped.
const STARTS: u32 = 32_768;

/// The plan's bytes, as they are written into the object.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct PlanBytes(Plan);

#[allow(unsafe_code, reason = "aya takes globals by this marker")]
// SAFETY: a plan is a #[repr(C)] structure of u32 and u64 whose sizes leave no padding.
unsafe impl Pod for PlanBytes {}

/// What keeps a program attached; dropping it detaches.
pub(super) enum Link {
    Tracepoint(#[allow(dead_code, reason = "held for its drop")] trace_point::TracePointLink),
    Raw(#[allow(dead_code, reason = "held for its drop")] raw_trace_point::RawTracePointLink),
    Btf(#[allow(dead_code, reason = "held for its drop")] tp_btf::BtfTracePointLink),
}

/// A table's programs, loaded and not yet attached.
pub(super) struct Loaded {
    ebpf: Ebpf,
}

/// What a program is for.
#[derive(Clone, Copy)]
enum Role {
    Event,
    Start,
}

/// Loads the kernel side for one table.
pub(super) fn load(
    spec: &TableSpec,
    plan: Plan,
    layout: &Layout,
    cpus: u32,
    btf: Option<&Btf>,
) -> Result<Loaded> {
    let object = object::sized(layout, spec.saved.len())?;
    let capacity = layout.capacity() as u32;
    let buckets = layout.bucket_capacity() as u32;
    let shards = layout.shards() as u32;
    let plan = PlanBytes(plan);
    let mut loader = EbpfLoader::new();
    loader
        .btf(btf)
        .override_global("PLAN", &plan, true)
        .map_max_entries("KEYS", 2 * capacity)
        .map_max_entries("CELLS", 2 * shards * capacity)
        .map_max_entries("BUCKET_KEYS", 2 * buckets)
        .map_max_entries("BUCKET_CELLS", 2 * shards * buckets)
        .map_max_entries("STARTS", if spec.from.is_some() { STARTS + cpus } else { 1 });
    let ebpf = loader.load(&object).map_err(|error| load_error(&spec.name, &error))?;
    Ok(Loaded { ebpf })
}

impl Loaded {
    /// Takes a map, to be owned by the table.
    pub(super) fn map(&mut self, name: &str) -> Result<MapData> {
        match self.ebpf.take_map(name) {
            Some(Map::Array(map) | Map::ArrayOfMaps(map)) => Ok(map),
            _ => Err(Error::new(Kind::Software, format!("the kernel object has no map {name}"))),
        }
    }

    /// Attaches everything that the table needs: what only cleans up first, the events last.
    pub(super) fn attach(&mut self, spec: &TableSpec, btf: Option<&Btf>) -> Result<(Vec<Link>, ProgramFd)> {
        let mut links = Vec::new();
        if let Some(from) = &spec.from {
            let exit = Attach::RawTracepoint { name: "sched_process_exit".into() };
            links.push(self.attach_one("thread_exit", &exit, btf)?.0);
            links.push(self.attach_one(program(from, Role::Start), from, btf)?.0);
        }
        let (link, fd) = self.attach_one(program(&spec.attach, Role::Event), &spec.attach, btf)?;
        links.push(link);
        Ok((links, fd))
    }

    fn attach_one(&mut self, program: &str, attach: &Attach, btf: Option<&Btf>) -> Result<(Link, ProgramFd)> {
        let failed = |error: ProgramError| attach_error(attach, &error);
        let wrong = || Error::new(Kind::Software, format!("the kernel object has no program {program}"));
        let found = self.ebpf.program_mut(program).ok_or_else(wrong)?;
        let duplicate = |fd: &ProgramFd| fd.try_clone().map_err(Error::from);
        match attach {
            Attach::Tracepoint { category, name } => {
                let found: &mut TracePoint = found.try_into().map_err(failed)?;
                found.load().map_err(failed)?;
                let id = found.attach(category, name).map_err(failed)?;
                let link = found.take_link(id).map_err(failed)?;
                Ok((Link::Tracepoint(link), duplicate(found.fd().map_err(failed)?)?))
            }
            Attach::RawTracepoint { name } => {
                let found: &mut RawTracePoint = found.try_into().map_err(failed)?;
                found.load().map_err(failed)?;
                let id = found.attach(name).map_err(failed)?;
                let link = found.take_link(id).map_err(failed)?;
                Ok((Link::Raw(link), duplicate(found.fd().map_err(failed)?)?))
            }
            Attach::BtfTracepoint { name } => {
                let btf = btf.ok_or_else(|| {
                    Error::new(Kind::Unavailable, format!("{attach} needs the kernel's type information"))
                        .help("this kernel has no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF); use rawtracepoint: instead")
                })?;
                let found: &mut BtfTracePoint = found.try_into().map_err(failed)?;
                found.load(name, btf).map_err(failed)?;
                let id = found.attach().map_err(failed)?;
                let link = found.take_link(id).map_err(failed)?;
                Ok((Link::Btf(link), duplicate(found.fd().map_err(failed)?)?))
            }
        }
    }
}

fn program(attach: &Attach, role: Role) -> &'static str {
    match (role, attach) {
        (Role::Event, Attach::Tracepoint { .. }) => "event_tracepoint",
        (Role::Event, Attach::RawTracepoint { .. }) => "event_raw",
        (Role::Event, Attach::BtfTracepoint { .. }) => "event_btf",
        (Role::Start, Attach::Tracepoint { .. }) => "start_tracepoint",
        (Role::Start, Attach::RawTracepoint { .. }) => "start_raw",
        (Role::Start, Attach::BtfTracepoint { .. }) => "start_btf",
    }
}

/// The message of an error and of all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    message
}

/// The error number at the bottom of an error.
fn errno(error: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    let mut error = Some(error);
    while let Some(this) = error {
        if let Some(io) = this.downcast_ref::<std::io::Error>() {
            return Errno::from_io_error(io);
        }
        error = this.source();
    }
    None
}

/// What no privilege looks like, whatever was being done.
pub(super) fn permission(doing: &str) -> Error {
    Error::new(Kind::NoPermission, format!("{doing}: the kernel does not permit it to this user"))
        .help("run as root, or with CAP_BPF and CAP_PERFMON (and, for tracepoint:, read access to tracefs)")
}

fn load_error(table: &str, error: &EbpfError) -> Error {
    match errno(error) {
        Some(Errno::PERM | Errno::ACCESS) => permission(&format!("loading table {table}")),
        Some(Errno::NOMEM | Errno::TOOBIG) => {
            Error::new(Kind::Unavailable, format!("the kernel has no memory for table {table}"))
                .help("give the table fewer `keys`")
        }
        _ => Error::new(Kind::Software, format!("loading table {table}: {}", chain(error))),
    }
}

fn attach_error(attach: &Attach, error: &ProgramError) -> Error {
    // What the verifier has to say comes with a log whose last lines name the reason.
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        if Errno::from_io_error(io_error) == Some(Errno::PERM) {
            return permission(&format!("loading a program for {attach}"));
        }
        let log = verifier_log.to_string();
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let reason = lines[lines.len().saturating_sub(6)..].join("\n  ");
        return Error::new(
            Kind::Software,
            format!("the kernel refused the program for {attach}: {io_error}\n  {reason}"),
        );
    }
    match errno(error) {
        Some(Errno::PERM | Errno::ACCESS) => permission(&format!("attaching to {attach}")),
        Some(Errno::NOENT) => Error::new(Kind::Unavailable, format!("this kernel has no {attach}")),
        _ => Error::new(Kind::Unavailable, format!("{attach} cannot be attached to: {}", chain(error))),
    }
}
