//! Attaching a loaded program to its points.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya_obj::generated::perf_event_attr;
use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use super::bpf::{self, Place, Scope};
use super::{cpus, feature};
use crate::error::{Error, Kind, Result};
use crate::probe::tracepoint_id;
use crate::table::{Attach, PerfEvent, Period, Program};

/// What keeps a program attached; dropping it detaches. Links come before what they are made of.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: Vec<OwnedFd>,
    events: Vec<OwnedFd>,
    /// Events that every CPU has, with their cookies, and the CPUs that have them: others may come online later.
    everywhere: Vec<(Attach, u64, Vec<OnCpu>)>,
}

/// An event of one CPU.
#[derive(Debug)]
struct OnCpu {
    cpu: u32,
    _link: OwnedFd,
    event: OwnedFd,
    /// How long it was enabled when that was last asked.
    enabled: u64,
}

impl OnCpu {
    fn attach(program: BorrowedFd<'_>, attach: &Attach, cookie: u64, cpu: u32) -> Result<Self> {
        let failed = |error: io::Error| attach_error(attach, &error);
        let Event { mut attributes, .. } = event(attach)?;
        attributes.read_format = bpf::TIME_ENABLED;
        let event = bpf::open_event(&mut attributes, Scope::Cpu(cpu)).map_err(failed)?;
        let link = bpf::link_perf_event(program, event.as_fd(), cookie).map_err(failed)?;
        bpf::enable_event(&event).map_err(failed)?;
        Ok(Self { cpu, _link: link, event, enabled: 0 })
    }

    /// Whether it was enabled since this was last asked: the event of a CPU that went offline stays disabled when the
    /// CPU is back.
    fn lives(&mut self) -> bool {
        let before = self.enabled;
        self.enabled = bpf::time_enabled(self.event.as_fd()).unwrap_or_default();
        self.enabled > before
    }
}

/// A point, and the cookie by which its program knows it.
pub(super) type Point<'a> = (&'a Attach, u64);

impl Links {
    /// Attaches to each point by itself.
    pub(super) fn add(&mut self, program: BorrowedFd<'_>, point: Point<'_>) -> Result<()> {
        let (attach, cookie) = point;
        let failed = |error: io::Error| attach_error(attach, &error);
        match attach {
            Attach::RawTracepoint { name } => {
                self.links.push(bpf::open_raw_tracepoint(program, Some(&c_string(name)?)).map_err(failed)?);
            }
            Attach::BtfTracepoint { .. } | Attach::Function { .. } => {
                self.links.push(bpf::open_raw_tracepoint(program, None).map_err(failed)?);
            }
            Attach::Profile(_) | Attach::Perf { .. } => {
                self.everywhere.push((attach.clone(), cookie, Vec::new()));
                self.attach_to(&cpus::online()?, program)?;
            }
            _ => self.event(program, cookie, &mut event(attach)?).map_err(failed)?,
        }
        Ok(())
    }

    /// Attaches to many functions at once, where the kernel can do that; false, with nothing done, where it cannot.
    pub(super) fn add_kprobes(
        &mut self,
        program: BorrowedFd<'_>,
        points: &[Point<'_>],
        at_return: bool,
    ) -> Result<bool> {
        let names = points.iter().map(|(attach, _)| match attach {
            Attach::Kprobe { function, .. } => c_string(function),
            other => Err(Error::new(Kind::Software, format!("{other} is no kprobe"))),
        });
        let names = names.collect::<Result<Vec<CString>>>()?;
        let names: Vec<_> = names.iter().map(CString::as_c_str).collect();
        let cookies: Vec<u64> = points.iter().map(|(_, cookie)| *cookie).collect();
        Ok(bpf::link_kprobes(program, &names, &cookies, at_return).map(|link| self.links.push(link)).is_ok())
    }

    /// Attaches to places in one program's file at once. Unlike perf events, this takes no CAP_SYS_ADMIN
    /// (`perf_uprobe_event_init` in kernel/events/core.c).
    pub(super) fn add_uprobes(&mut self, program: BorrowedFd<'_>, points: &[Point<'_>]) -> Result<()> {
        let Some((first, _)) = points.first() else { return Ok(()) };
        let none = || Error::new(Kind::Software, format!("{first} is no uprobe"));
        let (file, at_return, pid) = in_file(first).ok_or_else(none)?;
        let places = points.iter().map(|(attach, cookie)| match attach {
            Attach::Uprobe { offset, .. } => Ok(Place { offset: *offset, counter: 0, cookie: *cookie }),
            Attach::Usdt { offset, semaphore, .. } => {
                Ok(Place { offset: *offset, counter: semaphore.unwrap_or_default(), cookie: *cookie })
            }
            _ => Err(none()),
        });
        let places = places.collect::<Result<Vec<_>>>()?;
        let link = bpf::link_uprobes(program, &c_string(&file.itself())?, &places, (at_return, pid));
        self.links.push(link.map_err(|error| attach_error(first, &error))?);
        Ok(())
    }

