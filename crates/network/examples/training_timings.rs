//! Milliseconds of a training step and of a look at an image, for a network of the given family and size.
//!
//! `cargo run --release -p atomlens-network --example training_timings -- 32,64,96,128 192 8`

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Instant;

use atomlens_core::SeedPath;
use atomlens_network::{Architecture, Batch, Device, Family, Learner, LearnerState, Network};
use rand::RngExt;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, otherwise: &str| arguments.get(index).cloned().unwrap_or(otherwise.to_owned());
    let channels = argument(0, "32,64,96,128").split(',').map(|text| text.parse().expect("a number")).collect();
    let field_px: usize = argument(1, "192").parse().expect("a number");
    let images: usize = argument(2, "8").parse().expect("a number");

    let architecture = Architecture::new(Family::Ladder { channels, pairs: 1 }, 1, 1);
    println!(
        "{} parameters, {:.2} GFLOP forward for {field_px} x {field_px} pixels, reach {} cells",
        architecture.parameter_count(),
        2e-9 * architecture.multiplications_per_cell() * (field_px * field_px) as f64 / 4.0,
        architecture.reach_cells()
    );
    let state = LearnerState::draw(&architecture, SeedPath::new(1));
    let mut learner = Learner::new(architecture.clone(), Device::Cpu, &state);
    let side = field_px / 2;
    let mut batch = Batch::of_size(side, side);
    let cells = images * side * side;
    let mut random = SeedPath::new(2).stream();
    batch.images = images;
    batch.input = (0..4 * cells).map(|_| random.random_range(-1.0..1.0)).collect();
    batch.share = vec![0.03; cells];
    batch.offset_cells = vec![0.0; 2 * cells];
    batch.atoms = vec![3.0; cells];
    batch.near_column = vec![0.3; cells];
    batch.counted = vec![1.0; cells];
    for _ in 0..5 {
        let start = Instant::now();
        learner.step(&batch, 1e-3);
        println!("training step of {images} images: {:.0} ms", 1e3 * start.elapsed().as_secs_f64());
    }
    let network = Network::new(architecture.clone(), learner.state().weights(&architecture)).expect("weights fit");
    for _ in 0..5 {
        let start = Instant::now();
        network.run(batch.input[..4 * side * side].to_vec(), 1, side, side);
        println!("look at one image: {:.1} ms", 1e3 * start.elapsed().as_secs_f64());
    }
}
