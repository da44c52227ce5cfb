//! The numbers of a trained network.

use serde::{Deserialize, Serialize};

use crate::architecture::{Architecture, Step};

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

    /// The weights of a network that tells other species apart, or gives the wave besides, and is like this one before its last
    /// convolution: what the outputs have in common stays, `fresh` gives the rest. An error says what does not fit.
    pub fn with_outputs_of(
        &self,
        own: &Architecture,
        fresh: &Weights,
        other: &Architecture,
    ) -> Result<Weights, String> {
        self.check(own)?;
        fresh.check(other)?;
        if own.family != other.family || own.image_channels != other.image_channels {
            return Err("another family of networks, or another number of images".to_owned());
        }
        let (from, to) = (own.outputs(), other.outputs());
        let mut weights = self.clone();
        let (head, old) = match (fresh.0.last(), weights.0.pop()) {
            (Some(head), Some(old)) => (head, old),
            _ => return Err("a network without convolutions".to_owned()),
        };
        let mut head = head.clone();
        // From the logit of no column on, up to the wave.
        let shared = from.wave() - from.species;
        for (new, old) in head.weight.chunks_exact_mut(to.channels()).zip(old.weight.chunks_exact(from.channels())) {
            new[to.species..to.species + shared].copy_from_slice(&old[from.species..from.species + shared]);
        }
        head.bias[to.species..to.species + shared].copy_from_slice(&old.bias[from.species..from.species + shared]);
        weights.0.push(head);
        weights.check(other)?;
        Ok(weights)
    }

    /// The weights of a network that sees several images, `several`, and does with the one in their middle what this one, of
    /// architecture `one`, does with its only image. The other images count `beside` times as much as the one in the
    /// middle, scaled so that independent noise of all of them stays as strong as it was: 0 leaves them out, 1 sees the mean of
    /// all, times the root of their number. An error says what does not fit.
    ///
    /// A network that goes on being trained from here finds what the other images tell.
    pub fn expanded(&self, one: &Architecture, several: &Architecture, beside: f32) -> Result<Weights, String> {
        self.check(one)?;
        let images = several.image_channels;
        if one.image_channels != 1 || images < 2 {
            return Err(format!("from {} images to {images}: expected from 1 to more", one.image_channels));
        }
        if one.family != several.family || one.outputs() != several.outputs() {
            return Err("another family of networks, or other outputs".to_owned());
        }
        let reads_image = |step: &Step| matches!(step, Step::Convolution { from: 0, .. });
        let reading: Vec<usize> = (0..one.steps.len()).filter(|&step| reads_image(&one.steps[step])).collect();
        let concatenates = one.steps.iter().any(|step| matches!(step, Step::Concatenate { from } if from.contains(&0)));
        if concatenates {
            return Err("a family whose image is read by every layer".to_owned());
        }
        let middle = images / 2;
        let scale = 1.0 / (1.0 + (images - 1) as f32 * beside * beside).sqrt();
        let expand = |size: &crate::architecture::ConvolutionSize, of_one: &ConvolutionWeights| {
            if !reading.contains(&size.step) {
                return of_one.clone();
            }
            // Folded images have four places, each with the channels of all images.
            let rows = of_one.weight.chunks_exact(size.channels_out);
            let weight = rows
                .flat_map(|row| {
                    (0..images).flat_map(move |image| {
                        let factor = if image == middle { scale } else { scale * beside };
                        row.iter().map(move |weight| factor * weight)
                    })
                })
                .collect();
            ConvolutionWeights { weight, bias: of_one.bias.clone() }
        };
        let weights =
            Weights(one.convolutions().iter().zip(&self.0).map(|(size, of_one)| expand(size, of_one)).collect());
        weights.check(several)?;
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use ndarray::{Array3, Axis, s};
    use rand::RngExt;

    use super::*;
    use crate::architecture::Family;
    use crate::learning::LearnerState;
    use crate::network::Network;

    #[test]
    fn a_network_of_several_images_begins_with_what_that_of_one_sees() {
        let family = Family::Ladder { channels: vec![8, 12], pairs: 1 };
        let [one, several] = [1, 5].map(|images| Architecture::new(family.clone(), images, 2));
        let weights = LearnerState::draw(&one, SeedPath::new(5)).weights(&one);
        let mut stream = SeedPath::new(9).stream();
        let image = Array3::from_shape_simple_fn((5, 32, 40), || stream.random_range(-1.0_f32..1.0));
        let species: Vec<String> = ["A", "B"].map(str::to_owned).to_vec();
        let look = |architecture: &Architecture, weights: &Weights, image: &Array3<f32>| {
            let network = Network::new(architecture.clone(), weights.clone()).unwrap();
            network.look(image.view(), 0.2, &species).share
        };
        let middle = image.slice(s![2..3, .., ..]).to_owned();
        let alone = weights.expanded(&one, &several, 0.0).unwrap();
        let difference = look(&several, &alone, &image) - look(&one, &weights, &middle);
        assert!(difference.iter().all(|difference| difference.abs() < 1e-5));
        let merged = weights.expanded(&one, &several, 1.0).unwrap();
        let mean = image.mean_axis(Axis(0)).unwrap().insert_axis(Axis(0)) * 5.0_f32.sqrt();
        let difference = look(&several, &merged, &image) - look(&one, &weights, &mean);
        assert!(difference.iter().all(|difference| difference.abs() < 1e-4));
        assert!(weights.expanded(&several, &several, 0.0).is_err());
    }

    #[test]
    fn other_outputs_keep_what_they_have_in_common() {
        let family = Family::Ladder { channels: vec![8, 12], pairs: 1 };
        let own = Architecture::new(family.clone(), 1, 2);
        let other = Architecture::new(family, 1, 4).with_wave();
        let draw = |architecture: &Architecture, seed| {
            LearnerState::draw(architecture, SeedPath::new(seed)).weights(architecture)
        };
        let (weights, fresh) = (draw(&own, 5), draw(&other, 6));
        let both = weights.with_outputs_of(&own, &fresh, &other).unwrap();
        let mut stream = SeedPath::new(9).stream();
        let image = Array3::from_shape_simple_fn((1, 32, 40), || stream.random_range(-1.0_f32..1.0));
        let names = |count: usize| (0..count).map(|index| index.to_string()).collect::<Vec<_>>();
        let before = Network::new(own, weights).unwrap().answer(image.view(), 0.2, &names(2));
        let after = Network::new(other, both).unwrap().answer(image.view(), 0.2, &names(4));
        assert_eq!(before.map.offset_cells, after.map.offset_cells);
        assert_eq!(before.map.atoms_sigma, after.map.atoms_sigma);
        assert!(before.wave.is_none() && after.wave.is_some());
    }
}
