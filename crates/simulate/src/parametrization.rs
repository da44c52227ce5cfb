//! Electron scattering factors of free atoms, and the potentials that follow from them.
//!
//! With `k` in 1 / angstrom (`k = 1 / d`) and the factor in angstrom:
//!
//! - Lobato and Van Dyck (2014), doi:10.1107/S205327331401643X:
//!   `f(k) = sum_i a_i (2 + b_i k^2) / (1 + b_i k^2)^2`, five terms;
//! - Kirkland (2010), doi:10.1007/978-1-4419-6533-2, appendix C:
//!   `f(k) = sum_i a_i / (k^2 + b_i) + sum_i c_i exp(-d_i k^2)`, three terms each.
//!
//! The Fourier transform of the potential projected along the beam is `h^2 / (2 pi m_0 e) f(k)`.

use std::sync::LazyLock;

use atomlens_core::Element;
use puruspe::bessel::Kn;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

use crate::SimulateError;
use crate::electron::POTENTIAL_PER_SCATTERING_FACTOR;

/// Which published set of coefficients is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parametrization {
    /// Lobato and Van Dyck (2014): correct asymptotically at both ends.
    #[default]
    Lobato,
    /// Kirkland (2010).
    Kirkland,
}

/// Coefficients by element; the files' layout is that of the published tables.
struct Tables {
    lobato: Vec<[[f64; 5]; 2]>,
    kirkland: Vec<[[f64; 3]; 4]>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    lobato: by_atomic_number(include_str!("../data/lobato.json")),
    kirkland: by_atomic_number(include_str!("../data/kirkland.json")),
});

fn by_atomic_number<T: serde::de::DeserializeOwned>(json: &str) -> Vec<T> {
    let mut table: std::collections::BTreeMap<String, T> =
        serde_json::from_str(json).expect("the embedded table is JSON: a test reads it");
    (1..=103)
        .map_while(Element::from_atomic_number)
        .map(|element| table.remove(element.symbol()).expect("the embedded table has every element: a test reads it"))
        .collect()
}

impl Parametrization {
    /// Name as it is written in recipes and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Parametrization::Lobato => "lobato",
            Parametrization::Kirkland => "kirkland",
        }
    }

    /// The scattering factor of an element.
    pub fn atom(self, element: Element) -> AtomicPotential {
        let index = usize::from(element.atomic_number()) - 1;
        match self {
            Parametrization::Lobato => AtomicPotential::Lobato(TABLES.lobato[index]),
            Parametrization::Kirkland => AtomicPotential::Kirkland(TABLES.kirkland[index]),
        }
    }
}

impl std::str::FromStr for Parametrization {
    type Err = SimulateError;
    fn from_str(name: &str) -> Result<Self, SimulateError> {
        match name {
            "lobato" => Ok(Parametrization::Lobato),
            "kirkland" => Ok(Parametrization::Kirkland),
            _ => Err(SimulateError::UnknownParametrization { found: name.to_owned() }),
        }
    }
}

/// The potential of one free atom at rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AtomicPotential {
    /// Rows `a` and `b` of Lobato and Van Dyck.
    Lobato([[f64; 5]; 2]),
    /// Rows `a`, `b`, `c` and `d` of Kirkland.
    Kirkland([[f64; 3]; 4]),
}

impl AtomicPotential {
    /// Electron scattering factor in angstrom at `k_squared` in 1 / square angstrom.
    pub fn scattering_factor_angstrom(&self, k_squared: f64) -> f64 {
        match self {
            AtomicPotential::Lobato([a, b]) => a
                .iter()
                .zip(b)
                .map(|(a, b)| {
                    let denominator = 1.0 + b * k_squared;
                    a * (2.0 + b * k_squared) / (denominator * denominator)
                })
                .sum(),
            AtomicPotential::Kirkland([a, b, c, d]) => {
                (0..3).map(|i| a[i] / (k_squared + b[i]) + c[i] * (-d[i] * k_squared).exp()).sum()
            }
        }
    }

    /// Fourier transform of the potential projected along the beam, in volt cubic angstrom.
    pub fn projected_transform(&self, k_squared: f64) -> f64 {
        POTENTIAL_PER_SCATTERING_FACTOR * self.scattering_factor_angstrom(k_squared)
    }

    /// Potential projected along the beam at a distance above 0, in volt angstrom.
    ///
    /// The inverse transform of the scattering factor in the plane: with `u = 2 pi r`, a term
    /// `1 / (1 + b k^2)` gives `2 pi K0(u / sqrt b) / b`, its square `pi u K1(u / sqrt b) / b^(3/2)`.
    pub fn projected_potential_volt_angstrom(&self, radius_angstrom: f64) -> f64 {
        let u = 2.0 * PI * radius_angstrom;
        let sum: f64 = match self {
            AtomicPotential::Lobato([a, b]) => a
                .iter()
                .zip(b)
                .map(|(a, b)| {
                    let argument = u / b.sqrt();
                    a * (2.0 * PI / b * Kn(0, argument) + PI * u / b.powf(1.5) * Kn(1, argument))
                })
                .sum(),
            AtomicPotential::Kirkland([a, b, c, d]) => (0..3)
                .map(|i| 2.0 * PI * a[i] * Kn(0, u * b[i].sqrt()) + PI * c[i] / d[i] * (-(u * u) / (4.0 * d[i])).exp())
                .sum(),
        };
        POTENTIAL_PER_SCATTERING_FACTOR * sum
    }

