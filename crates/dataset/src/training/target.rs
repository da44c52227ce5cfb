//! The answer that a detector should give for an image.
//!
//! In cells of two pixels, as [`ConfidenceMap`](atomlens_core::confidence::ConfidenceMap) has them: a column is shared among
//! the four cells around its place by bilinear weights, under its species.
//!
//! # Which columns count
//! With [`Labels::Particle`] every column of the body is `metal`, and a column of the support that holds an
//! element heavier than oxygen is `support`; columns of oxygen alone are not asked for. With [`Labels::Layer`] a column is
//! named by what a single layer has there: `C`, `B`, `N`, `M` (one metal atom), `X2` and `X` (two chalcogens, or one);
//! with [`Labels::Columns`] by the elements themselves. A sheet of graphene below a layer is a support and is not asked for.
//!
//! # What is left open
//! Where two columns lie nearer than [`CLOSEST_ANGSTROM`] to each other (a twin off its axis, a leaning sheet) no image
//! shows them apart: the cells around them are marked in [`Target::ignore`] and should not count.

use atomlens_core::confidence::CellGrid;
use atomlens_core::{Column, ColumnRole};
use ndarray::{Array2, Array3};
use serde::{Deserialize, Serialize};

use super::{CELL_ANGSTROM, PIXEL_ANGSTROM};

/// Distance from a column within which a cell knows of it, in angstrom.
pub const REACH_ANGSTROM: f64 = 0.9;

/// Columns nearer to each other than this cannot be told apart.
pub const CLOSEST_ANGSTROM: f64 = 0.9;

/// Atomic number of oxygen.
const OXYGEN: u8 = 8;

/// Which columns are asked for and what they are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// `metal` and `support`.
    Particle,
    /// `C`, `B`, `N`, `M`, `X2` and `X`.
    Layer,
    /// Columns of a layer by what they are made of, as tables call them: `Mo`, `S2`, `S`. Columns of the layer that are not in the
    /// list are not asked for.
    Columns(Vec<String>),
}

impl Labels {
    /// Names of the species, in the order of their indices.
    pub fn species(&self) -> Vec<String> {
        match self {
            Labels::Particle => ["metal", "support"].map(str::to_owned).to_vec(),
            Labels::Layer => ["C", "B", "N", "M", "X2", "X"].map(str::to_owned).to_vec(),
            Labels::Columns(names) => names.clone(),
        }
    }

    /// The index of a column's species; `None` for a column that is not asked for.
    pub fn species_of(&self, column: &Column) -> Option<usize> {
        match (self, column.role) {
            (Labels::Columns(_), ColumnRole::Support) => None,
            (Labels::Columns(names), ColumnRole::Specimen) => {
                let own = column.species(true);
                names.iter().position(|name| *name == own)
            }
            (Labels::Particle, ColumnRole::Specimen) => Some(0),
            (Labels::Particle, ColumnRole::Support) => {
                column.atoms.keys().any(|element| element.atomic_number() > OXYGEN).then_some(1)
            }
            (Labels::Layer, ColumnRole::Support) => None,
            (Labels::Layer, ColumnRole::Specimen) => {
                // Heaviest last.
                let heaviest = column.atoms.keys().next_back()?;
                match heaviest.symbol() {
                    "C" => Some(0),
                    "B" => Some(1),
                    "N" => Some(2),
                    "O" | "S" | "Se" | "Te" => Some(if column.atom_count() > 1 { 4 } else { 5 }),
                    _ => Some(3),
                }
            }
        }
    }
}

/// A column of the truth, in the coordinates of a training image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrueColumn {
    /// Place along x, in angstrom from the centre of the image's first pixel.
    pub x_angstrom: f64,
    /// Place along y.
    pub y_angstrom: f64,
    /// Index of the species.
    pub species: usize,
    /// Number of atoms.
    pub atoms: u32,
    /// The root mean square distance that no unbiased estimate of the place stays below at the image's dose, roughly
    /// ([`atomlens_analysis::cramer_rao::column_bounds`]); `None` where it was not asked for or nothing shows the column.
    pub bound_angstrom: Option<f64>,
}

