//! How good a model is by dose, on fresh simulations of what it was trained for.
//!
//! At each dose the model looks at new images of its own mixture, all counted at that dose, and is scored one to one
//! within 0.05 nm; its errors are compared with the least that these images allow. Besides, each dose is repeated at several
//! pixel sizes of the camera.

use std::path::PathBuf;

use atomlens_analysis::matching::{HIT_RADIUS_ANGSTROM, pair};
use atomlens_analysis::score::places;
use atomlens_core::Distribution;
use atomlens_dataset::training::Mixture;
use atomlens_report::benchmark::{DoseScore, ReliabilityBin, position_error_plot, reliability_plot, score_plot};
use serde::Serialize;

use crate::model::{Accuracy, Model};
use crate::provenance::{Provenance, write_json};
use crate::train::recipe::mixture_of;
use crate::train::validation::{Judged, judge};
use crate::train::{finish, unseen_pairs_of_seed};
use crate::{Context, WorkflowError};

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchmarkSettings {
    /// A model's name or folder.
    pub model: String,
    /// Images at each dose and pixel size.
    pub images: usize,
    /// Doses.
    pub doses_e_per_a2: Vec<f64>,
    /// Pixel sizes of the camera; those of the mixture if none is named.
    pub pixel_sizes_nm: Vec<f64>,
    /// Seed of the images.
    pub seed: u64,
    /// The folder.
    pub out: PathBuf,
}

/// A row of the answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchmarkRow {
    /// Dose.
    pub dose_e_per_a2: f64,
    /// Pixel size of the camera; `None` for those of the mixture.
    pub pixel_size_nm: Option<f64>,
    /// Figures.
    #[serde(flatten)]
    pub accuracy: Accuracy,
    /// Root mean square over the hits of the least error of each place (Cramér-Rao, approximately).
    pub cramer_rao_pm: Option<f64>,
    /// Median over the hits of the error divided by what the median would be at the bound: 1 for the best estimate there is.
    pub error_over_cramer_rao: Option<f64>,
}

/// What the job found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchmarkSummary {
    /// The folder.
    pub out: PathBuf,
    /// By pixel size and dose.
    pub rows: Vec<BenchmarkRow>,
    /// Mean difference between stated and observed probability.
    pub expected_calibration_error: f64,
}

/// Probability from which detections count in the reliability plot.
const LOWEST_PROBABILITY: f64 = 0.02;

/// Runs the job: `benchmark.json`, and the plots `score.svg`, `position_error.svg`, `reliability.svg` with their PNG.
///
/// # Errors
/// A model that is not there, settings that make no sense, Ctrl-C.
pub fn run(settings: &BenchmarkSettings, context: &Context) -> Result<BenchmarkSummary, WorkflowError> {
    let positive = |values: &[f64]| values.iter().all(|value| *value > 0.0 && value.is_finite());
    if settings.doses_e_per_a2.is_empty() || !positive(&settings.doses_e_per_a2) {
        return Err(WorkflowError::Setting {
            what: "--dose",
            found: format!("{:?}", settings.doses_e_per_a2),
            expected: "doses of more than 0 electrons per square angstrom".to_owned(),
        });
    }
    if !positive(&settings.pixel_sizes_nm) {
        return Err(WorkflowError::Setting {
            what: "--pixel-size-nm",
            found: format!("{:?}", settings.pixel_sizes_nm),
            expected: "more than 0".to_owned(),
        });
    }
    let model = Model::find(&settings.model)?;
    let mixture = mixture_of(&model.card.training.recipe)?;
    std::fs::create_dir_all(&settings.out).map_err(|error| WorkflowError::write(&settings.out, &error))?;
    Provenance::new("benchmark", settings.clone()).write(&settings.out.join("settings.json"))?;
    let sizes: Vec<Option<f64>> = if settings.pixel_sizes_nm.is_empty() {
        vec![None]
    } else {
        settings.pixel_sizes_nm.iter().copied().map(Some).collect()
    };
    let total = sizes.len() * settings.doses_e_per_a2.len();
    context.progress.begin(total as u64, "doses");
    let mut rows = Vec::new();
    let mut outcomes = atomlens_analysis::reliability::Outcomes::default();
    for &pixel_size_nm in &sizes {
        for &dose_e_per_a2 in &settings.doses_e_per_a2 {
            if context.is_cancelled() {
                return Err(WorkflowError::Cancelled { done: rows.len() as u64, total: total as u64, unit: "doses" });
            }
            let mixture = at(&mixture, dose_e_per_a2, pixel_size_nm);
            let pairs = unseen_pairs_of_seed(&mixture, settings.seed, settings.images, context)
                .map_err(|source| WorkflowError::Stream { path: mixture.name.clone(), source })?;
            let mut columns = model.card.columns.clone();
            columns.probability_threshold = LOWEST_PROBABILITY;
            let mut judged = judge(&model.network, &model.card.species, &pairs, &columns);
            for image in &judged {
                outcomes.add(&image.detected, &image.truth, &image.truth_species);
            }
            for image in &mut judged {
                image.detected.retain(|column| column.probability >= model.card.columns.probability_threshold);
            }
            let (cramer_rao_pm, error_over_cramer_rao) = beside_bound(&judged).unzip();
            if let Some(accuracy) = finish::accuracy(&judged).pop() {
                rows.push(BenchmarkRow {
                    dose_e_per_a2,
                    pixel_size_nm,
                    accuracy,
                    cramer_rao_pm,
                    error_over_cramer_rao,
                });
            }
            context.progress.done(rows.len() as u64);
        }
    }
    let reliability = outcomes.of_probability(10);
    let summary = BenchmarkSummary {
        out: settings.out.clone(),
        rows,
        expected_calibration_error: reliability.expected_calibration_error,
    };
    write_json(&settings.out.join("benchmark.json"), &summary)?;
    draw(settings, &summary, &reliability, sizes[0])?;
    Ok(summary)
}

