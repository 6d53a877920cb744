//! `weir plugin sign`.

use std::io::{BufRead, Cursor, IsTerminal};
use std::ops::Range;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minisign::{PublicKey, SecretKey, SecretKeyBox};

use super::project::write_file;
use crate::cli::{answer, read_component, unreadable};
use crate::error::{Error, Kind, Result};
use crate::trust;

/// Of a secret key, by <https://jedisct1.github.io/minisign/#secret-key-format>.
const KEY_BYTES: usize = 158;
const ENCRYPTION: Range<usize> = 2..4;
const CHECKSUM: Range<usize> = 126..158;
const NO_PASSWORD: [u8; 2] = [0, 0];

pub(super) fn sign(plugin: &Path, key: &Path, output: Option<&Path>) -> Result<()> {
    let component = read_component(plugin)?;
    let text = std::fs::read_to_string(key).map_err(|error| unreadable(key, &error))?;
    let failed = |error: minisign::PError, help: &str| {
        Error::new(Kind::Data, format!("{} cannot be used: {error}", key.display())).help(help)
    };
    let is_key = |error| failed(error, "name the file of a secret key that `minisign -G` has made");
    let bytes = bytes(&text)
        .ok_or_else(|| is_key(minisign::PError::new(minisign::ErrorKind::Io, "it is no secret key")))?;
    let boxed = SecretKeyBox::from(text);
    let secret = match (bytes[ENCRYPTION] == NO_PASSWORD, bytes[CHECKSUM].iter().all(|byte| *byte == 0)) {
        // minisign itself leaves out the checksum, which is there to tell a wrong password.
        (true, true) => SecretKey::from_bytes(&bytes).map_err(is_key)?,
        (true, false) => boxed.into_unencrypted_secret_key().map_err(is_key)?,
        (false, _) => boxed
            .into_secret_key(password()?)
            .map_err(|error| failed(error, "give the password of the key"))?,
    };
    let public = PublicKey::from_secret_key(&secret).map_err(is_key)?;
    let signature =
        minisign::sign(Some(&public), &secret, Cursor::new(&component), None, None).map_err(is_key)?;
    let signed = trust::signed(component, &signature.into_string())
        .map_err(|error| error.context(plugin.display()))?;
    let output = output.unwrap_or(plugin);
    write_file(output, &signed)?;
    let id = trust::signer(&signed).map_or_else(String::new, |id| format!(" by the key {id}"));
    answer(&format!("{} is signed{id}\n", output.display()))
}

/// What the file's second line stands for.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64_STANDARD.decode(text.lines().nth(1)?.trim()).ok()?;
    (bytes.len() == KEY_BYTES).then_some(bytes)
}

/// The password that standard input has, if that is no terminal; else whoever signs is asked.
fn password() -> Result<Option<String>> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Ok(None);
    }
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
}
