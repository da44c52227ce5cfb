//! What the channels of a network's result mean, and how a confidence map is read from them.

use atomlens_core::{CellGrid, ConfidenceMap};
use ndarray::{Array2, Array3};

/// The natural logarithm of the offset's standard deviation, in cells, is kept within these.
pub(crate) const LOG_OFFSET_SIGMA: (f32, f32) = (-3.5, 1.0);
/// The same of the number of atoms.
pub(crate) const LOG_ATOMS_SIGMA: (f32, f32) = (-2.0, 3.0);
/// Atoms that an output of 1 stands for.
pub(crate) const ATOMS_SCALE: f32 = 5.0;

/// The order of the channels: logits of the species and of no column, offset x and y, log of its sigma, atoms, log of
/// their sigma.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outputs {
    pub(crate) species: usize,
}

impl Outputs {
    pub(crate) fn offset(self) -> usize {
        self.species + 1
    }

    pub(crate) fn log_offset_sigma(self) -> usize {
        self.species + 3
    }

    pub(crate) fn atoms(self) -> usize {
        self.species + 4
    }

    pub(crate) fn log_atoms_sigma(self) -> usize {
        self.species + 5
    }

    pub(crate) fn channels(self) -> usize {
        self.species + 6
    }
}

/// Writes one row of cells of a network's result, `[x, channel]`, into row `y` of a confidence map, from column
/// `first_x` on.
pub(crate) fn read_row(row: &[f32], species: usize, y: usize, first_x: usize, map: &mut ConfidenceMap) {
    let outputs = Outputs { species };
    for (index, raw) in row.chunks_exact(outputs.channels()).enumerate() {
        let x = first_x + index;
        let logits = &raw[..species + 1];
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        for (index, logit) in logits[..species].iter().enumerate() {
            map.share[[index, y, x]] = (logit - largest).exp() / sum;
        }
        map.offset_cells[[0, y, x]] = raw[outputs.offset()];
        map.offset_cells[[1, y, x]] = raw[outputs.offset() + 1];
        map.offset_sigma_cells[[y, x]] =
            raw[outputs.log_offset_sigma()].clamp(LOG_OFFSET_SIGMA.0, LOG_OFFSET_SIGMA.1).exp();
        map.atoms[[y, x]] = (ATOMS_SCALE * raw[outputs.atoms()]).max(0.0);
        map.atoms_sigma[[y, x]] = raw[outputs.log_atoms_sigma()].clamp(LOG_ATOMS_SIGMA.0, LOG_ATOMS_SIGMA.1).exp();
    }
}

/// A confidence map without anything in it.
pub(crate) fn empty(grid: CellGrid, species: &[String]) -> ConfidenceMap {
    let (ny, nx) = (grid.ny, grid.nx);
    ConfidenceMap {
        grid,
        species: species.to_vec(),
        share: Array3::zeros((species.len(), ny, nx)),
        offset_cells: Array3::zeros((2, ny, nx)),
        offset_sigma_cells: Array2::ones((ny, nx)),
        atoms: Array2::zeros((ny, nx)),
        atoms_sigma: Array2::ones((ny, nx)),
    }
}