/// The bound of the hits in pm, and how far above it the errors are: [`BenchmarkRow::error_over_cramer_rao`].
fn beside_bound(judged: &[Judged]) -> Option<(f64, f64)> {
    /// Median of a distance in the plane over its root mean square, for equal normal errors along both axes.
    const MEDIAN_OVER_RMS: f64 = 0.832_554_611_157_697_8;
    let mut squares = 0.0;
    let mut ratios = Vec::new();
    for image in judged {
        for hit in pair(&places(&image.detected), &image.truth, HIT_RADIUS_ANGSTROM) {
            if let Some(bound) = image.truth_bounds_angstrom[hit.truth] {
                squares += bound * bound;
                ratios.push(hit.error.length() / (MEDIAN_OVER_RMS * bound));
            }
        }
    }
    let count = ratios.len();
    ratios.sort_by(f64::total_cmp);
    let median = *ratios.get(count / 2)?;
    Some((100.0 * (squares / count as f64).sqrt(), median))
}

/// The mixture at one dose and one pixel size.
fn at(mixture: &Mixture, dose_e_per_a2: f64, pixel_size_nm: Option<f64>) -> Mixture {
    let mut mixture = Mixture { with_bounds: true, ..mixture.clone() };
    let size = pixel_size_nm.map(|size| Distribution::Constant(10.0 * size));
    for part in &mut mixture.parts {
        part.recipe.camera.dose_e_per_a2 = Distribution::Constant(dose_e_per_a2);
        if size.is_some() {
            part.settings.pixel_size_angstrom.clone_from(&size);
        }
    }
    if let Some(size) = size {
        mixture.pixel_size_angstrom = size;
    }
    mixture
}

/// The plots, of the first pixel size.
fn draw(
    settings: &BenchmarkSettings,
    summary: &BenchmarkSummary,
    reliability: &atomlens_analysis::reliability::ProbabilityReliability,
    size: Option<f64>,
) -> Result<(), WorkflowError> {
    const WIDTH_PX: u32 = 640;
    let scores: Vec<DoseScore> = summary
        .rows
        .iter()
        .filter(|row| row.pixel_size_nm == size)
        .map(|row| DoseScore {
            dose_e_per_a2: row.dose_e_per_a2,
            true_positives: row.accuracy.hits,
            false_positives: row.accuracy.false_columns,
            false_negatives: row.accuracy.missed,
            median_position_error_pm: row.accuracy.median_position_error_pm,
            rms_position_error_pm: row.accuracy.rms_position_error_pm,
            cramer_rao_pm: row.cramer_rao_pm,
        })
        .collect();
    let bins: Vec<ReliabilityBin> = reliability
        .bins
        .iter()
        .map(|bin| ReliabilityBin {
            mean_probability: bin.stated,
            detections: bin.observed.count,
            columns: bin.observed.hits,
        })
        .collect();
    let mut plots = vec![("score", score_plot(&scores))];
    if scores.iter().any(|score| score.median_position_error_pm.is_some()) {
        plots.push(("position_error", position_error_plot(&scores)));
    }
    if !bins.is_empty() {
        plots.push(("reliability", reliability_plot(&bins)));
    }
    for (name, plot) in plots {
        plot.write_png(settings.out.join(format!("{name}.png")), WIDTH_PX)?;
        plot.write_svg(settings.out.join(format!("{name}.svg")), WIDTH_PX)?;
    }
    Ok(())
}
