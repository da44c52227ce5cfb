//! Spectra of the contrast of all images at the spatial frequencies that carry signal, with the weight of each.

use atomlens_core::grid::last_fast_length;
use ndarray::ArrayView2;
use num_complex::Complex;
use rayon::prelude::*;

use crate::fourier::Fourier;
use crate::{CameraEstimate, FocalSeries};

/// Part of each side over which the window falls at both ends together.
const TAPER: f64 = 0.3;

/// Lowest frequency that is compared, in 1 / angstrom: below, illumination and contamination differ from image to image.
const LOWEST_PER_ANGSTROM: f64 = 0.04;

/// How far a model of weak phases can be trusted, as a part of the measured power: strong reflections weigh no more than its inverse.
const MODEL_ERROR: f64 = 0.1;

/// A rectangle of pixels of each image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// First pixel of each image, [x, y].
    pub(super) first: Vec<[usize; 2]>,
    /// Width and height in pixels.
    pub(super) size: [usize; 2],
}

impl Field {
    /// What all images show if the content of image `j` lies `shift_angstrom[j]` further than that of the reference, and each image's
    /// first pixel on the way there. Sizes are ones that transform fast. `None` if less than `smallest` pixels are left along a side.
    pub(super) fn common(series: &FocalSeries, shift_angstrom: &[[f64; 2]], smallest: usize) -> Option<Field> {
        let (_, ny, nx) = series.images.dim();
        let whole: Vec<[i64; 2]> =
            shift_angstrom.iter().map(|shift| shift.map(|s| (s / series.pixel_angstrom).round() as i64)).collect();
        let mut size = [0; 2];
        let mut lowest = [0; 2];
        for (axis, length) in [nx, ny].into_iter().enumerate() {
            let along = || whole.iter().map(|shift| shift[axis]);
            let (low, high) = (along().min()?, along().max()?);
            let left = length as i64 - (high - low);
            if left < smallest as i64 {
                return None;
            }
            size[axis] = last_fast_length(left as usize);
            // In the middle of what is common.
            lowest[axis] = low - (left - size[axis] as i64) / 2;
        }
        let first =
            whole.iter().map(|shift| [(shift[0] - lowest[0]) as usize, (shift[1] - lowest[1]) as usize]).collect();
        Some(Field { first, size })
    }

    /// Its middle, of at most so many pixels along each side.
    pub(super) fn middle(self, most: usize) -> Field {
        let size = self.size.map(|size| if size > most { last_fast_length(most) } else { size });
        let margin = [0, 1].map(|axis| (self.size[axis] - size[axis]) / 2);
        let first = self.first.iter().map(|at| [at[0] + margin[0], at[1] + margin[1]]).collect();
        Field { first, size }
    }

    /// Whether the images of both lie alike but for some pixels.
    pub(super) fn is_near(&self, other: &Field, pixels: usize) -> bool {
        let apart = |a: &[usize; 2], b: &[usize; 2], axis: usize| {
            (a[axis] as i64 - self.first[0][axis] as i64) - (b[axis] as i64 - other.first[0][axis] as i64)
        };
        let mut pairs = self.first.iter().zip(&other.first);
        pairs.all(|(a, b)| (0..2).all(|axis| apart(a, b, axis).unsigned_abs() as usize <= pixels))
    }
}

/// A spatial frequency; of `k` and `-k` there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frequency {
    /// In cycles over the field.
    pub(super) index: [i32; 2],
    /// In 1 / angstrom.
    pub(super) k: [f64; 2],
    /// `1 / (noise + MODEL_ERROR * power)`.
    pub(super) weight: f64,
}

/// What is compared.
pub(super) struct Spectra {
    /// Wavelength in angstrom.
    pub(super) wavelength_angstrom: f64,
    /// Width and height of the field in angstrom.
    pub(super) extent_angstrom: [f64; 2],
    /// Frequencies, nearest first along each column.
    pub(super) frequencies: Vec<Frequency>,
    /// Spectra of each image, as long as `frequencies`: of the contrast `counts / mean - 1` times a window, over the root of the window's
    /// squares, so that noise has the power that it has a pixel.
    pub(super) values: Vec<Vec<Complex<f64>>>,
    /// Weighted power of all images.
    pub(super) total: f64,
}

impl Spectra {
    /// Spectra of `field` up to `highest_per_angstrom`.
    pub(super) fn new(
        series: &FocalSeries,
        field: &Field,
        camera: Option<&CameraEstimate>,
        highest_per_angstrom: f64,
    ) -> Spectra {
        let [nx, ny] = field.size;
        let pixel = series.pixel_angstrom;
        let extent = [nx as f64 * pixel, ny as f64 * pixel];
        let highest = highest_per_angstrom.min(0.98 * 0.5 / pixel);
        let frequencies = frequencies(extent, highest);
        let windows = [tukey(nx), tukey(ny)];
        let square: f64 = windows.iter().map(|window| window.iter().map(|w| w * w).sum::<f64>()).product();
        let fourier = Fourier::<f32>::new(ny, nx);
        let parts: Vec<(Vec<Complex<f64>>, f64)> = (0..series.len())
            .into_par_iter()
            .map(|image| {
                let [x, y] = field.first[image];
                let view = series.images.slice(ndarray::s![image, y..y + ny, x..x + nx]);
                one(view, &windows, &fourier, &frequencies, square)
            })
            .collect();
        let mean_counts = parts.iter().map(|(_, mean)| mean).sum::<f64>() / parts.len() as f64;
        let values: Vec<Vec<Complex<f64>>> = parts.into_iter().map(|(values, _)| values).collect();
        let power: Vec<f64> =
            (0..frequencies.len()).map(|i| values.iter().map(|values| values[i].norm_sqr()).sum()).collect();
        let noise = match camera {
            Some(camera) => noise_of_camera(camera, &frequencies, mean_counts, pixel),
            None => noise_of_rings(&frequencies, &power, values.len(), extent),
        };
        let mut frequencies = frequencies;
        let mut total = 0.0;
        for ((frequency, power), noise) in frequencies.iter_mut().zip(&power).zip(&noise) {
            frequency.weight = 1.0 / (noise + MODEL_ERROR * power).max(1e-30);
            total += frequency.weight * power;
        }
        Spectra {
            wavelength_angstrom: series.wavelength_angstrom(),
            extent_angstrom: extent,
            frequencies,
            values,
            total,
        }
    }

