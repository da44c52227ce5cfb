//! The report of a reconstruction: the images of a series, the exit wave that they give, what is left over, and the
//! optics and the camera that were found on the way.

use std::path::Path;

use askama::Template;
use ndarray::ArrayView2;
use serde_json::{Value, json};

use super::detection::{ModelCard, Warning};
use super::picture::{FramePicture, side_within};
use super::sections::{ModelSection, SpectrumSection, figure};
use super::series_images::{self, FocusImage, ImageSection, SeriesFacts, with_sigma};
use super::viewer::{Stage, address, ramp};
use super::{Figure, STYLE, counted};
use crate::calibrated_map::{CalibratedMap, equally_wide};
use crate::contact_sheet::spread;
use crate::drawing::Drawing;
use crate::scale_bar::short_number;
use crate::spectrum::SpectrumFigure;
use crate::wave::{amplitude_map, convergence_plot, focus_plot, mtf_plot, phase_map, residual_map, residual_plot};
use crate::{ColourMap, ReportError, file};

/// Pixels of all pictures of the viewer together.
const VIEWER_PIXELS: usize = 1_200_000;
/// Longest side of phase and amplitude beside each other.
const PAIR_PX: usize = 440;
/// Longest side of a residual, and how many of them are shown.
const RESIDUAL_PX: usize = 320;
const MOST_RESIDUALS: usize = 6;

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
    /// What is left over of each image that was not left out, in their order; may be empty.
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

