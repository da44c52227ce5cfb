//! The likelihood of a power spectrum under a lens.
//!
//! Mean power over noise: `1 + A(k) ((1 - f) sin^2 chi + f)`. The logarithm of `A` is a chain of straight lines between evenly spaced frequencies whose second differences
//! are believed to be small; `f` is what fills the minima (thickness of the film, scattering of second order).

use std::f64::consts::PI;

use super::MODES_IN_ONE;
use super::spectrum::Samples;
use crate::fit::{Cholesky, maximise};
use crate::lens::chi;

/// Distance of the knots of `A`, in 1 / angstrom, about.
const KNOTS_PER_ANGSTROM: f64 = 0.12;

/// Standard deviation of second differences of `ln A`.
const BEND: f64 = 0.7;

/// Standard deviation of each part of the astigmatism, in angstrom.
const ASTIGMATISM_ANGSTROM: f64 = 70.0;

/// Mean and standard deviation of the logit of what fills the minima.
const FILL: [f64; 2] = [-3.0, 1.0];

/// Most steps of the fit without rings.
const SMOOTH_STEPS: usize = 80;

/// A lens that fits.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    pub(super) defocus: f64,
    pub(super) astigmatism: [f64; 2],
    pub(super) cs: f64,
    /// The spherical aberration that was believed.
    pub(super) cs_believed: f64,
    /// Negative logarithm of likelihood and beliefs, each value of the spectrum counted as independent.
    pub(super) cost: f64,
    parameters: Vec<f64>,
}

/// Spectrum, lens and scales.
pub(super) struct Model<'a> {
    pub(super) samples: &'a Samples,
    pub(super) wavelength: f64,
    /// Change of defocus that matters, in angstrom.
    pub(super) unit: f64,
    pub(super) fit_cs: bool,
}

