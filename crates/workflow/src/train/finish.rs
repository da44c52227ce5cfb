//! What a trained network is worth: its calibration, its accuracy, and the card that says both.

use atomlens_analysis::calibration::{ProbabilityCalibration, fit_sigma_scale, fit_species_temperature};
use atomlens_analysis::columns::ColumnSettings;
use atomlens_analysis::matching::{HIT_RADIUS_ANGSTROM, pair};
use atomlens_analysis::reliability::{Outcomes, ProbabilityReliability};
use atomlens_analysis::score::places;
use atomlens_analysis::statistics::{InputStatistics, Ranges};
use atomlens_dataset::training::{Mixture, PIXEL_ANGSTROM, TrainingPair};
use atomlens_network::Network;
use ndarray::{Array2, Axis};

use super::validation::{DOSE_BORDERS, Judged, judge, tally};
use super::{TrainSettings, unseen_pairs};
use crate::model::{Accuracy, Model, ModelCard, ModelRange, SeriesRange, SpeciesAccuracy, TrainingFacts};
use crate::{Context, WorkflowError};

/// Images that the calibration is fitted to, and as many that the accuracy is measured on.
const IMAGES: usize = 320;

/// Everything that may be a column counts in the calibration.
const LOWEST_PROBABILITY: f64 = 0.02;

/// Steps of the reliability plot.
const BINS: usize = 10;

/// Measures a network on images that it has not seen, half of them to calibrate it, and writes its card.
pub(super) fn finish(
    settings: &TrainSettings,
    mixture: &Mixture,
    network: Network,
    minutes: f64,
    steps: u64,
    context: &Context,
) -> Result<Model, WorkflowError> {
    let recipe = &settings.recipe;
    let species = mixture.labels.species();
    let validation = recipe.schedule.validation_images;
    context.progress.note("calibrating on images that were not trained on");
    let mut pairs = unseen_pairs(mixture, validation + 2 * IMAGES, context)
        .map_err(|source| WorkflowError::Stream { path: recipe.mixture.clone(), source })?;
    // The first ones were looked at during the training.
    pairs.drain(..validation);
    let (calibration, test) = pairs.split_at(IMAGES);

    let raw = ColumnSettings { probability_threshold: LOWEST_PROBABILITY, ..ColumnSettings::default() };
    let judged = judge(&network, &species, calibration, &raw);
    let outcomes = outcomes(&judged);
    let too_few = |reason: String| WorkflowError::TrainingFailed { steps, reason };
    let probability_calibration =
        ProbabilityCalibration::fit(&outcomes.probabilities).map_err(|error| too_few(error.to_string()))?;
    let position_sigma_scale = fit_sigma_scale(&outcomes.errors_angstrom, &outcomes.sigmas_angstrom)
        .map_err(|error| too_few(error.to_string()))?;
    let atoms_sigma_scale = atoms_sigma_scale(&judged);
    let species_temperature = if species.len() > 1 {
        let (probabilities, truth) = species_of_hits(&judged);
        fit_species_temperature(probabilities.view(), &truth).map_err(|error| too_few(error.to_string()))?
    } else {
        1.0
    };
    let calibrated: Vec<(f64, bool)> = outcomes
        .probabilities
        .iter()
        .map(|&(raw, is_column)| (probability_calibration.apply(raw), is_column))
        .collect();
    let columns = ColumnSettings {
        probability_threshold: best_threshold(&calibrated, judged.iter().map(|image| image.truth.len()).sum()),
        probability_calibration,
        position_sigma_scale,
        species_temperature,
        ..ColumnSettings::default()
    };

    let all = ColumnSettings { probability_threshold: LOWEST_PROBABILITY, ..columns.clone() };
    let mut judged = judge(&network, &species, test, &all);
    let outcomes = self::outcomes(&judged);
    for image in &mut judged {
        image.keep_above(columns.probability_threshold);
    }
    let card = ModelCard {
        name: recipe.name.clone(),
        description: recipe.description.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        species: species.clone(),
        frames: mixture.frames(),
        series: (mixture.channels() > mixture.frames()).then(|| series(mixture, pairs.iter())),
        pixel_size_angstrom: PIXEL_ANGSTROM,
        normalisation: normalisation(mixture),
        lattices: recipe.lattices.clone(),
        range: range(pairs.iter()),
        training: TrainingFacts {
            recipe: recipe.clone(),
            seed: settings.seed,
            from: settings.from.clone(),
            steps,
            images: steps * recipe.schedule.batch as u64,
            minutes,
            machine: machine(context),
            parameters: network.architecture().parameter_count(),
        },
        columns,
        atoms_sigma_scale,
        accuracy: accuracy(&judged).into_iter().filter(|accuracy| accuracy.images > 0).collect(),
        probability_reliability: outcomes.of_probability(BINS),
        position_reliability: outcomes.of_position(),
        species_accuracy: (species.len() > 1).then(|| species_accuracy(&judged, &species)),
        statistics: Ranges::of(&pairs.iter().map(statistics).collect::<Vec<_>>()),
    };
    Ok(Model { card, network })
}

