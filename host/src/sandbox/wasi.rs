//! WASI 0.2 for guests whose toolchain insists on it, and nothing in it: no files, no network, no environment, no
//! arguments, an end of standard input. What is written to the standard streams are lines of the log, the clocks stand
//! at the interval's end, and what is random comes from the interval, so that a replay has it too.
//!
//! Driven by what a component imports: each of its functions either means something (`known`), or is answered by its
//! type (`absent`). There is no table of what exists behind a handle, because nothing does.

mod absent;
mod known;
mod lines;
mod random;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::call::Call;
use super::limits::WASI_ITEMS;
use super::outputs::Outputs;
use super::wire::Level;
use lines::Lines;
use random::Random;

/// The packages of WASI that are offered, empty. The others, above all `http`, are what a plugin has no use for without
/// a network, and no toolchain insists on.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// What a call keeps for it.
#[derive(Debug)]
pub(super) struct Wasi {
    out: Lines,
    err: Lines,
    /// Made by the first call that wants it, which most plugins never do.
    random: Option<Random>,
}

impl Default for Wasi {
    fn default() -> Self {
        Self { out: Lines::new(Level::Info), err: Lines::new(Level::Warning), random: None }
    }
}

impl Wasi {
    /// At the end of a call, however it ended.
    pub(super) fn end(&mut self, outputs: &mut Outputs) {
        self.out.end(outputs);
        self.err.end(outputs);
    }
}

/// What is wrong with an import, and what would be right.
type Refused = (String, String);

/// The package and the interface of an import that is WASI's, or why it is not offered.
fn interface(import: &str) -> Option<Result<&str, Refused>> {
    let (path, version) = import.strip_prefix("wasi:")?.split_once('@').unwrap_or((import, ""));
    let package = path.split('/').next().unwrap_or_default();
    // Within a track, functions and interfaces are only added.
    let offered = semver::Version::parse(version)
        .is_ok_and(|version| (version.major, version.minor) == (0, 2) && version.pre.is_empty());
    Some(if !offered {
        let help = "build it for WASI 0.2, such as wasm32-wasip2, or for a target without WASI, such as \
                    wasm32-unknown-unknown";
        Err((format!("imports {import}, and of WASI only 0.2 is offered"), help.to_owned()))
    } else if PACKAGES.contains(&package) {
        Ok(path)
    } else {
        let help = format!(
            "of WASI 0.2 a plugin can import {}, all of them empty; build it without the rest, with \
             componentize-js by `--disable http --disable fetch-event`",
            PACKAGES.join(", ")
        );
        Err((format!("imports {import}, which is not offered"), help))
    })
}

/// Whether an import is WASI's and offered; else why not.
pub(super) fn offered(import: &str) -> Result<bool, Refused> {
    interface(import).transpose().map(|interface| interface.is_some())
}

/// Whether a component imports any of it.
pub(super) fn imported_by(component: &Component) -> bool {
    component.component_type().imports(component.engine()).any(|(import, _)| interface(import).is_some())
}

/// Offers a component what it imports of WASI, by the names and types that it imports it.
pub(super) fn offer(linker: &mut Linker<Call>, component: &Component) -> wasmtime::Result<()> {
    let engine = component.engine();
    let mut items = 0;
    for (import, found) in component.component_type().imports(engine) {
        let Some(Ok(interface)) = interface(import) else { continue };
        let ComponentItem::ComponentInstance(found) = found.ty else {
            wasmtime::bail!("{import} is imported as something else than an interface")
        };
        let mut instance = linker.instance(import)?;
        for (name, item) in found.exports(engine) {
            items += 1;
            if items > WASI_ITEMS {
                wasmtime::bail!("more than {WASI_ITEMS} functions and types of WASI are imported");
            }
            match item.ty {
                ComponentItem::ComponentFunc(function) => {
                    if !known::define(&mut instance, interface, name)? {
                        absent::define(&mut instance, import, name, &function)?;
                    }
                }
                ComponentItem::Resource(_) => {
                    instance.resource(name, known::resource(name), |_, _| Ok(()))?;
                }
                ComponentItem::Type(_) => {}
                _ => wasmtime::bail!("{import} is imported with {name}, which is neither function nor type"),
            }
        }
    }
    Ok(())
}
