//! From a focal series to the exit wave, the focus of its images and the lens.
//!
//! Two ways under one interface: a network that sees three images ([`Method::Network`]), and the iterative solution of maximum
//! likelihood ([`Method::Iterative`], [`atomlens_reconstruct::iterative`]), which takes any number of images from two on and refines
//! focus, astigmatism and spread with the wave. [`Method::Both`] begins the second with the first. Results are on the pixels of
//! the first image that is used.

mod optics_file;
mod pages;
mod write;

use std::borrow::Cow;
use std::path::PathBuf;

use atomlens_analysis::lattice::known::KnownLattice;
use atomlens_reconstruct::iterative::{self, Progress, Reconstruction, Settings};
use atomlens_reconstruct::{CameraEstimate, Estimate, FocalSeries, LensPrior};
use atomlens_simulate::FocalSpread;
use ndarray::Array2;
use num_complex::Complex32;
use serde::Serialize;

pub use self::optics_file::{Found, ImageOptics, OpticsFile};
use self::write::WaveFolder;
use crate::detect::check_range;
use crate::detect::choose::{self, Choice};
use crate::provenance::{Provenance, write_json};
use crate::series::{LeftOut, Needs, Placed, SeriesError, SeriesFiles, SeriesSettings, wave};
use crate::{Context, WorkflowError};

/// How the wave is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By a network.
    Network,
    /// By maximum likelihood.
    Iterative,
    /// By maximum likelihood, begun with the network's wave.
    Both,
}

/// What the user knows of the lens; what is known is held, the rest refined.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Lens {
    /// Spherical aberration.
    pub cs_um: Option<f64>,
    /// Twofold astigmatism.
    pub astigmatism_angstrom: Option<f64>,
    /// Its azimuth, from x towards y.
    pub astigmatism_azimuth_degree: Option<f64>,
    /// Spread of the focus, half-width at 1/e of the maximum.
    pub focal_spread_angstrom: Option<f64>,
}

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReconstructSettings {
    /// The series.
    #[serde(flatten)]
    pub series: SeriesSettings,
    /// How; both if there are images and a model for it, else iterative, if left out.
    pub method: Option<Method>,
    /// Energy; from the file if left out.
    pub energy_kev: Option<f64>,
    /// The lens, as far as it is known.
    #[serde(flatten)]
    pub lens: Lens,
    /// Most iterations.
    pub iterations: Option<u32>,
    /// A model's name or folder; the one that comes with the program if left out.
    pub model: Option<String>,
    /// The folder.
    pub out: PathBuf,
}

/// What the job found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReconstructSummary {
    /// The folder.
    pub out: PathBuf,
    /// By series.
    pub series: Vec<OneWave>,
}

/// What was found in a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OneWave {
    /// What it is called.
    pub series: String,
    /// The wave.
    pub wave: PathBuf,
    /// The report.
    pub report: PathBuf,
    /// How it was found, in words.
    pub how: String,
    /// Width and height of the wave.
    pub size_px: (usize, usize),
    /// Pixel size.
    pub pixel_size_nm: f64,
    /// Images that were used.
    pub images: usize,
    /// Those that were not.
    pub left_out: Vec<LeftOut>,
    /// The focus of each image, in words.
    pub defocus: Vec<String>,
    /// Root mean square of what is left over of all images, in standard deviations of the noise.
    pub residual_rms: Option<f64>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Standard deviation, in angstrom, of the focus that the alignment finds.
const FOCUS_SIGMA_ANGSTROM: f64 = 15.0;
/// Side of the square that a phase is compared with, so that holes of the specimen and its edges do not count.
const NEIGHBOURHOOD_ANGSTROM: f64 = 6.0;
/// A phase of this skewness has holes, not peaks.
const HOLES: f64 = -1.0;

/// Fewest images that the iterative solution needs.
const FEWEST_ITERATIVE: usize = 2;

