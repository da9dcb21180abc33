//! From the parser's tree to the plan: resolves names, compiles matchers, refuses what is not implemented.

use std::time::{Duration, SystemTime};

use muster_series::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::label::{MatchOp as ParsedOp, Matcher as ParsedMatcher};
use promql_parser::parser as ast;
use promql_parser::parser::value::ValueType;

use crate::functions;
use crate::guard::tokens;
use crate::plan::{
    Aggregate, Aggregation, Arithmetic, At, Binary, BinaryOp, Call, Cardinality, Comparison, Fold,
    Matching, Node, Pick, Projection, Range, Selector, SetOp, When,
};
use crate::positions::Positions;
use crate::query::ParseError;

/// Deepest tree that is evaluated; half of what a stack of 2 MiB holds in an unoptimised build.
const MAX_DEPTH: usize = 150;

/// Turns a parsed tree into a plan; `text` is what it was parsed from.
pub(crate) fn lower(tree: &ast::Expr, text: &str) -> Result<Node, ParseError> {
    Lowering { text, positions: Positions::scan(text), depth: 0 }.node(tree)
}

struct Lowering<'a> {
    text: &'a str,
    positions: Positions<'a>,
    /// How many nodes lie above the one at hand.
    depth: usize,
}

fn refuse(message: impl Into<String>) -> ParseError {
    ParseError { message: message.into(), position: None }
}

impl Lowering<'_> {
    fn node(&mut self, tree: &ast::Expr) -> Result<Node, ParseError> {
        if self.depth == MAX_DEPTH {
            return Err(refuse(format!(
                "the query nests or chains more than {MAX_DEPTH} operators and calls; split it with recording rules"
            )));
        }
        self.depth += 1;
        let node = self.node_within(tree);
        self.depth -= 1;
        node
    }

    fn node_within(&mut self, tree: &ast::Expr) -> Result<Node, ParseError> {
        Ok(match tree {
            ast::Expr::Paren(paren) => self.node(&paren.expr)?,
            ast::Expr::NumberLiteral(number) => Node::Number(number.val),
            ast::Expr::StringLiteral(string) => Node::Text(string.val.clone()),
            ast::Expr::Unary(unary) => Node::Negate(Box::new(self.node(&unary.expr)?)),
            ast::Expr::VectorSelector(vector) => Node::Selector(selector(vector)?),
            ast::Expr::MatrixSelector(matrix) => Node::Range(Box::new(Range::Selector {
                selector: selector(&matrix.vs)?,
                window_ms: duration_ms(matrix.range)?,
            })),
            ast::Expr::Subquery(subquery) => self.subquery(subquery)?,
            ast::Expr::Binary(binary) => self.binary(binary)?,
            ast::Expr::Aggregate(aggregate) => self.aggregate(aggregate)?,
            ast::Expr::Call(call) => self.call(call)?,
            ast::Expr::Extension(_) => {
                return Err(refuse("extensions of PromQL are not supported"));
            }
        })
    }

    fn subquery(&mut self, subquery: &ast::SubqueryExpr) -> Result<Node, ParseError> {
        let step_ms = subquery.step.map(duration_ms).transpose()?.filter(|&step| step > 0);
        Ok(Node::Range(Box::new(Range::Subquery {
            inner: self.node(&subquery.expr)?,
            window_ms: duration_ms(subquery.range)?,
            step_ms,
            when: when(subquery.at.as_ref(), subquery.offset.as_ref())?,
        })))
    }

    fn binary(&mut self, binary: &ast::BinaryExpr) -> Result<Node, ParseError> {
        let name = binary.op.to_string();
        let op = binary_op(&name)
            .ok_or_else(|| refuse(format!("the operator {name:?} is not supported")))?;
        Ok(Node::Binary(Box::new(Binary {
            op,
            left: self.node(&binary.lhs)?,
            right: self.node(&binary.rhs)?,
            returns_bool: binary.return_bool(),
            matching: matching(binary.modifier.as_ref())?,
        })))
    }

    fn aggregate(&mut self, aggregate: &ast::AggregateExpr) -> Result<Node, ParseError> {
        let name = aggregate.op.to_string();
        let op = aggregation(&name)
            .ok_or_else(|| refuse(format!("the aggregation {name:?} is not supported")))?;
        if let (Aggregation::Pick(_), Some(parameter)) = (op, &aggregate.param)
            && parameter.value_type() != ValueType::Scalar
        {
            let got = parameter.value_type();
            return Err(refuse(format!(
                "expected type scalar in aggregation parameter, got {got}"
            )));
        }
        let position = self.positions.claim(&name);
        if let (Aggregation::CountValues, Some(position)) = (op, position) {
            check_label_literal(&self.text[position.argument..])?;
        }
        let (only, names) = match &aggregate.modifier {
            Some(ast::LabelModifier::Exclude(labels)) => (false, labels.labels.clone()),
            Some(ast::LabelModifier::Include(labels)) => (true, labels.labels.clone()),
            None => (true, Vec::new()),
        };
        let parameter = aggregate.param.as_ref().map(|p| self.node(p)).transpose()?;
        let operand = self.node(&aggregate.expr)?;
        let grouping = Projection { only, names };
        Ok(Node::Aggregate(Box::new(Aggregate { op, grouping, parameter, operand, position })))
    }

    fn call(&mut self, call: &ast::Call) -> Result<Node, ParseError> {
        let name = call.func.name;
        let position = self.positions.claim(name);
        let function = functions::find(name).ok_or_else(|| ParseError {
            message: format!("the function {name:?} is not implemented"),
            position: position.map(|p| p.name),
        })?;
        let args = call.args.args.iter().map(|arg| self.node(arg)).collect::<Result<_, _>>()?;
        Ok(Node::Call(Call { name, function, args, position }))
    }
}

