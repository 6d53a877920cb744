//! Looking up functions in the files of programs, in a process of its own that reads nothing but the files that it is
//! handed. Whoever runs a program can have written its file. The host hands files down and gets names and places out; it
//! looks into no file itself.
#![allow(unsafe_code)] // Mapping the files.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use memmap2::{Mmap, MmapOptions};
use serde::{Deserialize, Serialize};
use weir_functions::Program;

use super::channel::{Channel, Silence, Until};
use super::limits::{
    FAULT_BYTES, FOUND_BYTES, MESSAGE_BYTES, SEARCH_CPU, SEARCH_WALL, SYMBOLIZE_CPU, SYMBOLIZE_MEMORY,
    SYMBOLIZE_PLACES,
};
use super::lockdown::{self, Left};
use super::outputs::cut;
use super::process::Process;
use super::seccomp::Work;
use super::spawn::{Identity, Role, spawn};
use crate::error::Error;
use crate::escape::guard;
use crate::probe::{Found, MOST_MATCHES, Wanted, search};
use crate::symbols::{FRAMES, NAME_BYTES, demangle};

/// What the host wants. A file comes first, then what is asked of it.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// With a descriptor.
    File,
    /// With a descriptor: the debug file that is installed for it, which is to have this checksum.
    Debug(Option<u32>),
    /// The functions at these places in the file.
    Places(Vec<u64>),
    /// With a descriptor: what there is to probe in a file that is shown by this name.
    Search(String, Wanted),
}

/// What is said to the host.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    /// Privileges cannot be given up.
    Unfit(String),
    /// Of a file; none if it is no program.
    Links(Option<Links>),
    /// For each place its functions, what was inlined before what it was inlined into.
    Functions(Vec<Vec<String>>),
    /// What was found, and whether more of it follows; or why nothing is.
    Found(Result<(Vec<Found>, bool), Error>),
}

/// What a file says of its debug file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    pub build_id: Vec<u8>,
    /// A name and a checksum.
    pub debug_link: Option<(Vec<u8>, u32)>,
}

/// A build ID or name of a file that is longer is none, and would have to be kept.
const LINK_BYTES: usize = 255;
/// A name that is longer than what is shown ends within a character.
const SAID_BYTES: usize = NAME_BYTES + 4;

// Each name and each place has its length before it.
const _: () = assert!(SYMBOLIZE_PLACES * (FRAMES * (SAID_BYTES + 2) + 2) + 16 <= MESSAGE_BYTES);

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// It did not come in time.
    Slow,
    /// The process ended.
    Ended(String),
    /// What came is no answer.
    Garbage,
    /// What came is more than can be kept.
    Full,
    /// The process could not give up its privileges, or not be started. No file is to blame for that.
    Unfit(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow => write!(f, "reading it takes too long"),
            Self::Ended(how) => write!(f, "reading it {how}"),
            Self::Garbage => write!(f, "the symbolizer answered with what is no answer"),
            Self::Full => write!(f, "all names in it are too long to be kept"),
            Self::Unfit(reason) => write!(f, "{reason}"),
        }
    }
}

/// Starts symbolizers, all as the same user of their own. One that is late goes on beside the next.
#[derive(Debug)]
pub struct Symbolizers {
    identity: Option<Identity>,
    /// Processor time of one.
    cpu: Duration,
}

impl Default for Symbolizers {
    /// For names in stacks, of which there are new ones in every interval.
    fn default() -> Self {
        Self { identity: None, cpu: SYMBOLIZE_CPU }
    }
}

impl Symbolizers {
    /// For probes in programs, for which somebody waits.
    pub(crate) fn of_probes() -> Self {
        Self { cpu: SEARCH_CPU, ..Self::default() }
    }

    /// Starts one.
    pub fn start(&mut self) -> Result<Symbolizer, Lost> {
        self.try_start().map_err(|error| Lost::Unfit(format!("cannot start a symbolizer: {error}")))
    }

