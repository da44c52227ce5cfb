//! What the channels of a network's result mean, and how a confidence map is read from them.

use atomlens_core::{CellGrid, ConfidenceMap};
use ndarray::{Array2, Array3};

/// The natural logarithm of the offset's standard deviation, in cells, is kept within these.
pub(crate) const LOG_OFFSET_SIGMA: (f32, f32) = (-3.5, 1.0);
/// The same of the number of atoms.
pub(crate) const LOG_ATOMS_SIGMA: (f32, f32) = (-2.0, 3.0);
/// Atoms that an output of 1 stands for.
pub(crate) const ATOMS_SCALE: f32 = 5.0;

/// Channels of the wave: real and imaginary part of two by two pixels.
pub(crate) const WAVE_CHANNELS: usize = 8;

/// The order of the channels: logits of the species and of no column, offset x and y, log of its sigma, atoms, log of
/// their sigma; where the wave is given, its pixels in a cell, `[dy, dx, part]`, real and imaginary part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outputs {
    pub(crate) species: usize,
    pub(crate) wave: bool,
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

    pub(crate) fn wave(self) -> usize {
        self.species + 6
    }

    pub(crate) fn channels(self) -> usize {
        self.wave() + if self.wave { WAVE_CHANNELS } else { 0 }
    }
}

/// What a network says of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Columns.
    pub map: ConfidenceMap,
    /// The deviation of the wave behind the specimen from 1 over the images' contrast, real and imaginary part, shape `[2, y, x]` of
    /// the images' pixels; `None` if the network does not give it.
    pub wave: Option<Array3<f32>>,
}

/// Writes one row of cells of a network's result, `[x, channel]`, into row `y` of its answer, from column `first_x` on.
pub(crate) fn read_row(row: &[f32], outputs: Outputs, y: usize, first_x: usize, answer: &mut Answer) {
    let Answer { map, wave } = answer;
    let species = outputs.species;
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
        if let Some(wave) = wave {
            for (place, parts) in raw[outputs.wave()..].chunks_exact(2).enumerate() {
                let (j, i) = (2 * y + place / 2, 2 * x + place % 2);
                for (part, &value) in parts.iter().enumerate() {
                    // The last cell of an odd edge has pixels that the image does not.
                    if let Some(to) = wave.get_mut([part, j, i]) {
                        *to = value;
                    }
                }
            }
        }
    }
}

/// An answer without anything in it, for an image of so many pixels along y and x.
pub(crate) fn empty(grid: CellGrid, species: &[String], wave_of: Option<(usize, usize)>) -> Answer {
    let wave = wave_of.map(|(height, width)| Array3::zeros((2, height, width)));
    Answer { map: empty_map(grid, species), wave }
}

fn empty_map(grid: CellGrid, species: &[String]) -> ConfidenceMap {
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
