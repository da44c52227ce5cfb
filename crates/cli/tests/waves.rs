//! `atomlens exit-wave` and `atomlens image`: what they write, with every option.

mod common;

use std::fs;

use atomlens_formats::{read_npy, read_wave};
use common::{BOX, Place};
use ndarray::{ArrayD, Ix2};

fn shape_and_type(place: &Place, name: &str) -> (Vec<usize>, &'static str) {
    let array = read_npy(&place.path(name)).unwrap();
    (array.shape().to_vec(), array.type_name())
}

fn image(place: &Place, name: &str) -> ArrayD<f32> {
    read_npy(&place.path(name)).unwrap().into_f32().unwrap()
}

const WAVE: &str = "exit-wave box.xyz --energy-kev 300 --gpts 96x80";

#[test]
fn waves_and_potentials() {
    let place = Place::new();
    let run = place.run(&format!("{WAVE} --slice-thickness-angstrom 0.5 --out w.npy --potential p.npy --json")).good();
    let json = run.json();
    assert_eq!((json["slices"].as_u64(), json["atoms"].as_u64()), (Some(8), Some(2)));
    assert_eq!(shape_and_type(&place, "w.npy"), (vec![80, 96], "complex64"));
    assert_eq!(shape_and_type(&place, "p.npy"), (vec![80, 96], "float32"));
    // [y, x]: the first atom is at x = 3, y = 4 angstrom with pixels of 0.125 angstrom.
    let potential = image(&place, "p.npy").into_dimensionality::<Ix2>().unwrap();
    let highest = potential.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    assert_eq!(highest, (32, 24));
    let wave = read_wave(&place.path("w.npy")).unwrap();
    let mean = wave.iter().map(|value| f64::from(value.norm_sqr())).sum::<f64>() / wave.len() as f64;
    assert!((mean - json["mean_intensity"].as_f64().unwrap()).abs() < 1e-5 && (0.9..=1.0).contains(&mean));
    let beside: serde_json::Value = serde_json::from_slice(&fs::read(place.path("w.json")).unwrap()).unwrap();
    assert_eq!((beside["energy_kev"].as_f64(), beside["grid"]["nx"].as_u64()), (Some(300.0), Some(96)));

    place.run(&format!("{WAVE} --out d.npy --potential dp.npy --precision double")).good();
    assert_eq!(shape_and_type(&place, "d.npy"), (vec![80, 96], "complex128"));
    assert_eq!(shape_and_type(&place, "dp.npy"), (vec![80, 96], "float64"));
    place.run(&format!("{WAVE} --out s.npy --threads 1")).good();
    place.run(&format!("{WAVE} --out s3.npy --threads 3")).good();
    assert_eq!(fs::read(place.path("s.npy")).unwrap(), fs::read(place.path("s3.npy")).unwrap());
    let (single, double) = (read_wave(&place.path("s.npy")).unwrap(), read_wave(&place.path("d.npy")).unwrap());
    let difference = (&single - &double).iter().map(|value| value.norm()).fold(0.0, f32::max);
    assert!(difference > 0.0 && difference < 1e-4, "{difference}");

    // Every option changes the wave, and none stops it.
    for options in [
        "--parametrization kirkland",
        "--projection finite",
        "--placement exact",
        "--tilt-mrad -3 4.5",
        "--pad-angstrom 1.5",
        "--slice-thickness-angstrom 4",
    ] {
        place.run(&format!("{WAVE} --out o.npy {options}")).good();
        assert_ne!(read_wave(&place.path("o.npy")).unwrap(), single, "{options}");
    }
    let padded = place.run(&format!("{WAVE} --out o.npy --pad-angstrom 1.5 --json")).good().json();
    let pixel = |axis: &str| padded["grid"][axis].as_f64().unwrap();
    assert!(
        (pixel("pixel_x_angstrom") - 15.0 / 96.0).abs() < 1e-12
            && (pixel("pixel_y_angstrom") - 13.0 / 80.0).abs() < 1e-12
    );
}

#[test]
fn atoms_outside_are_folded_if_asked() {
    let place = Place::new();
    place.write("out.xyz", BOX.replace("Au 3 4 2", "Au 15 -6 2"));
    place.run(&format!("{WAVE} --out a.npy")).good();
    let outside = WAVE.replace("box", "out");
    place.run(&format!("{outside} --out b.npy")).fails("outside", 5, &["out.xyz", "outside the cell", "--wrap"]);
    place.run(&format!("{outside} --out b.npy --wrap")).good();
    assert_eq!(fs::read(place.path("a.npy")).unwrap(), fs::read(place.path("b.npy")).unwrap());
}

