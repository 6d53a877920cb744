//! What there is to attach to, by a pattern.

use super::attach::{is_pattern, kind_name, pattern};
use super::glob::Glob;
use super::kernel::Kernel;
use super::nearest::did_you_mean;
use crate::error::{Error, Kind, Result};

/// Kinds of probes in programs, which are listed for one program at a time.
const IN_PROGRAMS: [&str; 3] = ["uprobe", "uretprobe", "usdt"];

impl Kernel {
    /// The names of the points that fit a pattern, sorted. It is compared with whole names, or with any part of one if
    /// it has no colon; a kind's short form will do. Probes in a program are listed where the pattern names it.
    /// That nothing fits is an error, which names what is near.
    pub fn list(&self, wanted: &str) -> Result<Vec<String>> {
        let (kind, rest) = wanted.split_once(':').unwrap_or((wanted, ""));
        let kind = if wanted.contains(':') { kind_name(kind) } else { None };
        let mut names = match kind {
            Some(kind) if IN_PROGRAMS.contains(&kind) => self.in_program(kind, rest)?,
            _ => {
                let whole = match kind {
                    Some(kind) => format!("{kind}:{rest}"),
                    None if wanted.contains(':') => wanted.to_owned(),
                    None => format!("*{wanted}*"),
                };
                let glob = Glob::new(&whole).ok_or_else(|| {
                    Error::new(Kind::Config, format!("a pattern has {} characters at most", Glob::LONGEST))
                })?;
                let all = self.all()?;
                let fitting: Vec<String> =
                    all.iter().filter(|name| glob.matches(name.as_bytes())).cloned().collect();
                if fitting.is_empty() {
                    return Err(nothing(wanted, &whole, &all));
                }
                fitting
            }
        };
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The points in a program. All of them, if nothing but the program is named.
    fn in_program(&self, kind: &str, rest: &str) -> Result<Vec<String>> {
        let wanted = kind.to_owned() + ":" + rest;
        let whole = match (kind, rest.rsplit_once(':')) {
            (_, None) if rest.is_empty() || is_pattern(rest) => {
                return Err(Error::new(
                    Kind::Config,
                    format!("`{}` names no program", wanted.escape_debug()),
                )
                .help(format!("probes in programs are listed for one at a time: {kind}:libc:*")));
            }
            ("usdt", None) => format!("{wanted}:*:*"),
            // One colon: the program is followed by the probe's name, or its provider.
            ("usdt", Some((program, name))) if !program.contains(':') => format!("{kind}:{program}:*:{name}"),
            (_, None) => format!("{wanted}:*"),
            _ => wanted,
        };
        let points = self.matching(&pattern(&whole).map_err(|flaw| flaw.error)?, None)?;
        Ok(points.iter().map(ToString::to_string).collect())
    }
}

fn nothing(wanted: &str, whole: &str, all: &[String]) -> Error {
    let message = format!("no probe of this machine fits `{}`", wanted.escape_debug());
    let plain = whole.replace(['*', '?'], "");
    let error = Error::new(Kind::Config, message);
    match did_you_mean(&plain, all.iter().map(String::as_str)) {
        Some(meant) => error.help(meant),
        None => error.help(
            "`weir probes` lists all but those in programs, which are listed for one program: \
             weir probes 'uprobe:bash:*'",
        ),
    }
}
