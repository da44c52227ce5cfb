//! Networks in files: safetensors, which no program can be hidden in.
//!
//! Weights are stored as half-precision numbers (1 + 5 + 10 bits): their rounding is far below what training leaves
//! open, and the file is half as large. The state of a training is stored in full.

use std::collections::HashMap;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::architecture::Architecture;
use crate::learning::LearnerState;
use crate::network::Network;
use crate::weights::{ConvolutionWeights, Weights};

/// Key of the description in the file's metadata.
const ARCHITECTURE: &str = "atomlens_architecture";
/// Key of a training's scalars.
const TRAINING: &str = "atomlens_training";

/// A file that holds no network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkFileError {
    /// It is no safetensors file.
    #[error("no safetensors file: {0}; expected one that `atomlens train` wrote")]
    NotSafetensors(String),
    /// It was not written by atomlens.
    #[error("a safetensors file without {0:?} in its metadata; expected one that `atomlens train` wrote")]
    NoDescription(&'static str),
    /// The description cannot be understood.
    #[error("its description cannot be read ({0}); was it written by another version of atomlens?")]
    Description(String),
    /// A tensor is missing or of another kind.
    #[error("tensor {name:?}: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The weights do not fit the description.
    #[error("the weights do not fit the description: {0}")]
    Weights(String),
}

/// A network as the bytes of a safetensors file: `convolution_NN.weight` of shape `[ky, kx, channel_in, channel_out]` and
/// `convolution_NN.bias`, NN being the number of the step.
pub fn network_to_bytes(network: &Network) -> Vec<u8> {
    let architecture = network.architecture();
    let halves =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect() };
    let mut tensors = Vec::new();
    for (size, weights) in architecture.convolutions().iter().zip(&network.weights().0) {
        let shape = vec![size.kernel, size.kernel, size.channels_in, size.channels_out];
        tensors.push((weight_name(size.step), shape, halves(&weights.weight)));
        tensors.push((bias_name(size.step), vec![size.channels_out], halves(&weights.bias)));
    }
    let description = serde_json::to_string(architecture).expect("an architecture is plain data");
    serialised(&tensors, Dtype::F16, (ARCHITECTURE, description))
}

/// The inverse of [`network_to_bytes`]; takes numbers of single precision as well.
///
/// # Errors
/// Bytes that are no such file.
pub fn network_from_bytes(bytes: &[u8]) -> Result<Network, NetworkFileError> {
    let (tensors, description) = parsed(bytes, ARCHITECTURE)?;
    let architecture: Architecture =
        serde_json::from_str(&description).map_err(|error| NetworkFileError::Description(error.to_string()))?;
    architecture.check().map_err(NetworkFileError::Description)?;
    let mut weights = Vec::new();
    for size in architecture.convolutions() {
        weights.push(ConvolutionWeights {
            weight: numbers(&tensors, &weight_name(size.step))?,
            bias: numbers(&tensors, &bias_name(size.step))?,
        });
    }
    Network::new(architecture, Weights(weights)).map_err(NetworkFileError::Weights)
}

/// A training as the bytes of a safetensors file.
pub fn training_to_bytes(architecture: &Architecture, state: &LearnerState) -> Vec<u8> {
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> =
        state.named().into_iter().map(|(name, values)| (name, vec![values.len()], bytes(values))).collect();
    let description = serde_json::json!({
        "architecture": architecture,
        "steps": state.steps,
        "minutes": state.minutes,
        "usual_norm": state.usual_norm,
    });
    serialised(&tensors, Dtype::F32, (TRAINING, description.to_string()))
}

/// The inverse of [`training_to_bytes`]; the training must be of this network.
///
/// # Errors
/// Bytes that are no such file, or of another network.
pub fn training_from_bytes(architecture: &Architecture, bytes: &[u8]) -> Result<LearnerState, NetworkFileError> {
    #[derive(serde::Deserialize)]
    struct Description {
        architecture: Architecture,
        steps: u64,
        minutes: f64,
        usual_norm: f32,
    }
    let (tensors, description) = parsed(bytes, TRAINING)?;
    let description: Description =
        serde_json::from_str(&description).map_err(|error| NetworkFileError::Description(error.to_string()))?;
    if description.architecture != *architecture {
        return Err(NetworkFileError::Description("it is the training of another network".to_owned()));
    }
    let mut state = LearnerState::draw(architecture, atomlens_core::SeedPath::new(0));
    for (name, values) in state.named_mut() {
        let read = numbers(&tensors, &name)?;
        if read.len() != values.len() {
            let reason = format!("{} numbers, where the network needs {}", read.len(), values.len());
            return Err(NetworkFileError::Tensor { name, reason });
        }
        values.copy_from_slice(&read);
    }
    state.steps = description.steps;
    state.minutes = description.minutes;
    state.usual_norm = description.usual_norm;
    Ok(state)
}

