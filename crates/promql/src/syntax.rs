//! Queries as texts: formatted, as a tree for other programs, and with the place where a text stops being one.
//!
//! The tree has the form of Prometheus's `/api/v1/parse_query`.
//! The parser does not say where a text is wrong. But a text can be continued to a query up to the token that is
//! wrong, and not beyond it; so that token is found by bisection, with a list of continuations to try.

use std::time::{Duration, SystemTime};

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AtModifier, BinaryExpr, Call, Expr, LabelModifier, Offset, VectorMatchCardinality,
    VectorSelector,
};
use serde_json::{Value, json};

use crate::guard::{self, tokens};
use crate::positions::line_and_column;
use crate::query::{ParseError, parse_tree};

/// What the parser says of every text that is not in its grammar.
const NOT_IN_GRAMMAR: &str = "invalid promql query";

/// The longest text whose wrong token is looked for, in bytes: that takes hundreds of attempts to parse a part of it.
const MAX_EXPLAINED: usize = 2 << 10;
/// How its complaints begin about texts that are not even made of tokens.
const NOT_TOKENS: [&str; 6] =
    ["unexpected ", "unclosed ", "unterminated ", "bad number", "unknown escape", "invalid escape"];

/// What may follow the beginning of a query so that it is one, before its open brackets are closed.
const CONTINUATIONS: [&str; 14] = [
    "", "x", "\"x\"", "x=\"x\"", "=\"x\"", "x:5m", "5m", ":5m", "1", "()", "(x)", "(x)(x)",
    "(x) x", "x)(x",
];
/// What may follow these closed brackets, as an operand does after `on (…)`.
const ENDINGS: [&str; 3] = ["", " x", "(x)"];

/// The query in Prometheus's layout: what is longer than a line is spread over several.
pub fn format_query(text: &str) -> Result<String, ParseError> {
    guard::check_text(text)?;
    let tree = parse_tree(text)?;
    let formatted = tree.prettify();
    // A layout that means something else would be worse than none.
    let same = parse_tree(&formatted).is_ok_and(|again| again == tree);
    Ok(if same { formatted } else { text.trim().to_owned() })
}

/// The query as a tree of JSON objects, each with its `type`, as Prometheus's `parse_query` gives it.
pub fn syntax_tree(text: &str) -> Result<Value, ParseError> {
    guard::check_text(text)?;
    Ok(translate(&parse_tree(text)?))
}

fn translate(expr: &Expr) -> Value {
    match expr {
        Expr::Aggregate(aggregate) => {
            let (grouping, without) = match &aggregate.modifier {
                Some(LabelModifier::Include(labels)) => (labels.labels.clone(), false),
                Some(LabelModifier::Exclude(labels)) => (labels.labels.clone(), true),
                None => (Vec::new(), false),
            };
            json!({
                "type": "aggregation",
                "op": aggregate.op.to_string(),
                "expr": translate(&aggregate.expr),
                "param": aggregate.param.as_deref().map(translate),
                "grouping": grouping,
                "without": without,
            })
        }
        Expr::Unary(unary) => {
            json!({ "type": "unaryExpr", "op": "-", "expr": translate(&unary.expr) })
        }
        Expr::Binary(binary) => translate_binary(binary),
        Expr::Paren(paren) => json!({ "type": "parenExpr", "expr": translate(&paren.expr) }),
        Expr::Subquery(subquery) => {
            let (timestamp, start_or_end) = at(subquery.at.as_ref());
            json!({
                "type": "subquery",
                "expr": translate(&subquery.expr),
                "range": millis(subquery.range),
                "offset": offset(subquery.offset.as_ref()),
                "step": subquery.step.map_or(0, millis),
                "timestamp": timestamp,
                "startOrEnd": start_or_end,
            })
        }
        Expr::NumberLiteral(number) => {
            json!({ "type": "numberLiteral", "val": number_text(number.val) })
        }
        Expr::StringLiteral(text) => json!({ "type": "stringLiteral", "val": text.val }),
        Expr::VectorSelector(selector) => translate_selector("vectorSelector", selector),
        Expr::MatrixSelector(matrix) => {
            let mut tree = translate_selector("matrixSelector", &matrix.vs);
            tree["range"] = json!(millis(matrix.range));
            tree
        }
        Expr::Call(call) => translate_call(call),
        Expr::Extension(_) => Value::Null,
    }
}

