//! From the file that a microscope wrote to its atomic columns.
//!
//! For every file: the pixel size is found ([`pixel_size`]), a model chosen ([`choose`]), and every frame resampled,
//! normalised and looked at ([`look`]). Frames are read one at a time; a frame that cannot be read is reported and left
//! out. The results are tables ([`tables`]), pictures, maps, structures and a report ([`write`]).

pub mod choose;
pub(crate) mod journal;
pub mod look;
pub mod pixel_size;
pub(crate) mod source;
pub(crate) mod structure;
pub mod tables;
mod write;

use std::path::PathBuf;

use atomlens_analysis::columns::ColumnSettings;
use atomlens_network::OnnxNetwork;
use ndarray::Array2;
use serde::Serialize;

pub use self::choose::Choice;
use self::journal::{Entry, Journal};
use self::look::{Eye, SMALLEST_EDGE};
pub use self::pixel_size::{PixelSize, PixelSizeFrom};
use self::source::{Source, is_of_a_frame};
use self::write::{FileWriter, Writer};
use crate::error::OutsideRange;
use crate::provenance::{Entered, Provenance};
use crate::{Context, WorkflowError};

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectSettings {
    /// The files.
    pub files: Vec<PathBuf>,
    /// A model's name or folder; chosen by the image if left out.
    pub model: Option<String>,
    /// Pixel size; from the file, or else from the lattice, if left out.
    pub pixel_size_nm: Option<f64>,
    /// The lattice that the image shows, by which its pixel size is told or checked; any that the models know if left out.
    pub lattice: Option<String>,
    /// Smallest probability of a column that is reported; the model's own if left out.
    pub probability: Option<f64>,
    /// A library of onnxruntime that computes the network in the program's stead.
    pub onnxruntime: Option<PathBuf>,
    /// The folder.
    pub out: PathBuf,
    /// Whether to go on in a folder where the same detection was stopped.
    #[serde(skip)]
    pub resume: bool,
}

/// What the job found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectSummary {
    /// The folder.
    pub out: PathBuf,
    /// The report.
    pub report: PathBuf,
    /// By file.
    pub files: Vec<FileSummary>,
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileSummary {
    /// Its name.
    pub file: String,
    /// The model.
    pub model: String,
    /// Why that one.
    pub model_reason: String,
    /// Pixel size along x.
    pub pixel_size_nm: f64,
    /// Who says so.
    pub pixel_size_from: PixelSizeFrom,
    /// Frames that were looked at.
    pub frames: u64,
    /// Frames that could not be read.
    pub bad_frames: u64,
    /// Columns in all frames.
    pub columns: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Runs the job.
///
/// # Errors
/// A file without an image, a pixel size that nobody knows or that no model was trained on, Ctrl-C. What was found
/// before is written.
pub fn run(settings: &DetectSettings, context: &Context) -> Result<DetectSummary, WorkflowError> {
    check(settings)?;
    let sources = settings.files.iter().map(|path| Source::open(path)).collect::<Result<Vec<_>, _>>()?;
    let mut provenance = Provenance::new("detect", settings.clone());
    for source in &sources {
        provenance = provenance.input(&source.path)?;
    }
    let begun = provenance.enter(&settings.out, settings.resume)? == Entered::Begun;
    let mut journal = Journal::open(&settings.out)?;
    if begun && journal.is_empty() {
        let advice = "what it holds is complete; choose another --out".to_owned();
        return Err(WorkflowError::FolderNotEmpty { path: settings.out.clone(), advice });
    }
    let total: u64 = sources.iter().map(Source::frames).sum();
    context.progress.begin(total, "frames");
    let mut writer = Writer::new(settings, provenance, sources.len());
    let mut done = 0;
    let mut summaries = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let file = FileJob { settings, context, source, number };
        match file.detect(&mut writer, &mut journal, &mut done) {
            Ok(summary) => summaries.push(summary),
            Err(WorkflowError::Cancelled { .. }) => {
                writer.finish(&journal)?;
                return Err(WorkflowError::Cancelled { done, total, unit: "frames" });
            }
            Err(error) if sources.len() == 1 => return Err(error),
            Err(error) => {
                // The other files are worth their results.
                context.progress.note(&format!("{error}; going on with the other files"));
                writer.refused(source, &error);
            }
        }
    }
    if summaries.is_empty() {
        return Err(WorkflowError::NothingDetected { files: sources.len() });
    }
    let report = writer.finish(&journal)?;
    journal.remove()?;
    Ok(DetectSummary { out: settings.out.clone(), report, files: summaries })
}

fn check(settings: &DetectSettings) -> Result<(), WorkflowError> {
    let wrong = |what, found: f64, expected: &str| {
        Err(WorkflowError::Setting { what, found: found.to_string(), expected: expected.to_owned() })
    };
    if let Some(size) = settings.pixel_size_nm.filter(|size| !(*size > 0.0 && size.is_finite())) {
        return wrong("--pixel-size-nm", size, "more than 0");
    }
    if let Some(probability) = settings.probability.filter(|value| !(0.0..=1.0).contains(value)) {
        return wrong("--probability", probability, "0 to 1");
    }
    Ok(())
}

/// One of the files.
struct FileJob<'a> {
    settings: &'a DetectSettings,
    context: &'a Context,
    source: &'a Source,
    number: usize,
}

