//! 64 tenants with 16 plugins each, of which every tenth never returns: how long after its deadline each of these is
//! stopped, beside a thread that runs before all others, after how many faults it is called no more, and what calls of its neighbours take from then on, beside the
//! same without loopers.
//!
//! Two daemons are there, and have their turns; the one whose turn it is not is stopped.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at once if it cannot measure"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpgid, getsid};
use serde_json::Value;
use weir_tests::daemon::{Daemon, signal};
use weir_tests::events;

const TENANTS: usize = 64;
const PLUGINS: usize = 16;
/// Users of the tenants, from this one on.
const USERS: u32 = 64_100;
const INTERVAL: Duration = Duration::from_secs(1);
/// Each daemon's turns, and the intervals of a turn.
const TURNS: usize = 15;
const INTERVALS: u64 = 4;
/// Intervals after a turn has begun that do not count.
const SETTLE: u64 = 2;
/// The kernel runs no more than 64 programs at one tracepoint.
const PROBES: [&str; 2] = ["tracepoint:syscalls:sys_enter_getsid", "tracepoint:syscalls:sys_enter_getpgid"];
const ROWS: i32 = 64;
const DEADLINE: Duration = Duration::from_millis(20);
/// How far a plugin may go beyond its deadline before it is stopped.
const TICK: Duration = Duration::from_millis(2);
/// Far longer than a plugin's last five faults and the pauses between them take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether a plugin is a looper where there are some.
fn loops(tenant: usize, plugin: usize) -> bool {
    (tenant * PLUGINS + plugin) % 10 == 9
}

fn main() {
    std::thread::spawn(make_events);
    let all = TENANTS * PLUGINS;
    let mut without = Side::start(false);
    let control = Control::start();
    let mut with = Side::start(true);
    let waited = with.wait_for_quarantine();
    let (loopers, beside) = (with.loopers(), control.end());
    // Whoever is started again has another chance. Nothing else is new, so that nothing else is going on.
    let control = Control::start();
    (0..TENANTS).for_each(|tenant| begin(&with.daemon, tenant, true));
    with.wait_for_quarantine();
    let (again, beside_again) = (with.loopers(), control.end());
    signal(with.daemon.pid(), Signal::STOP);
    for _ in 0..TURNS {
        without.turn();
        with.turn();
    }
    println!("{TENANTS} tenants, {PLUGINS} plugins each, {} loopers of {all}\n", loopers.len());
    let mut lost: BTreeMap<&str, usize> = BTreeMap::new();
    loopers.iter().for_each(|looper| *lost.entry(&looper.faults).or_default() += 1);
    let lost: Vec<_> = lost.iter().map(|(faults, loopers)| format!("{loopers} after {faults}")).collect();
    println!("Loopers were quarantined after {waited:.1?}, {}.", lost.join("; "));
    println!(
        "\n| the longest call of each, ms beyond its deadline of {DEADLINE:?} | all are started | loopers only |"
    );
    println!("|---|---|---|");
    let sides = [(&loopers, &beside), (&again, &beside_again)].map(|(loopers, beside)| {
        let beyond = |looper: &Looper| looper.longest.saturating_sub(DEADLINE).as_secs_f64() * 1e3;
        let mut overruns: Vec<_> = loopers.iter().map(beyond).collect();
        overruns.sort_by(f64::total_cmp);
        (overruns, beside)
    });
    let line = |name: &str, of: fn(&(Vec<f64>, &Vec<f64>)) -> f64, digits: usize| {
        println!("| {name} | {:.digits$} | {:.digits$} |", of(&sides[0]), of(&sides[1]));
    };
    line("median", |(overruns, _)| part(overruns, 0.5), 2);
    line("of nine in ten", |(overruns, _)| part(overruns, 0.9), 2);
    line("greatest", |(overruns, _)| part(overruns, 1.0), 2);
    line("beyond a tick", |(overruns, _)| late(overruns), 0);
    line(
        "a thread that runs before all others, on each processor: greatest, ms late",
        |(_, beside)| part(beside, 1.0),
        2,
    );
    line("the same: beyond a tick", |(_, beside)| late(beside), 0);
    println!();
    println!("| the {} others | without loopers | with, quarantined | ratio |", all - loopers.len());
    println!("|---|---|---|---|");
    let row = |name: &str, of: fn(&Side) -> f64, digits: usize| {
        let (a, b) = (of(&without), of(&with));
        println!("| {name} | {a:.digits$} | {b:.digits$} | {:.3} |", b / a);
    };
    let count =
        |name: &str, of: fn(&Side) -> u64| println!("| {name} | {} | {} | |", of(&without), of(&with));
    row("p50 of a call, us, median of the turns", |side| side.percentiles(0.5)[TURNS / 2] / 1e3, 1);
    row("p99 of a call, us, median of the turns", |side| side.percentiles(0.99)[TURNS / 2] / 1e3, 1);
    row("p99 of the fastest turn, us", |side| side.percentiles(0.99)[0] / 1e3, 1);
    row("p99 of the slowest turn, us", |side| side.percentiles(0.99)[TURNS - 1] / 1e3, 1);
    count("calls", |side| side.turns.iter().flat_map(BTreeMap::values).sum());
    count("calls skipped", |side| side.skipped);
    count("other faults", |side| side.faults);
    count("intervals", |side| side.intervals);
    row("length of an interval, s", |side| side.elapsed.as_secs_f64() / side.intervals as f64, 3);
    row(
        "processor time of the daemon in an interval, ms",
        |side| side.processor_ms / side.intervals as f64,
        0,
    );
    row("time to start all, s", |side| side.started.as_secs_f64(), 1);
    row("memory of the daemon, MiB", |side| pss(side.daemon.pid()), 0);
    row("memory of a sandbox, MiB", |side| side.of_sandboxes(pss), 1);
}

