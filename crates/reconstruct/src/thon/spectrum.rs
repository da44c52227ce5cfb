//! The power spectrum of an image over that of the camera's noise.

use std::f64::consts::PI;

use ndarray::ArrayView2;
use num_complex::Complex;

use super::Start;
use crate::CameraEstimate;
use crate::fourier::Fourier;
use crate::lens::chi;

/// Power, in medians of its ring, from which a value is a reflection and not the film's.
const REFLECTION: f64 = 20.0;

/// Power above the noise, as a part of it, that a ring needs to be looked at.
const LEAST_SIGNAL: f64 = 0.05;

/// Least and most of the frequencies that are used: in 1 / angstrom, and in 1 / pixel.
const LEAST_HIGHEST_PER_ANGSTROM: f64 = 0.3;
const MOST_PER_PIXEL: f64 = 0.45;

/// Sectors of half a turn.
const SECTORS: usize = 48;

/// Width, in 1 / angstrom, over which a spectrum is smoothed to find what of it are rings.
const SMOOTH_PER_ANGSTROM: f64 = 0.05;

/// A place in the spectrum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// In 1 / angstrom.
    pub(super) k: [f64; 2],
    /// Power over that of the noise.
    pub(super) power: f64,
    /// How many values it is the mean of.
    pub(super) count: f64,
}

/// All places that are used.
pub(super) struct Samples {
    pub(super) samples: Vec<Sample>,
    pub(super) lowest_per_angstrom: f64,
    pub(super) highest_per_angstrom: f64,
    /// Width of a frequency.
    pub(super) step_per_angstrom: f64,
}

impl Samples {
    pub(super) fn new(
        image: ArrayView2<'_, f32>,
        pixel_angstrom: f64,
        camera: &CameraEstimate,
        lowest_per_angstrom: f64,
    ) -> Samples {
        let (ny, nx) = image.dim();
        let power = power(image);
        let mean = image.iter().map(|value| f64::from(*value)).sum::<f64>() / (nx * ny) as f64;
        let signed = |index: usize, n: usize| if 2 * index < n { index as f64 } else { index as f64 - n as f64 };
        let place = |x: usize, y: usize| {
            [signed(x, nx) / (nx as f64 * pixel_angstrom), signed(y, ny) / (ny as f64 * pixel_angstrom)]
        };
        let step = 1.0 / (nx.min(ny) as f64 * pixel_angstrom);
        let most = MOST_PER_PIXEL / pixel_angstrom;
        let rings = (most / step).ceil() as usize + 1;
        let mut members: Vec<Vec<f64>> = vec![Vec::new(); rings];
        let mut whitened = vec![f64::NAN; nx * ny];
        for x in 0..nx {
            for y in 0..ny {
                let k = place(x, y);
                let magnitude = k[0].hypot(k[1]);
                if magnitude < most && magnitude > 0.0 {
                    let noise = camera.noise_power(2.0 * pixel_angstrom * magnitude, mean);
                    let value = power[x * ny + y] / noise.max(1e-300);
                    whitened[x * ny + y] = value;
                    members[(magnitude / step) as usize].push(value);
                }
            }
        }
        let medians: Vec<f64> = members
            .iter_mut()
            .map(|members| {
                let middle = members.len() / 2;
                if members.is_empty() { 1.0 } else { *members.select_nth_unstable_by(middle, f64::total_cmp).1 }
            })
            .collect();
        // Medians of exponentials are ln 2 of the mean.
        let signal: Vec<f64> = medians.iter().map(|median| median / std::f64::consts::LN_2 - 1.0).collect();
        let highest = highest_with_signal(&signal, step, lowest_per_angstrom)
            .max(LEAST_HIGHEST_PER_ANGSTROM.max(3.0 * lowest_per_angstrom))
            .min(most);
        let is_reflection = |x: usize, y: usize| {
            let k = place(x, y);
            let ring = (k[0].hypot(k[1]) / step) as usize;
            whitened[x * ny + y] > REFLECTION * medians[ring.min(rings - 1)].max(0.7)
        };
        let mut samples = Vec::new();
        for x in 0..=nx / 2 {
            for y in 0..ny {
                let k = place(x, y);
                let magnitude = k[0].hypot(k[1]);
                let is_half = k[0] > 0.0 || (k[0] == 0.0 && k[1] > 0.0);
                if !is_half || magnitude < lowest_per_angstrom || magnitude >= highest {
                    continue;
                }
                let near = (0..9).any(|n| is_reflection((x + n / 3 + nx - 1) % nx, (y + n % 3 + ny - 1) % ny));
                if !near {
                    samples.push(Sample { k, power: whitened[x * ny + y], count: 1.0 });
                }
            }
        }
        Samples { samples, lowest_per_angstrom, highest_per_angstrom: highest, step_per_angstrom: step }
    }
}

