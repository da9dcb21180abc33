//! The query as it is evaluated: names resolved, matchers compiled, parentheses gone.

use muster_series::Matcher;

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

impl Node {
    /// Whether the value is one number a step, which is plain from the query alone.
    pub(crate) fn is_scalar(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Negate(inner) => inner.is_scalar(),
            Self::Binary(binary) => binary.left.is_scalar() && binary.right.is_scalar(),
            Self::Call(call) => call.function.yields_scalar(),
            Self::Text(_) | Self::Selector(_) | Self::Range(_) | Self::Aggregate(_) => false,
        }
    }
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
    /// The labels that must agree: `on (…)`, or all but those of `ignoring (…)`.
    pub(crate) by: Projection,
    pub(crate) cardinality: Cardinality,
    /// Labels that the "many" side takes from the "one" side.
    pub(crate) include: Vec<String>,
}

/// Some labels of each series: those that decide which group it belongs to.
pub(crate) struct Projection {
    /// Whether only the `names` count (`on`, `by`), or all but them and the metric name (`ignoring`, `without`).
    pub(crate) only: bool,
    pub(crate) names: Vec<String>,
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
    /// `by (…)` or `without (…)`.
    pub(crate) grouping: Projection,
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

/// A function call.
pub(crate) struct Call {
    /// The function's name, for messages.
    pub(crate) name: &'static str,
    pub(crate) function: Function,
    pub(crate) args: Vec<Node>,
    pub(crate) position: Option<CallPosition>,
}
