//! Damaged and malicious TIFF, HDF5, PNG and JPEG files: the readers answer with signals or with one line that says what is
//! wrong. A panic fails these tests; so does taking more time or memory than files of a few kilobytes can ask for.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atomlens_core::SeedPath;
use atomlens_formats::FormatError;
use atomlens_formats::export::{ExportFormat, write_signal};
use atomlens_formats::signal::{Axis, InMemory, Input, PixelType, Signal, SignalFile, open_input};
use hdf5_pure::{AttrValue, FileBuilder};
use image::{DynamicImage, ImageFormat};
use rand::RngExt;

fn read(name: &str, bytes: &[u8]) -> Result<SignalFile, FormatError> {
    open_input(&Input::of_bytes(Path::new(name), Arc::new(bytes.to_vec()))?)
}

/// Does with a file what a program would; says whether it is taken for a good one.
fn exercise(name: &str, bytes: &[u8]) -> bool {
    let start = Instant::now();
    let good = match read(name, bytes) {
        Ok(file) => !file.signals.is_empty() && file.signals.iter().all(sound),
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains(name) && message.len() < 600 && !message.contains('\n'), "{name}: {message}");
            false
        }
    };
    // What takes milliseconds gets seconds: the machine may be busy.
    assert!(start.elapsed() < Duration::from_secs(10), "{name} took {:?}", start.elapsed());
    good
}

fn sound(signal: &Signal) -> bool {
    let (elements, some) = (signal.elements(), signal.elements().min(5000));
    assert!(!signal.kind().is_empty());
    signal.pixel_size();
    let first = signal.read(0, some as usize).map(|bytes| bytes.len());
    assert!(first.is_err() || first.is_ok_and(|length| length == some as usize * signal.pixel.bytes()));
    assert!(signal.read(elements, 1).is_err());
    let frames = signal.frames();
    let small = signal.image_axes().is_some_and(|(y, x)| (y.size as u64).saturating_mul(x.size as u64) < 1 << 22);
    let frame = if small && frames > 0 { signal.frame(frames - 1).is_ok() } else { true };
    signal.read(elements - some, some as usize).is_ok() && frame
}

/// A stack of 3 x 6 x 8, which all the files hold.
fn stack() -> Signal {
    let bytes = (0..3 * 6 * 8u16).flat_map(|value| (value * 11 % 97).to_le_bytes()).collect();
    let axes = vec![
        Axis::navigation("time", 3).calibrated(0.5, 0.0, "s"),
        Axis::signal("y", 6).calibrated(0.02, 0.0, "nm"),
        Axis::signal("x", 8).calibrated(0.02, 0.0, "nm"),
    ];
    let mut signal =
        Signal::new(Path::new("stack"), "stack", PixelType::U16, axes, InMemory::new(bytes, PixelType::U16)).unwrap();
    signal.metadata = serde_json::json!({"a": {"b": [1, 2], "c": "text"}, "d": 1.5});
    signal
}

fn exported(format: ExportFormat) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stack");
    write_signal(&path, &stack(), format).unwrap();
    std::fs::read(path).unwrap()
}

