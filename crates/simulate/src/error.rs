//! What can be wrong with what a simulation is asked for.

use atomlens_core::Element;

/// A simulation that cannot be done as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// The structure has no cell, so the extent of the wave is unknown.
    #[error(
        "the structure has no cell: expected one that is a box along x, y and z; give the file a cell, for example with ASE's `atoms.center(vacuum=5)`"
    )]
    NoCell,
    /// The cell is not a box.
    #[error(
        "the cell has angles {alpha_degree:.2}, {beta_degree:.2}, {gamma_degree:.2} degree or is turned: expected a box with its edges along x, y and z; \
         build the orthogonal cell first, for example with ASE's `make_supercell`"
    )]
    CellNotABox {
        /// Angle between b and c in degree.
        alpha_degree: f64,
        /// Angle between c and a in degree.
        beta_degree: f64,
        /// Angle between a and b in degree.
        gamma_degree: f64,
    },
    /// A cell edge of no length.
    #[error(
        "the cell is {x_angstrom} x {y_angstrom} x {z_angstrom} angstrom: expected three positive lengths; give the cell some vacuum along the flat direction"
    )]
    ZeroThickness {
        /// Edge along x in angstrom.
        x_angstrom: f64,
        /// Edge along y in angstrom.
        y_angstrom: f64,
        /// Edge along z in angstrom.
        z_angstrom: f64,
    },
    /// No atom to scatter.
    #[error("the structure has no atoms")]
    NoAtoms,
    /// An atom that lies outside the cell.
    #[error(
        "atom {index} ({element}) lies outside the cell: {axis} = {found_angstrom:.4} angstrom, expected 0 to {cell_angstrom:.4}{}; {}",
        others_too(*others),
        outside_advice(*axis)
    )]
    AtomOutsideCell {
        /// Index of the first such atom, from 0.
        index: usize,
        /// Its element.
        element: Element,
        /// Direction in which it lies outside: x, y or z.
        axis: char,
        /// Its coordinate in angstrom.
        found_angstrom: f64,
        /// The length of the cell along that direction, in angstrom.
        cell_angstrom: f64,
        /// How many other atoms lie outside.
        others: usize,
    },
    /// A number that must be finite and positive.
    #[error("{name} is {found}: expected {expected}")]
    OutOfRange {
        /// What the number is, with its unit.
        name: &'static str,
        /// What was given.
        found: f64,
        /// What is possible.
        expected: &'static str,
    },
    /// A set of coefficients that we do not have.
    #[error("unknown parametrization {found:?}: expected lobato or kirkland")]
    UnknownParametrization {
        /// What was found.
        found: String,
    },
    /// A grid too coarse for what it has to carry.
    #[error(
        "the wave is undersampled: {nx} x {ny} pixels of {pixel_angstrom:.4} angstrom carry scattering up to {carried_mrad:.1} mrad, \
         expected at least {needed_mrad:.1} mrad; use a grid of at least {needed_nx} x {needed_ny}"
    )]
    Undersampled {
        /// Pixels along x.
        nx: usize,
        /// Pixels along y.
        ny: usize,
        /// The coarser pixel in angstrom.
        pixel_angstrom: f64,
        /// Largest angle within the band limit, in milliradian.
        carried_mrad: f64,
        /// Angle needed, in milliradian.
        needed_mrad: f64,
        /// Pixels along x that are enough.
        needed_nx: usize,
        /// Pixels along y that are enough.
        needed_ny: usize,
    },
    /// A name that no aberration has.
    #[error(
        "unknown aberration {found:?}: expected C and phi with the orders of Krivanek's notation up to fifth order, such as C12 and phi12{nearest}"
    )]
    UnknownAberration {
        /// What was found.
        found: String,
        /// A suggestion, ready to be appended, or nothing.
        nearest: String,
    },
    /// An array that does not have the grid's shape.
    #[error("the array has {found_y} x {found_x} elements [y, x]: expected {expected_y} x {expected_x}")]
    Shape {
        /// Rows found.
        found_y: usize,
        /// Columns found.
        found_x: usize,
        /// Rows expected.
        expected_y: usize,
        /// Columns expected.
        expected_x: usize,
    },
    /// Values that are not numbers.
    #[error(
        "the {what} contains {count} values that are not finite, the first at [y, x] = [{y}, {x}]: expected finite numbers only"
    )]
    NotFinite {
        /// Which array.
        what: &'static str,
        /// How many such values.
        count: usize,
        /// Row of the first.
        y: usize,
        /// Column of the first.
        x: usize,
    },
}

fn others_too(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => ", as does 1 other atom".to_owned(),
        _ => format!(", as do {others} other atoms"),
    }
}

fn outside_advice(axis: char) -> &'static str {
    if axis == 'z' {
        "shift the structure or make the cell longer along z, since a specimen is not periodic along the beam"
    } else {
        "shift the structure, or pass --wrap to fold atoms back along x and y"
    }
}

impl SimulateError {
    /// Refuses numbers that are not finite and above zero.
    pub(crate) fn positive(name: &'static str, found: f64) -> Result<f64, SimulateError> {
        if found.is_finite() && found > 0.0 {
            Ok(found)
        } else {
            Err(SimulateError::OutOfRange { name, found, expected: "a finite number above 0" })
        }
    }
}