/// The answer for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Where the cells lie: each in the middle of its two by two pixels.
    pub grid: CellGrid,
    /// Share of a column of each species in each cell, shape `[species, y, x]`.
    pub share: Array3<f32>,
    /// From the centre of the cell to the nearest column, x then y, in cells, shape `[2, y, x]`; 0 where
    /// [`has_column`](Self::has_column) is false.
    pub offset_cells: Array3<f32>,
    /// Atoms in the nearest column, shape `[y, x]`; 0 where there is none.
    pub atoms: Array2<f32>,
    /// Cells within [`REACH_ANGSTROM`] of a column that is not to be ignored, shape `[y, x]`.
    pub has_column: Array2<bool>,
    /// Cells whose truth no image shows; they should not count, shape `[y, x]`.
    pub ignore: Array2<bool>,
    /// The columns within the image.
    pub columns: Vec<TrueColumn>,
}

impl Target {
    /// The answer for an image of `field_px` pixels each way; `columns` may lie outside it.
    pub fn new(columns: Vec<TrueColumn>, species: usize, field_px: usize) -> Target {
        let cells = field_px / 2;
        let origin = 0.5 * (CELL_ANGSTROM - PIXEL_ANGSTROM);
        let grid = CellGrid { nx: cells, ny: cells, cell_angstrom: CELL_ANGSTROM, origin_angstrom: [origin; 2] };
        let mut target = Target {
            grid,
            share: Array3::zeros((species, cells, cells)),
            offset_cells: Array3::zeros((2, cells, cells)),
            atoms: Array2::zeros((cells, cells)),
            has_column: Array2::from_elem((cells, cells), false),
            ignore: Array2::from_elem((cells, cells), false),
            columns: Vec::new(),
        };
        let inside = |place: f64| (-0.5 * PIXEL_ANGSTROM..(field_px as f64 - 0.5) * PIXEL_ANGSTROM).contains(&place);
        let crowded = crowded(&columns);
        let mut nearest = Array2::from_elem((cells, cells), f64::INFINITY);
        for (index, column) in columns.iter().enumerate() {
            target.add_share(column);
            target.add_nearest(column, &mut nearest);
            if crowded[index] {
                for (cell, _, _) in cells_around(&grid, column) {
                    target.ignore[cell] = true;
                }
            }
        }
        target.has_column.zip_mut_with(&target.ignore, |has, ignore| *has &= !ignore);
        target.columns =
            columns.into_iter().filter(|column| inside(column.x_angstrom) && inside(column.y_angstrom)).collect();
        target
    }

    fn add_share(&mut self, column: &TrueColumn) {
        let [x, y] = self.grid.cells_at(column.x_angstrom, column.y_angstrom);
        let (left, top) = (x.floor(), y.floor());
        for (j, weight_y) in [(top, 1.0 - (y - top)), (top + 1.0, y - top)] {
            for (i, weight_x) in [(left, 1.0 - (x - left)), (left + 1.0, x - left)] {
                if j >= 0.0 && i >= 0.0 && (j as usize) < self.grid.ny && (i as usize) < self.grid.nx {
                    let share = &mut self.share[[column.species, j as usize, i as usize]];
                    *share = (*share + (weight_x * weight_y) as f32).min(1.0);
                }
            }
        }
    }

    fn add_nearest(&mut self, column: &TrueColumn, nearest: &mut Array2<f64>) {
        for (cell, dx, dy) in cells_around(&self.grid, column) {
            let distance = dx.hypot(dy);
            if distance < nearest[cell] {
                nearest[cell] = distance;
                self.offset_cells[[0, cell[0], cell[1]]] = dx as f32;
                self.offset_cells[[1, cell[0], cell[1]]] = dy as f32;
                self.atoms[cell] = column.atoms as f32;
                self.has_column[cell] = true;
            }
        }
    }
}

