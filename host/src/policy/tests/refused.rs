//! What a tenant is told of each thing that is too much.

use std::time::Duration;

use super::{config, grant};
use crate::policy::{Code, Grant, PluginRequest, Request, Scope, Usage};

const CODES: [Code; 17] = [
    Code::Probe,
    Code::Context,
    Code::Field,
    Code::Scope,
    Code::Interval,
    Code::Rate,
    Code::Tables,
    Code::Rows,
    Code::Kernel,
    Code::Churn,
    Code::Plugins,
    Code::Memory,
    Code::Deadline,
    Code::Series,
    Code::Output,
    Code::Cpu,
    Code::Disk,
];

/// Enough of everything for two tables and two plugins.
fn plenty(lines: &str) -> Grant {
    grant(&format!(
        r#"
        probes = ["*"]
        fields = ["*"]
        {lines}
        limits = {{ tables = 2, rows = 200, plugins = 2, series = 10, interval = "1s", rate = 99, events = 1000, memory = "128MiB", deadline = "100ms", cpu = "50% cpu", output = "1MiB", kernel = "2% cpu", churn = 4, disk = "1GiB" }}
        "#
    ))
}

#[track_caller]
fn refusals(grant: &Grant, text: &str, used: Usage) -> Vec<String> {
    let config = config(text);
    grant.check(&Request::of(&config), &used).iter().map(ToString::to_string).collect()
}

/// What of one table is refused, without limits that it could meet.
#[track_caller]
fn of_table(grant: &Grant, lines: &str) -> Vec<String> {
    refusals(grant, &format!("[tables.t]\n{lines}"), Usage::default())
}

const READS: &str = "on = \"t:syscalls:sys_exit_read\"\nkeys = 10\n";

#[test]
fn attach_points() {
    let mut grant = plenty("scope = \"all\"");
    grant.probes = Default::default();
    assert!(grant.probes.add("tracepoint:syscalls:*_read"));
    let show = "show = { n = \"count()\" }";
    assert_eq!(
        of_table(
            &grant,
            &format!("from = \"t:syscalls:sys_enter_read\"\nto = \"t:syscalls:sys_exit_read\"\n{show}")
        ),
        [""; 0]
    );
    assert_eq!(
        of_table(
            &grant,
            &format!(
                "from = \"t:raw_syscalls:sys_enter\"\nto = [\"t:syscalls:sys_exit_*\", \"rt:sys_exit\"]\n{show}"
            )
        ),
        [
            "probe: table `t`: tracepoint:syscalls:sys_exit_openat",
            "probe: table `t`: rawtracepoint:sys_exit",
            "probe: table `t`: tracepoint:raw_syscalls:sys_enter",
        ]
    );
}

#[test]
fn contexts() {
    let show = "show = { n = \"count()\" }";
    let on = |probe: &str| format!("on = \"{probe}\"\n{show}");
    for scope in ["user", "cgroup"] {
        let grant = plenty(&format!("scope = \"{scope}\""));
        for fine in ["t:syscalls:sys_exit_read", "t:raw_syscalls:sys_enter", "rt:sys_exit", "tp_btf:sys_exit"]
        {
            assert_eq!(of_table(&grant, &on(fine)), [""; 0], "{fine}");
        }
        for (probe, name) in [
            ("t:sched:sched_switch", "tracepoint:sched:sched_switch"),
            ("rt:bare", "rawtracepoint:bare"),
            ("tp_btf:bare", "tp_btf:bare"),
            ("profile:hz:99", "profile:hz:99"),
            ("interval:s:1", "interval:s:1"),
            ("software:page-faults:1000", "software:page-faults:1000"),
        ] {
            let message = format!("context: table `t`: {name} can be in the context of another task");
            assert_eq!(of_table(&grant, &on(probe)), [message]);
        }
    }
    assert_eq!(of_table(&plenty("scope = \"all\""), &on("t:sched:sched_switch")), [""; 0]);
}

#[test]
fn fields() {
    let mut grant = plenty("scope = \"user\"");
    grant.fields = Default::default();
    assert!(grant.fields.add("args.ret") && grant.fields.add("comm"));
    let table = "by = { comm = \"comm\" }\nwhere = \"args.ret > 0\"\nshow = { n = \"sum(args.ret) if args.ret > 1\" }";
    assert_eq!(of_table(&grant, &format!("{READS}{table}")), [""; 0]);
    let table =
        "by = { pid = \"pid\" }\nwhere = \"tid > 0\"\nshow = { n = \"sum(args.ret + uid) if cpu > 1\" }";
    assert_eq!(
        of_table(&grant, &format!("{READS}{table}")),
        ["field: table `t`: cpu", "field: table `t`: pid", "field: table `t`: tid", "field: table `t`: uid"]
    );
    let table = "from = \"t:syscalls:sys_enter_read\"\nto = \"t:syscalls:sys_exit_read\"\npair = \"gid\"\n\
                 where = \"start.fd > 2\"\nshow = { n = \"hist(elapsed)\" }";
    assert_eq!(
        of_table(&grant, table),
        ["field: table `t`: elapsed", "field: table `t`: gid", "field: table `t`: start.fd"]
    );
}

