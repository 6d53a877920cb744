//! The kernel object, made to measure: the sizes of a table's maps are written over the placeholders in its
//! type information (Documentation/bpf/btf.rst: a map's `key_size` is the length of an array type).

use object::{Object, ObjectSection};
use weir_abi::placeholder;

use super::plan::Layout;
use crate::error::{Error, Kind, Result};

/// The compiled kernel side, as the build script left it.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weir.bpf.o"));

const BTF_MAGIC: u16 = 0xeb9f;
const KIND_ARRAY: u32 = 3;

/// A copy of the object with the sizes that this layout needs. `saved` counts the fields of a span's start.
pub(super) fn sized(layout: &Layout, saved: usize) -> Result<Vec<u8>> {
    let mut object = OBJECT.to_vec();
    let types = {
        let file = object::File::parse(OBJECT).map_err(|error| broken(&error.to_string()))?;
        let section = file.section_by_name(".BTF").ok_or_else(|| broken("it has no type information"))?;
        let (start, length) = section.file_range().ok_or_else(|| broken("its type information is empty"))?;
        start as usize..(start + length) as usize
    };
    let key_bytes = layout.key_words.max(1) as u32 * 8;
    let sizes = [
        (placeholder::KEY_SIZE, key_bytes),
        (placeholder::KEY_STRIDE, key_bytes),
        (placeholder::CELL_SIZE, layout.cell_words() as u32 * 8),
        (placeholder::START_SIZE, (1 + saved as u32) * 8),
    ];
    let section = object.get_mut(types).ok_or_else(|| broken("its sections lie outside of it"))?;
    for (placeholder, size) in sizes {
        let replaced =
            resize(section, placeholder as u32, size).ok_or_else(|| broken("its types are cut off"))?;
        if replaced != 1 {
            return Err(broken(&format!("{replaced} types have the placeholder {placeholder:#x}")));
        }
    }
    Ok(object)
}

fn broken(why: &str) -> Error {
    Error::new(Kind::Software, format!("the kernel object that Weir was built with is broken: {why}"))
}

/// Gives every array type of the length `from` the length `to`, and says how many there were.
fn resize(section: &mut [u8], from: u32, to: u32) -> Option<usize> {
    let word = |section: &[u8], at: usize| {
        Some(u32::from_le_bytes(section.get(at..at.checked_add(4)?)?.try_into().ok()?))
    };
    if word(section, 0)? as u16 != BTF_MAGIC {
        return None;
    }
    let header = word(section, 4)? as usize;
    let mut at = header.checked_add(word(section, 8)? as usize)?;
    let end = at.checked_add(word(section, 12)? as usize)?;
    let mut replaced = 0;
    while at < end {
        let info = word(section, at + 4)?;
        let (kind, members) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        let body = at + 12;
        if kind == KIND_ARRAY && word(section, body + 8)? == from {
            section.get_mut(body + 8..body + 12)?.copy_from_slice(&to.to_le_bytes());
            replaced += 1;
        }
        at = body + body_size(kind, members)?;
    }
    Some(replaced)
}

/// What follows a type's common part, in bytes.
fn body_size(kind: u32, members: usize) -> Option<usize> {
    Some(match kind {
        2 | 7..=12 | 16 | 18 => 0,
        1 | 14 | 17 => 4,
        KIND_ARRAY => 12,
        4 | 5 | 15 | 19 => 12 * members,
        6 | 13 => 8 * members,
        _ => return None,
    })
}
