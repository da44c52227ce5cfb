//! The operations against the framework's own, by value and by gradient; and a network that learns.

use atomlens_core::SeedPath;
use burn_autodiff::Autodiff;
use burn_flex::Flex;
use burn_tensor::ops::{ConvOptions, PaddedConvOptions};
use burn_tensor::{Distribution, Tensor};
use rand::RngExt;

use super::operations::Convolution;
use super::{Device, Learner, LearnerState, differentiable};
use crate::architecture::{Activation, Architecture, Family};
use crate::batch::Batch;

type Tracked = Autodiff<Flex>;

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<Tracked, D> {
    let mut stream = SeedPath::new(seed).stream();
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.random_range(-1.0..1.0)).collect();
    Tensor::from_data(burn_tensor::TensorData::new(values, shape), &Default::default())
}

fn close<const D: usize>(ours: Tensor<Flex, D>, theirs: Tensor<Flex, D>, what: &str) {
    let scale = theirs.clone().abs().max().into_scalar();
    let difference = (ours - theirs).abs().max().into_scalar();
    assert!(difference <= 1e-5 * scale, "{what}: {difference} of {scale}");
}

#[test]
fn a_convolution_agrees_with_the_frameworks_own() {
    for (kernel, dilation, channels_in, channels_out) in [(3, 1, 5, 8), (3, 2, 8, 17), (1, 1, 24, 7), (3, 1, 16, 32)] {
        let input = random([2, 12, 10, channels_in], 1).require_grad();
        let weight = random([kernel, kernel, channels_in, channels_out], 2).require_grad();
        let bias = random([channels_out], 3).require_grad();
        let skip = random([2, 12, 10, channels_out], 4).require_grad();
        let upstream = random([2, 12, 10, channels_out], 5);

        let how = Convolution { kernel, dilation, activation: Activation::Relu };
        let ours =
            differentiable::convolution::<Flex>(input.clone(), weight.clone(), bias.clone(), Some(skip.clone()), how);
        let our_gradients = (ours.clone() * upstream.clone()).sum().backward();

        let reach = (kernel / 2) * dilation;
        let options = ConvOptions::new([1, 1], [reach, reach], [dilation, dilation], 1);
        let theirs = burn_tensor::module::conv2d(
            input.clone().permute([0, 3, 1, 2]),
            weight.clone().permute([3, 2, 0, 1]),
            Some(bias.clone()),
            PaddedConvOptions::from(options),
        );
        let theirs = burn_tensor::activation::relu(theirs.permute([0, 2, 3, 1]) + skip.clone());
        let their_gradients = (theirs.clone() * upstream).sum().backward();

        close(ours.inner(), theirs.inner(), "values");
        let both = |tensor: &Tensor<Tracked, 4>| {
            (tensor.grad(&our_gradients).unwrap(), tensor.grad(&their_gradients).unwrap())
        };
        for (tensor, what) in [(&input, "input"), (&weight, "weight"), (&skip, "skip")] {
            let (ours, theirs) = both(tensor);
            close(ours, theirs, what);
        }
        close(bias.grad(&our_gradients).unwrap(), bias.grad(&their_gradients).unwrap(), "bias");
    }
}

#[test]
fn pooling_and_upsampling_agree_with_the_frameworks_own() {
    let large = random([2, 8, 6, 5], 1).require_grad();
    let ours = differentiable::pool::<Flex>(large.clone());
    let theirs = large.clone().reshape([2, 4, 2, 3, 2, 5]).mean_dim(2).mean_dim(4).reshape([2, 4, 3, 5]);
    let upstream = random([2, 4, 3, 5], 3);
    let our_gradients = (ours.clone() * upstream.clone()).sum().backward();
    let their_gradients = (theirs.clone() * upstream).sum().backward();
    close(ours.inner(), theirs.inner(), "pool");
    close(large.grad(&our_gradients).unwrap(), large.grad(&their_gradients).unwrap(), "gradient of pool");

    let (small, large) = (random([2, 4, 3, 5], 5).require_grad(), random([2, 8, 6, 5], 6).require_grad());
    let ours = differentiable::upsample_add::<Flex>(small.clone(), large.clone());
    let theirs =
        small.clone().reshape([2, 4, 1, 3, 1, 5]).expand([2, 4, 2, 3, 2, 5]).reshape([2, 8, 6, 5]) + large.clone();
    let upstream = random([2, 8, 6, 5], 4);
    let our_gradients = (ours.clone() * upstream.clone()).sum().backward();
    let their_gradients = (theirs.clone() * upstream).sum().backward();
    close(ours.inner(), theirs.inner(), "upsample");
    close(small.grad(&our_gradients).unwrap(), small.grad(&their_gradients).unwrap(), "gradient of upsample");
    close(large.grad(&our_gradients).unwrap(), large.grad(&their_gradients).unwrap(), "gradient of skip");
}

#[test]
fn random_numbers_of_the_framework_are_not_used() {
    // Two learners from one seed are the same, and so is what they learn: nothing comes from the framework's own
    // generator, which other code may have drawn from.
    let first = learned(60).1;
    let _ = Tensor::<Flex, 1>::random([10], Distribution::Default, &Default::default());
    assert_eq!(first, learned(60).1);
}

#[test]
fn training_that_is_resumed_goes_on_as_if_it_had_not_stopped() {
    let architecture = small_network();
    let batch = dots(3);
    let start = LearnerState::draw(&architecture, SeedPath::new(7));
    let mut whole = Learner::new(architecture.clone(), Device::Cpu, &start);
    let mut first = Learner::new(architecture.clone(), Device::Cpu, &start);
    for _ in 0..4 {
        whole.step(&batch, 1e-3);
    }
    for _ in 0..2 {
        first.step(&batch, 1e-3);
    }
    let mut second = Learner::new(architecture, Device::Cpu, &first.state());
    for _ in 0..2 {
        second.step(&batch, 1e-3);
    }
    assert_eq!(whole.state(), second.state());
}

#[test]
fn a_small_network_learns_to_find_dots() {
    let (losses, _) = learned(150);
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.4 * first, "{first} -> {last}");
}

fn small_network() -> Architecture {
    Architecture::new(Family::Ladder { channels: vec![8, 8], pairs: 1 }, 1, 1)
}

fn learned(steps: u64) -> (Vec<f32>, LearnerState) {
    let architecture = small_network();
    let mut learner =
        Learner::new(architecture.clone(), Device::Cpu, &LearnerState::draw(&architecture, SeedPath::new(11)));
    let losses = (0..steps).map(|step| learner.step(&dots(step), 3e-3).share).collect();
    (losses, learner.state())
}

/// Images with bright cells in noise, each a column.
fn dots(seed: u64) -> Batch {
    let (images, side) = (2, 16);
    let mut stream = SeedPath::new(seed).stream();
    let cells = images * side * side;
    let mut batch = Batch::of_size(side, side);
    batch.images = images;
    batch.input = (0..4 * cells).map(|_| stream.random_range(-0.5..0.5)).collect();
    batch.share = vec![0.0; cells];
    batch.offset_cells = vec![0.0; 2 * cells];
    batch.atoms = vec![3.0; cells];
    batch.near_column = vec![0.0; cells];
    batch.counted = vec![1.0; cells];
    for _ in 0..20 {
        let cell = stream.random_range(0..cells);
        batch.input[4 * cell..4 * cell + 4].fill(1.5);
        batch.share[cell] = 1.0;
        batch.near_column[cell] = 1.0;
    }
    batch
}
