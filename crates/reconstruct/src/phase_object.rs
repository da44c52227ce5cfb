//! The lens from the images: how well a thin specimen explains them.
//!
//! To first order a wave `1 + i phi - a` has in image j the spectrum `2 phi(k) sin chi_j(k) - 2 a(k) cos chi_j(k)`. Aberrations that
//! all images have in common cannot be told from the wave itself, were it not that a thin specimen adds a phase and leaves
//! the amplitude nearly as it was: of `J` numbers measured at every frequency it explains only those along `sin chi_j`. With
//! Gaussian `phi` and `a` of variance `P` and `alpha P` and white noise, the measured numbers are Gaussian with covariance
//! `C = sigma^2 1 + 4 P (s s^T + alpha c c^T)`, and the lens is what makes
//! `sum_k ln det C + D^+ C^-1 D` smallest, averaged for every frequency over powers `P` from weak to strong. Nothing is
//! assumed of where the atoms are. Aberrations are even, so that the spectra at `k` and `-k` say the same.
//!
//! Where a wave is known beforehand, as a network sees it, the Gaussians have its `phi` and `a` for means and powers `P` from next to
//! nothing on: it has the signs of a crystal's reflections, by which lenses differ that explain the images alike.
//!
//! The phase-object criterion for focal series goes back to E. J. Kirkland et al., Ultramicroscopy 15, 151 (1984), and
//! A. Thust et al., Ultramicroscopy 64, 249 (1996), doi:10.1016/0304-3991(96)00017-4.

use num_complex::Complex;
use rayon::prelude::*;

use crate::FocalSeries;
use crate::fit::Cholesky;
use crate::lens::{Estimate, LensPrior, LensState};

/// Frequencies that are looked at, in 1 / angstrom: below, the amplitude is not told from thickness and support; above, nothing
/// is left.
pub(crate) const FREQUENCIES_PER_ANGSTROM: [f64; 2] = [0.1, 1.4];

/// Most frequencies in the fine and in the coarse search.
const MOST_MODES: [usize; 2] = [5000, 1500];

/// Furthest that a step of the refinement goes, in units of the differences that derivatives are taken over.
const LONGEST_STEP: f64 = 12.0;

/// Differences over so many steps are tried where those over one step make no valley.
const WIDER: [f64; 3] = [1.0, 3.0, 9.0];

/// Most places from which a search is refined, and most lenses that it answers with.
const MOST_STARTS: usize = 10;
const MOST_LENSES: usize = 3;

/// Deviance in units of its reduced misfit by which a lens that is worse than another is left out.
const CLEARLY_WORSE: f64 = 200.0;

/// Powers of the phase that are tried, in units of the power that all images have together: the first few only of what is left of
/// a phase that is known beforehand.
const POWERS: [f64; 9] = [0.01, 0.03, 0.1, 0.3, 0.6, 1.2, 2.5, 6.0, 20.0];
const POWERS_OF_DIFFERENCES: usize = 3;

/// Which frequencies are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Those with most power in all images together: they have most to say on the lens.
    Strongest,
    /// As many from all, whatever their power: they say how power falls with frequency.
    Even,
}

/// Spectra of the images at some frequencies.
#[derive(Debug, Clone)]
pub(crate) struct Modes {
    images: usize,
    /// Along x and y, in 1 / angstrom.
    frequency: Vec<[f64; 2]>,
    /// `[mode][image]`.
    data: Vec<Complex<f64>>,
    /// Variance of the noise of every mode, model errors included.
    noise: Vec<f64>,
    /// Power of the logarithmic amplitude relative to that of the phase.
    amplitude_share: f64,
    /// `phi` and `a` of a wave that is known beforehand, of every mode.
    expected: Option<Vec<[Complex<f64>; 2]>>,
}

