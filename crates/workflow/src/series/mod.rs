//! A focal series as a microscopist has it: one stack, or several files of one image each, with their focus.
//!
//! Files of one image each make one series, in the order in which they are given. Where every file holds a stack, each
//! stack is a series of its own; of a file with four axes, `[frame, focus, y, x]`, every frame is one. Images are numbered from
//! 0, and keep their numbers when one of them is left out.
//!
//! The focus of the images comes from the user (`--defocus-angstrom`, `--defocus-step-angstrom`) or from the files, in this
//! order ([`focus`]). An image that cannot be used, by itself (`health`) or beside the others, is left out with a warning;
//! how many must remain is for the job to say.

pub mod detect;
mod error;
pub mod focus;
mod health;
mod load;
pub(crate) mod place;
pub(crate) mod wave;

use std::path::PathBuf;

use serde::Serialize;

pub use self::error::SeriesError;
pub use self::focus::FocusFrom;
pub use self::load::LeftOut;
pub(crate) use self::load::{FocalImages, SeriesFiles};
pub(crate) use self::place::{ImageFacts, Needs, Placed, place};
use crate::WorkflowError;

/// The images of a focal series, or of several, and what the user says of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SeriesSettings {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Pixel size; from the file, or else from the lattice, if left out.
    pub pixel_size_nm: Option<f64>,
    /// The lattice that the images show, by which their pixel size is told or checked; any that the models know if left out.
    pub lattice: Option<String>,
    /// Defocus of each image, underfocus positive.
    pub defocus_angstrom: Option<Vec<f64>>,
    /// Change of defocus from image to image, where the defocus itself is not known.
    pub defocus_step_angstrom: Option<f64>,
}

impl SeriesSettings {
    /// Refuses what makes no sense whatever the files hold.
    ///
    /// # Errors
    /// [`WorkflowError::Setting`].
    pub fn check(&self) -> Result<(), WorkflowError> {
        let wrong = |what, found: String, expected: &str| {
            Err(WorkflowError::Setting { what, found, expected: expected.to_owned() })
        };
        if let Some(size) = self.pixel_size_nm.filter(|size| !(*size > 0.0 && size.is_finite())) {
            return wrong("--pixel-size-nm", size.to_string(), "more than 0");
        }
        if let Some(step) = self.defocus_step_angstrom
            && (!step.is_finite() || step.abs() < focus::SMALLEST_STEP_ANGSTROM)
        {
            let expected = "a change of focus of 1 angstrom or more, negative if the series runs towards overfocus";
            return wrong("--defocus-step-angstrom", step.to_string(), expected);
        }
        if let Some(values) = &self.defocus_angstrom {
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return wrong("--defocus-angstrom", value.to_string(), "finite numbers");
            }
            if self.defocus_step_angstrom.is_some() {
                let found = "given together with --defocus-step-angstrom".to_owned();
                return wrong("--defocus-angstrom", found, "one of the two");
            }
            if let Some([first, second]) = focus::equal_pair(values.iter().copied().enumerate()) {
                let found = format!("{} angstrom for image {first} and for image {second}", values[first]);
                return wrong("--defocus-angstrom", found, "another defocus for each image");
            }
        }
        Ok(())
    }
}
