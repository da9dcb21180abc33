//! NVIDIA's processors, through the library of their driver, which is loaded at run time.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::{Device, Nvml};

use super::reading::{Gpu, Gpus};

/// The library as the driver's packages name it; the name without a number is a developer's.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// Most processors that are read.
const MAX_GPUS: u32 = 64;

/// The driver's library.
struct Library(Nvml);

/// Loads the library; `None` where there is none, or no driver that answers it.
pub(super) fn load() -> Option<Box<dyn Gpus>> {
    let nvml = Nvml::builder().lib_path(OsStr::new(LIBRARY)).init();
    match nvml {
        Ok(nvml) => Some(Box::new(Library(nvml))),
        Err(error) => {
            tracing::debug!(%error, "NVIDIA's library cannot be used");
            None
        }
    }
}

impl Gpus for Library {
    fn read(&mut self) -> Vec<Gpu> {
        let driver = self.0.sys_driver_version().unwrap_or_default();
        let count = self.0.device_count().unwrap_or_default().min(MAX_GPUS);
        let devices =
            (0..count).filter_map(|index| Some((index, self.0.device_by_index(index).ok()?)));
        devices.map(|(index, device)| read(index, &device, driver.clone())).collect()
    }
}

fn read(index: u32, device: &Device<'_>, driver: String) -> Gpu {
    let memory = device.memory_info().ok();
    let milliwatts = |power: u32| f64::from(power) / 1e3;
    let percent = |value: u32| f64::from(value) / 100.0;
    let ecc = |error| device.total_ecc_errors(error, EccCounter::Aggregate).ok().map(|n| n as f64);
    let fans =
        (0..device.num_fans().unwrap_or_default()).filter_map(|fan| device.fan_speed(fan).ok());
    Gpu {
        index,
        uuid: device.uuid().unwrap_or_default(),
        name: device.name().unwrap_or_default(),
        driver,
        utilization_ratio: device.utilization_rates().ok().map(|rates| percent(rates.gpu)),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used as f64),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total as f64),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
        power_watts: device.power_usage().ok().map(milliwatts),
        power_limit_watts: device.enforced_power_limit().ok().map(milliwatts),
        fan_ratio: fans.max().map(percent),
        clock_hertz: device.clock_info(Clock::Graphics).ok().map(|mhz| f64::from(mhz) * 1e6),
        ecc_corrected: ecc(MemoryError::Corrected),
        ecc_uncorrected: ecc(MemoryError::Uncorrected),
        processes: processes(device),
    }
}

/// The processes that compute or draw; one that does both is one.
fn processes(device: &Device<'_>) -> Option<Vec<(u32, Option<u64>)>> {
    let compute = device.running_compute_processes().ok();
    let graphics = device.running_graphics_processes().ok();
    if compute.is_none() && graphics.is_none() {
        return None;
    }
    let mut used = BTreeMap::new();
    for process in compute.into_iter().chain(graphics).flatten() {
        let bytes = match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        };
        let known: &mut Option<u64> = used.entry(process.pid).or_default();
        *known = (*known).max(bytes);
    }
    Some(used.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_used_where_it_is_and_absent_where_not() {
        // On a machine with such a processor the library must answer; on others it is just not there.
        let Some(mut gpus) = load() else {
            println!("skipped: this machine has no {LIBRARY} that works");
            return;
        };
        for gpu in gpus.read() {
            assert!(!gpu.uuid.is_empty() && gpu.memory_total_bytes > Some(0.0), "{gpu:?}");
        }
    }
}
