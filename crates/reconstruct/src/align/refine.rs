//! Shifts, focus and aberrations that together explain most of the images' weighted power.
//!
//! With `phi` free at every frequency, images `s_j phi exp(-2 pi i k.t_j)` of transfer `s_j = sin(chi_j)` are explained best by
//! `phi = sum s_j G_j / S`, `G_j` being the images moved back and `S = sum s_j^2`; what is explained is `Q = sum w |sum s_j G_j|^2 / S`. Its derivatives with
//! respect to displacements and phases `chi_j` are elementary.

use std::f64::consts::{PI, TAU};

use num_complex::Complex;

use super::lens::Lens;
use super::search::{Candidate, LEAST_TRANSFER, back};
use super::spectra::Spectra;
use crate::fit::{Cholesky, maximise};

/// Most steps of a climb.
const MOST_STEPS: usize = 60;

/// What was believed before, as Gaussians.
#[derive(Debug, Clone)]
pub(super) struct Beliefs {
    /// Defocus of each image; only the differences, if the absolute one is not known.
    pub(super) defocus_angstrom: Vec<f64>,
    /// Standard deviation of each image's defocus against the mean of all.
    pub(super) step_sigma_angstrom: Vec<f64>,
    /// Standard deviation of the mean; infinite if not known.
    pub(super) mean_sigma_angstrom: f64,
    pub(super) cs_angstrom: f64,
    pub(super) cs_sigma_angstrom: f64,
    pub(super) astigmatism_sigma_angstrom: f64,
}

/// The climb from candidates to the nearest maximum.
pub(super) struct Refinement<'a> {
    pub(super) spectra: &'a Spectra,
    pub(super) beliefs: &'a Beliefs,
    /// The image whose displacement stays 0.
    pub(super) reference: usize,
    /// Changes of displacement, defocus and spherical aberration that matter alike.
    pub(super) units: [f64; 3],
}