/// Runs the job.
///
/// # Errors
/// Files that make no series, a focus, pixel size or energy that nobody knows, too few good images, Ctrl-C; what there was of the
/// wave by then is written and valid.
pub fn run(settings: &ReconstructSettings, context: &Context) -> Result<ReconstructSummary, WorkflowError> {
    settings.series.check()?;
    let choice = settings.choice()?;
    let all = SeriesFiles::open(&settings.series)?;
    let mut provenance = Provenance::new("reconstruct", settings.clone());
    for series in &all {
        provenance = series.inputs(provenance)?;
    }
    if settings.out.exists() {
        // Found out before anything is computed.
        provenance.enter(&settings.out, false)?;
    }
    let lattices = choose::lattices(&choose::candidates(None)?, settings.series.lattice.as_deref())?;
    let several = all.len() > 1;
    let mut job = Job { settings, context, choice, lattices, provenance, several, entered: false };
    let mut done = Vec::new();
    let cancelled = |done: u64| WorkflowError::Cancelled { done, total: all.len() as u64, unit: "series" };
    for series in &all {
        if context.is_cancelled() {
            job.finish(&done)?;
            return Err(cancelled(done.len() as u64));
        }
        match job.reconstruct(series) {
            Ok((wave, stopped)) => {
                done.push(wave);
                if stopped {
                    job.finish(&done)?;
                    return Err(cancelled(done.len() as u64 - 1));
                }
            }
            Err(error) if all.len() == 1 => return Err(error),
            Err(error) => context.progress.note(&format!("{error}; going on with the other series")),
        }
    }
    if done.is_empty() {
        return Err(WorkflowError::NothingDetected { files: all.len() });
    }
    job.finish(&done)?;
    Ok(ReconstructSummary { out: settings.out.clone(), series: done })
}

impl ReconstructSettings {
    /// The model, where one is asked for or may help.
    fn choice(&self) -> Result<Option<Choice>, WorkflowError> {
        let gives_wave = |choice: &Choice| choice.model.network.architecture().wave;
        let refused = |choice: &Choice| WorkflowError::Setting {
            what: "--model",
            found: format!("{}, which gives no wave", choice.name),
            expected: "a model that was trained to give the exit wave, such as layer-series".to_owned(),
        };
        match self.method {
            Some(Method::Iterative) => Ok(None),
            Some(Method::Network | Method::Both) => {
                let choice = crate::series::detect::model(self.model.as_deref())?;
                if gives_wave(&choice) { Ok(Some(choice)) } else { Err(refused(&choice)) }
            }
            None if self.model.is_some() => {
                let choice = crate::series::detect::model(self.model.as_deref())?;
                if gives_wave(&choice) { Ok(Some(choice)) } else { Err(refused(&choice)) }
            }
            None => Ok(crate::series::detect::model(None).ok().filter(gives_wave)),
        }
    }
}

struct Job<'a> {
    settings: &'a ReconstructSettings,
    context: &'a Context,
    choice: Option<Choice>,
    lattices: Vec<KnownLattice>,
    provenance: Provenance<ReconstructSettings>,
    several: bool,
    entered: bool,
}

/// A wave, however it was found.
struct Solution {
    wave: Array2<Complex32>,
    optics: OpticsFile,
    /// Number of each image, and what is left over of it in standard deviations of the noise.
    residuals: Vec<(usize, Array2<f32>)>,
    /// The network that saw the images; empty if none did.
    network: String,
    camera: Option<CameraEstimate>,
    warnings: Vec<String>,
}

