//! `atomlens detect` from files to tables, pictures and the report, with a model that comes with the program.

mod common;

use std::path::Path;

use common::Place;
use ndarray::Array2;
use rand::RngExt;

/// What the model must find: bright columns of a gold crystal along [100] on a noisy ground.
fn crystal(pixels: usize, pixel_angstrom: f64, noise: f32) -> Array2<f32> {
    let mut random = atomlens_core::SeedPath::new(1).stream();
    let (spacing, sigma) = (4.08 / 2.0, 0.45);
    let middle = 0.5 * pixels as f64 * pixel_angstrom;
    Array2::from_shape_fn((pixels, pixels), |(j, i)| {
        let (x, y) = (i as f64 * pixel_angstrom - middle, j as f64 * pixel_angstrom - middle);
        let mut value = 0.0;
        if x.abs() < 8.5 && y.abs() < 8.5 {
            let to_column = |place: f64| place - spacing * (place / spacing).round();
            value = (-0.5 * (to_column(x).powi(2) + to_column(y).powi(2)) / (sigma * sigma)).exp();
        }
        1000.0 + 300.0 * value as f32 + noise * random.random_range(-1.0..1.0_f32)
    })
}

fn write(path: &Path, image: &Array2<f32>) {
    atomlens_formats::write_npy(path, image.view()).unwrap();
}

