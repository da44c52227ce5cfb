//! Whether stated probabilities and errors are what is observed.
//!
//! Of the detections given a probability of about 0.8, 80 % should be columns; of the places, 39 % should lie within
//! one stated standard deviation (in each direction) of the truth and 86 % within two: 1 - exp(-k^2 / 2), the Rayleigh
//! distribution of a Gaussian error in two dimensions. Observed fractions carry Wilson's interval (E. B. Wilson, *J.
//! Am. Stat. Assoc.* 22, 209 (1927), doi:10.1080/01621459.1927.10502953).

use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;
use atomlens_core::quantile::NORMAL_95;
use serde::{Deserialize, Serialize};

use crate::matching::{HIT_RADIUS_ANGSTROM, pair};
use crate::score::places;

/// A number of successes among trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fraction {
    /// Number of successes.
    pub hits: usize,
    /// Number of trials.
    pub count: usize,
    /// Successes by trials.
    pub value: f64,
    /// Lower end of Wilson's interval of 95 %.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Fraction {
    /// The fraction with its interval; `None` without trials.
    pub fn of(hits: usize, count: usize) -> Option<Fraction> {
        if count == 0 {
            return None;
        }
        let (n, value, square) = (count as f64, hits as f64 / count as f64, NORMAL_95 * NORMAL_95);
        let centre = (value + square / (2.0 * n)) / (1.0 + square / n);
        let half = NORMAL_95 / (1.0 + square / n) * (value * (1.0 - value) / n + square / (4.0 * n * n)).sqrt();
        Some(Fraction { hits, count, value, low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
    }
}

/// Detections compared with the truth, frame by frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcomes {
    /// The probability of each detection, and whether there is a column within the radius of a hit.
    pub probabilities: Vec<(f64, bool)>,
    /// Detected minus true place of each hit, in angstrom.
    pub errors_angstrom: Vec<DVec2>,
    /// The stated standard deviation of each hit, in angstrom.
    pub sigmas_angstrom: Vec<f64>,
    /// True and detected species of each hit.
    pub species: Vec<(usize, usize)>,
}

impl Outcomes {
    /// Adds a frame: what was detected, and the true places (angstrom) with their species.
    ///
    /// Probabilities are judged on all that is given, so ask the detector for a low threshold.
    ///
    /// # Panics
    /// If the number of species is not that of the places.
    pub fn add(&mut self, detected: &[DetectedColumn], truth: &[DVec2], truth_species: &[usize]) {
        assert_eq!(truth.len(), truth_species.len(), "each true place has a species");
        let mut is_hit = vec![false; detected.len()];
        for pair in pair(&places(detected), truth, HIT_RADIUS_ANGSTROM) {
            let column = &detected[pair.detected];
            is_hit[pair.detected] = true;
            self.errors_angstrom.push(pair.error);
            self.sigmas_angstrom.push(column.position_sigma_angstrom);
            self.species.push((truth_species[pair.truth], column.species));
        }
        self.probabilities.extend(detected.iter().map(|column| column.probability).zip(is_hit));
    }

    /// The reliability of the probabilities, in `bins` equal steps from 0 to 1.
    pub fn of_probability(&self, bins: usize) -> ProbabilityReliability {
        ProbabilityReliability::of(&self.probabilities, bins)
    }

    /// The reliability of the stated position errors; `None` if no hit has one.
    pub fn of_position(&self) -> Option<PositionReliability> {
        PositionReliability::of(&self.errors_angstrom, &self.sigmas_angstrom)
    }

    /// Which species were taken for which.
    pub fn confusion(&self, species: &[String]) -> Confusion {
        let mut counts = vec![vec![0; species.len()]; species.len()];
        for &(truth, detected) in &self.species {
            if let Some(count) = counts.get_mut(truth).and_then(|row| row.get_mut(detected)) {
                *count += 1;
            }
        }
        Confusion { species: species.to_vec(), counts }
    }
}

/// Stated against observed probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbabilityReliability {
    /// The bins that hold any detection.
    pub bins: Vec<ReliabilityBin>,
    /// Mean over detections of the difference between their bin's stated and observed probability.
    pub expected_calibration_error: f64,
    /// Largest such difference, over the bins whose interval is narrower than 0.1 on either side.
    pub largest_calibration_error: f64,
    /// Mean squared difference between probability and outcome (Brier's score).
    pub brier_score: f64,
}

/// Detections whose probability lies in one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower end of the step.
    pub from: f64,
    /// Upper end.
    pub to: f64,
    /// Mean probability of the detections.
    pub stated: f64,
    /// Fraction of them that are columns.
    pub observed: Fraction,
}

