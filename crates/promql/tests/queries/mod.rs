//! Random queries that are valid by their types, from a seed.

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

const FUNCTIONS: &[&str] = &[
    "abs",
    "ceil",
    "exp",
    "floor",
    "ln",
    "sgn",
    "sqrt",
    "round",
    "day_of_week",
    "hour",
    "timestamp",
    "absent",
    "cos",
    "atan",
    "deg",
];

/// A small generator (splitmix64): the same seed gives the same queries on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    pub(crate) fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn selector(&mut self) -> String {
        let matchers = self.one_of(&[
            "m",
            "m",
            "n_total",
            "h_bucket",
            "{__name__=~\"m|n_total\"}",
            "m{a=\"0\"}",
            "n_total{b!=\"1\"}",
            "{a=~\"0|1\",le=\"\"}",
            "nothing",
        ]);
        matchers.to_owned()
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
                let function = self.one_of(FUNCTIONS);
                format!("{function}({})", self.vector(depth - 1))
            }
            3 => self.aggregate(depth),
            4 => {
                let op = self.one_of(&["+", "-", "*", "/", "%", "^", ">", "<=", "== bool", "!="]);
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
                let call = self.one_of(&[
                    "label_replace(V, \"c\", \"x$1\", \"b\", \"(.*)\")",
                    "label_join(V, \"c\", \"-\", \"a\", \"b\")",
                    "clamp(V, 1, 20)",
                    "clamp_min(V, time() / 100)",
                    "histogram_quantile(0.5, V)",
                    "histogram_fraction(0, 1.5, V)",
                    "vector(scalar(V))",
                    "-(V)",
                ]);
                call.replace('V', &inner)
            }
            _ => format!("vector({})", self.scalar(depth - 1)),
        }
    }

    fn window_function(&mut self, depth: usize) -> String {
        let (function, before, after) = RANGE_FUNCTIONS[self.below(RANGE_FUNCTIONS.len())];
        let window = self.one_of(&["15s", "1m", "4m", "10m"]);
        let modifier = self.modifier();
        if self.below(3) == 0 {
            let inner = self.vector(depth - 1);
            let step = self.one_of(&["20s", "50s", ""]);
            format!("{function}({before}({inner})[{window}:{step}]{modifier}{after})")
        } else {
            format!("{function}({before}{}[{window}]{modifier}{after})", self.selector())
        }
    }

    fn aggregate(&mut self, depth: usize) -> String {
        let op = self.one_of(&[
            "sum",
            "avg",
            "min",
            "max",
            "count",
            "group",
            "stddev",
            "stdvar",
            "quantile",
            "count_values",
        ]);
        let by = self.one_of(&["", " by (a)", " by (a, b)", " without (b)", " by (__name__)"]);
        let parameter = match op {
            "quantile" => "0.3, ",
            "count_values" => "\"v\", ",
            _ => "",
        };
        format!("{op}{by} ({parameter}{})", self.vector(depth - 1))
    }

    fn binary(&mut self, depth: usize) -> String {
        let (left, right) = (self.vector(depth - 1), self.vector(depth - 1));
        let on = self.one_of(&["", " on (a, b)", " on (a)", " ignoring (b)", " ignoring (le)"]);
        let set = self.one_of(&["and", "or", "unless"]);
        if self.below(3) == 0 {
            return format!("({left}) {set}{on} ({right})");
        }
        let op = self.one_of(&["+", "-", "*", "/", ">", "<", "==", "!= bool", "atan2"]);
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
