//! Where a frame is, from its image: matched filtering with a running mean of the frames before.
//!
//! A frame `f` that holds the reference `r` moved by `s`, under noise of power `N(k)`, has the logarithm of its
//! likelihood, up to a constant,
//!
//! `L(s) = sum_k Re(F(k) R*(k) exp(i k s)) / N(k)`
//!
//! (D. O. North, *Proc. IEEE* 51, 1016 (1963), doi:10.1109/PROC.1963.2383), in nats. `N` depends on the distance from the
//! origin alone. It is what trusted frames differ by from the mean, so that it holds whatever changes from frame to
//! frame; before there are such frames it is the median of the frame's own power at that distance over ln 2, which Bragg
//! peaks do not move. The mean of a few frames is noisy itself: each of its frequencies is weighted by the share of its
//! power that noise does not explain (N. Wiener, *Extrapolation, Interpolation, and Smoothing of Stationary Time Series*,
//! MIT Press 1949), with the power of its neighbours, which the finite extent of a specimen makes alike. What remains of
//! the noise of `L` has the variance `E = sum_k |R|^2 / N`, so a maximum is significant by `L / sqrt(E)`.
//!
//! A crystal gives a maximum at every vector of its lattice, lower ones the further, as less of it overlaps; all the high
//! ones are handed on, to be told apart by what else is known. Between pixels a maximum is followed by Newton's steps on
//! `L` itself, whose curvature there is the information on the shift.

use std::f64::consts::LN_2;

use atomlens_core::glam::{DMat2, DVec2};
use ndarray::{Array2, ArrayView2};
use realfft::num_complex::Complex;

use super::fourier::Fourier;
use super::pose::Pose;

/// Pixels are averaged until they are about this wide: columns need no finer ones.
const COARSEST_ANGSTROM: f64 = 0.45;

/// Share of a side over which the window falls to zero.
const TAPER: f64 = 0.12;

/// Counts further from the median than this many deviations are taken for hits of the camera.
const CLIP_SIGMA: f32 = 8.0;

/// Variations longer than this share of the shorter side are shading.
const LONGEST_SHARE: f64 = 0.7;

/// A frequency of the mean takes part if its neighbourhood holds this many times the power of noise.
const SIGNAL_FLOOR: f64 = 2.0;

/// Highest frequency that takes part, in cycles a pixel. Interpolation between pixels takes less than half of the power
/// of noise up to there; beyond, noise of the mean would look like signal beside that of a frame.
const FINEST_CYCLES: f64 = 0.3;

/// Trusted frames whose difference from the mean makes a noise to go by.
const FEWEST_RESIDUALS: usize = 3;

/// Noise is at least this share of the median power at its distance from the origin: frames without noise, as from a
/// simulation, are still no better than the interpolation between their pixels.
const LEAST_NOISE: f64 = 1e-3;

/// Frequencies that decide a shift at most, the strongest ones.
const MOST_TERMS: usize = 800;

/// How far from where it is looked for a maximum is the same one.
const SAME_MAXIMUM_PX: f64 = 1.5;

/// A shift that would explain the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    /// In reference coordinates, from the pose at which the frame was laid on the reference.
    pub(super) shift_angstrom: DVec2,
    /// Logarithm of the likelihood.
    pub(super) nats: f64,
    /// Inverse of the information, root of the mean of both directions.
    pub(super) sigma_angstrom: f64,
}

/// The likelihood of every shift of a frame.
pub(super) struct Correlation {
    /// Logarithm of the likelihood at shifts of whole pixels, `[y, x]`, negative ones from the far end.
    map: Array2<f32>,
    /// Frequencies that take part, in radian a pixel, and their terms of the sum.
    terms: Vec<(DVec2, Complex<f64>)>,
    pixel_angstrom: f64,
    /// Standard deviation that noise alone gives to the logarithm of the likelihood.
    pub(super) noise: f64,
    /// What the noise of the mean multiplies the variance of a shift by.
    pub(super) variance_factor: f64,
}

