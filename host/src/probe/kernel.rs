//! The kernel's own descriptions of what it offers.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::PathBuf;

use super::attach::{HARDWARE, Pattern, SOFTWARE, Symbol, is_pattern};
use super::btf::Btf;
use super::glob::Glob;
use super::nearest::{nearest, one_of};
use super::programs::{Found, Open, Programs, Wanted};
use super::record::Record;
use super::registers;
use super::tracefs;
use crate::error::{Error, Kind, Result};
use crate::table::{Access, Attach, Program};

/// Points of one table. Beyond it, attaching takes minutes, and whoever asks for all functions of the kernel seldom
/// means it.
const MOST_POINTS: usize = 2048;

/// Where a kernel describes itself. What is read is kept, so that a configuration of many tables reads the
/// type information once.
#[derive(Debug)]
pub struct Kernel {
    tracefs: Vec<PathBuf>,
    btf: PathBuf,
    cgroup: PathBuf,
    types: OnceCell<Result<Btf>>,
    functions: OnceCell<Vec<String>>,
    programs: Programs,
    /// What probes that programs carry have to say, once they were looked up.
    carried: RefCell<HashMap<Attach, Record>>,
}

impl Kernel {
    /// The kernel that is running.
    #[must_use]
    pub fn running() -> Self {
        let (btf, cgroup) = ("/sys/kernel/btf/vmlinux".into(), "/sys/fs/cgroup".into());
        Self::new(tracefs::mounts().into(), btf, cgroup, Programs::own())
    }

    /// The kernel that is running, for whom somebody else opens programs.
    pub(crate) fn with_programs(open: Open) -> Self {
        Self { programs: Programs::new(open), ..Self::running() }
    }

    /// A kernel that is described in these folders and this file, such as one that was recorded.
    #[must_use]
    pub fn described(tracefs: PathBuf, btf: PathBuf, cgroup: PathBuf) -> Self {
        Self::new(vec![tracefs], btf, cgroup, Programs::own())
    }

    fn new(tracefs: Vec<PathBuf>, btf: PathBuf, cgroup: PathBuf, programs: Programs) -> Self {
        let (types, functions, carried) = Default::default();
        Self { tracefs, btf, cgroup, types, functions, programs, carried }
    }

    /// Where in its file a program begins.
    pub(crate) fn entry(&self, name: &str) -> Result<u64> {
        let found = self.programs.search(&self.programs.open(name)?, Wanted::Entry)?;
        let entry = found.into_iter().find_map(|found| match found {
            Found::Function(entry) => Some(entry.offset),
            Found::Probe(_) => None,
        });
        entry.ok_or_else(|| Error::new(Kind::Software, format!("{name} begins nowhere")))
    }

    /// The programs that were looked into, by the names by which they were asked for.
    pub(crate) fn programs(&self) -> BTreeMap<String, Program> {
        self.programs.opened()
    }

    /// The points that are meant by what is written; an error that names the nearest points if there are none. Those
    /// in programs are attached to one process, if there is one.
    pub(crate) fn points(&self, pattern: &Pattern, pid: Option<u32>) -> Result<Vec<Attach>> {
        let points = self.matching(pattern, pid)?;
        if points.len() > MOST_POINTS {
            let message = format!("{} probes fit the pattern, and {MOST_POINTS} is the most", points.len());
            return Err(Error::new(Kind::Config, message).help("make the pattern narrower"));
        }
        Ok(points)
    }