/// Of values in order.
fn part(values: &[f64], part: f64) -> f64 {
    values[((values.len() - 1) as f64 * part) as usize]
}

fn late(times: &[f64]) -> f64 {
    times.iter().filter(|time| **time > TICK.as_secs_f64() * 1e3).count() as f64
}

/// A thread on each processor that runs before all others, and only sleeps: how late it is, nobody but the kernel and the
/// machine are to blame for.
struct Control {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<f64>>>,
}

impl Control {
    fn start() -> Self {
        let ends = Arc::<AtomicBool>::default();
        let measure = |cpu| {
            let ends = ends.clone();
            let mut late = Vec::new();
            std::thread::spawn(move || {
                events::pin(cpu);
                events::run_first();
                while !ends.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    std::thread::sleep(TICK / 2);
                    late.push(began.elapsed().saturating_sub(TICK / 2).as_secs_f64() * 1e3);
                }
                late
            })
        };
        let threads = events::cpus().into_iter().map(measure).collect();
        Self { ends, threads }
    }

    /// By how many milliseconds, in order.
    fn end(self) -> Vec<f64> {
        self.ends.store(true, Ordering::Relaxed);
        let mut late: Vec<f64> =
            self.threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect();
        late.sort_by(f64::total_cmp);
        late
    }
}

