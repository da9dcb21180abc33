//! Which states a unit went through: pure.
//!
//! systemd tells where a unit is now, once for all that happened in one turn of its loop; a service that dies and is
//! restarted at once is never seen as failed. But it also tells four times: when the unit last left and
//! reached `active`, and when it last left and reached rest (`inactive` or `failed`). Those that are newer than what is known say what
//! happened between.

/// A state of a unit: systemd's `ActiveState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum State {
    Active,
    Reloading,
    Inactive,
    Failed,
    Activating,
    Deactivating,
    Maintenance,
    Refreshing,
}

impl State {
    /// All states.
    pub(crate) const ALL: [Self; 8] = [
        Self::Active,
        Self::Reloading,
        Self::Inactive,
        Self::Failed,
        Self::Activating,
        Self::Deactivating,
        Self::Maintenance,
        Self::Refreshing,
    ];

    /// What systemd calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Maintenance => "maintenance",
            Self::Refreshing => "refreshing",
        }
    }

    /// The state of this name; `None` for one that this version of Muster does not know.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// systemd's times of a unit, in microseconds since 1970-01-01 UTC; 0 for what never happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamps {
    pub(crate) state_change: u64,
    pub(crate) inactive_exit: u64,
    pub(crate) active_enter: u64,
    pub(crate) active_exit: u64,
    pub(crate) inactive_enter: u64,
}

/// The states after `from`, up to `to`, each with its time in microseconds. `known_us` is the time up to which
/// all is known; `failed` says whether the unit's last end was a failure.
pub(crate) fn reconstruct(
    from: State,
    to: State,
    stamps: Stamps,
    known_us: u64,
    failed: bool,
) -> Vec<(u64, State)> {
    let rest = if failed { State::Failed } else { State::Inactive };
    // Of two that happened in the same microsecond, this is the order in which they can have.
    let mut events = [
        (stamps.active_exit, State::Deactivating),
        (stamps.inactive_enter, rest),
        (stamps.inactive_exit, State::Activating),
        (stamps.active_enter, State::Active),
    ];
    events.sort_by_key(|event| event.0);
    let mut states: Vec<(u64, State)> = Vec::new();
    let mut last = from;
    for (at, &(time, state)) in events.iter().enumerate() {
        // A way that took no time was none: from `active` to `failed` nothing is passed.
        let on_the_way = matches!(state, State::Deactivating | State::Activating);
        let passed_by = on_the_way && events.get(at + 1).is_some_and(|next| next.0 == time);
        if time > known_us && !passed_by && state != last {
            states.push((time, state));
            last = state;
        }
    }
    if last != to {
        let latest = states.last().map_or(0, |last| last.0);
        states.push((stamps.state_change.max(latest), to));
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: u64 = 1_000;

    #[track_caller]
    fn check(from: State, to: State, times: [u64; 5], failed: bool, expected: &[(u64, State)]) {
        let [state_change, active_exit, inactive_enter, inactive_exit, active_enter] = times;
        let stamps =
            Stamps { state_change, inactive_exit, active_enter, active_exit, inactive_enter };
        assert_eq!(reconstruct(from, to, stamps, KNOWN, failed), expected);
    }

    #[test]
    fn single_steps() {
        use State::{Activating, Active, Failed, Inactive};
        check(Inactive, Activating, [2_000, 0, 0, 2_000, 0], false, &[(2_000, Activating)]);
        check(Activating, Active, [3_000, 0, 0, 900, 3_000], false, &[(3_000, Active)]);
        check(Active, Failed, [4_000, 4_000, 4_000, 900, 950], true, &[(4_000, Failed)]);
        check(Inactive, Active, [5_000, 0, 0, 5_000, 5_000], false, &[(5_000, Active)]);
        // A change of the sub-state only.
        check(Active, Active, [5_000, 0, 0, 900, 950], false, &[]);
    }

    #[test]
    fn what_was_passed_in_one_turn_is_told() {
        use State::{Activating, Active, Deactivating, Failed, Inactive};
        // Killed, and waiting for its restart.
        check(
            Active,
            Activating,
            [5_001, 5_000, 5_000, 5_001, 900],
            true,
            &[(5_000, Failed), (5_001, Activating)],
        );
        // A whole run of a short job.
        check(
            Inactive,
            Inactive,
            [9_000, 8_000, 9_000, 6_000, 7_000],
            false,
            &[(6_000, Activating), (7_000, Active), (8_000, Deactivating), (9_000, Inactive)],
        );
        // A start that failed, tried again and failed again.
        check(Activating, Failed, [9_000, 0, 9_000, 8_000, 0], true, &[(9_000, Failed)]);
        // Stopped and started again within a turn.
        check(
            Active,
            Active,
            [7_000, 5_000, 6_000, 7_000, 7_000],
            false,
            &[(5_000, Deactivating), (6_000, Inactive), (7_000, Active)],
        );
    }

    #[test]
    fn states_without_times_of_their_own() {
        use State::{Active, Failed, Reloading};
        check(Active, Reloading, [2_000, 0, 0, 900, 950], false, &[(2_000, Reloading)]);
        // The clock was set back: no time is newer, and still the end is told.
        check(Active, Failed, [500, 500, 500, 400, 450], true, &[(500, Failed)]);
    }

    #[test]
    fn every_state_has_one_name() {
        for state in State::ALL {
            assert_eq!(State::of(state.name()), Some(state));
        }
        assert_eq!(State::of("on fire"), None);
    }
}
