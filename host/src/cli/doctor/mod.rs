//! `weir doctor`: what this kernel and this user's privileges allow, and what would help.

mod finding;
mod machine;
mod probes;

use clap::Args;

use self::finding::Finding;
use self::probes::Trial;
use super::{Format, answer};
use crate::error::{Error, Kind, Result};
use crate::kernel::feature;
use crate::probe::Kernel;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// What to write to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// Needs no privileges to run: what cannot be known without them is said to be unknown.
pub(super) fn doctor(asked: &Doctor) -> Result<()> {
    let kernel = Kernel::running();
    let held = feature::held();
    let privileged = machine::privileged(held);
    let mut findings: Vec<Finding> = machine::descriptions(&kernel, privileged);
    findings.extend(Trial { kernel: &kernel, privileged }.all());
    findings.extend(machine::features(&kernel, held));
    findings.extend(machine::capabilities(held));
    findings.extend(machine::settings(held));
    let mut text = String::new();
    for finding in &findings {
        let line = match asked.format {
            Format::Text => finding.line(),
            Format::Json => serde_json::to_string(finding)
                .map_err(|error| Error::new(Kind::Software, error.to_string()))?,
        };
        text.extend([&*line, "\n"]);
    }
    answer(&text)?;
    machine::verdict(&findings)
}
