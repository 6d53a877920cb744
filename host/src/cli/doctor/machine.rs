//! What can be read about the kernel, its settings, and this process.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Resource, getrlimit};
use rustix::thread::CapabilitySet;

use super::finding::{Finding, Verdict};
use crate::error::{Error, Kind, Result};
use crate::kernel::feature;
use crate::probe::Kernel;
use crate::sandbox;

/// What each capability is good for.
const CAPABILITIES: [(CapabilitySet, &str, &str); 6] = [
    (CapabilitySet::BPF, "CAP_BPF", "to load programs and make maps"),
    (CapabilitySet::PERFMON, "CAP_PERFMON", "to attach programs, and to read the kernel's memory in them"),
    (
        CapabilitySet::SYS_ADMIN,
        "CAP_SYS_ADMIN",
        "stands for CAP_BPF and CAP_PERFMON, and is needed for uprobes before Linux 6.6",
    ),
    (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE", "to name what is on the stacks of other users' processes"),
    (CapabilitySet::SYSLOG, "CAP_SYSLOG", "to see the addresses of the kernel's symbols"),
    (CapabilitySet::DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "to read tracefs, which is root's"),
];

/// Whether all privileges that tracing can need are there: what is denied then is denied for another reason.
pub(super) fn privileged(held: CapabilitySet) -> bool {
    held.contains(CapabilitySet::SYS_ADMIN)
        || held.contains(CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::DAC_READ_SEARCH)
}

/// What probes are made from.
pub(super) fn descriptions(kernel: &Kernel, privileged: bool) -> Vec<Finding> {
    vec![
        Finding::of(
            "BTF",
            "the kernel's types, for raw and BTF tracepoints, fentry: and structures",
            &kernel.has_types(),
            privileged,
        ),
        Finding::of(
            "tracefs",
            "the kernel's description of its tracepoints",
            &kernel.has_tracefs(),
            privileged,
        ),
    ]
}

pub(super) fn features(kernel: &Kernel, held: CapabilitySet) -> Vec<Finding> {
    vec![
        cgroups(kernel),
        kernel_symbols(held),
        user_symbols(held),
        missed(),
        locked_memory(held),
        sandbox_user(),
        control_groups(),
        landlock(),
    ]
}

fn cgroups(kernel: &Kernel) -> Finding {
    let about = "keys cgroup, cgroup_path and container";
    match kernel.has_cgroup_ids() {
        true => Finding::new(Verdict::Ok, "cgroup v2", about),
        false => Finding::new(Verdict::No, "cgroup v2", about)
            .why("/sys/fs/cgroup is not one tree of version 2")
            .help("boot with systemd.unified_cgroup_hierarchy=1"),
    }
}

fn kernel_symbols(held: CapabilitySet) -> Finding {
    const NAME: &str = "kernel symbols";
    let about = "names in the kernel's stacks (kstack)";
    let mut start = [0; 4096];
    let read = File::open("/proc/kallsyms").and_then(|mut file| file.read(&mut start));
    let Ok(count @ 1..) = read else {
        return Finding::new(Verdict::No, NAME, about)
            .why("/proc/kallsyms has nothing to read")
            .help("it needs a kernel built with CONFIG_KALLSYMS");
    };
    let text = String::from_utf8_lossy(&start[..count]);
    let seen = |line: &str| line.split(' ').next().is_some_and(|address| address.bytes().any(|b| b != b'0'));
    match text.lines().take(20).any(seen) {
        true => Finding::new(Verdict::Ok, NAME, about),
        false if held.contains(CapabilitySet::SYSLOG) => Finding::new(Verdict::No, NAME, about)
            .why(format!("their addresses are hidden: kernel.kptr_restrict is {}", setting("kptr_restrict")))
            .help("sysctl kernel.kptr_restrict=1"),
        false => Finding::new(Verdict::Unknown, NAME, about)
            .why("their addresses are hidden from this user")
            .help("run as root, or with CAP_SYSLOG"),
    }
}

fn user_symbols(held: CapabilitySet) -> Finding {
    const NAME: &str = "user symbols";
    let about = "names in the stacks of other processes (ustack)";
    let finding = |verdict| Finding::new(verdict, NAME, about);
    let privileged = held.contains(CapabilitySet::SYS_PTRACE);
    match looks_into_others(privileged) {
        Some(true) => finding(Verdict::Ok),
        Some(false) if privileged => finding(Verdict::No)
            .why("the maps of other processes cannot be read, though this user has CAP_SYS_PTRACE")
            .help("a security module or a container forbids it"),
        Some(false) => finding(Verdict::No)
            .why("this user may look into its own processes only")
            .help("run as root, or with CAP_SYS_PTRACE"),
        None => finding(Verdict::Unknown).why("there is no other process to look into"),
    }
}

/// Whether the maps of any other process can be read; a few are tried, for some may be of another user namespace.
/// Those of this process's own user show nothing, unless it may look into all.
fn looks_into_others(privileged: bool) -> Option<bool> {
    const TRIED: usize = 32;
    let (own, user) = (std::process::id(), rustix::process::getuid().as_raw());
    let others = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let tells = privileged || entry.metadata().ok()?.uid() != user;
        // The kernel's own threads have no program, and nothing to be looked into.
        (pid != own && tells && fs::read(entry.path().join("cmdline")).is_ok_and(|line| !line.is_empty()))
            .then(|| entry.path().join("maps"))
    });
    let can_read = |path| File::open(path).and_then(|mut maps| maps.read(&mut [0])).is_ok();
    others.take(TRIED).map(can_read).reduce(|any, one| any || one)
}

