//! Defects of single layers: graphene, hexagonal boron nitride, and the dichalcogenides MX2, from their columns.
//!
//! All three are honeycombs seen along the beam, of one kind of site or of two. The steps:
//! 1. bonds between neighbours, with the length that the columns themselves show, and the faces of this planar graph:
//!    rings, holes, the outside (`graph`);
//! 2. crystals, grown from the best ordered places over a lattice that follows strain and ripples, and their sites, with
//!    a column or without (`crystals`, `sites`);
//! 3. what is wrong where (`kinds`), edges (`edges`) and grain boundaries (`boundaries`);
//! 4. how many there are per area, with what is known of missed columns and mistaken species (`counts`).
//!
//! A site without a column is a vacancy only if the sheet goes on all around it: at an edge it is part of the edge, at
//! the border of the field of view nobody knows. Counts leave both out, and so do the areas that they are divided by.

mod types;

use atomlens_core::DetectedColumn;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use types::{
    Boundary, Crystal, Defect, DefectKind, Edge, EdgeKind, EdgeLength, KindCount, Region, Ring, SheetDefects,
    SheetSummary, Site, Sublattice,
};

/// What is known of an image of a sheet.
#[derive(Clone, Copy)]
pub struct SheetColumns<'a> {
    /// The columns that were found.
    pub columns: &'a [DetectedColumn],
    /// Names of the species that columns' indices point to: element symbols with a number of atoms where it is not one
    /// (`Mo`, `S2`, `SSe`, `C`), or `M`, `X2`, `X` for any metal and chalcogen.
    pub species: &'a [String],
    /// Probabilities of all species, `[column, species]`, each row given that there is a column. Without them what a
    /// column's own species leaves is shared among the others of its sublattice.
    pub species_probabilities: Option<ArrayView2<'a, f64>>,
    /// The field of view, x and y of its two corners in angstrom: lowest, highest. Pixel centres, so the first is
    /// usually `[0, 0]`.
    pub field_angstrom: [[f64; 2]; 2],
    /// Share of the columns that the detector misses in images of this kind: one minus its recall.
    pub missed_share: f64,
    /// The detector's calibrated probability that there is a column at a place (x, y in angstrom), if it can be asked.
    pub column_probability_at: Option<&'a dyn Fn(f64, f64) -> f64>,
}

/// How defects are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DefectSettings {
    /// Defects of a smaller probability are not listed; expected numbers have them all the same.
    pub probability_threshold: f64,
    /// Width of a strip along the border of the field in which columns may be missing for no reason of the specimen's.
    pub border_angstrom: f64,
    /// Enclosed gaps of more sites than this are holes, not clusters of vacancies.
    pub largest_cluster_sites: usize,
    /// Crystals of fewer columns are not counted as crystals.
    pub smallest_crystal_columns: usize,
}

impl Default for DefectSettings {
    fn default() -> Self {
        DefectSettings {
            probability_threshold: 0.5,
            border_angstrom: 1.0,
            largest_cluster_sites: 12,
            smallest_crystal_columns: 16,
        }
    }
}

/// Why nothing can be said of a sheet.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DefectError {
    /// There are hardly any columns.
    #[error(
        "{found} columns are too few for a lattice, at least {needed} are needed: lower the detection threshold or check the pixel size"
    )]
    TooFewColumns {
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The columns are no honeycomb.
    #[error(
        "{found} of {columns} columns have three neighbours at one distance and 120 degrees, a honeycomb has most: defects are found in single layers of graphene, hBN and MX2 seen from above"
    )]
    NoHoneycomb {
        /// Columns that look like those of a honeycomb.
        found: usize,
        /// All columns.
        columns: usize,
    },
    /// A species that no sheet has.
    #[error(
        "species {species:?} is not one of a sheet: expected C, B, N, a metal (Mo, W, ..., M) or chalcogens (S, S2, SSe, ..., X, X2)"
    )]
    UnknownSpecies {
        /// Its name.
        species: String,
    },
    /// A column points to a species that there is not.
    #[error("column {column} has species {species}, but there are {known} species")]
    SpeciesOutOfRange {
        /// Which column.
        column: usize,
        /// Its species.
        species: usize,
        /// How many there are.
        known: usize,
    },
    /// The table of probabilities does not fit.
    #[error(
        "probabilities of species are [{found_columns}, {found_species}], expected [{columns}, {species}] (column, species)"
    )]
    ProbabilityShape {
        /// Its first length.
        found_columns: usize,
        /// Its second length.
        found_species: usize,
        /// Number of columns.
        columns: usize,
        /// Number of species.
        species: usize,
    },
    /// A number that must be a fraction or finite is not.
    #[error("{what} is {found}, expected {expected}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: f64,
        /// What would do.
        expected: &'static str,
    },
}
