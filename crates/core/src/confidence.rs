//! What a detector says of an image, cell by cell, before columns are read from it.
//!
//! The image is divided into square cells. In each cell a detector gives, for every species, the *share* of a column
//! that it expects there: a column is shared among the four cells around its place by bilinear weights, so the sum of
//! the shares around a place is the probability that there is a column, and their centre of mass is its place.

use ndarray::{Array2, Array3};
use serde::{Deserialize, Serialize};

/// Where the cells of a [`ConfidenceMap`] lie.
///
/// Cell `[j, i]` is centred at `x = origin_angstrom[0] + i * cell_angstrom`, `y = origin_angstrom[1] + j *
/// cell_angstrom`, measured from the centre of the image's first pixel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CellGrid {
    /// Number of cells along x.
    pub nx: usize,
    /// Number of cells along y.
    pub ny: usize,
    /// Edge of a cell in angstrom.
    pub cell_angstrom: f64,
    /// Centre of the first cell, x and y, in angstrom from the centre of the image's first pixel.
    pub origin_angstrom: [f64; 2],
}

impl CellGrid {
    /// The place of a point given in cells (integer coordinates are centres of cells), x and y in angstrom.
    pub fn place_angstrom(&self, x_cells: f64, y_cells: f64) -> [f64; 2] {
        [self.origin_angstrom[0] + x_cells * self.cell_angstrom, self.origin_angstrom[1] + y_cells * self.cell_angstrom]
    }

    /// The inverse of [`CellGrid::place_angstrom`].
    pub fn cells_at(&self, x_angstrom: f64, y_angstrom: f64) -> [f64; 2] {
        [
            (x_angstrom - self.origin_angstrom[0]) / self.cell_angstrom,
            (y_angstrom - self.origin_angstrom[1]) / self.cell_angstrom,
        ]
    }
}

/// A detector's answer for one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfidenceMap {
    /// Where the cells lie.
    pub grid: CellGrid,
    /// Names of the species, `[species]`.
    pub species: Vec<String>,
    /// Expected share of a column of each species in each cell, between 0 and 1, shape `[species, y, x]`.
    pub share: Array3<f32>,
    /// From the centre of the cell to the column nearest to it, x then y, in cells, shape `[2, y, x]`. Meaningless far
    /// from any column.
    pub offset_cells: Array3<f32>,
    /// Standard deviation of the offset in each direction, in cells, shape `[y, x]`.
    pub offset_sigma_cells: Array2<f32>,
    /// Number of atoms in the column nearest to the cell, shape `[y, x]`.
    pub atoms: Array2<f32>,
    /// Standard deviation of that number, shape `[y, x]`.
    pub atoms_sigma: Array2<f32>,
}

impl ConfidenceMap {
    /// A map of one species of which only the shares are known, `[y, x]`.
    pub fn of_share(grid: CellGrid, share: Array2<f32>) -> ConfidenceMap {
        let cells = share.dim();
        ConfidenceMap {
            grid,
            species: vec![String::new()],
            share: share.insert_axis(ndarray::Axis(0)),
            offset_cells: Array3::zeros((2, cells.0, cells.1)),
            offset_sigma_cells: Array2::zeros(cells),
            atoms: Array2::zeros(cells),
            atoms_sigma: Array2::zeros(cells),
        }
    }

    /// The share of a column of any species, shape `[y, x]`.
    pub fn share_of_any(&self) -> Array2<f32> {
        self.share.sum_axis(ndarray::Axis(0))
    }
}

/// A column that was found in a frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectedColumn {
    /// Place along x, in angstrom from the centre of the frame's first pixel.
    pub x_angstrom: f64,
    /// Place along y.
    pub y_angstrom: f64,
    /// Standard deviation of the place in each direction, in angstrom.
    pub position_sigma_angstrom: f64,
    /// Probability that there is a column.
    pub probability: f64,
    /// Index of the likeliest species.
    pub species: usize,
    /// Probability of that species, given that there is a column.
    pub species_probability: f64,
    /// Number of atoms.
    pub atoms: f64,
    /// Its standard deviation.
    pub atoms_sigma: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_cells_are_inverse() {
        let grid = CellGrid { nx: 3, ny: 4, cell_angstrom: 0.4, origin_angstrom: [0.1, -0.2] };
        let [x, y] = grid.place_angstrom(1.5, 2.25);
        assert!((x - 0.7).abs() < 1e-12 && (y - 0.7).abs() < 1e-12, "{x} {y}");
        let [i, j] = grid.cells_at(x, y);
        assert!((i - 1.5).abs() < 1e-12 && (j - 2.25).abs() < 1e-12);
    }
}
