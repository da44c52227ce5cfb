//! The wave and the lens of simulated series, and of those of an independent simulator.
#![allow(clippy::print_stdout, reason = "figures that a maintainer reads with --nocapture")]

mod reference;

use atomlens_core::{Grid, SeedPath};
use atomlens_reconstruct::{CameraEstimate, Estimate, FocalSeries, ReconstructError, Settings, reconstruct};
use atomlens_simulate::{ExitWave, FocalSpread, Optics, optics::Coherence};
use ndarray::{Array2, Array3, Axis, s};
use num_complex::Complex;
use rand_distr::{Distribution, Poisson};

const ENERGY_EV: f64 = 80e3;
const CS_ANGSTROM: f64 = -7e4;
const DEFOCUS_ANGSTROM: [f64; 3] = [35.0, 85.0, 135.0];

/// A honeycomb of two kinds of atoms with an edge and a vacancy here and there, as a thin phase object.
fn wave(grid: &Grid) -> Array2<Complex<f32>> {
    let mut phase = Array2::<f32>::zeros((grid.ny, grid.nx));
    let lattice = 3.18;
    let (sin, cos) = 0.3_f64.sin_cos();
    let field = grid.field_x_angstrom();
    for i in -30_i32..30 {
        for j in -30_i32..30 {
            for (kind, third) in [(0.62, 0.0), (0.42, 1.0)] {
                let along = lattice * (f64::from(i) + 0.5 * f64::from(j)) + 0.5 * lattice * third;
                let across = lattice * (0.866 * f64::from(j) + 0.2887 * third);
                let (x, y) = (0.5 * field + cos * along - sin * across, 0.5 * field + sin * along + cos * across);
                let missing = (i * 7 + j * 13).rem_euclid(17) == 0 || 0.8 * x + 0.6 * y > 0.95 * field;
                if missing || !(-3.0..field + 3.0).contains(&x) || !(-3.0..field + 3.0).contains(&y) {
                    continue;
                }
                for ((row, column), value) in phase.indexed_iter_mut() {
                    let (dx, dy) = (column as f64 * grid.pixel_x_angstrom - x, row as f64 * grid.pixel_y_angstrom - y);
                    let squared = dx * dx + dy * dy;
                    if squared < 6.0 {
                        *value += (kind * (-squared / (2.0 * 0.33 * 0.33)).exp()) as f32;
                    }
                }
            }
        }
    }
    phase.mapv(|phi| Complex::from_polar(1.0, phi))
}

/// The inner part of the images of a wave, so that they do not go on periodically, and of the wave.
fn series(dose_e_per_a2: Option<f64>) -> (FocalSeries, Array2<Complex<f32>>) {
    let pixel = 0.17;
    let grid = Grid { nx: 180, ny: 180, pixel_x_angstrom: pixel, pixel_y_angstrom: pixel };
    let truth = wave(&grid);
    let wave = ExitWave::from_wave(&truth, grid, ENERGY_EV).unwrap();
    let mut optics = Optics::default();
    optics.aberrations.set("C30", CS_ANGSTROM).unwrap();
    optics.aberrations.set("C12", 9.0).unwrap();
    optics.aberrations.set("phi12", 0.8).unwrap();
    optics.temporal = Coherence::Envelope(FocalSpread::from_standard_deviation(8.0));
    let inner = s![20..160, 16..164];
    let mut images = Array3::zeros((3, 140, 148));
    let mut random = SeedPath::new(3).child("electrons").stream();
    let electrons = dose_e_per_a2.unwrap_or(1e5) * pixel * pixel;
    for (mut image, defocus) in images.outer_iter_mut().zip(DEFOCUS_ANGSTROM) {
        let intensity = wave.image(&optics.at_defocus_angstrom(defocus)).unwrap();
        image.assign(&intensity.slice(inner).mapv(|value| {
            let mean = f64::from(value) * electrons;
            if dose_e_per_a2.is_some() { Poisson::new(mean).unwrap().sample(&mut random) as f32 } else { mean as f32 }
        }));
    }
    let defocus_angstrom = DEFOCUS_ANGSTROM.to_vec();
    let series = FocalSeries {
        images,
        pixel_angstrom: pixel,
        energy_ev: ENERGY_EV,
        defocus_angstrom,
        defocus_is_absolute: true,
    };
    (series, truth.slice(inner).to_owned())
}

/// A camera that does not spread, and a lens whose spread is known: these atoms are Gaussian, as no atom is.
fn settings() -> Settings {
    let mut settings = Settings {
        camera: Some(CameraEstimate::known(1.0, 1e3, 2.0)),
        shift_angstrom: Some(vec![[0.0; 2]; 3]),
        ..Settings::default()
    };
    settings.lens.focal_spread_angstrom = Estimate::new(8.0, 0.0);
    settings.lens.blur_angstrom = Estimate::new(0.0, 0.0);
    // Gaussians on a lattice look the same under several lenses, so roughly the lens is known.
    settings.lens.focus_sigma_angstrom = 8.0;
    settings.lens.c30_angstrom = Estimate::new(CS_ANGSTROM + 1e4, 2e4);
    settings
}

