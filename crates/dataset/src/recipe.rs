//! Recipes: how specimens, optics and camera are drawn, as a TOML file has it.
//!
//! ```
//! # use atomlens_dataset::Recipe;
//! let recipe = Recipe::parse(r#"
//! name = "a small gold particle"
//! [image]
//! pixels = 128
//! pixel_size_angstrom = 0.2
//! [wave]
//! energy_kev = 300
//! [specimen.body]
//! kind = "nanoparticle"
//! element = "Au"
//! radius_angstrom = 8
//! [optics]
//! defocus_angstrom = { uniform = [40, 200] }
//! focal_spread = { one_over_e_angstrom = 30 }
//! [camera]
//! dose_e_per_a2 = { log_uniform = [100, 10000] }
//! "#).unwrap();
//! assert!(Recipe::parse("[imgae]").is_err());
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use atomlens_core::Distribution;
use atomlens_simulate::camera::PixelType;
use atomlens_simulate::electron::ENERGY_RANGE_EV;
use atomlens_simulate::potential::{Placement, Projection};
use atomlens_simulate::{Aberrations, Parametrization};
use atomlens_specimen::SpecimenSettings;
use atomlens_specimen::dynamics::DynamicsSettings;
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::knobs::{AngularSpreadKnob, CurveKnob, FocalSpreadKnob};

mod message;
pub(crate) use message::explain;

/// Everything that is needed to draw images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the recipe is called.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Size and sampling of the images.
    pub image: ImageSettings,
    /// The electrons and how they pass the specimen.
    pub wave: WaveSettings,
    /// What is looked at.
    pub specimen: SpecimenSettings,
    /// Rates and motions, for movies; a single frame where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamics: Option<DynamicsSettings>,
    /// The lenses.
    #[serde(default)]
    pub optics: OpticsSettings,
    /// The camera.
    pub camera: CameraSettings,
}

/// Number of pixels of an image: one number for a square, or `[x, y]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a whole number of pixels, or [x, y]")]
pub enum Pixels {
    /// As many along x as along y.
    Square(usize),
    /// Along x and along y.
    Each([usize; 2]),
}

impl Pixels {
    /// Along x and along y.
    pub fn each(self) -> [usize; 2] {
        match self {
            Pixels::Square(n) => [n, n],
            Pixels::Each(each) => each,
        }
    }
}

/// Size and sampling of the images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSettings {
    /// Number of pixels.
    pub pixels: Pixels,
    /// Distance between pixels, drawn once for every specimen.
    pub pixel_size_angstrom: Distribution,
    /// What is computed beyond the image on every side and cut away, so that nothing wraps around into it.
    #[serde(default = "default_margin")]
    pub margin_angstrom: f64,
}

fn default_margin() -> f64 {
    5.0
}

/// The electrons and how they pass the specimen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveSettings {
    /// Kinetic energy, 30 to 1000.
    pub energy_kev: Distribution,
    /// Largest distance between pixels of the wave.
    #[serde(default = "default_sampling")]
    pub sampling_angstrom: f64,
    /// Largest thickness of a slice.
    #[serde(default = "default_slice")]
    pub slice_thickness_angstrom: f64,
    /// Coefficients of the scattering factors: `lobato` or `kirkland`.
    #[serde(default)]
    pub parametrization: Parametrization,
    /// `infinite` or `finite`.
    #[serde(default)]
    pub projection: Projection,
    /// `exact` or `bilinear`.
    #[serde(default)]
    pub placement: Placement,
    /// How many images, each of other optics and noise, are made of one specimen's exit wave.
    #[serde(default = "default_images_per_wave")]
    pub images_per_wave: usize,
}

fn default_sampling() -> f64 {
    0.12
}
fn default_slice() -> f64 {
    1.0
}
fn default_images_per_wave() -> usize {
    1
}

/// The lenses, drawn for every image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpticsSettings {
    /// Defocus, underfocus positive; of the first image of a focal series.
    pub defocus_angstrom: Distribution,
    /// Spherical aberration C30.
    pub cs_angstrom: Distribution,
    /// Other aberrations in Krivanek's notation: `C12 = { uniform = [0, 50] }` in angstrom, `phi12` in radian.
    pub aberrations: BTreeMap<String, Distribution>,
    /// Spread of focus, with its convention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_spread: Option<FocalSpreadKnob>,
    /// Spread of the angle of illumination, with its convention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub angular_spread: Option<AngularSpreadKnob>,
    /// Samples of an explicit sum over focus; an envelope where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focus_samples: Option<usize>,
    /// Samples along each direction of an explicit sum over angle; an envelope where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub angle_samples: Option<usize>,
    /// Radius of the objective aperture; none where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aperture_mrad: Option<Distribution>,
    /// Width of the aperture's edge.
    pub aperture_edge_mrad: f64,
    /// Tilt of the beam, at a free azimuth.
    pub beam_tilt_mrad: Distribution,
    /// Root-mean-square amplitude of vibration, alike along x and y.
    pub vibration_angstrom: Distribution,
    /// Drift during one exposure, at a free azimuth.
    pub exposure_drift_angstrom: Distribution,
    /// Several images of one specimen at different focus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_series: Option<FocalSeriesSettings>,
}

