//! `weir serve`: the daemon, which holds the probes, runs tenants' plugins, and does for each who asks what the policy
//! lets them have.
//!
//! ```text
//!  client ── socket ──▶ connection (a thread each: receive, resolve, compile)
//!                            │ commands                         ▲ answers, dropped if nobody reads
//!                            ▼                                  │
//!                        engine (one thread: policy, jobs, intervals) ──▶ tables, sandboxes
//! ```
//!
//! Whatever takes long, or waits for somebody, is a connection's; the engine waits for nobody. A **job** is what a client
//! has begun: tables, and plugins that see them. It ends with its client's connection, or goes on by its name.

mod audit;
mod connection;
mod engine;
mod granted;
mod interval;
mod job;
mod peer;
mod privileges;
mod programs;
pub(crate) mod protocol;
pub(crate) mod status;
mod store;
mod stream;
mod supervise;
mod tenant;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;

use crate::cli::signals::Signals;
use crate::cli::wait;
use crate::config::{self, Config};
use crate::error::{Error, Kind, Result};
use crate::escape::guard;
use crate::kernel::feature;
use crate::manifest;
use crate::policy::{OPERATOR, Peer, Policy};
use crate::probe::Kernel;
use crate::sandbox;
use audit::Audit;
use connection::Line;
use engine::{Command, Engine, POLICY_CHANGED};
pub(crate) use granted::refusals;
use job::{Origin, Wanted};
use status::ControlGroups;
use store::{Again, Store};
use stream::Stream;

/// The job of the daemon's own configuration.
const CONFIGURATION: &str = "configuration";
/// Commands that connections wait with, each.
const COMMANDS: usize = 64;
/// How long intervals are where no configuration says it.
const INTERVAL: Duration = Duration::from_secs(1);
/// A job whose plugins are not configured, which others wait for to be begun.
const START_WALL: Duration = Duration::from_secs(300);

/// How the daemon is to be.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) config: Option<PathBuf>,
    pub(crate) policy: Option<PathBuf>,
    pub(crate) socket: PathBuf,
    pub(crate) state: Option<PathBuf>,
    pub(crate) audit: Option<PathBuf>,
}

/// Serves until a signal asks for an end.
pub(crate) fn serve(options: &Options) -> Result<()> {
    give_memory_back();
    let policy = policy(options)?;
    let own = options.config.as_deref().map(own).transpose()?;
    let interval = own.as_ref().map_or(INTERVAL, |wanted| wanted.interval);
    let signals = Signals::catch(None)?;
    let (reload, reloader) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGHUP, reloader)?;
    reload.set_nonblocking(true)?;
    // Has the kernel time programs, which takes a privilege that is given up.
    let mut engine = Engine::new(interval, policy, Audit::open(options.audit.as_deref())?)?;
    let (listener, made) = listener(&options.socket)?;
    take_descriptors()?;
    // Before there is a process or a thread that would be elsewhere.
    let groups = sandbox::start_groups();
    engine.control_groups = told(&groups);
    let spawner = sandbox::start_spawner()?;
    // A thread that had begun before would keep everything.
    privileges::drop_others()?;
    // Tables say so too, of which there may be none for long.
    if let Err(error) = feature::perf_event() {
        say(&error.to_string());
    }

    let (store, last_seen, kept) = Store::open(options.state.as_deref())?;
    (engine.store, engine.last_seen) = (store, last_seen);
    let (sender, commands) = sync_channel(COMMANDS);
    let line = Line::new(sender)?;
    let reloads = begin_jobs(&line, options.clone(), interval, own)?;
    restore(&line, kept)?;
    let accept = line.clone();
    std::thread::Builder::new()
        .name("weir-listen".to_owned())
        .spawn(move || connection::listen(&listener, &accept))?;
    // Nobody may be listening, which is no fault.
    drop(sd_notify::notify(false, &[NotifyState::Ready]));
    let watchdog = watchdog();

    let mut close = Instant::now() + interval;
    // Without its spawner it cannot end or replace a sandbox, nor start another spawner any more.
    let lost = loop {
        let mut readable: Vec<BorrowedFd<'_>> =
            vec![signals.as_fd(), reload.as_fd(), line.bell.as_fd(), spawner.as_fd()];
        readable.extend(engine.sandboxes().map(AsFd::as_fd));
        let look = watchdog.map(|watchdog| Instant::now() + watchdog);
        wait(&readable, [Some(close), look, engine.wake()].into_iter().flatten().min())?;
        // First, for a service manager may end all processes at once.
        if signals.came() {
            break None;
        }
        if let Some(error) = spawner.ended() {
            break Some(error);
        }
        rustix::io::read(&line.bell, &mut [0u8; 8]).unwrap_or_default();
        // No more than wait now, so that clients who ask again and again put off no interval.
        let mut obeyed = 0;
        for command in commands.try_iter().take(COMMANDS) {
            engine.obey(command);
            obeyed += 1;
        }
        if obeyed == COMMANDS {
            line.ring();
        }
        engine.answers();
        if std::io::Read::read(&mut &reload, &mut [0; 64]).is_ok() {
            // One that waits will read what is there then.
            reloads.try_send(()).unwrap_or_default();
        }
        let now = Instant::now();
        if now >= close {
            engine.close()?;
            close = crate::cli::next(close, interval, Instant::now());
        }
        if watchdog.is_some() {
            drop(sd_notify::notify(false, &[NotifyState::Watchdog]));
        }
    };
    drop(sd_notify::notify(false, &[NotifyState::Stopping]));
    let closed = engine.close();
    drop(engine);
    if let Ok(groups) = groups {
        groups.end();
    }
    closed?;
    if made {
        drop(std::fs::remove_file(&options.socket));
    }
    lost.map_or(Ok(()), Err)
}

