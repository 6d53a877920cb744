//! What a probe's programs find in their context, and the loads that read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::table::{Access, Load, Text, Value};

/// Why an address is no number for a table: what a table holds goes to plugins.
pub(crate) const ADDRESS: &str = "it is a kernel address, and these stay in the kernel";
pub(crate) const NOT_A_NUMBER: &str = "it is not a whole number";

/// The context of one attach point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub fields: Vec<Field>,
    /// What the function returns, where the program runs at its return.
    pub result: Option<Typed>,
}

/// How a context is laid out, which decides by what loads it may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A packed record of so many bytes, as the kernel knows it. It refuses to attach a program that reads
    /// past them (`trace_event_get_offsets` in kernel/trace/trace_events.c).
    Packed { bytes: u32 },
    /// Slots of eight bytes, one for each argument, read whole (`btf_ctx_access` in kernel/bpf/btf.c).
    Slots,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    /// Its C type, for people to read.
    pub c_type: String,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Value(Typed),
    /// So many values, one after the other.
    Values(Vec<Typed>),
    /// Text of at most so many bytes.
    Text(Text, u32),
    /// Cannot be used, for this reason.
    Unusable(&'static str),
}

/// A value, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    pub value: Value,
    pub kind: Type,
}

/// Names of the values of an enumeration.
pub type Names = Arc<BTreeMap<u64, String>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Integer {
        bits: u32,
        signed: bool,
        names: Option<Names>,
    },
    /// An address, at which there is something of a type of the kernel's (0 where that is not known), which is
    /// read so.
    Pointer {
        to: u32,
        access: Access,
    },
}

/// A whole number in the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub offset: u32,
    /// 1, 2, 4 or 8.
    pub bytes: u32,
    pub signed: bool,
}

impl Typed {
    pub(crate) fn number(value: Value, bits: u32, signed: bool) -> Self {
        Self { value, kind: Type::Integer { bits, signed, names: None } }
    }
}

impl Layout {
    /// The load that reads a number: directly where the kernel allows it, or else a copy by a helper.
    pub(crate) fn load(self, number: Number) -> Load {
        let Number { offset, bytes, signed } = number;
        let bits = bytes * 8;
        match self {
            Self::Packed { bytes: all } => {
                let copied = !offset.is_multiple_of(bytes) || offset + bytes > all;
                Load { offset, bytes, copied, shift: 0, bits, signed }
            }
            Self::Slots => {
                let base = offset / 8 * 8;
                Load { offset: base, bytes: 8, copied: false, shift: (offset - base) * 8, bits, signed }
            }
        }
    }

    pub(crate) fn number(self, number: Number) -> Typed {
        Typed::number(Value::Context(self.load(number)), number.bytes * 8, number.signed)
    }
}

impl Record {
    /// Names of the fields that can be used, in the record's order.
    pub(crate) fn usable(&self) -> impl Iterator<Item = &str> {
        let usable = |field: &&Field| !matches!(field.content, Content::Unusable(_));
        self.fields.iter().filter(usable).map(|field| field.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_copied_where_the_kernel_allows_none() {
        let record = Layout::Packed { bytes: 30 };
        let copied = |offset, bytes| record.load(Number { offset, bytes, signed: false }).copied;
        assert!(!copied(8, 8));
        assert!(!copied(12, 2));
        // Not aligned.
        assert!(copied(19, 2));
        assert!(copied(12, 8));
        assert!(!copied(28, 2));
    }

    #[test]
    fn slots_are_read_whole() {
        let load = Layout::Slots.load(Number { offset: 8, bytes: 4, signed: true });
        assert_eq!(load, Load { offset: 8, bytes: 8, copied: false, shift: 0, bits: 32, signed: true });
    }
}
