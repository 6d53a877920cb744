//! `weir plugin verify`: would it run here?

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::{answer, read_component, stem};
use crate::error::{Error, Kind, Result};
use crate::manifest;
use crate::sandbox::{Compiler, Limits, Plugin};
use crate::trust::{self, Demands, Keys};

/// Checks the signature, then the manifest, then compiles it as a run would, in a process that has no rights.
pub(super) fn verify(path: &Path, keys: &[String]) -> Result<()> {
    let component = read_component(path)?;
    let of = |error: Error| error.context(path.display());
    let demands = Demands {
        keys: Keys::parse(keys.iter().map(String::as_str))?,
        unsigned: keys.is_empty(),
        ..Demands::default()
    };
    let trusted = trust::examine(&component, &demands, None)
        .map_err(|refusal| of(Error::new(Kind::Data, refusal.to_string())))?;
    let manifest = manifest::within(&component, path)?;
    let name = manifest.as_ref().map_or_else(|| stem(path), |manifest| manifest.name.clone());
    let plugin =
        Plugin { name, component, tables: Vec::new(), options: BTreeMap::new(), limits: Limits::default() };
    Compiler::alone()?.compile(plugin)?;
    let signed = match (&trusted.signer, keys.is_empty()) {
        (Some(key), _) => format!("signed by {key}"),
        (None, true) => "whoever signed it, no key was given".to_owned(),
        (None, false) => "unsigned".to_owned(),
    };
    let manifest = if manifest.is_some() { "its manifest is in order" } else { "it has no manifest" };
    answer(&format!("{}: ok\n  {}\n  {signed}\n  {manifest}\n", path.display(), trusted.digest))
}
