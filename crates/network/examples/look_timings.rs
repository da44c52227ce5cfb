//! Milliseconds that a network needs for images of several sizes, as JSON, for comparison with another program (see
//! benches/against_onnxruntime).
//!
//! `cargo run --release -p atomlens-network --example look_timings -- FOLDER 256 1024`
//!
//! Takes FOLDER/timed.safetensors if it is there; else draws the network and writes it. FOLDER/timed.onnx is written anew.
//! `run` is the network alone, from a folded image to its raw result; `look` all that `Network::look` does.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use atomlens_core::SeedPath;
use atomlens_network::{
    Architecture, Family, LearnerState, Network, network_from_bytes, network_to_bytes, network_to_onnx,
};
use ndarray::Array3;
use rand::RngExt;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: look_timings FOLDER EDGE_PX ..")?);
    fs::create_dir_all(&folder)?;
    let path = folder.join("timed.safetensors");
    if !path.exists() {
        let architecture = Architecture::new(Family::Ladder { channels: vec![32, 64, 96, 128], pairs: 1 }, 1, 1);
        let weights = LearnerState::draw(&architecture, SeedPath::new(1)).weights(&architecture);
        fs::write(&path, network_to_bytes(&Network::new(architecture, weights)?))?;
    }
    let network = network_from_bytes(&fs::read(&path)?)?;
    fs::write(folder.join("timed.onnx"), network_to_onnx(&network, &[]))?;
    let architecture = network.architecture();
    let species: Vec<String> = (0..architecture.species).map(|index| format!("species {index}")).collect();

    let mut results = Vec::new();
    for edge in arguments {
        let edge: usize = edge.parse()?;
        let cells = edge.div_ceil(2).next_multiple_of(architecture.cell_multiple());
        let mut random = SeedPath::new(3).stream();
        let shape = (architecture.image_channels, edge, edge);
        let image = Array3::from_shape_simple_fn(shape, || random.random_range(-2.0_f32..2.0));
        let folded: Vec<f32> =
            (0..4 * architecture.image_channels * cells * cells).map(|_| random.random_range(-2.0..2.0)).collect();
        let run = timed(|| drop(network.run(folded.clone(), 1, cells, cells)));
        let look = timed(|| drop(network.look(image.view(), 0.2, &species)));
        let gflop = 2e-9 * architecture.multiplications_per_cell() * (cells * cells) as f64;
        results.push(json!({ "edge_px": edge, "gflop": gflop, "run_ms": run, "look_ms": look }));
    }
    println!("{}", serde_json::to_string(&results)?);
    Ok(())
}

/// Milliseconds of each of several runs, after one that is not counted: for at least three seconds, and five times.
fn timed(mut work: impl FnMut()) -> Vec<f64> {
    work();
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || (start.elapsed().as_secs_f64() < 3.0 && times.len() < 200) {
        let one = Instant::now();
        work();
        times.push(1e3 * one.elapsed().as_secs_f64());
    }
    times
}
