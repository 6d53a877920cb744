//! The audit log: a line of JSON for whatever somebody asked for that changes something, or was refused.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::policy::Peer;

/// Lines about users of no tenant come no more often: anybody can connect.
const STRANGERS: Duration = Duration::from_secs(1);
/// Refusals of one tenant in an interval that are written down; those beyond are counted.
const LINES: u32 = 50;

#[derive(Debug)]
pub(super) struct Audit {
    file: Option<File>,
    stranger: Option<Instant>,
    /// What tenants were refused in this interval.
    written: HashMap<String, Written>,
}

#[derive(Debug)]
struct Written {
    /// Who was the first.
    peer: Peer,
    lines: u32,
}

impl Written {
    fn new(peer: &Peer) -> Self {
        Self { peer: peer.clone(), lines: 0 }
    }
}

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
        Ok(Self { file: path.map(open).transpose()?, stranger: None, written: HashMap::new() })
    }

    /// Somebody of no tenant asked for something.
    pub(super) fn stranger(&mut self, peer: &Peer) {
        if self.stranger.is_none_or(|last| last.elapsed() >= STRANGERS) {
            self.stranger = Some(Instant::now());
            self.note(peer, None, ("ask", None), &["tenant"], &[]);
        }
    }

    pub(super) fn note(
        &mut self,
        peer: &Peer,
        tenant: Option<&str>,
        (action, job): (&str, Option<&str>),
        result: &[&str],
        details: &[String],
    ) {
        // What was done is written down, whatever else was asked for; and so is all that the administrator does.
        let is_refusal = !matches!(result, ["done" | "failed"]);
        if let Some(tenant) = tenant.filter(|_| is_refusal && peer.uid != 0) {
            let written = self.written.entry(tenant.to_owned()).or_insert_with(|| Written::new(peer));
            written.lines += 1;
            if written.lines > LINES {
                return;
            }
        }
        self.write(peer, tenant, (action, job), result, details);
    }

    /// An interval is over: what was left out in it is told.
    pub(super) fn next_interval(&mut self) {
        for (tenant, Written { peer, lines }) in std::mem::take(&mut self.written) {
            let left_out = lines.saturating_sub(LINES);
            if left_out > 0 {
                let details = [format!("{left_out} refusals of this tenant are left out here")];
                self.write(&peer, Some(&tenant), ("many", None), &["left_out"], &details);
            }
        }
    }

    fn write(
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
        drop(match &mut self.file {
            Some(file) => file.write_all(&line),
            None => std::io::stderr().write_all(&line),
        });
    }
}
