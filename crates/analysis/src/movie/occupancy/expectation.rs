//! The emission and the rates that explain all sites together: expectation-maximisation.
//!
//! Each turn smooths every site with what is believed so far, then sets anew: the pooled densities from the evidence
//! weighted by the probability of filled (known-empty places count as empty throughout), each site's two tilts and each
//! frame's shift of the filled tilt under normal priors whose widths are fitted as well, the rates of each site under
//! its class's mean, and the probability of filled in the first frame by class.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::chain::{Chain, FrameIntervals, Passed, Switching};
use super::evidence::{Emission, MISSING};

/// What is observed, sorted into steps.
pub(super) struct Observed<'a> {
    /// `[site, frame]`.
    pub(super) steps: ArrayView2<'a, u8>,
    /// Counts of the steps at places known to be empty.
    pub(super) vacuum: Vec<f64>,
    pub(super) class: &'a [usize],
    pub(super) classes: usize,
    pub(super) known_filled: &'a [bool],
    pub(super) intervals: &'a FrameIntervals,
    /// Weight of each site in what sites share.
    pub(super) weight: &'a [f64],
}

/// A site's tilts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tilts {
    pub(super) filled: f64,
    pub(super) empty: f64,
}

/// All that is estimated.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) emission: Emission,
    pub(super) tilts: Vec<Tilts>,
    pub(super) frame_shift: Vec<f64>,
    pub(super) switching: Vec<Switching>,
    pub(super) class_switching: Vec<Switching>,
    pub(super) initial: Vec<f64>,
    tilt_prior: TiltPrior,
}

/// Means and widths of the normal priors of tilts and shifts.
#[derive(Debug, Clone)]
struct TiltPrior {
    filled_mean: Vec<f64>,
    filled_width: f64,
    empty_mean: f64,
    empty_width: f64,
    shift_width: f64,
}

/// No tilt is believed outside these, and no site's two nearer to each other than the last.
const FILLED_TILT: [f64; 2] = [0.3, 2.0];
const EMPTY_TILT: [f64; 2] = [-1.0, 0.6];
const LEAST_DIFFERENCE: f64 = 0.25;
const LARGEST_SHIFT: f64 = 0.5;

/// Switching shape while maximising: a site's own events weigh like those of its class from here on.
const SHAPE: f64 = 0.7;

/// Sums over the frames of one site.
struct SiteSums {
    filled: Vec<f64>,
    empty: Vec<f64>,
    passed: Passed,
    first: f64,
    /// Of the filled tilt: score and information, then of the empty one.
    filled_tilt: [f64; 2],
    empty_tilt: [f64; 2],
}

impl Model {
    /// From places known to be filled and empty, where there are enough; otherwise from the detector's probabilities
    /// at the steps' middles.
    pub(super) fn initial(observed: &Observed<'_>, step_probability: &[f64]) -> Model {
        let steps = step_probability.len();
        let (mut known, mut all) = (vec![0.0; steps], vec![0.0; steps]);
        for (row, &is_known) in observed.steps.rows().into_iter().zip(observed.known_filled) {
            for &step in row.iter().filter(|step| **step != MISSING) {
                all[usize::from(step)] += 1.0;
                if is_known {
                    known[usize::from(step)] += 1.0;
                }
            }
        }
        const ENOUGH: f64 = 200.0;
        let believed = |of: &dyn Fn(f64) -> f64| -> Vec<f64> {
            all.iter().zip(step_probability).map(|(count, p)| count * of(*p)).collect()
        };
        let filled = if known.iter().sum::<f64>() >= ENOUGH { known } else { believed(&|p| p) };
        let empty = if observed.vacuum.iter().sum::<f64>() >= ENOUGH {
            observed.vacuum.clone()
        } else {
            believed(&|p| 1.0 - p)
        };
        let sites = observed.steps.nrows();
        let switching = Switching { fill: 0.05, empty: 0.02 };
        Model {
            emission: Emission::of(&filled, &empty),
            tilts: vec![Tilts { filled: 1.0, empty: 0.0 }; sites],
            frame_shift: vec![0.0; observed.steps.ncols()],
            switching: vec![switching; sites],
            class_switching: vec![switching; observed.classes],
            initial: vec![0.7; observed.classes],
            tilt_prior: TiltPrior {
                filled_mean: vec![1.0; observed.classes],
                filled_width: 0.1,
                empty_mean: 0.0,
                empty_width: 0.05,
                shift_width: 0.05,
            },
        }
    }

