//! Displacements of the images of the reference series, after moving them.
#![allow(clippy::print_stdout, reason = "figures, and which data are absent")]

use atomlens_core::{RandomStream, SeedPath};
use atomlens_reconstruct::{AlignSettings, Alignment, FocalSeries, align, estimate_camera};
use atomlens_simulate::resample::shift;
use ndarray::{Array3, Axis, s};
use rand::RngExt;

mod reference;

/// A series whose images were moved, with how far.
struct Jittered {
    series: FocalSeries,
    moved_angstrom: Vec<[f64; 2]>,
}

/// Moves images by up to `amplitude` along x and y, cuts what came in from the other side, and makes the nominal focus wrong by
/// a factor of up to `1 +- step_error`, of unknown zero.
fn jittered(known: &FocalSeries, amplitude_angstrom: f64, step_error: f64, stream: &mut RandomStream) -> Jittered {
    let (count, ny, nx) = known.images.dim();
    let margin = (amplitude_angstrom / known.pixel_angstrom).ceil() as usize + 1;
    let mut images = Array3::zeros((count, ny - 2 * margin, nx - 2 * margin));
    let mut moved_angstrom = Vec::new();
    for image in 0..count {
        let by = [0, 1].map(|_| amplitude_angstrom * stream.random_range(-1.0..1.0));
        let moved = shift(&known.images.index_axis(Axis(0), image).to_owned(), known.grid(), by).unwrap();
        images.index_axis_mut(Axis(0), image).assign(&moved.slice(s![margin..ny - margin, margin..nx - margin]));
        moved_angstrom.push(by);
    }
    let zero = known.defocus_angstrom[0];
    let nominal =
        known.defocus_angstrom.iter().map(|f| (f - zero) * (1.0 + step_error * stream.random_range(-1.0..1.0)));
    let series =
        FocalSeries { images, defocus_angstrom: nominal.collect(), defocus_is_absolute: false, ..known.clone() };
    Jittered { series, moved_angstrom }
}

/// Errors along x and y of all images but the reference, with their standard deviations.
fn errors(found: &Alignment, truth: &[[f64; 2]]) -> Vec<(f64, f64)> {
    let zero = truth[found.reference];
    let mut out = Vec::new();
    for (image, (shift, truth)) in found.shift_angstrom.iter().zip(truth).enumerate() {
        if image != found.reference {
            let sigma = found.sigma_angstrom[image];
            out.extend((0..2).map(|axis| (shift[axis] - (truth[axis] - zero[axis]), sigma)));
        }
    }
    out
}

/// Dose of a series, and its errors with their standard deviations in angstrom.
type OfSeries = (f64, Vec<(f64, f64)>);

fn measure(amplitude_angstrom: f64, step_error: f64, trials: usize) -> Option<Vec<OfSeries>> {
    let all = reference::load()?;
    let mut out = Vec::new();
    for trial in 0..trials {
        for (index, known) in all.iter().enumerate() {
            let seed = SeedPath::new(5).child("align").index(trial as u64).index(index as u64);
            let moved = jittered(&known.series, amplitude_angstrom, step_error, &mut seed.stream());
            let camera = estimate_camera(&moved.series).ok();
            let clock = std::time::Instant::now();
            let found = align(&moved.series, camera.as_ref(), &AlignSettings::default()).unwrap();
            let seconds = clock.elapsed().as_secs_f64();
            let errors = errors(&found, &moved.moved_angstrom);
            let worst = errors.iter().fold(0.0_f64, |worst, (error, _)| worst.max(error.abs()));
            let best = &found.hypotheses[0];
            println!(
                "{index} dose {:.0} f {:?} Cs {:.1} C12 {:.0} | found f {:?} Cs {:.1} C12 {:.0} explained {:.3} skew {:.2} scores {:?} reversal {:.3} \
                 sigma {:.3} worst {worst:.3} {seconds:.2} s",
                known.dose_e_per_a2,
                known.series.defocus_angstrom.iter().map(|f| f.round()).collect::<Vec<_>>(),
                known.cs_angstrom / 1e4,
                known.c12_angstrom,
                best.defocus_angstrom.iter().map(|f| f.round()).collect::<Vec<_>>(),
                best.cs_angstrom / 1e4,
                best.c12_angstrom,
                best.explained,
                best.skewness,
                found.image_score.iter().map(|s| (s * 100.0).round() / 100.0).collect::<Vec<_>>(),
                found.reversal,
                found.sigma_angstrom[0],
            );
            assert!(found.belongs.iter().all(|belongs| *belongs));
            assert!(!found.steps_contradicted, "series {index}: {}", found.reversal);
            out.push((known.dose_e_per_a2, errors));
        }
    }
    Some(out)
}

fn root_mean_square(errors: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0_f64);
    for error in errors {
        sum += error * error;
        count += 1.0;
    }
    (sum / count.max(1.0)).sqrt()
}

/// Jitter of up to 1 angstrom and steps off by 10 %: 0.03 angstrom from 3,000 e/A^2 on, and nowhere a vector of the lattice.
#[test]
fn jitter_is_found() {
    let Some(found) = measure(1.0, 0.1, 1) else { return };
    let high = found.iter().filter(|(dose, _)| *dose >= 2500.0).flat_map(|(_, errors)| errors);
    let rms = root_mean_square(high.clone().map(|(error, _)| *error));
    let pull = root_mean_square(high.map(|(error, sigma)| error / sigma));
    println!("rms {rms:.4} angstrom, in units of sigma {pull:.2}");
    assert!(rms < 0.03, "{rms}");
    assert!(pull < 1.7, "{pull}");
    for (dose, errors) in &found {
        assert!(errors.iter().all(|(error, _)| error.abs() < 0.25), "{dose}: {errors:?}");
    }
}

/// Steps of the wrong sign: series whose lens is told well. The others must not be contradicted where they are right.
#[test]
fn steps_of_the_wrong_sign_are_contradicted() {
    let Some(all) = reference::load() else { return };
    for index in [3, 4, 9, 10] {
        let mut series = all[index].series.clone();
        series.defocus_is_absolute = false;
        let camera = estimate_camera(&series).ok();
        series.defocus_angstrom.iter_mut().for_each(|f| *f = -*f);
        let wrong = align(&series, camera.as_ref(), &AlignSettings::default()).unwrap();
        println!("{index} reversal {:.3}", wrong.reversal);
        assert!(wrong.steps_contradicted, "{index}: {}", wrong.reversal);
    }
}

/// An image of another place is told from the others; those are found as without it.
#[test]
fn an_image_of_another_place_does_not_belong() {
    let Some(all) = reference::load() else { return };
    let mut series = all[10].series.clone();
    let foreign = all[0].series.images.index_axis(Axis(0), 1).to_owned();
    series.images.index_axis_mut(Axis(0), 2).assign(&foreign);
    let camera = estimate_camera(&series).ok();
    let found = align(&series, camera.as_ref(), &AlignSettings::default()).unwrap();
    println!("{:?}", found.image_score);
    assert_eq!(found.belongs, [true, true, false]);
    let apart = [0, 1].map(|axis| found.shift_angstrom[0][axis] - found.shift_angstrom[1][axis]);
    assert!(apart[0].hypot(apart[1]) < 0.06, "{apart:?}");
}