    /// Transform in the plane of the potential between the atom and the height `z` beyond it, relative to
    /// that of the whole half space, times the transform of the whole atom: the share of the atom's
    /// projected potential (volt cubic angstrom) that lies at heights from 0 to `z`; odd in `z`.
    ///
    /// With `c = sqrt(1 + b k^2)`, the inverse transform along z of `1 / (c^2 + b k_z^2)` is
    /// `pi / (c sqrt b) exp(-s)`, `s = 2 pi c z / sqrt b`, and of its square
    /// `pi / (2 c^3 sqrt b) (1 + s) exp(-s)`; integrating from 0 to z gives the shares
    /// `(1 - exp(-s)) / 2` and `(1 - (1 + s / 2) exp(-s)) / 2`. A Gaussian term gives half an error function.
    pub fn transform_up_to_height(&self, k_squared: f64, z_angstrom: f64) -> f64 {
        let z = z_angstrom.abs();
        let sum: f64 = match self {
            AtomicPotential::Lobato([a, b]) => a
                .iter()
                .zip(b)
                .map(|(a, b)| {
                    let c_squared = 1.0 + b * k_squared;
                    let s = 2.0 * PI * z * (c_squared / b).sqrt();
                    let decay = (-s).exp();
                    a * ((1.0 - decay) / c_squared + (1.0 - (1.0 + 0.5 * s) * decay) / (c_squared * c_squared))
                })
                .sum(),
            AtomicPotential::Kirkland([a, b, c, d]) => (0..3)
                .map(|i| {
                    let q_squared = k_squared + b[i];
                    let decay = (-2.0 * PI * z * q_squared.sqrt()).exp();
                    a[i] / q_squared * (1.0 - decay)
                        + c[i] * (-d[i] * k_squared).exp() * puruspe::error::erf(PI * z / d[i].sqrt())
                })
                .sum(),
        };
        0.5 * POTENTIAL_PER_SCATTERING_FACTOR * sum * z_angstrom.signum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_both_sets() {
        for number in 1..=103 {
            let element = Element::from_atomic_number(number).unwrap();
            let lobato = Parametrization::Lobato.atom(element).scattering_factor_angstrom(0.25);
            let kirkland = Parametrization::Kirkland.atom(element).scattering_factor_angstrom(0.25);
            // Two independent fits to much the same atoms.
            assert!((lobato / kirkland - 1.0).abs() < 0.12, "{element}: {lobato} {kirkland}");
        }
    }

    /// The shares of the heights add up: numerically, from the three-dimensional potential.
    #[test]
    fn the_share_within_a_slice_grows_from_none_to_half() {
        for parametrization in [Parametrization::Lobato, Parametrization::Kirkland] {
            let atom = parametrization.atom("Au".parse().unwrap());
            for k_squared in [0.0, 0.3, 4.0] {
                let whole = atom.projected_transform(k_squared);
                assert_eq!(atom.transform_up_to_height(k_squared, 0.0), 0.0);
                assert!((atom.transform_up_to_height(k_squared, 60.0) / whole - 0.5).abs() < 1e-6);
                let (low, high) =
                    (atom.transform_up_to_height(k_squared, 0.2), atom.transform_up_to_height(k_squared, 0.4));
                assert!(low > 0.0 && high > low && high < 0.5 * whole);
                assert_eq!(atom.transform_up_to_height(k_squared, -0.2), -low);
            }
        }
    }

    /// The projected potential is the two-dimensional Fourier transform of the scattering factor: checked by
    /// the Hankel transform `V(k) = 2 pi int V(r) J0(2 pi k r) r dr` at k = 0, by quadrature.
    #[test]
    fn the_projected_potential_integrates_to_the_scattering_factor() {
        for parametrization in [Parametrization::Lobato, Parametrization::Kirkland] {
            for symbol in ["C", "S", "Au"] {
                let atom = parametrization.atom(symbol.parse().unwrap());
                let step = 1e-4;
                // Midpoints in t with r = t^2, which tames the logarithm at the origin.
                let integral: f64 = (0..60_000)
                    .map(|i| {
                        let t = (f64::from(i) + 0.5) * step;
                        2.0 * PI * atom.projected_potential_volt_angstrom(t * t) * t * t * 2.0 * t * step
                    })
                    .sum();
                assert!((integral / atom.projected_transform(0.0) - 1.0).abs() < 1e-4, "{symbol} {integral}");
            }
        }
    }
}
