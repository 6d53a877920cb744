//! The kernel's functions by address, as /proc/kallsyms lists them: its own, its modules' and BPF programs'.
//!
//! The lines are the kernel's, except that names of BPF programs are strangers'.

use std::fs::File;
use std::io::{BufRead, BufReader};

use super::text::Frame;

/// The list says where functions begin and not where they end. No function is as large as this.
const FUNCTION_BYTES: u64 = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Kallsyms {
    /// By address.
    symbols: Vec<Symbol>,
    names: String,
    modules: Vec<Module>,
}

/// Where a function begins, or with an empty name where something else does.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    address: u64,
    name: (u32, u32),
}

#[derive(Debug)]
struct Module {
    name: String,
    addresses: std::ops::Range<u64>,
}

impl Kallsyms {
    /// Or why there is nothing to look addresses up in.
    pub(super) fn read() -> Result<Self, String> {
        let list = File::open("/proc/kallsyms")
            .map_err(|error| format!("kernel stacks have no names: cannot open /proc/kallsyms: {error}"))?;
        let modules = std::fs::read_to_string("/proc/modules").unwrap_or_default();
        Self::parse(BufReader::new(list), &modules)
            .map_err(|error| format!("kernel stacks have no names: cannot read /proc/kallsyms: {error}"))?
            .ok_or_else(|| {
                "kernel stacks have no names: /proc/kallsyms hides its addresses; start with CAP_SYSLOG and \
                 kernel.kptr_restrict below 2"
                    .to_owned()
            })
    }

    /// Nothing if all addresses are hidden.
    fn parse(list: impl BufRead, modules: &str) -> std::io::Result<Option<Self>> {
        let (mut symbols, mut names) = (Vec::new(), String::new());
        for line in list.split(b'\n') {
            let line = line?;
            // "ffffffff81000000 T name\t[module]"; what is not text would be no name of a function.
            let Ok(line) = std::str::from_utf8(&line) else { continue };
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let address = match u64::from_str_radix(address, 16) {
                Ok(0) | Err(_) => continue,
                Ok(address) => address,
            };
            // The end of the code, then of that which was needed to start only.
            let is_function =
                matches!(kind, "t" | "T" | "w" | "W") && !matches!(name, "_etext" | "_einittext");
            let begin = names.len();
            if is_function {
                names.push_str(name);
            }
            let (Ok(begin), Ok(end)) = (u32::try_from(begin), u32::try_from(names.len())) else { break };
            symbols.push(Symbol { address, name: (begin, end) });
        }
        if symbols.is_empty() {
            return Ok(None);
        }
        // Of several names of one address the kernel itself takes the first.
        symbols.sort_by_key(|symbol: &Symbol| (symbol.address, symbol.name.0 == symbol.name.1));
        symbols.dedup_by_key(|symbol| symbol.address);
        symbols.shrink_to_fit();
        Ok(Some(Self { symbols, names, modules: modules.lines().filter_map(Module::parse).collect() }))
    }

    pub(super) fn look_up(&self, address: u64) -> Frame<'_> {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        let module = self.modules.iter().find(|module| module.addresses.contains(&address));
        let symbol = after.checked_sub(1).and_then(|before| self.symbols.get(before)).filter(|symbol| {
            address - symbol.address < FUNCTION_BYTES
                // A function before a module is not in it.
                && module.is_none_or(|module| symbol.address >= module.addresses.start)
        });
        let name = symbol.and_then(|symbol| {
            let (begin, end) = symbol.name;
            self.names.get(begin as usize..end as usize).filter(|name| !name.is_empty())
        });
        match (name, module) {
            (Some(name), _) => Frame::Function(name.as_bytes()),
            (None, Some(module)) => Frame::Module(module.name.as_bytes()),
            (None, None) => Frame::Unknown,
        }
    }
}

impl Module {
    /// "ext4 1028096 2 - Live 0xffffffffc0a4b000 (OE)"
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let address = u64::from_str_radix(words.get(5)?.strip_prefix("0x")?, 16).ok().filter(|a| *a > 0)?;
        let end = address.checked_add(words.get(1)?.parse().ok()?)?;
        Some(Self { name: (*words.first()?).to_owned(), addresses: address..end })
    }
}

/// Functions whose name and address are no other's, for tests.
#[cfg(test)]
pub(super) fn unique_functions() -> Vec<(u64, String)> {
    use std::collections::HashMap;

    let Ok(list) = std::fs::read_to_string("/proc/kallsyms") else { return Vec::new() };
    let parsed: Vec<(u64, &str, &str)> = list
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((address, words.next()?, words.next()?))
        })
        .collect();
    let (mut addresses, mut names) = (HashMap::new(), HashMap::new());
    for (address, _, name) in &parsed {
        *addresses.entry(*address).or_insert(0) += 1;
        *names.entry(*name).or_insert(0) += 1;
    }
    parsed
        .into_iter()
        .filter(|(address, kind, name)| {
            *kind == "T" && *address != 0 && addresses[address] == 1 && names[name] == 1
        })
        .map(|(address, _, name)| (address, name.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "ffffffff81000000 T _text\nffffffff81000000 T _stext\nffffffff81000100 t second\n\
        ffffffff81000200 D data\nffffffff81000300 W third\nffffffff81000400 T _etext\n\
        ffffffffc0001000 t of_module\t[ext4]\nffffffffc0200000 t bpf_prog_1234_x\t[bpf]\n";
    const MODULES: &str =
        "ext4 8192 2 - Live 0xffffffffc0000000\nhidden 4096 0 - Live 0x0000000000000000 (OE)\n";

    fn list(text: &str) -> Option<Kallsyms> {
        Kallsyms::parse(text.as_bytes(), MODULES).unwrap()
    }

    #[test]
    fn an_address_is_of_the_function_before_it() {
        let list = list(LIST).unwrap();
        for (address, frame) in [
            (0xffffffff80ffffff, Frame::Unknown),
            (0xffffffff81000000, Frame::Function(b"_text")),
            (0xffffffff810000ff, Frame::Function(b"_text")),
            (0xffffffff81000100, Frame::Function(b"second")),
            (0xffffffff81000201, Frame::Unknown),
            (0xffffffff81000300, Frame::Function(b"third")),
            (0xffffffff81000400, Frame::Unknown),
            (0xffffffffc0000010, Frame::Module(b"ext4")),
            (0xffffffffc0001010, Frame::Function(b"of_module")),
            (0xffffffffc0200010, Frame::Function(b"bpf_prog_1234_x")),
            (0xffffffffc0200000 + FUNCTION_BYTES, Frame::Unknown),
            (0, Frame::Unknown),
            (u64::MAX, Frame::Unknown),
        ] {
            assert_eq!(list.look_up(address), frame, "{address:x}");
        }
    }

    #[test]
    fn a_list_without_addresses_is_none() {
        assert!(list("0000000000000000 T _text\n0000000000000000 t second\n").is_none());
        assert!(list("").is_none());
        assert!(list("(null) T _text\nrubbish\n").is_none());
    }
}
