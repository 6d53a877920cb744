//! What authors of plugins meet: commands, and the errors that docs/plugins.md shows.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::command::{plugins, repository, said};

fn weir(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

/// The guide shows this, line for line.
fn assert_shown(said: &str) {
    let guide = std::fs::read_to_string(repository("docs/plugins.md")).unwrap();
    assert!(guide.contains(said.trim()), "docs/plugins.md does not show\n{said}");
}

/// A component of this text, called `busy.wasm`.
fn component(folder: &Path, text: &str) {
    std::fs::write(folder.join("busy.wasm"), wat::parse_str(text).unwrap()).unwrap();
}

#[test]
fn another_version_of_the_interface() {
    let folder = tempfile::tempdir().unwrap();
    component(folder.path(), r#"(component (import "weir:plugin/tables@0.2.0" (instance)))"#);
    let (_, errors, code) = said(&weir(folder.path(), &["plugin", "verify", "busy.wasm"]));
    assert_eq!(code, Some(65), "{errors}");
    assert_shown(&errors);
}

#[test]
fn an_export_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    component(folder.path(), "(component)");
    let (_, errors, code) = said(&weir(folder.path(), &["plugin", "verify", "busy.wasm"]));
    assert_eq!(code, Some(65), "{errors}");
    assert_shown(&errors);
}

/// The first fault of the conformance plugin in C, which does wrong what it is told to.
fn fault(mode: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let component = plugins().join("conformance/tally-c.wasm").canonicalize().unwrap();
    let config = format!(
        "[plugins.busy]\ncomponent = {:?}\noptions = {{ mode = \"{mode}\" }}\n",
        component.display().to_string()
    );
    std::fs::write(folder.path().join("weir.toml"), config).unwrap();
    let recording = repository("plugins/demo.weir").canonicalize().unwrap();
    let arguments = ["replay", recording.to_str().unwrap(), "-c", "weir.toml", "--format", "json"];
    let (lines, errors, _) = said(&weir(folder.path(), &arguments));
    let fault = lines.lines().find(|line| line.contains(r#""type":"fault""#));
    fault.unwrap_or_else(|| panic!("no fault: {lines}{errors}")).to_owned()
}

#[test]
fn a_trap_has_the_line_of_the_source() {
    let fault = fault("trap");
    assert!(fault.contains("src/tally.c:"), "{fault}");
    assert_shown(&fault);
}

#[test]
fn a_loop_that_does_not_end() {
    let fault = fault("loop");
    assert!(fault.contains(r#""reason":"deadline""#), "{fault}");
    assert_shown(&fault);
}

#[test]
fn more_memory_than_it_has() {
    let fault = fault("memory");
    assert!(fault.contains(r#""reason":"memory""#), "{fault}");
    assert_shown(&fault);
}

/// From an empty folder to a shipped file: everything but the compiler.
#[test]
fn a_manifest_is_packed_looked_at_and_signed() {
    let folder = tempfile::tempdir().unwrap();
    component(folder.path(), "(component)");
    let manifest = "name = \"busy\"\nversion = \"1.2.3\"\ndescription = \"Who is\\u0020busy\"\nlicense = \"MIT\"\n\
        [tables.opens]\non = \"tracepoint:syscalls:sys_enter_openat\"\nby = { comm = \"comm\" }\nshow = { calls = \"count()\" }\n\
        [options.calls]\ntype = \"integer\"\ndefault = 1000\nhelp = \"From how many on\"\n";
    std::fs::write(folder.path().join("plugin.toml"), manifest).unwrap();
    let run = |arguments: &[&str]| said(&weir(folder.path(), arguments));
    let pack = ["plugin", "pack", "busy.wasm", "--manifest", "plugin.toml", "-o", "busy.wasm"];
    assert_eq!(run(&pack), (String::new(), String::new(), Some(0)));
    let (shown, errors, _) = run(&["plugin", "inspect", "busy.wasm"]);
    assert_eq!(errors, "");
    for line in [
        "busy 1.2.3  (MIT)",
        "Who is busy",
        "signed    no",
        "limits    64MiB of memory, 100ms of processor time a call",
        "table     opens",
        "            on = \"tracepoint:syscalls:sys_enter_openat\"",
        "            by = { comm = \"comm\" }",
        "option    calls: integer, default 1000; From how many on",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} in\n{shown}");
    }
    let (shown, ..) = run(&["plugin", "inspect", "busy.wasm", "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["manifest"]["options"][0]["default"], 1000);
    assert_eq!(shown["manifest"]["tables"][0]["as_written"]["show"], "{ calls = \"count()\" }");

    let key = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    std::fs::write(folder.path().join("secret.key"), key.sk.to_box(None).unwrap().to_string()).unwrap();
    let public = key.pk.to_box().unwrap().to_string();
    let public = public.lines().nth(1).unwrap();
    let (signed, errors, _) =
        run(&["plugin", "sign", "busy.wasm", "--key", "secret.key", "-o", "signed.wasm"]);
    assert!(errors.is_empty() && signed.starts_with("signed.wasm is signed by the key "), "{signed}{errors}");
    let (shown, ..) = run(&["plugin", "inspect", "signed.wasm"]);
    assert!(shown.contains("signed    by a key "), "{shown}");
    // Signatures come first; that it exports nothing is found after them.
    let verify = |plugin: &str| run(&["plugin", "verify", plugin, "--key", public]).1;
    assert!(verify("busy.wasm").contains("unsigned: it has no signature"), "{}", verify("busy.wasm"));
    assert!(
        verify("signed.wasm").contains("does not export weir:plugin/analysis"),
        "{}",
        verify("signed.wasm")
    );
    let (_, errors, code) =
        run(&["plugin", "pack", "signed.wasm", "--manifest", "plugin.toml", "-o", "x.wasm"]);
    assert!(code == Some(65) && errors.contains("pack it first, then sign it"), "{errors}");
}

#[test]
fn a_project_is_made_once_and_by_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| said(&weir(folder.path(), arguments));
    for language in ["rust", "c", "go", "javascript", "typescript", "python", "zig"] {
        let name = format!("my-{language}");
        let (made, errors, code) = run(&["plugin", "new", &name, "--lang", language]);
        assert_eq!((code, errors.contains("README.md")), (Some(0), true), "{errors}");
        assert!(made.contains("weir plugin test"), "{made}");
        let manifest = std::fs::read_to_string(folder.path().join(&name).join("plugin.toml")).unwrap();
        assert!(manifest.contains(&format!("\"{name}\"")) && !manifest.contains("{{"), "{manifest}");
        assert!(folder.path().join(&name).join("tests/first.weir/weir.json").exists());
        assert!(folder.path().join(&name).join("build/wit/weir.wit").exists());
    }
    let (_, errors, code) = run(&["plugin", "new", "my-c", "--lang", "c"]);
    assert!(code == Some(64) && errors.contains("my-c exists"), "{errors}");
    let (_, errors, code) = run(&["plugin", "new", "../x", "--lang", "c"]);
    assert!(code == Some(64) && errors.contains("cannot be the name of a plugin"), "{errors}");
    let (_, errors, code) = run(&["plugin", "build", "."]);
    assert!(code == Some(66) && errors.contains("weir plugin new NAME --lang LANGUAGE"), "{errors}");
}

/// Ends with whoever holds it.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

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
    use std::io::BufRead;

    let folder = tempfile::tempdir().unwrap();
    let (_, errors, code) = said(&weir(folder.path(), &["plugin", "new", "busy", "--lang", "c"]));
    assert_eq!(code, Some(0), "{errors}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["plugin", "dev", "--fast"]).current_dir(folder.path().join("busy"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut dev = Running(command.spawn().unwrap());
    let mut shown = std::io::BufReader::new(dev.0.stdout.take().unwrap()).lines();
    let mut said = std::io::BufReader::new(dev.0.stderr.take().unwrap()).lines();
    wait_for(&mut said, "waiting for a change");
    let source = folder.path().join("busy/src/main.c");
    let text = std::fs::read_to_string(&source).unwrap();
    // A mistake is told, and what was running waits for the next change.
    std::fs::write(&source, format!("{text}\nmistake\n")).unwrap();
    wait_for(&mut said, "what it says is above");
    wait_for(&mut said, "waiting for a change");
    assert!(text.contains("\"top\""));
    std::fs::write(&source, text.replace("\"top\"", "\"changed\"")).unwrap();
    wait_for(&mut shown, "[changed]");
    wait_for(&mut said, "waiting for a change");
    let pid = rustix::process::Pid::from_child(&dev.0);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(dev.0.wait().unwrap().success());
}
