//! What a reading of many processes costs: a measurement, to be run by hand.

use std::process::{Child, Command};
use std::time::Instant;

use muster_collectors::{Cadence, ProcessReader, Registry, Roots};
use muster_environment::{Clock, SystemClock};

const CHILDREN: usize = 1_000;
const ROUNDS: u32 = 50;

/// Ends its children with the test, however that ends.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
#[ignore = "a measurement: cargo test --release -p muster-collectors --test process_cost -- --ignored --nocapture"]
fn microseconds_a_process() {
    let children = (0..CHILDREN).map(|_| Command::new("sleep").arg("600").spawn().unwrap());
    let children = Children(children.collect());
    let clock = SystemClock::new();
    let roots = Roots::default();
    let mut registry = Registry::new(&roots);
    let mut reader = ProcessReader::new(&roots);
    registry.collect(Cadence::Medium, &clock);
    let processes = reader.read(clock.now_ms(), clock.monotonic_ms());
    let processes = processes.rows.len() + processes.truncated;
    assert!(processes >= children.0.len());
    let measure = |what: &str, work: &mut dyn FnMut()| {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        let micros = started.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
        println!("{what}: {micros:.0} µs, {:.2} µs a process", micros / processes as f64);
    };
    measure("medium collectors", &mut || {
        registry.collect(Cadence::Medium, &clock);
    });
    measure("table", &mut || {
        reader.read(clock.now_ms(), clock.monotonic_ms());
    });
}