impl FileJob<'_> {
    fn detect(&self, writer: &mut Writer, journal: &mut Journal, done: &mut u64) -> Result<FileSummary, WorkflowError> {
        let (settings, source) = (self.settings, self.source);
        let candidates = choose::candidates(settings.model.as_deref())?;
        let first_frame = first_good_frame(source)?;
        let lattices = choose::lattices(&candidates, settings.lattice.as_deref())?;
        let pixel_size =
            pixel_size::find(source, std::slice::from_ref(&first_frame), settings.pixel_size_nm, &lattices)?;
        let choice = choose::choose(candidates, settings.model.is_some(), &pixel_size);
        check_range(source, &choice, &pixel_size)?;
        drop(first_frame);
        let model = &choice.model;
        let threshold = settings.probability.unwrap_or(model.card.columns.probability_threshold);
        let library = settings.onnxruntime.as_deref();
        let onnx =
            library.map(|library| OnnxNetwork::new(library, &model.network, self.context.threads)).transpose()?;
        let eye = Eye {
            model,
            onnx: onnx.as_ref(),
            pixel_angstrom: pixel_size.angstrom,
            columns: ColumnSettings { probability_threshold: threshold, ..model.card.columns.clone() },
        };
        eye.needs(1)?;
        let mut file = writer.begin(source, self.number, &choice, &pixel_size)?;
        let mut bad_frames = 0;
        for index in 0..source.frames() {
            if self.context.is_cancelled() {
                writer.end(file, journal)?;
                return Err(WorkflowError::Cancelled { done: *done, total: *done, unit: "frames" });
            }
            match source.frame(index) {
                Ok((frame, missing)) => {
                    let mut entry = match journal.entry(self.number, index)? {
                        Some(entry) => entry,
                        None => self.look(&eye, index, &frame, journal, &file)?,
                    };
                    if missing > 0 {
                        entry
                            .warnings
                            .push(format!("{missing} pixels are not finite numbers; their mean stands for them"));
                    }
                    file.add(&frame, entry)?;
                }
                Err(error) if is_of_a_frame(&error) => {
                    bad_frames += 1;
                    file.bad_frame(index, &error);
                }
                Err(error) => return Err(error),
            }
            *done += 1;
            self.context.progress.done(*done);
        }
        let (columns, warnings) = (file.columns(), file.warnings());
        writer.end(file, journal)?;
        Ok(FileSummary {
            file: source.name.clone(),
            model: choice.name.clone(),
            model_reason: choice.reason.clone(),
            pixel_size_nm: 0.1 * pixel_size.angstrom.0,
            pixel_size_from: pixel_size.from,
            frames: source.frames() - bad_frames,
            bad_frames,
            columns,
            warnings,
        })
    }

    /// Looks at a frame and notes what is there.
    fn look(
        &self,
        eye: &Eye<'_>,
        frame_number: u64,
        frame: &Array2<f32>,
        journal: &mut Journal,
        file: &FileWriter,
    ) -> Result<Entry, WorkflowError> {
        let look = eye.look(frame)?;
        let map = look.map.share_of_any();
        let entry = Entry {
            file: self.number,
            frame: frame_number,
            columns: look.columns,
            warnings: look.warnings,
            map_cells: None,
        };
        journal.add(entry, file.has_room(map.dim()).then_some(&map))
    }
}

/// The first frame that can be read.
fn first_good_frame(source: &Source) -> Result<Array2<f32>, WorkflowError> {
    let mut failure = None;
    for index in 0..source.frames() {
        match source.frame(index) {
            Ok((frame, _)) => return Ok(frame),
            Err(error) if is_of_a_frame(&error) => failure = failure.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(failure.unwrap_or_else(|| WorkflowError::BadFrame {
        path: source.path.clone(),
        frame: 0,
        reason: "the file has no frames".to_owned(),
    }))
}

/// Refuses what the model was not trained on.
pub(crate) fn check_range(source: &Source, choice: &Choice, pixel_size: &PixelSize) -> Result<(), WorkflowError> {
    let card = &choice.model.card;
    let [low, high] = card.range.pixel_size_angstrom;
    let (x, y) = pixel_size.angstrom;
    // Drawn ranges end a little before the ranges that were asked for.
    let slack = 1.02;
    if x.min(y) * slack < low || x.max(y) > high * slack {
        return Err(WorkflowError::OutsideRange(Box::new(OutsideRange {
            path: source.path.clone(),
            model: choice.name.clone(),
            found_nm: 0.1 * if x.min(y) * slack < low { x.min(y) } else { x.max(y) },
            source_of: pixel_size.source(),
            low_nm: 0.1 * low,
            high_nm: 0.1 * high,
            estimate: pixel_size.estimate.as_ref().map_or_else(
                || "no lattice in the image speaks for another pixel size".to_owned(),
                |estimate| format!("the lattice says {}", estimate.summary()),
            ),
        })));
    }
    let (width, height) = source.size_px();
    let edge = |pixels: usize, pixel: f64| pixels as f64 * pixel / card.pixel_size_angstrom;
    let smallest = edge(width, x).min(edge(height, y));
    if smallest < SMALLEST_EDGE as f64 {
        return Err(WorkflowError::TooSmall {
            path: source.path.clone(),
            width,
            height,
            smallest_nm: 0.1 * SMALLEST_EDGE as f64 * card.pixel_size_angstrom,
        });
    }
    Ok(())
}
