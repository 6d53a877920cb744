//! Programs and libraries: where in their files the functions stand that uprobes are set on.
//!
//! A uprobe is set on an inode and an offset in that file (Documentation/trace/uprobetracer.rst), while symbols
//! and notes give addresses; the program headers say which bytes of the file are mapped to which. This runs in a
//! process without privileges ([`crate::sandbox`]), for a file may be a stranger's. Nothing here trusts the file either:
//! whatever points outside of it is passed over.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use object::elf::{self, FileHeader64, SectionHeader64, Sym64, Versym};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{LittleEndian, pod};
use serde::{Deserialize, Serialize};

use super::glob::Glob;
use super::nearest::{did_you_mean, one_of};
use crate::error::{Error, Kind, Result};

/// The largest file that is looked into. Browsers with all their symbols are below.
pub(crate) const LARGEST_FILE: u64 = 1 << 30;
/// Program headers, all of which are tried for each address. Linkers write about a dozen.
const MOST_SEGMENTS: usize = 128;
/// Sections. A linked program has a few dozen, whose names are read one by one.
const MOST_SECTIONS: usize = 1 << 16;
/// The longest name of a function. Templates of C++ reach some thousand characters.
pub(crate) const LONGEST_NAME: usize = 4096;
/// Bytes of names that are looked at in one table, since symbols may share the bytes of one long name.
const MOST_NAME_BYTES: usize = 512 << 20;
/// Functions that one pattern may match; what attaches to them has limits of its own below.
pub(crate) const MOST_MATCHES: usize = 1 << 16;
/// Functions of one name that are told apart in an error.
const MOST_NAMESAKES: usize = 8;
/// Names that a name which is not there is compared with.
const MOST_COMPARED: usize = 20_000;

const ENDIAN: LittleEndian = LittleEndian;
pub(super) type Header = FileHeader64<LittleEndian>;
pub(super) type Section = SectionHeader64<LittleEndian>;

/// A processor whose programs are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
}

impl Machine {
    const HERE: Self = if cfg!(target_arch = "x86_64") { Self::X86_64 } else { Self::Aarch64 };

    fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Symbol {
    /// As the file has it, which may be anything that is UTF-8: escape it where it is shown.
    pub name: String,
    /// In the file.
    pub offset: u64,
    /// 0 if the file does not say.
    pub size: u64,
}

/// A program or a library.
#[derive(Debug)]
pub(crate) struct Binary<'a> {
    /// Its path, made harmless, for errors.
    shown: &'a str,
    machine: Machine,
    segments: Vec<Segment>,
    bytes: &'a [u8],
}

/// Bytes of the file that are mapped into memory.
#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    offset: u64,
    bytes: u64,
    executable: bool,
    writable: bool,
}

impl Segment {
    fn offset_of(&self, address: u64) -> Option<u64> {
        let within = address.checked_sub(self.address)?;
        (within < self.bytes).then_some(self.offset + within)
    }
}

impl<'a> Binary<'a> {
    /// Reads the headers of a program or library for this machine.
    pub(crate) fn open(bytes: &'a [u8], shown: &'a str) -> Result<Self> {
        let binary = Self::read(bytes, shown)?;
        if binary.machine == Machine::HERE {
            return Ok(binary);
        }
        let (theirs, ours) = (binary.machine.name(), Machine::HERE.name());
        Err(binary.unfit(&format!("it is made for {theirs}, and this machine is {ours}")))
    }

    fn read(bytes: &'a [u8], shown: &'a str) -> Result<Self> {
        let mut binary = Self { shown, machine: Machine::HERE, segments: Vec::new(), bytes };
        (binary.machine, binary.segments) = binary.headers()?;
        Ok(binary)
    }

