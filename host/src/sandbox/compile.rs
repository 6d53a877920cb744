//! Compiling components, each in a process of its own that reads nothing but the component, writes nothing but
//! the code, never runs a guest, and has bounds of its own on time and memory. The host hands bytes in and gets
//! bytes out; it looks at neither.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::channel::{Channel, Silence, Until};
use super::engine::Bound;
use super::limits::{
    COMPILE_CPU, COMPILE_MEMORY, COMPILE_WALL, COMPILED_BYTES, COMPONENT_BYTES, FAULT_BYTES,
};
use super::lockdown::{self, Left};
use super::outputs::cut;
use super::process::Process;
use super::seccomp::Work;
use super::spawn::{Identity, Role, spawn};
use super::wire::Compiled;
use super::wit::{ANALYSIS, PACKAGE, VERSION};
use super::{child, engine, ring, runner, wasi};
use crate::error::{Error, Kind, Result};
use crate::memfd;

/// Compiled code, opaque, and how much of its file it takes.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) file: OwnedFd,
    pub(super) bytes: u64,
}

/// A compiler at work. Ends with whoever holds it.
#[derive(Debug)]
pub(super) struct Job {
    name: String,
    channel: Channel,
    process: Process,
    output: OwnedFd,
    until: Instant,
    identity: Arc<Identity>,
    /// Processes of its control group that had been killed for their memory before.
    out_of_memory: u64,
}

impl Job {
    pub(super) fn start(
        name: &str,
        component: &[u8],
        identity: &Arc<Identity>,
        bound: Bound,
    ) -> Result<Self> {
        let refuse = |message: String| Error::new(Kind::Data, format!("plugin {name}: {message}"));
        if component.len() > COMPONENT_BYTES {
            return Err(refuse(format!("the component has more than {} MiB", COMPONENT_BYTES >> 20)));
        }
        let left = Left {
            uid: identity.uid(),
            descriptors: 3,
            memory: COMPILE_MEMORY,
            cpu: Some(COMPILE_CPU.as_secs()),
            grouped: identity.group().is_some(),
        };
        let out_of_memory = identity.out_of_memory();
        let start = || {
            let (channel, theirs) = Channel::pair()?;
            let input = memfd::sealed("weir-component", component)?;
            let output = ring::blank("weir-code", COMPILED_BYTES)?;
            let mut files = vec![theirs, input, output.try_clone()?];
            files.extend(identity.entrance()?);
            let process = spawn(Role::Compiler(bound), files, left)?;
            std::io::Result::Ok((channel, process, output))
        };
        let (channel, process, output) = start().map_err(|error| {
            Error::new(Kind::Software, format!("plugin {name}: cannot start a compiler: {error}"))
        })?;
        let (name, until) = (name.to_owned(), Instant::now() + COMPILE_WALL);
        Ok(Self { name, channel, process, output, until, identity: identity.clone(), out_of_memory })
    }

    /// Waits for the code, and tells how much of a processor it took.
    pub(super) fn finish(mut self) -> (Result<Code>, Duration) {
        let said = self.channel.receive_until::<Compiled>(Until::Then(self.until));
        if matches!(said, Err(Silence::Closed)) {
            // It is ending, and how says why, unless it only closed its channel.
            self.process.look_for_end(Until::Then(self.until));
        }
        // As long as it was not waited for, the kernel knows.
        let used = self.process.used();
        (self.end(said), used)
    }

    fn end(mut self, said: std::result::Result<Compiled, Silence>) -> Result<Code> {
        // It has nothing more to do; how it ended stands, if it has. That it has ended is what makes its output final.
        self.process.kill()?;
        let status = self.process.wait()?;
        let error = |kind, message: String| {
            let message = crate::escape::escape(cut(&message, FAULT_BYTES).as_bytes()).into_owned();
            Error::new(kind, format!("plugin {}: {message}", self.name))
        };
        match said {
            Ok(Compiled::Code { bytes }) if bytes <= COMPILED_BYTES as u64 => {
                ring::seal(&self.output)?;
                Ok(Code { file: self.output, bytes })
            }
            Ok(Compiled::Refused { message, help }) => {
                let help = crate::escape::escape(cut(&help, FAULT_BYTES).as_bytes()).into_owned();
                Err(error(Kind::Data, message).help(help))
            }
            Ok(Compiled::Unfit(message)) => Err(error(Kind::Unavailable, message)),
            Ok(Compiled::Code { .. }) | Err(Silence::Garbage) => {
                Err(error(Kind::Data, "its compiler answered with what is no answer".to_owned()))
            }
            Err(Silence::Waiting) => {
                let message = format!("compiling took longer than {} s", COMPILE_WALL.as_secs());
                Err(error(Kind::Data, message).help("make the component smaller"))
            }
            Err(Silence::Closed) => {
                let starved = self.identity.out_of_memory() > self.out_of_memory;
                let how = if starved { OUT_OF_MEMORY.to_owned() } else { ending(status) };
                Err(error(Kind::Data, how).help("make the component smaller"))
            }
        }
    }
}

/// What became of a compiler that its control group did not have enough memory for.
const OUT_OF_MEMORY: &str =
    "compiling took more memory than the tenant's control group has beside its other processes";

/// What became of a compiler that said nothing.
fn ending(status: ExitStatus) -> String {
    match status.signal() {
        // SIGXCPU and SIGKILL, which follows it.
        Some(24 | 9) => format!("compiling took more than {} s of processor time", COMPILE_CPU.as_secs()),
        // SIGABRT: no memory left.
        Some(6) => format!("compiling took more than {} MiB of memory", COMPILE_MEMORY >> 20),
        _ => format!("its compiler ended without a word ({status})"),
    }
}

