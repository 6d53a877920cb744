//! `weir plugin test`: what a plugin makes of its recordings, and what it should.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};

use super::project::{Project, write_file};
use super::replay::{Collect, Finished};
use crate::cli::answer;
use crate::config::document::Document;
use crate::config::section::Section;
use crate::config::{self, plugin};
use crate::error::{Error, Kind, Result};
use crate::escape::escape;
use crate::event::{MetricValue, Output, Severity};
use crate::manifest::{Manifest, MetricType};
use crate::sandbox::OptionValue;
use crate::sink::output_line;

/// Lines of a difference that are shown, as many of those that are missing and of those that are new, each cut.
const LINES: usize = 10;
const LINE_BYTES: usize = 400;
/// Faults and warnings that are shown, each as a whole: what follows the first ones follows from them.
const CAUSES: usize = 5;

/// One recording, and what belongs to it.
#[derive(Debug)]
struct Case {
    name: String,
    recording: PathBuf,
    expected: PathBuf,
}

/// How a case went.
enum Verdict {
    Same,
    Written,
    Wrong(String),
}

pub(super) fn test(project: &Project, update: bool, build: bool) -> Result<()> {
    let plugin = if build { super::build::build(project)? } else { project.plugin() };
    let mut plugin = Finished::read(project, &plugin)?;
    let (mut text, mut wrong, cases) = (String::new(), 0, cases(project)?);
    for case in &cases {
        let verdict = match run(project, &mut plugin, case, update) {
            // What this machine does not let any of them do is no test that failed.
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::NoPermission | Kind::Software) => {
                return Err(error);
            }
            // One that does not even begin says nothing of the others.
            Err(error) => Verdict::Wrong(indented(&error.to_string())),
            Ok(verdict) => verdict,
        };
        let verdict = match verdict {
            Verdict::Same => "ok".to_owned(),
            Verdict::Written => "written".to_owned(),
            Verdict::Wrong(how) => {
                wrong += 1;
                format!("FAILED\n{how}")
            }
        };
        text.push_str(&format!("test {} … {}\n", case.name, verdict.trim_end()));
    }
    answer(&text)?;
    if wrong == 0 {
        return Ok(());
    }
    let failed = Error::new(Kind::Data, format!("{wrong} of {} tests failed", cases.len()));
    Err(match update {
        true => failed.help("what is expected of those is as it was"),
        false => {
            failed.help("if what the plugin does now is right, `weir plugin test --update` writes it down")
        }
    })
}

/// The recordings of a project, in the order of their names.
fn cases(project: &Project) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for recording in project.recordings() {
        let name = recording.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        cases.push(Case { name, expected: recording.with_extension("jsonl"), recording });
    }
    if cases.is_empty() {
        let message = format!("there are no recordings in {}", project.tests().display());
        return Err(Error::new(Kind::NoInput, message)
            .help("`weir record --plugin build/NAME.wasm -o tests/first.weir` makes one of the tables in plugin.toml"));
    }
    Ok(cases)
}

/// The options with which a plugin runs on a recording: those that are written beside it.
pub(super) fn options(recording: &Path) -> Result<BTreeMap<String, OptionValue>> {
    let path = recording.with_extension("toml");
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = config::read(&path)?;
    let document = Document::new(&path, &text);
    let root = document.parse()?;
    let root = Section::of_root(&document, &root, &["options"])?;
    root.get("options").map_or(Ok(BTreeMap::new()), plugin::options)
}

fn run(project: &Project, plugin: &mut Finished<'_>, case: &Case, update: bool) -> Result<Verdict> {
    let (mut collect, options) = (Collect::default(), options(&case.recording)?);
    let broken_off = plugin.replay(&options, &case.recording, &mut collect, |_| Ok(true))?;
    let Collect(outputs) = collect;
    let mut wrong = causes(&outputs);
    // What follows from these is no use to anybody, and nothing to write down.
    if let Some(place) = broken_off {
        let what = format!("{} ends early, {place}", case.recording.display());
        return Ok(Verdict::Wrong(wrong + &indented(&what)));
    }
    let is_fault = |(_, output): &(u64, Output)| matches!(output, Output::Fault { .. });
    let has_fault = outputs.iter().any(is_fault);
    if update && has_fault {
        return Ok(Verdict::Wrong(wrong));
    }
    let undeclared = outputs.iter().find_map(|(_, output)| undeclared(&project.manifest, output));
    if let Some(undeclared) = undeclared {
        return Ok(Verdict::Wrong(wrong + &indented(&undeclared)));
    }
    let mut found = String::new();
    for (interval, output) in &outputs {
        found.push_str(&output_line(*interval, output)?);
        found.push('\n');
    }
    if update {
        write_file(&case.expected, found.as_bytes())?;
        return Ok(Verdict::Written);
    }
    match fs::read_to_string(&case.expected) {
        Ok(expected) if expected == found && !has_fault => return Ok(Verdict::Same),
        Ok(expected) => wrong.push_str(&difference(&expected, &found)),
        Err(error) => {
            let path = case.expected.display();
            wrong.push_str(&indented(&format!("what is expected is not there: {path}: {error}")));
        }
    }
    Ok(Verdict::Wrong(wrong))
}

/// Why a plugin did not do what it should, as far as it says so: its faults, and of what it logs the warnings.
fn causes(outputs: &[(u64, Output)]) -> String {
    let told = outputs.iter().filter_map(|(interval, output)| match output {
        Output::Fault { reason, message } => {
            Some((interval, format!("fault, {}", escape(reason.as_bytes())), message))
        }
        Output::Log { level: level @ (Severity::Warning | Severity::Critical), message } => {
            Some((interval, level.name().to_owned(), message))
        }
        _ => None,
    });
    let mut text = String::new();
    for (interval, what, message) in told.clone().take(CAUSES) {
        // A trace of calls has lines.
        let lines: Vec<_> = message.trim_end().lines().map(|line| escape(line.as_bytes())).collect();
        text.push_str(&indented(&format!("interval {interval}: {what}: {}", lines.join("\n"))));
    }
    let more = told.count().saturating_sub(CAUSES);
    if more > 0 {
        text.push_str(&format!("  … {more} more faults and warnings\n"));
    }
    text
}

/// Below the line of its test.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
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
    let (mut text, mut missing, mut new) = (String::new(), 0, 0);
    for change in difference.iter_all_changes() {
        let (sign, count) = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => ('-', &mut missing),
            ChangeTag::Insert => ('+', &mut new),
        };
        *count += 1;
        if *count > LINES {
            continue;
        }
        let line = change.value().trim_end();
        let end = line.floor_char_boundary(LINE_BYTES);
        text.push_str(&format!("  {sign} {}{}\n", &line[..end], if end < line.len() { "…" } else { "" }));
    }
    for (sign, count) in [('-', missing), ('+', new)] {
        if count > LINES {
            text.push_str(&format!("  {sign} … {} more\n", count - LINES));
        }
    }
    text
}