    fn headers(&self) -> Result<(Machine, Vec<Segment>)> {
        if self.bytes.starts_with(b"#!") {
            return Err(self.unfit("it is a script").help("name the program that runs it"));
        }
        if !self.bytes.starts_with(&elf::ELFMAG) {
            return Err(self.unfit("it is not an ELF file"));
        }
        let header = self.header()?;
        let machine = match header.e_machine(ENDIAN) {
            elf::EM_X86_64 => Machine::X86_64,
            elf::EM_AARCH64 => Machine::Aarch64,
            other => return Err(self.unfit(&format!("its processor ({other}) is not supported"))),
        };
        if header.phnum(ENDIAN, self.bytes).map_err(|error| self.damaged(error))? > MOST_SEGMENTS {
            return Err(self.unfit("it has too many segments"));
        }
        let headers = header.program_headers(ENDIAN, self.bytes).map_err(|error| self.damaged(error))?;
        let segment = |header: &elf::ProgramHeader64<LittleEndian>| {
            let (offset, bytes) = header.file_range(ENDIAN);
            let flags = header.p_flags(ENDIAN);
            let bytes = bytes.min((self.bytes.len() as u64).checked_sub(offset)?);
            (header.p_type(ENDIAN) == elf::PT_LOAD && bytes > 0).then_some(Segment {
                address: header.p_vaddr(ENDIAN),
                offset,
                bytes,
                executable: flags & elf::PF_X != 0,
                writable: flags & elf::PF_W != 0,
            })
        };
        let segments: Vec<Segment> = headers.iter().filter_map(segment).collect();
        match segments.iter().any(|segment| segment.executable) {
            true => Ok((machine, segments)),
            false => Err(self.unfit("it has no code that could be run")),
        }
    }