/// One page of big-endian tags: `(tag, kind, values)`, and the data behind them, whose place stands for 0 in the tags
/// 273 and 324.
fn big_endian_tiff(tags: &[(u16, u16, &[u32])], data: &[u8]) -> Vec<u8> {
    let mut bytes = b"MM\0*\0\0\0\x08".to_vec();
    let outside = 8 + 2 + 12 * tags.len() + 4;
    let mut referred: Vec<u8> = Vec::new();
    let size = |kind| if kind == 3 { 2 } else { 4 };
    let room: usize = tags
        .iter()
        .map(|(_, kind, values)| if values.len() * size(*kind) > 4 { values.len() * size(*kind) } else { 0 })
        .sum();
    let start = (outside + room) as u32;
    bytes.extend((tags.len() as u16).to_be_bytes());
    for (tag, kind, values) in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend(kind.to_be_bytes());
        bytes.extend((values.len() as u32).to_be_bytes());
        let moved = if matches!(tag, 273 | 324) { start } else { 0 };
        let content: Vec<u8> = values
            .iter()
            .flat_map(|value| {
                if *kind == 3 { (*value as u16).to_be_bytes().to_vec() } else { (value + moved).to_be_bytes().to_vec() }
            })
            .collect();
        if content.len() > 4 {
            bytes.extend(((outside + referred.len()) as u32).to_be_bytes());
            referred.extend(content);
        } else {
            bytes.extend(content.iter().copied().chain([0; 4]).take(4));
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(referred);
    bytes.extend(data);
    bytes
}

/// 5 x 6 pixels in four tiles of 4 x 4, deflated, with differences.
fn tiled_tiff() -> Vec<u8> {
    use std::io::Write;
    let mut data = Vec::new();
    let (mut offsets, mut lengths) = (Vec::new(), Vec::new());
    for (ty, tx) in [(0, 0), (0, 4), (4, 0), (4, 4)] {
        let mut tile = Vec::new();
        for y in 0..4 {
            let value = |x: usize| (((ty + y) * 6 + tx + x) * 300 % 65_521) as u16;
            for x in 0..4 {
                let before = if x == 0 { 0 } else { value(x - 1) };
                tile.extend(value(x).wrapping_sub(before).to_be_bytes());
            }
        }
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&tile).unwrap();
        let packed = encoder.finish().unwrap();
        offsets.push(data.len() as u32);
        lengths.push(packed.len() as u32);
        data.extend(packed);
    }
    let tags: &[(u16, u16, &[u32])] = &[
        (256, 3, &[6]),
        (257, 3, &[5]),
        (258, 3, &[16]),
        (259, 3, &[8]),
        (262, 3, &[1]),
        (277, 3, &[1]),
        (317, 3, &[2]),
        (322, 3, &[4]),
        (323, 3, &[4]),
        (324, 4, &offsets),
        (325, 4, &lengths),
    ];
    big_endian_tiff(tags, &data)
}

/// 3 x 3 colours, of which each has a plane of its own, in PackBits.
fn planar_tiff() -> Vec<u8> {
    let mut data = Vec::new();
    for plane in 0..3u8 {
        data.push(8);
        data.extend((0..9).map(|i| i * 10 + plane));
    }
    let tags: &[(u16, u16, &[u32])] = &[
        (256, 3, &[3]),
        (257, 3, &[3]),
        (258, 3, &[8, 8, 8]),
        (259, 3, &[32773]),
        (262, 3, &[2]),
        (273, 4, &[0, 10, 20]),
        (277, 3, &[3]),
        (278, 3, &[3]),
        (279, 4, &[10, 10, 10]),
        (284, 3, &[2]),
    ];
    big_endian_tiff(tags, &data)
}

/// A Berkeley EMD file whose array is deflated in chunks that overhang.
fn emd() -> Vec<u8> {
    let mut builder = FileBuilder::new();
    builder.set_attr("version_major", AttrValue::I64(0));
    builder.set_attr("version_minor", AttrValue::I64(2));
    let mut data = builder.create_group("data");
    let mut group = data.create_group("image");
    group.set_attr("emd_group_type", AttrValue::I64(1));
    let pixels: Vec<f32> = (0..35).map(|i| i as f32).collect();
    group
        .create_dataset("data")
        .with_f32_data(&pixels)
        .with_shape(&[5, 7])
        .with_chunks(&[2, 4])
        .with_shuffle()
        .with_deflate(6);
    for (name, count) in [("dim1", 5), ("dim2", 7)] {
        let places: Vec<f64> = (0..count).map(|i| f64::from(i) * 0.1).collect();
        let dim = group.create_dataset(name);
        dim.with_f64_data(&places).set_attr("name", AttrValue::VarLenString(name.to_owned()));
        dim.set_attr("units", AttrValue::String("[n_m]".to_owned()));
    }
    data.add_group(group.finish());
    builder.add_group(data.finish());
    builder.finish().unwrap()
}

