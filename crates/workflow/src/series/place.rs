//! The images of a series on one scale and in one place: pixel size, and where the specimen lies in each.
//!
//! Images lie by increasing underfocus. Places are those of the reference image, the one with the lowest number.

use atomlens_analysis::lattice::known::KnownLattice;
use atomlens_analysis::resample::resample;
use atomlens_reconstruct::align::{AlignSettings, Alignment, align, aligned};
use atomlens_reconstruct::{CameraEstimate, FocalSeries, estimate_camera};
use atomlens_report::html::FocusImage;
use ndarray::{Array2, Array3, ArrayView2, Axis};

use super::load::UNEVEN;
use super::{FocalImages, FocusFrom, LeftOut, SeriesError, SeriesSettings};
use crate::WorkflowError;
use crate::detect::pixel_size::{self, PixelSize};
use crate::detect::source::Source;

/// The step of focus between the images that a network of three sees, where there are more to choose from: the middle of what
/// such networks are trained with, and what phase contrast of atoms at 60 to 300 keV changes by.
const STEP_ANGSTROM: f64 = 50.0;

/// How many images a job needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs<'a> {
    /// Fewest images that a series must have.
    pub(crate) given: usize,
    /// Fewest of them that must be good.
    pub(crate) good: usize,
    /// Who needs them.
    pub(crate) who: &'a str,
    /// What else would do; begins with a semicolon, or is empty.
    pub(crate) advice: &'a str,
}

/// What is known of an image besides its counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImageFacts {
    /// Its number in the series, from 0.
    pub(crate) number: usize,
    /// Its place among all images of the series by increasing underfocus.
    pub(crate) rank: usize,
    /// Its file, and its place there if the file holds several.
    pub(crate) label: String,
}

