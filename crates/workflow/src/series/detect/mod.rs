//! From a focal series to columns by species, and to the defects of the sheet.
//!
//! The images are laid on one another (`series::place`) and seen together by a model of focal series; its columns have a species
//! with a probability. From the columns comes the sheet's lattice, and from that what is missing or other than it should be
//! ([`atomlens_analysis::defects`]). Places are those of the first image that is used.

mod conclusions;
mod pages;
mod tables;
mod write;

pub(crate) use self::pages::{drawn, facts};
pub(crate) use self::tables::{Rows, write_defects};

use std::path::PathBuf;

use atomlens_analysis::columns::{ColumnSettings, probabilities_at};
use atomlens_analysis::defects::species::{ShareSettings, refine_sheet, refine_species};
use atomlens_analysis::defects::{DefectSettings, SheetColumns, SheetDefects, find_defects};
use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;
use atomlens_network::OnnxNetwork;
use ndarray::Array2;
use serde::Serialize;

use self::write::Folder;
use super::{LeftOut, Needs, Placed, SeriesFiles, SeriesSettings, wave};
use crate::detect::choose::{self, Choice};
use crate::detect::look::{Eye, Look};
use crate::detect::{PixelSizeFrom, check_range};
use crate::model::{Model, ModelCard, SeriesRange};
use crate::provenance::Provenance;
use crate::{Context, WorkflowError};

/// Fewest good images of a series that are enough: networks are trained with series that lack an image.
const FEWEST_GOOD: usize = 2;

/// The energy at which layers are looked at where a file does not say.
const LIKELY_KEV: f64 = 80.0;

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesDetectSettings {
    /// The series.
    #[serde(flatten)]
    pub series: SeriesSettings,
    /// A model's name or folder; the one that comes with the program if left out.
    pub model: Option<String>,
    /// Energy, by which the images are laid on one another; from the file, or else a likely one, if left out.
    pub energy_kev: Option<f64>,
    /// Smallest probability of a column that is reported; the model's own if left out.
    pub probability: Option<f64>,
    /// A library of onnxruntime that computes the network in the program's stead.
    pub onnxruntime: Option<PathBuf>,
    /// The folder.
    pub out: PathBuf,
}

/// What the job found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesDetectSummary {
    /// The folder.
    pub out: PathBuf,
    /// By series.
    pub series: Vec<OneSeries>,
}

/// What was found in a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OneSeries {
    /// What it is called.
    pub series: String,
    /// Its report.
    pub report: PathBuf,
    /// The model.
    pub model: String,
    /// Pixel size.
    pub pixel_size_nm: f64,
    /// Who says so.
    pub pixel_size_from: PixelSizeFrom,
    /// Numbers of the images that were looked at, by increasing underfocus.
    pub images: Vec<usize>,
    /// Those that were left out.
    pub left_out: Vec<LeftOut>,
    /// The image on whose pixels places are.
    pub reference_image: usize,
    /// Columns by species, those that there are.
    pub columns: Vec<SpeciesCount>,
    /// What was found of the sheet; none if the columns are no sheet.
    pub sheet: Option<atomlens_analysis::defects::SheetSummary>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Columns of a species.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeciesCount {
    /// The species.
    pub species: String,
    /// How many columns are likeliest of it.
    pub columns: usize,
    /// How many there are by the probabilities of all columns.
    pub expected: f64,
}

/// What was found in a series, whole.
pub(super) struct Found<'a> {
    pub(super) placed: &'a Placed,
    pub(super) choice: &'a Choice,
    pub(super) columns: Vec<DetectedColumn>,
    /// `[column, species]`, given that there is a column.
    pub(super) species: Array2<f64>,
    /// Share of a column of any species, cell by cell.
    pub(super) map: Array2<f32>,
    pub(super) sheet: Option<SheetDefects>,
    pub(super) warnings: Vec<String>,
}

