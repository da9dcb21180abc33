//! A query for less: the same, of series that have one more label.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Expr, VectorSelector};

use crate::guard;
use crate::query::{ParseError, parse_tree};

/// The query with `name="value"` at each of its selectors that says nothing of that label.
///
/// ```
/// let narrowed = muster_promql::narrow("rate(node_cpu_seconds_total[5m]) / on (instance) up", "instance", "web-1")?;
/// assert_eq!(narrowed, "rate(node_cpu_seconds_total{instance=\"web-1\"}[5m]) / on (instance) up{instance=\"web-1\"}");
/// # Ok::<(), muster_promql::ParseError>(())
/// ```
pub fn narrow(text: &str, name: &str, value: &str) -> Result<String, ParseError> {
    guard::check_text(text)?;
    let mut tree = parse_tree(text)?;
    let matcher = Matcher::new(MatchOp::Equal, name, value);
    each_selector(&mut tree, &mut |selector| {
        let matchers = &mut selector.matchers;
        if matchers.or_matchers.is_empty() {
            if matchers.matchers.iter().all(|other| other.name != name) {
                matchers.matchers.push(matcher.clone());
            }
            return;
        }
        for matchers in &mut matchers.or_matchers {
            if matchers.iter().all(|other| other.name != name) {
                matchers.push(matcher.clone());
            }
        }
    });
    let narrowed = tree.to_string();
    // A text that means something else would be worse than the whole.
    let same = parse_tree(&narrowed).is_ok_and(|again| again.to_string() == narrowed);
    Ok(if same { narrowed } else { text.trim().to_owned() })
}

fn each_selector(expr: &mut Expr, change: &mut impl FnMut(&mut VectorSelector)) {
    match expr {
        Expr::Aggregate(aggregate) => {
            if let Some(param) = &mut aggregate.param {
                each_selector(param, change);
            }
            each_selector(&mut aggregate.expr, change);
        }
        Expr::Unary(unary) => each_selector(&mut unary.expr, change),
        Expr::Binary(binary) => {
            each_selector(&mut binary.lhs, change);
            each_selector(&mut binary.rhs, change);
        }
        Expr::Paren(paren) => each_selector(&mut paren.expr, change),
        Expr::Subquery(subquery) => each_selector(&mut subquery.expr, change),
        Expr::VectorSelector(selector) => change(selector),
        Expr::MatrixSelector(matrix) => change(&mut matrix.vs),
        Expr::Call(call) => {
            for argument in &mut call.args.args {
                each_selector(argument, change);
            }
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(narrow(text, "instance", "a\"b").unwrap(), expected, "{text}");
    }

    #[test]
    fn every_selector_gets_the_label_unless_it_says_something_of_it() {
        check("up", "up{instance=\"a\\\"b\"}");
        check("up{instance=\"c\"}", "up{instance=\"c\"}");
        check("sum(x) > 1", "sum(x{instance=\"a\\\"b\"}) > 1");
        check(
            "max_over_time(x[1h:5m]) unless -y",
            "max_over_time(x{instance=\"a\\\"b\"}[1h:5m]) unless -y{instance=\"a\\\"b\"}",
        );
        check("1 + 2", "1 + 2");
        check(
            "x / on (i) group_left () count by (i) (y)",
            "x{instance=\"a\\\"b\"} / on (i) group_left () count by (i) (y{instance=\"a\\\"b\"})",
        );
        assert!(narrow("sum(", "instance", "a").is_err());
    }
}
