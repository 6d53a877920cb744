//! What authors of plugins meet: commands, and the errors that docs/plugins.md shows.

use std::path::Path;

use crate::command::{plugins, repository, said, weir};

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
    let other = manifest.replace("\"MIT\"", "\"Apache 2\"");
    std::fs::write(folder.path().join("other.toml"), other).unwrap();
    let (_, errors, code) = run(&["plugin", "pack", "busy.wasm", "--manifest", "other.toml", "-o", "x.wasm"]);
    assert!(
        errors.starts_with("error: `license` is no SPDX expression: unknown term\n --> other.toml:4:11\n"),
        "{errors}"
    );
    assert!(errors.contains("such as \"Apache-2.0 OR MIT\"") && code == Some(78), "{errors}");
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
    let (_, errors, code) = run(&["plugin", "new", "other"]);
    assert!(code == Some(64) && errors.contains("rust|c|go|javascript|typescript|python|zig"), "{errors}");
    let (_, errors, code) = run(&["plugin", "new", "../x", "--lang", "c"]);
    assert!(code == Some(64) && errors.contains("cannot be the name of a plugin"), "{errors}");
    let (_, errors, code) = run(&["plugin", "build", "."]);
    assert!(code == Some(66) && errors.contains("weir plugin new NAME --lang LANGUAGE"), "{errors}");
}

#[test]
fn what_is_written_goes_where_it_should() {
    let folder = tempfile::tempdir().unwrap();
    component(folder.path(), "(component)");
    std::fs::write(folder.path().join("plugin.toml"), "name = \"busy\"\nversion = \"1.2.3\"\n").unwrap();
    let pack = |output: &str| {
        let pack = ["plugin", "pack", "busy.wasm", "--manifest", "plugin.toml", "-o", output];
        weir(folder.path(), &pack)
    };
    assert_eq!(said(&pack("packed.wasm")), (String::new(), String::new(), Some(0)));
    let packed = std::fs::read(folder.path().join("packed.wasm")).unwrap();
    assert_eq!(pack("/dev/stdout").stdout, packed);
    // Before a registry is asked for anything.
    std::os::unix::fs::symlink("nowhere", folder.path().join("pulled.wasm")).unwrap();
    let pull = ["plugin", "pull", "localhost:1/busy:1", "-o", "pulled.wasm"];
    let (_, errors, code) = said(&weir(folder.path(), &pull));
    assert!(code == Some(64) && errors.contains("pulled.wasm exists"), "{errors}");
}

#[test]
fn a_plugin_that_asks_for_no_tables_is_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    component(folder.path(), "(component)");
    let record = ["record", "--plugin", "busy.wasm", "-o", "x.weir"];
    let (_, errors, code) = said(&weir(folder.path(), &record));
    let told = "error: busy.wasm asks for no tables\n  \
        help: name a configuration that has some with -c, or add [tables.NAME] to its plugin.toml\n";
    assert_eq!((&*errors, code), (told, Some(78)));
}

/// As `minisign -G -W` of version 0.11 made it, which leaves the checksum out; the key of nobody.
const PASSWORDLESS: &str = "untrusted comment: minisign encrypted secret key\n\
    RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAALk1lwMAI/zeiiX3i06MINIOaPwQcPUpWWf8ov8h3CyNEAm02\
    wZmL0FDkYpEMPzKUr7mmS+3ACsPTnSUMNwyMxoeX+UYVOP5iAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
const PASSWORDLESS_PUBLIC: &str = "untrusted comment: minisign public key 37FF08C0C0654D2E\n\
    RWQuTWXAwAj/N1DkYpEMPzKUr7mmS+3ACsPTnSUMNwyMxoeX+UYVOP5i\n";

#[test]
fn a_key_of_minisigns_without_a_password_signs() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| said(&weir(folder.path(), arguments));
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::copy(plugins().join("conformance/tally-c.wasm"), folder.path().join("busy.wasm")).unwrap();
    write("k.key", PASSWORDLESS);
    write("k.pub", PASSWORDLESS_PUBLIC);
    let (_, errors, code) = run(&["plugin", "sign", "busy.wasm", "--key", "k.key", "-o", "signed.wasm"]);
    assert_eq!((&*errors, code), ("", Some(0)));
    // By the name of the key's file, too, as minisign has it.
    for key in ["k.pub", PASSWORDLESS_PUBLIC.lines().nth(1).unwrap()] {
        let (shown, errors, code) = run(&["plugin", "verify", "signed.wasm", "--key", key]);
        assert_eq!((&*errors, code), ("", Some(0)), "{key}");
        assert!(shown.contains("signed by 37FF08C0C0654D2E"), "{shown}");
    }
    let shown = run(&["plugin", "verify", "signed.wasm"]).0;
    assert!(shown.contains("signed by a key 37FF08C0C0654D2E, which is not verified"), "{shown}");
    let shown = run(&["plugin", "verify", "busy.wasm"]).0;
    assert!(shown.lines().any(|line| line == "  unsigned"), "{shown}");

    // A damaged one is not taken for one that has a password.
    let damaged = PASSWORDLESS.replace("wZmL0FDk", "wZmL0FDl");
    write("k.key", &damaged);
    let errors = run(&["plugin", "sign", "busy.wasm", "--key", "k.key"]).1;
    assert!(errors.contains("cannot be used") && !errors.contains("password"), "{errors}");
    write("k.key", "untrusted comment: x\nabc\n");
    let errors = run(&["plugin", "sign", "busy.wasm", "--key", "k.key"]).1;
    assert!(errors.contains("k.key cannot be used: it is no secret key"), "{errors}");
}

