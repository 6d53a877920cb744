//! The commands that ask a daemon.

use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;

use super::flow::wait;
use super::plugins::Added;
use super::signals::Signals;
use super::workload;
use super::{Format, Setting, Settings, answer, plugins, say, unreadable};
use crate::error::{Error, Kind, Result};
use crate::escape::guard;
use crate::event::{Event, Output, Totals};
use crate::manifest;
use crate::probe::locate;
use crate::sandbox::OptionValue;
use crate::serve::protocol::{self, Answer, Asked, Question, Start, Upload, schemas};
use crate::serve::status::Status;
use crate::sink::Sink;
use crate::table::Program;

/// Where the daemon listens, unless [`SOCKET`] says otherwise.
pub(super) const DEFAULT_SOCKET: &str = "/run/weir/weir.sock";
const SOCKET: &str = "WEIR_SOCKET";

#[derive(Debug, Args)]
pub(super) struct StartJob {
    /// The plugins
    #[arg(value_name = "PLUGIN.wasm", required = true)]
    plugins: Vec<PathBuf>,
    /// The tables that they see, and the plugins' options; without it, the tables that they ask for
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// The job's name; a job of that name is replaced [default: the first plugin's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Stop {
    /// The job
    job: String,
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The job; all, if none is named
    job: Option<String>,
    /// Go on with what is put out from now on
    #[arg(short, long)]
    follow: bool,
    /// What to write to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// What to write to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// The daemon's socket, if a daemon is to trace in this process's stead: one is named, or there is one and this process
/// may not trace itself.
pub(super) fn instead() -> Option<PathBuf> {
    if let Some(socket) = std::env::var_os(SOCKET) {
        return Some(socket.into());
    }
    let socket = PathBuf::from(DEFAULT_SOCKET);
    (!crate::kernel::may_trace() && socket.exists()).then_some(socket)
}

fn socket() -> PathBuf {
    std::env::var_os(SOCKET).map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from)
}

/// A question on its way, and what has been answered.
struct Asking {
    socket: UnixStream,
    /// Whether the daemon may ask for programs to be opened: they are those of what is to begin.
    opens: bool,
}

impl Asking {
    fn ask(socket: &Path, question: &Question, components: &[Vec<u8>]) -> Result<Self> {
        let mut stream = UnixStream::connect(socket).map_err(|error| {
            Error::new(Kind::Unavailable, format!("no daemon answers at {}: {error}", socket.display()))
                .help(format!("start one with `weir serve`, or say with {SOCKET} where it listens"))
        })?;
        let other = || Error::new(Kind::Unavailable, "the daemon is of another build than this command");
        protocol::greet(&mut stream)?;
        if !protocol::greeted(&mut stream)? {
            return Err(other());
        }
        protocol::send(&mut stream, question)?;
        for component in components {
            // The daemon may have refused by now, and says so.
            if stream.write_all(component).is_err() {
                break;
            }
        }
        Ok(Self { socket: stream, opens: matches!(question, Question::Start(_)) })
    }

