use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::probe::{locate, usdt};

const GLOBAL: u8 = elf::STB_GLOBAL << 4 | elf::STT_FUNC;
const LOCAL: u8 = elf::STB_LOCAL << 4 | elf::STT_FUNC;
const INDIRECT: u8 = elf::STB_GLOBAL << 4 | elf::STT_GNU_IFUNC;
const OBJECT: u8 = elf::STB_GLOBAL << 4 | elf::STT_OBJECT;

/// Where the tiny file has its code and its data, and where these are in memory.
pub(crate) const CODE: (u64, u64) = (0x200, 0x1_0200);
pub(crate) const DATA: (u64, u64) = (0x300, 0x2_0300);

/// A file with 256 bytes of code, 256 bytes of data and another 256 that are not in the file, and tables.
#[derive(Default)]
pub(crate) struct Tiny {
    pub machine: Option<u16>,
    /// Name, address and `st_info`.
    pub symbols: Vec<(&'static str, u64, u8)>,
    /// The same, and the version.
    pub exported: Vec<(&'static str, u64, u8, u16)>,
    pub notes: Vec<u8>,
    pub base: u64,
}

impl Tiny {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut name = |text: &str| {
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            (strings.len() - text.len() - 1) as u32
        };
        let symbol = |name: u32, address: u64, info: u8| {
            let mut bytes = name.to_le_bytes().to_vec();
            bytes.extend([info, 0, 1, 0]);
            bytes.extend(address.to_le_bytes());
            bytes.extend(8_u64.to_le_bytes());
            bytes
        };
        let mut symbols: Vec<u8> = vec![0; 24];
        symbols.extend(
            self.symbols.iter().flat_map(|(text, address, info)| symbol(name(text), *address, *info)),
        );
        let (mut exported, mut versions) = (vec![0; 24], vec![0; 2]);
        for (text, address, info, version) in &self.exported {
            exported.extend(symbol(name(text), *address, *info));
            versions.extend(version.to_le_bytes());
        }
        // Name, type, address, contents, link.
        let mut sections = vec![
            (name(".symtab"), elf::SHT_SYMTAB, 0, symbols, 6_u32),
            (name(".dynsym"), elf::SHT_DYNSYM, 0, exported, 6),
            (name(".gnu.version"), elf::SHT_GNU_VERSYM, 0, versions, 2),
            (name(".note.stapsdt"), elf::SHT_NOTE, 0, self.notes.clone(), 0),
            (name(".stapsdt.base"), elf::SHT_PROGBITS, self.base, vec![0], 0),
        ];
        let own = name(".strtab");
        sections.push((own, elf::SHT_STRTAB, 0, strings, 0));

        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let halves = |file: &mut Vec<u8>, halves: &[u16]| {
            file.extend(halves.iter().flat_map(|half| half.to_le_bytes()))
        };
        let words =
            |file: &mut Vec<u8>, words: &[u64]| file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        let here = if cfg!(target_arch = "x86_64") { elf::EM_X86_64 } else { elf::EM_AARCH64 };
        halves(&mut file, &[elf::ET_DYN, self.machine.unwrap_or(here), 1, 0]);
        words(&mut file, &[0, 64, 0x400, 64 << 32 | 56 << 48]);
        // The last word began with the flags and the size of this header; then the program headers.
        file.truncate(48);
        file.extend([0; 4]);
        halves(&mut file, &[64, 56, 2, 64, 7, 6]);
        for (flags, (offset, address)) in [(elf::PF_R | elf::PF_X, CODE), (elf::PF_R | elf::PF_W, DATA)] {
            words(&mut file, &[u64::from(elf::PT_LOAD) | u64::from(flags) << 32, offset, address, address]);
            words(&mut file, &[0x100, 0x200, 0x1000]);
        }
        file.resize(0x400 + 64, 0);
        let mut contents = Vec::new();
        for (name, kind, address, bytes, link) in sections {
            words(&mut file, &[u64::from(name) | u64::from(kind) << 32, 0, address]);
            words(&mut file, &[0x600 + contents.len() as u64, bytes.len() as u64, u64::from(link), 4, 0]);
            contents.extend(bytes);
            contents.resize(contents.len().next_multiple_of(8), 0);
        }
        file.resize(0x600, 0);
        file.extend(contents);
        file
    }
}

pub(crate) fn open(bytes: &[u8]) -> Binary<'_> {
    Binary::read(bytes, "a file").unwrap()
}

