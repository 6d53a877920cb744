//! Programs and libraries: who opens their files, and what is found in them.
//!
//! A file may be a stranger's, so this process only opens it and hands it to one without privileges, which reads it
//! ([`search`]) and is believed as far as [`Found::is_sound`] says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};

use super::attach::is_pattern;
use super::binary::{Binary, LARGEST_FILE, LONGEST_NAME, Symbol};
use super::glob::Glob;
use super::locate::locate;
use super::usdt::{self, Note};
use crate::error::{Error, Kind, Result};
use crate::sandbox::Symbolizers;
use crate::table::Program;

/// What is looked for in a program's file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Wanted {
    /// Where it begins.
    Entry,
    /// The code at an offset, if there is any.
    Code(u64),
    /// Functions by their name, which may have wildcards.
    Function(String),
    /// Probes that the program carries, likewise.
    Probe { provider: String, name: String },
}

/// What is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Found {
    Function(Symbol),
    Probe(Note),
}

/// Looks into a program's file. Runs without privileges.
pub(crate) fn search(bytes: &[u8], shown: &str, wanted: &Wanted) -> Result<Vec<Found>> {
    let binary = Binary::open(bytes, shown)?;
    let at = |offset: u64| vec![Found::Function(Symbol { name: offset.to_string(), offset, size: 0 })];
    match wanted {
        Wanted::Entry => binary.entry().map(at),
        Wanted::Code(offset) if binary.contains(*offset) => Ok(at(*offset)),
        Wanted::Code(offset) => {
            Err(Error::new(Kind::Config, format!("{shown} has no code at offset {offset}")))
        }
        Wanted::Function(name) if is_pattern(name) => {
            Ok(binary.matching(name)?.into_iter().map(Found::Function).collect())
        }
        Wanted::Function(name) => Ok(vec![Found::Function(binary.symbol(name)?)]),
        Wanted::Probe { provider, name } if is_pattern(provider) || is_pattern(name) => {
            let fits = |pattern: &str, name: &str| {
                Glob::new(pattern).is_some_and(|glob| glob.matches(name.as_bytes()))
            };
            let mut notes = usdt::notes(&binary)?;
            notes.retain(|note| fits(provider, &note.provider) && fits(name, &note.name));
            Ok(notes.into_iter().map(Found::Probe).collect())
        }
        Wanted::Probe { provider, name } => {
            Ok(usdt::find(&binary, provider, name)?.into_iter().map(Found::Probe).collect())
        }
    }
}

impl Found {
    /// Whether a file of that many bytes can have it, whoever says so.
    pub(crate) fn is_sound(&self, bytes: u64) -> bool {
        let name = |name: &str| (1..=LONGEST_NAME).contains(&name.len());
        match self {
            Self::Function(Symbol { name: of, offset, .. }) => name(of) && *offset < bytes,
            Self::Probe(note) => {
                name(&note.name)
                    && note.provider.len() <= LONGEST_NAME
                    && note.offset < bytes
                    && note.semaphore.is_none_or(|semaphore| semaphore < bytes)
                    && note.arguments.iter().all(|argument| argument.is_sound())
            }
        }
    }

    /// What it is kept as takes about so many bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Function(symbol) => size_of::<Self>() + symbol.name.len(),
            Self::Probe(note) => {
                let arguments = note.arguments.iter().map(|argument| size_of_val(argument) + argument.text());
                size_of::<Self>() + note.name.len() + note.provider.len() + arguments.sum::<usize>()
            }
        }
    }
}

/// Opens a program by the name that somebody wrote.
pub(crate) type Open = Box<dyn FnMut(&str) -> Result<Program> + Send>;

/// The programs that a configuration names.
pub(crate) struct Programs {
    open: RefCell<Open>,
    /// By the names that were asked for.
    opened: RefCell<BTreeMap<String, Program>>,
    /// One looks into one file, so that none tells of another.
    symbolizers: RefCell<Symbolizers>,
}

impl Programs {
    pub(crate) fn new(open: Open) -> Self {
        Self {
            open: RefCell::new(open),
            opened: RefCell::default(),
            symbolizers: RefCell::new(Symbolizers::of_probes()),
        }
    }

    /// Those that this process may open, found as a shell and the loader find them.
    pub(crate) fn own() -> Self {
        Self::new(Box::new(|name| Program::open(&locate(name)?)))
    }

    pub(crate) fn open(&self, name: &str) -> Result<Program> {
        if let Some(program) = self.opened.borrow().get(name) {
            return Ok(program.clone());
        }
        let program = (self.open.borrow_mut())(name)?;
        self.opened.borrow_mut().insert(name.to_owned(), program.clone());
        Ok(program)
    }

    pub(crate) fn opened(&self) -> BTreeMap<String, Program> {
        self.opened.borrow().clone()
    }

    /// Has a program's file looked into.
    pub(crate) fn search(&self, program: &Program, wanted: Wanted) -> Result<Vec<Found>> {
        let shown = program.shown();
        if program.state().size > LARGEST_FILE {
            let message = format!("{shown} cannot be probed: it is larger than 1 GiB");
            return Err(Error::new(Kind::Data, message));
        }
        let file = (program.file().as_fd(), program.state().size);
        let mut symbolizers = self.symbolizers.borrow_mut();
        let found = symbolizers.start().and_then(|mut one| one.search(file, &shown, wanted));
        found.unwrap_or_else(|lost| Err(Error::new(Kind::Data, format!("{shown} cannot be probed: {lost}"))))
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Programs").field("opened", &self.opened).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::operand::{Argument, Place, Register};

    #[test]
    fn what_no_file_can_have_is_not_believed() {
        let function =
            |name: &str, offset| Found::Function(Symbol { name: name.to_owned(), offset, size: 1 });
        assert!(function("f", 99).is_sound(100));
        for found in [function("f", 100), function("", 0), function(&"x".repeat(LONGEST_NAME + 1), 0)] {
            assert!(!found.is_sound(100), "{found:?}");
        }
        let register = |offset, bytes, shift| Register { offset, bytes, shift };
        let probe = |semaphore, bytes, place| {
            let arguments = vec![Argument { bytes, signed: true, place }];
            let (provider, name) = ("p".to_owned(), "n".to_owned());
            Found::Probe(Note { provider, name, offset: 1, semaphore, arguments })
        };
        let memory = |scale| Place::Memory {
            base: register(32, 8, 0),
            index: Some((register(40, 8, 0), scale)),
            offset: i64::MIN,
        };
        assert!(probe(Some(2), 4, Place::Register(register(80, 1, 8))).is_sound(100));
        assert!(probe(None, 8, memory(8)).is_sound(100));
        for found in [
            probe(Some(100), 4, Place::Constant(1)),
            probe(None, 0, Place::Constant(1)),
            probe(None, 16, Place::Constant(1)),
            probe(None, 8, Place::Register(register(1000, 8, 0))),
            probe(None, 8, Place::Register(register(80, 8, 8))),
            probe(None, 8, Place::Register(register(80, 3, 0))),
            probe(None, 8, memory(3)),
            probe(None, 8, Place::Unsupported("x".repeat(100_000))),
        ] {
            assert!(!found.is_sound(100), "{found:?}");
        }
    }
}
