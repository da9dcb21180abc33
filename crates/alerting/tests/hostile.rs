//! Whatever a file holds, reading it ends with a value or an error.

use muster_alerting::{Context, RuleFile, Template, TestFile, parse_values};
use muster_series::Labels;
use proptest::prelude::*;

/// Texts made of the pieces of templates, so that many get past the lexer.
fn template() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "if",
        "else",
        "end",
        "range",
        "with",
        "$x",
        ":=",
        "=",
        "|",
        "(",
        ")",
        ".",
        "$labels.a",
        ".Value",
        "\"a\"",
        "`",
        "1",
        "-1.5e3",
        "printf",
        "\"%5.2f%d%v\"",
        "humanize",
        "len",
        "index",
        "slice",
        "title",
        "stripPort",
        "humanizeTimestamp",
        "humanizeDuration",
        "first",
        "args",
        "/*",
        "*/",
        "北",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.join(" "))
}

fn expand(text: &str) {
    if let Ok(template) = Template::parse(text) {
        let labels = Labels::from_pairs([("a", "b:80")]).expect("labels");
        for value in [0.0, f64::NAN, f64::MIN, f64::INFINITY, 1e15] {
            let _ = template.expand(&labels, value, &Context::default());
        }
    }
}

proptest! {
    #[test]
    fn no_template_panics(text in template()) {
        expand(&text);
        expand(&format!("{{{{ {text} }}}}"));
    }

    #[test]
    fn no_text_panics(text in ".{0,200}") {
        expand(&text);
        let _ = RuleFile::parse(&text);
        let _ = TestFile::parse(&text);
        let _ = parse_values(&text);
    }

    #[test]
    fn numbers_read_back(values in prop::collection::vec(prop::num::f64::NORMAL, 0..5)) {
        let words: Vec<String> = values.iter().map(ToString::to_string).collect();
        let read = parse_values(&words.join(" ")).expect("they are values");
        prop_assert_eq!(read, values.into_iter().map(Some).collect::<Vec<_>>());
    }
}
