//! What makes systemd the first process of a virtual machine, and `weir` a service of it: both as packages install them,
//! and the tests as one more unit.

use std::path::Path;

use anyhow::Result;

use super::archive::Files;
use crate::step::root;

/// Those of systemd's programs that there are in its version.
pub(super) const PROGRAMS: [&str; 4] = [
    "/usr/lib/systemd/systemd",
    "/usr/lib/systemd/systemd-executor",
    "/usr/bin/systemctl",
    "/usr/bin/systemd-analyze",
];

/// Where packages have their units.
const UNITS: &str = "/usr/lib/systemd/system";

/// Those of systemd's units without which no service is one. Its other services are not what is tested here.
const NEEDED: [&str; 11] = [
    "basic.target",
    "local-fs.target",
    "multi-user.target",
    "paths.target",
    "shutdown.target",
    "slices.target",
    "sockets.target",
    "sysinit.target",
    "timers.target",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
];

/// There is no journal: what services say is seen on the serial line. A machine whose systemd crashes ends.
const MANAGER: &str = "[Manager]\nCrashReboot=yes\nShowStatus=no\nDefaultStandardOutput=tty\n";

const DEFAULT: &str = "[Unit]\nRequires=weir-tests.service\nAllowIsolate=yes\n";

/// The script powers the machine off, unless it cannot be executed.
const TESTS: &str = "[Unit]\nRequires=basic.target\nAfter=basic.target\nFailureAction=reboot-immediate\n\
                     [Service]\nType=oneshot\nExecStart=/weir-tests\n";

/// Adds all of it but the programs.
pub(super) fn add(files: &Files<'_>, script: &str) -> Result<()> {
    let units = Path::new(UNITS);
    for unit in NEEDED {
        files.copy(&units.join(unit))?;
    }
    for mount in NEEDED.iter().filter(|unit| unit.ends_with(".mount")) {
        files.link(&format!("../{mount}"), &units.join("sysinit.target.wants").join(mount))?;
    }
    for unit in ["weir.service", "weir.socket"] {
        files.copy_as(&root().join("host/packaging").join(unit), &units.join(unit))?;
    }
    // One that has a name is not at its first boot, on which systemd enables units by itself.
    files.write(Path::new("/etc/machine-id"), "")?;
    files.write(Path::new("/etc/systemd/system.conf"), MANAGER)?;
    files.write(Path::new("/etc/systemd/system/default.target"), DEFAULT)?;
    files.write(Path::new("/etc/systemd/system/weir-tests.service"), TESTS)?;
    files.write_script(Path::new("/weir-tests"), script)?;
    files.link("usr/lib/systemd/systemd", Path::new("/init"))
}
