//! From a recipe to a folder of micrographs with their truth.

use std::path::{Path, PathBuf};

use atomlens_core::Micrograph;
use atomlens_dataset::{DatasetError, Sample, SampleStream, Simulator, StreamSettings};
use atomlens_formats::{FrameFormat, Frames, TruthRow, read_truth, write_frames, write_structure, write_truth};
use atomlens_report::{ContactSheet, Field, Panel};
use atomlens_simulate::camera::PixelType;
use rayon::prelude::*;
use serde::Serialize;

use crate::provenance::{Entered, Provenance};
use crate::recipes::RecipeSource;
use crate::{Context, WorkflowError};

mod tables;

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulateSettings {
    /// The recipe.
    pub source: RecipeSource,
    /// Number of images, series or movies.
    pub count: u64,
    /// Seed.
    pub seed: u64,
    /// The folder.
    pub out: PathBuf,
    /// Format of the images.
    pub format: FrameFormat,
    /// Whether to go on in a folder that the same recipe and seed began.
    pub resume: bool,
}

impl SimulateSettings {
    fn failed(&self, source: std::sync::Arc<DatasetError>) -> WorkflowError {
        WorkflowError::Stream { path: self.source.name.clone(), source }
    }
}

/// What the job made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulateSummary {
    /// The folder.
    pub out: PathBuf,
    /// Images, series or movies that are in it.
    pub images: u64,
    /// Columns in their truth.
    pub columns: u64,
    /// The contact sheet.
    pub contact_sheet: Option<PathBuf>,
}

/// What `settings.json` says.
#[derive(Debug, Clone, Serialize)]
struct Resolved {
    recipe_name: String,
    recipe: atomlens_dataset::Recipe,
    seed: u64,
    format: &'static str,
}

/// Samples shown on the contact sheet.
const SHOWN: usize = 12;

/// Runs the job. Every file takes its name only when it is whole, so that Ctrl-C leaves what is finished valid.
///
/// # Errors
/// A recipe that is wrong, a folder that holds something else, Ctrl-C.
pub fn run(settings: &SimulateSettings, context: &Context) -> Result<SimulateSummary, WorkflowError> {
    let recipe = settings.source.parse()?;
    let (resources, inputs) = settings.source.resources(&recipe)?;
    let simulator =
        Simulator::new(recipe.clone(), resources, settings.seed).map_err(|error| settings.source.wrong(error))?;
    let resolved = Resolved {
        recipe_name: settings.source.file_name(),
        recipe: recipe.clone(),
        seed: settings.seed,
        format: settings.format.extension(),
    };
    let mut provenance = Provenance::new("simulate", resolved);
    for path in inputs.iter().chain(&settings.source.path) {
        provenance = provenance.input(path)?;
    }
    let first = prepare(settings, &provenance)?;

    context.progress.begin(settings.count, "images");
    context.progress.done(first);
    let stream_settings = StreamSettings {
        threads: context.threads,
        rotation: 1,
        look_ahead: 2 * context.threads as u64,
        first,
        end: Some(settings.count),
    };
    let mut folder = Folder { settings, columns: 0, shown: Vec::new() };
    folder.take_up(&simulator, first)?;
    let mut done = first;
    for sample in SampleStream::cancellable(simulator, stream_settings, context.cancelled.clone()) {
        let sample = match sample {
            Ok(sample) if !context.is_cancelled() => sample,
            Err(error) if !context.is_cancelled() => return Err(settings.failed(error)),
            _ => {
                folder.contact_sheet(&recipe.name)?;
                return Err(WorkflowError::Cancelled { done, total: settings.count, unit: "images" });
            }
        };
        folder.write(&sample)?;
        done = sample.index + 1;
        context.progress.done(done);
    }
    let contact_sheet = folder.contact_sheet(&recipe.name)?;
    Ok(SimulateSummary { out: settings.out.clone(), images: settings.count, columns: folder.columns, contact_sheet })
}

/// Makes the folder, or finds out where to go on in it: the number of the first image that is missing.
fn prepare(settings: &SimulateSettings, provenance: &Provenance<Resolved>) -> Result<u64, WorkflowError> {
    let out = &settings.out;
    if provenance.enter(out, settings.resume)? == Entered::New {
        provenance.write(&out.join("settings.json"))?;
        return Ok(0);
    }
    let name = |index: u64| out.join(format!("image_{index:04}.{}", settings.format.extension()));
    Ok((0..settings.count).find(|index| !name(*index).is_file()).unwrap_or(settings.count))
}

struct Folder<'a> {
    settings: &'a SimulateSettings,
    columns: u64,
    shown: Vec<(Panel, Panel)>,
}

