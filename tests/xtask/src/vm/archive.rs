//! What a virtual machine runs from: an initial file system of programs, libraries and one script.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{First, systemd};
use crate::live::{Program, WEIR};
use crate::not_run;
use crate::step::{output, quote, root, say, target};

/// What begins a line that is meant for the other side of the serial line.
pub(super) const MARK: &str = "weir-vm: ";

/// Files of the project, or folders of them, that tests read.
/// Plugins in other languages are as large as all else together, and are tested where they are built.
const DATA: [&str; 6] = [
    "docs/recipes",
    "target/plugins/top.wasm",
    "target/plugins/latency-slo.wasm",
    "target/plugins/hostile",
    "plugins/demo.toml",
    "plugins/demo.weir",
];

/// Where a package installs the command.
const INSTALLED: &str = "/usr/bin/weir";

/// Packs it, and returns the archive. The tests are run with these arguments.
pub(super) fn pack(first: First, weir: &Path, tests: &[Program], arguments: &[String]) -> Result<PathBuf> {
    let (name, of_systemd, place) = match first {
        First::Script => ("script", &[][..], weir),
        First::Systemd => ("systemd", &systemd::PROGRAMS[..], Path::new(INSTALLED)),
    };
    let folder = target().join("vm").join(name);
    let files = Files::new(&folder)?;
    let mut programs: Vec<(&Path, &Path)> = tests.iter().map(|test| (&*test.file, &*test.file)).collect();
    programs.extend(of_systemd.iter().map(|path| (Path::new(*path), Path::new(*path))));
    programs.retain(|(program, _)| program.exists());
    programs.push((weir, place));
    let mut libraries = BTreeSet::new();
    for (program, place) in programs {
        files.program(program, place)?;
        libraries.extend(libraries_of(program)?);
    }
    for library in &libraries {
        files.copy(library)?;
    }
    for path in DATA.map(|path| root().join(path)).iter().filter(|path| path.exists()) {
        files.copy_all(path)?;
    }
    for test in tests {
        files.make_folder(&test.folder)?;
    }
    files.busybox()?;
    files.write(Path::new("/etc/passwd"), USERS)?;
    files.write(Path::new("/etc/group"), GROUPS)?;
    let script = script(first, place, tests, arguments);
    match first {
        First::Script => files.write_script(Path::new("/init"), &script)?,
        First::Systemd => systemd::add(&files, &script)?,
    }

    let archive = folder.with_extension("initramfs");
    say(format_args!("packing {} libraries and {} tests for virtual machines", libraries.len(), tests.len()));
    // Not compressed: the emulated machine would take longer to expand it than to read it.
    let mut pack = Command::new("sh");
    pack.args(["-c", "find . | cpio --create --format=newc --owner=0:0 --quiet"]).current_dir(&folder);
    let into = File::create(&archive).with_context(|| archive.display().to_string())?;
    let status = pack.stdin(Stdio::null()).stdout(into).status().context("cannot run cpio")?;
    if !status.success() {
        bail!("cpio failed: {status}");
    }
    Ok(archive)
}

/// The files of the archive, each at its own path below a folder.
pub(super) struct Files<'a> {
    folder: &'a Path,
}

impl<'a> Files<'a> {
    /// An empty one, but for the folders that every machine has.
    fn new(folder: &'a Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let files = Self { folder };
        for path in ["dev", "etc", "proc", "root", "run", "sys", "tmp", "var/lib", "var/tmp"] {
            files.make_folder(Path::new(path))?;
        }
        // As all distributions have them by now, and systemd insists on.
        for name in ["bin", "lib", "lib64", "sbin"] {
            let place = Path::new("usr").join(name);
            files.make_folder(&place)?;
            files.link(&place.to_string_lossy(), Path::new(name))?;
        }
        Ok(files)
    }

    /// Where a path of the virtual machine lies here, in a folder that exists.
    fn place(&self, path: &Path) -> Result<PathBuf> {
        let place = self.folder.join(path.strip_prefix("/").unwrap_or(path));
        let folder = place.parent().context("below the folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(place)
    }

    fn make_folder(&self, path: &Path) -> Result<()> {
        let place = self.place(path)?;
        fs::create_dir_all(&place).with_context(|| place.display().to_string())
    }

    pub(super) fn copy_as(&self, from: &Path, path: &Path) -> Result<()> {
        fs::copy(from, self.place(path)?).map(drop).with_context(|| from.display().to_string())
    }

    pub(super) fn copy(&self, path: &Path) -> Result<()> {
        self.copy_as(path, path)
    }

    fn copy_all(&self, path: &Path) -> Result<()> {
        if !path.is_dir() {
            return self.copy(path);
        }
        for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
            self.copy_all(&entry?.path())?;
        }
        Ok(())
    }

