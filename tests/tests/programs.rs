//! Probes in programs, for those who ask a daemon: the client opens the program, the policy grants its path, the scope
//! holds, and another daemon finds it again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::Value;
use weir_tests::daemon::{Daemon, account, job};
use weir_tests::traced::{program, weir_traced_start};
use weir_tests::{emulated, not_run};

const A: u32 = 64_041;
const B: u32 = 64_042;

/// What one who may have probes in a program may have, and another who may not.
fn policy(program: &str) -> String {
    let limits = "limits = { tables = 3, plugins = 4, rows = 40000, interval = \"1s\", kernel = \"100% cpu\", churn = 1000, \
                  memory = \"300MiB\", deadline = \"5s\", cpu = \"100% cpu\", series = 100, output = \"1MiB\", \
                  disk = \"10MiB\" }";
    format!(
        "[tenants.a]\nusers = [\"{A}\"]\nscope = \"user\"\nunsigned = true\n\
         probes = [\"uprobe:{program}:weir_*\", \"usdt:{program}:weir:*\", \"uprobe:/etc/*\", \"uprobe:*/secret:*\"]\n\
         fields = [\"arg*\", \"pid\"]\n{limits}\n\
         [tenants.b]\nusers = [\"{B}\"]\nscope = \"user\"\nunsigned = true\nprobes = [\"uprobe:/usr/*\"]\n\
         fields = [\"arg*\", \"pid\"]\n{limits}\n"
    )
}

fn table(on: &str) -> String {
    let slow = if emulated() { "limits = { deadline = \"5s\" }\n" } else { "" };
    format!(
        "[tables.t]\non = \"{on}\"\nby = {{ key = \"arg0\" }}\nshow = {{ n = \"count()\" }}\n\
         [plugins.top]\ncomponent = \"top.wasm\"\n{slow}"
    )
}

/// Whether a daemon, which has not every privilege, can attach to programs on this kernel.
fn can_attach(since: (u32, u32)) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("it is Linux");
    let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < since {
        not_run("a daemon's probes in programs", "this kernel takes more for them than a daemon keeps");
    }
    version >= since
}

/// A daemon, and a program in which a user may have probes.
fn start() -> (Daemon, String) {
    let mut daemon = Daemon::start(None, &policy("/nothing"));
    let program = copy(&daemon);
    daemon.write("policy.toml", &policy(&program));
    daemon.kill_and_start_again();
    (daemon, program)
}

/// Another copy of this program, which anybody can run and nobody runs yet.
fn copy(daemon: &Daemon) -> String {
    let path = daemon.path("program");
    fs::copy(program(), &path).expect("it is copied");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path.into_os_string().into_string().expect("a plain path")
}

/// Has the copy call its functions as a user.
fn run(program: &str, uid: u32) {
    let mut command = Command::new(program);
    command.args(["--exact", "called_by_another_process"]).env("WEIR_TEST_CALLS", "").current_dir("/");
    assert!(command.uid(uid).gid(uid).output().expect("it runs").status.success());
}

#[test]
fn called_by_another_process() {
    if std::env::var_os("WEIR_TEST_CALLS").is_some() {
        (0..30).for_each(|key| weir_traced_start(key % 3, 0));
        probes();
    }
}

/// Passes the program's own probe.
fn probes() {
    #[cfg(target_arch = "x86_64")]
    (0..7).for_each(|number| weir_tests::traced::x86_64::probe(number % 2, 0, 0));
}

fn events(status: &Value) -> u64 {
    let job = job(status, "a", "job").expect("the job is there");
    account(job, "table", "t").expect("the table is there")["events"].as_u64().expect("a number")
}

fn wait_for_events(daemon: &Daemon, number: u64) {
    let status = daemon.wait_for("events are counted", |status| events(status) >= number);
    assert_eq!(events(&status), number);
}