/// A file as Velox writes it, with one frame to a chunk and its metadata in a column of bytes.
fn velox() -> Vec<u8> {
    let mut builder = FileBuilder::new();
    builder
        .create_dataset("Version")
        .with_vlen_strings(&["{\"format\": \"Velox\", \"version\": \"9\"}"])
        .with_shape(&[1]);
    let mut data = builder.create_group("Data");
    let mut images = data.create_group("Image");
    let mut image = images.create_group("0123456789abcdef");
    let pixels: Vec<u16> = (0..5 * 4 * 3).collect();
    image.create_dataset("Data").with_u16_data(&pixels).with_shape(&[5, 4, 3]).with_chunks(&[5, 4, 1]);
    let mut text = br#"{"BinaryResult": {"PixelSize": {"width": "1e-11", "height": "1e-11"}, "PixelUnitX": "m"},
        "Optics": {"AccelerationVoltage": "200000"}, "Scan": {"FrameTime": "0.5"}}"#
        .to_vec();
    text.resize(300, 0);
    let columns: Vec<u8> = text.iter().flat_map(|byte| [*byte; 3]).collect();
    image.create_dataset("Metadata").with_u8_data(&columns).with_shape(&[300, 3]).with_chunks(&[300, 1]);
    images.add_group(image.finish());
    data.add_group(images.finish());
    builder.add_group(data.finish());
    builder.finish().unwrap()
}

fn picture(format: ImageFormat) -> Vec<u8> {
    let grey = image::GrayImage::from_fn(16, 9, |x, y| image::Luma([(x * 13 + y * 7) as u8]));
    let mut bytes = Vec::new();
    DynamicImage::ImageLuma8(grey).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("stack.tif", exported(ExportFormat::Tiff)),
        ("tiles.tif", tiled_tiff()),
        ("planes.tif", planar_tiff()),
        ("stack.hspy", exported(ExportFormat::Hspy)),
        ("berkeley.emd", emd()),
        ("velox.emd", velox()),
        ("grey.png", picture(ImageFormat::Png)),
        ("grey.jpg", picture(ImageFormat::Jpeg)),
    ]
}

/// The most memory that the process has asked for so far, in kilobytes: also what it never touched.
fn peak_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?.split_whitespace().next()?.parse().ok()
}

/// Runs a test and sees that it did not ask for more than a few files' worth of memory.
fn within_memory(test: impl FnOnce()) {
    // Stacks and arenas of the threads of the other tests are in the figure, 64 MiB apiece.
    const LIMIT_KILOBYTES: u64 = 1 << 20;
    let before = peak_kilobytes();
    test();
    match before.zip(peak_kilobytes()) {
        Some((before, after)) => assert!(after - before < LIMIT_KILOBYTES, "{} kB were asked for", after - before),
        None => eprintln!("SKIPPED: memory is not watched, there is no /proc here"),
    }
}

#[test]
fn the_corpus_is_good() {
    for (name, bytes) in corpus() {
        let file = read(name, &bytes).unwrap_or_else(|error| panic!("{error}"));
        assert!(!file.signals.is_empty() && file.notes.len() <= 1, "{name}: {:?}", file.notes);
        assert!(exercise(name, &bytes), "{name}");
    }
}

#[test]
fn pixels_of_tiles_planes_and_chunks() {
    let first = |name: &str, bytes: Vec<u8>| read(name, &bytes).unwrap().signals.remove(0);
    let tiles = first("tiles.tif", tiled_tiff()).frame(0).unwrap();
    assert_eq!(tiles.dim(), (5, 6));
    assert!(tiles.iter().zip(0..).all(|(value, i)| *value == (i * 300 % 65_521) as f32), "{tiles}");
    let planes = first("planes.tif", planar_tiff());
    assert_eq!(planes.pixel, PixelType::Rgb8);
    assert_eq!(planes.read(3, 2).unwrap(), [30, 31, 32, 40, 41, 42]);
    // Stored [x, y], given out [y, x].
    let emd = first("berkeley.emd", emd());
    assert_eq!(emd.shape(), [7, 5]);
    assert_eq!(emd.frame(0).unwrap()[[2, 3]], 3.0 * 7.0 + 2.0);
    assert!((emd.pixel_size().unwrap().x_nm - 0.1).abs() < 1e-12);
    // Stored [y, x, frame], given out [frame, y, x].
    let velox = first("velox.emd", velox());
    assert_eq!(velox.shape(), [3, 5, 4]);
    assert_eq!(velox.frame(2).unwrap()[[4, 1]], ((4 * 4 + 1) * 3 + 2) as f32);
    assert!((velox.pixel_size().unwrap().x_nm - 0.01).abs() < 1e-12);
    assert_eq!(velox.acquisition.voltage_kv, Some(200.0));
    let png = first("grey.png", picture(ImageFormat::Png)).frame(0).unwrap();
    assert_eq!((png.dim(), png[[8, 3]]), ((9, 16), (3 * 13 + 8 * 7) as f32));
}

