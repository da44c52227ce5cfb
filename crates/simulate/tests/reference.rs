//! Agreement with an independent simulator: abTEM 1.0.11, data in `shared/reference/physics`.
//!
//! The folder lies beside the checkout; where it is absent these tests say so and pass. Small excerpts that
//! are always there are in `golden.rs`.
#![allow(clippy::print_stdout, reason = "figures that a maintainer reads with --nocapture")]

use std::path::PathBuf;

use atomlens_core::glam::DVec3;
use atomlens_core::{Atom, Cell, Element, Grid, Structure};
use atomlens_simulate::potential::{Placement, PotentialBuilder, SlicedStructure};
use atomlens_simulate::{
    AngularSpread, ExitWave, FocalSpread, Multislice, Optics, Parametrization, PotentialSettings, optics::Coherence,
};
use ndarray::Array2;
use num_complex::Complex;
use serde_json::Value;

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/physics");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: {} is absent, so nothing is compared with the independent simulator", folder.display());
    None
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Just enough of the NPY format for these files: little-endian, C order, two dimensions.
fn npy<T>(path: PathBuf, size: usize, read: impl Fn(&[u8]) -> T) -> Array2<T> {
    let bytes = std::fs::read(path).unwrap();
    let header_length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + header_length]).unwrap();
    assert!(header.contains("'fortran_order': False"));
    let shape = header.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let shape: Vec<usize> = shape.split(',').map(|n| n.trim().parse().unwrap()).collect();
    let values = bytes[10 + header_length..].chunks_exact(size).map(read).collect();
    Array2::from_shape_vec((shape[0], shape[1]), values).unwrap()
}

fn real(path: PathBuf) -> Array2<f64> {
    npy(path, 4, |b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
}

fn complex(path: PathBuf) -> Array2<Complex<f64>> {
    npy(path, 8, |b| {
        let part = |i: usize| f64::from(f32::from_le_bytes(b[i..i + 4].try_into().unwrap()));
        Complex::new(part(0), part(4))
    })
}

fn structure(path: PathBuf) -> Structure {
    let text = std::fs::read_to_string(path).unwrap();
    let lattice = text.split("Lattice=\"").nth(1).unwrap().split('"').next().unwrap();
    let edges: Vec<f64> = lattice.split_whitespace().map(|v| v.parse().unwrap()).collect();
    let atoms = text
        .lines()
        .skip(2)
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let place: Vec<f64> = fields[1..4].iter().map(|v| v.parse().unwrap()).collect();
            Atom::new(fields[0].parse().unwrap(), DVec3::new(place[0], place[1], place[2]))
        })
        .collect();
    Structure { atoms, cell: Some(Cell::orthorhombic(DVec3::new(edges[0], edges[4], edges[8]))) }
}

/// The reference shares atoms among pixels bilinearly; ours are placed exactly unless told otherwise.
fn as_abtem() -> PotentialSettings {
    PotentialSettings { placement: Placement::Bilinear, ..PotentialSettings::default() }
}

fn multislice(energy_ev: f64) -> Multislice {
    Multislice { potential: as_abtem(), ..Multislice::new(energy_ev) }
}

struct Case {
    folder: PathBuf,
    name: &'static str,
    facts: Value,
    energy_ev: f64,
    nx: usize,
    ny: usize,
}

fn cases() -> Vec<Case> {
    let Some(folder) = folder() else { return Vec::new() };
    let facts = json(folder.join("facts.json"));
    ["au110", "mos2"]
        .map(|name| {
            let facts = facts[name].clone();
            let gpts = numbers(&facts["gpts_xy"]);
            Case {
                folder: folder.clone(),
                name,
                energy_ev: facts["energy_eV"].as_f64().unwrap(),
                nx: gpts[0] as usize,
                ny: gpts[1] as usize,
                facts,
            }
        })
        .into()
}

impl Case {
    fn structure(&self) -> Structure {
        structure(self.folder.join(format!("{}.xyz", self.name)))
    }

    fn optics(&self, facts: &Value) -> Optics {
        let mut optics = Optics::default();
        for (name, value) in facts.as_object().unwrap() {
            let Some(value) = value.as_f64() else { continue };
            match name.as_str() {
                "defocus" => optics.aberrations.set_defocus_angstrom(value),
                "Cs" => optics.aberrations.set("C30", value).unwrap(),
                "focal_spread" => {
                    optics.temporal = Coherence::Envelope(FocalSpread::from_one_over_e_half_width(value));
                }
                "angular_spread" => {
                    optics.spatial = Coherence::Envelope(AngularSpread::from_one_over_e_half_width(value * 1e-3));
                }
                "energy" => {}
                aberration => optics.aberrations.set(aberration, value).unwrap(),
            }
        }
        optics
    }
}

