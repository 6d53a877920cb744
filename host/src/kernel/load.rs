//! A table's programs: as few as its probes allow, loaded, and attached.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use aya_obj::btf::{Btf, BtfKind};
use aya_obj::generated::{bpf_attach_type, bpf_prog_type};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use weir_abi::Plan;

use super::attach::{Links, Point, alternative, in_file, permission};
use super::bpf::{self, NotLoaded};
use super::code::{self, Columns};
use super::feature;
use super::object::{self, Code, Entry};
use super::plan::Layout;
use crate::error::{Error, Kind, Result};
use crate::table::{Attach, Probe, TableSpec};

/// The kernel's own types, read when they are first needed.
#[derive(Debug, Default)]
pub(super) struct Types(Option<Btf>);

impl Types {
    /// The number of the type to which a program is attached.
    fn id(&mut self, attach: &Attach) -> Result<u32> {
        let (name, kind) = match attach {
            Attach::BtfTracepoint { name } => (format!("btf_trace_{name}"), BtfKind::Typedef),
            Attach::Function { function, .. } => (function.clone(), BtfKind::Func),
            _ => return Ok(0),
        };
        let absent = |error: aya_obj::btf::BtfError| {
            Error::new(Kind::Unavailable, format!("{attach}: {error}")).help(alternative(attach))
        };
        let types = match &mut self.0 {
            Some(types) => types,
            none => none.insert(Btf::from_sys_fs().map_err(absent)?),
        };
        types.id_by_type_name_kind(&name, kind).map_err(absent)
    }
}

/// One program, and the points to which it is attached.
#[derive(Debug)]
struct Program {
    fd: OwnedFd,
    points: Vec<(Attach, u64)>,
    way: Way,
}

/// How a program is attached to its points.
#[derive(Debug)]
enum Way {
    OneByOne,
    /// To all uprobes in one file.
    Uprobes,
    /// To all kprobes, or to one after the other with this program, which is the same, on a kernel that loads the first
    /// and does not attach it.
    Kprobes(OwnedFd),
}

/// A table's programs, in the order in which they are attached.
#[derive(Debug)]
pub(super) struct Programs {
    programs: Vec<Program>,
    links: Vec<Links>,
}

impl Programs {
    /// Loads what the table needs. Nothing is attached yet.
    pub(super) fn load(
        spec: &TableSpec,
        plan: &Plan,
        layout: &Layout,
        maps: &HashMap<&str, RawFd>,
        types: &mut Types,
    ) -> Result<Self> {
        let mut programs = Vec::new();
        // What only cleans up comes first, the events last.
        let paired = spec.starts.iter().any(|start| start.pair.is_some());
        if spec.is_span() && !paired {
            let exit = Attach::RawTracepoint { name: "sched_process_exit".into() };
            let linked = object::program(Entry::ThreadExit, plan, &Code::default(), maps)?;
            let fd = load(&exit, false, Entry::ThreadExit, &linked, types)?;
            programs.push(Program { fd, points: vec![(exit, 0)], way: Way::OneByOne });
        }
        for (entry, probes) in [(Entry::Start, &spec.starts), (Entry::Event, &spec.probes)] {
            for group in groups(probes) {
                programs.push(program(entry, &group, (spec, plan, layout), maps, types)?);
            }
        }
        Ok(Self { programs, links: Vec::new() })
    }

    pub(super) fn attach(&mut self) -> Result<()> {
        for program in &mut self.programs {
            let mut links = Links::default();
            let points: Vec<Point<'_>> =
                program.points.iter().map(|(attach, cookie)| (attach, *cookie)).collect();
            let at_return = matches!(points.first(), Some((Attach::Kprobe { at_return: true, .. }, _)));
            let at_once = match std::mem::replace(&mut program.way, Way::OneByOne) {
                Way::OneByOne => false,
                Way::Uprobes => links.add_uprobes(program.fd.as_fd(), &points).map(|()| true)?,
                Way::Kprobes(_) if links.add_kprobes(program.fd.as_fd(), &points, at_return)? => true,
                Way::Kprobes(one_by_one) => {
                    program.fd = one_by_one;
                    false
                }
            };
            if !at_once {
                for point in points {
                    links.add(program.fd.as_fd(), point)?;
                }
            }
            self.links.push(links);
        }
        Ok(())
    }