/// Runs the job.
///
/// # Errors
/// Files that make no series, a focus or pixel size that nobody knows, fewer good images than the model needs, Ctrl-C. Of several
/// series those that can be analysed are.
pub fn run(settings: &SeriesDetectSettings, context: &Context) -> Result<SeriesDetectSummary, WorkflowError> {
    settings.series.check()?;
    if let Some(probability) = settings.probability.filter(|value| !(0.0..=1.0).contains(value)) {
        return Err(WorkflowError::Setting {
            what: "--probability",
            found: probability.to_string(),
            expected: "0 to 1".to_owned(),
        });
    }
    let all = SeriesFiles::open(&settings.series)?;
    let choice = model(settings.model.as_deref())?;
    let mut provenance = Provenance::new("detect", settings.clone());
    for series in &all {
        provenance = series.inputs(provenance)?;
    }
    if settings.out.exists() {
        // Found out before anything is computed.
        provenance.enter(&settings.out, false)?;
    }
    let total = all.len() as u64;
    context.progress.begin(total, "series");
    let library = settings.onnxruntime.as_deref();
    let onnx = library.map(|library| OnnxNetwork::new(library, &choice.model.network, context.threads)).transpose()?;
    let job = Job { settings, choice: &choice, onnx: onnx.as_ref() };
    let mut folder = Folder::new(settings, &provenance, all.len());
    for (number, series) in all.iter().enumerate() {
        if context.is_cancelled() {
            folder.finish()?;
            return Err(WorkflowError::Cancelled { done: number as u64, total, unit: "series" });
        }
        match job.placed(series) {
            Ok(placed) => {
                let found = job.found(&placed)?;
                folder.add(series, &found)?;
            }
            Err(error) if all.len() == 1 => return Err(error),
            Err(error) => {
                // The other series are worth their results.
                context.progress.note(&format!("{error}; going on with the other series"));
                folder.refused(&error);
            }
        }
        context.progress.done(number as u64 + 1);
    }
    if folder.is_empty() {
        return Err(WorkflowError::NothingDetected { files: all.len() });
    }
    folder.finish()
}

/// The model that was asked for, or the first that comes with the program and sees focal series.
pub(crate) fn model(asked: Option<&str>) -> Result<Choice, WorkflowError> {
    let is_of_series = |model: &Model| model.card.series.is_some();
    if let Some(name) = asked {
        let model = Model::find(name)?;
        if !is_of_series(&model) {
            return Err(WorkflowError::Setting {
                what: "--model",
                found: format!("{name}, which sees no focal series"),
                expected: "a model of focal series, such as layer-series".to_owned(),
            });
        }
        return Ok(Choice { model, name: name.to_owned(), reason: "it was asked for".to_owned() });
    }
    for name in Model::names() {
        let model = Model::find(name)?;
        if is_of_series(&model) {
            return Ok(Choice { model, name: name.to_owned(), reason: "it sees focal series".to_owned() });
        }
    }
    Err(WorkflowError::UnknownModel { found: "layer-series".to_owned(), known: Model::names().join(", ") })
}

struct Job<'a> {
    settings: &'a SeriesDetectSettings,
    choice: &'a Choice,
    onnx: Option<&'a OnnxNetwork>,
}

