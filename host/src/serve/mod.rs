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
mod interval;
mod job;
mod peer;
mod privileges;
pub(crate) mod protocol;
pub(crate) mod status;
mod store;
mod stream;
mod supervise;
mod tenant;
mod times;

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
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
use crate::policy::{Peer, Policy};
use crate::probe::Kernel;
use crate::sandbox;
use audit::Audit;
use connection::Line;
use engine::{Command, Engine};
use job::{Restored, Wanted};
use status::ControlGroups;
use store::Store;
use stream::Stream;

/// The job of the daemon's own configuration.
const CONFIGURATION: &str = "configuration";
/// Commands that connections wait with, each.
const COMMANDS: usize = 64;
/// How long intervals are where no configuration says it.
const INTERVAL: Duration = Duration::from_secs(1);

/// How the daemon is to be.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) config: Option<PathBuf>,
    pub(crate) policy: Option<PathBuf>,
    pub(crate) socket: PathBuf,
    pub(crate) state: Option<PathBuf>,
    pub(crate) audit: Option<PathBuf>,
}

/// Serves until a signal asks for an end.
pub(crate) fn serve(options: &Options) -> Result<()> {
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
    if let Some(wanted) = own {
        begin_own(&line, wanted)?;
    }
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
            match reread(options, interval) {
                Ok((policy, own)) => {
                    engine.policy = policy;
                    own.map_or(Ok(()), |wanted| begin_own(&line, wanted))?;
                    // What the last one did not grant is asked for again.
                    begin_all(&line, engine.waiting())?;
                }
                Err(error) => say(&format!("what was running goes on: {error}")),
            }
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
    config.has_tables(path)?;
    Ok(Wanted {
        name: Some(CONFIGURATION.to_owned()),
        interval: config.interval,
        plugins,
        asked: None,
        // A gap in it is the daemon's own, whose log tells of it.
        restored: Restored::No,
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

/// Begins the job of the daemon's own configuration, or changes it to what that says now.
fn begin_own(line: &Line, wanted: Wanted) -> Result<()> {
    let peer = Peer { pid: std::process::id(), uid: 0, gids: Vec::new(), cgroup: None };
    begin_all(line, vec![(peer, wanted)])
}

/// Begins jobs for nobody, one after the other, and says what went wrong. Plugins take seconds to compile.
fn begin_all(line: &Line, jobs: Vec<(Peer, Wanted)>) -> Result<()> {
    let line = line.clone();
    let begin_each = move || {
        for (peer, wanted) in jobs {
            let name = wanted.name.clone().unwrap_or_default();
            if let Err(why) = begin(&line, peer, wanted) {
                say(&format!("{name}: {why}"));
            }
        }
    };
    std::thread::Builder::new().name("weir-begin".to_owned()).spawn(begin_each)?;
    Ok(())
}

/// Begins jobs that were there before the daemon ended.
fn restore(line: &Line, kept: Vec<store::Found>) -> Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    let line = line.clone();
    let restore = move || {
        let lost = |(tenant, job, bytes): (String, String, u64), why: String| {
            say(&format!("{job} of {tenant}: {why}"));
            line.ask(Command::Lost { tenant, job, bytes, why });
        };
        // Nobody waits for others' plugins, or its own, to be compiled.
        let mut plugins = Vec::new();
        for store::Found { tenant, job, bytes, read } in kept {
            let begun = read.and_then(|(peer, start, components)| {
                let kernel = if peer.uid == 0 { Kernel::running() } else { Kernel::without_programs() };
                let wanted =
                    connection::wanted(start, components, &kernel).map_err(|error| error.to_string())?;
                begin(&line, peer.clone(), wanted.tables())?;
                Ok((peer, Wanted { restored: Restored::Whole, ..wanted }))
            });
            match begun {
                Ok((peer, wanted)) => plugins.push(((tenant, job, bytes), peer, wanted)),
                Err(why) => lost((tenant, job, bytes), why),
            }
        }
        for (job, peer, wanted) in plugins {
            if let Err(why) = begin(&line, peer, wanted) {
                lost(job, why);
            }
        }
    };
    std::thread::Builder::new().name("weir-restore".to_owned()).spawn(restore)?;
    Ok(())
}

/// Has a job begun for nobody. What went wrong, if anything did.
fn begin(line: &Line, peer: Peer, wanted: Wanted) -> std::result::Result<(), String> {
    use protocol::Answer;
    let (stream, answers) = Stream::new(u64::MAX);
    let first = match connection::ask(line, peer, wanted, stream) {
        Ok(_) => answers.first(),
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
