//! Bringing an image to the pixel size that a detector knows.
//!
//! Separable Lanczos kernel with three lobes, widened when the image is reduced so that what the coarser grid cannot
//! hold is removed before it folds back (C. E. Duchon, *J. Appl. Meteorol.* 18, 1016 (1979),
//! doi:10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2). Output pixel `i` lies at `i * target / source` input pixels:
//! the centres of the first pixels coincide. Beyond the border the image is mirrored.

use atomlens_core::glam::{DAffine2, DMat2, DVec2};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Lobes of the kernel on each side.
const LOBES: f64 = 3.0;

/// The weights of one output pixel.
struct Taps {
    sources: Vec<usize>,
    weights: Vec<f32>,
}

/// Resamples an image, shape `[y, x]`, from one pixel size to another, both in the same unit. `source` and `target`
/// are (x, y).
///
/// # Panics
/// If a pixel size is not positive or the image is empty.
pub fn resample(image: ArrayView2<'_, f32>, source: (f64, f64), target: f64) -> Array2<f32> {
    assert!(source.0 > 0.0 && source.1 > 0.0 && target > 0.0, "pixel sizes must be positive");
    let (ny, nx) = image.dim();
    assert!(nx > 0 && ny > 0, "an image without pixels cannot be resampled");
    let (step_x, step_y) = (target / source.0, target / source.1);
    let along_x = if step_x == 1.0 { image.to_owned() } else { rows(image, &all_taps(nx, step_x)) };
    if step_y == 1.0 { along_x } else { columns(along_x.view(), &all_taps(ny, step_y)) }
}

/// Resamples an image onto the pixels of another that shows the same thing elsewhere: output pixel `[j, i]` of `shape`
/// lies at `motion` of the place (`i * target`, `j * target`), in the unit of the pixel sizes from the centre of the image's first
/// pixel. There is one interpolation, whatever the motion. Beyond the border the image is mirrored; [`covered`] tells
/// which pixels lie there.
///
/// # Panics
/// As [`resample`].
pub fn resample_moved(
    image: ArrayView2<'_, f32>,
    source: (f64, f64),
    target: f64,
    shape: (usize, usize),
    motion: DAffine2,
) -> Array2<f32> {
    assert!(source.0 > 0.0 && source.1 > 0.0 && target > 0.0, "pixel sizes must be positive");
    let (ny, nx) = image.dim();
    assert!(nx > 0 && ny > 0, "an image without pixels cannot be resampled");
    let (step_x, step_y) = (target / source.0, target / source.1);
    if motion.matrix2 == DMat2::IDENTITY {
        let shift = motion.translation;
        let along_x = rows(image, &taps(nx, step_x, shift.x / source.0, shape.1));
        return columns(along_x.view(), &taps(ny, step_y, shift.y / source.1, shape.0));
    }
    let mut out = Array2::zeros(shape);
    rows_mut(&mut out).enumerate().for_each(|(j, to)| {
        for (i, value) in to.iter_mut().enumerate() {
            let place = motion.transform_point2(target * DVec2::new(i as f64, j as f64));
            let along_x = tap(nx, place.x / source.0, step_x.max(1.0));
            let along_y = tap(ny, place.y / source.1, step_y.max(1.0));
            let of_row = |&row: &usize| -> f32 {
                along_x
                    .sources
                    .iter()
                    .zip(&along_x.weights)
                    .map(|(&column, weight)| image[[row, column]] * weight)
                    .sum()
            };
            *value = along_y.sources.iter().zip(&along_y.weights).map(|(row, weight)| of_row(row) * weight).sum();
        }
    });
    out
}

/// Whether the image of `length` (ny, nx) pixels covers each output pixel of [`resample_moved`], shape `[y, x]`.
pub fn covered(
    length: (usize, usize),
    source: (f64, f64),
    target: f64,
    shape: (usize, usize),
    motion: DAffine2,
) -> Array2<bool> {
    let inside = |place: f64, length: usize| (-0.5..length as f64 - 0.5).contains(&place);
    Array2::from_shape_fn(shape, |(j, i)| {
        let place = motion.transform_point2(target * DVec2::new(i as f64, j as f64));
        inside(place.x / source.0, length.1) && inside(place.y / source.1, length.0)
    })
}

/// Number of pixels that `length` pixels become when each new pixel is `step` old ones: those whose centre lies
/// within the old pixels.
pub fn resampled_length(length: usize, step: f64) -> usize {
    (((length as f64 - 0.5) / step).floor() as usize + 1).max(1)
}

fn all_taps(length: usize, step: f64) -> Vec<Taps> {
    taps(length, step, 0.0, resampled_length(length, step))
}

/// The weights of `count` pixels, the first of which lies at `first`.
fn taps(length: usize, step: f64, first: f64, count: usize) -> Vec<Taps> {
    (0..count).map(|index| tap(length, first + index as f64 * step, step.max(1.0))).collect()
}

/// The weights of a pixel at `centre`, by a kernel that is `width` times as wide as that for pixels of one size.
fn tap(length: usize, centre: f64, width: f64) -> Taps {
    let reach = LOBES * width;
    let (first, last) = ((centre - reach).ceil() as i64, (centre + reach).floor() as i64);
    let weights: Vec<f64> = (first..=last).map(|source| lanczos((source as f64 - centre) / width)).collect();
    let sum: f64 = weights.iter().sum();
    Taps {
        sources: (first..=last).map(|source| mirrored(source, length)).collect(),
        weights: weights.iter().map(|weight| (weight / sum) as f32).collect(),
    }
}

