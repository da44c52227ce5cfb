//! Defocus and astigmatism from the rings of simulated amorphous carbon.
//!
//! The film is carbon of 0.0922 atoms per cubic angstrom at random, none nearer to another than 1.3 angstrom; its exit wave is by multislice, its image has
//! the camera's blur and noise.

// The figures are what these tests have to say.
#![allow(clippy::print_stdout)]

use std::f64::consts::PI;

use atomlens_core::glam::DVec3;
use atomlens_core::{Atom, Cell, Element, RandomStream, SeedPath, Structure};
use atomlens_reconstruct::{ThonSettings, estimate_optics};
use atomlens_simulate::optics::Coherence;
use atomlens_simulate::resample::resample;
use atomlens_simulate::{ExitWave, FocalSpread, Multislice, Optics};
use ndarray::Array2;
use rand::RngExt;
use rand_distr::{Distribution, Poisson};

/// A film, and how far its middle lies above the plane of the exit wave.
struct Film {
    wave: ExitWave<f32>,
    energy_ev: f64,
    middle_angstrom: f64,
}

fn film(size: usize, pixel_angstrom: f64, thickness_angstrom: f64, energy_ev: f64, stream: &mut RandomStream) -> Film {
    let side = size as f64 * pixel_angstrom;
    let count = (0.0922 * side * side * thickness_angstrom) as usize;
    // Boxes of the shortest distance hold at most a few atoms, so that neighbours are found at once.
    let shortest = 1.3;
    let boxes =
        [(side / shortest) as usize, (side / shortest) as usize, (thickness_angstrom / shortest).max(1.0) as usize];
    let extent = [side, side, thickness_angstrom];
    let mut filled: Vec<Vec<[f64; 3]>> = vec![Vec::new(); boxes.iter().product()];
    let mut atoms = Vec::new();
    let mut trials = 0;
    while atoms.len() < count && trials < 60 * count {
        trials += 1;
        let place = extent.map(|extent| stream.random_range(0.0..extent));
        let at =
            [0, 1, 2].map(|axis| ((place[axis] / extent[axis] * boxes[axis] as f64) as usize).min(boxes[axis] - 1));
        let is_free = (0..27).all(|neighbour| {
            let offset = [neighbour % 3, neighbour / 3 % 3, neighbour / 9];
            if (at[2] + offset[2] == 0) || (at[2] + offset[2] > boxes[2]) {
                return true;
            }
            let x = (at[0] + offset[0] + boxes[0] - 1) % boxes[0];
            let y = (at[1] + offset[1] + boxes[1] - 1) % boxes[1];
            let z = at[2] + offset[2] - 1;
            filled[(z * boxes[1] + y) * boxes[0] + x].iter().all(|other| {
                let apart = |axis: usize| {
                    let d = (place[axis] - other[axis]).abs();
                    if axis < 2 { d.min(side - d) } else { d }
                };
                apart(0).powi(2) + apart(1).powi(2) + apart(2).powi(2) > shortest * shortest
            })
        });
        if is_free {
            filled[(at[2] * boxes[1] + at[1]) * boxes[0] + at[0]].push(place);
            atoms.push(Atom::new(
                Element::from_atomic_number(6).unwrap(),
                DVec3::new(place[0], place[1], place[2] + 1.0),
            ));
        }
    }
    let depth = thickness_angstrom + 2.0;
    let structure = Structure { atoms, cell: Some(Cell::orthorhombic(DVec3::new(side, side, depth))) };
    let wave = Multislice::new(energy_ev).exit_wave(&structure, size, size).unwrap();
    Film { wave, energy_ev, middle_angstrom: 0.5 * thickness_angstrom + 1.0 }
}

/// The state of the microscope for one image.
#[derive(Debug, Clone, Copy)]
struct State {
    defocus_angstrom: f64,
    cs_angstrom: f64,
    c12_angstrom: f64,
    phi12_rad: f64,
    dose_e_per_a2: f64,
}

fn image(film: &Film, state: State, stream: &mut RandomStream) -> Array2<f32> {
    let mut optics = Optics::default();
    optics.aberrations.set_defocus_angstrom(state.defocus_angstrom);
    optics.aberrations.set("C30", state.cs_angstrom).unwrap();
    optics.aberrations.set("C12", state.c12_angstrom).unwrap();
    optics.aberrations.set("phi12", state.phi12_rad).unwrap();
    optics.temporal = Coherence::Envelope(FocalSpread::from_one_over_e_half_width(20.0));
    let ideal = film.wave.image(&optics).unwrap();
    let grid = film.wave.grid();
    let electrons = state.dose_e_per_a2 * grid.pixel_area_square_angstrom();
    let counts = ideal.mapv(|value| {
        let mean = (f64::from(value) * electrons).max(1e-6);
        Poisson::new(mean).unwrap().sample(stream) as f32
    });
    let nyquist = grid.nyquist_per_angstrom();
    resample(&counts, grid, grid.nx, grid.ny, |kx, ky| 1.0 / (1.0 + (kx.hypot(ky) / nyquist).powf(2.5))).unwrap()
}

