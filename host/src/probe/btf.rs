//! The arguments of raw tracepoints, from the kernel's own type information.
//!
//! The format is that of Documentation/bpf/btf.rst. For each tracepoint the kernel has
//! `typedef void (*btf_trace_NAME)(void *, arguments…)` (include/trace/bpf_probe.h), whose parameters have no
//! names, and a function `__traceiter_NAME` of the same parameters (include/linux/tracepoint.h), where they
//! have. Nothing here trusts the bytes: every index is checked, and chains of types are followed so far only.

use std::collections::BTreeMap;
use std::ops::Range;

use super::record::{ADDRESS, Content, Field, Layout, NOT_A_NUMBER, Number, Record};
use crate::error::{Error, Kind, Result};

const MAGIC: u16 = 0xeb9f;
/// Typedefs and qualifiers in a row before a type is given up. The kernel's longest chain is below ten.
const LONGEST_CHAIN: usize = 32;
/// Arguments that a program can be given (`MAX_BPF_FUNC_ARGS` in include/linux/bpf.h).
const MOST_ARGUMENTS: usize = 12;

mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// The tracepoints of the kernel's type information.
#[derive(Debug)]
pub(crate) struct Btf {
    bytes: Vec<u8>,
    strings: Range<usize>,
    /// Where each type stands, from type 1 on.
    types: Vec<usize>,
    /// The prototype of each tracepoint.
    tracepoints: BTreeMap<String, u32>,
}

/// `struct btf_type` and what follows it.
#[derive(Clone, Copy)]
struct Type {
    kind: u32,
    /// The flag in which an enumeration says that it is signed.
    flag: bool,
    count: usize,
    name: u32,
    /// Its size, or the type that it is made of.
    size_or_type: u32,
    /// Where the kind's own data begin.
    data: usize,
}

impl Btf {
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self> {
        Self::index(bytes).ok_or_else(|| {
            Error::new(Kind::Unavailable, "the kernel's type information (BTF) is not understood")
        })
    }

    fn index(bytes: Vec<u8>) -> Option<Self> {
        let word = |at: usize| read_u32(&bytes, at).map(|word| word as usize);
        if bytes.get(..2)? != MAGIC.to_le_bytes() {
            return None;
        }
        let header = word(4)?;
        let section = |at: usize, length: usize| {
            let start = header.checked_add(at)?;
            let end = start.checked_add(length)?;
            (end <= bytes.len()).then_some(start..end)
        };
        let type_section = section(word(8)?, word(12)?)?;
        let strings = section(word(16)?, word(20)?)?;
        let mut btf = Self { bytes, strings, types: Vec::new(), tracepoints: BTreeMap::new() };
        let mut at = type_section.start;
        while at < type_section.end {
            btf.types.push(at);
            at = btf.read(at)?.end()?;
        }
        btf.find_tracepoints();
        Some(btf)
    }

    fn find_tracepoints(&mut self) {
        let mut typedefs = BTreeMap::new();
        let mut functions = BTreeMap::new();
        for at in &self.types {
            let Some(found) = self.read(*at) else { continue };
            let (prefix, names) = match found.kind {
                kind::TYPEDEF => ("btf_trace_", &mut typedefs),
                kind::FUNC => ("__traceiter_", &mut functions),
                _ => continue,
            };
            if let Some(name) = self.string(found.name).and_then(|name| name.strip_prefix(prefix)) {
                names.insert(name.to_owned(), found.size_or_type);
            }
        }
        let prototype = |(name, pointer): (String, u32)| {
            let by_name = functions.get(&name).copied();
            let id = by_name.or_else(|| {
                let pointer = self.get(pointer)?;
                (pointer.kind == kind::PTR).then_some(pointer.size_or_type)
            })?;
            (self.get(id)?.kind == kind::FUNC_PROTO).then_some((name, id))
        };
        self.tracepoints = typedefs.into_iter().filter_map(prototype).collect();
    }

