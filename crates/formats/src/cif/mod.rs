//! CIF, the crystallographic information file.
//!
//! Syntax: CIF 1.1, <https://www.iucr.org/resources/cif/spec/version1.1/cifsyntax> (S. R. Hall, F. H. Allen,
//! I. D. Brown, doi:10.1107/S010876739101067X). Items: the core dictionary in its old names
//! (`_symmetry_equiv_pos_as_xyz`) and its new ones (`_space_group_symop_operation_xyz`), with dots
//! (mmCIF, `_atom_site.fract_x`) or without. Compatible with files of the COD, the ICSD, the Materials
//! Project, VESTA, CrystalMaker, SHELXL and ASE.
//!
//! What is read: cell, symmetry operations, the sites with coordinates (fractional or Cartesian),
//! occupancies and displacement parameters. Standard uncertainties, `3.905(2)`, are dropped. The
//! operations are applied and images of a site that coincide (special positions) are merged; mixed
//! sites stay as several atoms at one place, each with its occupancy; empty sites are left out. A file
//! without operations is read if it has a Hall symbol or is in P 1, and refused otherwise: a
//! Hermann-Mauguin symbol or a number leaves the choice of origin and axes open.
//!
//! Conventions: `a` along x, `b` in the plane of x and y. `U_iso = <u^2>` and `B_iso = 8 pi^2 <u^2>` with
//! `<u^2>` the mean square displacement along one direction (K. N. Trueblood et al.,
//! doi:10.1107/S0108767396005697); anisotropic parameters are reduced to their equivalent isotropic one.

mod hall;
mod read;
mod symmetry;
mod tokens;
mod write;

use std::f64::consts::PI;

use atomlens_core::Cell;

pub use read::parse_cif;
pub use symmetry::Operation;
pub use write::write_cif;

use crate::Problem;
use crate::text::within_reach;

/// Root-mean-square displacement of a `B_iso`; `None` where it is not positive (some refinements are).
pub(crate) fn rms_displacement_of_b(b_square_angstrom: f64) -> Option<f64> {
    rms_displacement_of_u(b_square_angstrom / (8.0 * PI * PI))
}

/// Root-mean-square displacement of a `U_iso`; `None` where it is negative or absurd.
pub(crate) fn rms_displacement_of_u(u_square_angstrom: f64) -> Option<f64> {
    (0.0..1e4).contains(&u_square_angstrom).then(|| u_square_angstrom.sqrt())
}

/// A cell from what a file says, if such a cell exists.
pub(crate) fn checked_cell(lengths_angstrom: [f64; 3], angles_degree: [f64; 3]) -> Result<Cell, Problem> {
    for length in lengths_angstrom {
        within_reach(length, "a length of the cell")?;
        if length <= 1e-3 {
            return Err(Problem::OutOfRange {
                what: "a length of the cell",
                found: format!("{length} angstrom"),
                expected: "more than 0.001 angstrom",
            });
        }
    }
    let cell = Cell::from_lengths_and_angles(lengths_angstrom, angles_degree);
    let relative_volume = cell.volume_cubic_angstrom() / lengths_angstrom.iter().product::<f64>();
    // Not so for angles that no three vectors can have: their volume is not a number.
    if relative_volume > 1e-4 && angles_degree.iter().all(|angle| (1.0..179.0).contains(angle)) {
        Ok(cell)
    } else {
        Err(Problem::OutOfRange {
            what: "the angles of the cell",
            found: format!("{}, {}, {} degree", angles_degree[0], angles_degree[1], angles_degree[2]),
            expected: "three angles that span a volume",
        })
    }
}
