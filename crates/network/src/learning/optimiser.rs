//! How parameters follow their gradients.
//!
//! The directions of standardised weights, whose length does not matter, go the way of their momentum made orthogonal
//! (Muon: Jordan et al. 2024, kellerjordan.github.io/posts/muon), by a stated part of their own length a step. All else
//! follows Adam (Kingma and Ba, *ICLR* 2015, arXiv:1412.6980). Gradients that are far larger than usual are held back,
//! and there is a running average of the parameters (Polyak and Juditsky, doi:10.1137/0330046).

use burn_tensor::Tensor;

use super::learner::numbers;
use super::operations::Operations;
use crate::architecture::ConvolutionSize;

const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;
const SMALLEST: f64 = 1e-8;
/// A gradient longer than this many times the usual length is shortened to it.
const LARGEST_NORM: f32 = 2.0;
/// The average follows the parameters over about this many steps; over fewer in the beginning.
const AVERAGED_STEPS: f64 = 300.0;
/// Part of their own length by which directions move, for a learning rate of 1. The numbers of a direction are of the
/// size of 1, where other weights are some hundredths: at Adam's rate for those they would take thousands of steps to
/// turn.
const DIRECTION_RATE: f64 = 20.0;
const MOMENTUM: f64 = 0.95;

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Weights whose length does not matter, a column for each channel out.
    Direction { rows: usize, columns: usize },
    /// Anything else.
    Other,
}

impl Kind {
    /// The kinds of the parameters of convolutions: direction, gain and bias of each in turn; the last has no gain.
    pub(super) fn of(sizes: &[ConvolutionSize]) -> Vec<Kind> {
        let of_one = |size: &ConvolutionSize| match size.is_head {
            true => vec![Kind::Other; 2],
            false => {
                let rows = size.kernel * size.kernel * size.channels_in;
                vec![Kind::Direction { rows, columns: size.channels_out }, Kind::Other, Kind::Other]
            }
        };
        sizes.iter().flat_map(of_one).collect()
    }
}

pub(super) struct Optimiser<B: Operations> {
    pub(super) kinds: Vec<Kind>,
    pub(super) averaged: Vec<Tensor<B, 1>>,
    pub(super) first_moment: Vec<Tensor<B, 1>>,
    pub(super) second_moment: Vec<Tensor<B, 1>>,
    pub(super) steps: u64,
    pub(super) usual_norm: f32,
}

impl<B: Operations> Optimiser<B> {
    pub(super) fn restore(
        kinds: Vec<Kind>,
        averaged: Vec<Tensor<B, 1>>,
        first_moment: Vec<Tensor<B, 1>>,
        second_moment: Vec<Tensor<B, 1>>,
        steps: u64,
        usual_norm: f32,
    ) -> Optimiser<B> {
        Optimiser { kinds, averaged, first_moment, second_moment, steps, usual_norm }
    }

