//! NPY files from elsewhere, good and bad; what the image writers refuse; truth tables.

use std::path::Path;

use atomlens_core::{Column, ColumnRole, Grid};
use atomlens_formats::npy::parse_npy_bytes;
use atomlens_formats::truth::parse_truth;
use atomlens_formats::{
    Frames, NpyArray, TruthRow, read_npy, read_truth, read_wave, write_frames, write_npy, write_truth,
};
use ndarray::{Array2, Array3, Array4, array};
use num_complex::{Complex32, Complex64};

/// A file as NumPy writes it, version 1.
fn file(descriptor: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut text = format!("{{'descr': '{descriptor}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while !(text.len() + 11).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn both_orders_and_byte_orders() {
    let expected = array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let rows: Vec<f32> = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let columns: Vec<f32> = vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
    let little = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let big = |values: &[f32]| values.iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>();
    for (descriptor, fortran, data) in [
        ("<f4", false, little(&rows)),
        (">f4", false, big(&rows)),
        ("<f4", true, little(&columns)),
        (">f4", true, big(&columns)),
    ] {
        let found = parse_npy_bytes(&file(descriptor, fortran, "(2, 3)", &data)).unwrap();
        assert_eq!(found, NpyArray::F32(expected.clone().into_dyn()), "{descriptor} {fortran}");
        assert!(found.into_f32().unwrap().is_standard_layout());
    }
}

#[test]
fn every_type_of_element() {
    for (descriptor, data, name) in [
        ("|b1", vec![0, 1], "bool"),
        ("|u1", vec![0, 1], "uint8"),
        ("|i1", vec![0, 1], "int8"),
        (">u2", vec![0, 0, 0, 1], "uint16"),
        ("<i2", vec![0, 0, 1, 0], "int16"),
        ("<u4", vec![0, 0, 0, 0, 1, 0, 0, 0], "uint32"),
        (">i4", vec![0, 0, 0, 0, 0, 0, 0, 1], "int32"),
        ("<u8", [0_u64, 1].map(u64::to_le_bytes).concat(), "uint64"),
        ("<i8", [0_i64, 1].map(i64::to_le_bytes).concat(), "int64"),
        ("<f8", [0.0, 1.0_f64].map(f64::to_le_bytes).concat(), "float64"),
    ] {
        let found = parse_npy_bytes(&file(descriptor, false, "(2,)", &data)).unwrap();
        assert_eq!(found.type_name(), name);
        assert_eq!(found.into_f32().unwrap().into_raw_vec_and_offset().0, [0.0, 1.0], "{name}");
    }
    let data = [1.0_f64, 2.0].map(f64::to_be_bytes).concat();
    let found = parse_npy_bytes(&file(">c16", false, "()", &data)).unwrap();
    assert_eq!(found, NpyArray::C128(ndarray::arr0(Complex64::new(1.0, 2.0)).into_dyn()));
}

#[test]
fn waves_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wave.npy");
    let wave = Array2::from_shape_fn((3, 4), |(y, x)| Complex32::new(y as f32, -(x as f32)));
    write_npy(&path, wave.view()).unwrap();
    assert_eq!(read_wave(&path).unwrap(), wave);
    write_npy(&path, wave.mapv(|v| Complex64::new(v.re.into(), v.im.into())).t()).unwrap();
    assert_eq!(read_wave(&path).unwrap(), wave.t());
    write_npy(&path, wave.mapv(|v| v.re).view()).unwrap();
    let error = read_wave(&path).unwrap_err().to_string();
    assert!(error.contains("the array is \"float32 of shape [3, 4]\": expected a complex64"), "{error}");
}