/// What there is of control groups; said, if it is not all.
fn told(groups: &std::result::Result<&sandbox::Groups, String>) -> ControlGroups {
    let (controllers, lacking) = match groups {
        Ok(groups) if groups.lacking().is_empty() => (groups.controllers(), None),
        Ok(groups) => (groups.controllers(), Some(format!("there is no {}", groups.lacking().join(", no ")))),
        Err(why) => (&[][..], Some(why.clone())),
    };
    if let Some(why) = &lacking {
        say(&format!("control groups do not bound all that they could, and resource limits do: {why}"));
    }
    ControlGroups { controllers: controllers.iter().map(|name| (*name).to_owned()).collect(), lacking }
}

fn policy(options: &Options) -> Result<Policy> {
    match &options.policy {
        Some(path) => Policy::load(path),
        // Nobody but the operator may have anything.
        None => Ok(Policy::default()),
    }
}

/// The daemon's own configuration, with the bytes of its plugins.
fn own(path: &Path) -> Result<Wanted> {
    let kernel = Kernel::running();
    let mut config = Config::partial(&config::read(path)?, path, &kernel)?;
    let mut tables = manifest::Tables::new(&mut config.tables);
    let plugins = config.plugins.iter().map(|plugin| {
        let component = crate::cli::read_component(&plugin.component)?;
        connection::plugin(Some(&mut tables), plugin.name.clone(), component, Some(plugin), &kernel)
    });
    let plugins = plugins.collect::<Result<_>>()?;
    Ok(Wanted {
        name: Some(CONFIGURATION.to_owned()),
        interval: config.interval,
        plugins,
        programs: Vec::new(),
        asked: None,
        // A gap in it is the daemon's own, whose log tells of it.
        origin: Origin::Asked,
        admitted: None,
        tables: config.tables,
    })
}

fn reread(options: &Options, interval: Duration) -> Result<(Policy, Option<Wanted>)> {
    let own = options.config.as_deref().map(own).transpose()?;
    if own.as_ref().is_some_and(|wanted| wanted.interval != interval) {
        return Err(Error::new(Kind::Config, "the interval cannot be changed while the daemon runs")
            .help("start it again"));
    }
    Ok((policy(options)?, own))
}