/// Refuses a label name whose literal, at the beginning of `text`, has escaped bytes that are no UTF-8;
/// the parser would take each for a character.
fn check_label_literal(text: &str) -> Result<(), ParseError> {
    let Some(literal) = tokens(text).next().map(|token| token.text) else {
        return Ok(());
    };
    let mut bytes = Vec::new();
    let mut rest = literal;
    while let Some(first) = rest.chars().next() {
        let hex = rest.strip_prefix("\\x").and_then(|hex| hex.get(..2));
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &rest[4..];
        } else {
            bytes.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    if literal.starts_with('`') || std::str::from_utf8(&bytes).is_ok() {
        return Ok(());
    }
    Err(refuse(format!("invalid label name {literal}")))
}

fn selector(vector: &ast::VectorSelector) -> Result<Selector, ParseError> {
    if !vector.matchers.or_matchers.is_empty() {
        return Err(refuse("\"or\" between matchers is not PromQL; use a regular expression"));
    }
    let mut matchers: Vec<Matcher> = Vec::new();
    matchers.extend(vector.name.as_ref().map(|name| Matcher::equal(METRIC_NAME, name)));
    for parsed in &vector.matchers.matchers {
        matchers.push(matcher(parsed)?);
    }
    Ok(Selector { matchers, when: when(vector.at.as_ref(), vector.offset.as_ref())? })
}

fn matcher(parsed: &ParsedMatcher) -> Result<Matcher, ParseError> {
    let op = match parsed.op {
        ParsedOp::Equal => MatchOp::Equal,
        ParsedOp::NotEqual => MatchOp::NotEqual,
        ParsedOp::Re(_) => MatchOp::Regex,
        ParsedOp::NotRe(_) => MatchOp::NotRegex,
    };
    Matcher::new(&parsed.name, op, &parsed.value).map_err(|error| refuse(error.to_string()))
}

fn when(at: Option<&ast::AtModifier>, offset: Option<&ast::Offset>) -> Result<When, ParseError> {
    let at = match at {
        None => None,
        Some(ast::AtModifier::Start) => Some(At::Start),
        Some(ast::AtModifier::End) => Some(At::End),
        Some(ast::AtModifier::At(time)) => Some(At::Time(unix_ms(*time)?)),
    };
    let offset_ms = match offset {
        None => 0,
        Some(ast::Offset::Pos(duration)) => duration_ms(*duration)?,
        Some(ast::Offset::Neg(duration)) => -duration_ms(*duration)?,
    };
    Ok(When { at, offset_ms })
}

fn unix_ms(time: SystemTime) -> Result<i64, ParseError> {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => duration_ms(after),
        Err(error) => duration_ms(error.duration()).map(|before| -before),
    }
}