impl ReconstructionReport<'_> {
    /// The page.
    pub fn to_html(&self) -> Result<String, ReportError> {
        let (found, expected) = (self.residuals.len(), self.used().len());
        if found > 0 && found != expected {
            return Err(ReportError::Count { what: "residuals", found, expected });
        }
        let settings = if self.settings.is_null() { String::new() } else { format!("{:#}", self.settings) };
        let page = Page {
            title: &self.title,
            program: &self.program,
            created: &self.created,
            summary: self.summary(),
            warnings: &self.warnings,
            wave: self.wave_figures()?,
            viewer: self.viewer()?,
            images: ImageSection::new(&self.images, self.series.pixel_size_nm)?,
            residuals: self.residual_figures()?,
            residual_rows: self.residual_rows(),
            optics: self.optics.iter().map(OpticsRow::new).collect(),
            focus: self.focus_figure()?,
            camera: self.camera.as_ref().map_or(&[], |camera| &camera.facts),
            mtf: self.mtf_figure()?,
            method: &self.method,
            convergence: self.convergence_figure()?,
            spectra: self.spectra.iter().map(SpectrumSection::new).collect::<Result<_, _>>()?,
            can_conclude: &self.can_conclude,
            cannot_conclude: &self.cannot_conclude,
            facts: self.series.rows(self.images.len()),
            model: self.model.as_ref().map(ModelSection::new).transpose()?,
            settings,
            style: STYLE,
            script: concat!(include_str!("../../templates/viewer.js"), include_str!("../../templates/pictures.js")),
        };
        Ok(page.render()?)
    }

    /// Writes the page; an older one is replaced when the new one is complete.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        file::write(path.as_ref(), self.to_html()?.as_bytes())
    }

    /// Names of the images that were not left out.
    fn used(&self) -> Vec<String> {
        let images = self.images.iter().enumerate().filter(|(_, image)| image.left_out.is_empty());
        images.map(|(index, image)| series_images::name(image, index)).collect()
    }

    fn pixel_angstrom(&self) -> f64 {
        10.0 * self.series.pixel_size_nm
    }

    /// The answer in words.
    fn summary(&self) -> Vec<String> {
        let used = counted(self.used().len(), "image", "images");
        let mut first = format!("The exit wave of {}, from {used}.", self.series.name);
        let known = |sigma: Option<f64>| sigma.filter(|sigma| sigma.is_finite());
        let sigmas: Vec<String> = known(self.phase_sigma_rad)
            .map(|sigma| format!("phase {} rad", short_number(sigma)))
            .into_iter()
            .chain(known(self.amplitude_sigma).map(|sigma| format!("amplitude {}", short_number(sigma))))
            .collect();
        if !sigmas.is_empty() {
            first.push_str(&format!(" Standard deviations from the noise of the images: {}.", sigmas.join(", ")));
        }
        let mut text = vec![first];
        let rms: Vec<f64> = self.residuals.iter().map(|r| r.rms).filter(|rms| rms.is_finite()).collect();
        if !rms.is_empty() {
            let (low, high) = rms.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), r| (l.min(*r), h.max(*r)));
            let range = if format!("{low:.2}") == format!("{high:.2}") {
                format!("{low:.2}")
            } else {
                format!("{low:.2} to {high:.2}")
            };
            text.push(format!(
                "What is left over of the images is {range} times their noise; 1 is what noise alone leaves."
            ));
        }
        text
    }

    fn maps(&self) -> [(&'static str, CalibratedMap<'_>); 2] {
        [
            ("Phase", phase_map(self.phase_rad, self.pixel_angstrom())),
            ("Amplitude", amplitude_map(self.amplitude, self.pixel_angstrom())),
        ]
    }

    fn wave_figures(&self) -> Result<Vec<Figure>, ReportError> {
        let maps = self.maps().map(|(_, map)| map.largest_side_px(PAIR_PX));
        let captions = ["Phase, up to a constant", "Amplitude"];
        let figure = |(drawing, caption): (Drawing, &str)| Figure {
            svg: drawing.to_inline_svg(caption),
            caption: caption.to_owned(),
        };
        Ok(equally_wide(&maps)?.into_iter().zip(captions).map(figure).collect())
    }

    /// Phase and amplitude, one at a time, to look at closely.
    fn viewer(&self) -> Result<WaveViewer, ReportError> {
        let side = side_within(VIEWER_PIXELS, 2);
        let colours = [ColourMap::Viridis, ColourMap::Grey];
        let shown = self
            .maps()
            .into_iter()
            .zip(colours)
            .map(|((name, map), colours)| {
                let range = map.range();
                let end = |mark: &str, clipped: bool, value: f64| {
                    format!("{}{}", if clipped { mark } else { "" }, short_number(value).replace('-', "−"))
                };
                let bar = json!({
                    "name": if name == "Phase" { "Phase (rad)" } else { "Amplitude (vacuum 1)" },
                    "low": end("≤ ", range.clipped_low, range.low),
                    "high": end("≥ ", range.clipped, range.high),
                    "colours": ramp(colours),
                });
                let map = map.largest_side_px(side);
                let picture = FramePicture::of_map(&map, self.phase_rad.dim(), self.pixel_angstrom())?;
                Ok((name, picture, bar))
            })
            .collect::<Result<Vec<_>, ReportError>>()?;
        let frames: Vec<Value> = shown
            .iter()
            .enumerate()
            .map(|(place, (name, picture, bar))| {
                let png = if place == 0 { String::new() } else { address(&picture.png) };
                json!({ "label": name, "alt": format!("{name} of the exit wave"), "png": png, "bar": bar })
            })
            .collect();
        let alt = "Phase of the exit wave".to_owned();
        let without_script = "The amplitude needs JavaScript here; the pictures above show both without.";
        let stage = Stage::new(&shown[0].1, alt, without_script, json!({ "frames": frames }));
        Ok(WaveViewer { pictures: shown.iter().map(|(name, _, _)| (*name).to_owned()).collect(), stage })
    }

    fn residual_figures(&self) -> Result<Vec<Figure>, ReportError> {
        let (mut figures, names) = (Vec::new(), self.used());
        for index in spread(self.residuals.len(), MOST_RESIDUALS) {
            let residual = &self.residuals[index];
            let caption = format!("{}: residual {:.2} σ in the root mean square", names[index], residual.rms);
            let map = residual_map(residual.sigmas, self.pixel_angstrom()).largest_side_px(RESIDUAL_PX);
            figures.push(Figure { svg: map.drawing()?.to_inline_svg(&caption), caption });
        }
        for index in spread(self.residuals.len(), MOST_RESIDUALS) {
            let caption = format!("{}: residuals and noise", names[index]);
            figures.push(figure(&residual_plot(self.residuals[index].sigmas), caption)?);
        }
        Ok(figures)
    }

    fn residual_rows(&self) -> Vec<(String, String)> {
        let row = |(residual, name): (&Residual<'_>, String)| {
            let beyond = residual.sigmas.iter().filter(|value| value.abs() > 4.0).count();
            let part = 100.0 * beyond as f64 / residual.sigmas.len().max(1) as f64;
            (name, format!("{:.3} σ; {part:.3} % of the pixels beyond 4 σ", residual.rms))
        };
        self.residuals.iter().zip(self.used()).map(row).collect()
    }

    fn focus_figure(&self) -> Result<Option<Figure>, ReportError> {
        let points: Vec<(f64, f64, Option<f64>)> = self
            .images
            .iter()
            .filter_map(|image| Some((image.nominal_defocus_nm?, image.defocus_nm?, image.defocus_sigma_nm)))
            .filter(|(stated, found, _)| stated.is_finite() && found.is_finite())
            .collect();
        if points.is_empty() {
            return Ok(None);
        }
        figure(&focus_plot(&points), "Focus of each image: estimate less what was stated".to_owned()).map(Some)
    }

    fn mtf_figure(&self) -> Result<Option<Figure>, ReportError> {
        let Some(camera) = self.camera.as_ref().filter(|camera| !camera.mtf.is_empty()) else { return Ok(None) };
        let plot = mtf_plot(&camera.mtf, &camera.mtf_interval, &camera.mtf_measured);
        figure(&plot, "Modulation transfer of the camera, from the noise of the images".to_owned()).map(Some)
    }

    fn convergence_figure(&self) -> Result<Option<Figure>, ReportError> {
        if self.convergence.len() < 2 {
            return Ok(None);
        }
        figure(&convergence_plot(&self.convergence), "Residual after every iteration".to_owned()).map(Some)
    }
}