impl Modes {
    /// Takes frequencies of spectra `[image][kx, ky]` that have noise of variance `noise`: the strongest, or as many evenly from
    /// all. `model_error` is the fraction of the amplitude that a linear
    /// model is off by. `expected` has spectra of the phase and the logarithmic amplitude of a wave that is known beforehand.
    pub(crate) fn new(
        spectra: &[Vec<Complex<f32>>],
        expected: Option<&[Vec<Complex<f32>>; 2]>,
        [frequencies_x, frequencies_y]: [&[f64]; 2],
        choice: Choice,
        noise: f64,
        model_error: f64,
        amplitude_share: f64,
    ) -> Modes {
        let images = spectra.len();
        let ny = frequencies_y.len();
        let [lowest, highest] = FREQUENCIES_PER_ANGSTROM;
        let mut found: Vec<(f64, usize)> = Vec::new();
        for (i, kx) in frequencies_x.iter().enumerate() {
            for (j, ky) in frequencies_y.iter().enumerate() {
                let k = kx.hypot(*ky);
                // One of each pair of opposite frequencies.
                if !(lowest..=highest).contains(&k) || *kx < 0.0 || (*kx == 0.0 && *ky < 0.0) {
                    continue;
                }
                let index = i * ny + j;
                found.push((spectra.iter().map(|image| f64::from(image[index].norm_sqr())).sum(), index));
            }
        }
        match choice {
            Choice::Strongest => {
                found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                found.truncate(MOST_MODES[0]);
            }
            Choice::Even => {
                let every = found.len().div_ceil(MOST_MODES[0]).max(1);
                found = found.into_iter().step_by(every).collect();
            }
        }
        let wide = |value: Complex<f32>| Complex::new(f64::from(value.re), f64::from(value.im));
        let data = found.iter().flat_map(|(_, index)| spectra.iter().map(move |image| wide(image[*index]))).collect();
        let expected =
            expected.map(|[phi, a]| found.iter().map(|(_, index)| [wide(phi[*index]), wide(a[*index])]).collect());
        Modes {
            images,
            frequency: found.iter().map(|(_, index)| [frequencies_x[index / ny], frequencies_y[index % ny]]).collect(),
            data,
            noise: found.iter().map(|(power, _)| noise + model_error.powi(2) * power / images as f64).collect(),
            amplitude_share,
            expected,
        }
    }

    fn first(&self, count: usize) -> Modes {
        let count = count.min(self.frequency.len());
        Modes {
            images: self.images,
            frequency: self.frequency[..count].to_vec(),
            data: self.data[..count * self.images].to_vec(),
            noise: self.noise[..count].to_vec(),
            amplitude_share: self.amplitude_share,
            expected: self.expected.as_ref().map(|expected| expected[..count].to_vec()),
        }
    }

    /// The focal spread (standard deviation in angstrom) that makes the images' power fall with frequency as that of atoms does, with its
    /// standard deviation; what blurs besides is as in `lens`. At every frequency the part along `s` is taken for
    /// Student's t with two degrees of freedom (most frequencies of a crystal have little, few have much) around the power that
    /// `shape` gives.
    pub(crate) fn focal_spread(&self, lens: &LensState, prior: Estimate, shape: impl Fn(f64) -> f64) -> Estimate {
        let found: Vec<[f64; 3]> = self
            .frequency
            .iter()
            .zip(self.data.chunks_exact(self.images))
            .zip(&self.noise)
            .filter_map(|((frequency, data), noise)| {
                let [kx, ky] = *frequency;
                let k = kx.hypot(ky);
                let (mut ss, mut along) = (0.0, Complex::new(0.0, 0.0));
                for (image, value) in data.iter().enumerate() {
                    let sin = 2.0 * lens.chi_rad(image, kx, ky).sin();
                    let (back, turn) = lens.shift_phase_rad(image, kx, ky).sin_cos();
                    along += value * Complex::new(turn, back) * sin;
                    ss += sin * sin;
                }
                // Frequencies that no image transmits say nothing.
                (ss > 0.3).then(|| [k, along.norm_sqr() / ss / noise, ss * shape(k) * lens.blur(k).powi(2) / noise])
            })
            .collect();
        let cost = |spread: f64, power: f64| -> f64 {
            let mut trial = lens.clone();
            trial.focal_spread_angstrom = spread;
            let sum: f64 = found
                .iter()
                .map(|[k, measured, signal]| {
                    let variance = 1.0 + power * signal * trial.envelope(*k).powi(2);
                    variance.ln() + 2.0 * (1.0 + measured / variance).ln()
                })
                .sum();
            let off = if prior.sigma > 0.0 { (spread - prior.value) / prior.sigma } else { 0.0 };
            sum + 0.5 * off * off
        };
        // The best power for every spread, by golden section over its logarithm.
        let profile = |spread: f64| -> f64 {
            let (mut low, mut high) = (-16.0_f64, 16.0_f64);
            let typical = {
                let ratio = found.iter().map(|[_, measured, signal]| measured / signal).sum::<f64>();
                (ratio / found.len().max(1) as f64).max(1e-300).ln()
            };
            low += typical;
            high += typical;
            let ratio = 0.5 * (5.0_f64.sqrt() - 1.0);
            let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
            let (mut at_a, mut at_b) = (cost(spread, a.exp()), cost(spread, b.exp()));
            while high - low > 0.02 {
                if at_a < at_b {
                    (high, b, at_b) = (b, a, at_a);
                    a = high - ratio * (high - low);
                    at_a = cost(spread, a.exp());
                } else {
                    (low, a, at_a) = (a, b, at_b);
                    b = low + ratio * (high - low);
                    at_b = cost(spread, b.exp());
                }
            }
            at_a.min(at_b)
        };
        let step = 0.5;
        let highest = (prior.value + 4.0 * prior.sigma).max(step);
        let places: Vec<f64> = (0..=(highest / step).ceil() as usize).map(|i| i as f64 * step).collect();
        let costs: Vec<f64> = places.par_iter().map(|spread| profile(*spread)).collect();
        let best = (0..costs.len()).min_by(|a, b| costs[*a].total_cmp(&costs[*b])).unwrap_or(0);
        if best == 0 || best + 1 == costs.len() {
            return Estimate::new(places[best], prior.sigma);
        }
        let bend = costs[best - 1] + costs[best + 1] - 2.0 * costs[best];
        let vertex = 0.5 * (costs[best - 1] - costs[best + 1]) / bend.max(1e-9);
        Estimate::new(places[best] + vertex.clamp(-0.5, 0.5) * step, step / bend.max(1e-9).sqrt())
    }

