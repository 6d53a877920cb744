//! `weir plugin push` and `pull`: plugins in registries for containers, as the
//! [artefacts that other Wasm tools use](https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/), by the
//! [distribution specification](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md).
//!
//! What a registry says is a stranger's: what is pulled is what its digest says, or it is not kept.

mod client;
mod reference;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::json;

use self::client::Client;
use self::reference::Reference;
use super::component;
use super::project::write_file;
use crate::cli::{answer, read_component};
use crate::error::{Error, Kind, Result};
use crate::manifest::{self, Manifest};
use crate::sandbox::COMPONENT_BYTES;
use crate::sink::time;
use crate::trust::Digest;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const WASM: &str = "application/wasm";
/// Manifests of one index that are looked into: an image for every platform has a dozen.
const MANIFESTS: usize = 32;
/// A manifest that is made to be read for long. The specification has registries take four MiB at most.
const MANIFEST_BYTES: u64 = 4 << 20;

/// What a manifest says of a blob.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Descriptor {
    fn of(media_type: &str, bytes: &[u8]) -> Self {
        let digest = Digest::of(bytes).to_string();
        Self { media_type: media_type.to_owned(), digest, size: bytes.len() as u64 }
    }
}

/// What of a manifest matters here.
#[derive(Debug, Deserialize)]
struct Image {
    layers: Vec<Descriptor>,
}

impl Image {
    fn wasm(&self) -> Option<&Descriptor> {
        self.layers.iter().find(|layer| layer.media_type == WASM)
    }
}

/// What a tag can be: one artefact, or several, as for several platforms.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tagged {
    One(Image),
    Several { manifests: Vec<Descriptor> },
}

pub(super) fn push(plugin: &Path, to: &str) -> Result<()> {
    let to = Reference::parse(to)?;
    let Some(tag) = to.tag.as_deref().filter(|_| to.digest.is_none()) else {
        return Err(Error::new(Kind::Usage, format!("`{to}` does not say under which tag to push"))
            .help("add one, such as :0.1.0"));
    };
    let bytes = read_component(plugin)?;
    let imports = component::imports(&bytes).map_err(|error| error.context(plugin.display()))?;
    let about = manifest::within(&bytes, plugin)?;
    let layer = Descriptor::of(WASM, &bytes);
    let config = json!({
        "created": time(SystemTime::now()),
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.digest],
        "component": { "exports": ["weir:plugin/analysis@0.1.0"], "imports": imports },
    });
    let config = config.to_string().into_bytes();
    let about_config = Descriptor::of(CONFIG, &config);
    let image = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": about_config,
        "layers": [layer],
        "annotations": about.as_ref().map(annotations).unwrap_or_default(),
    });
    let image = image.to_string().into_bytes();
    let mut client = Client::new(&to, "pull,push")?;
    client.upload(&bytes, &layer.digest)?;
    client.upload(&config, &about_config.digest)?;
    client.put_manifest(tag, MANIFEST, &image)?;
    answer(&format!("pushed {}@{}\n", to.without_tag(), Digest::of(&image)))
}

/// As <https://github.com/opencontainers/image-spec/blob/main/annotations.md> names them.
fn annotations(manifest: &Manifest) -> serde_json::Map<String, serde_json::Value> {
    let version = manifest.version.to_string();
    let known = [
        ("title", &manifest.name),
        ("version", &version),
        ("description", &manifest.description),
        ("licenses", &manifest.license),
        ("url", &manifest.homepage),
    ];
    let said = known.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| (format!("org.opencontainers.image.{name}"), json!(value))).collect()
}

pub(super) fn pull(from: &str, output: Option<&Path>) -> Result<()> {
    let from = Reference::parse(from)?;
    let output = output.map_or_else(|| PathBuf::from(format!("{}.wasm", from.name())), Path::to_owned);
    // A link that leads nowhere is something, too.
    if output.symlink_metadata().is_ok() {
        return Err(Error::new(Kind::Usage, format!("{} exists", output.display()))
            .help("name another file with -o; none is overwritten"));
    }
    let mut client = Client::new(&from, "pull")?;
    let wrong = |what: &str| Error::new(Kind::Data, format!("{from}: {what}"));
    let tagged = client.manifest(&from.wanted(), &format!("{MANIFEST}, {INDEX}"), MANIFEST_BYTES)?;
    let digest = Digest::of(&tagged);
    is_what_was_asked(&from, &digest, from.digest.as_ref())?;
    let tagged =
        serde_json::from_slice(&tagged).map_err(|_| wrong("this is not the manifest of an artefact"))?;
    let (digest, image) = match tagged {
        Tagged::One(image) => (digest, image),
        Tagged::Several { manifests } => of_several(&mut client, &from, &manifests)?,
    };
    let layer = image.wasm().ok_or_else(|| wrong("it has no WebAssembly in it, so it is no plugin"))?;
    if layer.size > COMPONENT_BYTES as u64 {
        return Err(wrong(&format!("it has more than {} MiB", COMPONENT_BYTES >> 20)));
    }
    let wanted = layer.digest.parse::<Digest>().map_err(|_| wrong("its layer's digest is not SHA-256"))?;
    let bytes = client.blob(&wanted, layer.size)?;
    is_what_was_asked(&from, &Digest::of(&bytes), Some(&wanted))?;
    write_file(&output, &bytes)?;
    let (from, output) = (from.without_tag(), output.display());
    answer(&format!("pulled {from}@{digest} into {output}\nnext: weir plugin inspect {output}\n"))
}

/// The one of several artefacts that has WebAssembly in it.
fn of_several(
    client: &mut Client<'_>,
    from: &Reference,
    manifests: &[Descriptor],
) -> Result<(Digest, Image)> {
    let wrong = |what: String| Error::new(Kind::Data, format!("{from}: {what}"));
    if manifests.len() > MANIFESTS {
        return Err(wrong(format!("it is an index of more than {MANIFESTS} artefacts"))
            .help("name one by its digest: HOST/NAME@sha256:…"));
    }
    let mut found = Vec::new();
    for about in manifests.iter().filter(|about| about.media_type == MANIFEST) {
        let digest = about
            .digest
            .parse::<Digest>()
            .map_err(|_| wrong("a digest in its index is not SHA-256".to_owned()))?;
        let manifest = client.manifest(&about.digest, MANIFEST, MANIFEST_BYTES)?;
        is_what_was_asked(from, &Digest::of(&manifest), Some(&digest))?;
        // What is no artefact may be somebody's own.
        let image = serde_json::from_slice::<Image>(&manifest).ok().filter(|image| image.wasm().is_some());
        found.extend(image.map(|image| (digest, image)));
    }
    match (found.pop(), &found[..]) {
        (Some(one), []) => Ok(one),
        (None, _) => Err(wrong(format!(
            "none of the {} artefacts of its index has WebAssembly in it, so it is no plugin",
            manifests.len()
        ))),
        (Some((last, _)), others) => {
            let all: Vec<_> =
                others.iter().map(|(digest, _)| digest).chain([&last]).map(Digest::to_string).collect();
            Err(wrong(format!("several artefacts of its index have WebAssembly in them: {}", all.join(", ")))
                .help("name one by its digest: HOST/NAME@sha256:…"))
        }
    }
}

fn is_what_was_asked(from: &Reference, found: &Digest, wanted: Option<&Digest>) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != found => {
            let message = format!("{from}: the registry gave {found}, and {wanted} was asked for");
            Err(Error::new(Kind::Data, message).help("do not use what it gave; it was not kept"))
        }
        _ => Ok(()),
    }
}
