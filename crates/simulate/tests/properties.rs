//! What physics says of every wave and image, and what the textbooks say of some.
#![allow(clippy::print_stdout, reason = "figures that a maintainer reads with --nocapture")]

use atomlens_core::glam::DVec3;
use atomlens_core::{Atom, Cell, Structure};
use atomlens_simulate::electron::{interaction_parameter, wavelength_angstrom};
use atomlens_simulate::optics::{Coherence, scherzer_defocus_angstrom};
use atomlens_simulate::potential::{Placement, PotentialBuilder, SlicedStructure};
use atomlens_simulate::{
    AngularSpread, ExitWave, FocalSpread, Multislice, Optics, Parametrization, PotentialSettings, Projection,
    SimulateError,
};
use ndarray::Array2;
use num_complex::Complex;

/// Some atoms of gold and carbon at places of no symmetry.
fn structure() -> Structure {
    let places = [
        ("Au", 3.13, 4.77, 2.2),
        ("Au", 6.02, 5.91, 4.1),
        ("Au", 6.02, 5.91, 7.0),
        ("C", 9.4, 2.3, 5.5),
        ("C", 1.7, 8.08, 8.9),
    ];
    let atoms = places.map(|(symbol, x, y, z)| Atom::new(symbol.parse().unwrap(), DVec3::new(x, y, z))).into();
    Structure { atoms, cell: Some(Cell::orthorhombic(DVec3::new(12.0, 10.0, 11.0))) }
}

fn distance(a: &Array2<Complex<f64>>, b: &Array2<Complex<f64>>) -> f64 {
    let norm: f64 = b.iter().map(|v| v.norm_sqr()).sum();
    (a.iter().zip(b).map(|(a, b)| (a - b).norm_sqr()).sum::<f64>() / norm).sqrt()
}

fn wide(wave: &Array2<Complex<f32>>) -> Array2<Complex<f64>> {
    wave.mapv(|v| Complex::new(f64::from(v.re), f64::from(v.im)))
}

#[test]
fn vacuum_leaves_a_plane_wave() {
    let mut nothing = structure();
    for atom in &mut nothing.atoms {
        atom.occupancy = 0.0;
    }
    let wave = Multislice::new(200e3).exit_wave::<f64>(&nothing, 128, 108).unwrap();
    assert!(wave.wave().iter().all(|v| (v - Complex::new(1.0, 0.0)).norm() < 1e-12));
    let image = wave.image(&Optics::default().at_defocus_angstrom(300.0)).unwrap();
    assert!(image.iter().all(|v| (v - 1.0).abs() < 1e-12));
}

/// Propagation is unitary: what is missing went beyond the band limit, and goes to nothing on finer grids.
#[test]
fn electrons_are_conserved_within_the_band_limit() {
    let lost = [1, 2, 4].map(|fineness| {
        let wave = Multislice::new(300e3).exit_wave::<f64>(&structure(), 120 * fineness, 100 * fineness).unwrap();
        1.0 - wave.mean_intensity()
    });
    println!("lost beyond the band limit: {lost:?}");
    assert!(lost[0] > lost[1] && lost[1] > lost[2] && lost[2] > 0.0, "{lost:?}");
    assert!(lost[2] < 1e-4, "{lost:?}");
}

#[test]
fn single_and_double_precision_agree() {
    for projection in [Projection::Infinite, Projection::Finite] {
        let multislice = Multislice {
            potential: PotentialSettings { projection, ..PotentialSettings::default() },
            ..Multislice::new(300e3)
        };
        let single = wide(&multislice.exit_wave::<f32>(&structure(), 240, 200).unwrap().wave());
        let double = multislice.exit_wave::<f64>(&structure(), 240, 200).unwrap().wave();
        assert!(distance(&single, &double) < 5e-6, "{projection:?} {}", distance(&single, &double));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let run = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let wave = Multislice::new(300e3).exit_wave::<f32>(&structure(), 240, 200).unwrap();
            let mut optics = Optics::default().at_defocus_angstrom(70.0);
            optics.temporal = Coherence::Envelope(FocalSpread::from_one_over_e_half_width(30.0));
            (wave.wave(), wave.image(&optics).unwrap())
        })
    };
    let one = run(1);
    assert!(run(2) == one && run(5) == one);
}

