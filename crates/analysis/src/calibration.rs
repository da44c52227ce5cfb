//! What a detector's own probabilities and errors are worth: monotone maps fitted on images whose truth is known.
//!
//! Probabilities go through a monotone piecewise linear map, fitted by isotonic regression (pool adjacent violators;
//! B. Zadrozny and C. Elkan, *KDD* 2002, 694, doi:10.1145/775047.775151) over bins of the raw value. Stated position
//! errors are multiplied by one factor for all doses. Probabilities of several species go through one temperature (C. Guo et
//! al., *ICML* 2017, arXiv:1706.04599).

use atomlens_core::glam::DVec2;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// Why a calibration cannot be used or made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// Knots that are no monotone map of 0..1 into 0..1.
    #[error(
        "knots {knots:?} are no calibration: raw values must rise from 0 to 1 and probabilities must not fall, within 0..1"
    )]
    Knots {
        /// What was given.
        knots: Vec<[f64; 2]>,
    },
    /// Too little to fit to.
    #[error(
        "{found} detections with known truth cannot be calibrated with, at least {needed} are needed; use more images"
    )]
    TooFew {
        /// Number of usable detections.
        found: usize,
        /// Number that is needed.
        needed: usize,
    },
}

/// A monotone map from a detector's summed share to a probability, linear between knots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<[f64; 2]>", into = "Vec<[f64; 2]>")]
pub struct ProbabilityCalibration {
    knots: Vec<[f64; 2]>,
}

impl Default for ProbabilityCalibration {
    fn default() -> Self {
        ProbabilityCalibration::identity()
    }
}

impl TryFrom<Vec<[f64; 2]>> for ProbabilityCalibration {
    type Error = CalibrationError;

    fn try_from(knots: Vec<[f64; 2]>) -> Result<Self, CalibrationError> {
        ProbabilityCalibration::new(knots)
    }
}

impl From<ProbabilityCalibration> for Vec<[f64; 2]> {
    fn from(calibration: ProbabilityCalibration) -> Self {
        calibration.knots
    }
}

impl ProbabilityCalibration {
    /// Fewest detections in a bin of a fit: the observed fraction is then known to 0.08 at worst.
    const BIN_COUNT: usize = 40;

    /// The map that changes nothing.
    pub fn identity() -> ProbabilityCalibration {
        ProbabilityCalibration { knots: vec![[0.0, 0.0], [1.0, 1.0]] }
    }

    /// A map through knots of (raw, probability).
    ///
    /// # Errors
    /// If the raw values do not rise from 0 to 1, or the probabilities fall or leave 0..1.
    pub fn new(knots: Vec<[f64; 2]>) -> Result<ProbabilityCalibration, CalibrationError> {
        let ends = knots.len() >= 2 && knots[0][0] == 0.0 && knots[knots.len() - 1][0] == 1.0;
        let rises = knots.windows(2).all(|pair| pair[0][0] < pair[1][0] && pair[0][1] <= pair[1][1]);
        let within = knots.iter().all(|knot| (0.0..=1.0).contains(&knot[1]));
        if ends && rises && within {
            Ok(ProbabilityCalibration { knots })
        } else {
            Err(CalibrationError::Knots { knots })
        }
    }

    /// Fits to detections: the raw value of each and whether there was a column. The detections must include those of
    /// low value, or low probabilities cannot be learnt.
    ///
    /// # Errors
    /// If there are fewer than 80 finite ones.
    pub fn fit(outcomes: &[(f64, bool)]) -> Result<ProbabilityCalibration, CalibrationError> {
        let mut sorted: Vec<(f64, bool)> =
            outcomes.iter().filter(|(raw, _)| raw.is_finite()).map(|(raw, hit)| (raw.clamp(0.0, 1.0), *hit)).collect();
        let needed = 2 * Self::BIN_COUNT;
        if sorted.len() < needed {
            return Err(CalibrationError::TooFew { found: sorted.len(), needed });
        }
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let blocks = pooled(bins(&sorted, Self::BIN_COUNT));
        let mut knots = vec![[0.0, 0.0]];
        for block in &blocks {
            let knot = [block.raw / block.count, block.rate()];
            let last = knots[knots.len() - 1];
            if knot[0] > last[0] {
                knots.push(knot);
            } else {
                // All of the block at 0.
                *knots.last_mut().expect("never empty") = [0.0, knot[1]];
            }
        }
        let last = knots[knots.len() - 1];
        if last[0] < 1.0 {
            knots.push([1.0, last[1]]);
        }
        ProbabilityCalibration::new(knots)
    }

    /// The knots, (raw, probability).
    pub fn knots(&self) -> &[[f64; 2]] {
        &self.knots
    }

    /// The probability that belongs to a raw value; values outside 0..1 count as its ends, NaN as 0.
    pub fn apply(&self, raw: f64) -> f64 {
        let raw = if raw > 0.0 { raw.min(1.0) } else { 0.0 };
        let above = self.knots.partition_point(|knot| knot[0] < raw).clamp(1, self.knots.len() - 1);
        let ([x0, y0], [x1, y1]) = (self.knots[above - 1], self.knots[above]);
        y0 + (y1 - y0) * (raw - x0) / (x1 - x0)
    }
}

