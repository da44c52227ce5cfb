//! Images as the solution wants them: relative to the beam, without the camera's blur, with a margin, on a grid as coarse as
//! the lens allows.
//!
//! A camera counts electrons (white noise) and spreads the counts, so that dividing the spectrum by the camera's transfer
//! function makes the noise white again. What a lens tells of a wave ends before 2 / angstrom; pixels of 0.2 angstrom hold it,
//! whatever pixels the camera had. Images of real specimens do not go on periodically where they end: a margin around them,
//! where nothing is known, keeps one border from the other.

use atomlens_core::Grid;
use atomlens_simulate::camera::TransferCurve;
use num_complex::Complex;
use rayon::prelude::*;

use crate::fourier::Fourier;
use crate::{FocalSeries, ReconstructError};

/// Largest pixel of the grid that is worked on, in angstrom.
const LARGEST_PIXEL_ANGSTROM: f64 = 0.205;

/// Margin around the images, in angstrom: what an aberrated wave is displaced by.
const MARGIN_ANGSTROM: f64 = 6.0;

/// Distance from an image's edge at which its pixels count in full, in angstrom.
const EDGE_ANGSTROM: f64 = 0.6;

/// Least value of the camera's transfer function that is divided by.
const LEAST_TRANSFER: f64 = 0.05;

/// The images of a series on the grid that is worked on.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// Transforms on the working grid.
    pub(crate) fourier: Fourier<f32>,
    /// The working grid, margin included.
    pub(crate) grid: Grid,
    /// Intensity relative to the mean, image by image, each `[y, x]` on the working grid.
    pub(crate) intensity: Vec<Vec<f32>>,
    /// 1 inside the images, 0 in the margin.
    pub(crate) weight: Vec<f32>,
    /// Variance of the relative intensity of a pixel of the working grid.
    pub(crate) noise_variance: f64,
    /// Pixels of the images, `[y, x]`.
    image: [usize; 2],
    /// Pixels of the images with margin, `[y, x]`.
    padded: [usize; 2],
    /// Margin before the first pixel, `[y, x]`, in the images' pixels.
    before: [usize; 2],
}

/// How many pixels of the images, and in how many of the working grid: a ratio of small numbers.
fn coarsening(pixel_angstrom: f64) -> [usize; 2] {
    let mut best = [1, 1];
    for below in 1..=5_usize {
        for above in below..=20 * below {
            let larger = above * best[1] > best[0] * below;
            if larger && pixel_angstrom * above as f64 <= LARGEST_PIXEL_ANGSTROM * below as f64 {
                best = [above, below];
            }
        }
    }
    best
}

/// Whether a transform likes this length.
fn fast(mut length: usize) -> bool {
    for prime in [2, 3, 5, 7] {
        while length.is_multiple_of(prime) {
            length /= prime;
        }
    }
    length == 1
}

/// The padded length of `n` pixels with margin, and the length on the working grid.
fn lengths(n: usize, margin: usize, [above, below]: [usize; 2]) -> [usize; 2] {
    let mut padded = (n + 2 * margin).next_multiple_of(above);
    loop {
        let work = padded / above * below;
        if work.is_multiple_of(2) && fast(work) {
            return [padded, work];
        }
        padded += above;
    }
}

/// Where a padded line takes its values from: two places inside and the share of the second. The margin goes from the
/// mirrored end of the line to the mirrored beginning, so that the padded line is periodic without a step.
fn sources(n: usize, padded: usize, before: usize) -> Vec<(usize, usize, f32)> {
    let margin = padded - n;
    (0..padded)
        .map(|index| {
            if (before..before + n).contains(&index) {
                return (index - before, index - before, 0.0);
            }
            // Distance beyond the end of the line, the line's beginning being `margin + 1` away.
            let beyond = (index + padded - before - n) % padded;
            let share = (beyond + 1) as f32 / (margin + 1) as f32;
            let last = n.saturating_sub(1 + beyond % n);
            let first = (margin - 1 - beyond) % n;
            (last, first, share * share * (3.0 - 2.0 * share))
        })
        .collect()
}

