//! The physics against golden values of an independent simulator, abTEM 1.0.11: excerpts in `tests/golden`, written by `make.py` there
//! from the reference data that `reference.rs` compares in full. These are always here, so that every run checks the physics.
//!
//! The ignored test at the end compares where atoms are put on the grid: run it with
//! `cargo test --release -p atomlens-simulate --test golden -- --ignored --nocapture`.

// The figures and what was skipped are what these tests have to say.
#![allow(clippy::print_stdout)]

use atomlens_core::glam::DVec3;
use atomlens_core::{Atom, Cell, Element, Structure};
use atomlens_simulate::potential::Placement;
use atomlens_simulate::{
    AngularSpread, ExitWave, FocalSpread, Multislice, Optics, Parametrization, PotentialSettings, optics::Coherence,
};
use ndarray::Array2;
use num_complex::Complex;
use rustfft::FftPlanner;
use serde_json::Value;

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Settings of the microscope as the golden files name them: lengths in angstrom, the angular spread in milliradian, spreads as
/// half-widths at 1 / e.
fn optics(facts: &Value) -> Optics {
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
            "energy" | "standard_deviation" => {}
            aberration => optics.aberrations.set(aberration, value).unwrap(),
        }
    }
    optics
}

struct Specimen {
    name: &'static str,
    golden: Value,
    structure: Structure,
    nx: usize,
    ny: usize,
    energy_ev: f64,
    /// Places of the golden values, `[y, x]`.
    pixels: Vec<[usize; 2]>,
}

fn specimens() -> [Specimen; 2] {
    [("au110", include_str!("golden/au110.json")), ("mos2", include_str!("golden/mos2.json"))].map(|(name, text)| {
        let golden = golden(text);
        let atoms = golden["atoms"].as_array().unwrap().iter().map(|atom| {
            let place = numbers(&Value::Array(atom.as_array().unwrap()[1..].to_vec()));
            Atom::new(atom[0].as_str().unwrap().parse().unwrap(), DVec3::from_slice(&place))
        });
        let cell = Cell::orthorhombic(DVec3::from_slice(&numbers(&golden["cell_A"])));
        let structure = Structure { atoms: atoms.collect(), cell: Some(cell) };
        let (x, y) = (numbers(&golden["x"]), numbers(&golden["y"]));
        let pixels: Vec<[usize; 2]> = y.iter().zip(&x).map(|(y, x)| [*y as usize, *x as usize]).collect();
        assert!(pixels.len() >= 40 && !structure.atoms.is_empty());
        let gpts = numbers(&golden["gpts_xy"]);
        let energy_ev = golden["energy_eV"].as_f64().unwrap();
        Specimen { name, structure, nx: gpts[0] as usize, ny: gpts[1] as usize, energy_ev, pixels, golden }
    })
}

impl Specimen {
    /// The golden values are of atoms that are shared among pixels bilinearly.
    fn exit_wave(&self) -> ExitWave<f32> {
        self.exit_wave_with(Placement::Bilinear, self.nx, self.ny)
    }

    fn exit_wave_with(&self, placement: Placement, nx: usize, ny: usize) -> ExitWave<f32> {
        let potential = PotentialSettings { placement, ..PotentialSettings::default() };
        let multislice = Multislice { potential, ..Multislice::new(self.energy_ev) };
        multislice.exit_wave(&self.structure, nx, ny).unwrap()
    }
}

#[test]
fn single_atoms() {
    let golden = golden(include_str!("golden/atoms.json"));
    let (radii, k_squared) = (numbers(&golden["r_A"]), numbers(&golden["k_squared_per_A2"]));
    assert!((radii[0] - 0.1).abs() < 1e-9);
    let mut compared = 0;
    for parametrization in [Parametrization::Lobato, Parametrization::Kirkland] {
        for symbol in ["C", "O", "S", "Mo", "Au"] {
            let atom = parametrization.atom(symbol.parse::<Element>().unwrap());
            let expected = |quantity: &str| numbers(&golden[format!("{}_{symbol}_{quantity}", parametrization.name())]);
            let potential = |r: &f64| atom.projected_potential_volt_angstrom(*r);
            let factor = |k_squared: &f64| atom.scattering_factor_angstrom(*k_squared);
            let found = radii.iter().map(potential).chain(k_squared.iter().map(factor));
            let expected = expected("projected_potential_V_A").into_iter().chain(expected("scattering_factor_A"));
            for (found, expected) in found.zip(expected) {
                compared += 1;
                assert!((found / expected - 1.0).abs() < 1e-3, "{parametrization:?} {symbol}: {found}, not {expected}");
            }
        }
    }
    assert_eq!(compared, 10 * (radii.len() + k_squared.len()));
}

