//! The signals that ask for an end.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::Result;

/// The signals that ask for an end. The first is obeyed in good order, the second at once.
pub(crate) struct Signals {
    pipe: UnixStream,
    came: Arc<AtomicBool>,
}

impl Signals {
    /// With something that is to be done before a second signal ends the process, if there is such a thing.
    pub(crate) fn catch(at_once: Option<fn()>) -> Result<Self> {
        let (pipe, writer) = UnixStream::pair()?;
        let came = Arc::new(AtomicBool::new(false));
        match at_once {
            None => {
                for signal in [SIGINT, SIGTERM] {
                    // In this order: what comes while `came` is set does what it would have done without us.
                    signal_hook::flag::register_conditional_default(signal, came.clone())?;
                    signal_hook::flag::register(signal, came.clone())?;
                    signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
                }
            }
            // A handler of a signal may do next to nothing, a thread anything.
            Some(at_once) => {
                let (mut told, teller) = UnixStream::pair()?;
                for signal in [SIGINT, SIGTERM, SIGHUP] {
                    signal_hook::flag::register(signal, came.clone())?;
                    signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
                    signal_hook::low_level::pipe::register(signal, teller.try_clone()?)?;
                }
                thread::spawn(move || {
                    if told.read_exact(&mut [0; 2]).is_ok() {
                        at_once();
                        drop(signal_hook::low_level::emulate_default_handler(SIGTERM));
                    }
                });
            }
        }
        Ok(Self { pipe, came })
    }

    pub(crate) fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
