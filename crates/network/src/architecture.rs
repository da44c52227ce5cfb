//! What a network computes, as a list of steps that training, inference and the ONNX export all follow.
//!
//! An image of `[y, x, channel]` at the model's pixel size is first folded two by two (each cell of 2 x 2 pixels
//! becomes one place with four times the channels), so that all work happens on cells, where a column is about five
//! cells from the next. The steps keep the number of places, halve or double it.
//!
//! Three families can be built:
//! - [`Family::Ladder`]: ours. Residual pairs of 3 x 3 convolutions on every level, levels joined by additive skips.
//! - [`Family::EncoderDecoder`]: the published residual encoder-decoder (Madsen et al., *Adv. Theory Simul.* 1, 1800037
//!   (2018), doi:10.1002/adts.201800037): on every level a convolution, a residual of three, and a convolution.
//! - [`Family::MixedScaleDense`]: every layer sees all earlier ones, with dilations that cycle (Pelt and Sethian,
//!   *PNAS* 115, 254 (2018), doi:10.1073/pnas.1715832114).

use serde::{Deserialize, Serialize};

use crate::output::Outputs;

/// What a convolution's result goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Nothing.
    None,
    /// Negative values become zero.
    Relu,
}

/// One step. `from` and `skip` are numbers of earlier steps; step 0 is the folded image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The image, folded two by two; `channels` counts the folded ones.
    Input {
        /// Four times the image's channels.
        channels: usize,
    },
    /// `activation(convolution(from) + bias + skip)`, zero beyond the border, size kept.
    Convolution {
        /// Where its input comes from.
        from: usize,
        /// Channels of its result.
        channels: usize,
        /// Edge of the kernel: 1 or 3.
        kernel: usize,
        /// Distance between the kernel's taps.
        dilation: usize,
        /// Applied at the end.
        activation: Activation,
        /// Added before the activation.
        skip: Option<usize>,
    },
    /// Mean over two by two places.
    Pool {
        /// Where its input comes from.
        from: usize,
    },
    /// Every place becomes two by two of the same value, added to `skip`.
    Upsample {
        /// Where its input comes from.
        from: usize,
        /// Added to the result.
        skip: usize,
    },
    /// Channels of two steps after one another.
    Concatenate {
        /// Where they come from.
        from: [usize; 2],
    },
}

/// The families of networks and their sizes, as a recipe names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Family {
    /// Residual pairs on every level, additive skips.
    Ladder {
        /// Channels of each level, finest first.
        channels: Vec<usize>,
        /// Residual pairs on each level, on the way down and again on the way up.
        pairs: usize,
    },
    /// The published residual encoder-decoder.
    EncoderDecoder {
        /// Channels of each level, finest first.
        channels: Vec<usize>,
    },
    /// Mixed-scale dense.
    MixedScaleDense {
        /// Number of layers.
        layers: usize,
        /// Channels that each adds.
        width: usize,
        /// Dilations run from 1 to this, and again.
        largest_dilation: usize,
    },
}

impl Family {
    /// Whether such a network can be built and run; if not, what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let within = |what: &str, value: usize, largest: usize| {
            if (1..=largest).contains(&value) {
                Ok(())
            } else {
                Err(format!("{what} is {value}: expected 1 to {largest}"))
            }
        };
        match self {
            Family::Ladder { channels, .. } | Family::EncoderDecoder { channels } => {
                within("the number of levels", channels.len(), 8)?;
                for &channels in channels {
                    within("the channels of a level", channels, 1024)?;
                }
                if let Family::Ladder { pairs, .. } = self {
                    within("pairs", *pairs, 16)?;
                }
                Ok(())
            }
            Family::MixedScaleDense { layers, width, largest_dilation } => {
                within("layers", *layers, 200)?;
                within("width", *width, 64)?;
                within("largest_dilation", *largest_dilation, 64)
            }
        }
    }
}

/// A network: its steps, the last of which gives the outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// How it was built.
    pub family: Family,
    /// Channels of the image: 1, or the number of frames or focus values.
    pub image_channels: usize,
    /// Number of species that it tells apart.
    pub species: usize,
    /// Whether it gives the wave behind the specimen besides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wave: bool,
    /// The steps in order.
    pub steps: Vec<Step>,
}

/// A convolution's sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvolutionSize {
    /// Number of the step.
    pub step: usize,
    /// Edge of the kernel.
    pub kernel: usize,
    /// Channels in.
    pub channels_in: usize,
    /// Channels out.
    pub channels_out: usize,
    /// Whether it is the last step: its weights are used as they are.
    pub is_head: bool,
    /// Whether it ends a residual.
    pub has_skip: bool,
}

