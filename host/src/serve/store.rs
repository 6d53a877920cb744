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
use super::protocol::{Answer, Asked, Start, Upload};
use super::stream::Stream;
use crate::error::{Error, Kind, Result};
use crate::policy::Peer;
use crate::trust::Digest;

#[derive(Debug)]
pub(super) enum Note {
    Alive(SystemTime),
    Keep {
        tenant: Arc<str>,
        job: Box<Kept>,
    },
    /// Whoever asked for that is answered when it is done.
    Forget {
        tenant: Arc<str>,
        job: String,
        asked: Option<Box<(Stream, Answer)>>,
    },
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

/// A job as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tenant: String,
    pub(super) job: String,
    /// What it takes of the disk.
    pub(super) bytes: u64,
    /// Who began it, what for, and the bytes of its plugins; or why that is not to be known.
    pub(super) read: Result<(Peer, Start, Vec<Vec<u8>>), String>,
}

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
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((tenant, job)) = name.split_once('.') else {
                super::say(&format!("{} is no job", path.display()));
                continue;
            };
            let (tenant, job) = (tenant.to_owned(), job.to_owned());
            let read = read(&path).map_err(|error| format!("it cannot be read: {error}"));
            found.push(Found { tenant, job, bytes: bytes(&path), read });
        }
        let (notes, told) = channel();
        let folder = folder.to_owned();
        let write = move || keep(&folder, &told);
        std::thread::Builder::new().name("weir-store".to_owned()).spawn(write).map_err(failed)?;
        Ok((Self { notes: Some(notes) }, alive, found))
    }

    pub(super) fn note(&self, note: Note) {
        match (&self.notes, note) {
            // The thread ends with the process only.
            (Some(notes), note) => drop(notes.send(note)),
            (None, Note::Forget { asked: Some(asked), .. }) => {
                let (mut stream, answer) = *asked;
                stream.put(answer);
            }
            (None, _) => {}
        }
    }
}

fn keep(folder: &Path, notes: &Receiver<Note>) {
    for note in notes {
        let (done, asked) = match note {
            Note::Alive(at) => {
                (write(&folder.join("alive"), &postcard::to_stdvec(&at).unwrap_or_default()), None)
            }
            Note::Keep { tenant, job } => (write_job(folder, &path(folder, &tenant, &job.name), &job), None),
            Note::Forget { tenant, job, asked } => (remove_job(folder, &path(folder, &tenant, &job)), asked),
        };
        let failed = done.err().map(|error| format!("cannot write to {}: {error}", folder.display()));
        if let Some(failed) = &failed {
            super::say(failed);
        }
        if let Some((mut stream, answer)) = asked.map(|asked| *asked) {
            // Where the state is kept is no tenant's business.
            let what = "it is stopped, and the note of it is not gone: the next daemon begins it again";
            stream.put(match failed {
                Some(_) => Answer::Failed(Error::new(Kind::Io, what)),
                None => answer,
            });
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

/// Whole, for whatever becomes of the daemon meanwhile.
fn remove_job(folder: &Path, path: &Path) -> io::Result<()> {
    let old = folder.join("old");
    remove(&old)?;
    match fs::rename(path, &old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.and_then(|()| remove(&old)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Of all files in a folder, each but once.
fn bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|file| file.metadata().ok());
    files.map(|file| (file.ino(), file.len())).collect::<HashMap<_, _>>().into_values().sum()
}

fn read(path: &Path) -> io::Result<(Peer, Start, Vec<Vec<u8>>)> {
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
    use crate::manifest::Given;

    #[test]
    fn what_is_kept_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let peer = Peer { pid: 1, uid: 1000, gids: vec![1000, 5], cgroup: Some("/a".to_owned()) };
        let asked = Asked::Text { text: "x".to_owned(), path: "p".to_owned() };
        let plugin =
            |name: &str, bytes: &[u8]| WantedPlugin::new(name.to_owned(), bytes.to_vec(), Given::default());
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
        for _ in 0..2 {
            remove_job(folder.path(), &path(folder.path(), "t", "b")).unwrap();
        }
        fs::create_dir(path(folder.path(), "t", "half")).unwrap();
        let (_, alive, found) = Store::open(Some(folder.path())).unwrap();
        assert_eq!(alive, Some(at));
        let (lost, found): (Vec<_>, Vec<_>) = found.iter().partition(|found| found.read.is_err());
        let names = |found: &[&Found]| -> Vec<_> {
            found.iter().map(|found| (found.tenant.clone(), found.job.clone())).collect()
        };
        assert_eq!(names(&lost), [("t".to_owned(), "half".to_owned())]);
        assert_eq!(names(&found), [("t".to_owned(), "a".to_owned())]);
        // Two of the three plugins are one file.
        assert!((11 + 10..500).contains(&found[0].bytes), "{}", found[0].bytes);
        let (found_peer, start, bytes) = found[0].read.as_ref().unwrap();
        assert_eq!((found_peer, start.name.as_deref()), (&peer, Some("a")));
        assert_eq!(bytes, &[b"bytes".to_vec(), b"others".to_vec(), b"bytes".to_vec()]);
    }
}
