//! A plugin's project, as its author has it: built, tested, and looked at while it changes.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::command::{plugins, repository, said, weir};

/// A project in C.
fn project(folder: &Path) -> PathBuf {
    let (_, errors, code) = said(&weir(folder, &["plugin", "new", "busy", "--lang", "c"]));
    assert_eq!(code, Some(0), "{errors}");
    folder.join("busy")
}

/// One that is built already: the conformance plugin, with a test for each of these options.
fn built(folder: &Path, tests: &[(&str, &str)]) -> PathBuf {
    let busy = folder.join("busy");
    std::fs::create_dir_all(busy.join("build")).unwrap();
    std::fs::create_dir_all(busy.join("tests")).unwrap();
    let manifest = std::fs::read_to_string(repository("tests/conformance/c/plugin.toml")).unwrap();
    std::fs::write(busy.join("plugin.toml"), manifest).unwrap();
    std::fs::copy(plugins().join("conformance/tally-c.wasm"), busy.join("build/tally.wasm")).unwrap();
    for (name, options) in tests {
        copy(&repository("plugins/demo.weir"), &busy.join(format!("tests/{name}.weir")));
        std::fs::write(busy.join(format!("tests/{name}.toml")), format!("options = {{ {options} }}\n"))
            .unwrap();
    }
    busy
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn a_failing_test_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let busy =
        built(folder.path(), &[("a", "nonsense = 1"), ("b", "mode = \"trap\""), ("c", "mode = \"columns\"")]);
    let test =
        |arguments: &[&str]| said(&weir(&busy, &[&["plugin", "test", "--no-build"], arguments].concat()));
    let expected = "{\"was\":\"once\"}\n".repeat(30);
    std::fs::write(busy.join("tests/b.jsonl"), &expected).unwrap();

    // What is wrong with one keeps none of the others from being run, nor from being written down.
    let (shown, errors, code) = test(&["--update"]);
    assert_eq!(code, Some(65), "{shown}{errors}");
    assert!(shown.contains("test a … FAILED\n  there is no option `nonsense`\n"), "{shown}");
    assert!(shown.contains("  interval 0: fault, trap: "), "{shown}");
    assert!(shown.contains("test c … written\n"), "{shown}");
    assert!(errors.contains("2 of 3 tests failed"), "{errors}");
    assert_eq!(
        std::fs::read_to_string(busy.join("tests/b.jsonl")).unwrap(),
        expected,
        "a fault is nothing to expect"
    );

    let (shown, errors, _) = test(&[]);
    let before = |first: &str, second: &str| {
        let at = |what: &str| shown.find(what).unwrap_or_else(|| panic!("no {what:?} in\n{shown}"));
        assert!(at(first) < at(second), "{shown}");
    };
    // The cause, with its line of the source; then what differs, of which nothing is left out in silence.
    before("src/tally.c:", "  - {\"was\":\"once\"}");
    before("  - {\"was\":\"once\"}", "  - … 20 more");
    before("  + {", "  - … 20 more");
    assert!(shown.contains("test c … ok\n"), "{shown}");
    assert!(errors.contains("2 of 3 tests failed"), "{errors}");
}

#[test]
fn a_recording_that_is_cut_off_is_no_test() {
    let folder = tempfile::tempdir().unwrap();
    let busy = built(folder.path(), &[("a", "mode = \"columns\"")]);
    let coverage = busy.join("tests/a.weir/coverage.arrows");
    let length = coverage.metadata().unwrap().len();
    std::fs::File::options().write(true).open(&coverage).unwrap().set_len(length * 2 / 3).unwrap();
    for arguments in [&["plugin", "test", "--no-build"][..], &["plugin", "test", "--no-build", "--update"]] {
        let (shown, errors, code) = said(&weir(&busy, arguments));
        assert_eq!(code, Some(65), "{shown}{errors}");
        assert!(
            shown.contains("test a … FAILED\n") && shown.contains("a.weir ends early, after interval "),
            "{shown}"
        );
    }
    assert!(!busy.join("tests/a.jsonl").exists(), "what comes of half of it is nothing to expect");
}