impl Model<'_> {
    fn knots(&self) -> usize {
        let range = self.samples.highest_per_angstrom - self.samples.lowest_per_angstrom;
        ((range / KNOTS_PER_ANGSTROM) as usize + 1).max(4)
    }

    /// Knot below a frequency, and how far on to the next one.
    fn knot(&self, magnitude: f64) -> (usize, f64) {
        let knots = self.knots();
        let range = self.samples.highest_per_angstrom - self.samples.lowest_per_angstrom;
        let place = (magnitude - self.samples.lowest_per_angstrom) / range * (knots - 1) as f64;
        let below = (place.max(0.0) as usize).min(knots - 2);
        (below, place - below as f64)
    }

    /// What change of spherical aberration matters, and how well it is believed.
    fn cs_scale(&self, believed: f64) -> f64 {
        1e5 + 0.2 * believed.abs()
    }

    /// Parameters: defocus and both parts of the astigmatism in units, spherical aberration against what is believed, knots, fill.
    fn start(&self, defocus: f64, astigmatism: [f64; 2], cs: f64, believed: f64) -> Vec<f64> {
        let mut out = vec![
            defocus / self.unit,
            astigmatism[0] / self.unit,
            astigmatism[1] / self.unit,
            (cs - believed) / self.cs_scale(believed),
        ];
        out.extend(self.smooth_knots());
        out.push(FILL[0]);
        out
    }

    /// `ln A` at the knots if half of it arrives everywhere.
    fn smooth_knots(&self) -> Vec<f64> {
        let knots = self.knots();
        let (mut sums, mut counts) = (vec![0.0; knots], vec![1e-9; knots]);
        for sample in &self.samples.samples {
            let (below, on) = self.knot(sample.k[0].hypot(sample.k[1]));
            for (knot, weight) in [(below, 1.0 - on), (below + 1, on)] {
                sums[knot] += weight * sample.count * sample.power;
                counts[knot] += weight * sample.count;
            }
        }
        sums.iter().zip(&counts).map(|(sum, count)| (2.0 * (sum / count - 1.0).max(0.02)).ln()).collect()
    }

    /// Logarithm of likelihood and beliefs. `flat`: as if nothing but the smooth part arrived.
    fn value(&self, p: &[f64], believed: f64, flat: bool, gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let knots = self.knots();
        let (unit, cs_scale) = (self.unit, self.cs_scale(believed));
        let (defocus, astigmatism) = (p[0] * unit, [p[1] * unit, p[2] * unit]);
        let cs = if self.fit_cs { believed + p[3] * cs_scale } else { believed };
        let levels = &p[4..4 + knots];
        let fill = 1.0 / (1.0 + (-p[4 + knots]).exp());
        let mut sum = 0.0;
        for sample in &self.samples.samples {
            let k = sample.k;
            let square = k[0] * k[0] + k[1] * k[1];
            let (below, on) = self.knot(square.sqrt());
            let height = (levels[below] * (1.0 - on) + levels[below + 1] * on).min(50.0).exp();
            let (sin, cos) =
                if flat { (1.0, 0.0) } else { chi(k, defocus, astigmatism, cs, self.wavelength).sin_cos() };
            let arrives = if flat { 0.5 } else { sin * sin * (1.0 - fill) + fill };
            let mean = 1.0 + height * arrives;
            sum -= sample.count * (mean.ln() + sample.power / mean);
            let by_mean = sample.count * (sample.power / mean - 1.0) / mean;
            let by_level = by_mean * height * arrives;
            gradient[4 + below] += by_level * (1.0 - on);
            gradient[5 + below] += by_level * on;
            if flat {
                continue;
            }
            gradient[4 + knots] += by_mean * height * cos * cos * fill * (1.0 - fill);
            let by_chi = by_mean * height * (1.0 - fill) * 2.0 * sin * cos;
            gradient[0] -= by_chi * PI * self.wavelength * square * unit;
            gradient[1] += by_chi * PI * self.wavelength * (k[0] * k[0] - k[1] * k[1]) * unit;
            gradient[2] += by_chi * PI * self.wavelength * 2.0 * k[0] * k[1] * unit;
            if self.fit_cs {
                gradient[3] += by_chi * 0.5 * PI * self.wavelength.powi(3) * square * square * cs_scale;
            }
        }
        for i in 0..knots - 2 {
            let bend = levels[i] - 2.0 * levels[i + 1] + levels[i + 2];
            sum -= 0.5 * (bend / BEND).powi(2);
            for (offset, factor) in [(0, 1.0), (1, -2.0), (2, 1.0)] {
                gradient[4 + i + offset] -= factor * bend / (BEND * BEND);
            }
        }
        let mut believe = |index: usize, mean: f64, sigma: f64| {
            sum -= 0.5 * ((p[index] - mean) / sigma).powi(2);
            gradient[index] -= (p[index] - mean) / (sigma * sigma);
        };
        believe(1, 0.0, ASTIGMATISM_ANGSTROM / unit);
        believe(2, 0.0, ASTIGMATISM_ANGSTROM / unit);
        believe(3, 0.0, 1.0);
        believe(4 + knots, FILL[0], FILL[1]);
        sum
    }

    /// The lens that fits best near one, after so many steps at most.
    pub(super) fn fit(&self, defocus: f64, astigmatism: [f64; 2], cs: f64, believed: f64, most_steps: usize) -> Fitted {
        self.fit_from(&self.start(defocus, astigmatism, cs, believed), believed, most_steps)
    }

    /// More steps from where a fit, of these samples or of others of the same spectrum, ended.
    pub(super) fn further(&self, fit: &Fitted, most_steps: usize) -> Fitted {
        self.fit_from(&fit.parameters, fit.cs_believed, most_steps)
    }

    fn fit_from(&self, start: &[f64], believed: f64, most_steps: usize) -> Fitted {
        let found = maximise(start, 0.3, most_steps, |p, gradient| self.value(p, believed, false, gradient));
        let p = found.parameters;
        Fitted {
            defocus: p[0] * self.unit,
            astigmatism: [p[1] * self.unit, p[2] * self.unit],
            cs: believed + p[3] * self.cs_scale(believed),
            cs_believed: believed,
            cost: -found.value,
            parameters: p,
        }
    }

    /// The cost without rings.
    pub(super) fn smooth_cost(&self) -> f64 {
        let start = self.start(0.0, [0.0; 2], 0.0, 0.0);
        -maximise(&start, 0.3, SMOOTH_STEPS, |p, gradient| self.value(p, 0.0, true, gradient)).value
    }

    /// Standard deviations of the defocus, both parts of the astigmatism and the spherical aberration; infinite where the spectrum
    /// does not tell.
    pub(super) fn sigmas(&self, at: &Fitted) -> [f64; 4] {
        let n = at.parameters.len();
        let step = 1e-3;
        let mut curvature = vec![0.0; n * n];
        let (mut above, mut below) = (vec![0.0; n], vec![0.0; n]);
        for i in 0..n {
            let mut moved = at.parameters.clone();
            moved[i] += step;
            self.value(&moved, at.cs_believed, false, &mut above);
            moved[i] -= 2.0 * step;
            self.value(&moved, at.cs_believed, false, &mut below);
            for j in 0..n {
                let slope = -0.5 * (above[j] - below[j]) / (2.0 * step);
                curvature[i * n + j] += slope;
                curvature[j * n + i] += slope;
            }
        }
        let Some(covariance) = Cholesky::new(&curvature, n).map(|factors| factors.inverse()) else {
            return [f64::INFINITY; 4];
        };
        let sigma = |index: usize| (MODES_IN_ONE * covariance[index * n + index]).sqrt();
        let cs = if self.fit_cs { sigma(3) * self.cs_scale(at.cs_believed) } else { 0.0 };
        [sigma(0) * self.unit, sigma(1) * self.unit, sigma(2) * self.unit, cs]
    }
}
