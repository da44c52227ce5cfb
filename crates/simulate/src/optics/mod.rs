//! The microscope's lenses: from an exit wave to the intensity at the detector.
//!
//! The wave's spectrum is multiplied by `exp(-i chi(k))`, an objective aperture and the envelopes of
//! partial coherence, transformed back and squared. Partial coherence can instead be summed
//! explicitly over focus and angle, which keeps the non-linear terms that envelopes leave out
//! (K. Ishizuka, Ultramicroscopy 5, 55 (1980), doi:10.1016/S0304-3991(80)80011-X).

mod aberrations;
mod coherence;
mod imaging;

pub use aberrations::{ABERRATION_NAMES, Aberrations, scherzer_defocus_angstrom};
pub use coherence::{AngularSpread, Coherence, FocalSpread};
pub use imaging::{Aperture, Optics};