    /// All tracepoints that a raw program can be attached to.
    pub(crate) fn tracepoints(&self) -> impl Iterator<Item = &str> {
        self.tracepoints.keys().map(String::as_str)
    }

    /// What a program at this tracepoint finds. Arguments without a name are `arg0`, `arg1` and so on.
    pub(crate) fn record(&self, tracepoint: &str) -> Option<Record> {
        let prototype = self.get(*self.tracepoints.get(tracepoint)?)?;
        let mut fields = Vec::new();
        // The first parameter is the tracepoint's own and no program sees it.
        for index in 1..prototype.count.min(MOST_ARGUMENTS + 1) {
            let name = read_u32(&self.bytes, prototype.data + index * 8)?;
            let id = read_u32(&self.bytes, prototype.data + index * 8 + 4)?;
            let position = index as u32 - 1;
            let name = match self.string(name) {
                Some(name) if !name.is_empty() => name.to_owned(),
                _ => format!("arg{position}"),
            };
            fields.push(Field { name, c_type: self.spell(id, 0), content: self.content(id, position * 8) });
        }
        Some(Record { layout: Layout::Slots, fields })
    }

    /// The number that an argument of this type is.
    fn content(&self, id: u32, offset: u32) -> Content {
        const STRANGE: Content = Content::Unusable(NOT_A_NUMBER);
        let mut id = id;
        for _ in 0..LONGEST_CHAIN {
            let Some(found) = self.get(id) else { return STRANGE };
            let signed = match found.kind {
                kind::TYPEDEF | kind::CONST | kind::VOLATILE | kind::RESTRICT | kind::TYPE_TAG => {
                    id = found.size_or_type;
                    continue;
                }
                kind::PTR => return Content::Unusable(ADDRESS),
                // BTF_INT_SIGNED is bit 0 of the encoding, which is in bits 24 to 27.
                kind::INT => read_u32(&self.bytes, found.data).is_some_and(|info| info & 1 << 24 != 0),
                kind::ENUM | kind::ENUM64 => found.flag,
                _ => return STRANGE,
            };
            return match found.size_or_type {
                bytes @ (1 | 2 | 4 | 8) => Content::Number(Number { offset, bytes, signed }),
                _ => STRANGE,
            };
        }
        STRANGE
    }

    /// A type as C writes it, as far as it matters to a reader.
    fn spell(&self, id: u32, depth: usize) -> String {
        let Some(found) = self.get(id) else { return "void".to_owned() };
        if depth == LONGEST_CHAIN {
            return "…".to_owned();
        }
        let name = self.string(found.name).unwrap_or_default();
        let inner = || self.spell(found.size_or_type, depth + 1);
        match found.kind {
            kind::PTR => format!("{} *", inner()),
            kind::CONST => format!("const {}", inner()),
            kind::VOLATILE | kind::RESTRICT | kind::TYPE_TAG => inner(),
            kind::STRUCT => format!("struct {name}"),
            kind::UNION => format!("union {name}"),
            kind::ENUM | kind::ENUM64 => format!("enum {name}"),
            kind::FWD => format!("{} {name}", if found.flag { "union" } else { "struct" }),
            kind::FUNC_PROTO => "function".to_owned(),
            _ => name.to_owned(),
        }
    }

    /// A type by its number. Type 0 is void and has no description.
    fn get(&self, id: u32) -> Option<Type> {
        self.read(*self.types.get((id as usize).checked_sub(1)?)?)
    }

    fn read(&self, at: usize) -> Option<Type> {
        let info = read_u32(&self.bytes, at.checked_add(4)?)?;
        Some(Type {
            kind: info >> 24 & 0x1f,
            flag: info >> 31 != 0,
            count: (info & 0xffff) as usize,
            name: read_u32(&self.bytes, at)?,
            size_or_type: read_u32(&self.bytes, at + 8)?,
            data: at + 12,
        })
    }

