//! Adam (Kingma and Ba, *ICLR* 2015, arXiv:1412.6980), with gradients held back when they are far larger than usual,
//! and a running average of the parameters (Polyak and Juditsky, doi:10.1137/0330046).

use burn_tensor::Tensor;

use super::learner::numbers;
use super::operations::Operations;

const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;
const SMALLEST: f64 = 1e-8;
/// A gradient longer than this many times the usual length is shortened to it.
const LARGEST_NORM: f32 = 2.0;
/// The average follows the parameters over about this many steps; over fewer in the beginning.
const AVERAGED_STEPS: f64 = 300.0;

pub(super) struct Optimiser<B: Operations> {
    pub(super) averaged: Vec<Tensor<B, 1>>,
    pub(super) first_moment: Vec<Tensor<B, 1>>,
    pub(super) second_moment: Vec<Tensor<B, 1>>,
    pub(super) steps: u64,
    pub(super) usual_norm: f32,
}

impl<B: Operations> Optimiser<B> {
    pub(super) fn restore(
        averaged: Vec<Tensor<B, 1>>,
        first_moment: Vec<Tensor<B, 1>>,
        second_moment: Vec<Tensor<B, 1>>,
        steps: u64,
        usual_norm: f32,
    ) -> Optimiser<B> {
        Optimiser { averaged, first_moment, second_moment, steps, usual_norm }
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
            let first = self.first_moment[index].clone().mul_scalar(FIRST_DECAY)
                + gradient.clone().mul_scalar(1.0 - FIRST_DECAY);
            let second = self.second_moment[index].clone().mul_scalar(SECOND_DECAY)
                + gradient.powi_scalar(2).mul_scalar(1.0 - SECOND_DECAY);
            let size = second.clone().mul_scalar(second_scale).sqrt().add_scalar(SMALLEST);
            let step = (first.clone() / size).mul_scalar(learning_rate * first_scale);
            let moved = parameters[index].clone() - step;
            self.averaged[index] =
                self.averaged[index].clone().mul_scalar(1.0 - follow) + moved.clone().mul_scalar(follow);
            parameters[index] = moved;
            self.first_moment[index] = first;
            self.second_moment[index] = second;
        }
        norm
    }
}
