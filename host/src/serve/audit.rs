//! The audit log: a line of JSON for whatever somebody asked for that changes something, or was refused.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::policy::Peer;

#[derive(Debug)]
pub(super) struct Audit(Option<File>);

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    r#type: &'a str,
    at: String,
    pid: u32,
    uid: u32,
    tenant: Option<&'a str>,
    action: &'a str,
    job: Option<&'a str>,
    /// `done`, or the reason codes of the refusal.
    result: &'a [&'a str],
    details: &'a [String],
}

impl Audit {
    /// To a file that is only added to; to standard error, where a service's log is, if there is none.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            OpenOptions::new().append(true).create(true).open(path).map_err(|error| {
                Error::new(Kind::Io, format!("cannot write the audit log {}: {error}", path.display()))
            })
        };
        path.map(open).transpose().map(Self)
    }

    pub(super) fn note(
        &mut self,
        peer: &Peer,
        tenant: Option<&str>,
        (action, job): (&str, Option<&str>),
        result: &[&str],
        details: &[String],
    ) {
        let at = crate::sink::time(SystemTime::now());
        let (pid, uid) = (peer.pid, peer.uid);
        let line = Line { schema: 1, r#type: "audit", at, pid, uid, tenant, action, job, result, details };
        let Ok(mut line) = serde_json::to_vec(&line) else { return };
        line.push(b'\n');
        // Without room on the disk there is nobody to tell.
        drop(match &mut self.0 {
            Some(file) => file.write_all(&line),
            None => std::io::stderr().write_all(&line),
        });
    }
}
