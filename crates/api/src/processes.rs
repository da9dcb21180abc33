//! The processes of a host, as a live table.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProcessRow {
    /// Its number.
    pub pid: u32,
    /// The number of its parent; 0 has none.
    pub parent: u32,
    /// The account it runs as: its name, or its number where it has no name.
    pub user: String,
    /// The name of its program.
    pub program: String,
    /// Its command with arguments, values of secrets replaced; the program's name where arguments are not shown.
    pub command: String,
    /// The kernel's letter for its state: `R` runs, `S` sleeps, `D` waits for a disk, `Z` has ended, and so on.
    pub state: String,
    /// How many threads it has.
    pub threads: u32,
    /// When it was started.
    pub started_ms: i64,
    /// How much of one core it used since the table before: 1.5 is one and a half.
    pub cpu_ratio: f64,
    /// Memory in use (resident), in bytes.
    pub memory_bytes: u64,
    /// Read from disks; `null` where the agent may not know.
    pub read_bytes_per_second: Option<f64>,
    /// Written to disks; `null` where the agent may not know.
    pub written_bytes_per_second: Option<f64>,
}

/// The processes of a host at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProcessTable {
    /// The host's time.
    pub time_ms: i64,
    /// Those that use most CPU, memory or disk, 500 at most.
    pub rows: Vec<ProcessRow>,
    /// How many processes more there are.
    pub truncated: u64,
}

/// Why there is no table at the moment. One follows by itself when the host answers again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcessesUnavailable {
    /// A word for programs: `host_silent`, its agent is not connected; `no_answer`, the agent is connected and sends no table.
    pub reason: String,
}