/// Structure factors by spreading agree with their definition, `sum_j exp(-2 pi i k.r_j)`, at every frequency.
#[test]
fn the_exact_potential_is_the_sum_over_atoms() {
    let structure = structure();
    let (nx, ny) = (48, 45);
    let sliced = SlicedStructure::new(&structure, PotentialSettings::default()).unwrap();
    let found = PotentialBuilder::<f64>::new(&sliced, nx, ny).projected();
    let (field_x, field_y) = (12.0, 10.0);
    let frequency = |i: usize, n: usize| if 2 * i < n { i as f64 } else { i as f64 - n as f64 };
    let mut expected = Array2::<f64>::zeros((ny, nx));
    for i in 0..nx {
        for j in 0..ny {
            let (kx, ky) = (frequency(i, nx) / field_x, frequency(j, ny) / field_y);
            let sum: Complex<f64> = structure
                .atoms
                .iter()
                .map(|atom| {
                    let place = atom.position_angstrom;
                    let factor = Parametrization::Lobato.atom(atom.element).projected_transform(kx * kx + ky * ky);
                    Complex::from_polar(factor, -std::f64::consts::TAU * (kx * place.x + ky * place.y))
                })
                .sum();
            for ((y, x), value) in expected.indexed_iter_mut() {
                let phase =
                    std::f64::consts::TAU * (kx * x as f64 * field_x / nx as f64 + ky * y as f64 * field_y / ny as f64);
                *value += (sum * Complex::from_polar(1.0, phase)).re / (field_x * field_y);
            }
        }
    }
    let difference = (&found - &expected).mapv(|v| v * v).sum().sqrt() / expected.mapv(|v| v * v).sum().sqrt();
    println!("spreading against the definition: {difference:.1e}");
    assert!(difference < 2e-6, "{difference}");
}

/// Moving the specimen by half a pixel moves the image: only exact placement does that.
#[test]
fn exact_placement_knows_no_pixels() {
    let grid = atomlens_core::Grid::covering(12.0, 10.0, 240, 200);
    let optics = Optics::default().at_defocus_angstrom(60.0);
    let image = |placement, shift: f64| {
        let mut moved = structure();
        // Light atoms: the transmission function of a heavy one has more beyond the Nyquist frequency than placement changes.
        moved.atoms.retain(|atom| atom.element.symbol() == "C");
        moved.translate(DVec3::new(shift, 0.0, 0.0));
        let potential = PotentialSettings { placement, ..PotentialSettings::default() };
        let multislice = Multislice { potential, ..Multislice::new(300e3) };
        let image = multislice.exit_wave::<f64>(&moved, grid.nx, grid.ny).unwrap().image(&optics).unwrap();
        atomlens_simulate::resample::shift(&image, grid, [-shift, 0.0]).unwrap()
    };
    let change = |placement| {
        let (there, here) = (image(placement, 0.025), image(placement, 0.0));
        let mean = here.mean().unwrap();
        ((&there - &here).mapv(|v| v * v).mean().unwrap() / here.mapv(|v| (v - mean).powi(2)).mean().unwrap()).sqrt()
    };
    let (exact, bilinear) = (change(Placement::Exact), change(Placement::Bilinear));
    println!("half a pixel changes the image by {exact:.1e} (exact) and {bilinear:.1e} (bilinear) of its contrast");
    // What is left is the part of the intensity beyond the grid's Nyquist frequency.
    assert!(exact < 1e-2 && bilinear > 2.0 * exact);
}

/// A faint object: the wave is `1 + i sigma V`, and its image has the contrast `2 sigma V` times the sine of `chi`.
#[test]
fn the_weak_phase_limit() {
    let mut faint = structure();
    faint.atoms.truncate(1);
    faint.atoms[0].occupancy = 1e-3;
    let multislice = Multislice::new(300e3);
    let wave = multislice.exit_wave::<f64>(&faint, 240, 200).unwrap().wave();
    let sliced = SlicedStructure::new(&faint, PotentialSettings::default()).unwrap();
    let potential = PotentialBuilder::<f64>::new(&sliced, 240, 200).projected();
    let sigma = interaction_parameter(300e3);
    // The propagation behind the atom spreads its wave but keeps the sum, which is that of the potential.
    let phase: f64 = wave.iter().map(|v| v.im).sum();
    assert!((phase / (sigma * potential.sum()) - 1.0).abs() < 1e-4, "{}", phase / (sigma * potential.sum()));
}