#[test]
fn what_a_scope_leaves_out_whatever_is_granted() {
    let all = plenty("scope = \"all\"");
    for (on, by, what) in [
        ("t:syscalls:sys_exit_read", "kstack", "kstack is not in the scope `user`"),
        ("t:syscalls:sys_exit_read", "ustack", "ustack is not in the scope `user`"),
        ("t:syscalls:sys_exit_read", "cgroup_path", "cgroup_path is not in the scope `user`"),
        ("t:syscalls:sys_exit_read", "container", "container is not in the scope `user`"),
        ("t:syscalls:sys_exit_read", "str(args.ret)", "it can read the kernel's memory"),
        ("tp_btf:sys_exit", "args.regs.r15", "it can read the kernel's memory"),
        ("rt:sys_exit", "args.regs.r15", "it can read the kernel's memory"),
        ("tp_btf:sys_exit", "args.regs > 5", "address is not in the scope `user`"),
        ("tp_btf:sys_exit", "args.regs == 5", "address is not in the scope `user`"),
        ("rt:sys_exit", "5 <= args.regs", "address is not in the scope `user`"),
    ] {
        let table =
            format!("on = \"{on}\"\nkeys = 10\nby = {{ k = \"{by}\" }}\nshow = {{ n = \"count()\" }}");
        assert_eq!(of_table(&all, &table), [""; 0], "{by}");
        assert_eq!(of_table(&plenty("scope = \"user\""), &table), [format!("field: table `t`: {what}")]);
    }
    // What a system call is given is the caller's own.
    let table = "on = \"t:syscalls:sys_enter_openat\"\nkeys = 10\nby = { k = \"str(args.filename)\" }\nshow = { n = \"count()\" }";
    assert_eq!(of_table(&plenty("scope = \"user\""), table), [""; 0]);
    let table = "on = \"tp_btf:sys_exit\"\nkeys = 10\nby = { k = \"ppid\" }\nshow = { n = \"min(curtask.tgid) if !args.regs\" }";
    assert_eq!(
        of_table(&plenty("scope = \"cgroup\""), table),
        [
            "field: table `t`: curtask.tgid is not in the scope `cgroup`",
            "field: table `t`: ppid is not in the scope `cgroup`",
            "field: table `t`: it can read the kernel's memory",
        ]
    );
    // Numbers that addresses are, and memory at any of them, have names of their own.
    let mut some = all;
    some.fields = Default::default();
    assert!(some.fields.add("args.*"));
    let table = |filter: &str| {
        format!("on = \"tp_btf:sys_exit\"\nwhere = \"{filter}\"\nshow = {{ n = \"count()\" }}")
    };
    assert_eq!(of_table(&some, &table("args.regs != 0 && args.regs == args.regs")), [""; 0]);
    assert_eq!(of_table(&some, &table("args.regs < 7")), ["field: table `t`: address"]);
    assert_eq!(of_table(&some, &table("str(args.ret) == 'a'")), ["field: table `t`: str"]);
    assert_eq!(
        of_table(&some, &table("((struct task_struct *)args.ret).tgid == 1")),
        ["field: table `t`: struct task_struct"]
    );
}

#[test]
fn scopes() {
    let config =
        config(&format!("[tables.t]\n{}show = {{ n = \"count()\" }}", READS.replace("keys = 10\n", "")));
    for (granted, asked, message) in [
        ("user", Scope::User, ""),
        ("user", Scope::All, "scope: `all`, and granted: `user`"),
        ("user", Scope::Cgroup, "scope: `cgroup`, and granted: `user`"),
        ("cgroup", Scope::User, "scope: `user`, and granted: `cgroup`"),
        ("all", Scope::All, ""),
        ("all", Scope::User, ""),
    ] {
        let request = Request { scope: Some(asked), ..Request::of(&config) };
        let refusals = plenty(&format!("scope = \"{granted}\"")).check(&request, &Usage::default());
        assert_eq!(
            refusals.first().map_or(String::new(), ToString::to_string),
            message,
            "{granted}, {asked:?}"
        );
    }
}

#[test]
fn rates_and_intervals() {
    let grant = plenty("scope = \"all\"");
    let on = |probe: &str| of_table(&grant, &format!("on = \"{probe}\"\nshow = {{ n = \"count()\" }}"));
    for fine in ["profile:hz:99", "profile:ms:11", "interval:s:1", "software:page-faults:1000"] {
        assert_eq!(on(fine), [""; 0], "{fine}");
    }
    assert_eq!(on("profile:hz:100"), ["rate: table `t`: profile:hz:100, and granted: 99 samples a second"]);
    assert_eq!(on("profile:ms:10"), ["rate: table `t`: profile:ms:10, and granted: 99 samples a second"]);
    assert_eq!(on("interval:ms:10"), ["rate: table `t`: interval:ms:10, and granted: 99 samples a second"]);
    assert_eq!(
        on("hardware:cpu-cycles:999"),
        ["rate: table `t`: hardware:cpu-cycles:999, and granted: a sample for 1000 events"]
    );
    let shorter = "interval = \"500ms\"\n[tables.t]\non = \"profile:hz:1\"\nshow = { n = \"count()\" }";
    assert_eq!(refusals(&grant, shorter, Usage::default()), ["interval: 500ms, and granted: 1s and more"]);
}

