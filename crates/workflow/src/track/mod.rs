//! From a movie to its sites, how often each is filled, what happens there, and how often.
//!
//! The frames come from files (`movie`), the analysis is the same for simulated ones (`analysis`); what it leaves are
//! tables ([`tables`]), pictures and a report.

pub(crate) mod analysis;
mod conclusions;
pub(crate) mod movie;
mod reference;
mod report;
mod store;
pub(crate) mod summary;
pub mod tables;
mod write;

use std::path::PathBuf;

use atomlens_analysis::columns::ColumnSettings;
use atomlens_analysis::movie::occupancy::FrameIntervals;
use atomlens_core::SeedPath;
use atomlens_network::OnnxNetwork;
use ndarray::Array2;
use serde::Serialize;

use self::analysis::{Frames, Job, LEAST_PROBABILITY};
use self::movie::Movie;
use self::store::Stored;
pub use self::summary::{ClassSummary, DetectorSummary, HalvesSummary, MovieSummary, Rates, SignalSummary, Value};
use self::write::Writer;
use crate::detect::look::Eye;
use crate::detect::{PixelSizeFrom, choose, pixel_size};
use crate::model::Model;
use crate::provenance::{Entered, Provenance};
use crate::twin::TwinCheck;
use crate::{Context, WorkflowError};

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackSettings {
    /// Files, folders or patterns; one movie together.
    pub movie: Vec<PathBuf>,
    /// A model's name or folder; chosen by the image if left out.
    pub model: Option<String>,
    /// A model that sees several frames; its columns take the place of those of single frames.
    pub window_model: Option<String>,
    /// Sites that are known: a table with `x_nm` and `y_nm`, or the folder of another movie of the same particle.
    pub reference: Option<PathBuf>,
    /// Time from frame to frame; from the file if left out.
    pub frame_time_s: Option<f64>,
    /// Pixel size; from the file, or else from the lattice, if left out.
    pub pixel_size_nm: Option<f64>,
    /// The lattice that the image shows.
    pub lattice: Option<String>,
    /// A library of onnxruntime that computes the network in the program's stead.
    pub onnxruntime: Option<PathBuf>,
    /// Simulated movies like this one by which the result is checked; 0 for none.
    pub twin_movies: u32,
    /// Seed of the draws that intervals are made of.
    pub seed: u64,
    /// The folder.
    pub out: PathBuf,
    /// Whether to go on in a folder where the same job was stopped.
    #[serde(skip)]
    pub resume: bool,
}

/// What the job found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackSummary {
    /// The folder.
    pub out: PathBuf,
    /// The report.
    pub report: PathBuf,
    /// Who says what the pixel size is.
    pub pixel_size_from: PixelSizeFrom,
    /// Why that model.
    pub model_reason: String,
    /// What was found.
    pub movie: MovieSummary,
    /// What to expect of it, from simulated movies like this one.
    pub twin: Option<TwinCheck>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Frames for Movie {
    fn count(&self) -> usize {
        self.frames()
    }

    fn frame(&self, index: usize) -> Result<Result<Array2<f32>, String>, WorkflowError> {
        Movie::frame(self, index)
    }
}