/// Defocus is propagation: `C10 = z` shows the wave a distance `z` behind the specimen.
#[test]
fn overfocus_looks_behind_the_specimen() {
    let near = Multislice::new(300e3).exit_wave::<f64>(&structure(), 240, 200).unwrap();
    let mut deep = structure();
    deep.cell = Some(Cell::orthorhombic(DVec3::new(12.0, 10.0, 11.0 + 50.0)));
    let far = Multislice::new(300e3).exit_wave::<f64>(&deep, 240, 200).unwrap();
    let refocused = near.image(&Optics::default().at_defocus_angstrom(-50.0)).unwrap();
    let direct = far.image(&Optics::default()).unwrap();
    assert!(refocused.iter().zip(&direct).all(|(a, b)| (a - b).abs() < 1e-9));
}

/// A beam tilted by an angle carries the image sideways by the angle times the distance.
#[test]
fn tilt_displaces_what_is_far() {
    let mut deep = structure();
    deep.atoms.truncate(1);
    deep.atoms[0].position_angstrom.z = 2.0;
    deep.cell = Some(Cell::orthorhombic(DVec3::new(12.0, 10.0, 102.0)));
    let tilted = Multislice { tilt_rad: [0.01, 0.0], ..Multislice::new(300e3) };
    // One angstrom over a hundred; brought back into focus so that there is something to see.
    let optics = Optics::default().at_defocus_angstrom(100.0);
    let straight = Multislice::new(300e3).exit_wave::<f64>(&deep, 240, 200).unwrap().image(&optics).unwrap();
    let leaning = tilted.exit_wave::<f64>(&deep, 240, 200).unwrap().image(&optics).unwrap();
    let grid = atomlens_core::Grid::covering(12.0, 10.0, 240, 200);
    let moved = atomlens_simulate::resample::shift(&straight, grid, [100.0 * 0.01_f64.tan(), 0.0]).unwrap();
    let worst = moved.iter().zip(&leaning).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn thinner_slices_converge() {
    let wave = |projection, slice_thickness_angstrom| {
        let potential = PotentialSettings { projection, slice_thickness_angstrom, ..PotentialSettings::default() };
        Multislice { potential, ..Multislice::new(100e3) }.exit_wave::<f64>(&structure(), 240, 200).unwrap().wave()
    };
    for projection in [Projection::Infinite, Projection::Finite] {
        let finest = wave(projection, 0.11);
        let errors = [2.2, 1.1, 0.55].map(|thickness| distance(&wave(projection, thickness), &finest));
        println!("{projection:?}: {errors:?} for slices of 2.2, 1.1 and 0.55 angstrom");
        assert!(errors[0] > errors[1] && errors[1] > errors[2], "{projection:?} {errors:?}");
        assert!(errors[2] < 2e-2, "{projection:?} {errors:?}");
    }
}

#[test]
fn finite_slices_add_up_to_the_whole() {
    for parametrization in [Parametrization::Lobato, Parametrization::Kirkland] {
        let sum = |projection| {
            let settings = PotentialSettings { projection, parametrization, ..PotentialSettings::default() };
            let sliced = SlicedStructure::new(&structure(), settings).unwrap();
            PotentialBuilder::<f64>::new(&sliced, 120, 100).projected()
        };
        let (finite, infinite) = (sum(Projection::Finite), sum(Projection::Infinite));
        let difference = (&finite - &infinite).mapv(|v| v * v).sum().sqrt() / infinite.mapv(|v| v * v).sum().sqrt();
        // What lies more than 4 angstrom from an atom along the beam is neglected.
        assert!(difference < 2e-3, "{difference}");
    }
}

/// A defocused lens without other aberrations: `sin chi` is zero where `k^2 lambda C10` is a whole number.
#[test]
fn zeros_of_the_transfer_function() {
    let wavelength = wavelength_angstrom(200e3);
    let optics = Optics::default().at_defocus_angstrom(500.0);
    for order in 1..6 {
        let k = (f64::from(order) / (wavelength * 500.0)).sqrt();
        assert!(optics.transfer(200e3, wavelength * k, 0.0).im.abs() < 1e-9);
        let between = ((f64::from(order) - 0.5) / (wavelength * 500.0)).sqrt();
        assert!((optics.transfer(200e3, 0.0, wavelength * between).im.abs() - 1.0).abs() < 1e-9);
    }
}

/// Williams and Carter, equation 28.36: at Scherzer defocus the first zero lies at `1.5 Cs^(-1/4) lambda^(-3/4)`.
#[test]
fn scherzer_resolution() {
    let wavelength = wavelength_angstrom(200e3);
    for cs in [0.5e7, 1.2e7] {
        let mut optics = Optics::default().at_defocus_angstrom(scherzer_defocus_angstrom(cs, wavelength));
        optics.aberrations.set("C30", cs).unwrap();
        let contrast = |k: f64| optics.transfer(200e3, wavelength * k, 0.0).im;
        let step = 1e-4;
        // Past the dip of the pass band, from which the contrast returns to zero.
        let start = 0.05;
        let sign = contrast(start).signum();
        let zero = (0..).map(|i| start + step * f64::from(i)).find(|k| contrast(*k) * sign < 0.0).unwrap();
        let textbook = 1.5 * cs.powf(-0.25) * wavelength.powf(-0.75);
        assert!((zero / textbook - 1.0).abs() < 0.05, "{zero} {textbook}");
    }
}

/// For a faint object the explicit sums over focus and angle are the envelopes.
#[test]
fn explicit_sums_agree_with_envelopes_for_faint_objects() {
    let mut faint = structure();
    for atom in &mut faint.atoms {
        atom.occupancy = 0.01;
    }
    let wave = Multislice::new(300e3).exit_wave::<f64>(&faint, 120, 100).unwrap();
    let focal = FocalSpread::from_one_over_e_half_width(30.0);
    let angular = AngularSpread::from_one_over_e_half_width(0.8e-3);
    let base = Optics::default().at_defocus_angstrom(150.0);
    for (envelope, sum) in [
        (
            Optics { temporal: Coherence::Envelope(focal), ..base },
            Optics { temporal: Coherence::Sum { spread: focal, samples: 41 }, ..base },
        ),
        (
            Optics { spatial: Coherence::Envelope(angular), ..base },
            Optics { spatial: Coherence::Sum { spread: angular, samples: 13 }, ..base },
        ),
    ] {
        let (envelope, sum) = (wave.image(&envelope).unwrap(), wave.image(&sum).unwrap());
        let coherent = wave.image(&base).unwrap();
        let rms = |a: &Array2<f64>, b: &Array2<f64>| (a - b).mapv(|v| v * v).mean().unwrap().sqrt();
        // The effect of the spread is reproduced, not just small.
        let ratio = rms(&envelope, &sum) / rms(&envelope, &coherent);
        assert!(ratio < 0.06, "{ratio}");
    }
}

#[test]
fn a_wave_from_elsewhere_is_taken_as_it_is() {
    let wave = Multislice::new(300e3).exit_wave::<f64>(&structure(), 120, 100).unwrap();
    let again = ExitWave::from_wave(&wave.wave(), wave.grid(), 300e3).unwrap();
    assert!(distance(&again.wave(), &wave.wave()) < 1e-12);
    let optics = Optics::default().at_defocus_angstrom(123.0);
    let (a, b) = (wave.image(&optics).unwrap(), again.image(&optics).unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-10));
}

