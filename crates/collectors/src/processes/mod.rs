//! What runs on the host: totals by program as series, and every process as a table on request.

mod table;

pub use table::{ProcessRow, ProcessTable};