    /// As [`Kernel::points`], however many they are.
    pub(crate) fn matching(&self, pattern: &Pattern, pid: Option<u32>) -> Result<Vec<Attach>> {
        let points: Vec<Attach> = match pattern {
            Pattern::Tracepoint { category, name } => {
                let events = tracefs::events(&self.tracefs)?;
                let point = |category: &str, name: &str| Attach::Tracepoint {
                    category: category.to_owned(),
                    name: name.to_owned(),
                };
                match is_pattern(category) || is_pattern(name) {
                    true => {
                        let (category_fits, name_fits) = (fits(category), fits(name));
                        let fitting = |found: &String| {
                            let (of, is) = found.split_once(':')?;
                            (category_fits(of) && name_fits(is)).then(|| point(of, is))
                        };
                        tracefs::list(&events)?.iter().filter_map(fitting).collect()
                    }
                    false => vec![point(category, name)],
                }
            }
            Pattern::RawTracepoint { name } => {
                self.tracepoints(name)?.into_iter().map(|name| Attach::RawTracepoint { name }).collect()
            }
            Pattern::BtfTracepoint { name } => {
                self.tracepoints(name)?.into_iter().map(|name| Attach::BtfTracepoint { name }).collect()
            }
            Pattern::Kprobe { function, offset, at_return } => {
                let kprobe = |function: &str| Attach::Kprobe {
                    function: function.to_owned(),
                    offset: *offset,
                    at_return: *at_return,
                };
                registers::check()?;
                kprobes()?;
                let fits = fits(function);
                match is_pattern(function) {
                    true => {
                        self.functions().iter().filter(|name| fits(name)).map(|name| kprobe(name)).collect()
                    }
                    false => vec![kprobe(function)],
                }
            }
            Pattern::Function { function, at_return } => {
                let point =
                    |name: &str| Attach::Function { function: name.to_owned(), at_return: *at_return };
                match is_pattern(function) {
                    true => {
                        let (allowed, fits) = (self.functions(), fits(function));
                        let mut names: Vec<&str> =
                            self.types()?.functions().filter(|name| fits(name)).collect();
                        names.sort_unstable();
                        names.dedup();
                        let can = |name: &&str| {
                            allowed.is_empty() || allowed.binary_search_by(|a| a.as_str().cmp(name)).is_ok()
                        };
                        names.into_iter().filter(can).map(point).collect()
                    }
                    false => vec![point(function)],
                }
            }
            Pattern::Uprobe { binary, symbol, at_return } => {
                registers::check()?;
                let program = self.programs.open(binary)?;
                let (wanted, offset) = match symbol {
                    Symbol::Offset(offset) => (Wanted::Code(*offset), 0),
                    Symbol::Named { name, offset } => (Wanted::Function(name.clone()), *offset),
                };
                let plus = if offset == 0 { String::new() } else { format!("+{offset}") };
                let mut points = Vec::new();
                for found in self.programs.search(&program, wanted)? {
                    let Found::Function(found) = found else { continue };
                    if offset >= found.size.max(1) {
                        let message =
                            format!("`{}` has {} bytes, and none at {offset}", found.name, found.size);
                        return Err(Error::new(Kind::Config, message));
                    }
                    points.push(Attach::Uprobe {
                        program: program.clone(),
                        symbol: found.name + &plus,
                        offset: found.offset.saturating_add(offset),
                        at_return: *at_return,
                        pid,
                    });
                }
                points
            }
            Pattern::Usdt { binary, provider, name } => {
                registers::check()?;
                let program = self.programs.open(binary)?;
                let wanted = Wanted::Probe { provider: provider.clone(), name: name.clone() };
                let mut points = Vec::new();
                for found in self.programs.search(&program, wanted)? {
                    let Found::Probe(note) = found else { continue };
                    let record = registers::of_note(&note);
                    let point = Attach::Usdt {
                        program: program.clone(),
                        provider: note.provider,
                        name: note.name,
                        offset: note.offset,
                        semaphore: note.semaphore,
                        pid,
                    };
                    self.carried.borrow_mut().insert(point.clone(), record);
                    points.push(point);
                }
                points
            }
            Pattern::Profile(period) => vec![Attach::Profile(*period)],
            Pattern::Interval(period) => vec![Attach::Interval(*period)],
            Pattern::Perf { event, count } => vec![Attach::Perf { event: *event, count: *count }],
        };
        if points.is_empty() {
            return Err(Error::new(Kind::Config, "no probe of this machine fits the pattern")
                .help("`weir probes PATTERN` lists those that do"));
        }
        Ok(points)
    }

