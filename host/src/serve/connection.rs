//! Connections: a thread each, which does what takes time (receiving, resolving, compiling) and asks the engine for the
//! rest. Whatever a client sends, or does not, costs its own connection.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::EventfdFlags;

use super::engine::{Command, Denied, failed};
use super::job::{Origin, Wanted, WantedPlugin};
use super::protocol::{self, Asked, QUESTION_BYTES, Question, Start, Timed, UPLOADS};
use super::stream::{Answers, Stream};
use super::{peer, programs};
use crate::config::{Config, PluginConfig};
use crate::error::{Error, Kind, Result};
use crate::manifest;
use crate::policy::{Code, OPERATOR, Peer, Tenant};
use crate::probe::Kernel;
use crate::sandbox::{COMPONENT_BYTES, Plugin};

/// Clients that are connected at once, of all users: each has a thread.
const CONNECTIONS: usize = 256;
/// Those that only the administrator can have.
const RESERVED: usize = 16;
/// Of one user, so that none takes all.
const OF_USER: usize = 32;
/// A client that sends nothing, or reads nothing, for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of all plugins of one question.
const UPLOAD_BYTES: u64 = 4 * COMPONENT_BYTES as u64;
/// A user of no tenant: how long its question may take, and how many of them may ask at once, whoever they are.
const STRANGERS_PATIENCE: Duration = Duration::from_secs(2);
const STRANGERS: usize = OF_USER;
/// Bytes of plugins that are being received or compiled, of all tenants and of one: each is in memory until it is begun.
/// The last of it is the administrator's.
const UPLOADING: u64 = 4 * UPLOAD_BYTES;
const UPLOADING_OF_TENANT: u64 = UPLOAD_BYTES;
/// How often a connection looks whether its client is still there.
const LOOK: Duration = Duration::from_millis(100);

/// How connections reach the engine.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) commands: SyncSender<Command>,
    /// Readable when there is a command.
    pub(super) bell: Arc<std::os::fd::OwnedFd>,
}

impl Line {
    pub(super) fn new(commands: SyncSender<Command>) -> io::Result<Self> {
        let bell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { commands, bell: Arc::new(bell) })
    }

    /// False if there is no engine any more.
    pub(super) fn ask(&self, command: Command) -> bool {
        let sent = self.commands.send(command).is_ok();
        self.ring();
        sent
    }

    /// Has the engine look for commands.
    pub(super) fn ring(&self) {
        // It only fails if it has been rung very often already.
        rustix::io::write(&self.bell, &1u64.to_ne_bytes()).unwrap_or_default();
    }
}

/// Takes connections until the process ends.
pub(super) fn listen(listener: &UnixListener, line: &Line) {
    let served = Arc::new(Served::default());
    for socket in listener.incoming() {
        let Ok(socket) = socket else {
            // Out of descriptors: until some are closed, trying again at once would only burn the processor.
            thread::sleep(LOOK);
            continue;
        };
        let (line, served) = (line.clone(), served.clone());
        let serve = move || {
            if let Some(mut place) = Place::take(&served, &socket) {
                drop(serve(&socket, &line, &mut place));
            }
        };
        // Without a thread the connection is closed, and its client told so by that.
        drop(thread::Builder::new().name("weir-client".to_owned()).spawn(serve));
    }
}

/// Who is connected.
#[derive(Debug, Default)]
struct Served {
    users: Mutex<HashMap<u32, usize>>,
    strangers: AtomicUsize,
    all: AtomicUsize,
    next: AtomicU64,
    uploading: Mutex<HashMap<Arc<str>, u64>>,
    searching: Mutex<HashSet<Arc<str>>>,
}

/// A tenant's turn to have programs looked into: each takes memory and processor time of a process of its own.
pub(super) struct Searching {
    served: Arc<Served>,
    tenant: Arc<str>,
    on: bool,
}

impl Searching {
    /// False if another connection of the tenant has it.
    pub(super) fn begin(&mut self) -> bool {
        let mut searching = self.served.searching.lock().unwrap_or_else(PoisonError::into_inner);
        self.on = self.on || searching.insert(self.tenant.clone());
        self.on
    }
}

impl Drop for Searching {
    fn drop(&mut self) {
        if self.on {
            let mut searching = self.served.searching.lock().unwrap_or_else(PoisonError::into_inner);
            searching.remove(&self.tenant);
        }
    }
}

/// One connection's place among them.
struct Place {
    served: Arc<Served>,
    peer: Peer,
    number: u64,
    stranger: bool,
}