impl Job<'_> {
    /// Finds and writes the wave of a series; says whether the user stopped it.
    fn reconstruct(&mut self, files: &SeriesFiles) -> Result<(OneWave, bool), WorkflowError> {
        let settings = self.settings;
        let images = files.read()?;
        let energy_kev = settings
            .energy_kev
            .or(images.source.acquisition().voltage_kv)
            .ok_or_else(|| SeriesError::NoEnergy { name: images.name.clone() })?;
        let asked = settings.method;
        let of_network = self.choice.as_ref().and_then(|choice| choice.model.card.series.clone());
        let needs = match (asked, &of_network) {
            (Some(Method::Network | Method::Both), Some(series)) => Needs {
                given: series.images,
                good: if series.may_lack_images { FEWEST_ITERATIVE } else { series.images },
                who: "the network",
                advice: "; --method iterative takes two or more",
            },
            _ => Needs { given: FEWEST_ITERATIVE, good: FEWEST_ITERATIVE, who: "a wave", advice: "" },
        };
        let cs_angstrom = settings.lens.cs_um.map(|cs| 1e4 * cs);
        let placed = crate::series::place(images, &settings.series, &self.lattices, energy_kev, cs_angstrom, &needs)?;
        let method = match asked {
            Some(method) => method,
            None if self.network_fits(&placed) => Method::Both,
            None => Method::Iterative,
        };
        let solution = self.solution(method, &placed, energy_kev)?;
        self.enter()?;
        let wave = self.write(files, &placed, &solution)?;
        Ok((wave, solution.optics.stopped))
    }

    /// Whether the network was trained on such images.
    fn network_fits(&self, placed: &Placed) -> bool {
        let Some(choice) = &self.choice else { return false };
        let Some(series) = &choice.model.card.series else { return false };
        let enough = placed.total >= series.images && (series.may_lack_images || placed.left_out.is_empty());
        enough && check_range(&placed.source, choice, &placed.pixel_size).is_ok()
    }

    fn solution(&self, method: Method, placed: &Placed, energy_kev: f64) -> Result<Solution, WorkflowError> {
        let mut warnings = placed.warnings.clone();
        let (mut seen, mut network) = (None, String::new());
        if let (Method::Network | Method::Both, Some(choice)) = (method, &self.choice) {
            check_range(&placed.source, choice, &placed.pixel_size)?;
            wave::check_sign(choice, placed)?;
            let (wave, of_network) = wave::wave_of(choice, placed)?;
            warnings.extend(of_network);
            seen = Some(wave);
            network.clone_from(&choice.name);
        }
        if let (Method::Network, Some(wave)) = (method, seen.take_if(|_| method == Method::Network)) {
            let optics = optics_file::first_estimate(placed, energy_kev);
            let (residuals, camera) = (Vec::new(), placed.camera.clone());
            return Ok(Solution { wave, optics, residuals, network, camera, warnings });
        }
        let found = self.iterate(placed, seen.as_ref())?;
        let optics = optics_file::refined(placed, &found, method, energy_kev, &self.settings.lens);
        if found.stopped {
            warnings
                .push(format!("stopped after {} iterations: the wave is what was reached by then", found.iterations));
        } else if !found.converged {
            warnings.push(format!(
                "the solution had not settled after {} iterations; give more with --iterations",
                found.iterations
            ));
        }
        let numbers = placed.facts.iter().map(|image| image.number);
        Ok(Solution {
            residuals: numbers.zip(found.residual.outer_iter().map(|residual| residual.to_owned())).collect(),
            wave: found.wave,
            optics,
            network,
            camera: Some(found.camera),
            warnings,
        })
    }

    /// The iterative solution, begun with a wave if there is one.
    fn iterate(&self, placed: &Placed, start: Option<&Array2<Complex32>>) -> Result<Reconstruction, WorkflowError> {
        let mut lens = self.settings.lens.prior();
        let series = begun_with_alignment(placed, &mut lens);
        let mut settings = Settings {
            lens,
            camera: placed.camera.clone(),
            shift_angstrom: Some(placed.alignment.shift_angstrom.clone()),
            lenses: placed.alignment.hypotheses.clone(),
            ..Settings::default()
        };
        settings.lens.shift_sigma_angstrom = shift_sigma_angstrom(&placed.alignment.sigma_angstrom);
        if let Some(iterations) = self.settings.iterations {
            settings.most_iterations = iterations as usize;
        }
        let progress = &self.context.progress;
        let mut begun = false;
        let mut go_on = |step: Progress| {
            if !begun {
                progress.begin(step.most_iterations as u64, "iterations");
                begun = true;
            }
            progress.done(step.iteration as u64);
            !self.context.is_cancelled()
        };
        let found = iterative::reconstruct(&series, &settings, start, &mut go_on);
        let found =
            found.map_err(|source| SeriesError::Unusable { name: placed.name.clone(), reason: source.to_string() })?;
        if !found.stopped {
            check_phase(placed, &found)?;
        }
        Ok(found)
    }

    /// Makes the folder when there is something to put into it.
    fn enter(&mut self) -> Result<(), WorkflowError> {
        if !self.entered {
            self.provenance.enter(&self.settings.out, false)?;
            self.provenance.write(&self.settings.out.join("settings.json"))?;
            self.entered = true;
        }
        Ok(())
    }

    fn write(&self, files: &SeriesFiles, placed: &Placed, solution: &Solution) -> Result<OneWave, WorkflowError> {
        let folder = files.folder(&self.settings.out, self.several)?;
        let (phase, amplitude) = write::phase_and_amplitude(solution.wave.view());
        let grid = placed.series.grid();
        let wave = WaveFolder {
            folder: &folder,
            grid,
            wave: &solution.wave,
            phase: &phase,
            amplitude: &amplitude,
            residuals: &solution.residuals,
            optics: &solution.optics,
        };
        let wave = wave.write()?;
        let report = folder.join("report.html");
        let provenance = serde_json::to_value(&self.provenance).unwrap_or_default();
        pages::write(&report, placed, solution, (&phase, &amplitude), self.choice.as_ref(), provenance)?;
        let optics = &solution.optics;
        let rms: Vec<f64> = optics.images.iter().filter_map(|image| image.residual_rms).collect();
        let mean_square = rms.iter().map(|value| value * value).sum::<f64>() / rms.len().max(1) as f64;
        Ok(OneWave {
            series: placed.name.clone(),
            wave,
            report,
            how: optics.how(&solution.network),
            size_px: (grid.nx, grid.ny),
            pixel_size_nm: 0.1 * grid.pixel_x_angstrom,
            images: placed.facts.len(),
            left_out: placed.left_out.clone(),
            defocus: optics.images.iter().map(ImageOptics::says).collect(),
            residual_rms: (!rms.is_empty()).then(|| mean_square.sqrt()),
            warnings: solution.warnings.clone(),
        })
    }

    /// Writes what concerns all series.
    fn finish(&self, done: &[OneWave]) -> Result<(), WorkflowError> {
        if done.is_empty() {
            return Ok(());
        }
        let summary = ReconstructSummary { out: self.settings.out.clone(), series: done.to_vec() };
        write_json(&self.settings.out.join("summary.json"), &summary)
    }
}