    fn string(&self, offset: u32) -> Option<&str> {
        let strings = self.bytes.get(self.strings.clone())?;
        let rest = strings.get(offset as usize..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }
}

impl Type {
    /// Where the next type begins; `None` for a kind that is not known, whose length nobody can tell.
    fn end(&self) -> Option<usize> {
        let data = match self.kind {
            kind::PTR | kind::FWD | kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT => 0,
            kind::FUNC | kind::FLOAT | kind::TYPE_TAG => 0,
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::ENUM | kind::FUNC_PROTO => self.count * 8,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => self.count * 12,
            _ => return None,
        };
        self.data.checked_add(data)
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Type information with the tracepoints `sys_exit(struct pt_regs *regs, long ret)`, whose parameters
    /// have names, and `bare(u8-enum, const int)`, whose parameters have none.
    pub(crate) fn sample() -> Vec<u8> {
        let mut strings = vec![0];
        let mut name = |text: &str| {
            let at = strings.len() as u32;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        let info = |kind: u32, count: u32| kind << 24 | count;
        #[rustfmt::skip]
        let words = [
            /* 1 */ name("long"), info(kind::INT, 0), 8, 1 << 24 | 64,
            /* 2 */ name("int"), info(kind::INT, 0), 4, 1 << 24 | 32,
            /* 3 */ 0, info(kind::CONST, 0), 2,
            /* 4 */ name("pt_regs"), info(kind::STRUCT, 1), 8, name("r15"), 1, 0,
            /* 5 */ 0, info(kind::PTR, 0), 4,
            /* 6 */ 0, info(kind::PTR, 0), 0,
            /* 7 */ name("colour"), info(kind::ENUM, 1), 1, name("RED"), 0,
            /* 8 */ 0, info(kind::FUNC_PROTO, 3), 0, 0, 6, 0, 5, 0, 1,
            /* 9 */ 0, info(kind::PTR, 0), 8,
            /* 10 */ name("btf_trace_sys_exit"), info(kind::TYPEDEF, 0), 9,
            /* 11 */ 0, info(kind::FUNC_PROTO, 3), 2, name("__data"), 6, name("regs"), 5, name("ret"), 1,
            /* 12 */ name("__traceiter_sys_exit"), info(kind::FUNC, 0), 11,
            /* 13 */ 0, info(kind::FUNC_PROTO, 3), 0, 0, 6, 0, 7, 0, 3,
            /* 14 */ 0, info(kind::PTR, 0), 13,
            /* 15 */ name("btf_trace_bare"), info(kind::TYPEDEF, 0), 14,
        ];
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn arguments_by_name_and_by_position() {
        let btf = Btf::parse(sample()).unwrap();
        assert_eq!(btf.tracepoints().collect::<Vec<_>>(), ["bare", "sys_exit"]);
        let exit = btf.record("sys_exit").unwrap();
        let shown = |record: &Record| {
            record.fields.iter().map(|field| format!("{} {}", field.c_type, field.name)).collect::<Vec<_>>()
        };
        assert_eq!(shown(&exit), ["struct pt_regs * regs", "long ret"]);
        assert_eq!(exit.usable().collect::<Vec<_>>(), ["ret"]);
        assert_eq!(exit.fields[1].content, Content::Number(Number { offset: 8, bytes: 8, signed: true }));
        let bare = btf.record("bare").unwrap();
        assert_eq!(shown(&bare), ["enum colour arg0", "const int arg1"]);
        assert_eq!(bare.fields[0].content, Content::Number(Number { offset: 0, bytes: 1, signed: false }));
        assert_eq!(bare.fields[1].content, Content::Number(Number { offset: 8, bytes: 4, signed: true }));
    }

    fn read_all(bytes: Vec<u8>) {
        if let Ok(btf) = Btf::parse(bytes) {
            for name in btf.tracepoints() {
                btf.record(name);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            read_all(bytes);
        }

        #[test]
        fn no_damage_panics(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut bytes = sample();
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            read_all(bytes);
        }
    }
}
