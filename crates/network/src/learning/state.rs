//! Everything that training needs to go on where it stopped.

use atomlens_core::SeedPath;
use serde::{Deserialize, Serialize};

use super::parameters::Learned;
use crate::architecture::Architecture;
use crate::weights::Weights;

/// A network in training, as plain numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnerState {
    pub(crate) learned: Vec<Learned>,
    pub(crate) averaged: Vec<Learned>,
    pub(crate) first_moment: Vec<Learned>,
    pub(crate) second_moment: Vec<Learned>,
    /// Steps done.
    pub steps: u64,
    /// Running mean of the gradient's norm.
    pub(crate) usual_norm: f32,
}

impl LearnerState {
    /// The beginning.
    pub fn draw(architecture: &Architecture, seed: SeedPath) -> LearnerState {
        let learned = Learned::draw(architecture, seed);
        let zero = |values: &[f32]| vec![0.0; values.len()];
        let zeros: Vec<Learned> = learned
            .iter()
            .map(|one| Learned { direction: zero(&one.direction), gain: zero(&one.gain), bias: zero(&one.bias) })
            .collect();
        LearnerState {
            averaged: learned.clone(),
            learned,
            first_moment: zeros.clone(),
            second_moment: zeros,
            steps: 0,
            usual_norm: 0.0,
        }
    }

    /// The averaged weights, which are better than the last ones.
    pub fn weights(&self, architecture: &Architecture) -> Weights {
        Learned::weights(architecture, &self.averaged)
    }
}
