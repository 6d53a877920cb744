//! Tracepoints and their fields, as tracefs describes them (Documentation/trace/events.rst).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::record::{Content, Field, Layout, NOT_A_NUMBER, Names, Number, Record, Type, Typed};
use crate::error::{Error, Kind, Result};
use crate::table::{Access, Text, Value};

/// The largest description that is read; the kernel's largest is below 16 KiB.
const LARGEST_FORMAT: usize = 1 << 20;
/// No record reaches further (`PERF_MAX_TRACE_SIZE` in include/linux/trace_events.h).
const LARGEST_RECORD: u32 = 8192;
/// The bytes in which every record begins, and which a program may not read.
const COMMON_BYTES: u32 = 8;

/// Bytes of a text whose length the record does not bound.
const LONGEST_TEXT: u32 = 64;
/// Values of a field that have names.
const MOST_NAMES: usize = 4096;

/// Where tracefs is mounted: by itself, or within debugfs as older systems have it.
pub(crate) fn mounts() -> [PathBuf; 2] {
    ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"].map(PathBuf::from)
}

/// The folder of all tracepoints, in the first of these mounts that has one.
pub(crate) fn events(mounts: &[PathBuf]) -> Result<PathBuf> {
    let mut denied = None;
    for mount in mounts {
        let events = mount.join("events");
        match fs::read_dir(&events) {
            Ok(_) => return Ok(events),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(events),
            Err(_) => {}
        }
    }
    Err(match denied {
        Some(events) => {
            Error::new(Kind::NoPermission, format!("{} cannot be read: permission denied", events.display()))
                .help("run as root")
        }
        None => Error::new(
            Kind::Unavailable,
            "the kernel's tracepoints are not to be found: tracefs is not mounted",
        )
        .help("as root, mount it: mount -t tracefs tracefs /sys/kernel/tracing"),
    })
}

/// Every `category:name`, sorted.
pub(crate) fn list(events: &Path) -> Result<Vec<String>> {
    let folders = |path: &Path| -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(names)
    };
    let mut names = Vec::new();
    for category in folders(events)? {
        let of_category = folders(&events.join(&category))?;
        names.extend(of_category.into_iter().map(|name| format!("{category}:{name}")));
    }
    names.sort();
    Ok(names)
}

