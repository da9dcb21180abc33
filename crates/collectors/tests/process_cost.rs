//! What a reading of many processes costs: a measurement, to be run by hand.

use std::process::{Child, Command};

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

/// CPU time of this thread in microseconds, as the scheduler counts it: other work on the machine does
/// not change it by much.
fn cpu_micros() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel has it");
    let nanos = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    nanos.expect("the first word is a number") / 1e3
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
        let started = cpu_micros();
        for _ in 0..ROUNDS {
            work();
        }
        let micros = (cpu_micros() - started) / f64::from(ROUNDS);
        println!("{what}: {micros:.0} µs of CPU, {:.2} µs a process", micros / processes as f64);
    };
    measure("medium collectors", &mut || {
        registry.collect(Cadence::Medium, &clock);
    });
    measure("table", &mut || {
        reader.read(clock.now_ms(), clock.monotonic_ms());
    });
}