/// The images of a series, ready to be looked at together.
#[derive(Debug)]
pub(crate) struct Placed {
    /// What the series is called.
    pub(crate) name: String,
    /// The first file that could be opened.
    pub(crate) source: Source,
    /// Number of images, those that were left out included.
    pub(crate) total: usize,
    /// Facts of the images of `series`, in its order.
    pub(crate) facts: Vec<ImageFacts>,
    /// Those that were left out.
    pub(crate) left_out: Vec<LeftOut>,
    /// Who says what the focus is.
    pub(crate) focus_from: FocusFrom,
    /// The pixel size and its grounds.
    pub(crate) pixel_size: PixelSize,
    /// The images, by increasing underfocus, with even pixels.
    pub(crate) series: FocalSeries,
    /// Gain and transfer of the camera, where the images' noise tells them.
    pub(crate) camera: Option<CameraEstimate>,
    /// Where the specimen lies in each.
    pub(crate) alignment: Alignment,
    /// The image on whose pixels results are, an index into `facts`.
    pub(crate) reference: usize,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// Finds the pixel size of a series and where its images lie. An image that does not go with the others is left out as long as
/// enough remain.
///
/// # Errors
/// A pixel size that nobody knows, a focus of the wrong sign, too few images.
pub(crate) fn place(
    mut images: FocalImages,
    settings: &SeriesSettings,
    lattices: &[KnownLattice],
    energy_kev: f64,
    cs_angstrom: Option<f64>,
    needs: &Needs<'_>,
) -> Result<Placed, WorkflowError> {
    images.needs(needs)?;
    let frames: Vec<Array2<f32>> = images.images.iter_mut().map(|image| std::mem::take(&mut image.counts)).collect();
    let pixel_size = pixel_size::find(&images.source, &frames, settings.pixel_size_nm, lattices)?;
    let mut warnings = std::mem::take(&mut images.warnings);
    warnings.extend(pixel_size.warnings.iter().cloned());
    let (x, y) = pixel_size.angstrom;
    let pixel_angstrom = x.min(y);
    let mut stack: Vec<Array2<f32>> = if (x / y - 1.0).abs() < UNEVEN {
        frames
    } else {
        warnings.push(format!(
            "pixels are {:.5} x {:.5} nm; images and results have {:.5} nm both ways",
            0.1 * x,
            0.1 * y,
            0.1 * pixel_angstrom
        ));
        frames.iter().map(|frame| resample(frame.view(), (x, y), pixel_angstrom)).collect()
    };
    loop {
        let defocus = images.images.iter().map(|image| image.defocus_angstrom).collect();
        let is_absolute = images.focus_from.is_absolute();
        let series = FocalSeries::from_images(&stack, pixel_angstrom, 1e3 * energy_kev, defocus, is_absolute)
            .map_err(|source| images.reconstruct(source))?;
        let camera = estimate_camera(&series).ok();
        let settings = AlignSettings { cs_angstrom, ..AlignSettings::default() };
        let alignment = align(&series, camera.as_ref(), &settings).map_err(|source| images.reconstruct(source))?;
        if let Some((place, score)) = stranger(&alignment) {
            stack.remove(place);
            images.leave_out(place, format!("it does not show what the others show (correlation {score:.2})"));
            images.needs(needs)?;
            continue;
        }
        check_sign(&images, &series, &alignment)?;
        warnings.extend(images.left_out_warnings());
        let facts = images.images.iter().map(|image| ImageFacts {
            number: image.number,
            rank: image.rank,
            label: image.label.clone(),
        });
        let reference = first_of(&images);
        return Ok(Placed {
            facts: facts.collect(),
            name: images.name,
            source: images.source,
            total: images.total,
            left_out: images.left_out,
            focus_from: images.focus_from,
            pixel_size,
            reference,
            series,
            camera,
            alignment: seen_from(alignment, reference),
            warnings,
        });
    }
}

/// The image with the lowest number, the one that a user sees first.
fn first_of(images: &FocalImages) -> usize {
    let numbers = images.images.iter().map(|image| image.number).enumerate();
    numbers.min_by_key(|(_, number)| *number).map_or(0, |(place, _)| place)
}

/// The same alignment with displacements against another image.
fn seen_from(mut alignment: Alignment, reference: usize) -> Alignment {
    let ([x, y], own) = (alignment.shift_angstrom[reference], alignment.sigma_angstrom[reference]);
    alignment.shift_angstrom.iter_mut().for_each(|shift| *shift = [shift[0] - x, shift[1] - y]);
    for (image, sigma) in alignment.sigma_angstrom.iter_mut().enumerate() {
        *sigma = if image == reference { 0.0 } else { sigma.hypot(own) };
    }
    alignment.reference = reference;
    alignment
}

/// The image that goes least with the others, if it does not belong to them, and how well it agrees.
fn stranger(alignment: &Alignment) -> Option<(usize, f64)> {
    let scores = alignment.image_score.iter().copied().enumerate();
    scores.filter(|(image, _)| !alignment.belongs[*image]).min_by(|one, other| one.1.total_cmp(&other.1))
}

/// Refuses steps that the images contradict.
fn check_sign(images: &FocalImages, series: &FocalSeries, alignment: &Alignment) -> Result<(), WorkflowError> {
    if !alignment.steps_contradicted {
        return Ok(());
    }
    let evidence = format!(
        "with the focus running the other way the {} images agree better, by {:.2} of their common power",
        series.len(),
        alignment.reversal
    );
    let of_images: Vec<(usize, f64)> =
        images.images.iter().map(|image| (image.number, image.defocus_angstrom)).collect();
    Err(wrong_sign(&images.name, of_images, images.focus_from, evidence))
}

/// The error; images are numbers and defocus.
fn wrong_sign(name: &str, mut images: Vec<(usize, f64)>, from: FocusFrom, evidence: String) -> WorkflowError {
    // As the user gave them: in the order of the files, not of the focus.
    images.sort_by_key(|(number, _)| *number);
    let (first, last) = (images[0], images[images.len() - 1]);
    let step_angstrom = (last.1 - first.1) / (last.0 - first.0).max(1) as f64;
    let advice = match from {
        FocusFrom::User => "--defocus-angstrom with all signs changed".to_owned(),
        FocusFrom::UserStep | FocusFrom::Files => format!("--defocus-step-angstrom={:.4}", -step_angstrom),
    };
    SeriesError::WrongSign { name: name.to_owned(), step_angstrom, evidence, advice }.into()
}

impl Placed {
    /// The images laid on the reference image, `[focus, y, x]` by increasing underfocus. Beyond its border an image is mirrored.
    ///
    /// # Errors
    /// Images of which nobody knows where they lie.
    pub(crate) fn aligned(&self) -> Result<Array3<f32>, WorkflowError> {
        let moved = aligned(&self.series, &self.alignment);
        let moved =
            moved.map_err(|source| SeriesError::Unusable { name: self.name.clone(), reason: source.to_string() })?;
        Ok(moved.series.images)
    }

