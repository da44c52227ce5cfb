//! What is written is read back the same: pixels, calibration, types; and a source that is damaged leaves no file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atomlens_formats::export::{ExportFormat, write_signal};
use atomlens_formats::signal::{Acquisition, Axis, Elements, InMemory, PixelType, Signal, open};
use atomlens_formats::{FormatError, Problem};

const ALL: [ExportFormat; 4] = [ExportFormat::Tiff, ExportFormat::Mrc, ExportFormat::Npy, ExportFormat::Hspy];
const TYPES: [PixelType; 18] = [
    PixelType::Bool,
    PixelType::U8,
    PixelType::I8,
    PixelType::U16,
    PixelType::I16,
    PixelType::U32,
    PixelType::I32,
    PixelType::U64,
    PixelType::I64,
    PixelType::F16,
    PixelType::F32,
    PixelType::F64,
    PixelType::Complex64,
    PixelType::Complex128,
    PixelType::Rgb8,
    PixelType::Rgba8,
    PixelType::Rgb16,
    PixelType::Rgba16,
];

/// Small numbers, of which every type holds some; bytes of 0 and 1 only, so that single precision is never a NaN.
fn made(pixel: PixelType, frames: usize) -> Signal {
    let (ny, nx) = (5, 7);
    let size = pixel.part_bytes();
    let numbers = frames * ny * nx * pixel.parts();
    let mut bytes = vec![0; numbers * size];
    for (place, number) in bytes.chunks_exact_mut(size).enumerate() {
        let value = (place * 7 % 113) as u8;
        match pixel {
            PixelType::Bool => number[0] = value & 1,
            PixelType::F16 => number.copy_from_slice(&(0x3c00u16 + u16::from(value)).to_le_bytes()),
            PixelType::F32 | PixelType::Complex64 => number.copy_from_slice(&(f32::from(value) / 3.0).to_le_bytes()),
            PixelType::F64 | PixelType::Complex128 => number.copy_from_slice(&(f64::from(value) / 3.0).to_le_bytes()),
            _ => number[0] = value,
        }
    }
    let mut axes =
        vec![Axis::signal("y", ny).calibrated(0.0123, 1.5, "nm"), Axis::signal("x", nx).calibrated(0.025, -2.0, "nm")];
    if frames > 1 {
        axes.insert(0, Axis::navigation("time", frames).calibrated(0.04, 0.0, "s"));
    }
    let mut signal = Signal::new(Path::new("made"), "gold / carbon", pixel, axes, InMemory::new(bytes, pixel)).unwrap();
    signal.acquisition = Acquisition { voltage_kv: Some(300.0), frame_time_s: Some(0.04), ..Acquisition::default() };
    signal.metadata = serde_json::json!({
        "Détecteur": { "name": "µ-pixel", "list": [1, 2.5], "mixed": ["a", 1], "none": null, "yes": true, "n": 3 },
        "a/b": { "": 1 }, "long": "x".repeat(100_000), "empty": {},
    });
    signal
}

fn pixels(signal: &Signal) -> Vec<u8> {
    signal.read(0, signal.elements() as usize).unwrap()
}

#[test]
fn every_type_comes_back_from_every_format_or_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut refused = Vec::new();
    for format in ALL {
        for pixel in TYPES {
            for frames in [1, 3] {
                let signal = made(pixel, frames);
                let path = folder.path().join(format!("{}-{frames}.{}", pixel.name(), format.extension()));
                if let Err(error) = write_signal(&path, &signal, format) {
                    assert!(matches!(error, FormatError::CannotHold { .. }), "{error}");
                    assert!(!path.exists() && error.to_string().contains("take"), "{error}");
                    refused.push((format, pixel));
                    continue;
                }
                let back = open(&path).unwrap_or_else(|error| panic!("{error}"));
                let back = &back.signals[0];
                let mut shape = signal.shape();
                if format == ExportFormat::Npy && pixel.parts() > 2 {
                    shape.push(pixel.parts());
                    assert!(pixels(back) == pixels(&signal), "{}", path.display());
                    assert_eq!(back.shape(), shape);
                    continue;
                }
                assert_eq!(back.shape(), shape, "{}", path.display());
                let same_type = back.pixel == pixel;
                if same_type {
                    assert!(pixels(back) == pixels(&signal), "{}", path.display());
                } else {
                    for frame in 0..frames as u64 {
                        assert_eq!(back.frame(frame).unwrap(), signal.frame(frame).unwrap(), "{}", path.display());
                    }
                }
                if format != ExportFormat::Npy {
                    let (found, size) = (back.pixel_size().unwrap(), signal.pixel_size().unwrap());
                    assert!((found.x_nm / size.x_nm - 1.0).abs() < 1e-6, "{}: {found:?}", path.display());
                    assert!((found.y_nm / size.y_nm - 1.0).abs() < 1e-6, "{}: {found:?}", path.display());
                }
            }
        }
    }
    let count = |format| refused.iter().filter(|(refusing, _)| *refusing == format).count();
    // TIFF: complex numbers. MRC: double precision complex and colours. One image and three frames each.
    assert_eq!(ALL.map(count), [2 * 2, 5 * 2, 0, 0], "{refused:?}");
}