/// Where the first wide gap without signal begins.
fn highest_with_signal(signal: &[f64], step: f64, lowest: f64) -> f64 {
    let reach = (SMOOTH_PER_ANGSTROM / step).ceil() as usize;
    let first = (lowest / step).ceil() as usize;
    let mut last = first;
    for ring in first..signal.len() {
        let (from, to) = (ring.saturating_sub(reach).max(first), (ring + reach + 1).min(signal.len()));
        let mean = signal[from..to].iter().sum::<f64>() / (to - from) as f64;
        if mean > LEAST_SIGNAL {
            last = ring;
        } else if ring > last + 2 * reach {
            break;
        }
    }
    (last + 1) as f64 * step
}

/// Power of the image less its mean under a window, a pixel, `[kx, ky]`.
fn power(image: ArrayView2<'_, f32>) -> Vec<f64> {
    let (ny, nx) = image.dim();
    let window = |i: usize, n: usize| (PI * (i as f64 + 0.5) / n as f64).sin().powi(2);
    let mean = image.iter().map(|value| f64::from(*value)).sum::<f64>() / (nx * ny) as f64;
    let mut square = 0.0;
    let mut values: Vec<Complex<f32>> = image
        .indexed_iter()
        .map(|((y, x), value)| {
            let window = window(x, nx) * window(y, ny);
            square += window * window;
            Complex::new(((f64::from(*value) - mean) * window) as f32, 0.0)
        })
        .collect();
    let mut spectrum = vec![Complex::new(0.0, 0.0); nx * ny];
    Fourier::<f32>::new(ny, nx).forward(&mut values, &mut spectrum);
    spectrum.iter().map(|value| f64::from(value.norm_sqr()) / square).collect()
}

/// The spectrum in sectors of rings, for searches.
pub(super) struct Polar {
    rings: usize,
    /// Middle of each bin, `[ring][sector]`.
    k: Vec<[f64; 2]>,
    /// Values in each bin.
    count: Vec<f64>,
    /// Sum of the values.
    sum: Vec<f64>,
    /// Sum of what is left of the values over their smooth part.
    left: Vec<f64>,
    /// Smoothing along the radius: weights of rings at distance 0, 1, ..
    kernel: Vec<f64>,
    /// Values of each ring, smoothed.
    smooth_count: Vec<f64>,
    limits_per_angstrom: [f64; 3],
}

impl Polar {
    pub(super) fn new(samples: &Samples) -> Polar {
        let step = samples.step_per_angstrom;
        let rings = (samples.highest_per_angstrom / step) as usize + 1;
        let mut k = vec![[0.0; 2]; rings * SECTORS];
        let mut count = vec![0.0; rings * SECTORS];
        let mut sum = vec![0.0; rings * SECTORS];
        for sample in &samples.samples {
            let ring = ((sample.k[0].hypot(sample.k[1]) / step) as usize).min(rings - 1);
            let turn = (sample.k[1].atan2(sample.k[0]) / PI + 1.0).fract();
            let bin = ring * SECTORS + ((turn * SECTORS as f64) as usize).min(SECTORS - 1);
            // Sectors are of half a turn, and `chi` is the same at the opposite frequency.
            let sign = if sample.k[1] < 0.0 { -1.0 } else { 1.0 };
            k[bin][0] += sign * sample.k[0];
            k[bin][1] += sign * sample.k[1];
            count[bin] += 1.0;
            sum[bin] += sample.power;
        }
        for (k, count) in k.iter_mut().zip(&count) {
            if *count > 0.0 {
                *k = k.map(|part| part / count);
            }
        }
        let width = SMOOTH_PER_ANGSTROM / step;
        let kernel = (0..=(3.0 * width) as usize).map(|d| (-0.5 * (d as f64 / width).powi(2)).exp()).collect();
        let limits = [samples.lowest_per_angstrom, samples.highest_per_angstrom, step];
        let mut polar = Polar {
            rings,
            k,
            left: vec![0.0; count.len()],
            count,
            sum,
            kernel,
            smooth_count: Vec::new(),
            limits_per_angstrom: limits,
        };
        polar.smooth_count = polar.smoothed(&polar.count.clone());
        let smooth = polar.smoothed(&polar.sum.clone());
        for bin in 0..polar.count.len() {
            let mean = smooth[bin / SECTORS] / polar.smooth_count[bin / SECTORS].max(1e-9);
            polar.left[bin] = polar.sum[bin] / mean.max(1e-9) - polar.count[bin];
        }
        polar
    }

