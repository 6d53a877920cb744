//! The screen of a terminal, drawn anew with each interval, until the user has seen enough.

mod fit;
mod screen;

use std::fs::File;
use std::io::{self, Stdout, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Once;
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use rustix::termios::isatty;

pub use self::screen::Screen;
use super::Sink;
use crate::error::Result;
use crate::event::Event;

/// The sink for whoever sits in front of a terminal.
#[derive(Debug)]
pub struct Live {
    screen: Screen,
    /// There while the terminal is ours.
    terminal: Option<Terminal>,
    /// Where keys come from.
    keys: Option<Keys>,
    over: bool,
}

#[derive(Debug)]
enum Keys {
    Input(io::Stdin),
    Terminal(File),
}

impl Live {
    #[must_use]
    pub fn new() -> Self {
        Self { screen: Screen::default(), terminal: None, keys: None, over: false }
    }

    fn draw(&mut self) -> Result<()> {
        match &mut self.terminal {
            Some(terminal) => terminal.draw(&self.screen),
            None => Ok(()),
        }
    }

    fn key(&mut self, key: event::KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let ends = match key.code {
            KeyCode::Char('c' | 'd') => control,
            KeyCode::Char('q') | KeyCode::Esc => true,
            _ => false,
        };
        self.over |= ends && key.kind != KeyEventKind::Release;
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for Live {
    fn put(&mut self, event: &Event<'_>) -> Result<()> {
        self.screen.put(event);
        match event {
            // Until here, what went wrong was told on an ordinary screen.
            Event::Start { .. } => {
                self.terminal = Some(Terminal::take()?);
                self.keys = keys();
                self.draw()
            }
            Event::Snapshot(_) => self.draw(),
            Event::End { .. } => {
                self.terminal = None;
                // What was last to be seen stays.
                io::stdout().write_all(self.screen.summary()?.as_bytes())?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn closed(&self) -> bool {
        self.over
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.keys.as_ref().map(|keys| match keys {
            Keys::Input(input) => input.as_fd(),
            Keys::Terminal(terminal) => terminal.as_fd(),
        })
    }

    fn tend(&mut self) -> Result<()> {
        if self.terminal.is_none() || self.keys.is_none() {
            return Ok(());
        }
        let mut resized = false;
        while event::poll(Duration::ZERO)? {
            match event::read()? {
                Input::Key(key) => self.key(key),
                Input::Resize(..) => resized = true,
                _ => {}
            }
        }
        if resized { self.draw() } else { Ok(()) }
    }
}

/// Where crossterm reads keys, so that waiting for them is possible.
fn keys() -> Option<Keys> {
    let input = io::stdin();
    match isatty(&input) {
        true => Some(Keys::Input(input)),
        false => File::open("/dev/tty").ok().map(Keys::Terminal),
    }
}

/// The terminal while it is ours; given back when dropped.
#[derive(Debug)]
struct Terminal(ratatui::Terminal<CrosstermBackend<Stdout>>);

impl Terminal {
    fn take() -> Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                report(panic);
            }));
        });
        enable_raw_mode()?;
        let take = || {
            execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
            ratatui::Terminal::new(CrosstermBackend::new(io::stdout()))
        };
        match take() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                restore();
                Err(error.into())
            }
        }
    }

    fn draw(&mut self, screen: &Screen) -> Result<()> {
        let mut drawn = Ok(());
        self.0.draw(|frame| drawn = screen.draw(frame))?;
        drawn
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, whoever has it.
pub fn restore() {
    // There is nothing to be done about a terminal that is gone.
    drop(execute!(io::stdout(), LeaveAlternateScreen, cursor::Show));
    drop(disable_raw_mode());
}