    fn try_start(&mut self) -> io::Result<Symbolizer> {
        let (channel, theirs) = Channel::pair()?;
        // The unit tests' binary cannot be started again as a symbolizer; what a thread says is the same.
        let process = if cfg!(test) {
            std::thread::spawn(move || serve(&mut Channel::taking_files(theirs)));
            None
        } else {
            let identity = match &mut self.identity {
                Some(identity) => identity,
                none => none.insert(Identity::choose()?.within("symbolizer", 2 * SYMBOLIZE_MEMORY)?),
            };
            let left = Left {
                uid: identity.uid(),
                descriptors: 1,
                memory: SYMBOLIZE_MEMORY,
                cpu: Some(self.cpu.as_secs()),
                grouped: identity.group().is_some(),
            };
            let mut files = vec![theirs];
            files.extend(identity.entrance()?);
            Some(spawn(Role::Symbolizer, files, left)?)
        };
        Ok(Symbolizer { channel, process, cpu: self.cpu })
    }
}

/// A symbolizer at work. Ends with whoever holds it.
#[derive(Debug)]
pub struct Symbolizer {
    channel: Channel,
    /// None in unit tests.
    process: Option<Process>,
    /// Its processor time.
    cpu: Duration,
}

impl Symbolizer {
    #[doc(hidden)]
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Closes the channel, as happens when the host dies.
    #[doc(hidden)]
    pub fn hang_up(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.channel, rustix::net::Shutdown::Both)?)
    }

    /// Hands over a file, which is sealed.
    pub fn file(&mut self, file: BorrowedFd<'_>, until: Instant) -> Result<(), Lost> {
        self.hand_over(&Order::File, file, until)
    }

    /// The answer to a file. None if it is no program.
    pub fn links(&mut self, until: Instant) -> Result<Option<Links>, Lost> {
        self.receive(until)?.links()
    }

    /// Hands over the file in which the last one's functions are looked up first, if it has this checksum.
    pub fn debug_file(
        &mut self,
        file: BorrowedFd<'_>,
        checksum: Option<u32>,
        until: Instant,
    ) -> Result<(), Lost> {
        self.hand_over(&Order::Debug(checksum), file, until)
    }

    /// Asks for the functions at up to [`SYMBOLIZE_PLACES`] places of the last file.
    pub fn ask(&mut self, places: &[u64], until: Instant) -> Result<(), Lost> {
        let sent = self.channel.send(&Order::Places(places.to_vec()), Until::Then(until));
        sent.map_err(|error| self.unsent(&error))
    }

    /// The answer to so many places, for each what was inlined before what it was inlined into. One that is
    /// [`Lost::Slow`] can be waited for again.
    pub fn functions(&mut self, places: usize, until: Instant) -> Result<Vec<Vec<String>>, Lost> {
        self.receive(until)?.functions(places)
    }

    /// What there is to probe in a file of so many bytes, which is shown by this name; or why nothing is.
    pub(crate) fn search(
        &mut self,
        (file, bytes): (BorrowedFd<'_>, u64),
        shown: &str,
        wanted: Wanted,
    ) -> Result<Result<Vec<Found>, Error>, Lost> {
        let until = Instant::now() + SEARCH_WALL;
        self.hand_over(&Order::Search(shown.to_owned(), wanted), file, until)?;
        let (mut all, mut kept) = (Vec::new(), 0);
        loop {
            let (found, more) = match self.receive(until)? {
                Said::Found(Ok(found)) => found,
                Said::Found(Err(error)) => return Ok(Err(harmless(&error))),
                other => return Err(other.unexpected()),
            };
            // Whoever goes on has said something.
            if (more && found.is_empty()) || !found.iter().all(|found| found.is_sound(bytes)) {
                return Err(Lost::Garbage);
            }
            kept += found.iter().map(Found::bytes).sum::<usize>();
            all.extend(found);
            if kept > FOUND_BYTES || all.len() > MOST_MATCHES {
                return Err(Lost::Full);
            }
            if !more {
                return Ok(Ok(all));
            }
        }
    }

    fn hand_over(&mut self, order: &Order, file: BorrowedFd<'_>, until: Instant) -> Result<(), Lost> {
        let sent = self.channel.send_with(order, &[file], Until::Then(until));
        sent.map_err(|error| self.unsent(&error))
    }

    fn receive(&mut self, until: Instant) -> Result<Said, Lost> {
        self.channel.receive_until(Until::Then(until)).map_err(|silence| match silence {
            Silence::Waiting => Lost::Slow,
            Silence::Garbage => Lost::Garbage,
            Silence::Closed => self.ended(),
        })
    }

    fn unsent(&mut self, error: &io::Error) -> Lost {
        match error.kind() {
            io::ErrorKind::TimedOut => Lost::Slow,
            _ => match self.channel.receive() {
                Ok(Said::Unfit(reason)) => Said::Unfit(reason).unexpected(),
                _ => self.ended(),
            },
        }
    }

    /// What became of the process, which has closed its channel.
    fn ended(&mut self) -> Lost {
        let status = self.process.as_mut().and_then(|process| {
            // What it ended with stands, if it did.
            drop(process.kill());
            process.wait().ok()
        });
        Lost::Ended(match status.and_then(|status| status.signal()) {
            // SIGABRT: no memory left.
            Some(6) => format!("took more than {} MiB of memory", SYMBOLIZE_MEMORY >> 20),
            // SIGXCPU.
            Some(24) => format!("took more than {} s of processor time", self.cpu.as_secs()),
            Some(signal) => format!("ended with signal {signal}"),
            None => "ended without an answer".to_owned(),
        })
    }
}

