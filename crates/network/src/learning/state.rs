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
    /// Minutes that they took.
    pub minutes: f64,
    /// Running mean of the gradient's norm.
    pub(crate) usual_norm: f32,
}

impl LearnerState {
    /// The beginning.
    pub fn draw(architecture: &Architecture, seed: SeedPath) -> LearnerState {
        LearnerState::start(Learned::draw(architecture, seed))
    }

    /// The beginning of a training that goes on from a network that is trained already, for other images; an error says
    /// how the weights do not fit.
    pub fn from_weights(architecture: &Architecture, weights: &Weights) -> Result<LearnerState, String> {
        weights.check(architecture)?;
        Ok(LearnerState::start(Learned::of_weights(architecture, weights)))
    }

    fn start(learned: Vec<Learned>) -> LearnerState {
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
            minutes: 0.0,
            usual_norm: 0.0,
        }
    }

    /// All numbers with their names, in a fixed order.
    pub(crate) fn named(&self) -> Vec<(String, &[f32])> {
        let sets = [
            ("learned", &self.learned),
            ("averaged", &self.averaged),
            ("first_moment", &self.first_moment),
            ("second_moment", &self.second_moment),
        ];
        let mut named = Vec::new();
        for (set, learned) in sets {
            for (index, one) in learned.iter().enumerate() {
                named.push((format!("{set}.{index:02}.direction"), &one.direction[..]));
                named.push((format!("{set}.{index:02}.gain"), &one.gain[..]));
                named.push((format!("{set}.{index:02}.bias"), &one.bias[..]));
            }
        }
        named
    }

    /// The same, to be overwritten.
    pub(crate) fn named_mut(&mut self) -> Vec<(String, &mut [f32])> {
        let names: Vec<String> = self.named().into_iter().map(|(name, _)| name).collect();
        let sets = [&mut self.learned, &mut self.averaged, &mut self.first_moment, &mut self.second_moment];
        let values = sets
            .into_iter()
            .flat_map(|set| set.iter_mut())
            .flat_map(|one| [&mut one.direction[..], &mut one.gain[..], &mut one.bias[..]]);
        names.into_iter().zip(values).collect()
    }

    /// The averaged weights, which are better than the last ones.
    pub fn weights(&self, architecture: &Architecture) -> Weights {
        Learned::weights(architecture, &self.averaged)
    }
}
