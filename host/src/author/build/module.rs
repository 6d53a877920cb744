//! What is done to core modules before they become components.

use anyhow::{Result, bail};
use wasm_encoder::{ConstExpr, DataCountSection, DataSection, Module, RawSection};
use wasmparser::{DataKind, Operator, Parser, Payload};

/// So many zeros are cheaper than another segment.
const GAP: usize = 512;

/// Without the sections of DWARF, which have names of their own.
pub(super) fn without_debug_info(module: &[u8]) -> Result<Vec<u8>> {
    let mut written = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::CustomSection(section) if section.name().starts_with(".debug_") => (),
            other => copy(&other, module, &mut written),
        }
    }
    Ok(written.finish())
}

fn copy(payload: &Payload<'_>, module: &[u8], written: &mut Module) {
    if let Some((id, range)) = payload.as_section() {
        written.section(&RawSection { id, data: &module[range.start as usize..range.end as usize] });
    }
}

/// With data segments joined. Go's linker leaves out every run of zeros, and its modules have hundreds of segments, each of
/// which costs every new instance some 30 ns.
pub(super) fn join(module: &[u8]) -> Result<Vec<u8>> {
    let segments = joined(module)?;
    let mut written = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::DataCountSection { .. } => {
                written.section(&DataCountSection { count: u32::try_from(segments.len())? });
            }
            Payload::DataSection(_) => {
                let mut section = DataSection::new();
                for (offset, bytes) in &segments {
                    let offset = ConstExpr::i32_const(u32::try_from(*offset)?.cast_signed());
                    section.active(0, &offset, bytes.iter().copied());
                }
                written.section(&section);
            }
            other => copy(&other, module, &mut written),
        }
    }
    Ok(written.finish())
}

/// The segments in the order of their places, those that are near to each other as one.
fn joined(module: &[u8]) -> Result<Vec<(usize, Vec<u8>)>> {
    let mut parts: Vec<(usize, &[u8])> = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::DataSection(data) = payload? else { continue };
        for segment in data {
            let segment = segment?;
            let DataKind::Active { memory_index: 0, offset_expr } = segment.kind else {
                bail!("a data segment is not placed when the module begins");
            };
            let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                bail!("a data segment has no fixed place");
            };
            parts.push((value.cast_unsigned() as usize, segment.data));
        }
    }
    parts.sort_by_key(|part| part.0);
    let mut segments: Vec<(usize, Vec<u8>)> = Vec::new();
    for (offset, data) in parts {
        match segments.last_mut() {
            Some((start, bytes)) if offset < *start + bytes.len() => bail!("data segments overlap"),
            Some((start, bytes)) if offset - (*start + bytes.len()) < GAP => {
                bytes.resize(offset - *start, 0);
                bytes.extend(data);
            }
            _ => segments.push((offset, data.to_vec())),
        }
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_joined_and_memory_begins_the_same() {
        let text = r#"(module (memory 1) (data (i32.const 600) "c") (data (i32.const 8) "a")
            (data (i32.const 12) "b\01") (func (export "f") (data.drop 0)) (data (i32.const 40000) "d"))"#;
        let segments = joined(&join(&wat::parse_str(text).unwrap()).unwrap()).unwrap();
        let near = [&b"a\0\0\0b\x01"[..], &[0; 600 - 14], b"c"].concat();
        // 600 is more than a gap's length from the end of b.
        let expected = if 600 - 14 < GAP {
            vec![(8, near)]
        } else {
            vec![(8, near[..6].to_vec()), (600, b"c".to_vec())]
        };
        assert_eq!(segments, [expected, vec![(40_000, b"d".to_vec())]].concat());
    }

    #[test]
    fn what_cannot_be_joined_is_told() {
        for (text, why) in [
            (r#"(module (memory 1) (data (i32.const 0) "abc") (data (i32.const 1) "x"))"#, "overlap"),
            (r#"(module (memory 1) (data "abc"))"#, "not placed"),
        ] {
            assert!(join(&wat::parse_str(text).unwrap()).unwrap_err().to_string().contains(why));
        }
    }
}