/// Whenever it is told, reads configuration and policy again. The policy holds at once; jobs are begun by another thread, one
/// after the other, for plugins take seconds to compile: that of the daemon's own configuration, and those that waited for
/// the policy.
fn begin_jobs(
    line: &Line,
    options: Options,
    interval: Duration,
    own: Option<Wanted>,
) -> Result<SyncSender<()>> {
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
    };
    let (jobs, read) = channel();
    // Nobody has gone yet.
    jobs.send(own).unwrap_or_default();
    let begins = line.clone();
    let begin_all = move || {
        for own in read {
            if let Some(own) = own {
                let peer = Peer { pid: std::process::id(), uid: 0, gids: Vec::new(), cgroup: None };
                begin_and_say(&begins, peer, own);
            }
            let (reply, waiting) = channel();
            begins.ask(Command::Waiting { reply });
            for (peer, wanted) in waiting.recv().unwrap_or_default() {
                begin_and_say(&begins, peer, wanted);
            }
        }
    };
    let line = line.clone();
    let (sender, told) = sync_channel(1);
    let reload = move || {
        for () in told {
            match reread(&options, interval) {
                Ok((policy, own)) => {
                    line.ask(Command::Policy(policy));
                    jobs.send(own).unwrap_or_default();
                }
                Err(error) => say(&format!("what was running goes on: {error}")),
            }
        }
    };
    spawn("weir-begin", Box::new(begin_all))?;
    spawn("weir-reload", Box::new(reload))?;
    Ok(sender)
}

/// Has a job begun for nobody, and says what went wrong.
fn begin_and_say(line: &Line, peer: Peer, wanted: Wanted) {
    let name = wanted.name.clone().unwrap_or_default();
    if let Err(why) = begin(line, peer, wanted) {
        say(&format!("{name}: {why}"));
    }
}

/// Begins jobs that were there before the daemon ended. To look into programs takes as long as whoever wrote them has made it
/// take, so tenants with such jobs wait for nobody but themselves.
fn restore(line: &Line, kept: Vec<store::Found>) -> Result<()> {
    let has_programs =
        |found: &store::Found| found.read.as_ref().is_ok_and(|again| !again.programs.is_empty());
    let slow: BTreeSet<String> =
        kept.iter().filter(|found| has_programs(found)).map(|found| found.tenant.clone()).collect();
    let mut by_tenant: BTreeMap<Option<String>, Vec<store::Found>> = BTreeMap::new();
    for found in kept {
        let tenant = slow.get(&found.tenant).cloned();
        by_tenant.entry(tenant).or_default().push(found);
    }
    for kept in by_tenant.into_values() {
        let line = line.clone();
        let restore = move || restore_all(&line, kept);
        std::thread::Builder::new().name("weir-restore".to_owned()).spawn(restore)?;
    }
    Ok(())
}

fn restore_all(line: &Line, kept: Vec<store::Found>) {
    let lost = |(tenant, job, bytes): (String, String, u64), why: String, begun| {
        say(&format!("{job} of {tenant}: {why}"));
        line.ask(Command::Lost { tenant, job, bytes, why, begun });
    };
    // Nobody waits for others' plugins, or its own, to be compiled.
    let mut plugins = Vec::new();
    let (waits, kept): (Vec<_>, Vec<_>) = kept.into_iter().partition(|found| found.waits);
    for store::Found { tenant, job, bytes, read, .. } in kept {
        let begun = read.and_then(|again| {
            let (peer, wanted) = resolve(again)?;
            is_still(line, &peer, &tenant)?;
            begin(line, peer.clone(), wanted.tables())?;
            Ok((peer, Wanted { origin: Origin::Restored, ..wanted }))
        });
        match begun {
            Ok((peer, wanted)) => plugins.push(((tenant, job, bytes), peer, wanted)),
            Err(why) => lost((tenant, job, bytes), why, false),
        }
    }
    for (job, peer, wanted) in plugins {
        if let Err(why) = begin(line, peer, wanted) {
            lost(job, why, true);
        }
    }
    // What waited goes on waiting, if the job is there and the policy does not grant more by now.
    for store::Found { tenant, job, read, .. } in waits {
        let begun = read.and_then(|again| {
            let (peer, wanted) = resolve(again)?;
            is_still(line, &peer, &tenant)?;
            begin(line, peer, Wanted { origin: Origin::RestoredWaiting, ..wanted })
        });
        if let Err(why) = begun {
            say(&format!("a new version of {job} of {tenant}: {why}"));
        }
    }
}

/// Whether whoever began a job is of the tenant whose it was: it is kept, and can be stopped, by that tenant's name.
fn is_still(line: &Line, peer: &Peer, tenant: &str) -> std::result::Result<(), String> {
    let now = connection::admit(line, peer);
    match now.map(|now| now.map_or_else(|| OPERATOR.into(), |now| now.name.clone())) {
        Ok(now) if *now == *tenant => Ok(()),
        Ok(now) => Err(format!(
            "user {} is of {now} by now; once the operator has stopped it here, it can be started there",
            peer.uid
        )),
        Err(_) => Err(format!("user {} is of no tenant any more", peer.uid)),
    }
}

