//! Ticks in time, on clocks that jump, under a boost and slowed down.

use proptest::prelude::*;

use super::*;

const FAST: Option<Tick> = Some(Tick::Fast);
const FULL: Option<Tick> = Some(Tick::Full);

/// A schedule without a recorder.
fn plain(interval_ms: i64, slow_interval_ms: i64) -> Schedule {
    Schedule::new(Cadence { interval_ms, slow_interval_ms, record_ms: None })
}

/// As an agent has it that was told nothing else.
fn recording() -> Schedule {
    Schedule::new(Cadence { interval_ms: 5_000, slow_interval_ms: 30_000, record_ms: Some(1_000) })
}

/// Wall and monotonic time in turn, and what is due then: which, with which timestamp.
#[track_caller]
fn check(schedule: &mut Schedule, steps: &[(i64, i64, Option<Tick>, i64)]) {
    for &(wall_ms, monotonic_ms, tick, timestamp_ms) in steps {
        let due = schedule.poll(wall_ms, monotonic_ms);
        let expected = tick.map(|tick| (tick, timestamp_ms));
        assert_eq!(due.map(|due| (due.tick, due.timestamp_ms)), expected, "at {wall_ms}");
        assert!(due.is_none_or(|due| due.sent), "everything is sent, at {wall_ms}");
    }
}

/// The ticks of some seconds from `from_ms` on, looked for every 50 ms: for each its second and, as letters, whether it is
/// sent and slow.
#[track_caller]
fn check_seconds(schedule: &mut Schedule, from_ms: i64, seconds: i64, expected: &str) {
    let ticks: Vec<String> = (0..seconds * 20)
        .filter_map(|at| schedule.poll(from_ms + at * 50, from_ms + at * 50))
        .map(|due| {
            let letters = [(due.sent, 's'), (due.tick == Tick::Full, 'f')];
            let letters: String =
                letters.iter().filter(|letter| letter.0).map(|letter| letter.1).collect();
            format!("{}{letters}", due.timestamp_ms / 1_000)
        })
        .collect();
    assert_eq!(ticks.join(" "), expected);
}

#[test]
fn ticks_stand_on_the_steps_of_the_wall_clock() {
    let mut schedule = plain(5_000, 30_000);
    check(
        &mut schedule,
        &[
            (103_000, 0, FULL, 103_000),
            (104_999, 1_999, None, 0),
            (105_002, 2_502, FAST, 105_000),
            (105_003, 2_503, None, 0),
            (110_000, 7_500, FAST, 110_000),
            (120_001, 17_501, FULL, 120_000),
            (125_000, 22_500, FAST, 125_000),
            (139_000, 36_500, FAST, 139_000),
        ],
    );
    assert_eq!(schedule.wait_ms(139_000, 36_500), 1_000);
}

#[test]
fn a_jump_of_the_clock_costs_at_most_one_tick() {
    let mut schedule = plain(5_000, 30_000);
    check(
        &mut schedule,
        &[
            (100_000, 0, FULL, 100_000),
            // An hour back, between two ticks.
            (-3_497_000, 3_000, FULL, -3_497_000),
            (-3_495_000, 5_000, None, 0),
            (-3_490_000, 10_000, FAST, -3_490_000),
            // A day forward.
            (86_400_000, 12_600, FULL, 86_400_000),
            // A few milliseconds back over the edge of a step and on again: no second tick.
            (86_399_999, 12_650, None, 0),
            (86_400_001, 12_652, None, 0),
        ],
    );
}

#[test]
fn a_boost_ends_by_itself() {
    let mut schedule = plain(5_000, 30_000);
    check(&mut schedule, &[(60_000, 0, FULL, 60_000)]);
    schedule.boost(1_000, 2_500, 0);
    check(
        &mut schedule,
        &[
            (61_000, 1_000, FAST, 61_000),
            (62_000, 2_000, FAST, 62_000),
            (63_000, 3_000, None, 0),
            (65_000, 5_000, FAST, 65_000),
        ],
    );
    schedule.boost(1_000, i64::MAX, 5_000);
    check(&mut schedule, &[(66_000, 6_000, FAST, 66_000)]);
    schedule.boost(1_000, 0, 6_000);
    check(&mut schedule, &[(67_000, 7_000, None, 0), (70_000, 10_000, FAST, 70_000)]);
    schedule.boost(1, 10_000, 10_000);
    check(&mut schedule, &[(70_900, 10_900, None, 0), (71_000, 11_000, FAST, 71_000)]);
}

#[test]
fn every_second_is_recorded_and_every_fifth_sent() {
    let mut schedule = recording();
    check_seconds(
        &mut schedule,
        118_000,
        14,
        "118sf 119 120sf 121 122 123 124 125s 126 127 128 129 130s 131",
    );
    schedule.boost(1_000, 2_000, 132_000);
    check_seconds(&mut schedule, 132_000, 5, "132s 133s 134 135s 136");
}

#[test]
fn an_interval_that_seconds_do_not_fill_is_the_recorders_too() {
    let cadence = Cadence { interval_ms: 1_500, slow_interval_ms: 30_000, record_ms: Some(1_000) };
    let mut schedule = Schedule::new(cadence);
    check_seconds(&mut schedule, 60_000, 5, "60sf 61s 63s 64s");
}