/// Relative L2 error in the inner 80 % after the best constant phase.
fn error(found: &Array2<Complex<f32>>, truth: &Array2<Complex<f32>>) -> f64 {
    let (ny, nx) = truth.dim();
    let inner = s![ny / 10..ny - ny / 10, nx / 10..nx - nx / 10];
    let (found, truth) = (found.slice(inner), truth.slice(inner));
    let product: Complex<f32> = found.iter().zip(&truth).map(|(a, b)| a.conj() * b).sum();
    let turn = product / product.norm();
    let squared: f32 = found.iter().zip(&truth).map(|(a, b)| (a * turn - b).norm_sqr()).sum();
    f64::from(squared / truth.iter().map(|b| b.norm_sqr()).sum::<f32>()).sqrt()
}

#[test]
fn a_wave_is_found() {
    for (dose, limit, name) in [(None, 0.08, "no noise"), (Some(3000.0), 0.1, "3000 e/A^2")] {
        let (mut series, truth) = series(dose);
        // Steps that are off by 6 %, and a first focus that is off.
        series.defocus_angstrom = vec![43.0, 90.0, 137.0];
        let result = reconstruct(&series, &settings(), None, &mut |_| true).unwrap();
        let error = error(&result.wave, &truth);
        let lens = &result.lens;
        println!(
            "{name}: relative L2 error {error:.4}, {} steps, focus {:?}, Cs {:?}, C12 {:?} at {:?}, spread {:?}, residual {:?}, phase sigma {:.3}",
            result.iterations,
            lens.defocus_angstrom,
            lens.c30_angstrom,
            lens.c12_angstrom,
            lens.phi12_rad,
            lens.focal_spread_angstrom,
            result.residual_rms,
            result.phase_sigma_rad
        );
        assert!(error < limit, "{name}: {error}");
        // Gaussians on a lattice do not tell their lens; the series below does.
        assert!(result.residual_rms.iter().all(|rms| (0.7..1.2).contains(rms) || dose.is_none()));
        assert!(!result.stopped);
    }
}

#[test]
fn the_number_of_threads_changes_nothing_and_work_can_be_stopped() {
    let (series, _) = series(Some(3000.0));
    let mut part = series.clone();
    part.images = series.images.slice(s![.., ..64, ..64]).to_owned();
    let settings = Settings { most_iterations: 3, ..settings() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| reconstruct(&part, &settings, None, &mut |_| true).unwrap())
    };
    let (one, three) = (with(1), with(3));
    assert!(one == three, "{:?} {:?}", one.lens, three.lens);
    let mut calls = 0;
    let stopped = reconstruct(&part, &settings, None, &mut |_| {
        calls += 1;
        calls < 4
    });
    let stopped = stopped.unwrap();
    assert!(stopped.stopped && !stopped.converged && calls == 4 && stopped.iterations == 3, "{calls}");
    assert_eq!(stopped.wave.dim(), (64, 64));
}

#[test]
fn a_start_must_fit_the_images() {
    let (series, truth) = series(Some(3000.0));
    let start = truth.slice(s![..100, ..]).to_owned();
    let error = reconstruct(&series, &settings(), Some(&start), &mut |_| true).unwrap_err();
    assert!(matches!(error, ReconstructError::Shape { found_y: 100, .. }), "{error}");
    let mut start = truth;
    start[[3, 4]].re = f32::NAN;
    let error = reconstruct(&series, &settings(), Some(&start), &mut |_| true).unwrap_err();
    assert!(error.to_string().contains("[y, x] = [3, 4]"), "{error}");
}

/// The lens of a series of MoS2 with its first focus unknown and its second image shifted.
#[test]
fn the_lens_of_an_independent_simulator_is_found() {
    let Some(known) = reference::load() else { return };
    let known = &known[3];
    let mut series = known.series.clone();
    let (_, ny, nx) = series.images.dim();
    let step = (0.5 / series.pixel_angstrom).round() as usize;
    let shift = step as f64 * series.pixel_angstrom;
    let mut images = Array3::zeros((3, ny, nx - step));
    for (image, mut out) in images.outer_iter_mut().enumerate() {
        let left = if image == 1 { 0 } else { step };
        out.assign(&series.images.index_axis(Axis(0), image).slice(s![.., left..left + nx - step]));
    }
    series.images = images;
    let settings = Settings { most_iterations: 10, ..Settings::default() };
    let result = reconstruct(&series, &settings, None, &mut |_| true).unwrap();
    let off = result.lens.defocus_angstrom[0].value - series.defocus_angstrom[0];
    println!("focus off by {off:.1}, {:?}, shifts {:?}", result.lens.c30_angstrom, result.shift_angstrom);
    // The wave belongs to the middle of the layer, the focus of the simulation to a plane 3.6 angstrom beyond.
    assert!((-9.0..3.0).contains(&off), "{off}");
    assert!((result.lens.c30_angstrom.value - known.cs_angstrom).abs() < 1.5e4, "{:?}", result.lens.c30_angstrom);
    assert!((result.shift_angstrom[1][0].value - shift).abs() < 0.05, "{:?} {shift}", result.shift_angstrom);
}