/// The description of one tracepoint; `None` if there is no such tracepoint.
pub(crate) fn format(events: &Path, category: &str, name: &str) -> Result<Option<String>> {
    let path = events.join(category).join(name).join("format");
    match fs::read_to_string(&path) {
        Ok(text) if text.len() <= LARGEST_FORMAT => Ok(Some(text)),
        Ok(_) => Err(Error::new(Kind::Unavailable, format!("{} is too long", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from(error).context(path.display())),
    }
}

/// The number by which perf events know a tracepoint.
pub(crate) fn id(events: &Path, category: &str, name: &str) -> Result<u64> {
    let path = events.join(category).join(name).join("id");
    let text = fs::read_to_string(&path).map_err(|error| Error::from(error).context(path.display()))?;
    text.trim().parse().map_err(|_| Error::new(Kind::Unavailable, format!("{} is no number", path.display())))
}

/// The functions in which the kernel allows probes; nothing if it does not say.
pub(crate) fn functions(mounts: &[PathBuf]) -> Option<Vec<String>> {
    let text =
        mounts.iter().find_map(|mount| fs::read_to_string(mount.join("available_filter_functions")).ok())?;
    // `name` or `name [module]`.
    Some(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Reads a description. Lines that are not understood are passed over, for a later kernel may have more.
pub(crate) fn parse(category: &str, text: &str) -> Record {
    let lines: Vec<Line<'_>> = text.lines().filter_map(Line::parse).collect();
    // The kernel, too, takes the field that was declared last for the record's end.
    let bytes = lines.last().map_or(COMMON_BYTES, |line| line.offset + line.size);
    let system_call = category == "syscalls";
    let fields = lines
        .iter()
        .filter(|line| line.offset >= COMMON_BYTES && !line.name.starts_with("common_"))
        .map(|line| {
            let address = line.address() || is_printed_as_address(text, line.name);
            let layout = Layout::Packed { bytes };
            Field {
                name: line.name.to_owned(),
                c_type: line.c_type(),
                content: line.content(layout, system_call, address, symbols(text, line.name)),
            }
        })
        .collect();
    Record { fields, result: None }
}

/// `field:unsigned long args[6]; offset:16; size:48; signed:0;`
struct Line<'a> {
    element: &'a str,
    name: &'a str,
    /// What stands in the brackets, if it is an array.
    length: Option<&'a str>,
    offset: u32,
    size: u32,
    signed: bool,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut parts = line.trim().split(';').map(str::trim);
        let declaration = parts.next()?.strip_prefix("field:")?.trim();
        let mut number = |name: &str| parts.next()?.strip_prefix(name)?.parse::<u32>().ok();
        let (offset, size, signed) = (number("offset:")?, number("size:")?, number("signed:")? != 0);
        if offset.checked_add(size)? > LARGEST_RECORD {
            return None;
        }
        // `char comm[16]`, but `__data_loc char[] name`.
        let (declaration, mut length) = match declaration.strip_suffix(']').and_then(|d| d.rsplit_once('[')) {
            Some((declaration, length)) => (declaration.trim_end(), Some(length.trim())),
            None => (declaration, None),
        };
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let start = declaration.rfind(|c| !in_name(c)).map_or(0, |last| last + 1);
        let (element, name) = declaration.split_at_checked(start)?;
        let mut element = element.trim_end();
        if let Some(of) = element.strip_suffix("[]") {
            (element, length) = (of.trim_end(), Some(""));
        }
        (!element.is_empty() && !name.is_empty()).then_some(Self {
            element,
            name,
            length,
            offset,
            size,
            signed,
        })
    }

    fn c_type(&self) -> String {
        self.length.map_or_else(|| self.element.to_owned(), |length| format!("{}[{length}]", self.element))
    }

    fn content(&self, layout: Layout, system_call: bool, address: bool, names: Option<Names>) -> Content {
        let Self { offset, size, signed, .. } = *self;
        let located = ["__data_loc", "__rel_loc"].into_iter().find(|kind| self.element.starts_with(kind));
        if let Some(kind) = located {
            let is_text = self.element.trim_start_matches(kind).trim() == "char";
            let text = Text::Located { offset, relative: kind == "__rel_loc" };
            return if is_text {
                Content::Text(text, LONGEST_TEXT)
            } else {
                Content::Unusable("its length varies")
            };
        }
        let whole = |bytes| matches!(bytes, 1 | 2 | 4 | 8);
        if let Some(length) = self.length {
            let count = length.parse().ok().filter(|count| *count > 0 && size % count == 0);
            return match (self.element.trim_start_matches("const "), count) {
                ("char", _) => Content::Text(Text::Context { offset, bytes: size }, size),
                (_, Some(count)) if !self.address() && whole(size / count) => {
                    let bytes = size / count;
                    let number =
                        |index| layout.number(Number { offset: offset + index * bytes, bytes, signed });
                    Content::Values((0..count).map(number).collect())
                }
                _ => Content::Unusable(NOT_A_NUMBER),
            };
        }
        let (bytes, signed) = if system_call && size == 8 { argument(self.element) } else { (size, signed) };
        if !whole(bytes) {
            return Content::Unusable(NOT_A_NUMBER);
        }
        let value = Value::Context(layout.load(Number { offset, bytes, signed }));
        let kind = match address && bytes == 8 {
            // What a system call is given points to the caller's memory.
            true => Type::Pointer { to: 0, access: if system_call { Access::User } else { Access::Kernel } },
            false => Type::Integer { bits: bytes * 8, signed, names },
        };
        Content::Value(Typed { value, kind })
    }

    fn address(&self) -> bool {
        self.element.contains('*')
    }
}

/// Whether the line that says how a record is printed makes an address of a field, whatever its type:
/// `(void *)REC->call_site`.
fn is_printed_as_address(text: &str, field: &str) -> bool {
    let Some((_, print)) = text.split_once("print fmt:") else { return false };
    print.split("(void *)REC->").skip(1).any(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end] == field
    })
}

