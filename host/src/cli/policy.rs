//! `weir policy`: what a policy gives to whom.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::plugins::Added;
use super::{answer, client};
use crate::error::{Error, Kind, Result};
use crate::policy::{self, Grant, Peer, Scope, show_share, shown};
use crate::probe::Kernel;
use crate::probe::unit::show_size;
use crate::serve;
use crate::serve::protocol::Start;
use crate::table::Program;

#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Say of which tenant a user is, what it may have, and what of a configuration would be refused
    Test(Test),
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The user's name or number; in no control group
    #[arg(long = "as", value_name = "USER")]
    user: String,
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask for this plugin too, and for the tables that it asks for; can be given more than once
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
}

pub(super) fn policy(command: &Policy) -> Result<()> {
    let Policy::Test(test) = command;
    let policy = policy::Policy::load(&test.policy)?;
    let (name, peer) = user(&test.user)?;
    let Some(tenant) = policy.tenant(&peer) else {
        return Err(Error::new(Kind::NoPermission, format!("{name} is of no tenant, and may have nothing"))
            .help(format!("a tenant of {} names `users` or `groups`", test.policy.display())));
    };
    let mut text = format!("{name} is of tenant `{}`, which may have\n", tenant.name);
    granted(&mut text, &tenant.grant);
    let Some(path) = test.config.as_ref().or(test.plugins.first()) else { return answer(&text) };

    // As a client sends it, and as it is kept by `weir start`.
    let added = Added { paths: &test.plugins, settings: &[] };
    let (asked, plugins, components) = client::of_file(test.config.as_deref(), added)?;
    let start = Start { name: Some("test".to_owned()), asked, plugins };
    // A daemon knows programs by their own paths, not by links to them.
    let program = |name: &str| Program::open(&std::fs::canonicalize(crate::probe::locate(name)?)?);
    let kernel = Kernel::with_programs(Box::new(program));
    let refusals = serve::refusals(start, components, &kernel, tenant)?;
    let path = path.display();
    if refusals.is_empty() {
        return answer(&format!("{text}{path} is granted\n"));
    }
    text.push_str(&format!("{path} is refused\n"));
    for (code, what) in &refusals {
        text.push_str(&format!("  {code}: {what}\n"));
    }
    if refusals.iter().all(|(code, _)| *code == policy::Code::Disk.name()) {
        text.push_str("`weir run` keeps nothing on disk, and is granted\n");
    }
    answer(&text)?;
    let much =
        if refusals.len() == 1 { "1 thing is".to_owned() } else { format!("{} things are", refusals.len()) };
    Err(Error::new(Kind::NoPermission, format!("{much} too much for tenant `{}`", tenant.name)))
}

fn granted(text: &mut String, grant: &Grant) {
    let limits = &grant.limits;
    let whose = match grant.scope {
        Scope::User => "of its own user",
        Scope::Cgroup => "of its own control group, and those below it",
        Scope::All => "of everybody",
    };
    let signed = match (grant.trust.unsigned, grant.trust.keys.len()) {
        (true, _) => "signed by anybody or nobody".to_owned(),
        (false, keys) => format!("signed by one of {keys} keys"),
    };
    for (what, value) in [
        ("events", whose.to_owned()),
        ("probes", grant.probes.to_string()),
        ("fields", grant.fields.to_string()),
        ("tables", format!("{}, of {} rows", limits.tables, limits.rows)),
        ("interval", limits.interval.map_or("none".to_owned(), |least| format!("{} and more", shown(least)))),
        ("samples", {
            let events = limits.events.map_or(String::new(), |events| format!(", one for {events} events"));
            format!("{} a second{events}", limits.rate)
        }),
        ("kernel", show_share(limits.kernel.into())),
        ("churn", format!("{} probes in a minute", limits.churn)),
        ("plugins", format!("{}, {signed}", limits.plugins)),
        ("memory", show_size(limits.memory)),
        ("deadline", shown(limits.deadline)),
        ("cpu", show_share(limits.cpu.into())),
        ("series", limits.series.to_string()),
        ("output", show_size(limits.output)),
        ("disk", show_size(limits.disk)),
    ] {
        text.push_str(&format!("  {what:<8}  {value}\n"));
    }
}

/// A user, and whom the kernel would take it for.
fn user(text: &str) -> Result<(String, Peer)> {
    let number = text.parse::<u32>().ok();
    let user = match number {
        Some(uid) => uzers::get_user_by_uid(uid),
        // A name with a NUL is none.
        None if text.contains('\0') => None,
        None => uzers::get_user_by_name(text),
    };
    let peer = |uid, gids| Peer { pid: 0, uid, gids, cgroup: None };
    match (user, number) {
        (Some(user), _) => {
            let groups = user.groups().unwrap_or_default();
            let gids = std::iter::once(user.primary_group_id()).chain(groups.iter().map(uzers::Group::gid));
            let shown = format!("{} (uid {})", user.name().display(), user.uid());
            Ok((shown, peer(user.uid(), gids.collect())))
        }
        // Whom nothing names can run all the same.
        (None, Some(uid)) => Ok((format!("uid {uid}"), peer(uid, Vec::new()))),
        (None, None) => {
            Err(Error::new(Kind::Usage, format!("this machine has no user `{}`", text.escape_debug())))
        }
    }
}
