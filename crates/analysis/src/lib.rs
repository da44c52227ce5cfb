//! From images and confidence maps to numbers: preparing images for a detector, columns, their scores, lattices.
//!
//! Nothing here knows a learning framework: it takes a `ConfidenceMap`, whoever made it.

pub mod normalise;
pub mod resample;