impl Default for OpticsSettings {
    /// A perfect lens in focus.
    fn default() -> Self {
        let zero = || Distribution::Constant(0.0);
        OpticsSettings {
            defocus_angstrom: zero(),
            cs_angstrom: zero(),
            aberrations: BTreeMap::new(),
            focal_spread: None,
            angular_spread: None,
            focus_samples: None,
            angle_samples: None,
            aperture_mrad: None,
            aperture_edge_mrad: 0.5,
            beam_tilt_mrad: zero(),
            vibration_angstrom: zero(),
            exposure_drift_angstrom: zero(),
            focal_series: None,
        }
    }
}

/// A focal series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FocalSeriesSettings {
    /// Number of images.
    pub images: usize,
    /// What the defocus changes by from one image to the next, drawn once a series.
    pub step_angstrom: Distribution,
    /// Error of every step, drawn for each image.
    #[serde(default = "zero")]
    pub jitter_angstrom: Distribution,
    /// Shift of the image from one to the next along x and along y, drawn for each.
    #[serde(default = "zero")]
    pub shift_angstrom: Distribution,
}

fn zero() -> Distribution {
    Distribution::Constant(0.0)
}

/// The camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSettings {
    /// Electrons per square angstrom, for every frame and every image of a series.
    pub dose_e_per_a2: Distribution,
    /// Modulation transfer function; perfect where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtf: Option<CurveKnob>,
    /// Noise transfer function; that of the signal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ntf: Option<CurveKnob>,
    /// Pixels of the detector along each direction in one of the image.
    #[serde(default = "default_binning")]
    pub binning: usize,
    /// Standard deviation of readout and dark noise.
    #[serde(default = "zero")]
    pub dark_noise_electrons: Distribution,
    /// Counts per electron.
    #[serde(default = "default_gain")]
    pub gain_counts_per_electron: Distribution,
    /// Counts without any electron.
    #[serde(default = "zero")]
    pub offset_counts: Distribution,
    /// Share of pixels that are hot.
    #[serde(default = "zero")]
    pub hot_pixel_fraction: Distribution,
    /// Counts that a hot pixel has more than it should.
    #[serde(default = "zero")]
    pub hot_pixel_counts: Distribution,
    /// Counts at which a pixel is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation_counts: Option<Distribution>,
    /// `f32`, `u16` or `u8`.
    #[serde(default)]
    pub pixel_type: PixelType,
}

fn default_binning() -> usize {
    1
}
fn default_gain() -> Distribution {
    1.0.into()
}

impl Recipe {
    /// Reads a recipe and checks it.
    ///
    /// # Errors
    /// One message that names the line, what was found there, what was expected, and for an unknown key the
    /// nearest known one.
    pub fn parse(text: &str) -> Result<Recipe, DatasetError> {
        let recipe: Recipe = toml::from_str(text).map_err(|error| message::explain(&error, text))?;
        recipe.check()?;
        Ok(recipe)
    }

    /// The recipe as TOML, every knob written out.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// Files with curves of the camera that the recipe refers to.
    pub fn curve_paths(&self) -> Vec<PathBuf> {
        [&self.camera.mtf, &self.camera.ntf].into_iter().flatten().filter_map(|knob| knob.path().cloned()).collect()
    }

