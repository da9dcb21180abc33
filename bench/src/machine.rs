//! What a run was measured on and with, so that figures can be judged and measured again.

use std::fmt::Write as _;
use std::fs;

use crate::options::Options;

/// The head of a report, as Markdown.
pub(crate) fn describe(options: &Options) -> anyhow::Result<String> {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&processor, "model name").unwrap_or("an unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = field(&memory, "MemTotal").and_then(|text| text.strip_suffix(" kB")?.parse().ok());
    let gib = memory.unwrap_or(0.0_f64) / 1_048_576.0;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut text = format!(
        "Machine: {cores} cores ({model}), {gib:.0} GiB, Linux {}. Rounds: {}{}. Every figure is the median of the rounds, \
         in which the products were measured in turn on the same data.\n\n",
        kernel.trim(),
        options.rounds(),
        if options.quick { ", an eighth of the data" } else { "" },
    );
    for product in options.products() {
        let version = product.version(&options.muster)?;
        let _ = writeln!(text, "- {}: {version}: `{}`", product.name(), product.command_line());
    }
    Ok(text)
}

/// The value behind `name :` in a file of `/proc`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches([' ', '\t', ':']))
}
