//! Probes that programs carry by themselves: user statically-defined tracing (USDT).
//!
//! Each place of such a probe has a note in the section `.note.stapsdt`, as SystemTap's wiki page
//! "UserSpaceProbeImplementation" describes it. It says where the place is, where its arguments are found there,
//! and where a counter is, if the program looks at it to see whether anybody traces: the kernel keeps that, as
//! the reference counter of Documentation/trace/uprobetracer.rst.

use std::collections::BTreeSet;

use object::LittleEndian;
use object::read::elf::{NoteIterator, SectionHeader};
use serde::{Deserialize, Serialize};

use super::binary::{Binary, Header, Section};
use super::nearest::did_you_mean;
use super::operand;
pub(crate) use super::operand::{Argument, Place};
use crate::error::{Error, Kind, Result};
use crate::escape::escape;

/// Notes of one file. The programs with most have some thousand.
const MOST_NOTES: usize = 1 << 16;
/// The longest name of a provider or a probe.
const LONGEST_NAME: usize = 256;
/// The longest text of arguments: twelve of them with symbols of C++ in them.
const LONGEST_ARGUMENTS: usize = 8192;

const ENDIAN: LittleEndian = LittleEndian;
/// The type of a note that is described on that page; earlier ones are not in use any more.
const NT_STAPSDT: u32 = 3;

/// One place of a probe. A probe that was compiled into several places has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub provider: String,
    pub name: String,
    /// In the file.
    pub offset: u64,
    /// In the file, of the counter that has to be raised for the program to come by.
    pub semaphore: Option<u64>,
    pub arguments: Vec<Argument>,
}

/// A note whose addresses are not looked up yet.
struct Raw<'a> {
    location: u64,
    semaphore: u64,
    provider: &'a str,
    name: &'a str,
    arguments: &'a str,
}

/// All places of all probes. Those that lie outside of the file's code are left out: linkers leave the notes of
/// code that they throw away.
pub(crate) fn notes(binary: &Binary<'_>) -> Result<Vec<Note>> {
    Ok(raw(binary)?.iter().filter_map(|raw| raw.resolve(binary)).collect())
}

/// The places of one probe.
pub(crate) fn find(binary: &Binary<'_>, provider: &str, name: &str) -> Result<Vec<Note>> {
    let raw = raw(binary)?;
    let (path, wanted) = (binary.shown(), format!("{provider}:{name}"));
    let shown = wanted.escape_debug();
    let mut meant = raw.iter().filter(|raw| raw.provider == provider && raw.name == name).peekable();
    if meant.peek().is_some() {
        let notes: Vec<Note> = meant.filter_map(|raw| raw.resolve(binary)).collect();
        return match notes.is_empty() {
            false => Ok(notes),
            true => {
                Err(binary.unfit(&format!("its notes of the probe `{shown}` point to nothing in its code")))
            }
        };
    }
    let names: BTreeSet<String> = raw.iter().map(|raw| format!("{}:{}", raw.provider, raw.name)).collect();
    let plain =
        names.iter().map(String::as_str).filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
    let help = did_you_mean(&wanted, plain).unwrap_or_else(|| match names.len() {
        0 => "it carries no probes at all: it may have been built without them".to_owned(),
        1 => {
            format!("its one probe is `{}`", escape(names.first().map(String::as_bytes).unwrap_or_default()))
        }
        count => format!("it has {count} other probes"),
    });
    Err(Error::new(Kind::Config, format!("{path} has no probe `{shown}`")).help(help))
}

fn raw<'a>(binary: &Binary<'a>) -> Result<Vec<Raw<'a>>> {
    let base = binary.named(b".stapsdt.base")?.next().map(|section| section.sh_addr(ENDIAN));
    let mut found = Vec::new();
    // There is one such section; more of them could all claim the same notes.
    let Some(section) = binary.named(b".note.stapsdt")?.next() else { return Ok(found) };
    for note in iterate(binary, section)? {
        // What comes before the damage may be right, but whoever sees half of the probes should know.
        let note = note.map_err(|error| binary.damaged(error))?;
        if note.n_type(ENDIAN) != NT_STAPSDT || note.name() != b"stapsdt" {
            continue;
        }
        if found.len() == MOST_NOTES {
            return Err(binary.unfit("it has too many probes"));
        }
        found.extend(Raw::parse(note.desc(), base));
    }
    Ok(found)
}

fn iterate<'a>(binary: &Binary<'a>, section: &Section) -> Result<NoteIterator<'a, Header>> {
    let contents = binary.contents(section)?;
    NoteIterator::new(ENDIAN, section.sh_addralign(ENDIAN), contents).map_err(|error| binary.damaged(error))
}

impl<'a> Raw<'a> {
    /// Three addresses and three strings.
    fn parse(description: &'a [u8], base: Option<u64>) -> Option<Self> {
        let (words, mut rest) = description.split_at_checked(24)?;
        let word =
            |index: usize| Some(u64::from_le_bytes(words.get(index * 8..index * 8 + 8)?.try_into().ok()?));
        let mut string = |longest: usize| {
            let within = rest.get(..=longest).unwrap_or(rest);
            let (string, _) = within.split_at_checked(within.iter().position(|byte| *byte == 0)?)?;
            rest = rest.get(string.len() + 1..)?;
            std::str::from_utf8(string).ok()
        };
        let (provider, name) = (string(LONGEST_NAME)?, string(LONGEST_NAME)?);
        let arguments = string(LONGEST_ARGUMENTS)?;
        // The section at the base moved together with what the addresses mean if the file was changed after
        // linking, as prelink does, which knows nothing of notes.
        let (recorded, semaphore) = (word(1)?, word(2)?);
        let moved = match base {
            Some(base) if base != 0 && recorded != 0 => base.wrapping_sub(recorded),
            _ => 0,
        };
        (!name.is_empty()).then_some(Self {
            location: word(0)?.wrapping_add(moved),
            semaphore: if semaphore == 0 { 0 } else { semaphore.wrapping_add(moved) },
            provider,
            name,
            arguments,
        })
    }

    fn resolve(&self, binary: &Binary<'_>) -> Option<Note> {
        let semaphore = match self.semaphore {
            0 => None,
            // Without its counter the program would not come by, and nothing would be counted.
            address => Some(binary.variable(address)?),
        };
        Some(Note {
            provider: self.provider.to_owned(),
            name: self.name.to_owned(),
            offset: binary.code(self.location)?,
            semaphore,
            arguments: operand::arguments(binary.machine(), self.arguments),
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
