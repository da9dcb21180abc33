//! What one collection costs this machine: CPU time of a round, at once after the last and after a pause.
//!
//! `cargo run --release -p muster-collectors --example cost -- [ROUNDS]`

use std::thread;
use std::time::Duration;

use muster_collectors::{Cadence, Registry, Roots};
use muster_environment::SystemClock;
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let mut registry = Registry::new(&Roots::default());
    for cadence in [Cadence::Fast, Cadence::Slow] {
        let first = registry.collect(cadence, &SystemClock::new()).samples.len();
        measure(&mut registry, cadence, rounds, Duration::ZERO, first);
        measure(&mut registry, cadence, 10, Duration::from_secs(1), first);
    }
}

#[expect(clippy::print_stdout, reason = "this program prints what it measured")]
fn measure(
    registry: &mut Registry,
    cadence: Cadence,
    rounds: u32,
    pause: Duration,
    samples: usize,
) {
    let clock = SystemClock::new();
    let mut micros = 0.0;
    for _ in 0..rounds {
        thread::sleep(pause);
        let before = cpu_micros();
        registry.collect(cadence, &clock);
        micros += cpu_micros() - before;
    }
    let each = micros / f64::from(rounds);
    println!("{cadence:?}, {samples} samples, a pause of {pause:?}: {each:.1} µs a round");
}

fn cpu_micros() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}
