//! The query as it is evaluated: names resolved, matchers compiled, parentheses gone.

use muster_series::{Labels, METRIC_NAME, Matcher};

use crate::functions::Function;
use crate::positions::CallPosition;

/// One step of the evaluation.
pub(crate) enum Node {
    /// The same number at each step.
    Number(f64),
    /// A string literal.
    Text(String),
    /// An instant vector from the source.
    Selector(Selector),
    /// A range vector; the argument of a function, or the root of an instant query.
    Range(Box<Range>),
    /// Unary minus.
    Negate(Box<Node>),
    /// An operator between two operands.
    Binary(Box<Binary>),
    /// An aggregation.
    Aggregate(Box<Aggregate>),
    /// A function call.
    Call(Call),
}

/// Which series, and at which time.
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) when: When,
}

/// How the time of a sample derives from the time of a step.
#[derive(Clone, Copy)]
pub(crate) struct When {
    pub(crate) at: Option<At>,
    pub(crate) offset_ms: i64,
}

/// The `@` modifier.
#[derive(Clone, Copy)]
pub(crate) enum At {
    Start,
    End,
    Time(i64),
}

/// A window of samples before each step.
pub(crate) enum Range {
    Selector { selector: Selector, window_ms: i64 },
    Subquery { inner: Node, window_ms: i64, step_ms: Option<i64>, when: When },
}

/// An operator between two operands.
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) left: Node,
    pub(crate) right: Node,
    /// A comparison yields 0 or 1 and does not filter.
    pub(crate) returns_bool: bool,
    pub(crate) matching: Matching,
}

/// The operators, by how they treat what they match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Arithmetic(Arithmetic),
    Comparison(Comparison),
    Set(SetOp),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetOp {
    And,
    Or,
    Unless,
}

/// How series of two vectors find each other.
pub(crate) struct Matching {
    /// Whether `labels` are those that must agree (`on`), or those that need not (`ignoring`).
    pub(crate) on: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) cardinality: Cardinality,
    /// Labels that the "many" side takes from the "one" side.
    pub(crate) include: Vec<String>,
}

impl Matching {
    /// The labels of a series that decide which group it belongs to.
    pub(crate) fn signature(&self, labels: &Labels) -> Labels {
        let named = |name: &str| self.labels.iter().any(|l| l == name);
        if self.on {
            labels.filtered(named)
        } else {
            labels.filtered(|name| name != METRIC_NAME && !named(name))
        }
    }
}

/// Which side may have several series for one of the other side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cardinality {
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

/// An aggregation over groups of series.
pub(crate) struct Aggregate {
    pub(crate) op: Aggregation,
    pub(crate) grouping: Grouping,
    pub(crate) parameter: Option<Node>,
    pub(crate) operand: Node,
    pub(crate) position: Option<CallPosition>,
}

/// The aggregation operators, by how they are computed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Fold(Fold),
    Quantile,
    CountValues,
    Pick(Pick),
}

/// Aggregations that fold values one by one into one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
}

/// Aggregations that keep some of the series as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    Top,
    Bottom,
    Limit,
    Ratio,
}

/// `by (…)` or `without (…)`.
pub(crate) struct Grouping {
    pub(crate) without: bool,
    pub(crate) labels: Vec<String>,
}

impl Grouping {
    /// The labels of the group that a series belongs to.
    pub(crate) fn key(&self, labels: &Labels) -> Labels {
        let named = |name: &str| self.labels.iter().any(|l| l == name);
        if self.without {
            labels.filtered(|name| name != METRIC_NAME && !named(name))
        } else {
            labels.filtered(named)
        }
    }
}

/// A function call.
pub(crate) struct Call {
    /// The function's name, for messages.
    pub(crate) name: &'static str,
    pub(crate) function: Function,
    pub(crate) args: Vec<Node>,
    pub(crate) position: Option<CallPosition>,
}