/// Which columns have another nearer than [`CLOSEST_ANGSTROM`].
fn crowded(columns: &[TrueColumn]) -> Vec<bool> {
    let mut along_x: Vec<usize> = (0..columns.len()).collect();
    along_x.sort_by(|&a, &b| columns[a].x_angstrom.total_cmp(&columns[b].x_angstrom));
    let mut crowded = vec![false; columns.len()];
    for (rank, &a) in along_x.iter().enumerate() {
        for &b in &along_x[rank + 1..] {
            let apart_x = columns[b].x_angstrom - columns[a].x_angstrom;
            if apart_x >= CLOSEST_ANGSTROM {
                break;
            }
            if apart_x.hypot(columns[b].y_angstrom - columns[a].y_angstrom) < CLOSEST_ANGSTROM {
                crowded[a] = true;
                crowded[b] = true;
            }
        }
    }
    crowded
}

/// Cells within reach of a column, with the way from their centre to it, in cells.
fn cells_around(grid: &CellGrid, column: &TrueColumn) -> Vec<([usize; 2], f64, f64)> {
    let [x, y] = grid.cells_at(column.x_angstrom, column.y_angstrom);
    let reach = REACH_ANGSTROM / grid.cell_angstrom;
    let span = |middle: f64, count: usize| {
        let (first, last) = ((middle - reach).ceil().max(0.0), (middle + reach).floor().min(count as f64 - 1.0));
        // `as` of a negative number is 0; an empty range stays empty.
        first as usize..(last + 1.0).max(0.0) as usize
    };
    let mut cells = Vec::new();
    for j in span(y, grid.ny) {
        for i in span(x, grid.nx) {
            let (dx, dy) = (x - i as f64, y - j as f64);
            if dx.hypot(dy) <= reach {
                cells.push(([j, i], dx, dy));
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(x_angstrom: f64, y_angstrom: f64) -> TrueColumn {
        TrueColumn { x_angstrom, y_angstrom, species: 1, atoms: 7, bound_angstrom: None }
    }

    #[test]
    fn shares_add_up_to_the_columns_and_their_middle_is_the_place() {
        let target = Target::new(vec![column(3.33, 5.71), column(9.1, 2.2), column(-4.0, 1.0)], 2, 64);
        assert!((target.share.sum() - 2.0).abs() < 1e-5);
        assert_eq!(target.columns.len(), 2);
        let near = |i: usize, j: usize| {
            let [x, y] = target.grid.place_angstrom(i as f64, j as f64);
            (x - 3.33).hypot(y - 5.71) < 1.0
        };
        let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
        for ((species, j, i), share) in target.share.indexed_iter().filter(|((_, j, i), _)| near(*i, *j)) {
            assert!(species == 1 || *share == 0.0);
            let [cell_x, cell_y] = target.grid.place_angstrom(i as f64, j as f64);
            (sum, x, y) = (sum + f64::from(*share), x + f64::from(*share) * cell_x, y + f64::from(*share) * cell_y);
        }
        assert!((sum - 1.0).abs() < 1e-5 && (x - 3.33).abs() < 1e-5 && (y - 5.71).abs() < 1e-5);
    }

    #[test]
    fn offsets_lead_from_the_cell_to_the_column() {
        let target = Target::new(vec![column(3.33, 5.71)], 2, 64);
        let mut cells = 0;
        for ((j, i), has) in target.has_column.indexed_iter() {
            let [x, y] = target.grid.place_angstrom(i as f64, j as f64);
            assert_eq!(*has, (x - 3.33).hypot(y - 5.71) <= REACH_ANGSTROM);
            if *has {
                let (dx, dy) = (target.offset_cells[[0, j, i]], target.offset_cells[[1, j, i]]);
                assert!((x + f64::from(dx) * CELL_ANGSTROM - 3.33).abs() < 1e-6);
                assert!((y + f64::from(dy) * CELL_ANGSTROM - 5.71).abs() < 1e-6);
                assert_eq!(target.atoms[[j, i]], 7.0);
                cells += 1;
            }
        }
        assert!(cells > 12);
    }

    #[test]
    fn what_cannot_be_told_apart_is_left_open() {
        let target = Target::new(vec![column(3.0, 3.0), column(3.5, 3.0), column(9.0, 9.0)], 2, 64);
        assert!(target.ignore[[7, 7]] && !target.has_column[[7, 7]]);
        assert!(target.has_column[[22, 22]] && !target.ignore[[22, 22]]);
    }
}
