//! The numbers of a trained network.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;

/// Weights and bias of one convolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvolutionWeights {
    /// `[ky, kx, channel_in, channel_out]` in C order.
    pub weight: Vec<f32>,
    /// `[channel_out]`.
    pub bias: Vec<f32>,
}

/// Weights of all convolutions, in the order of [`Architecture::convolutions`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weights(pub Vec<ConvolutionWeights>);

impl Weights {
    /// Whether the sizes are those that a network needs, and every number is finite; if not, what is wrong.
    pub fn check(&self, architecture: &Architecture) -> Result<(), String> {
        let sizes = architecture.convolutions();
        if sizes.len() != self.0.len() {
            return Err(format!("{} convolutions, where the network has {}", self.0.len(), sizes.len()));
        }
        for (size, weights) in sizes.iter().zip(&self.0) {
            let expected = size.kernel * size.kernel * size.channels_in * size.channels_out;
            if weights.weight.len() != expected || weights.bias.len() != size.channels_out {
                return Err(format!(
                    "step {}: {} weights and {} biases, where the network needs {expected} and {}",
                    size.step,
                    weights.weight.len(),
                    weights.bias.len(),
                    size.channels_out
                ));
            }
            if !weights.weight.iter().chain(&weights.bias).all(|value| value.is_finite()) {
                return Err(format!("step {}: a weight is not a number", size.step));
            }
        }
        Ok(())
    }
}