    fn header(&self) -> Result<&'a Header> {
        let header = Header::parse(self.bytes)
            .map_err(|_| self.unfit("it is not an ELF file of 64 bits, which alone are supported"))?;
        match header.is_little_endian() {
            true => Ok(header),
            false => Err(self.unfit("its processor is not supported")),
        }
    }

    /// This binary's path, made harmless.
    pub(super) fn shown(&self) -> &'a str {
        self.shown
    }

    /// Where in its file a program begins.
    pub(crate) fn entry(&self) -> Result<u64> {
        self.code(self.header()?.e_entry(ENDIAN)).ok_or_else(|| self.unfit("it does not say where it begins"))
    }

    pub(crate) fn machine(&self) -> Machine {
        self.machine
    }

    /// Whether a byte of the file is one of code, where alone a uprobe can be.
    pub(crate) fn contains(&self, offset: u64) -> bool {
        self.segments.iter().any(|segment| {
            segment.executable
                && offset.checked_sub(segment.offset).is_some_and(|within| within < segment.bytes)
        })
    }

    /// Where in the file the code at an address is.
    pub(super) fn code(&self, address: u64) -> Option<u64> {
        self.segments
            .iter()
            .filter(|segment| segment.executable)
            .find_map(|segment| segment.offset_of(address))
    }

    /// Where in the file a variable is that starts with a value from it: the kernel finds a counter in
    /// memory by its place in the file (`valid_ref_ctr_vma` in kernel/events/uprobes.c).
    pub(super) fn variable(&self, address: u64) -> Option<u64> {
        self.segments.iter().filter(|segment| segment.writable).find_map(|segment| segment.offset_of(address))
    }

    /// The function of this name. A version that programs are linked with goes before one that is kept for
    /// old programs, a function that others can call before one that only its own file can.
    pub(crate) fn symbol(&self, name: &str) -> Result<Symbol> {
        let mut best: Option<Standing> = None;
        let (mut found, mut more) = (BTreeMap::new(), false);
        for table in self.tables()? {
            for function in table.functions(self) {
                let Some(standing) = function.answers_to(name) else { continue };
                match best.map_or(Ordering::Less, |best| standing.cmp(&best)) {
                    Ordering::Greater => continue,
                    Ordering::Equal => {}
                    Ordering::Less => {
                        (best, more) = (Some(standing), false);
                        found.clear();
                    }
                }
                if found.len() < MOST_NAMESAKES || found.contains_key(&function.offset) {
                    found.insert(function.offset, (function.size, function.indirect));
                } else {
                    more = true;
                }
            }
        }
        let (shown, path) = (name.escape_debug(), self.shown());
        match found.first_key_value() {
            // Even where an old version could be probed: what programs call now is not it.
            Some(_) if found.values().any(|(_, indirect)| *indirect) => {
                let message = format!(
                    "`{shown}` of {path} is chosen among several functions when a program starts, and a probe \
                     on it would see the choosing only"
                );
                let help = format!("name the functions behind it; `*{shown}*` may match them");
                Err(Error::new(Kind::Config, message).help(help))
            }
            Some((offset, (size, _))) if found.len() == 1 => {
                Ok(Symbol { name: name.to_owned(), offset: *offset, size: *size })
            }
            Some(_) => {
                let offsets: Vec<String> = found.keys().map(|offset| format!("{offset:#x}")).collect();
                let more = if more { ", among others" } else { "" };
                let message = format!("several functions of {path} are named `{shown}`");
                let help = format!(
                    "give the offset of the one that is meant: {}{more}",
                    one_of(offsets.iter().map(String::as_str))
                );
                Err(Error::new(Kind::Config, message).help(help))
            }
            None => Err(self.unknown(name)?),
        }
    }

    /// The functions whose names match a pattern, by name. One that has several names is given once, by the
    /// plainest. Functions that are chosen when a program starts are left out, as in [`Self::symbol`].
    pub(crate) fn matching(&self, glob: &str) -> Result<Vec<Symbol>> {
        let shown = glob.escape_debug();
        let Some(pattern) = Glob::new(glob) else {
            let message = format!("the pattern `{shown}` is too long");
            return Err(
                Error::new(Kind::Config, message).help(format!("at most {} characters", Glob::LONGEST))
            );
        };
        let mut found: BTreeMap<u64, Symbol> = BTreeMap::new();
        self.each_name(|name, function| {
            if !pattern.matches(name.as_bytes()) {
                return Ok(());
            }
            let plainness = |name: &str| name.len() - name.trim_start_matches('_').len();
            let named =
                |symbol: &Symbol| (plainness(&symbol.name), symbol.name.as_str()) <= (plainness(name), name);
            if !found.get(&function.offset).is_some_and(named) {
                let symbol = Symbol { name: name.to_owned(), offset: function.offset, size: function.size };
                found.insert(function.offset, symbol);
            }
            match found.len() > MOST_MATCHES {
                true => {
                    let message =
                        format!("`{shown}` matches more than {MOST_MATCHES} functions of {}", self.shown());
                    Err(Error::new(Kind::Config, message).help("match fewer of them"))
                }
                false => Ok(()),
            }
        })?;
        if found.is_empty() {
            return Err(Error::new(
                Kind::Config,
                format!("`{shown}` matches no function of {}", self.shown()),
            ));
        }
        let mut symbols: Vec<Symbol> = found.into_values().collect();
        symbols.sort_by(|a, b| a.name.cmp(&b.name).then(a.offset.cmp(&b.offset)));
        Ok(symbols)
    }

    fn unknown(&self, name: &str) -> Result<Error> {
        let (mut names, mut any) = (BTreeSet::new(), false);
        self.each_name(|candidate, _| {
            any = true;
            // Names of another length cannot be near, and what cannot be shown cannot be suggested.
            let near = candidate.len().abs_diff(name.len()) * 2 <= candidate.len().max(name.len());
            if near && names.len() < MOST_COMPARED && candidate.bytes().all(|byte| byte.is_ascii_graphic()) {
                names.insert(candidate);
            }
            Ok(())
        })?;
        let message = format!("{} has no function `{}`", self.shown(), name.escape_debug());
        let help = did_you_mean(name, names).unwrap_or_else(|| {
            let help = match any {
                true => "names are those of its symbol table, as `nm` and `nm -D` show them",
                false => "it names none at all: give an offset, or use a build that is not stripped",
            };
            help.to_owned()
        });
        Ok(Error::new(Kind::Config, message).help(help))
    }

    /// Goes through all functions but the indirect ones. One may come twice, once from each table.
    fn each_name(&self, mut visit: impl FnMut(&'a str, &Function<'a>) -> Result<()>) -> Result<()> {
        for table in self.tables()? {
            let mut bytes = 0;
            for function in table.functions(self).filter(|function| !function.indirect) {
                let name = function.name();
                bytes += name.map_or(LONGEST_NAME, str::len);
                if bytes > MOST_NAME_BYTES {
                    return Err(self.unfit("the names of its functions are too long"));
                }
                if let Some(name) = name {
                    visit(name, &function)?;
                }
            }
        }
        Ok(())
    }

    fn tables(&self) -> Result<Vec<Table<'a>>> {
        let sections = self.sections()?;
        let mut tables = Vec::new();
        for kind in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
            // There is one of a kind; more would be read again and again.
            let Some((index, section)) =
                sections.iter().enumerate().find(|(_, section)| section.sh_type(ENDIAN) == kind)
            else {
                continue;
            };
            let Some(strings) = sections.get(section.sh_link(ENDIAN) as usize) else { continue };
            let versions = sections.iter().find(|section| {
                section.sh_type(ENDIAN) == elf::SHT_GNU_VERSYM && section.sh_link(ENDIAN) as usize == index
            });
            let versions = versions.map(|section| self.contents(section)).transpose()?;
            tables.push(Table {
                symbols: whole(self.contents(section)?),
                strings: self.contents(strings)?,
                versions: versions.map(whole).unwrap_or_default(),
            });
        }
        Ok(tables)
    }

    pub(super) fn sections(&self) -> Result<&'a [Section]> {
        let header = self.header()?;
        // A file may do without sections, or have lost them.
        if header.shnum(ENDIAN, self.bytes).map_err(|error| self.damaged(error))? > MOST_SECTIONS {
            return Err(self.unfit("it has too many sections"));
        }
        header.section_headers(ENDIAN, self.bytes).map_err(|error| self.damaged(error))
    }

    /// The sections of a name; there should be one.
    pub(super) fn named(&self, name: &'static [u8]) -> Result<impl Iterator<Item = &'a Section> + use<'a>> {
        let (header, sections) = (self.header()?, self.sections()?);
        let strings = match sections.is_empty() {
            true => &[],
            false => {
                let index =
                    header.section_strings_index(ENDIAN, self.bytes).map_err(|error| self.damaged(error))?;
                sections.get(index.0).map(|section| self.contents(section)).transpose()?.unwrap_or_default()
            }
        };
        Ok(sections.iter().filter(move |section| {
            let rest = strings.get(section.sh_name(ENDIAN) as usize..).unwrap_or_default();
            rest.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&0))
        }))
    }

    pub(super) fn contents(&self, section: &Section) -> Result<&'a [u8]> {
        section.data(ENDIAN, self.bytes).map_err(|error| self.damaged(error))
    }

    pub(super) fn unfit(&self, why: &str) -> Error {
        Error::new(Kind::Data, format!("{} cannot be probed: {why}", self.shown()))
    }

    pub(super) fn damaged(&self, error: object::read::Error) -> Error {
        self.unfit(&format!("it is damaged ({error})"))
    }
}

