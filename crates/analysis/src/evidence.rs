//! What the summed share of a place and the uncertainty of its position say together.
//!
//! Where an image says little, a detector both spreads its shares and states large position errors; a share of 0.9 with
//! a sharp position is worth more than one with a vague position, since the second is often a place between columns in
//! an image whose contrast could be read either way. The log odds of a column are a linear function of the log odds of
//! the share, the logarithm of the stated error, and their product: a logistic regression (D. R. Cox, *J. R. Stat. Soc.
//! B* 20, 215 (1958), doi:10.1111/j.2517-6161.1958.tb00292.x), fitted by Newton's method on detections of known truth.

use atomlens_core::glam::{DMat4, DVec4};
use serde::{Deserialize, Serialize};

use crate::calibration::CalibrationError;

/// Shares nearer to 0 or 1 than this say nothing more.
const SMALLEST_SHARE: f64 = 1e-3;
/// Position errors are counted in this.
const UNIT_ANGSTROM: f64 = 0.1;
/// Strength that holds weights near 0, in detections; for sets in which all or none are columns.
const RIDGE: f64 = 1.0;
const MOST_STEPS: usize = 50;

/// The weights of a logistic regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of 1, the log odds of the share, the logarithm of the position error in units of 0.1 angstrom, and the product
    /// of these two.
    weights: [f64; 4],
    /// The smallest and largest position error that was seen; others count as these.
    sigma_angstrom: [f64; 2],
}

/// A detection of known truth: the summed share, the detector's own standard deviation of the place in angstrom, and
/// whether there is a column.
pub type EvidenceOutcome = (f64, f64, bool);

impl Evidence {
    /// Fits to detections, which must include those of low share.
    ///
    /// # Errors
    /// If there are fewer than 80 with finite numbers.
    pub fn fit(outcomes: &[EvidenceOutcome]) -> Result<Evidence, CalibrationError> {
        const NEEDED: usize = 80;
        let usable = |&&(share, sigma, _): &&EvidenceOutcome| share.is_finite() && sigma.is_finite() && sigma > 0.0;
        let outcomes: Vec<EvidenceOutcome> = outcomes.iter().filter(usable).copied().collect();
        if outcomes.len() < NEEDED {
            return Err(CalibrationError::TooFew { found: outcomes.len(), needed: NEEDED });
        }
        // One in a hundred on either side may be anything.
        let mut sigmas: Vec<f64> = outcomes.iter().map(|outcome| outcome.1).collect();
        sigmas.sort_by(f64::total_cmp);
        let sigma_angstrom = [sigmas[sigmas.len() / 100], sigmas[sigmas.len() - 1 - sigmas.len() / 100]];
        let fitted = |mask: DVec4| {
            let rows: Vec<(DVec4, f64)> = outcomes
                .iter()
                .map(|&(share, sigma, is_column)| {
                    (mask * features(share, sigma, sigma_angstrom), f64::from(u8::from(is_column)))
                })
                .collect();
            Evidence { weights: logistic(&rows).to_array(), sigma_angstrom }
        };
        let whole = fitted(DVec4::ONE);
        // More share must never speak against a column.
        Ok(if whole.rises() { whole } else { fitted(DVec4::new(1.0, 1.0, 1.0, 0.0)) })
    }

    /// The probability of a column.
    pub fn probability(&self, share: f64, sigma_angstrom: f64) -> f64 {
        let log_odds = DVec4::from_array(self.weights).dot(features(share, sigma_angstrom, self.sigma_angstrom));
        1.0 / (1.0 + (-log_odds).exp())
    }

    fn rises(&self) -> bool {
        let [_, share, _, product] = self.weights;
        self.sigma_angstrom.iter().all(|sigma| share + product * (sigma / UNIT_ANGSTROM).ln() > 0.0)
    }
}

fn features(share: f64, sigma: f64, [low, high]: [f64; 2]) -> DVec4 {
    let share = if share.is_nan() { 0.0 } else { share }.clamp(SMALLEST_SHARE, 1.0 - SMALLEST_SHARE);
    let odds = (share / (1.0 - share)).ln();
    let sigma = if sigma.is_nan() { high } else { sigma.clamp(low, high) };
    let error = (sigma / UNIT_ANGSTROM).ln();
    DVec4::new(1.0, odds, error, odds * error)
}

/// The weights of the largest likelihood.
fn logistic(rows: &[(DVec4, f64)]) -> DVec4 {
    let mut weights = DVec4::new(0.0, 1.0, 0.0, 0.0);
    for _ in 0..MOST_STEPS {
        let mut slope = -RIDGE * weights;
        let mut curvature = RIDGE * DMat4::IDENTITY;
        for &(x, outcome) in rows {
            let probability = 1.0 / (1.0 + (-weights.dot(x)).exp());
            slope += (outcome - probability) * x;
            let spread = probability * (1.0 - probability);
            curvature += DMat4::from_cols(spread * x.x * x, spread * x.y * x, spread * x.z * x, spread * x.w * x);
        }
        // Far from the maximum a full step may go too far.
        let step = (curvature.inverse() * slope).clamp_length_max(1.0);
        weights += step;
        if step.length() < 1e-10 {
            break;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use rand::RngExt;

    use super::*;

    /// Detections whose log odds are known.
    fn drawn(count: usize, weights: [f64; 4]) -> Vec<EvidenceOutcome> {
        let mut random = SeedPath::new(8).stream();
        let truth = Evidence { weights, sigma_angstrom: [0.02, 0.5] };
        (0..count)
            .map(|_| {
                let (share, sigma) = (random.random_range(0.02..0.99), 0.02 * random.random_range(0.0..3.0_f64).exp());
                (share, sigma, random.random_range(0.0..1.0) < truth.probability(share, sigma))
            })
            .collect()
    }

    #[test]
    fn the_weights_that_made_the_outcomes_are_found() {
        let weights = [0.9, 0.8, -1.5, -0.3];
        let fit = Evidence::fit(&drawn(40_000, weights)).unwrap();
        for (found, expected) in fit.weights.iter().zip(weights) {
            assert!((found - expected).abs() < 0.1, "{:?}", fit.weights);
        }
        assert!(fit.probability(0.9, 0.03) > fit.probability(0.9, 0.2));
        assert!(fit.probability(0.9, 0.03) > fit.probability(0.5, 0.03));
    }

    #[test]
    fn more_share_never_speaks_against_a_column() {
        // With vague places, shares mean the opposite of what they should.
        let fit = Evidence::fit(&drawn(20_000, [0.0, 0.2, 0.0, -1.0])).unwrap();
        assert!(fit.rises(), "{fit:?}");
        assert_eq!(fit.weights[3], 0.0);
    }

    #[test]
    fn odd_numbers_and_few_of_them_are_met() {
        let sure: Vec<EvidenceOutcome> = (0..200).map(|index| (0.005 * f64::from(index), 0.1, true)).collect();
        let fit = Evidence::fit(&sure).unwrap();
        for share in [f64::NAN, -1.0, 0.0, 1.0, 7.0] {
            for sigma in [f64::NAN, 0.0, 1e9] {
                assert!((0.0..=1.0).contains(&fit.probability(share, sigma)), "{share} {sigma}");
            }
        }
        assert_eq!(Evidence::fit(&sure[..79]), Err(CalibrationError::TooFew { found: 79, needed: 80 }));
        let nonsense = vec![(f64::NAN, 0.1, true); 100];
        assert_eq!(Evidence::fit(&nonsense), Err(CalibrationError::TooFew { found: 0, needed: 80 }));
    }
}
