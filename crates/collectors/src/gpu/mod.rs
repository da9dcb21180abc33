//! NVIDIA's graphics processors.
//!
//! Nothing is loaded, and no thread started, on a host whose kernel has no such driver: that costs one
//! look at `/sys/module`.

mod nvml;
mod reading;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::CollectError;
use crate::metric::{Metric, Unit};
use crate::processes::program_of;
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

use reading::Gpu;
use worker::{Load, Worker};

const LABELS: &[&str] = &["gpu"];

static INFO: Metric =
    Metric::info("muster_gpu_info", "A graphics processor.", &["gpu", "uuid", "name", "driver"]);
static UTILIZATION: Metric = gauge(
    "muster_gpu_utilization_ratio",
    Unit::None,
    "The part of the time in which a graphics processor computed.",
);
static MEMORY_USED: Metric =
    gauge("muster_gpu_memory_used_bytes", Unit::Bytes, "Memory of a graphics processor in use.");
static MEMORY_TOTAL: Metric =
    gauge("muster_gpu_memory_total_bytes", Unit::Bytes, "Memory of a graphics processor.");
static TEMPERATURE: Metric =
    gauge("muster_gpu_temperature_celsius", Unit::Celsius, "Temperature of a graphics processor.");
static POWER: Metric =
    gauge("muster_gpu_power_watts", Unit::Watts, "Power that a graphics processor takes.");
static POWER_LIMIT: Metric =
    gauge("muster_gpu_power_limit_watts", Unit::Watts, "Power that a graphics processor may take.");
static FAN: Metric = gauge(
    "muster_gpu_fan_ratio",
    Unit::None,
    "Speed of the fastest fan of a graphics processor, as a part of its full speed.",
);
static CLOCK: Metric =
    gauge("muster_gpu_clock_hertz", Unit::Hertz, "Clock of the cores of a graphics processor.");
static PROCESSES: Metric =
    gauge("muster_gpu_processes", Unit::None, "Processes that use a graphics processor.");
static ECC: Metric = Metric::counter(
    "muster_gpu_ecc_errors_total",
    Unit::None,
    "Errors of a graphics processor's memory over its life; kind is corrected or uncorrected.",
    &["gpu", "kind"],
);
static PROCESS_MEMORY: Metric = Metric::gauge(
    "muster_gpu_process_memory_bytes",
    Unit::Bytes,
    "Memory of a graphics processor that a program uses; those beyond the first ones are other.",
    &["gpu", "program"],
);

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::gauge(name, unit, help, LABELS)
}

type Of = fn(&Gpu) -> Option<f64>;
static VALUES: [(&Metric, Of); 9] = [
    (&UTILIZATION, |gpu| gpu.utilization_ratio),
    (&MEMORY_USED, |gpu| gpu.memory_used_bytes),
    (&MEMORY_TOTAL, |gpu| gpu.memory_total_bytes),
    (&TEMPERATURE, |gpu| gpu.temperature_celsius),
    (&POWER, |gpu| gpu.power_watts),
    (&POWER_LIMIT, |gpu| gpu.power_limit_watts),
    (&FAN, |gpu| gpu.fan_ratio),
    (&CLOCK, |gpu| gpu.clock_hertz),
    (&PROCESSES, |gpu| gpu.processes.as_ref().map(|processes| processes.len() as f64)),
];

/// Most programs that are told apart on a processor, those with most memory first.
const MAX_PROGRAMS: usize = 20;

/// Collects what NVIDIA's driver says.
#[derive(Debug)]
pub(crate) struct Nvidia {
    /// Is there where the kernel has the driver.
    module: PathBuf,
    proc: PathBuf,
    worker: Worker,
}

impl Nvidia {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self::with(roots, Arc::new(nvml::load))
    }

    fn with(roots: &Roots, load: Load) -> Self {
        let module = roots.sys.join("module/nvidia");
        Self { module, proc: roots.proc.clone(), worker: Worker::new(load) }
    }

    /// The memory of each program, the most first; what has no name any more is `?`.
    fn programs(&self, processes: &[(u32, Option<u64>)]) -> Vec<(String, u64)> {
        let mut used: BTreeMap<String, u64> = BTreeMap::new();
        for (pid, bytes) in processes {
            if let Some(bytes) = bytes {
                *used.entry(program_of(&self.proc, *pid)).or_default() += bytes;
            }
        }
        let mut programs: Vec<(String, u64)> = used.into_iter().collect();
        programs.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        if programs.len() > MAX_PROGRAMS {
            let rest = programs.split_off(MAX_PROGRAMS).into_iter().map(|(_, bytes)| bytes).sum();
            programs.push(("other".to_owned(), rest));
        }
        programs
    }
}