/// The series with the focus that the alignment found, where only steps are known, and how far that may be off.
fn begun_with_alignment<'a>(placed: &'a Placed, lens: &mut LensPrior) -> Cow<'a, FocalSeries> {
    let (false, Some(best)) = (placed.series.defocus_is_absolute, placed.alignment.hypotheses.first()) else {
        return Cow::Borrowed(&placed.series);
    };
    lens.focus_sigma_angstrom = FOCUS_SIGMA_ANGSTROM;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    // The steps stay those that were stated: how far they may be off is a matter of the prior.
    let offset = mean(&best.defocus_angstrom) - mean(&placed.series.defocus_angstrom);
    let defocus_angstrom = placed.series.defocus_angstrom.iter().map(|defocus| defocus + offset).collect();
    Cow::Owned(FocalSeries { defocus_angstrom, defocus_is_absolute: true, ..placed.series.clone() })
}

/// Refuses a wave whose phase has holes where atoms are: that of the opposite steps of focus, which explains the images as well.
fn check_phase(placed: &Placed, found: &Reconstruction) -> Result<(), WorkflowError> {
    let phase = found.wave.mapv(|value| f64::from(value.arg()));
    let half = (0.5 * NEIGHBOURHOOD_ANGSTROM / placed.series.pixel_angstrom).ceil() as usize;
    let skewness = skewness(above_surroundings(&phase, half).into_iter());
    if skewness > HOLES {
        return Ok(());
    }
    Err(placed.wrong_sign(format!(
        "the wave's phase has holes where atoms are (skewness {skewness:.1}), and atoms advance it"
    )))
}