    /// A site's likelihood ratios, by frame.
    pub(super) fn ratios(&self, observed: &Observed<'_>, site: usize) -> Vec<f64> {
        let Tilts { filled, empty } = self.tilts[site];
        let below = self.emission.at(empty)[0];
        let shifts = self.frame_shift.iter();
        let steps = observed.steps.index_axis(Axis(0), site);
        if self.frame_shift.iter().all(|shift| *shift == 0.0) {
            let log_z = self.emission.at(filled)[0] - below;
            let of_step: Vec<f64> = (0..self.emission.log_ratio.len())
                .map(|step| self.emission.log_ratio_of(step as u8, filled, empty, log_z).exp())
                .collect();
            return steps.iter().map(|step| of_step.get(usize::from(*step)).copied().unwrap_or(1.0)).collect();
        }
        steps
            .iter()
            .zip(shifts)
            .map(|(step, shift)| {
                let log_z = self.emission.at(filled + shift)[0] - below;
                self.emission.log_ratio_of(*step, filled + shift, empty, log_z).exp()
            })
            .collect()
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
        let mut filled = Array2::zeros(observed.steps.dim());
        let mut before = f64::NEG_INFINITY;
        for turn in 1..=turns {
            let sums = self.expect(observed, &mut filled, turn <= turns / 3);
            let log_likelihood: f64 = sums.iter().map(|sums| sums.passed.log_likelihood).sum();
            self.set_rates(observed, &sums);
            self.set_emission(observed, &sums);
            if by_site {
                self.set_tilts(observed, &sums);
            }
            if by_frame && turn > 2 {
                self.set_shifts(observed, filled.view());
            }
            if (log_likelihood - before).abs() < 1e-3 + 1e-6 * log_likelihood.abs() && turn > turns / 2 {
                return turn;
            }
            before = log_likelihood;
        }
        turns
    }

    /// The probability that sites are filled, `[site, frame]`.
    pub(super) fn smoothed(&self, observed: &Observed<'_>) -> Array2<f32> {
        let mut filled = Array2::zeros(observed.steps.dim());
        self.expect(observed, &mut filled, false);
        filled
    }

    /// Smooths all sites. `hold`: known-filled sites count as filled whatever their evidence says.
    fn expect(&self, observed: &Observed<'_>, filled: &mut Array2<f32>, hold: bool) -> Vec<SiteSums> {
        let steps = self.emission.log_ratio.len();
        filled
            .as_slice_mut()
            .expect("made in standard layout")
            .par_chunks_mut(observed.steps.ncols())
            .enumerate()
            .map(|(site, row)| {
                let ratio = self.ratios(observed, site);
                let (mut loss, mut gain) = (vec![0.0; ratio.len()], vec![0.0; ratio.len()]);
                let passed = self.chain(observed, site).smooth(&ratio, row, &mut loss, &mut gain);
                let first = f64::from(row.first().copied().unwrap_or(0.5));
                if hold && observed.known_filled[site] {
                    row.fill(1.0);
                }
                let mut sums = SiteSums {
                    filled: vec![0.0; steps],
                    empty: vec![0.0; steps],
                    passed,
                    first,
                    filled_tilt: [0.0; 2],
                    empty_tilt: [0.0; 2],
                };
                let Tilts { filled: filled_tilt, empty: empty_tilt } = self.tilts[site];
                let [_, empty_mean, empty_variance] = self.emission.at(empty_tilt);
                let evidence = observed.steps.index_axis(Axis(0), site);
                for ((step, shift), &p) in evidence.iter().zip(&self.frame_shift).zip(row.iter()) {
                    if *step == MISSING {
                        continue;
                    }
                    let (step, p) = (usize::from(*step), f64::from(p));
                    let l = self.emission.log_ratio[step];
                    sums.filled[step] += p;
                    sums.empty[step] += 1.0 - p;
                    let [_, mean, variance] = self.emission.at(filled_tilt + shift);
                    sums.filled_tilt[0] += p * (l - mean);
                    sums.filled_tilt[1] += p * variance;
                    sums.empty_tilt[0] += (1.0 - p) * (l - empty_mean);
                    sums.empty_tilt[1] += (1.0 - p) * empty_variance;
                }
                sums
            })
            .collect()
    }

