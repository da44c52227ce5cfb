//! From arrays of numbers to pixels: contrast limits and resampling.
//!
//! Resampling is area weighting both ways: every pixel of the picture is the mean of the array over the pixel's own
//! footprint. It keeps the mean, never rings, averages noise when a picture shrinks, and shows the array's own pixels
//! when it grows.

use image::RgbImage;
use ndarray::{Array2, ArrayView2, Axis};

use crate::colour::{ColourMap, NO_RESULT, NOT_A_NUMBER};

/// The values of the array at two percentiles (0 to 100) of its finite values; `None` without finite values.
/// Between two values it is interpolated linearly.
pub fn percentiles(array: ArrayView2<'_, f32>, low_percent: f64, high_percent: f64) -> Option<(f32, f32)> {
    let mut values: Vec<f32> = array.iter().copied().filter(|value| value.is_finite()).collect();
    let last = values.len().checked_sub(1)?;
    let mut at = |percent: f64| {
        let place = percent.clamp(0.0, 100.0) / 100.0 * last as f64;
        let (_, below, larger) = values.select_nth_unstable_by(place.floor() as usize, f32::total_cmp);
        let below = *below;
        let above = if place.fract() > 0.0 { larger.iter().copied().min_by(f32::total_cmp) } else { None };
        below + (above.unwrap_or(below) - below) * place.fract() as f32
    };
    Some((at(low_percent), at(high_percent)))
}

/// The array `[y, x]` on a grid of other shape that covers the same area.
pub fn resample(array: ArrayView2<'_, f32>, height_px: usize, width_px: usize) -> Array2<f32> {
    let rows = resample_rows(array, height_px);
    resample_rows(rows.t(), width_px).reversed_axes()
}

/// Resamples along the first axis.
fn resample_rows(array: ArrayView2<'_, f32>, rows: usize) -> Array2<f32> {
    let step = array.nrows() as f64 / rows as f64;
    let mut resampled = Array2::zeros((rows, array.ncols()));
    for (index, mut row) in resampled.axis_iter_mut(Axis(0)).enumerate() {
        let (low, high) = (index as f64 * step, (index + 1) as f64 * step);
        let last = (high.ceil() as usize).min(array.nrows());
        for source in low.floor() as usize..last {
            let overlap = high.min((source + 1) as f64) - low.max(source as f64);
            if overlap > 1e-9 {
                row.scaled_add((overlap / step) as f32, &array.row(source));
            }
        }
    }
    resampled
}

/// Paints an array with a colour map between two values. What is not finite is magenta on a grey picture and light grey
/// on a coloured map.
pub fn paint(array: ArrayView2<'_, f32>, map: ColourMap, low: f32, high: f32) -> RgbImage {
    let table = map.table();
    let missing = if map == ColourMap::Grey { NOT_A_NUMBER } else { NO_RESULT };
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    RgbImage::from_fn(array.ncols() as u32, array.nrows() as u32, |x, y| {
        let value = array[[y as usize, x as usize]];
        // A flat array is painted mid-scale.
        let level = if scale > 0.0 { ((value - low) * scale).round() } else { 127.0 };
        if value.is_finite() { table[level.clamp(0.0, 255.0) as usize] } else { missing }
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn resampling_keeps_the_mean() {
        let array = Array2::from_shape_fn((37, 53), |(y, x)| ((y * 7 + x * 13) % 17) as f32);
        for (height, width) in [(37, 53), (12, 20), (100, 91), (74, 106)] {
            let resampled = resample(array.view(), height, width);
            assert_eq!(resampled.dim(), (height, width));
            let (found, expected) = (resampled.mean().unwrap(), array.mean().unwrap());
            assert!((found - expected).abs() < 1e-4, "{height} x {width}: {found}, expected {expected}");
        }
        assert_eq!(resample(array.view(), 37, 53), array);
    }

    #[test]
    fn growing_repeats_and_shrinking_averages() {
        let small = array![[1.0, 2.0], [3.0, 4.0]];
        let large = resample(small.view(), 4, 4);
        assert_eq!(large.row(1).to_vec(), [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(resample(large.view(), 2, 2), small);
        assert_eq!(resample(small.view(), 1, 1), array![[2.5]]);
    }

    #[test]
    fn percentiles_as_numpy_has_them() {
        // numpy.percentile([3, 1, 2, 4, 10], [10, 90]) = [1.4, 7.6]
        let (low, high) = percentiles(array![[3.0, 1.0, f32::NAN], [2.0, 4.0, 10.0]].view(), 10.0, 90.0).unwrap();
        assert!((low - 1.4).abs() < 1e-6 && (high - 7.6).abs() < 1e-5, "{low} {high}");
        assert_eq!(percentiles(array![[7.0, 3.0, 5.0]].view(), 0.0, 100.0), Some((3.0, 7.0)));
        assert_eq!(percentiles(array![[7.0]].view(), 1.0, 99.0), Some((7.0, 7.0)));
        assert!(percentiles(array![[f32::NAN]].view(), 0.0, 100.0).is_none());
    }

    #[test]
    fn values_that_are_not_numbers_stand_out() {
        let image = paint(array![[0.0, 1.0, f32::NAN, 5.0]].view(), ColourMap::Grey, 0.0, 1.0);
        let levels: Vec<[u8; 3]> = image.pixels().map(|p| p.0).collect();
        assert_eq!(levels, [[0; 3], [255; 3], NOT_A_NUMBER.0, [255; 3]]);
    }
}