fn stderr(daemon: &Daemon, uid: u32, arguments: &[&str]) -> (Option<i32>, String) {
    let output = daemon.weir(uid, arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_user_counts_what_its_own_processes_do_in_a_program_that_it_may_read() {
    let Some(top) = weir_tests::plugin("top") else {
        return not_run("a daemon's plugin top", "no plugins were built for this kernel");
    };
    if !can_attach((6, 6)) {
        return;
    }
    let (mut daemon, program) = start();
    let config = daemon.write("tables.toml", &table(&format!("uprobe:{program}:weir_traced_start")));
    daemon.start_job(A, &top, &config, "job");
    for uid in [A, B, 0, A] {
        run(&program, uid);
    }
    wait_for_events(&daemon, 60);

    // Another daemon finds it again, for it is as it was.
    daemon.wait_for("it is kept", |_| daemon.path("state/jobs/a.job/.job").exists());
    daemon.kill_and_start_again();
    daemon.wait_for("the job is there again", |status| {
        job(status, "a", "job").is_some_and(|job| job["plugins"][0]["state"] == "running")
    });
    let before = events(&daemon.status(0));
    [A, B].into_iter().for_each(|uid| run(&program, uid));
    wait_for_events(&daemon, before + 30);

    // Another build at the same path is another program: a job that is started again counts what that does.
    fs::remove_file(&program).expect("it is there");
    copy(&daemon);
    run(&program, A);
    daemon.start_job(A, &top, &config, "job");
    run(&program, A);
    wait_for_events(&daemon, 30);
    daemon.wait_for("it is kept", |_| daemon.path("state/jobs/a.job/.job").exists());
    daemon.kill();
    fs::remove_file(&program).expect("it is there");
    copy(&daemon);
    daemon.start_again();
    let status = daemon.wait_for("it is told of", |status| {
        job(status, "a", "job").is_some_and(|job| job["not_restored"].is_string())
    });
    let why = job(&status, "a", "job").expect("it is there")["not_restored"].to_string();
    assert!(why.contains("is not the file any more that it was"), "{why}");
    daemon.stop();
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_user_is_shown_what_a_program_says_of_its_own_probes() {
    // A command is one process.
    if !can_attach((6, 12)) {
        return;
    }
    let (daemon, program) = start();
    let on = format!("usdt:{program}:weir:called");
    // The command is the client's, and runs as its user.
    let workload = format!("{program} --exact called_by_another_process");
    let watch = ["watch", &on, "--by", "arg0", "--format", "json", "-c", &workload];
    let output = daemon.command(A, &watch).env("WEIR_TEST_CALLS", "").output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8_lossy(&output.stdout);
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let rows: Vec<Value> =
        lines.flat_map(|line| line["rows"].as_array().cloned().unwrap_or_default()).collect();
    let count = |key: u64| -> u64 {
        let of_key = rows.iter().filter(|row| row["key"]["arg0"] == key);
        of_key.filter_map(|row| row["values"]["count"].as_u64()).sum()
    };
    assert_eq!((count(0), count(1)), (4, 3), "{rows:?}");
    daemon.stop();
}

#[test]
fn what_a_user_may_not_have_of_a_program_is_refused() {
    let (daemon, program) = start();
    let ask = |uid, on: &str| {
        stderr(&daemon, uid, &["watch", on, "--by", "arg0", "--duration", "1s", "--format", "json"])
    };

    // It may not read that itself, whatever its policy grants.
    let secret = daemon.path("secret");
    fs::write(&secret, "").expect("it is written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let (code, error) = ask(A, &format!("uprobe:{}:main", secret.display()));
    assert!(code == Some(77) && error.contains("/secret: Permission denied"), "{error}");
    // Nor may it have what it can read.
    let (code, error) = ask(B, &format!("uprobe:{program}:weir_traced_start"));
    assert!(code == Some(77) && error.contains("\n  probe: "), "{error}");
    let line = daemon.audit().pop().expect("a line for each refusal");
    assert_eq!((line["tenant"].as_str(), line["result"][0].as_str()), (Some("b"), Some("probe")));
    // A link is not another path for what it leads to.
    let link = daemon.path("link");
    std::os::unix::fs::symlink(&program, &link).expect("it is made");
    let (code, error) = ask(A, &format!("uprobe:{}:weir_traced_start", link.display()));
    assert!(code == Some(0) || !can_attach((6, 6)), "{error}");
    let (code, error) = ask(B, &format!("uprobe:{}:weir_traced_start", link.display()));
    assert!(code == Some(77) && error.contains(&format!("uprobe:{program}:")), "{error}");
    // What is no program, and what is none for probes.
    for (on, why) in [
        ("uprobe:/etc/passwd:main".to_owned(), "it is not an ELF file"),
        ("uprobe:/nothing/here:main".to_owned(), "there is no file"),
        ("uprobe:/dev:main".to_owned(), "there is no file"),
        (format!("uprobe:{program}:weir_traced_strat"), "did you mean `weir_traced_start`"),
        (format!("usdt:{program}:weir:colled"), "has no probe"),
    ] {
        let (code, error) = ask(A, &on);
        assert!(code.is_some_and(|code| code > 0) && error.contains(why), "{on}: {error}");
    }
    daemon.stop();
}
