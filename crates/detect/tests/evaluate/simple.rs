//! The simple detectors that are known to do well, as scores point by point: the higher, the more unusual. Each sees
//! only what came before its point. `day` is the points of a day.

fn known(values: &[f64]) -> Vec<f64> {
    values.iter().copied().filter(|value| value.is_finite()).collect()
}

fn mean_and_sigma(values: &[f64]) -> Option<(f64, f64)> {
    let values = known(values);
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let power = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    Some((mean, (power / values.len() as f64).sqrt()))
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = known(values);
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

fn scored(values: &[f64], day: usize, score: impl Fn(usize, f64) -> Option<f64>) -> Vec<f64> {
    let one = |(at, value): (usize, &f64)| {
        if value.is_finite() && at >= day { score(at, *value).unwrap_or(0.0) } else { 0.0 }
    };
    values.iter().enumerate().map(one).collect()
}

/// How many σ from the mean of the last 24 hours, σ at least 1 % of the mean; with sign.
pub(crate) fn rolling_mean(values: &[f64], day: usize) -> Vec<f64> {
    scored(values, day, |at, value| {
        let (mean, sigma) = mean_and_sigma(&values[at - day..at])?;
        Some((value - mean) / sigma.max(0.01 * mean.abs()).max(f64::MIN_POSITIVE))
    })
}

/// How many scaled MAD from the median of the last 24 hours (as they were at the last half hour), at least 2 % of it;
/// with sign.
pub(crate) fn rolling_median(values: &[f64], day: usize) -> Vec<f64> {
    let half = (day / 48).max(1);
    let days: Vec<Option<(f64, f64)>> = (0..values.len())
        .step_by(half)
        .map(|at| {
            let before = &values[at.saturating_sub(day)..at];
            let middle = median(before)?;
            let sizes: Vec<f64> = before.iter().map(|value| (value - middle).abs()).collect();
            Some((middle, 1.482_6 * median(&sizes)?))
        })
        .collect();
    scored(values, day, |at, value| {
        let (middle, scale) = days[at / half]?;
        Some((value - middle) / scale.max(0.02 * middle.abs()).max(f64::MIN_POSITIVE))
    })
}

/// How many scaled MAD of a week's residuals (as they were at the last hour) from the median of the same time of the
/// last seven days and of the same weekday of the last three weeks; with sign.
pub(crate) fn seasonal_median(values: &[f64], day: usize) -> Vec<f64> {
    let hour = (day / 24).max(1);
    let days = [1, 2, 3, 4, 5, 6, 7, 7, 14, 14, 21, 21];
    let residual = |at: usize| {
        let before = days.iter().filter_map(|days| at.checked_sub(days * day));
        let same: Vec<f64> = before.map(|at| values[at]).collect();
        median(&same).map_or(f64::NAN, |expected| values[at] - expected)
    };
    // A seventh of many is enough.
    let every = if hour > 1 { 7 } else { 1 };
    let residuals: Vec<f64> = (0..values.len()).map(residual).collect();
    let scales: Vec<Option<f64>> = (0..values.len())
        .step_by(hour)
        .map(|at| {
            let week = &residuals[at.saturating_sub(7 * day)..at];
            let sizes: Vec<f64> =
                week.iter().step_by(every).map(|residual| residual.abs()).collect();
            Some(1.482_6 * median(&sizes)?)
        })
        .collect();
    scored(values, day, |at, value| {
        let (residual, scale) = (residuals[at], scales[at / hour]?);
        residual
            .is_finite()
            .then(|| residual / scale.max(0.02 * value.abs()).max(f64::MIN_POSITIVE))
    })
}

/// The factor by which the adaptive bands of Grafana's PromQL framework would have to be widened (1 is as shipped).
pub(crate) fn adaptive(values: &[f64], day: usize) -> Vec<f64> {
    // An hour of one value has no σ: of hourly values six are taken.
    let hour = (day / 24).max(1);
    let window = if hour > 1 { hour } else { 6 };
    let hours: Vec<Option<(f64, f64)>> = (0..values.len())
        .map(|at| mean_and_sigma(&values[(at + 1).saturating_sub(window)..=at]))
        .collect();
    // σ counts where it is more than half of the mean; its mean over 26 hours is taken of all that count.
    let kept: Vec<f64> = hours
        .iter()
        .map(|hour| {
            hour.filter(|(mean, sigma)| *sigma > 0.5 * mean).map_or(f64::NAN, |hour| hour.1)
        })
        .collect();
    scored(values, day, |at, value| {
        let (middle, _) = hours[at]?;
        let sigma =
            mean_and_sigma(&kept[at.saturating_sub(26 * hour)..at]).map_or(0.0, |kept| kept.0);
        let before = |hours_ago: f64| {
            let points = (hours_ago * hour as f64) as usize;
            at.checked_sub(points).and_then(|at| hours[at])
        };
        let mut needed =
            (value - middle).abs() / (2.0 * sigma).max(0.5 * middle.abs()).max(f64::MIN_POSITIVE);
        for (mean, sigma) in [before(23.5), before(167.5)].into_iter().flatten() {
            needed = needed.min((value - mean).abs() / (2.0 * sigma).max(f64::MIN_POSITIVE));
        }
        Some(needed * (value - middle).signum())
    })
}

/// What the rolling mean and the seasonal median agree on.
pub(crate) fn both(rolling: &[f64], seasonal: &[f64]) -> Vec<f64> {
    let agreed = |(day, season): (&f64, &f64)| {
        if day * season <= 0.0 { 0.0 } else { day.abs().min(season.abs() / 1.5) * day.signum() }
    };
    rolling.iter().zip(seasonal).map(agreed).collect()
}

/// What lasts: the second largest of the last three on the same side.
pub(crate) fn two_of_three(scores: &[f64]) -> Vec<f64> {
    (0..scores.len())
        .map(|at| {
            let now = scores[at];
            let before =
                |back: usize| at.checked_sub(back).map_or(0.0, |at| scores[at] * now.signum());
            now.abs().min(before(1).max(before(2))).max(0.0)
        })
        .collect()
}
