//! `muster doctor` of a server: what a data folder holds, what of it is damaged, what takes the room, and how long that lasts.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use muster_environment::{Disk as _, DiskSpace, RealDisk};
use muster_meta::check_database;
use muster_series::TimeRange;
use muster_server::{DatabaseError, data_paths, location};
use muster_tsdb::{Inspection, inspect};
use serde_json::{Value, json};

use crate::cli::DoctorArgs;
use crate::host_doctor;
use crate::settings::state_dir;
use crate::size::format_size;
use crate::table;

/// What was found.
struct Findings {
    data_dir: PathBuf,
    store: Inspection,
    /// What is wrong with the metadata database; `None` if there is none.
    database: Option<Vec<String>>,
    /// The database server that has the metadata instead; it is not looked at.
    elsewhere: Option<String>,
    room: DiskSpace,
    snapshots: usize,
}

/// Looks at everything in the folder. An error if something is damaged, or the database is not there.
pub(crate) async fn run(args: DoctorArgs) -> anyhow::Result<()> {
    let server_dir = args.data_dir.clone().unwrap_or_else(|| state_dir("muster"));
    let has_server =
        data_paths::metrics(&server_dir).exists() || data_paths::meta(&server_dir).exists();
    if args.host || args.data_dir.is_none() && !has_server {
        let dir = args.state_dir.unwrap_or_else(agent_state_dir);
        return host_doctor::run(dir, args.json).await;
    }
    let findings = look(server_dir).await?;
    if args.json {
        table::print(&format!("{:#}\n", findings.json()));
    } else {
        table::print(&findings.text());
    }
    let damaged = findings.store.damage.len() + findings.database_faults().len();
    if damaged == 0 && findings.database.is_some() {
        return Ok(());
    }
    if damaged == 0 {
        bail!(
            "the metadata database, {}, is not there: without it a server that starts knows no accounts, tokens or agents and begins \
             anew with samples alone. Take the file of a backup, restored into another folder, while no server runs, or start the server and make \
             them again",
            data_paths::meta(&findings.data_dir).display()
        );
    }
    let parts = if damaged == 1 { "part is" } else { "parts are" };
    bail!(
        "{damaged} {parts} damaged; a server that starts sets damaged files of samples aside, under metrics/quarantine, and serves the \
         rest. What they held, or a damaged database, comes back from a backup: muster restore"
    )
}

/// Where the agent of this host keeps its state: as the installer has it, else as this user's own.
fn agent_state_dir() -> PathBuf {
    let installed = PathBuf::from("/var/lib/muster-agent");
    if installed.exists() { installed } else { state_dir("muster-agent") }
}

async fn look(data_dir: PathBuf) -> anyhow::Result<Findings> {
    let (metrics, meta) = (data_paths::metrics(&data_dir), data_paths::meta(&data_dir));
    if !metrics.exists() && !meta.exists() {
        bail!(
            "there is no Muster data in {}; name the data folder of a server with --data-dir",
            data_dir.display()
        );
    }
    let store = inspect(&RealDisk, &metrics)?;
    let database = if meta.exists() {
        // A file that is no database at all is damaged as well.
        Some(check_database(&meta).await.unwrap_or_else(|error| vec![error.to_string()]))
    } else {
        None
    };
    let elsewhere = match location(&data_dir, None) {
        Err(DatabaseError::Elsewhere { database, .. }) => Some(database),
        _ => None,
    };
    let room = RealDisk
        .space(&data_dir)
        .with_context(|| format!("cannot look at the room on {}", data_dir.display()))?;
    let snapshots = RealDisk.list(&data_paths::snapshots(&data_dir)).unwrap_or_default().len();
    Ok(Findings { data_dir, store, database, elsewhere, room, snapshots })
}

/// What is left of the room at the present growth, in days.
fn days_left(available: u64, bytes_a_day: Option<u64>) -> Option<u64> {
    bytes_a_day.filter(|&bytes| bytes > 0).map(|bytes| available / bytes)
}

impl Findings {
    fn database_faults(&self) -> &[String] {
        self.database.as_deref().unwrap_or_default()
    }

    fn bytes_a_sample(&self) -> Option<f64> {
        let samples: u64 = self.store.blocks.values().map(|block| block.samples).sum();
        (samples > 0).then(|| self.store.block_bytes() as f64 / samples as f64)
    }

    fn days_left(&self) -> Option<u64> {
        days_left(self.room.available, self.store.bytes_a_day())
    }

