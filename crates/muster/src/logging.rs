//! Log lines: to standard error, as text for people or as JSON for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Sets logging up; a filter that cannot be read becomes `info`, and says so.
pub(crate) fn init(filter: &str, json: bool) {
    let parsed = EnvFilter::try_new(filter);
    let broken = parsed.is_err();
    let filter_or_info = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter_or_info)
        .with_writer(std::io::stderr)
        .with_target(false);
    if json {
        builder.json().init();
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).compact().init();
    }
    if broken {
        tracing::warn!(filter, "the log filter cannot be read; showing `info`");
    }
}
