//! What was found out about one thing.

use serde::Serialize;

use crate::error::{Error, Kind};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    No,
    /// Not to be known without a privilege.
    Unknown,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) help: Option<String>,
    /// Why it is so, if it is a kind of probe that was tried.
    #[serde(skip)]
    pub(super) tried: Option<Option<Kind>>,
}

impl Finding {
    pub(super) fn new(verdict: Verdict, name: &'static str, about: &'static str) -> Self {
        Self { verdict, name, about, why: None, help: None, tried: None }
    }

    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A thing that is there, or is not for this reason. What a privilege would show is not known; but if this
    /// process has every privilege that there is to be had, that it is denied is all that there is to know.
    pub(super) fn of(
        name: &'static str,
        about: &'static str,
        result: &Result<(), Error>,
        privileged: bool,
    ) -> Self {
        let Err(error) = result else { return Self::new(Verdict::Ok, name, about) };
        let denied = error.kind == Kind::NoPermission;
        let verdict = if denied && !privileged { Verdict::Unknown } else { Verdict::No };
        let finding = Self::new(verdict, name, about).why(error.message.replace('\n', " "));
        match &error.help {
            Some(_) if denied && privileged => finding
                .help("this user has the capabilities: lockdown, a security module or a container forbids it, or the kernel cannot"),
            Some(help) => finding.help(help.replace('\n', " ")),
            None => finding,
        }
    }

    /// As [`Finding::of`], for a kind of probe that was tried.
    pub(super) fn tried(
        name: &'static str,
        about: &'static str,
        result: &Result<(), Error>,
        privileged: bool,
    ) -> Self {
        let tried = Some(result.as_ref().err().map(|error| error.kind));
        Self { tried, ..Self::of(name, about, result, privileged) }
    }

    /// One line.
    pub(super) fn line(&self) -> String {
        let mut line = format!("{:<7} {}: {}", self.verdict.name(), self.name, self.about);
        if let Some(why) = &self.why {
            line.push_str(&format!("; {why}"));
        }
        if let Some(help) = &self.help {
            line.push_str(&format!("; {help}"));
        }
        line
    }
}
