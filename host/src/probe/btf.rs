//! The arguments of raw tracepoints and functions, and the members of structures, from the kernel's own type
//! information.
//!
//! The format is that of Documentation/bpf/btf.rst. For each tracepoint the kernel has
//! `typedef void (*btf_trace_NAME)(void *, arguments…)` (include/trace/bpf_probe.h), whose parameters have no
//! names, and a function `__traceiter_NAME` of the same parameters (include/linux/tracepoint.h), where they
//! have. Nothing here trusts the bytes: every index is checked, and chains of types are followed so far only.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::record::{Content, Field, Layout, NOT_A_NUMBER, Names, Number, Record, Type as ValueType, Typed};
use crate::error::{Error, Kind, Result};
use crate::table::{Access, Value};

const MAGIC: u16 = 0xeb9f;
/// Typedefs and qualifiers in a row before a type is given up. The kernel's longest chain is below ten.
const LONGEST_CHAIN: usize = 32;
/// Arguments that a program can be given (`MAX_BPF_FUNC_ARGS` in include/linux/bpf.h).
const MOST_ARGUMENTS: usize = 12;

/// Members that are looked at for one name, those of structures within the structure included.
const MOST_MEMBERS: usize = 1 << 16;

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

/// The kernel's type information.
#[derive(Debug)]
pub(crate) struct Btf {
    bytes: Vec<u8>,
    strings: Range<usize>,
    /// Where each type stands, from type 1 on.
    types: Vec<usize>,
    /// The prototype of each tracepoint.
    tracepoints: BTreeMap<String, u32>,
    /// The prototype of each function. Looked up for thousands of them, so not searched for each.
    functions: OnceCell<HashMap<String, u32>>,
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

/// A member of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its type.
    pub(crate) id: u32,
    /// Where it begins, in bits.
    pub(crate) bit: u32,
    /// How many bits it has, if it is a field of bits.
    pub(crate) width: u32,
    /// It shares its memory with others.
    pub(crate) in_union: bool,
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
        let mut btf = Self {
            bytes,
            strings,
            types: Vec::new(),
            tracepoints: BTreeMap::new(),
            functions: OnceCell::new(),
        };
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
    pub(crate) fn tracepoint(&self, name: &str, access: Access) -> Option<Record> {
        let prototype = self.get(*self.tracepoints.get(name)?)?;
        // The first parameter is the tracepoint's own and no program sees it.
        let slots = |index: u32, id| self.content(id, Layout::Slots, index * 8, access);
        Some(Record { fields: self.parameters(prototype, 1, &slots), result: None })
    }

