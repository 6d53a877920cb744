//! Trust in what is run: which bytes, signed by whom, in which version.
//!
//! A signature is the last section of a component, named `weir:signature`: the text of a
//! [minisign](https://jedisct1.github.io/minisign/) file over every byte before that section. Sections of that
//! kind are skipped by whoever compiles the component, so a signed one is run as it is.
//!
//! To find it, and the version, the host walks over the headers of the outermost sections (`sections.rs`). **That walk
//! is the only parsing of a component that the host does**: it knows one byte, one length, and the names of custom
//! sections, goes into nothing, and is bounded. That a component's sections could be read otherwise by its compiler
//! gains nobody anything: what is signed is all bytes, and the signature's section has one way to be written
//! (`signature.rs`), so that no byte of a signed component can be changed unnoticed.
//!
//! What is demanded is the policy's; what is installed, its keeper's. Here they are only compared.

mod digest;
mod keys;
mod sections;
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;

use semver::Version;

pub use digest::Digest;
pub use keys::{KeyId, Keys};
pub(crate) use sections::{Layout, custom};
pub use signature::signed;

/// What a component has to be. What is left at its default demands a signature, which no key can give.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demands {
    /// It must be one of these. Empty: it may be any.
    pub digests: Vec<Digest>,
    /// Who is believed.
    pub keys: Keys,
    /// It may also be signed by none of these keys. A wrong signature is refused all the same.
    pub unsigned: bool,
    /// It must say its version, and that must not be lower than the installed one.
    pub no_older: bool,
}

/// A component that meets all demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    pub digest: Digest,
    /// Which of the demanded keys signed it, if one did.
    pub signer: Option<KeyId>,
    /// What it says of itself, which is worth as much as its signer.
    pub version: Option<Version>,
}

/// Why a component is refused. docs/trust.md says what each name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Digest,
    Malformed,
    Unsigned,
    UnknownKey,
    Signature,
    Altered,
    Older,
}

impl Code {
    /// The name that users and machines are given, which stays.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Malformed => "malformed",
            Self::Unsigned => "unsigned",
            Self::UnknownKey => "unknown-key",
            Self::Signature => "signature",
            Self::Altered => "altered",
            Self::Older => "older",
        }
    }
}

/// A refusal: the code for machines, and for people what was found. It has no byte of the component as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
}

impl Refusal {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Refusal {}

/// Whether a component meets all demands, `installed` being the version that it would replace.
///
/// The first demand that is not met is the reason, in the order digest, form, signature, version.
pub fn examine(bytes: &[u8], demands: &Demands, installed: Option<&Version>) -> Result<Trusted, Refusal> {
    let digest = Digest::of(bytes);
    if !demands.digests.is_empty() && !demands.digests.contains(&digest) {
        let wanted: Vec<String> = demands.digests.iter().map(Digest::to_string).collect();
        let message = format!("it is {digest}, and has to be {}", wanted.join(" or "));
        return Err(Refusal::new(Code::Digest, message));
    }
    let layout = Layout::of(bytes)?;
    let signer = match (layout.signature()?, demands.unsigned) {
        (Some(signature), unsigned) => match demands.keys.signer(&signature) {
            Err(refusal) if refusal.code == Code::UnknownKey && unsigned => None,
            signer => Some(signer?),
        },
        (None, true) => None,
        (None, false) => return Err(Refusal::new(Code::Unsigned, "it has no signature")),
    };
    let version = layout.version();
    if demands.no_older {
        not_older(version.as_ref(), installed)?;
    }
    Ok(Trusted { digest, signer, version })
}

/// Whose signature a component says to have. Nothing is verified here.
pub(crate) fn signer(bytes: &[u8]) -> Option<KeyId> {
    Layout::of(bytes).ok()?.signature().ok()?.map(|signature| signature.key)
}

/// Whether a version may take the place of another. Build metadata has no order, so what differs in nothing else is not older.
pub(crate) fn not_older(version: Option<&Version>, installed: Option<&Version>) -> Result<(), Refusal> {
    let Some(version) = version else {
        // Even if nothing is installed yet: what is installed without a version cannot be protected later.
        let message = "it does not say its version, so nobody can tell whether it is older";
        return Err(Refusal::new(Code::Older, message));
    };
    match installed {
        Some(installed) if version.cmp_precedence(installed).is_lt() => {
            Err(Refusal::new(Code::Older, format!("it is version {version}, and {installed} is installed")))
        }
        _ => Ok(()),
    }
}