    /// Without its debug information, which is most of a program and would be most of the machine's memory.
    fn program(&self, from: &Path, path: &Path) -> Result<()> {
        output(Command::new("strip").arg("--strip-debug").arg("-o").arg(self.place(path)?).arg(from))
            .map(drop)
    }

    /// The one program for all commands of the shell, under the name of each.
    fn busybox(&self) -> Result<()> {
        let busybox = busybox()?;
        self.copy_as(&busybox, Path::new("/bin/busybox"))?;
        for name in output(Command::new(&busybox).arg("--list"))?.lines().filter(|name| *name != "busybox") {
            self.link("busybox", &Path::new("/bin").join(name))?;
        }
        Ok(())
    }

    pub(super) fn link(&self, to: &str, path: &Path) -> Result<()> {
        let place = self.place(path)?;
        symlink(to, &place).with_context(|| place.display().to_string())
    }

    pub(super) fn write(&self, path: &Path, text: &str) -> Result<()> {
        let place = self.place(path)?;
        fs::write(&place, text).with_context(|| place.display().to_string())
    }

    pub(super) fn write_script(&self, path: &Path, text: &str) -> Result<()> {
        self.write(path, text)?;
        let place = self.place(path)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))
            .with_context(|| place.display().to_string())
    }
}

/// A busybox that needs no libraries.
fn busybox() -> Result<PathBuf> {
    let found =
        ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from).into_iter().find(|path| path.is_file());
    let busybox = found.context("there is no busybox")?;
    if !libraries_of(&busybox)?.is_empty() {
        bail!(
            "{} needs libraries: the virtual machine takes a static one (busybox-static)",
            busybox.display()
        );
    }
    Ok(busybox)
}

/// The libraries that a program is linked with, and the loader.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let listed = Command::new("ldd").arg(program).stdin(Stdio::null()).output().context("cannot run ldd")?;
    // ldd fails on a static program, and says so.
    let text = String::from_utf8_lossy(&listed.stdout);
    if text.contains("not found") {
        bail!("{} lacks a library:\n{text}", program.display());
    }
    Ok(libraries(&text))
}

/// The files in what `ldd` says: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3f2c01e000)`.
fn libraries(listed: &str) -> Vec<PathBuf> {
    let paths = listed.lines().filter_map(|line| {
        let (_, path) = line.split_once("=> ").unwrap_or(("", line.trim()));
        path.split_once(" (").map(|(path, _)| path)
    });
    paths.filter(|path| path.starts_with('/')).map(PathBuf::from).collect()
}

/// `tenant` is somebody without any privilege.
const USERS: &str =
    "root:x:0:0::/root:/bin/sh\ntenant:x:1000:1000::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
const GROUPS: &str = "root:x:0:\ntenant:x:1000:\nnogroup:x:65534:\n";

/// What the first process does, which systemd does by itself. It is all in memory, /tmp too.
const BEGINNING: &str = "\
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
chmod 1777 /dev/shm
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
";

/// What the machine does before the tests.
const BEFORE: &str = "\
chmod 1777 /tmp /var/tmp
# Debian's kernels begin with 3, by which a daemon has no perf events: docs/daemon.md.
echo 2 > /proc/sys/kernel/perf_event_paranoid
touch /tmp/not-run
echo \"weir-vm: cpus $(cat /sys/devices/system/cpu/possible) $(cat /sys/devices/system/cpu/online)\"
";

/// What it does after them.
const END: &str = "\
sed 's/^/weir-vm: note /' /tmp/not-run
poweroff -f
";

/// The script that runs the tests. It says what it runs and how that ended.
fn script(first: First, weir: &Path, tests: &[Program], arguments: &[String]) -> String {
    let arguments: String = arguments.iter().map(|argument| format!(" {}", quote(argument))).collect();
    let variables = format!(
        "#!/bin/sh\nexport PATH=/bin:/sbin HOME=/root RUST_BACKTRACE=1 WEIR_VM=1 {WEIR}={} {}=/tmp/not-run\n",
        shell(weir),
        not_run::VARIABLE
    );
    let beginning = if first == First::Script { BEGINNING } else { "" };
    let tests = tests.iter().map(|test| {
        format!(
            "echo '{MARK}begin {name}'\ncd {folder}\n{file} --test-threads=1{arguments}\necho \"{MARK}end {name} $?\"\n",
            name = test.name,
            folder = shell(&test.folder),
            file = shell(&test.file),
        )
    });
    let script = [variables, beginning.to_owned(), BEFORE.to_owned()].into_iter();
    script.chain(tests).chain([END.to_owned()]).collect()
}

fn shell(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_ldd() {
        let listed = "\tlinux-vdso.so.1 (0x00007f3f355e7000)\n\
                      \tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f3f355b3000)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f3f355e9000)\n";
        let expected =
            ["/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(libraries(listed), expected);
        assert!(libraries("\tstatically linked\n").is_empty());
    }
}