/// A frame ready to be laid on the reference.
pub(super) struct Prepared(Array2<f32>);

impl Prepared {
    /// Whether it is more than one value everywhere.
    pub(super) fn has_contrast(&self) -> bool {
        self.0.iter().any(|value| *value != 0.0)
    }
}

/// The running mean of a movie's frames in the coordinates of the reference.
pub(super) struct Registration {
    fourier: Fourier,
    binning: usize,
    pixel_angstrom: f64,
    window: Array2<f32>,
    /// Mean square of the window: what it leaves of the information.
    window_power: f64,
    ring_of: Array2<u32>,
    rings: usize,
    first_ring: usize,
    mean: Array2<f32>,
    frames: Array2<f32>,
    memory: f32,
    /// First pixel of `mean` in reference coordinates, in binned pixels.
    origin: [i64; 2],
    averaged: usize,
    /// Mean power by ring of what trusted frames differ by from the mean, and from how many it is.
    residual: Vec<f64>,
    residuals: usize,
}

impl Registration {
    /// For frames of a size in pixels; the mean forgets with the given number of frames.
    pub(super) fn new(nx: usize, ny: usize, pixel_angstrom: f64, memory: f64) -> Registration {
        let binning = ((COARSEST_ANGSTROM / pixel_angstrom).floor() as usize).clamp(1, (nx.min(ny) / 32).max(1));
        let (nx, ny) = ((nx / binning).max(1), (ny / binning).max(1));
        let fourier = Fourier::new(nx, ny);
        let (along_x, along_y) = (taper(nx), taper(ny));
        let window = Array2::from_shape_fn((ny, nx), |(j, i)| along_y[j] * along_x[i]);
        let (kx, ky) = fourier.frequencies();
        // As fine as the frame resolves, but wide enough for a median.
        let step = 3.0 * std::f64::consts::PI / nx.min(ny) as f64;
        let ring_of =
            Array2::from_shape_fn((nx / 2 + 1, ny), |(i, j)| (DVec2::new(kx[i], ky[j]).length() / step) as u32);
        let rings = ring_of.iter().max().map_or(1, |most| *most as usize + 1);
        let longest = LONGEST_SHARE * nx.min(ny) as f64;
        Registration {
            window_power: window.iter().map(|value| f64::from(value * value)).sum::<f64>() / window.len() as f64,
            window,
            ring_of,
            rings,
            first_ring: ((std::f64::consts::TAU / longest) / step).ceil() as usize,
            binning,
            pixel_angstrom: pixel_angstrom * binning as f64,
            mean: Array2::zeros((ny, nx)),
            frames: Array2::zeros((ny, nx)),
            memory: memory as f32,
            origin: [0, 0],
            averaged: 0,
            residual: vec![0.0; rings],
            residuals: 0,
            fourier,
        }
    }

    /// Width of a pixel of the mean.
    pub(super) fn pixel_angstrom(&self) -> f64 {
        self.pixel_angstrom
    }

    /// Forgets the mean.
    pub(super) fn clear(&mut self) {
        self.mean.fill(0.0);
        self.frames.fill(0.0);
        self.averaged = 0;
        self.origin = [0, 0];
        self.residual.fill(0.0);
        self.residuals = 0;
    }