#[test]
fn whatever_changes_is_built_again_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let busy = project(folder.path());
    let build = || said(&weir(&busy, &["plugin", "build"]));
    let (main, helper) = (busy.join("src/main.c"), busy.join("src/helper.c"));
    let text = std::fs::read_to_string(&main).unwrap();
    std::fs::write(&helper, "int helper(void) { return 1; }\n").unwrap();
    let begin = "bool weir_configure(void)\n{";
    let helped =
        text.replace(begin, &format!("int helper(void);\n{begin}\n\tif (!helper())\n\t\treturn false;"));
    assert_ne!(helped, text);
    std::fs::write(&main, helped).unwrap();
    let (_, errors, code) = build();
    assert!(code == Some(0) && errors.contains("built: "), "{errors}");
    assert_eq!(build(), (String::new(), String::new(), Some(0)), "it is as it was");

    // Less than there was, of which nothing is newer than what was built.
    std::fs::rename(&helper, folder.path().join("helper.c")).unwrap();
    let (_, errors, code) = build();
    assert!(code == Some(65) && errors.contains("helper"), "{errors}");
    std::fs::rename(folder.path().join("helper.c"), &helper).unwrap();
    assert_eq!(build().2, Some(0));

    // An older file in the place of a newer one.
    let old = folder.path().join("old.c");
    std::fs::write(&old, format!("{text}\nmistake\n")).unwrap();
    let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().append(true).open(&old).unwrap().set_modified(an_hour_ago).unwrap();
    std::fs::rename(&old, &main).unwrap();
    let (_, errors, code) = build();
    assert!(code == Some(65) && errors.contains("mistake"), "{errors}");
}

#[test]
fn what_is_missing_is_named_with_what_installs_it() {
    let folder = tempfile::tempdir().unwrap();
    for (language, missing, help) in [
        ("rust", "", "rustup"),
        ("c", "`clang` is not there", "install clang from version 16 on with its lld"),
        ("go", "`go` is not there", "install Go from version 1.24 on"),
        ("javascript", "`esbuild` is not there", "run `npm install` in the project"),
        ("typescript", "`jco` is not there", "run `npm install` in the project"),
        ("python", "`componentize-py` is not there", "pip install componentize-py"),
        ("zig", "`zig` is not there", "install Zig 0.17"),
    ] {
        let new = ["plugin", "new", language, "--lang", language];
        assert_eq!(said(&weir(folder.path(), &new)).2, Some(0));
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["plugin", "build", language]).current_dir(folder.path()).stdin(Stdio::null());
        let nothing = command.env_clear().env("PATH", folder.path()).output().unwrap();
        let (_, errors, code) = said(&nothing);
        assert_eq!(code, Some(69), "{language}: {errors}");
        assert!(errors.contains(missing) && errors.contains(help), "{language}: {errors}");
    }
}

#[test]
fn a_compiler_that_is_named_has_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let busy = project(folder.path());
    let build = |arguments: &[&str], compiler: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["plugin", "build"]).args(arguments).current_dir(&busy).stdin(Stdio::null());
        said(&command.env("CC", compiler).output().unwrap()).1
    };
    let errors = build(&[], "/bin/false");
    assert!(errors.contains("`/bin/false`, which CC names, is not there, or cannot do it"), "{errors}");
    assert!(errors.contains("install clang from version 16 on with its lld"), "{errors}");
    // What is done is said in a word, and on request as it is.
    std::fs::write(busy.join("src/main.c"), "mistake\n").unwrap();
    let errors = said(&weir(&busy, &["plugin", "build"])).1;
    assert!(errors.contains("failed (exit 1)") && !errors.contains("--target="), "{errors}");
    let errors = said(&weir(&busy, &["plugin", "build", "-v"])).1;
    assert!(errors.contains("--target=wasm32-unknown-unknown"), "{errors}");
}