/// Errors of the defocus and of both parts of the astigmatism, each with its standard deviation; `None` if no rings were seen.
fn errors(film: &Film, state: State, stream: &mut RandomStream) -> Option<[(f64, f64); 3]> {
    let image = image(film, state, stream);
    let pixel = film.wave.grid().pixel_x_angstrom;
    let clock = std::time::Instant::now();
    let found = estimate_optics(image.view(), pixel, film.energy_ev, Some(state.cs_angstrom), &ThonSettings::default())
        .unwrap();
    let truth = state.defocus_angstrom - film.middle_angstrom;
    let part = |c12: f64, phi12: f64| [c12 * (2.0 * phi12).cos(), c12 * (2.0 * phi12).sin()];
    let [a, b] = part(found.c12_angstrom, found.phi12_rad);
    let [true_a, true_b] = part(state.c12_angstrom, state.phi12_rad);
    println!(
        "{:.0} keV, dose {:.0}, Cs {:.0} um: defocus {truth:.0}, found {:.1} +- {:.1}; astigmatism {true_a:.0} {true_b:.0}, found {a:.1} {b:.1} +- {:.1}; \
         significance {:.0}, to {:.2} per angstrom, others {:?}; {:.2} s",
        film.energy_ev / 1e3,
        state.dose_e_per_a2,
        state.cs_angstrom / 1e4,
        found.defocus_angstrom,
        found.defocus_sigma_angstrom,
        found.c12_sigma_angstrom,
        found.significance,
        found.highest_per_angstrom,
        found.others.first().map(|other| (other.defocus_angstrom.round(), other.log_likelihood_less.round())),
        clock.elapsed().as_secs_f64()
    );
    found.has_rings.then_some([
        (found.defocus_angstrom - truth, found.defocus_sigma_angstrom),
        (a - true_a, found.c12_sigma_angstrom),
        (b - true_b, found.c12_sigma_angstrom),
    ])
}

/// Corrected and uncorrected lenses, over- and underfocus, with and without whole rings.
#[test]
fn rings_tell_defocus_and_astigmatism() {
    let mut stream = SeedPath::new(3).child("thon").stream();
    let film = film(400, 0.2, 16.0, 200e3, &mut stream);
    for (defocus_angstrom, cs_angstrom, c12_angstrom, phi12_rad) in
        [(1100.0, -1e5, 60.0, 0.4), (450.0, 1.2e7, 0.0, 0.0), (-200.0, -1.5e5, 30.0, 2.0), (90.0, -1e5, 20.0, 1.2)]
    {
        let state = State { defocus_angstrom, cs_angstrom, c12_angstrom, phi12_rad, dose_e_per_a2: 2000.0 };
        let found = errors(&film, state, &mut stream).expect("the film has rings");
        assert!(found[0].0.abs() < 12.0, "{found:?}");
        assert!(found[1].0.abs() < 12.0 && found[2].0.abs() < 12.0, "{found:?}");
    }
}

/// An empty image has no rings.
#[test]
fn noise_has_no_rings() {
    let mut stream = SeedPath::new(4).child("thon").stream();
    let counts = Poisson::new(40.0).unwrap();
    let image = Array2::from_shape_simple_fn((256, 256), || counts.sample(&mut stream) as f32);
    let found = estimate_optics(image.view(), 0.2, 300e3, Some(0.0), &ThonSettings::default()).unwrap();
    println!("significance {:.1}", found.significance);
    assert!(!found.has_rings);
    assert!(estimate_optics(image.view(), 0.0, 300e3, None, &ThonSettings::default()).is_err());
}

/// Films and lenses drawn at random; prints the figures of docs/focal-series.md.
#[test]
fn stated_errors_hold_and_rings_that_are_not_sure_are_none() {
    let (mut sums, mut pulls, mut within, mut count, mut missed) = ([0.0; 3], [0.0; 3], [0; 3], 0, 0);
    let mut far_off = 0;
    for trial in 0..48 {
        let mut stream = SeedPath::new(7).child("thon").index(trial).stream();
        let energy_ev = [80e3, 120e3, 200e3, 300e3][trial as usize % 4];
        let film = film(400, stream.random_range(0.14..0.2), stream.random_range(8.0..30.0), energy_ev, &mut stream);
        let uncorrected = stream.random_bool(0.3);
        let state = State {
            defocus_angstrom: stream.random_range(-300.0..1500.0),
            cs_angstrom: if uncorrected { 1.2e7 } else { stream.random_range(-1.5e5..1.5e5) },
            c12_angstrom: stream.random_range(0.0..100.0),
            phi12_rad: stream.random_range(0.0..PI),
            dose_e_per_a2: 10_f64.powf(stream.random_range(2.5..4.0)),
        };
        let Some(found) = errors(&film, state, &mut stream) else {
            println!("    no rings");
            missed += 1;
            continue;
        };
        if found[0].0.abs() > 60.0 {
            println!("    far off");
            far_off += 1;
            continue;
        }
        count += 1;
        for (index, (error, sigma)) in found.into_iter().enumerate() {
            sums[index] += error * error;
            pulls[index] += (error / sigma).powi(2);
            within[index] += i32::from(error.abs() < 2.0 * sigma);
        }
    }
    println!(
        "{count} found, {missed} not, {far_off} far off; rms {:?} angstrom, in units of sigma {:?}, within two sigma {within:?}",
        sums.map(|sum| (sum / f64::from(count)).sqrt()),
        pulls.map(|sum| (sum / f64::from(count)).sqrt()),
    );
    assert!(missed + far_off < 12 && far_off <= 1);
    assert!(pulls.iter().all(|square| (square / f64::from(count)).sqrt() < 1.8));
}
