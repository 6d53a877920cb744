//! What outlives the daemon: jobs that go on without a client, and when the daemon was last there. One thread writes it,
//! in the order in which it is told, so that a slow disk holds up nobody.
//!
//! ```text
//! alive                      the time, written once an interval
//! jobs/TENANT.JOB/job        who began it and what was asked for
//! jobs/TENANT.JOB/PLUGIN     the component's bytes
//! ```

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::job::WantedPlugin;
use super::protocol::{Asked, Start, Upload};
use crate::error::{Error, Kind, Result};
use crate::policy::Peer;
use crate::trust::Digest;

#[derive(Debug)]
pub(super) enum Note {
    Alive(SystemTime),
    Keep { tenant: Arc<str>, job: Box<Kept> },
    Forget { tenant: Arc<str>, job: String },
}

/// A job that goes on without a client.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) peer: Peer,
    pub(super) name: String,
    pub(super) asked: Asked,
    pub(super) plugins: Vec<WantedPlugin>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    pid: u32,
    uid: u32,
    gids: Vec<u32>,
    cgroup: Option<String>,
    name: String,
    asked: Asked,
    plugins: Vec<String>,
}

/// A job as it was found: who began it, what for, and the bytes of its plugins.
pub(super) type Found = (Peer, Start, Vec<Vec<u8>>);

#[derive(Debug, Default)]
pub(super) struct Store {
    notes: Option<Sender<Note>>,
}

impl Store {
    /// Nothing is kept without a folder.
    pub(super) fn open(folder: Option<&Path>) -> Result<(Self, Option<SystemTime>, Vec<Found>)> {
        let Some(folder) = folder else { return Ok((Self { notes: None }, None, Vec::new())) };
        let failed = |error: io::Error| {
            Error::new(Kind::Io, format!("cannot keep jobs in {}: {error}", folder.display()))
        };
        fs::create_dir_all(folder.join("jobs")).map_err(failed)?;
        // Whoever else is there has no business with other tenants' plugins.
        rustix::fs::chmod(folder, rustix::fs::Mode::RWXU).map_err(|error| failed(error.into()))?;
        let alive = fs::read(folder.join("alive")).ok().and_then(|bytes| postcard::from_bytes(&bytes).ok());
        let mut found = Vec::new();
        for entry in fs::read_dir(folder.join("jobs")).map_err(failed)? {
            // One that was being written when the daemon ended is not whole, and its client was not told of it.
            match read(&entry.map_err(failed)?.path()) {
                Ok(job) => found.push(job),
                Err(error) => super::say(&format!("a job in {} cannot be read: {error}", folder.display())),
            }
        }
        let (notes, told) = channel();
        let folder = folder.to_owned();
        let write = move || keep(&folder, &told);
        std::thread::Builder::new().name("weir-store".to_owned()).spawn(write).map_err(failed)?;
        Ok((Self { notes: Some(notes) }, alive, found))
    }

    pub(super) fn note(&self, note: Note) {
        if let Some(notes) = &self.notes {
            // The thread ends with the process only.
            drop(notes.send(note));
        }
    }
}

fn keep(folder: &Path, notes: &Receiver<Note>) {
    for note in notes {
        let done = match &note {
            Note::Alive(at) => write(&folder.join("alive"), &postcard::to_stdvec(at).unwrap_or_default()),
            Note::Keep { tenant, job } => write_job(folder, &path(folder, tenant, &job.name), job),
            Note::Forget { tenant, job } => remove(&path(folder, tenant, job)),
        };
        if let Err(error) = done {
            super::say(&format!("cannot write to {}: {error}", folder.display()));
        }
    }
}

/// Names of tenants and jobs have no dot and no slash.
fn path(folder: &Path, tenant: &str, job: &str) -> PathBuf {
    folder.join("jobs").join(format!("{tenant}.{job}"))
}

/// Replaces a file by a whole one.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(new, path)
}

fn write_job(folder: &Path, path: &Path, job: &Kept) -> io::Result<()> {
    let new = folder.join("new");
    remove(&new)?;
    fs::create_dir(&new)?;
    let mut written: HashMap<Digest, PathBuf> = HashMap::new();
    for plugin in &job.plugins {
        let path = new.join(&plugin.name);
        // Many plugins may be one component with other options, and components are large.
        if let Some(same) = written.get(&plugin.digest) {
            fs::hard_link(same, path)?;
        } else {
            fs::write(&path, &plugin.component)?;
            written.insert(plugin.digest, path);
        }
    }
    let Peer { pid, uid, gids, cgroup } = job.peer.clone();
    let plugins = job.plugins.iter().map(|plugin| plugin.name.clone()).collect();
    let written =
        Written { pid, uid, gids, cgroup, name: job.name.clone(), asked: job.asked.clone(), plugins };
    // No plugin is called `.job`.
    fs::write(new.join(".job"), postcard::to_stdvec(&written).map_err(io::Error::other)?)?;
    remove(path)?;
    fs::rename(new, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn read(path: &Path) -> io::Result<Found> {
    let job: Written = postcard::from_bytes(&fs::read(path.join(".job"))?).map_err(io::Error::other)?;
    let bytes =
        job.plugins.iter().map(|plugin| fs::read(path.join(plugin))).collect::<io::Result<Vec<_>>>()?;
    let upload = |(name, bytes): (String, &Vec<u8>)| Upload { name, bytes: bytes.len() as u64 };
    let plugins = job.plugins.into_iter().zip(&bytes).map(upload).collect();
    let peer = Peer { pid: job.pid, uid: job.uid, gids: job.gids, cgroup: job.cgroup };
    Ok((peer, Start { name: Some(job.name), asked: job.asked, plugins }, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let peer = Peer { pid: 1, uid: 1000, gids: vec![1000, 5], cgroup: Some("/a".to_owned()) };
        let asked = Asked::Text { text: "x".to_owned(), path: "p".to_owned() };
        let plugin = |name: &str, bytes: &[u8]| WantedPlugin::new(name.to_owned(), bytes.to_vec(), None);
        let plugins = vec![plugin("top", b"bytes"), plugin("other", b"others"), plugin("again", b"bytes")];
        let kept = |name: &str| Kept {
            peer: peer.clone(),
            name: name.to_owned(),
            asked: asked.clone(),
            plugins: plugins.clone(),
        };
        let at = SystemTime::now();
        for name in ["a", "b", "a"] {
            let path = path(folder.path(), "t", name);
            fs::create_dir_all(folder.path().join("jobs")).unwrap();
            write_job(folder.path(), &path, &kept(name)).unwrap();
        }
        write(&folder.path().join("alive"), &postcard::to_stdvec(&at).unwrap()).unwrap();
        remove(&path(folder.path(), "t", "b")).unwrap();
        fs::create_dir(path(folder.path(), "t", "half")).unwrap();
        let (_, alive, found) = Store::open(Some(folder.path())).unwrap();
        assert_eq!(alive, Some(at));
        assert_eq!(found.len(), 1);
        let (found_peer, start, bytes) = &found[0];
        assert_eq!((found_peer, start.name.as_deref()), (&peer, Some("a")));
        assert_eq!(bytes, &[b"bytes".to_vec(), b"others".to_vec(), b"bytes".to_vec()]);
    }
}