#[test]
fn single_atoms() {
    let Some(folder) = folder() else { return };
    let atoms = json(folder.join("atoms.json"));
    let (radii, frequencies) = (numbers(&atoms["r_A"]), numbers(&atoms["k_per_A"]));
    for parametrization in [Parametrization::Lobato, Parametrization::Kirkland] {
        let mut worst = (0.0_f64, 0.0_f64);
        for symbol in ["H", "C", "O", "S", "Mo", "Ce", "Pt", "Au"] {
            let atom = parametrization.atom(symbol.parse::<Element>().unwrap());
            let name = parametrization.name();
            let expected = numbers(&atoms[format!("{name}_{symbol}_projected_potential_V_A")]);
            for (radius, expected) in radii.iter().zip(expected).filter(|(radius, _)| **radius >= 0.1 - 1e-9) {
                let found = atom.projected_potential_volt_angstrom(*radius);
                worst.0 = worst.0.max((found / expected - 1.0).abs());
            }
            let expected = numbers(&atoms[format!("{name}_{symbol}_scattering_factor_A")]);
            for (k, expected) in frequencies.iter().zip(expected) {
                // The reference's list `k_per_A` was handed to functions of k squared (docs/conventions.md).
                worst.1 = worst.1.max((atom.scattering_factor_angstrom(*k) / expected - 1.0).abs());
            }
        }
        println!(
            "{}: potential within {:.1e}, scattering factor within {:.1e}",
            parametrization.name(),
            worst.0,
            worst.1
        );
        assert!(worst.0 < 1e-3 && worst.1 < 1e-3, "{worst:?}");
    }
}

#[test]
fn transfer_functions() {
    let Some(folder) = folder() else { return };
    let reference = json(folder.join("ctf.json"));
    let angles = numbers(&reference["alpha_mrad"]);
    let case = &cases()[0];
    for name in ["ctf_0", "ctf_1", "ctf_2"] {
        let facts = &reference[name];
        let mut plain = facts.clone();
        for key in ["real", "imag"] {
            plain.as_object_mut().unwrap().remove(key);
        }
        let optics = case.optics(&plain);
        let energy_ev = facts["energy"].as_f64().unwrap();
        let worst = angles
            .iter()
            .zip(numbers(&facts["real"]).into_iter().zip(numbers(&facts["imag"])))
            .map(|(angle, (re, im))| (optics.transfer(energy_ev, angle * 1e-3, 0.0) - Complex::new(re, im)).norm())
            .fold(0.0, f64::max);
        println!("{name}: within {worst:.1e}");
        assert!(worst < 1e-4);
    }
}

#[test]
fn projected_potentials() {
    for case in cases() {
        let sliced = SlicedStructure::new(&case.structure(), as_abtem()).unwrap();
        let found = PotentialBuilder::<f64>::new(&sliced, case.nx, case.ny).projected();
        let expected = real(case.folder.join(format!("{}_projected_potential_V_A.npy", case.name)));
        let difference = (&found - &expected).mapv(|v| v * v).sum().sqrt() / expected.mapv(|v| v * v).sum().sqrt();
        println!("{}: projected potential within {difference:.1e} relative L2", case.name);
        assert!(difference < 1e-4, "{difference}");
    }
}

#[test]
fn exit_waves() {
    for case in cases() {
        let multislice = multislice(case.energy_ev);
        let single = multislice.exit_wave::<f32>(&case.structure(), case.nx, case.ny).unwrap().wave();
        let double = multislice.exit_wave::<f64>(&case.structure(), case.nx, case.ny).unwrap().wave();
        let expected = complex(case.folder.join(format!("{}_exit_wave.npy", case.name)));
        let norm = expected.iter().map(|v| v.norm_sqr()).sum::<f64>().sqrt();
        let distance = |wave: &Array2<Complex<f64>>| {
            wave.iter().zip(&expected).map(|(a, b)| (a - b).norm_sqr()).sum::<f64>().sqrt() / norm
        };
        let single = distance(&single.mapv(|v| Complex::new(f64::from(v.re), f64::from(v.im))));
        let double = distance(&double);
        println!("{}: exit wave within {single:.1e} (single), {double:.1e} (double) relative L2", case.name);
        assert!(single < 5e-3 && double < 5e-3);
    }
}

#[test]
fn images() {
    for case in cases() {
        let wave = multislice(case.energy_ev).exit_wave::<f32>(&case.structure(), case.nx, case.ny).unwrap();
        let cell = numbers(&case.facts["cell_A"]);
        let theirs = complex(case.folder.join(format!("{}_exit_wave.npy", case.name)))
            .mapv(|v| Complex::new(v.re as f32, v.im as f32));
        let theirs =
            ExitWave::from_wave(&theirs, Grid::covering(cell[0], cell[1], case.nx, case.ny), case.energy_ev).unwrap();
        for index in 0..4 {
            let optics = case.optics(&case.facts[format!("image_{index}")]);
            let expected = real(case.folder.join(format!("{}_image_{index}.npy", case.name)));
            let mean = expected.mean().unwrap();
            let deviation = expected.mapv(|v| (v - mean) * (v - mean)).mean().unwrap().sqrt();
            let mut found = Vec::new();
            for wave in [&wave, &theirs] {
                let image = wave.image(&optics).unwrap().mapv(f64::from);
                found.push((&image - &expected).mapv(|v| v * v).mean().unwrap().sqrt() / deviation);
            }
            println!(
                "{} image {index}: {:.2e} of its standard deviation from our wave, {:.2e} from theirs",
                case.name, found[0], found[1]
            );
            assert!(found.iter().all(|v| *v < 1e-2));
        }
    }
}
