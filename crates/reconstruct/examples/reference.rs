//! Reconstructs the series of a folder of reference data (`series_NNN.npy`, `meta.json`) and writes the waves:
//! `reference FOLDER OUT [--jitter] [--steps-only] [--only N,N] [--start FOLDER]`. `benches/focal_series/judge_wave.py` compares them
//! with the truth. With `--start` the solutions begin with the waves of a folder (`NNN/exit_wave.npy`, as `atomlens reconstruct`
//! writes them).
#![allow(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::path::Path;
use std::time::Instant;

use atomlens_core::{Grid, SeedPath};
use atomlens_reconstruct::{FocalSeries, Settings, reconstruct};
use ndarray::{Array2, Array3, Axis};
use num_complex::Complex;
use rand::RngExt;
use serde_json::{Value, json};

/// Just enough of the NPY format for these files: the numbers of the shape, and the bytes of what is little-endian and in C order.
fn contents(path: &Path) -> (Vec<usize>, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let header_length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + header_length]).expect("a header in ASCII");
    let shape = header.split("'shape': (").nth(1).expect("a shape").split(')').next().expect("its end");
    let shape: Vec<usize> = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    (shape, bytes[10 + header_length..].to_vec())
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4")))
}

fn read(path: &Path) -> Array3<f32> {
    let (shape, bytes) = contents(path);
    Array3::from_shape_vec((shape[0], shape[1], shape[2]), numbers(&bytes).collect())
        .expect("as many values as promised")
}

fn read_wave(path: &Path) -> Array2<Complex<f32>> {
    let (shape, bytes) = contents(path);
    let parts: Vec<f32> = numbers(&bytes).collect();
    let values = parts.chunks_exact(2).map(|part| Complex::new(part[0], part[1])).collect();
    Array2::from_shape_vec((shape[0], shape[1]), values).expect("as many values as promised")
}