    /// All functions of the kernel that have a type.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &str> {
        let functions =
            self.types.iter().filter_map(|at| self.read(*at)).filter(|found| found.kind == kind::FUNC);
        functions.filter_map(|found| self.string(found.name))
    }

    /// What a program at the entry or the return of a function finds in slots, the result after the arguments.
    pub(crate) fn function(&self, name: &str, at_return: bool) -> Option<Record> {
        let prototype = self.prototype(name)?;
        let slots = |index: u32, id| self.content(id, Layout::Slots, index * 8, Access::Typed);
        let result = if at_return && prototype.size_or_type != 0 {
            match slots(prototype.count as u32, prototype.size_or_type) {
                Content::Value(typed) => Some(typed),
                _ => None,
            }
        } else {
            None
        };
        Some(Record { fields: self.parameters(prototype, 0, &slots), result })
    }

    /// The types of a function's arguments and its result, for a program that finds them elsewhere.
    pub(crate) fn prototype_of(&self, name: &str) -> Option<(Vec<(String, u32)>, u32)> {
        let prototype = self.prototype(name)?;
        Some((self.named_parameters(prototype, 0).collect(), prototype.size_or_type))
    }

    fn prototype(&self, name: &str) -> Option<Type> {
        let index = || {
            let mut functions = HashMap::new();
            for found in self.types.iter().filter_map(|at| self.read(*at)) {
                if found.kind == kind::FUNC
                    && let Some(name) = self.string(found.name)
                {
                    functions.entry(name.to_owned()).or_insert(found.size_or_type);
                }
            }
            functions
        };
        let prototype = *self.functions.get_or_init(index).get(name)?;
        self.get(prototype).filter(|prototype| prototype.kind == kind::FUNC_PROTO)
    }

    /// The structure or union of this name.
    pub(crate) fn structure(&self, name: &str) -> Option<u32> {
        self.find(kind::STRUCT, name).or_else(|| self.find(kind::UNION, name))
    }

    /// The type of a kind and name.
    fn find(&self, kind: u32, name: &str) -> Option<u32> {
        let is = |at: &usize| {
            self.read(*at).is_some_and(|found| found.kind == kind && self.string(found.name) == Some(name))
        };
        self.types.iter().position(is).and_then(|index| u32::try_from(index + 1).ok())
    }

    fn named_parameters(&self, prototype: Type, first: usize) -> impl Iterator<Item = (String, u32)> {
        (first..prototype.count.min(MOST_ARGUMENTS + first)).filter_map(move |index| {
            let name = read_u32(&self.bytes, prototype.data + index * 8)?;
            let id = read_u32(&self.bytes, prototype.data + index * 8 + 4)?;
            let name = match self.string(name) {
                Some(name) if !name.is_empty() => name.to_owned(),
                _ => format!("arg{}", index - first),
            };
            Some((name, id))
        })
    }

    fn parameters(&self, prototype: Type, first: usize, content: &dyn Fn(u32, u32) -> Content) -> Vec<Field> {
        let parameters = self.named_parameters(prototype, first);
        let field =
            |(index, (name, id))| Field { name, c_type: self.spell(id, 0), content: content(index, id) };
        (0u32..).zip(parameters).map(field).collect()
    }

    /// What an argument of this type is, at this place of the context.
    fn content(&self, id: u32, layout: Layout, offset: u32, access: Access) -> Content {
        match self.scalar(id, access) {
            Some((kind, bytes)) => {
                let signed = matches!(kind, ValueType::Integer { signed: true, .. });
                let value = Value::Context(layout.load(Number { offset, bytes, signed }));
                Content::Value(Typed { value, kind })
            }
            None => Content::Unusable(NOT_A_NUMBER),
        }
    }

    /// What a value of this type is, if it is a number or an address, and its bytes.
    pub(crate) fn scalar(&self, id: u32, access: Access) -> Option<(ValueType, u32)> {
        let (id, user) = self.strip(id)?;
        let found = self.get(id)?;
        let (signed, names) = match found.kind {
            kind::PTR => {
                let (to, user_memory) = self.strip(found.size_or_type).unwrap_or((0, false));
                let structure = self.get(to).is_some_and(|to| matches!(to.kind, kind::STRUCT | kind::UNION));
                let access = match access {
                    _ if user || user_memory => Access::User,
                    Access::Typed if !structure => Access::Kernel,
                    access => access,
                };
                return Some((ValueType::Pointer { to, access }, 8));
            }
            // BTF_INT_SIGNED is bit 0 of the encoding, which is in bits 24 to 27.
            kind::INT => (read_u32(&self.bytes, found.data)? & 1 << 24 != 0, None),
            kind::ENUM | kind::ENUM64 => (found.flag, self.names(found)),
            _ => return None,
        };
        match found.size_or_type {
            bytes @ (1 | 2 | 4 | 8) => Some((ValueType::Integer { bits: bytes * 8, signed, names }, bytes)),
            _ => None,
        }
    }

    /// The names of an enumeration's values.
    fn names(&self, found: Type) -> Option<Names> {
        let stride = if found.kind == kind::ENUM64 { 12 } else { 8 };
        let mut names = BTreeMap::new();
        for index in 0..found.count {
            let at = found.data + index * stride;
            let low = read_u32(&self.bytes, at + 4)?;
            let value = match found.kind {
                kind::ENUM64 => u64::from(low) | u64::from(read_u32(&self.bytes, at + 8)?) << 32,
                _ if found.flag => i64::from(low.cast_signed()).cast_unsigned(),
                _ => low.into(),
            };
            names.entry(value).or_insert(self.string(read_u32(&self.bytes, at)?)?.to_owned());
        }
        (!names.is_empty()).then(|| names.into())
    }

    /// A type without its typedefs and qualifiers, and whether they say that it is in the memory of a process.
    fn strip(&self, id: u32) -> Option<(u32, bool)> {
        let (mut id, mut user) = (id, false);
        for _ in 0..LONGEST_CHAIN {
            if id == 0 {
                return Some((0, user));
            }
            let found = self.get(id)?;
            match found.kind {
                kind::TYPEDEF | kind::CONST | kind::VOLATILE | kind::RESTRICT => {}
                kind::TYPE_TAG => user |= self.string(found.name) == Some("user"),
                _ => return Some((id, user)),
            }
            id = found.size_or_type;
        }
        None
    }

    /// The member of a structure or union, also of those without a name within it.
    pub(crate) fn member(&self, structure: u32, name: &str) -> Option<Member> {
        self.member_within(structure, name, 0, &mut { MOST_MEMBERS })
    }

    fn member_within(&self, structure: u32, name: &str, depth: usize, left: &mut usize) -> Option<Member> {
        let (structure, _) = self.strip(structure)?;
        let found = self.get(structure)?;
        if !matches!(found.kind, kind::STRUCT | kind::UNION) || depth == LONGEST_CHAIN {
            return None;
        }
        let in_union = found.kind == kind::UNION;
        for index in 0..found.count {
            *left = left.checked_sub(1)?;
            let at = found.data + index * 12;
            let (of, id, place) =
                (read_u32(&self.bytes, at)?, read_u32(&self.bytes, at + 4)?, read_u32(&self.bytes, at + 8)?);
            // With the flag, the upper eight bits are the width of a field of bits.
            let (bit, width) = if found.flag { (place & 0xff_ffff, place >> 24) } else { (place, 0) };
            match self.string(of)? {
                "" => {
                    if let Some(inner) = self.member_within(id, name, depth + 1, left) {
                        return Some(Member {
                            bit: inner.bit + bit,
                            in_union: inner.in_union || in_union,
                            ..inner
                        });
                    }
                }
                found if found == name => return Some(Member { id, bit, width, in_union }),
                _ => {}
            }
        }
        None
    }

    /// The names of a structure's members, also of those within it that have no name.
    pub(crate) fn members(&self, structure: u32) -> Vec<&str> {
        let mut names = Vec::new();
        self.add_members(structure, &mut names, 0, &mut { MOST_MEMBERS });
        names
    }

    fn add_members<'a>(&'a self, structure: u32, names: &mut Vec<&'a str>, depth: usize, left: &mut usize) {
        let Some(found) = self.strip(structure).and_then(|(id, _)| self.get(id)) else { return };
        if !matches!(found.kind, kind::STRUCT | kind::UNION) || depth == LONGEST_CHAIN {
            return;
        }
        for index in 0..found.count {
            let Some(fewer) = left.checked_sub(1) else { return };
            *left = fewer;
            let at = found.data + index * 12;
            match read_u32(&self.bytes, at).and_then(|name| self.string(name)) {
                Some("") => {
                    if let Some(id) = read_u32(&self.bytes, at + 4) {
                        self.add_members(id, names, depth + 1, left);
                    }
                }
                Some(name) => names.push(name),
                None => return,
            }
        }
    }

    /// The elements of an array: their type, how many they are, and the bytes of each.
    pub(crate) fn array(&self, id: u32) -> Option<(u32, u32, u32)> {
        let found = self.get(self.strip(id)?.0).filter(|found| found.kind == kind::ARRAY)?;
        let (element, count) = (read_u32(&self.bytes, found.data)?, read_u32(&self.bytes, found.data + 8)?);
        Some((element, count, self.bytes_of(element, 0)?))
    }

    /// Whether it is a character, of which texts are made.
    pub(crate) fn is_character(&self, id: u32) -> bool {
        let found = self.strip(id).and_then(|(id, _)| self.get(id));
        found.is_some_and(|found| found.kind == kind::INT && found.size_or_type == 1)
    }

    fn bytes_of(&self, id: u32, depth: usize) -> Option<u32> {
        let found = self.get(self.strip(id)?.0)?;
        match found.kind {
            kind::PTR => Some(8),
            kind::ARRAY if depth < LONGEST_CHAIN => {
                let (element, count) =
                    (read_u32(&self.bytes, found.data)?, read_u32(&self.bytes, found.data + 8)?);
                self.bytes_of(element, depth + 1)?.checked_mul(count)
            }
            kind::INT | kind::ENUM | kind::ENUM64 | kind::STRUCT | kind::UNION | kind::FLOAT => {
                Some(found.size_or_type)
            }
            _ => None,
        }
    }

    /// A type as C writes it, as far as it matters to a reader.
    pub(crate) fn spell(&self, id: u32, depth: usize) -> String {
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
            kind::ARRAY => {
                let element = read_u32(&self.bytes, found.data).unwrap_or_default();
                let count = read_u32(&self.bytes, found.data + 8).unwrap_or_default();
                format!("{}[{count}]", self.spell(element, depth + 1))
            }
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

pub(super) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Type information with the tracepoints `sys_exit(struct pt_regs *regs, long ret)`, whose parameters
    /// have names, and `bare(u8-enum, const int)`, whose parameters have none; the functions
    /// `__traceiter_sys_exit` and `unsigned long do_work(unsigned long ret)`; and some of a task.
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
            /* 16 */ name("char"), info(kind::INT, 0), 1, 1 << 24 | 8,
            /* 17 */ 0, info(kind::ARRAY, 0), 0, 16, 2, 16,
            /* 18 */ name("task_struct"), info(kind::STRUCT, 5), 72,
                name("real_parent"), 19, 0, name("tgid"), 2, 64, name("comm"), 17, 96, name("times"), 20, 256,
                name("state"), 7, 448,
            /* 19 */ 0, info(kind::PTR, 0), 18,
            /* 20 */ 0, info(kind::ARRAY, 0), 0, 1, 2, 3,
            /* 21 */ name("unsigned long"), info(kind::INT, 0), 8, 64,
            /* 22 */ 0, info(kind::FUNC_PROTO, 1), 21, name("ret"), 21,
            /* 23 */ name("do_work"), info(kind::FUNC, 0), 22,
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
        let exit = btf.tracepoint("sys_exit", Access::Typed).unwrap();
        let shown = |record: &Record| {
            record.fields.iter().map(|field| format!("{} {}", field.c_type, field.name)).collect::<Vec<_>>()
        };
        assert_eq!(shown(&exit), ["struct pt_regs * regs", "long ret"]);
        assert_eq!(exit.usable().collect::<Vec<_>>(), ["regs", "ret"]);
        let number = |offset, bytes, signed| Layout::Slots.number(Number { offset, bytes, signed });
        assert_eq!(exit.fields[1].content, Content::Value(number(8, 8, true)));
        let bare = btf.tracepoint("bare", Access::Typed).unwrap();
        assert_eq!(shown(&bare), ["enum colour arg0", "const int arg1"]);
        let Content::Value(colour) = &bare.fields[0].content else { panic!("it is a number") };
        assert_eq!(colour.value, number(0, 1, false).value);
        let ValueType::Integer { names: Some(names), .. } = &colour.kind else { panic!("it has names") };
        assert_eq!(names[&0], "RED");
        assert_eq!(bare.fields[1].content, Content::Value(number(8, 4, true)));
    }

    #[test]
    fn members_have_their_place() {
        let btf = Btf::parse(sample()).unwrap();
        let regs = btf.structure("pt_regs").unwrap();
        assert_eq!(btf.member(regs, "r15"), Some(Member { id: 1, bit: 0, width: 0, in_union: false }));
        assert_eq!(btf.member(regs, "r16"), None);
        assert_eq!(btf.members(regs), ["r15"]);
        let task = btf.structure("task_struct").unwrap();
        assert_eq!(btf.member(task, "tgid"), Some(Member { id: 2, bit: 64, width: 0, in_union: false }));
        assert_eq!(btf.array(btf.member(task, "times").unwrap().id), Some((1, 3, 8)));
    }

    fn read_all(bytes: Vec<u8>) {
        if let Ok(btf) = Btf::parse(bytes) {
            for name in btf.tracepoints() {
                btf.tracepoint(name, Access::Typed);
            }
            for id in 0..20 {
                for name in btf.members(id) {
                    btf.member(id, name);
                }
                btf.array(id);
                btf.scalar(id, Access::Typed);
                btf.spell(id, 0);
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