/// A job that was kept, resolved against this kernel.
fn resolve(again: Again) -> std::result::Result<(Peer, Wanted), String> {
    let Again { peer, start, components, programs } = again;
    let kernel = Kernel::with_programs(programs::again(programs));
    let wanted = connection::wanted(start, components, &kernel);
    wanted.map(|wanted| (peer, wanted)).map_err(|error| error.to_string())
}

/// Its plugins are compiled by then, and `configure` has a deadline.
fn too_long() -> Error {
    Error::new(Kind::Unavailable, format!("it is not begun after {START_WALL:?}"))
}

/// Has a job begun for nobody. What went wrong, if anything did.
fn begin(line: &Line, peer: Peer, wanted: Wanted) -> std::result::Result<(), String> {
    match begin_once(line, peer.clone(), wanted.clone()) {
        Err(why) if why.contains(POLICY_CHANGED) => begin_once(line, peer, wanted),
        done => done,
    }
}

fn begin_once(line: &Line, peer: Peer, wanted: Wanted) -> std::result::Result<(), String> {
    use protocol::Answer;
    let (stream, answers) = Stream::new(u64::MAX);
    let first = match connection::ask(line, peer, wanted, stream) {
        Ok(_) => Some(answers.first(START_WALL).unwrap_or_else(|| Answer::Failed(too_long()))),
        Err(denied) => Some(*denied),
    };
    match first {
        Some(Answer::Failed(error)) => Err(error.to_string()),
        Some(Answer::Refused(refused) | Answer::Waits(refused)) => {
            let refused: Vec<_> = refused.iter().map(|(code, what)| format!("{code}: {what}")).collect();
            Err(format!("it is refused: {}", refused.join("; ")))
        }
        _ => Ok(()),
    }
}

/// The socket that a service manager has made, or one of our own, and whether that is so. Anybody can connect: what they
/// may have is decided when they ask.
fn listener(path: &Path) -> Result<(UnixListener, bool)> {
    if let Some(fd) = sd_notify::listen_fds()?.next() {
        return Ok((inherited(fd), false));
    }
    let failed =
        |error: std::io::Error| Error::new(Kind::Io, format!("cannot listen at {}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // One that nobody listens at is left from a daemon that was killed.
    if UnixStream::connect(path).is_ok() {
        return Err(Error::new(Kind::Unavailable, format!("another daemon listens at {}", path.display())));
    }
    drop(std::fs::remove_file(path));
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    Ok((listener, true))
}

#[allow(unsafe_code, reason = "a descriptor whose number a service manager tells")]
fn inherited(fd: std::os::fd::RawFd) -> UnixListener {
    // SAFETY: the service manager has opened it for this process, and nothing else in it knows of it.
    unsafe { UnixListener::from_raw_fd(fd) }
}

/// Tables and sandboxes are some twenty descriptors for each tenant, and what a process has without asking are 1,024.
/// Those whom it starts have bounds of their own.
fn take_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    raised.map_err(|error| std::io::Error::from(error).into())
}

/// What is large, such as components that strangers upload, goes back to the system when it is gone, and does not stay with
/// whichever thread had it (mallopt(3)).
#[allow(unsafe_code, reason = "an option of the C library's allocator")]
fn give_memory_back() {
    /// What the threshold is until something larger is freed, which raises it.
    #[cfg(target_env = "gnu")]
    const LARGE: i32 = 128 << 10;
    #[cfg(target_env = "gnu")]
    // SAFETY: there is no other thread yet, and what was allocated before is freed as it was allocated.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE)
    };
}

/// How often the service manager wants a sign of life, halved.
fn watchdog() -> Option<Duration> {
    let mut microseconds = 0;
    sd_notify::watchdog_enabled(false, &mut microseconds).then(|| Duration::from_micros(microseconds) / 2)
}

/// Tells the operator something, on standard error.
fn say(message: &str) {
    let lines: Vec<_> = message.split('\n').map(guard).collect();
    drop(writeln!(std::io::stderr(), "weir: {}", lines.join("\n")));
}
