//! A process that was started without privileges, as whoever holds it sees it, and the spawner, as the daemon does.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::channel::{Channel, Silence, Until};
use super::limits::SPAWNER_WALL;
use super::lockdown::Left;
use super::spawn::{self, Role};
use super::spawner::{Reply, Request};
use crate::error::{Error, Kind, Result};

/// Ends with whoever holds it.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    /// Readable once it has ended.
    pidfd: OwnedFd,
    parent: Parent,
    status: Option<ExitStatus>,
    begun: Instant,
}

#[derive(Debug)]
enum Parent {
    This(Child),
    Spawner(&'static Spawner),
}

impl Process {
    /// A child of this process.
    pub(super) fn child(mut child: Child) -> io::Result<Self> {
        let pid = child.id();
        match pidfd(pid) {
            Ok(pidfd) => Ok(Self::new(pid, pidfd, Parent::This(child))),
            Err(error) => {
                drop(child.kill());
                drop(child.wait());
                Err(error)
            }
        }
    }

    fn new(pid: u32, pidfd: OwnedFd, parent: Parent) -> Self {
        Self { pid, pidfd, parent, status: None, begun: Instant::now() }
    }

    pub(super) fn id(&self) -> u32 {
        self.pid
    }

    /// Processor time so far; all of it, once it has ended and as long as it was not waited for. It has one thread that works, so
    /// where the kernel does not tell, it is no more than the time since it was started.
    pub(super) fn used(&self) -> Duration {
        processor_time(self.pid).unwrap_or_else(|| self.begun.elapsed())
    }

    /// Does not fail for a process that has ended.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        if self.status.is_some() {
            return Ok(());
        }
        match &mut self.parent {
            Parent::This(child) => child.kill(),
            Parent::Spawner(spawner) => spawner.ask(&Request::Kill { pid: self.pid }, &[]).map(drop),
        }
    }

    /// How it ended, waiting for that.
    pub(super) fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.wait_until(Until::Ever)?;
        status.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// Waits until it has ended, and leaves how.
    pub(super) fn look_for_end(&self, until: Until) {
        let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
        while matches!(poll(&mut ended, until.timeout().as_ref()), Err(Errno::INTR)) {}
    }

    /// How it ended, if it has until then. Fails without waiting if the spawner, which alone would know, is gone.
    pub(super) fn wait_until(&mut self, until: Until) -> io::Result<Option<ExitStatus>> {
        while self.status.is_none() {
            let mut fds = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
            if let Parent::Spawner(spawner) = &self.parent {
                fds.push(PollFd::new(*spawner, PollFlags::IN));
            }
            match poll(&mut fds, until.timeout().as_ref()) {
                Ok(0) => return Ok(None),
                Ok(_) if fds[0].revents().is_empty() => return Err(gone()),
                Ok(_) => self.status = Some(self.reap()?),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.status)
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        match &mut self.parent {
            Parent::This(child) => child.wait(),
            Parent::Spawner(spawner) => match spawner.ask(&Request::Reap { pid: self.pid }, &[])? {
                Reply::Reaped { status } => Ok(ExitStatus::from_raw(status)),
                _ => Err(spawner.give_up()),
            },
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Without the spawner nothing can be done about it, and it ends as soon as its channel is closed.
        if self.kill().is_ok() {
            drop(self.wait());
        }
    }
}

/// Of user and kernel, by /proc/PID/stat: "4711 (a name) S" and numbers, of which these are the 14th and 15th of all.
fn processor_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut numbers =
        stat.rsplit_once(") ")?.1.split(' ').skip(11).map_while(|number| number.parse::<u64>().ok());
    let ticks = numbers.next()?.checked_add(numbers.next()?)?;
    Some(Duration::from_millis(ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second()))
}

static SPAWNER: OnceLock<Spawner> = OnceLock::new();

/// What starts processes in the place of this one, if anything does.
pub(super) fn spawner() -> Option<&'static Spawner> {
    SPAWNER.get()
}

/// Has a process of its own start all others from now on, so that this one can give up what that takes. It has given up
/// everything else when this returns.
pub fn start_spawner() -> Result<&'static Spawner> {
    let spawner = Spawner::start_process()?;
    Ok(SPAWNER.get_or_init(|| spawner))
}