/// Where in which file the bytes at an address of this process come from, as the kernel says it.
pub(crate) fn mapped(address: u64) -> (PathBuf, u64) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    for line in maps.lines() {
        let parts: Vec<&str> = line.split_ascii_whitespace().collect();
        let (start, end) = parts[0].split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        if (number(start)..number(end)).contains(&address) {
            return (parts[5].into(), address - number(start) + number(parts[2]));
        }
    }
    panic!("nothing is mapped at {address:#x}");
}

#[test]
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "naming a function of libc to take its address")]
fn a_function_of_libc_is_where_this_process_has_it() {
    unsafe extern "C" {
        fn malloc(bytes: usize) -> *mut u8;
    }
    let (path, offset) = mapped(malloc as *const () as u64);
    let located = locate("libc").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), fs::metadata(&located).unwrap().ino(), "{located:?}");
    let bytes = fs::read(&located).unwrap();
    let libc = Binary::open(&bytes, "libc").unwrap();
    let symbol = libc.symbol("malloc").unwrap();
    assert_eq!(symbol.offset, offset);
    assert!(symbol.size > 0 && libc.contains(offset) && !libc.contains(0) && !libc.contains(u64::MAX));
    let all = libc.matching("*malloc*").unwrap();
    assert!(all.contains(&symbol) && all.is_sorted_by_key(|symbol| symbol.name.clone()));
    let offsets: BTreeSet<u64> = all.iter().map(|symbol| symbol.offset).collect();
    assert_eq!(offsets.len(), all.len());
    let error = libc.symbol("mallocc").unwrap_err();
    assert!(error.help.as_ref().unwrap().contains("`malloc`"), "{error}");
    // One that has an old version beside the current one, and one that is chosen by processor.
    libc.symbol("realpath").unwrap();
    let error = libc.symbol("memcpy").unwrap_err();
    assert!(error.to_string().contains("chosen"), "{error}");
}

#[test]
#[inline(never)]
fn functions_of_this_very_program() {
    let here = functions_of_this_very_program as *const () as u64;
    let (path, offset) = mapped(here);
    let bytes = fs::read(path).unwrap();
    let program = Binary::open(&bytes, "this").unwrap();
    let found = program.matching("*functions_of_this_very_program*").unwrap();
    assert!(found.iter().any(|symbol| symbol.offset == offset), "{found:?} {offset:#x}");
}

#[test]
fn a_name_with_several_functions() {
    let (code, at) = (CODE.1, |index: u64| CODE.1 + index * 8);
    let tiny = Tiny {
        symbols: vec![
            ("init", at(1), LOCAL),
            ("init", at(2), LOCAL),
            ("main", at(3), LOCAL),
            ("main", at(4), GLOBAL),
            ("old@V1", at(5), GLOBAL),
            ("old@@V2", at(6), GLOBAL),
            ("chosen", at(7), INDIRECT),
            ("variable", DATA.1, OBJECT),
            ("_far", code + 0x100, GLOBAL),
            ("__alias", at(8), GLOBAL),
            ("alias", at(8), GLOBAL),
            ("_alias", at(8), GLOBAL),
        ],
        exported: vec![
            ("path", at(9), GLOBAL, 0x8002),
            ("path", at(10), GLOBAL, 3),
            ("main", at(4), GLOBAL, 3),
            ("gone", at(11), GLOBAL, 0x8002),
            ("copy", at(12), GLOBAL, 0x8002),
            ("copy", at(13), INDIRECT, 3),
        ],
        ..Tiny::default()
    };
    let bytes = tiny.bytes();
    let binary = open(&bytes);
    let offset = |name: &str| binary.symbol(name).map(|symbol| (symbol.offset - CODE.0) / 8);
    assert_eq!(offset("main"), Ok(4));
    assert_eq!(offset("old"), Ok(6));
    assert_eq!(offset("path"), Ok(10));
    assert_eq!(offset("gone"), Ok(11));
    let error = binary.symbol("init").unwrap_err();
    assert_eq!(error.help.as_deref(), Some("give the offset of the one that is meant: `0x208` or `0x210`"));
    for name in ["chosen", "copy"] {
        assert!(offset(name).unwrap_err().to_string().contains("is chosen"));
    }
    for name in ["variable", "_far", "", "mai", "mainn", "*"] {
        offset(name).unwrap_err();
    }
    let names = |glob: &str| {
        let symbols = binary.matching(glob).unwrap();
        symbols.into_iter().map(|symbol| symbol.name).collect::<Vec<_>>()
    };
    assert_eq!(
        names("*"),
        ["alias", "copy", "gone", "init", "init", "main", "main", "old", "old", "path", "path"]
    );
    assert_eq!(names("*alias"), ["alias"]);
    assert_eq!(names("_?lias"), ["_alias"]);
    binary.matching("nothing*").unwrap_err();
    binary.matching(&"*".repeat(1000)).unwrap_err();
    assert!(binary.contains(CODE.0) && binary.contains(CODE.0 + 0xff));
    assert!(!binary.contains(CODE.0 - 1) && !binary.contains(CODE.0 + 0x100) && !binary.contains(DATA.0));
}

