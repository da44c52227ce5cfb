//! Plots of how good a detector is: scores by dose, position error beside its lower bound, and whether what it says of
//! its own certainty holds.
//!
//! Intervals of proportions are Wilson's at 95 %: E. B. Wilson, *J. Am. Stat. Assoc.* 22 (1927) 209,
//! DOI 10.1080/01621459.1927.10502953. They stay between 0 and 1 and are right for few trials and for proportions near
//! the ends.

use atomlens_core::quantile::NORMAL_95;

use crate::plot::Plot;
use crate::series::Series;

/// Scores on images of one dose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoseScore {
    /// Dose in electrons per square angstrom.
    pub dose_e_per_a2: f64,
    /// Columns found that are columns.
    pub true_positives: usize,
    /// Columns found that are none.
    pub false_positives: usize,
    /// Columns not found.
    pub false_negatives: usize,
    /// Median distance between a column and where it was found, in pm; `None` where none was found.
    pub median_position_error_pm: Option<f64>,
    /// Root mean square of that distance, in pm.
    pub rms_position_error_pm: Option<f64>,
    /// Root mean square distance of the best unbiased estimate of the positions (Cramér-Rao), in pm.
    pub cramer_rao_pm: Option<f64>,
}

impl DoseScore {
    /// Part of what was found that is a column; 0 where nothing was found.
    pub fn precision(&self) -> f64 {
        ratio(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Part of the columns that was found; 0 where there are none.
    pub fn recall(&self) -> f64 {
        ratio(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// Harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Detections of similar probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// Mean of their probabilities.
    pub mean_probability: f64,
    /// How many there are.
    pub detections: usize,
    /// How many of them are columns.
    pub columns: usize,
}

/// Columns found whose position uncertainties are similar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SigmaBin {
    /// Root mean square of the standard deviations given, in each direction, in pm.
    pub stated_pm: f64,
    /// Root mean square of the errors in each direction, in pm.
    pub observed_pm: f64,
    /// How many columns; each has an error along x and one along y.
    pub columns: usize,
}

/// Wilson's interval for a proportion; `z` standard deviations wide on both sides. All of 0 to 1 without trials.
pub fn wilson_interval(successes: usize, trials: usize, z: f64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let p = successes as f64 / n;
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// F1 with its numbers, precision and recall with their 95 % intervals, against dose.
pub fn score_plot(scores: &[DoseScore]) -> Plot {
    let scores = by_dose(scores);
    let interval = |part: usize, rest: usize| wilson_interval(part, part + rest, NORMAL_95);
    let lowest = scores.iter().flat_map(|s| [s.precision(), s.recall(), s.f1()]).fold(1.0, f64::min);
    // From a round number below the lowest, with room for the marks at 1.
    let floor = ((lowest * 10.0 - 0.5).floor() / 10.0).clamp(0.0, 0.9);
    let top = 1.0 + 0.04 * (1.0 - floor);
    Plot::new(DOSE, "score")
        .x_log()
        .y_range(floor, top)
        .series(Series::points("F1", scores.iter().map(|s| (s.dose_e_per_a2, s.f1()))).joined().with_values())
        .series(
            Series::points("precision", scores.iter().map(|s| (s.dose_e_per_a2, s.precision())))
                .errors(scores.iter().map(|s| interval(s.true_positives, s.false_positives)))
                .joined(),
        )
        .series(
            Series::points("recall", scores.iter().map(|s| (s.dose_e_per_a2, s.recall())))
                .errors(scores.iter().map(|s| interval(s.true_positives, s.false_negatives)))
                .joined(),
        )
}

/// Median and root mean square of the position error against dose, and the lower bound where it is known.
pub fn position_error_plot(scores: &[DoseScore]) -> Plot {
    let scores = by_dose(scores);
    let of = |quantity: fn(&DoseScore) -> Option<f64>| -> Vec<(f64, f64)> {
        scores.iter().filter_map(|score| Some((score.dose_e_per_a2, quantity(score)?))).collect()
    };
    let mut plot = Plot::new(DOSE, "position error (pm)").x_log().y_log();
    let rms = of(|score| score.rms_position_error_pm);
    let median = of(|score| score.median_position_error_pm);
    let bound = of(|score| score.cramer_rao_pm);
    if !median.is_empty() {
        plot = plot.series(Series::points("median", median).joined().with_values());
    }
    if !rms.is_empty() {
        plot = plot.series(Series::points("root mean square", rms).joined());
    }
    if !bound.is_empty() {
        plot = plot.series(Series::dashed("Cramér-Rao bound (root mean square)", bound));
    }
    plot
}

/// The part of detections that are columns against the probability that they were given, with 95 % intervals; bins
/// without detections are left out.
pub fn reliability_plot(bins: &[ReliabilityBin]) -> Plot {
    let bins: Vec<&ReliabilityBin> = bins.iter().filter(|bin| bin.detections > 0).collect();
    let found = bins.iter().map(|bin| (bin.mean_probability, ratio(bin.columns, bin.detections)));
    Plot::new("probability given", "part that are columns")
        .square()
        .x_range(0.0, 1.0)
        .y_range(0.0, 1.0)
        .series(Series::dashed("as stated", [(0.0, 0.0), (1.0, 1.0)]))
        .series(
            Series::points("found, 95 % interval", found)
                .errors(bins.iter().map(|bin| wilson_interval(bin.columns, bin.detections, NORMAL_95)))
                .joined(),
        )
}

/// The errors of positions against the standard deviations that they were given, with 95 % intervals of a normal
/// distribution's standard deviation; bins without columns are left out.
pub fn sigma_plot(bins: &[SigmaBin]) -> Plot {
    let bins: Vec<&SigmaBin> = bins.iter().filter(|bin| bin.columns > 0).collect();
    let ends = bins.iter().flat_map(|bin| [bin.stated_pm, bin.observed_pm]).filter(|value| *value > 0.0);
    let (low, high) = crate::Scale::Logarithmic.extent(ends, 0.12);
    let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (1.0, 100.0) };
    // The relative uncertainty of a standard deviation from n numbers is 1 / sqrt(2 n).
    let spread = |bin: &&SigmaBin| NORMAL_95 / (4.0 * bin.columns as f64).sqrt();
    Plot::new("position σ given (pm)", "RMS error found in x and y (pm)")
        .square()
        .x_log()
        .y_log()
        .x_range(low, high)
        .y_range(low, high)
        .series(Series::dashed("as stated", [(low, low), (high, high)]))
        .series(Series::points("found, 95 % interval", bins.iter().map(|bin| (bin.stated_pm, bin.observed_pm))).errors(
            bins.iter().map(|bin| (bin.observed_pm * (1.0 - spread(bin)), bin.observed_pm * (1.0 + spread(bin)))),
        ))
}

const DOSE: &str = "dose (e/Å²)";

fn by_dose(scores: &[DoseScore]) -> Vec<DoseScore> {
    let mut scores = scores.to_vec();
    scores.sort_by(|a, b| a.dose_e_per_a2.total_cmp(&b.dose_e_per_a2));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReportError;

    #[test]
    fn wilson_intervals_as_published() {
        // R. G. Newcombe, Stat. Med. 17 (1998) 857, Table I, method 3 (score without continuity correction).
        for (successes, trials, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let found = wilson_interval(successes, trials, NORMAL_95);
            assert!((found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5, "{successes}/{trials}: {found:?}");
        }
        assert_eq!(wilson_interval(0, 0, NORMAL_95), (0.0, 1.0));
    }

    #[test]
    fn scores_by_hand() {
        let score = DoseScore {
            dose_e_per_a2: 100.0,
            true_positives: 6,
            false_positives: 2,
            false_negatives: 4,
            median_position_error_pm: None,
            rms_position_error_pm: None,
            cramer_rao_pm: None,
        };
        assert_eq!((score.precision(), score.recall()), (0.75, 0.6));
        assert!((score.f1() - 2.0 * 0.75 * 0.6 / 1.35).abs() < 1e-12);
        assert!(matches!(position_error_plot(&[score]).render(400), Err(ReportError::Empty { .. })));
        assert!(score_plot(&[score]).render(400).is_ok());
        assert!(matches!(score_plot(&[]).render(400), Err(ReportError::Empty { .. })));
    }

    #[test]
    fn calibrations_are_drawn_with_few_bins_and_with_none() {
        let bin = ReliabilityBin { mean_probability: 0.85, detections: 40, columns: 33 };
        let empty = ReliabilityBin { mean_probability: f64::NAN, detections: 0, columns: 0 };
        for bins in [vec![], vec![bin], vec![bin, empty]] {
            assert!(reliability_plot(&bins).render(400).is_ok());
        }
        let bin = SigmaBin { stated_pm: 4.0, observed_pm: 5.0, columns: 100 };
        for bins in [vec![], vec![bin]] {
            assert!(sigma_plot(&bins).render(400).is_ok());
        }
    }
}