    /// Attaches what every CPU has on those that came online since.
    pub(super) fn keep_up(&mut self, program: BorrowedFd<'_>) -> Result<()> {
        if self.everywhere.is_empty() {
            return Ok(());
        }
        // What cannot be read now, as without a descriptor to be had, is read when the next interval ends.
        cpus::online().map_or(Ok(()), |online| self.attach_to(&online, program))
    }

    fn attach_to(&mut self, online: &[u32], program: BorrowedFd<'_>) -> Result<()> {
        for (attach, cookie, having) in &mut self.everywhere {
            having.retain_mut(|event| online.contains(&event.cpu) && event.lives());
            for cpu in online {
                if having.iter().any(|event| event.cpu == *cpu) {
                    continue;
                }
                match OnCpu::attach(program, attach, *cookie, *cpu) {
                    Ok(event) => having.push(event),
                    // It went offline since it was listed.
                    Err(_) if cpus::online().is_ok_and(|online| !online.contains(cpu)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    pub(super) fn each(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.links.iter().map(AsFd::as_fd)
    }

    fn event(&mut self, program: BorrowedFd<'_>, cookie: u64, event: &mut Event) -> io::Result<()> {
        let event_fd = bpf::open_event(&mut event.attributes, event.scope)?;
        let link = bpf::link_perf_event(program, event_fd.as_fd(), cookie)?;
        bpf::enable_event(&event_fd)?;
        self.links.push(link);
        self.events.push(event_fd);
        Ok(())
    }
}

/// What uprobes have in common that are attached at once.
pub(super) fn in_file(attach: &Attach) -> Option<(&Program, bool, Option<u32>)> {
    match attach {
        Attach::Uprobe { program, at_return, pid, .. } => Some((program, *at_return, *pid)),
        Attach::Usdt { program, pid, .. } => Some((program, false, *pid)),
        _ => None,
    }
}

/// A perf event to be opened, with the strings to which it points.
struct Event {
    attributes: perf_event_attr,
    scope: Scope,
    _name: Option<CString>,
}

impl Event {
    fn new(kind: u32, config: u64) -> Self {
        let mut attributes = bpf::blank_event();
        (attributes.type_, attributes.config) = (kind, config);
        attributes.set_disabled(1);
        Self { attributes, scope: Scope::Cpu(0), _name: None }
    }

    /// At an offset into a named function or file.
    fn at(mut self, name: CString, offset: u64) -> Self {
        self.attributes.__bindgen_anon_3.config1 = name.as_ptr() as u64;
        self.attributes.__bindgen_anon_4.config2 = offset;
        self._name = Some(name);
        self
    }

    fn of(mut self, pid: Option<u32>) -> Self {
        if let Some(pid) = pid {
            self.scope = Scope::Process(pid);
        }
        self
    }

    fn every(mut self, period: Period) -> Self {
        match period {
            Period::Hertz(hertz) => {
                self.attributes.set_freq(1);
                self.attributes.__bindgen_anon_1.sample_freq = hertz;
            }
            Period::Nanoseconds(nanoseconds) => self.attributes.__bindgen_anon_1.sample_period = nanoseconds,
        }
        self
    }
}

/// PERF_TYPE_HARDWARE, PERF_TYPE_SOFTWARE and PERF_TYPE_TRACEPOINT, of `enum perf_type_id`.
const HARDWARE: u32 = 0;
const SOFTWARE: u32 = 1;
const TRACEPOINT: u32 = 2;
/// PERF_COUNT_SW_CPU_CLOCK.
const CPU_CLOCK: u64 = 0;

fn event(attach: &Attach) -> Result<Event> {
    Ok(match attach {
        Attach::Tracepoint { category, name } => Event::new(TRACEPOINT, tracepoint_id(category, name)?),
        Attach::Kprobe { function, offset, at_return } => {
            Event::new(pmu("kprobe", attach)?, (*at_return).into()).at(c_string(function)?, *offset)
        }
        Attach::Uprobe { program, offset, at_return, pid, .. } => {
            Event::new(pmu("uprobe", attach)?, (*at_return).into())
                .at(c_string(&program.itself())?, *offset)
                .of(*pid)
        }
        Attach::Usdt { program, offset, semaphore, pid, .. } => {
            // The upper half is where the kernel counts those who listen.
            let config = semaphore.unwrap_or_default() << 32;
            Event::new(pmu("uprobe", attach)?, config).at(c_string(&program.itself())?, *offset).of(*pid)
        }
        Attach::Profile(period) | Attach::Interval(period) => Event::new(SOFTWARE, CPU_CLOCK).every(*period),
        Attach::Perf { event: PerfEvent { hardware, number, .. }, count } => {
            Event::new(if *hardware { HARDWARE } else { SOFTWARE }, *number)
                .every(Period::Nanoseconds(*count))
        }
        Attach::RawTracepoint { .. } | Attach::BtfTracepoint { .. } | Attach::Function { .. } => {
            return Err(Error::new(Kind::Software, format!("{attach} is no perf event")));
        }
    })
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(Kind::Config, "a name has a NUL in it"))
}

/// The number of a kind of perf event that has no fixed one.
fn pmu(name: &str, attach: &Attach) -> Result<u32> {
    let read = std::fs::read_to_string(format!("/sys/bus/event_source/devices/{name}/type"));
    read.ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("{attach}: this kernel has no {name}s"))
            .help(alternative(attach))
    })
}

/// What to try in place of a kind of probe that a kernel does not have.
pub(super) fn alternative(attach: &Attach) -> &'static str {
    match attach {
        Attach::Kprobe { .. } => {
            "it was built without CONFIG_KPROBE_EVENTS; use fentry: or fexit: if it has them (weir doctor), or a tracepoint"
        }
        Attach::Uprobe { .. } | Attach::Usdt { .. } => "it was built without CONFIG_UPROBE_EVENTS",
        Attach::Function { .. } => {
            "it was built without CONFIG_FUNCTION_TRACER or does not allow trampolines; use kprobe: or kretprobe:, or a raw tracepoint"
        }
        Attach::BtfTracepoint { .. } => "use rawtracepoint: or tracepoint: instead",
        Attach::Perf { event, .. } if event.hardware => {
            "virtual machines often have no such counters; use software: events or profile:"
        }
        _ => "weir doctor says what this kernel can do",
    }
}

