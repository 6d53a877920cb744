//! Functions in a program's or library's file. This runs in Weir's symbolizer, which has no privileges, for whoever runs a
//! program can have written its file. It is a crate of its own so that it is optimised in every build.
//!
//! No other file is opened, whatever the file says of where its debug information lies. Nothing is decompressed:
//! compressed debug information is not used, and what is inlined is then not seen. What recurses without end, or
//! allocates what a section says of itself, ends the process.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use addr2line::Context;
use addr2line::gimli::{self, EndianSlice, RunTimeEndian};
use object::{
    BinaryFormat, CompressionFormat, File, Object, ObjectSection, ObjectSegment, ObjectSymbol,
    ObjectSymbolTable, SymbolIndex, SymbolKind,
};

/// Symbols that are looked at for one place. Those before it in honest files end before it or reach it.
const SYMBOLS_BEFORE: usize = 16;

type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;

/// A program or library.
#[derive(Debug)]
pub struct Program<'a> {
    /// Where parts of the file belong in memory.
    segments: Vec<(Range<u64>, u64)>,
    /// What the administrator has installed for it.
    debug: Option<Functions<'a>>,
    own: Functions<'a>,
}

impl<'a> Program<'a> {
    /// None if it is none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let own = Functions::read(bytes)?;
        let segments = own.file.segments().filter_map(|segment| {
            let (begin, size) = segment.file_range();
            Some((begin..begin.checked_add(size)?, segment.address()))
        });
        Some(Self { segments: segments.collect(), debug: None, own })
    }

    /// The name under which its debug file may be installed, if it has one.
    #[must_use]
    pub fn build_id(&self) -> Option<&'a [u8]> {
        self.own.file.build_id().ok().flatten()
    }

    /// The name and the checksum of its debug file, if it says.
    #[must_use]
    pub fn debug_link(&self) -> Option<(&'a [u8], u32)> {
        self.own.file.gnu_debuglink().ok().flatten()
    }

    /// Looks into this file first, if it has the checksum.
    pub fn has_debug_file(&mut self, bytes: &'a [u8], checksum: Option<u32>) {
        if checksum.is_none_or(|checksum| crc32fast::hash(bytes) == checksum) {
            self.debug = Functions::read(bytes);
        }
    }

    /// The functions at a place in the file, as the file names them, what was inlined before what it was inlined into.
    #[must_use]
    pub fn functions(&self, offset: u64) -> Vec<String> {
        let address = self.segments.iter().find_map(|(file, address)| {
            file.contains(&offset).then(|| address.checked_add(offset - file.start)).flatten()
        });
        let Some(address) = address else { return Vec::new() };
        let installed = self.debug.as_ref().map(|debug| debug.at(address)).unwrap_or_default();
        if installed.is_empty() { self.own.at(address) } else { installed }
    }
}

/// One file's account of where functions stand.
struct Functions<'a> {
    file: File<'a>,
    symbols: OnceCell<Vec<Symbol>>,
    debug: OnceCell<Option<Context<Bytes<'a>>>>,
}

#[derive(Clone, Copy)]
struct Symbol {
    address: u64,
    size: u64,
    /// It is of the table of all symbols, where one without a size reaches as far as the next, and not of that of symbols
    /// for others.
    whole: bool,
    number: SymbolIndex,
}

impl<'a> Functions<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let file = File::parse(bytes).ok()?;
        let elf = file.format() == BinaryFormat::Elf;
        elf.then(|| Self { file, symbols: OnceCell::new(), debug: OnceCell::new() })
    }

    fn at(&self, address: u64) -> Vec<String> {
        let symbol = self.symbol(address);
        let mut names = self.inlined(address, symbol).unwrap_or_default();
        if names.is_empty() {
            names.extend(symbol.and_then(|symbol| self.name(symbol)));
        }
        names.retain(|name| !name.is_empty());
        names
    }

    fn name(&self, symbol: Symbol) -> Option<String> {
        let named = match symbol.whole {
            true => self.file.symbol_by_index(symbol.number),
            false => self.file.dynamic_symbol_table()?.symbol_by_index(symbol.number),
        };
        Some(String::from_utf8_lossy(named.ok()?.name_bytes().ok()?).into_owned())
    }

    fn symbol(&self, address: u64) -> Option<Symbol> {
        let symbols = self.symbols.get_or_init(|| symbols(&self.file));
        let after = symbols.partition_point(|symbol| symbol.address <= address);
        symbols[..after].iter().rev().take(SYMBOLS_BEFORE).find(|symbol| symbol.reaches(address)).copied()
    }

    /// What debug information says, and the symbol of the outermost function where that is the same function: debug
    /// information may have no more of a name than its last part.
    fn inlined(&self, address: u64, symbol: Option<Symbol>) -> Option<Vec<String>> {
        let context = self.debug.get_or_init(|| context(&self.file)).as_ref()?;
        let mut frames = context.find_frames(address).skip_all_loads().ok()?;
        let mut names = Vec::new();
        let mut outermost = None;
        while let Some(frame) = frames.next().ok()? {
            // There is neither for a place of which the line is known alone.
            outermost = Some(frame.dw_die_offset?);
            let name = frame.function.as_ref().and_then(|name| name.raw_name().ok());
            names.push(name.map(Cow::into_owned).unwrap_or_default());
        }
        let unit = context.find_dwarf_and_unit(address).skip_all_loads()?;
        let begins = || {
            let entry = unit.entry(outermost?).ok()?;
            Some(unit.die_ranges(&entry).ok()?.next().ok()??.begin)
        };
        if let (Some(last), Some(symbol)) = (names.last_mut(), symbol)
            && begins() == Some(symbol.address)
            && let Some(whole) = self.name(symbol)
        {
            *last = whole;
        }
        Some(names)
    }
}

impl Symbol {
    fn reaches(&self, address: u64) -> bool {
        match self.size {
            0 => self.whole || address == self.address,
            size => address - self.address < size,
        }
    }
}

/// By address.
fn symbols(file: &File<'_>) -> Vec<Symbol> {
    let all = file.symbols().map(|symbol| (symbol, true));
    let of_code = all
        .chain(file.dynamic_symbols().map(|symbol| (symbol, false)))
        .filter(|(symbol, _)| symbol.kind() == SymbolKind::Text && !symbol.is_undefined());
    let mut symbols: Vec<Symbol> = of_code
        .map(|(symbol, whole)| {
            let (address, size) = (symbol.address(), symbol.size());
            Symbol { address, size, whole, number: symbol.index() }
        })
        .collect();
    symbols.sort_by_key(|symbol| symbol.address);
    symbols
}

/// The file's debug information, if it has any that is not compressed.
fn context<'a>(file: &File<'a>) -> Option<Context<Bytes<'a>>> {
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let load = |section: gimli::SectionId| -> Result<Bytes<'a>, ()> {
        let Some(section) = file.section_by_name(section.name()) else {
            return Ok(EndianSlice::new(&[], endian));
        };
        let data = section.compressed_data().map_err(drop)?;
        let plain = data.format == CompressionFormat::None;
        plain.then(|| EndianSlice::new(data.data, endian)).ok_or(())
    };
    file.section_by_name(".debug_info")?;
    Context::from_dwarf(gimli::Dwarf::load(load).ok()?).ok()
}

impl std::fmt::Debug for Functions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Functions").finish_non_exhaustive()
    }
}