    /// Bins a frame, takes hits and what is not a number out, and brings it to mean 0 and deviation 1.
    pub(super) fn prepare(&self, image: ArrayView2<'_, f32>) -> Prepared {
        let (n, share) = (self.binning, 1.0 / (self.binning * self.binning) as f32);
        let mut binned = Array2::from_shape_fn((self.fourier.ny, self.fourier.nx), |(j, i)| {
            let mut sum = 0.0;
            for y in j * n..(j + 1) * n {
                for x in i * n..(i + 1) * n {
                    sum += image[[y, x]];
                }
            }
            sum * share
        });
        let finite = || binned.iter().copied().filter(|value| value.is_finite());
        let mut sample: Vec<f32> = finite().step_by((binned.len() / 20_000).max(1)).collect();
        if sample.is_empty() {
            binned.fill(0.0);
            return Prepared(binned);
        }
        let middle = |values: &mut Vec<f32>| {
            let half = values.len() / 2;
            *values.select_nth_unstable_by(half, f32::total_cmp).1
        };
        let centre = middle(&mut sample);
        let mut off: Vec<f32> = sample.iter().map(|value| (value - centre).abs()).collect();
        let reach = (1.4826 * middle(&mut off)).max(f32::MIN_POSITIVE) * CLIP_SIGMA;
        binned.mapv_inplace(|value| if value.is_finite() { (value - centre).clamp(-reach, reach) } else { 0.0 });
        let mean = binned.iter().map(|value| f64::from(*value)).sum::<f64>() / binned.len() as f64;
        let square = binned.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / binned.len() as f64;
        let deviation = (square - mean * mean).max(0.0).sqrt();
        let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
        binned.mapv_inplace(|value| ((f64::from(value) - mean) * scale) as f32);
        Prepared(binned)
    }

    /// Adds a frame to the mean.
    pub(super) fn add(&mut self, frame: &Prepared, pose: &Pose) {
        self.follow(pose);
        let laid = self.laid(frame, pose);
        if self.averaged > 0 {
            self.learn_noise(&laid);
        }
        let memory = self.memory;
        ndarray::Zip::from(&mut self.mean).and(&mut self.frames).and(&laid).for_each(|mean, frames, value| {
            if value.is_finite() {
                *frames = (*frames + 1.0).min(memory);
                *mean += (value - *mean) / *frames;
            }
        });
        self.averaged += 1;
    }

    /// Frames that the mean is worth.
    fn worth(&self) -> f64 {
        (self.averaged as f64).min(f64::from(self.memory)).max(1.0)
    }

    fn learn_noise(&mut self, laid: &Array2<f32>) {
        let mut off = Array2::zeros(laid.dim());
        ndarray::Zip::from(&mut off).and(laid).and(&self.mean).and(&self.frames).and(&self.window).for_each(
            |off, laid, mean, frames, window| {
                if laid.is_finite() && *frames > 0.0 {
                    *off = (laid - mean) * window;
                }
            },
        );
        let spectrum = self.fourier.forward(&off);
        let (mut sums, mut counts) = (vec![0.0; self.rings], vec![0.0; self.rings]);
        for ((i, j), value) in spectrum.indexed_iter() {
            let (ring, copies) = (self.ring_of[[i, j]] as usize, self.fourier.copies(i));
            sums[ring] += copies * f64::from(value.norm_sqr());
            counts[ring] += copies;
        }
        // The difference holds the noise of the frame and that of the mean.
        let share = self.worth() / (self.worth() + 1.0);
        self.residuals += 1;
        let rate = 1.0 / (self.residuals as f64).min(f64::from(self.memory));
        for ((power, sum), count) in self.residual.iter_mut().zip(sums).zip(counts) {
            *power += rate * (share * sum / f64::max(count, 1.0) - *power);
        }
    }