fn missed() -> Finding {
    const NAME: &str = "missed counters";
    let about = "whether `missed` counts all that is skipped at tracepoint:, uprobe:, profile: and software:";
    match feature::counts_missed() {
        true => Finding::new(Verdict::Ok, NAME, about),
        false => Finding::new(Verdict::No, NAME, about)
            .why(format!("Linux does so from 6.7 on, and this is {}", setting("osrelease")))
            .help("use rawtracepoint: or tp_btf:, which are counted from 6.2 on"),
    }
}

fn locked_memory(held: CapabilitySet) -> Finding {
    const NAME: &str = "locked memory";
    let about = "the memory of maps";
    let limit = getrlimit(Resource::Memlock).current;
    let accounted = feature::kernel_version() >= (5, 11);
    match limit {
        _ if accounted => Finding::new(Verdict::Ok, NAME, about)
            .why("it counts for the control group, and not against the limit of locked memory"),
        None => Finding::new(Verdict::Ok, NAME, about),
        Some(_) if held.contains(CapabilitySet::IPC_LOCK) || held.contains(CapabilitySet::SYS_RESOURCE) => {
            Finding::new(Verdict::Ok, NAME, about).why("this process is not bound by the limit")
        }
        Some(limit) => Finding::new(Verdict::No, NAME, about)
            .why(format!("it counts against the limit of locked memory, {limit} bytes"))
            .help("ulimit -l unlimited"),
    }
}

fn sandbox_user() -> Finding {
    const NAME: &str = "sandbox user";
    let about = "a user of its own, from 61184 to 65519, for the process in which plugins run";
    match sandbox::own_user() {
        Ok(Some(_)) => Finding::new(Verdict::Ok, NAME, about),
        Ok(None) => Finding::new(Verdict::No, NAME, about)
            .why("this process cannot become one of them, and plugins run as the same user as Weir")
            .help("run with CAP_SETUID and CAP_SETGID, in a user namespace that has those users"),
        Err(error) => Finding::new(Verdict::No, NAME, about).why(error.to_string()),
    }
}

fn control_groups() -> Finding {
    const NAME: &str = "control groups";
    let about = "bounds on all processes of a tenant of `weir serve` together, beside their resource limits";
    match sandbox::group_controllers() {
        Ok((_, lacking)) if lacking.is_empty() => Finding::new(Verdict::Ok, NAME, about),
        Ok((_, lacking)) => Finding::new(Verdict::No, NAME, about)
            .why(format!("those of version 2 have no controller {}", lacking.join(", ")))
            .help("boot with systemd.unified_cgroup_hierarchy=1, and without cgroup_disable="),
        Err(error) => Finding::new(Verdict::No, NAME, about).why(error),
    }
}

fn landlock() -> Finding {
    const NAME: &str = "landlock";
    let about = "a second wall, behind the filter of system calls, around the process in which plugins run";
    match sandbox::unenforced() {
        Ok(lacking) if lacking.is_empty() => Finding::new(Verdict::Ok, NAME, about),
        Ok(lacking) => Finding::new(Verdict::No, NAME, about)
            .why(format!("this kernel's has none for {}", lacking.join(", ")))
            .help("all of it is in Linux 6.12, where landlock is among the lsm= of the boot"),
        Err(error) => Finding::new(Verdict::No, NAME, about).why(error),
    }
}

