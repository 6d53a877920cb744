//! Lines of the sources, in place of those of the one file that they became before they were compiled.

use std::borrow::Cow;

use oxc_sourcemap::{SourceMap, Token};

use super::project::Project;
use crate::error::Result;
use crate::event::{Event, Output};
use crate::sink::Sink;

/// The file that JavaScript and TypeScript become, in `build/`, as an engine names it in a stack; beside it is the map.
pub(super) const BUNDLE: &str = "plugin.js";
pub(super) const MAP: &str = "plugin.js.map";

/// Puts lines of the sources into what a plugin says, before it is passed on.
pub(super) struct Mend<'a> {
    lines: Option<Lines<'a>>,
    sink: &'a mut dyn Sink,
}

struct Lines<'a> {
    map: &'a SourceMap<'a>,
    table: Vec<&'a [Token]>,
}

/// The map of a project, if its language has one and it was built.
pub(super) fn map(project: &Project) -> Option<SourceMap<'static>> {
    let text = std::fs::read_to_string(project.build().join(MAP)).ok()?;
    SourceMap::from_json_string(&text).ok().map(SourceMap::into_owned)
}

impl<'a> Mend<'a> {
    pub(super) fn new(map: Option<&'a SourceMap<'a>>, sink: &'a mut dyn Sink) -> Self {
        Self { lines: map.map(|map| Lines { map, table: map.generate_lookup_table() }), sink }
    }
}

impl Sink for Mend<'_> {
    fn put(&mut self, event: &Event<'_>) -> Result<()> {
        let (Some(lines), Event::Plugin { plugin, interval, output: Output::Log { level, message } }) =
            (&self.lines, event)
        else {
            return self.sink.put(event);
        };
        let output = Output::Log { level: *level, message: lines.mend(message).into_owned() };
        self.sink.put(&Event::Plugin { plugin, interval: *interval, output: &output })
    }

    fn closed(&self) -> bool {
        self.sink.closed()
    }
}

impl Lines<'_> {
    fn mend<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut parts = text.split(BUNDLE);
        let mut mended = parts.next().unwrap_or_default().to_owned();
        if mended.len() == text.len() {
            return text.into();
        }
        for part in parts {
            let is_whole = !mended.ends_with(|c: char| c.is_alphanumeric() || "/_-.".contains(c));
            match self.place(part).filter(|_| is_whole) {
                Some((place, rest)) => mended.extend([&place, rest]),
                None => mended.extend([BUNDLE, part]),
            }
        }
        mended.into()
    }

    /// What a text that begins with ":LINE:COLUMN" stands for, and what comes after that.
    fn place<'t>(&self, text: &'t str) -> Option<(String, &'t str)> {
        let (line, rest) = number(text)?;
        let (column, rest) = number(rest)?;
        // They are counted from 1 in texts, and from 0 in the map.
        let token =
            self.map.lookup_source_view_token(&self.table, line.checked_sub(1)?, column.checked_sub(1)?)?;
        // As seen from the bundle.
        let source = token.get_source()?;
        let source = match source.strip_prefix("../") {
            Some(source) => source.to_owned(),
            None => format!("build/{source}"),
        };
        Some((format!("{source}:{}:{}", token.get_src_line() + 1, token.get_src_col() + 1), rest))
    }
}

/// The number after a colon, and the rest.
fn number(text: &str) -> Option<(u32, &str)> {
    let digits = text.strip_prefix(':')?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_the_bundle_become_those_in_the_sources() {
        // As esbuild writes it: the third line of the bundle is line 2 of the SDK, the fourth line 10 of the plugin.
        let map = r#"{"version":3,"sources":["sdk/index.ts","../src/plugin.ts"],"names":[],"mappings":";;AACA;ICQE"}"#;
        let map = SourceMap::from_json_string(map).unwrap();
        let lines = Lines { table: map.generate_lookup_table(), map: &map };
        for (text, mended) in [
            ("no place", "no place"),
            ("f@plugin.js:4:9\\ng@plugin.js:3:1", "f@src/plugin.ts:10:3\\ng@build/sdk/index.ts:2:1"),
            ("plugin.js", "plugin.js"),
            ("myplugin.js:4:9, build/plugin.js:4:9", "myplugin.js:4:9, build/plugin.js:4:9"),
            ("in plugin.js:4", "in plugin.js:4"),
            ("plugin.js:0:0 and plugin.js:99:1!", "plugin.js:0:0 and plugin.js:99:1!"),
            ("plugin.js:99999999999:1", "plugin.js:99999999999:1"),
        ] {
            assert_eq!(lines.mend(text), mended);
        }
    }
}