fn translate_binary(binary: &BinaryExpr) -> Value {
    let both_vectors = [&binary.lhs, &binary.rhs]
        .iter()
        .all(|side| matches!(side.value_type(), ValueType::Vector));
    let modifier = binary.modifier.as_ref();
    let matching = both_vectors.then(|| {
        let is_set = matches!(binary.op.to_string().as_str(), "and" | "or" | "unless");
        let default = if is_set {
            VectorMatchCardinality::ManyToMany
        } else {
            VectorMatchCardinality::OneToOne
        };
        let card = modifier.map_or(&default, |modifier| &modifier.card);
        let (labels, on) = match modifier.and_then(|modifier| modifier.matching.as_ref()) {
            Some(LabelModifier::Include(labels)) => (labels.labels.clone(), true),
            Some(LabelModifier::Exclude(labels)) => (labels.labels.clone(), false),
            None => (Vec::new(), false),
        };
        let name = match card {
            VectorMatchCardinality::OneToOne => "one-to-one",
            VectorMatchCardinality::ManyToOne(_) => "many-to-one",
            VectorMatchCardinality::OneToMany(_) => "one-to-many",
            VectorMatchCardinality::ManyToMany => "many-to-many",
        };
        let include = card.labels().map(|labels| labels.labels.clone()).unwrap_or_default();
        json!({ "card": name, "labels": labels, "on": on, "include": include })
    });
    json!({
        "type": "binaryExpr",
        "op": binary.op.to_string(),
        "lhs": translate(&binary.lhs),
        "rhs": translate(&binary.rhs),
        "matching": matching,
        "bool": modifier.is_some_and(|modifier| modifier.return_bool),
    })
}

fn translate_selector(kind: &str, selector: &VectorSelector) -> Value {
    let (timestamp, start_or_end) = at(selector.at.as_ref());
    let mut matchers: Vec<Value> =
        selector.matchers.matchers.iter().map(translate_matcher).collect();
    let mut name = selector.name.clone().unwrap_or_default();
    if selector.name.is_some() {
        matchers.push(json!({ "type": "=", "name": "__name__", "value": name }));
    } else if let Some(named) = selector
        .matchers
        .matchers
        .iter()
        .find(|matcher| matcher.name == "__name__" && matches!(matcher.op, MatchOp::Equal))
    {
        name.clone_from(&named.value);
    }
    json!({
        "type": kind,
        "name": name,
        "offset": offset(selector.offset.as_ref()),
        "matchers": matchers,
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
    })
}

fn translate_matcher(matcher: &Matcher) -> Value {
    json!({ "type": matcher.op.to_string(), "name": matcher.name, "value": matcher.value })
}

fn translate_call(call: &Call) -> Value {
    let types: Vec<String> = call.func.arg_types.iter().map(ToString::to_string).collect();
    json!({
        "type": "call",
        "func": {
            "name": call.func.name,
            "argTypes": types,
            "variadic": call.func.variadic,
            "returnType": call.func.return_type.to_string(),
        },
        "args": call.args.args.iter().map(|argument| translate(argument)).collect::<Vec<_>>(),
    })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn offset(offset: Option<&Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(duration)) => millis(*duration),
        Some(Offset::Neg(duration)) => -millis(*duration),
    }
}