impl ProbabilityReliability {
    /// Compares probabilities with outcomes in `bins` equal steps.
    pub fn of(outcomes: &[(f64, bool)], bins: usize) -> ProbabilityReliability {
        let steps = bins.max(1);
        let mut sums = vec![(0.0, 0, 0); steps];
        let mut brier = 0.0;
        let finite: Vec<(f64, bool)> =
            outcomes.iter().copied().filter(|(probability, _)| probability.is_finite()).collect();
        for &(probability, hit) in &finite {
            let (sum, hits, count) = &mut sums[((probability * steps as f64) as usize).min(steps - 1)];
            *sum += probability;
            *hits += usize::from(hit);
            *count += 1;
            brier += (probability - f64::from(u8::from(hit))).powi(2);
        }
        let bins: Vec<ReliabilityBin> = sums
            .into_iter()
            .enumerate()
            .filter_map(|(step, (sum, hits, count))| {
                let observed = Fraction::of(hits, count)?;
                let (from, to) = (step as f64 / steps as f64, (step + 1) as f64 / steps as f64);
                Some(ReliabilityBin { from, to, stated: sum / count as f64, observed })
            })
            .collect();
        let total = finite.len().max(1) as f64;
        let gap = |bin: &ReliabilityBin| (bin.stated - bin.observed.value).abs();
        ProbabilityReliability {
            expected_calibration_error: bins.iter().map(|bin| gap(bin) * bin.observed.count as f64).sum::<f64>()
                / total,
            largest_calibration_error: bins
                .iter()
                .filter(|bin| bin.observed.high - bin.observed.low < 0.2)
                .map(gap)
                .fold(0.0, f64::max),
            brier_score: brier / total,
            bins,
        }
    }
}

/// Stated against observed position errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PositionReliability {
    /// Root mean square of error by stated sigma, over both directions; 1 if the sigmas are right.
    pub rms_z: f64,
    /// Mean of error by stated sigma along x.
    pub mean_z_x: f64,
    /// Mean of error by stated sigma along y.
    pub mean_z_y: f64,
    /// Share of the hits within k stated sigmas, for several k.
    pub within: Vec<Within>,
    /// Error by stated sigma in each direction, counted in steps of half a sigma from -4 to 4; the first and last hold
    /// what lies beyond.
    pub histogram_z: Vec<usize>,
}

/// Hits whose distance is within `k` stated standard deviations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Within {
    /// In stated standard deviations.
    pub k: f64,
    /// 1 - exp(-k^2 / 2).
    pub expected: f64,
    /// What is observed.
    pub observed: Fraction,
}

impl PositionReliability {
    /// Compares errors with their stated standard deviations (same unit); hits without a positive sigma do not count.
    pub fn of(errors: &[DVec2], sigmas: &[f64]) -> Option<PositionReliability> {
        let z: Vec<DVec2> = errors
            .iter()
            .zip(sigmas)
            .filter(|(error, sigma)| **sigma > 0.0 && sigma.is_finite() && error.is_finite())
            .map(|(error, sigma)| *error / *sigma)
            .collect();
        let within = (1..=16)
            .map(|step| {
                let k = 0.25 * f64::from(step);
                let hits = z.iter().filter(|z| z.length() <= k).count();
                Some(Within { k, expected: 1.0 - (-0.5 * k * k).exp(), observed: Fraction::of(hits, z.len())? })
            })
            .collect::<Option<Vec<Within>>>()?;
        let mean = z.iter().sum::<DVec2>() / z.len() as f64;
        let square = z.iter().map(|z| z.length_squared()).sum::<f64>() / (2 * z.len()) as f64;
        let mut histogram_z = vec![0; 16];
        for value in z.iter().flat_map(|z| [z.x, z.y]) {
            histogram_z[((value + 4.0) * 2.0).clamp(0.0, 15.0) as usize] += 1;
        }
        Some(PositionReliability { rms_z: square.sqrt(), mean_z_x: mean.x, mean_z_y: mean.y, within, histogram_z })
    }
}