    /// Degrees of freedom: numbers measured, less what every frequency takes for its phase.
    fn freedom(&self) -> f64 {
        (2 * self.frequency.len() * (self.images - 1)) as f64
    }

    /// Minus twice the logarithm of how likely the spectra are for a lens, and of it the part that should be as large as
    /// [`freedom`](Self::freedom).
    fn deviance(&self, lens: &LensState) -> [f64; 2] {
        let lambda = lens.wavelength_angstrom;
        let mut total = 0.0;
        let mut chi_squared = 0.0;
        let powers = if self.expected.is_some() { &POWERS[..] } else { &POWERS[POWERS_OF_DIFFERENCES..] };
        for (mode, ((frequency, data), noise)) in
            self.frequency.iter().zip(self.data.chunks_exact(self.images)).zip(&self.noise).enumerate()
        {
            let [kx, ky] = *frequency;
            let expected = self.expected.as_ref().map(|expected| {
                let k = kx.hypot(ky);
                let strength = 2.0 * lens.envelope(k) * lens.blur(k);
                expected[mode].map(|value| value * strength)
            });
            let common = lens.common_chi_rad(kx, ky);
            let per_angstrom = std::f64::consts::PI * lambda * (kx * kx + ky * ky);
            let (mut ss, mut cc, mut sc, mut power, mut whole) = (0.0, 0.0, 0.0, 0.0, 0.0);
            let (mut along_s, mut along_c) = (Complex::new(0.0, 0.0), Complex::new(0.0, 0.0));
            for (image, value) in data.iter().enumerate() {
                let (sin, cos) = (common - per_angstrom * lens.defocus_angstrom[image]).sin_cos();
                let shift = lens.shift_angstrom[image];
                let value = if shift == [0.0; 2] {
                    *value
                } else {
                    let (sin, cos) = lens.shift_phase_rad(image, kx, ky).sin_cos();
                    value * Complex::new(cos, sin)
                };
                whole += value.norm_sqr();
                let value = expected.map_or(value, |[phi, a]| value - phi * sin + a * cos);
                ss += sin * sin;
                cc += cos * cos;
                sc += sin * cos;
                along_s += value * sin;
                along_c += value * cos;
                power += value.norm_sqr();
            }
            let (ss, cc, sc) = (4.0 * ss / noise, 4.0 * cc / noise, 4.0 * sc / noise);
            let (square_s, square_c) = (4.0 * along_s.norm_sqr() / noise, 4.0 * along_c.norm_sqr() / noise);
            let cross = 4.0 * (along_s * along_c.conj()).re / noise;
            let scale = (whole / (4.0 * self.images as f64)).max(0.1 * noise);
            let mut tried = [[0.0; 2]; POWERS.len()];
            let tried = &mut tried[..powers.len()];
            for (tried, factor) in tried.iter_mut().zip(powers) {
                let p = factor * scale;
                let q = self.amplitude_share * p;
                // One plus the matrix of the explained part, in the basis of s and c scaled by their powers.
                let (a, b, d) = (1.0 + p * ss, (p * q).sqrt() * sc, 1.0 + q * cc);
                let determinant = a * d - b * b;
                let explained = (d * p * square_s + a * q * square_c - 2.0 * b * (p * q).sqrt() * cross) / determinant;
                // For complex numbers the exponent is the squared distance itself, not half of it.
                let squared = (power - explained) / noise;
                *tried = [squared + determinant.ln(), squared];
            }
            let least = tried.iter().fold(f64::INFINITY, |least, [value, _]| least.min(*value));
            let (mut sum, mut weighted) = (0.0, 0.0);
            for [value, squared] in tried.iter() {
                let likelihood = (least - value).exp();
                sum += likelihood;
                weighted += likelihood * squared;
            }
            total += 2.0 * (least - sum.ln() + self.images as f64 * noise.ln());
            chi_squared += 2.0 * weighted / sum;
        }
        [total, chi_squared]
    }
}

