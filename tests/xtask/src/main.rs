//! The project's own commands. `cargo xtask demo` and `cargo xtask test` are all that a fresh machine needs.
//!
//! Each says on standard error what it does while it does it, and does nothing twice: what is installed,
//! built or downloaded already is left as it is.
#![forbid(unsafe_code)]
// Saying what it does is half of what this program is for.
#![allow(clippy::print_stderr)]

mod apt;
mod bench;
mod cargo;
mod demo;
mod languages;
mod live;
mod not_run;
mod plugins;
mod setup;
mod step;
mod test;
mod tools;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Weir's own commands")]
struct Args {
    #[command(subcommand)]
    task: Task,

    /// Install what is missing, through sudo where that takes root, without being asked
    #[arg(long, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Find the compilers, and install those that are missing
    Setup,
    /// Build the plugins and the hostile guests into target/plugins
    Plugins,
    /// Trace this machine for ten seconds, with a plugin
    Demo,
    /// Run every test that this machine allows, and list those that it does not
    Test,
    /// Run the live tests in virtual machines
    Vm {
        /// The kernels, all of them if none is named
        #[arg(long = "kernel")]
        kernels: Vec<vm::Kernel>,
        /// The programs under tests/tests, all of them if none is named
        #[arg(long = "test")]
        tests: Vec<String>,
        /// What these programs are told, such as the name of one of their tests
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Measure, beside C and bpftrace
    Bench,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    setup::compilers(args.yes)?;
    match &args.task {
        Task::Setup => Ok(()),
        Task::Plugins => plugins::run(args.yes),
        Task::Demo => demo::run(),
        Task::Test => test::run(args.yes),
        Task::Vm { kernels, tests, arguments } => vm::run_alone(kernels, tests, arguments, args.yes),
        Task::Bench => bench::run(args.yes),
    }
}