/// Pictures of the wave to look at closely.
struct WaveViewer {
    pictures: Vec<String>,
    stage: Stage,
}

struct OpticsRow {
    name: String,
    value: String,
    unit: String,
    source: String,
}

impl OpticsRow {
    fn new(optics: &OpticsValue) -> OpticsRow {
        let value = match optics.sigma {
            _ if !optics.value.is_finite() => "–".to_owned(),
            Some(sigma) => with_sigma(optics.value, sigma),
            None => short_number(optics.value).replace('-', "−"),
        };
        OpticsRow { name: optics.name.clone(), value, unit: optics.unit.clone(), source: optics.source.clone() }
    }
}

/// What the template needs.
#[derive(Template)]
#[template(path = "reconstruction.html")]
struct Page<'a> {
    title: &'a str,
    program: &'a str,
    created: &'a str,
    summary: Vec<String>,
    warnings: &'a [Warning],
    wave: Vec<Figure>,
    viewer: WaveViewer,
    images: ImageSection,
    residuals: Vec<Figure>,
    residual_rows: Vec<(String, String)>,
    optics: Vec<OpticsRow>,
    focus: Option<Figure>,
    camera: &'a [(String, String)],
    mtf: Option<Figure>,
    method: &'a [String],
    convergence: Option<Figure>,
    spectra: Vec<SpectrumSection>,
    can_conclude: &'a [String],
    cannot_conclude: &'a [String],
    facts: Vec<(String, String)>,
    model: Option<ModelSection>,
    settings: String,
    style: &'static str,
    script: &'static str,
}
