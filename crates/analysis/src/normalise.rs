//! Bringing an image to the scale that a detector knows.
//!
//! The local mean (Gaussian blur) is subtracted, and the rest divided by the square root of its blurred square, as in
//! Madsen et al., *Adv. Theory Simul.* 1, 1800037 (2018), doi:10.1002/adts.201800037. A focal series shares one mean
//! and one scale, so that the contrast between its images stays.

use ndarray::{Array2, Array3, ArrayView3, Axis, Zip};
use rayon::prelude::*;

use crate::resample::{mirrored, rows_mut};

/// Standard deviation of the blur, in angstrom.
pub const BLUR_ANGSTROM: f64 = 12.0;

/// Normalised images, and what was taken out of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalised {
    /// The images, shape `[focus, y, x]`.
    pub images: Array3<f32>,
    /// The local mean of all images, shape `[y, x]`, in their unit.
    pub mean: Array2<f32>,
    /// The local standard deviation that the rest was divided by, likewise.
    pub deviation: Array2<f32>,
}

/// Normalises the images of a series, shape `[focus, y, x]`, of square pixels.
///
/// Where the image is constant within the reach of the blur the answer is 0. Beyond the border the image is mirrored.
pub fn normalise(series: ArrayView3<'_, f32>, pixel_angstrom: f64) -> Array3<f32> {
    normalise_with_scale(series, pixel_angstrom).images
}

/// The same, with the mean and the deviation that were taken out.
pub fn normalise_with_scale(series: ArrayView3<'_, f32>, pixel_angstrom: f64) -> Normalised {
    let sigma_px = BLUR_ANGSTROM / pixel_angstrom;
    let mean = blur(series.mean_axis(Axis(0)).expect("a series has at least one image"), sigma_px);
    let mut out = series.to_owned();
    for mut image in out.outer_iter_mut() {
        image -= &mean;
    }
    let square = out.mapv(|value| value * value).mean_axis(Axis(0)).expect("a series has at least one image");
    let deviation = blur(square, sigma_px).mapv_into(|variance| variance.max(0.0).sqrt());
    // Rounding of a constant image must not be blown up to noise.
    let smallest = mean.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())) * 1e-6;
    for mut image in out.outer_iter_mut() {
        Zip::from(&mut image).and(&deviation).for_each(|value, &deviation| {
            *value = if deviation > smallest { *value / deviation } else { 0.0 };
        });
    }
    Normalised { images: out, mean, deviation }
}

/// Gaussian blur by three box filters in each direction, whose variances add up to that of the Gaussian (W. M. Wells,
/// *IEEE Trans. Pattern Anal. Mach. Intell.* 8, 234 (1986), doi:10.1109/TPAMI.1986.4767776).
fn blur(image: Array2<f32>, sigma_px: f64) -> Array2<f32> {
    let radii = box_radii(sigma_px);
    let mut image = image.as_standard_layout().into_owned();
    for _ in 0..2 {
        rows_mut(&mut image).for_each(|line| {
            let mut sums = Vec::new();
            for &radius in &radii {
                box_filter(line, radius, &mut sums);
            }
        });
        image = image.reversed_axes().as_standard_layout().into_owned();
    }
    image
}

/// Half-widths of three boxes: the widths that Wells' construction gives, smaller ones first.
fn box_radii(sigma_px: f64) -> [usize; 3] {
    let ideal = (4.0 * sigma_px * sigma_px + 1.0).sqrt();
    let mut low = ideal.floor() as i64;
    if low % 2 == 0 {
        low -= 1;
    }
    let low = low.max(1);
    let (l, n) = (low as f64, 3.0);
    let small = ((12.0 * sigma_px * sigma_px - n * l * l - 4.0 * n * l - 3.0 * n) / (-4.0 * l - 4.0)).round();
    std::array::from_fn(|index| ((if (index as f64) < small { low } else { low + 2 }) as usize - 1) / 2)
}

fn box_filter(line: &mut [f32], radius: usize, sums: &mut Vec<f64>) {
    if radius == 0 {
        return;
    }
    let n = line.len();
    let reach = radius as i64;
    sums.clear();
    sums.push(0.0);
    let mut sum = 0.0;
    let mut add = |value: f32| {
        sum += f64::from(value);
        sums.push(sum);
    };
    (-reach..0).for_each(|index| add(line[mirrored(index, n)]));
    line.iter().for_each(|&value| add(value));
    (n as i64..n as i64 + reach).for_each(|index| add(line[mirrored(index, n)]));
    let width = 2 * radius + 1;
    for (index, value) in line.iter_mut().enumerate() {
        *value = ((sums[index + width] - sums[index]) / width as f64) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blur_has_the_width_asked_for() {
        for sigma in [12.0, 60.0] {
            let n = 801;
            let mut image = Array2::zeros((n, n));
            image[[n / 2, n / 2]] = 1.0;
            let blurred = blur(image, sigma);
            let mut variance = 0.0;
            for ((j, _), value) in blurred.indexed_iter() {
                variance += f64::from(*value) * (j as f64 - (n / 2) as f64).powi(2);
            }
            assert!((f64::from(blurred.sum()) - 1.0).abs() < 1e-3);
            assert!((variance.sqrt() / sigma - 1.0).abs() < 0.05, "{} for {sigma}", variance.sqrt());
        }
    }

    #[test]
    fn offset_and_gain_do_not_matter() {
        let image = Array3::from_shape_fn((2, 64, 80), |(f, j, i)| ((3 * f + 5 * j + 7 * i) % 11) as f32);
        let expected = normalise(image.view(), 0.2);
        let other = normalise((&image * 16.0 + 100.0).view(), 0.2);
        assert!((&expected - &other).mapv(f32::abs).into_iter().fold(0.0, f32::max) < 2e-3);
        let spread = expected.mapv(|value| value * value).mean().unwrap();
        assert!((spread - 1.0).abs() < 0.1, "{spread}");
    }

    #[test]
    fn an_image_without_contrast_gives_zeros() {
        assert!(normalise(Array3::from_elem((1, 40, 40), 117.3).view(), 0.2).iter().all(|&value| value == 0.0));
    }
}