/// What stands out of the mean of the square of `2 half + 1` pixels around, where that lies within.
fn above_surroundings(values: &Array2<f64>, half: usize) -> Vec<f64> {
    let (ny, nx) = values.dim();
    let mut sums = Array2::<f64>::zeros((ny + 1, nx + 1));
    for ((y, x), value) in values.indexed_iter() {
        sums[[y + 1, x + 1]] = value + sums[[y, x + 1]] + sums[[y + 1, x]] - sums[[y, x]];
    }
    let side = 2 * half + 1;
    let count = (side * side) as f64;
    let mut out = Vec::new();
    for y in half..ny.saturating_sub(half) {
        for x in half..nx.saturating_sub(half) {
            let (top, left, below, right) = (y - half, x - half, y + half + 1, x + half + 1);
            let sum = sums[[below, right]] - sums[[top, right]] - sums[[below, left]] + sums[[top, left]];
            out.push(values[[y, x]] - sum / count);
        }
    }
    out
}

/// Third moment over the cube of the standard deviation.
fn skewness(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let moment = |power: i32| values.clone().map(|value| (value - mean).powi(power)).sum::<f64>() / count;
    let variance = moment(2);
    if variance > 0.0 { moment(3) / variance.powf(1.5) } else { 0.0 }
}

/// Standard deviation of what the alignment leaves, in angstrom: a few times what it states, which is of noise alone.
fn shift_sigma_angstrom(stated: &[f64]) -> f64 {
    let largest = stated.iter().copied().filter(|sigma| sigma.is_finite()).fold(0.0, f64::max);
    (3.0 * largest).clamp(0.05, 1.0)
}

impl Lens {
    /// What is thought of the lens before the images are looked at: what the user knows is held.
    fn prior(&self) -> LensPrior {
        let mut prior = LensPrior::default();
        if let Some(cs) = self.cs_um {
            prior.c30_angstrom = Estimate::new(1e4 * cs, 0.0);
        }
        if let (Some(c12), Some(azimuth)) = (self.astigmatism_angstrom, self.astigmatism_azimuth_degree) {
            let turn = 2.0 * azimuth.to_radians();
            prior.twofold_angstrom = [Estimate::new(c12 * turn.cos(), 0.0), Estimate::new(c12 * turn.sin(), 0.0)];
        }
        if let Some(spread) = self.focal_spread_angstrom {
            let spread = FocalSpread::from_one_over_e_half_width(spread).standard_deviation();
            prior.focal_spread_angstrom = Estimate::new(spread, 0.0);
        }
        prior
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_holes_have_opposite_skewness() {
        let peaks = (0..100).map(|index| if index % 20 == 0 { 1.0 } else { 0.0 });
        assert!((skewness(peaks.clone()) - 4.129).abs() < 0.01);
        let ramp = Array2::from_shape_fn((9, 12), |(y, x)| 3.0 * y as f64 - 2.0 * x as f64);
        let flat = above_surroundings(&ramp, 2);
        assert!(flat.len() == 5 * 8 && flat.iter().all(|value| value.abs() < 1e-9));
        assert!((skewness(peaks.clone()) + skewness(peaks.map(|value| -value))).abs() < 1e-9);
    }

    #[test]
    fn what_the_user_knows_of_the_lens_is_held() {
        let lens = Lens {
            cs_um: Some(-12.0),
            astigmatism_angstrom: Some(10.0),
            astigmatism_azimuth_degree: Some(45.0),
            focal_spread_angstrom: None,
        };
        let prior = lens.prior();
        assert_eq!(prior.c30_angstrom, Estimate::new(-1.2e5, 0.0));
        assert!(
            prior.twofold_angstrom[0].value.abs() < 1e-12 && (prior.twofold_angstrom[1].value - 10.0).abs() < 1e-12
        );
        assert!(prior.focal_spread_angstrom.sigma > 0.0);
        let spread = Lens { focal_spread_angstrom: Some(20.0), ..Lens::default() }.prior().focal_spread_angstrom;
        assert!((spread.value - 20.0 / 2.0_f64.sqrt()).abs() < 1e-9 && spread.sigma == 0.0);
    }
}
