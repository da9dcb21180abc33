//! The server's own health, in Prometheus's text format: two tables, one of the process and one of the store.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use muster_exposition::Kind::{Counter, Gauge};
use muster_exposition::{CONTENT_TYPE, Family, Kind, write};
use muster_tsdb::Stats;

use super::authority::Reader;
use super::settings::room;
use crate::app::App;
use crate::outbox::{ChannelFigures, Figures};
use crate::tls::Served;

/// A metric without labels: its name, kind, one sentence for people, and where its value comes from.
type Row<T> = (&'static str, Kind, &'static str, fn(&T) -> f64);

/// What the process tells.
const PROCESS: [Row<App>; 12] = [
    ("muster_start_time_seconds", Gauge, "When the server was started.", |app| {
        app.started_ms as f64 / 1e3
    }),
    ("muster_agents", Gauge, "Agents that have joined.", |app| app.roster.all().len() as f64),
    ("muster_agents_connected", Gauge, "Agents that are connected.", |app| {
        app.roster.all().iter().filter(|entry| entry.presence().connected).count() as f64
    }),
    ("muster_ingest_samples_total", Counter, "Samples from agents that were stored.", |app| {
        app.counters.samples.get() as f64
    }),
    ("muster_ingest_bad_frames_total", Counter, "Frames that broke the protocol.", |app| {
        app.counters.bad_frames.get() as f64
    }),
    ("muster_ingest_rejected_agents_total", Counter, "Agents sent away.", |app| {
        app.counters.rejected_agents.get() as f64
    }),
    (
        "muster_ingest_refused_series_total",
        Counter,
        "Series refused by a limit or for their labels.",
        |app| app.counters.refused_series.get() as f64,
    ),
    ("muster_queries_total", Counter, "Queries over HTTP.", |app| {
        app.counters.queries.get() as f64
    }),
    ("muster_queries_failed_total", Counter, "Queries that ended in an error.", |app| {
        app.counters.failed_queries.get() as f64
    }),
    ("muster_sign_ins_total", Counter, "Sign-ins with the right password.", |app| {
        app.counters.sign_ins.get() as f64
    }),
    ("muster_sign_ins_failed_total", Counter, "Sign-ins that were refused.", |app| {
        app.counters.failed_sign_ins.get() as f64
    }),
    ("muster_panics_total", Counter, "Defects that were contained; each is in the log.", |app| {
        app.counters.panics.get() as f64
    }),
];

/// What the store tells.
const STORE: [Row<Stats>; 26] = [
    ("muster_tsdb_series", Gauge, "Series that may be written to.", |s| s.series as f64),
    ("muster_tsdb_label_bytes", Gauge, "Memory that the texts of their labels take.", |s| {
        s.label_bytes as f64
    }),
    (
        "muster_tsdb_series_forgotten_total",
        Counter,
        "Series taken out of memory as they had no sample for hours.",
        |s| s.forgotten_series as f64,
    ),
    ("muster_tsdb_head_samples", Gauge, "Samples not yet in a block.", |s| s.head_samples as f64),
    ("muster_tsdb_head_bytes", Gauge, "Memory that these take.", |s| s.head_bytes as f64),
    ("muster_tsdb_blocks", Gauge, "Blocks on disk.", |s| s.blocks as f64),
    ("muster_tsdb_block_bytes", Gauge, "Bytes of all blocks.", |s| s.block_bytes as f64),
    ("muster_tsdb_wal_bytes", Gauge, "Bytes of the log on disk.", |s| s.wal_bytes_on_disk as f64),
    ("muster_tsdb_cache_bytes", Gauge, "Memory of decoded parts of blocks.", |s| {
        s.cache_bytes as f64
    }),
    ("muster_tsdb_samples_appended_total", Counter, "Samples stored.", |s| {
        s.appended_samples as f64
    }),
    ("muster_tsdb_samples_duplicate_total", Counter, "Samples that were there already.", |s| {
        s.duplicate_samples as f64
    }),
    ("muster_tsdb_series_refused_total", Counter, "Series over a limit or not valid.", |s| {
        s.refused_series as f64
    }),
    ("muster_tsdb_batches_busy_total", Counter, "Batches refused as too much was waiting.", |s| {
        s.busy_batches as f64
    }),
    ("muster_tsdb_wal_syncs_total", Counter, "Times the log was forced to disk.", |s| {
        s.wal_syncs as f64
    }),
    (
        "muster_tsdb_wal_sync_seconds_total",
        Counter,
        "Time spent writing and forcing the log to disk.",
        |s| s.wal_sync_ms as f64 / 1e3,
    ),
    ("muster_tsdb_wal_bytes_written_total", Counter, "Bytes written to the log.", |s| {
        s.wal_written_bytes as f64
    }),
    ("muster_tsdb_compactions_total", Counter, "Merges of blocks.", |s| s.compactions as f64),
    (
        "muster_tsdb_maintenance_failures_total",
        Counter,
        "Rounds of maintenance that failed.",
        |s| s.maintenance_failures as f64,
    ),
    ("muster_tsdb_quarantined_total", Counter, "Damaged files set aside.", |s| {
        s.quarantined as f64
    }),
    ("muster_tsdb_damaged_chunks_total", Counter, "Damaged chunks left out of answers.", |s| {
        s.damaged_chunks as f64
    }),
    ("muster_tsdb_tombstones", Gauge, "Deletions whose room is not free yet.", |s| {
        s.tombstones as f64
    }),
    ("muster_tsdb_scrubbed_blocks_total", Counter, "Blocks read again to find damage.", |s| {
        s.scrubbed_blocks as f64
    }),
    ("muster_tsdb_scrub_damage_total", Counter, "Blocks that were found damaged so.", |s| {
        s.scrub_damage as f64
    }),
    (
        "muster_tsdb_size_retention_blocks_total",
        Counter,
        "Blocks dropped because the store was larger than it may be.",
        |s| s.dropped_for_size as f64,
    ),
    ("muster_tsdb_disk_full", Gauge, "1 while nothing is stored for lack of room.", |s| {
        f64::from(u8::from(s.disk_full))
    }),
    ("muster_tsdb_write_failing", Gauge, "1 while the log cannot be written.", |s| {
        f64::from(u8::from(s.write_failing))
    }),
];