/// The compiler process.
pub(super) fn main(left: Left, bound: Bound) -> std::result::Result<(), ()> {
    let (files, group) = lockdown::keep(left).map_err(drop)?;
    let [socket, input, output]: [OwnedFd; 3] = files.try_into().map_err(drop)?;
    let hang_up = socket.try_clone().map_err(drop)?;
    let said = match prepare((left, group), bound, hang_up) {
        Ok(engine) => compile(&engine, &input, &output),
        Err(reason) => Compiled::Unfit(reason),
    };
    Channel::new(socket).send(&said, Until::Ever).map_err(drop)
}

/// Gives up everything; then this process ends when its host is gone, and can compile.
fn prepare(
    (left, group): (Left, Option<OwnedFd>),
    bound: Bound,
    hang_up: OwnedFd,
) -> std::result::Result<Engine, String> {
    lockdown::enter(c"weir-compiler", left, group)?;
    // Before the filter, because setting up asks the machine more than compiling does.
    let engine = engine::engine(bound).map_err(|error| format!("cannot set up Wasmtime: {error:#}"))?;
    let wait = move || {
        while !child::hung_up(&hang_up, None) {}
        std::process::exit(0)
    };
    lockdown::beside(wait).map_err(|error| format!("cannot start a thread: {error}"))?;
    lockdown::last_thread(Work::Compile)?;
    Ok(engine)
}

fn compile(engine: &Engine, input: &OwnedFd, output: &OwnedFd) -> Compiled {
    let unfit = |error: std::io::Error| Compiled::Unfit(format!("cannot compile: {error}"));
    let component = match rustix::fs::fstat(input)
        .map_err(Into::into)
        .and_then(|stat| ring::map(input, usize::try_from(stat.st_size).unwrap_or(usize::MAX)))
    {
        Ok(component) => component,
        // An empty file cannot be mapped.
        Err(_) => return refuse_bytes(&[]),
    };
    let code = match translate(engine, &component) {
        Ok(code) => code,
        Err((message, help)) => return Compiled::Refused { message, help },
    };
    match ring::fill(output, COMPILED_BYTES, &code) {
        Ok(true) => Compiled::Code { bytes: code.len() as u64 },
        Ok(false) => Compiled::Refused {
            message: format!("its compiled code has more than {} MiB", COMPILED_BYTES >> 20),
            help: "make the component smaller".to_owned(),
        },
        Err(error) => unfit(error),
    }
}

fn refuse_bytes(bytes: &[u8]) -> Compiled {
    match recognise(bytes) {
        Err((message, help)) => Compiled::Refused { message, help },
        Ok(()) => Compiled::Unfit("cannot read the component".to_owned()),
    }
}

/// What is wrong, and what would be right.
type Refused = (String, String);

/// Compiles a component that can run here.
fn translate(engine: &Engine, bytes: &[u8]) -> std::result::Result<Vec<u8>, Refused> {
    recognise(bytes)?;
    let broken = |error: wasmtime::Error| {
        (format!("is not a valid component: {error:#}"), "build it again; the file may be damaged".to_owned())
    };
    let component = Component::from_binary(engine, bytes).map_err(broken)?;
    fits(engine, &component)?;
    component.serialize().map_err(broken)
}

/// The first eight bytes tell a component from a core module and from anything else, as
/// <https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md> has them.
fn recognise(bytes: &[u8]) -> std::result::Result<(), Refused> {
    match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err((
            "is a core WebAssembly module, and a plugin is a component".to_owned(),
            "make it one with `wasm-tools component new module.wasm -o plugin.wasm`".to_owned(),
        )),
        [0, b'a', b's', b'm', ..] => Err((
            "is of a version of WebAssembly that is not known here".to_owned(),
            "build it as a component".to_owned(),
        )),
        _ => Err((
            "is not WebAssembly".to_owned(),
            "name the file of a component, such as those that `cargo xtask plugins` builds".to_owned(),
        )),
    }
}

/// Whether what the component imports is offered, and what it exports is what is called.
pub(super) fn fits(engine: &Engine, component: &Component) -> std::result::Result<(), Refused> {
    let linker = engine::linker(engine).map_err(|error| (format!("{error:#}"), String::new()))?;
    let offered = || format!("a plugin can import {}", engine::OFFERED.as_str());
    let types = component.component_type();
    let ours = format!("{PACKAGE}/");
    for (name, _) in types.imports(engine).chain(types.exports(engine)) {
        if let Some(version) = name.strip_prefix(&ours).and_then(|rest| rest.split_once('@')).map(|(_, v)| v)
            && !same_track(version)
        {
            return Err((
                format!("is made for version {version} of {PACKAGE}, and this Weir speaks {VERSION}"),
                format!("build it with the SDK of version {VERSION}, or run the Weir that it is made for"),
            ));
        }
    }
    for (name, _) in types.imports(engine) {
        let ours = super::guest::INTERFACES.iter().any(|ours| unversioned(ours) == unversioned(name));
        if !ours && !wasi::offered(name)? {
            return Err((format!("imports {name}, which is not offered"), offered()));
        }
    }
    engine::link(&linker, component).map_err(|error| {
        (
            format!("imports what is not offered, or not like that: {error:#}"),
            format!("build it with the SDK of version {VERSION}"),
        )
    })?;
    if runner::exports(component).is_none() {
        return Err((
            format!("does not export {ANALYSIS} with configure and analyze"),
            "with the Rust SDK, `weir_plugin::export!(YourPlugin)` does".to_owned(),
        ));
    }
    Ok(())
}

fn unversioned(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// Versions 0.1.x go together.
fn same_track(version: &str) -> bool {
    let track = |version: &str| {
        let mut parts = version.split('.').map(str::to_owned);
        (parts.next(), parts.next())
    };
    track(version) == track(VERSION)
}