/// The probabilities of the species of what was found, shape `[column, species]`, and their true species.
fn species_of_hits(judged: &[Judged]) -> (Array2<f64>, Vec<usize>) {
    let mut truth = Vec::new();
    let mut rows = Vec::new();
    for image in judged {
        for hit in pair(&places(&image.detected), &image.truth, HIT_RADIUS_ANGSTROM) {
            truth.push(image.truth_species[hit.truth]);
            rows.push(image.species.row(hit.detected));
        }
    }
    let probabilities = ndarray::stack(Axis(0), &rows).unwrap_or_else(|_| Array2::zeros((0, 0)));
    (probabilities, truth)
}

fn species_accuracy(judged: &[Judged], species: &[String]) -> SpeciesAccuracy {
    let (probabilities, truth) = species_of_hits(judged);
    let stated = probabilities.indexed_iter().map(|((column, species), &stated)| (stated, truth[column] == species));
    let all: Vec<usize> = judged.iter().flat_map(|image| image.truth_species.iter().copied()).collect();
    let share = |species: usize| all.iter().filter(|&&other| other == species).count() as f64 / all.len().max(1) as f64;
    SpeciesAccuracy {
        share: (0..species.len()).map(share).collect(),
        confusion: outcomes(judged).confusion(species),
        reliability: ProbabilityReliability::of(&stated.collect::<Vec<_>>(), BINS),
    }
}

fn series<'a>(mixture: &Mixture, pairs: impl Iterator<Item = &'a TrainingPair>) -> SeriesRange {
    let steps = pairs.flat_map(|pair| {
        let defocus = &pair.drawn.defocus_angstrom;
        defocus.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<f64>>()
    });
    SeriesRange {
        images: mixture.channels(),
        step_angstrom: steps
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], step| [low.min(step), high.max(step)]),
        may_lack_images: mixture.missing_image_fraction > 0.0,
    }
}

fn normalisation(mixture: &Mixture) -> String {
    let frames = mixture.frames();
    let mut text = "The local mean is subtracted and the rest divided by its local standard deviation, both over a \
                    Gaussian of 12 Å (standard deviation)."
        .to_owned();
    if mixture.channels() > frames {
        text += " The images of a focal series, in order of increasing underfocus, share one mean and one deviation; one that is \
                 missing is zero.";
    }
    if frames > 1 {
        text += &format!(
            " It sees {frames} frames and tells the columns of the one in the middle; the others are laid on it by the drift. \
             Each is normalised by itself; a frame that is missing is zero, and so is what a frame does not cover."
        );
    }
    text
}

fn machine(context: &Context) -> String {
    format!("{} threads of a CPU ({})", context.threads, std::env::consts::ARCH)
}

fn outcomes(judged: &[Judged]) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for image in judged {
        outcomes.add(&image.detected, &image.truth, &image.truth_species);
    }
    outcomes
}

/// The probability from one half on, in steps of 0.05, above which detections give the best F1 among so many true columns. What is
/// reported is never more likely false than true, even where many doubtful columns are left out by that.
fn best_threshold(detections: &[(f64, bool)], columns: usize) -> f64 {
    let f1 = |threshold: f64| {
        let kept = detections.iter().filter(|(probability, _)| *probability >= threshold);
        let (mut hits, mut all) = (0_usize, 0_usize);
        for (_, is_column) in kept {
            all += 1;
            hits += usize::from(*is_column);
        }
        2.0 * hits as f64 / (all + columns) as f64
    };
    let candidates = (10..=14).map(|step| 0.05 * f64::from(step));
    candidates.max_by(|a, b| f1(*a).total_cmp(&f1(*b))).unwrap_or(0.5)
}

