//! The format both ways: what others write is read right, what we write reads back, and nothing panics.

use muster_exposition::{Family, Kind, ParseError, Point, Problem, parse, write};
use muster_series::Labels;
use proptest::prelude::*;

#[track_caller]
fn check_point(line: &str, labels: &str, value: f64, timestamp_ms: Option<i64>) {
    let families = parse(line).expect("the line is right");
    let point = &families[0].points[0];
    assert_eq!(point.labels.to_string(), labels);
    assert!(point.value == value || (point.value.is_nan() && value.is_nan()), "{}", point.value);
    assert_eq!(point.timestamp_ms, timestamp_ms);
}

#[test]
fn points() {
    check_point("up 1", "up", 1.0, None);
    check_point("up{} 1 -5\n", "up", 1.0, Some(-5));
    check_point("\tup { a = \"b\" , } 1e3 7 \r\n", r#"up{a="b"}"#, 1000.0, Some(7));
    check_point("a:b{l=\"x\\\\\\\"\\n}\"} +Inf", "a:b{l=\"x\\\\\\\"\\n}\"}", f64::INFINITY, None);
    check_point("x -Inf", "x", f64::NEG_INFINITY, None);
    check_point("x NaN", "x", f64::NAN, None);
    check_point("{\"disk.free\",von=\"b\"} 2", r#"{__name__="disk.free", von="b"}"#, 2.0, None);
    check_point("x{empty=\"\"} 2", "x", 2.0, None);
}

#[track_caller]
fn check_refusal(text: &str, line: usize, problem: Problem) {
    assert_eq!(parse(text), Err(ParseError { line, problem }));
}

#[test]
fn refusals_name_the_line() {
    check_refusal("ok 1\n\n1x 2\n", 3, Problem::NoName);
    check_refusal("{a=\"b\"} 2", 1, Problem::NoName);
    check_refusal("x", 1, Problem::Value(String::new()));
    check_refusal("x one", 1, Problem::Value("one".into()));
    check_refusal("x 1 1.5", 1, Problem::Timestamp("1.5".into()));
    check_refusal("x 1 1 1", 1, Problem::Trailing("1".into()));
    check_refusal("x{a} 1", 1, Problem::NoEquals("a".into()));
    check_refusal("x{a=b} 1", 1, Problem::NoQuote);
    check_refusal("x{a=\"b} 1", 1, Problem::NoQuote);
    check_refusal("x{a=\"b\"", 1, Problem::Unclosed);
    check_refusal("x{a=\"b\" c=\"d\"} 1", 1, Problem::Unclosed);
    check_refusal("x{a=\"\\t\"} 1", 1, Problem::Escape("t".into()));
    check_refusal("x{0=\"\"} 1", 1, Problem::LabelName);
    check_refusal("# TYPE x lever", 1, Problem::UnknownKind("lever".into()));
    check_refusal("x 1\n# TYPE x gauge", 2, Problem::LateType("x".into()));
    check_refusal("# TYPE x gauge\n# TYPE x gauge", 2, Problem::LateType("x".into()));
    let twice = parse("x{a=\"1\",a=\"2\"} 1").unwrap_err();
    assert_eq!(twice.to_string(), "line 1: label \"a\" is given twice; give each label once");
}

#[test]
fn a_histogram_keeps_its_parts_together() {
    let text = "# some comment\n# HELP h Time.\\nReally.\n# TYPE h histogram\n\
        h_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\nh_other 1\n";
    let families = parse(text).unwrap();
    let seen: Vec<_> = families.iter().map(|f| (&*f.name, f.kind, f.points.len())).collect();
    assert_eq!(seen, [("h", Kind::Histogram, 3), ("h_other", Kind::Untyped, 1)]);
    assert_eq!(families[0].help, "Time.\nReally.");
}

#[test]
fn an_odd_backslash_in_a_help_text_is_just_one() {
    let families = parse("# HELP a C:\\temp \\\\ \\n \\").unwrap();
    assert_eq!(families[0].help, "C:\\temp \\ \n \\");
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Counter), Just(Kind::Gauge), Just(Kind::Untyped)]
}

fn any_point(name: String) -> impl Strategy<Value = Point> {
    let labels = proptest::collection::btree_map("[a-z_\"\\\\ü.][a-z0-9_]{0,4}", ".*", 0..4);
    (labels, any::<f64>(), any::<Option<i64>>()).prop_map(move |(pairs, value, timestamp_ms)| {
        let pairs = pairs.into_iter().chain([("__name__".to_owned(), name.clone())]);
        Point {
            labels: Labels::from_pairs(pairs).expect("names of a map differ"),
            value,
            timestamp_ms,
        }
    })
}

fn any_family(name: String) -> impl Strategy<Value = Family> {
    let points = proptest::collection::vec(any_point(name.clone()), 1..4);
    // A help text that ends in blanks or a carriage return is not told from one that does not.
    (any_kind(), "([^\r \t]([^\r]*[^\r \t])?)?", points)
        .prop_map(move |(kind, help, points)| Family { name: name.clone(), kind, help, points })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        families in proptest::collection::btree_set("[a-zA-Z_:.ü \"\\\\\n]{1,6}", 0..4)
            .prop_flat_map(|names| names.into_iter().map(any_family).collect::<Vec<_>>())
    ) {
        prop_assert_eq!(parse(&write(&families)), Ok(families));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([#a-z{}=\",\\\\ \t\n0-9.\r-]|HELP|TYPE|\\PC)*") {
        if let Ok(families) = parse(&text) {
            let again = parse(&write(&families)).map(|list| list.len());
            let with_points = families.iter().filter(|f| !f.points.is_empty()).count();
            prop_assert_eq!(again, Ok(with_points));
        }
    }
}