    /// The end of a span before its start: the other way round, ends in between would find no start.
    pub(super) fn detach(&mut self) {
        while self.links.pop().is_some() {}
    }

    /// Attaches on CPUs that came online.
    pub(super) fn keep_up(&mut self) -> Result<()> {
        for (program, links) in self.programs.iter().zip(&mut self.links) {
            links.keep_up(program.fd.as_fd())?;
        }
        Ok(())
    }

    /// What keeps kprobes attached.
    pub(super) fn kprobe_links(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let programs = self.programs.iter().zip(&self.links);
        programs.filter(|(program, _)| is_kprobe(program)).flat_map(|(_, links)| links.each())
    }

    /// Each program, with a point to which it is attached.
    pub(super) fn each(&self) -> impl Iterator<Item = (BorrowedFd<'_>, &Attach)> {
        self.programs.iter().filter_map(|program| Some((program.fd.as_fd(), &program.points.first()?.0)))
    }
}

fn is_kprobe(program: &Program) -> bool {
    matches!(program.points.first(), Some((Attach::Kprobe { .. }, _)))
}

/// Probes that one program can serve: of one kind, and with the same expressions.
fn groups(probes: &[Probe]) -> Vec<Vec<(&Probe, u64)>> {
    let mut groups: Vec<Vec<(&Probe, u64)>> = Vec::new();
    for (number, probe) in (0u64..).zip(probes) {
        let alike = |group: &&mut Vec<(&Probe, u64)>| {
            group.first().is_some_and(|(first, _)| {
                // A program of these is loaded for its point.
                !matches!(probe.attach, Attach::BtfTracepoint { .. } | Attach::Function { .. })
                    && std::mem::discriminant(&first.attach) == std::mem::discriminant(&probe.attach)
                    && in_file(&first.attach) == in_file(&probe.attach)
                    && Probe { attach: probe.attach.clone(), ..(*first).clone() } == *probe
            })
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push((probe, number)),
            None => groups.push(vec![(probe, number)]),
        }
    }
    groups
}

fn program(
    entry: Entry,
    group: &[(&Probe, u64)],
    (spec, plan, layout): (&TableSpec, &Plan, &Layout),
    maps: &HashMap<&str, RawFd>,
    types: &mut Types,
) -> Result<Program> {
    let Some((probe, _)) = group.first() else {
        return Err(Error::new(Kind::Software, "a program for no probe"));
    };
    let columns = Columns { keys: &spec.keys, measures: &spec.measures, nulls: layout.null_word };
    let code = Code {
        evaluate: Some(match entry {
            Entry::Event => code::evaluate(probe, &columns)?,
            _ => code::save(probe)?,
        }),
        pair: probe.pair.as_ref().map(code::pair).transpose()?,
    };
    let linked = object::program(entry, plan, &code, maps)?;
    let points: Vec<(Attach, u64)> =
        group.iter().map(|(probe, number)| (probe.attach.clone(), *number)).collect();
    // One link is at the entries of functions or at their returns.
    let at_once = |(attach, _): &(Attach, u64)| match (attach, &probe.attach) {
        (Attach::Kprobe { offset: 0, at_return, .. }, Attach::Kprobe { at_return: first, .. }) => {
            at_return == first
        }
        _ => false,
    };
    let whole_functions = points.iter().all(at_once);
    // Older kernels load such programs and do not attach them. What those before 6.12 take for a process here is a thread,
    // or all that share its memory (Linux commits 46ba0e49b642 and 900f362e2062).
    let since = |pid: Option<u32>| if pid.is_some() { (6, 12) } else { (6, 6) };
    if in_file(&probe.attach).is_some_and(|(.., pid)| feature::kernel_version() >= since(pid)) {
        let fd = load(&probe.attach, true, entry, &linked, types)?;
        return Ok(Program { fd, points, way: Way::Uprobes });
    }
    let fd = load(&probe.attach, false, entry, &linked, types)?;
    if points.len() > 1 && whole_functions {
        // Older kernels know no such programs; those without fprobes know them, and attach none.
        if let Ok(at_once) = load(&probe.attach, true, entry, &linked, types) {
            return Ok(Program { fd: at_once, points, way: Way::Kprobes(fd) });
        }
    }
    Ok(Program { fd, points, way: Way::OneByOne })
}

