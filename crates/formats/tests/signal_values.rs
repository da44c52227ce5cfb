//! Pixels, calibrations and conditions that the readers find in small files written from the formats' descriptions.

mod synthetic;

use std::path::Path;
use std::sync::Arc;

use atomlens_formats::FormatError;
use atomlens_formats::signal::{
    ByteOrder, Input, PixelType, RawDescription, Signal, SignalFile, open, open_input, open_raw,
};
use ndarray::array;
use synthetic::{
    DmTag, Order, dm, dm_image, dm_with_preview, emi, fei1, gzip, mrc, mrc_counting, npy, ser, tvips, zip,
};

fn read(name: &str, bytes: Vec<u8>) -> SignalFile {
    let input = Input::of_bytes(Path::new(name), Arc::new(bytes));
    input.and_then(|input| open_input(&input)).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether frame after frame holds 0, 1, 2, ...
fn counts(signal: &Signal) -> bool {
    let values = (0..signal.frames()).flat_map(|frame| signal.frame(frame).unwrap().into_iter());
    values.enumerate().all(|(place, value)| value == place as f32)
}

#[test]
fn digital_micrograph_of_both_versions_and_byte_orders() {
    for (version, order) in [(3, Order::Little), (3, Order::Big), (4, Order::Little), (4, Order::Big)] {
        for sizes in [&[3u32, 2][..], &[3, 2, 4], &[3, 2, 2, 5]] {
            let file = read("a.dm", dm_with_preview(version, order, sizes));
            assert_eq!(file.signals.len(), 1, "the preview is left out");
            let signal = file.image().unwrap();
            assert!(counts(signal), "{version} {order:?} {sizes:?}");
            assert_eq!(signal.shape(), sizes.iter().rev().map(|size| *size as usize).collect::<Vec<_>>());
            let (y, x) = signal.image_axes().unwrap();
            assert_eq!((x.scale, x.offset, x.unit.as_str(), y.scale), (0.25, -0.5, "nm", 0.5));
            let pixel = signal.pixel_size().unwrap();
            assert_eq!((pixel.x_nm, pixel.y_nm), (0.25, 0.5));
            assert_eq!(signal.acquisition.voltage_kv, Some(300.0));
            assert_eq!(signal.acquisition.frame_time_s, Some(0.5));
            assert_eq!(signal.acquisition.instrument.as_deref(), Some("Titan"));
            assert_eq!(signal.metadata["ImageTags"]["Microscope Info"]["Voltage"], 300_000.0);
            assert_eq!(signal.metadata["(file)"]["Thumbnails"][0]["ImageIndex"], 0);
        }
    }
}

#[test]
fn digital_micrograph_pixels_of_every_kind() {
    let one = |code, order, data| {
        let image = dm_image(code, &[2, 1], data);
        read("a.dm3", dm(3, order, &[("ImageList", DmTag::Group(vec![("", image)]))])).signals.remove(0)
    };
    let big = |words: &[u64], bytes: Vec<u8>| DmTag::Array(words.to_vec(), 2, bytes);
    let signal = one(9, Order::Big, big(&[9], vec![0xff, 3]));
    assert_eq!((signal.pixel, signal.frame(0).unwrap()), (PixelType::I8, array![[-1.0, 3.0]]));
    let doubles = [1.5f64, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(one(12, Order::Big, big(&[7], doubles)).frame(0).unwrap(), array![[1.5, -2.0]]);
    let complex: Vec<u8> = [3f32, 4.0, 0.0, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(one(3, Order::Big, big(&[15, 0, 2, 0, 6, 0, 6], complex)).frame(0).unwrap(), array![[5.0, 2.0]]);
    assert_eq!(one(14, Order::Little, big(&[8], vec![1, 0])).frame(0).unwrap(), array![[1.0, 0.0]]);
    let whole: Vec<u8> = [7i64, -9].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(one(39, Order::Little, big(&[11], whole)).frame(0).unwrap(), array![[7.0, -9.0]]);
    // A colour is a 32-bit number: opacity, red, green, blue from the highest byte down.
    for (order, bytes) in [(Order::Little, [3u8, 2, 1, 255]), (Order::Big, [255, 1, 2, 3])] {
        let signal = one(23, order, big(&[3], [bytes, bytes].concat()));
        assert_eq!(signal.pixel, PixelType::Rgba8);
        assert_eq!(signal.read(1, 1).unwrap(), [1, 2, 3, 255], "{order:?}");
    }
}

#[test]
fn series_of_tia() {
    for wide in [false, true] {
        let file = read("a_1.ser", ser(wide, true, &[2]));
        let signal = file.image().unwrap();
        assert!(counts(signal));
        assert_eq!(signal.shape(), [2, 2, 3]);
        for (first, count) in [(0, 12), (1, 4), (4, 5), (2, 1), (5, 7)] {
            let expected: Vec<u8> = (first..first + count).flat_map(|value| (value as i32).to_le_bytes()).collect();
            assert_eq!(signal.read(first, count as usize).unwrap(), expected, "{first} {count}");
        }
        assert!((signal.pixel_size().unwrap().x_nm - 0.05).abs() < 1e-12);
        assert_eq!((signal.axes[0].name.as_str(), signal.axes[0].scale), ("x", 2.0));
        let file = read("a_1.ser", ser(wide, false, &[2, 3]));
        assert_eq!(file.signals[0].shape(), [3, 2, 3]);
        let error = file.image().unwrap_err().to_string();
        assert!(error.contains("spectra, 3 x 2 x 3 along Energy"), "{error}");
        assert!(matches!(file.signals[0].frame(0), Err(FormatError::NotAnImage { .. })));
    }
}

#[test]
fn descriptions_of_tia() {
    let folder = tempfile::tempdir().unwrap();
    let (emi_path, ser_path) = (folder.path().join("name.emi"), folder.path().join("name_1.ser"));
    std::fs::write(&ser_path, ser(true, true, &[2])).unwrap();
    for camera in [false, true] {
        std::fs::write(&emi_path, emi("name", camera)).unwrap();
        let described = open(&emi_path).unwrap();
        let signal = described.image().unwrap();
        assert_eq!(signal.axes[2].unit, if camera { "1 / nm" } else { "nm" });
        assert_eq!(signal.pixel_size().is_none(), camera, "a diffraction pattern has no pixels in nm");
        let alone = open(&ser_path).unwrap();
        assert_eq!(alone.notes.len(), usize::from(camera));
        for signal in [signal, &alone.signals[0]] {
            assert_eq!(signal.acquisition.voltage_kv, Some(300.0));
            assert_eq!(signal.acquisition.camera_length_mm, Some(490.0));
        }
    }
}

#[test]
fn recordings_of_tvips() {
    let file = read("a_000.tvips", tvips(2, 1, 3));
    let signal = file.image().unwrap();
    assert!(counts(signal));
    assert_eq!(signal.shape(), [3, 2, 3]);
    // A camera's pixel of 15 um at a magnification of 50 000.
    assert!((signal.pixel_size().unwrap().x_nm - 0.3).abs() < 1e-12);
    assert!((signal.acquisition.frame_time_s.unwrap() - 0.02).abs() < 1e-6);
    assert_eq!(signal.acquisition.voltage_kv, Some(200.0));
    assert!(counts(read("a.tvips", tvips(1, 1, 2)).image().unwrap()));
    let diffraction = read("a.tvips", tvips(2, 2, 2));
    assert!(diffraction.image().unwrap().pixel_size().is_none());
}

#[test]
fn a_recording_in_several_files() {
    let folder = tempfile::tempdir().unwrap();
    let whole = tvips(2, 1, 5);
    let frame = 60 + 12;
    let (first, second) = (256 + 2 * frame, 256 + 4 * frame);
    for (name, part) in [("r_000", &whole[..first]), ("r_001", &whole[first..second]), ("r_002", &whole[second..])] {
        std::fs::write(folder.path().join(format!("{name}.tvips")), part).unwrap();
    }
    let file = open(&folder.path().join("r_000.tvips")).unwrap();
    assert_eq!(file.signals[0].shape(), [5, 2, 3]);
    assert!(counts(&file.signals[0]));
    // Across the seams.
    assert_eq!(file.signals[0].read(10, 16).unwrap(), (10..26u16).flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    let error = open(&folder.path().join("r_001.tvips")).unwrap_err().to_string();
    assert!(error.contains("_000.tvips"), "{error}");
}

#[test]
fn mrc_in_all_modes_and_both_byte_orders() {
    for order in [Order::Little, Order::Big] {
        for mode in [0, 1, 2, 3, 4, 6] {
            let file = read("a.mrc", mrc_counting(order, mode));
            let signal = file.image().unwrap();
            assert!(counts(signal), "mode {mode} {order:?}");
            assert_eq!(signal.shape(), [2, 2, 3]);
            assert_eq!(signal.pixel_size().map(|p| (p.x_nm, p.y_nm)), Some((0.25, 0.25)));
        }
    }
    // 1, 1.5 and 2 in half precision.
    let halves: Vec<u8> = [0x3c00u16, 0x3e00, 0x4000].iter().cycle().take(12).flat_map(|v| v.to_be_bytes()).collect();
    let file = read("a.mrc", mrc(Order::Big, 12, (&[0; 4], &[]), &halves));
    assert_eq!(file.signals[0].frame(1).unwrap(), array![[1.0, 1.5, 2.0], [1.0, 1.5, 2.0]]);
    // Rows of three half bytes take two bytes, the lower half first.
    let file =
        read("a.mrc", mrc(Order::Little, 101, (&[0; 4], &[]), &[0x21, 0x03, 0x54, 0x06, 0x87, 0x09, 0xba, 0x0c]));
    assert_eq!(file.signals[0].frame(0).unwrap(), array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert_eq!(file.signals[0].frame(1).unwrap(), array![[7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]);
    assert_eq!(file.signals[0].read(5, 3).unwrap(), [6, 7, 8]);
}

#[test]
fn mrc_with_an_extended_header_and_inside_gzip() {
    let mut bytes = mrc(Order::Little, 6, (b"FEI1", &fei1()), &[1; 24]);
    let signal = read("a.mrc", bytes.clone()).signals.remove(0);
    let conditions = &signal.acquisition;
    assert_eq!(conditions.voltage_kv, Some(300.0));
    assert!((conditions.dose_e_per_a2.unwrap() - 40.0).abs() < 1e-9);
    assert_eq!(conditions.frame_time_s, Some(2.0));
    assert_eq!(conditions.magnification, Some(96_000.0));
    assert_eq!(conditions.defocus_nm.map(f64::round), Some(-1500.0));
    assert_eq!(conditions.instrument.as_deref(), Some("TITAN52336320"));
    assert_eq!(conditions.detector.as_deref(), Some("BM-Falcon"));
    // Without a cell the extended header has the pixel size.
    bytes[40..52].fill(0);
    let pixel = read("a.mrc", bytes).signals[0].pixel_size().unwrap();
    assert!((pixel.x_nm - 0.082).abs() < 1e-12 && (pixel.y_nm - 0.083).abs() < 1e-12);
    let file = read("a.mrc.gz", gzip(&mrc_counting(Order::Big, 2)));
    assert!(counts(&file.signals[0]));
    assert_eq!(file.signals[0].title, "a");
    // Back to the first frame after the last.
    assert!(counts(&file.signals[0]));
}

#[test]
fn the_settings_of_a_direct_electron_camera_beside_its_data() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("2026_01_movie.mrc"), mrc_counting(Order::Little, 1)).unwrap();
    let info = "Frames Per Second = 40\nExposure Rate (e-/pix/s) = 8\nInstrument Accelerating Voltage (V) = 300000\n\
        Specimen Pixel Size X (nanometers) = 0.05\nSpecimen Pixel Size Y (nanometers) = 0.05\nCamera Name = DE64\n";
    std::fs::write(folder.path().join("2026_01_info.txt"), info).unwrap();
    let file = open(&folder.path().join("2026_01_movie.mrc")).unwrap();
    let conditions = &file.signals[0].acquisition;
    assert_eq!((conditions.voltage_kv, conditions.frame_time_s), (Some(300.0), Some(0.025)));
    // 0.2 electrons on a pixel of 0.25 square angstrom.
    assert!((conditions.dose_e_per_a2.unwrap() - 0.8).abs() < 1e-12);
    assert_eq!(conditions.detector.as_deref(), Some("DE64"));
}

#[test]
fn arrays_of_numpy() {
    let little: Vec<u8> = (0..24u16).flat_map(u16::to_le_bytes).collect();
    let file = read("a.npy", npy("<u2", false, "(2, 3, 4)", &little));
    assert!(counts(&file.signals[0]));
    // Element [i, j, k] is at i + 2 (j + 3 k) in Fortran order.
    let mut fortran = vec![0; 96];
    for (place, value) in (0..24).map(|n| (n / 12 + 2 * (n / 4 % 3 + 3 * (n % 4)), n as f32)) {
        fortran[place * 4..place * 4 + 4].copy_from_slice(&value.to_be_bytes());
    }
    let file = read("a.npy", npy(">f4", true, "(2, 3, 4)", &fortran));
    assert!(counts(&file.signals[0]));
    assert_eq!(file.signals[0].read(17, 1).unwrap(), 17f32.to_le_bytes());
    for deflated in [false, true] {
        let array = npy("<u2", false, "(2, 3, 4)", &little);
        let file = read("a.npz", zip(&[("first.npy", &array), ("notes.txt", b"."), ("last.npy", &array)], deflated));
        assert_eq!(file.signals.iter().map(|s| s.title.as_str()).collect::<Vec<_>>(), ["first", "last"]);
        assert!(file.signals.iter().all(counts));
        assert_eq!(file.notes.len(), 1);
    }
}

#[test]
fn raw_files_of_a_stated_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.raw");
    let mut bytes = vec![9; 10];
    for value in 0..12u16 {
        bytes.extend(value.to_be_bytes());
        if value == 5 {
            bytes.extend([9; 4]);
        }
    }
    std::fs::write(&path, bytes).unwrap();
    let mut description = RawDescription::new(PixelType::U16, 3, 2);
    (description.offset_bytes, description.gap_bytes, description.byte_order) = (10, 4, ByteOrder::Big);
    let file = open_raw(&path, &description).unwrap();
    assert_eq!(file.signals[0].shape(), [2, 2, 3]);
    assert!(counts(&file.signals[0]));
    let refusal = |description: &RawDescription| open_raw(&path, description).unwrap_err().to_string();
    assert!(refusal(&RawDescription { gap_bytes: 3, ..description.clone() }).contains("whole number of such frames"));
    assert!(refusal(&RawDescription { frames: Some(3), ..description.clone() }).contains("cut short"));
    assert!(refusal(&RawDescription { width: 0, ..description.clone() }).contains("at least 1"));
    assert!(
        refusal(&RawDescription { width: usize::MAX, height: usize::MAX, ..description })
            .contains("bytes of the pixels")
    );
    assert!(open(&path).unwrap_err().to_string().contains("state type, width and height"));
}