impl Prepared {
    /// Prepares the images of a series that was checked.
    pub(crate) fn new(
        series: &FocalSeries,
        mtf: &TransferCurve,
        gain_counts_per_electron: f64,
    ) -> Result<Prepared, ReconstructError> {
        ReconstructError::positive("gain in counts per electron", gain_counts_per_electron)?;
        let (_, ny, nx) = series.images.dim();
        let ratio = coarsening(series.pixel_angstrom);
        let margin = (MARGIN_ANGSTROM / series.pixel_angstrom).ceil() as usize;
        let ([padded_y, work_y], [padded_x, work_x]) = (lengths(ny, margin, ratio), lengths(nx, margin, ratio));
        let before = [(padded_y - ny) / 2, (padded_x - nx) / 2];
        let work_pixel = series.pixel_angstrom * ratio[0] as f64 / ratio[1] as f64;
        let grid = Grid { nx: work_x, ny: work_y, pixel_x_angstrom: work_pixel, pixel_y_angstrom: work_pixel };
        let fourier = Fourier::new(work_y, work_x);
        let wide = Fourier::<f32>::new(padded_y, padded_x);

        let rows = sources(ny, padded_y, before[0]);
        let columns = sources(nx, padded_x, before[1]);
        // Frequencies of the images in units of the detector's Nyquist frequency, and the edge of what is kept.
        let nyquist = 0.5 / series.pixel_angstrom;
        let highest = 0.5 / work_pixel;
        let (kx, ky) = (grid.frequencies_x(), grid.frequencies_y());
        let filter: Vec<f32> = kx
            .par_iter()
            .flat_map_iter(|kx| {
                ky.iter().map(move |ky| {
                    let k = kx.hypot(*ky);
                    // Divided where the camera transmits, and cut softly before the corner of the working grid.
                    let soft = ((1.15 - k / highest) / 0.15).clamp(0.0, 1.0);
                    (soft * soft * (3.0 - 2.0 * soft) / mtf.at(k / nyquist).max(LEAST_TRANSFER)) as f32
                })
            })
            .collect();
        let mut mean_counts = 0.0;
        let mut values = vec![Complex::default(); wide.len()];
        let mut spectrum = vec![Complex::default(); wide.len()];
        let mut work = vec![Complex::default(); fourier.len()];
        let mut small = vec![Complex::default(); fourier.len()];
        let mut intensity = Vec::with_capacity(series.len());
        for image in series.images.outer_iter() {
            let mean = image.iter().map(|value| f64::from(*value)).sum::<f64>() / (ny * nx) as f64;
            mean_counts += mean / series.len() as f64;
            let scale = (1.0 / mean) as f32;
            values.par_chunks_mut(padded_x).zip(&rows).for_each(|(out, (y0, y1, share_y))| {
                for (value, (x0, x1, share_x)) in out.iter_mut().zip(&columns) {
                    let row = |y: usize| image[[y, *x0]] * (1.0 - share_x) + image[[y, *x1]] * share_x;
                    *value = Complex::new((row(*y0) * (1.0 - share_y) + row(*y1) * share_y) * scale, 0.0);
                }
            });
            wide.forward(&mut values, &mut spectrum);
            change_size(&spectrum, [padded_x, padded_y], &mut work, [work_x, work_y]);
            let factor = 1.0 / wide.len() as f32;
            work.par_iter_mut().zip(&filter).for_each(|(value, filter)| *value *= filter * factor);
            fourier.inverse(&mut work, &mut small);
            intensity.push(small.iter().map(|value| value.re).collect());
        }
        let inside = |n: usize, count: usize, before: usize| -> Vec<f32> {
            let (first, field) = (before as f64 * series.pixel_angstrom, n as f64 * series.pixel_angstrom);
            (0..count)
                .map(|index| {
                    let x = index as f64 * work_pixel - first + 0.5 * series.pixel_angstrom;
                    let depth = (x.min(field - x) / EDGE_ANGSTROM).clamp(0.0, 1.0);
                    (depth * depth * (3.0 - 2.0 * depth)) as f32
                })
                .collect()
        };
        let (along_y, along_x) = (inside(ny, work_y, before[0]), inside(nx, work_x, before[1]));
        let weight = along_y.iter().flat_map(|y| along_x.iter().map(move |x| y * x)).collect();
        let electrons = mean_counts / gain_counts_per_electron * (work_pixel / series.pixel_angstrom).powi(2);
        Ok(Prepared {
            fourier,
            grid,
            intensity,
            weight,
            noise_variance: 1.0 / electrons,
            image: [ny, nx],
            padded: [padded_y, padded_x],
            before,
        })
    }

    /// Pixels of the images, `[y, x]`.
    pub(crate) fn image_size(&self) -> [usize; 2] {
        self.image
    }

    /// An array `[y, x]` on the working grid, brought to the images' pixels.
    pub(crate) fn to_image(&self, values: &[Complex<f32>]) -> ndarray::Array2<Complex<f32>> {
        let [padded_y, padded_x] = self.padded;
        let wide = Fourier::<f32>::new(padded_y, padded_x);
        let mut work = values.to_vec();
        let mut spectrum = vec![Complex::default(); work.len()];
        self.fourier.forward(&mut work, &mut spectrum);
        let mut large = vec![Complex::default(); wide.len()];
        change_size(&spectrum, [self.grid.nx, self.grid.ny], &mut large, [padded_x, padded_y]);
        let mut out = vec![Complex::default(); wide.len()];
        wide.inverse(&mut large, &mut out);
        let factor = 1.0 / self.fourier.len() as f32;
        let ([ny, nx], [top, left]) = (self.image, self.before);
        ndarray::Array2::from_shape_fn((ny, nx), |(y, x)| out[(y + top) * padded_x + x + left] * factor)
    }