/// Writes all of it.
pub(crate) async fn metrics(_: Reader, State(app): State<Arc<App>>) -> Response {
    let content_type = HeaderValue::from_static(CONTENT_TYPE);
    ([(header::CONTENT_TYPE, content_type)], write(&families(&app))).into_response()
}

/// All that the server tells of itself.
pub(crate) fn families(app: &App) -> Vec<Family> {
    let stats = app.store.stats();
    let mut info = Family::new("muster_build_info", Gauge, "Version of the server.");
    push(&mut info, [("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let mut families = vec![info];
    families.extend(rows(&PROCESS, app));
    families.extend(app.certificate.as_deref().map(certificate_end));
    families.extend(rows(&STORE, &stats));
    families.extend(data_disk(app));
    families.push(refused_samples(&stats));
    families.extend(super::push_metrics::families(&app.push));
    families.extend(super::rule_metrics::families(&app.judging.judge.lock()));
    families.extend(notifications(app));
    families.extend(super::alert_metrics::families(&app.alarms));
    families
}

fn rows<'a, T>(table: &'a [Row<T>], from: &'a T) -> impl Iterator<Item = Family> + 'a {
    table.iter().map(|(name, kind, help, value)| {
        let mut family = Family::new(name, *kind, help);
        push(&mut family, [], value(from));
        family
    })
}

/// What the outbox has sent and not sent, by channel.
fn notifications(app: &App) -> Vec<Family> {
    type Column = (&'static str, Kind, &'static str, fn(&ChannelFigures, i64) -> f64);
    const COLUMNS: [Column; 6] = [
        ("muster_notifications_sent_total", Counter, "Messages taken.", |f, _| f.sent as f64),
        ("muster_notifications_failed_total", Counter, "Tries that failed.", |f, _| {
            f.failed as f64
        }),
        ("muster_notifications_given_up_total", Counter, "Messages given up.", |f, _| {
            f.given_up as f64
        }),
        ("muster_notifications_waiting", Gauge, "Messages that wait.", |f, _| f.waiting as f64),
        (
            "muster_notifications_oldest_seconds",
            Gauge,
            "How long the oldest message waits.",
            |f, now_ms| f.oldest_ms.map_or(0.0, |at_ms| (now_ms - at_ms) as f64 / 1e3),
        ),
        (
            "muster_notifications_channel_failing",
            Gauge,
            "1 while a channel has taken nothing for about a minute.",
            |f, _| f64::from(u8::from(f.failing)),
        ),
    ];
    let (figures, now_ms) = (app.outbox.figures(), app.clock.now_ms());
    let family = |(name, kind, help, value): Column| {
        let mut family = Family::new(name, kind, help);
        for (channel, figures) in &figures.by_channel {
            push(&mut family, [("channel", channel)], value(figures, now_ms));
        }
        family
    };
    COLUMNS.into_iter().map(family).chain([given_up(&figures)]).collect()
}

/// When each channel last gave a message up; nothing of one that did not. A time says that it happened also where the
/// first sample comes after it, which a counter would not.
fn given_up(figures: &Figures) -> Family {
    let mut family = Family::new(
        "muster_notifications_last_given_up_timestamp_seconds",
        Gauge,
        "When a message was last given up.",
    );
    for (channel, figures) in &figures.by_channel {
        if let Some(at_ms) = figures.given_up_ms {
            push(&mut family, [("channel", channel)], at_ms as f64 / 1e3);
        }
    }
    family
}

/// What is left of the disk that holds the data; nothing where the system does not tell.
fn data_disk(app: &App) -> Vec<Family> {
    let Some((free, size)) = room(&app.config.data_dir) else { return Vec::new() };
    let family = |name, help, bytes: u64| {
        let mut family = Family::new(name, Gauge, help);
        push(&mut family, [], bytes as f64);
        family
    };
    vec![
        family("muster_data_disk_available_bytes", "Room left for Muster's data.", free),
        family("muster_data_disk_size_bytes", "Size of the disk that holds Muster's data.", size),
    ]
}

fn certificate_end(certificate: &Served) -> Family {
    let help = "When the certificate that is served expires.";
    let mut family = Family::new("muster_tls_certificate_not_after_seconds", Gauge, help);
    push(&mut family, [], certificate.not_after_ms() as f64 / 1e3);
    family
}

fn refused_samples(stats: &Stats) -> Family {
    let help = "Samples that were not stored, by reason.";
    let mut family = Family::new("muster_tsdb_samples_refused_total", Counter, help);
    let refused = &stats.refused_samples;
    for (reason, value) in [
        ("too_new", refused.too_new),
        ("too_old", refused.too_old),
        ("unknown_series", refused.unknown_series),
        ("failed", stats.failed_samples),
    ] {
        push(&mut family, [("reason", reason)], value as f64);
    }
    family
}

fn push<const N: usize>(family: &mut Family, labels: [(&str, &str); N], value: f64) {
    family.push(labels, value).expect("at most one label, which has a name");
}