/// A number of the lens or the stage that is looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unknown {
    /// The focus of all images in common.
    Focus,
    Defocus(usize),
    Twofold(usize),
    Spherical,
    Shift(usize, usize),
}

impl Unknown {
    fn value(self, lens: &LensState) -> f64 {
        match self {
            // All images' focus moves together: only changes mean anything.
            Unknown::Focus => lens.defocus_angstrom[0],
            Unknown::Defocus(image) => lens.defocus_angstrom[image],
            Unknown::Twofold(part) => lens.twofold_angstrom[part],
            Unknown::Spherical => lens.c30_angstrom,
            Unknown::Shift(image, axis) => lens.shift_angstrom[image][axis],
        }
    }

    fn add(self, lens: &mut LensState, change: f64) {
        match self {
            Unknown::Focus => lens.defocus_angstrom.iter_mut().for_each(|value| *value += change),
            Unknown::Defocus(image) => lens.defocus_angstrom[image] += change,
            Unknown::Twofold(part) => lens.twofold_angstrom[part] += change,
            Unknown::Spherical => lens.c30_angstrom += change,
            Unknown::Shift(image, axis) => lens.shift_angstrom[image][axis] += change,
        }
    }

    /// A change that matters little, in angstrom: over which differences are taken.
    fn step_angstrom(self) -> f64 {
        match self {
            Unknown::Focus | Unknown::Defocus(_) => 0.5,
            Unknown::Twofold(_) => 0.5,
            Unknown::Spherical => 3e3,
            Unknown::Shift(..) => 0.02,
        }
    }
}

/// The search for a lens.
#[derive(Debug, Clone)]
pub(crate) struct LensSearch {
    unknowns: Vec<Unknown>,
    /// What was thought beforehand.
    start: LensState,
    /// Inverse covariance of the unknowns beforehand, `[n][n]`.
    stiffness: Vec<f64>,
    offset_sigma: f64,
    c30_sigma: f64,
    twofold_sigma: f64,
}

/// A lens that was found, and the standard deviations of what was looked for.
#[derive(Debug, Clone)]
pub(crate) struct FoundLens {
    pub(crate) lens: LensState,
    pub(crate) deviance: f64,
    pub(crate) defocus_sigma: Vec<f64>,
    pub(crate) twofold_sigma: [f64; 2],
    pub(crate) c30_sigma: f64,
    pub(crate) shift_sigma: Vec<[f64; 2]>,
    /// Focal spread in angstrom; the search for the other numbers does not touch it.
    pub(crate) spread: Estimate,
}

/// Whether two lenses are too near each other to be two.
fn same_place(a: &LensState, b: &LensState) -> bool {
    (a.defocus_angstrom[0] - b.defocus_angstrom[0]).abs() < 6.0 && (a.c30_angstrom - b.c30_angstrom).abs() < 3e4
}

