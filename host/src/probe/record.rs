//! What a probe's programs find in their context, and the loads that read it.

use weir_abi::{CONTEXT_BYTES, Source, source};

/// Why an address is no number for a table: what a table holds goes to plugins.
pub(crate) const ADDRESS: &str = "it is a kernel address, and these stay in the kernel";
pub(crate) const NOT_A_NUMBER: &str = "it is not a whole number";

/// The context of one attach point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub layout: Layout,
    pub fields: Vec<Field>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Number(Number),
    /// So many numbers, one after the other, of which this is the first.
    Numbers(Number, u32),
    /// Cannot be used, for this reason.
    Unusable(&'static str),
}

/// A whole number in the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub offset: u32,
    /// 1, 2, 4 or 8.
    pub bytes: u32,
    pub signed: bool,
}

impl Number {
    pub(crate) fn bits(self) -> u32 {
        self.bytes * 8
    }
}

impl Record {
    /// Names of the fields that can be used, in the record's order.
    pub(crate) fn usable(&self) -> impl Iterator<Item = &str> {
        let usable = |field: &&Field| !matches!(field.content, Content::Unusable(_));
        self.fields.iter().filter(usable).map(|field| field.name.as_str())
    }

    /// The load that reads a number: the narrowest aligned one that holds it and stays within the record, or
    /// else a copy by a helper.
    pub(crate) fn load(&self, number: Number) -> Source {
        let Number { offset, bytes, signed } = number;
        let (end, widths) = match self.layout {
            Layout::Packed { bytes } => (bytes.min(CONTEXT_BYTES), [4, 8].as_slice()),
            Layout::Slots => (CONTEXT_BYTES, [8].as_slice()),
        };
        let direct = widths.iter().find_map(|&width| {
            let base = offset / width * width;
            let holds = offset + bytes <= base + width && base + width <= end;
            holds.then_some((if width == 4 { source::CONTEXT4 } else { source::CONTEXT8 }, base, width))
        });
        let (kind, base, width, copied) = match direct {
            Some((kind, base, width)) => (kind, base, width, 0),
            None => (source::CONTEXT_COPY, offset, bytes, bytes << 16),
        };
        // Bits of the register above and below the number, once it is loaded and zero-extended.
        let below = (offset - base) * 8;
        let above = 64 - below - number.bits();
        let sign = if signed && bytes < 8 { source::SIGNED } else { 0 };
        // An unsigned number that ends where the load does has zeros above it already.
        let (left, right) = if sign == 0 && offset + bytes == base + width {
            (0, below)
        } else {
            (above, 64 - number.bits())
        };
        Source { kind, a: base, b: left, c: right | sign | copied }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kernel side does with a source, by its definition in the abi.
    fn execute(source: Source, context: &[u8]) -> u64 {
        let (at, count) = (
            source.a as usize,
            match source.kind {
                source::CONTEXT8 => 8,
                source::CONTEXT4 => 4,
                source::CONTEXT_COPY => (source.c >> 16) as usize,
                other => panic!("not a load: {other}"),
            },
        );
        if source.kind != source::CONTEXT_COPY {
            assert_eq!(at % count, 0, "aligned");
            assert!(at + count <= CONTEXT_BYTES as usize);
        }
        let mut register = [0; 8];
        register[..count].copy_from_slice(&context[at..at + count]);
        let value = u64::from_le_bytes(register) << source.b;
        let right = source.c & 63;
        if source.c & source::SIGNED != 0 { ((value as i64) >> right) as u64 } else { value >> right }
    }

    proptest! {
        #[test]
        fn a_load_reads_its_number_and_nothing_past_the_record(
            context in prop::collection::vec(any::<u8>(), 9..600),
            at in any::<prop::sample::Index>(),
            bytes in prop::sample::select(vec![1u32, 2, 4, 8]),
            signed in any::<bool>(),
        ) {
            prop_assume!(context.len() >= 8 + bytes as usize);
            let offset = 8 + at.index(context.len() - 8 - bytes as usize + 1);
            let layout = Layout::Packed { bytes: context.len() as u32 };
            let record = Record { layout, fields: Vec::new() };
            let load = record.load(Number { offset: offset as u32, bytes, signed });
            let mut wanted = [0; 8];
            wanted[..bytes as usize].copy_from_slice(&context[offset..offset + bytes as usize]);
            let wanted = u64::from_le_bytes(wanted);
            let unused = 64 - bytes * 8;
            let wanted = if signed { ((wanted as i64) << unused >> unused) as u64 } else { wanted };
            prop_assert_eq!(execute(load, &context), wanted);
        }
    }

    #[test]
    fn the_narrowest_load_is_chosen() {
        let record = Record { layout: Layout::Packed { bytes: 30 }, fields: Vec::new() };
        let kind = |offset, bytes| record.load(Number { offset, bytes, signed: false }).kind;
        assert_eq!(kind(8, 8), source::CONTEXT8);
        assert_eq!(kind(12, 4), source::CONTEXT4);
        assert_eq!(kind(12, 2), source::CONTEXT4);
        // Across two words of four bytes, and within one of eight.
        assert_eq!(kind(19, 2), source::CONTEXT8);
        // The aligned word of the last two bytes ends past the record.
        assert_eq!(kind(28, 2), source::CONTEXT_COPY);
        let plain = record.load(Number { offset: 16, bytes: 4, signed: false });
        assert_eq!(plain, Source { kind: source::CONTEXT4, a: 16, b: 0, c: 0 });
        let signed = record.load(Number { offset: 16, bytes: 4, signed: true });
        assert_eq!(signed, Source { kind: source::CONTEXT4, a: 16, b: 32, c: 32 | source::SIGNED });
    }

    #[test]
    fn slots_are_read_whole() {
        let record = Record { layout: Layout::Slots, fields: Vec::new() };
        let load = record.load(Number { offset: 8, bytes: 4, signed: true });
        assert_eq!(load, Source { kind: source::CONTEXT8, a: 8, b: 32, c: 32 | source::SIGNED });
    }
}
