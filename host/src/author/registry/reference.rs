//! `registry.example.com/some/plugin:1.2.3@sha256:…`, as container tools write it.

use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::trust::Digest;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// With its port.
    pub(super) host: String,
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<Digest>,
}

impl Reference {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::new(Kind::Usage, format!("`{}` is no place in a registry: {why}", text.escape_debug()))
                .help(
                    "write HOST/NAME:TAG, such as ghcr.io/someone/top:1.2.3, and @sha256:… to have just that",
                )
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse::<Digest>().map_err(|why: String| wrong(&why))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (host, path) = rest.split_once('/').ok_or_else(|| wrong("it names no registry"))?;
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        // By the specification's own expressions.
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(wrong("its registry is no host"));
        }
        let is_part = |part: &str| {
            let inner =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
            let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            part.starts_with(outer) && part.ends_with(outer) && part.chars().all(inner)
        };
        if repository.len() > 255 || !repository.split('/').all(is_part) {
            return Err(wrong("names have lower-case letters, digits, `.`, `_`, `-` and `/`"));
        }
        let in_tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(tag) = tag
            && (tag.is_empty() || tag.len() > 128 || tag.starts_with(['.', '-']) || !tag.chars().all(in_tag))
        {
            return Err(wrong("tags have letters, digits, `.`, `_` and `-`"));
        }
        Ok(Self {
            host: host.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// What the manifest is asked for by.
    pub(super) fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The last part of the repository's name.
    pub(super) fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    pub(super) fn without_tag(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// Without encryption only to this machine itself, as other tools do.
    pub(super) fn is_local(&self) -> bool {
        let host = match self.host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.host.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_tag())?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in ["ghcr.io/a/b", "localhost:5000/top:1.2.3", &format!("[::1]:5000/a/b-c:x@{digest}")] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        let parsed = Reference::parse("h:1/a/b:t").unwrap();
        let parts = (&*parsed.host, &*parsed.repository, parsed.tag.as_deref(), parsed.name());
        assert_eq!(parts, ("h:1", "a/b", Some("t"), "b"));
        assert_eq!(Reference::parse(&format!("h/a:t@{digest}")).unwrap().wanted(), digest);
        for wrong in [
            "",
            "top",
            "/a",
            "h/",
            "h/A",
            "h/../a",
            "h/a:",
            "h/a:b c",
            "h/a@sha256:1",
            "u@h/a",
            "h?/a",
            "h/a//b",
        ] {
            assert!(Reference::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        let is_local = |host: &str| Reference::parse(&format!("{host}/a")).unwrap().is_local();
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "127.1.2.3"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["localhost.example.com", "ghcr.io", "10.0.0.1:5000", "127.example.com", "[fe80::1]"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
