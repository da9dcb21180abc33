//! Text of a query: it is refused with a reason, or formatted, taken apart and evaluated within its limits.

use muster_promql::{
    Options, SeriesSource, SourceError, evaluate_instant, evaluate_range, format_query, parse,
    syntax_tree,
};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};

const NOW_MS: i64 = 1_790_000_000_000;

/// Three series of the last ten minutes, whatever is asked for.
struct Always;

impl SeriesSource for Always {
    fn select(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<SeriesColumns>, SourceError> {
        let series = ["a", "b", "c"].map(|name| {
            let labels = Labels::from_pairs([("__name__", name), ("le", "0.5")]);
            let mut series = SeriesColumns::new(labels.expect("two different names"));
            series.timestamps.extend((0..40).map(|step| NOW_MS - 600_000 + step * 15_000));
            series.values.extend((0..40).map(f64::from));
            series
        });
        Ok(series.into())
    }
}

/// A query, parsed and evaluated at one moment and over ten.
pub(crate) fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(formatted) = format_query(text) {
        assert!(format_query(&formatted).is_ok(), "{text:?} became {formatted:?}");
    }
    let _ = syntax_tree(text);
    let Ok(query) = parse(text) else { return };
    let options = Options::default();
    let _ = evaluate_instant(&Always, &query, NOW_MS, &options);
    let _ = evaluate_range(&Always, &query, NOW_MS - 300_000, NOW_MS, 30_000, &options);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))) > 90",
        "histogram_quantile(0.9, sum by (le) (rate(a{b=~\"x.*|y\",c!=\"\"}[5m] offset -1m)))",
        "max_over_time(predict_linear(a[10m], 3600)[30m:1m] @ end()) unless on (x) b or c ^ -2",
        "label_replace(topk(3, a) + ignoring (le) group_left b, \"x\", \"$1\", \"y\", \"(.*)\")",
        "count_values(\"v\", clamp({__name__=~\".+\"}, -1e3, Inf)) and absent(a) % 0x1F == bool NaN",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
