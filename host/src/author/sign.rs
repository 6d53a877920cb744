//! `weir plugin sign`.

use std::io::{BufRead, Cursor, IsTerminal};
use std::path::Path;

use minisign::SecretKeyBox;

use super::project::write_file;
use crate::cli::{answer, read_component, unreadable};
use crate::error::{Error, Kind, Result};
use crate::trust;

pub(super) fn sign(plugin: &Path, key: &Path, output: Option<&Path>) -> Result<()> {
    let component = read_component(plugin)?;
    let text = std::fs::read_to_string(key).map_err(|error| unreadable(key, &error))?;
    let failed = |error: minisign::PError| {
        Error::new(Kind::Data, format!("{} cannot be used: {error}", key.display()))
            .help("name the file of a secret key that `minisign -G` has made, and give its password")
    };
    let secret = SecretKeyBox::from_string(&text).map_err(failed)?;
    // Keys without a password say so.
    let secret = match secret.clone().into_unencrypted_secret_key() {
        Ok(secret) => secret,
        Err(_) => secret.into_secret_key(password()?).map_err(failed)?,
    };
    let signature = minisign::sign(None, &secret, Cursor::new(&component), None, None).map_err(failed)?;
    let signed = trust::signed(component, &signature.into_string())
        .map_err(|error| error.context(plugin.display()))?;
    let output = output.unwrap_or(plugin);
    write_file(output, &signed)?;
    let id = trust::signer(&signed).map_or_else(String::new, |id| format!(" by the key {id}"));
    answer(&format!("{} is signed{id}\n", output.display()))
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
