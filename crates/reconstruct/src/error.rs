//! What can be wrong with a focal series.

use atomlens_simulate::SimulateError;

/// A series that cannot be worked on as it is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconstructError {
    /// A wave has two unknowns a pixel, so that one image cannot tell it.
    #[error(
        "the series has {found} image(s): expected at least {expected} at different focus; give all images of the series"
    )]
    TooFewImages {
        /// Images found.
        found: usize,
        /// Images needed.
        expected: usize,
    },
    /// Images of one series have one size.
    #[error(
        "image {image} has {found_y} x {found_x} pixels [y, x], the first one {expected_y} x {expected_x}: \
         expected one size; cut or bin the images to the same field"
    )]
    DifferentSizes {
        /// Index of the image, from 0.
        image: usize,
        /// Rows found.
        found_y: usize,
        /// Columns found.
        found_x: usize,
        /// Rows expected.
        expected_y: usize,
        /// Columns expected.
        expected_x: usize,
    },
    /// Images too small to hold a lattice and its blur by defocus.
    #[error("the images have {found_y} x {found_x} pixels [y, x]: expected at least {expected} along each side")]
    TooSmall {
        /// Rows found.
        found_y: usize,
        /// Columns found.
        found_x: usize,
        /// Pixels needed along each side.
        expected: usize,
    },
    /// Values that are not numbers.
    #[error(
        "image {image} has {count} value(s) that are not finite, the first at [y, x] = [{y}, {x}]: \
         expected finite numbers only; mend the pixels or leave the image out"
    )]
    NotFinite {
        /// Index of the image, from 0.
        image: usize,
        /// How many such values.
        count: usize,
        /// Row of the first.
        y: usize,
        /// Column of the first.
        x: usize,
    },
    /// An image without a beam, or without contrast.
    #[error(
        "image {image} has a mean of {mean} and a standard deviation of {deviation}: \
         expected counts above 0 that differ from pixel to pixel; leave the image out"
    )]
    NoSignal {
        /// Index of the image, from 0.
        image: usize,
        /// Mean of its counts.
        mean: f64,
        /// Standard deviation of its counts.
        deviation: f64,
    },
    /// The focus of the images is not known at all.
    #[error(
        "the series of {images} images has no focus values: expected the defocus of every image, or the step \
         from one image to the next"
    )]
    NoSteps {
        /// Images of the series.
        images: usize,
    },
    /// Not one focus value an image.
    #[error("{found} focus value(s) for {expected} images: expected one an image, in the order of the images")]
    FocusCount {
        /// Focus values found.
        found: usize,
        /// Images of the series.
        expected: usize,
    },
    /// A focus value that is not a number.
    #[error("the defocus of image {image} is {found}: expected a finite number of angstrom")]
    FocusNotFinite {
        /// Index of the image, from 0.
        image: usize,
        /// What was found.
        found: f64,
    },
    /// Two images that say the same.
    #[error(
        "images {first} and {second} both have a defocus of {defocus_angstrom} angstrom: expected different focus; \
         give the true steps, or add the images up and leave one out"
    )]
    EqualFocus {
        /// Index of the first image, from 0.
        first: usize,
        /// Index of the second image, from 0.
        second: usize,
        /// Their nominal defocus in angstrom.
        defocus_angstrom: f64,
    },
    /// Not one shift an image.
    #[error("{found} shift(s) for {expected} images: expected one an image, the first one's included")]
    ShiftCount {
        /// Shifts found.
        found: usize,
        /// Images of the series.
        expected: usize,
    },
    /// A wave to begin with that has values that are not numbers.
    #[error(
        "the wave to begin with has {count} value(s) that are not finite, the first at [y, x] = [{y}, {x}]: expected finite numbers only"
    )]
    StartNotFinite {
        /// How many such values.
        count: usize,
        /// Row of the first.
        y: usize,
        /// Column of the first.
        x: usize,
    },
    /// Arrays that do not belong to each other.
    #[error(
        "the {what} has {found_y} x {found_x} elements [y, x]: expected {expected_y} x {expected_x}, as the images have"
    )]
    Shape {
        /// Which array.
        what: &'static str,
        /// Rows found.
        found_y: usize,
        /// Columns found.
        found_x: usize,
        /// Rows expected.
        expected_y: usize,
        /// Columns expected.
        expected_x: usize,
    },
    /// A number outside its range.
    #[error("{name} is {found}: expected {expected}")]
    OutOfRange {
        /// What the number is, with its unit.
        name: &'static str,
        /// What was given.
        found: f64,
        /// What is possible.
        expected: &'static str,
    },
    /// The images cannot be simulated from the wave.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
}

impl ReconstructError {
    /// Refuses numbers that are not finite and above zero.
    pub(crate) fn positive(name: &'static str, found: f64) -> Result<f64, ReconstructError> {
        if found.is_finite() && found > 0.0 {
            Ok(found)
        } else {
            Err(ReconstructError::OutOfRange { name, found, expected: "a finite number above 0" })
        }
    }
}
