//! `weir serve`.

use std::path::PathBuf;

use clap::Args;

use super::client::DEFAULT_SOCKET;
use crate::error::Result;
use crate::serve::{self, Options};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Tables and plugins of the daemon's own, which SIGHUP has it read again
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Who else may have what; without it, nobody may have anything
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Where to listen, unless a service manager says it
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Keep jobs in this folder, and begin them again after a restart
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Where to write who asked for what, a JSON object a line [default: standard error]
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

pub(super) fn serve(serve: Serve) -> Result<()> {
    let Serve { config, policy, socket, state, audit } = serve;
    serve::serve(&Options { config, policy, socket, state, audit })
}
