//! Networks: their description, training, inference and files.

pub mod architecture;
pub mod batch;
pub mod kernel;
pub mod learning;
pub mod network;
mod output;
pub mod weights;

pub use architecture::{Architecture, Family};
pub use batch::Batch;
pub use learning::{Device, Learner, LearnerState, StepReport};
pub use network::Network;
pub use weights::{ConvolutionWeights, Weights};
