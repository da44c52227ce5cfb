//! How good a network is on images that it is not trained on.

use atomlens_analysis::columns::{ColumnSettings, find_columns_with_species};
use atomlens_analysis::score::{Tally, places};
use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;
use atomlens_dataset::training::{PIXEL_ANGSTROM, Target, TrainingPair};
use atomlens_network::Network;
use ndarray::{Array2, Axis};

/// Borders of the ranges of dose for which figures are given, in electrons per square angstrom.
pub const DOSE_BORDERS: [f64; 6] = [0.0, 30.0, 100.0, 300.0, 1000.0, 3000.0];

/// Columns nearer to the border than this are not judged: half of what makes them may lie outside.
const BORDER_ANGSTROM: f64 = 1.0;

/// What was found in one image, and what is there.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Columns found where the truth is known.
    pub detected: Vec<DetectedColumn>,
    /// The probabilities of their species, shape `[column, species]`.
    pub species: Array2<f64>,
    /// True places.
    pub truth: Vec<DVec2>,
    /// Species of the true columns.
    pub truth_species: Vec<usize>,
    /// Atoms in the true columns.
    pub truth_atoms: Vec<u32>,
    /// The least root mean square error of their places in angstrom, where the mixture gives it.
    pub truth_bounds_angstrom: Vec<Option<f64>>,
    /// Dose of the image.
    pub dose_e_per_a2: f64,
}

/// Looks at images and keeps what can be judged.
pub fn judge(network: &Network, species: &[String], pairs: &[TrainingPair], settings: &ColumnSettings) -> Vec<Judged> {
    pairs
        .iter()
        .map(|pair| {
            let map = network.look(pair.input.view(), PIXEL_ANGSTROM, species);
            let (columns, species) = find_columns_with_species(&map, settings);
            judged(&columns, &species, pair)
        })
        .collect()
}

fn judged(detected: &[DetectedColumn], species: &Array2<f64>, pair: &TrainingPair) -> Judged {
    let target = &pair.target;
    let field = 2.0 * target.grid.nx as f64 * PIXEL_ANGSTROM;
    let known = |x: f64, y: f64| {
        let inner = |place: f64| (BORDER_ANGSTROM..field - BORDER_ANGSTROM).contains(&place);
        inner(x) && inner(y) && !ignored(target, x, y)
    };
    let columns: Vec<_> = target.columns.iter().filter(|column| known(column.x_angstrom, column.y_angstrom)).collect();
    let kept: Vec<usize> =
        (0..detected.len()).filter(|&index| known(detected[index].x_angstrom, detected[index].y_angstrom)).collect();
    Judged {
        detected: kept.iter().map(|&index| detected[index].clone()).collect(),
        species: species.select(Axis(0), &kept),
        truth: columns.iter().map(|column| DVec2::new(column.x_angstrom, column.y_angstrom)).collect(),
        truth_species: columns.iter().map(|column| column.species).collect(),
        truth_atoms: columns.iter().map(|column| column.atoms).collect(),
        truth_bounds_angstrom: columns.iter().map(|column| column.bound_angstrom).collect(),
        dose_e_per_a2: pair.drawn.dose_e_per_a2,
    }
}

fn ignored(target: &Target, x: f64, y: f64) -> bool {
    let [i, j] = target.grid.cells_at(x, y).map(|place| place.round().max(0.0) as usize);
    target.ignore.get([j, i]).copied().unwrap_or(false)
}

impl Judged {
    /// Forgets detections below a probability.
    pub fn keep_above(&mut self, probability: f64) {
        let kept: Vec<usize> =
            (0..self.detected.len()).filter(|&index| self.detected[index].probability >= probability).collect();
        self.detected = kept.iter().map(|&index| self.detected[index].clone()).collect();
        self.species = self.species.select(Axis(0), &kept);
    }
}

/// Hits and errors of images within a range of dose.
pub fn tally(judged: &[Judged], lowest_dose: f64, highest_dose: f64) -> Tally {
    let mut tally = Tally::default();
    for image in judged.iter().filter(|image| (lowest_dose..highest_dose).contains(&image.dose_e_per_a2)) {
        tally.add(&Tally::of(&places(&image.detected), &image.truth));
    }
    tally
}
