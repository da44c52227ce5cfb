//! The emission and the rates that explain all sites together: expectation-maximisation.
//!
//! Each turn smooths every site with what is believed so far, then sets anew: each site's two means and each frame's
//! shift of the filled ones under priors that are fitted as well, the variances that sites share, the rates of each site
//! under its class's mean, and the probability of filled in the first frame by class. The filled means of a class vary
//! widely (columns of one atom and of ten), so their prior is Student's distribution, whose far ones cost little; empty
//! means are all but the same, which keeps the noise of a site that never switches from being split in two.
//!
//! Where a site's filled mean lies is not left to where the climb happens to end: it starts from the likeliest of a
//! ladder of means, the path summed over, and is compared with the ladder once more on the way.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::OccupancyError;
use super::chain::{Chain, DrawnPath, FrameIntervals, Passed, Switching};
use super::emission::{Densities, Emission, Level, Levels};

/// What is observed.
pub(super) struct Observed<'a> {
    /// `[site, frame]`, NaN for none.
    pub(super) evidence: ArrayView2<'a, f32>,
    /// The same at places known to be empty.
    pub(super) vacuum: Moments,
    pub(super) class: &'a [usize],
    pub(super) classes: usize,
    pub(super) known_filled: &'a [bool],
    pub(super) intervals: &'a FrameIntervals,
}

/// Number, mean and variance of evidence; the variance is that within places, their means are about `between` apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    pub(super) count: f64,
    pub(super) mean: f64,
    pub(super) variance: f64,
    pub(super) between: f64,
}

impl Moments {
    pub(super) fn of<'a>(places: impl Iterator<Item = ndarray::ArrayView1<'a, f32>>) -> Moments {
        let (mut all, mut sum, mut within, mut free) = (0.0, 0.0, 0.0, 0.0);
        let mut means = Vec::new();
        for place in places {
            let finite = || place.iter().filter(|value| value.is_finite()).map(|value| f64::from(*value));
            let count = finite().count() as f64;
            if count < 2.0 {
                continue;
            }
            let mean = finite().sum::<f64>() / count;
            within += finite().map(|value| (value - mean).powi(2)).sum::<f64>();
            free += count - 1.0;
            all += count;
            sum += count * mean;
            means.push((mean, count));
        }
        let mean = sum / f64::max(all, 1.0);
        let variance = within / f64::max(free, 1.0);
        // The scatter of the means, less what noise makes of it.
        let scatter = means.iter().map(|(own, count)| (own - mean).powi(2) - variance / count).sum::<f64>();
        let between = (scatter / means.len().max(1) as f64).max(0.0).sqrt();
        Moments { count: all, mean, variance, between }
    }
}

/// All that is estimated.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) emission: Emission,
    pub(super) levels: Vec<Levels>,
    pub(super) frame_shift: Vec<f64>,
    pub(super) switching: Vec<Switching>,
    pub(super) class_switching: Vec<Switching>,
    pub(super) initial: Vec<f64>,
    prior: LevelPrior,
}

/// Means and widths of the priors of means and shifts.
#[derive(Debug, Clone)]
struct LevelPrior {
    filled_mean: Vec<f64>,
    filled_width: f64,
    empty_mean: f64,
    empty_width: f64,
    shift_width: f64,
}

/// Degrees of freedom of the prior of filled means.
const FREEDOM: f64 = 4.0;

/// In units of the difference of both means over all sites: a site's own difference at least, the largest shift of a
/// frame, the ladder of differences from which a site may start.
const LEAST_DIFFERENCE: f64 = 0.12;
const LARGEST_SHIFT: f64 = 0.5;
const LADDER: [f64; 14] = [0.17, 0.23, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.1];

/// Values from which moments are believed.
const ENOUGH: f64 = 200.0;

/// Switching shape while maximising: a site's own events weigh like those of its class from here on.
const SHAPE: f64 = 0.7;

/// Weight, sum and sum of squares of residuals.
#[derive(Debug, Clone, Copy, Default)]
struct Residuals {
    weight: f64,
    sum: f64,
    square: f64,
}

impl Residuals {
    fn add(&mut self, residual: f64, weight: f64) {
        self.weight += weight;
        self.sum += weight * residual;
        self.square += weight * residual * residual;
    }

    /// The sum of squares about a mean that lies this much further.
    fn about(&self, moved: f64) -> f64 {
        (self.square - 2.0 * moved * self.sum + moved * moved * self.weight).max(0.0)
    }
}

