//! What is known of a model.

use atomlens_analysis::columns::ColumnSettings;
use atomlens_analysis::reliability::{Confusion, PositionReliability, ProbabilityReliability};
use atomlens_analysis::statistics::Ranges;
use serde::{Deserialize, Serialize};

use crate::train::TrainingRecipe;

/// A model's card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Version of the program that trained it.
    pub version: String,
    /// What it tells apart.
    pub species: Vec<String>,
    /// Frames of a movie that it sees at once, those before and after the one whose columns it gives included; 1 for images.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub frames: usize,
    /// The focal series that it sees; `None` for single images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesRange>,
    /// Pixel size that it sees; images are resampled to it.
    pub pixel_size_angstrom: f64,
    /// How images are brought to its scale.
    pub normalisation: String,
    /// Lattices whose spacing may tell the pixel size of an image that does not say it.
    pub lattices: Vec<String>,
    /// What it was trained on.
    pub range: ModelRange,
    /// How it was trained.
    pub training: TrainingFacts,
    /// How columns are read from its maps, with the calibration of its probabilities and position errors.
    pub columns: ColumnSettings,
    /// Factor on its standard deviation of the number of atoms.
    pub atoms_sigma_scale: f64,
    /// Measured on simulated images that it was not trained or calibrated on, by dose.
    pub accuracy: Vec<Accuracy>,
    /// Stated against observed probabilities on the same images.
    pub probability_reliability: ProbabilityReliability,
    /// Stated against observed position errors on the same images.
    pub position_reliability: Option<PositionReliability>,
    /// Whether its species are right, on the same images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub species_accuracy: Option<SpeciesAccuracy>,
    /// What its images are like as a whole.
    pub statistics: Ranges,
}

fn one() -> usize {
    1
}

fn is_one(frames: &usize) -> bool {
    *frames == 1
}

/// Lowest and highest values in the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRange {
    /// Pixel size of the camera, before resampling.
    pub pixel_size_angstrom: [f64; 2],
    /// Dose.
    pub dose_e_per_a2: [f64; 2],
    /// Defocus, underfocus positive.
    pub defocus_angstrom: [f64; 2],
    /// Spherical aberration.
    pub cs_angstrom: [f64; 2],
    /// Energy.
    pub energy_kev: [f64; 2],
}

/// The focal series that a model sees, in order of increasing underfocus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesRange {
    /// Number of images.
    pub images: usize,
    /// Least and largest step of the defocus from one to the next.
    pub step_angstrom: [f64; 2],
    /// Whether it was trained on series that lack images.
    pub may_lack_images: bool,
}

/// How well a model tells species apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpeciesAccuracy {
    /// Share of the true columns that are of each species.
    pub share: Vec<f64>,
    /// Which species were taken for which.
    pub confusion: Confusion,
    /// Stated against observed probabilities of the species.
    pub reliability: ProbabilityReliability,
}

/// How a model was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingFacts {
    /// The recipe with all its defaults.
    pub recipe: TrainingRecipe,
    /// Seed.
    pub seed: u64,
    /// The model that it began with, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Steps done.
    pub steps: u64,
    /// Images seen; none was seen twice.
    pub images: u64,
    /// Minutes that it took.
    pub minutes: f64,
    /// Where.
    pub machine: String,
    /// Weights and biases.
    pub parameters: usize,
}

/// Figures for a range of dose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// From this dose.
    pub dose_low_e_per_a2: f64,
    /// Up to this one; open at the end.
    pub dose_high_e_per_a2: Option<f64>,
    /// Number of images.
    pub images: usize,
    /// Hits.
    pub hits: usize,
    /// Columns that were missed.
    pub missed: usize,
    /// Detections that are no columns.
    pub false_columns: usize,
    /// Share of the detections that are columns.
    pub precision: Option<f64>,
    /// Share of the columns that were found.
    pub recall: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Median distance from the truth.
    pub median_position_error_pm: Option<f64>,
    /// Root of its mean square.
    pub rms_position_error_pm: Option<f64>,
}

impl Accuracy {
    /// Whether the figures are those of all images.
    pub fn is_of_all_doses(&self) -> bool {
        self.dose_low_e_per_a2 == 0.0 && self.dose_high_e_per_a2.is_none()
    }
}

impl ModelCard {
    /// Whether the numbers that detection relies on make sense; if not, what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let positive = |what: &str, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(format!("{what} is {value}: expected more than 0"))
            }
        };
        positive("pixel_size_angstrom", self.pixel_size_angstrom)?;
        positive("atoms_sigma_scale", self.atoms_sigma_scale)?;
        positive("columns.position_sigma_scale", self.columns.position_sigma_scale)?;
        positive("columns.minimum_separation_angstrom", self.columns.minimum_separation_angstrom)?;
        if self.frames.is_multiple_of(2) {
            return Err(format!("frames is {}: expected an odd number, with one in the middle", self.frames));
        }
        let [low, high] = self.range.pixel_size_angstrom;
        positive("range.pixel_size_angstrom", low)?;
        if high < low {
            return Err(format!("range.pixel_size_angstrom is [{low}, {high}]: expected the lower value first"));
        }
        Ok(())
    }
}
