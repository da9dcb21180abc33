//! Which programs have series of their own: decided here, without `/proc` or a clock.
//!
//! A machine may start millions of processes with ever new names, and each name that is given a series
//! stays in the store's index for years. So names are rationed:
//!
//! 1. A program is wanted when it is among the first [`TOP`] by CPU, memory or disk I/O in
//!    [`PATIENCE_ROUNDS`] readings one after the other.
//! 2. There are [`SLOTS`] names at a time. A program keeps its name while it is among the first [`KEEP`],
//!    and [`LINGER_MS`] longer; when all slots are taken, the one that was longest out of the top may
//!    have to go earlier.
//! 3. After the first reading, a name that nobody has had during the last day costs a token. There are
//!    [`SLOTS`] of them, and a used one comes back in [`TOKEN_MS`]. So a day has at most 264 different
//!    names: those of the first reading, those of all tokens, and those of the tokens that come back.

use std::collections::HashMap;
use std::sync::Arc;

/// How many programs are wanted by each of the three uses.
pub(crate) const TOP: usize = 20;
/// Up to which place a program keeps its name.
const KEEP: usize = 30;
/// Most names at a time.
pub(crate) const SLOTS: usize = 3 * TOP;
/// How many readings in a row a program must be among the first to get a name.
const PATIENCE_ROUNDS: u32 = 2;
/// How long a program keeps its name after its use has fallen, in milliseconds.
const LINGER_MS: i64 = 10 * 60_000;
/// How long a name is safe from others after it was last in the top, in milliseconds.
const SAFE_MS: i64 = 60_000;
/// How long a token for a new name takes to come back, in milliseconds.
const TOKEN_MS: i64 = 10 * 60_000;
const DAY_MS: i64 = 24 * 3_600_000;
/// The most different names that a day can have.
#[cfg(test)]
pub(crate) const MAX_NAMES_A_DAY: usize = 2 * SLOTS + (DAY_MS / TOKEN_MS) as usize;

/// The name under which all programs without one are counted.
pub(crate) const OTHER: &str = "other";

/// What a program uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Usage {
    /// Cores, smoothed over a few readings.
    pub(crate) cpu: f64,
    /// Bytes, now.
    pub(crate) memory: f64,
    /// Bytes a second to and from disks, smoothed.
    pub(crate) io: f64,
}

/// Below these a program is not worth a name.
const LEAST: Usage = Usage { cpu: 0.001, memory: 4e6, io: 1e3 };

#[derive(Debug)]
struct Named {
    last_kept_ms: i64,
    last_top_ms: i64,
}

/// The names that are given, and who waits for one.
#[derive(Debug)]
pub(crate) struct Naming {
    named: HashMap<Arc<str>, Named>,
    /// In how many readings in a row a program without a name was among the first.
    waiting: HashMap<Arc<str>, u32>,
    /// When each name of the last day was last in use.
    remembered: HashMap<Arc<str>, i64>,
    tokens: f64,
    last_ms: Option<i64>,
}

impl Default for Naming {
    fn default() -> Self {
        Self {
            named: HashMap::new(),
            waiting: HashMap::new(),
            remembered: HashMap::new(),
            tokens: SLOTS as f64,
            last_ms: None,
        }
    }
}

impl Naming {
    /// Whether a program has a name of its own now.
    pub(crate) fn is_named(&self, program: &str) -> bool {
        self.named.contains_key(program)
    }

    /// Decides anew after a reading; `now_ms` is monotonic. Each program stands in `programs` once.
    pub(crate) fn decide(&mut self, programs: &[(Arc<str>, Usage)], now_ms: i64) {
        // What is there at the first reading has mostly been there for long.
        let is_first = self.last_ms.is_none();
        let elapsed_ms = self.last_ms.map_or(0, |last| now_ms - last);
        self.last_ms = Some(now_ms);
        self.tokens = (self.tokens + elapsed_ms as f64 / TOKEN_MS as f64).min(SLOTS as f64);
        let places = best_places(programs);
        let mut wanted = Vec::new();
        let mut waiting = HashMap::new();
        for ((program, _), place) in programs.iter().zip(places) {
            if let Some(named) = self.named.get_mut(program) {
                named.last_kept_ms = if place < KEEP { now_ms } else { named.last_kept_ms };
                named.last_top_ms = if place < TOP { now_ms } else { named.last_top_ms };
            } else if place < TOP && &**program != OTHER {
                let rounds = self.waiting.get(program).map_or(1, |rounds| rounds + 1);
                waiting.insert(Arc::clone(program), rounds);
                if rounds >= PATIENCE_ROUNDS || is_first {
                    wanted.push((place, program));
                }
            }
        }
        self.waiting = waiting;
        self.named.retain(|_, named| now_ms - named.last_kept_ms <= LINGER_MS);
        wanted.sort_unstable();
        for (_, program) in wanted {
            self.give_name(program, is_first, now_ms);
        }
        for program in self.named.keys() {
            self.remembered.insert(Arc::clone(program), now_ms);
        }
        self.remembered.retain(|_, last_ms| now_ms - *last_ms <= DAY_MS);
    }