impl Job<'_> {
    /// The series' images, read and laid on one another.
    fn placed(&self, series: &SeriesFiles) -> Result<Placed, WorkflowError> {
        let card = &self.choice.model.card;
        let seen = series_of(card);
        let candidates = vec![(self.choice.name.clone(), self.choice.model.clone())];
        let lattices = choose::lattices(&candidates, self.settings.series.lattice.as_deref())?;
        let images = series.read()?;
        // Columns need no energy, and where the images lie depends little on it.
        let [low, high] = card.range.energy_kev;
        let stated = self.settings.energy_kev.or(images.source.acquisition().voltage_kv);
        let energy_kev = stated.unwrap_or(LIKELY_KEV.clamp(low, high.max(low)));
        let who = format!("the model {}", self.choice.name);
        let needs = Needs {
            given: seen.images,
            good: if seen.may_lack_images { FEWEST_GOOD.min(seen.images) } else { seen.images },
            who: &who,
            advice: "; `atomlens reconstruct --method iterative` takes two or more images, and `atomlens detect` one",
        };
        let placed = super::place(images, &self.settings.series, &lattices, energy_kev, None, &needs)?;
        check_range(&placed.source, self.choice, &placed.pixel_size)?;
        wave::check_sign(self.choice, &placed)?;
        Ok(placed)
    }

    fn found<'b>(&'b self, placed: &'b Placed) -> Result<Found<'b>, WorkflowError> {
        let card = &self.choice.model.card;
        let threshold = self.settings.probability.unwrap_or(card.columns.probability_threshold);
        let columns = ColumnSettings { probability_threshold: threshold, ..card.columns.clone() };
        let pixel = placed.series.pixel_angstrom;
        let eye = Eye {
            model: &self.choice.model,
            onnx: self.onnx,
            pixel_angstrom: (pixel, pixel),
            columns: columns.clone(),
        };
        let aligned: Vec<Array2<f32>> = placed.aligned()?.outer_iter().map(|image| image.to_owned()).collect();
        let seen = placed.window(series_of(card).images);
        let window: Vec<Option<&Array2<f32>>> = seen.iter().map(|image| image.map(|index| &aligned[index])).collect();
        let Look { columns: mut found, species, map, warnings, .. } = eye.look_series(&window)?;
        let mut warnings: Vec<String> = placed.warnings.iter().cloned().chain(warnings).collect();
        warnings.extend(self.outside_range(placed));
        let (_, ny, nx) = placed.series.images.dim();
        let probability_at = |x: f64, y: f64| probabilities_at(&map, &[DVec2::new(x, y)], &columns)[0];
        let nothing = SheetColumns {
            columns: &[],
            species: &card.species,
            species_probabilities: None,
            field_angstrom: [[0.0, 0.0], [(nx - 1) as f64 * pixel, (ny - 1) as f64 * pixel]],
            missed_share: missed_share(card),
            column_probability_at: Some(&probability_at),
        };
        let seen = SheetColumns { columns: &found, species_probabilities: Some(species.view()), ..nothing };
        let species = refined(&seen, card).unwrap_or_else(|| species.clone());
        name_by(&mut found, &species);
        let named = SheetColumns { columns: &found, species_probabilities: Some(species.view()), ..nothing };
        let sheet = find_defects(&named, &DefectSettings::default());
        let sheet = match sheet {
            Ok(sheet) => Some(sheet),
            Err(error) => {
                warnings.push(format!("defects are not looked for: {error}"));
                None
            }
        };
        Ok(Found { placed, choice: self.choice, columns: found, species, map: map.share_of_any(), sheet, warnings })
    }

    /// What is unlike the images of the model's training in focus.
    fn outside_range(&self, placed: &Placed) -> Vec<String> {
        let card = &self.choice.model.card;
        let name = &self.choice.name;
        let mut warnings = Vec::new();
        let [low, high] = card.range.defocus_angstrom;
        let (defocus, by): (Vec<(f64, f64)>, &str) = if placed.focus_from.is_absolute() {
            (placed.series.defocus_angstrom.iter().map(|value| (*value, 0.0)).collect(), "as given")
        } else {
            (placed.estimated_defocus_angstrom().unwrap_or_default(), "as the images tell it")
        };
        let outside: Vec<String> = defocus
            .iter()
            .filter(|(value, sigma)| value + 2.0 * sigma < low || value - 2.0 * sigma > high)
            .map(|(value, _)| format!("{:.1}", 0.1 * value))
            .collect();
        if !outside.is_empty() {
            warnings.push(format!(
                "the model {name} was trained on defocus from {:.1} to {:.1} nm, and images have {} nm ({by}): species may be wrong",
                0.1 * low,
                0.1 * high,
                outside.join(", ")
            ));
        }
        let [least, largest] = series_of(card).step_angstrom;
        let seen: Vec<usize> = placed.window(series_of(card).images).into_iter().flatten().collect();
        let nominal = &placed.series.defocus_angstrom;
        let steps = seen.windows(2).filter(|pair| pair[1] == pair[0] + 1 || placed.left_out.is_empty());
        let odd: Vec<String> = steps
            .map(|pair| nominal[pair[1]] - nominal[pair[0]])
            .filter(|step| *step < 0.95 * least || *step > 1.05 * largest)
            .map(|step| format!("{:.1}", 0.1 * step))
            .collect();
        if !odd.is_empty() {
            warnings.push(format!(
                "the model {name} was trained on steps of focus from {:.1} to {:.1} nm, and there are {} nm: species may be wrong",
                0.1 * least,
                0.1 * largest,
                odd.join(", ")
            ));
        }
        warnings
    }
}

/// What a model of focal series sees; one that is none sees one image.
fn series_of(card: &ModelCard) -> SeriesRange {
    card.series.clone().unwrap_or(SeriesRange { images: 1, step_angstrom: [0.0; 2], may_lack_images: false })
}

/// The probabilities of the species with the shares that they have in this image, by kind of site where the columns are a sheet; `None`
/// if the card does not say what shares the training had.
fn refined(sheet: &SheetColumns<'_>, card: &ModelCard) -> Option<Array2<f64>> {
    let trained = &card.species_accuracy.as_ref()?.share;
    let settings = ShareSettings::default();
    if let Ok(by_site) = refine_sheet(sheet, trained, &DefectSettings::default(), &settings) {
        return Some(by_site.probabilities);
    }
    let groups = vec![0; sheet.columns.len()];
    let all = refine_species(sheet.species_probabilities?, trained, &groups, &settings).ok()?;
    Some(all.probabilities)
}

/// Gives every column its likeliest species.
fn name_by(columns: &mut [DetectedColumn], species: &Array2<f64>) {
    for (column, row) in columns.iter_mut().zip(species.outer_iter()) {
        let likeliest =
            row.iter().copied().enumerate().max_by(|one, other| one.1.total_cmp(&other.1).then(other.0.cmp(&one.0)));
        if let Some((species, probability)) = likeliest.filter(|(_, probability)| *probability > 0.0) {
            (column.species, column.species_probability) = (species, probability);
        }
    }
}

/// The share of columns that a model misses, by its card.
pub(crate) fn missed_share(card: &ModelCard) -> f64 {
    let all = card.accuracy.iter().find(|accuracy| accuracy.is_of_all_doses());
    all.and_then(|accuracy| accuracy.recall).map_or(0.0, |recall| (1.0 - recall).clamp(0.0, 1.0))
}