    fn json(&self) -> Value {
        let (store, counts) = (&self.store, &self.store.cardinality);
        let blocks: Vec<Value> = store
            .blocks
            .iter()
            .map(|(file, block)| {
                json!({
                    "file": file,
                    "oldest_ms": block.range.start_ms,
                    "newest_ms": block.range.end_ms,
                    "series": block.series,
                    "samples": block.samples,
                    "bytes": block.bytes,
                })
            })
            .collect();
        let damage: Vec<Value> = store
            .damage
            .iter()
            .map(|damage| json!({ "file": damage.file, "reason": damage.reason }))
            .collect();
        json!({
            "data_dir": self.data_dir.display().to_string(),
            "damage": damage,
            "database": { "present": self.database.is_some(), "faults": self.database_faults(), "elsewhere": self.elsewhere },
            "samples": store.samples(),
            "series": counts.series,
            "block_bytes": store.block_bytes(),
            "log_bytes": store.log_bytes(),
            "bytes_a_sample": self.bytes_a_sample(),
            "oldest_ms": store.range().map(|range| range.start_ms),
            "newest_ms": store.range().map(|range| range.end_ms),
            "tombstones": store.tombstones,
            "unnamed_blocks": store.unnamed_blocks,
            "snapshots": self.snapshots,
            "quarantine": pairs(&store.quarantine, "file", "bytes"),
            "blocks": blocks,
            "room": {
                "available_bytes": self.room.available,
                "total_bytes": self.room.total,
                "bytes_a_day": store.bytes_a_day(),
                "days_left": self.days_left(),
            },
            "values_by_label": pairs(&counts.values_by_label, "label", "values"),
            "series_by_metric": pairs(&counts.series_by_metric, "metric", "series"),
            "bytes_by_label": pairs(&counts.bytes_by_label, "label", "bytes"),
        })
    }

    fn text(&self) -> String {
        let (store, counts) = (&self.store, &self.store.cardinality);
        let mut text = String::new();
        let mut line = |line: String| {
            let _ = writeln!(text, "{line}");
        };
        line(format!("Data folder {}", self.data_dir.display()));
        let a_sample =
            self.bytes_a_sample().map_or(String::new(), |bytes| format!(", {bytes:.2} bytes each"));
        let samples = store.samples();
        line(format!("samples     {samples} of {} series{a_sample}", counts.series));
        if let Some(range) = store.range() {
            line(format!("time        {}", times(range)));
        }
        let (blocks, segments) = (store.blocks.len(), store.segments.len());
        line(format!("blocks      {blocks}, {}", format_size(store.block_bytes())));
        line(format!("log         {segments} segments, {}", format_size(store.log_bytes())));
        line(format!("room        {}", self.room_text()));
        if store.tombstones > 0 {
            line(format!("deletions   {}, their room is not free yet", store.tombstones));
        }
        if self.snapshots > 0 {
            line(format!("snapshots   {}, delete those not needed", self.snapshots));
        }
        match (&self.elsewhere, &self.database) {
            (Some(database), _) => line(format!("database    in {database}, not looked at")),
            (None, None) => line("database    there is none".into()),
            (None, Some(_)) => {}
        }
        for file in &store.unnamed_blocks {
            line(format!("unnamed     blocks/{file}: the next start serves it or sets it aside"));
        }
        for (file, bytes) in &store.quarantine {
            line(format!("set aside   quarantine/{file}, {}", format_size(*bytes)));
        }
        for damage in &store.damage {
            line(format!("DAMAGED     {}: {}", damage.file, damage.reason));
        }
        for fault in self.database_faults() {
            line(format!("DAMAGED     the metadata database: {fault}"));
        }
        line(String::new());
        text.push_str(&self.tables());
        text
    }

    fn room_text(&self) -> String {
        let free = format_size(self.room.available);
        match (self.store.bytes_a_day(), self.days_left()) {
            (Some(bytes), Some(days)) => format!(
                "{free} free of {}, enough for {days} days of {} each",
                format_size(self.room.total),
                format_size(bytes)
            ),
            _ => format!("{free} free of {}", format_size(self.room.total)),
        }
    }

    fn tables(&self) -> String {
        let counts = &self.store.cardinality;
        let plain = |count: &u64| count.to_string();
        let tables = [
            counted(["LABEL", "VALUES"], &counts.values_by_label, plain),
            counted(["METRIC", "SERIES"], &counts.series_by_metric, plain),
            counted(["LABEL", "BYTES IN ALL SERIES"], &counts.bytes_by_label, |&bytes| {
                format_size(bytes)
            }),
            self.blocks_table(),
        ];
        tables.join("\n")
    }

    fn blocks_table(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .store
            .blocks
            .iter()
            .map(|(file, block)| {
                let (series, samples) = (block.series.to_string(), block.samples.to_string());
                vec![file.clone(), times(block.range), series, samples, format_size(block.bytes)]
            })
            .collect();
        table::render(&["BLOCK", "TIME", "SERIES", "SAMPLES", "SIZE"], &rows)
    }
}

fn counted(headings: [&str; 2], counts: &[(String, u64)], show: impl Fn(&u64) -> String) -> String {
    let row = |(name, count): &(String, u64)| vec![name.clone(), show(count)];
    table::render(&headings, &counts.iter().map(row).collect::<Vec<_>>())
}

fn pairs(counts: &[(String, u64)], name: &str, count: &str) -> Vec<Value> {
    counts.iter().map(|(key, value)| json!({ name: key, count: value })).collect()
}

fn times(range: TimeRange) -> String {
    let time = |ms| {
        jiff::Timestamp::from_millisecond(ms)
            .map_or_else(|_| format!("{ms} ms"), |time| time.strftime("%F %H:%M").to_string())
    };
    format!("{} to {} UTC", time(range.start_ms), time(range.end_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_lasts_as_long_as_growth_says() {
        assert_eq!(days_left(100, Some(30)), Some(3));
        assert_eq!(days_left(100, Some(0)), None);
        assert_eq!(days_left(100, None), None);
    }
}
