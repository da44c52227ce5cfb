//! What is known of the lens, before and after the images were looked at.

use std::f64::consts::PI;

use atomlens_simulate::{Aberrations, FocalSpread, Optics, optics::Coherence};
use serde::{Deserialize, Serialize};

use crate::{FocalSeries, ReconstructError};

/// A value and its standard deviation; 0 means that it is held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard deviation, in the value's unit.
    pub sigma: f64,
}

impl Estimate {
    /// A value and its standard deviation.
    pub fn new(value: f64, sigma: f64) -> Estimate {
        Estimate { value, sigma }
    }
}

/// What is thought of the lens before the images are looked at. A standard deviation of 0 holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LensPrior {
    /// Standard deviation of what all nominal defocus values are off by, in angstrom, if they count from Gaussian focus.
    /// Part of it is the thickness: the wave is given at the middle of the specimen, not where it leaves it.
    pub focus_sigma_angstrom: f64,
    /// The same in angstrom if only the steps are known.
    pub unknown_focus_sigma_angstrom: f64,
    /// Standard deviation of the focus steps as a fraction of the step, for all in common and for each.
    pub step_sigma: f64,
    /// Spherical aberration C30 in angstrom.
    pub c30_angstrom: Estimate,
    /// Twofold astigmatism, `C12 cos(2 phi12)` and `C12 sin(2 phi12)`, in angstrom.
    pub twofold_angstrom: [Estimate; 2],
    /// Standard deviation of the focal spread in angstrom (1/e half-width divided by the square root of 2).
    pub focal_spread_angstrom: Estimate,
    /// Standard deviation of the blur of the intensity before it is counted (vibration), in angstrom.
    pub blur_angstrom: Estimate,
    /// Standard deviation of displacements of the images against each other, in angstrom; 0 if they are aligned.
    pub shift_sigma_angstrom: f64,
}

impl Default for LensPrior {
    fn default() -> Self {
        LensPrior {
            focus_sigma_angstrom: 15.0,
            unknown_focus_sigma_angstrom: 150.0,
            step_sigma: 0.1,
            // A corrected lens; an uncorrected one has a C30 that is known to a few percent, and is to be given.
            c30_angstrom: Estimate::new(0.0, 2e5),
            twofold_angstrom: [Estimate::new(0.0, 20.0); 2],
            focal_spread_angstrom: Estimate::new(9.0, 4.0),
            blur_angstrom: Estimate::new(0.07, 0.05),
            shift_sigma_angstrom: 1.0,
        }
    }
}

impl LensPrior {
    /// Refuses what no lens is.
    ///
    /// # Errors
    /// Numbers that are not finite, and negative widths.
    pub fn check(&self) -> Result<(), ReconstructError> {
        let widths = [
            ("standard deviation of the focus in angstrom", self.focus_sigma_angstrom),
            ("standard deviation of an unknown focus in angstrom", self.unknown_focus_sigma_angstrom),
            ("standard deviation of the focus steps", self.step_sigma),
            ("standard deviation of C30 in angstrom", self.c30_angstrom.sigma),
            ("standard deviation of the astigmatism in angstrom", self.twofold_angstrom[0].sigma),
            ("standard deviation of the astigmatism in angstrom", self.twofold_angstrom[1].sigma),
            ("focal spread in angstrom", self.focal_spread_angstrom.value),
            ("standard deviation of the focal spread in angstrom", self.focal_spread_angstrom.sigma),
            ("blur in angstrom", self.blur_angstrom.value),
            ("standard deviation of the blur in angstrom", self.blur_angstrom.sigma),
            ("standard deviation of the shifts in angstrom", self.shift_sigma_angstrom),
        ];
        for (name, found) in widths {
            if !(found.is_finite() && found >= 0.0) {
                return Err(ReconstructError::OutOfRange { name, found, expected: "a finite number, 0 or more" });
            }
        }
        let values = [self.c30_angstrom, self.twofold_angstrom[0], self.twofold_angstrom[1]];
        for (name, value) in
            ["C30 in angstrom", "astigmatism in angstrom", "astigmatism in angstrom"].iter().zip(values)
        {
            if !value.value.is_finite() {
                return Err(ReconstructError::OutOfRange { name, found: value.value, expected: "a finite number" });
            }
        }
        Ok(())
    }

    /// Where the search begins: the nominal focus, and the values of this prior.
    pub(crate) fn start(&self, series: &FocalSeries) -> LensState {
        LensState {
            wavelength_angstrom: series.wavelength_angstrom(),
            defocus_angstrom: series.defocus_angstrom.clone(),
            twofold_angstrom: self.twofold_angstrom.map(|estimate| estimate.value),
            c30_angstrom: self.c30_angstrom.value,
            focal_spread_angstrom: self.focal_spread_angstrom.value,
            blur_angstrom: self.blur_angstrom.value,
            shift_angstrom: vec![[0.0; 2]; series.len()],
        }
    }

    /// Standard deviation of what all focus values of a series are off by, in angstrom.
    pub(crate) fn offset_sigma_angstrom(&self, series: &FocalSeries) -> f64 {
        if series.defocus_is_absolute { self.focus_sigma_angstrom } else { self.unknown_focus_sigma_angstrom }
    }
}

/// The lens and the stage, as numbers to work with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LensState {
    pub(crate) wavelength_angstrom: f64,
    /// Of every image, underfocus positive.
    pub(crate) defocus_angstrom: Vec<f64>,
    pub(crate) twofold_angstrom: [f64; 2],
    pub(crate) c30_angstrom: f64,
    /// Standard deviation.
    pub(crate) focal_spread_angstrom: f64,
    /// Standard deviation.
    pub(crate) blur_angstrom: f64,
    /// Displacement of what every image shows, along x and y.
    pub(crate) shift_angstrom: Vec<[f64; 2]>,
}