/// `weir plugin dev`, which ends with whoever holds it.
struct Dev {
    process: Child,
    shown: Lines<BufReader<ChildStdout>>,
    said: Lines<BufReader<ChildStderr>>,
}

impl Dev {
    fn start(project: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["plugin", "dev"]).args(arguments).current_dir(project);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let shown = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, shown, said }
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

const WAITS: &str = "waiting for a change";

/// Reads lines until one has this in it; the test's patience is that of whoever runs it.
fn wait_for(lines: &mut impl Iterator<Item = std::io::Result<String>>, what: &str) {
    let mut seen = String::new();
    let found = lines.map_while(Result::ok).any(|line| {
        seen.push_str(&line);
        seen.push('\n');
        line.contains(what)
    });
    assert!(found, "there was no {what:?} in\n{seen}");
}

#[test]
fn a_change_is_built_and_shown_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let busy = project(folder.path());
    let mut dev = Dev::start(&busy, &["--fast"]);
    wait_for(&mut dev.said, WAITS);
    let source = busy.join("src/main.c");
    let text = std::fs::read_to_string(&source).unwrap();
    // A mistake is told, and what was running waits for the next change.
    std::fs::write(&source, format!("{text}\nmistake\n")).unwrap();
    wait_for(&mut dev.said, "what it says is above; -v shows the command");
    wait_for(&mut dev.said, WAITS);
    assert!(text.contains("\"top\""));
    std::fs::write(&source, text.replace("\"top\"", "\"changed\"")).unwrap();
    wait_for(&mut dev.shown, "[changed]");
    wait_for(&mut dev.said, WAITS);

    // So is one in the manifest, of which there is none while an editor puts another in its place.
    let manifest = busy.join("plugin.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("nmae = \"x\"\n{text}")).unwrap();
    wait_for(&mut dev.said, "unknown key `nmae`");
    wait_for(&mut dev.said, WAITS);
    std::fs::remove_file(&manifest).unwrap();
    wait_for(&mut dev.said, "it has no plugin.toml");
    wait_for(&mut dev.said, WAITS);
    std::fs::write(&manifest, &text).unwrap();
    wait_for(&mut dev.shown, "[changed]");
    wait_for(&mut dev.said, WAITS);

    // The options of the test that is shown are part of it.
    std::fs::write(busy.join("tests/first.toml"), "options = { limit = 0 }\n").unwrap();
    wait_for(&mut dev.said, "1 to 100 are possible");
    wait_for(&mut dev.said, WAITS);
    std::fs::write(busy.join("tests/first.toml"), "options = { limit = 1 }\n").unwrap();
    wait_for(&mut dev.said, WAITS);
    // And so is the recording.
    let coverage = busy.join("tests/first.weir/coverage.arrows");
    let length = coverage.metadata().unwrap().len();
    std::fs::File::options().write(true).open(&coverage).unwrap().set_len(length * 2 / 3).unwrap();
    wait_for(&mut dev.said, "first.weir ends early, after interval ");
    wait_for(&mut dev.said, WAITS);
    dev.stop();
}

#[test]
fn intervals_take_their_time_and_options_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let busy = project(folder.path());
    let (_, errors, code) = said(&weir(&busy, &["plugin", "build"]));
    assert_eq!(code, Some(0), "{errors}");
    let began = Instant::now();
    let mut dev = Dev::start(&busy, &["--option", "limit=1"]);
    let mut shown = Vec::new();
    for line in dev.shown.by_ref().map_while(Result::ok) {
        let ends = line.contains("events counted in");
        shown.push(line);
        if ends {
            break;
        }
    }
    let (took, shown) = (began.elapsed(), shown.join("\n"));
    assert!(shown.contains(" 1: ") && !shown.contains(" 2: "), "more than one key: {shown}");
    assert!(took >= Duration::from_secs(3), "{took:?} for\n{shown}");
    dev.stop();
    assert!(
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["plugin", "dev"])
            .current_dir(folder.path())
            .status()
            .unwrap()
            .code()
            == Some(66),
        "a folder that is no project is a mistake"
    );
}
