//! The words that every other crate of atomlens shares: elements, structures, columns, grids,
//! calibrated images, distributions of a recipe's knobs, quantiles, and seeded randomness.
//!
//! Nothing here reads a file, draws a picture, starts a thread or knows a framework.
//!
//! Conventions (docs/conventions.md has them all): lengths in angstrom, energies in electronvolt,
//! angles in radian, doses in electrons per square angstrom; arrays are `[frame, focus, y, x]` in
//! C order with row 0 on top, and integer coordinates are pixel centres. The electron beam travels
//! towards larger `z`.

pub mod column;
pub mod confidence;
pub mod distribution;
pub mod element;
pub mod grid;
pub mod micrograph;
pub mod quantile;
pub mod random;
pub mod structure;

pub use column::{Column, ColumnRole};
pub use confidence::{CellGrid, ConfidenceMap, DetectedColumn};
pub use distribution::Distribution;
pub use element::Element;
pub use grid::Grid;
pub use micrograph::{Image, Micrograph};
pub use random::{RandomStream, SeedPath};
pub use structure::{Atom, Cell, Structure};

pub use glam;
