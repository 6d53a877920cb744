//! What becomes of a plugin that loses its turns: it waits longer after each fault in a row, and is called no more after
//! too many.

/// A plugin that faults on and on costs its deadline in every interval. After so many faults in a row it is
/// quarantined until it is started again.
pub(super) const FAULTS: u32 = 5;

#[derive(Clone, Debug, Default)]
pub(super) struct Supervisor {
    /// Faults since its last call that went well.
    faults: u32,
    /// Intervals that it has yet to wait.
    wait: u32,
}

impl Supervisor {
    /// Whether it is to be called in the interval that ends now.
    pub(super) fn is_due(&mut self) -> bool {
        if self.is_quarantined() {
            return false;
        }
        let due = self.wait == 0;
        self.wait = self.wait.saturating_sub(1);
        due
    }

    pub(super) fn went_well(&mut self) {
        *self = Self::default();
    }

    /// It lost its turn. It waits one interval after the second time in a row, three after the third, and so on.
    pub(super) fn faulted(&mut self) {
        self.faults += 1;
        self.wait = (1 << (self.faults - 1).min(16)) - 1;
    }

    /// It cannot be called.
    pub(super) fn quarantine(&mut self) {
        self.faults = FAULTS;
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.faults >= FAULTS
    }

    pub(super) fn state(&self) -> &'static str {
        match self {
            _ if self.is_quarantined() => "quarantined",
            Self { wait: 0, .. } => "running",
            _ => "waiting",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_faults_waits_longer_each_time_and_is_quarantined() {
        let mut supervisor = Supervisor::default();
        let mut called = Vec::new();
        for interval in 0..100 {
            if supervisor.is_due() {
                called.push(interval);
                supervisor.faulted();
            }
        }
        assert_eq!(called, [0, 1, 3, 7, 15]);
        assert!(supervisor.is_quarantined());
        assert_eq!(supervisor.state(), "quarantined");
    }

    #[test]
    fn one_call_that_goes_well_forgives() {
        let mut supervisor = Supervisor::default();
        for _ in 0..20 {
            (0..FAULTS - 1).for_each(|_| supervisor.faulted());
            assert!(!supervisor.is_quarantined());
            assert_eq!(supervisor.state(), "waiting");
            supervisor.went_well();
            assert!(supervisor.is_due());
        }
    }
}