    /// Moves the parameters; gives the norm of the gradient. A gradient that is not finite changes nothing.
    pub(super) fn step(
        &mut self,
        parameters: &mut [Tensor<B, 1>],
        gradients: Vec<Tensor<B, 1>>,
        learning_rate: f64,
    ) -> f32 {
        let squares = gradients.iter().map(|gradient| gradient.clone().powi_scalar(2).sum()).collect();
        let norm = numbers(Tensor::cat(squares, 0)).iter().sum::<f32>().sqrt();
        if !norm.is_finite() {
            return norm;
        }
        let limit = if self.steps == 0 { norm } else { LARGEST_NORM * self.usual_norm };
        let shortened = if norm > limit { limit / norm } else { 1.0 };
        let kept = if self.steps == 0 { 0.0 } else { 0.98 };
        self.usual_norm = kept * self.usual_norm + (1.0 - kept) * norm * shortened;
        self.steps += 1;
        let steps = self.steps as f64;
        let first_scale = 1.0 / (1.0 - FIRST_DECAY.powf(steps));
        let second_scale = 1.0 / (1.0 - SECOND_DECAY.powf(steps));
        let follow = (1.0 / AVERAGED_STEPS).max(1.0 / (1.0 + 0.2 * steps));
        for (index, gradient) in gradients.into_iter().enumerate() {
            let gradient = gradient.mul_scalar(shortened);
            let step = match self.kinds[index] {
                Kind::Direction { rows, columns } => {
                    let momentum = self.first_moment[index].clone().mul_scalar(MOMENTUM)
                        + gradient.clone().mul_scalar(1.0 - MOMENTUM);
                    let ahead = momentum.clone().mul_scalar(MOMENTUM) + gradient.mul_scalar(1.0 - MOMENTUM);
                    self.first_moment[index] = momentum;
                    let length = (rows.max(columns) as f64).sqrt();
                    orthogonal(ahead.reshape([rows, columns]))
                        .reshape([rows * columns])
                        .mul_scalar(DIRECTION_RATE * learning_rate * length)
                }
                Kind::Other => {
                    let first = self.first_moment[index].clone().mul_scalar(FIRST_DECAY)
                        + gradient.clone().mul_scalar(1.0 - FIRST_DECAY);
                    let second = self.second_moment[index].clone().mul_scalar(SECOND_DECAY)
                        + gradient.powi_scalar(2).mul_scalar(1.0 - SECOND_DECAY);
                    let size = second.clone().mul_scalar(second_scale).sqrt().add_scalar(SMALLEST);
                    let step = (first.clone() / size).mul_scalar(learning_rate * first_scale);
                    self.first_moment[index] = first;
                    self.second_moment[index] = second;
                    step
                }
            };
            let moved = parameters[index].clone() - step;
            self.averaged[index] =
                self.averaged[index].clone().mul_scalar(1.0 - follow) + moved.clone().mul_scalar(follow);
            parameters[index] = moved;
        }
        norm
    }
}

/// The orthogonal matrix nearest to a matrix, roughly: its singular values are brought to between 0.7 and 1.2 by five
/// steps of a Newton-Schulz iteration whose coefficients are Jordan's.
fn orthogonal<B: Operations>(matrix: Tensor<B, 2>) -> Tensor<B, 2> {
    const COEFFICIENTS: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);
    let [rows, columns] = matrix.dims();
    let wide = if rows > columns { matrix.transpose() } else { matrix };
    let length = wide.clone().powi_scalar(2).sum().sqrt().add_scalar(1e-20).reshape([1, 1]);
    let mut x = wide / length;
    for _ in 0..5 {
        let (a, b, c) = COEFFICIENTS;
        let square = x.clone().matmul(x.clone().transpose());
        let mixed = square.clone().mul_scalar(b) + square.clone().matmul(square).mul_scalar(c);
        x = x.clone().mul_scalar(a) + mixed.matmul(x);
    }
    if rows > columns { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use burn_flex::Flex;
    use burn_tensor::TensorData;
    use rand::RngExt;

    use super::*;

    #[test]
    fn orthogonal_matrices_come_of_any() {
        for [rows, columns] in [[40, 7], [5, 30], [12, 12]] {
            let mut random = SeedPath::new(3).stream();
            // Of very different lengths in different directions.
            let values: Vec<f32> = (0..rows * columns)
                .map(|index| random.random_range(-1.0..1.0f32) * 0.3f32.powi((index % columns) as i32 / 2))
                .collect();
            let matrix = Tensor::<Flex, 2>::from_data(TensorData::new(values, [rows, columns]), &Default::default());
            let near = orthogonal(matrix.clone());
            let small = rows.min(columns);
            let product = if rows > columns {
                near.clone().transpose().matmul(near.clone())
            } else {
                near.clone().matmul(near.clone().transpose())
            };
            let product: Vec<f32> = product.into_data().into_vec().unwrap();
            for (index, value) in product.iter().enumerate() {
                let on_diagonal = index / small == index % small;
                assert!(if on_diagonal { (0.3..1.7).contains(value) } else { value.abs() < 0.5 }, "{value}");
            }
            // The way is kept: no direction is turned back.
            let along: f32 = (near * matrix).sum().into_scalar();
            assert!(along > 0.0);
        }
    }
}
