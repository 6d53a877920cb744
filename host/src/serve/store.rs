//! What outlives the daemon: jobs that go on without a client, and when the daemon was last there. One thread writes it,
//! in the order in which it is told, so that a slow disk holds up nobody.
//!
//! ```text
//! alive                      the time, written once an interval
//! jobs/TENANT.JOB/job        who began it and what was asked for
//! jobs/TENANT.JOB/PLUGIN     the component's bytes
//! waits/TENANT.JOB/…         the same of a new version that waits until the policy grants it
//! ```

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::job::WantedPlugin;
use super::programs::KeptProgram;
use super::protocol::{Answer, Asked, Start, Upload};
use super::stream::Stream;
use crate::cgroup;
use crate::error::{Error, Kind, Result};
use crate::policy::Peer;
use crate::trust::Digest;

/// Notes of one tenant that have yet to be written.
const MOST_WAITING: usize = 16;
const JOBS: &str = "jobs";
const WAITS: &str = "waits";

#[derive(Debug)]
pub(super) enum Note {
    Alive(SystemTime),
    Keep {
        tenant: Arc<str>,
        job: Box<Kept>,
    },
    /// A new version of a job that waits. It is forgotten with the job, or when the job is kept again.
    KeepWaiting {
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
    pub(super) programs: Vec<KeptProgram>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    pid: u32,
    uid: u32,
    gids: Vec<u32>,
    cgroup: Option<String>,
    /// Which group that was, whatever is at its path by now.
    group: Option<Group>,
    name: String,
    asked: Asked,
    plugins: Vec<String>,
    programs: Vec<KeptProgram>,
}

/// A control group, by its number.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    id: u64,
    boot: String,
}

/// A job as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tenant: String,
    pub(super) job: String,
    /// It is a new version that waits.
    pub(super) waits: bool,
    /// What it takes of the disk.
    pub(super) bytes: u64,
    /// What it was; or why that is not to be known.
    pub(super) read: Result<Again, String>,
}

/// What is needed to begin a job again.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) peer: Peer,
    pub(super) start: Start,
    pub(super) components: Vec<Vec<u8>>,
    pub(super) programs: Vec<KeptProgram>,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    notes: Option<Sender<Note>>,
    /// How many of each tenant have yet to be written.
    waiting: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

impl Store {
    /// Nothing is kept without a folder.
    pub(super) fn open(folder: Option<&Path>) -> Result<(Self, Option<SystemTime>, Vec<Found>)> {
        let Some(folder) = folder else { return Ok((Self::default(), None, Vec::new())) };
        let failed = |error: io::Error| {
            Error::new(Kind::Io, format!("cannot keep jobs in {}: {error}", folder.display()))
        };
        for place in [JOBS, WAITS] {
            fs::create_dir_all(folder.join(place)).map_err(failed)?;
        }
        // Whoever else is there has no business with other tenants' plugins.
        rustix::fs::chmod(folder, rustix::fs::Mode::RWXU).map_err(|error| failed(error.into()))?;
        let alive = fs::read(folder.join("alive")).ok().and_then(|bytes| postcard::from_bytes(&bytes).ok());
        let mut found = Vec::new();
        let entries = |place| fs::read_dir(folder.join(place)).map_err(failed);
        for entry in entries(JOBS)?.chain(entries(WAITS)?) {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((tenant, job)) = name.split_once('.') else {
                super::say(&format!("{} is no job", path.display()));
                continue;
            };
            let (tenant, job) = (tenant.to_owned(), job.to_owned());
            let read = read(&path).map_err(|error| format!("it cannot be read: {error}"));
            let waits = path.parent().is_some_and(|place| place.ends_with(WAITS));
            found.push(Found { tenant, job, waits, bytes: bytes(&path), read });
        }
        let (notes, told) = channel();
        let folder = folder.to_owned();
        let waiting = Arc::<Mutex<HashMap<Arc<str>, usize>>>::default();
        let left = waiting.clone();
        let write = move || keep(&folder, &told, &left);
        std::thread::Builder::new().name("weir-store".to_owned()).spawn(write).map_err(failed)?;
        Ok((Self { notes: Some(notes), waiting }, alive, found))
    }

    /// Whether so much of a tenant is to be written that nothing should be added: each note of a job holds its plugins.
    pub(super) fn is_behind(&self, tenant: &str) -> bool {
        counts(&self.waiting).get(tenant).is_some_and(|notes| *notes > MOST_WAITING)
    }

    pub(super) fn note(&self, note: Note) {
        match (&self.notes, note) {
            // The thread ends with the process only.
            (Some(notes), note) => {
                if let Some(tenant) = note.tenant() {
                    *counts(&self.waiting).entry(tenant.clone()).or_default() += 1;
                }
                drop(notes.send(note));
            }
            (None, Note::Forget { asked: Some(asked), .. }) => {
                let (mut stream, answer) = *asked;
                stream.put(answer);
            }
            (None, _) => {}
        }
    }
}

impl Note {
    fn tenant(&self) -> Option<&Arc<str>> {
        match self {
            Self::Alive(_) => None,
            Self::Keep { tenant, .. } | Self::KeepWaiting { tenant, .. } | Self::Forget { tenant, .. } => {
                Some(tenant)
            }
        }
    }
}