/// The phase that a lens adds, in radian, at a frequency `k` in 1 / angstrom (docs/conventions.md); lengths in angstrom. `twofold` is
/// `C12 cos(2 phi12)` and `C12 sin(2 phi12)`.
pub(crate) fn chi(k: [f64; 2], defocus: f64, twofold: [f64; 2], c30: f64, wavelength: f64) -> f64 {
    let [x, y] = k;
    let k2 = x * x + y * y;
    PI * wavelength * (twofold[0] * (x * x - y * y) + twofold[1] * 2.0 * x * y - defocus * k2)
        + 0.5 * PI * wavelength.powi(3) * c30 * k2 * k2
}

impl LensState {
    /// The part of `chi` that all images have in common, in radian, at a frequency in 1 / angstrom.
    pub(crate) fn common_chi_rad(&self, kx: f64, ky: f64) -> f64 {
        chi([kx, ky], 0.0, self.twofold_angstrom, self.c30_angstrom, self.wavelength_angstrom)
    }

    /// `chi` of an image in radian.
    pub(crate) fn chi_rad(&self, image: usize, kx: f64, ky: f64) -> f64 {
        let defocus = self.defocus_angstrom[image];
        chi([kx, ky], defocus, self.twofold_angstrom, self.c30_angstrom, self.wavelength_angstrom)
    }

    /// What a displacement of the image takes off the phase of its spectrum, in radian.
    pub(crate) fn shift_phase_rad(&self, image: usize, kx: f64, ky: f64) -> f64 {
        let [x, y] = self.shift_angstrom[image];
        2.0 * PI * (kx * x + ky * y)
    }

    /// The envelope of the focal spread at a frequency in 1 / angstrom.
    pub(crate) fn envelope(&self, k: f64) -> f64 {
        let x = PI * self.focal_spread_angstrom * self.wavelength_angstrom * k * k;
        (-0.5 * x * x).exp()
    }

    /// The transfer of the blur of the intensity.
    pub(crate) fn blur(&self, k: f64) -> f64 {
        (-2.0 * (PI * self.blur_angstrom * k).powi(2)).exp()
    }
}

/// The lens as the images tell it, every value with its standard deviation (0 for what was held).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LensEstimate {
    /// Defocus of every image in angstrom, underfocus positive, counted to the middle of the specimen.
    pub defocus_angstrom: Vec<Estimate>,
    /// Twofold astigmatism in angstrom.
    pub c12_angstrom: Estimate,
    /// Its azimuth in radian, 0 to pi.
    pub phi12_rad: Estimate,
    /// Spherical aberration in angstrom.
    pub c30_angstrom: Estimate,
    /// Standard deviation of the focal spread in angstrom.
    pub focal_spread_angstrom: Estimate,
    /// Standard deviation of the blur before counting, in angstrom.
    pub blur_angstrom: Estimate,
}

impl LensEstimate {
    /// The optics of an image, as the simulation takes them; the blur is not part of the lens.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn optics(&self, image: usize) -> Optics {
        let mut aberrations = Aberrations::default();
        aberrations.set_defocus_angstrom(self.defocus_angstrom[image].value);
        for (name, estimate) in [("C12", self.c12_angstrom), ("phi12", self.phi12_rad), ("C30", self.c30_angstrom)] {
            aberrations.set(name, estimate.value).expect("a known name and a finite number");
        }
        let spread = FocalSpread::from_standard_deviation(self.focal_spread_angstrom.value);
        Optics { aberrations, temporal: Coherence::Envelope(spread), ..Optics::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same phase and envelope as the simulation's.
    #[test]
    fn the_transfer_is_that_of_the_simulation() {
        let (c12, phi12) = (17.0, 0.6_f64);
        let state = LensState {
            wavelength_angstrom: atomlens_simulate::electron::wavelength_angstrom(80e3),
            defocus_angstrom: vec![35.0, -60.0],
            twofold_angstrom: [c12 * (2.0 * phi12).cos(), c12 * (2.0 * phi12).sin()],
            c30_angstrom: -9e4,
            focal_spread_angstrom: 11.0,
            blur_angstrom: 0.1,
            shift_angstrom: vec![[0.0; 2]; 2],
        };
        let held = |value| Estimate::new(value, 0.0);
        let estimate = LensEstimate {
            defocus_angstrom: state.defocus_angstrom.iter().map(|value| held(*value)).collect(),
            c12_angstrom: held(c12),
            phi12_rad: held(phi12),
            c30_angstrom: held(-9e4),
            focal_spread_angstrom: held(11.0),
            blur_angstrom: held(0.1),
        };
        for image in 0..2 {
            for (kx, ky) in [(0.3, 0.1), (-0.7, 0.5), (0.2, -1.1)] {
                let lambda = state.wavelength_angstrom;
                let expected = estimate.optics(image).transfer(80e3, kx * lambda, ky * lambda);
                let found =
                    num_complex::Complex::from_polar(state.envelope(kx.hypot(ky)), -state.chi_rad(image, kx, ky));
                assert!((found - expected).norm() < 1e-9, "{found} {expected}");
            }
        }
    }

    #[test]
    fn impossible_priors_are_refused() {
        LensPrior::default().check().unwrap();
        let negative = LensPrior { step_sigma: -0.1, ..LensPrior::default() };
        assert!(negative.check().unwrap_err().to_string().contains("focus steps"));
        let unknown = LensPrior { c30_angstrom: Estimate::new(f64::NAN, 1.0), ..LensPrior::default() };
        assert!(unknown.check().unwrap_err().to_string().contains("C30"));
    }
}