#[test]
fn hspy_keeps_axes_and_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.hspy");
    let signal = made(PixelType::U16, 3);
    write_signal(&path, &signal, ExportFormat::Hspy).unwrap();
    let back = open(&path).unwrap();
    let back = back.image().unwrap();
    assert_eq!(back.axes, signal.axes);
    assert_eq!(back.title, signal.title);
    assert_eq!(back.acquisition.voltage_kv, Some(300.0));
    assert_eq!(back.acquisition.frame_time_s, Some(0.04));
    let original = &back.metadata["original_metadata"];
    assert_eq!(original["Détecteur"]["name"], "µ-pixel");
    assert_eq!(original["Détecteur"]["list"], serde_json::json!([1.0, 2.5]));
    assert_eq!(original["Détecteur"]["mixed"], "[\"a\",1]");
    assert_eq!(original["Détecteur"]["n"], 3);
    assert_eq!(original["a_b"]["_"], 1);
    assert_eq!(original["long"].as_str().unwrap().len(), 60_000);
}

#[test]
fn tiff_keeps_time_depth_and_units_that_are_no_lengths() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stack.tif");
    let mut signal = made(PixelType::F32, 3);
    write_signal(&path, &signal, ExportFormat::Tiff).unwrap();
    let back = open(&path).unwrap();
    let time = &back.signals[0].axes[0];
    assert_eq!((time.name.as_str(), time.size, time.unit.as_str()), ("time", 3, "s"));
    assert!((time.scale - 0.04).abs() < 1e-12);
    for axis in &mut signal.axes[1..] {
        axis.unit = "1 / µm".to_owned();
    }
    signal.axes[0].unit = "Å".to_owned();
    write_signal(&path, &signal, ExportFormat::Tiff).unwrap();
    let back = open(&path).unwrap();
    let [z, _, x] = back.signals[0].axes.as_slice() else { panic!("{:?}", back.signals[0].axes) };
    assert_eq!((z.name.as_str(), x.unit.as_str()), ("depth", "1 / µm"));
    assert!((x.scale - 0.025).abs() < 1e-12);
}

#[test]
fn what_is_no_image_goes_only_where_it_fits() {
    let folder = tempfile::tempdir().unwrap();
    let axes = vec![Axis::navigation("x", 4), Axis::signal("Energy", 6).calibrated(0.5, 100.0, "eV")];
    let bytes = (0..24u8).collect();
    let spectra = Signal::new(Path::new("made"), "", PixelType::U8, axes, InMemory::new(bytes, PixelType::U8)).unwrap();
    for format in ALL {
        let path = folder.path().join(format!("spectra.{}", format.extension()));
        let written = write_signal(&path, &spectra, format);
        if matches!(format, ExportFormat::Tiff | ExportFormat::Mrc) {
            let message = written.unwrap_err().to_string();
            assert!(message.contains("this is spectra") && message.contains("take NPY or HSPY"), "{message}");
        } else {
            written.unwrap();
            let back = open(&path).unwrap();
            assert_eq!(pixels(&back.signals[0]), pixels(&spectra));
        }
    }
    let back = open(&folder.path().join("spectra.hspy")).unwrap();
    assert_eq!(back.signals[0].axes, spectra.axes);
}

#[test]
fn whole_numbers_that_mrc_would_round_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let axes = vec![Axis::signal("y", 1), Axis::signal("x", 1)];
    let data = InMemory::new(20_000_001u32.to_le_bytes().to_vec(), PixelType::U32);
    let signal = Signal::new(Path::new("made"), "", PixelType::U32, axes, data).unwrap();
    let path = folder.path().join("large.mrc");
    let error = write_signal(&path, &signal, ExportFormat::Mrc).unwrap_err();
    assert!(error.to_string().contains("would round") && !path.exists(), "{error}");
}

/// Zeros without end, and how many were asked for at a time.
struct Zeros {
    most: Arc<AtomicU64>,
    broken_from: u64,
}

impl Elements for Zeros {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        self.most.fetch_max(count as u64, Ordering::Relaxed);
        if first + count as u64 > self.broken_from {
            return Err(FormatError::in_file(Path::new("source.dm4"), Problem::CutShort { expected: 9, found: 1 }));
        }
        Ok(vec![0; count * 2])
    }
}

#[test]
fn movies_stream_and_a_damaged_source_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    for format in ALL {
        for broken_from in [u64::MAX, 30_000_000] {
            let most = Arc::new(AtomicU64::new(0));
            let zeros = Zeros { most: most.clone(), broken_from };
            let axes = vec![Axis::navigation("time", 40), Axis::signal("y", 1000), Axis::signal("x", 1000)];
            let signal = Signal::new(Path::new("made"), "zeros", PixelType::U16, axes, zeros).unwrap();
            let path = folder.path().join(format!("zeros-{broken_from}.{}", format.extension()));
            match write_signal(&path, &signal, format) {
                Ok(()) => {
                    assert_eq!(broken_from, u64::MAX);
                    let back = open(&path).unwrap();
                    assert_eq!(back.image().unwrap().frames(), 40);
                    assert_eq!(back.image().unwrap().frame(39).unwrap().dim(), (1000, 1000));
                }
                Err(error) => {
                    assert_ne!(broken_from, u64::MAX, "{error}");
                    assert!(error.to_string().starts_with("source.dm4"), "the cause is named: {error}");
                    assert!(!path.exists());
                }
            }
            assert!(most.load(Ordering::Relaxed) <= 1 << 21, "a few megabytes at a time");
        }
    }
}