impl LensSearch {
    /// A search around what is thought beforehand; `start` has the shifts that were measured.
    pub(crate) fn new(series: &FocalSeries, prior: &LensPrior, start: &LensState) -> LensSearch {
        let images = series.len();
        let offset_sigma = prior.offset_sigma_angstrom(series);
        let nominal = &series.defocus_angstrom;
        let mean = nominal.iter().sum::<f64>() / images as f64;
        let step = nominal.iter().map(|value| (value - mean).abs()).sum::<f64>() / images as f64;
        // Half an angstrom for each at the least: a covariance has to have an inverse.
        let each = (prior.step_sigma * step).max(0.5);
        let covariance: Vec<f64> = (0..images * images)
            .map(|index| {
                let (i, j) = (index / images, index % images);
                let common = offset_sigma.max(1e-3).powi(2);
                let scaled = prior.step_sigma.powi(2) * (nominal[i] - mean) * (nominal[j] - mean);
                common + scaled + if i == j { each * each } else { 0.0 }
            })
            .collect();
        let focus = Cholesky::new(&covariance, images).expect("a covariance with a positive diagonal").inverse();
        let mut unknowns: Vec<Unknown> = (0..images).map(Unknown::Defocus).collect();
        let mut sigmas = vec![0.0; images];
        let mut add = |unknown, sigma: f64| {
            if sigma > 0.0 {
                unknowns.push(unknown);
                sigmas.push(sigma);
            }
        };
        add(Unknown::Twofold(0), prior.twofold_angstrom[0].sigma);
        add(Unknown::Twofold(1), prior.twofold_angstrom[1].sigma);
        add(Unknown::Spherical, prior.c30_angstrom.sigma);
        for image in 1..images {
            add(Unknown::Shift(image, 0), prior.shift_sigma_angstrom);
            add(Unknown::Shift(image, 1), prior.shift_sigma_angstrom);
        }
        let n = unknowns.len();
        let mut stiffness = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                stiffness[i * n + j] = match (i < images, j < images) {
                    (true, true) => focus[i * images + j],
                    (false, false) if i == j => sigmas[i].powi(-2),
                    _ => 0.0,
                };
            }
        }
        LensSearch {
            unknowns,
            start: start.clone(),
            stiffness,
            offset_sigma,
            c30_sigma: prior.c30_angstrom.sigma,
            twofold_sigma: prior.twofold_angstrom[0].sigma.max(prior.twofold_angstrom[1].sigma),
        }
    }

    /// Deviance with what was thought beforehand.
    fn objective(&self, modes: &Modes, lens: &LensState) -> f64 {
        let n = self.unknowns.len();
        let change: Vec<f64> = self.unknowns.iter().map(|u| u.value(lens) - u.value(&self.start)).collect();
        let prior: f64 =
            (0..n).map(|i| change[i] * (0..n).map(|j| self.stiffness[i * n + j] * change[j]).sum::<f64>()).sum();
        modes.deviance(lens)[0] + prior
    }

    /// The unknowns that all images share: enough to find the neighbourhood.
    fn common(&self) -> Vec<Unknown> {
        let shared = self.unknowns.iter().filter(|u| matches!(u, Unknown::Twofold(_) | Unknown::Spherical));
        std::iter::once(Unknown::Focus).chain(shared.copied()).collect()
    }

    /// Goes over focus and spherical aberration, then astigmatism, refines the best few, and returns them, the best first. A
    /// crystal looks the same with several lenses (at steps of focus and spherical aberration that turn all its reflections by
    /// half a turn or none); only its defects and borders say which is right, or that atoms add to the phase.
    ///
    /// `hypotheses` are lenses that were found otherwise, and are looked at as well.
    pub(crate) fn anywhere(&self, modes: &Modes, hypotheses: &[LensState]) -> Vec<FoundLens> {
        let few = modes.first(MOST_MODES[1]);
        let places = |sigma: f64, step: f64, reach: f64| -> Vec<f64> {
            let count = (reach * sigma / step).ceil() as i64;
            (-count..=count).map(|i| i as f64 * step).collect()
        };
        let offsets = places(self.offset_sigma, 3.0, 2.5);
        let spherical = places(self.c30_sigma.min(4e5), 2e4, 1.5);
        let mut grid: Vec<(f64, f64, f64)> = offsets
            .par_iter()
            .flat_map_iter(|offset| spherical.iter().map(move |c30| (*offset, *c30)))
            .map(|(offset, c30)| {
                let mut lens = self.start.clone();
                Unknown::Focus.add(&mut lens, offset);
                Unknown::Spherical.add(&mut lens, c30);
                (self.objective(&few, &lens), offset, c30)
            })
            .collect();
        grid.sort_by(|a, b| a.0.total_cmp(&b.0));
        // The best that are not neighbours.
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for (_, offset, c30) in grid {
            if taken.len() < MOST_STARTS
                && taken.iter().all(|(o, c): &(f64, f64)| (o - offset).abs() > 7.0 || (c - c30).abs() > 5e4)
            {
                taken.push((offset, c30));
            }
        }
        let astigmatic = places(self.twofold_sigma.min(12.0), 6.0, 1.0);
        let common = self.common();
        let mut found: Vec<FoundLens> = Vec::new();
        let mut add = |one: FoundLens| {
            // Several starts may end in one place.
            match found.iter_mut().find(|other| same_place(&other.lens, &one.lens)) {
                Some(other) if one.deviance < other.deviance => *other = one,
                Some(_) => {}
                None => found.push(one),
            }
        };
        for lens in hypotheses {
            add(self.refined_in(&few, lens, &common, 12));
        }
        for (offset, c30) in taken {
            let tried: Vec<(f64, LensState)> = astigmatic
                .par_iter()
                .flat_map_iter(|a| astigmatic.iter().map(move |b| [*a, *b]))
                .map(|change| {
                    let mut lens = self.start.clone();
                    Unknown::Focus.add(&mut lens, offset);
                    Unknown::Spherical.add(&mut lens, c30);
                    for unknown in &common {
                        if let Unknown::Twofold(part) = unknown {
                            unknown.add(&mut lens, change[*part]);
                        }
                    }
                    (self.objective(&few, &lens), lens)
                })
                .collect();
            let (_, lens) = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).expect("one place at the least");
            add(self.refined_in(&few, &lens, &common, 12));
        }
        let best = |found: &mut Vec<FoundLens>, count: usize| {
            found.sort_by(|a, b| a.deviance.total_cmp(&b.deviance));
            found.truncate(count);
        };
        best(&mut found, MOST_LENSES);
        let mut found: Vec<FoundLens> = found.into_iter().map(|one| self.refined(modes, &one.lens)).collect();
        best(&mut found, MOST_LENSES);
        let reduced = (modes.deviance(&found[0].lens)[1] / modes.freedom()).max(1.0);
        let limit = found[0].deviance + CLEARLY_WORSE * reduced;
        found.retain(|one| one.deviance <= limit);
        found
    }

    /// The deviance of the best of some lenses when what all images share of them is refined, in units of its reduced misfit.
    pub(crate) fn likeliest(&self, modes: &Modes, lenses: &[LensState]) -> Option<f64> {
        let few = modes.first(MOST_MODES[1]);
        let common = self.common();
        let found = lenses.iter().map(|lens| self.refined_in(&few, lens, &common, 8));
        let best = found.min_by(|a, b| a.deviance.total_cmp(&b.deviance))?;
        Some(best.deviance / (few.deviance(&best.lens)[1] / few.freedom()).max(1.0))
    }

    /// Refines all unknowns.
    pub(crate) fn refined(&self, modes: &Modes, from: &LensState) -> FoundLens {
        self.refined_in(modes, from, &self.unknowns, 25)
    }

    /// Newton's steps with differences for derivatives, damped as by Levenberg and Marquardt.
    fn refined_in(&self, modes: &Modes, from: &LensState, unknowns: &[Unknown], most_steps: usize) -> FoundLens {
        let n = unknowns.len();
        let steps: Vec<f64> = unknowns.iter().map(|unknown| unknown.step_angstrom()).collect();
        let moved = |lens: &LensState, change: &[f64]| {
            let mut out = lens.clone();
            for (unknown, change) in unknowns.iter().zip(change) {
                unknown.add(&mut out, *change);
            }
            out
        };
        let mut lens = from.clone();
        let mut value = self.objective(modes, &lens);
        let mut damping = 1e-2;
        let mut curvature = vec![0.0; n * n];
        // Gradient and curvature in units of the steps, from differences over so many steps; between two unknowns from differences to one side,
        // or four times as many to all.
        let derivatives = |lens: &LensState, value: f64, times: f64, all_sides: bool| -> (Vec<f64>, Vec<f64>) {
            // All single and all pairs of steps, in one order.
            let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).collect();
            let at = |change: &[(usize, f64)]| {
                let mut all = vec![0.0; n];
                for (index, step) in change {
                    all[*index] += times * step;
                }
                self.objective(modes, &moved(lens, &all))
            };
            let single: Vec<[f64; 2]> =
                (0..n).into_par_iter().map(|i| [at(&[(i, steps[i])]), at(&[(i, -steps[i])])]).collect();
            let second: Vec<f64> = pairs
                .par_iter()
                .map(|(i, j)| {
                    if i == j {
                        return single[*i][0] + single[*i][1] - 2.0 * value;
                    }
                    let at = |first: f64, second: f64| at(&[(*i, first * steps[*i]), (*j, second * steps[*j])]);
                    if all_sides {
                        // Free of the fourth derivative, which differences to two of the four sides are not.
                        0.25 * (at(1.0, 1.0) + at(-1.0, -1.0) - at(1.0, -1.0) - at(-1.0, 1.0))
                    } else {
                        at(1.0, 1.0) - single[*i][0] - single[*j][0] + value
                    }
                })
                .collect();
            let gradient = (0..n).map(|i| (single[i][0] - single[i][1]) / (2.0 * times)).collect();
            let mut curvature = vec![0.0; n * n];
            for ((i, j), second) in pairs.iter().zip(&second) {
                curvature[i * n + j] = second / (times * times);
                curvature[j * n + i] = second / (times * times);
            }
            (gradient, curvature)
        };
        for _ in 0..most_steps {
            let gradient;
            (gradient, curvature) = derivatives(&lens, value, 1.0, false);
            let mut gained = None;
            while damping < 1e8 {
                let mut damped = curvature.clone();
                for i in 0..n {
                    let own = curvature[i * n + i].abs();
                    damped[i * n + i] +=
                        damping * own.max(1e-3) + if curvature[i * n + i] < 0.0 { 2.0 * own } else { 0.0 };
                }
                if let Some(factors) = Cholesky::new(&damped, n) {
                    let newton = factors.solve(&gradient);
                    // Not further than the surface can be thought of as a bowl, and not aside from its valley.
                    let furthest = newton.iter().fold(0.0, |most: f64, change| most.max(change.abs()));
                    let shorter = (LONGEST_STEP / furthest).min(1.0);
                    let change: Vec<f64> =
                        newton.iter().zip(&steps).map(|(change, step)| -change * shorter * step).collect();
                    let there = moved(&lens, &change);
                    let there_value = self.objective(modes, &there);
                    if there_value < value {
                        gained = Some(value - there_value);
                        lens = there;
                        value = there_value;
                        damping = (damping * 0.1).max(1e-6);
                        break;
                    }
                }
                damping *= 6.0;
            }
            if gained.is_none_or(|gained| gained < 0.02) {
                break;
            }
        }
        // The deviance is curved twice as much as its half, the negative logarithm.
        let inverse = |curvature: &[f64]| {
            let half: Vec<f64> = curvature.iter().map(|value| 0.5 * value).collect();
            Cholesky::new(&half, n).map(|factors| factors.inverse())
        };
        let reduced = (modes.deviance(&lens)[1] / modes.freedom()).max(1.0);
        // The bottom may be rough; seen from further away it is a bowl.
        let wider = || WIDER.iter().find_map(|times| inverse(&derivatives(&lens, value, *times, true).1));
        let covariance = inverse(&curvature).or_else(wider);
        let beforehand = |wanted: Unknown| -> f64 {
            let all = self.unknowns.len();
            let place = self.unknowns.iter().position(|unknown| *unknown == wanted);
            let inverse = Cholesky::new(&self.stiffness, all).map(|factors| factors.inverse());
            place.zip(inverse).map_or(f64::INFINITY, |(i, inverse)| inverse[i * all + i].sqrt())
        };
        let sigma = |wanted: Unknown| -> f64 {
            unknowns.iter().position(|unknown| *unknown == wanted).map_or(0.0, |i| match &covariance {
                Some(covariance) => (covariance[i * n + i] * reduced).sqrt() * steps[i],
                // On a ridge the images say nothing, and what was thought beforehand stands.
                None => beforehand(wanted),
            })
        };
        let images = lens.defocus_angstrom.len();
        FoundLens {
            deviance: value,
            defocus_sigma: (0..images).map(|image| sigma(Unknown::Defocus(image))).collect(),
            twofold_sigma: [sigma(Unknown::Twofold(0)), sigma(Unknown::Twofold(1))],
            c30_sigma: sigma(Unknown::Spherical),
            shift_sigma: (0..images)
                .map(|image| [sigma(Unknown::Shift(image, 0)), sigma(Unknown::Shift(image, 1))])
                .collect(),
            spread: Estimate::new(lens.focal_spread_angstrom, 0.0),
            lens,
        }
    }
}
