//! The phase that a lens adds, with as many aberrations as matter for alignment.

use std::f64::consts::PI;

use crate::lens::chi;

/// Defocus of each image, spherical aberration and twofold astigmatism.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lens {
    /// Underfocus positive.
    pub(super) defocus_angstrom: Vec<f64>,
    pub(super) cs_angstrom: f64,
    /// `C12 cos(2 phi12)` and `C12 sin(2 phi12)`.
    pub(super) astigmatism_angstrom: [f64; 2],
}

impl Lens {
    /// `chi` of an image at a spatial frequency.
    pub(super) fn chi(&self, image: usize, k: [f64; 2], wavelength: f64) -> f64 {
        chi(k, self.defocus_angstrom[image], self.astigmatism_angstrom, self.cs_angstrom, wavelength)
    }
}

/// Units in which focus and spherical aberration matter alike: each changes `chi` by 1 at the frequency.
pub(super) fn natural_units(wavelength: f64, per_angstrom: f64) -> [f64; 2] {
    let square = per_angstrom * per_angstrom;
    [1.0 / (PI * wavelength * square), 1.0 / (0.5 * PI * wavelength.powi(3) * square * square)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use atomlens_simulate::Aberrations;

    #[test]
    fn chi_is_that_of_the_simulation() {
        let wavelength = 0.0418;
        let (c12, phi12) = (17.0, 0.8_f64);
        let mut aberrations = Aberrations::default();
        aberrations.set_defocus_angstrom(63.0);
        aberrations.set("C30", -9e4).unwrap();
        aberrations.set("C12", c12).unwrap();
        aberrations.set("phi12", phi12).unwrap();
        let lens = Lens {
            defocus_angstrom: vec![63.0],
            cs_angstrom: -9e4,
            astigmatism_angstrom: [c12 * (2.0 * phi12).cos(), c12 * (2.0 * phi12).sin()],
        };
        for k in [[0.3, 0.1], [-0.5, 0.7]] {
            let expected =
                2.0 * PI / wavelength * aberrations.wave_aberration_angstrom(wavelength * k[0], wavelength * k[1]);
            assert!((lens.chi(0, k, wavelength) - expected).abs() < 1e-9);
        }
    }
}
