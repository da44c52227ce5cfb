//! Aberrations of the objective lens in Krivanek's notation, to fifth order.
//!
//! With the angle `theta = lambda k` and its azimuth `phi`,
//! `chi = 2 pi / lambda sum_nm C_nm theta^(n+1) cos(m (phi - phi_nm)) / (n + 1)`
//! (O. L. Krivanek, N. Dellby and A. R. Lupini, Ultramicroscopy 78, 1 (1999),
//! doi:10.1016/S0304-3991(99)00013-3). `C10 = -defocus` and `C30` is the spherical aberration.
//!
//! `n + 1 - m` is always even, so every term is a polynomial in the angles along x and y. A whole
//! column of the transfer function is then one polynomial in a single variable.

use serde::{Deserialize, Serialize};

use crate::SimulateError;

/// Orders `n` and multiplicities `m` of the aberrations, in the order of [`ABERRATION_NAMES`].
const ORDERS: [(usize, usize); 14] =
    [(1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2), (3, 4), (4, 1), (4, 3), (4, 5), (5, 0), (5, 2), (5, 4), (5, 6)];

/// Names of the coefficients, in angstrom; the azimuth of `C12` is `phi12`, in radian, and so on.
pub const ABERRATION_NAMES: [&str; 14] =
    ["C10", "C12", "C21", "C23", "C30", "C32", "C34", "C41", "C43", "C45", "C50", "C52", "C54", "C56"];

/// Aberration coefficients; all zero by default.
///
/// ```
/// use atomlens_simulate::Aberrations;
/// let mut aberrations = Aberrations::default();
/// aberrations.set("C12", 20.0).unwrap();
/// aberrations.set("phi12", 0.7).unwrap();
/// aberrations.set_defocus_angstrom(80.0);
/// assert_eq!(aberrations.get("C10"), Ok(-80.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Aberrations {
    coefficients_angstrom: [f64; 14],
    azimuths_rad: [f64; 14],
}

enum Slot {
    Coefficient(usize),
    Azimuth(usize),
}

fn slot(name: &str) -> Result<Slot, SimulateError> {
    let unknown = || SimulateError::UnknownAberration { found: name.to_owned(), nearest: nearest(name) };
    if let Some(orders) = name.strip_prefix("phi") {
        let index = ABERRATION_NAMES.iter().position(|known| known[1..] == *orders).ok_or_else(unknown)?;
        // A round aberration has no azimuth.
        return if ORDERS[index].1 == 0 { Err(unknown()) } else { Ok(Slot::Azimuth(index)) };
    }
    ABERRATION_NAMES.iter().position(|known| *known == name).map(Slot::Coefficient).ok_or_else(unknown)
}

fn nearest(name: &str) -> String {
    let same = |known: &str| known.chars().zip(name.to_uppercase().chars()).filter(|(a, b)| a == b).count();
    let best = ABERRATION_NAMES.iter().max_by_key(|known| same(known)).filter(|known| same(known) >= 2);
    best.map(|known| format!("; the nearest is {known}")).unwrap_or_default()
}

impl Aberrations {
    /// Sets a coefficient (`C21`, angstrom) or an azimuth (`phi21`, radian) by name.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), SimulateError> {
        if !value.is_finite() {
            return Err(SimulateError::OutOfRange { name: "aberration", found: value, expected: "a finite number" });
        }
        match slot(name)? {
            Slot::Coefficient(index) => self.coefficients_angstrom[index] = value,
            Slot::Azimuth(index) => self.azimuths_rad[index] = value,
        }
        Ok(())
    }

    /// A coefficient or an azimuth by name.
    pub fn get(&self, name: &str) -> Result<f64, SimulateError> {
        Ok(match slot(name)? {
            Slot::Coefficient(index) => self.coefficients_angstrom[index],
            Slot::Azimuth(index) => self.azimuths_rad[index],
        })
    }

    /// Sets the defocus in angstrom, underfocus positive.
    pub fn set_defocus_angstrom(&mut self, defocus_angstrom: f64) {
        self.coefficients_angstrom[0] = -defocus_angstrom;
    }

    /// The defocus in angstrom, underfocus positive.
    pub fn defocus_angstrom(&self) -> f64 {
        -self.coefficients_angstrom[0]
    }

    /// The wave aberration `W = chi lambda / 2 pi` in angstrom at angles along x and y in radian.
    pub fn wave_aberration_angstrom(&self, theta_x_rad: f64, theta_y_rad: f64) -> f64 {
        self.polynomial().along_y(theta_x_rad).value(theta_y_rad)
    }

    pub(crate) fn polynomial(&self) -> AberrationPolynomial {
        let mut sum = [[0.0; 7]; 7];
        for (index, &(n, m)) in ORDERS.iter().enumerate() {
            let coefficient = self.coefficients_angstrom[index] / (n as f64 + 1.0);
            if coefficient == 0.0 {
                continue;
            }
            let turned = m as f64 * self.azimuths_rad[index];
            // Re[(x + i y)^m exp(-i m phi_nm)] (x^2 + y^2)^((n + 1 - m) / 2), expanded.
            for k in 0..=m {
                // i^k: 1, i, -1, -i; times exp(-i turned), of which the real part counts.
                let real = match k % 4 {
                    0 => turned.cos(),
                    1 => turned.sin(),
                    2 => -turned.cos(),
                    _ => -turned.sin(),
                };
                let binomial = binomial(m, k);
                let half = (n + 1 - m) / 2;
                for l in 0..=half {
                    let factor = self::binomial(half, l);
                    sum[m - k + 2 * (half - l)][k + 2 * l] += coefficient * binomial * factor * real;
                }
            }
        }
        AberrationPolynomial { powers: sum }
    }
}