/// The spawner's end at the daemon. Readable once the spawner has ended.
#[derive(Debug)]
pub struct Spawner {
    child: Mutex<Child>,
    pidfd: OwnedFd,
    /// None once it did not do as it was asked.
    channel: Mutex<Option<Channel>>,
    pub(super) changes_users: bool,
}

impl Spawner {
    fn start_process() -> Result<Self> {
        let failed = |what: String| Error::new(Kind::Software, format!("cannot start the spawner: {what}"));
        let start = || {
            let (channel, theirs) = Channel::pair()?;
            let child = spawn::exec(Role::Spawner, &[], vec![theirs])?;
            io::Result::Ok((channel, pidfd(child.id())?, child))
        };
        let (mut channel, pidfd, child) = start().map_err(|error| failed(error.to_string()))?;
        // On failure the channel closes, and it ends.
        match channel.receive_until(Until::Then(Instant::now() + SPAWNER_WALL)) {
            Ok(Reply::Ready { changes_users }) => Ok(Self {
                child: Mutex::new(child),
                pidfd,
                channel: Mutex::new(Some(channel)),
                changes_users,
            }),
            Ok(Reply::Refused(why)) => Err(failed(why)),
            Ok(_) | Err(Silence::Garbage) => Err(failed("it said what is no answer".to_owned())),
            Err(Silence::Closed) => Err(failed("it ended at once".to_owned())),
            Err(Silence::Waiting) => Err(failed("it does not come up".to_owned())),
        }
    }

    /// Has it start a process with these descriptors.
    pub(super) fn start(&'static self, role: Role, files: &[OwnedFd], left: Left) -> io::Result<Process> {
        let Left { uid, descriptors, memory, cpu, grouped } = left;
        let files: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        match self.ask(&Request::Start { role, uid, descriptors, memory, cpu, grouped }, &files)? {
            // Its number is no other's before it is reaped, which is not before it is asked for.
            Reply::Started { pid } => match pidfd(pid) {
                Ok(pidfd) => Ok(Process::new(pid, pidfd, Parent::Spawner(self))),
                Err(error) => {
                    self.ask(&Request::Abandon { pid }, &[])?;
                    Err(error)
                }
            },
            _ => Err(self.give_up()),
        }
    }