    /// Sums over the sectors of each ring, smoothed along the radius.
    fn smoothed(&self, values: &[f64]) -> Vec<f64> {
        let of_ring: Vec<f64> = values.chunks_exact(SECTORS).map(|ring| ring.iter().sum()).collect();
        (0..self.rings)
            .map(|ring| {
                let mut sum = of_ring[ring] * self.kernel[0];
                for (distance, weight) in self.kernel.iter().enumerate().skip(1) {
                    if ring >= distance {
                        sum += weight * of_ring[ring - distance];
                    }
                    if ring + distance < self.rings {
                        sum += weight * of_ring[ring + distance];
                    }
                }
                sum
            })
            .collect()
    }

    /// Correlation of the spectrum with the rings of lenses whose defocus differs by even steps, both less their smooth parts, in standard
    /// deviations: `lens` is the first, with its defocus.
    pub(super) fn correlations(&self, lens: &Start, step_angstrom: f64, count: usize, wavelength: f64) -> Vec<f64> {
        // `exp(2 i chi)` of every bin, and what a step of defocus turns it by.
        let turned = |phase: f64| Complex::new((2.0 * phase).cos(), (2.0 * phase).sin());
        let mut rings: Vec<Complex<f64>> =
            self.k.iter().map(|k| turned(chi(*k, lens.defocus, lens.astigmatism, lens.cs, wavelength))).collect();
        let step: Vec<Complex<f64>> =
            self.k.iter().map(|k| turned(chi(*k, step_angstrom, [0.0; 2], 0.0, wavelength))).collect();
        let mut weighted = vec![0.0; rings.len()];
        (0..count)
            .map(|_| {
                for ((weighted, ring), count) in weighted.iter_mut().zip(&rings).zip(&self.count) {
                    *weighted = -ring.re * count;
                }
                let smooth = self.smoothed(&weighted);
                let (mut product, mut square) = (0.0, 1.0);
                let by_ring = smooth.iter().zip(&self.smooth_count).map(|(sum, count)| sum / count.max(1e-9));
                let sectors = rings.chunks_exact(SECTORS).zip(self.left.chunks_exact(SECTORS));
                for (((rings, measured), count), smooth) in sectors.zip(self.count.chunks_exact(SECTORS)).zip(by_ring) {
                    for ((ring, measured), count) in rings.iter().zip(measured).zip(count) {
                        let left = -ring.re - smooth;
                        product += measured * left;
                        square += count * left * left;
                    }
                }
                for (ring, step) in rings.iter_mut().zip(&step) {
                    *ring *= step;
                }
                product / square.sqrt()
            })
            .collect()
    }

    /// The bins as samples.
    pub(super) fn samples(&self) -> Samples {
        let [lowest, highest, step] = self.limits_per_angstrom;
        let samples = (0..self.count.len())
            .filter(|bin| self.count[*bin] > 0.0)
            .map(|bin| Sample { k: self.k[bin], power: self.sum[bin] / self.count[bin], count: self.count[bin] })
            .collect();
        Samples { samples, lowest_per_angstrom: lowest, highest_per_angstrom: highest, step_per_angstrom: step }
    }
}
