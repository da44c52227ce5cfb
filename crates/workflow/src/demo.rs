//! The whole way on one example: a short movie is simulated, its columns are found, and the report written.

use std::path::PathBuf;

use atomlens_formats::FrameFormat;
use serde::Serialize;

use crate::detect::{self, DetectSettings, DetectSummary};
use crate::recipes::RecipeSource;
use crate::simulate::{self, SimulateSettings};
use crate::{Context, WorkflowError};

/// What the job made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DemoSummary {
    /// The folder of the simulated movie with its truth.
    pub movie: PathBuf,
    /// What was found in it.
    pub detection: DetectSummary,
}

/// The recipe that the example follows.
const RECIPE: &str = "gold-movie";
/// Frames of the example.
const FRAMES: i64 = 8;
/// Dose of each frame: atoms can be seen by eye, if barely.
const DOSE_E_PER_A2: f64 = 400.0;
/// Always the same movie.
const SEED: u64 = 3;

/// Runs the job in an empty folder.
///
/// # Errors
/// A folder that holds something, Ctrl-C.
pub fn run(out: PathBuf, context: &Context) -> Result<DemoSummary, WorkflowError> {
    let movie = out.join("movie");
    let settings = SimulateSettings {
        source: example()?,
        count: 1,
        seed: SEED,
        out: movie.clone(),
        format: FrameFormat::Tiff,
        resume: false,
    };
    simulate::run(&settings, context)?;
    let file = std::fs::read_dir(&movie)
        .map_err(|error| WorkflowError::read(&movie, &error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "tif"))
        .ok_or_else(|| WorkflowError::Read { path: movie.clone(), reason: "the movie is not there".to_owned() })?;
    let settings = DetectSettings {
        files: vec![file],
        model: None,
        pixel_size_nm: None,
        lattice: None,
        onnxruntime: None,
        probability: None,
        out: out.join("columns"),
        resume: false,
    };
    let detection = detect::run(&settings, context)?;
    Ok(DemoSummary { movie, detection })
}

/// The recipe, with fewer frames and more electrons in each.
fn example() -> Result<RecipeSource, WorkflowError> {
    let source = RecipeSource::find(RECIPE)?;
    let wrong = |reason: String| WorkflowError::TrainingRecipe { path: RECIPE.to_owned(), reason };
    let mut table: toml::Table = source.text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut set = |section: &str, key: &str, value: toml::Value| {
        if let Some(section) = table.get_mut(section).and_then(toml::Value::as_table_mut) {
            section.insert(key.to_owned(), value);
        }
    };
    set("dynamics", "frames", FRAMES.into());
    set("camera", "dose_e_per_a2", DOSE_E_PER_A2.into());
    let text = toml::to_string(&table).map_err(|error| wrong(error.to_string()))?;
    Ok(RecipeSource { name: "demo".to_owned(), path: None, text })
}
