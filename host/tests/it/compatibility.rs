//! What was built against an older version of the interface runs on this one, and says what it said.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{repository, said};

/// What a component makes of a recording, as `plugin test` compares it: without what a whole run has beside it.
fn says(component: &Path, recording: &Path) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["replay", "--format", "json"]).arg(recording).arg("--plugin").arg(component);
    let (lines, errors, code) = said(&command.stdin(Stdio::null()).output().unwrap());
    assert_eq!((&*errors, code), ("", Some(0)), "{}", component.display());
    let plugin = format!(",\"plugin\":{:?}", component.file_stem().unwrap().to_str().unwrap());
    let of_plugin = lines.lines().filter(|line| line.contains(&plugin));
    of_plugin.map(|line| line.replacen("\"schema\":1,", "", 1).replacen(&plugin, "", 1)).collect()
}

#[test]
fn what_was_built_before_runs_as_it_did() {
    let folder = repository("tests/compatibility");
    let first = fs::read_to_string(repository("plugin-sdk/first.jsonl")).unwrap();
    let mut components: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    components.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    assert!(components.len() >= 5, "{components:?}");
    for component in components {
        let expected = component.with_extension("jsonl");
        let expected =
            fs::read_to_string(&expected).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
        assert!(expected.lines().count() >= 12, "{} says nothing", component.display());
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            says(&component, &folder.join("hostile.weir")),
            lines(&expected),
            "{}",
            component.display()
        );
        // What a new project makes of its recording, whatever it is written in.
        if component.file_name().unwrap().to_str().unwrap().starts_with("first-") {
            let demo = repository("plugins/demo.weir");
            assert_eq!(says(&component, &demo), lines(&first), "{}", component.display());
        }
    }
}
