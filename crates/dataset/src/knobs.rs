//! Knobs of a recipe whose meaning needs more than a number: spreads with their convention, curves of a camera.

use std::path::PathBuf;

use atomlens_core::{Distribution, RandomStream};
use atomlens_simulate::camera::TransferCurve;
use atomlens_simulate::{AngularSpread, FocalSpread};
use serde::{Deserialize, Serialize};

/// A width together with its convention: `{ one_over_e_angstrom = 30.0 }`, `{ standard_deviation_angstrom = { uniform =
/// [15, 30] } }` or `{ full_width_half_maximum_angstrom = 50.0 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FocalSpreadKnob {
    /// Half-width at 1 / e of the maximum.
    #[serde(rename = "one_over_e_angstrom")]
    OneOverE(Distribution),
    /// Standard deviation.
    #[serde(rename = "standard_deviation_angstrom")]
    StandardDeviation(Distribution),
    /// Full width at half maximum.
    #[serde(rename = "full_width_half_maximum_angstrom")]
    FullWidthHalfMaximum(Distribution),
}

impl FocalSpreadKnob {
    pub(crate) fn width(&self) -> &Distribution {
        match self {
            Self::OneOverE(width) | Self::StandardDeviation(width) | Self::FullWidthHalfMaximum(width) => width,
        }
    }

    pub(crate) fn draw(&self, random: &mut RandomStream) -> FocalSpread {
        match self {
            FocalSpreadKnob::OneOverE(width) => FocalSpread::from_one_over_e_half_width(width.sample(random)),
            FocalSpreadKnob::StandardDeviation(width) => FocalSpread::from_standard_deviation(width.sample(random)),
            FocalSpreadKnob::FullWidthHalfMaximum(width) => {
                FocalSpread::from_full_width_half_maximum(width.sample(random))
            }
        }
    }
}

/// The same for the spread of the angle of illumination: `{ one_over_e_mrad = 0.3 }` and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AngularSpreadKnob {
    /// Half-width at 1 / e of the maximum.
    #[serde(rename = "one_over_e_mrad")]
    OneOverE(Distribution),
    /// Standard deviation.
    #[serde(rename = "standard_deviation_mrad")]
    StandardDeviation(Distribution),
    /// Full width at half maximum.
    #[serde(rename = "full_width_half_maximum_mrad")]
    FullWidthHalfMaximum(Distribution),
}

impl AngularSpreadKnob {
    pub(crate) fn width(&self) -> &Distribution {
        match self {
            Self::OneOverE(width) | Self::StandardDeviation(width) | Self::FullWidthHalfMaximum(width) => width,
        }
    }

    pub(crate) fn draw(&self, random: &mut RandomStream) -> AngularSpread {
        const RAD: f64 = 1e-3;
        match self {
            AngularSpreadKnob::OneOverE(width) => AngularSpread::from_one_over_e_half_width(width.sample(random) * RAD),
            AngularSpreadKnob::StandardDeviation(width) => {
                AngularSpread::from_standard_deviation(width.sample(random) * RAD)
            }
            AngularSpreadKnob::FullWidthHalfMaximum(width) => {
                AngularSpread::from_full_width_half_maximum(width.sample(random) * RAD)
            }
        }
    }
}

/// A transfer function of the camera: `{ parametric = { c1 = 1, c2 = 0, c3 = 0.4, c4 = 2.5 } }`, each number a
/// distribution, or `{ table = "camera.mtf" }`, a measured curve from 0 to the Nyquist frequency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CurveKnob {
    /// `(c1 - c2) / (1 + (q / (2 c3))^c4) + c2`; see [`TransferCurve::Parametric`].
    Parametric(ParametricCurve),
    /// A measured curve, in a file.
    Table(PathBuf),
}

/// The numbers of a parametric curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParametricCurve {
    /// Value at frequency 0.
    #[serde(default = "one")]
    pub c1: Distribution,
    /// Value far beyond.
    #[serde(default = "zero")]
    pub c2: Distribution,
    /// Half the frequency, in units of Nyquist's, at which the curve has fallen half way.
    pub c3: Distribution,
    /// Steepness.
    pub c4: Distribution,
}

fn one() -> Distribution {
    1.0.into()
}

fn zero() -> Distribution {
    0.0.into()
}

impl CurveKnob {
    pub(crate) fn draw(
        &self,
        tables: &std::collections::BTreeMap<PathBuf, TransferCurve>,
        random: &mut RandomStream,
    ) -> Result<TransferCurve, crate::DatasetError> {
        match self {
            CurveKnob::Parametric(curve) => Ok(TransferCurve::Parametric {
                c1: curve.c1.sample(random),
                c2: curve.c2.sample(random),
                c3: curve.c3.sample(random),
                c4: curve.c4.sample(random),
            }),
            CurveKnob::Table(path) => tables
                .get(path)
                .cloned()
                .ok_or_else(|| crate::DatasetError::MissingResource { path: path.display().to_string() }),
        }
    }

    pub(crate) fn path(&self) -> Option<&PathBuf> {
        match self {
            CurveKnob::Parametric(_) => None,
            CurveKnob::Table(path) => Some(path),
        }
    }
}