/// The names of a field's values, from `__print_symbolic(REC->field, { 0, "HI" }, { 1, "TIMER" })` in the line that
/// says how a record is printed.
fn symbols(text: &str, field: &str) -> Option<Names> {
    let (_, print) = text.split_once("print fmt:")?;
    let (_, rest) = print.split_once(&format!("__print_symbolic(REC->{field},"))?;
    // Names have no parentheses; without an end there is nothing to read.
    let (list, _) = rest.split_once(")")?;
    let pairs = list.split('{').skip(1).filter_map(|pair| {
        let (number, name) = pair.split_once(',')?;
        let number = number.trim();
        let number = match number.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok()?,
            None => number.parse::<i64>().ok()?.cast_unsigned(),
        };
        Some((number, name.split('"').nth(1)?.to_owned()))
    });
    let names: BTreeMap<u64, String> = pairs.take(MOST_NAMES).collect();
    (!names.is_empty()).then(|| names.into())
}

/// Bytes and sign of a system call's argument. Its record has eight bytes for each and calls none of them
/// signed (`syscall_enter_define_fields` in kernel/trace/trace_syscalls.c), but only the bytes of the
/// argument's own type mean something: the caller need not clear the rest of the register.
fn argument(c_type: &str) -> (u32, bool) {
    let name = c_type.strip_prefix("const ").unwrap_or(c_type);
    match name {
        "char" | "signed char" | "s8" | "__s8" | "int8_t" => (1, true),
        "unsigned char" | "u8" | "__u8" | "uint8_t" | "bool" => (1, false),
        "short" | "s16" | "__s16" | "int16_t" => (2, true),
        "unsigned short" | "u16" | "__u16" | "uint16_t" | "umode_t" | "old_uid_t" | "old_gid_t" => (2, false),
        "int" | "s32" | "__s32" | "int32_t" | "pid_t" | "clockid_t" | "timer_t" | "mqd_t" | "key_t"
        | "key_serial_t" | "rwf_t" => (4, true),
        "unsigned int" | "unsigned" | "u32" | "__u32" | "uint32_t" | "uid_t" | "gid_t" | "qid_t"
        | "mode_t" => (4, false),
        "long"
        | "long long"
        | "s64"
        | "__s64"
        | "int64_t"
        | "ssize_t"
        | "off_t"
        | "loff_t"
        | "time_t"
        | "__kernel_time_t"
        | "__kernel_old_time_t" => (8, true),
        name if name.starts_with("enum ") => (4, false),
        // Pointers, which are those of the caller's memory; and what is not known, as it is declared.
        _ => (8, false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content<'a>(record: &'a Record, name: &str) -> &'a Content {
        &record.fields.iter().find(|field| field.name == name).unwrap().content
    }

    fn number(record: &Record, name: &str) -> (u32, u32, bool) {
        match content(record, name) {
            Content::Value(Typed { value: Value::Context(load), .. }) => {
                (load.offset, load.bytes, load.signed)
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn system_call_arguments_have_the_width_and_sign_of_their_type() {
        let read = parse("syscalls", include_str!("fixtures/events/syscalls/sys_enter_read/format"));
        assert_eq!(number(&read, "fd"), (16, 4, false));
        assert_eq!(number(&read, "buf"), (24, 8, false));
        assert_eq!(number(&read, "count"), (32, 8, false));
        assert_eq!(number(&read, "__syscall_nr"), (8, 4, true));
        let lseek = parse("syscalls", include_str!("fixtures/events/syscalls/sys_enter_lseek/format"));
        assert_eq!(number(&lseek, "offset"), (24, 8, true));
        let exit = parse("syscalls", include_str!("fixtures/events/syscalls/sys_exit_read/format"));
        assert_eq!(number(&exit, "ret"), (16, 8, true));
        let openat = parse("syscalls", include_str!("fixtures/events/syscalls/sys_enter_openat/format"));
        assert_eq!(number(&openat, "dfd"), (16, 4, true));
        assert_eq!(number(&openat, "mode"), (40, 2, false));
        let Content::Value(filename) = content(&openat, "filename") else { panic!("it is an address") };
        assert_eq!(filename.kind, Type::Pointer { to: 0, access: Access::User });
    }

    #[test]
    fn records_of_other_tracepoints() {
        let switch = parse("sched", include_str!("fixtures/events/sched/sched_switch/format"));
        assert!(matches!(content(&switch, "prev_comm"), Content::Text(Text::Context { bytes: 16, .. }, 16)));
        assert_eq!(number(&switch, "next_prio"), (60, 4, true));
        assert!(switch.fields.iter().all(|field| !field.name.starts_with("common_")));
        let enter = parse("raw_syscalls", include_str!("fixtures/events/raw_syscalls/sys_enter/format"));
        assert!(matches!(content(&enter, "args"), Content::Values(values) if values.len() == 6));
        let block = parse("block", include_str!("fixtures/events/block/block_rq_issue/format"));
        assert!(matches!(content(&block, "cmd"), Content::Text(Text::Located { relative: false, .. }, _)));
        assert_eq!(number(&block, "sector"), (16, 8, false));
        let skb = parse("skb", include_str!("fixtures/events/skb/kfree_skb/format"));
        let Content::Value(address) = content(&skb, "skbaddr") else { panic!("it is an address") };
        assert_eq!(address.kind, Type::Pointer { to: 0, access: Access::Kernel });
        assert_eq!(number(&skb, "protocol").1, 2);
    }

    #[test]
    fn what_is_printed_as_an_address_is_one() {
        let text = "field:unsigned long call_site;\toffset:8;\tsize:8;\tsigned:0;\n\
                    field:size_t bytes;\toffset:16;\tsize:8;\tsigned:0;\n\
                    print fmt: \"call_site=%pS bytes=%zu\", (void *)REC->call_site, REC->bytes";
        let record = parse("kmem", text);
        let Content::Value(site) = content(&record, "call_site") else { panic!("it is a value") };
        assert_eq!(site.kind, Type::Pointer { to: 0, access: Access::Kernel });
        let Content::Value(bytes) = content(&record, "bytes") else { panic!("it is a value") };
        assert!(matches!(bytes.kind, Type::Integer { .. }));
    }

    #[test]
    fn values_that_are_printed_by_name_have_it() {
        let text = "print fmt: \"vec=%u [action=%s]\", REC->vec, __print_symbolic(REC->vec, { 0, \"HI\" }, { 0x1, \"TIMER\" }, { -2, \"X\" })";
        let names = symbols(text, "vec").unwrap();
        let expected = [(0, "HI"), (1, "TIMER"), (-2i64 as u64, "X")];
        assert_eq!(*names, expected.into_iter().map(|(number, name)| (number, name.to_owned())).collect());
        assert_eq!(symbols(text, "ve"), None);
        assert_eq!(symbols("print fmt: __print_symbolic(REC->vec, { 0, ", "vec"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", line in "field:[a-z\\[\\]* ]{0,20};\toffset:[0-9]{0,11};\tsize:[0-9]{0,11};\tsigned:[0-9];") {
            parse("x", &text);
            parse("syscalls", &line);
        }

        #[test]
        fn no_names_panic(text in "[ {}(),a-zA-Z0-9x\">-]{0,80}") {
            symbols(&format!("print fmt: __print_symbolic(REC->a,{text}"), "a");
        }
    }
}