/// By how much the stated error of the number of atoms must be stretched, so that 68 % lie within it.
fn atoms_sigma_scale(judged: &[Judged]) -> f64 {
    let mut ratios = Vec::new();
    for image in judged {
        for hit in pair(&places(&image.detected), &image.truth, HIT_RADIUS_ANGSTROM) {
            let column = &image.detected[hit.detected];
            let error = (column.atoms - f64::from(image.truth_atoms[hit.truth])).abs();
            ratios.push(error / column.atoms_sigma.max(1e-6));
        }
    }
    ratios.sort_by(f64::total_cmp);
    let within = ratios.get((0.6827 * ratios.len() as f64) as usize).copied().unwrap_or(1.0);
    if within > 0.0 { within } else { 1.0 }
}

/// Of the true columns that were found, the share whose likeliest species is right.
pub fn species_right(judged: &[Judged]) -> Option<f64> {
    let (mut right, mut found) = (0_usize, 0_usize);
    for image in judged {
        for hit in pair(&places(&image.detected), &image.truth, HIT_RADIUS_ANGSTROM) {
            found += 1;
            right += usize::from(image.detected[hit.detected].species == image.truth_species[hit.truth]);
        }
    }
    (found > 0).then(|| right as f64 / found as f64)
}

/// Figures by dose, and those of all images last; always of the same ranges, so that tables of several looks fit together.
pub fn accuracy(judged: &[Judged]) -> Vec<Accuracy> {
    let borders = DOSE_BORDERS.iter().enumerate().map(|(index, &low)| (low, DOSE_BORDERS.get(index + 1).copied()));
    borders
        .chain([(0.0, None)])
        .map(|(low, high)| {
            let end = high.unwrap_or(f64::INFINITY);
            let images = judged.iter().filter(|image| (low..end).contains(&image.dose_e_per_a2)).count();
            let score = tally(judged, low, end).score();
            Accuracy {
                dose_low_e_per_a2: low,
                dose_high_e_per_a2: high,
                images,
                hits: score.hits,
                missed: score.missed,
                false_columns: score.false_columns,
                precision: score.precision,
                recall: score.recall,
                f1: score.f1,
                median_position_error_pm: score.position.map(|position| position.median_pm),
                rms_position_error_pm: score.position.map(|position| position.rms_pm),
            }
        })
        .collect()
}

fn range<'a>(pairs: impl Iterator<Item = &'a TrainingPair> + Clone) -> ModelRange {
    let span = |value: &dyn Fn(&TrainingPair) -> Vec<f64>| {
        let values = pairs.clone().flat_map(value);
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)])
    };
    ModelRange {
        pixel_size_angstrom: span(&|pair| vec![pair.drawn.native_pixel_angstrom]),
        dose_e_per_a2: span(&|pair| vec![pair.drawn.dose_e_per_a2]),
        defocus_angstrom: span(&|pair| pair.drawn.defocus_angstrom.clone()),
        cs_angstrom: span(&|pair| vec![pair.drawn.cs_angstrom]),
        energy_kev: span(&|pair| vec![pair.drawn.energy_kev]),
    }
}

/// The figures of a training image; what is counted in raw pixels does not matter here.
fn statistics(pair: &TrainingPair) -> InputStatistics {
    let middle = pair.input.len_of(Axis(0)) / 2;
    let image = pair.input.index_axis(Axis(0), middle);
    InputStatistics::of(image, image, PIXEL_ANGSTROM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_weighs_misses_against_false_columns() {
        let sure = [(0.9, true); 10];
        // Doubtful ones that are columns as often as they say are worth it where few were found otherwise.
        let doubtful = (0..100).map(|index| (0.55, index % 100 < 55));
        let with_doubtful: Vec<(f64, bool)> = sure.iter().copied().chain(doubtful).collect();
        assert!(best_threshold(&with_doubtful, 70) <= 0.55 + 1e-9);
        // Those that hardly ever are columns are not, and nothing below one half is.
        let hopeless: Vec<(f64, bool)> = sure.iter().copied().chain(vec![(0.55, false); 100]).collect();
        assert!(best_threshold(&hopeless, 12) > 0.55);
        assert!(best_threshold(&[(0.4, true); 10], 10) >= 0.5);
    }
}
