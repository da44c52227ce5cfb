//! Networks: their description, training, inference and files.

pub mod architecture;
pub mod batch;
pub mod file;
pub mod kernel;
pub mod learning;
pub mod network;
pub mod onnx;
pub mod onnxruntime;
mod output;
pub mod weights;

pub use architecture::{Architecture, Family};
pub use batch::Batch;
pub use file::{NetworkFileError, network_from_bytes, network_to_bytes, training_from_bytes, training_to_bytes};
pub use learning::{Device, Learner, LearnerState, StepReport};
pub use network::Network;
pub use onnx::network_to_onnx;
pub use onnxruntime::{OnnxNetwork, OnnxRuntimeError};
pub use output::Answer;
pub use weights::{ConvolutionWeights, Weights};