impl Collector for Nvidia {
    fn name(&self) -> &'static str {
        "nvidia"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Medium
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        let values = VALUES.iter().map(|(metric, _)| *metric);
        [&INFO].into_iter().chain(values).chain([&ECC, &PROCESS_MEMORY]).collect()
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        if !self.module.exists() {
            self.worker.stop();
            return Ok(());
        }
        for gpu in self.worker.read(sink.monotonic_ms()) {
            let index = gpu.index.to_string();
            sink.push(&INFO, &[&index, &gpu.uuid, &gpu.name, &gpu.driver], 1.0);
            for (metric, of) in VALUES {
                if let Some(value) = of(&gpu) {
                    sink.push(metric, &[&index], value);
                }
            }
            let errors = [("corrected", gpu.ecc_corrected), ("uncorrected", gpu.ecc_uncorrected)];
            for (kind, count) in errors {
                if let Some(count) = count {
                    sink.push(&ECC, &[&index, kind], count);
                }
            }
            for (program, bytes) in self.programs(gpu.processes.as_deref().unwrap_or_default()) {
                sink.push(&PROCESS_MEMORY, &[&index, &program], bytes as f64);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;
    use std::time::{Duration, Instant};

    use super::reading::Gpus;
    use super::*;
    use crate::sink::{Collection, SeriesCache};

    struct Fake(Vec<Gpu>);

    impl Gpus for Fake {
        fn read(&mut self) -> Vec<Gpu> {
            self.0.clone()
        }
    }

    /// What is collected of these processors, by series; the driver is there or not.
    fn collected(gpus: &[Gpu], has_driver: bool) -> HashMap<String, f64> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        if has_driver {
            fs::create_dir_all(path.join("module/nvidia")).unwrap();
        }
        fs::create_dir_all(path.join("7")).unwrap();
        fs::write(path.join("7/comm"), "python3\n").unwrap();
        fs::write(path.join("7/cmdline"), "python3\0/srv/train.py\0").unwrap();
        let gpus = gpus.to_vec();
        let load: Load = Arc::new(move || Some(Box::new(Fake(gpus.clone())) as Box<dyn Gpus>));
        let mut nvidia = Nvidia::with(&Roots::new(path, path, path), load);
        let (mut cache, mut next_series) = (SeriesCache::default(), 0);
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let mut out = Collection::default();
            nvidia.collect(&mut cache.begin(&mut out, &mut next_series, 0, 0)).unwrap();
            cache.end(&mut out);
            if !out.samples.is_empty() || !has_driver {
                let series = out.new_series.iter().map(|(_, labels)| labels.to_string());
                return series.zip(out.samples.iter().map(|(_, value)| *value)).collect();
            }
            assert!(Instant::now() < deadline, "no answer");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_a_processor_tells() {
        let gpu = Gpu {
            index: 1,
            uuid: "GPU-1".into(),
            name: "H100".into(),
            driver: "570.1".into(),
            utilization_ratio: Some(0.5),
            power_watts: Some(300.0),
            ecc_corrected: Some(3.0),
            processes: Some(vec![(7, Some(100)), (8, Some(50)), (9, None)]),
            ..Gpu::default()
        };
        let expected = [
            (r#"muster_gpu_info{driver="570.1", gpu="1", name="H100", uuid="GPU-1"}"#, 1.0),
            (r#"muster_gpu_utilization_ratio{gpu="1"}"#, 0.5),
            (r#"muster_gpu_power_watts{gpu="1"}"#, 300.0),
            (r#"muster_gpu_processes{gpu="1"}"#, 3.0),
            (r#"muster_gpu_ecc_errors_total{gpu="1", kind="corrected"}"#, 3.0),
            (r#"muster_gpu_process_memory_bytes{gpu="1", program="python3:train.py"}"#, 100.0),
            (r#"muster_gpu_process_memory_bytes{gpu="1", program="?"}"#, 50.0),
        ];
        let expected = expected.map(|(series, value)| (series.to_owned(), value));
        assert_eq!(collected(&[gpu], true), HashMap::from(expected));
    }

    #[test]
    fn without_the_driver_nothing_is_asked() {
        assert!(collected(&[Gpu::default()], false).is_empty());
    }

    #[test]
    fn programs_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for pid in 0..30 {
            fs::create_dir(path.join(pid.to_string())).unwrap();
            fs::write(path.join(format!("{pid}/comm")), format!("p{pid}\n")).unwrap();
        }
        let processes: Vec<(u32, Option<u64>)> = (0..30).map(|pid| (pid, Some(100))).collect();
        let programs = Nvidia::new(&Roots::new(path, path, path)).programs(&processes);
        assert_eq!(programs.len(), MAX_PROGRAMS + 1);
        assert_eq!(programs.last(), Some(&("other".to_owned(), 1000)));
    }
}
