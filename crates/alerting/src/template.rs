//! The texts of labels and annotations: the part of Go's templates that rules are written in, with Prometheus's
//! functions.
//!
//! 1. `lexer` cuts a text into plain pieces and actions (`{{ … }}`), and actions into tokens.
//! 2. `parser` makes a tree of them: outputs, variables, `if`, `range`, `with`, pipelines of calls.
//! 3. `run` walks the tree; `functions` are what it may call, `numbers` how Go prints a float.
//!
//! What a template may use is bounded: its length, its depth, its output. Names and meanings:
//! <https://prometheus.io/docs/prometheus/latest/configuration/template_reference/>.

mod functions;
mod lexer;
mod numbers;
mod parser;
mod printf;
mod run;
mod value;

use std::collections::BTreeMap;

use muster_series::Labels;

use crate::alerts::Sample;
use parser::Node;
use value::Value;

/// The longest text of a template, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// Why a text is no template, or why it cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is not in the grammar.
    #[error("template: {0}")]
    Syntax(String),
    /// It uses something that does not exist.
    #[error("function {0:?} not defined")]
    Function(String),
    /// A variable was not set.
    #[error("undefined variable {0:?}")]
    Variable(String),
    /// A function cannot do anything with what it was given.
    #[error("error calling {function}: {problem}")]
    Call {
        /// The function.
        function: &'static str,
        /// What it says.
        problem: String,
    },
    /// Its output is too long.
    #[error("the expanded text is longer than {} KiB", run::MAX_OUTPUT >> 10)]
    TooLong,
}

/// Evaluates an expression for the template function `query`.
pub type Query<'a> = dyn Fn(&str) -> Result<Vec<Sample>, String> + 'a;

/// What a template sees besides its alert.
#[derive(Default)]
pub struct Context<'a> {
    /// `$externalLabels`.
    pub external_labels: BTreeMap<String, String>,
    /// `$externalURL`.
    pub external_url: String,
    /// What the function `query` asks; without it, the function fails.
    pub query: Option<Box<Query<'a>>>,
}

/// A text that was parsed.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
}