fn weight_name(step: usize) -> String {
    format!("convolution_{step:02}.weight")
}

fn bias_name(step: usize) -> String {
    format!("convolution_{step:02}.bias")
}

fn serialised(tensors: &[(String, Vec<usize>, Vec<u8>)], dtype: Dtype, about: (&str, String)) -> Vec<u8> {
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(dtype, shape.clone(), bytes).expect("as many bytes as the shape says");
        (name.clone(), view)
    });
    let metadata = HashMap::from([(about.0.to_owned(), about.1)]);
    safetensors::serialize(views, Some(metadata)).expect("names are unique")
}

fn parsed<'data>(bytes: &'data [u8], key: &'static str) -> Result<(SafeTensors<'data>, String), NetworkFileError> {
    let broken = |error: safetensors::SafeTensorError| NetworkFileError::NotSafetensors(error.to_string());
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let description = metadata.metadata().as_ref().and_then(|metadata| metadata.get(key)).cloned();
    let description = description.ok_or(NetworkFileError::NoDescription(key))?;
    Ok((SafeTensors::deserialize(bytes).map_err(broken)?, description))
}

fn numbers(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, NetworkFileError> {
    let wrong = |reason: String| NetworkFileError::Tensor { name: name.to_owned(), reason };
    let view = tensors.tensor(name).map_err(|error| wrong(error.to_string()))?;
    match view.dtype() {
        Dtype::F32 => Ok(view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        Dtype::F16 => {
            let half = |bytes: &[u8; 2]| f16::from_le_bytes(*bytes).to_f32();
            Ok(view.data().as_chunks::<2>().0.iter().map(half).collect())
        }
        other => Err(wrong(format!("numbers of type {other:?}, where F16 or F32 is expected"))),
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;

    use super::*;
    use crate::architecture::Family;

    fn architecture() -> Architecture {
        Architecture::new(Family::Ladder { channels: vec![8, 12], pairs: 1 }, 1, 2)
    }

    #[test]
    fn a_network_comes_back_rounded_to_half_precision() {
        let architecture = architecture();
        let weights = LearnerState::draw(&architecture, SeedPath::new(3)).weights(&architecture);
        let network = Network::new(architecture, weights).unwrap();
        let back = network_from_bytes(&network_to_bytes(&network)).unwrap();
        assert_eq!(back.architecture(), network.architecture());
        for (ours, theirs) in network.weights().0.iter().zip(&back.weights().0) {
            for (a, b) in ours.weight.iter().zip(&theirs.weight) {
                assert!((a - b).abs() <= 1e-3 * a.abs() + 1e-7, "{a} {b}");
            }
        }
        // What is stored is stored for good.
        assert_eq!(network_from_bytes(&network_to_bytes(&back)).unwrap(), back);
    }

    #[test]
    fn a_training_comes_back_exactly() {
        let architecture = architecture();
        let state = LearnerState::draw(&architecture, SeedPath::new(3));
        let bytes = training_to_bytes(&architecture, &state);
        assert_eq!(training_from_bytes(&architecture, &bytes).unwrap(), state);
        let other = Architecture::new(Family::Ladder { channels: vec![8, 16], pairs: 1 }, 1, 2);
        assert!(training_from_bytes(&other, &bytes).unwrap_err().to_string().contains("another network"));
    }

    #[test]
    fn broken_files_are_refused() {
        let architecture = architecture();
        let weights = LearnerState::draw(&architecture, SeedPath::new(3)).weights(&architecture);
        let bytes = network_to_bytes(&Network::new(architecture, weights).unwrap());
        for length in (0..bytes.len()).step_by(97) {
            assert!(network_from_bytes(&bytes[..length]).is_err());
        }
        for place in 0..400 {
            let mut broken = bytes.clone();
            broken[place] ^= 0x15;
            let _ = network_from_bytes(&broken);
        }
    }
}
