//! What can be read of graphics processors, whoever reads it.

/// A graphics processor at one moment; what it does not tell is absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Gpu {
    /// Its number among the host's, from 0.
    pub(super) index: u32,
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) driver: String,
    /// The part of the last moment in which it computed, from 0 to 1.
    pub(super) utilization_ratio: Option<f64>,
    pub(super) memory_used_bytes: Option<f64>,
    pub(super) memory_total_bytes: Option<f64>,
    pub(super) temperature_celsius: Option<f64>,
    pub(super) power_watts: Option<f64>,
    pub(super) power_limit_watts: Option<f64>,
    /// Of the fastest fan, as a part of its full speed.
    pub(super) fan_ratio: Option<f64>,
    pub(super) clock_hertz: Option<f64>,
    /// Errors of its memory over its life that were corrected, and that were not.
    pub(super) ecc_corrected: Option<f64>,
    pub(super) ecc_uncorrected: Option<f64>,
    /// The processes that use it, and the bytes of its memory that each has, where that is told;
    /// `None` where the processes are not told.
    pub(super) processes: Option<Vec<(u32, Option<u64>)>>,
}

/// Reads graphics processors. A call may take long, or never return.
pub(super) trait Gpus {
    /// All of them; one that does not answer is left out.
    fn read(&mut self) -> Vec<Gpu>;
}