impl Said {
    fn links(self) -> Result<Option<Links>, Lost> {
        match self {
            Self::Links(None) => Ok(None),
            Self::Links(Some(links)) if links.are_short() => Ok(Some(links)),
            other => Err(other.unexpected()),
        }
    }

    /// Of so many places.
    fn functions(self, places: usize) -> Result<Vec<Vec<String>>, Lost> {
        match self {
            Self::Functions(found)
                if found.len() == places && found.iter().all(|functions| fits(functions)) =>
            {
                Ok(found)
            }
            other => Err(other.unexpected()),
        }
    }

    fn unexpected(self) -> Lost {
        match self {
            Self::Unfit(reason) => {
                let reason = crate::escape::escape(cut(&reason, FAULT_BYTES).as_bytes()).into_owned();
                Lost::Unfit(format!("the symbolizer {reason}"))
            }
            Self::Links(_) | Self::Functions(_) | Self::Found(_) => Lost::Garbage,
        }
    }
}

impl Links {
    fn are_short(&self) -> bool {
        let name = self.debug_link.as_ref().map_or(0, |(name, _)| name.len());
        self.build_id.len() <= LINK_BYTES && name <= LINK_BYTES
    }
}

/// Whether this is what is said of one place.
fn fits(functions: &[String]) -> bool {
    functions.len() <= FRAMES && functions.iter().all(|name| (1..=SAID_BYTES).contains(&name.len()))
}

/// The symbolizer process.
pub(super) fn main(left: Left) -> Result<(), ()> {
    let (files, group) = lockdown::keep(left).map_err(drop)?;
    let [socket]: [OwnedFd; 1] = files.try_into().map_err(drop)?;
    let mut channel = Channel::taking_files(socket);
    let prepared = lockdown::enter(c"weir-symbolizer", left, group)
        .and_then(|()| lockdown::last_thread(Work::Symbolize));
    match prepared {
        Ok(()) => serve(&mut channel),
        Err(reason) => channel.send(&Said::Unfit(reason), Until::Ever).map_err(drop),
    }
}

/// Answers until the channel closes, which is how a host that is gone is noticed; reading a file goes on until then or
/// until the processor time is used up.
fn serve(channel: &mut Channel) -> Result<(), ()> {
    let mut next = channel.receive_until(Until::Ever);
    while let Ok(order) = next {
        next = match order {
            Order::File => one_file(channel)?,
            Order::Search(shown, wanted) => {
                let file = channel.files().pop().ok_or(())?;
                // A file without bytes is no program either.
                let file = map(&file);
                answer(channel, search(file.as_deref().unwrap_or_default(), &shown, &wanted))?;
                channel.receive_until(Until::Ever)
            }
            Order::Debug(_) | Order::Places(_) => return Err(()),
        };
    }
    Ok(())
}

/// In as many messages as it takes.
fn answer(channel: &Channel, found: Result<Vec<Found>, Error>) -> Result<(), ()> {
    let say = |said| channel.send(&Said::Found(said), Until::Ever).map_err(drop);
    let mut found = match found {
        Ok(found) => found.into_iter().peekable(),
        Err(error) => return say(Err(error)),
    };
    loop {
        let (mut part, mut bytes) = (Vec::new(), 0);
        // What is written down takes less than what is kept.
        while let Some(next) =
            found.next_if(|next| part.is_empty() || bytes + next.bytes() < MESSAGE_BYTES / 2)
        {
            bytes += next.bytes();
            part.push(next);
        }
        let more = found.peek().is_some();
        say(Ok((part, more)))?;
        if !more {
            return Ok(());
        }
    }
}

