//! What one tenant may have.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::probe::glob::Glob;
use crate::trust::Demands;

/// What a tenant may have; the default is nothing, of its own user.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    pub probes: Globs,
    /// Of names as they are written in expressions.
    pub fields: Globs,
    pub scope: Scope,
    pub limits: Quota,
    /// What plugins have to be.
    pub trust: Demands,
}

/// Whose events are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those of the processes of the tenant's user.
    #[default]
    User,
    /// Those of the processes in its control group, and in those below it.
    Cgroup,
    All,
}

/// Bounds, of all that a tenant has at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    pub tables: u32,
    /// Of all tables, in an interval.
    pub rows: u64,
    pub plugins: u32,
    /// Counters that plugins keep.
    pub series: u64,
    /// The shortest interval; none at all if there is none.
    pub interval: Option<Duration>,
    /// The most samples a second.
    pub rate: u64,
    /// The fewest events for one sample; no samples at all if there is none.
    pub events: Option<u64>,
    /// Bytes, of all plugins together.
    pub memory: u64,
    /// Processor time of one call of a plugin.
    pub deadline: Duration,
    /// What plugins may take of one CPU, in millionths.
    pub cpu: u32,
    /// Bytes that plugins put out in an interval.
    pub output: u64,
    /// What programs in the kernel may take of one CPU, in millionths.
    pub kernel: u32,
    /// Probes attached in a minute.
    pub churn: u32,
    /// Bytes kept on disk.
    pub disk: u64,
}

/// Patterns with `*` and `?`, of which whole names fit one.
#[derive(Clone, Default)]
pub struct Globs(Vec<(String, Arc<Glob>)>);

impl Globs {
    /// False, and nothing is added, if the pattern is too long.
    #[must_use]
    pub fn add(&mut self, pattern: &str) -> bool {
        let glob = Glob::new(pattern);
        glob.map(|glob| self.0.push((pattern.to_owned(), glob.into()))).is_some()
    }

    /// Whether a name that begins in one of these ways could fit.
    #[must_use]
    pub fn may_fit(&self, starts: &[&str]) -> bool {
        let could = |pattern: &str| {
            let plain = pattern.split(['*', '?']).next().unwrap_or_default();
            starts.iter().any(|start| plain.starts_with(start) || start.starts_with(plain))
        };
        self.0.iter().any(|(pattern, _)| could(pattern))
    }

    #[must_use]
    pub fn fit(&self, name: &str) -> bool {
        self.0.iter().any(|(_, glob)| glob.matches(name.as_bytes()))
    }
}

impl Scope {
    pub(super) const ALL: [Self; 3] = [Self::User, Self::Cgroup, Self::All];

    /// As it is written in a policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::All => "all",
        }
    }

    /// Whether whoever has this scope may have the other.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self == Self::All || self == other
    }
}

impl fmt::Debug for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(pattern, _)| pattern)).finish()
    }
}

/// As a list.
impl fmt::Display for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (number, (pattern, _)) in self.0.iter().enumerate() {
            write!(f, "{}{pattern}", if number > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
