//! Fleets against a server in this process: what is stored is what the model says, and what was
//! acknowledged is stored, also when connections break.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly, as tests do")]

mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_environment::{Clock, ManualClock, SystemClock};
use muster_simulation::{
    FleetConfig, FleetKind, FleetReport, HostModel, NUMBERED_METRIC, Present, SimulationError,
    Totals, parse_log, run_fleet, write_log,
};
use server::{Fault, Server, TOKEN, start};
use tokio::sync::{mpsc, watch};

const NOW_MS: i64 = 1_795_000_000_000;
/// How long anything may take to come true, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(2);
/// After so long without a word a server counts a host as gone.
const SILENCE: Duration = Duration::from_secs(12);

fn config(server: &Server, folder: &Path, hosts: u32, kind: FleetKind) -> FleetConfig {
    FleetConfig {
        target: server.target.clone(),
        token: Some(TOKEN.to_owned()),
        hosts,
        interval_ms: 10,
        state_dir: folder.to_owned(),
        kind,
    }
}

/// One hour of the past, and nothing else.
const PAST: FleetKind = FleetKind::Model {
    seed: 7,
    backfill_ms: 3_600_000,
    backfill_step_ms: 60_000,
    present: Present::None,
};

async fn fill_the_past(server: &Server, folder: &Path) -> FleetReport {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW_MS));
    let (_stop, stopped) = watch::channel(false);
    let config = config(server, folder, 3, PAST);
    let fleet = run_fleet(config, clock, Arc::default(), None, stopped);
    let ended = tokio::time::timeout(PATIENCE, fleet).await;
    ended.expect("a fleet that loses a batch waits for ever").unwrap()
}

#[tokio::test]
async fn the_past_is_filled_with_what_the_model_says() {
    let server = start(Fault::None).await;
    let folder = tempfile::tempdir().unwrap();
    let report = fill_the_past(&server, folder.path()).await;
    let state = server.state.lock().unwrap();
    assert_eq!(report.samples, state.stored.len() as u64);
    assert_eq!((report.connected, report.reconnects, report.lost_batches), (0, 0, 0));
    assert_eq!(state.keys.len(), 3);
    for number in 0..3 {
        let host = HostModel::new(7, number);
        for series in host.series() {
            for minute in 1..60 {
                let at_ms = NOW_MS.div_euclid(60_000) * 60_000 - minute * 60_000;
                let place = (host.instance().to_owned(), series.labels().clone(), at_ms);
                let stored = &state.stored[&place];
                assert_eq!(stored, &[series.value(at_ms)], "{} at {at_ms}", series.labels());
            }
        }
    }
}

#[tokio::test]
async fn broken_connections_lose_nothing() {
    for fault in [Fault::LostBatch, Fault::LostAnswer] {
        let server = start(fault).await;
        let folder = tempfile::tempdir().unwrap();
        let report = fill_the_past(&server, folder.path()).await;
        assert!(report.reconnects > 0, "{fault:?}");
        let state = server.state.lock().unwrap();
        let expected: usize = (0..3).map(|number| HostModel::new(7, number).series().len()).sum();
        assert_eq!(state.stored.len(), expected * 60, "{fault:?}");
        for ((_, labels, _), values) in &state.stored {
            assert!(values.iter().all(|value| *value == values[0]), "{labels} has {values:?}");
        }
    }
}

#[tokio::test]
async fn what_the_log_of_a_numbered_fleet_names_is_stored() {
    let server = start(Fault::LostAnswer).await;
    let folder = tempfile::tempdir().unwrap();
    let totals = Arc::new(Totals::default());
    let (stop_sender, stop) = watch::channel(false);
    let (sender, receiver) = mpsc::channel(16);
    let kind = FleetKind::Numbered { series: 2 };
    let config = config(&server, folder.path(), 2, kind);
    let clock = Arc::new(SystemClock::new());
    let fleet = tokio::spawn(run_fleet(config, clock, Arc::clone(&totals), Some(sender), stop));
    let log = tokio::spawn(async move {
        let mut log = Vec::new();
        write_log(&mut log, receiver).await.unwrap();
        String::from_utf8(log).unwrap()
    });
    let enough = async {
        while totals.report().samples < 200 || totals.report().reconnects < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, enough).await.unwrap();
    stop_sender.send_replace(true);
    let report = fleet.await.unwrap().unwrap();
    assert_eq!(report.connected, 0);

    let ticks = parse_log(&log.await.unwrap()).unwrap();
    assert_eq!(ticks.len() as u64 * 2, report.samples);
    let state = server.state.lock().unwrap();
    for tick in &ticks {
        for series in ["0", "1"] {
            let pairs = [("__name__", NUMBERED_METRIC), ("series", series)];
            let labels = muster_series::Labels::from_pairs(pairs).unwrap();
            let stored = &state.stored[&(tick.instance.clone(), labels, tick.timestamp_ms)];
            assert!(stored.iter().all(|value| *value == tick.value), "{tick:?}: {stored:?}");
        }
    }
}

