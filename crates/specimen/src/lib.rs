//! Random specimens with their truth: nanoparticles, single layers, supports, defects, dynamics.
//!
//! A specimen ([`SpecimenSettings::build`]) is made in four steps, each a module: a *body* (particle, layer or structure
//! file) on its zone axis, where its atomic columns are told apart; an optional *support*; the *stage*, which turns,
//! tilts and places everything in the box of the simulation; and, for movies, *dynamics*.
//! Settings are plain data, each knob a [`Distribution`](atomlens_core::Distribution); the same settings
//! and [`SeedPath`](atomlens_core::SeedPath) give the same specimen.

use atomlens_core::{Column, ColumnRole, Structure};

pub mod dynamics;
pub mod error;
pub mod file;
pub mod layer;
pub mod particle;
pub mod settings;
pub mod stage;
pub mod support;
pub mod thermal;
pub mod zone;

pub use error::SpecimenError;
pub use settings::{BodySettings, SpecimenSettings};

/// A specimen in the box of the simulation, with its truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Specimen {
    /// Atoms at their mean places in an orthorhombic cell; the beam travels towards larger z.
    pub structure: Structure,
    /// The atomic columns; the atoms' `column` indices point into this list.
    pub columns: Vec<Column>,
    /// Whether the columns' species carry counts (`S2`, `S`), as sheets need it; see [`Column::species`].
    pub sheet: bool,
}

/// A particle or layer before it is put into the box: on its zone axis, centred on the origin.
///
/// The atoms' `column` indices run from 0 to `roles.len() - 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The atoms, without a cell; the beam is along z.
    pub structure: Structure,
    /// The role of each column.
    pub roles: Vec<ColumnRole>,
    /// See [`Specimen::sheet`].
    pub sheet: bool,
    /// Whether the body is meant to fill the field of view, as sheets and slabs do: the stage then crops it to the
    /// box. Otherwise it must fit, and only atoms in columns of [`ColumnRole::Support`] are cropped.
    pub fills_field: bool,
}
