//! How the kernel's clock is kept right, as `adjtimex(2)` tells. It needs `unsafe` code: no safe wrapper of this call
//! is well kept.

use std::io;

/// The answer of `adjtimex(2)`, in its units: see its manual page. Where no unit stands, `offset` and
/// `pps_jitter` are nanoseconds if `status` has bit 0x2000, else microseconds; frequencies are parts of a
/// million with 16 bits after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelClock {
    /// What the kernel returns: 5 means that nobody keeps the clock right.
    pub state: i32,
    /// How far the clock is off.
    pub offset: i64,
    /// How much faster the clock is made to go.
    pub frequency: i64,
    /// How far the clock may be off at most.
    pub max_error_us: i64,
    /// How far the clock is probably off.
    pub estimated_error_us: i64,
    /// Bits `STA_…`.
    pub status: i32,
    /// How sluggishly the clock follows its reference.
    pub loop_time_constant: i64,
    /// Microseconds between two ticks of the clock.
    pub tick_us: i64,
    /// Frequency of a pulse-per-second signal.
    pub pps_frequency: i64,
    /// Jitter of that signal.
    pub pps_jitter: i64,
    /// Interval of that signal, as a power of two of seconds.
    pub pps_shift: i32,
    /// Stability of that signal.
    pub pps_stability: i64,
    /// How often its jitter was too large.
    pub pps_jitter_exceeded: i64,
    /// How many intervals were calibrated.
    pub pps_calibrations: i64,
    /// How many calibrations failed.
    pub pps_errors: i64,
    /// How often it was too unstable.
    pub pps_stability_exceeded: i64,
    /// Seconds that International Atomic Time is ahead of UTC; 0 if the kernel was not told.
    pub tai_offset_s: i32,
}

/// Asks the kernel; changes nothing. An error is what a sandbox that forbids the call says.
#[expect(unsafe_code, reason = "the call has no safe wrapper that is well kept")]
pub fn kernel_clock() -> io::Result<KernelClock> {
    // SAFETY: `timex` is a C structure of integers, for which all zeros are a value; `modes` = 0 asks for an
    // answer without a change.
    let mut answer: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole `timex` that lives longer than the call, which is all that it needs.
    let state = unsafe { libc::adjtimex(&raw mut answer) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(KernelClock {
        state,
        offset: answer.offset,
        frequency: answer.freq,
        max_error_us: answer.maxerror,
        estimated_error_us: answer.esterror,
        status: answer.status,
        loop_time_constant: answer.constant,
        tick_us: answer.tick,
        pps_frequency: answer.ppsfreq,
        pps_jitter: answer.jitter,
        pps_shift: answer.shift,
        pps_stability: answer.stabil,
        pps_jitter_exceeded: answer.jitcnt,
        pps_calibrations: answer.calcnt,
        pps_errors: answer.errcnt,
        pps_stability_exceeded: answer.stbcnt,
        tai_offset_s: answer.tai,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_with_its_tick() {
        let Ok(clock) = kernel_clock() else {
            println!("skipped: this sandbox forbids adjtimex");
            return;
        };
        assert!((9_000..=11_000).contains(&clock.tick_us), "{clock:?}");
        assert!((0..=5).contains(&clock.state), "{clock:?}");
    }
}