/// Sums over the frames of one site.
struct SiteSums {
    /// Empty, filled; from the site's means.
    residuals: [Residuals; 2],
    passed: Passed,
    first: f64,
}

impl Model {
    /// From places known to be filled and empty where there are enough, else from the two heaps of the evidence.
    pub(super) fn initial(observed: &Observed<'_>) -> Result<Model, OccupancyError> {
        let rows = || observed.evidence.rows().into_iter();
        let known = Moments::of(rows().zip(observed.known_filled).filter(|(_, known)| **known).map(|(row, _)| row));
        let (low, high) = two_heaps(observed.evidence).ok_or(OccupancyError::NoContrast)?;
        let filled = if known.count >= ENOUGH { known } else { high };
        let empty = if observed.vacuum.count >= ENOUGH {
            observed.vacuum
        } else {
            // If nothing is ever empty the lower heap is half of the noise.
            Moments { mean: low.mean.min(filled.mean - 4.0 * filled.variance.sqrt()), ..low }
        };
        let spread = known.variance.max(observed.vacuum.variance).max(low.variance).max(high.variance).sqrt();
        let difference = (filled.mean - empty.mean).max(0.5 * spread);
        if difference <= 0.0 || !difference.is_finite() {
            return Err(OccupancyError::NoContrast);
        }
        let deviation = |moments: Moments| moments.variance.sqrt().max(0.01 * difference);
        let emission = Emission {
            filled: Level { mean: empty.mean + difference, deviation: deviation(filled) },
            empty: Level { mean: empty.mean, deviation: deviation(empty) },
        };
        let sites = observed.evidence.nrows();
        let switching = Switching { fill: 0.05, empty: 0.02 };
        let mut model = Model {
            levels: vec![Levels { filled: emission.filled.mean, empty: emission.empty.mean }; sites],
            frame_shift: vec![0.0; observed.evidence.ncols()],
            switching: vec![switching; sites],
            class_switching: vec![switching; observed.classes],
            initial: vec![0.7; observed.classes],
            prior: LevelPrior {
                filled_mean: vec![emission.filled.mean; observed.classes],
                filled_width: 0.25 * difference,
                empty_mean: emission.empty.mean,
                empty_width: observed.vacuum.between.clamp(0.03 * difference, 0.15 * difference),
                shift_width: 0.03 * difference,
            },
            emission,
        };
        model.start_levels(observed);
        Ok(model)
    }

    /// Each site's filled mean from the likeliest of the ladder's and the one it has, at the rates of its class.
    fn start_levels(&mut self, observed: &Observed<'_>) {
        let difference = self.emission.difference();
        let levels = (0..self.levels.len())
            .into_par_iter()
            .map(|site| {
                let class = observed.class[site];
                let chain = Chain { switching: self.class_switching[class], ..self.chain(observed, site) };
                let mut scratch = Vec::new();
                let own = self.levels[site];
                let mut best = (f64::NEG_INFINITY, own);
                let ladder = LADDER.map(|step| self.emission.empty.mean + step * difference);
                for filled in std::iter::once(own.filled).chain(ladder) {
                    let levels = Levels { filled, ..own };
                    let ratio = self.ratios(observed, site, levels);
                    let far = (filled - self.prior.filled_mean[class]) / self.prior.filled_width;
                    let log_prior = -0.5 * (FREEDOM + 1.0) * (far * far / FREEDOM).ln_1p();
                    let likely = chain.log_likelihood(&ratio, &mut scratch) + log_prior;
                    if likely > best.0 {
                        best = (likely, levels);
                    }
                }
                best.1
            })
            .collect();
        self.levels = levels;
    }

    fn ratios_with(&self, densities: &Densities, observed: &Observed<'_>, site: usize) -> Vec<f64> {
        let evidence = observed.evidence.index_axis(Axis(0), site);
        evidence.iter().zip(&self.frame_shift).map(|(value, shift)| densities.ratio(*value, *shift)).collect()
    }

    /// A site's likelihood ratios, by frame, for its means or others.
    pub(super) fn ratios(&self, observed: &Observed<'_>, site: usize, levels: Levels) -> Vec<f64> {
        self.ratios_with(&self.emission.densities(levels), observed, site)
    }