fn counts(waiting: &Mutex<HashMap<Arc<str>, usize>>) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(folder: &Path, notes: &Receiver<Note>, waiting: &Mutex<HashMap<Arc<str>, usize>>) {
    for note in notes {
        let tenant = note.tenant().cloned();
        let (done, asked) = match note {
            Note::Alive(at) => {
                (write(&folder.join("alive"), &postcard::to_stdvec(&at).unwrap_or_default()), None)
            }
            Note::Keep { tenant, job } => {
                let kept = write_job(folder, &path(folder, JOBS, &tenant, &job.name), &job);
                (kept.and_then(|()| remove_job(folder, &path(folder, WAITS, &tenant, &job.name))), None)
            }
            Note::KeepWaiting { tenant, job } => {
                (write_job(folder, &path(folder, WAITS, &tenant, &job.name), &job), None)
            }
            Note::Forget { tenant, job, asked } => {
                let forget = |place| remove_job(folder, &path(folder, place, &tenant, &job));
                (forget(WAITS).and_then(|()| forget(JOBS)), asked)
            }
        };
        if let Some(tenant) = tenant {
            let mut waiting = counts(waiting);
            if let Some(notes) = waiting.get_mut(&tenant) {
                *notes -= 1;
                if *notes == 0 {
                    waiting.remove(&tenant);
                }
            }
        }
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
fn path(folder: &Path, place: &str, tenant: &str, job: &str) -> PathBuf {
    folder.join(place).join(format!("{tenant}.{job}"))
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
    let Kept { name, asked, programs, .. } = job.clone();
    let group = cgroup.as_deref().and_then(group);
    let written = Written { pid, uid, gids, cgroup, group, name, asked, plugins, programs };
    // No plugin is called `.job`.
    fs::write(new.join(".job"), postcard::to_stdvec(&written).map_err(io::Error::other)?)?;
    // What was there is there until the new one is.
    match renameat_with(CWD, &new, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => remove(&new),
        Err(Errno::NOENT) => fs::rename(new, path),
        // Not every file system can.
        Err(_) => {
            let old = folder.join("old");
            remove(&old)?;
            fs::rename(path, &old)?;
            fs::rename(new, path)?;
            remove(&old)
        }
    }
}

/// The group that is at a path now, if there are groups of version 2.
fn group(path: &str) -> Option<Group> {
    let (id, _) = cgroup::find(&cgroup::mount().ok()??, path).ok()?;
    // Numbers begin anew with each start of the machine.
    Some(Group { id, boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()? })
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

fn read(path: &Path) -> io::Result<Again> {
    let job: Written = postcard::from_bytes(&fs::read(path.join(".job"))?).map_err(io::Error::other)?;
    let components =
        job.plugins.iter().map(|plugin| fs::read(path.join(plugin))).collect::<io::Result<Vec<_>>>()?;
    let upload = |(name, bytes): (String, &Vec<u8>)| Upload { name, bytes: bytes.len() as u64 };
    let plugins = job.plugins.into_iter().zip(&components).map(upload).collect();
    // Another group at its path is somebody else's.
    let cgroup = job.cgroup.filter(|path| job.group.is_some() && group(path) == job.group);
    let peer = Peer { pid: job.pid, uid: job.uid, gids: job.gids, cgroup };
    let start = Start { name: Some(job.name), asked: job.asked, plugins };
    Ok(Again { peer, start, components, programs: job.programs })
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
            programs: Vec::new(),
        };
        let at = SystemTime::now();
        for name in ["a", "b", "a"] {
            let path = path(folder.path(), JOBS, "t", name);
            fs::create_dir_all(folder.path().join("jobs")).unwrap();
            write_job(folder.path(), &path, &kept(name)).unwrap();
        }
        write(&folder.path().join("alive"), &postcard::to_stdvec(&at).unwrap()).unwrap();
        for _ in 0..2 {
            remove_job(folder.path(), &path(folder.path(), JOBS, "t", "b")).unwrap();
        }
        fs::create_dir(path(folder.path(), JOBS, "t", "half")).unwrap();
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
        let again = found[0].read.as_ref().unwrap();
        // There is no such group, and so nobody is in it.
        let peer = Peer { cgroup: None, ..peer };
        assert_eq!((&again.peer, again.start.name.as_deref()), (&peer, Some("a")));
        assert_eq!(again.components, [b"bytes".to_vec(), b"others".to_vec(), b"bytes".to_vec()]);
    }

    #[test]
    fn a_control_group_is_known_by_more_than_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job");
        let peer = Peer { pid: 1, uid: 1000, gids: Vec::new(), cgroup: Some("/".to_owned()) };
        let asked = Asked::Text { text: String::new(), path: String::new() };
        let (plugins, programs) = (Vec::new(), Vec::new());
        let job = Kept { peer, name: "job".to_owned(), asked, plugins, programs };
        write_job(folder.path(), &path, &job).unwrap();
        let found = || read(&path).unwrap().peer.cgroup;
        // Where there are groups, their root is one.
        assert_eq!(found().is_some(), group("/").is_some());
        let mut written: Written = postcard::from_bytes(&fs::read(path.join(".job")).unwrap()).unwrap();
        if let Some(group) = &mut written.group {
            group.boot = "another".to_owned();
        }
        fs::write(path.join(".job"), postcard::to_stdvec(&written).unwrap()).unwrap();
        assert_eq!(found(), None);
    }
}
