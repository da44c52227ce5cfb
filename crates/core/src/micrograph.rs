//! Images and frames, with their calibration.

use ndarray::{Array2, Array4};

use crate::Grid;

/// An ideal image: intensity relative to the incoming beam, before a camera counted it.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Intensity, shape `[y, x]`; 1 is the intensity of the beam without a specimen.
    pub intensity: Array2<f32>,
    /// Sampling of the image.
    pub grid: Grid,
}

/// What a camera counted: one or more frames, each at one or more focus values.
///
/// The type says that the pixel size is known; data without one must not be put in here.
#[derive(Debug, Clone, PartialEq)]
pub struct Micrograph {
    /// Counts, shape `[frame, focus, y, x]`.
    pub counts: Array4<f32>,
    /// Sampling of every frame.
    pub grid: Grid,
}
