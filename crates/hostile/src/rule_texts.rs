//! Texts that come with rules: rule files, their tests, templates, values of series.

use muster_alerting::{Context, RuleFile, Template, TestFile, parse_values};
use muster_series::Labels;

/// A text, read as each of them; what is a template is expanded.
pub(crate) fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(file) = RuleFile::parse(text) {
        let _ = file.duplicates();
    }
    let _ = TestFile::parse(text);
    let _ = parse_values(text);
    let Ok(template) = Template::parse(text) else { return };
    let labels = Labels::from_pairs([("instance", "web-1.example.org:9100")]);
    let labels = labels.expect("one name");
    for value in [0.0, 1.5e9, f64::NAN, f64::NEG_INFINITY] {
        let _ = template.expand(&labels, value, &Context::default());
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: up == 0\n    for: 5m\n    \
         annotations: {summary: '{{ $labels.instance }} is down'}\n  - {record: a, expr: b}\n",
        "rule_files: [a.yml]\ntests:\n- input_series: [{series: up, values: '0+1x5 _x2 stale'}]\n  \
         promql_expr_test: [{expr: up, eval_time: 1m, exp_samples: [{labels: up, value: 1}]}]\n",
        "{{ if gt $value 1.5 -}} {{ $labels.instance | stripPort | toUpper }} {{- else }}no{{ end }}",
        "{{ range $i, $x := args 1 \"a\" .Value }}{{ printf \"%d: %-5v|%6.2f\" $i $x 1.005 }}{{ end }}",
        "{{ $x := humanizeDuration .Value }}{{ with $x }}{{ . }}{{ end }} {{ slice \"abc\" 1 2 }}",
        "-1+2.5x3 NaN Inf _ 1e3x2 stale",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