#[test]
fn slower_means_without_the_recorder_first_and_then_less_of_everything() {
    let mut schedule = recording();
    check_seconds(&mut schedule, 60_000, 2, "60sf 61");
    schedule.slow_down(1);
    check_seconds(&mut schedule, 62_000, 10, "65s 70s");
    schedule.slow_down(2);
    check_seconds(&mut schedule, 72_000, 49, "80s 90s 100s 110s 120sf");
    schedule.boost(1_000, 60_000, 121_000);
    check_seconds(&mut schedule, 121_000, 10, "124s 128s");
    schedule.slow_down(99);
    assert_eq!(schedule.intervals_ms(190_000), (40_000, 40_000));
    schedule.slow_down(0);
    assert_eq!(schedule.intervals_ms(190_000), (1_000, 5_000));
}

#[test]
fn what_a_skipped_tick_should_have_brought_comes_with_the_next() {
    let mut schedule = recording();
    let first = schedule.poll(60_000, 0).unwrap();
    schedule.skipped(first);
    check_seconds(&mut schedule, 61_000, 2, "61sf 62");
}

#[test]
fn the_wait_is_never_longer_than_an_interval() {
    let mut schedule = plain(5_000, 30_000);
    assert_eq!(schedule.wait_ms(1, 1), 0);
    schedule.poll(103_000, 0);
    for (wall_ms, monotonic_ms) in [(103_000, 0), (104_999, 1), (-77, 2), (i64::MAX / 2, 9_999)] {
        let wait = schedule.wait_ms(wall_ms, monotonic_ms);
        assert!((0..=5_000).contains(&wait), "{wait}");
    }
}

#[derive(Debug, Clone)]
enum Happens {
    /// Both clocks go on, as they do; at most as long as the agent's loop sleeps.
    Passes(i64),
    /// Somebody, or NTP, sets the wall clock.
    Jumps(i64),
    /// The machine sleeps: the wall clock goes on, the monotonic one does not.
    Sleeps(i64),
    Boost(i64),
    Slow(u32),
}

fn anything() -> impl Strategy<Value = Happens> {
    prop_oneof![
        8 => (1_i64..3_000).prop_map(Happens::Passes),
        1 => (-90_000_000_i64..90_000_000).prop_map(Happens::Jumps),
        1 => (0_i64..90_000_000).prop_map(Happens::Sleeps),
        1 => (0_i64..60_000).prop_map(Happens::Boost),
        1 => (0_u32..6).prop_map(Happens::Slow),
    ]
}

proptest! {
    /// Whatever the clocks do: ticks never crowd, never stay away, and never bear a time that is not now.
    #[test]
    fn ticks_keep_their_distance(all in prop::collection::vec(anything(), 1..300)) {
        let mut schedule = recording();
        let (mut wall_ms, mut now_ms) = (1_700_000_000_123_i64, 0_i64);
        let mut last: Option<i64> = None;
        for happens in all {
            match happens {
                Happens::Passes(ms) => {
                    wall_ms += ms;
                    now_ms += ms;
                }
                Happens::Jumps(ms) | Happens::Sleeps(ms) => wall_ms += ms,
                Happens::Boost(lease_ms) => schedule.boost(1_000, lease_ms, now_ms),
                Happens::Slow(level) => schedule.slow_down(level),
            }
            let (tick_ms, sent_ms) = schedule.intervals_ms(now_ms);
            prop_assert!(tick_ms <= sent_ms && sent_ms <= 40_000);
            let due = schedule.poll(wall_ms, now_ms);
            if let Some(due) = due {
                prop_assert!(last.is_none_or(|last| now_ms - last >= tick_ms / 2));
                prop_assert!((0..tick_ms).contains(&(wall_ms - due.timestamp_ms)));
                last = Some(now_ms);
            }
            let wait_ms = schedule.wait_ms(wall_ms, now_ms);
            prop_assert!((0..=tick_ms).contains(&wait_ms));
            prop_assert!(schedule.poll(wall_ms, now_ms).is_none(), "one tick at one time");
        }
    }

    /// Between two jumps nothing is missed: after each the ticks are on the grid again, and as many as time has passed.
    #[test]
    fn a_clock_that_was_set_misses_nothing_afterwards(jump_ms in -4_000_000_i64..4_000_000, at_ms in 0_i64..30_000) {
        let mut schedule = recording();
        let mut sent = Vec::new();
        for now_ms in (0..120_000).step_by(100) {
            let wall_ms = 1_700_000_000_000 + now_ms + if now_ms >= at_ms { jump_ms } else { 0 };
            if let Some(due) = schedule.poll(wall_ms, now_ms)
                && due.sent
            {
                sent.push(due.timestamp_ms);
            }
        }
        prop_assert!((24..=27).contains(&sent.len()), "{sent:?}");
        let late: Vec<i64> = sent.iter().rev().take(15).rev().copied().collect();
        prop_assert!(late.windows(2).all(|two| two[1] - two[0] == 5_000), "{sent:?}");
    }
}

#[test]
fn other_intervals_hold_from_the_next_tick_on() {
    let mut schedule = plain(5_000, 30_000);
    check(&mut schedule, &[(60_000, 0, FULL, 60_000)]);
    schedule.set_intervals(2_000, 1_000);
    let steps = [(62_000, 2_000, FULL, 62_000), (64_000, 4_000, FULL, 64_000)];
    check(&mut schedule, &steps);
}

#[test]
fn no_interval_of_a_server_is_beyond_bounds() {
    let mut schedule = plain(5_000, 30_000);
    check(&mut schedule, &[(600_000, 0, FULL, 600_000)]);
    schedule.slow_down(SLOWEST);
    schedule.boost(i64::MAX, 60_000, 0);
    assert_eq!(schedule.intervals_ms(1).1, 40_000, "the agent's own interval, eight times");
    schedule.slow_down(0);
    schedule.set_interval(i64::MAX);
    assert_eq!(schedule.intervals_ms(100_000).1, MAX_INTERVAL_MS);
}
