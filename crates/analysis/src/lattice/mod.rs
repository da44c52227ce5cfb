//! Crystal lattices in images: the ruler that a micrograph carries with it.
//!
//! [`known`] says which lattices there are and what they look like along a zone axis; [`spectrum`] finds Bragg peaks in
//! an image; [`pixel_size`] puts both together into an estimate of the pixel size; [`spacing`] measures a lattice from
//! the columns that were found; [`completeness()`] says which of its places are filled.

pub mod completeness;
pub mod known;
pub mod pixel_size;
mod significance;
pub mod spacing;
pub mod spectrum;

pub use completeness::{Completeness, completeness};
pub use known::{KnownLattice, Reflection, Site, UnknownLattice, Zone};
pub use pixel_size::{LatticeMatch, NoLattice, PixelSizeEstimate, estimate_pixel_size};
pub use spacing::{ColumnPlace, LatticeFit, LatticeVectors, NoSpacing, PixelSizeCheck, fit_lattice, lattice_vectors};
pub use spectrum::{BraggPeak, Spectrum, SpectrumError};