#[test]
fn what_cannot_be_simulated_is_refused_with_one_clear_message() {
    let multislice = Multislice::new(300e3);
    let refused = |change: &dyn Fn(&mut Structure)| {
        let mut structure = structure();
        change(&mut structure);
        multislice.exit_wave::<f32>(&structure, 120, 100).unwrap_err()
    };
    assert_eq!(refused(&|s| s.cell = None), SimulateError::NoCell);
    assert_eq!(refused(&|s| s.atoms.clear()), SimulateError::NoAtoms);
    let flat = refused(&|s| s.cell = Some(Cell::orthorhombic(DVec3::new(12.0, 10.0, 0.0))));
    assert!(flat.to_string().contains("12 x 10 x 0"), "{flat}");
    let skew = refused(&|s| s.cell = Some(Cell::from_lengths_and_angles([12.0, 10.0, 11.0], [90.0, 90.0, 120.0])));
    assert!(skew.to_string().contains("120.00"), "{skew}");
    let outside = refused(&|s| s.atoms[2].position_angstrom.y = 10.5);
    assert!(outside.to_string().contains("atom 2 (Au)") && outside.to_string().contains("--wrap"), "{outside}");
    let coarse = multislice.exit_wave::<f32>(&structure(), 32, 32).unwrap_err();
    // 12 angstrom at 0.2222 angstrom a pixel are 54 pixels, 10 angstrom 45, made even and smooth.
    assert!(coarse.to_string().contains("at least 54 x 48"), "{coarse}");
    assert!(multislice.exit_wave::<f32>(&structure(), 54, 48).is_ok());
    let slow = Multislice::new(300.0).exit_wave::<f32>(&structure(), 120, 100).unwrap_err();
    assert!(slow.to_string().contains("30 to 1000 keV"), "{slow}");
    let thin = PotentialSettings { slice_thickness_angstrom: 0.0, ..PotentialSettings::default() };
    assert!(Multislice { potential: thin, ..multislice }.exit_wave::<f32>(&structure(), 120, 100).is_err());
}
