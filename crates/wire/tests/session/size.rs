//! The promise that a host's second costs less than a kilobyte, on a host that looks like one.

use muster_series::Labels;
use muster_wire::{Group, Limits};

use crate::two_sides::{TwoSides, batches};

const SERIES: u32 = 500;
const SECONDS: i64 = 120;

/// A small generator with a fixed seed: tests must not differ from run to run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end) as f64
    }
}

/// 500 series as on a busy host: 80 CPU counters in hundredths, 60 sizes of memory in pages, 100 disk
/// and 60 network counters, 40 loads, pressures and temperatures, 160 that hardly ever change.
fn tick(values: &mut [f64], dice: &mut Dice) {
    for (at, value) in values.iter_mut().enumerate() {
        *value = match at {
            0..80 if dice.below(3) > 0.0 => ((*value * 100.0).round() + dice.below(100)) / 100.0,
            80..140 if dice.below(4) > 0.0 => *value + 4_096.0 * (dice.below(4_000) - 2_000.0),
            140..240 if dice.below(3) == 0.0 => *value + dice.below(60_000),
            240..300 if dice.below(2) == 0.0 => *value + dice.below(30_000),
            300..340 if dice.below(2) == 0.0 => dice.below(10_000) / 100.0,
            340..500 if dice.below(200) == 0.0 => *value + 1.0,
            _ => *value,
        };
    }
}

#[test]
fn a_second_of_500_series_is_under_a_kilobyte() {
    let mut both = TwoSides::welcomed(Limits::default());
    let mut dice = Dice(7);
    let mut values: Vec<f64> = (0..SERIES).map(|_| 4_096.0 * dice.below(1 << 22)).collect();
    let labels_of = |own: u32| {
        Labels::from_pairs([
            ("__name__".to_owned(), format!("node_subsystem_metric_{}_total", own / 8)),
            ("device".to_owned(), format!("dev{}", own % 8)),
            ("instance".to_owned(), "web-1.example.org".to_owned()),
            ("job".to_owned(), "node".to_owned()),
        ])
        .ok()
    };
    let mut first = 0;
    for second in 0..=SECONDS {
        tick(&mut values, &mut dice);
        let samples: Vec<(u32, f64)> = (0..SERIES).zip(values.iter().copied()).collect();
        let groups = [Group { timestamp_ms: 1_700_000_000_000 + second * 1_000, samples }];
        both.agent.send_batch(false, &groups, labels_of).unwrap();
        assert_eq!(batches(both.up().unwrap())[0].groups, groups);
        if second == 0 {
            first = std::mem::take(&mut both.bytes_up);
        }
    }
    let each = both.bytes_up as i64 / SECONDS;
    println!("first frames {first} bytes, then {each} bytes a second");
    assert!(each < 700, "{each} bytes a second");
    assert!(first < 12_000, "the first frames have {first} bytes");
}
