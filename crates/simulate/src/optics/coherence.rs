//! Partial coherence: the spreads of focus and of angle, with their conventions as types.
//!
//! A width means nothing without its convention. Both spreads are Gaussian; they are stored by their
//! standard deviation `s` and made from any of the three widths in use:
//! half-width at `1 / e` of the maximum, `sqrt(2) s`; full width at half maximum, `sqrt(8 ln 2) s`.
//!
//! Envelopes (R. H. Wade and J. Frank, Optik 49, 81 (1977)): temporal `exp(-(pi s theta^2 / lambda)^2 / 2)`, spatial
//! `exp(-s^2 |grad chi|^2 / 2)`, the gradient over the angle.

use serde::{Deserialize, Serialize};

/// Standard deviations in a full width at half maximum.
const FULL_WIDTH: f64 = 2.354_820_045_030_949_4;

macro_rules! spread {
    ($(#[$doc:meta])* $name:ident, $unit:ident, $text:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $unit: f64,
        }

        impl $name {
            #[doc = concat!("From the standard deviation in ", $text, ".")]
            pub fn from_standard_deviation(value: f64) -> Self {
                $name { $unit: value }
            }

            #[doc = concat!("From the half-width at 1 / e of the maximum in ", $text, ", the convention of abTEM and Dr. Probe.")]
            pub fn from_one_over_e_half_width(value: f64) -> Self {
                $name { $unit: value / std::f64::consts::SQRT_2 }
            }

            #[doc = concat!("From the full width at half maximum in ", $text, ".")]
            pub fn from_full_width_half_maximum(value: f64) -> Self {
                $name { $unit: value / FULL_WIDTH }
            }

            #[doc = concat!("The standard deviation in ", $text, ".")]
            pub fn standard_deviation(self) -> f64 {
                self.$unit
            }

            #[doc = concat!("The half-width at 1 / e of the maximum in ", $text, ".")]
            pub fn one_over_e_half_width(self) -> f64 {
                self.$unit * std::f64::consts::SQRT_2
            }
        }
    };
}

spread!(
    /// Spread of the focus during an exposure, from chromatic aberration and instabilities.
    FocalSpread, standard_deviation_angstrom, "angstrom"
);
spread!(
    /// Spread of the angle of illumination, along one direction.
    AngularSpread, standard_deviation_rad, "radian"
);

/// How a spread enters the image.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Coherence<Spread> {
    /// The illumination is perfect.
    #[default]
    Coherent,
    /// An envelope on the transfer function: right for the linear part of the contrast.
    Envelope(Spread),
    /// A weighted sum of coherent images: right for all of it, at the cost of one image a sample.
    Sum {
        /// The spread.
        spread: Spread,
        /// Samples along each direction, over three standard deviations either way.
        samples: usize,
    },
}

/// Reach of explicit sums in standard deviations.
const REACH: f64 = 3.0;

/// Places and weights of a sum over a Gaussian: evenly spaced, the weights adding up to 1, and stretched so that
/// the sum has the Gaussian's own variance in spite of its ends.
pub(crate) fn gaussian_samples(standard_deviation: f64, samples: usize) -> Vec<(f64, f64)> {
    let count = samples.max(1);
    if count == 1 {
        return vec![(0.0, 1.0)];
    }
    let step = 2.0 * REACH / count as f64;
    let raw: Vec<(f64, f64)> = (0..count)
        .map(|index| {
            let t = -REACH + step * (index as f64 + 0.5);
            (t, (-0.5 * t * t).exp())
        })
        .collect();
    let sum: f64 = raw.iter().map(|(_, weight)| weight).sum();
    let variance = raw.iter().map(|(t, weight)| weight * t * t).sum::<f64>() / sum;
    let stretch = standard_deviation / variance.sqrt();
    raw.into_iter().map(|(t, weight)| (t * stretch, weight / sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_convert() {
        let spread = FocalSpread::from_one_over_e_half_width(30.0);
        assert!((spread.standard_deviation() - 21.213_203).abs() < 1e-6);
        assert!((spread.one_over_e_half_width() - 30.0).abs() < 1e-12);
        // A Gaussian of full width 2.3548 has standard deviation 1.
        assert!(
            (FocalSpread::from_full_width_half_maximum((8.0 * 2_f64.ln()).sqrt()).standard_deviation() - 1.0).abs()
                < 1e-12
        );
    }

    #[test]
    fn samples_have_the_moments_of_the_spread() {
        for count in [2, 5, 40] {
            let samples = gaussian_samples(2.0, count);
            let moment = |power: i32| samples.iter().map(|(place, weight)| weight * place.powi(power)).sum::<f64>();
            assert!((moment(0) - 1.0).abs() < 1e-12 && moment(1).abs() < 1e-12 && (moment(2) - 4.0).abs() < 1e-12);
        }
        // The fourth moment of a Gaussian is three times the squared variance; cutting the ends takes some of it.
        let fourth: f64 = gaussian_samples(2.0, 40).iter().map(|(place, weight)| weight * place.powi(4)).sum();
        assert!((fourth / 48.0 - 1.0).abs() < 0.1, "{fourth}");
    }
}
