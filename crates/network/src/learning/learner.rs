//! A network in training.

use std::collections::VecDeque;

use burn_autodiff::Autodiff;
use burn_tensor::{Tensor, TensorData};

use super::differentiable;
use super::loss::{Targets, loss};
use super::operations::{Convolution, Operations};
use super::optimiser::{Kind, Optimiser};
use super::parameters::{Learned, standardised};
use super::state::LearnerState;
use crate::architecture::{Architecture, Step};
use crate::batch::Batch;
use crate::output::WAVE_CHANNELS;

/// What a step of training found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Cross-entropy of the shares, a column.
    pub share: f32,
    /// Negative log-likelihood of the place, a column.
    pub place: f32,
    /// Negative log-likelihood of the number of atoms, a column.
    pub atoms: f32,
    /// Mean square error of the wave, a pixel; 0 where it is not asked for.
    pub wave: f32,
    /// Norm of the gradient.
    pub gradient_norm: f32,
}

/// A network in training on one device.
pub(crate) struct DeviceLearner<B: Operations> {
    architecture: Architecture,
    device: B::Device,
    /// Direction, gain, bias of each convolution in turn; a gain that does not exist is left out.
    parameters: Vec<Tensor<B, 1>>,
    optimiser: Optimiser<B>,
}

impl<B: Operations> DeviceLearner<B> {
    pub(crate) fn new(architecture: Architecture, device: B::Device, state: &LearnerState) -> DeviceLearner<B> {
        let tensors = |values: &[Learned]| -> Vec<Tensor<B, 1>> {
            Learned::flat(values)
                .into_iter()
                .filter(|values| !values.is_empty())
                .map(|values| Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &device))
                .collect()
        };
        let parameters = tensors(&state.learned);
        let optimiser = Optimiser::restore(
            Kind::of(&architecture.convolutions()),
            tensors(&state.averaged),
            tensors(&state.first_moment),
            tensors(&state.second_moment),
            state.steps,
            state.usual_norm,
        );
        DeviceLearner { architecture, device, parameters, optimiser }
    }

    pub(crate) fn step(&mut self, batch: &Batch, learning_rate: f64) -> StepReport {
        let tracked: Vec<Tensor<Autodiff<B>, 1>> =
            self.parameters.iter().map(|value| Tensor::from_inner(value.clone()).require_grad()).collect();
        let raw = self.forward(&tracked, batch);
        let (n, h, w) = (batch.images, batch.height, batch.width);
        let species = self.architecture.species;
        let given = |values: &[f32], channels: usize| {
            Tensor::<Autodiff<B>, 4>::from_data(TensorData::new(values.to_vec(), [n, h, w, channels]), &self.device)
        };
        let targets = Targets {
            share: given(&batch.share, species),
            offset: given(&batch.offset_cells, 2),
            atoms: given(&batch.atoms, 1),
            near: given(&batch.near_column, 1),
            counted: given(&batch.counted, 1),
            wave: self.architecture.wave.then(|| given(&batch.wave, WAVE_CHANNELS)),
        };
        let (total, parts) = loss(raw, targets, self.architecture.outputs());
        let gradients = total.backward();
        let gradients = tracked
            .iter()
            .zip(&self.parameters)
            .map(|(tracked, value)| tracked.grad(&gradients).unwrap_or_else(|| value.zeros_like()))
            .collect();
        let gradient_norm = self.optimiser.step(&mut self.parameters, gradients, learning_rate);
        let parts = numbers(parts.inner());
        StepReport { share: parts[0], place: parts[1], atoms: parts[2], wave: parts[3], gradient_norm }
    }

    pub(crate) fn state(&self) -> LearnerState {
        let sizes = self.architecture.convolutions();
        let gather = |tensors: &[Tensor<B, 1>]| -> Vec<Learned> {
            let mut values: VecDeque<Vec<f32>> = tensors.iter().cloned().map(numbers).collect();
            let mut next = || values.pop_front().expect("every convolution has its parameters");
            sizes
                .iter()
                .map(|size| Learned {
                    direction: next(),
                    gain: if size.is_head { Vec::new() } else { next() },
                    bias: next(),
                })
                .collect()
        };
        LearnerState {
            learned: gather(&self.parameters),
            averaged: gather(&self.optimiser.averaged),
            first_moment: gather(&self.optimiser.first_moment),
            second_moment: gather(&self.optimiser.second_moment),
            steps: self.optimiser.steps,
            minutes: 0.0,
            usual_norm: self.optimiser.usual_norm,
        }
    }

    fn forward(&self, parameters: &[Tensor<Autodiff<B>, 1>], batch: &Batch) -> Tensor<Autodiff<B>, 4> {
        let mut parameters = parameters.iter().cloned();
        let mut next = || parameters.next().expect("every convolution has its parameters");
        let mut sizes = self.architecture.convolutions().into_iter();
        let mut results: Vec<Tensor<Autodiff<B>, 4>> = Vec::with_capacity(self.architecture.steps.len());
        for step in &self.architecture.steps {
            let result = match step {
                Step::Input { channels } => Tensor::from_data(
                    TensorData::new(batch.input.clone(), [batch.images, batch.height, batch.width, *channels]),
                    &self.device,
                ),
                Step::Convolution { from, kernel, dilation, activation, skip, .. } => {
                    let size = sizes.next().expect("a size for every convolution");
                    let direction = next();
                    let gain = (!size.is_head).then(&mut next);
                    let weight = standardised(&size, direction, gain);
                    differentiable::convolution::<B>(
                        results[*from].clone(),
                        weight,
                        next(),
                        skip.map(|skip| results[skip].clone()),
                        Convolution { kernel: *kernel, dilation: *dilation, activation: *activation },
                    )
                }
                Step::Pool { from } => differentiable::pool::<B>(results[*from].clone()),
                Step::Upsample { from, skip } => {
                    differentiable::upsample_add::<B>(results[*from].clone(), results[*skip].clone())
                }
                Step::Concatenate { from } => Tensor::cat(from.iter().map(|&from| results[from].clone()).collect(), 3),
            };
            results.push(result);
        }
        results.pop().expect("a network has steps")
    }
}

/// The numbers of a tensor.
pub(super) fn numbers<B: Operations>(tensor: Tensor<B, 1>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().expect("the data were converted to f32")
}
