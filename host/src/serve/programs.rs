//! The programs in which clients want probes. A client opens them, so that it may read what it has the daemon look into;
//! the daemon finds out where they are by itself, for that is what policies grant.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fcntl_getfl, openat2};
use serde::{Deserialize, Serialize};

use super::connection::Searching;
use super::protocol::{self, Answer, Timed};
use crate::error::{Error, Kind, Result};
use crate::escape::escape;
use crate::file::{self, State};
use crate::policy::Grant;
use crate::probe::{Kernel, Open};
use crate::table::Program;

/// Programs that one question may name: each is a descriptor.
const PROGRAMS: usize = 64;
/// Kinds of probes in programs, as policies grant them.
const KINDS: [&str; 3] = ["uprobe:", "uretprobe:", "usdt:"];
/// A client that opens programs one after the other, slowly: for all of them.
const PATIENCE: Duration = Duration::from_secs(60);
/// A file system that does not answer, when a job is begun again.
const OPEN_WALL: Duration = Duration::from_secs(2);

/// A program that a client opened, for a daemon after this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptProgram {
    /// As it was asked for.
    name: String,
    path: PathBuf,
    state: State,
}

/// Has the client open them. What a tenant's policy grants no probes in is not opened, and told by that flag.
pub(super) fn of_client(
    socket: UnixStream,
    pid: u32,
    grant: Option<Grant>,
    mut searching: Searching,
    not_granted: Arc<AtomicBool>,
) -> Open {
    let mut asked = 0;
    let end = Instant::now() + PATIENCE;
    Box::new(move |name| {
        asked += 1;
        // Who may have none need not have any looked into.
        if grant.as_ref().is_some_and(|grant| !grant.probes.may_fit(&KINDS)) {
            not_granted.store(true, Ordering::Relaxed);
            let message = format!("probes in programs, such as `{}`", name.escape_debug());
            return Err(Error::new(Kind::NoPermission, message));
        }
        if grant.is_some() && !searching.begin() {
            let message = "another configuration of this tenant with probes in programs is being looked up";
            return Err(Error::new(Kind::Unavailable, message).help("try again"));
        }
        if asked > PROGRAMS {
            let message = format!("probes in more than {PROGRAMS} programs at once");
            return Err(Error::new(Kind::Config, message).help("start several jobs"));
        }
        protocol::send(&mut &socket, &Answer::Open(name.to_owned()))?;
        let left = end.saturating_duration_since(Instant::now());
        granted(name, protocol::receive_opened(Timed::new(&socket, left))??, pid)
    })
}

/// What a client has opened, if it may read it and everybody knows it by its path.
fn granted(name: &str, opened: OwnedFd, pid: u32) -> Result<Program> {
    let refuse = |why: &str| {
        Err(Error::new(Kind::NoPermission, format!("`{}` cannot be probed: {why}", name.escape_debug())))
    };
    let file = File::from(opened);
    let flags = fcntl_getfl(&file).map_err(std::io::Error::from)?;
    // A descriptor that is a place only needs no right to read.
    if flags.contains(OFlags::PATH) || flags & OFlags::ACCMODE == OFlags::WRONLY {
        return refuse("it was not opened for reading");
    }
    let state = match file::examine(&file, pid) {
        Ok(state) => state,
        Err(error) => return refuse(&error.to_string()),
    };
    let path = std::fs::read_link(file::itself(&file))?;
    // What somebody else has mounted for themselves can be anywhere by their account.
    match place(&path).and_then(|place| State::of(&place)) {
        Ok(here) if here.is_of_same_file(&state) => Ok(Program::new(path, file, state)),
        _ => refuse(&format!(
            "at {}, where it is by its own account, the daemon sees another file, or none",
            escape(path.as_os_str().as_encoded_bytes())
        )),
    }
}

/// What is at a path, none of whose parts is a link: with one, the daemon would be led to a file that is not at all where it
/// seems to whoever has mounted something else in the place of the link.
fn place(path: &Path) -> std::io::Result<File> {
    let (flags, plain) =
        (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS);
    Ok(File::from(openat2(CWD, path, flags, Mode::empty(), plain)?))
}

/// Those that were looked into.
pub(super) fn kept(kernel: &Kernel) -> Vec<KeptProgram> {
    let kept = |(name, program): (String, Program)| KeptProgram {
        name,
        path: program.path().to_owned(),
        state: program.state().clone(),
    };
    kernel.programs().into_iter().map(kept).collect()
}

/// Those that a client opened for a daemon before this one. Whether it might read them has been seen; they have to be
/// just as they were.
pub(super) fn again(kept: Vec<KeptProgram>) -> Open {
    Box::new(move |name| {
        let Some(program) = kept.iter().find(|kept| kept.name == name) else {
            return Err(Error::new(Kind::Software, format!("{} was not kept", name.escape_debug())));
        };
        let (reply, opened) = channel();
        let (path, state) = (program.path.clone(), program.state.clone());
        let open = move || {
            let opened = place(&path).and_then(|place| {
                file::examine(&place, std::process::id())?;
                let file = file::open(&place)?;
                Ok((State::of(&file)?, file))
            });
            let same = opened.ok().filter(|(found, _)| *found == state);
            drop(reply.send(same.map(|(state, file)| Program::new(path, file, state))));
        };
        // Somebody may have mounted there what never answers, and others wait for their jobs.
        std::thread::Builder::new().name("weir-open".to_owned()).spawn(open)?;
        opened.recv_timeout(OPEN_WALL).ok().flatten().ok_or_else(|| {
            let path = escape(program.path.as_os_str().as_encoded_bytes());
            Error::new(Kind::Unavailable, format!("{path} is not the file any more that it was"))
                .help("start the job again")
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_was_opened_for_reading_and_is_where_it_seems_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, "some bytes").unwrap();
        let granted = |file: File| granted("x", file.into(), std::process::id());
        let program = granted(File::open(&path).unwrap()).unwrap();
        assert_eq!(program.path(), fs::canonicalize(&path).unwrap());
        for (file, why) in [
            (place(&path).unwrap(), "not opened for reading"),
            (File::options().append(true).open(&path).unwrap(), "not opened for reading"),
            (File::open("/dev/null").unwrap(), "not a regular file"),
            (File::open(folder.path()).unwrap(), "not a regular file"),
            (std::io::pipe().map(|(read, _)| OwnedFd::from(read).into()).unwrap(), "may not answer"),
        ] {
            let error = granted(file).unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
        // By a link in the place of a folder the daemon would find the file, and it is not where it seems to be.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(place(&path).is_ok() && place(&link.join("program")).is_err());
        // One that is at no path, and one that another file has taken the place of.
        let file = File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let gone = granted(file.try_clone().unwrap()).unwrap_err().to_string();
        assert!(gone.contains("another file, or none"), "{gone}");
        fs::write(folder.path().join("program (deleted)"), "others").unwrap();
        assert!(granted(file).unwrap_err().to_string().contains("another file, or none"));
    }

    #[test]
    fn a_program_is_found_again_as_long_as_it_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, "some bytes").unwrap();
        let state = State::of(&File::open(&path).unwrap()).unwrap();
        let kept = vec![KeptProgram { name: "x".to_owned(), path: path.clone(), state }];
        let mut open = again(kept);
        assert_eq!(open("x").unwrap().path(), path);
        fs::write(&path, "other bytes").unwrap();
        assert!(open("x").unwrap_err().to_string().contains("not the file any more"));
        open("y").unwrap_err();
    }
}
