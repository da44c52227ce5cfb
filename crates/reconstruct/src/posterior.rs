//! How likely a wave is, given the images and what is known of waves: what the solution minimises.
//!
//! `L = 1/2 sum_j |I_j - model_j|^2 / sigma^2 + 1/2 sum_k |phi(k)|^2 / P(k) + |a(k)|^2 / (alpha(k) P(k))`. The power `P` falls with
//! frequency as the squared scattering factor of an atom does, so that frequencies of which the images say nothing come out
//! as nothing rather than as noise (N. Wiener's filter). The amplitude of a thin specimen is nearly one: `alpha` is small,
//! save at low frequencies, where thickness, support and electrons scattered beyond the lens show in it.
//!
//! To this comes a penalty for phases below zero, that of the vacuum.
//!
//! The Hessian of linear imaging is diagonal in frequency, two by two in `(phi, a)`: its inverse leads the steps.

use num_complex::Complex;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ReconstructError;
use crate::forward::{ForwardModel, PIECE, over_frequencies};
use crate::lens::LensState;
use crate::prepare::Prepared;

/// Frequency in 1 / angstrom at which the scattering factor of an atom has fallen to half in this model: Mo and S by the
/// tables of I. Lobato and D. Van Dyck, Acta Cryst. A 70, 636 (2014), doi:10.1107/S205327331401643X, within a factor of 1.5 up to
/// 1.5 / angstrom.
const ATOM_PER_ANGSTROM: f64 = 0.45;

/// Frequency in 1 / angstrom below which edges and thickness add to the power.
const FIELD_PER_ANGSTROM: f64 = 0.05;

/// Frequency in 1 / angstrom below which the amplitude may be anything.
const FREE_AMPLITUDE_PER_ANGSTROM: f64 = 0.1;

/// What is known of waves beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WavePrior {
    /// Power of the logarithmic amplitude relative to that of the phase: small for a thin specimen, 1 if nothing is known of
    /// it (then the aberrations common to all images cannot be told).
    pub amplitude_share: f64,
    /// Standard deviation in radian of phases below that of the vacuum: atoms only add to it. It is what tells slow changes of
    /// the phase over the field, of which images say next to nothing. 0 if negative phases are as good as positive ones.
    pub negative_phase_rad: f64,
    /// Power of what a wave to begin with is off by, relative to the power of the phase: where images say nothing, the result
    /// stays with that wave. 1 if it is only where the steps begin.
    pub start_share: f64,
}

impl Default for WavePrior {
    fn default() -> Self {
        WavePrior { amplitude_share: 0.02, negative_phase_rad: 0.2, start_share: 0.2 }
    }
}

impl WavePrior {
    /// Refuses what is no share.
    ///
    /// # Errors
    /// A share that is not above 0 and at most 1.
    pub fn check(&self) -> Result<(), ReconstructError> {
        let negative = self.negative_phase_rad;
        if !(negative.is_finite() && negative >= 0.0) {
            return Err(ReconstructError::OutOfRange {
                name: "standard deviation of negative phases in radian",
                found: negative,
                expected: "a finite number, 0 or more",
            });
        }
        for (name, found) in
            [("share of the amplitude", self.amplitude_share), ("share of the start's error", self.start_share)]
        {
            if !(found > 0.0 && found <= 1.0) {
                return Err(ReconstructError::OutOfRange { name, found, expected: "above 0, at most 1" });
            }
        }
        Ok(())
    }

    /// Share at a frequency in 1 / angstrom.
    pub(crate) fn share(&self, k: f64) -> f64 {
        let free = (-(k / FREE_AMPLITUDE_PER_ANGSTROM).powi(2)).exp();
        (self.amplitude_share + free).min(1.0)
    }
}

/// The power of the phase by frequency in 1 / angstrom, up to a factor.
pub(crate) fn power_shape(k: f64, longest_angstrom: f64) -> f64 {
    let atom = 1.0 + (k / ATOM_PER_ANGSTROM).powi(2);
    let field = (FIELD_PER_ANGSTROM / k.max(1.0 / longest_angstrom)).powi(3);
    (1.0 + field) / (atom * atom)
}