/// What may come from a stranger, as it is shown.
fn harmless(error: &Error) -> Error {
    let text = |text: &str| guard(&cut(text, FAULT_BYTES)).into_owned();
    let shown = Error::new(error.kind, text(&error.message));
    match &error.help {
        Some(help) => shown.help(text(help)),
        None => shown,
    }
}

/// Answers what is asked of one file, and gives back what comes next.
fn one_file(channel: &mut Channel) -> Result<Result<Order, Silence>, ()> {
    let file = map(&channel.files().pop().ok_or(())?);
    // Before the program, which refers to it.
    let debug;
    let mut program = file.as_deref().and_then(Program::read);
    let links = program.as_ref().map(links);
    channel.send(&Said::Links(links), Until::Ever).map_err(drop)?;
    let mut next = channel.receive_until(Until::Ever);
    if let Ok(Order::Debug(checksum)) = next {
        debug = map(&channel.files().pop().ok_or(())?);
        if let (Some(program), Some(debug)) = (&mut program, debug.as_deref()) {
            program.has_debug_file(debug, checksum);
        }
        next = channel.receive_until(Until::Ever);
    }
    while let Ok(Order::Places(places)) = next {
        let found = |place: &u64| program.as_ref().map(|program| shown(program, *place)).unwrap_or_default();
        channel.send(&Said::Functions(places.iter().map(found).collect()), Until::Ever).map_err(drop)?;
        next = channel.receive_until(Until::Ever);
    }
    Ok(next)
}

fn links(program: &Program<'_>) -> Links {
    let short = |bytes: &&[u8]| bytes.len() <= LINK_BYTES;
    let link = program.debug_link().filter(|(name, _)| short(name));
    Links {
        build_id: program.build_id().filter(short).unwrap_or_default().to_vec(),
        debug_link: link.map(|(name, checksum)| (name.to_vec(), checksum)),
    }
}

/// As much as can be shown of the functions at a place.
fn shown(program: &Program<'_>, place: u64) -> Vec<String> {
    let names = program.functions(place).into_iter().take(FRAMES);
    let mut names: Vec<String> = names.map(|name| demangle(&name).into_owned()).collect();
    for name in &mut names {
        let mut ends = name.char_indices().map(|(at, character)| at + character.len_utf8());
        if let Some(end) = ends.find(|end| *end > NAME_BYTES) {
            name.truncate(end);
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The whole file; none if that is nothing.
fn map(file: &OwnedFd) -> Option<Mmap> {
    let length = usize::try_from(rustix::fs::fstat(file).ok()?.st_size).ok()?;
    // SAFETY: a file of a stranger's is a sealed copy. A debug file is the administrator's; to change it meanwhile is to
    // replace it. Should one be cut off nevertheless, this process ends, which does nothing else.
    unsafe { MmapOptions::new().len(length).map(file) }.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_answer_is_garbage() {
        let links = |build_id: usize, name: usize| {
            Said::Links(Some(Links { build_id: vec![1; build_id], debug_link: Some((vec![b'x'; name], 1)) }))
        };
        assert!(links(LINK_BYTES, LINK_BYTES).links().unwrap().is_some());
        assert!(Said::Links(None).links().unwrap().is_none());
        for said in [links(LINK_BYTES + 1, 1), links(1, LINK_BYTES + 1), Said::Functions(Vec::new())] {
            assert!(matches!(said.links(), Err(Lost::Garbage)));
        }

        let functions = |frames: usize, length: usize| {
            Said::Functions(vec![Vec::new(), vec!["x".repeat(length); frames]]).functions(2)
        };
        assert!(functions(FRAMES, SAID_BYTES).is_ok());
        let refused = [functions(FRAMES + 1, 1), functions(1, SAID_BYTES + 1), functions(1, 0)];
        let counted = |count: usize| Said::Functions(vec![Vec::new(); count]).functions(2);
        for said in refused.into_iter().chain([counted(1), counted(3), Said::Links(None).functions(0)]) {
            assert!(matches!(said, Err(Lost::Garbage)));
        }
    }

    #[test]
    fn a_reason_is_harmless() {
        let unfit = Said::Unfit("\x1b[2J".repeat(1 << 20)).links().unwrap_err().to_string();
        assert!(unfit.len() < 4 * FAULT_BYTES && !unfit.contains('\x1b'), "{unfit}");
    }
}
