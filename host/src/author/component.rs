//! Components, from the modules that compilers write, and with their manifests inside.

use std::path::Path;

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::cli::read_component;
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::manifest::{self, Manifest};

/// Wraps a core module, which carries its interface in a section, into a component. A module that was made for WASI's first
/// preview has an adapter beside it.
pub(super) fn of_module(module: &[u8], adapter: Option<&[u8]>) -> Result<Vec<u8>> {
    let encode = || {
        let mut encoder = ComponentEncoder::default();
        encoder.validate(true).module(module)?;
        if let Some(adapter) = adapter {
            encoder.adapter("wasi_snapshot_preview1", adapter)?;
        }
        encoder.encode()
    };
    encode().map_err(|error| {
        Error::new(Kind::Data, format!("what the compiler wrote cannot become a component: {error:#}"))
            .help("does the plugin export `configure` and `analyze`, and import nothing of its own?")
    })
}

/// What a component imports, without running or compiling it.
pub(super) fn imports(component: &[u8]) -> Result<Vec<String>> {
    let broken = |error: wasmparser::BinaryReaderError| {
        Error::new(Kind::Data, format!("it is not a valid component: {error}"))
    };
    let mut imports = Vec::new();
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(broken)? {
            Payload::Version { encoding, .. }
                if depth == 0 && encoding != wasmparser::Encoding::Component =>
            {
                return Err(Error::new(Kind::Data, "it is a core module, and a plugin is a component"));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => (),
        }
    }
    Ok(imports)
}

/// `weir plugin pack`.
pub(super) fn pack(component: &Path, manifest: &Path, output: &Path) -> Result<()> {
    let bytes = read_component(component)?;
    let path = manifest;
    let manifest = Manifest::parse(&config::read(path)?, path)?;
    manifest.check(path)?;
    let of = |error: Error| error.context(component.display());
    imports(&bytes).map_err(of)?;
    let packed = manifest::pack(&bytes, &manifest).map_err(of)?;
    super::project::write_file(output, &packed)
}