impl Place {
    fn take(served: &Arc<Served>, socket: &UnixStream) -> Option<Self> {
        let peer = peer::of(socket).ok()?;
        let mut users = served.users.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = users.entry(peer.uid).or_default();
        let most = if peer.uid == 0 { CONNECTIONS } else { CONNECTIONS - RESERVED };
        if *of_user >= OF_USER || served.all.load(Ordering::Relaxed) >= most {
            return None;
        }
        *of_user += 1;
        served.all.fetch_add(1, Ordering::Relaxed);
        let number = served.next.fetch_add(1, Ordering::Relaxed);
        Some(Self { served: served.clone(), peer, number, stranger: false })
    }

    /// Whoever is of no tenant shares few places with all others who are of none. False if there is none for it.
    fn as_stranger(&mut self) -> bool {
        self.stranger = true;
        self.served.strangers.fetch_add(1, Ordering::Relaxed) < STRANGERS
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = self.served.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_user) = users.get_mut(&self.peer.uid) {
            *of_user -= 1;
            if *of_user == 0 {
                users.remove(&self.peer.uid);
            }
        }
        self.served.all.fetch_sub(1, Ordering::Relaxed);
        if self.stranger {
            self.served.strangers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A share of the memory for plugins that are on their way, given back when it is dropped. It grows with what has come, for
/// what was announced takes none.
struct Uploading<'a> {
    served: &'a Served,
    tenant: Arc<str>,
    bytes: u64,
}

impl Uploading<'_> {
    /// False if there is no room for so much more.
    fn grow(&mut self, bytes: u64) -> bool {
        let mut uploading = self.served.uploading.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u64 = uploading.values().sum();
        let most = if *self.tenant == *OPERATOR { UPLOADING } else { UPLOADING - UPLOADING_OF_TENANT };
        let of_tenant = uploading.entry(self.tenant.clone()).or_default();
        if all + bytes > most || *of_tenant + bytes > UPLOADING_OF_TENANT {
            return false;
        }
        *of_tenant += bytes;
        self.bytes += bytes;
        true
    }
}

impl Drop for Uploading<'_> {
    fn drop(&mut self) {
        let mut uploading = self.served.uploading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_tenant) = uploading.get_mut(&self.tenant) {
            *of_tenant -= self.bytes;
            if *of_tenant == 0 {
                uploading.remove(&self.tenant);
            }
        }
    }
}

fn serve(mut socket: &UnixStream, line: &Line, place: &mut Place) -> io::Result<()> {
    let (peer, number) = (place.peer.clone(), place.number);
    let admitted = admit(line, &peer);
    if admitted.is_err() && !place.as_stranger() {
        return Ok(());
    }
    let patience = if admitted.is_ok() { PATIENCE } else { STRANGERS_PATIENCE };
    socket.set_write_timeout(Some(patience))?;
    protocol::greet(&mut socket)?;
    let mut asking = Timed::new(socket, patience);
    if !protocol::greeted(&mut asking)? {
        return Ok(());
    }
    let question = protocol::receive::<Question>(&mut asking, QUESTION_BYTES)?;
    // Nothing more is received of whoever may have nothing.
    let tenant = match admitted {
        Ok(tenant) => tenant,
        Err(denied) => return protocol::send(&mut socket, &*denied),
    };
    let (stream, answers) = Stream::new(number);
    let asked = match question {
        Question::Status => line.ask(Command::Status { peer, stream }),
        Question::Logs { job, follow } => line.ask(Command::Logs { peer, job, follow, stream }),
        Question::Stop { job } => line.ask(Command::Stop { peer, job, stream }),
        Question::Start(start) => match begin(start, &mut socket, (line, place), tenant, stream)? {
            Ok(asked) => asked,
            Err(denied) => return protocol::send(&mut socket, &*denied),
        },
    };
    if !asked {
        return protocol::send(&mut socket, &*gone());
    }
    pass_on(socket, &answers, line, number)
}

/// Passes answers on until the engine has no more. A client that closes its side wants no more, and gets what is left.
fn pass_on(mut socket: &UnixStream, answers: &Answers, line: &Line, number: u64) -> io::Result<()> {
    let mut told = false;
    let sent = loop {
        match answers.next(LOOK, |answer| protocol::send(&mut socket, &answer)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => break Err(error),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break Ok(()),
        }
        if !told && has_closed(socket) {
            told = true;
            line.ask(Command::Closed { stream: number });
        }
    };
    if sent.is_err() {
        line.ask(Command::Closed { stream: number });
    }
    sent
}

