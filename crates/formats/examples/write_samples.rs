//! Writes one file of every kind into a folder, for other programs to open:
//! `cargo run --release -p atomlens-formats --example write_samples FOLDER`
//! (`tests/check_with_python.py` does so and looks at them with ASE, NumPy, tifffile and mrcfile).

use std::error::Error;
use std::path::PathBuf;

use atomlens_core::glam::{DMat3, DVec3};
use atomlens_core::{Atom, Cell, Grid, SeedPath, Structure};
use atomlens_formats::xyz::{ExtraColumn, ExtraValues, write_extended_xyz, write_extended_xyz_frames};
use atomlens_formats::{Frames, PixelData, TruthRow, write_frames, write_npy, write_structure, write_truth};
use ndarray::{Array2, Array4};
use num_complex::Complex32;
use rand::RngExt;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: write_samples FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    structures(&folder)?;
    arrays(&folder)?;
    images(&folder)?;
    let row = |x_px: f64, species: &str| TruthRow {
        x_px,
        y_px: 2.5,
        x_nm: x_px * 0.0123,
        y_nm: 2.5 * 0.0123,
        species: species.to_owned(),
        atoms: 7,
    };
    write_truth(&folder.join("truth.csv"), &[row(10.123_456, "Au"), row(-1e-9, "S2")])?;
    Ok(())
}

fn structures(folder: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let mut random = SeedPath::new(1).stream();
    let cell = Cell::from_lengths_and_angles([11.3, 12.7, 9.1], [81.0, 97.0, 112.0]);
    let symbols = ["Sr", "Ti", "O"];
    let mut atoms = Vec::new();
    for index in 0..60_u32 {
        let fractional = DVec3::new(random.random(), random.random(), random.random());
        let mut atom = Atom::new(symbols[index as usize % 3].parse()?, cell.vectors_angstrom * fractional);
        atom.column = (index % 5 != 0).then_some(index / 5);
        atom.rms_displacement_angstrom = (index % 3 == 0).then_some(0.08);
        atoms.push(atom);
    }
    let full = Structure { atoms, cell: Some(cell) };
    write_structure(&folder.join("full.cif"), &full)?;
    let heights: Vec<f64> = full.atoms.iter().map(|atom| atom.position_angstrom.z).collect();
    let sites: Vec<i64> = (0..60).collect();
    let extra = [
        ExtraColumn { name: "height_angstrom", values: ExtraValues::Real(&heights) },
        ExtraColumn { name: "site", values: ExtraValues::Integer(&sites) },
    ];
    write_extended_xyz(&folder.join("full.xyz"), &full, &extra)?;

    let mut mixed = full.clone();
    for atom in &mut mixed.atoms {
        atom.occupancy = 0.75;
    }
    let ceria = Atom { occupancy: 0.25, ..Atom::new("Zr".parse()?, mixed.atoms[0].position_angstrom) };
    mixed.atoms.push(ceria);
    mixed.cell = Some(Cell { periodic: [true, true, false], ..cell });
    write_structure(&folder.join("mixed.cif"), &mixed)?;
    write_structure(&folder.join("mixed.xyz"), &mixed)?;

    let cluster = Structure { cell: None, ..full.clone() };
    write_structure(&folder.join("cluster.xyz"), &cluster)?;
    let turned = Structure {
        cell: Some(Cell { vectors_angstrom: DMat3::from_rotation_z(0.3) * cell.vectors_angstrom, ..cell }),
        ..full.clone()
    };
    write_structure(&folder.join("turned.xyz"), &turned)?;
    write_extended_xyz_frames(&folder.join("movie.xyz"), &[cluster, full, turned])?;
    Ok(())
}

fn arrays(folder: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let wave = Array2::from_shape_fn((3, 5), |(y, x)| Complex32::new(y as f32, x as f32 + 0.5));
    write_npy(&folder.join("wave.npy"), wave.view())?;
    // Stored column by column: the file must be in C order all the same.
    write_npy(&folder.join("turned.npy"), wave.mapv(|v| v.re * 10.0 + v.im).reversed_axes().view())?;
    write_npy(&folder.join("double.npy"), wave.mapv(|v| f64::from(v.im)).view())?;
    Ok(())
}

/// Pixels whose value tells where they are.
fn pixel(frame: usize, focus: usize, y: usize, x: usize) -> usize {
    ((frame * 3 + focus) * 37 + y) * 53 + x
}

fn images(folder: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let grid = Grid { nx: 53, ny: 37, pixel_x_angstrom: 0.123, pixel_y_angstrom: 0.25 };
    for (name, frames, focus_values) in [("image", 1, 1), ("movie", 4, 1), ("series", 1, 3), ("both", 4, 3)] {
        let numbers = Array4::from_shape_fn((frames, focus_values, 37, 53), |(t, f, y, x)| pixel(t, f, y, x));
        let bytes = numbers.mapv(|v| (v % 251) as u8);
        let words = numbers.mapv(|v| v as u16 + 30_000);
        let floats = numbers.mapv(|v| v as f32 * 0.37 - 100.0);
        for ending in ["npy", "tif", "mrc"] {
            let write = |kind: &str, data: PixelData<'_>| {
                write_frames(&folder.join(format!("{name}_{kind}.{ending}")), &Frames::new(data, &grid))
            };
            write("u8", bytes.view().into())?;
            write("u16", words.view().into())?;
            write("f32", floats.view().into())?;
        }
    }
    Ok(())
}
