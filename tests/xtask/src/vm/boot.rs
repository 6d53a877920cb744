//! Running a virtual machine to its end, and reading from its serial line how the tests went.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::archive::MARK;
use crate::live::Program;
use crate::step::{line, say};

/// For how long nothing may be said: no test takes as long, though emulation is some twenty times as slow as the machine itself.
const SILENCE: Duration = Duration::from_secs(15 * 60);
/// For how long a machine runs at all: a kernel in trouble may say so again and again.
const BOUND: Duration = Duration::from_secs(80 * 60);

/// CPUs that could be online, and those that are.
const CPUS: (&str, &str) = ("0-7", "0-1");

/// Runs the tests in a machine of its own, and returns the notes of those that could not run there.
pub(super) fn run(name: &str, image: &Path, archive: &Path, tests: &[Program]) -> Result<String> {
    let mut qemu = Command::new("qemu-system-x86_64");
    // All CPUs of the machine on one thread. With several, code that the kernel changes under way, as it does whenever a
    // tracepoint is attached to, is now and then executed half changed: kernels died of their own breakpoints.
    qemu.args(["-accel", "tcg,thread=single", "-cpu", "max", "-smp", "8", "-m", "2G", "-no-reboot"])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(archive)
        // A kernel that panics ends the machine. One that tries the timer finds that it does not work, if this machine is
        // busy meanwhile.
        .args(["-append", "console=ttyS0 quiet panic=-1 maxcpus=2 no_timer_check"]);
    say(format_args!("virtual machine {name}: $ {}", line(&qemu)));
    let started = Instant::now();
    let mut machine =
        Machine(qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run QEMU")?);
    let lines = read(machine.0.stdout.take().context("its output is a pipe")?);

    let mut report = Report::default();
    loop {
        match lines.recv_timeout(SILENCE.min(BOUND.saturating_sub(started.elapsed()))) {
            Ok(line) => {
                say(format_args!("[{name}] {line}"));
                report.take(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                bail!("not finished after {:.0?}, {}", started.elapsed(), report.whereabouts());
            }
        }
    }
    machine.0.wait().context("QEMU")?;
    say(format_args!("virtual machine {name}: ended after {:.0?}", started.elapsed()));
    report.check(tests)?;
    Ok(report.notes)
}

/// A machine that does not outlive its owner.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself, which is as well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The lines as they come, without what a terminal would make of them.
fn read(serial: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(serial).split(b'\n').map_while(Result::ok) {
            if sender.send(plain(&line)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Text without escape sequences and other control characters: firmware clears the screen, kernels colour it.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // A sequence is a bracket, parameters and one letter.
        plain.push_str(
            part.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).get(1..).unwrap_or_default(),
        );
    }
    plain.retain(|c| !c.is_control());
    plain
}

/// What a machine said.
#[derive(Debug, Default)]
struct Report {
    cpus: Option<String>,
    running: Option<String>,
    /// The exit status of each test that ended.
    ended: BTreeMap<String, i32>,
    notes: String,
}

impl Report {
    fn take(&mut self, line: &str) {
        // The kernel may have written to the same line before.
        let Some((_, mark)) = line.split_once(MARK) else { return };
        let Some((what, rest)) = mark.split_once(' ') else { return };
        match (what, rest.rsplit_once(' ')) {
            ("cpus", _) => self.cpus = Some(rest.to_owned()),
            ("begin", _) => self.running = Some(rest.to_owned()),
            ("end", Some((name, status))) => {
                self.running = None;
                // A status that is not readable is no success.
                self.ended.insert(name.to_owned(), status.parse().unwrap_or(-1));
            }
            ("note", _) => {
                self.notes.push_str(rest);
                self.notes.push('\n');
            }
            _ => {}
        }
    }

    fn whereabouts(&self) -> String {
        match &self.running {
            Some(test) => format!("while {test} ran"),
            None => format!("with {} tests ended", self.ended.len()),
        }
    }

    fn check(&self, tests: &[Program]) -> Result<()> {
        let expected = format!("{} {}", CPUS.0, CPUS.1);
        match &self.cpus {
            None => bail!("the machine did not come up"),
            Some(cpus) if *cpus != expected => {
                bail!("its CPUs (possible, online) are {cpus}, not {expected}")
            }
            Some(_) => {}
        }
        let failed = tests.iter().filter_map(|test| match self.ended.get(&test.name) {
            Some(0) => None,
            Some(status) => Some(format!("{} ended with status {status}", test.name)),
            None => Some(format!("{} did not end", test.name)),
        });
        let failed: Vec<_> = failed.collect();
        if !failed.is_empty() {
            bail!("{}", failed.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::default();
        lines.iter().for_each(|line| report.take(line));
        report
    }

    fn program(name: &str) -> Program {
        Program { name: name.to_owned(), file: "/t".into(), folder: "/".into() }
    }

    #[test]
    fn every_test_has_to_end_well() {
        let tests = [program("seed"), program("overflow")];
        let good = ["weir-vm: cpus 0-7 0-1", "weir-vm: begin seed", "weir-vm: end seed 0"];
        assert!(report(&good).check(&tests).is_err());
        assert!(
            report(&[&good[..], &["[1.2] noise weir-vm: end overflow 0"]].concat()).check(&tests).is_ok()
        );
        assert!(report(&[&good[..], &["weir-vm: end overflow 101"]].concat()).check(&tests).is_err());
        assert!(report(&[&good[..], &["weir-vm: end overflow x"]].concat()).check(&tests).is_err());
        assert!(report(&good[1..]).check(&tests[..1]).is_err(), "CPUs were not told");
        assert!(report(&["weir-vm: cpus 0-1 0-1", good[2]]).check(&tests[..1]).is_err(), "other CPUs");
    }

    #[test]
    fn a_machine_that_hangs_tells_where() {
        assert_eq!(report(&["weir-vm: begin seed"]).whereabouts(), "while seed ran");
    }

    #[test]
    fn notes_are_kept() {
        assert_eq!(report(&["weir-vm: note fentry: no BTF"]).notes, "fentry: no BTF\n");
    }

    #[test]
    fn what_steers_a_terminal_is_left_out() {
        assert_eq!(plain(b"\x1b[2J\x1b[01;01Hbooting\r"), "booting");
        assert_eq!(plain(b"plain"), "plain");
    }
}