/// Milliseconds of a duration, rounded; bounded so that sums of a few of them stay in range.
fn duration_ms(duration: Duration) -> Result<i64, ParseError> {
    const MAX_MS: i64 = i64::MAX / 16;
    let ms = duration.as_micros().saturating_add(500) / 1000;
    i64::try_from(ms)
        .ok()
        .filter(|&ms| ms <= MAX_MS)
        .ok_or_else(|| refuse("a duration or time is out of range"))
}

fn matching(modifier: Option<&ast::BinModifier>) -> Result<Matching, ParseError> {
    let mut matching = Matching {
        by: Projection { only: false, names: Vec::new() },
        cardinality: Cardinality::OneToOne,
        include: Vec::new(),
    };
    let Some(modifier) = modifier else {
        return Ok(matching);
    };
    if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
        return Err(refuse("the modifier \"fill\" is not implemented"));
    }
    if let Some(by) = &modifier.matching {
        matching.by.only = by.is_include();
        matching.by.names.clone_from(&by.labels().labels);
    }
    match &modifier.card {
        ast::VectorMatchCardinality::ManyToOne(labels) => {
            matching.cardinality = Cardinality::ManyToOne;
            matching.include.clone_from(&labels.labels);
        }
        ast::VectorMatchCardinality::OneToMany(labels) => {
            matching.cardinality = Cardinality::OneToMany;
            matching.include.clone_from(&labels.labels);
        }
        ast::VectorMatchCardinality::OneToOne | ast::VectorMatchCardinality::ManyToMany => {}
    }
    Ok(matching)
}

fn binary_op(name: &str) -> Option<BinaryOp> {
    use BinaryOp as Op;
    Some(match name {
        "+" => Op::Arithmetic(Arithmetic::Add),
        "-" => Op::Arithmetic(Arithmetic::Sub),
        "*" => Op::Arithmetic(Arithmetic::Mul),
        "/" => Op::Arithmetic(Arithmetic::Div),
        "%" => Op::Arithmetic(Arithmetic::Mod),
        "^" => Op::Arithmetic(Arithmetic::Pow),
        "atan2" => Op::Arithmetic(Arithmetic::Atan2),
        "==" => Op::Comparison(Comparison::Equal),
        "!=" => Op::Comparison(Comparison::NotEqual),
        ">" => Op::Comparison(Comparison::Greater),
        "<" => Op::Comparison(Comparison::Less),
        ">=" => Op::Comparison(Comparison::GreaterEqual),
        "<=" => Op::Comparison(Comparison::LessEqual),
        "and" => Op::Set(SetOp::And),
        "or" => Op::Set(SetOp::Or),
        "unless" => Op::Set(SetOp::Unless),
        _ => return None,
    })
}

fn aggregation(name: &str) -> Option<Aggregation> {
    Some(match name {
        "sum" => Aggregation::Fold(Fold::Sum),
        "avg" => Aggregation::Fold(Fold::Avg),
        "min" => Aggregation::Fold(Fold::Min),
        "max" => Aggregation::Fold(Fold::Max),
        "count" => Aggregation::Fold(Fold::Count),
        "group" => Aggregation::Fold(Fold::Group),
        "stddev" => Aggregation::Fold(Fold::Stddev),
        "stdvar" => Aggregation::Fold(Fold::Stdvar),
        "quantile" => Aggregation::Quantile,
        "count_values" => Aggregation::CountValues,
        "topk" => Aggregation::Pick(Pick::Top),
        "bottomk" => Aggregation::Pick(Pick::Bottom),
        "limitk" => Aggregation::Pick(Pick::Limit),
        "limit_ratio" => Aggregation::Pick(Pick::Ratio),
        _ => return None,
    })
}
