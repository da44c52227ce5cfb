//! Writes networks as ONNX files into a folder, each with an image and what the network says of it, for comparison with
//! another program (see benches/against_onnxruntime).
//!
//! `cargo run --release -p atomlens-network --example export_onnx -- FOLDER [NETWORK.safetensors ..]`
//!
//! Without a network's file it takes three of random weights, one of each family. For every network NAME.onnx, and for
//! every image `NAME_YxX.image.f32`, `NAME_YxX.share.f32` and so on: little-endian, in C order, with their shapes in
//! `manifest.json`.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use atomlens_core::SeedPath;
use atomlens_network::{Architecture, Family, LearnerState, Network, network_from_bytes, network_to_onnx};
use ndarray::Array3;
use rand::RngExt;
use serde_json::{Value, json};

/// Images' heights and widths: one that the levels divide, one that has to be padded, one of a single cell.
const SIZES: [(usize, usize); 3] = [(192, 256), (101, 150), (2, 2)];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let folder = arguments.next().ok_or("usage: export_onnx FOLDER [NETWORK.safetensors ..]")?;
    fs::create_dir_all(&folder)?;
    let mut networks = Vec::new();
    for path in arguments {
        let name = path.file_stem().ok_or("a file's name is missing")?.to_string_lossy().into_owned();
        networks.push((name, network_from_bytes(&fs::read(&path)?)?));
    }
    if networks.is_empty() {
        networks = drawn()?;
    }
    let mut manifest = Vec::new();
    for (name, network) in &networks {
        let about = [("name".to_owned(), name.clone())];
        let bytes = network_to_onnx(network, &about);
        fs::write(folder.join(format!("{name}.onnx")), &bytes)?;
        println!("{name}: {} parameters, {} bytes", network.architecture().parameter_count(), bytes.len());
        for (height, width) in SIZES {
            let run = format!("{name}_{height}x{width}");
            manifest
                .push(json!({ "network": name, "run": run, "arrays": looked(&folder, &run, network, height, width)? }));
        }
    }
    fs::write(folder.join("manifest.json"), serde_json::to_string_pretty(&manifest)?)?;
    Ok(())
}

/// One of each family, for two frames and three species.
fn drawn() -> Result<Vec<(String, Network)>, String> {
    let families = [
        ("ladder", Family::Ladder { channels: vec![32, 64, 96, 128], pairs: 1 }),
        ("encoder_decoder", Family::EncoderDecoder { channels: vec![16, 32, 64] }),
        ("mixed_scale_dense", Family::MixedScaleDense { layers: 30, width: 2, largest_dilation: 10 }),
    ];
    let made = |(name, family): (&str, Family)| {
        let architecture = Architecture::new(family, 2, 3);
        let mut weights = LearnerState::draw(&architecture, SeedPath::new(1)).weights(&architecture);
        // Networks are drawn without biases, and with a last step that says little.
        let mut random = SeedPath::new(2).stream();
        weights.0.iter_mut().flat_map(|one| &mut one.bias).for_each(|bias| *bias = random.random_range(-0.2..0.2));
        weights.0.last_mut().into_iter().flat_map(|one| &mut one.weight).for_each(|weight| *weight *= 5.0);
        Ok((name.to_owned(), Network::new(architecture, weights)?))
    };
    families.into_iter().map(made).collect()
}

/// Writes an image and what the network says of it; gives the shapes.
fn looked(folder: &Path, run: &str, network: &Network, height: usize, width: usize) -> Result<Value, Box<dyn Error>> {
    let architecture = network.architecture();
    let species: Vec<String> = (0..architecture.species).map(|index| format!("species {index}")).collect();
    let mut random = SeedPath::new(3).stream();
    let image = Array3::from_shape_simple_fn((architecture.image_channels, height, width), || {
        random.random_range(-2.0_f32..2.0)
    });
    let map = network.look(image.view(), 0.2, &species);
    let mut shapes = serde_json::Map::new();
    for (name, array) in [
        ("image", image.into_dyn()),
        ("share", map.share.into_dyn()),
        ("offset_cells", map.offset_cells.into_dyn()),
        ("offset_sigma_cells", map.offset_sigma_cells.into_dyn()),
        ("atoms", map.atoms.into_dyn()),
        ("atoms_sigma", map.atoms_sigma.into_dyn()),
    ] {
        let bytes: Vec<u8> = array.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(folder.join(format!("{run}.{name}.f32")), bytes)?;
        shapes.insert(name.to_owned(), json!(array.shape()));
    }
    Ok(Value::Object(shapes))
}
