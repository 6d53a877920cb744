//! Policies as they are written, right and wrong, and who is of which tenant.

use std::time::Duration;

use super::{grant, policy};
use crate::error::Kind;
use crate::policy::{Peer, Quota, Scope};

fn peer(uid: u32, gids: &[u32], cgroup: Option<&str>) -> Peer {
    Peer { pid: 1, uid, gids: gids.to_vec(), cgroup: cgroup.map(str::to_owned) }
}

#[test]
fn everything_that_can_be_said() {
    let grant = grant(
        r#"
        scope = "cgroup"
        probes = ["tracepoint:syscalls:*"]
        fields = ["comm", "args.*"]
        unsigned = true
        versions = true
        keys = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"]
        digests = ["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
        [tenants.t.limits]
        tables = 1
        plugins = 2
        rows = 3
        interval = "4s"
        rate = 5
        events = 6
        kernel = "0.07%"
        churn = 8
        memory = "9MiB"
        deadline = "10ms"
        cpu = "11% cpu"
        series = 12
        output = "13KiB"
        disk = "14GiB"
        "#,
    );
    assert_eq!(grant.scope, Scope::Cgroup);
    assert!(grant.trust.unsigned && grant.trust.no_older);
    assert_eq!((grant.trust.digests.len(), grant.trust.keys.len()), (1, 1));
    assert_eq!(
        (grant.probes.to_string(), grant.fields.to_string()),
        ("tracepoint:syscalls:*".to_owned(), "comm, args.*".to_owned())
    );
    assert!(grant.fields.fit("args.ret") && !grant.fields.fit("start.ret") && !grant.fields.fit("comm2"));
    let limits = Quota {
        tables: 1,
        plugins: 2,
        rows: 3,
        interval: Some(Duration::from_secs(4)),
        rate: 5,
        events: Some(6),
        kernel: 700,
        churn: 8,
        memory: 9 << 20,
        deadline: Duration::from_millis(10),
        cpu: 110_000,
        series: 12,
        output: 13 << 10,
        disk: 14 << 30,
    };
    assert_eq!(grant.limits, limits);
}

#[test]
fn whatever_is_left_out_is_nothing() {
    let grant = grant("scope = \"user\"");
    assert_eq!(grant.limits, Quota::default());
    assert!(
        !grant.trust.unsigned
            && grant.trust.keys.len() == 0
            && !grant.probes.fit("")
            && !grant.fields.fit("pid")
    );
}

#[test]
fn the_first_tenant_that_names_somebody_is_theirs() {
    let policy = policy(
        r#"
        [tenants.second-by-name]
        users = ["5", "root"]
        scope = "user"
        [tenants.groups]
        groups = ["7"]
        scope = "user"
        [tenants.first-by-name]
        users = ["5", "6"]
        cgroups = ["/user.slice/", "/a"]
        scope = "user"
        [tenants.all]
        cgroups = ["/"]
        scope = "user"
        "#,
    )
    .unwrap();
    let of = |peer: Peer| policy.tenant(&peer).map(|tenant| tenant.name.to_string());
    let is = |peer, name: &str| assert_eq!(of(peer).as_deref(), Some(name));
    is(peer(5, &[7], None), "second-by-name");
    is(peer(0, &[], None), "second-by-name");
    is(peer(6, &[1, 7], None), "groups");
    is(peer(6, &[1], Some("/b")), "first-by-name");
    is(peer(9, &[], Some("/user.slice")), "first-by-name");
    is(peer(9, &[], Some("/user.slice/user-9.slice")), "first-by-name");
    is(peer(9, &[], Some("/a/b")), "first-by-name");
    is(peer(9, &[], Some("/ab")), "all");
    is(peer(9, &[], Some("/")), "all");
    for nobody in [
        peer(9, &[], None),
        peer(9, &[], Some("/../a")),
        peer(9, &[], Some("/a/../../b")),
        peer(9, &[], Some("")),
    ] {
        assert_eq!(of(nobody), None);
    }
    let names: Vec<_> = policy.tenants().map(|tenant| &*tenant.name).collect();
    assert_eq!(names, ["second-by-name", "groups", "first-by-name", "all"]);
}

#[track_caller]
fn refused(text: &str, shown: &str) {
    let error = policy(text).expect_err("this should be refused");
    assert_eq!(error.kind, Kind::Config);
    assert_eq!(error.to_string(), shown.trim_start_matches('\n'), "\n{error}\n");
}

#[test]
fn what_is_wrong_has_its_place() {
    refused(
        "",
        "etc/policy.toml: there are no tenants\n  help: add one: [tenants.NAME] with `users`, `scope`, and what they may have",
    );
    refused(
        "[tenant.a]",
        r"
unknown key `tenant`
 --> etc/policy.toml:1:2
  |
1 | [tenant.a]
  |  ^^^^^^
  help: did you mean `tenants`?",
    );
    refused(
        "[tenants.a]\nscope = \"user\"",
        r"
tenant `a` is nobody
 --> etc/policy.toml:1:10
  |
1 | [tenants.a]
  |          ^
  help: name its `users`, `groups` or `cgroups`",
    );
    refused(
        "[tenants.a]\nusers = [\"1\"]",
        r#"
tenant `a` has no scope
 --> etc/policy.toml:1:10
  |
1 | [tenants.a]
  |          ^
  help: say whose events it may see: scope = "user", "cgroup" or "all""#,
    );
    refused(
        "[tenants.a]\nusers = [\"1\"]\nscope = \"users\"",
        r#"
there is no scope `users`
 --> etc/policy.toml:3:9
  |
3 | scope = "users"
  |         ^^^^^^^
  help: did you mean `user`?"#,
    );
    refused(
        "[tenants.a]\nusers = [\"1\", \"no such user\"]\nscope = \"user\"",
        r#"
this machine has no user `no such user`
 --> etc/policy.toml:2:15
  |
2 | users = ["1", "no such user"]
  |               ^^^^^^^^^^^^^^
  help: a user is a name or a number"#,
    );
    refused(
        "[tenants.a]\ngroups = [\"4294967295\"]\nscope = \"user\"",
        r#"
no group has this number
 --> etc/policy.toml:2:11
  |
2 | groups = ["4294967295"]
  |           ^^^^^^^^^^^^"#,
    );
    refused(
        "[tenants.a]\ncgroups = [\"user.slice\"]\nscope = \"user\"",
        r#"
this is no path of a control group
 --> etc/policy.toml:2:12
  |
2 | cgroups = ["user.slice"]
  |            ^^^^^^^^^^^^
  help: write it from the root of all groups, as in /proc/PID/cgroup: "/user.slice""#,
    );
    refused(
        "[tenants.a]\nusers = [\"1\"]\nscope = \"user\"\nlimits = { kernel = \"200%\" }",
        r#"
`kernel` must be from 0.01% to 100% of a CPU
 --> etc/policy.toml:4:21
  |
4 | limits = { kernel = "200%" }
  |                     ^^^^^^
  help: write what programs in the kernel may take of one CPU: kernel = "1% cpu""#,
    );
    refused(
        "[tenants.a]\nusers = [\"1\"]\nscope = \"user\"\nlimits = { tabels = 1 }",
        r#"
unknown key `tabels`
 --> etc/policy.toml:4:12
  |
4 | limits = { tabels = 1 }
  |            ^^^^^^
  help: did you mean `tables`?"#,
    );
    let long = "x".repeat(128);
    let error = policy(&format!("[tenants.a]\nusers = [\"1\"]\nscope = \"user\"\nprobes = [\"{long}\"]"))
        .unwrap_err();
    assert_eq!(error.message, "a pattern has at most 127 bytes");
}
