//! A parsed query, and the way from text to it.

use std::collections::BTreeSet;
use std::fmt;

use muster_series::{METRIC_NAME, MatchOp, Matcher};

use crate::guard;
use crate::lower;
use crate::plan::{Node, Range, Selector, When};
use crate::syntax;

/// Why a text is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Byte offset of the place, where it is known.
    pub position: Option<usize>,
}

/// A query that is valid by its types; [`fmt::Display`] gives its text.
pub struct Query {
    text: String,
    root: Node,
}

impl Query {
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The names of the metrics that it reads, as far as it names them.
    pub fn metric_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        collect_names(&self.root, &mut names);
        names
    }
}

fn collect_names(node: &Node, names: &mut BTreeSet<String>) {
    let mut add = |selector: &Selector| {
        let named = selector.matchers.iter();
        let named = named.filter(|m| m.name() == METRIC_NAME && m.op() == MatchOp::Equal);
        names.extend(named.map(|matcher| matcher.value().to_owned()));
    };
    match node {
        Node::Number(_) | Node::Text(_) => {}
        Node::Selector(selector) => add(selector),
        Node::Range(range) => match &**range {
            Range::Selector { selector, .. } => add(selector),
            Range::Subquery { inner, .. } => collect_names(inner, names),
        },
        Node::Negate(inner) => collect_names(inner, names),
        Node::Binary(binary) => {
            collect_names(&binary.left, names);
            collect_names(&binary.right, names);
        }
        Node::Aggregate(aggregate) => {
            aggregate.parameter.iter().for_each(|node| collect_names(node, names));
            collect_names(&aggregate.operand, names);
        }
        Node::Call(call) => call.args.iter().for_each(|node| collect_names(node, names)),
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Query").field(&self.text).finish()
    }
}

/// Parses a text of at most 16 KiB and 500 operators and brackets, and checks its types.
///
/// What this engine does not implement is refused here, by name, not at evaluation.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    guard::check_text(text)?;
    let tree = parse_tree(text)?;
    let root = lower::lower(&tree, text)?;
    Ok(Query { text: text.into(), root })
}

/// The parser's tree. The parser panics at durations that it cannot hold, as in `up offset 1e400`; that ends here.
pub(crate) fn parse_tree(text: &str) -> Result<promql_parser::parser::Expr, ParseError> {
    let plain = guard::without_raw_strings(text);
    let parsed = std::panic::catch_unwind(|| promql_parser::parser::parse(&plain));
    let result = parsed.unwrap_or_else(|_| {
        Err("the query holds a duration or a time that is too large; write one like 5m or 30d"
            .into())
    });
    result.map_err(|message| syntax::explain(text, message))
}

/// The matchers of a series selector such as `up{job="node"}`, as `match[]` holds it: no range, offset or `@`.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    match parse(text)?.root {
        Node::Selector(Selector { matchers, when: When { at: None, offset_ms: 0 } }) => {
            Ok(matchers)
        }
        _ => Err(ParseError {
            message: format!("{text:?} is no series selector; write one like up{{job=\"node\"}}"),
            position: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_that_nobody_can_hold_is_refused() {
        for text in
            ["up offset 1e400", "up[1e30]", "up @ 1e400", "up[5m:1e300]", "up offset - 1e400"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_query_names_the_metrics_that_it_reads() {
        let text = "topk(scalar(a), -b{x=\"y\"}) > on () max_over_time(rate({__name__=\"c\"}[5m])[1h:]) or {j=\"d\"}";
        let names: Vec<String> = parse(text).unwrap().metric_names().into_iter().collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn a_selector_is_its_matchers_and_nothing_else_is_one() {
        let matchers = parse_selector("up{job=~\"no.*\"}").unwrap();
        let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        assert!(texts.contains(&"__name__=\"up\"".to_owned()), "{texts:?}");
        assert!(texts.contains(&"job=~\"no.*\"".to_owned()), "{texts:?}");
        for text in ["sum(up)", "up[5m]", "up offset 5m", "up @ 0", "1", "{}", ""] {
            assert!(parse_selector(text).is_err(), "{text:?}");
        }
    }
}
