//! The one place that knows the learning framework (Burn).
//!
//! A [`Learner`] holds a network in training and is asked for steps and for its state; nothing else of the framework is
//! seen from outside. The same code trains on a CPU, where the convolutions are our own kernels, and on a GPU.

mod cpu;
mod differentiable;
#[cfg(feature = "cuda")]
mod gpu;
mod learner;
mod loss;
mod operations;
mod optimiser;
mod parameters;
mod state;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use learner::StepReport;
pub use state::LearnerState;

use crate::architecture::Architecture;
use crate::batch::Batch;
use learner::DeviceLearner;

/// Where a network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The processor.
    Cpu,
    /// The first NVIDIA GPU.
    #[cfg(feature = "cuda")]
    Cuda,
}

/// A network in training.
pub struct Learner(Inner);

enum Inner {
    Cpu(Box<DeviceLearner<burn_flex::Flex>>),
    #[cfg(feature = "cuda")]
    Cuda(Box<DeviceLearner<burn_cuda::Cuda>>),
}

impl Learner {
    /// Goes on from a state.
    pub fn new(architecture: Architecture, device: Device, state: &LearnerState) -> Learner {
        Learner(match device {
            Device::Cpu => Inner::Cpu(Box::new(DeviceLearner::new(architecture, burn_flex::FlexDevice, state))),
            #[cfg(feature = "cuda")]
            Device::Cuda => {
                Inner::Cuda(Box::new(DeviceLearner::new(architecture, burn_cuda::CudaDevice::new(0), state)))
            }
        })
    }

    /// One step of training.
    pub fn step(&mut self, batch: &Batch, learning_rate: f64) -> StepReport {
        match &mut self.0 {
            Inner::Cpu(learner) => learner.step(batch, learning_rate),
            #[cfg(feature = "cuda")]
            Inner::Cuda(learner) => learner.step(batch, learning_rate),
        }
    }

    /// Everything that is needed to go on later.
    pub fn state(&self) -> LearnerState {
        match &self.0 {
            Inner::Cpu(learner) => learner.state(),
            #[cfg(feature = "cuda")]
            Inner::Cuda(learner) => learner.state(),
        }
    }
}