fn binomial(n: usize, k: usize) -> f64 {
    (0..k).fold(1.0, |value, i| value * (n - i) as f64 / (i + 1) as f64)
}

/// `W(x, y) = sum_pq powers[p][q] x^p y^q`, in angstrom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AberrationPolynomial {
    powers: [[f64; 7]; 7],
}

/// The same along a line of constant x, with the derivative along x.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AberrationAlongY {
    value: [f64; 7],
    along_x: [f64; 7],
}

impl AberrationPolynomial {
    pub(crate) fn along_y(&self, x: f64) -> AberrationAlongY {
        let mut out = AberrationAlongY { value: [0.0; 7], along_x: [0.0; 7] };
        for q in 0..7 {
            for p in (0..7 - q).rev() {
                out.value[q] = out.value[q] * x + self.powers[p][q];
                if p > 0 {
                    out.along_x[q] = out.along_x[q] * x + p as f64 * self.powers[p][q];
                }
            }
        }
        out
    }
}

impl AberrationAlongY {
    /// `W` in angstrom.
    #[inline]
    pub(crate) fn value(&self, y: f64) -> f64 {
        self.value.iter().rev().fold(0.0, |sum, coefficient| sum * y + coefficient)
    }

    /// `|grad W|^2` in square angstrom (the angles have no dimension).
    #[inline]
    pub(crate) fn gradient_squared(&self, y: f64) -> f64 {
        let along_x = self.along_x.iter().rev().fold(0.0, |sum, coefficient| sum * y + coefficient);
        let mut along_y = 0.0;
        for q in (1..7).rev() {
            along_y = along_y * y + q as f64 * self.value[q];
        }
        along_x * along_x + along_y * along_y
    }
}

/// Scherzer's defocus in angstrom for a positive spherical aberration, `sqrt(1.5 Cs lambda)` in the extended form
/// that most textbooks call Scherzer focus, `1.2 sqrt(Cs lambda)` (Williams and Carter, equation 28.34).
pub fn scherzer_defocus_angstrom(cs_angstrom: f64, wavelength_angstrom: f64) -> f64 {
    (1.5 * cs_angstrom.abs() * wavelength_angstrom).sqrt() * cs_angstrom.signum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition in polar coordinates, for all aberrations at once.
    #[test]
    fn the_polynomial_is_the_definition() {
        let mut aberrations = Aberrations::default();
        for (index, name) in ABERRATION_NAMES.iter().enumerate() {
            aberrations.set(name, 10.0 * (index as f64 + 1.0) * 30_f64.powi(ORDERS[index].0 as i32)).unwrap();
            if ORDERS[index].1 > 0 {
                aberrations.set(&format!("phi{}", &name[1..]), 0.3 + 0.2 * index as f64).unwrap();
            }
        }
        let definition = |x: f64, y: f64| -> f64 {
            let (theta, phi) = (x.hypot(y), y.atan2(x));
            ORDERS
                .iter()
                .enumerate()
                .map(|(i, &(n, m))| {
                    aberrations.coefficients_angstrom[i]
                        * theta.powi(n as i32 + 1)
                        * (m as f64 * (phi - aberrations.azimuths_rad[i])).cos()
                        / (n as f64 + 1.0)
                })
                .sum()
        };
        let polynomial = aberrations.polynomial();
        for i in 0..40 {
            let (x, y) = (0.03 * f64::from(i).cos(), 0.02 * (1.7 * f64::from(i)).sin());
            let expected = definition(x, y);
            assert!((aberrations.wave_aberration_angstrom(x, y) - expected).abs() < 1e-11 * expected.abs().max(1.0));
            let step = 1e-6;
            let slope_x = (definition(x + step, y) - definition(x - step, y)) / (2.0 * step);
            let slope_y = (definition(x, y + step) - definition(x, y - step)) / (2.0 * step);
            let squared = polynomial.along_y(x).gradient_squared(y);
            assert!((squared - slope_x * slope_x - slope_y * slope_y).abs() < 1e-6 * squared.max(1e-6), "{squared}");
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        let mut aberrations = Aberrations::default();
        assert!(aberrations.set("c12", 1.0).unwrap_err().to_string().contains("nearest is C12"));
        assert!(aberrations.set("phi30", 1.0).is_err());
        assert!(aberrations.set("C77", 1.0).is_err());
        assert!(aberrations.set("C30", f64::NAN).is_err());
    }

    /// Williams and Carter, table 28.1 (page 494): 200 kV with Cs 1.0 mm has Scherzer defocus -60 nm or so.
    #[test]
    fn scherzer_defocus_of_the_textbook() {
        let defocus = scherzer_defocus_angstrom(1.0e7, 0.0251);
        assert!((defocus - 613.0).abs() < 2.0, "{defocus}");
        assert!((defocus / (1.2 * (1.0e7_f64 * 0.0251).sqrt()) - 1.0).abs() < 0.03);
    }
}