/// So many tables, of 100 rows and a budget each, and one probe.
fn tables(number: usize, budget: &str) -> String {
    let table = |number| {
        format!(
            "[tables.t{number}]\non = \"t:syscalls:sys_exit_read\"\nby = {{ c = \"comm\" }}\nkeys = 100\n{budget}\nshow = {{ n = \"count()\" }}\n"
        )
    };
    (0..number).map(table).collect()
}

#[test]
fn tables_rows_budgets_and_churn() {
    let grant = plenty("scope = \"all\"");
    let asked = |text: &str, used: Usage| refusals(&grant, text, used);
    let one = "budget = \"1% cpu\"";
    assert_eq!(asked(&tables(2, one), Usage::default()), [""; 0]);
    // Of a budget that is not said, each table has its part.
    assert_eq!(asked(&tables(2, ""), Usage::default()), [""; 0]);
    assert_eq!(
        asked(&tables(3, one), Usage { churn: 2, ..Usage::default() }),
        [
            "tables: 3, and granted: 2",
            "rows: 300, and granted: 200",
            "kernel: 3% cpu, and granted: 2% cpu",
            "churn: 3 beside 2, and granted: 4",
        ]
    );
    assert_eq!(
        asked(&tables(1, one), Usage { tables: 2, rows: 101, kernel: 15_000, ..Usage::default() }),
        [
            "tables: 1 beside 2, and granted: 2",
            "rows: 100 beside 101, and granted: 200",
            "kernel: 1% cpu beside 1.5% cpu, and granted: 2% cpu",
        ]
    );
    let spans = "[tables.t]\nfrom = \"t:syscalls:sys_enter_*\"\nto = \"t:syscalls:sys_exit_*\"\nshow = { n = \"count()\" }";
    assert_eq!(asked(spans, Usage::default()), ["churn: 5, and granted: 4"]);
}

#[test]
fn plugins() {
    let grant = plenty("scope = \"all\"");
    let plugin = |name| PluginRequest {
        name,
        memory: 64 << 20,
        deadline: Duration::from_millis(100),
        series: 5,
        output: 512 << 10,
    };
    let request = |plugins| Request {
        tables: &[],
        interval: Duration::from_secs(1),
        scope: None,
        plugins,
        cpu: 500_000,
        disk: 1 << 30,
    };
    let asked = |request: &Request<'_>, used: Usage| -> Vec<String> {
        grant.check(request, &used).iter().map(ToString::to_string).collect()
    };
    let two = request(vec![plugin("a"), plugin("b")]);
    assert_eq!(asked(&two, Usage::default()), [""; 0]);
    let long = PluginRequest { deadline: Duration::from_millis(101), ..plugin("c") };
    let three = Request { cpu: 600_000, disk: 3 << 30, ..request(vec![plugin("a"), plugin("b"), long]) };
    assert_eq!(
        asked(&three, Usage::default()),
        [
            "deadline: plugin `c`: 101ms for a call, and granted: 100ms",
            "plugins: 3, and granted: 2",
            "memory: 192MiB, and granted: 128MiB",
            "series: 15, and granted: 10",
            "output: 1536KiB, and granted: 1MiB",
            "cpu: 60% cpu, and granted: 50% cpu",
            "disk: 3GiB, and granted: 1GiB",
        ]
    );
    let used =
        Usage { plugins: 1, series: 1, memory: 1 << 20, cpu: 1, output: 1024, disk: 1, ..Usage::default() };
    let codes: Vec<Code> = grant.check(&two, &used).iter().map(|refusal| refusal.code).collect();
    assert_eq!(codes, [Code::Plugins, Code::Memory, Code::Series, Code::Output, Code::Cpu, Code::Disk]);
}

#[test]
fn whoever_has_nothing_is_refused_everything() {
    let text = format!(
        "{}[plugins.p]\ncomponent = \"x.wasm\"\n",
        tables(1, "").replace("t:syscalls:sys_exit_read", "profile:hz:1")
    );
    let config = config(&text);
    let plugin = PluginRequest { series: 1, output: 1, ..Request::of(&config).plugins[0] };
    let request =
        Request { scope: Some(Scope::All), plugins: vec![plugin], cpu: 1, disk: 1, ..Request::of(&config) };
    let grant = Grant::default();
    let refusals = grant.check(&request, &Usage::default());
    let mut codes: Vec<Code> = refusals.into_iter().map(|refusal| refusal.code).collect();
    codes.sort();
    assert_eq!(codes, CODES);
}