/// Raises shares to the power of one over a temperature and makes them add up to one.
pub fn temper(shares: &mut [f64], temperature: f64) {
    let largest = shares.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return;
    }
    for share in shares.iter_mut() {
        *share = (share.max(0.0) / largest).powf(1.0 / temperature);
    }
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
}

/// Temperatures that a fit may end at.
const TEMPERATURES: [f64; 2] = [0.3, 5.0];

/// No species is less probable than this in a fit: one column should not outweigh hundreds.
const LEAST_PROBABILITY: f64 = 1e-4;

/// The temperature under which probabilities of species, shape `[column, species]`, make the true ones likeliest (golden-section
/// search of its logarithm).
///
/// # Errors
/// If there are fewer than 80 columns.
pub fn fit_species_temperature(probabilities: ArrayView2<'_, f64>, truth: &[usize]) -> Result<f64, CalibrationError> {
    let needed = 2 * ProbabilityCalibration::BIN_COUNT;
    if truth.len() < needed || truth.len() != probabilities.nrows() {
        return Err(CalibrationError::TooFew { found: truth.len().min(probabilities.nrows()), needed });
    }
    let surprise = |log_temperature: f64| -> f64 {
        let mut row = Vec::new();
        let of_column = |(shares, &truth): (ndarray::ArrayView1<'_, f64>, &usize)| {
            row.clear();
            row.extend(shares.iter().copied());
            temper(&mut row, log_temperature.exp());
            -row.get(truth).copied().unwrap_or(0.0).max(LEAST_PROBABILITY).ln()
        };
        probabilities.outer_iter().zip(truth).map(of_column).sum()
    };
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    let [mut low, mut high] = TEMPERATURES.map(f64::ln);
    for _ in 0..24 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if surprise(left) < surprise(right) {
            high = right;
        } else {
            low = left;
        }
    }
    Ok((0.5 * (low + high)).exp())
}

/// Detections of neighbouring raw values.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    count: f64,
    hits: f64,
    raw: f64,
}

impl Block {
    /// With Jeffreys' half a hit and half a miss, so that no probability is 0 or 1 because the sample was small.
    fn rate(&self) -> f64 {
        (self.hits + 0.5) / (self.count + 1.0)
    }

    fn add(&mut self, other: Block) {
        self.count += other.count;
        self.hits += other.hits;
        self.raw += other.raw;
    }
}

/// Bins of at least `least` detections that are 0.05 wide, or narrower where they would hold more than a twentieth of
/// all. Equal values are never split.
fn bins(sorted: &[(f64, bool)], least: usize) -> Vec<Block> {
    let many = (sorted.len() / 20).max(least) as f64;
    let mut blocks: Vec<Block> = Vec::new();
    let (mut current, mut first) = (Block::default(), sorted[0].0);
    for (index, &(raw, hit)) in sorted.iter().enumerate() {
        let full = current.count >= many || current.count >= least as f64 && raw - first >= 0.05;
        if full && raw > sorted[index - 1].0 {
            blocks.push(std::mem::take(&mut current));
            first = raw;
        }
        current.add(Block { count: 1.0, hits: f64::from(u8::from(hit)), raw });
    }
    match blocks.last_mut() {
        Some(last) if current.count < least as f64 => last.add(current),
        _ => blocks.push(current),
    }
    blocks
}

/// Pools neighbours until rates rise.
fn pooled(bins: Vec<Block>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for mut block in bins {
        while let Some(before) = blocks.pop_if(|before| before.rate() >= block.rate()) {
            block.add(before);
        }
        blocks.push(block);
    }
    blocks
}