/// What steps do with the slowest changes over the field. Images tell next to nothing of their phase, so that what is not linear
/// in the rest would be taken for huge slow changes while the rest is not yet found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlowChanges {
    /// They hardly move.
    Held,
    /// They are found like all others.
    Free,
}

/// The function that the wave minimises, and its metric.
#[derive(Debug)]
pub(crate) struct Posterior<'a> {
    model: ForwardModel<'a>,
    prepared: &'a Prepared,
    /// `1 / P` and `1 / (alpha P)`, `[kx, ky]`.
    stiffness: Vec<[f32; 2]>,
    /// Inverse Hessian of linear imaging: half the sum of its diagonal, half the difference, and the element between.
    metric: Vec<[f32; 3]>,
    /// Stiffness against negative phases.
    positive: f32,
    /// The complex phase that is thought most likely, if it is not zero.
    mean: Option<&'a [Complex<f32>]>,
    space: [Vec<Complex<f32>>; 2],
    /// Half the squared residuals of every image, of the last evaluation.
    pub(crate) misfit: Vec<f64>,
}

impl<'a> Posterior<'a> {
    /// The posterior for a lens; `power` is the factor of the prior's power.
    pub(crate) fn new(
        prepared: &'a Prepared,
        lens: &LensState,
        prior: &WavePrior,
        power: f64,
        slow: SlowChanges,
        mean: Option<&'a [Complex<f32>]>,
    ) -> Posterior<'a> {
        let power = if mean.is_some() { power * prior.start_share } else { power };
        let longest = prepared.grid.field_x_angstrom().max(prepared.grid.field_y_angstrom());
        let inverse_variance = 1.0 / prepared.noise_variance;
        let images = lens.defocus_angstrom.len();
        let positive = if prior.negative_phase_rad > 0.0 { prior.negative_phase_rad.powi(-2) } else { 0.0 };
        // The penalty acts where the phase is negative: in places between atoms.
        let negative = 0.3 * positive;
        let both = over_frequencies(prepared, |kx, ky| {
            let k = kx.hypot(ky);
            let p = power * power_shape(k, longest);
            let stiffness = [1.0 / p, 1.0 / (prior.share(k) * p)];
            let strength = 4.0 * (lens.envelope(k) * lens.blur(k)).powi(2) * inverse_variance;
            let (mut ss, mut cc, mut sc) = (0.0, 0.0, 0.0);
            for image in 0..images {
                let (sin, cos) = lens.chi_rad(image, kx, ky).sin_cos();
                ss += sin * sin;
                cc += cos * cos;
                sc -= sin * cos;
            }
            let (a, b, d) = (strength * ss + stiffness[0] + negative, strength * sc, strength * cc + stiffness[1]);
            let determinant = a * d - b * b;
            let (h00, h11, h01) = (d / determinant, a / determinant, -b / determinant);
            let step = match slow {
                // The mean is no change.
                SlowChanges::Held if k > 0.0 => 1.0 - (-(k / FREE_AMPLITUDE_PER_ANGSTROM).powi(4)).exp(),
                _ => 1.0,
            };
            let metric = [0.5 * (h00 + h11) * step, 0.5 * (h00 - h11) * step, h01 * step];
            (stiffness.map(|value| value as f32), metric.map(|value| value as f32))
        });
        let (stiffness, metric) = both.into_iter().unzip();
        let count = prepared.fourier.len();
        let empty = || vec![Complex::default(); count];
        Posterior {
            model: ForwardModel::new(prepared, lens),
            prepared,
            stiffness,
            metric,
            positive: positive as f32,
            mean,
            space: [empty(), empty()],
            misfit: Vec::new(),
        }
    }

    /// The images' model.
    pub(crate) fn model(&mut self) -> &mut ForwardModel<'a> {
        &mut self.model
    }

    /// The variance of the phase, in square radian, that images and prior leave.
    pub(crate) fn phase_variance(&self) -> f64 {
        // The constant phase means nothing.
        let sum: f64 = self.metric[1..].iter().map(|[sum, difference, _]| f64::from(sum + difference)).sum();
        sum / self.metric.len() as f64
    }

    /// The value at a complex phase and its gradient, which is written over.
    pub(crate) fn value(&mut self, phase: &[Complex<f32>], gradient: &mut [Complex<f32>]) -> f64 {
        self.misfit = self.model.misfit(phase, gradient);
        let fourier = &self.prepared.fourier;
        let [spectrum, other] = &mut self.space;
        other.copy_from_slice(phase);
        if let Some(mean) = self.mean {
            other.par_iter_mut().zip(mean).for_each(|(value, mean)| *value -= mean);
        }
        fourier.forward(other, spectrum);
        let energy = pairwise(spectrum, other, fourier.ny, |index, own, opposite| {
            let [phase, amplitude] = self.stiffness[index];
            let (phi, a) = ((own + opposite) * 0.5, (own - opposite) * Complex::new(0.0, -0.5));
            let energy = phase * phi.norm_sqr() + amplitude * a.norm_sqr();
            (phi * phase + a * Complex::new(0.0, amplitude), f64::from(energy))
        });
        fourier.inverse(other, spectrum);
        let scale = 1.0 / fourier.len() as f32;
        let positive = self.positive;
        let negative: Vec<f64> = gradient
            .par_chunks_mut(PIECE)
            .zip(spectrum.par_chunks(PIECE))
            .zip(phase.par_chunks(PIECE))
            .map(|((gradient, prior), phase)| {
                let mut sum = 0.0;
                for ((gradient, prior), phase) in gradient.iter_mut().zip(prior).zip(phase) {
                    let below = phase.re.min(0.0);
                    sum += f64::from(below * below);
                    *gradient += prior * scale + positive * below;
                }
                sum
            })
            .collect();
        let negative = f64::from(positive) * negative.iter().sum::<f64>();
        self.misfit.iter().sum::<f64>() + 0.5 * (energy / fourier.len() as f64 + negative)
    }

    /// Multiplies by the inverse Hessian of linear imaging, in place.
    pub(crate) fn precondition(&mut self, values: &mut [Complex<f32>]) {
        let fourier = &self.prepared.fourier;
        let [spectrum, other] = &mut self.space;
        fourier.forward(values, spectrum);
        let scale = 1.0 / fourier.len() as f32;
        pairwise(spectrum, other, fourier.ny, |index, own, opposite| {
            let [sum, difference, between] = self.metric[index];
            ((own * sum + opposite * Complex::new(difference, between)) * scale, 0.0)
        });
        fourier.inverse(other, values);
    }
}