/// Who may have uprobes.
const UPROBES: &str =
    "before Linux 6.6, and for one process before 6.12, it takes CAP_SYS_ADMIN, which a daemon does not keep";

/// What no privilege looks like, whatever was being done.
pub(super) fn permission(doing: &str) -> Error {
    Error::new(Kind::NoPermission, format!("{doing}: the kernel does not permit it to this user"))
        .help("run as root, or with CAP_BPF and CAP_PERFMON (and, for tracepoint:, read access to tracefs)")
}

/// The same for what takes a perf event.
pub(super) fn perf_permission(doing: &str) -> Error {
    let error = permission(doing);
    let held = feature::held();
    match feature::perf_restriction() {
        Some(setting) if held.contains(CapabilitySet::PERFMON) && !held.contains(CapabilitySet::SYS_ADMIN) => {
            error.help(format!(
                "kernel.perf_event_paranoid is {setting}, with which this kernel demands CAP_SYS_ADMIN for perf events: sysctl kernel.perf_event_paranoid=2"
            ))
        }
        _ => error,
    }
}

/// ENOTSUPP, which the kernel gives out though it is not meant for programs to see.
const NOT_SUPPORTED: i32 = 524;

pub(super) fn attach_error(attach: &Attach, error: &io::Error) -> Error {
    let unavailable = |message: String| Error::new(Kind::Unavailable, message);
    match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::ACCESS) => match attach {
            Attach::RawTracepoint { .. } | Attach::BtfTracepoint { .. } | Attach::Function { .. } => {
                permission(&format!("attaching to {attach}"))
            }
            Attach::Uprobe { .. } | Attach::Usdt { .. } => {
                permission(&format!("attaching to {attach}")).help(UPROBES)
            }
            _ => perf_permission(&format!("attaching to {attach}")),
        },
        // BPF_TRACE_MAX_PROGS in kernel/trace/bpf_trace.c, of whoever they are.
        Some(Errno::TOOBIG) => unavailable(format!(
            "{attach} cannot be attached to: 64 programs are attached there already, and the kernel takes no more"
        ))
        .help("stop another table at this point, or use rawtracepoint: or tp_btf:, which have no such bound"),
        Some(Errno::NOENT | Errno::NODEV) => {
            unavailable(format!("this kernel has no {attach}")).help(alternative(attach))
        }
        _ if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | NOT_SUPPORTED)) => {
            unavailable(format!("this kernel cannot attach to {attach}")).help(alternative(attach))
        }
        _ => unavailable(format!("{attach} cannot be attached to: {error}")),
    }
}
