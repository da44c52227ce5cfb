//! A model's card as part of a report's page.

use atomlens_analysis::reliability::ProbabilityReliability;
use atomlens_report::benchmark::{ReliabilityBin, reliability_plot};
use atomlens_report::html;

use super::card::ModelCard;
use super::describe::doses;

/// The card.
pub(crate) fn page(card: &ModelCard) -> html::ModelCard {
    let training = &card.training;
    let range = |[low, high]: [f64; 2], factor: f64, digits: usize, unit: &str| {
        format!("{:.digits$} to {:.digits$} {unit}", low * factor, high * factor)
    };
    let facts = [
        ("Tells apart", card.species.join(", ")),
        ("Sees pixels of", format!("{:.3} nm, to which images are resampled", 0.1 * card.pixel_size_angstrom)),
        ("Pixel sizes trained on", range(card.range.pixel_size_angstrom, 0.1, 4, "nm")),
        ("Doses trained on", range(card.range.dose_e_per_a2, 1.0, 0, "e/Å²")),
        ("Defocus trained on", range(card.range.defocus_angstrom, 0.1, 0, "nm, underfocus positive")),
        ("Spherical aberration", range(card.range.cs_angstrom, 1e-4, 0, "µm")),
        ("Energies", range(card.range.energy_kev, 1.0, 0, "keV")),
        (
            "Training",
            format!(
                "{} steps, {} simulated images, {:.0} minutes on {}, seed {}",
                training.steps, training.images, training.minutes, training.machine, training.seed
            ),
        ),
    ];
    let shown = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let rows = card
        .accuracy
        .iter()
        .map(|accuracy| {
            vec![
                doses(accuracy),
                accuracy.images.to_string(),
                shown(accuracy.precision, 3),
                shown(accuracy.recall, 3),
                shown(accuracy.f1, 3),
                shown(accuracy.median_position_error_pm, 1),
            ]
        })
        .collect();
    let header = ["Dose (e/Å²)", "Images", "Precision", "Recall", "F1", "Median position error (pm)"];
    let bins = reliability_bins(&card.probability_reliability);
    let figures = if bins.is_empty() {
        Vec::new()
    } else {
        vec![("Stated against observed probability, on simulated images".to_owned(), reliability_plot(&bins))]
    };
    html::ModelCard {
        name: card.name.clone(),
        paragraphs: vec![format!("{}.", card.description)],
        facts: facts.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        tables: vec![html::ModelTable {
            caption: "Measured on simulated images that it was neither trained nor calibrated on".to_owned(),
            header: header.map(str::to_owned).to_vec(),
            rows,
        }],
        figures,
    }
}

/// Stated against observed probabilities, as pages take them.
pub(crate) fn reliability_bins(reliability: &ProbabilityReliability) -> Vec<ReliabilityBin> {
    let bin = |bin: &atomlens_analysis::reliability::ReliabilityBin| ReliabilityBin {
        mean_probability: bin.stated,
        detections: bin.observed.count,
        columns: bin.observed.hits,
    };
    reliability.bins.iter().map(bin).collect()
}
