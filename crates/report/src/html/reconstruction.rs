//! The report of a reconstruction: the images of a series, the exit wave that they give, what is left over, and the
//! optics and the camera that were found on the way.

use ndarray::ArrayView2;

use super::detection::{ModelCard, Warning};
use super::series_images::{FocusImage, SeriesFacts};
use crate::spectrum::SpectrumFigure;

/// What a report is made of.
#[derive(Debug, Clone)]
pub struct ReconstructionReport<'a> {
    /// What the page is called.
    pub title: String,
    /// The program's name and version.
    pub program: String,
    /// When it was made, as it is to be written; may be empty.
    pub created: String,
    /// What is known of the series.
    pub series: SeriesFacts,
    /// Its images, in the order in which they were looked at.
    pub images: Vec<FocusImage<'a>>,
    /// Phase of the exit wave `[y, x]` on the grid of the images, in rad.
    pub phase_rad: ArrayView2<'a, f32>,
    /// Its amplitude; vacuum has one.
    pub amplitude: ArrayView2<'a, f32>,
    /// Standard deviation of the phase from the noise of the images, in rad.
    pub phase_sigma_rad: Option<f64>,
    /// Standard deviation of the amplitude.
    pub amplitude_sigma: Option<f64>,
    /// What is left over of each image, in its order; may be empty.
    pub residuals: Vec<Residual<'a>>,
    /// The optics that were found, a row each.
    pub optics: Vec<OpticsValue>,
    /// The camera, if it was looked at.
    pub camera: Option<CameraFacts>,
    /// How the wave was found, sentence by sentence.
    pub method: Vec<String>,
    /// Iteration and residual, in standard deviations of the noise; may be empty.
    pub convergence: Vec<(f64, f64)>,
    /// What the images' own spectra say of the optics; may be empty.
    pub spectra: Vec<SpectrumFigure<'a>>,
    /// What can be concluded, sentence by sentence.
    pub can_conclude: Vec<String>,
    /// What cannot.
    pub cannot_conclude: Vec<String>,
    /// Warnings, each with its place.
    pub warnings: Vec<Warning>,
    /// All settings of the run.
    pub settings: serde_json::Value,
    /// The model that was used, if one was.
    pub model: Option<ModelCard>,
}

/// What is left over of an image once the wave's own image is taken away.
#[derive(Debug, Clone)]
pub struct Residual<'a> {
    /// Image less model `[y, x]`, in standard deviations of the noise.
    pub sigmas: ArrayView2<'a, f32>,
    /// Its root mean square: one where nothing but noise is left.
    pub rms: f64,
}

/// A number of the optics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpticsValue {
    /// What it is, such as `Twofold astigmatism`.
    pub name: String,
    /// Its value; not finite where unknown.
    pub value: f64,
    /// Its standard deviation.
    pub sigma: Option<f64>,
    /// Its unit, such as `nm`.
    pub unit: String,
    /// Where it is from, such as `refined`, `held at the value of the settings`; may be empty.
    pub source: String,
}

/// What was found of the camera.
#[derive(Debug, Clone, Default)]
pub struct CameraFacts {
    /// Facts such as the gain: name and value with unit and uncertainty.
    pub facts: Vec<(String, String)>,
    /// Modulation transfer against the frequency in units of the Nyquist frequency; may be empty.
    pub mtf: Vec<(f64, f64)>,
    /// Lower and upper end of the transfer at each of those; empty where unknown.
    pub mtf_interval: Vec<(f64, f64)>,
    /// The transfer as it was measured, where the curve is a fit; may be empty.
    pub mtf_measured: Vec<(f64, f64)>,
}