/// The time of an `@` in milliseconds, and `start` or `end` where it names one.
fn at(at: Option<&AtModifier>) -> (Option<i64>, Option<&'static str>) {
    match at {
        None => (None, None),
        Some(AtModifier::Start) => (None, Some("start")),
        Some(AtModifier::End) => (None, Some("end")),
        Some(AtModifier::At(time)) => {
            let ms = match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => millis(after),
                Err(before) => -millis(before.duration()),
            };
            (Some(ms), None)
        }
    }
}

fn number_text(value: f64) -> String {
    if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        value.to_string()
    }
}

/// The parser's complaint, with the place that it is about where that can be found.
pub(crate) fn explain(text: &str, message: String) -> ParseError {
    if text.trim().is_empty() {
        return ParseError { message: "there is no expression".into(), position: Some(0) };
    }
    if is_syntax(&message) {
        if text.len() > MAX_EXPLAINED {
            return ParseError { message: format!("parse error: {message}"), position: None };
        }
        let (position, found) = first_wrong_token(text);
        let place = line_and_column(text, position);
        let what = match found {
            None => "the expression ends too early".to_owned(),
            Some(token) if message == NOT_IN_GRAMMAR || message.starts_with("unclosed ") => {
                format!("unexpected {token:?}")
            }
            Some(_) => message,
        };
        let message = format!("{place}: parse error: {what}");
        return ParseError { message, position: Some(position) };
    }
    // Where the complaint quotes a word of the text, it stands there.
    let quoted = message.split(['\'', '"', '`']).skip(1).step_by(2);
    let position = quoted
        .filter_map(|word| tokens(text).find(|token| token.text == word))
        .map(|token| token.start)
        .next();
    ParseError { message, position }
}

/// Whether a complaint is about the text, not about what it means.
fn is_syntax(message: &str) -> bool {
    message == NOT_IN_GRAMMAR || NOT_TOKENS.iter().any(|begin| message.starts_with(begin))
}