#[test]
fn transfer_functions() {
    let golden = golden(include_str!("golden/ctf.json"));
    let angles = numbers(&golden["alpha_mrad"]);
    for name in ["ctf_0", "ctf_1", "ctf_2"] {
        let facts = &golden[name];
        let (optics, energy_ev) = (optics(facts), facts["energy"].as_f64().unwrap());
        let expected: Vec<(f64, f64)> = numbers(&facts["real"]).into_iter().zip(numbers(&facts["imag"])).collect();
        assert_eq!(expected.len(), angles.len());
        for (angle, (re, im)) in angles.iter().zip(expected) {
            let difference = (optics.transfer(energy_ev, angle * 1e-3, 0.0) - Complex::new(re, im)).norm();
            assert!(difference < 1e-4, "{name} at {angle} mrad: {difference}");
        }
    }
}

#[test]
fn exit_waves() {
    for specimen in specimens() {
        let wave = specimen.exit_wave().wave();
        let (real, imaginary) =
            (numbers(&specimen.golden["exit_wave_real"]), numbers(&specimen.golden["exit_wave_imag"]));
        let (mut difference, mut power) = (0.0, 0.0);
        for (pixel, (re, im)) in specimen.pixels.iter().zip(real.into_iter().zip(imaginary)) {
            let (found, expected) = (wave[*pixel], Complex::new(re, im));
            difference += (Complex::new(f64::from(found.re), f64::from(found.im)) - expected).norm_sqr();
            power += expected.norm_sqr();
        }
        let distance = (difference / power).sqrt();
        println!("{}: exit wave within {distance:.1e} over {} pixels", specimen.name, specimen.pixels.len());
        assert!(distance < 5e-3);
    }
}

#[test]
fn images() {
    for specimen in specimens() {
        let wave = specimen.exit_wave();
        for index in 0..4 {
            let facts = &specimen.golden[format!("image_{index}")];
            let image = wave.image(&optics(facts)).unwrap();
            let expected = numbers(&facts["values"]);
            assert_eq!(expected.len(), specimen.pixels.len());
            let squares = specimen.pixels.iter().zip(expected).map(|(pixel, v)| (f64::from(image[*pixel]) - v).powi(2));
            let distance = (squares.sum::<f64>() / specimen.pixels.len() as f64).sqrt()
                / facts["standard_deviation"].as_f64().unwrap();
            println!("{} image {index}: within {distance:.1e} of the standard deviation", specimen.name);
            assert!(distance < 1e-2);
        }
    }
}

/// The transform of a wave at frequencies of up to 4.1 / angstrom in a field of 40 angstrom, which all grids from 512 pixels hold.
fn low_frequencies(wave: &Array2<Complex<f32>>) -> Vec<Complex<f64>> {
    const REACH: i64 = 164;
    let n = wave.nrows();
    let fft = FftPlanner::new().plan_fft_forward(n);
    let mut values = wave.mapv(|v| Complex::new(f64::from(v.re), f64::from(v.im)));
    for _ in 0..2 {
        values.as_slice_mut().unwrap().chunks_exact_mut(n).for_each(|row| fft.process(row));
        values = values.t().as_standard_layout().to_owned();
    }
    let place = |index: i64| index.rem_euclid(n as i64) as usize;
    let within = |j: i64| (-REACH..=REACH).filter(move |i| i * i + j * j <= REACH * REACH).map(move |i| [j, i]);
    (-REACH..=REACH).flat_map(within).map(|[j, i]| values[[place(j), place(i)]] / (n * n) as f64).collect()
}

/// What the two placements are worth on coarse grids, measured against the finest wave of each: independent of which is trusted.
#[test]
#[ignore = "takes ten seconds: the finest grid has 2048 x 2048 pixels"]
fn exact_placement_converges_faster() {
    let specimen = &specimens()[0];
    let spectrum = |placement, n| low_frequencies(&specimen.exit_wave_with(placement, n, n).wave());
    let distance = |a: &[Complex<f64>], b: &[Complex<f64>]| {
        let power: f64 = b.iter().map(|v| v.norm_sqr()).sum();
        (a.iter().zip(b).map(|(a, b)| (a - b).norm_sqr()).sum::<f64>() / power).sqrt()
    };
    let finest = [Placement::Exact, Placement::Bilinear].map(|placement| spectrum(placement, 2048));
    println!("the finest of both differ by {:.1e}", distance(&finest[0], &finest[1]));
    for n in [512, 768, 1024] {
        let [exact, bilinear] = [Placement::Exact, Placement::Bilinear].map(|placement| spectrum(placement, n));
        for (name, finest) in [("exact", &finest[0]), ("bilinear", &finest[1])] {
            let (exact, bilinear) = (distance(&exact, finest), distance(&bilinear, finest));
            println!("{n} pixels, from the finest {name} wave: exact {exact:.1e}, bilinear {bilinear:.1e}");
            assert!(exact < 0.7 * bilinear);
        }
    }
}
