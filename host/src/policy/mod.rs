//! The policy: who may have what of a host that several share. It is decided here and nowhere else.
//!
//! A policy is TOML. Whoever is of no tenant may have nothing, and so may a tenant of whatever is left out.
//!
//! | key of `tenants.NAME` | value |
//! |---|---|
//! | `users`, `groups` | names or numbers; who they are is looked up when the policy is read |
//! | `cgroups` | paths below the root of all control groups; each stands for all groups below it too |
//! | `scope` | whose events are counted: `user`, `cgroup` or `all`; has to be given |
//! | `probes` | names of probes, in which `*` and `?` are wildcards |
//! | `fields` | names that expressions may use, likewise: `comm`, `args.*`, `start.*`, `elapsed`, `str` |
//! | `unsigned` | whether plugins need no signature |
//! | `keys` | the keys of minisign by one of which a plugin can be signed |
//! | `digests` | those that plugins may have; any, if none are given |
//! | `versions` | whether plugins must say their version, and none takes the place of a newer one |
//! | `limits` | bounds, as below, all of them for all that the tenant has at once, unless they say otherwise |
//!
//! Who is named by several tenants is of the first.
//!
//! | key of `limits` | value |
//! |---|---|
//! | `tables`, `plugins` | how many |
//! | `rows` | of all tables, in an interval |
//! | `interval` | the shortest that there can be |
//! | `rate` | samples a second of `profile:` and `interval:` |
//! | `events` | the fewest events of `software:` and `hardware:` for one sample |
//! | `kernel` | what programs in the kernel may take of one CPU, such as `1% cpu` |
//! | `churn` | probes attached in a minute |
//! | `memory` | what plugins may have of it |
//! | `deadline` | processor time of one call of a plugin |
//! | `cpu` | what plugins may take of one CPU |
//! | `series` | counters that plugins keep |
//! | `output` | bytes that plugins put out in an interval |
//! | `disk` | bytes kept on disk |
//!
//! The scope `user` is of processes that the user may trace: of those with the set-user-ID or set-group-ID bit, or
//! capabilities, which have another's privileges too, it has nothing. `cgroup` is of all processes in the group, whoever's they are.
//!
//! In a scope, a table counts at those probes only where the running task is the one that the event is of: system
//! calls (`tracepoint:syscalls:*`, `tracepoint:raw_syscalls:*`, and `sys_enter` and `sys_exit` of `rawtracepoint:` and
//! `tp_btf:`), `uprobe:`, `uretprobe:` and `usdt:`. Elsewhere it is whoever was interrupted. Its expressions read
//! nothing of the kernel's memory, whatever `fields` says: other tasks are within reach there.
//!
//! [`Code`] lists the reasons of refusals.

mod check;
mod credentials;
mod grant;
mod memory;
mod read;
mod scoped;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::config;
use crate::error::Result;
pub use check::{Code, PluginRequest, Refusal, Request, Usage};
pub(crate) use check::{show_share, shown};
pub use grant::{Globs, Grant, Quota, Scope};
pub(crate) use read::OPERATOR;
pub use scoped::blurred;

/// Who asks, as the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub pid: u32,
    pub uid: u32,
    pub gids: Vec<u32>,
    /// The path below the root of all control groups, as in the line `0::` of /proc/PID/cgroup.
    pub cgroup: Option<String>,
}

/// All tenants, in the order of the file. Without any, nobody may have anything.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    tenants: Vec<(Members, Arc<Tenant>)>,
}

#[derive(Clone, Debug)]
pub struct Tenant {
    pub name: Arc<str>,
    pub grant: Grant,
}

/// Who is of a tenant: whom any of these names.
#[derive(Clone, Debug, Default)]
struct Members {
    users: Vec<u32>,
    groups: Vec<u32>,
    /// Without a slash at the end; empty for the root.
    cgroups: Vec<String>,
}

impl Policy {
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&config::read(path)?, path)
    }

    /// Reads a policy's text, which errors say to be in the file `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        read::policy(text, path)
    }

    /// The tenant of which the peer is.
    #[must_use]
    pub fn tenant(&self, peer: &Peer) -> Option<&Arc<Tenant>> {
        self.tenants.iter().find(|(members, _)| members.include(peer)).map(|(_, tenant)| tenant)
    }

    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.iter().map(|(_, tenant)| tenant)
    }
}

impl Members {
    fn include(&self, peer: &Peer) -> bool {
        let below = |group: &String| {
            let path = peer.cgroup.as_deref()?;
            let rest = path.strip_prefix(group.as_str())?;
            // What is not below the root as it is seen here has `..` in its path.
            (path.starts_with('/')
                && (rest.is_empty() || rest.starts_with('/'))
                && !path.split('/').any(|part| part == ".."))
            .then_some(())
        };
        self.users.contains(&peer.uid)
            || peer.gids.iter().any(|gid| self.groups.contains(gid))
            || self.cgroups.iter().any(|group| below(group).is_some())
    }
}
