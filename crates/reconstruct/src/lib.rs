//! From the images of a focal series back to the wave and the lens.
//!
//! [`FocalSeries`] (counts, pixel size, energy, nominal focus) -> wave at the specimen. Nothing here knows
//! files, recipes or networks.
//!
//! Conventions, all in docs/conventions.md: a wave is `exp(+2 pi i k.r)`, the transfer function `exp(-i chi(k))`,
//! underfocus is positive and `C10 = -defocus`; arrays are `[y, x]`, stacks `[focus, y, x]`.

pub mod align;
pub mod camera;
pub mod error;
mod fit;
mod forward;
pub mod fourier;
pub mod iterative;
pub mod lens;
mod minimise;
mod phase_object;
mod posterior;
mod prepare;
pub mod series;
pub mod thon;

pub use align::{AlignSettings, Alignment, LensHypothesis, Moved, align, aligned};
pub use camera::{CameraEstimate, estimate_camera, estimate_camera_of_image};
pub use error::ReconstructError;
pub use iterative::{Progress, Reconstruction, Settings, misfit_of_wave, reconstruct};
pub use lens::{Estimate, LensEstimate, LensPrior};
pub use posterior::WavePrior;
pub use series::FocalSeries;
pub use thon::{OtherDefocus, ThonEstimate, ThonSettings, estimate_optics};