fn lanczos(x: f64) -> f64 {
    if x.abs() >= LOBES { 0.0 } else { sinc(x) * sinc(x / LOBES) }
}

fn sinc(x: f64) -> f64 {
    let phase = std::f64::consts::PI * x;
    if phase.abs() < 1e-9 { 1.0 } else { phase.sin() / phase }
}

/// The index within `0..length` that `index` is a mirror image of.
pub(crate) fn mirrored(index: i64, length: usize) -> usize {
    let length = length as i64;
    let folded = index.rem_euclid(2 * length);
    (if folded < length { folded } else { 2 * length - 1 - folded }) as usize
}

fn rows(image: ArrayView2<'_, f32>, taps: &[Taps]) -> Array2<f32> {
    let mut out = Array2::zeros((image.nrows(), taps.len()));
    rows_mut(&mut out).enumerate().for_each(|(row, to)| {
        let from = image.row(row);
        for (value, tap) in to.iter_mut().zip(taps) {
            *value = tap.sources.iter().zip(&tap.weights).map(|(&source, weight)| from[source] * weight).sum();
        }
    });
    out
}

fn columns(image: ArrayView2<'_, f32>, taps: &[Taps]) -> Array2<f32> {
    let mut out = Array2::<f32>::zeros((taps.len(), image.ncols()));
    rows_mut(&mut out).zip(taps).for_each(|(to, tap)| {
        for (&source, &weight) in tap.sources.iter().zip(&tap.weights) {
            to.iter_mut().zip(image.row(source)).for_each(|(to, from)| *to += weight * from);
        }
    });
    out
}

/// The rows of an array in standard layout, in parallel.
pub(crate) fn rows_mut(array: &mut Array2<f32>) -> rayon::slice::ChunksMut<'_, f32> {
    let width = array.ncols();
    array.as_slice_mut().expect("the array is in standard layout").par_chunks_mut(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A band-limited pattern, sampled at pixel centres.
    fn pattern(n: usize, pixel: f64) -> Array2<f32> {
        Array2::from_shape_fn((n, n), |(j, i)| {
            let (x, y) = (i as f64 * pixel, j as f64 * pixel);
            ((2.0 * std::f64::consts::PI * x / 2.35).cos() + (2.0 * std::f64::consts::PI * (x + y) / 3.1).sin()) as f32
        })
    }

    #[test]
    fn a_pattern_keeps_its_place() {
        for (from, to) in [(0.1, 0.2), (0.25, 0.2), (0.113, 0.2), (0.2, 0.2)] {
            let out = resample(pattern(300, from).view(), (from, from), to);
            let expected = pattern(out.nrows(), to);
            let edge = 12;
            let inner = |a: &Array2<f32>| a.slice(ndarray::s![edge..-edge, edge..-edge]).to_owned();
            let error = (&inner(&out) - &inner(&expected)).mapv(f32::abs).into_iter().fold(0.0, f32::max);
            assert!(error < 0.02, "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn a_constant_stays_and_frequencies_beyond_the_new_grid_go() {
        let flat = Array2::from_elem((37, 50), 3.0_f32);
        assert!(resample(flat.view(), (0.09, 0.11), 0.2).iter().all(|value| (value - 3.0).abs() < 1e-5));
        let stripes = Array2::from_shape_fn((100, 100), |(_, i)| if i % 2 == 0 { 1.0 } else { -1.0 });
        let reduced = resample(stripes.view(), (0.1, 0.1), 0.2);
        // Mirroring breaks the stripes at the border.
        let edge = 4;
        assert!(reduced.slice(ndarray::s![.., edge..-edge]).iter().all(|value: &f32| value.abs() < 0.05));
    }

    #[test]
    fn a_moved_image_lies_on_the_other() {
        let (pixel, target) = (0.23, 0.2);
        let image = pattern(200, pixel);
        for motion in [
            DAffine2::from_translation(DVec2::new(0.37, -1.13)),
            DAffine2::from_angle_translation(0.02, DVec2::new(0.5, 0.9)),
        ] {
            let out = resample_moved(image.view(), (pixel, pixel), target, (180, 170), motion);
            let inside = covered(image.dim(), (pixel, pixel), target, (180, 170), motion);
            assert!(inside[[90, 85]] && !inside.iter().all(|&inside| inside));
            let mut worst = 0.0_f32;
            for ((j, i), value) in out.indexed_iter() {
                let place = motion.transform_point2(target * DVec2::new(i as f64, j as f64));
                if place.min_element() > 2.0 && place.max_element() < 34.0 {
                    let phases =
                        [place.x / 2.35, (place.x + place.y) / 3.1].map(|turns| 2.0 * std::f64::consts::PI * turns);
                    worst = worst.max((value - (phases[0].cos() + phases[1].sin()) as f32).abs());
                }
            }
            assert!(worst < 0.03, "{worst}");
        }
        let still = resample_moved(image.view(), (pixel, pixel), target, (180, 170), DAffine2::IDENTITY);
        assert_eq!(still, resample(image.view(), (pixel, pixel), target).slice(ndarray::s![..180, ..170]));
    }

    #[test]
    fn borders_are_mirrored() {
        assert_eq!([-2, -1, 0, 3, 4, 5, 9].map(|index| mirrored(index, 4)), [1, 0, 0, 3, 3, 2, 1]);
    }
}
