//! Relativistic electrons: wavelength and interaction with a potential.
//!
//! Source: E. J. Kirkland, *Advanced Computing in Electron Microscopy*, 3rd ed. (2020), equations
//! 2.5 and 5.6 (doi:10.1007/978-3-030-33260-0); constants of CODATA 2018.

use crate::SimulateError;

/// Rest energy of the electron in electronvolt.
pub const REST_ENERGY_EV: f64 = 510_998.950;

/// Planck constant times the speed of light, in electronvolt angstrom.
pub const PLANCK_TIMES_LIGHT_EV_ANGSTROM: f64 = 12_398.419_84;

/// `h^2 / (2 pi m_0 e)` in volt square angstrom: times a scattering factor in angstrom, the
/// Fourier transform of a projected potential.
pub const POTENTIAL_PER_SCATTERING_FACTOR: f64 =
    PLANCK_TIMES_LIGHT_EV_ANGSTROM * PLANCK_TIMES_LIGHT_EV_ANGSTROM / (std::f64::consts::TAU * REST_ENERGY_EV);

/// Energies that are accepted: 30 to 1000 keV.
pub const ENERGY_RANGE_EV: std::ops::RangeInclusive<f64> = 30e3..=1000e3;

/// Refuses energies outside [`ENERGY_RANGE_EV`].
pub fn check_energy_ev(energy_ev: f64) -> Result<f64, SimulateError> {
    if ENERGY_RANGE_EV.contains(&energy_ev) {
        Ok(energy_ev)
    } else {
        Err(SimulateError::OutOfRange {
            name: "energy in keV",
            found: energy_ev / 1e3,
            expected: "30 to 1000 keV, where the multislice approximation and the coefficients hold",
        })
    }
}

/// Wavelength in angstrom of an electron accelerated to `energy_ev`.
pub fn wavelength_angstrom(energy_ev: f64) -> f64 {
    PLANCK_TIMES_LIGHT_EV_ANGSTROM / (energy_ev * (2.0 * REST_ENERGY_EV + energy_ev)).sqrt()
}

/// Interaction parameter sigma in radian per volt angstrom: the phase that a projected potential
/// adds to the wave.
pub fn interaction_parameter(energy_ev: f64) -> f64 {
    std::f64::consts::TAU / (wavelength_angstrom(energy_ev) * energy_ev) * (REST_ENERGY_EV + energy_ev)
        / (2.0 * REST_ENERGY_EV + energy_ev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wavelengths_of_the_textbook() {
        // Williams and Carter, Transmission Electron Microscopy (2009), table 1.2, in angstrom.
        for (energy_ev, expected) in
            [(100e3, 0.0370), (120e3, 0.0335), (200e3, 0.0251), (300e3, 0.0197), (400e3, 0.0164), (1000e3, 0.0087)]
        {
            assert!((wavelength_angstrom(energy_ev) - expected).abs() < 0.5e-4, "{energy_ev}");
        }
    }

    #[test]
    fn interaction_constants_of_the_textbook() {
        // Values quoted for 100, 200 and 300 kV in radian per volt angstrom: Kirkland, figure 5.2
        // and abTEM's `energy2sigma` (reference data, facts.json).
        for (energy_ev, expected, tolerance) in [
            (100e3, 0.9244e-3, 1e-7),
            (200e3, 0.7288e-3, 1e-7),
            (300e3, 0.000_652_616_146_470_088_8, 1e-10),
            (80e3, 0.001_008_706_604_626_261_4, 1e-10),
        ] {
            assert!(
                (interaction_parameter(energy_ev) - expected).abs() < tolerance,
                "{energy_ev}: {}",
                interaction_parameter(energy_ev)
            );
        }
    }

    #[test]
    fn the_potential_constant_of_the_textbook() {
        // Kirkland, section 5.1: h^2 / (2 pi m_0 e) = 47.86 volt square angstrom.
        assert!((POTENTIAL_PER_SCATTERING_FACTOR - 47.878).abs() < 2e-3);
    }

    #[test]
    fn energies_out_of_range_are_refused() {
        assert!(check_energy_ev(300.0).unwrap_err().to_string().contains("0.3"));
        assert!(check_energy_ev(f64::NAN).is_err());
    }
}