#[test]
fn images_with_every_option() {
    let place = Place::new();
    place.run(&format!("{WAVE} --out w.npy")).good();
    place.write("camera.mtf", "3\n1.0\n0.7\n0.4\n");
    place.write("flat.mtf", "2\n1.0\n1.0\n");
    // Energy and pixel size come from the file beside the wave, or from the command line.
    place.run("image w.npy --defocus-angstrom 50 --out plain.npy").good();
    fs::copy(place.path("w.npy"), place.path("bare.npy")).unwrap();
    place
        .run("image bare.npy --energy-kev 300 --pixel-size-angstrom 0.125 --defocus-angstrom 50 --out bare_image.npy")
        .good();
    let plain = image(&place, "plain.npy");
    assert_eq!(plain.shape(), [80, 96]);
    assert_eq!(plain, image(&place, "bare_image.npy"));
    place.run("image w.npy w.npy --defocus-angstrom 50 --out twice.npy").good();
    assert_eq!(plain, image(&place, "twice.npy"));
    place
        .run("image bare.npy --energy-kev 300 --pixel-size-angstrom 0.125 0.2 --defocus-angstrom 50 --out o.npy")
        .good();
    assert_ne!(plain, image(&place, "o.npy"));
    for options in [
        "--defocus-angstrom -60",
        "--defocus-angstrom 50 --cs-angstrom -1.5e5",
        "--defocus-angstrom 50 --aberration C12=40 phi12=0.7 C21=-300",
        "--defocus-angstrom 50 --aberration C12=40 --aberration phi12=-0.7",
        "--defocus-angstrom 50 --focal-spread-angstrom 30",
        "--defocus-angstrom 50 --focal-spread-angstrom 30 --spread-convention fwhm",
        "--defocus-angstrom 50 --focal-spread-angstrom 30 --focus-samples 11",
        "--defocus-angstrom 50 --angular-spread-mrad 2",
        "--defocus-angstrom 50 --angular-spread-mrad 2 --angle-samples 7",
        "--defocus-angstrom 50 --aperture-mrad 15",
        "--defocus-angstrom 50 --aperture-mrad 15 --aperture-edge-mrad 2",
        "--defocus-angstrom 50 --beam-tilt-mrad -3 2",
        "--defocus-angstrom 50 --vibration-angstrom 0.3",
        "--defocus-angstrom 50 --drift-angstrom -1 0.4",
        "--energy-kev 80 --defocus-angstrom 50",
        "--defocus-angstrom 50 --dose-e-per-a2 1e4",
        "--defocus-angstrom 50 --dose-e-per-a2 1e4 --seed 1",
        "--defocus-angstrom 50 --dose-e-per-a2 1e4 --mtf camera.mtf",
        "--defocus-angstrom 50 --dose-e-per-a2 1e4 --mtf camera.mtf --ntf flat.mtf",
        "--defocus-angstrom 50 --dose-e-per-a2 1e4 --dark-noise-electrons 2 --gain-counts-per-electron 3",
    ] {
        let run = place.run(&format!("image w.npy {options} --out o.npy --json")).good();
        let found = image(&place, "o.npy");
        assert_eq!(found.shape(), [80, 96], "{options}");
        assert!(found.iter().all(|value| value.is_finite()), "{options}");
        assert_ne!(found, plain, "{options}");
        assert!((f64::from(found.mean().unwrap()) - run.json()["mean"].as_f64().unwrap()).abs() < 0.05, "{options}");
    }
    // A sum over focus or angle is near the envelope.
    for (envelope, sum) in [
        ("--focal-spread-angstrom 30", "--focal-spread-angstrom 30 --focus-samples 41"),
        ("--angular-spread-mrad 0.5", "--angular-spread-mrad 0.5 --angle-samples 15"),
    ] {
        place.run(&format!("image w.npy --defocus-angstrom 50 {envelope} --out a.npy")).good();
        place.run(&format!("image w.npy --defocus-angstrom 50 {sum} --out b.npy")).good();
        let (a, b) = (image(&place, "a.npy"), image(&place, "b.npy"));
        let rms = (&a - &b).mapv(|value| value * value).mean().unwrap().sqrt();
        assert!(rms < 0.2 * a.std(0.0), "{sum}: {rms}");
    }
}

#[test]
fn pixels_doses_and_formats() {
    let place = Place::new();
    place.run(&format!("{WAVE} --out w.npy")).good();
    for (options, shape, mean) in [
        ("--image-pixel-size-angstrom 0.2", [50, 60], 1.0),
        ("--dose-e-per-a2 1e4", [80, 96], 156.25),
        ("--dose-e-per-a2 1e4 --binning 2", [40, 48], 625.0),
        ("--dose-e-per-a2 1e4 --binning 2 --image-pixel-size-angstrom 0.2", [50, 60], 400.0),
        ("--dose-e-per-a2 1e4 --gain-counts-per-electron 4", [80, 96], 625.0),
    ] {
        place.run(&format!("image w.npy {options} --out o.npy")).good();
        let found = image(&place, "o.npy");
        assert_eq!(found.shape(), shape, "{options}");
        let relative = found.mean().unwrap() / mean;
        assert!((relative - 1.0).abs() < 0.01, "{options}: {relative}");
    }
    for name in ["o.tif", "o.tiff", "o.mrc"] {
        place.run(&format!("image w.npy --out {name}")).good();
        assert!(fs::metadata(place.path(name)).unwrap().len() > 4 * 80 * 96);
    }
    for seed in ["1", "1", "2"] {
        place
            .run(&format!("image w.npy --dose-e-per-a2 100 --seed {seed} --threads {seed} --out seed_{seed}.npy"))
            .good();
    }
    assert_ne!(image(&place, "seed_1.npy"), image(&place, "seed_2.npy"));
}