    /// The next answer; nothing if there is none any more.
    fn next(&mut self) -> Result<Option<Answer>> {
        loop {
            return match protocol::answer(&mut self.socket) {
                Ok(Answer::Open(name)) if self.opens => {
                    let program = locate(&name).and_then(|path| Program::open(&path));
                    let opened = program.as_ref().map(|program| program.file().as_fd()).map_err(Error::clone);
                    protocol::send_opened(&self.socket, &opened)?;
                    continue;
                }
                Ok(Answer::Failed(error)) => Err(error),
                Ok(Answer::Refused(refused)) => Err(too_much("the daemon refuses it", &refused)),
                Ok(Answer::Waits(refused)) => Err(too_much(WAITS, &refused)),
                Ok(answer) => Ok(Some(answer)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
    }
}

/// What is said of a new version that asks for more than is granted.
const WAITS: &str = "what was started before goes on; this asks for more than is granted, and waits until the policy grants it";

fn too_much(what: &str, refused: &[(String, String)]) -> Error {
    let mut message = what.to_owned();
    for (code, what) in refused {
        message.push_str(&format!("\n  {code}: {what}"));
    }
    Error::new(Kind::NoPermission, message).help("the daemon's policy says who may have what")
}

fn silent() -> Error {
    Error::new(Kind::Unavailable, "the daemon ended the connection")
}

/// A configuration's text, and the bytes of the plugins that it names.
pub(super) fn of_file(path: Option<&Path>, added: Added<'_>) -> Result<(Asked, Vec<Upload>, Vec<Vec<u8>>)> {
    let (path, text) = text_of(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    // All but this is the daemon's to read, which knows the kernel.
    let table: toml::Table = toml::from_str(&text).unwrap_or_default();
    let configured = table.get("plugins").and_then(toml::Value::as_table);
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    for (name, plugin) in configured.into_iter().flatten() {
        if let Some(component) = plugin.get("component").and_then(toml::Value::as_str) {
            files.push((name.clone(), folder.join(component)));
        }
    }
    let configured = files.len();
    files.extend(named(added.paths));
    let (uploads, components) = uploads(&files)?;
    let plugins = files.iter().zip(&components).skip(configured);
    let text = with_options(text, &plugins.collect::<Vec<_>>(), added.settings)?;
    Ok((asked(path, text), uploads, components))
}

/// A configuration in which there is also what the command line sets of the plugins that it names.
fn with_options(
    text: String,
    added: &[(&(String, PathBuf), &Vec<u8>)],
    settings: &[Setting],
) -> Result<String> {
    if settings.is_empty() {
        return Ok(text);
    }
    let manifest =
        |((_, path), component): &(&(String, PathBuf), &Vec<u8>)| manifest::within(component, path);
    let manifests = added.iter().map(manifest).collect::<Result<Vec<_>>>()?;
    let about =
        added.iter().zip(&manifests).map(|(((name, _), _), manifest)| (name.as_str(), manifest.as_ref()));
    let options = manifest::typed(settings, &about.collect::<Vec<_>>())?;
    let mut plugins = toml::Table::new();
    for (((name, path), _), options) in added.iter().zip(options).filter(|(_, options)| !options.is_empty()) {
        let options = options.into_iter().map(|(name, value)| {
            let value = match value {
                OptionValue::Text(text) => text.into(),
                OptionValue::Integer(integer) => integer.into(),
                OptionValue::Number(number) => number.into(),
                OptionValue::Flag(flag) => flag.into(),
            };
            (name, value)
        });
        let mut plugin = toml::Table::new();
        plugin.insert("component".to_owned(), path.display().to_string().into());
        plugin.insert("options".to_owned(), toml::Table::from_iter(options).into());
        plugins.insert(name.clone(), plugin.into());
    }
    let more = toml::Table::from_iter([("plugins".to_owned(), toml::Value::from(plugins))]);
    // Below what is there, so that the places of mistakes stay where they are.
    let both = format!("{text}\n{more}");
    if toml::from_str::<toml::Table>(&text).is_ok() && toml::from_str::<toml::Table>(&both).is_err() {
        return Err(Error::new(
            Kind::Usage,
            "the configuration has settings of the plugin whose option is given",
        )
        .help("write the option there"));
    }
    Ok(both)
}

/// A configuration. Without one, plugins ask for their tables.
fn text_of(path: Option<&Path>) -> Result<(&Path, String)> {
    let Some(path) = path else { return Ok((Path::new("no configuration"), String::new())) };
    Ok((path, std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?))
}

fn asked(path: &Path, text: String) -> Asked {
    Asked::Text { text, path: path.display().to_string() }
}

pub(super) fn of_plugins(added: &[PathBuf]) -> Result<(Vec<Upload>, Vec<Vec<u8>>)> {
    uploads(&named(added))
}

/// Plugins of a command line, by the names of their files.
fn named(added: &[PathBuf]) -> Vec<(String, PathBuf)> {
    added.iter().map(|path| (plugins::stem(path), path.clone())).collect()
}

fn uploads(files: &[(String, PathBuf)]) -> Result<(Vec<Upload>, Vec<Vec<u8>>)> {
    let components = files.iter().map(|(_, path)| plugins::read(path)).collect::<Result<Vec<_>>>()?;
    let upload = |((name, _), bytes): (&(String, PathBuf), &Vec<u8>)| Upload {
        name: name.clone(),
        bytes: bytes.len() as u64,
    };
    Ok((files.iter().zip(&components).map(upload).collect(), components))
}

/// Has the daemon trace, and passes on what it says, until a signal, the time, or the command's end.
pub(super) fn trace(
    socket: &Path,
    (asked, plugins, components): (Asked, Vec<Upload>, Vec<Vec<u8>>),
    duration: Option<Duration>,
    start: workload::Start<'_>,
    sink: &mut dyn Sink,
    at_once: Option<fn()>,
) -> Result<()> {
    let signals = Signals::catch(at_once)?;
    let question = Question::Start(Start { name: None, asked, plugins });
    let mut asking = Asking::ask(socket, &question, &components)?;
    let Some(Answer::Started { at, tables }) = asking.next()? else { return Err(silent()) };
    sink.put(&Event::Start { at, tables: &schemas(tables)? })?;
    let mut workload = start.go()?;
    let end = duration.and_then(|duration| Instant::now().checked_add(duration));
    let mut totals = Totals::default();
    let (mut ended, mut stopping) = (SystemTime::UNIX_EPOCH, false);
    loop {
        let mut readable = vec![asking.socket.as_fd()];
        if !stopping {
            readable.push(signals.as_fd());
            readable.extend(workload.as_ref().map(AsFd::as_fd));
            readable.extend(sink.input());
        }
        wait(&readable, end.filter(|_| !stopping))?;
        sink.tend()?;
        if has_answer(&asking.socket)? {
            match asking.next()? {
                None => return Err(silent()),
                Some(Answer::Ended) => break,
                Some(answer) => pass_on(answer, sink, &mut totals, &mut ended)?,
            }
        }
        let over = signals.came() || sink.closed() || end.is_some_and(|end| Instant::now() >= end);
        let done = match &mut workload {
            Some(workload) => workload.has_ended()?,
            None => false,
        };
        if !stopping && (over || done) {
            // The daemon finishes the interval, and says that it has.
            asking.socket.shutdown(Shutdown::Write)?;
            stopping = true;
        }
    }
    sink.put(&Event::End { at: ended, totals: &totals })
}

fn has_answer(socket: &UnixStream) -> Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0))
}

fn pass_on(answer: Answer, sink: &mut dyn Sink, totals: &mut Totals, ended: &mut SystemTime) -> Result<()> {
    match answer {
        Answer::Snapshot(table) => {
            let snapshot = table.snapshot()?;
            let interval = snapshot.interval;
            let end = interval.began.checked_add(interval.length).unwrap_or(interval.began);
            if end > *ended {
                *ended = end;
                totals.intervals += 1;
                totals.elapsed = totals.elapsed.saturating_add(interval.length);
            }
            totals.add(&snapshot.coverage);
            sink.put(&Event::Snapshot(&snapshot))
        }
        Answer::Detached { table, interval, why, message } => {
            sink.put(&Event::Detached { table: &table, interval, why, message: &message })
        }
        Answer::Plugin { plugin, interval, output, .. } => {
            match &output {
                Output::Fault { reason, .. } if reason == "skipped" => totals.plugin_skipped += 1,
                Output::Fault { .. } => totals.plugin_faults += 1,
                _ => {}
            }
            sink.put(&Event::Plugin { plugin: &plugin, interval, output: &output })
        }
        Answer::Lost(number) => {
            say("note", &format_args!("{number} answers were lost, because they were not read in time"));
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(super) fn start(job: &StartJob) -> Result<()> {
    // Plugins of the configuration are not started unless they are named.
    let (path, text) = text_of(job.config.as_deref())?;
    let files = named(&job.plugins);
    let (plugins, components) = uploads(&files)?;
    let added: Vec<_> = files.iter().zip(&components).collect();
    let asked = asked(path, with_options(text, &added, &job.settings.options)?);
    let name = job.name.clone().or_else(|| plugins.first().map(|plugin| plugin.name.clone()));
    let shown = name.clone().unwrap_or_default();
    let mut asking = Asking::ask(&socket(), &Question::Start(Start { name, asked, plugins }), &components)?;
    match asking.next()? {
        Some(Answer::Started { .. }) => answer(&format!("{shown} is started\n")),
        _ => Err(silent()),
    }
}

pub(super) fn stop(asked: &Stop) -> Result<()> {
    match Asking::ask(&socket(), &Question::Stop { job: asked.job.clone() }, &[])?.next()? {
        Some(Answer::Done(done)) => answer(&format!("{done}\n")),
        _ => Err(silent()),
    }
}

pub(super) fn logs(asked: &Logs) -> Result<()> {
    let question = Question::Logs { job: asked.job.clone(), follow: asked.follow };
    let mut asking = Asking::ask(&socket(), &question, &[])?;
    let mut sink = asked.format.sink(true);
    while let Some(said) = asking.next()? {
        if let Answer::Plugin { job, plugin, interval, output, .. } = &said {
            let plugin = format!("{job}/{plugin}");
            sink.put(&Event::Plugin { plugin: &plugin, interval: *interval, output })?;
        }
        if let Answer::Lost(number) = said {
            say("note", &format_args!("{number} outputs are left out here"));
        }
        if sink.closed() {
            break;
        }
    }
    Ok(())
}

fn ask_status() -> Result<Status> {
    match Asking::ask(&socket(), &Question::Status, &[])?.next()? {
        Some(Answer::Status(status)) => Ok(status),
        _ => Err(silent()),
    }
}

pub(super) fn status(show: &Show) -> Result<()> {
    let status = ask_status()?;
    if matches!(show.format, Format::Json) {
        return json(&status);
    }
    let interval = humantime::format_duration(Duration::from_nanos(status.interval_ns));
    let mut text = format!("{} intervals of {interval}\n", status.intervals);
    if let Some(lacking) = &status.control_groups.lacking {
        text.push_str(&format!("without control groups: {}\n", guard(lacking)));
    }
    for tenant in &status.tenants {
        text.push_str(&format!("\n{}: {} jobs", tenant.tenant, tenant.jobs.len()));
        for (number, what) in [(tenant.refused, "refused"), (tenant.replaced, "sandboxes replaced")] {
            if number > 0 {
                text.push_str(&format!(", {number} {what}"));
            }
        }
        text.push('\n');
        for job in &tenant.jobs {
            let (tables, plugins) = (job.tables.len(), job.plugins.len());
            text.push_str(&format!("  {}: {tables} tables, {plugins} plugins", job.job));
            if let Some((from, to)) = &job.not_covered {
                text.push_str(&format!("; not counted from {from} to {to}"));
            }
            if !job.waits.is_empty() {
                let much = job.waits.iter().map(|(code, what)| format!("{code}: {what}")).collect::<Vec<_>>();
                text.push_str(&format!("; a new version waits for the policy: {}", guard(&much.join("; "))));
            }
            if let Some(why) = &job.not_restored {
                text.push_str(&format!("; not begun again: {}", on_one_line(why)));
            }
            text.push('\n');
        }
    }
    answer(&text)
}

fn json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|error| Error::new(Kind::Software, error.to_string()))?;
    answer(&format!("{text}\n"))
}

/// What has lines, such as an error, on one of them.
fn on_one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    guard(&lines.join("; ")).into_owned()
}

/// Columns, each as wide as it has to be.
fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn tables(show: &Show) -> Result<()> {
    let status = ask_status()?;
    if matches!(show.format, Format::Json) {
        return json(&status);
    }
    let head = ["TENANT", "JOB", "TABLE", "EVENTS", "OVERFLOW", "MISSED", "KERNEL"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for tenant in &status.tenants {
        for job in &tenant.jobs {
            if let Some(why) = &job.not_restored {
                let what = format!("not begun again: {}", on_one_line(why));
                let mut row = vec!["-".to_owned(); head.len()];
                (row[0], row[1], row[6]) = (tenant.tenant.clone(), job.job.clone(), what);
                rows.push(row);
            }
            rows.extend(job.tables.iter().map(|table| {
                let account = &table.account;
                let unsure = if account.missed_reliable { "" } else { "?" };
                let kernel = humantime::format_duration(Duration::from_micros(account.kernel_ns / 1_000));
                vec![
                    tenant.tenant.clone(),
                    job.job.clone(),
                    table.table.clone(),
                    account.events.to_string(),
                    account.overflow.to_string(),
                    format!("{}{unsure}", account.missed),
                    if account.detached { "detached".to_owned() } else { kernel.to_string() },
                ]
            }));
        }
    }
    answer(&columns(&rows))
}

pub(super) fn plugins(show: &Show) -> Result<()> {
    let status = ask_status()?;
    if matches!(show.format, Format::Json) {
        return json(&status);
    }
    let head = ["TENANT", "JOB", "PLUGIN", "STATE", "CALLS", "FAULTS", "TIME", "P99", "MEMORY", "LAST FAULT"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for tenant in &status.tenants {
        for job in &tenant.jobs {
            rows.extend(job.plugins.iter().map(|plugin| {
                let account = &plugin.account;
                let time =
                    |ns: u64| humantime::format_duration(Duration::from_micros(ns / 1_000)).to_string();
                let fault = plugin.fault.as_ref();
                vec![
                    tenant.tenant.clone(),
                    job.job.clone(),
                    plugin.plugin.clone(),
                    plugin.state.clone(),
                    account.calls.to_string(),
                    account.faults.values().sum::<u64>().to_string(),
                    time(account.processor_ns),
                    time(account.call_ns.percentile(99)),
                    format!("{} KiB", account.memory_peak >> 10),
                    fault.map_or_else(String::new, |(reason, message)| format!("{reason}: {message}")),
                ]
            }));
        }
    }
    answer(&columns(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn options_go_below_the_configuration() {
        let path = Path::new("x/my.wasm");
        let text = "name = \"other\"\nversion = \"1.0.0\"\n[options.who]\ntype = \"text\"\n[options.share]\ntype = \"number\"";
        let about = manifest::Manifest::parse(text, path).unwrap();
        let component = manifest::pack(b"\0asm\x0d\0\x01\0", &about).unwrap();
        let file = ("my".to_owned(), path.to_owned());
        let with = |text: &str, settings: &[(&str, &str)]| {
            let settings: Vec<_> =
                settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            with_options(text.to_owned(), &[(&file, &component)], &settings)
        };
        assert_eq!(with("# as it was", &[]).unwrap(), "# as it was");
        let both = with("interval = \"2s\" # no line's end", &[("who", "a\"b"), ("share", "1")]).unwrap();
        assert!(both.starts_with("interval = \"2s\" # no line's end\n"), "{both}");
        let config = Config::plugins_for(&both, Path::new("weir.toml"), &[]).unwrap();
        let options = config[0].options.clone();
        assert_eq!(config[0].name, "my");
        assert_eq!(options["who"], OptionValue::Text("a\"b".to_owned()));
        assert_eq!(options["share"], OptionValue::Number(1.0));
        let settings = "[plugins.my]\ncomponent = \"my.wasm\"\n";
        let error = with(settings, &[("who", "me")]).unwrap_err();
        assert_eq!((error.kind, error.help.as_deref()), (Kind::Usage, Some("write the option there")));
        // What is no configuration is the daemon's to refuse.
        assert!(with("=", &[("who", "me")]).is_ok());
    }
}
