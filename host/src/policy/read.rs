//! A policy as it is written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::grant::{Globs, Grant, Quota, Scope};
use super::{Members, Policy, Tenant};
use crate::config::document::Document;
use crate::config::piece::Piece;
use crate::config::section::{Entry, Section};
use crate::config::{INTERVALS, plugin, table};
use crate::error::{Error, Kind, Result};
use crate::probe::glob::Glob;
use crate::probe::nearest::did_you_mean;
use crate::probe::unit;
use crate::trust::{Demands, Digest, Keys};

/// The daemon's administrator, among tenants.
pub(crate) const OPERATOR: &str = "operator";

const KEYS: [&str; 11] = [
    "users", "groups", "cgroups", "scope", "probes", "fields", "unsigned", "keys", "digests", "versions",
    "limits",
];
const LIMITS: [&str; 14] = [
    "tables", "plugins", "rows", "interval", "rate", "events", "kernel", "churn", "memory", "deadline",
    "cpu", "series", "output", "disk",
];
/// Whole numbers of things.
const COUNT: (i64, i64) = (0, 1_000_000_000);
/// Bytes, to what a machine can have.
const BYTES: (u64, u64) = (0, 1 << 50);

pub(super) fn policy(text: &str, path: &Path) -> Result<Policy> {
    let document = Document::new(path, text);
    let root = document.parse()?;
    let root = Section::of_root(&document, &root, &["tenants"])?;
    let mut tenants = Vec::new();
    if let Some(entry) = root.get("tenants") {
        for entry in entry.entries()? {
            tenants.push(tenant(&entry)?);
        }
    }
    if tenants.is_empty() {
        return Err(Error::new(Kind::Config, format!("{}: there are no tenants", path.display()))
            .help("add one: [tenants.NAME] with `users`, `scope`, and what they may have"));
    }
    Ok(Policy { tenants })
}

fn tenant(entry: &Entry<'_>) -> Result<(Members, Arc<Tenant>)> {
    let name = entry.name()?;
    if name == OPERATOR {
        return Err(entry
            .key_error(format!("`{OPERATOR}` is whoever may do everything, and no tenant's name"))
            .help("call the tenant something else"));
    }
    let section = entry.section(&KEYS)?;
    let pieces = |key: &str| section.get(key).map_or(Ok(Vec::new()), Entry::pieces);
    let each = |key: &str, of: fn(&Piece<'_>) -> Result<u32>| {
        pieces(key)?.iter().map(of).collect::<Result<Vec<u32>>>()
    };
    let members = Members {
        users: each("users", user)?,
        groups: each("groups", group)?,
        cgroups: pieces("cgroups")?.iter().map(cgroup).collect::<Result<_>>()?,
    };
    if members.users.is_empty() && members.groups.is_empty() && members.cgroups.is_empty() {
        return Err(entry
            .key_error(format!("tenant `{name}` is nobody"))
            .help("name its `users`, `groups` or `cgroups`"));
    }
    let Some(scope) = section.get("scope") else {
        return Err(entry
            .key_error(format!("tenant `{name}` has no scope"))
            .help("say whose events it may see: scope = \"user\", \"cgroup\" or \"all\""));
    };
    let grant = Grant {
        probes: globs(&pieces("probes")?)?,
        fields: globs(&pieces("fields")?)?,
        scope: self::scope(scope)?,
        limits: section.get("limits").map_or(Ok(Quota::default()), limits)?,
        trust: Demands {
            digests: pieces("digests")?.iter().map(digest).collect::<Result<_>>()?,
            keys: keys(&pieces("keys")?)?,
            unsigned: section.get("unsigned").map_or(Ok(false), Entry::flag)?,
            no_older: section.get("versions").map_or(Ok(false), Entry::flag)?,
        },
    };
    Ok((members, Arc::new(Tenant { name: name.into(), grant })))
}

fn digest(piece: &Piece<'_>) -> Result<Digest> {
    piece.text.parse().map_err(|why: String| piece.error(format!("a digest {why}")))
}