impl Refinement<'_> {
    fn images(&self) -> usize {
        self.spectra.values.len()
    }

    /// Parameters in their units: x and y of every image but the reference, focus of every image, spherical aberration, both
    /// parts of the astigmatism.
    fn packed(&self, candidate: &Candidate) -> Vec<f64> {
        let [shift, focus, cs] = self.units;
        let mut out = Vec::new();
        for (image, place) in candidate.shift_angstrom.iter().enumerate() {
            if image != self.reference {
                out.extend(place.map(|t| t / shift));
            }
        }
        out.extend(candidate.lens.defocus_angstrom.iter().map(|f| f / focus));
        out.push(candidate.lens.cs_angstrom / cs);
        out.extend(candidate.lens.astigmatism_angstrom.map(|a| a / focus));
        out
    }

    fn unpacked(&self, parameters: &[f64]) -> (Vec<[f64; 2]>, Lens) {
        let images = self.images();
        let [shift, focus, cs] = self.units;
        let mut moved = parameters[..2 * (images - 1)].chunks_exact(2);
        let places = (0..images)
            .map(|image| match image == self.reference {
                true => [0.0; 2],
                false => moved.next().map_or([0.0; 2], |pair| [pair[0] * shift, pair[1] * shift]),
            })
            .collect();
        let rest = &parameters[2 * (images - 1)..];
        let lens = Lens {
            defocus_angstrom: rest[..images].iter().map(|f| f * focus).collect(),
            cs_angstrom: rest[images] * cs,
            astigmatism_angstrom: [rest[images + 1] * focus, rest[images + 2] * focus],
        };
        (places, lens)
    }

    /// Explained power and beliefs, with the gradient in the parameters' units.
    fn value(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let images = self.images();
        let wavelength = self.spectra.wavelength_angstrom;
        let (places, lens) = self.unpacked(parameters);
        let mut sum = 0.0;
        let mut by_place = vec![[0.0; 2]; images];
        let mut by_focus = vec![0.0; images];
        let (mut by_cs, mut by_astigmatism) = (0.0, [0.0; 2]);
        let mut moved = vec![Complex::new(0.0, 0.0); images];
        let mut transfers = vec![[0.0; 2]; images];
        for (index, frequency) in self.spectra.frequencies.iter().enumerate() {
            let k = frequency.k;
            let mut explained = Complex::new(0.0, 0.0);
            let mut squares = LEAST_TRANSFER;
            for image in 0..images {
                let (sin, cos) = lens.chi(image, k, wavelength).sin_cos();
                let value = self.spectra.values[image][index];
                moved[image] = if image == self.reference { value } else { value * back(k, places[image]) };
                transfers[image] = [sin, cos];
                explained += moved[image] * sin;
                squares += sin * sin;
            }
            let phase = explained / squares;
            let weight = frequency.weight;
            sum += weight * explained.norm_sqr() / squares;
            let square = k[0] * k[0] + k[1] * k[1];
            let along = [k[0] * k[0] - k[1] * k[1], 2.0 * k[0] * k[1]];
            for image in 0..images {
                let [sin, cos] = transfers[image];
                let product = phase.conj() * moved[image];
                // d(moved) = 2 pi i k moved dt
                let slope = -2.0 * weight * sin * product.im * TAU;
                by_place[image][0] += slope * k[0];
                by_place[image][1] += slope * k[1];
                let by_chi = 2.0 * weight * cos * (product.re - sin * phase.norm_sqr());
                by_focus[image] -= by_chi * PI * wavelength * square;
                by_cs += by_chi * 0.5 * PI * wavelength.powi(3) * square * square;
                by_astigmatism[0] += by_chi * PI * wavelength * along[0];
                by_astigmatism[1] += by_chi * PI * wavelength * along[1];
            }
        }
        sum += self.beliefs.value(&lens, &mut by_focus, &mut by_cs, &mut by_astigmatism);
        let [shift, focus, cs] = self.units;
        let mut out = gradient.iter_mut();
        let mut put = |value: f64| {
            if let Some(out) = out.next() {
                *out = value;
            }
        };
        for (image, slope) in by_place.iter().enumerate() {
            if image != self.reference {
                slope.iter().for_each(|slope| put(slope * shift));
            }
        }
        by_focus.iter().for_each(|slope| put(slope * focus));
        put(by_cs * cs);
        by_astigmatism.iter().for_each(|slope| put(slope * focus));
        sum
    }

    /// Climbs; what is explained is a part of the total, without beliefs.
    pub(super) fn climb(&self, start: &Candidate) -> Candidate {
        let found = maximise(&self.packed(start), 0.3, MOST_STEPS, |p, slope| self.value(p, slope));
        let (shift_angstrom, lens) = self.unpacked(&found.parameters);
        let belief = self.beliefs.value(&lens, &mut vec![0.0; self.images()], &mut 0.0, &mut [0.0; 2]);
        let explained = (found.value - belief) / self.spectra.total;
        Candidate { lens, shift_angstrom, explained }
    }

    /// Standard deviation of each image's displacement along a direction, and of its defocus, from the curvature of what is
    /// explained; infinite where it has none.
    pub(super) fn sigmas(&self, at: &Candidate) -> (Vec<f64>, Vec<f64>) {
        let images = self.images();
        let parameters = self.packed(at);
        let n = parameters.len();
        let step = 1e-2;
        let mut curvature = vec![0.0; n * n];
        let (mut above, mut below) = (vec![0.0; n], vec![0.0; n]);
        for i in 0..n {
            let mut moved = parameters.clone();
            moved[i] += step;
            self.value(&moved, &mut above);
            moved[i] -= 2.0 * step;
            self.value(&moved, &mut below);
            for j in 0..n {
                let slope = -0.5 * (above[j] - below[j]) / (2.0 * step);
                curvature[i * n + j] += slope;
                curvature[j * n + i] += slope;
            }
        }
        let Some(covariance) = Cholesky::new(&curvature, n).map(|factors| factors.inverse()) else {
            return (vec![f64::INFINITY; images], vec![f64::INFINITY; images]);
        };
        let variance = |index: usize| covariance[index * n + index];
        let mut next = 0;
        let mut of_place = Vec::with_capacity(images);
        for image in 0..images {
            if image == self.reference {
                of_place.push(0.0);
            } else {
                of_place.push((0.5 * (variance(next) + variance(next + 1))).sqrt() * self.units[0]);
                next += 2;
            }
        }
        let of_focus = (0..images).map(|image| variance(next + image).sqrt() * self.units[1]).collect();
        (of_place, of_focus)
    }
}

impl Beliefs {
    /// Logarithm of the beliefs; adds to the gradients.
    fn value(&self, lens: &Lens, by_focus: &mut [f64], by_cs: &mut f64, by_astigmatism: &mut [f64; 2]) -> f64 {
        let mut sum = 0.0;
        let mut penalty = |difference: f64, sigma: f64| {
            sum -= 0.5 * (difference / sigma).powi(2);
            -difference / (sigma * sigma)
        };
        let count = lens.defocus_angstrom.len() as f64;
        let mean = lens.defocus_angstrom.iter().sum::<f64>() / count;
        let nominal = self.defocus_angstrom.iter().sum::<f64>() / count;
        let mut slopes = Vec::with_capacity(by_focus.len());
        for ((found, expected), sigma) in
            lens.defocus_angstrom.iter().zip(&self.defocus_angstrom).zip(&self.step_sigma_angstrom)
        {
            slopes.push(penalty((found - mean) - (expected - nominal), *sigma));
        }
        let of_mean = penalty(mean - nominal, self.mean_sigma_angstrom) / count;
        let common = slopes.iter().sum::<f64>() / count;
        for (gradient, slope) in by_focus.iter_mut().zip(&slopes) {
            *gradient += slope - common + of_mean;
        }
        *by_cs += penalty(lens.cs_angstrom - self.cs_angstrom, self.cs_sigma_angstrom);
        for (gradient, part) in by_astigmatism.iter_mut().zip(lens.astigmatism_angstrom) {
            *gradient += penalty(part, self.astigmatism_sigma_angstrom);
        }
        sum
    }
}
