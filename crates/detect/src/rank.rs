//! Statistics by rank: medians, quantiles and the scales that are made of them. A few wild values do not move them.
//!
//! All functions ask for finite values, and tell nothing of none.

/// What a median absolute deviation is multiplied by to estimate the σ of normal noise: 1/Φ⁻¹(3/4).
pub(crate) const MAD_TO_SIGMA: f64 = 1.482_6;

/// The median of `values`, whose order is lost; of an even count the mean of the middle two.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if !even {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, upper))
}

/// The value of rank `share` (0 to 1) of `values`, whose order is lost.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
    let (_, value, _) = values.select_nth_unstable_by(rank.min(last), f64::total_cmp);
    Some(*value)
}

/// σ of normal noise of which `deviations` are samples, by the median of their sizes.
pub(crate) fn sigma(deviations: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sizes: Vec<f64> = deviations.map(f64::abs).collect();
    median(&mut sizes).map(|size| size * MAD_TO_SIGMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 1e9, 2.0]), Some(3.0));
    }

    #[test]
    fn quantiles_are_values_of_the_set() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(quantile(&mut values.clone(), 0.0), Some(1.0));
        assert_eq!(quantile(&mut values.clone(), 0.75), Some(4.0));
        assert_eq!(quantile(&mut values.clone(), 1.0), Some(5.0));
        assert_eq!(quantile(&mut [], 0.5), None);
    }

    #[test]
    fn one_wild_value_does_not_move_the_scale() {
        let calm = sigma([1.0, -1.0, 1.0, -1.0, 1.0].into_iter());
        assert_eq!(sigma([1.0, -1.0, 1e12, -1.0, 1.0].into_iter()), calm);
        assert_eq!(calm, Some(MAD_TO_SIGMA));
    }
}