#[test]
fn what_could_not_run_is_not_verified() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| said(&weir(folder.path(), arguments));
    let with_plugin = |plugin: &str, manifest: &str| {
        let bytes = std::fs::read(plugins().join(plugin)).unwrap();
        let text = format!("name = \"busy\"\nversion = \"1.0.0\"\n{manifest}");
        std::fs::write(folder.path().join("busy.wasm"), repacked(&bytes, &text)).unwrap();
        run(&["plugin", "verify", "busy.wasm"])
    };
    let with = |manifest: &str| with_plugin("conformance/tally-rust.wasm", manifest);
    // What it has against its options, it may not have against those that it will be given.
    let objective = "[options.objective]\ntype = \"number\"\ndefault = 7\n";
    let (shown, errors, code) = with_plugin("latency-slo.wasm", objective);
    assert!(code == Some(0) && shown.contains("but its defaults, it says: "), "{shown}{errors}");
    let mode = "[options.mode]\ntype = \"text\"\ndefault = \"all\"\n";
    let (shown, errors, code) = with(mode);
    assert_eq!((&*errors, code), ("", Some(0)));
    assert!(shown.contains("its manifest is in order"), "{shown}");
    let (_, errors, code) = with(&format!("limits = {{ memory = \"1MiB\" }}\n{mode}"));
    assert!(code == Some(65) && errors.contains("configure failed: memory: "), "{errors}");
    for (table, what) in [
        ("on = \"tracpoint:x:y\"\nshow = { n = \"count()\" }", "there is no kind of probe `tracpoint`"),
        ("on = \"tracepoint:x:y\"\nshow = { n = \"cuont()\" }", "there is no measure `cuont`"),
        ("on = \"tracepoint:x:y\"\nshow = { n = \"count(\" }", "an expression is missing"),
        ("on = \"tracepoint:x:y\"\nby = { c = \"com\" }\nshow = { n = \"count()\" }", "there is no `com`"),
        (
            "on = \"tracepoint:x:y\"\nwhere = \"strr(arg0) == 1\"\nshow = { n = \"count()\" }",
            "no function `strr`",
        ),
    ] {
        let (shown, errors, code) = with(&format!("{mode}[tables.t]\n{table}\n"));
        assert!(code == Some(78) && errors.contains(what), "{table}: {shown}{errors}");
    }
    // Whether this kernel has it is another question.
    let (_, errors, code) = with(&format!(
        "{mode}[tables.t]\non = \"tracepoint:no:such\"\nby = {{ a = \"args.b\" }}\nshow = {{ n = \"sum(args.c)\" }}\n"
    ));
    assert_eq!((&*errors, code), ("", Some(0)));
}

/// A component with another manifest, whatever that says.
fn repacked(component: &[u8], manifest: &str) -> Vec<u8> {
    let (mut packed, mut rest) = (component[..8].to_vec(), &component[8..]);
    while let [id, sized @ ..] = rest {
        let (length, content) = leb128(sized);
        let end = rest.len() - content.len() + length;
        if !(*id == 0 && content[..length].windows(13).any(|name| name == b"weir:manifest")) {
            packed.extend_from_slice(&rest[..end]);
        }
        rest = &rest[end..];
    }
    let content = [b"\x0dweir:manifest", manifest.as_bytes()].concat();
    // A length in as many bytes as the longest one has.
    packed.push(0);
    packed.extend((0..5).map(|at| (content.len() >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 }));
    [packed, content].concat()
}

fn leb128(bytes: &[u8]) -> (usize, &[u8]) {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let number = bytes[..=last].iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f));
    (number, &bytes[last + 1..])
}

#[test]
fn a_plugin_is_told_its_options_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let recording = repository("plugins/demo.weir").canonicalize().unwrap();
    let plugin = |name: &str| plugins().join(name).canonicalize().unwrap().to_str().unwrap().to_owned();
    let (slo, top, errno) = (plugin("latency-slo.wasm"), plugin("top.wasm"), plugin("errno-watch.wasm"));
    let replay = |arguments: &[&str]| {
        said(&weir(folder.path(), &[&["replay", recording.to_str().unwrap()], arguments].concat()))
    };
    let (shown, errors, code) = replay(&["--plugin", &slo]);
    assert_eq!((&*errors, code), ("", Some(0)));
    assert!(shown.contains(" below 10ms"), "what it asks for when nothing is said: {shown}");
    let (shown, errors, code) =
        replay(&["--plugin", &slo, "--option", "threshold=2us", "--option", "objective=0.5"]);
    assert_eq!((&*errors, code), ("", Some(0)));
    assert!(shown.contains(" below 2us") && shown.contains("the objective is 50%"), "{shown}");
    let (shown, ..) = replay(&["--plugin", &slo, "--plugin", &top, "--option", "limit=2"]);
    assert!(shown.contains("syscalls: 2 of "), "an option is that of the plugin that has it: {shown}");
    for (arguments, code, what) in [
        (&["--plugin", &top, "--option", "limti=2"][..], 64, "did you mean `limit`?"),
        (&["--plugin", &top, "--option", "limit=two"], 64, "option `limit` is an integer, and this is `two`"),
        (&["--plugin", &top, "--option", "limit=99"], 65, "1 to 25 are possible"),
        (&["--plugin", &top, "--option", "limit"], 64, "its value"),
        (&["--option", "limit=2"], 64, "no plugin that is named here has an option `limit`"),
        (&["--plugin", &top, "--plugin", &errno, "--option", "limit=2"], 64, "both have an option `limit`"),
    ] {
        let (_, errors, found) = replay(arguments);
        assert!(found == Some(code) && errors.contains(what), "{arguments:?}: {errors}");
    }
}