impl Folder<'_> {
    /// Takes up a job at image `first`: counts the columns of those before, and makes those of the contact sheet again, so that it
    /// is as if the job had never stopped.
    fn take_up(&mut self, simulator: &Simulator, first: u64) -> Result<(), WorkflowError> {
        for index in 0..first {
            self.columns += read_truth(&self.path("image", index, "csv"))?.len() as u64;
        }
        let panels = (0..first.min(SHOWN as u64))
            .into_par_iter()
            .map(|index| simulator.preview(index).map(|sample| panels(&sample)));
        let panels: Result<_, _> = panels.collect();
        self.shown = panels.map_err(|error| self.settings.failed(error.into()))?;
        Ok(())
    }

    fn path(&self, kind: &str, index: u64, ending: &str) -> PathBuf {
        self.settings.out.join(format!("{kind}_{index:04}.{ending}"))
    }

    /// Writes all of a sample; the image comes last, so that where it is, everything is.
    fn write(&mut self, sample: &Sample) -> Result<(), WorkflowError> {
        let index = sample.index;
        write_structure(&self.path("structure", index, "xyz"), &sample.structure)?;
        let rows: Vec<TruthRow> =
            sample.columns.iter().map(|column| TruthRow::new(column, &sample.micrograph.grid, sample.sheet)).collect();
        write_truth(&self.path("image", index, "csv"), &rows)?;
        tables::write_columns(&self.path("columns", index, "csv"), &sample.columns, sample.sheet)?;
        crate::provenance::write_json(&self.path("drawn", index, "json"), &sample.drawn)?;
        if let Some(movie) = &sample.movie {
            tables::write_movie(movie, &sample.micrograph.grid, |kind| self.path(kind, index, "csv"))?;
        }
        let image = self.path("image", index, self.settings.format.extension());
        write_counts(&image, &sample.micrograph, sample.pixel_type)?;
        self.columns += rows.len() as u64;
        if self.shown.len() < SHOWN {
            self.shown.push(panels(sample));
        }
        Ok(())
    }

    fn contact_sheet(&self, recipe_name: &str) -> Result<Option<PathBuf>, WorkflowError> {
        if self.shown.is_empty() {
            return Ok(None);
        }
        let path = self.settings.out.join("contact_sheet.png");
        let columns = if self.shown.len() > 1 { 4 } else { 2 };
        let mut sheet = ContactSheet::new(format!("{recipe_name}, seed {}", self.settings.seed)).columns(columns);
        for (image, structure) in &self.shown {
            sheet = sheet.push(image.clone()).push(structure.clone());
        }
        sheet.write_png(&path)?;
        Ok(Some(path))
    }
}

/// An image, and the atoms that it shows.
fn panels(sample: &Sample) -> (Panel, Panel) {
    let drawn = &sample.drawn;
    let images = sample.micrograph.counts.dim().1;
    // A preview has only one of them.
    let frames = sample.movie.as_ref().map_or(1, |movie| movie.drift.len());
    let mut caption = format!(
        "{}: defocus {:.1} nm, Cs {:.1} um, {:.0} e/A2",
        drawn.index,
        to_tenths(0.1 * drawn.defocus_angstrom.first().copied().unwrap_or(0.0)),
        to_tenths(1e-4 * drawn.cs_angstrom),
        drawn.dose_e_per_a2
    );
    if images > 1 {
        caption += &format!(", first of {images} in focus");
    }
    if frames > 1 {
        caption += &format!(", first of {frames} frames");
    }
    let image = Panel::frame(&sample.micrograph, 0, 0).caption(caption);
    let [x, y] = drawn.origin_angstrom;
    let grid = drawn.grid;
    let field = Field::new(
        x - 0.5 * grid.pixel_x_angstrom,
        x + grid.field_x_angstrom() - 0.5 * grid.pixel_x_angstrom,
        y - 0.5 * grid.pixel_y_angstrom,
        y + grid.field_y_angstrom() - 0.5 * grid.pixel_y_angstrom,
    );
    let structure = Panel::structure(&sample.structure, field).caption(format!(
        "{}: {} atoms, {} columns in the image",
        drawn.index,
        drawn.atoms,
        sample.columns.len()
    ));
    (image, structure)
}

/// Rounds to tenths, without a negative zero.
fn to_tenths(value: f64) -> f64 {
    (10.0 * value).round() / 10.0 + 0.0
}

/// Writes counts in the type that the camera stores.
fn write_counts(path: &Path, micrograph: &Micrograph, pixel_type: PixelType) -> Result<(), WorkflowError> {
    let counts = &micrograph.counts;
    match pixel_type {
        PixelType::F32 => write_frames(path, &Frames::new(counts.view(), &micrograph.grid))?,
        // The camera has rounded and clipped them already.
        PixelType::U16 => write_frames(path, &Frames::new(counts.mapv(|v| v as u16).view(), &micrograph.grid))?,
        PixelType::U8 => write_frames(path, &Frames::new(counts.mapv(|v| v as u8).view(), &micrograph.grid))?,
    }
    Ok(())
}
