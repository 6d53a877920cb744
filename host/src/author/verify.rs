//! `weir plugin verify`: what can be said of a plugin before it runs.

use std::os::fd::AsFd;
use std::path::Path;

use crate::cli::{answer, read_component, stem, wait};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::event::Output;
use crate::manifest::{self, Given};
use crate::sandbox::{Plugin, Room, Sandbox};
use crate::trust::{self, Demands, Keys};

/// What a tenant's plugins have for their code.
const CODE: u64 = 512 << 20;

/// Checks the signature, then the manifest with its tables, then compiles it as a run would and has it configured within
/// its limits, in processes that have no rights.
pub(super) fn verify(path: &Path, keys: &[String]) -> Result<()> {
    let component = read_component(path)?;
    let of = |error: Error| error.context(path.display());
    let texts = keys.iter().map(|key| key_text(key)).collect::<Result<Vec<_>>>()?;
    let demands = Demands {
        keys: Keys::parse(texts.iter().map(String::as_str))?,
        unsigned: keys.is_empty(),
        ..Demands::default()
    };
    let trusted = trust::examine(&component, &demands, None)
        .map_err(|refusal| of(Error::new(Kind::Data, refusal.to_string())))?;
    let signed = match (&trusted.signer, trust::signer(&component)) {
        (Some(key), _) => format!("signed by {key}"),
        (None, Some(key)) => format!("signed by a key {key}, which is not verified: no --key was given"),
        (None, None) => "unsigned".to_owned(),
    };
    let manifest = manifest::within(&component, path)?;
    if let Some(manifest) = &manifest {
        manifest.check(&path.join("plugin.toml"))?;
    }
    let name = manifest.as_ref().map_or_else(|| stem(path), |manifest| manifest.name.clone());
    // What it has to be given is for whoever runs it.
    let Given { options, limits, .. } = match &manifest {
        Some(manifest) => Given::asked(manifest, &Default::default())?,
        None => Given::default(),
    };
    let says = configure(Plugin { name, component, tables: Vec::new(), options, limits })?;
    let manifest = if manifest.is_some() { "its manifest is in order" } else { "it has no manifest" };
    let mut text = format!("{}: ok\n  {}\n  {signed}\n  {manifest}\n", path.display(), trusted.digest);
    if let Some(says) = says {
        text.push_str(&format!("  without tables, and with no options but its defaults, it says: {says}\n"));
    }
    answer(&text)
}

/// The key that is written, or that is in the file of this name.
fn key_text(written: &str) -> Result<String> {
    let path = Path::new(written);
    if !path.is_file() {
        return Ok(written.to_owned());
    }
    let text = config::read(path)?;
    let mut lines =
        text.lines().filter(|line| !line.starts_with("untrusted comment:") && !line.trim().is_empty());
    Ok(lines.next().unwrap_or_default().trim().to_owned())
}

/// Has a plugin configured. What it says itself against that is given back: it may lack what whoever runs it has yet to give.
fn configure(plugin: Plugin) -> Result<Option<String>> {
    let name = plugin.name.clone();
    let mut sandbox = Sandbox::empty(Room { guest: plugin.limits.memory, code: CODE })?;
    let compiled = sandbox.compiler().compile(plugin)?;
    sandbox.add(compiled)?;
    loop {
        let Some(answer) = sandbox.answers()?.into_iter().find(|answer| answer.configure) else {
            wait(&[sandbox.as_fd()], sandbox.wake())?;
            continue;
        };
        let fault = answer.outputs.into_iter().find_map(|output| match output {
            Output::Fault { reason, message } => Some((reason, message)),
            _ => None,
        });
        return match fault {
            None => Ok(None),
            Some((reason, message)) if reason == "failed" => Ok(Some(message)),
            Some((reason, message)) => {
                let error =
                    Error::new(Kind::Data, format!("plugin {name}: configure failed: {reason}: {message}"));
                Err(if reason == "memory" {
                    error.help("its manifest's `limits` have the memory that it may have")
                } else {
                    error
                })
            }
        };
    }
}
