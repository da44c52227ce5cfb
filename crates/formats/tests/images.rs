//! TIFF and MRC files, read back: pixels, pages, pixel size. What other programs make of them is
//! looked at by `check_with_python.py`.

use std::fs::File;
use std::path::Path;

use atomlens_core::Grid;
use atomlens_formats::{FrameFormat, Frames, PixelData, write_frames};
use ndarray::Array4;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

const GRID: Grid = Grid { nx: 7, ny: 5, pixel_x_angstrom: 0.123, pixel_y_angstrom: 0.25 };

/// A movie of focal series whose pixels tell where they are, stored in an unusual order of axes.
fn numbers() -> Array4<u16> {
    let turned =
        Array4::from_shape_fn((7, 5, 3, 2), |(x, y, focus, frame)| (((frame * 3 + focus) * 5 + y) * 7 + x) as u16);
    turned.reversed_axes()
}

#[test]
fn tiff_pages_and_calibration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.tif");
    let data = numbers().mapv(|v| f32::from(v) / 3.0);
    write_frames(&path, &Frames::new(data.view(), &GRID)).unwrap();
    let mut decoder = Decoder::new(File::open(&path).unwrap()).unwrap();
    let description = decoder.get_tag_ascii_string(Tag::ImageDescription).unwrap();
    for line in ["images=6", "slices=3", "frames=2", "hyperstack=true", "unit=nm", "min=0"] {
        assert!(description.lines().any(|found| found == line), "{line} in {description}");
    }
    assert!(description.starts_with("ImageJ="));
    for index in 0..6_u16 {
        assert_eq!(decoder.dimensions().unwrap(), (7, 5));
        let DecodingResult::F32(found) = decoder.read_image().unwrap() else { panic!("another type") };
        let expected: Vec<f32> = (0..35).map(|v| f32::from(index * 35 + v) / 3.0).collect();
        assert_eq!(found, expected);
        // 1 / 0.0123 pixels a nm, 1 / 0.025 pixels a nm.
        for (tag, fraction) in [(Tag::XResolution, [10_000, 123]), (Tag::YResolution, [40, 1])] {
            assert_eq!(decoder.get_tag_u32_vec(tag).unwrap(), fraction);
        }
        if index < 5 {
            decoder.next_image().unwrap();
        }
    }
    assert!(!decoder.more_images());
}

#[test]
fn mrc_pixels_and_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.mrc");
    let words = numbers();
    let bytes = words.mapv(|v| v as u8);
    let floats = words.mapv(f32::from);
    for (data, mode) in
        [(PixelData::from(words.view()), 6), (PixelData::from(bytes.view()), 6), (PixelData::from(floats.view()), 2)]
    {
        write_frames(&path, &Frames::new(data, &GRID)).unwrap();
        let content = std::fs::read(&path).unwrap();
        // Words of the header, counted from 1 as its definition does.
        let word = |number: usize| <[u8; 4]>::try_from(&content[4 * number - 4..4 * number]).unwrap();
        let integer = |number: usize| i32::from_le_bytes(word(number));
        let real = |number: usize| f32::from_le_bytes(word(number));
        assert_eq!([1, 2, 3, 4].map(integer), [7, 5, 6, mode]);
        assert_eq!([8, 9, 10].map(integer), [7, 5, 1], "mx, my, mz of an image stack");
        assert_eq!((real(11) / 7.0, real(12) / 5.0), (0.123, 0.25), "pixel size in angstrom");
        assert_eq!([17, 18, 19].map(integer), [1, 2, 3], "mapc, mapr, maps");
        assert_eq!([20, 21, 22].map(real), [0.0, 209.0, 104.5], "dmin, dmax, dmean");
        assert_eq!((integer(23), integer(24), integer(28)), (0, 0, 20141), "ispg, nsymbt, nversion");
        assert_eq!((&word(53), &word(54)), (b"MAP ", &[0x44, 0x44, 0, 0]));
        // The variance of 0 to n - 1 is (n^2 - 1) / 12.
        assert!((f64::from(real(55)) - ((210.0_f64 * 210.0 - 1.0) / 12.0).sqrt()).abs() < 1e-4);
        let pixels: Vec<f32> = match mode {
            6 => content[1024..].chunks_exact(2).map(|b| f32::from(u16::from_le_bytes([b[0], b[1]]))).collect(),
            _ => content[1024..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        };
        assert_eq!(pixels, (0..210).map(|v| v as f32).collect::<Vec<_>>());
    }
}

#[test]
fn the_same_pixels_are_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let data = numbers();
    for format in [FrameFormat::Npy, FrameFormat::Tiff, FrameFormat::Mrc] {
        let paths = ["a", "b"].map(|name| folder.path().join(name).with_extension(format.extension()));
        for path in &paths {
            assert_eq!(FrameFormat::of_path(path), Some(format));
            write_frames(path, &Frames::new(data.view(), &GRID)).unwrap();
        }
        assert_eq!(std::fs::read(&paths[0]).unwrap(), std::fs::read(&paths[1]).unwrap());
    }
    assert_eq!(FrameFormat::of_path(Path::new("image.dm3")), None);
}

#[test]
fn pixels_that_are_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = Array4::<f32>::zeros((1, 1, 5, 7));
    data[[0, 0, 1, 1]] = f32::NAN;
    for ending in ["tif", "mrc", "npy"] {
        let path = folder.path().join("image").with_extension(ending);
        write_frames(&path, &Frames::new(data.view(), &GRID)).unwrap();
    }
    let content = std::fs::read(folder.path().join("image.mrc")).unwrap();
    let dmean = f32::from_le_bytes([content[84], content[85], content[86], content[87]]);
    let dmin = f32::from_le_bytes([content[76], content[77], content[78], content[79]]);
    assert!(dmean < dmin, "below the minimum: not determined");
}
