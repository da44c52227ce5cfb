//! How surely a smoothed power is no noise.
//!
//! Noise has a power in each bin that is exponential, and bins correlate by the window. Their weighted mean is a sum of
//! independent exponentials of means `lambda_i`: the eigenvalues of `W^1/2 C W^1/2`, with the weights `W` and the
//! correlations `C` of the transform (1, 2/3, 1/6 for a Hann window in neighbouring bins). It is compared with a background
//! that is itself an estimate, of `M` degrees of freedom. The chance that the mean exceeds `z` backgrounds is, by the
//! saddle point (H. E. Daniels, *Ann. Math. Stat.* 25, 631 (1954), doi:10.1214/aoms/1177728652; R. R. Bahadur and R. Ranga
//! Rao, *Ann. Math. Stat.* 31, 1015 (1960), doi:10.1214/aoms/1177705674),
//!
//! `-ln P = -T(s) + ln(s sqrt(2 pi T''(s)))`, `T(s) = -sum ln(1 - s lambda_i) - M ln(1 + s z / M)` at its minimum.
//!
//! For one bin and a known background this is `z`, within 0.1, as it must be for an exponential.

use std::f64::consts::TAU;

use ndarray::Array2;

/// Correlations of the amplitude in bins 0, 1 and 2 apart under a Hann window.
const HANN_AMPLITUDE: [f64; 3] = [1.0, 2.0 / 3.0, 1.0 / 6.0];

/// Degrees of freedom of the background that are tabulated.
const FREEDOMS: [f64; 4] = [8.0, 32.0, 128.0, 512.0];

/// Steps of the table in the logarithm of the ratio, and its end.
const STEP: f64 = 0.2;
const STEPS: usize = 70;

/// Evidence by ratio and background, for one smoothing.
#[derive(Debug, Clone)]
pub(crate) struct Significance {
    /// For each of `FREEDOMS`, at ratios `exp(i STEP)`.
    tables: Vec<Vec<f64>>,
    /// Number of independent bins that have the same variance of the mean.
    pub(crate) independent: f64,
}

impl Significance {
    /// For separable weights along x and y, and a power that is the mean of `averaged` periodograms.
    pub(crate) fn new(kernel_x: &[f64], kernel_y: &[f64], averaged: f64) -> Significance {
        let (along_x, along_y) = (means(kernel_x), means(kernel_y));
        let copies = averaged.round().max(1.0);
        let mut lambda: Vec<f64> = along_x.iter().flat_map(|a| along_y.iter().map(move |b| a * b / copies)).collect();
        lambda.sort_by(|a, b| b.total_cmp(a));
        let independent = 1.0 / (copies * lambda.iter().map(|value| value * value).sum::<f64>());
        // What is far below the largest only shifts the mean.
        let kept: Vec<f64> = lambda.iter().copied().filter(|value| *value > 0.05 * lambda[0]).collect();
        let rest = copies * (lambda.iter().sum::<f64>() - kept.iter().sum::<f64>());
        let tables = FREEDOMS
            .iter()
            .map(|&freedom| {
                (0..STEPS).map(|i| evidence((i as f64 * STEP).exp(), &kept, rest, copies, freedom)).collect()
            })
            .collect();
        Significance { tables, independent }
    }

    /// `-ln P` for a ratio to a background of a number of degrees of freedom.
    pub(crate) fn evidence(&self, ratio: f64, freedom: f64) -> f64 {
        let column = (0.5 * (freedom / FREEDOMS[0]).log2()).clamp(0.0, (FREEDOMS.len() - 1) as f64);
        let row = (ratio.max(1.0).ln() / STEP).min((STEPS - 1) as f64);
        let between = |table: &[f64]| {
            let low = (row as usize).min(STEPS - 2);
            table[low] + (row - low as f64) * (table[low + 1] - table[low])
        };
        let low = (column as usize).min(FREEDOMS.len() - 2);
        let share = column - low as f64;
        between(&self.tables[low]) * (1.0 - share) + between(&self.tables[low + 1]) * share
    }
}

