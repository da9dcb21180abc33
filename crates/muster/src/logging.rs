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
    // A defect is one line of the log like any other, not a page on standard error.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no words");
        tracing::error!(at, "a part of the program failed, which is a defect of Muster: {what}");
    }));
    if broken {
        tracing::warn!(filter, "the log filter cannot be read; showing `info`");
    }
}
