//! `weir plugin test`: what a plugin makes of its recordings, and what it should.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};

use super::project::{Project, write_file};
use super::replay::{Collect, replay};
use crate::cli::answer;
use crate::config::document::Document;
use crate::config::section::Section;
use crate::config::{self, plugin};
use crate::error::{Error, Kind, Result};
use crate::event::{MetricValue, Output};
use crate::manifest::{Manifest, MetricType};
use crate::sandbox::OptionValue;
use crate::sink::output_line;

/// Lines of a difference that are shown, each cut.
const LINES: usize = 20;
const LINE_BYTES: usize = 400;

/// One recording, and what belongs to it.
#[derive(Debug)]
struct Case {
    name: String,
    recording: PathBuf,
    expected: PathBuf,
    options: BTreeMap<String, OptionValue>,
}

/// How a case went.
enum Verdict {
    Same,
    Written,
    Wrong(String),
}

pub(super) fn test(folder: &Path, update: bool, build: bool) -> Result<()> {
    let project = Project::open(folder)?;
    let plugin = if build { super::build::build(&project)? } else { project.plugin() };
    let (mut text, mut wrong, cases) = (String::new(), 0, cases(&project)?);
    for case in &cases {
        let verdict = match run(&project, &plugin, case, update)? {
            Verdict::Same => "ok".to_owned(),
            Verdict::Written => "written".to_owned(),
            Verdict::Wrong(how) => {
                wrong += 1;
                format!("FAILED\n{how}")
            }
        };
        text.push_str(&format!("test {} … {verdict}\n", case.name));
    }
    answer(&text)?;
    if wrong == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Data, format!("{wrong} of {} tests failed", cases.len()))
        .help("if what the plugin does now is right, `weir plugin test --update` writes it down"))
}

/// The recordings of a project, in the order of their names.
fn cases(project: &Project) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for recording in project.recordings() {
        let name = recording.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let settings = recording.with_extension("toml");
        let options = if settings.exists() { options(&settings)? } else { BTreeMap::new() };
        cases.push(Case { name, expected: recording.with_extension("jsonl"), recording, options });
    }
    if cases.is_empty() {
        let message = format!("there are no recordings in {}", project.tests().display());
        return Err(Error::new(Kind::NoInput, message)
            .help("`weir record --plugin build/NAME.wasm -o tests/first.weir` makes one"));
    }
    Ok(cases)
}

fn options(path: &Path) -> Result<BTreeMap<String, OptionValue>> {
    let text = config::read(path)?;
    let document = Document::new(path, &text);
    let root = document.parse()?;
    let root = Section::of_root(&document, &root, &["options"])?;
    root.get("options").map_or(Ok(BTreeMap::new()), plugin::options)
}

fn run(project: &Project, plugin: &Path, case: &Case, update: bool) -> Result<Verdict> {
    let mut collect = Collect::default();
    let plugin = (plugin, &project.manifest);
    replay(plugin, &case.options, &case.recording, &mut collect, |_| Ok(true))
        .map_err(|error| error.context(format!("test {}", case.name)))?;
    let undeclared: Vec<String> =
        collect.0.iter().filter_map(|(_, output)| undeclared(&project.manifest, output)).collect();
    if let Some(first) = undeclared.first() {
        return Ok(Verdict::Wrong(format!("  {first}\n")));
    }
    let mut found = String::new();
    for (interval, output) in &collect.0 {
        found.push_str(&output_line(*interval, output)?);
        found.push('\n');
    }
    if update {
        write_file(&case.expected, found.as_bytes())?;
        return Ok(Verdict::Written);
    }
    let expected = match fs::read_to_string(&case.expected) {
        Ok(expected) => expected,
        Err(error) => {
            let path = case.expected.display();
            return Ok(Verdict::Wrong(format!("  what is expected is not there: {path}: {error}\n")));
        }
    };
    if expected == found {
        return Ok(Verdict::Same);
    }
    Ok(Verdict::Wrong(difference(&expected, &found)))
}

/// What of a metric differs from what the manifest says of it.
fn undeclared(manifest: &Manifest, output: &Output) -> Option<String> {
    let Output::Metric { name, value, .. } = output else { return None };
    let kind = match value {
        MetricValue::Counter { .. } => MetricType::Counter,
        MetricValue::Gauge(_) => MetricType::Gauge,
        MetricValue::Histogram { .. } => MetricType::Histogram,
    };
    match manifest.metrics.iter().find(|(declared, _)| declared == name) {
        Some((_, declared)) if declared.kind == kind => None,
        Some((_, declared)) => {
            Some(format!("the metric `{name}` is a {kind}, and plugin.toml says {}", declared.kind))
        }
        None => Some(format!(
            "the metric `{}` is not in plugin.toml; add [metrics.{0}] with type = \"{kind}\"",
            name.escape_debug()
        )),
    }
}

fn difference(expected: &str, found: &str) -> String {
    let difference = TextDiff::from_lines(expected, found);
    let changed = difference.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
    let mut text = String::new();
    for change in changed.take(LINES) {
        let sign = if change.tag() == ChangeTag::Delete { '-' } else { '+' };
        let line = change.value().trim_end();
        let end = line.floor_char_boundary(LINE_BYTES);
        text.push_str(&format!("  {sign} {}{}\n", &line[..end], if end < line.len() { "…" } else { "" }));
    }
    text
}
