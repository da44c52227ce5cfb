//! The pixel size of an image, and the lattice that it shows: from the file, from the user, or from the lattice alone.

use atomlens_analysis::lattice::known::KnownLattice;
use atomlens_analysis::lattice::pixel_size::{PixelSizeEstimate, estimate_from_spectrum};
use atomlens_analysis::lattice::spectrum::Spectrum;
use ndarray::Array2;
use serde::Serialize;

use super::source::Source;
use crate::WorkflowError;

/// Who says what the pixel size is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelSizeFrom {
    /// The user.
    User,
    /// The file.
    File,
    /// The lattice in the image.
    Lattice,
}

/// A pixel size with its grounds.
#[derive(Debug, Clone)]
pub struct PixelSize {
    /// Along x and y, in angstrom.
    pub angstrom: (f64, f64),
    /// Who says so.
    pub from: PixelSizeFrom,
    /// What the lattice says, if there is one that is known.
    pub estimate: Option<PixelSizeEstimate>,
    /// What speaks against it.
    pub warnings: Vec<String>,
}

impl PixelSize {
    /// Whether pixels are as long as they are wide.
    pub fn is_even(&self) -> bool {
        (self.angstrom.0 / self.angstrom.1 - 1.0).abs() < 1e-4
    }

    /// In words.
    pub fn source(&self) -> String {
        match self.from {
            PixelSizeFrom::User => "given by the user".to_owned(),
            PixelSizeFrom::File => "from the file".to_owned(),
            PixelSizeFrom::Lattice => {
                let summary = self.estimate.as_ref().map(PixelSizeEstimate::summary).unwrap_or_default();
                format!("estimated from the lattice: {summary}")
            }
        }
    }
}

/// Pixel sizes that are thought possible where nobody states one, in angstrom.
const POSSIBLE_ANGSTROM: (f64, f64) = (0.05, 0.35);
/// How far from a stated pixel size the lattice is looked for.
const AROUND: f64 = 0.08;
/// The lattice contradicts a stated pixel size from this deviation on; below, tilt, strain and lens distortion may do it.
const CONTRADICTION: f64 = 0.03;
/// A lattice fits no worse than another from this share of its score on.
const AS_GOOD: f64 = 0.8;
/// The file and the user contradict each other from this deviation on.
const FILE_AGAINST_USER: f64 = 0.02;

/// Finds the pixel size of a source, given some good frames, at least one.
///
/// # Errors
/// If nobody says what it is and no lattice tells.
pub fn find(
    source: &Source,
    frames: &[Array2<f32>],
    user_nm: Option<f64>,
    lattices: &[KnownLattice],
) -> Result<PixelSize, WorkflowError> {
    let file = source.pixel_angstrom();
    let user = user_nm.map(|nm| (10.0 * nm, 10.0 * nm));
    let views: Vec<_> = frames.iter().map(|frame| frame.view()).collect();
    let spectrum = Spectrum::of_frames(&views);
    let mut warnings = Vec::new();
    if let (Some(user), Some(file)) = (user, file)
        && (user.0 / file.0 - 1.0).abs() > FILE_AGAINST_USER
    {
        warnings.push(format!(
            "the file states a pixel size of {:.5} nm, {:+.1} % from the {:.5} nm that were given and are used",
            0.1 * file.0,
            100.0 * (file.0 / user.0 - 1.0),
            0.1 * user.0
        ));
    }
    if let Some(stated) = user.or(file) {
        let around = (stated.0 * (1.0 - AROUND), stated.0 * (1.0 + AROUND));
        let estimate = spectrum.ok().and_then(|spectrum| agreeing(&spectrum, lattices, around, stated.0));
        if let Some(estimate) = &estimate {
            let deviation = estimate.pixel_angstrom / stated.0 - 1.0;
            if deviation.abs() > CONTRADICTION && !estimate.is_ambiguous() {
                warnings.push(format!(
                    "the lattice speaks for another pixel size ({:+.1} %): {}",
                    100.0 * deviation,
                    estimate.summary()
                ));
            }
        }
        let from = if user.is_some() { PixelSizeFrom::User } else { PixelSizeFrom::File };
        return Ok(PixelSize { angstrom: stated, from, estimate, warnings });
    }
    let unknown = |reason: String| WorkflowError::NoPixelSize { path: source.path.clone(), reason };
    let spectrum = spectrum.map_err(|error| unknown(error.to_string()))?;
    let estimate =
        estimate_from_spectrum(&spectrum, lattices, POSSIBLE_ANGSTROM).map_err(|error| unknown(error.to_string()))?;
    if estimate.is_ambiguous() {
        return Err(unknown(format!("the lattice leaves it open: {}", estimate.summary())));
    }
    warnings.push(format!(
        "the file states no pixel size; it was estimated from the lattice: {}. Give --pixel-size-nm if you know it",
        estimate.summary()
    ));
    Ok(PixelSize {
        angstrom: (estimate.pixel_angstrom, estimate.pixel_angstrom),
        from: PixelSizeFrom::Lattice,
        estimate: Some(estimate),
        warnings,
    })
}

/// What the lattice says near a stated pixel size. Lattices that differ in size alone, such as those of MoS2 and MoSe2, fit alike at different
/// pixel sizes: one that agrees with what is stated is taken where another fits no worse.
fn agreeing(
    spectrum: &Spectrum,
    lattices: &[KnownLattice],
    around: (f64, f64),
    stated_angstrom: f64,
) -> Option<PixelSizeEstimate> {
    let best = estimate_from_spectrum(spectrum, lattices, around).ok()?;
    let agrees = |pixel_angstrom: f64| (pixel_angstrom / stated_angstrom - 1.0).abs() <= CONTRADICTION;
    if agrees(best.pixel_angstrom) {
        return Some(best);
    }
    let as_good =
        |found: &PixelSizeEstimate| agrees(found.pixel_angstrom) && found.best.score >= AS_GOOD * best.best.score;
    let alone = lattices.iter().filter_map(|lattice| {
        estimate_from_spectrum(spectrum, std::slice::from_ref(lattice), around).ok().filter(as_good)
    });
    let nearest = alone.max_by(|one, other| one.best.score.total_cmp(&other.best.score));
    Some(nearest.unwrap_or(best))
}
