//! What is learned, and how weights come of it.
//!
//! The weights of all convolutions but the last are standardised: with the mean over a channel's inputs taken out and
//! scaled to unit variance times a learned gain (Brock et al., *ICLR* 2021, arXiv:2101.08692). Training then needs no
//! statistics over a batch, and a tile of an image gives what the whole image gives.

use atomlens_core::SeedPath;
use burn_tensor::Tensor;
use burn_tensor::backend::Backend;
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::architecture::{Architecture, ConvolutionSize};
use crate::weights::{ConvolutionWeights, Weights};

/// Gain at the end of a residual in the beginning: each residual starts as a small change.
const RESIDUAL_GAIN: f32 = 0.3;
/// Below this a channel's variance is not blown up.
const SMALLEST_VARIANCE: f32 = 1e-6;

/// One convolution in training, as plain numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learned {
    /// `[ky, kx, channel_in, channel_out]`, before it is standardised.
    pub(crate) direction: Vec<f32>,
    /// `[channel_out]`; empty in the last convolution.
    pub(crate) gain: Vec<f32>,
    /// `[channel_out]`.
    pub(crate) bias: Vec<f32>,
}

impl Learned {
    /// Random ones.
    pub(crate) fn draw(architecture: &Architecture, seed: SeedPath) -> Vec<Learned> {
        let sizes = architecture.convolutions();
        sizes
            .iter()
            .map(|size| {
                let mut random = seed.child("convolution").index(size.step as u64).stream();
                let inputs = inputs(size);
                let scale = if size.is_head { 0.3 / (inputs as f32).sqrt() } else { 1.0 };
                let direction =
                    (0..inputs * size.channels_out).map(|_| scale * random.sample::<f32, _>(StandardNormal)).collect();
                let gain = if size.has_skip { RESIDUAL_GAIN } else { 1.0 };
                Learned {
                    direction,
                    gain: if size.is_head { Vec::new() } else { vec![gain; size.channels_out] },
                    bias: vec![0.0; size.channels_out],
                }
            })
            .collect()
    }

    /// Those that stand for given weights.
    pub(crate) fn of_weights(architecture: &Architecture, weights: &Weights) -> Vec<Learned> {
        let sizes = architecture.convolutions();
        sizes.iter().zip(&weights.0).map(|(size, weights)| Learned::of(size, weights)).collect()
    }

    fn of(size: &ConvolutionSize, weights: &ConvolutionWeights) -> Learned {
        let (inputs, outputs) = (inputs(size), size.channels_out);
        let mut direction = weights.weight.clone();
        let mut gain = Vec::new();
        if !size.is_head {
            for channel in 0..outputs {
                let square: f32 = weights.weight.iter().skip(channel).step_by(outputs).map(|value| value * value).sum();
                // Standardising takes the scale out again; it is kept near 1, where training leaves it.
                let scale = (square / inputs as f32).sqrt().max(1e-12);
                direction.iter_mut().skip(channel).step_by(outputs).for_each(|value| *value /= scale);
                gain.push(scale * (0.5 * inputs as f32 * (1.0 + SMALLEST_VARIANCE)).sqrt());
            }
        }
        Learned { direction, gain, bias: weights.bias.clone() }
    }

    /// The numbers one after another: direction, gain, bias of each convolution.
    pub(crate) fn flat(learned: &[Learned]) -> Vec<&[f32]> {
        learned.iter().flat_map(|one| [&one.direction[..], &one.gain[..], &one.bias[..]]).collect()
    }

    /// The weights that they stand for.
    pub(crate) fn weights(architecture: &Architecture, learned: &[Learned]) -> Weights {
        let sizes = architecture.convolutions();
        Weights(sizes.iter().zip(learned).map(|(size, learned)| learned.standardised(size)).collect())
    }

    fn standardised(&self, size: &ConvolutionSize) -> ConvolutionWeights {
        let mut weight = self.direction.clone();
        if !size.is_head {
            let (inputs, outputs) = (inputs(size), size.channels_out);
            for (channel, gain) in self.gain.iter().enumerate() {
                let of_channel = || weight.iter().skip(channel).step_by(outputs);
                let mean = of_channel().sum::<f32>() / inputs as f32;
                let variance = of_channel().map(|value| (value - mean) * (value - mean)).sum::<f32>() / inputs as f32;
                let scale = gain * (2.0 / (inputs as f32 * (variance + SMALLEST_VARIANCE))).sqrt();
                for value in weight.iter_mut().skip(channel).step_by(outputs) {
                    *value = (*value - mean) * scale;
                }
            }
        }
        ConvolutionWeights { weight, bias: self.bias.clone() }
    }
}

/// The same as tensors: `[weight [ky, kx, channel_in, channel_out], bias [channel_out]]`.
pub(crate) fn standardised<B: Backend>(
    size: &ConvolutionSize,
    direction: Tensor<B, 1>,
    gain: Option<Tensor<B, 1>>,
) -> Tensor<B, 4> {
    let (inputs, outputs) = (inputs(size), size.channels_out);
    let weight = match gain {
        None => direction,
        Some(gain) => {
            let direction = direction.reshape([inputs, outputs]);
            let centred = direction.clone() - direction.mean_dim(0);
            let variance = centred.clone().powi_scalar(2).mean_dim(0);
            let scale =
                gain.reshape([1, outputs]) / (variance + SMALLEST_VARIANCE).mul_scalar(0.5 * inputs as f32).sqrt();
            (centred * scale).reshape([inputs * outputs])
        }
    };
    weight.reshape([size.kernel, size.kernel, size.channels_in, outputs])
}

fn inputs(size: &ConvolutionSize) -> usize {
    size.kernel * size.kernel * size.channels_in
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Family;

    #[test]
    fn weights_become_parameters_that_stand_for_them() {
        let architecture = Architecture::new(Family::Ladder { channels: vec![8, 12], pairs: 1 }, 1, 2);
        let weights = Learned::weights(&architecture, &Learned::draw(&architecture, SeedPath::new(4)));
        let again = Learned::weights(&architecture, &Learned::of_weights(&architecture, &weights));
        for (ours, theirs) in again.0.iter().zip(&weights.0) {
            assert_eq!(ours.bias, theirs.bias);
            for (a, b) in ours.weight.iter().zip(&theirs.weight) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }
}