impl Architecture {
    /// Builds a network.
    pub fn new(family: Family, image_channels: usize, species: usize) -> Architecture {
        let mut build = Builder { steps: vec![Step::Input { channels: 4 * image_channels }] };
        let last = match &family {
            Family::Ladder { channels, pairs } => build.ladder(channels, *pairs),
            Family::EncoderDecoder { channels } => build.encoder_decoder(channels),
            Family::MixedScaleDense { layers, width, largest_dilation } => {
                build.mixed_scale_dense(*layers, *width, *largest_dilation)
            }
        };
        let channels = Outputs { species, wave: false }.channels();
        build.convolution(last, channels, 1, 1, Activation::None, None);
        Architecture { family, image_channels, species, wave: false, steps: build.steps }
    }

    /// The same network that gives the wave behind the specimen besides.
    #[must_use]
    pub fn with_wave(mut self) -> Architecture {
        self.wave = true;
        let outputs = self.outputs().channels();
        if let Some(Step::Convolution { channels, .. }) = self.steps.last_mut() {
            *channels = outputs;
        }
        self
    }

    /// What its channels mean.
    pub(crate) fn outputs(&self) -> Outputs {
        Outputs { species: self.species, wave: self.wave }
    }

    /// Whether the steps are those that the family, the channels and the species give; if not, what is wrong. A file may
    /// say anything, and the other methods trust the steps.
    pub fn check(&self) -> Result<(), String> {
        self.family.check()?;
        if !(1..=64).contains(&self.image_channels) || !(1..=64).contains(&self.species) {
            return Err(format!(
                "{} image channels and {} species: expected 1 to 64 of each",
                self.image_channels, self.species
            ));
        }
        let plain = Architecture::new(self.family.clone(), self.image_channels, self.species);
        if *self != if self.wave { plain.with_wave() } else { plain } {
            return Err("its steps are not those of its family in this version".to_owned());
        }
        Ok(())
    }

    /// Channels of every step's result.
    pub fn channels(&self) -> Vec<usize> {
        let mut channels = Vec::<usize>::with_capacity(self.steps.len());
        for step in &self.steps {
            channels.push(match step {
                Step::Input { channels } | Step::Convolution { channels, .. } => *channels,
                Step::Pool { from } | Step::Upsample { from, .. } => channels[*from],
                Step::Concatenate { from } => from.iter().map(|&from| channels[from]).sum(),
            });
        }
        channels
    }

    /// How often each step's result has been halved.
    pub fn levels(&self) -> Vec<usize> {
        let mut levels = Vec::<usize>::with_capacity(self.steps.len());
        for step in &self.steps {
            levels.push(match step {
                Step::Input { .. } => 0,
                Step::Convolution { from, .. } => levels[*from],
                Step::Pool { from } => levels[*from] + 1,
                Step::Upsample { from, .. } => levels[*from] - 1,
                Step::Concatenate { from } => levels[from[0]],
            });
        }
        levels
    }

    /// The convolutions, in the order of their steps.
    pub fn convolutions(&self) -> Vec<ConvolutionSize> {
        let channels = self.channels();
        let sizes = self.steps.iter().enumerate().filter_map(|(index, step)| match step {
            Step::Convolution { from, channels: out, kernel, skip, .. } => Some(ConvolutionSize {
                step: index,
                kernel: *kernel,
                channels_in: channels[*from],
                channels_out: *out,
                is_head: index + 1 == self.steps.len(),
                has_skip: skip.is_some(),
            }),
            _ => None,
        });
        sizes.collect()
    }

    /// Both edges of an image must hold this many cells, or a multiple.
    pub fn cell_multiple(&self) -> usize {
        1 << self.levels().into_iter().max().unwrap_or(0)
    }

    /// How many cells away an input can still change an output, rounded up to the multiple that tiles need.
    pub fn reach_cells(&self) -> usize {
        let levels = self.levels();
        let mut reach = Vec::<usize>::with_capacity(self.steps.len());
        for (index, step) in self.steps.iter().enumerate() {
            let scale = 1 << levels[index];
            reach.push(match step {
                Step::Input { .. } => 0,
                Step::Convolution { from, kernel, dilation, skip, .. } => {
                    let own = reach[*from] + (kernel / 2) * dilation * scale;
                    own.max(skip.map_or(0, |skip| reach[skip]))
                }
                // A coarse place answers for all the fine ones in it.
                Step::Pool { from } => reach[*from] + scale / 2,
                Step::Upsample { from, skip } => (reach[*from] + scale).max(reach[*skip]),
                Step::Concatenate { from } => from.iter().map(|&from| reach[from]).max().unwrap_or(0),
            });
        }
        reach.last().copied().unwrap_or(0).next_multiple_of(self.cell_multiple())
    }