    /// What a program at this point finds in its context; an error that names the nearest points if there is
    /// no such point.
    pub(crate) fn record(&self, attach: &Attach) -> Result<Record> {
        match attach {
            Attach::Tracepoint { category, name } => {
                let events = tracefs::events(&self.tracefs)?;
                if let Some(text) = tracefs::format(&events, category, name)? {
                    return Ok(tracefs::parse(category, &text));
                }
                let names = tracefs::list(&events)?;
                let wanted = format!("{category}:{name}");
                Err(absent(
                    "this kernel has no tracepoint",
                    &wanted,
                    "tracepoint:",
                    names.iter().map(String::as_str),
                ))
            }
            Attach::RawTracepoint { name } => {
                let types = self.types()?;
                types.tracepoint(name, Access::Kernel).ok_or_else(|| {
                    absent("this kernel has no raw tracepoint", name, "rawtracepoint:", types.tracepoints())
                })
            }
            Attach::BtfTracepoint { name } => {
                let types = self.types()?;
                types.tracepoint(name, Access::Typed).ok_or_else(|| {
                    absent("this kernel has no BTF tracepoint", name, "tp_btf:", types.tracepoints())
                })
            }
            Attach::Function { function, at_return } => {
                let types = self.types()?;
                let kind = if *at_return { "fexit:" } else { "fentry:" };
                types.function(function, *at_return).ok_or_else(|| {
                    absent(
                        "this kernel's type information has no function",
                        function,
                        kind,
                        types.functions(),
                    )
                })
            }
            Attach::Kprobe { function, at_return, .. } => {
                let functions = self.functions();
                if !functions.is_empty()
                    && functions.binary_search(function).is_err()
                    && !self.is_symbol(function)
                {
                    let kind = if *at_return { "kretprobe:" } else { "kprobe:" };
                    let names = functions.iter().map(String::as_str);
                    return Err(absent("this kernel has no function", function, kind, names));
                }
                // Types only help; the registers are there without them.
                Ok(registers::of_function(self.types().ok(), function, *at_return))
            }
            Attach::Uprobe { at_return, .. } => Ok(registers::plain(*at_return)),
            Attach::Usdt { .. } => {
                let carried = self.carried.borrow().get(attach).cloned();
                carried.ok_or_else(|| Error::new(Kind::Software, format!("{attach} was not looked up")))
            }
            Attach::Profile(_) | Attach::Interval(_) | Attach::Perf { .. } => {
                Ok(Record { fields: Vec::new(), result: None })
            }
        }
    }

    /// Every point that a table can be attached to without naming a program, by the names of [`super::attach`],
    /// sorted by kind.
    pub fn all(&self) -> Result<Vec<String>> {
        let tracepoints = tracefs::list(&tracefs::events(&self.tracefs)?)?;
        let mut points: Vec<String> = tracepoints.iter().map(|name| format!("tracepoint:{name}")).collect();
        if let Ok(types) = self.types() {
            points.extend(types.tracepoints().map(|name| format!("rawtracepoint:{name}")));
            points.extend(types.tracepoints().map(|name| format!("tp_btf:{name}")));
        }
        points.extend(
            self.traceable()
                .into_iter()
                .flat_map(|name| ["fentry", "fexit"].map(|kind| format!("{kind}:{name}"))),
        );
        if kprobes().is_ok() {
            points.extend(self.functions().iter().map(|name| format!("kprobe:{name}")));
            points.extend(self.functions().iter().map(|name| format!("kretprobe:{name}")));
        }
        points.extend(SOFTWARE.iter().map(|(name, ..)| format!("software:{name}")));
        points.extend(HARDWARE.iter().map(|(name, ..)| format!("hardware:{name}")));
        points.extend(["profile:hz:", "interval:s:"].map(str::to_owned));
        Ok(points)
    }

    /// The functions whose entry and return a program can be attached to: the kernel knows their types, and lets
    /// their first bytes be replaced. Sorted.
    fn traceable(&self) -> Vec<&str> {
        let Ok(types) = self.types() else { return Vec::new() };
        let typed: BTreeSet<&str> = types.functions().collect();
        self.functions().iter().map(String::as_str).filter(|name| typed.contains(name)).collect()
    }

    fn tracepoints(&self, name: &str) -> Result<Vec<String>> {
        if !is_pattern(name) {
            return Ok(vec![name.to_owned()]);
        }
        let fits = fits(name);
        Ok(self.types()?.tracepoints().filter(|found| fits(found)).map(str::to_owned).collect())
    }

    /// The functions in which the kernel allows probes, sorted; none if it does not say.
    fn functions(&self) -> &[String] {
        self.functions.get_or_init(|| {
            let mut functions = tracefs::functions(&self.tracefs).unwrap_or_default();
            functions.sort_unstable();
            functions.dedup();
            functions
        })
    }

    /// Whether the kernel has a symbol of this name, if it says so.
    fn is_symbol(&self, name: &str) -> bool {
        let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        symbols.lines().any(|line| line.split_whitespace().nth(2) == Some(name))
    }

    /// Whether control groups have an id of their own: with version 1, a process is in one group of each
    /// hierarchy, and `bpf_get_current_cgroup_id` knows none of them.
    pub(crate) fn has_cgroup_ids(&self) -> bool {
        self.cgroup.join("cgroup.controllers").exists()
    }

    /// Fails if the kernel does not tell its types.
    pub(crate) fn has_types(&self) -> Result<()> {
        self.types().map(drop)
    }

    /// Fails if the kernel does not tell its tracepoints.
    pub(crate) fn has_tracefs(&self) -> Result<()> {
        tracefs::events(&self.tracefs).map(drop)
    }

