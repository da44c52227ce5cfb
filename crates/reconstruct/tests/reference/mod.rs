//! The focal series of MoS2 that an independent simulator made (abTEM 1.0.11), in `shared/reference/mos2`.
#![allow(dead_code, reason = "every test that includes this uses a part of it")]

use std::path::PathBuf;

use atomlens_reconstruct::FocalSeries;
use ndarray::Array3;
use serde_json::Value;

/// A series with its truth.
pub(crate) struct Known {
    /// The images as they were made, nothing moved.
    pub(crate) series: FocalSeries,
    /// Electrons per square angstrom for each image.
    pub(crate) dose_e_per_a2: f64,
    /// Spherical aberration in angstrom.
    pub(crate) cs_angstrom: f64,
    /// Twofold astigmatism in angstrom.
    pub(crate) c12_angstrom: f64,
}

/// Width of the transfer function, `c3`, and its steepness, `c4`, of each series: drawn by `generate.py` and not written to `meta.json`;
/// printed by the same calls to the same random numbers (seed 200).
pub(crate) const MTF: [[f64; 2]; 12] = [
    [0.411, 2.524],
    [0.590, 2.989],
    [0.430, 2.499],
    [0.518, 2.982],
    [0.404, 2.300],
    [0.554, 2.831],
    [0.484, 2.676],
    [0.409, 2.844],
    [0.581, 2.839],
    [0.523, 2.479],
    [0.413, 2.769],
    [0.575, 2.959],
];

/// All series, or `None`, aloud, if the folder is absent.
pub(crate) fn load() -> Option<Vec<Known>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/mos2");
    if !folder.is_dir() {
        println!("SKIPPED: {} is absent, so nothing is compared with the independent simulator", folder.display());
        return None;
    }
    let meta: Value = serde_json::from_slice(&std::fs::read(folder.join("meta.json")).unwrap()).unwrap();
    let number = |entry: &Value, name: &str| entry[name].as_f64().unwrap();
    let known = meta.as_array().unwrap().iter().enumerate().map(|(index, entry)| Known {
        series: FocalSeries {
            images: stack(&std::fs::read(folder.join(format!("series_{index:03}.npy"))).unwrap()),
            pixel_angstrom: number(entry, "sampling_A"),
            energy_ev: number(entry, "energy"),
            defocus_angstrom: entry["defocus_A"].as_array().unwrap().iter().map(|f| f.as_f64().unwrap()).collect(),
            defocus_is_absolute: true,
        },
        dose_e_per_a2: number(entry, "dose_e_per_A2"),
        cs_angstrom: number(entry, "Cs"),
        c12_angstrom: number(entry, "C12"),
    });
    Some(known.collect())
}

/// Just enough of the NPY format for these files: little-endian single precision, C order, three dimensions.
fn stack(bytes: &[u8]) -> Array3<f32> {
    let header_length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + header_length]).unwrap();
    assert!(header.contains("'fortran_order': False") && header.contains("'<f4'"), "{header}");
    let shape = header.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let shape: Vec<usize> = shape.split(',').map(|n| n.trim().parse().unwrap()).collect();
    let values =
        bytes[10 + header_length..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Array3::from_shape_vec((shape[0], shape[1], shape[2]), values).unwrap()
}
