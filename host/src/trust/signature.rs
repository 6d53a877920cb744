//! The section that holds a signature.
//!
//! Of a minisign file's four lines the first, a comment, is not covered by any signature. So it is always the same
//! here, the one that `minisign` writes by default, and a section that is not byte for byte what [`signed`] appends
//! is refused. Otherwise anybody could change a signed file, and thereby its digest, and leave it a signed one.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::keys::KeyId;
use super::sections::{Layout, custom};
use super::{Code, Refusal};
use crate::error::{Error, Kind, Result};

pub(super) const NAME: &[u8] = b"weir:signature";
/// A signature to be decoded for long. `minisign` allows a comment of 8 KiB, and the rest has a few hundred bytes.
const TEXT_BYTES: usize = 16 << 10;
const FIRST_LINE: &str = "untrusted comment: signature from minisign secret key";

/// A signature that is yet to be verified.
pub(super) struct Signature<'a> {
    /// The bytes that it is over.
    pub(super) signed: &'a [u8],
    /// Whose it says to be.
    pub(super) key: KeyId,
    pub(super) decoded: minisign_verify::Signature,
}

impl<'a> Signature<'a> {
    /// Reads the last section, whose content this is, after the bytes that it signs.
    pub(super) fn read(signed: &'a [u8], section: &[u8], content: &[u8]) -> Result<Self, Refusal> {
        let wrong = |what: &str| Refusal::new(Code::Signature, format!("its signature {what}"));
        let text = text(content).map_err(wrong)?;
        if custom(NAME, text.whole.as_bytes()) != section {
            return Err(wrong("is not written as it has to be"));
        }
        Ok(Self { signed, key: text.key, decoded: text.decoded })
    }
}

/// A minisign file.
struct Text {
    key: KeyId,
    decoded: minisign_verify::Signature,
    /// As it is to be written.
    whole: String,
}

/// Reads a minisign file, or says what it is instead.
fn text(content: &[u8]) -> Result<Text, &'static str> {
    if content.len() > TEXT_BYTES {
        return Err("is too long");
    }
    let read = || {
        let text = str::from_utf8(content).ok()?;
        let decoded = minisign_verify::Signature::decode(text).ok()?;
        let lines: Vec<&str> = text.lines().collect();
        let &[_, signature, comment, both] = &*lines else { return None };
        let whole = format!("{FIRST_LINE}\n{signature}\n{comment}\n{both}\n");
        let bytes = BASE64_STANDARD.decode(signature).ok()?;
        Some((bytes.starts_with(b"Ed"), Text { key: KeyId::of(&bytes)?, decoded, whole }))
    };
    match read().ok_or("is not the text of a minisign file")? {
        // `minisign` makes these only when it is asked to, and one kind is enough.
        (true, _) => Err("is over the bytes and not over their hash"),
        (false, text) => Ok(text),
    }
}

/// Appends a signature to a component: the text of the file that `minisign -S` writes for the component's bytes.
/// Whether it is right shows when it is examined.
pub fn signed(mut component: Vec<u8>, signature: &str) -> Result<Vec<u8>> {
    let data = |message: &str| Error::new(Kind::Data, message);
    let layout = Layout::of(&component).map_err(|refusal| data(&refusal.message))?;
    if layout.is_signed() {
        return Err(data("it is signed already").help("sign the component as it was built"));
    }
    let text = text(signature.as_bytes()).map_err(|what| {
        data(&format!("the signature {what}")).help("`minisign -S -m FILE` writes it to FILE.minisig")
    })?;
    component.extend(custom(NAME, text.whole.as_bytes()));
    Ok(component)
}
