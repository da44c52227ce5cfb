//! Quantiles of distributions, and the intervals of 95 % that are made of them.

use statrs::distribution::{ContinuousCDF, Gamma};
use statrs::function::beta::inv_beta_reg;

/// Standard deviations of a normal distribution within which lie 95 %.
pub const NORMAL_95: f64 = 1.959_963_984_540_054;

/// One tail of 95 %.
const TAIL: f64 = 0.025;

/// Below this count the lower limit is 0 to thirty digits.
const LEAST_COUNT: f64 = 0.05;
/// Above this count the approximation of E. B. Wilson and M. M. Hilferty (*Proc. Natl. Acad. Sci.* 17, 684 (1931)) is right to 1e-6 of the
/// limits, and the exact ones take long.
const LARGE_COUNT: f64 = 1e4;

/// Quantile of the gamma distribution of a shape and of scale 1: where its integral from 0 is `probability`, to 1e-9.
///
/// 0 where there is no such distribution: for a shape that is not a positive number, or a probability outside 0 to 1.
pub fn gamma_quantile(probability: f64, shape: f64) -> f64 {
    match Gamma::new(shape, 1.0) {
        Ok(gamma) if (0.0..=1.0).contains(&probability) => gamma.inverse_cdf(probability),
        _ => 0.0,
    }
}

/// Two-sided quantile of 95 % of Student's distribution, for positive degrees of freedom that need not be whole.
pub fn student_95(degrees_of_freedom: f64) -> f64 {
    // P(|t| > q) = I(d / (d + q^2); d / 2, 1 / 2).
    let x = inv_beta_reg(0.5 * degrees_of_freedom, 0.5, 2.0 * TAIL);
    if x > 0.0 { (degrees_of_freedom * (1.0 - x) / x).sqrt() } else { NORMAL_95 }
}

/// Limits of 95 % of the mean of a Poisson count (F. Garwood, *Biometrika* 28, 437 (1936)); the count need not be whole.
pub fn poisson_interval(count: f64) -> [f64; 2] {
    if count > LARGE_COUNT {
        let at = |a: f64, sigmas: f64| a * (1.0 - 1.0 / (9.0 * a) + sigmas / (3.0 * a.sqrt())).powi(3);
        return [at(count, -NORMAL_95), at(count + 1.0, NORMAL_95)];
    }
    let low = if count > LEAST_COUNT { gamma_quantile(TAIL, count) } else { 0.0 };
    [low, gamma_quantile(1.0 - TAIL, count.max(0.0) + 1.0)]
}

/// Limits of 95 % of a proportion (C. J. Clopper and E. S. Pearson, *Biometrika* 26, 404 (1934), doi:10.1093/biomet/26.4.404); neither
/// number need be whole. 0 to 1 without trials.
pub fn proportion_interval(successes: f64, trials: f64) -> [f64; 2] {
    let failures = (trials - successes).max(0.0);
    let low = if successes > LEAST_COUNT { inv_beta_reg(successes, failures + 1.0, TAIL) } else { 0.0 };
    let high = if failures > 0.0 { inv_beta_reg(successes + 1.0, failures, 1.0 - TAIL) } else { 1.0 };
    [low, high]
}

#[cfg(test)]
mod tests {
    use statrs::function::gamma::gamma_lr;

    use super::*;

    fn near(found: [f64; 2], expected: [f64; 2], tolerance: f64) {
        assert!((0..2).all(|end| (found[end] - expected[end]).abs() < tolerance), "{found:?} {expected:?}");
    }

    #[test]
    fn an_exponential_and_chi_squared() {
        // Shape 1 is the exponential distribution.
        for probability in [1e-6, 0.025, 0.5, 0.999] {
            let exact = -f64::ln_1p(-probability);
            assert!((gamma_quantile(probability, 1.0) / exact - 1.0).abs() < 1e-8, "{probability}");
        }
        // Half of chi squared of twice the shape (any table): 1 degree of freedom 3.841, 10: 18.307, 100: 124.342.
        for (degrees, chi_squared) in [(1.0, 3.8415), (10.0, 18.3070), (100.0, 124.3421)] {
            assert!((2.0 * gamma_quantile(0.95, 0.5 * degrees) - chi_squared).abs() < 1e-4, "{degrees}");
        }
    }

    #[test]
    fn any_shape_has_a_quantile_that_gives_its_probability_back() {
        for shape in [0.011, 0.06, 0.3, 0.7, 1.0, 1.3, 7.0, 80.0, 99.9, 100.1, 950.0, 1e5] {
            for probability in [0.025, 0.3, 0.975] {
                let found = gamma_quantile(probability, shape);
                assert!(
                    (gamma_lr(shape, found) - probability).abs() < 1e-9 || found < 1e-8,
                    "{shape} {probability}: {found}"
                );
            }
        }
    }

    #[test]
    fn limits_of_poisson_counts_as_published() {
        // F. Garwood, Biometrika 28, 437 (1936); K. Ulm, Am. J. Epidemiol. 131, 373 (1990).
        near(poisson_interval(0.0), [0.0, 3.689], 5e-4);
        near(poisson_interval(1.0), [0.0253, 5.572], 5e-4);
        near(poisson_interval(3.0), [0.6187, 8.7673], 5e-4);
        near(poisson_interval(10.0), [4.795, 18.390], 5e-4);
        near(poisson_interval(20.0), [12.217, 30.888], 5e-4);
        near(poisson_interval(50.0), [37.111, 65.919], 5e-4);
        near(poisson_interval(100.0), [81.363, 121.627], 5e-3);
        // Where one way passes into the other.
        let (exact, approximate) = (poisson_interval(LARGE_COUNT), poisson_interval(LARGE_COUNT + 1e-9));
        near(approximate, exact, 1e-2);
        let mut last = [-1.0; 2];
        for count in
            [0.0, 1e-300, 1e-9, 0.01, 0.049, 0.051, 0.06, 0.3, 2.0, 99.9, 100.0, 100.1, 9999.0, 1e4, 10001.0, 1e9]
        {
            let [low, high] = poisson_interval(count);
            assert!(low <= count && count < high, "{count}: {low} {high}");
            assert!(low >= last[0] && high >= last[1], "{count}: {low} {high}");
            last = [low, high];
        }
    }

    #[test]
    fn limits_of_proportions_as_published() {
        // R. G. Newcombe, Stat. Med. 17, 857 (1998), method 5: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        near(proportion_interval(81.0, 263.0), [0.2527, 0.3676], 1e-4);
        near(proportion_interval(15.0, 148.0), [0.0578, 0.1617], 1e-4);
        near(proportion_interval(0.0, 20.0), [0.0, 0.1684], 1e-4);
        near(proportion_interval(1.0, 29.0), [0.0009, 0.1776], 1e-4);
        near(proportion_interval(20.0, 20.0), [0.8316, 1.0], 1e-4);
        near(proportion_interval(0.0, 0.0), [0.0, 1.0], 1e-12);
    }

    #[test]
    fn students_quantiles_of_tables() {
        // Any table: two-sided 5 %.
        for (degrees, quantile) in
            [(1.0, 12.706), (2.0, 4.303), (5.0, 2.571), (10.0, 2.228), (30.0, 2.042), (100.0, 1.984)]
        {
            assert!((student_95(degrees) - quantile).abs() < 1e-3, "{degrees}");
        }
    }
}
