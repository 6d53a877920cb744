//! A little of everything that a kernel can be asked about.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use crate::emulated;
use crate::events::{cpus, pin};

/// Makes a little of everything happen, in well under a second.
pub fn everything() {
    files();
    processes();
    threads();
    connections();
    memory();
    if emulated() {
        groups();
    }
    work(Duration::from_millis(150));
}

/// Where files are likely to be on a disk.
fn folder() -> tempfile::TempDir {
    // In the virtual machines, as in an installed test, cargo's own folder is not there.
    let near = std::env::current_exe().expect("a test has a path").with_file_name("");
    tempfile::tempdir_in(near).expect("the folder of the test can be written to")
}

fn files() {
    let folder = folder();
    let path = folder.path().join("file");
    let mut file = File::create(&path).expect("it is created");
    for size in [1, 100, 1000, 100_000] {
        file.write_all(&vec![1; size]).expect("it is written");
    }
    file.sync_all().expect("it is synced");
    let read = fs::read(&path).expect("it is read");
    assert_eq!(read.len(), 101_101);
    fs::metadata(&path).expect("it is there");
    fs::remove_file(&path).expect("it is removed");
    for _ in 0..3 {
        assert!(File::open(&path).is_err() && fs::metadata(&path).is_err());
    }
}

/// A program of the system that ends at once.
fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn sleeper() -> Child {
    program("sleep").arg("60").spawn().expect("there is a sleep")
}

fn processes() {
    for _ in 0..3 {
        assert!(program("true").status().expect("there is a true").success());
    }
    assert!(!program("false").status().expect("there is a false").success());
    assert!(program("true").uid(65534).status().expect("root can be another").success());
    assert!(program("/nowhere/at/all").spawn().is_err());
    let mut child = sleeper();
    child.kill().expect("it is killed");
    assert_eq!(child.wait().expect("it ended").signal(), Some(9));
    rustix::process::test_kill_process(rustix::process::getpid()).expect("this process is there");
}

/// Threads that wake each other, wait for each other, and go from one CPU to another.
fn threads() {
    let (there, here) = mpsc::channel();
    let (back, answers) = mpsc::channel();
    let thread = thread::spawn(move || {
        for number in here {
            thread::sleep(Duration::from_micros(10));
            back.send(number).expect("somebody waits");
        }
    });
    for number in 0..300 {
        there.send(number).expect("somebody waits");
        assert_eq!(answers.recv(), Ok(number));
    }
    drop(there);
    thread.join().expect("it ends");
    let move_about = || cpus().into_iter().take(2).for_each(pin);
    thread::spawn(move_about).join().expect("it ends");

    let epoll = epoll::create(epoll::CreateFlags::empty()).expect("there is epoll");
    let (mut one, other) = UnixStream::pair().expect("a pair");
    epoll::add(&epoll, &other, epoll::EventData::new_u64(1), epoll::EventFlags::IN).expect("it is added");
    one.write_all(b"?").expect("there is room");
    let mut events = Vec::with_capacity(4);
    epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).expect("there is an event");
    assert_eq!(events.len(), 1);
}

/// A connection within this machine, one that is refused, and packets to nobody.
fn connections() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    let mut client = TcpStream::connect(address).expect("somebody listens");
    let (mut server, _) = listener.accept().expect("a client is there");
    let mut answer = [0; 1000];
    for _ in 0..10 {
        client.write_all(&[1; 1000]).expect("the other side is there");
        server.read_exact(&mut answer).expect("all of it comes");
        server.write_all(&answer).expect("the other side is there");
        client.read_exact(&mut answer).expect("all of it comes");
    }
    drop((client, server, listener));
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    // To a port that was free a moment ago; that the second one fails is an answer to the first.
    (0..2).for_each(|_| drop(socket.send_to(b"?", address)));

    let (mut one, mut other) = UnixStream::pair().expect("a pair");
    one.write_all(&[1; 100]).expect("there is room");
    other.read_exact(&mut answer[..100]).expect("all of it comes");
    // Whether there is an address is the machine's business.
    drop(("localhost", 80).to_socket_addrs());
}

fn memory() {
    for _ in 0..3 {
        let mut pages = vec![0_u8; 8 << 20];
        pages.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        black_box(&pages);
    }
}

/// What changes the machine itself.
fn groups() {
    let group = Path::new("/sys/fs/cgroup/weir-recipes");
    fs::create_dir(group).expect("there are control groups");
    let mut child = sleeper();
    fs::write(group.join("cgroup.procs"), child.id().to_string()).expect("it is moved");
    child.kill().expect("it is killed");
    child.wait().expect("it ended");
    fs::remove_dir(group).expect("the group is empty");
    let folder = folder();
    let folder = folder.path();
    assert!(program("mount").args(["-t", "tmpfs", "none"]).arg(folder).status().expect("a mount").success());
    assert!(program("umount").arg(folder).status().expect("an umount").success());
}

/// Has a processor do something, in the kernel and outside of it.
fn work(length: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < length {
        (0..1000).for_each(crate::events::call);
        (0..100_000_u64).for_each(|number| {
            black_box(number);
        });
    }
}
