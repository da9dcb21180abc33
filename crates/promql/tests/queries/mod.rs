//! Random queries that are valid by their types, from a seed; and how series in memory are selected for them.

use muster_series::{Matcher, SeriesColumns, TimeRange};

/// The series that fit, with their samples of a range.
pub(crate) fn select(
    all: &[SeriesColumns],
    matchers: &[Matcher],
    range: TimeRange,
) -> Vec<SeriesColumns> {
    let fits = |one: &&SeriesColumns| {
        matchers.iter().all(|m| m.matches(one.labels.get(m.name()).unwrap_or("")))
    };
    let cut = |one: &SeriesColumns| {
        let mut columns = SeriesColumns::new(one.labels.clone());
        for sample in one.samples().filter(|sample| range.contains(sample.timestamp_ms)) {
            columns.timestamps.push(sample.timestamp_ms);
            columns.values.push(sample.value);
        }
        columns
    };
    all.iter().filter(fits).map(cut).collect()
}

/// Functions of a range vector, and what stands before and after it among the arguments.
pub(crate) const RANGE_FUNCTIONS: &[(&str, &str, &str)] = &[
    ("rate", "", ""),
    ("increase", "", ""),
    ("delta", "", ""),
    ("irate", "", ""),
    ("idelta", "", ""),
    ("changes", "", ""),
    ("resets", "", ""),
    ("deriv", "", ""),
    ("predict_linear", "", ", 600"),
    ("double_exponential_smoothing", "", ", 0.3, 0.6"),
    ("avg_over_time", "", ""),
    ("count_over_time", "", ""),
    ("first_over_time", "", ""),
    ("last_over_time", "", ""),
    ("mad_over_time", "", ""),
    ("max_over_time", "", ""),
    ("min_over_time", "", ""),
    ("present_over_time", "", ""),
    ("quantile_over_time", "0.4, ", ""),
    ("stddev_over_time", "", ""),
    ("stdvar_over_time", "", ""),
    ("sum_over_time", "", ""),
    ("ts_of_first_over_time", "", ""),
    ("ts_of_last_over_time", "", ""),
    ("ts_of_max_over_time", "", ""),
    ("ts_of_min_over_time", "", ""),
    ("absent_over_time", "", ""),
];