#[test]
fn an_image_gives_tables_pictures_and_a_report() {
    let place = Place::new();
    write(&place.path("crystal.npy"), &crystal(320, 0.1, 60.0));
    let summary = place.run("detect crystal.npy --pixel-size-nm 0.01 --out found --json").good().json();
    assert_eq!(summary["files"][0]["frames"], 1);
    let names = ["columns.csv", "columns.parquet", "columns.xyz", "confidence.tif", "overlay.png", "overlay.svg"];
    for name in names.into_iter().chain(["report.html", "settings.json"]) {
        assert!(place.path("found").join(name).is_file(), "{name}");
    }
    let table = std::fs::read_to_string(place.path("found/columns.csv")).unwrap();
    assert!(table.starts_with(
        "file,frame,column_id,x_px,y_px,x_nm,y_nm,position_sigma_nm,probability,species,species_probability,atoms,atoms_sigma"
    ));
    assert_eq!(table.lines().count() as u64 - 1, summary["files"][0]["columns"].as_u64().unwrap());
    let settings = std::fs::read_to_string(place.path("found/settings.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    assert!(settings["inputs_sha256"]["crystal.npy"].is_string());
    let again = place.run("detect crystal.npy --pixel-size-nm 0.01 --out found");
    again.fails("a folder that holds results", 4, &["holds files already"]);
}

#[test]
fn a_lattice_that_the_user_names_tells_the_pixel_size() {
    let place = Place::new();
    write(&place.path("crystal.npy"), &crystal(320, 0.1, 60.0));
    // A square lattice of spots may be many a metal, larger or smaller.
    place.run("detect crystal.npy --out open").fails("an open lattice", 3, &["no pixel size", "--lattice"]);
    let summary = place.run("detect crystal.npy --lattice Au --out found --json").good().json();
    let pixel_nm = summary["files"][0]["pixel_size_nm"].as_f64().unwrap();
    assert!((pixel_nm / 0.01 - 1.0).abs() < 0.02, "{pixel_nm}");
    assert_eq!(summary["files"][0]["pixel_size_from"], "lattice");
}

#[test]
fn noise_and_empty_frames_give_no_column() {
    let place = Place::new();
    let mut random = atomlens_core::SeedPath::new(2).stream();
    write(&place.path("noise.npy"), &Array2::from_shape_simple_fn((256, 256), || random.random_range(0.0..100.0)));
    write(&place.path("flat.npy"), &Array2::from_elem((256, 256), 117.0));
    for name in ["noise", "flat"] {
        let answer =
            place.run(&format!("detect {name}.npy --model metal-particles --pixel-size-nm 0.02 --out {name} --json"));
        assert_eq!(answer.good().json()["files"][0]["columns"], 0, "{name}");
    }
}

#[test]
fn what_cannot_be_analysed_is_refused_with_a_reason() {
    let place = Place::new();
    let mut random = atomlens_core::SeedPath::new(3).stream();
    write(&place.path("noise.npy"), &Array2::from_shape_simple_fn((128, 128), || random.random_range(0.0..100.0)));
    write(&place.path("small.npy"), &Array2::from_shape_simple_fn((10, 10), || random.random_range(0.0..100.0)));
    write(&place.path("nan.npy"), &Array2::from_elem((64, 64), f32::NAN));
    for (arguments, code, words) in [
        ("noise.npy", 3, &["noise.npy", "no pixel size", "--pixel-size-nm"][..]),
        ("noise.npy --pixel-size-nm 0.2", 3, &["0.2", "trained on"]),
        ("small.npy --pixel-size-nm 0.02", 3, &["10 x 10"]),
        ("nan.npy --pixel-size-nm 0.02", 3, &["nan.npy", "finite"]),
        ("noise.npy --lattice unobtainium", 2, &["--lattice", "unobtainium", "graphene"]),
        ("noise.npy --pixel-size-nm 0", 2, &["--pixel-size-nm", "more than 0"]),
        ("noise.npy --pixel-size-nm 0.02 --model no-such", 3, &["no-such", "metal-particles"]),
        ("missing.tif", 3, &["missing.tif"]),
    ] {
        place.run(&format!("detect {arguments} --out out")).fails(arguments, code, words);
        let _ = std::fs::remove_dir_all(place.path("out"));
    }
}

/// Writes a movie of crystals under different noise.
fn write_movie(path: &Path, frames: usize, pixels: usize) {
    let mut random = atomlens_core::SeedPath::new(4).stream();
    let still = crystal(pixels, 0.15, 0.0);
    let movie = ndarray::Array3::from_shape_fn((frames, pixels, pixels), |(_, j, i)| {
        still[[j, i]] + 60.0 * random.random_range(-1.0..1.0_f32)
    });
    atomlens_formats::write_npy(path, movie.view()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_detection_that_was_stopped_goes_on_where_it_was() {
    let place = Place::new();
    write_movie(&place.path("movie.npy"), 60, 160);
    let arguments = "detect movie.npy --model metal-particles --pixel-size-nm 0.015";
    place.stop(&format!("{arguments} --out out"), 60);
    for name in ["columns.csv", "columns.parquet", "report.html", "confidence.tif", "overlay.png", "settings.json"] {
        assert!(place.path("out").join(name).is_file(), "{name}");
    }

    let again = place.run(&format!("{arguments} --out out"));
    again.fails("a folder of a run that was stopped", 4, &["--resume"]);
    let other = place.run(&format!("{arguments} --probability 0.9 --out out --resume"));
    other.fails("other settings", 4, &["choose another --out"]);
    place.run(&format!("{arguments} --out out --resume")).good();
    place.run(&format!("{arguments} --out whole")).good();
    place.same_results("out", "whole");
    place.run(&format!("{arguments} --out out --resume")).fails("a complete run", 4, &["is complete"]);
}

#[test]
fn what_is_no_library_of_onnxruntime_is_refused() {
    let place = Place::new();
    write(&place.path("crystal.npy"), &crystal(160, 0.1, 60.0));
    place.write("libonnxruntime.so", "no library");
    for library in ["libonnxruntime.so", "missing.so"] {
        let answer = place.run(&format!("detect crystal.npy --pixel-size-nm 0.01 --onnxruntime {library} --out out"));
        answer.fails(library, 3, &[library, "onnxruntime"]);
    }
}

/// With a real library: `ATOMLENS_ONNXRUNTIME=.../libonnxruntime.so cargo test -p atomlens --test detect`.
#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn a_library_of_onnxruntime_finds_the_same_columns() {
    let Some(library) = std::env::var_os("ATOMLENS_ONNXRUNTIME") else {
        eprintln!("SKIPPED: ATOMLENS_ONNXRUNTIME names no library of onnxruntime");
        return;
    };
    let place = Place::new();
    write(&place.path("crystal.npy"), &crystal(320, 0.1, 60.0));
    let ours = place.run("detect crystal.npy --pixel-size-nm 0.01 --out ours --json").good().json();
    let library = library.into_string().unwrap();
    let arguments = format!("detect crystal.npy --pixel-size-nm 0.01 --onnxruntime {library} --out theirs --json");
    let theirs = place.run(&arguments).good().json();
    assert_eq!(ours["files"][0]["columns"], theirs["files"][0]["columns"]);
    let places = |folder: &str| -> Vec<[f64; 2]> {
        let table = std::fs::read_to_string(place.path(folder).join("columns.csv")).unwrap();
        let place = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            [fields[3].parse().unwrap(), fields[4].parse().unwrap()]
        };
        table.lines().skip(1).map(place).collect()
    };
    let (ours, theirs) = (places("ours"), places("theirs"));
    assert!(ours.len() > 20, "{}", ours.len());
    for (a, b) in ours.iter().zip(&theirs) {
        assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 0.01, "{a:?} {b:?}");
    }
}
