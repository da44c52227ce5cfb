//! `atomlens info`: what it says of a file, for people and for programs.

mod common;

use std::fs;

use atomlens_core::Grid;
use atomlens_formats::{Frames, write_frames, write_npy};
use common::Place;
use ndarray::{Array2, Array3, array};
use num_complex::Complex32;

/// A movie of 3 frames of 20 x 24 pixels of 0.25 and 0.2 angstrom.
fn movie() -> Array3<u16> {
    Array3::from_shape_fn((3, 20, 24), |(frame, y, x)| (1000 * frame + 24 * y + x) as u16)
}

fn grid() -> Grid {
    Grid { nx: 24, ny: 20, pixel_x_angstrom: 0.25, pixel_y_angstrom: 0.2 }
}

#[test]
fn a_calibrated_movie() {
    let place = Place::new();
    write_frames(&place.path("movie.tif"), &Frames::new(movie().view(), &grid())).unwrap();
    let text = place.run("info movie.tif").good().out;
    for words in [
        "movie.tif: TIFF, ",
        "signal 1 \"movie\": a stack of images of 3 x 20 x 24, uint16, 2.9 kB",
        "0.025 nm along x, 0.02 nm along y, from ImageJ's description and the resolution tags",
        "not stated     frame time, voltage, dose",
        "columns        can be looked for",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    let json = place.run("info movie.tif --json").good().json();
    assert_eq!((&json["format"], &json["analysed"]), (&"TIFF".into(), &1.into()));
    assert_eq!(json["bytes"], fs::metadata(place.path("movie.tif")).unwrap().len());
    let signal = &json["signals"][0];
    assert_eq!(signal["shape"], serde_json::json!([3, 20, 24]));
    assert_eq!(
        (&signal["frames"], &signal["pixel_type"], &signal["data_bytes"]),
        (&3.into(), &"uint16".into(), &2880.into())
    );
    let size = |name: &str| signal["pixel_size"][name].as_f64().unwrap();
    assert!((size("x_nm") - 0.025).abs() < 1e-7 && (size("y_nm") - 0.02).abs() < 1e-7);
    assert_eq!((&signal["axes"][0]["navigation"], &signal["axes"][2]["size"]), (&true.into(), &24.into()));
    // The original metadata, whole.
    assert_eq!(signal["metadata"]["ImageWidth"], 24.0);
    assert!(signal["metadata"]["ImageDescription"].as_str().unwrap().contains("unit="));
}

#[test]
fn what_is_no_image_of_a_specimen_is_called_what_it_is() {
    let place = Place::new();
    write_npy(&place.path("profile.npy"), array![1.0f32, 2.0, 3.0].view()).unwrap();
    write_npy(&place.path("wave.npy"), Array2::from_elem((20, 24), Complex32::new(1.0, 0.0)).view()).unwrap();
    write_npy(&place.path("image.npy"), Array2::<f32>::ones((20, 24)).view()).unwrap();
    let coarse = Grid { pixel_x_angstrom: 5.0, pixel_y_angstrom: 5.0, ..grid() };
    write_frames(&place.path("coarse.mrc"), &Frames::new(movie().view(), &coarse)).unwrap();
    // HyperSpy's way of saying that a stack is a diffraction pattern is its unit; here by ImageJ's description.
    write_frames(&place.path("movie.tif"), &Frames::new(movie().view(), &grid())).unwrap();
    let bytes = fs::read(place.path("movie.tif")).unwrap();
    let at = bytes.windows(8).position(|word| word == b"unit=nm\n").expect("the writer names its unit");
    let mut pattern = bytes.clone();
    pattern[at..at + 8].copy_from_slice(b"unit=eV\n");
    place.write("energy.tif", &pattern);
    for (file, words, analysed) in [
        ("profile.npy", "cannot be looked for: no image: a spectrum or profile of 3", false),
        ("wave.npy", "cannot be looked for: complex numbers", false),
        ("coarse.mrc", "cannot be looked for: an image whose pixels of 0.5 nm are too coarse", false),
        ("energy.tif", "cannot be looked for: not an image of a specimen: its pixels are in eV", false),
        ("image.npy", "can be looked for; the pixel size has to be stated", true),
    ] {
        let text = place.run(&format!("info {file}")).good().out;
        assert!(text.contains(words), "no {words:?} in\n{text}");
        assert_eq!(text.contains("Columns cannot be looked for in this file."), !analysed, "{text}");
        let json = place.run(&format!("info {file} --json")).good().json();
        assert_eq!(json["analysed"].is_null(), !analysed);
        assert_eq!(json["signals"][0]["analysable"], analysed);
    }
}

#[test]
fn raw_files_are_what_the_user_says() {
    let place = Place::new();
    place.write("camera.bin", vec![0u8; 16 + 3 * 20 * 24 * 2]);
    let raw = "info camera.bin --raw-type uint16 --raw-width 24 --raw-height 20";
    let json = place.run(&format!("{raw} --raw-offset 16 --json")).good().json();
    assert_eq!(json["signals"][0]["shape"], serde_json::json!([3, 20, 24]));
    assert_eq!(json["format"], "raw");
    place.run(raw).fails("a header in front", 3, &["camera.bin", "24", "whole number of such frames"]);
    place.run("info camera.bin").fails(
        "no description",
        3,
        &["camera.bin", "unknown kind", "state type, width and height"],
    );
    place.run("info camera.bin --raw-type uint16").fails("no size", 2, &["required"]);
    place.run(&raw.replace("uint16", "u16")).fails("no type", 2, &["u16", "--raw-type"]);
}

#[test]
fn unusable_files() {
    let place = Place::new();
    place.write("empty.dm4", "");
    place.write("text.tif", "hello");
    write_frames(&place.path("cut.mrc"), &Frames::new(movie().view(), &grid())).unwrap();
    let bytes = fs::read(place.path("cut.mrc")).unwrap();
    place.write("cut.mrc", &bytes[..bytes.len() - 100]);
    for (arguments, code, words) in [
        ("none.dm4", 3, &["none.dm4", "No such file"][..]),
        ("empty.dm4", 3, &["empty.dm4", "empty"]),
        ("text.tif", 3, &["text.tif", "unknown kind of image file", "DM3"]),
        ("cut.mrc", 3, &["cut.mrc", "cut short", "copy it again"]),
        (".", 3, &[]),
        ("", 2, &["FILE"]),
    ] {
        let run = place.run(&format!("info {arguments}"));
        if arguments.is_empty() {
            assert_eq!(run.code, code);
        } else {
            run.fails(arguments, code, words);
        }
    }
}