    /// Compares a frame, laid on the reference at the expected pose, with the mean; `None` if there is nothing in the
    /// mean or in the frame.
    pub(super) fn correlate(&self, frame: &Prepared, expected: &Pose) -> Option<Correlation> {
        if self.averaged == 0 {
            return None;
        }
        let mut laid = self.laid(frame, expected);
        laid.mapv_inplace(|value| if value.is_finite() { value } else { 0.0 });
        let mut spectrum = self.fourier.forward(&(laid * &self.window));
        let reference = self.fourier.forward(&(&self.mean * &self.window));
        let noise = self.noise(&spectrum);
        let power = self.neighbourhood(&reference);
        let (kx, ky) = self.fourier.frequencies();
        // The window makes neighbouring frequencies alike, so that each counts for less than one.
        let scale = self.window_power;
        let mut energy = 0.0;
        let mut terms = Vec::new();
        for (((i, j), value), reference) in spectrum.indexed_iter_mut().zip(&reference) {
            let ring = self.ring_of[[i, j]] as usize;
            let noise = noise[ring];
            let excess = f64::from(power[[i, j]]) * self.worth() / (SIGNAL_FLOOR * noise);
            let k = DVec2::new(kx[i], ky[j]);
            let fine = k.length() > std::f64::consts::TAU * FINEST_CYCLES;
            if fine || ring < self.first_ring || noise <= 0.0 || excess <= 1.0 {
                *value = Complex::new(0.0, 0.0);
                continue;
            }
            let signal = reference * (1.0 - 1.0 / excess) as f32;
            *value = *value * signal.conj() * (scale / noise) as f32;
            let copies = self.fourier.copies(i);
            energy += scale * copies * f64::from(signal.norm_sqr()) / noise;
            let term = Complex::new(f64::from(value.re), f64::from(value.im)) * copies;
            terms.push((f64::from(signal.norm_sqr()) / noise, k, term));
        }
        terms.sort_by(|a, b| b.0.total_cmp(&a.0));
        terms.truncate(MOST_TERMS);
        (energy > 0.0).then(|| Correlation {
            map: self.fourier.backward(spectrum),
            terms: terms.into_iter().map(|(_, k, term)| (k, term)).collect(),
            pixel_angstrom: self.pixel_angstrom,
            noise: energy.sqrt(),
            variance_factor: 1.0 + 1.0 / self.worth(),
        })
    }

    /// Mean power over a frequency and the eight around it.
    fn neighbourhood(&self, spectrum: &Array2<Complex<f32>>) -> Array2<f32> {
        let (half, ny) = spectrum.dim();
        let power = spectrum.mapv(|value| value.norm_sqr());
        let along_y = Array2::from_shape_fn((half, ny), |(i, j)| {
            power[[i, (j + ny - 1) % ny]] + power[[i, j]] + power[[i, (j + 1) % ny]]
        });
        Array2::from_shape_fn((half, ny), |(i, j)| {
            // Beyond either end lies the conjugate of what is at the opposite ky.
            let mirrored = (ny - j) % ny;
            let before = if i == 0 { along_y[[1.min(half - 1), mirrored]] } else { along_y[[i - 1, j]] };
            let behind = if i + 1 == half { along_y[[half.saturating_sub(2), mirrored]] } else { along_y[[i + 1, j]] };
            (before + along_y[[i, j]] + behind) / 9.0
        })
    }

    /// Power of the noise by ring.
    fn noise(&self, spectrum: &Array2<Complex<f32>>) -> Vec<f64> {
        let median = self.median_power(spectrum);
        if self.residuals < FEWEST_RESIDUALS {
            return median.into_iter().map(f64::from).collect();
        }
        self.residual.iter().zip(median).map(|(power, median)| power.max(LEAST_NOISE * f64::from(median))).collect()
    }

    /// Median of the power by ring over ln 2, the mean if it is exponentially distributed.
    fn median_power(&self, spectrum: &Array2<Complex<f32>>) -> Vec<f32> {
        let mut powers: Vec<Vec<f32>> = vec![Vec::new(); self.rings];
        for (value, ring) in spectrum.iter().zip(&self.ring_of) {
            powers[*ring as usize].push(value.norm_sqr());
        }
        powers
            .iter_mut()
            .map(|powers| {
                if powers.is_empty() {
                    return 0.0;
                }
                let half = powers.len() / 2;
                *powers.select_nth_unstable_by(half, f32::total_cmp).1 / LN_2 as f32
            })
            .collect()
    }