    /// Largest index along either axis.
    pub(super) fn reach(&self) -> [usize; 2] {
        let largest = |axis: usize| self.frequencies.iter().map(|f| f.index[axis].unsigned_abs() as usize).max();
        [largest(0).unwrap_or(0), largest(1).unwrap_or(0)]
    }
}

/// Half of the disc of frequencies.
fn frequencies(extent: [f64; 2], highest: f64) -> Vec<Frequency> {
    let reach = extent.map(|e| (highest * e).floor() as i32);
    let mut out = Vec::new();
    for x in 0..=reach[0] {
        for y in -reach[1]..=reach[1] {
            if x == 0 && y <= 0 {
                continue;
            }
            let k = [f64::from(x) / extent[0], f64::from(y) / extent[1]];
            let magnitude = k[0].hypot(k[1]);
            if magnitude <= highest && magnitude >= LOWEST_PER_ANGSTROM {
                out.push(Frequency { index: [x, y], k, weight: 0.0 });
            }
        }
    }
    out
}

fn one(
    image: ArrayView2<'_, f32>,
    windows: &[Vec<f64>; 2],
    fourier: &Fourier<f32>,
    frequencies: &[Frequency],
    square: f64,
) -> (Vec<Complex<f64>>, f64) {
    let (ny, nx) = image.dim();
    let mean = image.iter().map(|value| f64::from(*value)).sum::<f64>() / (nx * ny) as f64;
    let scale = if mean.abs() > 1e-30 { 1.0 / mean } else { 0.0 };
    // The window's own spectrum must not appear: what is left has no mean under it.
    let (mut sum, mut weight) = (0.0, 0.0);
    for ((y, x), value) in image.indexed_iter() {
        let window = windows[0][x] * windows[1][y];
        sum += window * (f64::from(*value) * scale - 1.0);
        weight += window;
    }
    let offset = 1.0 + sum / weight;
    let mut values: Vec<Complex<f32>> = image
        .indexed_iter()
        .map(|((y, x), value)| {
            Complex::new(((f64::from(*value) * scale - offset) * windows[0][x] * windows[1][y]) as f32, 0.0)
        })
        .collect();
    let mut spectrum = vec![Complex::new(0.0, 0.0); nx * ny];
    fourier.forward(&mut values, &mut spectrum);
    let scale = 1.0 / square.sqrt();
    let picked = frequencies.iter().map(|frequency| {
        let [x, y] = frequency.index;
        let value = spectrum[x as usize * ny + y.rem_euclid(ny as i32) as usize];
        Complex::new(f64::from(value.re), f64::from(value.im)) * scale
    });
    (picked.collect(), mean)
}

/// A window that is 1 in the middle and falls as a cosine at both ends.
fn tukey(n: usize) -> Vec<f64> {
    let edge = 0.5 * TAPER * n as f64;
    (0..n)
        .map(|i| {
            let inside = (i as f64 + 0.5).min(n as f64 - i as f64 - 0.5);
            if inside >= edge { 1.0 } else { 0.5 - 0.5 * (std::f64::consts::PI * inside / edge).cos() }
        })
        .collect()
}

fn noise_of_camera(camera: &CameraEstimate, frequencies: &[Frequency], mean_counts: f64, pixel: f64) -> Vec<f64> {
    let of = |f: &Frequency| camera.noise_power(2.0 * pixel * f.k[0].hypot(f.k[1]), mean_counts);
    frequencies.iter().map(|frequency| of(frequency) / (mean_counts * mean_counts)).collect()
}

/// Noise of each frequency as the lower part of the power on its ring says: too high where a specimen scatters everywhere, which
/// only makes such frequencies weigh less.
fn noise_of_rings(frequencies: &[Frequency], power: &[f64], images: usize, extent: [f64; 2]) -> Vec<f64> {
    let width = 3.0 / extent[0].min(extent[1]);
    let ring = |frequency: &Frequency| (frequency.k[0].hypot(frequency.k[1]) / width) as usize;
    let count = frequencies.iter().map(ring).max().map_or(0, |last| last + 1);
    let mut members: Vec<Vec<f64>> = vec![Vec::new(); count];
    for (frequency, power) in frequencies.iter().zip(power) {
        members[ring(frequency)].push(power / images as f64);
    }
    let low: Vec<f64> = members
        .iter_mut()
        .map(|members| {
            let place = members.len() * 3 / 10;
            if members.is_empty() { 0.0 } else { *members.select_nth_unstable_by(place, f64::total_cmp).1 }
        })
        .collect();
    frequencies.iter().map(|frequency| low[ring(frequency)]).collect()
}