    pub(super) fn chain<'a>(&self, observed: &Observed<'a>, site: usize) -> Chain<'a> {
        Chain {
            intervals: observed.intervals,
            switching: self.switching[site],
            initial: self.initial[observed.class[site]],
        }
    }

    /// At most `turns` turns; answers how many were needed.
    pub(super) fn maximise(&mut self, observed: &Observed<'_>, turns: usize, by_site: bool, by_frame: bool) -> usize {
        let mut filled = Array2::zeros(observed.evidence.dim());
        let mut before = f64::NEG_INFINITY;
        let mut looked_again = !by_site;
        for turn in 1..=turns {
            let hold = turn <= turns / 8;
            let sums = self.expect(observed, &mut filled, hold);
            let log_likelihood: f64 = sums.iter().map(|sums| sums.passed.log_likelihood).sum();
            self.set_rates(observed, &sums);
            self.set_levels(observed, &sums, by_site);
            if by_frame && turn > 2 {
                self.set_shifts(observed, filled.view());
            }
            let settled = turn > 4 && (log_likelihood - before).abs() < 0.02 + 2e-6 * log_likelihood.abs();
            // What was far from the truth at the start may have led a site astray.
            if !looked_again && (settled || turn == turns / 2) {
                self.start_levels(observed);
                looked_again = true;
            } else if !hold && settled {
                return turn;
            }
            before = log_likelihood;
        }
        turns
    }

    /// The probability that sites are filled, `[site, frame]`, and the logarithm of that of each to be empty throughout;
    /// above 0 where a mean of its own would explain such a site better.
    pub(super) fn smoothed(&self, observed: &Observed<'_>) -> (Array2<f32>, Vec<f64>) {
        let mut filled = Array2::zeros(observed.evidence.dim());
        let sums = self.expect(observed, &mut filled, false);
        let never = (0..sums.len()).into_par_iter().map(|site| {
            // Likelihoods are by that of the path that is empty throughout, at the same mean when empty.
            let prior = self.chain(observed, site).log_prior_of_never();
            prior - sums[site].passed.log_likelihood + self.log_advantage_of_never(observed, site)
        });
        let never = never.collect();
        (filled, never)
    }

    /// What a site that is empty throughout gains by a mean of its own choice, and by having no other.
    fn log_advantage_of_never(&self, observed: &Observed<'_>, site: usize) -> f64 {
        let levels = self.levels[site];
        let densities = self.emission.densities(levels);
        let evidence = observed.evidence.index_axis(Axis(0), site);
        let never = residuals(&densities, evidence.iter().zip(&self.frame_shift).zip(std::iter::repeat(0.0)));
        let class = observed.class[site];
        let (mean, variance) = self.posterior(class, levels, &never)[0];
        let far = (levels.filled - self.prior.filled_mean[class]) / self.prior.filled_width;
        0.5 * (mean - levels.empty).powi(2) / variance + 0.5 * (FREEDOM + 1.0) * (far * far / FREEDOM).ln_1p()
    }

    /// Smooths all sites. `hold`: known-filled sites count as filled whatever their evidence says.
    fn expect(&self, observed: &Observed<'_>, filled: &mut Array2<f32>, hold: bool) -> Vec<SiteSums> {
        filled
            .as_slice_mut()
            .expect("made in standard layout")
            .par_chunks_mut(observed.evidence.ncols())
            .enumerate()
            .map(|(site, row)| {
                let densities = self.emission.densities(self.levels[site]);
                let ratio = self.ratios_with(&densities, observed, site);
                let (mut loss, mut gain) = (vec![0.0; ratio.len()], vec![0.0; ratio.len()]);
                let passed = self.chain(observed, site).smooth(&ratio, row, &mut loss, &mut gain);
                let first = f64::from(row.first().copied().unwrap_or(0.5));
                if hold && observed.known_filled[site] {
                    row.fill(1.0);
                }
                let evidence = observed.evidence.index_axis(Axis(0), site);
                let weights = row.iter().map(|p| f64::from(*p));
                let residuals = residuals(&densities, evidence.iter().zip(&self.frame_shift).zip(weights));
                SiteSums { residuals, passed, first }
            })
            .collect()
    }

    fn set_rates(&mut self, observed: &Observed<'_>, sums: &[SiteSums]) {
        for class in 0..observed.classes {
            let members = || (0..sums.len()).filter(|site| observed.class[*site] == class);
            let sum = |of: &dyn Fn(usize) -> f64| members().map(of).sum::<f64>();
            let (gains, losses) = (sum(&|site| sums[site].passed.gains), sum(&|site| sums[site].passed.losses));
            let empty = sum(&|site| sums[site].passed.time_empty);
            let filled = sum(&|site| sums[site].passed.time_filled);
            let count = sum(&|_| 1.0);
            // Half an event in the time of one site, so that a class without any keeps a rate.
            let mean = |events: f64, time: f64| {
                ((events + 0.5) / (time + 0.5 * observed.intervals.frames() as f64)).clamp(1e-7, 0.45)
            };
            self.class_switching[class] = Switching { fill: mean(gains, empty), empty: mean(losses, filled) };
            self.initial[class] = ((sum(&|site| sums[site].first) + 0.5) / (count + 1.0)).clamp(0.02, 0.98);
        }
        for (site, sums) in sums.iter().enumerate() {
            let mean = self.class_switching[observed.class[site]];
            let rate = |events: f64, time: f64, mean: f64| ((events + SHAPE) / (time + SHAPE / mean)).clamp(1e-9, 0.48);
            self.switching[site] = Switching {
                fill: rate(sums.passed.gains, sums.passed.time_empty, mean.fill),
                empty: rate(sums.passed.losses, sums.passed.time_filled, mean.empty),
            };
        }
    }

    /// The precision of the prior of a site's filled mean, Student's distribution taken as normal where the mean is now.
    fn filled_precision(&self, class: usize, mean: f64) -> f64 {
        let square = self.prior.filled_width.powi(2);
        (FREEDOM + 1.0) / (FREEDOM * square + (mean - self.prior.filled_mean[class]).powi(2))
    }

    /// Mean and variance of both means of a site given residuals (empty, filled) from `from`.
    fn posterior(&self, class: usize, from: Levels, residuals: &[Residuals; 2]) -> [(f64, f64); 2] {
        let densities = self.emission.densities(from);
        let of = |state: usize, from: f64, mean: f64, prior: f64| {
            let Residuals { weight, sum, .. } = residuals[state];
            let precision = densities.precision(state);
            let variance = 1.0 / (weight * precision + prior);
            (from + (sum * precision + prior * (mean - from)) * variance, variance)
        };
        [
            of(0, from.empty, self.prior.empty_mean, self.prior.empty_width.powi(-2)),
            of(1, from.filled, self.prior.filled_mean[class], self.filled_precision(class, from.filled)),
        ]
    }

    /// A site's means drawn from their distribution given its path.
    pub(super) fn draw_levels(
        &self,
        observed: &Observed<'_>,
        site: usize,
        from: Levels,
        path: &DrawnPath,
        mut normal: impl FnMut() -> f64,
    ) -> Levels {
        let densities = self.emission.densities(from);
        let evidence = observed.evidence.index_axis(Axis(0), site);
        let states = path
            .runs(evidence.len())
            .flat_map(|(start, end, filled)| std::iter::repeat_n(f64::from(u8::from(filled)), end - start));
        let residuals = residuals(&densities, evidence.iter().zip(&self.frame_shift).zip(states));
        let [empty, filled] = self.posterior(observed.class[site], from, &residuals);
        let least = LEAST_DIFFERENCE * self.emission.difference();
        let empty = empty.0 + empty.1.sqrt() * normal();
        Levels { empty, filled: (filled.0 + filled.1.sqrt() * normal()).max(empty + least) }
    }

    fn set_levels(&mut self, observed: &Observed<'_>, sums: &[SiteSums], by_site: bool) {
        let least = LEAST_DIFFERENCE * self.emission.difference();
        let before = self.levels.clone();
        let posteriors: Vec<[(f64, f64); 2]> = sums
            .iter()
            .enumerate()
            .map(|(site, sums)| self.posterior(observed.class[site], before[site], &sums.residuals))
            .collect();
        for (levels, [empty, filled]) in self.levels.iter_mut().zip(&posteriors) {
            *levels = Levels { empty: empty.0, filled: filled.0.max(empty.0 + least) };
        }
        self.set_variances(observed, sums, &before, &posteriors);
        self.set_prior(observed, &posteriors);
        if !by_site {
            let (filled, empty) = (self.emission.filled.mean, self.emission.empty.mean);
            self.levels.fill(Levels { filled, empty });
        }
    }

    /// The variances that sites share, and the one of the vacuum, which must not drown them.
    fn set_variances(
        &mut self,
        observed: &Observed<'_>,
        sums: &[SiteSums],
        before: &[Levels],
        posteriors: &[[(f64, f64); 2]],
    ) {
        let emission = self.emission;
        let (mut weight, mut square) = ([0.0; 2], [0.0; 2]);
        for (site, (sums, posterior)) in sums.iter().zip(posteriors).enumerate() {
            let Levels { filled, empty } = self.levels[site];
            let [of_empty, of_filled] = sums.residuals;
            weight[0] += of_empty.weight;
            square[0] += of_empty.about(empty - before[site].empty) + of_empty.weight * posterior[0].1;
            // A filled site's variance goes with its mean: the shared one is changed by the share it is off.
            weight[1] += of_filled.weight;
            square[1] += (of_filled.about(filled - before[site].filled) + of_filled.weight * posterior[1].1)
                / emission.filled_variance(filled);
        }
        let floor = 0.01 * emission.difference();
        // Ten values of what was believed before.
        let own = emission.empty.deviation.powi(2);
        let vacuum = (weight[0] + 500.0).min(observed.vacuum.count);
        let empty = (square[0] + vacuum * observed.vacuum.variance + 10.0 * own) / (weight[0] + vacuum + 10.0);
        let filled = emission.filled.deviation.powi(2) * (square[1] + 10.0) / (weight[1] + 10.0);
        self.emission.empty.deviation = empty.sqrt().max(floor);
        self.emission.filled.deviation = filled.sqrt().max(floor);
    }

    /// The priors of the means, from the sites whose evidence says more than the prior does.
    fn set_prior(&mut self, observed: &Observed<'_>, posteriors: &[[(f64, f64); 2]]) {
        let difference = self.emission.difference();
        let (filled_square, empty_square) = (self.prior.filled_width.powi(2), self.prior.empty_width.powi(2));
        let told = |variance: f64, square: f64| (1.0 - variance / square).clamp(0.0, 1.0);
        let site_told: Vec<[f64; 2]> = posteriors
            .iter()
            .map(|[empty, filled]| [told(empty.1, empty_square), told(filled.1, filled_square)])
            .collect();
        let all: Vec<usize> = (0..posteriors.len()).collect();
        let mean = |members: &[usize], state: usize, guess: f64, guesses: f64| {
            let (mut weight, mut sum) = (guesses, guesses * guess);
            for site in members {
                let level = if state == 1 { self.levels[*site].filled } else { self.levels[*site].empty };
                // Far ones count as Student's distribution lets them.
                let far = if state == 1 { (level - guess).powi(2) / filled_square } else { 0.0 };
                let part = site_told[*site][state] * (FREEDOM + 1.0) / (FREEDOM + far);
                weight += part;
                sum += part * level;
            }
            sum / weight
        };
        let filled = mean(&all, 1, self.emission.filled.mean, 1.0);
        let empty = mean(&all, 0, self.emission.empty.mean, 1.0);
        let of_classes: Vec<f64> = (0..observed.classes)
            .map(|class| {
                let members: Vec<usize> = all.iter().copied().filter(|site| observed.class[*site] == class).collect();
                mean(&members, 1, filled, 2.0)
            })
            .collect();
        // Mean square about the prior's mean with what is left uncertain of each, and a little of the first guess.
        let width = |guess: f64, parts: &mut dyn Iterator<Item = (f64, f64)>, range: [f64; 2]| {
            let (mut weight, mut sum) = (2.0, 2.0 * guess * guess);
            for (told, square) in parts {
                weight += told;
                sum += told * square;
            }
            (sum / weight).sqrt().clamp(range[0] * difference, range[1] * difference)
        };
        let mut of_filled = all.iter().map(|site| {
            let square = (self.levels[*site].filled - of_classes[observed.class[*site]]).powi(2);
            let student = (FREEDOM + 1.0) / (FREEDOM + square / filled_square);
            (site_told[*site][1], student * square + posteriors[*site][1].1)
        });
        let filled_width = width(0.2 * difference, &mut of_filled, [0.03, 0.5]);
        let mut of_empty = all.iter().map(|site| {
            let square = (self.levels[*site].empty - empty).powi(2);
            (site_told[*site][0], square + posteriors[*site][0].1)
        });
        let empty_width = width(0.04 * difference, &mut of_empty, [0.01, 0.15]);
        self.prior.filled_mean = of_classes;
        self.prior.filled_width = filled_width;
        self.prior.empty_mean = empty;
        self.prior.empty_width = empty_width;
        self.emission.empty.mean = empty;
        self.emission.filled.mean = filled.max(empty + 0.25 * difference);
    }

    /// Frames in which all columns are seen better or worse.
    fn set_shifts(&mut self, observed: &Observed<'_>, filled: ArrayView2<'_, f32>) {
        const FRAMES_A_TASK: usize = 64;
        let difference = self.emission.difference();
        let precision = self.prior.shift_width.powi(-2);
        let densities: Vec<Densities> = self.levels.iter().map(|levels| self.emission.densities(*levels)).collect();
        let moved: Vec<(f64, f64)> = self
            .frame_shift
            .par_chunks(FRAMES_A_TASK)
            .enumerate()
            .flat_map_iter(|(chunk, shifts)| {
                let mut sums = vec![[0.0; 2]; shifts.len()];
                for (site, densities) in densities.iter().enumerate() {
                    for (offset, shift) in shifts.iter().enumerate() {
                        let frame = chunk * FRAMES_A_TASK + offset;
                        let value = f64::from(observed.evidence[[site, frame]]);
                        if value.is_finite() {
                            let residual = value - densities.levels.filled;
                            let weight = f64::from(filled[[site, frame]]) * densities.belongs(1, residual - shift);
                            sums[offset][0] += weight * densities.precision(1) * residual;
                            sums[offset][1] += weight * densities.precision(1);
                        }
                    }
                }
                sums.into_iter().map(move |[score, information]| {
                    let shift = score / (information + precision);
                    let most = LARGEST_SHIFT * difference;
                    (shift.clamp(-most, most), 1.0 / (information + precision))
                })
            })
            .collect();
        let mean = moved.iter().map(|(shift, _)| shift).sum::<f64>() / moved.len().max(1) as f64;
        let square: f64 = moved.iter().map(|(shift, variance)| (shift - mean).powi(2) + variance).sum();
        self.frame_shift = moved.iter().map(|(shift, _)| shift - mean).collect();
        let (guess, count) = (0.02 * difference, 5.0);
        self.prior.shift_width = ((square + count * guess * guess) / (moved.len() as f64 + count))
            .sqrt()
            .clamp(0.002 * difference, 0.3 * difference);
    }
}