#[test]
fn what_cannot_be_probed_says_why() {
    let why = |bytes: &[u8]| Binary::open(bytes, "x").unwrap_err().to_string();
    assert!(why(b"").contains("not an ELF file"));
    assert!(why(b"#!/bin/sh\n").contains("name the program that runs it"));
    assert!(why(&Tiny { machine: Some(elf::EM_S390), ..Tiny::default() }.bytes()).contains("not supported"));
    assert!(why(&Tiny::default().bytes()[..0x200]).contains("no code"));
    let stranger = if cfg!(target_arch = "x86_64") { elf::EM_AARCH64 } else { elf::EM_X86_64 };
    let bytes = Tiny { machine: Some(stranger), ..Tiny::default() }.bytes();
    assert!(why(&bytes).contains("and this machine is"));
}

/// Everything that can be asked of a file; errors are answers.
fn ask(bytes: &[u8]) {
    let Ok(binary) = Binary::read(bytes, "a file") else { return };
    let known = |symbol: &Symbol| assert!(binary.contains(symbol.offset), "{symbol:?}");
    binary.symbol("malloc").iter().for_each(known);
    binary.symbol("mallocc").iter().for_each(known);
    binary.matching("*m?in*").iter().flatten().for_each(known);
    for note in usdt::notes(&binary).iter().flatten() {
        assert!(binary.contains(note.offset), "{note:?}");
    }
    drop(usdt::find(&binary, "libc", "memory_heap_new"));
}

fn damaged(bytes: &[u8], length: usize, damage: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes[..length].to_vec();
    for (at, byte) in damage {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes
}

proptest! {
    #[test]
    fn no_damage_to_a_small_file_panics(
        length in any::<prop::sample::Index>(),
        whole in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let note = usdt::tests::note(CODE.1, 0, DATA.1, ["weir", "probe", "8@%rax"]);
        let symbols = vec![("main", CODE.1, GLOBAL), ("malloc@@V1", CODE.1 + 8, GLOBAL)];
        let exported = vec![("malloc", CODE.1 + 8, GLOBAL, 2)];
        let bytes = Tiny { symbols, exported, notes: note, ..Tiny::default() }.bytes();
        let length = if whole { bytes.len() } else { length.index(bytes.len()) + 1 };
        ask(&damaged(&bytes, length, &damage));
    }
}

proptest! {
    // Copying megabytes each time.
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_damage_to_a_library_panics(
        length in any::<prop::sample::Index>(),
        whole in any::<bool>(),
        head in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        tail in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        any in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..64),
    ) {
        let Ok(path) = locate("libc") else { return Ok(()) };
        let bytes = fs::read(path).unwrap();
        let length = if whole { bytes.len() } else { length.index(bytes.len()) + 1 };
        let mut bytes = damaged(&bytes, length, &any);
        // What matters is at the ends: the headers, and the sections' headers.
        let (first, last) = (bytes.len().min(1024), bytes.len().saturating_sub(8192));
        for (range, damage) in [(0..first, head), (last..bytes.len(), tail)] {
            let part = damaged(&bytes[range.clone()], range.len(), &damage);
            bytes[range].copy_from_slice(&part);
        }
        ask(&bytes);
    }
}
