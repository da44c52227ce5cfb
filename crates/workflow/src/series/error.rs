//! Why images make no focal series, each with what to do about it.

use std::path::PathBuf;

/// Images that make no focal series, or none that can be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// One image alone.
    #[error(
        "{}: one image is no focal series: expected a stack of images at different focus, or several files of one image \
         each in the order of their focus; without --focal-series, `atomlens detect` finds the columns of one image",
        path.display()
    )]
    OneImage {
        /// The file.
        path: PathBuf,
    },
    /// Images and stacks together.
    #[error(
        "{} holds one image and {} holds {images}: expected either files of one image each, which make one series, or \
         stacks, each of which is a series",
        single.display(),
        stack.display()
    )]
    ImagesAndStacks {
        /// A file of one image.
        single: PathBuf,
        /// A stack.
        stack: PathBuf,
        /// Images in the stack.
        images: u64,
    },
    /// Images of different sizes.
    #[error(
        "{} is {} x {} pixels and {} is {} x {}: expected images of one size, as one camera recorded them",
        path.display(), found_px.0, found_px.1, first.display(), first_px.0, first_px.1
    )]
    Sizes {
        /// The file that is unlike the first.
        path: PathBuf,
        /// Its width and height.
        found_px: (usize, usize),
        /// The first file.
        first: PathBuf,
        /// Its width and height.
        first_px: (usize, usize),
    },
    /// Images of different pixel sizes.
    #[error(
        "a pixel is {found_nm:.5} nm in {} and {first_nm:.5} nm in {}: expected images of one magnification; if the files \
         are wrong, give the pixel size of all with --pixel-size-nm",
        path.display(), first.display()
    )]
    PixelSizes {
        /// The file that is unlike the first.
        path: PathBuf,
        /// Its pixel size.
        found_nm: f64,
        /// The first file.
        first: PathBuf,
        /// Its pixel size.
        first_nm: f64,
    },
    /// Nobody knows the focus.
    #[error(
        "{name}: no focus step: {found}; give --defocus-step-angstrom D, the change of defocus from image to image, or \
         --defocus-angstrom A,B,C, the defocus of each (underfocus positive)"
    )]
    NoFocusStep {
        /// The series.
        name: String,
        /// What the files say instead.
        found: String,
    },
    /// Images that were taken at one focus.
    #[error(
        "{name}: images {} and {} have the same defocus, {defocus_angstrom:.1} angstrom, {from}: expected another for each \
         image, since images at one focus say no more than one of them",
        images[0], images[1]
    )]
    EqualFocus {
        /// The series.
        name: String,
        /// Numbers of the two images, from 0.
        images: [usize; 2],
        /// Their defocus.
        defocus_angstrom: f64,
        /// Who says so.
        from: &'static str,
    },
    /// The images say that the focus ran the other way.
    #[error(
        "{name}: the focus step of {step_angstrom:.1} angstrom has the wrong sign: {evidence}; expected underfocus \
         positive, in the order of the images: give {advice}"
    )]
    WrongSign {
        /// The series.
        name: String,
        /// The mean step as it was understood.
        step_angstrom: f64,
        /// What the images say.
        evidence: String,
        /// The option that would be right.
        advice: String,
    },
    /// Too few images that can be used.
    #[error("{name}: {usable} of {total} images can be used{reasons}: expected {needed}, which {who} needs{advice}")]
    TooFew {
        /// The series.
        name: String,
        /// Images that can be used.
        usable: usize,
        /// Images in all.
        total: usize,
        /// Why the others cannot, in brackets; empty if there are none.
        reasons: String,
        /// How many are needed, in words.
        needed: String,
        /// Who needs them.
        who: String,
        /// What else would do; begins with a semicolon, or is empty.
        advice: String,
    },
    /// Nobody knows the energy.
    #[error(
        "{name}: the file states no voltage, and the wave cannot be reconstructed without it: give --energy-kev, such as 80"
    )]
    NoEnergy {
        /// The series.
        name: String,
    },
    /// The images are unlike each other beyond what focus does.
    #[error("{name}: {reason}")]
    Unusable {
        /// The series.
        name: String,
        /// What was found, what was expected, what to do.
        reason: String,
    },
}