    /// Number of weights and biases.
    pub fn parameter_count(&self) -> usize {
        self.convolutions()
            .iter()
            .map(|size| size.channels_out * (size.kernel * size.kernel * size.channels_in + 1))
            .sum()
    }

    /// Multiplications for one cell of the finest level.
    pub fn multiplications_per_cell(&self) -> f64 {
        let levels = self.levels();
        let cost = |size: &ConvolutionSize| {
            (size.kernel * size.kernel * size.channels_in * size.channels_out) as f64
                / f64::powi(4.0, levels[size.step] as i32)
        };
        self.convolutions().iter().map(cost).sum()
    }
}

/// Appends steps; every method gives the number of the step whose result it is.
struct Builder {
    steps: Vec<Step>,
}

impl Builder {
    fn push(&mut self, step: Step) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }

    fn convolution(
        &mut self,
        from: usize,
        channels: usize,
        kernel: usize,
        dilation: usize,
        activation: Activation,
        skip: Option<usize>,
    ) -> usize {
        self.push(Step::Convolution { from, channels, kernel, dilation, activation, skip })
    }

    fn conv3(&mut self, from: usize, channels: usize) -> usize {
        self.convolution(from, channels, 3, 1, Activation::Relu, None)
    }

    /// `length` convolutions, the last of which adds the input of the first.
    fn residual(&mut self, from: usize, channels: usize, length: usize) -> usize {
        let mut last = from;
        for _ in 1..length {
            last = self.conv3(last, channels);
        }
        self.convolution(last, channels, 3, 1, Activation::Relu, Some(from))
    }

    fn ladder(&mut self, channels: &[usize], pairs: usize) -> usize {
        self.levels(channels, |build, last, channels| {
            (0..pairs).fold(last, |last, _| build.residual(last, channels, 2))
        })
    }

    fn encoder_decoder(&mut self, channels: &[usize]) -> usize {
        self.levels(channels, |build, last, channels| {
            let first = build.conv3(last, channels);
            let inner = build.residual(first, channels, 3);
            build.conv3(inner, channels)
        })
    }

    /// Down through the levels and up again, with `block` on each level both ways.
    fn levels(&mut self, channels: &[usize], block: impl Fn(&mut Builder, usize, usize) -> usize) -> usize {
        let mut kept = Vec::new();
        let mut last = 0;
        for (level, &width) in channels.iter().enumerate() {
            if level > 0 {
                last = self.push(Step::Pool { from: last });
            }
            last = self.conv3(last, width);
            last = block(self, last, width);
            kept.push(last);
        }
        kept.pop();
        for (&width, skip) in channels.iter().zip(kept).rev() {
            let narrowed = self.convolution(last, width, 1, 1, Activation::None, None);
            last = self.push(Step::Upsample { from: narrowed, skip });
            last = block(self, last, width);
        }
        last
    }

    fn mixed_scale_dense(&mut self, layers: usize, width: usize, largest_dilation: usize) -> usize {
        let mut seen = 0;
        for layer in 0..layers {
            let dilation = layer % largest_dilation + 1;
            let new = self.convolution(seen, width, 3, dilation, Activation::Relu, None);
            seen = self.push(Step::Concatenate { from: [seen, new] });
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_a_ladder() {
        let network = Architecture::new(Family::Ladder { channels: vec![32, 64, 96, 128], pairs: 1 }, 1, 1);
        assert_eq!(network.cell_multiple(), 8);
        assert_eq!(*network.channels().last().unwrap(), 7);
        // 1.9 billion multiplications for 128 x 128 cells.
        let total = network.multiplications_per_cell() * 128.0 * 128.0;
        assert!((1.7e9..2.2e9).contains(&total), "{total:e}");
        assert!(network.reach_cells().is_multiple_of(8) && network.reach_cells() > 40);
        assert!(network.convolutions().last().unwrap().is_head);
    }

    #[test]
    fn a_dense_network_sees_every_layer() {
        let family = Family::MixedScaleDense { layers: 10, width: 2, largest_dilation: 5 };
        let network = Architecture::new(family, 3, 4);
        assert_eq!(network.convolutions().last().unwrap().channels_in, 12 + 10 * 2);
        assert_eq!(network.reach_cells(), 2 * (1 + 2 + 3 + 4 + 5));
        assert_eq!(network.cell_multiple(), 1);
    }

    #[test]
    fn the_published_network_has_the_published_size() {
        // About 4.6 million parameters with 32 to 256 channels (docs of the method); ours folds the image first.
        let network = Architecture::new(Family::EncoderDecoder { channels: vec![32, 64, 128, 256] }, 1, 1);
        let count = network.parameter_count() as f64;
        assert!((4.0e6..6.5e6).contains(&count), "{count}");
    }
}