fn write(path: &Path, wave: &Array2<Complex<f32>>) {
    let (ny, nx) = wave.dim();
    let mut header = format!("{{'descr': '<c8', 'fortran_order': False, 'shape': ({ny}, {nx}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for value in wave {
        bytes.extend(value.re.to_le_bytes());
        bytes.extend(value.im.to_le_bytes());
    }
    std::fs::write(path, bytes).expect("the folder can be written to");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, out) = (Path::new(&arguments[0]), Path::new(&arguments[1]));
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let only: Option<Vec<usize>> = arguments
        .iter()
        .position(|argument| argument == "--only")
        .map(|at| arguments[at + 1].split(',').map(|n| n.parse().expect("numbers")).collect());
    std::fs::create_dir_all(out).expect("a folder to write to");
    let meta: Value =
        serde_json::from_slice(&std::fs::read(folder.join("meta.json")).expect("meta.json")).expect("JSON");
    for entry in meta.as_array().expect("a list of series") {
        let index = entry["series"].as_u64().expect("a number") as usize;
        if only.as_ref().is_some_and(|only| !only.contains(&index)) {
            continue;
        }
        let mut images = read(&folder.join(format!("series_{index:03}.npy")));
        let pixel_angstrom = entry["sampling_A"].as_f64().expect("a pixel size");
        let nominal: Vec<f64> =
            entry["defocus_A"].as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect();
        let energy_ev = entry["energy"].as_f64().expect("an energy");
        let mut given = nominal.clone();
        let mut shifts = vec![[0.0; 2]; nominal.len()];
        if has("--jitter") {
            let mut random = SeedPath::new(5).child("jitter").index(index as u64).stream();
            for image in 1..nominal.len() {
                let step = nominal[image] - nominal[image - 1];
                given[image] = given[image - 1] + step * random.random_range(0.9..1.1);
                shifts[image] = [random.random_range(-1.0..1.0), random.random_range(-1.0..1.0)];
                let (ny, nx) = (images.dim().1, images.dim().2);
                let grid = Grid { nx, ny, pixel_x_angstrom: pixel_angstrom, pixel_y_angstrom: pixel_angstrom };
                let moved = images.index_axis(Axis(0), image).to_owned();
                let moved = atomlens_simulate::resample::shift(&moved, grid, shifts[image]).expect("a sound image");
                images.index_axis_mut(Axis(0), image).assign(&moved);
            }
        }
        let mut steps_only = true;
        if has("--steps-only") {
            let first = given[0];
            given.iter_mut().for_each(|value| *value -= first);
        } else {
            steps_only = false;
        }
        let series = FocalSeries {
            images,
            pixel_angstrom,
            energy_ev,
            defocus_angstrom: given.clone(),
            defocus_is_absolute: !steps_only,
        };
        let mut settings = Settings::default();
        let number = |name: &str| {
            arguments
                .iter()
                .position(|argument| argument == name)
                .map(|at| arguments[at + 1].parse::<f64>().expect("a number"))
        };
        if let Some(value) = number("--negative") {
            settings.wave.negative_phase_rad = value;
        }
        if let Some(value) = number("--amplitude") {
            settings.wave.amplitude_share = value;
        }
        if let Some(value) = number("--spread") {
            settings.lens.focal_spread_angstrom.value = value;
        }
        if let Some(value) = number("--iterations") {
            settings.most_iterations = value as usize;
        }
        let start = arguments.iter().position(|argument| argument == "--start").map(|at| {
            let folder = Path::new(&arguments[at + 1]).join(format!("{index:03}"));
            read_wave(&folder.join("exit_wave.npy"))
        });
        let begin = Instant::now();
        let result = reconstruct(&series, &settings, start.as_ref(), &mut |progress| {
            if has("--verbose") {
                println!("  {:3}: {:.6}", progress.iteration, progress.value);
            }
            true
        });
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                println!("{index:3}: {error}");
                continue;
            }
        };
        write(&out.join(format!("exit_wave_{index:03}.npy")), &result.wave);
        let lens = &result.lens;
        let off: Vec<String> = lens
            .defocus_angstrom
            .iter()
            .zip(&nominal)
            .map(|(found, nominal)| format!("{:+.1}({:.1})", found.value - nominal, found.sigma))
            .collect();
        let shift: Vec<String> = result
            .shift_angstrom
            .iter()
            .zip(&shifts)
            .skip(1)
            .map(|(found, true_shift)| {
                format!(
                    "{:+.2},{:+.2}({:.2})",
                    found[0].value - true_shift[0],
                    found[1].value - true_shift[1],
                    found[0].sigma
                )
            })
            .collect();
        println!(
            "{index:3}: {:5.1} s, {:2} it{}, focus off by {}, Cs {:+.1}({:.1}) um of {:+.1}, C12 {:.1}({:.1}) of {:.1} at {:.2}({:.2}) of {:.2}, \
             shifts off by {}, residual {:.3?}, spread {:.1}({:.1}) of {:.1}, phase sigma {:.3}, c3 {:.3} c4 {:.2} gain {:.3}",
            begin.elapsed().as_secs_f64(),
            result.iterations,
            if result.converged { "" } else { " (not converged)" },
            off.join(" "),
            lens.c30_angstrom.value / 1e4,
            lens.c30_angstrom.sigma / 1e4,
            entry["Cs"].as_f64().unwrap_or(f64::NAN) / 1e4,
            lens.c12_angstrom.value,
            lens.c12_angstrom.sigma,
            entry["C12"].as_f64().unwrap_or(f64::NAN),
            lens.phi12_rad.value,
            lens.phi12_rad.sigma,
            entry["phi12"].as_f64().unwrap_or(f64::NAN).rem_euclid(std::f64::consts::PI),
            shift.join(" "),
            result.residual_rms,
            lens.focal_spread_angstrom.value,
            lens.focal_spread_angstrom.sigma,
            entry["focal_spread"].as_f64().unwrap_or(f64::NAN) / std::f64::consts::SQRT_2,
            result.phase_sigma_rad,
            result.camera.c3,
            result.camera.c4,
            result.camera.gain_counts_per_electron,
        );
        let summary =
            json!({ "series": index, "seconds": begin.elapsed().as_secs_f64(), "iterations": result.iterations });
        std::fs::write(out.join(format!("summary_{index:03}.json")), summary.to_string()).expect("a file");
    }
}