    /// One request at a time, each of which is answered at once.
    fn ask(&self, request: &Request, files: &[BorrowedFd<'_>]) -> io::Result<Reply> {
        let until = Until::Then(Instant::now() + SPAWNER_WALL);
        let reply = {
            let mut channel = lock(&self.channel);
            let channel = channel.as_mut().ok_or_else(gone)?;
            channel.send_with(request, files, until).ok().and_then(|()| channel.receive_until(until).ok())
        };
        match reply {
            Some(Reply::Refused(why)) => Err(io::Error::other(why)),
            Some(reply) => Ok(reply),
            None => Err(self.give_up()),
        }
    }

    /// Ends one that does not do as it is asked.
    fn give_up(&self) -> io::Error {
        *lock(&self.channel) = None;
        drop(lock(&self.child).kill());
        gone()
    }

    /// What is to be said of it if it has ended. Who has given up privileges cannot start another.
    #[must_use]
    pub fn ended(&self) -> Option<Error> {
        let status = match lock(&self.child).try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let message = format!("the spawner has ended ({status}), and no sandbox can be started without it");
        Some(
            Error::new(Kind::Software, message)
                .help("start the daemon again, as a service manager does by itself"),
        )
    }
}

impl AsFd for Spawner {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

fn gone() -> io::Error {
    io::Error::other("the spawner, which starts and ends processes, is gone")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("that is no process"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::sandbox::engine::Bound;

    fn sleep() -> Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    #[test]
    fn what_a_process_has_used_is_known_until_it_is_waited_for() {
        let mut busy = Command::new("sh");
        busy.args(["-c", "ulimit -t 1; while :; do :; done"]);
        let mut process = Process::child(busy.spawn().unwrap()).unwrap();
        process.look_for_end(Until::Ever);
        let used = process.used();
        // The limit counts the ticks at which it runs, and on a busy machine those are all that it runs for.
        assert!((Duration::from_millis(100)..Duration::from_secs(3)).contains(&used), "{used:?}");
        process.wait().unwrap();
        assert_eq!(processor_time(process.id()), None);
    }

    #[test]
    fn a_child_is_waited_for_and_killed() {
        let mut process = Process::child(sleep()).unwrap();
        let pid = process.id();
        assert_eq!(process.wait_until(Until::Now).unwrap(), None);
        assert_eq!(process.wait_until(Until::Then(Instant::now() + Duration::from_millis(5))).unwrap(), None);
        process.kill().unwrap();
        assert_eq!(process.wait().unwrap().signal(), Some(9));
        // It has been waited for, and nobody else is.
        process.kill().unwrap();
        assert_eq!(process.wait_until(Until::Now).unwrap().and_then(|status| status.signal()), Some(9));
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!(
            Process::child(Command::new("false").spawn().unwrap()).unwrap().wait().unwrap().code(),
            Some(1)
        );
    }

    #[test]
    fn a_child_ends_with_its_holder() {
        let process = Process::child(sleep()).unwrap();
        let pid = process.id();
        drop(process);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    /// One whose process is a program that does nothing, while the test speaks in its place.
    fn spawner() -> (&'static Spawner, Channel) {
        let (channel, theirs) = Channel::pair().unwrap();
        let child = sleep();
        let pidfd = pidfd(child.id()).unwrap();
        let (child, channel) = (Mutex::new(child), Mutex::new(Some(channel)));
        let spawner = Box::leak(Box::new(Spawner { child, pidfd, channel, changes_users: true }));
        (spawner, Channel::taking_files(theirs))
    }

    fn left() -> Left {
        Left { uid: Some(61184), descriptors: 1, memory: 1, cpu: None, grouped: false }
    }

    /// It says so, and nothing waits for it.
    fn assert_gone(spawner: &'static Spawner) {
        let error = spawner.start(Role::Sandbox(Bound::Time), &[], left()).unwrap_err();
        assert!(
            error.to_string().contains("the spawner, which starts and ends processes, is gone"),
            "{error}"
        );
        lock(&spawner.child).wait().unwrap();
        let error = spawner.ended().unwrap();
        assert!(error.message.starts_with("the spawner has ended (signal: 9"), "{error}");
    }

    #[test]
    fn a_process_of_a_spawner_that_was_killed_is_not_waited_for() {
        let (spawner, theirs) = spawner();
        let mut sleep = sleep();
        let pidfd = pidfd(sleep.id()).unwrap();
        let parent = Parent::Spawner(spawner);
        let mut process = Process::new(sleep.id(), pidfd, parent);
        assert!(spawner.ended().is_none());
        assert_eq!(process.wait_until(Until::Now).unwrap(), None);
        lock(&spawner.child).kill().unwrap();
        drop(theirs);
        process.wait().unwrap_err();
        process.kill().unwrap_err();
        drop(process);
        assert_gone(spawner);
        sleep.kill().unwrap();
        sleep.wait().unwrap();
    }

    #[test]
    fn a_spawner_that_answers_what_is_no_answer_is_ended() {
        for reply in [Reply::Killed, Reply::Ready { changes_users: true }] {
            let (spawner, mut theirs) = spawner();
            let answer = std::thread::spawn(move || {
                theirs.receive_until::<Request>(Until::Ever).unwrap();
                theirs.send(&reply, Until::Ever).unwrap();
                theirs
            });
            spawner.start(Role::Sandbox(Bound::Time), &[], left()).unwrap_err();
            drop(answer.join().unwrap());
            assert_gone(spawner);
        }
    }

    #[test]
    fn what_a_spawner_refuses_is_said_and_the_next_is_asked() {
        let (spawner, mut theirs) = spawner();
        let answer = std::thread::spawn(move || {
            for _ in 0..2 {
                theirs.receive_until::<Request>(Until::Ever).unwrap();
                theirs.send(&Reply::Refused("no".to_owned()), Until::Ever).unwrap();
            }
        });
        for _ in 0..2 {
            let error = spawner.start(Role::Sandbox(Bound::Time), &[], left()).unwrap_err();
            assert_eq!(error.to_string(), "no");
        }
        assert!(spawner.ended().is_none());
        lock(&spawner.child).kill().unwrap();
        answer.join().unwrap();
    }
}
