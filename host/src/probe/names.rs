//! Names of numbers that no description of the kernel's has: system calls and errors.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::record::Names;

/// System calls by their numbers on this machine.
pub(crate) fn system_calls() -> Names {
    static NAMES: LazyLock<Names> = LazyLock::new(|| {
        let names = syscalls::Sysno::iter().map(|call| (call.id() as u64, call.name().to_owned()));
        names.collect::<BTreeMap<u64, String>>().into()
    });
    NAMES.clone()
}

/// Errors by what a system call returns, the negative of their numbers; 0 is `OK`.
pub(crate) fn errors() -> Names {
    /// The greatest number of an error (`MAX_ERRNO` in include/linux/err.h).
    const MOST: i32 = 4095;
    static NAMES: LazyLock<Names> = LazyLock::new(|| {
        let named = (1..=MOST).filter_map(|number| {
            let error = syscalls::Errno::new(number);
            Some((i64::from(-number).cast_unsigned(), error.name()?.to_owned()))
        });
        named.chain([(0, "OK".to_owned())]).collect::<BTreeMap<u64, String>>().into()
    });
    NAMES.clone()
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_have_their_names() {
        assert_eq!(super::errors()[&(-2i64 as u64)], "ENOENT");
        assert_eq!(super::errors()[&0], "OK");
        let calls = super::system_calls();
        assert!(calls.values().any(|name| name == "openat"));
    }
}