/// The factor by which stated position errors must be multiplied to be right: `errors` are detected minus true places,
/// `sigmas` the stated standard deviations in each direction, in the same unit.
///
/// The factor is the geometric mean of those that make 39.3 % of the distances lie within one sigma and 86.5 % within
/// two, as a Gaussian in two dimensions has them; unlike the mean square it does not follow a few gross errors.
///
/// # Errors
/// If there are fewer than 40 hits with a positive sigma.
pub fn fit_sigma_scale(errors: &[DVec2], sigmas: &[f64]) -> Result<f64, CalibrationError> {
    let mut ratios: Vec<f64> = errors
        .iter()
        .zip(sigmas)
        .map(|(error, sigma)| error.length() / sigma)
        .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        .collect();
    let needed = 40;
    if ratios.len() < needed {
        return Err(CalibrationError::TooFew { found: ratios.len(), needed });
    }
    ratios.sort_by(f64::total_cmp);
    let at = |k: f64| {
        let share = 1.0 - (-0.5 * k * k).exp();
        ratios[((share * ratios.len() as f64) as usize).min(ratios.len() - 1)] / k
    };
    Ok((at(1.0) * at(2.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use ndarray::Array2;
    use rand::RngExt;
    use rand_distr::{Distribution, Normal};

    use super::*;

    #[test]
    fn an_overconfident_detector_is_put_right() {
        let mut random = SeedPath::new(3).stream();
        let truth = |raw: f64| raw * raw;
        let outcomes: Vec<(f64, bool)> = (0..20_000)
            .map(|_| {
                let raw: f64 = random.random();
                (raw, random.random::<f64>() < truth(raw))
            })
            .collect();
        let calibration = ProbabilityCalibration::fit(&outcomes).unwrap();
        for raw in [0.1, 0.3, 0.5, 0.7, 0.9, 0.97] {
            assert!((calibration.apply(raw) - truth(raw)).abs() < 0.04, "{raw}: {}", calibration.apply(raw));
        }
        assert!(calibration.knots().len() <= 23, "{}", calibration.knots().len());
        assert!(calibration.knots().windows(2).all(|pair| pair[0][1] <= pair[1][1]));
    }

    #[test]
    fn a_map_reads_back_and_a_bad_one_is_refused() {
        let calibration = ProbabilityCalibration::new(vec![[0.0, 0.0], [0.4, 0.8], [1.0, 0.99]]).unwrap();
        let text = serde_json::to_string(&calibration).unwrap();
        assert_eq!(serde_json::from_str::<ProbabilityCalibration>(&text).unwrap(), calibration);
        assert!((calibration.apply(0.2) - 0.4).abs() < 1e-12 && (calibration.apply(0.7) - 0.895).abs() < 1e-12);
        assert_eq!([calibration.apply(-1.0), calibration.apply(3.0), calibration.apply(f64::NAN)], [0.0, 0.99, 0.0]);
        let identity = ProbabilityCalibration::identity();
        assert!([0.0, 0.25, 0.5, 1.0].iter().all(|&raw| identity.apply(raw) == raw));
        for bad in ["[]", "[[0,0]]", "[[0,0.5],[1,0.2]]", "[[0,0],[0.5,1.5],[1,1]]", "[[0,0],[0.9,1]]"] {
            assert!(serde_json::from_str::<ProbabilityCalibration>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sample_of_equal_values_and_one_that_is_too_small() {
        let sure: Vec<(f64, bool)> = (0..200).map(|index| (1.0, index % 10 != 0)).collect();
        assert!((ProbabilityCalibration::fit(&sure).unwrap().apply(1.0) - 0.9).abs() < 0.01);
        let none: Vec<(f64, bool)> = (0..200).map(|_| (0.0, false)).collect();
        assert!(ProbabilityCalibration::fit(&none).unwrap().apply(0.0) < 0.01);
        assert_eq!(ProbabilityCalibration::fit(&sure[..79]), Err(CalibrationError::TooFew { found: 79, needed: 80 }));
    }

    #[test]
    fn the_factor_of_sigma_is_found_in_spite_of_gross_errors() {
        let mut random = SeedPath::new(4).stream();
        let normal = Normal::new(0.0, 1.0).unwrap();
        let sigmas: Vec<f64> = (0..5000).map(|_| 0.02 + 0.1 * random.random::<f64>()).collect();
        let mut errors: Vec<DVec2> = sigmas
            .iter()
            .map(|sigma| 1.7 * sigma * DVec2::new(normal.sample(&mut random), normal.sample(&mut random)))
            .collect();
        let scale = fit_sigma_scale(&errors, &sigmas).unwrap();
        assert!((scale - 1.7).abs() < 0.05, "{scale}");
        for error in errors.iter_mut().step_by(100) {
            *error = DVec2::splat(0.35);
        }
        let scale = fit_sigma_scale(&errors, &sigmas).unwrap();
        assert!((scale - 1.7).abs() < 0.08, "{scale}");
        assert!(fit_sigma_scale(&errors[..10], &sigmas).is_err());
    }

    #[test]
    fn a_temperature_undoes_what_made_probabilities_too_sure() {
        // Columns whose true species is drawn with the stated probability, which is then sharpened by a temperature of one half.
        let mut stream = SeedPath::new(3).stream();
        let (mut stated, mut truth) = (Vec::new(), Vec::new());
        for _ in 0..4000 {
            let mut row: Vec<f64> = (0..3).map(|_| stream.random_range(0.05..1.0)).collect();
            temper(&mut row, 1.0);
            let draw: f64 = stream.random();
            truth.push(if draw < row[0] { 0 } else { 1 + usize::from(draw >= row[0] + row[1]) });
            temper(&mut row, 0.5);
            stated.extend(row);
        }
        let stated = Array2::from_shape_vec((4000, 3), stated).unwrap();
        let temperature = fit_species_temperature(stated.view(), &truth).unwrap();
        assert!((temperature - 2.0).abs() < 0.15, "{temperature}");
        assert!(fit_species_temperature(stated.slice(ndarray::s![..10, ..]), &truth[..10]).is_err());
    }
}
