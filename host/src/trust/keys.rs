//! Who is believed.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::PublicKey;

use super::signature::Signature;
use super::{Code, Refusal};
use crate::error::{Error, Kind, Result};

/// What minisign calls a key: 16 hexadecimal digits. It is chosen by who made the key and so proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// Keys and signatures begin with two bytes for the algorithm and this.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        bytes.get(2..)?.first_chunk().copied().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Public keys of minisign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keys(Vec<(KeyId, PublicKey)>);

impl Keys {
    /// Each is the second line of a .pub file.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut keys = Self::default();
        texts.into_iter().try_for_each(|text| keys.add(text))?;
        Ok(keys)
    }

    /// One more.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let key = |text: &str| {
            let id = KeyId::of(&BASE64_STANDARD.decode(text).ok()?)?;
            Some((id, PublicKey::from_base64(text).ok()?))
        };
        let key = key(text).ok_or_else(|| {
            let message = format!("`{}` is not a public key of minisign", text.escape_debug());
            Error::new(Kind::Config, message).help("a key is the second line of the file minisign.pub")
        })?;
        self.0.push(key);
        Ok(())
    }

    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "only the number is told")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Which of these keys gave this signature. Both what is signed and the signature's comment are verified.
    pub(super) fn signer(&self, signature: &Signature<'_>) -> Result<KeyId, Refusal> {
        let Signature { signed, key, decoded } = signature;
        let mut named = self.0.iter().filter(|(id, _)| id == key).peekable();
        if named.peek().is_none() {
            let message = format!("it is signed by the key {key}, which is not trusted");
            return Err(Refusal::new(Code::UnknownKey, message));
        }
        // The last argument: no signatures of the old kind, which were not let through to here either.
        let mut signers = named.filter(|(_, public)| public.verify(signed, decoded, false).is_ok());
        signers
            .next()
            .map(|(id, _)| *id)
            .ok_or_else(|| Refusal::new(Code::Altered, format!("it is not what the key {key} signed")))
    }
}