/// Runs the job.
///
/// # Errors
/// No movie, a pixel size that nobody knows or that no model was trained on, frames in which nothing stays, Ctrl-C: then
/// what was found in the frames so far is kept, and `resume` goes on.
pub fn run(settings: &TrackSettings, context: &Context) -> Result<TrackSummary, WorkflowError> {
    check(settings)?;
    let movie = Movie::open(&settings.movie)?;
    if movie.frames() < 2 {
        let reason =
            "it has one frame: expected two or more; `atomlens detect` finds the columns of an image".to_owned();
        return Err(WorkflowError::NoMovie { reason });
    }
    let known_sites = settings.reference.as_deref().map(reference::read).transpose()?;
    let mut provenance = Provenance::new("track", settings.clone());
    for path in movie.paths() {
        provenance = provenance.input(path)?;
    }
    let begun = provenance.enter(&settings.out, settings.resume)? == Entered::Begun;
    if begun && settings.out.join("report.html").exists() {
        let advice = "what it holds is complete; choose another --out".to_owned();
        return Err(WorkflowError::FolderNotEmpty { path: settings.out.clone(), advice });
    }

    let source = movie.first()?;
    let some_frames = good_frames(&movie)?;
    let candidates = choose::candidates(settings.model.as_deref())?;
    let lattices = choose::lattices(&candidates, settings.lattice.as_deref())?;
    let pixel_size = pixel_size::find(&source, &some_frames, settings.pixel_size_nm, &lattices)?;
    let choice = choose::choose(candidates, settings.model.is_some(), &pixel_size);
    crate::detect::check_range(&source, &choice, &pixel_size)?;
    drop(some_frames);
    provenance.write(&settings.out.join("settings.json"))?;

    let frame_time_s = settings.frame_time_s.or(source.acquisition().frame_time_s);
    let intervals = frame_time_s
        .and_then(|time| {
            let times: Vec<f64> = (0..movie.frames()).map(|frame| time * frame as f64).collect();
            FrameIntervals::at_seconds(&times)
        })
        .unwrap_or_else(|| FrameIntervals::even(movie.frames()));
    let model = &choice.model;
    let window_model = settings.window_model.as_deref().map(Model::find).transpose()?;
    if let Some(window) = window_model.as_ref().filter(|window| window.card.frames < 2) {
        return Err(WorkflowError::Setting {
            what: "--window-model",
            found: format!("{}, which sees single frames", window.card.name),
            expected: "a model that sees several frames".to_owned(),
        });
    }
    let library = settings.onnxruntime.as_deref();
    let onnx = library.map(|library| OnnxNetwork::new(library, &model.network, context.threads)).transpose()?;
    let eye = Eye {
        model,
        onnx: onnx.as_ref(),
        pixel_angstrom: pixel_size.angstrom,
        columns: ColumnSettings { probability_threshold: LEAST_PROBABILITY, ..model.card.columns.clone() },
    };
    let job =
        Job { eye: &eye, intervals, known_sites: known_sites.as_deref(), seed: SeedPath::new(settings.seed), context };
    let stored = Stored::open(&settings.out)?;
    let writer = Writer {
        settings,
        provenance: &provenance,
        movie: &movie,
        source: &source,
        choice: &choice,
        pixel_size: &pixel_size,
    };
    let mut looks = stored.looks(0);
    let followed = match job.follow(&movie, &mut looks) {
        Ok(followed) => followed,
        Err(error @ WorkflowError::Cancelled { .. }) => {
            writer.columns(&looks)?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    writer.drift(&followed)?;
    if let Some(model) = &window_model {
        let window_eye = Eye {
            model,
            onnx: None,
            pixel_angstrom: pixel_size.angstrom,
            columns: ColumnSettings { probability_threshold: LEAST_PROBABILITY, ..model.card.columns.clone() },
        };
        let mut again = stored.looks(1);
        job.look_again(&window_eye, &movie, &followed, &mut again)?;
        looks = again;
    }
    writer.columns(&looks)?;
    let analysis = job.analyse(&movie, &looks, followed)?;
    let summary = writer.write(&job, &analysis, &looks)?;
    stored.remove()?;
    Ok(summary)
}

fn check(settings: &TrackSettings) -> Result<(), WorkflowError> {
    for (what, value) in [("--pixel-size-nm", settings.pixel_size_nm), ("--frame-time-s", settings.frame_time_s)] {
        if let Some(value) = value.filter(|value| !(*value > 0.0 && value.is_finite())) {
            let expected = "more than 0".to_owned();
            return Err(WorkflowError::Setting { what, found: value.to_string(), expected });
        }
    }
    Ok(())
}

/// Frames that the pixel size is looked for in, at most.
const FRAMES_FOR_PIXEL_SIZE: usize = 24;

/// Some frames that can be used, from the first on; at least one.
fn good_frames(movie: &Movie) -> Result<Vec<Array2<f32>>, WorkflowError> {
    let mut good = Vec::new();
    let mut failure = None;
    let (width, height) = movie.size_px();
    // Of large frames one says as much as many small ones.
    let enough = (FRAMES_FOR_PIXEL_SIZE * 256 * 256 / (width * height).max(1)).clamp(1, FRAMES_FOR_PIXEL_SIZE);
    for index in 0..movie.frames() {
        match movie.frame(index)? {
            Ok(frame) => good.push(frame),
            Err(reason) => failure = failure.or(Some(reason)),
        }
        if good.len() == enough {
            break;
        }
    }
    if good.is_empty() {
        let reason = failure.unwrap_or_else(|| "there are none".to_owned());
        return Err(WorkflowError::NoMovie {
            reason: format!("none of its {} frames can be used: {reason}", movie.frames()),
        });
    }
    Ok(good)
}