/// Whether the client has closed its side: it sends nothing after its question.
fn has_closed(socket: &UnixStream) -> bool {
    let flags = rustix::net::RecvFlags::DONTWAIT | rustix::net::RecvFlags::PEEK;
    !matches!(
        rustix::net::recv(socket, &mut [0u8; 1], flags),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR)
    )
}

/// Receives a job's plugins, resolves it, and has the engine begin it. An answer if that is refused.
fn begin(
    start: Start,
    socket: &mut &UnixStream,
    (line, place): (&Line, &Place),
    tenant: Option<Arc<Tenant>>,
    stream: Stream,
) -> io::Result<std::result::Result<bool, Denied>> {
    let peer = place.peer.clone();
    if let Err(error) = sizes(&start) {
        return Ok(Err(failed(error)));
    }
    let name = tenant.as_ref().map_or_else(|| OPERATOR.into(), |tenant| tenant.name.clone());
    let mut uploading = Uploading { served: &place.served, tenant: name, bytes: 0 };
    let Some(bytes) = receive(&start, socket, &mut uploading)? else {
        let busy =
            Error::new(Kind::Unavailable, "too many plugins are being started at once").help("try again");
        return Ok(Err(failed(busy)));
    };
    let searching = Searching { served: place.served.clone(), tenant: uploading.tenant.clone(), on: false };
    let grant = tenant.as_ref().map(|tenant| tenant.grant.clone());
    let not_granted = Arc::<AtomicBool>::default();
    let open = programs::of_client(socket.try_clone()?, peer.pid, grant, searching, not_granted.clone());
    let name = start.name.clone();
    let wanted = match wanted(start, bytes, &Kernel::with_programs(open)) {
        Ok(wanted) => wanted,
        Err(error) if not_granted.load(Ordering::Relaxed) => {
            line.ask(Command::Refuse { peer, job: name, code: Code::Probe, what: error.message, stream });
            return Ok(Ok(true));
        }
        Err(error) => return Ok(Err(failed(error))),
    };
    Ok(ask(line, peer, wanted, stream))
}

/// What somebody may have.
pub(super) fn admit(line: &Line, peer: &Peer) -> std::result::Result<Option<Arc<Tenant>>, Denied> {
    let (reply, known) = channel();
    line.ask(Command::Admit { peer: peer.clone(), reply });
    known.recv().map_err(|_| gone())?
}

/// Has the engine begin a job.
pub(super) fn ask(
    line: &Line,
    peer: Peer,
    mut wanted: Wanted,
    stream: Stream,
) -> std::result::Result<bool, Denied> {
    wanted.admitted = admit(line, &peer)?;
    if let Some(tenant) = &wanted.admitted {
        wanted.plugins.iter_mut().for_each(|plugin| plugin.examine(&tenant.grant.trust));
    }
    let wanted = Arc::new(wanted);
    let (reply, prepared) = channel();
    line.ask(Command::Prepare { peer: peer.clone(), wanted: wanted.clone(), reply });
    let compiler = prepared.recv().map_err(|_| gone())??;
    let mut compiled = Vec::new();
    for plugin in &wanted.plugins {
        let Some(compiler) = &compiler else {
            return Err(failed(Error::new(Kind::Software, "a plugin without a compiler")));
        };
        let plugin = Plugin {
            name: plugin.name.clone(),
            component: plugin.component.to_vec(),
            // They are known once they are attached.
            tables: Vec::new(),
            options: plugin.options.clone(),
            limits: plugin.limits.clone(),
        };
        match compiler.compile_next(plugin, compiled.is_empty()).map_err(failed)? {
            Ok(next) => compiled.push(next),
            Err(wait) => {
                let wait = humantime::format_duration(Duration::from_secs(wait.as_secs() + 1));
                let what =
                    format!("compiling has used what is granted; there is time for it again in {wait}");
                let job = wanted.name.clone();
                return Ok(line.ask(Command::Refuse { peer, job, code: Code::Cpu, what, stream }));
            }
        }
    }
    Ok(line.ask(Command::Begin { peer, wanted, compiled, stream }))
}

fn gone() -> Denied {
    failed(Error::new(Kind::Unavailable, "the daemon is ending"))
}