/// Those of them that Prometheus 2.42 does not know.
const NEWER_FUNCTIONS: &[&str] = &[
    "double_exponential_smoothing",
    "first_over_time",
    "mad_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

const FUNCTIONS: &[&str] =
    &["abs", "ceil", "floor", "sgn", "sqrt", "round", "timestamp", "absent", "deg"];

/// What these yield differs between machines or versions of Prometheus: of NaN, or in the last digit.
const OTHER_FUNCTIONS: &[&str] =
    &["day_of_week", "hour", "days_in_month", "year", "exp", "ln", "cos", "sinh"];

/// A small generator (splitmix64): the same seed gives the same queries on every machine.
pub(crate) struct Random {
    state: u64,
    dialect: Dialect,
}

/// Which queries come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// All that this engine evaluates.
    Whole,
    /// Those that mean the same since Prometheus 2.42: one metric name in each selector, no grouping by it,
    /// no sample on the left end of a subquery's window, none of the newer functions or of those that treat
    /// NaN differently.
    Common,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(seed, Dialect::Whole)
    }

    pub(crate) fn of(seed: u64, dialect: Dialect) -> Self {
        Self { state: seed, dialect }
    }

    /// One of the first choices that this dialect knows; the others are not common.
    fn one_common<'a>(&mut self, common: &[&'a str], others: &[&'a str]) -> &'a str {
        let others = if self.dialect == Dialect::Whole { others } else { &[] };
        let at = self.below(common.len() + others.len());
        if at < common.len() { common[at] } else { others[at - common.len()] }
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    pub(crate) fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn selector(&mut self) -> String {
        let common =
            ["m", "m", "n_total", "h_bucket", "m{a=\"0\"}", "n_total{b!=\"1\"}", "nothing"];
        let others = ["{__name__=~\"m|n_total\"}", "{a=~\"0|1\",le=\"\"}"];
        self.one_common(&common, &others).to_owned()
    }

    fn modifier(&mut self) -> &'static str {
        self.one_of(&["", "", "", "", " offset 25s", " offset -40s", " @ 200"])
    }

    /// An instant vector, of at most so many levels.
    pub(crate) fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return format!("{}{}", self.selector(), self.modifier());
        }
        match self.below(9) {
            0 => self.vector(0),
            1 => self.window_function(depth),
            2 => {
                let function = self.one_common(FUNCTIONS, OTHER_FUNCTIONS);
                format!("{function}({})", self.vector(depth - 1))
            }
            3 => self.aggregate(depth),
            4 => {
                let common = ["+", "-", "*", "/", "%", ">", "<=", "== bool", "!="];
                let op = self.one_common(&common, &["^"]);
                let (vector, scalar) = (self.vector(depth - 1), self.scalar(depth - 1));
                if self.below(2) == 0 {
                    format!("({vector}) {op} {scalar}")
                } else {
                    format!("{scalar} {op} ({vector})")
                }
            }
            5 | 6 => self.binary(depth),
            7 => {
                let inner = self.vector(depth - 1);
                let common = [
                    "label_replace(V, \"c\", \"x$1\", \"b\", \"(.*)\")",
                    "label_join(V, \"c\", \"-\", \"a\", \"b\")",
                    "clamp(V, 1, 20)",
                    "clamp_min(V, time() / 100)",
                    "histogram_quantile(0.5, V)",
                    "vector(scalar(V))",
                    "-(V)",
                ];
                let call = self.one_common(&common, &["histogram_fraction(0, 1.5, V)"]);
                call.replace('V', &inner)
            }
            _ => format!("vector({})", self.scalar(depth - 1)),
        }
    }

    fn window_function(&mut self, depth: usize) -> String {
        let (function, before, after) = loop {
            let choice = RANGE_FUNCTIONS[self.below(RANGE_FUNCTIONS.len())];
            if self.dialect == Dialect::Whole || !NEWER_FUNCTIONS.contains(&choice.0) {
                break choice;
            }
        };
        let modifier = self.modifier();
        if self.below(3) == 0 {
            let inner = self.vector(depth - 1);
            let window = self.one_common(&["61s", "241s"], &["15s", "4m"]);
            let step = self.one_of(&["20s", "50s", ""]);
            format!("{function}({before}({inner})[{window}:{step}]{modifier}{after})")
        } else {
            let window = self.one_of(&["15s", "1m", "4m", "10m"]);
            format!("{function}({before}{}[{window}]{modifier}{after})", self.selector())
        }
    }

    fn aggregate(&mut self, depth: usize) -> String {
        let common = ["sum", "avg", "min", "max", "count", "group", "quantile", "count_values"];
        let op = self.one_common(&common, &["stddev", "stdvar"]);
        let by =
            self.one_common(&["", " by (a)", " by (a, b)", " without (b)"], &[" by (__name__)"]);
        let parameter = match op {
            "quantile" => "0.3, ",
            "count_values" => "\"v\", ",
            _ => "",
        };
        // A label made of a value tells numbers apart that differ in the last digit only.
        let exact = op == "count_values" && self.dialect == Dialect::Common;
        let operand = if exact { self.selector() } else { self.vector(depth - 1) };
        format!("{op}{by} ({parameter}{operand})")
    }

    fn binary(&mut self, depth: usize) -> String {
        let (left, right) = (self.vector(depth - 1), self.vector(depth - 1));
        let on = self.one_of(&["", " on (a, b)", " on (a)", " ignoring (b)", " ignoring (le)"]);
        let set = self.one_of(&["and", "or", "unless"]);
        if self.below(3) == 0 {
            return format!("({left}) {set}{on} ({right})");
        }
        let op = self.one_common(&["+", "-", "*", "/", ">", "<", "==", "!= bool"], &["atan2"]);
        let group = if on.is_empty() {
            ""
        } else {
            self.one_of(&["", " group_left ()", " group_right (b)"])
        };
        // A label cannot both decide the match and be taken from the other side.
        let group = if on.contains('b') { group.replace("(b)", "()") } else { group.to_owned() };
        format!("({left}) {op}{on}{group} ({right})")
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.below(5) {
            0 if depth > 0 => format!("scalar({})", self.vector(depth - 1)),
            1 => "time()".to_owned(),
            2 => "-2.5".to_owned(),
            _ => self.below(30).to_string(),
        }
    }
}