/// Where no continuation makes a query any more, and the token there; none if the text only ends too early.
fn first_wrong_token(text: &str) -> (usize, Option<&str>) {
    let all: Vec<_> = tokens(text).collect();
    let end_of = |count: usize| {
        if count == 0 { 0 } else { all[count - 1].start + all[count - 1].text.len() }
    };
    // The first `good` tokens begin a query; the first `bad` do not.
    let (mut good, mut bad) = (0, all.len() + 1);
    while good + 1 < bad {
        let middle = usize::midpoint(good, bad);
        if can_be_continued(&text[..end_of(middle)]) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    match all.get(good) {
        Some(token) => (token.start, Some(token.text)),
        None => (text.trim_end().len(), None),
    }
}

fn can_be_continued(beginning: &str) -> bool {
    let mut open = Vec::new();
    for token in tokens(beginning) {
        match token.text {
            "(" => open.push(')'),
            "[" => open.push(']'),
            "{" => open.push('}'),
            ")" | "]" | "}" => drop(open.pop()),
            _ => {}
        }
    }
    let closing: String = open.iter().rev().collect();
    let mut attempts =
        CONTINUATIONS.iter().flat_map(|more| ENDINGS.iter().map(move |end| (more, end)));
    attempts.any(|(more, end)| {
        let attempt = format!("{beginning} {more}{closing}{end}");
        let attempt = guard::without_raw_strings(&attempt);
        std::panic::catch_unwind(|| promql_parser::parser::parse(&attempt))
            .is_ok_and(|parsed| parsed.err().is_none_or(|message| !is_syntax(&message)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_place(text: &str, position: usize, message: &str) {
        let error = parse_tree(text).expect_err("it is no query");
        assert_eq!((error.position, error.message.as_str()), (Some(position), message), "{text}");
    }

    #[test]
    fn an_error_points_at_the_first_token_that_cannot_be() {
        check_place("sum(up) by by", 11, "1:12: parse error: unexpected \"by\"");
        check_place("up up", 3, "1:4: parse error: unexpected \"up\"");
        check_place(
            "sum(\n  rate(up[5m]) +",
            21,
            "2:17: parse error: the expression ends too early",
        );
        check_place("up{a=}", 5, "1:6: parse error: unexpected \"}\"");
        check_place(
            "rate(up[5m)",
            10,
            "1:11: parse error: unexpected character inside brackets: ')'",
        );
        check_place("a + on(b c", 9, "1:10: parse error: unexpected \"c\"");
        check_place("sum by (a) up", 11, "1:12: parse error: unexpected \"up\"");
        check_place("up offset", 9, "1:10: parse error: the expression ends too early");
        check_place("", 0, "there is no expression");
        check_place("1 + $ 2", 4, "1:5: parse error: unexpected character: '$'");
        check_place("up{a=\"b}", 5, "1:6: parse error: unterminated quoted string \"");
        check_place("sum(rate(up[5m])", 16, "1:17: parse error: the expression ends too early");
        check_place("up{a=~`\\d`} up", 12, "1:13: parse error: unexpected \"up\"");
        check_place("up{}}", 4, "1:5: parse error: unexpected right brace '}'");
    }

    #[test]
    fn a_long_text_is_refused_without_a_search() {
        let error = parse_tree(&format!("{}1", "1 + ".repeat(2_000)).replace("+ 1 +", "+ +* +"));
        assert_eq!(error.expect_err("it is no query").position, None);
    }

    #[test]
    fn an_unknown_function_is_pointed_at() {
        let error = parse_tree("sum(ratee(up[5m]))").expect_err("there is no such function");
        assert_eq!(error.position, Some(4), "{}", error.message);
    }

    #[test]
    fn a_formatted_query_means_the_same() {
        for (text, expected) in [
            ("sum   by(a)(rate( up [5m] ))", "sum by (a) (rate(up[5m]))"),
            ("up{a=\"x\\\"y\"}", "up{a=\"x\\\"y\"}"),
            ("1+2", "1 + 2"),
        ] {
            assert_eq!(format_query(text).expect("a query"), expected);
        }
        assert!(format_query("sum(").is_err());
    }

    #[track_caller]
    fn check_tree(text: &str, expected: &Value) {
        assert_eq!(&syntax_tree(text).expect("a query"), expected, "{text}");
    }

    #[test]
    fn trees_have_prometheus_form() {
        let up = json!({
            "type": "vectorSelector", "name": "up", "offset": -60_000, "timestamp": 1_500, "startOrEnd": null,
            "matchers": [
                { "type": "=~", "name": "job", "value": "n.*" },
                { "type": "=", "name": "__name__", "value": "up" },
            ],
        });
        check_tree("up{job=~\"n.*\"} @ 1.5 offset -1m", &up);
        let range = json!({
            "type": "matrixSelector", "name": "up", "offset": 0, "timestamp": null, "startOrEnd": "end",
            "range": 300_000,
            "matchers": [{ "type": "=", "name": "__name__", "value": "up" }],
        });
        check_tree(
            "-topk by (a) (2, rate(up[5m] @ end()))",
            &json!({ "type": "unaryExpr", "op": "-", "expr": {
                "type": "aggregation", "op": "topk", "grouping": ["a"], "without": false,
                "param": { "type": "numberLiteral", "val": "2" },
                "expr": { "type": "call", "args": [range], "func": {
                    "name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector",
                } },
            } }),
        );
        let tree = syntax_tree("a * on(b) group_left(c) (d > bool 1)").expect("a query");
        let matching =
            json!({ "card": "many-to-one", "labels": ["b"], "on": true, "include": ["c"] });
        assert_eq!(tree["matching"], matching);
        assert_eq!(tree["rhs"]["type"], "parenExpr");
        assert_eq!(tree["rhs"]["expr"]["bool"], true);
        assert_eq!(tree["rhs"]["expr"]["matching"], Value::Null);
        assert_eq!(syntax_tree("a or b").expect("a query")["matching"]["card"], "many-to-many");
        assert_eq!(syntax_tree("x[1h:5m]").expect("a query")["step"], 300_000);
    }
}
