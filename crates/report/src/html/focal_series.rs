//! The report of a focal series: its images, the species of its columns, its defects, and how sure all that is.

use ndarray::ArrayView2;

use atomlens_core::DetectedColumn;

use super::detection::{ModelCard, SpacingCheck, Warning};
use super::series_images::{FocusImage, SeriesFacts};
use crate::benchmark::ReliabilityBin;
use crate::defects::Defects;
use crate::estimate::Estimate;
use crate::spectrum::SpectrumFigure;

/// What a report is made of.
#[derive(Debug, Clone)]
pub struct FocalSeriesReport<'a> {
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
    /// What the columns are shown on, `[y, x]` on the grid of the images: the sharpest image, their mean, or a phase.
    pub background: ArrayView2<'a, f32>,
    /// What that is, such as `image 1` or `phase of the exit wave`.
    pub background_name: String,
    /// The columns.
    pub columns: &'a [DetectedColumn],
    /// Names of the species that the columns count by.
    pub species: &'a [String],
    /// The defects.
    pub defects: &'a Defects,
    /// How many there are of each kind.
    pub defect_counts: Vec<DefectCount>,
    /// Area of the crystal that was looked at, in nm².
    pub area_nm2: f64,
    /// Spacings of the lattice, each with its check.
    pub spacings: Vec<SpacingCheck>,
    /// How well the model tells species apart, as its card states.
    pub accuracy: Option<SpeciesAccuracy>,
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
    /// The model that was used.
    pub model: Option<ModelCard>,
}

/// How often a kind of defect occurs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DefectCount {
    /// What it is called, such as `S vacancy`.
    pub name: String,
    /// How many are listed.
    pub listed: usize,
    /// How many there are once the errors of the detection are taken into account.
    pub expected: Estimate,
    /// The same per area, in 1/nm².
    pub per_nm2: Estimate,
    /// The same per site where it can be, from 0 to 1; unknown for rings, edges and boundaries.
    pub share_of_sites: Estimate,
}

/// How well a model tells species apart, measured on simulated series with known species.
#[derive(Debug, Clone, Default)]
pub struct SpeciesAccuracy {
    /// On what it was measured, such as `400 simulated series at 3000 e/Å² and more`.
    pub measured_on: String,
    /// How often columns were what they were called, by the probability that was given.
    pub reliability: Vec<ReliabilityBin>,
    /// What columns were taken for.
    pub confusion: Option<Confusion>,
}

/// Counts of columns by true and by found species.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Confusion {
    /// What columns truly are: one a row. The last may be `none`, for false columns.
    pub rows: Vec<String>,
    /// What they were taken for: one a column. The last may be `missed`.
    pub columns: Vec<String>,
    /// The counts, a row for every one of `rows`.
    pub counts: Vec<Vec<usize>>,
}
