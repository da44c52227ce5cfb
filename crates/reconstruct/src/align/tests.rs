use ndarray::Array3;

use super::*;

fn series(images: Array3<f32>) -> FocalSeries {
    FocalSeries {
        images,
        pixel_angstrom: 0.2,
        energy_ev: 80e3,
        defocus_angstrom: vec![20.0, 70.0, 120.0],
        defocus_is_absolute: false,
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let images = Array3::from_shape_fn((3, 64, 64), |(j, y, x)| 10.0 + ((j + 3 * y + 7 * x) % 5) as f32);
    let settings = AlignSettings { step_error: 0.0, ..AlignSettings::default() };
    let error = align(&series(images.clone()), None, &settings).unwrap_err();
    assert!(error.to_string().contains("error of the focus steps is 0"), "{error}");
    let settings = AlignSettings { cs_angstrom: Some(f64::NAN), ..AlignSettings::default() };
    assert!(align(&series(images), None, &settings).is_err());
}