/// Which species were taken for which, among the hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Names.
    pub species: Vec<String>,
    /// `counts[truth][detected]`.
    pub counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Share of the hits whose species is right; `None` without hits.
    pub fn accuracy(&self) -> Option<Fraction> {
        let right = (0..self.species.len()).map(|index| self.counts[index][index]).sum();
        Fraction::of(right, self.counts.iter().flatten().sum())
    }

    /// Of the hits that are of a species, the share that was called so.
    pub fn recall(&self, species: usize) -> Option<Fraction> {
        Fraction::of(self.counts[species][species], self.counts[species].iter().sum())
    }

    /// Of the hits that were called a species, the share that are of it.
    pub fn precision(&self, species: usize) -> Option<Fraction> {
        Fraction::of(self.counts[species][species], self.counts.iter().map(|row| row[species]).sum())
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use rand::RngExt;
    use rand_distr::{Distribution, Normal};

    use super::*;

    #[test]
    fn wilsons_interval_as_published() {
        // R. G. Newcombe, Stat. Med. 17, 857 (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (hits, count, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let fraction = Fraction::of(hits, count).unwrap();
            assert!((fraction.low - low).abs() < 6e-5 && (fraction.high - high).abs() < 6e-5, "{fraction:?}");
        }
        assert_eq!(Fraction::of(0, 0), None);
    }

    #[test]
    fn right_and_wrong_probabilities() {
        let mut random = SeedPath::new(1).stream();
        let draws: Vec<(f64, f64)> = (0..20_000).map(|_| (random.random(), random.random())).collect();
        let right: Vec<(f64, bool)> = draws.iter().map(|&(p, u)| (p, u < p)).collect();
        let wrong: Vec<(f64, bool)> = draws.iter().map(|&(p, u)| (p, u < p * p)).collect();
        let right = ProbabilityReliability::of(&right, 10);
        let wrong = ProbabilityReliability::of(&wrong, 10);
        assert!(right.expected_calibration_error < 0.015 && right.largest_calibration_error < 0.035, "{right:?}");
        // The mean of p - p^2 over 0..1 is 1/6; its largest mean over a tenth, near 0.5, is 0.249. Of a detector that is
        // right the Brier score is the mean of p (1 - p), 1/6.
        assert!((wrong.expected_calibration_error - 1.0 / 6.0).abs() < 0.01);
        assert!((wrong.largest_calibration_error - 0.249).abs() < 0.03);
        assert!((right.brier_score - 1.0 / 6.0).abs() < 0.006);
        assert_eq!(right.bins.iter().map(|bin| bin.observed.count).sum::<usize>(), 20_000);
        assert_eq!(ProbabilityReliability::of(&[], 10).bins.len(), 0);
    }

    #[test]
    fn right_and_wrong_sigmas() {
        let mut random = SeedPath::new(2).stream();
        let normal = Normal::new(0.0, 0.05).unwrap();
        let errors: Vec<DVec2> =
            (0..10_000).map(|_| DVec2::new(normal.sample(&mut random), normal.sample(&mut random))).collect();
        let right = PositionReliability::of(&errors, &vec![0.05; errors.len()]).unwrap();
        assert!((right.rms_z - 1.0).abs() < 0.02 && right.mean_z_x.abs() < 0.03 && right.mean_z_y.abs() < 0.03);
        assert!(right.within.iter().all(|within| (within.observed.value - within.expected).abs() < 0.02));
        assert_eq!(right.histogram_z.iter().sum::<usize>(), 20_000);
        // 0.19146 of a normal distribution lies between 0 and half a sigma.
        assert!((right.histogram_z[8] as f64 / 20_000.0 - 0.191_46).abs() < 0.01);
        let wrong = PositionReliability::of(&errors, &vec![0.025; errors.len()]).unwrap();
        assert!((wrong.rms_z - 2.0).abs() < 0.04);
        assert_eq!(PositionReliability::of(&[], &[]), None);
    }

    #[test]
    fn outcomes_of_a_frame() {
        let column = |x: f64, probability: f64, species: usize| DetectedColumn {
            x_angstrom: x,
            y_angstrom: 0.0,
            position_sigma_angstrom: 0.1,
            probability,
            species,
            species_probability: 1.0,
            atoms: 1.0,
            atoms_sigma: 0.0,
        };
        let detected = [column(0.1, 0.9, 0), column(3.0, 0.8, 0), column(9.0, 0.2, 1)];
        let mut outcomes = Outcomes::default();
        outcomes.add(&detected, &[DVec2::new(0.0, 0.0), DVec2::new(3.0, 0.2)], &[0, 1]);
        assert_eq!(outcomes.probabilities, [(0.9, true), (0.8, true), (0.2, false)]);
        assert_eq!(outcomes.sigmas_angstrom, [0.1, 0.1]);
        let confusion = outcomes.confusion(&["Mo".to_owned(), "S2".to_owned()]);
        assert_eq!(confusion.counts, [[1, 0], [1, 0]]);
        assert_eq!(confusion.accuracy().unwrap().value, 0.5);
        assert_eq!(confusion.recall(1).unwrap().value, 0.0);
        assert_eq!(confusion.precision(0).unwrap().value, 0.5);
        assert_eq!(confusion.precision(1), None);
    }
}
