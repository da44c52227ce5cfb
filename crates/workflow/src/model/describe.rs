//! A model's card for people.

use std::fmt::Write;

use atomlens_analysis::reliability::Fraction;

use super::card::{Accuracy, ModelCard, SpeciesAccuracy};

/// The card as Markdown.
pub(super) fn markdown(card: &ModelCard) -> String {
    let mut text = String::new();
    let training = &card.training;
    let range = &card.range;
    let _ = writeln!(text, "# {}\n\n{}.\n", card.name, card.description);
    let _ = writeln!(
        text,
        "Trained with atomlens {} on {} simulated images, none seen twice: {} steps, {:.0} minutes on {}, seed {}. {} \
         parameters. Recipe: `{}`, images from the mixture `{}`.\n",
        card.version,
        training.images,
        training.steps,
        training.minutes,
        training.machine,
        training.seed,
        training.parameters,
        training.recipe.name,
        training.recipe.mixture
    );
    let _ = writeln!(text, "Tells apart: {}. {}\n", card.species.join(", "), card.normalisation);
    let _ = writeln!(text, "| trained on | from | to |\n|---|---|---|");
    let mut row = |what: &str, [low, high]: [f64; 2], factor: f64, digits: usize| {
        let _ = writeln!(text, "| {what} | {:.digits$} | {:.digits$} |", low * factor, high * factor);
    };
    row("pixel size of the camera (nm)", range.pixel_size_angstrom, 0.1, 4);
    row("dose (e/Å²)", range.dose_e_per_a2, 1.0, 0);
    row("defocus (nm), underfocus positive", range.defocus_angstrom, 0.1, 1);
    if let Some(series) = &card.series {
        row("step of the defocus (nm)", series.step_angstrom, 0.1, 1);
    }
    row("spherical aberration (µm)", range.cs_angstrom, 1e-4, 1);
    row("energy (keV)", range.energy_kev, 1.0, 0);
    let _ = writeln!(
        text,
        "\nMeasured on simulated images that it was neither trained nor calibrated on:\n\n| dose (e/Å²) | images | \
         precision | recall | F1 | median position error (pm) |\n|---|---|---|---|---|---|"
    );
    for accuracy in &card.accuracy {
        let shown =
            |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            doses(accuracy),
            accuracy.images,
            shown(accuracy.precision, 3),
            shown(accuracy.recall, 3),
            shown(accuracy.f1, 3),
            shown(accuracy.median_position_error_pm, 1)
        );
    }
    let _ = writeln!(
        text,
        "\nCalibration: stated and observed probabilities differ by {:.3} on average over the same images.",
        card.probability_reliability.expected_calibration_error
    );
    if let Some(position) = &card.position_reliability {
        let _ = writeln!(
            text,
            "Position errors divided by their stated standard deviation: {:.2} in the root of the mean square.",
            position.rms_z
        );
    }
    if let Some(species) = &card.species_accuracy {
        text += &species_table(species);
    }
    text
}

/// How often each species is recognised and how often it is right to say so.
fn species_table(accuracy: &SpeciesAccuracy) -> String {
    let mut text = "\nSpecies of the columns that were found, on the same images:\n\n| species | share | recognised | rightly called \
                    so | mostly taken for |\n|---|---|---|---|---|\n"
        .to_owned();
    let confusion = &accuracy.confusion;
    let percent = |fraction: Option<Fraction>| fraction.map_or("-".to_owned(), |f| format!("{:.1} %", 100.0 * f.value));
    for (index, name) in confusion.species.iter().enumerate() {
        let others = confusion.counts[index].iter().enumerate().filter(|(other, count)| *other != index && **count > 0);
        let most = others.max_by_key(|(_, count)| **count);
        let _ = writeln!(
            text,
            "| {name} | {:.1} % | {} | {} | {} |",
            100.0 * accuracy.share[index],
            percent(confusion.recall(index)),
            percent(confusion.precision(index)),
            most.map_or("-", |(other, _)| &confusion.species[other])
        );
    }
    let _ = writeln!(
        text,
        "\nStated and observed probabilities of the species differ by {:.3} on average.",
        accuracy.reliability.expected_calibration_error
    );
    text
}

/// A range of dose in words.
pub(crate) fn doses(accuracy: &Accuracy) -> String {
    match accuracy.dose_high_e_per_a2 {
        _ if accuracy.is_of_all_doses() => "all".to_owned(),
        Some(high) => format!("{:.0} to {high:.0}", accuracy.dose_low_e_per_a2),
        None => format!("{:.0} and more", accuracy.dose_low_e_per_a2),
    }
}
