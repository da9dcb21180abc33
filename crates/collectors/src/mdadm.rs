//! `/proc/mdstat`: software RAID arrays, and whether disks of theirs have failed.

use std::path::PathBuf;

use crate::error::{CollectError, Malformed};
use crate::file::{number, read};
use crate::metric::{Metric, Unit};
use crate::registry::{Cadence, Collector};
use crate::roots::Roots;
use crate::sink::Sink;

static STATE: Metric =
    gauge("node_md_state", "Indicates the state of md-device.", &["device", "state"]);
static DISKS: Metric =
    gauge("node_md_disks", "Number of active/failed/spare disks of device.", &["device", "state"]);
static DISKS_REQUIRED: Metric =
    gauge("node_md_disks_required", "Total number of disks of device.", &["device"]);
static BLOCKS: Metric = gauge("node_md_blocks", "Total number of blocks on device.", &["device"]);
static BLOCKS_SYNCED: Metric =
    gauge("node_md_blocks_synced", "Number of blocks synced on device.", &["device"]);

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric::gauge(name, Unit::None, help, labels)
}

/// Collects `/proc/mdstat`.
#[derive(Debug)]
pub(crate) struct Mdadm {
    path: PathBuf,
}

impl Mdadm {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { path: roots.proc.join("mdstat") }
    }
}

impl Collector for Mdadm {
    fn name(&self) -> &'static str {
        "mdadm"
    }

    fn cadence(&self) -> Cadence {
        Cadence::Slow
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        vec![&STATE, &DISKS, &DISKS_REQUIRED, &BLOCKS, &BLOCKS_SYNCED]
    }

    fn collect(&mut self, sink: &mut Sink<'_>) -> Result<(), CollectError> {
        read(&self.path, |text| {
            for array in parse_mdstat(text)? {
                let name = array.name;
                for state in ["active", "inactive", "recovering", "resync", "check"] {
                    let is_it = f64::from(u8::from(state == array.state));
                    sink.push(&STATE, &[name, state], is_it);
                }
                sink.push(&DISKS, &[name, "active"], array.active);
                sink.push(&DISKS, &[name, "failed"], array.failed);
                sink.push(&DISKS, &[name, "spare"], array.spare);
                sink.push(&DISKS_REQUIRED, &[name], array.required);
                sink.push(&BLOCKS, &[name], array.blocks);
                sink.push(&BLOCKS_SYNCED, &[name], array.synced);
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// A software RAID array.
#[derive(Debug, PartialEq)]
struct Array<'a> {
    name: &'a str,
    state: &'static str,
    active: f64,
    failed: f64,
    spare: f64,
    required: f64,
    blocks: f64,
    synced: f64,
}

/// An array has a line `md0 : active raid1 sdb1[1] sda1[0](F)`, then one that begins with its blocks
/// and may hold `[2/1]`, required and active disks, then perhaps one that tells its recovery.
fn parse_mdstat(text: &str) -> Result<Vec<Array<'_>>, Malformed> {
    let mut arrays = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, rest)) = line.split_once(" : ") else {
            continue;
        };
        if name == "Personalities" {
            continue;
        }
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let count = |mark: &str| words.iter().filter(|word| word.ends_with(mark)).count() as f64;
        let members = words.iter().filter(|word| word.contains('[')).count() as f64;
        let (failed, spare) = (count("(F)"), count("(S)"));
        let blocks_line = lines.next().unwrap_or_default();
        let blocks = blocks_line.split_ascii_whitespace().next().and_then(number);
        let blocks = blocks.ok_or_else(|| Malformed::at(line))?;
        let in_order = members - failed - spare;
        let (required, active) = parse_disks(blocks_line).unwrap_or((in_order, in_order));
        let state = if words.first() == Some(&"active") { "active" } else { "inactive" };
        let active = if state == "active" { active } else { 0.0 };
        let mut array =
            Array { name, state, active, failed, spare, required, blocks, synced: blocks };
        while let Some(line) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            if let Some((state, synced)) = parse_progress(line) {
                array.state = state;
                array.synced = synced.unwrap_or(array.synced);
            }
        }
        arrays.push(array);
    }
    Ok(arrays)
}

/// Required and active disks from `... super 1.2 [2/1] [_U]`.
fn parse_disks(line: &str) -> Option<(f64, f64)> {
    line.split(['[', ']']).find_map(|part| {
        let (required, active) = part.split_once('/')?;
        Some((number(required)?, number(active)?))
    })
}

/// State and blocks done from `[=>...]  recovery = 8.5% (16775552/195310144) finish=17.0min`.
fn parse_progress(line: &str) -> Option<(&'static str, Option<f64>)> {
    let states = [("recovery", "recovering"), ("resync", "resync"), ("check", "check")];
    let (_, state) = states.into_iter().find(|(word, _)| line.contains(word))?;
    let done = line.split_once('(').and_then(|(_, rest)| rest.split_once('/'));
    Some((state, done.and_then(|(done, _)| number(done))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Personalities : [raid1] [raid6] [raid5] [raid4]
md0 : active raid1 sdb1[1] sda1[0](F) sdc1[2](S)
      488383936 blocks super 1.2 [2/1] [_U]
      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec
      bitmap: 1/1 pages [4KB], 65536KB chunk

md1 : inactive sdd1[0](S)
      3142 blocks super 1.2

md2 : active raid0 sde1[0] sdf1[1]
      100 blocks super 1.2 512k chunks

unused devices: <none>
";

    #[test]
    fn arrays() {
        let arrays = parse_mdstat(TEXT).unwrap();
        let seen: Vec<_> = arrays
            .iter()
            .map(|a| {
                (a.name, a.state, [a.active, a.failed, a.spare, a.required], a.blocks, a.synced)
            })
            .collect();
        let expected = [
            ("md0", "recovering", [1.0, 1.0, 1.0, 2.0], 488_383_936.0, 16_775_552.0),
            ("md1", "inactive", [0.0, 0.0, 1.0, 0.0], 3142.0, 3142.0),
            ("md2", "active", [2.0, 0.0, 0.0, 2.0], 100.0, 100.0),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn an_array_without_its_second_line_is_refused() {
        let line = "md0 : active raid1 sdb1[1]";
        assert_eq!(parse_mdstat(line), Err(Malformed::at(line)));
    }
}
