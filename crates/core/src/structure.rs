//! Atoms in a cell.

use glam::{DMat3, DVec3};

use crate::Element;

/// One atom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Atom {
    /// Which element.
    pub element: Element,
    /// Place, `x`, `y`, `z`, in angstrom; the beam travels towards larger `z`.
    pub position_angstrom: DVec3,
    /// Fraction of cells in which the site is filled, above 0 up to 1.
    pub occupancy: f64,
    /// Root-mean-square displacement along one direction, in angstrom, where the source gave one.
    pub rms_displacement_angstrom: Option<f64>,
    /// The atomic column that the atom belongs to: an index into the specimen's list of columns.
    /// `None` for atoms that are in no column, such as those of amorphous carbon.
    pub column: Option<u32>,
}

impl Atom {
    /// A fully occupied atom at rest, in no column.
    pub fn new(element: Element, position_angstrom: DVec3) -> Atom {
        Atom { element, position_angstrom, occupancy: 1.0, rms_displacement_angstrom: None, column: None }
    }
}

/// The parallelepiped that holds a structure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The three cell vectors in angstrom, as the columns of the matrix.
    pub vectors_angstrom: DMat3,
    /// Whether the structure repeats along each cell vector.
    pub periodic: [bool; 3],
}

impl Cell {
    /// A box with its edges along x, y and z, periodic along all three.
    pub fn orthorhombic(lengths_angstrom: DVec3) -> Cell {
        Cell { vectors_angstrom: DMat3::from_diagonal(lengths_angstrom), periodic: [true; 3] }
    }

    /// A cell from its lengths (angstrom) and angles (degree), with `a` along x and `b` in the
    /// plane of x and y, as crystallography has it.
    pub fn from_lengths_and_angles(lengths_angstrom: [f64; 3], angles_degree: [f64; 3]) -> Cell {
        let [a, b, c] = lengths_angstrom;
        // Exact for right angles, which `cos` of pi / 2 is not.
        let cosine = |degree: f64| if degree == 90.0 { 0.0 } else { degree.to_radians().cos() };
        let [cos_alpha, cos_beta, cos_gamma] = angles_degree.map(cosine);
        let sin_gamma = (1.0 - cos_gamma * cos_gamma).sqrt();
        let cx = c * cos_beta;
        let cy = c * (cos_alpha - cos_beta * cos_gamma) / sin_gamma;
        let cz = (c * c - cx * cx - cy * cy).sqrt();
        Cell {
            vectors_angstrom: DMat3::from_cols(
                DVec3::new(a, 0.0, 0.0),
                DVec3::new(b * cos_gamma, b * sin_gamma, 0.0),
                DVec3::new(cx, cy, cz),
            ),
            periodic: [true; 3],
        }
    }

    /// Lengths of the three cell vectors in angstrom.
    pub fn lengths_angstrom(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| self.vectors_angstrom.col(axis).length())
    }

    /// Angles between b and c, c and a, a and b, in degree.
    pub fn angles_degree(&self) -> [f64; 3] {
        [(1, 2), (2, 0), (0, 1)]
            .map(|(i, j)| self.vectors_angstrom.col(i).angle_between(self.vectors_angstrom.col(j)).to_degrees())
    }

    /// Volume in cubic angstrom; negative for a left-handed cell.
    pub fn volume_cubic_angstrom(&self) -> f64 {
        self.vectors_angstrom.determinant()
    }

    /// The edge lengths, if the cell is a box along x, y and z (to `1e-6` of its size).
    pub fn as_orthorhombic(&self) -> Option<DVec3> {
        let diagonal =
            DVec3::new(self.vectors_angstrom.x_axis.x, self.vectors_angstrom.y_axis.y, self.vectors_angstrom.z_axis.z);
        let off = self.vectors_angstrom - DMat3::from_diagonal(diagonal);
        let largest = off.to_cols_array().iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        (diagonal.min_element() > 0.0 && largest <= 1e-6 * diagonal.max_element()).then_some(diagonal)
    }
}

/// Atoms, and the cell that they are in, if any.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Structure {
    /// The atoms.
    pub atoms: Vec<Atom>,
    /// The cell; `None` for a free cluster, as a plain XYZ file has it.
    pub cell: Option<Cell>,
}

impl Structure {
    /// Lowest and highest coordinate over all atoms, in angstrom; `None` without atoms.
    pub fn bounds_angstrom(&self) -> Option<(DVec3, DVec3)> {
        let first = self.atoms.first()?.position_angstrom;
        Some(self.atoms.iter().fold((first, first), |(low, high), atom| {
            (low.min(atom.position_angstrom), high.max(atom.position_angstrom))
        }))
    }

    /// Mean place of the atoms in angstrom, each counted once; the origin without atoms.
    pub fn centroid_angstrom(&self) -> DVec3 {
        let sum: DVec3 = self.atoms.iter().map(|atom| atom.position_angstrom).sum();
        sum / (self.atoms.len().max(1)) as f64
    }

    /// Moves every atom; the cell stays.
    pub fn translate(&mut self, shift_angstrom: DVec3) {
        for atom in &mut self.atoms {
            atom.position_angstrom += shift_angstrom;
        }
    }

    /// Turns every atom about `centre_angstrom`; the cell stays.
    pub fn rotate(&mut self, rotation: DMat3, centre_angstrom: DVec3) {
        for atom in &mut self.atoms {
            atom.position_angstrom = rotation * (atom.position_angstrom - centre_angstrom) + centre_angstrom;
        }
    }

    /// The elements present, in order of atomic number, each once.
    pub fn elements(&self) -> Vec<Element> {
        let mut elements: Vec<Element> = self.atoms.iter().map(|atom| atom.element).collect();
        elements.sort_unstable();
        elements.dedup();
        elements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_angles_survive_the_round_trip() {
        let cell = Cell::from_lengths_and_angles([3.0, 4.0, 5.0], [80.0, 95.0, 120.0]);
        for (found, expected) in cell.lengths_angstrom().iter().zip([3.0, 4.0, 5.0]) {
            assert!((found - expected).abs() < 1e-12);
        }
        for (found, expected) in cell.angles_degree().iter().zip([80.0, 95.0, 120.0]) {
            assert!((found - expected).abs() < 1e-9);
        }
        assert!(cell.as_orthorhombic().is_none());
    }

    #[test]
    fn a_box_is_known_as_one() {
        let cell = Cell::from_lengths_and_angles([3.0, 4.0, 5.0], [90.0; 3]);
        assert_eq!(cell.as_orthorhombic(), Some(DVec3::new(3.0, 4.0, 5.0)));
        assert!((cell.volume_cubic_angstrom() - 60.0).abs() < 1e-12);
    }
}