    /// Whether probes are allowed in this function, as far as the kernel tells.
    pub(crate) fn has_function(&self, name: &str) -> bool {
        let functions = self.functions();
        functions.is_empty() || functions.binary_search_by(|function| function.as_str().cmp(name)).is_ok()
    }

    pub(crate) fn types(&self) -> Result<&Btf> {
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

/// Whether names fit a pattern; none fits one that is too long.
fn fits(pattern: &str) -> impl Fn(&str) -> bool {
    let glob = Glob::new(pattern);
    move |name| glob.as_ref().is_some_and(|glob| glob.matches(name.as_bytes()))
}

fn absent<'a>(what: &str, name: &str, prefix: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let near: Vec<String> = nearest(name, names).iter().map(|name| format!("{prefix}{name}")).collect();
    let help = match near.is_empty() {
        true => "its module may not be loaded, or the kernel was built without it".to_owned(),
        false => format!("did you mean {}?", one_of(near.iter().map(String::as_str))),
    };
    Error::new(Kind::Config, format!("{what} `{}`", name.escape_debug())).help(help)
}

/// Fails if this kernel has no kprobes.
pub(crate) fn kprobes() -> Result<()> {
    if fs::exists("/sys/bus/event_source/devices/kprobe").unwrap_or(false) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Unavailable,
        "this kernel has no kprobes: it was built without CONFIG_KPROBE_EVENTS",
    )
    .help("use a tracepoint, or fentry: and fexit: where the kernel has them (weir doctor)"))
}

/// The number of a tracepoint of the running kernel.
pub(crate) fn tracepoint_id(category: &str, name: &str) -> Result<u64> {
    tracefs::id(&tracefs::events(&tracefs::mounts())?, category, name)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::probe::attach::pattern;
    use crate::probe::btf::tests::sample;
    use crate::probe::record::Content;

    /// A kernel made of the recorded descriptions under `fixtures`, with control groups of version 2.
    pub(crate) fn recorded(folder: &Path) -> Kernel {
        fs::write(folder.join("btf"), sample()).unwrap();
        fs::write(folder.join("cgroup.controllers"), "").unwrap();
        let tracefs = concat!(env!("CARGO_MANIFEST_DIR"), "/src/probe/fixtures").into();
        Kernel::described(tracefs, folder.join("btf"), folder.to_owned())
    }

    fn record(kernel: &Kernel, text: &str) -> Result<Record> {
        let points = kernel.points(&pattern(text).unwrap(), None)?;
        kernel.record(&points[0])
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let [tracefs, btf] = ["tracing", "btf"].map(|name| folder.path().join(name));
        let kernel = Kernel::described(tracefs, btf, folder.path().to_owned());
        let error = record(&kernel, "t:sched:sched_switch").unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.to_string().contains("mount -t tracefs tracefs /sys/kernel/tracing"), "{error}");
        let error = record(&kernel, "rt:sys_enter").unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.to_string().contains("CONFIG_DEBUG_INFO_BTF"), "{error}");
        assert!(!kernel.has_cgroup_ids());
    }

    #[test]
    fn wildcards_are_looked_up() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = recorded(folder.path());
        let points = |text: &str| kernel.points(&pattern(text).unwrap(), None);
        let shown = |text: &str| points(text).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        let read = ["tracepoint:syscalls:sys_enter_read", "tracepoint:syscalls:sys_exit_read"];
        assert_eq!(shown("t:syscalls:sys_*_read"), read);
        assert_eq!(shown("tp_btf:*"), ["tp_btf:bare", "tp_btf:sys_exit"]);
        assert_eq!(points("t:syscalls:nothing*").unwrap_err().kind, Kind::Config);
    }

    /// On the running kernel, all that it offers, if this process may see it.
    #[test]
    fn every_point_of_this_kernel_is_understood() {
        let kernel = Kernel::running();
        let points = match kernel.all() {
            Ok(points) => points,
            Err(error) if matches!(error.kind, Kind::NoPermission | Kind::Unavailable) => {
                eprintln!("not run: {error}");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        assert!(points.len() > 500, "{} points", points.len());
        let mut numbers = 0;
        let points = points.iter().filter(|point| !point.ends_with(':') && !point.starts_with('k'));
        for point in points.clone() {
            let record = record(&kernel, point).unwrap_or_else(|error| panic!("{point}: {error}"));
            numbers += record
                .fields
                .iter()
                .filter(|f| matches!(f.content, Content::Value(_) | Content::Values(_)))
                .count();
        }
        assert!(numbers > points.count(), "{numbers} numbers");
    }
}
