//! The manifest inside of a component, and what else says there whose it is.

use std::path::Path;

use super::{MANIFEST_BYTES, Manifest};
use crate::error::{Error, Kind, Result};
use crate::trust::{Layout, custom};

/// The section's name.
pub(super) const NAME: &[u8] = b"weir:manifest";

/// As other tools read them:
/// <https://github.com/bytecodealliance/wasm-tools/blob/main/crates/wasm-metadata/README.md>.
const METADATA: [&[u8]; 4] = [b"version", b"description", b"licenses", b"homepage"];
const COMPONENT_NAME: &[u8] = b"component-name";

/// The manifest that a component has inside, which errors say to be in `path`.
pub(crate) fn within(component: &[u8], path: &Path) -> Result<Option<Manifest>> {
    let data = |message: &str| Error::new(Kind::Data, format!("{}: {message}", path.display()));
    // What is no component is told by those who compile it, with what would help.
    let Ok(layout) = Layout::of(component) else { return Ok(None) };
    let mut found = layout.customs().filter(|section| section.name == NAME);
    let Some(section) = found.next() else { return Ok(None) };
    // One to be read here and another to be read elsewhere.
    if found.next().is_some() {
        return Err(data("it has two manifests"));
    }
    if section.content.len() > MANIFEST_BYTES {
        return Err(data(&format!("its manifest has more than {} KiB", MANIFEST_BYTES >> 10)));
    }
    let text = str::from_utf8(section.content).map_err(|_| data("its manifest is not UTF-8"))?;
    Manifest::parse(text, &path.join("plugin.toml")).map(Some)
}

/// Puts a manifest into a component, in place of the one that it may have.
pub(crate) fn pack(component: &[u8], manifest: &Manifest) -> Result<Vec<u8>> {
    let layout = Layout::of(component).map_err(|refusal| Error::new(Kind::Data, refusal.message))?;
    if layout.is_signed() {
        return Err(Error::new(Kind::Data, "it is signed, and what is signed cannot be changed")
            .help("pack it first, then sign it"));
    }
    if manifest.text.len() > MANIFEST_BYTES {
        let message = format!("the manifest has more than {} KiB", MANIFEST_BYTES >> 10);
        return Err(Error::new(Kind::Config, message));
    }
    let mut packed = Vec::with_capacity(component.len() + manifest.text.len() + 1024);
    let mut rest = 0;
    for section in layout.customs() {
        if section.name == NAME || section.name == COMPONENT_NAME || METADATA.contains(&section.name) {
            packed.extend_from_slice(&component[rest..section.range.start]);
            rest = section.range.end;
        }
    }
    packed.extend_from_slice(&component[rest..]);
    // Its subsection 0 is the component's own name.
    packed.extend(custom(COMPONENT_NAME, &named(&manifest.name)));
    let version = manifest.version.to_string();
    let values = [&version, &manifest.description, &manifest.license, &manifest.homepage];
    for (name, value) in METADATA.iter().zip(values).filter(|(_, value)| !value.is_empty()) {
        packed.extend(custom(name, value.as_bytes()));
    }
    packed.extend(custom(NAME, manifest.text.as_bytes()));
    Ok(packed)
}

/// Names have 64 bytes at most, so that each length takes one.
fn named(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap_or_default();
    [&[0, length + 1, length], name.as_bytes()].concat()
}
