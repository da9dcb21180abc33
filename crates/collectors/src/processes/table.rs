//! The processes of a host at one moment, as a person looks at them.

/// One process.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessRow {
    /// Its number.
    pub pid: u32,
    /// The number of its parent; 0 where it has none.
    pub parent: u32,
    /// The user as whom it acts: the name, or the number of a user without one.
    pub user: String,
    /// The program: what the kernel calls the process, with the script that an interpreter runs.
    pub program: String,
    /// The program with its arguments, in which the values of secrets are `***`: at most 256 bytes.
    /// Of a kernel thread it is the name in brackets.
    pub command: String,
    /// The kernel's letter: `R` runs, `S` sleeps, `D` waits for a device, `Z` has ended, …
    pub state: char,
    /// How many threads it has.
    pub threads: u32,
    /// When it started, in milliseconds since 1970-01-01 UTC.
    pub started_ms: i64,
    /// CPU time since the last reading, as a share of one core: 2.0 is two busy cores. In the first
    /// reading that knows the process: over its whole life.
    pub cpu_ratio: f64,
    /// Memory that is its own or shared and in RAM, in bytes.
    pub memory_bytes: u64,
    /// Bytes read from disks a second; `None` where the kernel does not tell this user.
    pub read_bytes_per_second: Option<f64>,
    /// Bytes written to disks a second; `None` where the kernel does not tell this user.
    pub written_bytes_per_second: Option<f64>,
}

/// The processes of a host at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProcessTable {
    /// When they were read, in milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// At most 500 rows: those that use most CPU, memory and disk, the most CPU first.
    pub rows: Vec<ProcessRow>,
    /// How many processes there are beyond those in `rows`.
    pub truncated: usize,
}
