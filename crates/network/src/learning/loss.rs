//! What training makes small.
//!
//! - The cross-entropy between the share of a column that a cell holds and the share that the network expects, which is
//!   least when the network gives the expectation of the share: this is what makes its confidences probabilities.
//! - The negative logarithm of the probability, under the Gaussian that the network states, of the place and of the
//!   number of atoms of the column near a cell (Nix and Weigend, *ICNN* 1994, doi:10.1109/ICNN.1994.374138): least
//!   when the stated standard deviations are the true ones.
//! - The mean square error of the wave, real and imaginary part, where it is asked for: least when the network gives its
//!   expectation.

use burn_tensor::Tensor;
use burn_tensor::activation::log_softmax;
use burn_tensor::backend::Backend;

use crate::output::{ATOMS_SCALE, LOG_ATOMS_SIGMA, LOG_OFFSET_SIGMA, Outputs, WAVE_CHANNELS};

/// A column for about this many cells: puts the cross-entropy on the scale of a column.
const CELLS_PER_COLUMN: f32 = 30.0;
/// What the place counts beside the cross-entropy.
const PLACE_WEIGHT: f32 = 0.3;
/// What the number of atoms counts.
const ATOMS_WEIGHT: f32 = 0.1;

/// What the wave counts.
const WAVE_WEIGHT: f32 = 1.0;

/// A batch's targets as tensors, `[image, y, x, ..]`.
pub(crate) struct Targets<B: Backend> {
    pub(crate) share: Tensor<B, 4>,
    pub(crate) offset: Tensor<B, 4>,
    pub(crate) atoms: Tensor<B, 4>,
    pub(crate) near: Tensor<B, 4>,
    pub(crate) counted: Tensor<B, 4>,
    pub(crate) wave: Option<Tensor<B, 4>>,
}

/// The loss and its parts: [share, place, atoms, wave] without their weights, shape `[4]`.
pub(crate) fn loss<B: Backend>(
    raw: Tensor<B, 4>,
    targets: Targets<B>,
    outputs: Outputs,
) -> (Tensor<B, 1>, Tensor<B, 1>) {
    let channels = |from: usize, count: usize| raw.clone().narrow(3, from, count);
    let cells = targets.counted.shape().num_elements() as f32;

    let logits = channels(0, outputs.species + 1);
    let none = targets.share.clone().sum_dim(3).neg().add_scalar(1.0);
    let expected = Tensor::cat(vec![targets.share, none], 3);
    let entropy = (log_softmax(logits, 3) * expected).sum_dim(3).neg();
    let share = (entropy * targets.counted).sum().mul_scalar(CELLS_PER_COLUMN / cells);

    let near = targets.near.clone().sum().add_scalar(1.0);
    let log_sigma = channels(outputs.log_offset_sigma(), 1).clamp(LOG_OFFSET_SIGMA.0, LOG_OFFSET_SIGMA.1);
    let square = (channels(outputs.offset(), 2) - targets.offset).powi_scalar(2).sum_dim(3);
    let place = square * log_sigma.clone().mul_scalar(-2.0).exp().mul_scalar(0.5) + log_sigma.mul_scalar(2.0);
    let place = (place * targets.near.clone()).sum() / near.clone();

    let log_sigma = channels(outputs.log_atoms_sigma(), 1).clamp(LOG_ATOMS_SIGMA.0, LOG_ATOMS_SIGMA.1);
    let square = (channels(outputs.atoms(), 1).mul_scalar(ATOMS_SCALE) - targets.atoms).powi_scalar(2);
    let atoms = square * log_sigma.clone().mul_scalar(-2.0).exp().mul_scalar(0.5) + log_sigma;
    let atoms = (atoms * targets.near).sum() / near;

    let wave = match targets.wave {
        None => share.zeros_like(),
        Some(wave) => {
            let square = (channels(outputs.wave(), WAVE_CHANNELS) - wave).powi_scalar(2);
            square.sum().mul_scalar(2.0 / (cells * WAVE_CHANNELS as f32))
        }
    };

    let total = share.clone()
        + place.clone().mul_scalar(PLACE_WEIGHT)
        + atoms.clone().mul_scalar(ATOMS_WEIGHT)
        + wave.clone().mul_scalar(WAVE_WEIGHT);
    (total, Tensor::cat(vec![share, place, atoms, wave], 0))
}
