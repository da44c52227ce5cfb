//! `atomlens convert`: the same numbers and calibration in other files, nothing overwritten, losses named.

mod common;

use std::fs;

use atomlens_core::Grid;
use atomlens_formats::signal::open;
use atomlens_formats::{Frames, read_npy, write_frames, write_npy};
use common::Place;
use ndarray::{Array2, Array3, array};

fn movie() -> Array3<u16> {
    Array3::from_shape_fn((3, 20, 24), |(frame, y, x)| (1000 * frame + 24 * y + x) as u16)
}

fn with_movie() -> Place {
    let place = Place::new();
    let grid = Grid { nx: 24, ny: 20, pixel_x_angstrom: 0.25, pixel_y_angstrom: 0.25 };
    write_frames(&place.path("movie.tif"), &Frames::new(movie().view(), &grid)).unwrap();
    place
}

#[test]
fn every_format_has_the_same_numbers_and_calibration() {
    let place = with_movie();
    for (format, ending) in [("tiff", "tif"), ("mrc", "mrc"), ("hspy", "hspy"), ("npy", "npy")] {
        let json = place.run(&format!("convert movie.tif --to {format} --out new/{format} --json")).good().json();
        let out = format!("new/{format}/movie.{ending}");
        assert_eq!(json["written"][0]["out"], out.as_str());
        let file = open(&place.path(&out)).unwrap();
        let signal = &file.signals[0];
        assert_eq!((signal.shape(), signal.pixel.name()), (vec![3, 20, 24], "uint16"), "{format}");
        for frame in 0..3 {
            let expected = movie().index_axis_move(ndarray::Axis(0), frame).mapv(f32::from);
            assert_eq!(signal.frame(frame as u64).unwrap(), expected, "{format}, frame {frame}");
        }
        let lost: Vec<&str> =
            json["written"][0]["lost"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
        if format == "npy" {
            assert!(lost[0].contains("calibration") && lost[0].contains("--pixel-size-nm 0.025"), "{lost:?}");
        } else {
            let size = signal.pixel_size().unwrap();
            assert!((size.x_nm - 0.025).abs() < 1e-6 && (size.y_nm - 0.025).abs() < 1e-6, "{format}: {size:?}");
            assert_eq!(lost.is_empty(), format == "hspy", "{lost:?}");
            assert!(format == "hspy" || lost[0].contains("the original metadata (HSPY keeps them)"), "{lost:?}");
        }
        assert_eq!(place.files(&format!("new/{format}")).len(), 1, "no temporary file stays");
    }
    // The new file beside the old one, and an answer for people.
    let text = place.run("convert movie.tif --to mrc").good().out;
    assert!(
        text.starts_with("movie.tif, signal 1 (a stack of images of 3 x 20 x 24) -> movie.mrc\n  lost: "),
        "{text}"
    );
    assert!(place.path("movie.mrc").is_file());
}

#[test]
fn nothing_is_overwritten() {
    let place = with_movie();
    let before = fs::read(place.path("movie.tif")).unwrap();
    place.run("convert movie.tif --to tiff").fails("itself", 4, &["movie.tif", "nothing is overwritten", "--out"]);
    assert!(fs::read(place.path("movie.tif")).unwrap() == before);
    place.run("convert movie.tif --to npy --out new").good();
    place.run("convert movie.tif --to npy --out new").fails("again", 4, &["new/movie.npy", "nothing is overwritten"]);
    // Two that would become one.
    fs::create_dir(place.path("other")).unwrap();
    fs::copy(place.path("movie.tif"), place.path("other/movie.tif")).unwrap();
    let run = place.run("convert movie.tif other/movie.tif --to npy --out both");
    assert_eq!(run.code, 4, "{}", run.err);
    assert!(
        run.err.contains("1 of 2 files were not converted: ") && run.err.contains("different folders"),
        "{}",
        run.err
    );
    assert!(run.out.contains("both/movie.npy") && place.path("both/movie.npy").is_file());
    place.write("file", "");
    place.run("convert movie.tif --to npy --out file").fails("a file for a folder", 4, &["file"]);
}

#[test]
fn what_a_format_cannot_hold_is_refused_or_left_out() {
    let place = with_movie();
    write_npy(&place.path("profile.npy"), array![1.0f32, 2.0, 3.0].view()).unwrap();
    write_npy(&place.path("image.npy"), Array2::<f64>::from_elem((20, 24), 1.5).view()).unwrap();
    place.run("convert profile.npy --to tiff").fails("a profile", 3, &["profile.tif", "spectrum or profile", "HSPY"]);
    assert!(!place.path("profile.tif").exists());
    // One bad file does not keep the others from it; the answer says so.
    let run = place.run("convert none.dm3 profile.npy image.npy --to mrc");
    assert_eq!(run.code, 3, "{}", run.err);
    assert!(
        run.err.starts_with("error: 2 of 3 files were not converted: ") && run.err.contains("none.dm3"),
        "{}",
        run.err
    );
    assert!(run.out.contains("-> image.mrc\n  changed: float64 is written as float32"), "{}", run.out);
    assert!(place.path("image.mrc").is_file() && !place.path("profile.mrc").exists());
    // Several signals in a file.
    place.write(
        "two.npz",
        npz(&[
            ("image", &fs::read(place.path("image.npy")).unwrap()),
            ("line", &fs::read(place.path("profile.npy")).unwrap()),
        ]),
    );
    let json = place.run("convert two.npz --to tiff --out all --json").good().json();
    assert_eq!((&json["written"][0]["out"], &json["left_out"][0]["signal"]), (&"all/two_1.tif".into(), &2.into()));
    place.run("convert two.npz --to npy --signal 2 --out one").good();
    assert_eq!(place.files("one").into_keys().collect::<Vec<_>>(), ["two_2.npy"]);
    assert_eq!(read_npy(&place.path("one/two_2.npy")).unwrap().shape(), [3]);
    place.run("convert two.npz --to npy --signal 3").fails("no such", 3, &["two.npz", "2 signals", "signal 3"]);
    place.run("convert movie.tif --to npy --signal 0").fails("from 1", 2, &["--signal"]);
    place.run("convert movie.tif --to gif").fails("format", 2, &["gif"]);
}

#[test]
fn raw_files_get_a_calibration() {
    let place = Place::new();
    let values: Vec<u8> = (0..2 * 20 * 24u16).flat_map(u16::to_be_bytes).collect();
    place.write("camera.bin", [&[9; 7][..], &values].concat());
    let raw = "--raw-type uint16 --raw-width 24 --raw-height 20 --raw-offset 7 --raw-big-endian --pixel-size-nm 0.02";
    place.run(&format!("convert camera.bin --to tiff {raw}")).good();
    let file = open(&place.path("camera.tif")).unwrap();
    assert_eq!(file.signals[0].shape(), [2, 20, 24]);
    assert_eq!(file.signals[0].frame(1).unwrap()[[19, 23]], 959.0);
    assert!((file.signals[0].pixel_size().unwrap().x_nm - 0.02).abs() < 1e-7);
    place.run(&format!("convert camera.bin --to npy {}", raw.replace("offset 7", "offset 8"))).fails(
        "half a frame",
        3,
        &["camera.bin", "whole number of such frames"],
    );
}

/// A ZIP of members that are stored, as NumPy writes it.
fn npz(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let name = format!("{name}.npy");
        let checksum = !content.iter().fold(!0u32, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ 0xedb8_8320 & (sum & 1).wrapping_neg())
        });
        let mut common = [20u16, 0, 0, 0, 0].map(u16::to_le_bytes).concat();
        common.extend([checksum, content.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat());
        common.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(*content);
    }
    let (start, count) = (bytes.len() as u32, members.len() as u16);
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].map(u16::to_le_bytes).concat());
    bytes.extend([directory.len() as u32, start].map(u32::to_le_bytes).concat());
    bytes.extend([0, 0]);
    bytes
}
