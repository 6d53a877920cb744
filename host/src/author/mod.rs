//! `weir plugin`: from an empty folder to one file that others can run. Nothing here needs a privilege, and nothing here
//! runs a guest but in the sandbox.
//!
//! A plugin's project is a folder:
//!
//! | | |
//! |---|---|
//! | `plugin.toml` | the manifest (`crate::manifest`) |
//! | its source | in whatever way its language has it |
//! | `tests/NAME.weir`, `tests/NAME.jsonl` | a recording, and what the plugin is to make of it |
//! | `tests/NAME.toml` | `options` for that test, if it has some |
//! | `build/` | what is generated: `wit/`, `sdk/`, `bindings/`, and the finished `NAME.wasm` |

mod build;
mod component;
mod dev;
mod expect;
mod files;
mod inspect;
mod lines;
mod new;
mod project;
mod registry;
mod replay;
mod sign;
mod verify;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::error::Result;
use crate::manifest::Language;
use project::Project;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a small working project
    New(New),
    /// Build the project in a folder into build/NAME.wasm, with its language's own tools
    Build(Build),
    /// Build, run on the recordings under tests/, and compare with what is expected there
    Test(Test),
    /// Build, show what comes of a recording, and again whenever a file changes
    Dev(Dev),
    /// Put a manifest into a component
    Pack(Pack),
    /// Show what a plugin says of itself, without running anything
    Inspect(Inspect),
    /// Say whether a plugin would run here, and who signed it
    Verify(Verify),
    /// Sign a plugin with a key of minisign
    Sign(Sign),
    /// Put a plugin into a registry
    Push(Push),
    /// Get a plugin from a registry
    Pull(Pull),
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The plugin's name, and the folder to make
    name: String,
    /// What to write it in
    #[arg(long = "lang", value_name = "rust|c|go|javascript|typescript|python|zig")]
    language: Language,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The project's folder
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The project's folder
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Write down what the plugin makes of the recordings now as what is expected
    #[arg(long)]
    update: bool,
    /// Run build/NAME.wasm as it is
    #[arg(long)]
    no_build: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The project's folder
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// The recording [default: the first under tests/]
    #[arg(long, value_name = "x.weir")]
    recording: Option<PathBuf>,
    /// As fast as it goes, in place of an interval's time for each interval
    #[arg(long)]
    fast: bool,
    /// Set an option of the plugin, in place of what tests/NAME.toml has; can be given more than once
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = crate::cli::setting)]
    options: Vec<crate::cli::Setting>,
}

#[derive(Debug, Args)]
pub(crate) struct Pack {
    /// The component
    component: PathBuf,
    /// The manifest
    #[arg(long, value_name = "plugin.toml")]
    manifest: PathBuf,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The plugin
    plugin: PathBuf,
    /// What to write to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: crate::cli::Format,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The plugin
    plugin: PathBuf,
    /// A public key of minisign, or the file of one; one of these must have signed it
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The plugin, as it was built
    plugin: PathBuf,
    /// The file of a secret key, as `minisign -G` makes them. Its password, if it has one, is asked for, or read from
    /// standard input
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The file to write [default: the plugin's own]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The plugin
    plugin: PathBuf,
    /// Where to
    #[arg(value_name = "HOST/NAME:TAG")]
    to: String,
}

#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Where from
    #[arg(value_name = "HOST/NAME[:TAG][@DIGEST]")]
    from: String,
    /// The file to write [default: the last part of the name, with .wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(command: &Command, verbose: bool) -> Result<()> {
    let open = |folder: &Path| Project::open(folder, verbose);
    match command {
        Command::New(new) => new::new(&new.name, new.language),
        Command::Build(build) => build::build(&open(&build.folder)?).map(drop),
        Command::Test(test) => expect::test(&open(&test.folder)?, test.update, !test.no_build),
        Command::Dev(dev) => dev::dev(dev, verbose),
        Command::Pack(pack) => component::pack(&pack.component, &pack.manifest, &pack.output),
        Command::Inspect(inspect) => inspect::inspect(&inspect.plugin, inspect.format),
        Command::Verify(verify) => verify::verify(&verify.plugin, &verify.keys),
        Command::Push(push) => registry::push(&push.plugin, &push.to),
        Command::Pull(pull) => registry::pull(&pull.from, pull.output.as_deref()),
        Command::Sign(sign) => sign::sign(&sign.plugin, &sign.key, sign.output.as_deref()),
    }
}