fn evidence(ratio: f64, lambda: &[f64], rest: f64, copies: f64, freedom: f64) -> f64 {
    // The slope of T rises from below zero at s = 0 to infinity at 1 / lambda_0.
    let slope = |s: f64| {
        let gain: f64 = lambda.iter().map(|value| copies * value / (1.0 - s * value)).sum();
        gain + rest - ratio / (1.0 + s * ratio / freedom)
    };
    if slope(0.0) >= 0.0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, (1.0 - 1e-12) / lambda[0]);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    let s = 0.5 * (low + high);
    let value = -copies * lambda.iter().map(|value| (1.0 - s * value).ln()).sum::<f64>() + s * rest
        - freedom * (s * ratio / freedom).ln_1p();
    let curvature = copies * lambda.iter().map(|value| (value / (1.0 - s * value)).powi(2)).sum::<f64>()
        + (ratio / (1.0 + s * ratio / freedom)).powi(2) / freedom;
    // Close to the mean the saddle point's prefactor is no use: it may not take evidence away.
    (-value + (s * (TAU * curvature).sqrt()).max(1.0).ln()).max(0.0)
}

/// Eigenvalues of the weights with the window's correlations along one direction.
fn means(kernel: &[f64]) -> Vec<f64> {
    let n = kernel.len();
    let matrix = Array2::from_shape_fn((n, n), |(i, j)| {
        (kernel[i] * kernel[j]).sqrt() * HANN_AMPLITUDE.get(i.abs_diff(j)).copied().unwrap_or(0.0)
    });
    eigenvalues(matrix).into_iter().map(|value| value.max(0.0)).collect()
}

/// Eigenvalues of a symmetric matrix by Jacobi's rotations.
fn eigenvalues(mut a: Array2<f64>) -> Vec<f64> {
    let n = a.nrows();
    for _ in 0..40 {
        let off: f64 = a.indexed_iter().filter(|((i, j), _)| i != j).map(|(_, value)| value * value).sum();
        if off < 1e-20 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[[p, q]].abs() < 1e-15 {
                    continue;
                }
                let theta = (a[[q, q]] - a[[p, p]]) / (2.0 * a[[p, q]]);
                let t = if theta >= 0.0 { 1.0 } else { -1.0 } / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cos = 1.0 / (t * t + 1.0).sqrt();
                let sin = t * cos;
                for k in 0..n {
                    let (x, y) = (a[[k, p]], a[[k, q]]);
                    a[[k, p]] = cos * x - sin * y;
                    a[[k, q]] = sin * x + cos * y;
                }
                for k in 0..n {
                    let (x, y) = (a[[p, k]], a[[q, k]]);
                    a[[p, k]] = cos * x - sin * y;
                    a[[q, k]] = sin * x + cos * y;
                }
            }
        }
    }
    a.diag().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bin_is_exponential_and_several_are_a_gamma() {
        let one = Significance::new(&[1.0], &[1.0], 1.0);
        for ratio in [5.0, 10.0, 20.0, 40.0_f64] {
            // A background of M degrees of freedom makes of exp(-z) the (1 + z / M)^-M of an F distribution.
            let expected = 128.0 * (ratio / 128.0).ln_1p();
            assert!((one.evidence(ratio, 128.0) - expected).abs() < 0.4, "{ratio}: {}", one.evidence(ratio, 128.0));
        }
        // The mean of 8 periodograms: Q(8, 8 z), from the Poisson sum; at z = 3 it is exp(-24) sum 24^k / k!, k < 8.
        let eight = Significance::new(&[1.0], &[1.0], 8.0);
        assert!((eight.independent - 8.0).abs() < 1e-9);
        let mut term = (-24.0_f64).exp();
        let mut sum = 0.0;
        for k in 0..8 {
            sum += term;
            term *= 24.0 / f64::from(k + 1);
        }
        let known = evidence(3.0, &[0.125], 0.0, 8.0, 1e9);
        assert!((known + sum.ln()).abs() < 0.1, "{known} {}", -sum.ln());
    }

    #[test]
    fn eigenvalues_of_a_known_matrix() {
        let mut values = eigenvalues(ndarray::arr2(&[[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 2.0]]));
        values.sort_by(f64::total_cmp);
        for (value, expected) in values.iter().zip([2.0 - 2.0_f64.sqrt(), 2.0, 2.0 + 2.0_f64.sqrt()]) {
            assert!((value - expected).abs() < 1e-9);
        }
    }
}
