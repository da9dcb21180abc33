//! Test: what slides over all windows of a series gives what each window gives alone.

use proptest::prelude::*;

use super::{over_time, trends};
use crate::evaluate::{Frame, Samples, Steps, Window, is_absent};

type Each = fn(&Window<'_>, &[f64], &mut Vec<f64>) -> f64;
type Slide = fn(&Frame, Samples<'_>, &[Vec<f64>], &mut Vec<f64>);

/// Compares every window: bit for bit, or to so much of the greatest value that takes part, or of a line's value far from them.
fn check(values: &[f64], window: i64, each: Each, slide: Slide, tolerance: f64) {
    let timestamps: Vec<i64> = (0..values.len() as i64).map(|n| n * 1_000 + n % 7).collect();
    let count = values.len() / 2;
    let steps = Steps { first_ms: 3_000, step_ms: 3_500, count };
    let frame = Frame { ends: steps.times().collect(), window_ms: window * 1_000, steps };
    let samples = Samples { timestamps: &timestamps, values };
    let scalars = vec![(0..count).map(|step| (step % 11) as f64 / 10.0).collect::<Vec<_>>()];
    let mut slid = Vec::new();
    slide(&frame, samples, &scalars, &mut slid);
    assert_eq!(slid.len(), count);
    let scale = values.iter().filter(|v| v.is_finite()).fold(1.0, |most: f64, v| most.max(v.abs()));
    for (step, (window, &got)) in frame.windows(samples).zip(&slid).enumerate() {
        if window.values.is_empty() {
            assert!(is_absent(got));
            continue;
        }
        let alone = each(&window, &[scalars[0][step]], &mut Vec::new());
        let same =
            alone.to_bits() == got.to_bits() || (alone.is_nan() && got.is_nan() && !is_absent(got));
        assert!(
            same || (alone - got).abs() <= tolerance * scale.max(alone.abs()),
            "{step}: {alone} {got} {:?}",
            window.values
        );
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => (-50_i32..50).prop_map(|n| f64::from(n) / 8.0),
        10 => -1e6_f64..1e6,
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0]),
    ]
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![(-50_i32..50).prop_map(|n| f64::from(n) / 8.0), Just(5.0), -1e6_f64..1e6]
}

proptest! {
    #[test]
    fn quantiles_and_distances_are_the_same(values in prop::collection::vec(value(), 1..400), window in 1_i64..120) {
        check(&values, window, over_time::quantile_of, over_time::slide_quantile, 0.0);
        check(&values, window, over_time::mad, over_time::slide_mad, 0.0);
    }

    #[test]
    fn finite_distances_are_the_same(values in prop::collection::vec(finite(), 1..400), window in 1_i64..400) {
        check(&values, window, over_time::mad, over_time::slide_mad, 0.0);
    }

    #[test]
    fn trends_are_the_same(values in prop::collection::vec(finite(), 1..400), window in 1_i64..120) {
        let deriv: Each = |window, _, _| trends::deriv(window);
        let slide: Slide = |frame, samples, _, out| trends::slide_deriv(frame, samples, out);
        check(&values, window, deriv, slide, 1e-9);
        check(&values, window, trends::predict_linear, trends::slide_predict_linear, 1e-9);
    }

    #[test]
    fn constants_have_exact_trends(value in value(), count in 2_usize..100) {
        let deriv: Each = |window, _, _| trends::deriv(window);
        let slide: Slide = |frame, samples, _, out| trends::slide_deriv(frame, samples, out);
        check(&vec![value; count], 20, deriv, slide, 0.0);
        check(&vec![value; count], 20, trends::predict_linear, trends::slide_predict_linear, 0.0);
    }
}
