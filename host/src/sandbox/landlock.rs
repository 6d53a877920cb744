//! No files, no network, no signals to others, as far as this kernel's landlock goes. What it does not refuse
//! the filter of system calls does; this is the second wall, which stands even where a call has to be allowed.

use landlock::{ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetError, Scope};

/// The newest that is known here: all that it can refuse is refused.
const NEWEST: ABI = ABI::V10;

/// Gives up, for this thread and those that it starts, whatever this kernel knows to refuse; says what it does not.
pub(super) fn restrict() -> Result<Vec<&'static str>, RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        // No rule follows, so nothing is allowed.
        .create()?
        .restrict_self()?;
    Ok(lacking(status.landlock))
}

/// What this kernel would not refuse a sandbox by landlock, found out by a thread that gives it up.
pub(super) fn unenforced() -> Result<Vec<&'static str>, String> {
    match std::thread::spawn(restrict).join() {
        Ok(lacking) => lacking.map_err(|error| error.to_string()),
        Err(_) => Err("it cannot be tried".to_owned()),
    }
}

fn lacking(kernel: LandlockStatus) -> Vec<&'static str> {
    let abi = match kernel {
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => ABI::Unsupported,
    };
    [(ABI::V1, "files"), (ABI::V4, "TCP"), (ABI::V6, "signals"), (ABI::V6, "abstract Unix sockets")]
        .into_iter()
        .filter_map(|(since, what)| (abi < since).then_some(what))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_kernel_does_not_refuse_is_said() {
        let since = |effective_abi| lacking(LandlockStatus::Available { effective_abi, kernel_abi: None });
        assert_eq!(lacking(LandlockStatus::NotEnabled), ["files", "TCP", "signals", "abstract Unix sockets"]);
        assert_eq!(since(ABI::V3), ["TCP", "signals", "abstract Unix sockets"]);
        assert_eq!(since(ABI::V5), ["signals", "abstract Unix sockets"]);
        assert!(since(ABI::V6).is_empty());
    }

    #[test]
    fn only_the_thread_that_tries_gives_it_up() {
        unenforced().unwrap();
        std::fs::read("/proc/self/status").unwrap();
    }
}