    fn set_rates(&mut self, observed: &Observed<'_>, sums: &[SiteSums]) {
        for class in 0..observed.classes {
            let members = || (0..sums.len()).filter(|site| observed.class[*site] == class);
            let sum = |of: &dyn Fn(usize) -> f64| members().map(|site| observed.weight[site] * of(site)).sum::<f64>();
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

    fn set_emission(&mut self, observed: &Observed<'_>, sums: &[SiteSums]) {
        let steps = self.emission.log_ratio.len();
        let (mut filled, mut empty) = (vec![0.0; steps], vec![0.0; steps]);
        for (sums, weight) in sums.iter().zip(observed.weight) {
            for step in 0..steps {
                filled[step] += weight * sums.filled[step];
                empty[step] += weight * sums.empty[step];
            }
        }
        // Empty sites say more of empty sites than the vacuum does, so it must not drown them; but it is certain.
        let (own, vacuum) = (empty.iter().sum::<f64>(), observed.vacuum.iter().sum::<f64>());
        let scale = ((own + 500.0) / vacuum.max(1.0)).min(1.0);
        for (empty, vacuum) in empty.iter_mut().zip(&observed.vacuum) {
            *empty += scale * vacuum;
        }
        self.emission = Emission::of(&filled, &empty);
    }

    fn set_tilts(&mut self, observed: &Observed<'_>, sums: &[SiteSums]) {
        let prior = &self.tilt_prior;
        let (filled_precision, empty_precision) = (prior.filled_width.powi(-2), prior.empty_width.powi(-2));
        for (site, sums) in sums.iter().enumerate() {
            let tilts = &mut self.tilts[site];
            let moved = |tilt: f64, [score, information]: [f64; 2], mean: f64, precision: f64| {
                let change = (score - precision * (tilt - mean)) / (information + precision);
                tilt + change.clamp(-0.3, 0.3)
            };
            let mean = prior.filled_mean[observed.class[site]];
            tilts.filled =
                moved(tilts.filled, sums.filled_tilt, mean, filled_precision).clamp(FILLED_TILT[0], FILLED_TILT[1]);
            tilts.empty = moved(tilts.empty, sums.empty_tilt, prior.empty_mean, empty_precision)
                .clamp(EMPTY_TILT[0], EMPTY_TILT[1].min(tilts.filled - LEAST_DIFFERENCE).max(EMPTY_TILT[0]));
        }
        // The priors, from the sites whose evidence says more than the prior does.
        let told = |information: f64, precision: f64| information / (information + precision);
        let filled_told: Vec<f64> = sums.iter().map(|sums| told(sums.filled_tilt[1], filled_precision)).collect();
        let empty_told: Vec<f64> = sums.iter().map(|sums| told(sums.empty_tilt[1], empty_precision)).collect();
        for class in 0..observed.classes {
            let (mut weight, mut sum) = (1.0, 1.0);
            for site in (0..sums.len()).filter(|site| observed.class[*site] == class) {
                weight += observed.weight[site] * filled_told[site];
                sum += observed.weight[site] * filled_told[site] * self.tilts[site].filled;
            }
            self.tilt_prior.filled_mean[class] = sum / weight;
        }
        let (mut weight, mut sum) = (1.0, 0.0);
        for (site, told) in empty_told.iter().enumerate() {
            weight += observed.weight[site] * told;
            sum += observed.weight[site] * told * self.tilts[site].empty;
        }
        self.tilt_prior.empty_mean = sum / weight;
        // Mean square about the prior's mean with what is left uncertain of each, and a little of the first guess.
        let width = |guess: f64, parts: &mut dyn Iterator<Item = (f64, f64, f64)>| {
            let (mut weight, mut sum) = (2.0, 2.0 * guess * guess);
            for (told, from_mean, variance) in parts {
                weight += told;
                sum += told * (from_mean * from_mean + variance);
            }
            (sum / weight).sqrt().clamp(0.02, 0.5)
        };
        let mean = |site: usize| self.tilt_prior.filled_mean[observed.class[site]];
        let mut filled_parts = sums.iter().enumerate().map(|(site, sums)| {
            let variance = 1.0 / (sums.filled_tilt[1] + filled_precision);
            (observed.weight[site] * filled_told[site], self.tilts[site].filled - mean(site), variance)
        });
        let filled_width = width(0.1, &mut filled_parts);
        let mut empty_parts = sums.iter().enumerate().map(|(site, sums)| {
            let variance = 1.0 / (sums.empty_tilt[1] + empty_precision);
            (observed.weight[site] * empty_told[site], self.tilts[site].empty - self.tilt_prior.empty_mean, variance)
        });
        let empty_width = width(0.05, &mut empty_parts);
        self.tilt_prior.filled_width = filled_width;
        self.tilt_prior.empty_width = empty_width;
    }

    /// Frames in which all columns are seen better or worse.
    fn set_shifts(&mut self, observed: &Observed<'_>, filled: ArrayView2<'_, f32>) {
        const FRAMES_A_TASK: usize = 64;
        let precision = self.tilt_prior.shift_width.powi(-2);
        let chunks: Vec<Vec<(f64, f64)>> = self
            .frame_shift
            .par_chunks(FRAMES_A_TASK)
            .enumerate()
            .map(|(chunk, shifts)| {
                let mut sums = vec![[0.0; 2]; shifts.len()];
                for site in 0..observed.steps.nrows() {
                    for (offset, shift) in shifts.iter().enumerate() {
                        let frame = chunk * FRAMES_A_TASK + offset;
                        let step = observed.steps[[site, frame]];
                        if step != MISSING {
                            let p = observed.weight[site] * f64::from(filled[[site, frame]]);
                            let [_, mean, variance] = self.emission.at(self.tilts[site].filled + shift);
                            sums[offset][0] += p * (self.emission.log_ratio[usize::from(step)] - mean);
                            sums[offset][1] += p * variance;
                        }
                    }
                }
                shifts
                    .iter()
                    .zip(sums)
                    .map(|(shift, [score, information])| {
                        let change = (score - precision * shift) / (information + precision);
                        let shift = (shift + change.clamp(-0.2, 0.2)).clamp(-LARGEST_SHIFT, LARGEST_SHIFT);
                        (shift, 1.0 / (information + precision))
                    })
                    .collect()
            })
            .collect();
        let moved: Vec<(f64, f64)> = chunks.into_iter().flatten().collect();
        let mean = moved.iter().map(|(shift, _)| shift).sum::<f64>() / moved.len().max(1) as f64;
        let square: f64 = moved.iter().map(|(shift, variance)| (shift - mean).powi(2) + variance).sum();
        self.frame_shift = moved.iter().map(|(shift, _)| shift - mean).collect();
        let (guess, count) = (0.03_f64, 5.0);
        self.tilt_prior.shift_width =
            ((square + count * guess * guess) / (moved.len() as f64 + count)).sqrt().clamp(0.01, 0.3);
    }
}