pub(super) fn sizes(start: &Start) -> Result<()> {
    let refuse = |what: String| Err(Error::new(Kind::Data, what));
    if start.plugins.len() > UPLOADS {
        return refuse(format!("{} plugins at once, and {UPLOADS} is the most", start.plugins.len()));
    }
    if let Some(large) = start.plugins.iter().find(|plugin| plugin.bytes > COMPONENT_BYTES as u64) {
        return refuse(format!(
            "plugin {}: the component has more than {} MiB",
            large.name,
            COMPONENT_BYTES >> 20
        ));
    }
    if start.plugins.iter().map(|plugin| plugin.bytes).sum::<u64>() > UPLOAD_BYTES {
        return refuse(format!("plugins of more than {} MiB at once", UPLOAD_BYTES >> 20));
    }
    Ok(())
}

/// The plugins' bytes; nothing, if there is no room for all of them.
fn receive(
    start: &Start,
    socket: &mut &UnixStream,
    uploading: &mut Uploading<'_>,
) -> io::Result<Option<Vec<Vec<u8>>>> {
    // A client that sends a byte now and then is never quite silent.
    let mut socket = Timed::new(socket, PATIENCE * 4);
    let mut plugins = Vec::with_capacity(start.plugins.len());
    for plugin in &start.plugins {
        let mut component = Vec::new();
        let mut left = plugin.bytes;
        while left > 0 {
            let next = left.min(1 << 20);
            if !uploading.grow(next) {
                return Ok(None);
            }
            let got = (&mut socket).take(next).read_to_end(&mut component)?;
            if got == 0 {
                break;
            }
            left -= got as u64;
        }
        if left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        plugins.push(component);
    }
    Ok(Some(plugins))
}

/// A plugin, with what is written for it and what it asks for; nothing is asked for if there are no tables to add to.
pub(super) fn plugin(
    tables: Option<&mut manifest::Tables<'_>>,
    name: String,
    component: Vec<u8>,
    written: Option<&PluginConfig>,
    kernel: &Kernel,
) -> Result<WantedPlugin> {
    let path = Path::new(&name);
    written.map_or(Ok(()), |written| written.is_meant(&component))?;
    let manifest = manifest::within(&component, path)?;
    let mut given = manifest::Given::new(&name, written, manifest.as_ref())?;
    match tables {
        Some(tables) => tables.add(&name, (written, manifest.as_ref()), path, kernel)?,
        None => given.tables = None,
    }
    Ok(WantedPlugin::new(name, component, given))
}

/// A job, resolved against this kernel.
pub(super) fn wanted(start: Start, components: Vec<Vec<u8>>, kernel: &Kernel) -> Result<Wanted> {
    let mut config = match &start.asked {
        Asked::Text { text, path } => Config::partial(text, Path::new(path), kernel)?,
        Asked::Arguments(arguments) => Config::from_arguments(arguments, kernel)?,
    };
    let name_is_right = |name: &str| crate::config::is_name(name);
    if let Some(name) = start.name.iter().find(|name| !name_is_right(name)) {
        let message = format!("`{}` can be no job's name", name.escape_debug());
        return Err(Error::new(Kind::Usage, message)
            .help("a name has letters, digits, `-` and `_`, and begins with a letter or `_`"));
    }
    let mut plugins: Vec<WantedPlugin> = Vec::new();
    // Whoever looks at one table has its plugins look at that.
    let asks = matches!(start.asked, Asked::Text { .. });
    let mut tables = manifest::Tables::new(&mut config.tables);
    for (upload, component) in start.plugins.into_iter().zip(components) {
        if !name_is_right(&upload.name) || plugins.iter().any(|other| other.name == upload.name) {
            let message = format!("`{}` can be no plugin's name here", upload.name.escape_debug());
            return Err(Error::new(Kind::Usage, message)
                .help("name it as no other, with letters, digits, `-` and `_`"));
        }
        let written = config.plugins.iter().find(|plugin| plugin.name == upload.name);
        let mut plugin = plugin(asks.then_some(&mut tables), upload.name, component, written, kernel)?;
        // Many plugins may be one component with other options, which is kept once.
        if let Some(other) = plugins.iter().find(|other| other.digest == plugin.digest) {
            plugin.component = other.component.clone();
        }
        plugins.push(plugin);
    }
    if let Asked::Text { path, .. } = &start.asked {
        config.has_tables(Path::new(path))?;
    }
    Ok(Wanted {
        name: start.name,
        interval: config.interval,
        tables: config.tables,
        plugins,
        programs: programs::kept(kernel),
        asked: Some(start.asked),
        origin: Origin::Asked,
        admitted: None,
    })
}
