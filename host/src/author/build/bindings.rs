//! Bindings, made from the interface.

use std::path::Path;

use anyhow::Context;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

use super::super::project::{Project, SDK, write_file};
use crate::error::{Error, Kind, Result};
use crate::manifest::Language;

/// What plugins are.
pub(super) const WORLD: &str = "plugin";
/// What stands for WASI's first preview.
const PREVIEW1: &str = "preview1";
/// Where Go's bindings are, as the SDK imports them.
const GO_PACKAGE: &str = "github.com/weir-tracing/weir/plugin-sdk/go/sdk/bindings";

/// Writes them for languages whose tools do not make them as they go.
pub(super) fn write(project: &Project) -> Result<()> {
    let generator = match project.language {
        Language::C | Language::Zig => wit_bindgen_c::Opts::default().build(),
        Language::Go => {
            let folder = project.build().join("bindings");
            write_file(&folder.join("go.mod"), format!("module {GO_PACKAGE}\n\ngo 1.24\n").as_bytes())?;
            wit_bindgen_go::Opts {
                format: wit_bindgen_go::Format::False,
                pkg_name: Some(GO_PACKAGE.to_owned()),
                quiet: true,
                ..wit_bindgen_go::Opts::default()
            }
            .build()
        }
        _ => return Ok(()),
    };
    generate(generator, &project.build().join("bindings"))
}

/// Puts a world's description into a module that was compiled without one.
pub(super) fn embed(mut module: Vec<u8>, world: &str) -> anyhow::Result<Vec<u8>> {
    let (resolve, world) = interface(world)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    Ok(module)
}

/// What stands for WASI's first preview.
pub(super) fn preview1() -> Result<Vec<u8>> {
    let adapter = || embed(wat::parse_str(text("wasi/preview1.wat")?)?, PREVIEW1);
    adapter().map_err(failed)
}

/// A file that every build of Weir has.
fn text(path: &str) -> anyhow::Result<&'static str> {
    let file = SDK.get_file(path).and_then(|file| file.contents_utf8());
    file.with_context(|| format!("this build of Weir lacks plugin-sdk/{path}"))
}

fn generate(mut generator: Box<dyn WorldGenerator>, folder: &Path) -> Result<()> {
    let (mut resolve, world) = interface(WORLD).map_err(failed)?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files).map_err(failed)?;
    files.iter().try_for_each(|(name, content)| write_file(&folder.join(name), content))
}

/// The interface, as this build of Weir speaks it, for plugins or for what stands for WASI.
fn interface(world: &str) -> anyhow::Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let mut package = resolve.push_str("weir.wit", text("wit/weir.wit")?)?;
    if world == PREVIEW1 {
        package = resolve.push_str("preview1.wit", text("wasi/preview1.wit")?)?;
    }
    let world = resolve.select_world(&[package], Some(world))?;
    Ok((resolve, world))
}

fn failed(error: anyhow::Error) -> Error {
    Error::new(Kind::Software, format!("cannot make bindings: {error:#}"))
}