    /// An array `[y, x]` on the images' pixels, brought to the working grid; the margin is filled from the mirrored borders.
    pub(crate) fn to_working_grid(&self, values: &ndarray::Array2<Complex<f32>>) -> Vec<Complex<f32>> {
        let ([ny, nx], [padded_y, padded_x]) = (self.image, self.padded);
        let wide = Fourier::<f32>::new(padded_y, padded_x);
        let rows = sources(ny, padded_y, self.before[0]);
        let columns = sources(nx, padded_x, self.before[1]);
        let mut large = Vec::with_capacity(wide.len());
        for (y0, y1, share_y) in &rows {
            for (x0, x1, share_x) in &columns {
                let row = |y: usize| values[[y, *x0]] * (1.0 - share_x) + values[[y, *x1]] * *share_x;
                large.push(row(*y0) * (1.0 - share_y) + row(*y1) * *share_y);
            }
        }
        let mut spectrum = vec![Complex::default(); wide.len()];
        wide.forward(&mut large, &mut spectrum);
        let mut work = vec![Complex::default(); self.fourier.len()];
        change_size(&spectrum, [padded_x, padded_y], &mut work, [self.grid.nx, self.grid.ny]);
        let mut out = vec![Complex::default(); work.len()];
        self.fourier.inverse(&mut work, &mut out);
        let factor = 1.0 / wide.len() as f32;
        out.iter_mut().for_each(|value| *value *= factor);
        out
    }
}

/// Copies the frequencies that both spectra have, `[kx, ky]`; sizes are `[x, y]`. Frequencies without a partner of the other
/// sign are left out.
fn change_size(from: &[Complex<f32>], [from_x, from_y]: [usize; 2], to: &mut [Complex<f32>], [to_x, to_y]: [usize; 2]) {
    to.fill(Complex::default());
    let shared = |from: usize, to: usize| {
        let most = (from.min(to) - 1) / 2;
        (0..=most).map(|i| (i, i)).chain((1..=most).map(move |i| (from - i, to - i))).collect::<Vec<_>>()
    };
    let along_y = shared(from_y, to_y);
    for (source_x, target_x) in shared(from_x, to_x) {
        for (source_y, target_y) in &along_y {
            to[target_x * to_y + target_y] = from[source_x * from_y + source_y];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_pixel_is_close_to_its_limit() {
        for pixel in [0.0934, 0.1, 0.1073, 0.118, 0.05, 0.19, 0.3] {
            let [above, below] = coarsening(pixel);
            let work = pixel * above as f64 / below as f64;
            assert!(work <= LARGEST_PIXEL_ANGSTROM || (above == below && pixel > 0.2), "{pixel}: {work}");
            assert!(work > 0.165, "{pixel}: {work}");
        }
    }

    #[test]
    fn a_padded_line_is_periodic_without_a_step() {
        let line = |x: f64| (0.2 * x).sin();
        let (n, padded, before) = (60, 100, 17);
        let values: Vec<f64> = sources(n, padded, before)
            .into_iter()
            .map(|(a, b, share)| line(a as f64) * (1.0 - f64::from(share)) + line(b as f64) * f64::from(share))
            .collect();
        for index in 0..n {
            assert!((values[before + index] - line(index as f64)).abs() < 1e-12);
        }
        for index in 0..padded {
            assert!((values[index] - values[(index + 1) % padded]).abs() < 0.25);
        }
    }

    #[test]
    fn a_wave_goes_to_the_working_grid_and_back() {
        let images = ndarray::Array3::from_shape_fn((2, 90, 70), |(j, y, x)| 100.0 + ((j + y * 3 + x * 7) % 11) as f32);
        let series = FocalSeries {
            images,
            pixel_angstrom: 0.107,
            energy_ev: 80e3,
            defocus_angstrom: vec![0.0, 50.0],
            defocus_is_absolute: true,
        };
        let prepared = Prepared::new(&series, &TransferCurve::Perfect, 1.0).unwrap();
        let wave = ndarray::Array2::from_shape_fn((90, 70), |(y, x)| {
            let turns = 0.04 * (y as f32 - 40.0) * 0.3 + 0.05 * x as f32;
            Complex::from_polar(1.0, turns)
        });
        let back = prepared.to_image(&prepared.to_working_grid(&wave));
        for ((y, x), value) in back.indexed_iter() {
            if (10..80).contains(&y) && (10..60).contains(&x) {
                assert!((value - wave[[y, x]]).norm() < 0.03, "{y} {x}: {value} {}", wave[[y, x]]);
            }
        }
    }
}