/// Events for all tables: as many rows, ten times a second.
fn make_events() {
    loop {
        for row in (1..=ROWS).map(Pid::from_raw) {
            // There need not be such a process.
            getsid(row).ok();
            getpgid(row).ok();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A daemon with all tenants, and what was measured of the plugins that are no loopers in either.
struct Side {
    daemon: Daemon,
    started: Duration,
    /// The calls of each turn, by their buckets.
    turns: Vec<BTreeMap<u64, u64>>,
    skipped: u64,
    faults: u64,
    intervals: u64,
    elapsed: Duration,
    processor_ms: f64,
}

struct Looper {
    /// Calls that it lost, by the reason.
    faults: String,
    longest: Duration,
}

impl Side {
    fn start(loopers: bool) -> Self {
        let daemon = Daemon::start(None, &policy());
        for (folder, component) in [("good", "top"), ("loop", "hostile/endless_loop")] {
            fs::create_dir(daemon.path(folder)).expect("it is made");
            let from = plugins().join(component).with_extension("wasm");
            fs::copy(&from, daemon.path(folder).join("component"))
                .expect("`cargo xtask plugins` has built it");
            for plugin in 0..PLUGINS {
                // A plugin is named as its file.
                let name = daemon.path(folder).join(format!("p{plugin}.wasm"));
                std::os::unix::fs::symlink("component", name).expect("it is made");
            }
        }
        let began = Instant::now();
        let next = AtomicUsize::new(0);
        let start = || {
            loop {
                let tenant = next.fetch_add(1, Ordering::Relaxed);
                if tenant >= TENANTS {
                    break;
                }
                begin(&daemon, tenant, loopers);
            }
        };
        let together = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| (0..together).for_each(|_| drop(scope.spawn(start))));
        let started = began.elapsed();
        if !loopers {
            signal(daemon.pid(), Signal::STOP);
        }
        Self {
            daemon,
            started,
            turns: Vec::new(),
            skipped: 0,
            faults: 0,
            intervals: 0,
            elapsed: Duration::ZERO,
            processor_ms: 0.0,
        }
    }

    fn wait_for_quarantine(&self) -> Duration {
        let began = Instant::now();
        loop {
            let status = self.daemon.status(0);
            if plugins_of(&status).filter(|(looper, _)| *looper).all(|(_, p)| p["state"] == "quarantined") {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "not all loopers are quarantined:\n{}", self.daemon.log());
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn loopers(&self) -> Vec<Looper> {
        let status = self.daemon.status(0);
        let looper = |plugin: &Value| {
            let faults = plugin["account"]["faults"].as_object().expect("faults");
            let faults: Vec<_> = faults.iter().map(|(reason, number)| format!("{number} {reason}")).collect();
            Looper {
                faults: faults.join(", "),
                longest: Duration::from_nanos(number(&plugin["account"]["call_ns"]["max"])),
            }
        };
        plugins_of(&status).filter(|(is, _)| *is).map(|(_, plugin)| looper(plugin)).collect()
    }

    /// Lets the daemon run for some intervals, and adds what its plugins took in them.
    fn turn(&mut self) {
        signal(self.daemon.pid(), Signal::CONT);
        let began = number(&self.daemon.status(0)["intervals"]);
        let (before, from) = self.at(began + SETTLE);
        let processor = self.processor_ms();
        let (after, to) = self.at(number(&before["intervals"]) + INTERVALS);
        self.processor_ms += self.processor_ms() - processor;
        signal(self.daemon.pid(), Signal::STOP);
        self.intervals += number(&after["intervals"]) - number(&before["intervals"]);
        self.elapsed += to - from;
        let mut times: BTreeMap<u64, u64> = BTreeMap::new();
        for ((looper, before), (_, after)) in plugins_of(&before).zip(plugins_of(&after)) {
            if looper {
                continue;
            }
            let (earlier, later) = (buckets(before), buckets(after));
            for (low, calls) in later {
                *times.entry(low).or_default() += calls - earlier.get(&low).unwrap_or(&0);
            }
            let lost = |plugin: &Value, skipped: bool| -> u64 {
                let faults = plugin["account"]["faults"].as_object().expect("faults");
                faults
                    .iter()
                    .filter(|(reason, _)| (*reason == "skipped") == skipped)
                    .map(|(_, n)| number(n))
                    .sum()
            };
            self.skipped += lost(after, true) - lost(before, true);
            self.faults += lost(after, false) - lost(before, false);
        }
        self.turns.push(times);
    }

    /// Waits for an interval to be over.
    fn at(&self, interval: u64) -> (Value, Instant) {
        let began = Instant::now();
        loop {
            if number(&self.daemon.status(0)["intervals"]) >= interval {
                // When all plugins have answered, and the next interval is not over.
                std::thread::sleep(INTERVAL / 2);
                return (self.daemon.status(0), Instant::now());
            }
            assert!(began.elapsed() < PATIENCE, "intervals do not end:\n{}", self.daemon.log());
            std::thread::sleep(INTERVAL / 20);
        }
    }

    /// Nanoseconds that so many of a turn's calls did not exceed, of each turn, in order.
    fn percentiles(&self, part: f64) -> Vec<f64> {
        let mut percentiles: Vec<f64> = self.turns.iter().map(|times| percentile(times, part)).collect();
        percentiles.sort_by(f64::total_cmp);
        percentiles
    }

    /// Of the daemon itself.
    fn processor_ms(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", self.daemon.pid())).expect("it runs");
        let first = text.split_whitespace().next().expect("the time on the processor");
        first.parse::<f64>().expect("nanoseconds") / 1e6
    }

    fn of_sandboxes(&self, of: fn(u32) -> f64) -> f64 {
        signal(self.daemon.pid(), Signal::CONT);
        let status = self.daemon.status(0);
        let tenants = status["tenants"].as_array().expect("tenants");
        let pids: Vec<u64> = tenants.iter().filter_map(|tenant| tenant["sandbox"].as_u64()).collect();
        pids.iter().map(|pid| of(*pid as u32)).sum::<f64>() / pids.len() as f64
    }
}

/// Within a bucket calls are taken to be spread evenly.
fn percentile(times: &BTreeMap<u64, u64>, part: f64) -> f64 {
    let rank = times.values().sum::<u64>() as f64 * part;
    let mut below = 0.0;
    for (low, calls) in times {
        let calls = *calls as f64;
        if below + calls >= rank && calls > 0.0 {
            // Powers of two, each divided into 32.
            let width = 1u64 << low.max(&1).ilog2().saturating_sub(5);
            return *low as f64 + width as f64 * (rank - below) / calls;
        }
        below += calls;
    }
    f64::NAN
}

/// Begins a tenant's job.
fn begin(daemon: &Daemon, tenant: usize, loopers: bool) {
    let mut config = format!(
        "[tables.t]\non = \"{}\"\nby = {{ of = \"args.pid\" }}\nshow = {{ calls = \"count()\" }}\nkeys = 1000\n",
        PROBES[usize::from(loopers)]
    );
    let mut files = Vec::new();
    for plugin in 0..PLUGINS {
        let looper = loopers && loops(tenant, plugin);
        let file = format!("{}/p{plugin}.wasm", if looper { "loop" } else { "good" });
        let deadline = if looper { format!("{DEADLINE:?}") } else { "100ms".to_owned() };
        config.push_str(&format!(
            "[plugins.p{plugin}]\ncomponent = \"{file}\"\nlimits = {{ memory = \"16MiB\", deadline = \"{deadline}\" }}\n"
        ));
        files.push(daemon.path(&file));
    }
    let config = daemon.write(&format!("{tenant}.toml"), &config);
    let files = files.iter().map(|file| file.to_str().expect("a plain path"));
    let arguments: Vec<&str> =
        std::iter::once("start").chain(files).chain(["-c", &config, "--name", "job"]).collect();
    let output = daemon.weir(USERS + tenant as u32, &arguments);
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), daemon.log());
}

fn policy() -> String {
    let tenant = |tenant: usize| {
        format!(
            "[tenants.t{tenant:02}]\nusers = [\"{}\"]\nscope = \"all\"\nunsigned = true\n\
             probes = [\"tracepoint:syscalls:*\"]\nfields = [\"args.pid\"]\n\
             limits = {{ tables = 1, plugins = {PLUGINS}, rows = 1000, interval = \"1s\", kernel = \"100% cpu\", \
             churn = 100, memory = \"1GiB\", deadline = \"100ms\", cpu = \"100% cpu\", series = 100000, \
             output = \"16MiB\", disk = \"100MiB\" }}\n",
            USERS + tenant as u32
        )
    };
    (0..TENANTS).map(tenant).collect()
}

/// Where plugins were built.
fn plugins() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/plugins")
}

/// All plugins of a status, in the same order each time, and whether each is a looper where there are some.
fn plugins_of(status: &Value) -> impl Iterator<Item = (bool, &Value)> {
    let tenants = status["tenants"].as_array().expect("tenants");
    let tenants =
        tenants.iter().filter_map(|tenant| Some((tenant["tenant"].as_str()?.strip_prefix('t')?, tenant)));
    tenants.flat_map(|(number, tenant)| {
        let tenant_number: usize = number.parse().expect("a number");
        // One that was started again comes after those that have stayed.
        let plugins = tenant["jobs"][0]["plugins"].as_array().expect("plugins");
        let named = plugins.iter().map(|plugin| {
            let place = plugin["plugin"].as_str().and_then(|name| name.strip_prefix('p')?.parse().ok());
            (place.expect("plugins are named so"), plugin)
        });
        let by_place: BTreeMap<usize, &Value> = named.collect();
        by_place.into_iter().map(move |(place, plugin)| (loops(tenant_number, place), plugin))
    })
}

fn buckets(plugin: &Value) -> BTreeMap<u64, u64> {
    let buckets = plugin["account"]["call_ns"]["buckets"].as_array().expect("buckets");
    buckets.iter().map(|bucket| (number(&bucket[0]), number(&bucket[1]))).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// MiB of a process, of shared pages its part.
fn pss(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