    /// Refuses values that can be seen to be wrong before anything is drawn.
    pub fn check(&self) -> Result<(), DatasetError> {
        let wrong = |key: &'static str, found: String, expected: &str| {
            Err(DatasetError::Value { key, found, expected: expected.to_owned() })
        };
        let [nx, ny] = self.image.pixels.each();
        if !(16..=8192).contains(&nx) || !(16..=8192).contains(&ny) {
            return wrong("image.pixels", format!("{nx} x {ny}"), "16 to 8192 along x and along y");
        }
        let (low, high) = self.image.pixel_size_angstrom.range();
        if low < 0.005 || high > 2.0 {
            return wrong(
                "image.pixel_size_angstrom",
                format!("{low} to {high}"),
                "0.005 to 2 angstrom (0.1 nm is 1 angstrom)",
            );
        }
        if !(0.0..=200.0).contains(&self.image.margin_angstrom) {
            return wrong("image.margin_angstrom", self.image.margin_angstrom.to_string(), "0 to 200 angstrom");
        }
        let (low, high) = self.wave.energy_kev.range();
        if low * 1e3 < *ENERGY_RANGE_EV.start() || high * 1e3 > *ENERGY_RANGE_EV.end() {
            return wrong("wave.energy_kev", format!("{low} to {high}"), "30 to 1000 keV");
        }
        if !(0.005..=0.22).contains(&self.wave.sampling_angstrom) {
            return wrong(
                "wave.sampling_angstrom",
                self.wave.sampling_angstrom.to_string(),
                "0.005 to 0.22 angstrom; coarser waves do not carry the scattering of atoms",
            );
        }
        if !(0.05..=20.0).contains(&self.wave.slice_thickness_angstrom) {
            return wrong(
                "wave.slice_thickness_angstrom",
                self.wave.slice_thickness_angstrom.to_string(),
                "0.05 to 20 angstrom",
            );
        }
        if !(1..=1_000_000).contains(&self.wave.images_per_wave) {
            return wrong("wave.images_per_wave", self.wave.images_per_wave.to_string(), "1 to 1000000");
        }
        let (low, high) = self.camera.dose_e_per_a2.range();
        if low <= 0.0 || high > 1e9 {
            return wrong(
                "camera.dose_e_per_a2",
                format!("{low} to {high}"),
                "a positive dose up to 1e9; log_uniform keeps it positive",
            );
        }
        for (key, knob, least, most, expected) in self.bounded() {
            let (low, high) = knob.range();
            if low < least || high > most {
                let found = if low == high { low.to_string() } else { format!("{low} to {high}") };
                return wrong(key, found, expected);
            }
        }
        if !(1..=16).contains(&self.camera.binning) {
            return wrong("camera.binning", self.camera.binning.to_string(), "1 to 16");
        }
        for (key, samples) in
            [("optics.focus_samples", self.optics.focus_samples), ("optics.angle_samples", self.optics.angle_samples)]
        {
            if samples.is_some_and(|samples| !(2..=101).contains(&samples)) {
                return wrong(key, format!("{}", samples.unwrap_or(0)), "2 to 101, or left out for an envelope");
            }
        }
        let mut named = Aberrations::default();
        for (name, value) in &self.optics.aberrations {
            let twice = match name.as_str() {
                "C10" => Some("optics.defocus_angstrom"),
                "C30" => Some("optics.cs_angstrom"),
                _ => None,
            };
            if let Some(other) = twice {
                return wrong(
                    "optics.aberrations",
                    name.clone(),
                    &format!("that aberration under {other}, so that nothing is set twice"),
                );
            }
            named.set(name, value.range().0)?;
        }
        match &self.optics.focal_series {
            Some(series) if !(2..=200).contains(&series.images) => {
                wrong("optics.focal_series.images", series.images.to_string(), "2 to 200")
            }
            _ => Ok(()),
        }
    }
}

/// Knobs with their bounds; a normal distribution ends at four standard deviations.
type Bounded<'a> = (&'static str, &'a Distribution, f64, f64, &'static str);

impl Recipe {
    fn bounded(&self) -> Vec<Bounded<'_>> {
        const NOT_NEGATIVE: &str = "0 or more";
        let (optics, camera) = (&self.optics, &self.camera);
        let mut bounded: Vec<Bounded<'_>> = vec![
            ("optics.vibration_angstrom", &optics.vibration_angstrom, 0.0, 100.0, "0 to 100 angstrom"),
            ("camera.dark_noise_electrons", &camera.dark_noise_electrons, 0.0, f64::MAX, NOT_NEGATIVE),
            ("camera.hot_pixel_fraction", &camera.hot_pixel_fraction, 0.0, 1.0, "0 to 1"),
            ("camera.hot_pixel_counts", &camera.hot_pixel_counts, 0.0, f64::MAX, NOT_NEGATIVE),
            ("camera.gain_counts_per_electron", &camera.gain_counts_per_electron, 1e-9, 1e9, "a number above 0"),
        ];
        if let Some(spread) = &optics.focal_spread {
            bounded.push(("optics.focal_spread", spread.width(), 0.0, 1e4, "a width of 0 to 10000 angstrom"));
        }
        if let Some(spread) = &optics.angular_spread {
            bounded.push(("optics.angular_spread", spread.width(), 0.0, 100.0, "a width of 0 to 100 mrad"));
        }
        if let Some(radius) = &optics.aperture_mrad {
            bounded.push(("optics.aperture_mrad", radius, 1e-3, 1e3, "a radius above 0, or left out for no aperture"));
        }
        if let Some(counts) = &camera.saturation_counts {
            bounded.push(("camera.saturation_counts", counts, 1e-9, f64::MAX, "a number above 0, or left out"));
        }
        bounded
    }
}

#[cfg(test)]
mod tests;