#[test]
fn bad_npy_is_named() {
    let good = file("<f4", false, "(2, 3)", &[0; 24]);
    let with = |shape: &str| file("<f4", false, shape, &[0; 24]);
    let mut long_header = good.clone();
    long_header[8..10].copy_from_slice(&[0xff, 0xff]);
    for (bytes, message) in [
        (Vec::new(), "the file is empty"),
        (b"PK\x03\x04 something".to_vec(), "not an NPY file"),
        (good[..7].to_vec(), "cut short"),
        (good[..40].to_vec(), "cut short"),
        (good[..good.len() - 1].to_vec(), "its header announces 24 bytes, but it has 23"),
        ([&good[..], &[0]].concat(), "the file goes on after its data"),
        (with("(1000000, 1000000)"), "announces 4000000000000 bytes, but it has 24"),
        (with("(18446744073709551615, 18446744073709551615)"), "cut short"),
        (file("<f4", false, "(0, 18446744073709551615)", &[]), "its shape is"),
        (with("(99999999999999999999999,)"), "its header says"),
        (with("(-2, -3)"), "its header says"),
        (with(&"(".repeat(5000)), "its header says"),
        (long_header, "its header is 65535 bytes long"),
        (file("<U5", false, "(2,)", &[0; 40]), "the type of the elements is \"<U5\""),
        (file("|O", false, "(2,)", &[0; 16]), "the type of the elements is \"|O\""),
    ] {
        let error = parse_npy_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn axes_that_are_not_needed_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stack.npy");
    let grid = Grid { nx: 5, ny: 4, pixel_x_angstrom: 0.1, pixel_y_angstrom: 0.1 };
    for (shape, expected) in [
        ((1, 1, 4, 5), vec![4, 5]),
        ((3, 1, 4, 5), vec![3, 4, 5]),
        ((1, 2, 4, 5), vec![2, 4, 5]),
        ((3, 2, 4, 5), vec![3, 2, 4, 5]),
        ((1, 1, 1, 1), vec![1, 1]),
    ] {
        let data = Array4::<u16>::from_shape_fn(shape, |(t, f, y, x)| (t * 1000 + f * 100 + y * 10 + x) as u16);
        write_frames(&path, &Frames::new(data.view(), &grid)).unwrap();
        let NpyArray::U16(found) = read_npy(&path).unwrap() else { panic!("another type") };
        assert_eq!(found.shape(), expected);
        assert_eq!(found.iter().copied().collect::<Vec<_>>(), data.iter().copied().collect::<Vec<_>>());
    }
    let movie = Array3::<f32>::zeros((3, 4, 5));
    assert_eq!(Frames::new(movie.view(), &grid).shape(), [3, 1, 4, 5]);
    let image = Array2::<u8>::zeros((4, 5));
    assert_eq!(Frames::new(image.view(), &grid).shape(), [1, 1, 4, 5]);
}

#[test]
fn images_that_no_file_can_hold() {
    let grid = Grid { nx: 5, ny: 4, pixel_x_angstrom: 0.1, pixel_y_angstrom: f64::NAN };
    let image = Array2::<u8>::zeros((4, 5));
    let frames = Frames::new(image.view(), &grid);
    for ending in ["npy", "tif", "mrc"] {
        let error = write_frames(Path::new(&format!("a.{ending}")), &frames).unwrap_err().to_string();
        assert!(error.contains("the pixel size is NaN angstrom"), "{error}");
    }
    assert!(write_frames(Path::new("a.jpg"), &frames).unwrap_err().to_string().contains("unknown kind"));
    let empty = Array2::<u8>::zeros((0, 5));
    let frames = Frames { pixel_y_angstrom: 0.1, ..Frames::new(empty.view(), &grid) };
    assert!(write_frames(Path::new("a.tif"), &frames).unwrap_err().to_string().contains("is empty"));
}

#[test]
fn truth_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.csv");
    let column = Column {
        x_angstrom: 1.25,
        y_angstrom: 3.0,
        z_low_angstrom: 0.0,
        z_high_angstrom: 1.0,
        atoms: [("S".parse().unwrap(), 2)].into(),
        role: ColumnRole::Specimen,
    };
    let grid = Grid { nx: 64, ny: 64, pixel_x_angstrom: 0.125, pixel_y_angstrom: 0.25 };
    let row = TruthRow::new(&column, &grid, true);
    assert_eq!((row.x_px, row.y_px, row.atoms, row.species.as_str()), (10.0, 12.0, 2, "S2"));
    write_truth(&path, std::slice::from_ref(&row)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "x_px,y_px,x_nm,y_nm,species,atoms\n10.0000,12.0000,0.125000,0.300000,S2,2\n");
    assert_eq!(read_truth(&path).unwrap(), std::slice::from_ref(&row));
    write_truth(&path, &[]).unwrap();
    assert_eq!(read_truth(&path).unwrap(), []);
    assert!(write_truth(&path, &[TruthRow { x_px: f64::NAN, ..row }]).is_err());
    // A spreadsheet's file, with a column more and another order.
    let found =
        parse_truth(b"\xef\xbb\xbfatoms,note,species,x_px,y_px,x_nm,y_nm\r\n3,\"a, b\",Au,1,2,0.1,0.2\r\n").unwrap();
    assert_eq!((found[0].atoms, found[0].y_nm), (3, 0.2));
}

#[test]
fn bad_truth_is_named_with_its_line() {
    let head = "x_px,y_px,x_nm,y_nm,species,atoms\n1,2,0.1,0.2,Au,3\n";
    for (text, message) in [
        (String::new(), "the file is empty"),
        ("x_px,y_px\n1,2\n".to_owned(), "line 1: the column x_nm is missing"),
        (format!("{head}1,2,0.1\n"), "line 3: expected 6 columns"),
        (format!("{head}1,inf,0.1,0.2,Au,3\n"), "line 3: y_px is inf"),
        (format!("{head}1,2,0.1,0.2,Au,3.5\n"), "line 3: atoms is \"3.5\": expected a whole number"),
    ] {
        let error = parse_truth(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