fn load(
    attach: &Attach,
    multiple: bool,
    entry: Entry,
    linked: &object::Linked,
    types: &mut Types,
) -> Result<OwnedFd> {
    use bpf_attach_type::{BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_TRACE_RAW_TP};
    use bpf_prog_type::{
        BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_PERF_EVENT, BPF_PROG_TYPE_RAW_TRACEPOINT,
        BPF_PROG_TYPE_TRACEPOINT, BPF_PROG_TYPE_TRACING,
    };
    let (kind, attach_type) = match attach {
        Attach::Tracepoint { .. } => (BPF_PROG_TYPE_TRACEPOINT, 0),
        Attach::RawTracepoint { .. } => (BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
        Attach::BtfTracepoint { .. } => (BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP as u32),
        Attach::Function { at_return: false, .. } => (BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY as u32),
        Attach::Function { at_return: true, .. } => (BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT as u32),
        Attach::Kprobe { .. } if multiple => (BPF_PROG_TYPE_KPROBE, bpf::KPROBE_MULTI),
        Attach::Uprobe { .. } | Attach::Usdt { .. } if multiple => (BPF_PROG_TYPE_KPROBE, bpf::UPROBE_MULTI),
        Attach::Kprobe { .. } | Attach::Uprobe { .. } | Attach::Usdt { .. } => (BPF_PROG_TYPE_KPROBE, 0),
        Attach::Profile(_) | Attach::Interval(_) | Attach::Perf { .. } => (BPF_PROG_TYPE_PERF_EVENT, 0),
    };
    let function = &linked.function;
    bpf::load_program(&bpf::Program {
        name: &format!("weir_{}", entry.name()),
        kind: kind as u32,
        attach_type,
        attach_btf: types.id(attach)?,
        instructions: &function.instructions,
        license: &linked.license,
        types: object::types(),
        functions: &function.func_info.func_info,
        lines: &function.line_info.line_info,
    })
    .map_err(|refusal| refused(attach, &refusal))
}

/// Lines of a log that are shown: the reason, and the instruction that it is about.
const REASON_LINES: usize = 2;

/// Whether this process has the capabilities that tracing programs need.
pub(crate) fn may_trace() -> bool {
    let held = feature::held();
    held.contains(CapabilitySet::SYS_ADMIN) || held.contains(CapabilitySet::PERFMON | CapabilitySet::BPF)
}

/// What the verifier has to say comes with a log whose last lines name the reason.
fn refused(attach: &Attach, refusal: &NotLoaded) -> Error {
    let NotLoaded { error, log } = refusal;
    match Errno::from_io_error(error) {
        // Where other programs are allowed, it is not the privilege that is missing.
        Some(Errno::PERM) if matches!(attach, Attach::Function { .. }) && may_trace() => {
            Error::new(Kind::Unavailable, format!("this kernel does not allow programs for {attach}"))
                .help(alternative(attach))
        }
        Some(Errno::PERM) => permission(&format!("loading a program for {attach}")),
        Some(Errno::NOMEM | Errno::TOOBIG) if log.is_empty() => {
            Error::new(Kind::Unavailable, format!("the kernel has no memory for a program for {attach}"))
        }
        _ if log.is_empty() => {
            Error::new(Kind::Unavailable, format!("the kernel refused a program for {attach}: {error}"))
                .help(alternative(attach))
        }
        _ => {
            let lines: Vec<&str> = log.lines().filter(|line| matters(line)).collect();
            let reason = lines[lines.len().saturating_sub(REASON_LINES)..].join("\n  ");
            Error::new(
                Kind::Software,
                format!("the kernel refused the program for {attach}: {error}\n  {reason}"),
            )
            .help("with -v the verifier's whole log is shown")
            .log(log)
        }
    }
}

/// Statistics follow after the reason.
fn matters(line: &str) -> bool {
    let statistics = ["processed ", "verification time", "stack depth", "max_states"];
    !line.trim().is_empty() && !statistics.iter().any(|start| line.starts_with(start))
}