/// Residuals of a site's evidence (with the frames' shifts) from its means, empty and filled, for the probability of
/// filled by frame.
fn residuals<'a>(densities: &Densities, frames: impl Iterator<Item = ((&'a f32, &'a f64), f64)>) -> [Residuals; 2] {
    let mut sums = [Residuals::default(); 2];
    for ((value, shift), filled) in frames {
        let value = f64::from(*value);
        if !value.is_finite() {
            continue;
        }
        for (state, weight, residual) in
            [(0, 1.0 - filled, value - densities.levels.empty), (1, filled, value - densities.levels.filled - shift)]
        {
            if weight > 1e-9 {
                sums[state].add(residual, weight * densities.belongs(state, residual));
            }
        }
    }
    sums
}

/// The two heaps of all evidence: each value belongs to the nearer of both means. `None` if all is the same.
fn two_heaps(evidence: ArrayView2<'_, f32>) -> Option<(Moments, Moments)> {
    let finite = || evidence.iter().filter(|value| value.is_finite()).map(|value| f64::from(*value));
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
    if high <= low || !high.is_finite() {
        return None;
    }
    let mut means = [low, high];
    let mut heaps = [[0.0; 3]; 2];
    for _ in 0..30 {
        let middle = 0.5 * (means[0] + means[1]);
        heaps = [[0.0; 3]; 2];
        for value in finite() {
            let heap = &mut heaps[usize::from(value > middle)];
            heap[0] += 1.0;
            heap[1] += value;
            heap[2] += value * value;
        }
        let next = heaps.map(|heap| heap[1] / f64::max(heap[0], 1.0));
        if next == means {
            break;
        }
        means = next;
    }
    let moments = |heap: [f64; 3], mean: f64| {
        let variance = (heap[2] / heap[0].max(1.0) - mean * mean).max(0.0);
        Moments { count: heap[0], mean, variance, between: 0.0 }
    };
    Some((moments(heaps[0], means[0]), moments(heaps[1], means[1])))
}