fn keys(pieces: &[Piece<'_>]) -> Result<Keys> {
    let mut keys = Keys::default();
    for piece in pieces {
        keys.add(piece.text).map_err(|wrong| {
            let error = piece.error(wrong.message);
            wrong.help.map_or(error.clone(), |help| error.help(help))
        })?;
    }
    Ok(keys)
}

fn user(piece: &Piece<'_>) -> Result<u32> {
    number(piece, "user", |name| uzers::get_user_by_name(name).map(|user| user.uid()))
}

fn group(piece: &Piece<'_>) -> Result<u32> {
    number(piece, "group", |name| uzers::get_group_by_name(name).map(|group| group.gid()))
}

/// A number, or what a name stands for.
fn number(piece: &Piece<'_>, what: &str, find: impl Fn(&str) -> Option<u32>) -> Result<u32> {
    if !piece.text.is_empty() && piece.text.bytes().all(|byte| byte.is_ascii_digit()) {
        // The last number is nobody's: system calls take it for "do not change".
        let number = piece.text.parse().ok().filter(|number| *number != u32::MAX);
        return number.ok_or_else(|| piece.error(format!("no {what} has this number")));
    }
    let found = if piece.text.contains('\0') { None } else { find(piece.text) };
    found.ok_or_else(|| {
        let shown = piece.text.escape_debug();
        piece
            .error(format!("this machine has no {what} `{shown}`"))
            .help(format!("a {what} is a name or a number"))
    })
}

/// A path of a control group, without slashes at its end.
fn cgroup(piece: &Piece<'_>) -> Result<String> {
    let path = piece.text.trim_end_matches('/');
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    if !piece.text.starts_with('/') || !path.split('/').skip(1).all(is_plain) {
        return Err(piece
            .error("this is no path of a control group")
            .help("write it from the root of all groups, as in /proc/PID/cgroup: \"/user.slice\""));
    }
    Ok(path.to_owned())
}

fn scope(entry: &Entry<'_>) -> Result<Scope> {
    let text = entry.text()?;
    Scope::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| {
        let names = Scope::ALL.map(Scope::name);
        entry
            .value_error(format!("there is no scope `{}`", text.escape_debug()))
            .help(did_you_mean(text, names).unwrap_or_else(|| format!("the scopes are {}", names.join(", "))))
    })
}

fn globs(pieces: &[Piece<'_>]) -> Result<Globs> {
    let mut globs = Globs::default();
    for piece in pieces {
        if !globs.add(piece.text) {
            return Err(piece.error(format!("a pattern has at most {} bytes", Glob::LONGEST)));
        }
    }
    Ok(globs)
}

fn limits(entry: &Entry<'_>) -> Result<Quota> {
    let section = entry.section(&LIMITS)?;
    let count =
        |key: &str| section.get(key).map_or(Ok(0), |entry| entry.integer(COUNT)).map(|count| count as u64);
    let small = |key: &str| count(key).map(|count| count as u32);
    let bytes = |key: &str| {
        section.get(key).map_or(Ok(0), |entry| entry.quantity(unit::size, unit::show_size, BYTES))
    };
    let time = |key: &str, bounds: (u64, u64)| {
        let time = |entry: &Entry<'_>| entry.quantity(unit::duration, unit::show_duration, bounds);
        section.get(key).map(time).transpose().map(|time| time.map(Duration::from_nanos))
    };
    let share = |key: &str, of: &str| section.get(key).map_or(Ok(0), |entry| table::share(entry, of));
    let events = section.get("events").map(|entry| entry.integer((1, i64::MAX))).transpose()?;
    Ok(Quota {
        tables: small("tables")?,
        rows: count("rows")?,
        plugins: small("plugins")?,
        series: count("series")?,
        interval: time("interval", INTERVALS)?,
        rate: count("rate")?,
        events: events.map(i64::cast_unsigned),
        memory: bytes("memory")?,
        deadline: time("deadline", plugin::DEADLINE)?.unwrap_or_default(),
        cpu: share("cpu", "plugins")?,
        output: bytes("output")?,
        kernel: share("kernel", "programs in the kernel")?,
        churn: small("churn")?,
        disk: bytes("disk")?,
    })
}