#[test]
fn every_truncation() {
    within_memory(|| {
        for (name, bytes) in corpus() {
            let step = if bytes.len() > 3000 { 7 } else { 1 };
            let refused = (0..bytes.len()).step_by(step).filter(|length| !exercise(name, &bytes[..*length])).count();
            // Decoders of pictures give what they have of a cut one.
            let pictures = name.ends_with("jpg");
            assert!(pictures || refused * step * 3 > bytes.len(), "{name}: {refused} refused");
        }
    });
}

#[test]
fn random_damage() {
    within_memory(|| {
        for (name, good) in corpus() {
            let mut random = SeedPath::new(12).child(name).stream();
            for _ in 0..1200 {
                let mut bytes = good.clone();
                // Most of what matters stands at the beginning.
                let reach = if random.random_range(0..2) == 0 { bytes.len() } else { bytes.len().min(1500) };
                for _ in 0..random.random_range(1..5) {
                    let place = random.random_range(0..reach.min(bytes.len()));
                    match random.random_range(0..5) {
                        0 => bytes[place] ^= 1 << random.random_range(0..8),
                        1 => bytes[place] = random.random(),
                        2 => {
                            // Numbers that are huge, negative or zero in any byte order and width.
                            let value = [0u8, 0x7f, 0x80, 0xff][random.random_range(0..4)];
                            let end = (place + [2, 4, 8][random.random_range(0..3)]).min(bytes.len());
                            bytes[place..end].fill(value);
                        }
                        3 => bytes.truncate(place.max(1)),
                        _ => {
                            let piece = bytes[place..(place + 30).min(bytes.len())].to_vec();
                            let target = random.random_range(0..bytes.len());
                            bytes.splice(target..target, piece);
                        }
                    }
                }
                exercise(name, &bytes);
            }
        }
    });
}

#[test]
fn sizes_that_are_only_claimed() {
    within_memory(|| {
        let claimed = |width: u32, height: u32, packing: u32| {
            let tags: &[(u16, u16, &[u32])] = &[
                (256, 4, &[width]),
                (257, 4, &[height]),
                (258, 3, &[16]),
                (259, 3, &[packing]),
                (262, 3, &[1]),
                (273, 4, &[0]),
                (277, 3, &[1]),
                (278, 4, &[height]),
                (279, 4, &[100]),
            ];
            let bytes = big_endian_tiff(tags, &[0; 100]);
            read("claimed.tif", &bytes).unwrap_err().to_string()
        };
        for packing in [1, 5, 8, 32773] {
            let message = claimed(1_000_000, 1_000_000, packing);
            assert!(message.contains("cut short") || message.contains("the limit"), "{message}");
            claimed(u32::MAX, u32::MAX, packing);
        }
        // A PNG that announces 2 GB, with the right check sum.
        let mut png = picture(ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0x80, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let message = read("claimed.png", &png).unwrap_err().to_string();
        assert!(message.contains("the limit"), "{message}");
        // An HDF5 array without a single chunk, of a terabyte.
        let mut builder = FileBuilder::new();
        builder.set_attr("file_format_version", AttrValue::String("3.1".to_owned()));
        let mut experiments = builder.create_group("Experiments");
        let mut group = experiments.create_group("large");
        group.create_dataset("data").with_u8_data(&[1; 64]).with_shape(&[8, 8]).with_chunks(&[8, 8]).with_deflate(1);
        experiments.add_group(group.finish());
        builder.add_group(experiments.finish());
        let good = builder.finish().unwrap();
        assert!(exercise("large.hspy", &good));
        for place in 0..good.len() - 8 {
            let mut bytes = good.clone();
            bytes[place..place + 8].copy_from_slice(&(1u64 << 20).to_le_bytes());
            exercise("large.hspy", &bytes);
        }
    });
}

#[test]
fn files_of_another_kind() {
    for (name, _) in corpus() {
        for bytes in [
            vec![0; 4096],
            vec![0xff; 4096],
            b"(".repeat(5000),
            b"II*\0".repeat(2000),
            b"\x89HDF\r\n\x1a\n".repeat(600),
        ] {
            assert!(!exercise(name, &bytes), "{name}");
        }
        assert!(read(name, b"").is_err());
    }
}