/// All whole items; a rest that is none is passed over.
fn whole<T: pod::Pod>(bytes: &[u8]) -> &[T] {
    pod::slice_from_bytes(bytes, bytes.len() / size_of::<T>()).map(|(items, _)| items).unwrap_or_default()
}

/// A table of symbols.
struct Table<'a> {
    symbols: &'a [Sym64<LittleEndian>],
    strings: &'a [u8],
    /// Of each symbol, if it is the table of a library with versions.
    versions: &'a [Versym<LittleEndian>],
}

struct Function<'a> {
    /// All bytes from the name on.
    rest: &'a [u8],
    offset: u64,
    size: u64,
    hidden: bool,
    local: bool,
    /// Its code returns the function that is to be called (STT_GNU_IFUNC).
    indirect: bool,
}

/// Which of several functions of one name is meant, the first before the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Current,
    ForOldPrograms,
    Local,
}

impl<'a> Table<'a> {
    fn functions(&self, binary: &Binary<'_>) -> impl Iterator<Item = Function<'a>> {
        let Self { symbols, strings, versions } = *self;
        symbols.iter().enumerate().filter_map(move |(index, symbol)| {
            let indirect = match symbol.st_type() {
                elf::STT_FUNC => false,
                elf::STT_GNU_IFUNC => true,
                _ => return None,
            };
            if symbol.is_undefined(ENDIAN) {
                return None;
            }
            let hidden = |version: &Versym<LittleEndian>| version.0.get(ENDIAN) & elf::VERSYM_HIDDEN != 0;
            Some(Function {
                rest: strings.get(symbol.st_name(ENDIAN) as usize..)?,
                offset: binary.code(symbol.st_value(ENDIAN))?,
                size: symbol.st_size(ENDIAN),
                hidden: versions.get(index).is_some_and(hidden),
                local: symbol.is_local(),
                indirect,
            })
        })
    }
}

impl<'a> Function<'a> {
    /// Its name without the version that .symtab has behind it.
    fn name(&self) -> Option<&'a str> {
        let rest = self.rest.get(..LONGEST_NAME).unwrap_or(self.rest);
        let end = rest.iter().position(|byte| *byte == 0)?;
        let name = std::str::from_utf8(rest.get(..end)?).ok()?;
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        (!name.is_empty()).then_some(name)
    }

    /// Takes time in proportion to the name that is asked for only.
    fn answers_to(&self, name: &str) -> Option<Standing> {
        let rest = self.rest.strip_prefix(name.as_bytes())?;
        // `realpath@@GLIBC_2.3` is current, `realpath@GLIBC_2.2.5` is not.
        let hidden = match rest {
            [0, ..] => self.hidden,
            [b'@', b'@', ..] => false,
            [b'@', ..] => true,
            _ => return None,
        };
        let standing = match (self.local, hidden) {
            (true, _) => Standing::Local,
            (false, true) => Standing::ForOldPrograms,
            (false, false) => Standing::Current,
        };
        (!name.is_empty()).then_some(standing)
    }
}

#[cfg(test)]
pub(super) mod tests;
