//! What the stored series mean, told as series: when file systems will be full, and what is usual for each host at this
//! hour. An anomaly alone never pages: it ranks, annotates, and gates rules.
//!
//! What is learned is written every minute like the samples of an agent, so that rules, charts and queries read it like
//! any other series, and the past remembers what was foretold. All of it is rebuilt from the store after a start.

mod baselines;
mod forecasts;
mod lows;
mod written;

pub(crate) use baselines::run as run_baselines;
pub(crate) use forecasts::{EARLIEST, FULL, ForecastTable, GROWTH, LATEST};

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::app::App;
use crate::latest::Latest;
use forecasts::Forecasts;
use written::Writer;

/// How often all of it is written: often enough for every look back of five minutes to find it.
const EVERY: Duration = Duration::from_mins(1);
/// The same while there are none, or the past of some has not been read.
const SOON: Duration = Duration::from_secs(5);
/// For how long forecasts are handed out again, in milliseconds; none are not: samples may have come since.
const FRESH_MS: i64 = 20_000;
const NONE_FRESH_MS: i64 = 0;
/// How long a look waits for the first forecasts.
const FIRST: Duration = Duration::from_secs(2);

/// What has been learned.
#[derive(Default)]
pub(crate) struct Insight {
    forecasts: Arc<Mutex<Forecasts>>,
    told: Arc<Latest<Arc<ForecastTable>>>,
}

impl Insight {
    /// The forecasts of all file systems, as they were told last; a new look begins where that is long ago. Only the
    /// first look of all is waited for, and not for long.
    pub(crate) async fn forecasts(&self, app: &Arc<App>) -> Arc<ForecastTable> {
        let last = self.told.last_made(&app.clock, FRESH_MS, self.look(app));
        match last {
            Some(told) if !told.by_labels.is_empty() => told,
            _ => {
                let first = self.told.get(&app.clock, NONE_FRESH_MS, self.look(app));
                tokio::time::timeout(FIRST, first).await.ok().flatten().unwrap_or_default()
            }
        }
    }

    fn look(&self, app: &Arc<App>) -> impl FnOnce() -> Arc<ForecastTable> + Send + use<> {
        let (app, forecasts) = (Arc::clone(app), Arc::clone(&self.forecasts));
        move || Arc::new(forecasts.lock().look(&*app.store, app.clock.now_ms()))
    }
}

/// Foretells and writes until the server stops.
pub(crate) async fn run_forecasts(app: Arc<App>) {
    let mut writer = Writer::default();
    let mut more = false;
    loop {
        let fresh_ms = if more { NONE_FRESH_MS } else { FRESH_MS };
        let told = app.insight.told.get(&app.clock, fresh_ms, app.insight.look(&app)).await;
        more = told.as_ref().is_none_or(|told| told.more || told.by_labels.is_empty());
        if let Some(told) = told {
            let now_ms = app.clock.now_ms();
            writer.write(&app, now_ms, told.series(now_ms)).await;
        }
        tokio::select! {
            () = tokio::time::sleep(if more { SOON } else { EVERY }) => {}
            () = app.stopped() => return,
        }
    }
}
