//! What bytes are called.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

const PREFIX: &str = "sha256:";

/// The SHA-256 of a whole file, its signature included: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    /// What is wrong.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(PREFIX).ok_or_else(|| format!("it does not begin with `{PREFIX}`"))?;
        let mut digest = [0; 32];
        let found = digits.chars().count();
        if found != 2 * digest.len() {
            return Err(format!("it has {found} digits, and SHA-256 has {}", 2 * digest.len()));
        }
        for (at, digit) in digits.chars().enumerate() {
            let value = digit
                .to_digit(16)
                .ok_or_else(|| format!("`{}` is no hexadecimal digit", digit.escape_debug()))?;
            digest[at / 2] = digest[at / 2] << 4 | value as u8;
        }
        Ok(Self(digest))
    }
}
