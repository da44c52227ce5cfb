//! Speed of the convolutions of a network: billions of floating-point operations a second, the best of several runs.
//!
//! `cargo run --release -p atomlens-network --example convolution_timings [REPEATS]`

#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::time::{Duration, Instant};

use atomlens_network::kernel::{Activation, ConvolutionShape, backward_input, backward_weight, forward};

fn main() {
    let repeats: usize = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(10);
    println!("{} threads, best of {repeats}, GFLOP/s", rayon::current_num_threads());
    println!("{:<36} {:>8} {:>15} {:>16}", "shape", "forward", "backward_input", "backward_weight");
    let shapes: [(usize, usize, usize, usize, usize); 12] = [
        (8, 128, 24, 24, 1),
        (8, 128, 32, 32, 1),
        (8, 64, 64, 64, 1),
        (8, 32, 96, 96, 1),
        (8, 16, 128, 128, 1),
        (8, 64, 48, 48, 1),
        (8, 128, 1, 24, 1),
        (8, 128, 4, 24, 1),
        (8, 128, 32, 1, 1),
        (8, 128, 24, 24, 4),
        (4, 128, 50, 1, 5),
        (4, 128, 100, 1, 10),
    ];
    for (batch, side, channels_in, channels_out, dilation) in shapes {
        let shape =
            ConvolutionShape { batch, height: side, width: side, channels_in, channels_out, kernel: 3, dilation };
        let ramp = |count: usize| (0..count).map(|i| (i % 17) as f32 * 0.1 - 0.8).collect::<Vec<f32>>();
        let (input, weight, bias) = (ramp(shape.input_len()), ramp(shape.weight_len()), ramp(channels_out));
        let gradient = ramp(shape.output_len());
        let mut out = vec![0.0; shape.output_len()];
        let mut grad_in = vec![0.0; shape.input_len()];
        let mut grad_weight = vec![0.0; shape.weight_len()];
        let mut grad_bias = vec![0.0; channels_out];
        let rate = |time: Duration| shape.operations() as f64 / time.as_secs_f64() * 1e-9;
        let ahead = rate(best(repeats, || forward(&shape, &input, &weight, &bias, None, Activation::Relu, &mut out)));
        let back = rate(best(repeats, || backward_input(&shape, &gradient, &weight, &mut grad_in)));
        let weights =
            rate(best(repeats, || backward_weight(&shape, &input, &gradient, &mut grad_weight, &mut grad_bias)));
        let name = format!("{batch}x{side}x{side} {channels_in}->{channels_out} dilation {dilation}");
        println!("{name:<36} {ahead:>8.1} {back:>15.1} {weights:>16.1}");
    }
}

fn best(repeats: usize, mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..repeats {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed());
    }
    best
}