/// Fills `out` with what `value` makes of every element of a spectrum `[kx, ky]` and of the conjugate of that at the opposite
/// frequency; returns the sum of the second results.
pub(crate) fn pairwise(
    spectrum: &[Complex<f32>],
    out: &mut [Complex<f32>],
    ny: usize,
    value: impl Fn(usize, Complex<f32>, Complex<f32>) -> (Complex<f32>, f64) + Sync,
) -> f64 {
    let nx = spectrum.len() / ny;
    let sums: Vec<f64> = out
        .par_chunks_mut(ny)
        .enumerate()
        .map(|(i, out)| {
            let opposite = &spectrum[(nx - i) % nx * ny..][..ny];
            let mut sum = 0.0;
            for (j, out) in out.iter_mut().enumerate() {
                let (result, energy) = value(i * ny + j, spectrum[i * ny + j], opposite[(ny - j) % ny].conj());
                *out = result;
                sum += energy;
            }
            sum
        })
        .collect();
    sums.iter().sum()
}

impl crate::minimise::Objective for Posterior<'_> {
    fn value(&mut self, x: &[Complex<f32>], gradient: &mut [Complex<f32>]) -> f64 {
        Posterior::value(self, x, gradient)
    }

    fn precondition(&mut self, values: &mut [Complex<f32>]) {
        Posterior::precondition(self, values);
    }
}