pub(super) fn capabilities(held: CapabilitySet) -> Vec<Finding> {
    let admin = held.contains(CapabilitySet::SYS_ADMIN);
    CAPABILITIES
        .into_iter()
        .map(|(capability, name, about)| {
            let implied = admin && (capability == CapabilitySet::BPF || capability == CapabilitySet::PERFMON);
            match held.contains(capability) {
                true => Finding::new(Verdict::Ok, name, about),
                false if implied => Finding::new(Verdict::Ok, name, about).why("CAP_SYS_ADMIN stands for it"),
                false => Finding::new(Verdict::No, name, about)
                    .why("this process does not hold it")
                    .help("run as root, or give it: setcap, or AmbientCapabilities= of a service"),
            }
        })
        .collect()
}

pub(super) fn settings(held: CapabilitySet) -> Vec<Finding> {
    let unprivileged = !privileged(held);
    let set = |name: &'static str, file: &str, about: &'static str, hinders: fn(i32) -> bool, help: &str| {
        let value = setting(file);
        let Ok(number) = value.parse::<i32>() else {
            return Finding::new(Verdict::Unknown, name, about).why("it cannot be read");
        };
        let why = format!("it is {number}");
        match unprivileged && hinders(number) {
            true => Finding::new(Verdict::No, name, about).why(why).help(help),
            false => Finding::new(Verdict::Ok, name, about).why(why),
        }
    };
    vec![
        lockdown(),
        match feature::perf_restriction() {
            // Root has what it takes; a service that gives it up has not.
            Some(number) => Finding::new(
                if held.contains(CapabilitySet::SYS_ADMIN) { Verdict::Ok } else { Verdict::No },
                "kernel.perf_event_paranoid",
                "how far users are kept from perf events",
            )
            .why(format!(
                "it is {number}, with which some kernels demand CAP_SYS_ADMIN for tracepoint: and others"
            ))
            .help("for `weir serve`, which has given that up, sysctl kernel.perf_event_paranoid=2"),
            None => set(
                "kernel.perf_event_paranoid",
                "perf_event_paranoid",
                "how far users without CAP_PERFMON are kept from perf events",
                |number| number > -1,
                "with CAP_PERFMON it does not matter",
            ),
        },
        set(
            "kernel.unprivileged_bpf_disabled",
            "unprivileged_bpf_disabled",
            "whether users without CAP_BPF are kept from bpf(2)",
            |number| number > 0,
            "with CAP_BPF it does not matter; without it Weir cannot trace whatever it is",
        ),
        set(
            "kernel.kptr_restrict",
            "kptr_restrict",
            "from whom the kernel's addresses are hidden",
            |number| number > 0,
            "with CAP_SYSLOG 1 does not matter",
        ),
    ]
}

/// `[none] integrity confidentiality`, as kernel_lockdown(7) has it.
fn lockdown() -> Finding {
    const NAME: &str = "lockdown";
    let about = "whether the kernel keeps its memory from root";
    let text = match fs::read_to_string("/sys/kernel/security/lockdown") {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::new(Verdict::Ok, NAME, about)
                .why("this kernel has no lockdown, or securityfs is not mounted");
        }
        Err(error) => return Finding::new(Verdict::Unknown, NAME, about).why(error.to_string()),
    };
    let mode = text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(mode, _)| mode);
    match mode {
        "confidentiality" => Finding::new(Verdict::No, NAME, about)
            .why("it is confidentiality: programs cannot read the kernel's memory, and few can be attached")
            .help("boot with lockdown=integrity, or without Secure Boot"),
        other => Finding::new(Verdict::Ok, NAME, about).why(format!("it is {other}")),
    }
}

fn setting(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default().trim().to_owned()
}

/// Whether there is anything to be said against tracing, in one error.
pub(super) fn verdict(findings: &[Finding]) -> Result<()> {
    let tried = || findings.iter().filter_map(|finding| finding.tried);
    match tried().any(|error| error.is_none()) {
        true => Ok(()),
        false if tried().any(|error| error == Some(Kind::NoPermission)) => {
            Err(Error::new(Kind::NoPermission, "nothing can be traced: a privilege is missing"))
        }
        false => Err(Error::new(Kind::Unavailable, "nothing can be traced on this kernel")),
    }
}