#[tokio::test]
async fn a_host_that_sends_seldom_is_heard_often() {
    let server = start(Fault::None).await;
    let folder = tempfile::tempdir().unwrap();
    let (stop_sender, stop) = watch::channel(false);
    let kind = FleetKind::Numbered { series: 1 };
    let config = FleetConfig { interval_ms: 3_600_000, ..config(&server, folder.path(), 1, kind) };
    let clock = Arc::new(SystemClock::new());
    let fleet = tokio::spawn(run_fleet(config, clock, Arc::default(), None, stop));
    // A busy machine may stretch the time between two of them, but hardly between all.
    let often = |pings: &[Instant]| pings.windows(2).any(|two| two[1] - two[0] < SILENCE);
    let heard = async {
        while !often(&server.state.lock().unwrap().pings) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("a server counts it as gone by now");
    stop_sender.send_replace(true);
    fleet.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_fleet_with_the_same_folder_is_the_same_agents() {
    let server = start(Fault::None).await;
    let folder = tempfile::tempdir().unwrap();
    fill_the_past(&server, folder.path()).await;
    fill_the_past(&server, folder.path()).await;
    assert_eq!(server.state.lock().unwrap().keys.len(), 3);
}

#[tokio::test]
async fn a_bad_token_stops_the_fleet_at_once() {
    let server = start(Fault::None).await;
    let folder = tempfile::tempdir().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let config =
        FleetConfig { token: Some("wrong".into()), ..config(&server, folder.path(), 3, PAST) };
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let error = run_fleet(config, clock, Arc::default(), None, stopped).await.unwrap_err();
    assert!(matches!(error, SimulationError::Rejected { .. }), "{error}");
}

#[tokio::test]
async fn whole_agents_go_on_as_the_agents_that_filled_the_past() {
    let server = start(Fault::None).await;
    let folder = tempfile::tempdir().unwrap();
    let (stop_sender, stop) = watch::channel(false);
    let kind = FleetKind::Model {
        seed: 7,
        backfill_ms: 60_000,
        backfill_step_ms: 30_000,
        present: Present::WholeAgents,
    };
    let config = FleetConfig { interval_ms: 100, ..config(&server, folder.path(), 1, kind) };
    let clock = Arc::new(SystemClock::new());
    let started_ms = clock.now_ms();
    let fleet = tokio::spawn(run_fleet(config, clock, Arc::default(), None, stop));

    let host = HostModel::new(7, 0);
    let load = host
        .series()
        .iter()
        .find(|series| series.labels().metric_name() == Some("node_load1"))
        .unwrap();
    let times = || {
        let state = server.state.lock().unwrap();
        let of_load = state.stored.iter().filter(|((_, labels, _), _)| labels == load.labels());
        of_load.map(|((_, _, at_ms), values)| (*at_ms, values.clone())).collect::<Vec<_>>()
    };
    let enough = async {
        while times().iter().filter(|(at_ms, _)| *at_ms > started_ms).count() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, enough).await.unwrap();
    stop_sender.send_replace(true);
    fleet.await.unwrap().unwrap();

    let times = times();
    assert!(times.iter().any(|(at_ms, _)| *at_ms < started_ms), "the past is there");
    for (at_ms, values) in times {
        assert!(values.iter().all(|value| *value == load.value(at_ms)), "{values:?} at {at_ms}");
    }
    assert_eq!(server.state.lock().unwrap().keys.len(), 1);
}