impl Template {
    /// Parses a text; functions and variables must exist.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEXT {
            return Err(TemplateError::Syntax(format!("longer than {} KiB", MAX_TEXT >> 10)));
        }
        let nodes = parser::parse(text)?;
        Ok(Self { text: text.to_owned(), nodes })
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text for a series and its value.
    pub fn expand(
        &self,
        labels: &Labels,
        value: f64,
        context: &Context<'_>,
    ) -> Result<String, TemplateError> {
        let labels: BTreeMap<String, Value> = labels
            .iter()
            .map(|(name, text)| (name.to_owned(), Value::Text(text.to_owned())))
            .collect();
        let external = context.external_labels.iter();
        let external: BTreeMap<String, Value> =
            external.map(|(name, text)| (name.clone(), Value::Text(text.clone()))).collect();
        let dot = Value::Map(BTreeMap::from([
            ("Labels".to_owned(), Value::Map(labels)),
            ("ExternalLabels".to_owned(), Value::Map(external)),
            ("ExternalURL".to_owned(), Value::Text(context.external_url.clone())),
            ("Value".to_owned(), Value::Number(value)),
        ]));
        run::run(&self.nodes, &dot, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, TemplateError> {
        let labels = Labels::from_pairs([
            ("__name__", "up"),
            ("instance", "web-1.example.org:9100"),
            ("job", "node"),
        ])
        .expect("labels");
        let query = |expression: &str| match expression {
            "empty" => Ok(Vec::new()),
            "bad" => Err("no such thing".to_owned()),
            _ => Ok(["b", "a"]
                .iter()
                .zip([2.0, 1.0])
                .map(|(name, value)| Sample {
                    labels: Labels::from_pairs([("l", *name)]).expect("labels"),
                    value,
                })
                .collect()),
        };
        let context = Context {
            external_labels: BTreeMap::from([("cluster".to_owned(), "x".to_owned())]),
            external_url: "http://muster/m".into(),
            query: Some(Box::new(query)),
        };
        Template::parse(text)?.expand(&labels, 1_234_567.0, &context)
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = expand(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn labels_values_and_what_is_around() {
        check("plain", "plain");
        check("{{ $labels.job }}/{{ .Labels.job }}/{{$labels.none}}.", "node/node/.");
        check("{{ $value }} {{ .Value | humanize }}", "1.234567e+06 1.235M");
        check(
            "{{ $externalLabels.cluster }} {{ externalURL }}{{ pathPrefix }}",
            "x http://muster/m/m",
        );
        check("a  {{- 1 -}}  b {{/* note */}}c", "a1b c");
        check("{{ \"{{\" }} {{ `}}` }} {{ 'a' }}", "{{ }} 97");
    }

    #[test]
    fn blocks() {
        check("{{ if eq $labels.job \"node\" \"x\" }}a{{ else }}b{{ end }}", "a");
        check("{{ if .Labels.none }}a{{ else if gt .Value 1e9 }}b{{ else }}c{{ end }}", "c");
        check(
            "{{ with .Labels.job }}[{{ . }}]{{ end }}{{ with $labels.none }}x{{ else }}-{{ end }}",
            "[node]-",
        );
        check("{{ range query \"x\" }}{{ .Labels.l }}={{ .Value }};{{ end }}", "b=2;a=1;");
        check("{{ range query \"empty\" }}x{{ else }}none{{ end }}", "none");
        check(
            "{{ range $i, $s := sortByLabel \"l\" (query \"x\") }}{{ $i }}{{ $s | label \"l\" }}{{ end }}",
            "0a1b",
        );
        check("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2");
    }

    #[test]
    fn functions() {
        check("{{ query \"x\" | first | value }} {{ query \"x\" | first | label \"l\" }}", "2 b");
        check("{{ humanize1024 2048 }} {{ humanizePercentage 0.1234567 }}", "2ki 12.35%");
        check("{{ humanizeDuration 90061 }} {{ humanizeDuration 0.0015 }}", "1d 1h 1m 1s 1.5ms");
        check("{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC");
        check(
            "{{ printf \"%.2f|%5.1f|%s|%q|%d|%v|%%|%-4s|%04d\" 1.005 2.25 \"a\" \"b\" 3 $value \"c\" 7 }}",
            "1.00|  2.2|a|\"b\"|3|1.234567e+06|%|c   |0007",
        );
        check(
            "{{ printf \"%d %s %t\" $value 1 \"a\" }}",
            "%!d(float64=1.234567e+06) %!s(int=1) %!t(string=a)",
        );
        check("{{ toUpper \"ab\" }}{{ \"AB\" | toLower }}{{ title \"a bc\" }}", "ABabA Bc");
        check("{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", "web-1.example.org");
        check(
            "{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}",
            "web-1.example.org web-1:9100",
        );
        check("{{ if match \"^web\" $labels.instance }}y{{ end }}", "y");
        check("{{ and 1 0 }}{{ or 0 2 }}{{ not true }} {{ len $labels.job }}", "02false 4");
        check(
            "{{ index $labels \"job\" }} {{ lt 1 2 }} {{ ne 1 1 }} {{ ge 2.5 2.5 }}",
            "node true false true",
        );
        check("{{ parseDuration \"1h30m\" }} {{ print 1 2 \"a\" }}", "5400 1 2a");
        check("{{ graphLink \"a b\" }}", "/graph?g0.expr=a+b&g0.tab=0");
    }

    #[test]
    fn mistakes_are_told() {
        check_error("{{ nonsense }}", "function \"nonsense\" not defined");
        check_error("{{ $nope }}", "undefined variable \"$nope\"");
        check_error("{{ if 1 }}", "no `end`");
        check_error("{{ end }}", "unexpected `end`");
        check_error("{{ \"open }}", "unterminated");
        check_error("{{ 1", "unclosed action");
        check_error("{{ humanize \"x\" }}", "humanize");
        check_error("{{ query \"bad\" }}", "no such thing");
        check_error("{{ first (query \"empty\") }}", "no elements");
        check_error(&"{{ (".repeat(1_000), "template");
        check_error(&format!("{{{{ {}1{} }}}}", "(".repeat(500), ")".repeat(500)), "nested");
        check_error(&"{{ if 1 }}".repeat(500), "nested");
        let (begin, end) = ("{{ range query \"x\" }}".repeat(10), "{{ end }}".repeat(10));
        check_error(&format!("{begin}{{{{ printf \"%1000d\" 1 }}}}{end}"), "longer than 64 KiB");
    }
}
