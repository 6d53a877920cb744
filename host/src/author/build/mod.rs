//! `weir plugin build`: each language's own tools, and what comes after them.

mod bindings;
mod c;
mod go;
mod javascript;
mod module;
mod python;
mod rust;
mod tool;
mod zig;

use std::path::PathBuf;

use super::component;
use super::files::Files;
use super::project::{Project, part, write, write_file};
use crate::cli::{read_component, say};
use crate::error::Result;
use crate::manifest::{self, Language};

/// What a compiler has made.
enum Made {
    /// A core module, which is yet to become a component, and what stands for the functions of WASI that it imports.
    Module {
        bytes: Vec<u8>,
        adapter: Option<Vec<u8>>,
    },
    Component(PathBuf),
}

/// What a plugin was built from and what it then was, in the folder of what is generated.
const BUILT_FROM: &str = "built-from";

/// Builds a project, if anything has changed since it was built.
pub(super) fn build(project: &Project) -> Result<PathBuf> {
    let plugin = project.plugin();
    // A source that changes while it is built is as it was: it has changed when that is looked at next.
    let mut from = project.sources()?;
    let built_from = project.build().join(BUILT_FROM);
    if std::fs::read_to_string(&built_from)
        .is_ok_and(|kept| state(project, &from).is_ok_and(|now| now == kept))
    {
        return Ok(plugin);
    }
    generate(project)?;
    let made = match project.language {
        Language::Rust => rust::build(project),
        Language::C => c::build(project),
        Language::Go => go::build(project),
        Language::JavaScript | Language::TypeScript => javascript::build(project),
        Language::Python => python::build(project),
        Language::Zig => zig::build(project),
    }?;
    let component = match made {
        Made::Module { bytes, adapter } => component::of_module(&bytes, adapter.as_deref())?,
        Made::Component(component) => read_component(&component)?,
    };
    let packed = manifest::pack(&component, &project.manifest)?;
    write_file(&plugin, &packed)?;
    from.after_tools(&project.sources()?);
    write_file(&built_from, state(project, &from)?.as_bytes())?;
    say("built", &format_args!("{} ({} KiB)", plugin.display(), packed.len().div_ceil(1024)));
    Ok(plugin)
}

/// Sources and what was made of them, and this program, which brings the SDK: nothing is built again while these are as
/// they were.
fn state(project: &Project, sources: &Files) -> Result<String> {
    let mut files = sources.clone();
    files.add(&std::env::current_exe()?)?;
    files.add(&project.plugin())?;
    Ok(files.to_string())
}

/// Writes what this build of Weir brings: the interface, the SDK, and the bindings that are made from the interface.
pub(super) fn generate(project: &Project) -> Result<()> {
    let build = project.build();
    write(part("wit")?, &build.join("wit"), <[u8]>::to_vec)?;
    write(part(sdk(project.language))?, &build.join("sdk"), <[u8]>::to_vec)?;
    bindings::write(project)
}

/// The folder of a language's SDK.
fn sdk(language: Language) -> &'static str {
    match language {
        Language::Rust => "rust",
        Language::C => "c/sdk",
        Language::Go => "go/sdk",
        Language::JavaScript | Language::TypeScript => "javascript/sdk",
        Language::Python => "python/sdk",
        Language::Zig => "zig/sdk",
    }
}