    /// The frame in reference coordinates; not a number where the frame does not reach. Cubic convolution (R. Keys,
    /// *IEEE Trans. Acoust. Speech Signal Process.* 29, 1153 (1981), doi:10.1109/TASSP.1981.1163711).
    fn laid(&self, frame: &Prepared, pose: &Pose) -> Array2<f32> {
        let (ny, nx) = self.mean.dim();
        let half = 0.5 * (1.0 - 1.0 / self.binning as f64);
        let pixel = self.pixel_angstrom;
        let reference = |i: f64, j: f64| DVec2::new(i + self.origin[0] as f64, j + self.origin[1] as f64) + half;
        let at = |i: f64, j: f64| pose.to_frame(reference(i, j) * pixel) / pixel - half;
        let first = at(0.0, 0.0);
        let (along_x, along_y) = (at(1.0, 0.0) - first, at(0.0, 1.0) - first);
        let image = &frame.0;
        let mut laid = Array2::from_elem((ny, nx), f32::NAN);
        for (j, mut row) in laid.outer_iter_mut().enumerate() {
            for (i, value) in row.iter_mut().enumerate() {
                let place = first + along_x * i as f64 + along_y * j as f64;
                let low = place.floor();
                let (x, y) = (low.x as i64, low.y as i64);
                if x < 1 || y < 1 || x + 2 >= nx as i64 || y + 2 >= ny as i64 {
                    continue;
                }
                let (x, y) = (x as usize - 1, y as usize - 1);
                let (wx, wy) = (cubic((place.x - low.x) as f32), cubic((place.y - low.y) as f32));
                *value =
                    (0..4).map(|b| wy[b] * (0..4).map(|a| wx[a] * image[[y + b, x + a]]).sum::<f32>()).sum::<f32>();
            }
        }
        laid
    }

    /// Moves the reference along when the specimen has left a quarter of the frame.
    fn follow(&mut self, pose: &Pose) {
        let (ny, nx) = self.mean.dim();
        let middle = 0.5 * DVec2::new(nx as f64, ny as f64) * self.pixel_angstrom;
        let seen = pose.to_reference(middle) / self.pixel_angstrom - 0.5 * DVec2::new(nx as f64, ny as f64);
        let off = [seen.x.round() as i64 - self.origin[0], seen.y.round() as i64 - self.origin[1]];
        if off[0].unsigned_abs() as usize <= nx / 4 && off[1].unsigned_abs() as usize <= ny / 4 {
            return;
        }
        let moved = |from: &Array2<f32>| {
            Array2::from_shape_fn((ny, nx), |(j, i)| {
                let (i, j) = (i as i64 + off[0], j as i64 + off[1]);
                let inside = i >= 0 && j >= 0 && i < nx as i64 && j < ny as i64;
                if inside { from[[j as usize, i as usize]] } else { 0.0 }
            })
        };
        (self.mean, self.frames) = (moved(&self.mean), moved(&self.frames));
        self.origin = [self.origin[0] + off[0], self.origin[1] + off[1]];
    }
}

impl Correlation {
    /// The largest value of `nats` over `noise` that noise alone is expected to give.
    pub(super) fn highest_of_noise(&self) -> f64 {
        (2.0 * (self.map.len() as f64).ln()).sqrt()
    }

    /// Shifts at which the likelihood has a maximum. `prior` is the logarithm of the chance of a shift; the `most` of
    /// them that are best with it are returned, in no order.
    ///
    /// Between pixels, as the likelihood of a crystal falls by as much within half a pixel as to the next vector of the
    /// lattice.
    pub(super) fn maxima(&self, most: usize, prior: impl Fn(DVec2) -> f64) -> Vec<Shift> {
        let (ny, nx) = self.map.dim();
        let signed = |index: usize, n: usize| if index > n / 2 { index as f64 - n as f64 } else { index as f64 };
        let row = |i: usize, j: usize| self.map[[j, i]];
        let mut maxima: Vec<(f64, DVec2)> = Vec::new();
        for j in 0..ny {
            let rows = [(j + ny - 1) % ny, j, (j + 1) % ny];
            for i in 0..nx {
                let value = self.map[[j, i]];
                let columns = [(i + nx - 1) % nx, i, (i + 1) % nx];
                if value > 0.0 && rows.iter().all(|&y| columns.iter().all(|&x| self.map[[y, x]] <= value)) {
                    let shift = DVec2::new(signed(i, nx), signed(j, ny)) * self.pixel_angstrom;
                    let sides = [(row(i, rows[0]), row(i, rows[2])), (row(columns[0], j), row(columns[2], j))];
                    let top: f64 = sides.iter().map(|(low, high)| above(*low, value, *high)).sum();
                    maxima.push((f64::from(value) + top + prior(shift), shift));
                }
            }
        }
        maxima.sort_by(|a, b| b.0.total_cmp(&a.0));
        maxima.truncate(most);
        maxima.into_iter().filter_map(|(_, shift)| self.refined(shift)).collect()
    }

