//! What runs on the host: totals by program as series, and every process as a table on request.
//!
//! Both begin with one pass over `/proc` (`scan`), which reads one line of each process (`stat`); what
//! costs more is asked only of those that need it (`meter`). A process is known by its program
//! (`program`). The series of programs are rationed (`naming`), so that no churn of processes makes many.

mod accounts;
mod meter;
mod naming;
mod program;
mod programs;
mod reader;
mod scan;
mod scrub;
mod stat;
mod states;
mod table;
mod users;

pub use reader::ProcessReader;
pub use table::{ProcessRow, ProcessTable};

pub(crate) use program::program_of;
pub(crate) use programs::Programs;
pub(crate) use states::Processes;
