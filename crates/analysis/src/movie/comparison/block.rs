//! How long blocks of frames must be to hold what is correlated.
//!
//! The length for which blocks tell the variance of a mean with the smallest error, estimated from the autocorrelation:
//! D. N. Politis and H. White, *Econometric Reviews* 23, 53 (2004), doi:10.1081/ETC-120028836, with the correction of A.
//! Patton, D. N. Politis and H. White, ibid. 28, 372 (2009), doi:10.1080/07474930802459016; for moving blocks
//! ```text
//! b = (2 G^2 / D)^(1/3) n^(1/3),  G = sum_k w(k / M) |k| R(k),  D = 4/3 g^2,  g = sum_k w(k / M) R(k)
//! ```
//! with `R` the autocovariance, `w` the flat-top window (1 up to 1/2, falling to 0 at 1) and `M` twice the lag after which
//! correlations are not to be told from 0.

/// Correlations within this many standard deviations (of `log10 n`) are 0.
const INSIGNIFICANT: f64 = 2.0;

/// The length of blocks, in elements of the series; at least 1, at most `min(3 sqrt n, n / 3)`.
pub fn block_length(series: &[f64]) -> f64 {
    let n = series.len() as f64;
    let largest = (3.0 * n.sqrt()).min(n / 3.0).max(1.0);
    let mean = series.iter().sum::<f64>() / n.max(1.0);
    let covariance = |lag: usize| -> f64 {
        series.iter().zip(series.iter().skip(lag)).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n
    };
    let at_zero = covariance(0);
    if series.len() < 6 || at_zero <= 0.0 {
        return 1.0;
    }
    let consecutive = (n.log10().sqrt().ceil() as usize).max(5);
    let limit = INSIGNIFICANT * (n.log10() / n).sqrt();
    let most = (n.sqrt().ceil() as usize + consecutive).min(series.len() - 1);
    let covariances: Vec<f64> = (0..=most).map(covariance).collect();
    let quiet = |lag: usize| covariances[lag].abs() < limit * at_zero;
    // The lag after which so many in a row are insignificant; else the last significant one.
    let start = (0..most).find(|lag| (lag + 1..=(lag + consecutive).min(most)).all(quiet));
    let significant = start.unwrap_or_else(|| (1..=most).rev().find(|lag| !quiet(*lag)).unwrap_or(0));
    let window = (2 * significant.max(1)).min(most);
    let (mut g, mut weighted) = (at_zero, 0.0);
    for (lag, covariance) in covariances.iter().enumerate().take(window + 1).skip(1) {
        let share = lag as f64 / window as f64;
        let weight = if share <= 0.5 { 1.0 } else { 2.0 * (1.0 - share) };
        g += 2.0 * weight * covariance;
        weighted += 2.0 * weight * lag as f64 * covariance;
    }
    let d = 4.0 / 3.0 * g * g;
    let length = if d > 0.0 { (2.0 * weighted * weighted / d * n).cbrt() } else { largest };
    length.clamp(1.0, largest)
}