    /// Which images a network of so many sees, by increasing underfocus, as indices into `facts`; `None` for one that is missing.
    pub(crate) fn window(&self, channels: usize) -> Vec<Option<usize>> {
        if self.total <= channels {
            let at = |rank: usize| self.facts.iter().position(|image| image.rank == rank);
            return (0..channels).map(at).collect();
        }
        if self.facts.len() <= channels {
            return (0..channels).map(|place| (place < self.facts.len()).then_some(place)).collect();
        }
        evenly(&self.series.defocus_angstrom, channels).into_iter().map(Some).collect()
    }

    /// Defocus of each image and its standard deviation, in angstrom, as the images told it on the way of being laid on one another; `None`
    /// if they did not.
    pub(crate) fn estimated_defocus_angstrom(&self) -> Option<Vec<(f64, f64)>> {
        let best = self.alignment.hypotheses.first()?;
        let found: Vec<(f64, f64)> =
            best.defocus_angstrom.iter().copied().zip(best.defocus_sigma_angstrom.iter().copied()).collect();
        found.iter().all(|(value, sigma)| value.is_finite() && sigma.is_finite()).then_some(found)
    }

    /// The images as a page shows them, and those that were left out. `defocus_nm` has the focus that was found, with its standard
    /// deviation.
    pub(crate) fn focus_images(&self, defocus_nm: Option<&[(f64, Option<f64>)]>) -> Vec<FocusImage<'_>> {
        let images = self.series.images.outer_iter().enumerate();
        images
            .map(|(index, counts)| FocusImage {
                name: format!("image {}", self.facts[index].number),
                counts,
                nominal_defocus_nm: Some(0.1 * self.series.defocus_angstrom[index]),
                defocus_nm: defocus_nm.map(|found| found[index].0),
                defocus_sigma_nm: defocus_nm.and_then(|found| found[index].1),
                shift_nm: Some(self.alignment.shift_angstrom[index].map(|value| 0.1 * value)),
                left_out: String::new(),
            })
            .collect()
    }

    /// The error that the focus runs the other way.
    pub(crate) fn wrong_sign(&self, evidence: String) -> WorkflowError {
        let numbers = self.facts.iter().map(|image| image.number);
        let images = numbers.zip(self.series.defocus_angstrom.iter().copied()).collect();
        wrong_sign(&self.name, images, self.focus_from, evidence)
    }

    /// An image by its index.
    pub(crate) fn image(&self, index: usize) -> ArrayView2<'_, f32> {
        self.series.images.index_axis(Axis(0), index)
    }
}

/// So many of the focus values (ascending), the steps between which are nearest to [`STEP_ANGSTROM`]; of equally good ones those in the
/// middle.
fn evenly(defocus_angstrom: &[f64], count: usize) -> Vec<usize> {
    let middle = 0.5 * (defocus_angstrom.len() - 1) as f64;
    let mut best: Option<(f64, Vec<usize>)> = None;
    for first in 0..defocus_angstrom.len() {
        let mut chosen = vec![first];
        let mut cost = 0.0;
        for _ in 1..count {
            let last = *chosen.last().unwrap_or(&first);
            let off = |next: &usize| ((defocus_angstrom[*next] - defocus_angstrom[last]) / STEP_ANGSTROM).ln().abs();
            let Some(next) = (last + 1..defocus_angstrom.len()).min_by(|a, b| off(a).total_cmp(&off(b))) else { break };
            cost += off(&next);
            chosen.push(next);
        }
        if chosen.len() < count {
            continue;
        }
        cost += 0.01 * (chosen[count / 2] as f64 - middle).abs();
        if best.as_ref().is_none_or(|(lowest, _)| cost < *lowest) {
            best = Some((cost, chosen));
        }
    }
    best.map_or_else(|| (0..count).collect(), |(_, chosen)| chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_images_of_many_have_steps_as_the_network_knows_them() {
        let fine: Vec<f64> = (0..11).map(|index| 25.0 * f64::from(index)).collect();
        assert_eq!(evenly(&fine, 3), [3, 5, 7]);
        assert_eq!(evenly(&[0.0, 60.0, 110.0, 400.0], 3), [0, 1, 2]);
        assert_eq!(evenly(&[0.0, 300.0, 600.0], 3), [0, 1, 2]);
    }
}