    /// Logarithm of the likelihood at a shift, in nats.
    pub(super) fn nats(&self, shift_angstrom: DVec2) -> f64 {
        let at = shift_angstrom / self.pixel_angstrom;
        self.terms.iter().map(|(k, term)| (term * Complex::from_polar(1.0, k.dot(at))).re).sum()
    }

    /// The top of the maximum next to a shift, between pixels.
    pub(super) fn refined(&self, start_angstrom: DVec2) -> Option<Shift> {
        let derivatives = |at: DVec2| {
            let (mut value, mut slope, mut curvature) = (0.0, DVec2::ZERO, DMat2::ZERO);
            for (k, term) in &self.terms {
                let term = term * Complex::from_polar(1.0, k.dot(at));
                value += term.re;
                slope -= *k * term.im;
                curvature += DMat2::from_cols(*k * k.x, *k * k.y) * term.re;
            }
            (value, slope, curvature)
        };
        let start = start_angstrom / self.pixel_angstrom;
        let mut at = start;
        let (mut value, mut slope, mut information) = derivatives(at);
        for _ in 0..8 {
            // Where the likelihood curves upwards Newton's step would lead to a minimum.
            let concave = information.determinant() > 0.0 && information.x_axis.x > 0.0;
            let step = if concave { information.inverse() * slope } else { slope.normalize_or_zero() };
            let step = step.clamp_length_max(0.5);
            if step.length() < 1e-3 {
                break;
            }
            at += step;
            (value, slope, information) = derivatives(at);
        }
        if (at - start).length() > SAME_MAXIMUM_PX || information.determinant() <= 0.0 || information.x_axis.x <= 0.0 {
            return None;
        }
        let variance = information.inverse() * self.variance_factor;
        let sigma = (0.5 * (variance.x_axis.x + variance.y_axis.y)).max(0.0).sqrt() * self.pixel_angstrom;
        Some(Shift { shift_angstrom: at * self.pixel_angstrom, nats: value, sigma_angstrom: sigma })
    }
}

/// By how much the parabola through three values rises above the middle one, the highest.
fn above(low: f32, middle: f32, high: f32) -> f64 {
    let (slope, curvature) = (0.5 * f64::from(high - low), f64::from(2.0 * middle - low - high));
    if curvature > 0.0 { 0.5 * slope * slope / curvature } else { 0.0 }
}

/// Raised cosine at both ends.
fn taper(n: usize) -> Vec<f32> {
    let width = (TAPER * n as f64).max(1.0);
    (0..n)
        .map(|i| {
            let from_end = (i as f64 + 0.5).min(n as f64 - i as f64 - 0.5) / width;
            (0.5 - 0.5 * (std::f64::consts::PI * from_end.min(1.0)).cos()) as f32
        })
        .collect()
}

/// Weights of the four neighbours at a fraction behind the second.
fn cubic(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t3 + 2.0 * t2 - t), 0.5 * (3.0 * t3 - 5.0 * t2 + 2.0), 0.5 * (-3.0 * t3 + 4.0 * t2 + t), 0.5 * (t3 - t2)]
}
