//! Images brought to where the reference lies.
//!
//! A kernel of eight lobes on each side in the window of J. F. Kaiser (*IEEE Int. Symp. Circuits Syst.* 20 (1974); A. V. Oppenheim and R. W. Schafer,
//! *Discrete-Time Signal Processing*, section 7.5.3) keeps the lower eight tenths of the frequencies to better than a hundredth. Beyond the border images are mirrored; the mask tells where that is.

use std::f64::consts::PI;

use ndarray::{Array2, Array3, ArrayView2, Axis};
use rayon::prelude::*;

use super::Alignment;
use crate::{FocalSeries, ReconstructError};

/// Lobes of the kernel on each side.
const LOBES: f64 = 8.0;

/// Kaiser's parameter: of those with so many lobes the one that is nearest to 1 up to eight tenths of Nyquist's frequency.
const KAISER_BETA: f64 = 5.0;

/// A series whose images show the same place.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The series on the grid of the reference image.
    pub series: FocalSeries,
    /// Pixels that every image covers, shape `[y, x]`.
    pub covered: Array2<bool>,
}

impl Moved {
    /// The largest part of rows and columns that all images cover: first row, first column, rows, columns.
    pub fn covered_rectangle(&self) -> (usize, usize, usize, usize) {
        // What is covered is a rectangle: the intersection of shifted ones.
        let of = |axis: usize| {
            let lanes: Vec<bool> = self.covered.axis_iter(Axis(axis)).map(|lane| lane.iter().any(|c| *c)).collect();
            let first = lanes.iter().position(|c| *c).unwrap_or(0);
            (first, lanes.iter().filter(|c| **c).count())
        };
        let ((y, height), (x, width)) = (of(0), of(1));
        (y, x, height, width)
    }
}

/// Moves every image back by its displacement.
///
/// # Errors
/// An alignment of another number of images, or displacements that are not finite.
pub fn aligned(series: &FocalSeries, alignment: &Alignment) -> Result<Moved, ReconstructError> {
    let (count, ny, nx) = series.images.dim();
    if alignment.shift_angstrom.len() != count {
        let found = alignment.shift_angstrom.len();
        return Err(ReconstructError::OutOfRange {
            name: "number of displacements",
            found: found as f64,
            expected: "one for each image of the series",
        });
    }
    let mut images = Array3::zeros((count, ny, nx));
    let mut covered = Array2::from_elem((ny, nx), true);
    for (image, shift) in alignment.shift_angstrom.iter().enumerate() {
        let pixels = shift.map(|s| s / series.pixel_angstrom);
        if let Some(found) = pixels.iter().find(|pixels| !pixels.is_finite()) {
            return Err(ReconstructError::OutOfRange {
                name: "displacement of an image in pixels",
                found: *found,
                expected: "a finite number",
            });
        }
        let moved = moved(series.images.index_axis(Axis(0), image), pixels);
        images.index_axis_mut(Axis(0), image).assign(&moved);
        let inside =
            |index: usize, shift: f64, length: usize| (-0.5..=length as f64 - 0.5).contains(&(index as f64 + shift));
        for ((y, x), covered) in covered.indexed_iter_mut() {
            *covered &= inside(x, pixels[0], nx) && inside(y, pixels[1], ny);
        }
    }
    Ok(Moved { series: FocalSeries { images, ..series.clone() }, covered })
}

/// `out(r) = image(r + shift)`, in pixels.
fn moved(image: ArrayView2<'_, f32>, shift: [f64; 2]) -> Array2<f32> {
    if shift == [0.0, 0.0] {
        return image.to_owned();
    }
    let (ny, nx) = image.dim();
    let (whole_x, taps_x) = taps(shift[0]);
    let (whole_y, taps_y) = taps(shift[1]);
    let lobes = LOBES as i64;
    let mut along_x = vec![0.0_f32; nx * ny];
    along_x.par_chunks_mut(nx).enumerate().for_each(|(y, row)| {
        for (x, value) in row.iter_mut().enumerate() {
            let first = x as i64 + whole_x - lobes + 1;
            *value = taps_x.iter().zip(first..).map(|(tap, source)| tap * image[[y, mirrored(source, nx)]]).sum();
        }
    });
    let mut out = Array2::zeros((ny, nx));
    out.as_slice_mut().expect("a new array is in one piece").par_chunks_mut(nx).enumerate().for_each(
        |(y, row): (usize, &mut [f32])| {
            let first = y as i64 + whole_y - lobes + 1;
            for (tap, source) in taps_y.iter().zip(first..) {
                let source = mirrored(source, ny) * nx;
                for (value, source) in row.iter_mut().zip(&along_x[source..source + nx]) {
                    *value += tap * source;
                }
            }
        },
    );
    out
}

/// Whole part of a shift, and the weights of the pixels around the place.
fn taps(shift: f64) -> (i64, Vec<f32>) {
    let whole = shift.floor();
    let part = shift - whole;
    let lobes = LOBES as i64;
    let weights: Vec<f64> = (1 - lobes..=lobes).map(|offset| kernel(offset as f64 - part)).collect();
    let sum: f64 = weights.iter().sum();
    (whole as i64, weights.into_iter().map(|weight| (weight / sum) as f32).collect())
}

fn kernel(x: f64) -> f64 {
    if x.abs() >= LOBES {
        return 0.0;
    }
    let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
    let inside = (1.0 - (x / LOBES).powi(2)).sqrt();
    sinc * puruspe::In(0, KAISER_BETA * inside) / puruspe::In(0, KAISER_BETA)
}

fn mirrored(index: i64, length: usize) -> usize {
    let period = 2 * length as i64;
    let place = index.rem_euclid(period);
    (if place < length as i64 { place } else { period - 1 - place }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_moved_as_it_should() {
        // 0.4 cycles a pixel along x: eight tenths of Nyquist's frequency.
        let wave = |x: f64, y: f64| (std::f64::consts::TAU * (0.4 * x + 0.13 * y)).cos();
        let image = Array2::from_shape_fn((64, 80), |(y, x)| wave(x as f64, y as f64) as f32);
        let found = moved(image.view(), [3.37, -1.6]);
        for ((y, x), value) in found.indexed_iter() {
            if (10..54).contains(&y) && (10..65).contains(&x) {
                let expected = wave(x as f64 + 3.37, y as f64 - 1.6);
                assert!((f64::from(*value) - expected).abs() < 0.01, "{value} {expected}");
            }
        }
        assert_eq!(moved(image.view(), [0.0, 0.0]), image);
    }
}
