//! Pixel sizes from the lattice alone: images of an independent simulator (`shared/reference`) and micrographs that this
//! project did not make (`shared/data/micrographs`). Where the data are absent the tests say so and pass.
#![allow(clippy::print_stdout, reason = "figures, and which data are absent")]

use std::path::{Path, PathBuf};

use atomlens_analysis::lattice::{KnownLattice, NoLattice, PixelSizeEstimate, estimate_pixel_size};
use ndarray::{Array2, Array3, Axis, s};

/// Pixel sizes that an atomic-resolution micrograph may have, in angstrom.
const RANGE: (f64, f64) = (0.03, 0.5);

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED: {} is absent", path.display());
    None
}

fn lattices(names: &[&str]) -> Vec<KnownLattice> {
    names.iter().map(|name| KnownLattice::named(name).unwrap()).collect()
}

/// Just enough of the NPY format for these files: little-endian, C order; shape and data.
fn npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.contains("'fortran_order': False"));
    let shape = header.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let shape = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let data = &bytes[10 + length..];
    let values = if header.contains("'<f4'") {
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    } else {
        assert!(header.contains("'|u1'"), "{header}");
        data.iter().map(|&value| f32::from(value)).collect()
    };
    (shape, values)
}

/// Prints the answer and tells by how many percent it is off.
fn show(what: &str, truth: f64, answer: &Result<PixelSizeEstimate, NoLattice>) -> Option<f64> {
    match answer {
        Ok(found) => {
            let off = 100.0 * (found.pixel_angstrom / truth - 1.0);
            let (score, margin) = (found.best.score, found.margin);
            println!("{what}: {off:+.2} %, score {score:.0}, margin {margin:.0}: {}", found.summary());
            Some(off)
        }
        Err(error) => {
            println!("{what}: {error}");
            None
        }
    }
}

#[test]
fn nanoparticles() {
    let Some(folder) = shared("reference/nanoparticles") else { return };
    let meta: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("meta.json")).unwrap()).unwrap();
    let mut right = 0;
    let mut all = 0;
    for entry in meta.as_array().unwrap() {
        let index = entry["image"].as_u64().unwrap();
        let (shape, values) = npy(&folder.join(format!("image_{index:03}.npy")));
        let image = Array2::from_shape_vec((shape[0], shape[1]), values).unwrap();
        let truth = entry["sampling_A"].as_f64().unwrap();
        let answer = estimate_pixel_size(image.view(), &lattices(&["Au"]), RANGE);
        let what =
            format!("{index:2} dose {:6.0} atoms {:5}", entry["dose_e_per_A2"].as_f64().unwrap(), entry["atoms"]);
        let off = show(&what, truth, &answer);
        all += 1;
        right += usize::from(off.is_some_and(|off| off.abs() < 2.0));
    }
    println!("{right} of {all}");
}

#[test]
fn platinum_on_ceria() {
    let Some(path) = shared("data/micrographs/pt_ceo2_movie_raw.npy") else { return };
    let (shape, values) = npy(&path);
    let movie = Array3::from_shape_vec((shape[0], shape[1], shape[2]), values).unwrap();
    let sum = movie.sum_axis(Axis(0));
    for names in [&["Pt"] as &[&str], &["CeO2"], &["Pt", "CeO2"]] {
        show(&format!("sum {names:?}"), 0.198, &estimate_pixel_size(sum.view(), &lattices(names), RANGE));
    }
    for frame in movie.outer_iter() {
        show("frame", 0.198, &estimate_pixel_size(frame, &lattices(&["Pt", "CeO2"]), RANGE));
    }
}

#[test]
fn graphene() {
    let Some(path) = shared("data/micrographs/graphene_80kV.tif") else { return };
    let image = tiff_image(&path);
    let start = std::time::Instant::now();
    let answer = estimate_pixel_size(image.view(), &lattices(&["graphene"]), RANGE);
    println!("{:?}", start.elapsed());
    show("graphene", 0.1195496, &answer);
    let part = image.slice(s![0..256, 300..556]);
    show("graphene, 256", 0.1195496, &estimate_pixel_size(part, &lattices(&["graphene"]), RANGE));
}

fn tiff_image(path: &Path) -> Array2<f32> {
    let mut decoder = tiff::decoder::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    let values = match decoder.read_image().unwrap() {
        tiff::decoder::DecodingResult::F32(values) => values,
        tiff::decoder::DecodingResult::U16(values) => values.into_iter().map(f32::from).collect(),
        _ => panic!("expected 32-bit floats or 16-bit integers"),
    };
    Array2::from_shape_vec((height as usize, width as usize), values).unwrap()
}

#[test]
fn speed() {
    let image = Array2::from_shape_fn((512, 512), |(j, i)| {
        let (x, y) = (i as f32, j as f32);
        (0.3 * x).cos() + (0.15 * x + 0.2598 * y).cos() + ((i * 7919 + j * 104729) % 1009) as f32 / 300.0
    });
    for _ in 0..3 {
        let start = std::time::Instant::now();
        let spectrum = atomlens_analysis::lattice::Spectrum::new(image.view()).unwrap();
        let first = start.elapsed();
        let _ = estimate_pixel_size(image.view(), &lattices(&["Au", "Pt", "CeO2", "graphene"]), RANGE);
        println!("{} peaks {first:?} {:?}", spectrum.peaks.len(), start.elapsed() - first);
    }
}