    fn give_name(&mut self, program: &Arc<str>, is_free: bool, now_ms: i64) {
        let costs = !is_free && !self.remembered.contains_key(program);
        if costs && self.tokens < 1.0 || !self.has_slot(now_ms) {
            return;
        }
        self.tokens -= f64::from(u8::from(costs));
        self.waiting.remove(program);
        let named = Named { last_kept_ms: now_ms, last_top_ms: now_ms };
        self.named.insert(Arc::clone(program), named);
    }

    /// Whether there is a slot, which may have to be taken from the program least in need of it.
    fn has_slot(&mut self, now_ms: i64) -> bool {
        if self.named.len() < SLOTS {
            return true;
        }
        let oldest = self.named.iter().min_by_key(|(name, named)| (named.last_top_ms, *name));
        match oldest {
            Some((program, named)) if now_ms - named.last_top_ms > SAFE_MS => {
                let program = Arc::clone(program);
                self.named.remove(&program);
                true
            }
            _ => false,
        }
    }

    #[cfg(test)]
    pub(crate) fn names(&self) -> std::collections::HashSet<Arc<str>> {
        self.named.keys().cloned().collect()
    }
}

/// The best place that each program has by one of the three uses, counted from 0; `usize::MAX` where it
/// uses hardly anything.
fn best_places(programs: &[(Arc<str>, Usage)]) -> Vec<usize> {
    let mut places = vec![usize::MAX; programs.len()];
    let uses: [fn(&Usage) -> f64; 3] = [|usage| usage.cpu, |usage| usage.memory, |usage| usage.io];
    for of in uses {
        let value = |at: &usize| of(&programs[*at].1);
        let mut order: Vec<usize> =
            (0..programs.len()).filter(|at| value(at) >= of(&LEAST)).collect();
        order.sort_unstable_by(|a, b| {
            value(b).total_cmp(&value(a)).then_with(|| programs[*a].0.cmp(&programs[*b].0))
        });
        for (place, at) in order.into_iter().enumerate() {
            places[at] = places[at].min(place);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ROUND_MS: i64 = 10_000;

    fn programs(count: usize, prefix: &str, cpu: f64) -> Vec<(Arc<str>, Usage)> {
        let usage = Usage { cpu, ..Usage::default() };
        (0..count).map(|at| (Arc::from(format!("{prefix}{at:03}")), usage)).collect()
    }

    #[track_caller]
    fn check(naming: &Naming, program: &str, named: bool) {
        assert_eq!(naming.is_named(program), named, "{program}");
    }

    #[test]
    fn the_first_are_named_at_once_and_later_ones_after_two_readings() {
        let mut naming = Naming::default();
        let mut all = programs(25, "a", 1.0);
        naming.decide(&all, 0);
        check(&naming, "a019", true);
        check(&naming, "a020", false);
        all.extend(programs(1, "new", 2.0));
        naming.decide(&all, ROUND_MS);
        check(&naming, "new000", false);
        naming.decide(&all, 2 * ROUND_MS);
        check(&naming, "new000", true);
        // The last of the first twenty is now the twenty-first, which is near enough.
        check(&naming, "a019", true);
    }

    #[test]
    fn a_name_lingers_and_then_goes() {
        let mut naming = Naming::default();
        naming.decide(&programs(1, "a", 1.0), 0);
        naming.decide(&[], LINGER_MS);
        check(&naming, "a000", true);
        naming.decide(&[], LINGER_MS + 1);
        check(&naming, "a000", false);
    }

    #[test]
    fn what_is_called_other_or_uses_nothing_gets_no_name() {
        let mut naming = Naming::default();
        let busy = Usage { cpu: 1.0, ..Usage::default() };
        naming.decide(&[(Arc::from(OTHER), busy), (Arc::from("idle"), Usage::default())], 0);
        check(&naming, OTHER, false);
        check(&naming, "idle", false);
    }

    #[test]
    fn a_full_house_makes_room_for_what_is_used_more() {
        let mut naming = Naming::default();
        let usages = |kind: usize, value: f64| match kind {
            0 => Usage { cpu: value, ..Usage::default() },
            1 => Usage { memory: value * 1e9, ..Usage::default() },
            _ => Usage { io: value * 1e6, ..Usage::default() },
        };
        let group = |prefix: &str, value: f64| -> Vec<(Arc<str>, Usage)> {
            (0..SLOTS)
                .map(|at| (Arc::from(format!("{prefix}{at:02}")), usages(at % 3, value)))
                .collect()
        };
        let old = group("old", 1.0);
        naming.decide(&old, 0);
        assert_eq!(naming.names().len(), SLOTS);
        let mut both = old.clone();
        both.extend(group("new", 2.0));
        for round in 1..=7 {
            naming.decide(&both, round * ROUND_MS);
        }
        check(&naming, "new00", true);
        assert_eq!(naming.names().len(), SLOTS);
    }

    #[test]
    fn a_day_of_churn_has_a_bounded_number_of_names() {
        let mut naming = Naming::default();
        let mut ever = HashSet::new();
        for round in 0..DAY_MS / ROUND_MS {
            // Each program lives for four readings, long enough to be wanted.
            let all = programs(25, &format!("{}-", round / 4), 1.0);
            naming.decide(&all, round * ROUND_MS);
            ever.extend(naming.names());
            assert!(naming.named.len() <= SLOTS && naming.waiting.len() <= SLOTS);
        }
        assert!(ever.len() <= MAX_NAMES_A_DAY, "{}", ever.len());
        assert!(ever.len() >= SLOTS, "{}", ever.len());
    }
}
