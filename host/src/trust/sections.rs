//! The outermost sections of a component, by their headers.
//!
//! A file is eight bytes, then sections: a byte that says of what kind, a length in LEB128, and so many bytes,
//! which may be modules and components of their own and are not looked into. A custom section's bytes begin with
//! its name, which has a length too:
//! <https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md>.

use std::ops::Range;

use semver::Version;

use super::signature::{self, Signature};
use super::{Code, Refusal};

/// A file of very many empty sections, to be walked over for long. Large components have some hundreds.
const SECTIONS: usize = 1 << 16;
/// A version as long as the file, which would be shown and kept. Those of people have some ten characters.
const VERSION_BYTES: usize = 256;

/// As wasm-metadata and `wasm-tools metadata` name it.
const VERSION: &[u8] = b"version";
const CUSTOM: u8 = 0;

/// A custom section: where it is, its header included, and what it holds.
#[derive(Debug)]
pub(crate) struct Custom<'a> {
    pub(crate) range: Range<usize>,
    pub(crate) name: &'a [u8],
    pub(crate) content: &'a [u8],
}

/// What there is of interest in a component.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    bytes: &'a [u8],
    customs: Vec<Custom<'a>>,
    /// Where the signature's section begins, which is the last one, and its content.
    signature: Option<(usize, &'a [u8])>,
    version: Option<&'a [u8]>,
}

impl<'a> Layout<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let malformed = |message: String| Refusal::new(Code::Malformed, message);
        // Which version of the format the next four bytes name is the compiler's to judge.
        let (Some(mut rest), true) = (bytes.get(8..), bytes.starts_with(b"\0asm")) else {
            return Err(malformed("it is not WebAssembly".to_owned()));
        };
        let mut layout = Self { bytes, customs: Vec::new(), signature: None, version: None };
        for _ in 0..=SECTIONS {
            if rest.is_empty() {
                return Ok(layout);
            }
            let at = bytes.len() - rest.len();
            let Some((name, content)) = section(&mut rest) else {
                return Err(malformed(format!("its section at byte {at} is not whole")));
            };
            if let Some(name) = name {
                layout.customs.push(Custom { range: at..bytes.len() - rest.len(), name, content });
            }
            match name.unwrap_or_default() {
                signature::NAME if rest.is_empty() => layout.signature = Some((at, content)),
                signature::NAME => {
                    let message = format!("the signature at byte {at} is not its last section");
                    return Err(Refusal::new(Code::Signature, message));
                }
                // One to be read here and another to be read elsewhere.
                VERSION if layout.version.is_some() => {
                    return Err(malformed("it says its version twice".to_owned()));
                }
                VERSION => layout.version = Some(content),
                _ => (),
            }
        }
        Err(malformed(format!("it has more than {SECTIONS} sections")))
    }

    /// In the order of the file.
    pub(crate) fn customs(&self) -> impl Iterator<Item = &Custom<'a>> {
        self.customs.iter()
    }

    pub(crate) fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// The signature, if it is written as it has to be.
    pub(super) fn signature(&self) -> Result<Option<Signature<'a>>, Refusal> {
        let Some((at, content)) = self.signature else { return Ok(None) };
        let (signed, section) = self.bytes.split_at(at);
        Signature::read(signed, section, content).map(Some)
    }

    /// The version that it says to be, if that can be read.
    pub(crate) fn version(&self) -> Option<Version> {
        let text = self.version.filter(|text| text.len() <= VERSION_BYTES)?;
        Version::parse(str::from_utf8(text).ok()?).ok()
    }
}

/// Takes a section: its name, which only custom ones have, and its content.
fn section<'a>(rest: &mut &'a [u8]) -> Option<(Option<&'a [u8]>, &'a [u8])> {
    let kind = *rest.split_off_first()?;
    let mut content = sized(rest)?;
    let name = if kind == CUSTOM { Some(sized(&mut content)?) } else { None };
    Some((name, content))
}

/// Takes a length and so many bytes.
fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    // The length has 32 bits, seven in a byte.
    for shift in (0..32).step_by(7) {
        let byte = *rest.split_off_first()?;
        let bits = u32::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        length |= bits << shift;
        if byte & 0x80 == 0 {
            return rest.split_off(..usize::try_from(length).ok()?);
        }
    }
    None
}

/// Writes a custom section, its lengths as short as they can be.
pub(crate) fn custom(name: &[u8], content: &[u8]) -> Vec<u8> {
    let named = [&leb128(name.len()), name, content].concat();
    [&[CUSTOM], &*leb128(named.len()), &named].concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
