//! Bragg peaks in the power spectrum of an image.
//!
//! The image, less its mean, is multiplied by a Hann window and transformed; images longer than 1536 px are cut into
//! tiles of 1024 px that overlap by half, and the power averaged (P. D. Welch, *IEEE Trans. Audio Electroacoust.* 15, 70
//! (1967), doi:10.1109/TAU.1967.1161901). The power is divided by its background: the median at each distance from the
//! origin (noise of the camera, round Thon rings), times the median of what is left in blocks of 32 x 32 bins (rings of
//! an astigmatic lens), so that noise has mean 1. A crystal that fills a part of the frame has peaks as wide as it is
//! small: the spectrum is smoothed by Gaussians of several widths, and the width that shows the peaks best is kept.
//!
//! Significance: [`BraggPeak::evidence`] is `-ln P`, the chance that noise is as strong in one place, from the
//! distribution of a weighted mean of exponential powers over a background that is an estimate itself (the module
//! `significance` has the equations). The chance that noise is as strong anywhere in the frame is at most `n P` for the `n`
//! independent places that were looked at, at all widths.
//!
//! Places come from a parabola through the logarithm of the power at the peak and its neighbours, exact for a Gaussian
//! peak. Frequencies are in cycles per pixel, x to the right and y down, one of each Friedel pair.

use std::f64::consts::{LN_2, PI};

use atomlens_core::glam::DVec2;
use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;
use realfft::RealFftPlanner;
use realfft::num_complex::Complex;
use rustfft::FftPlanner;

use super::significance::Significance;
use crate::resample::rows_mut;

/// Longest side that is transformed whole, and side of a tile beyond it.
const WHOLE_PX: usize = 1536;
const TILE_PX: usize = 1024;

/// Side of the blocks of the background, in bins.
const BLOCK: usize = 32;

/// Widths (standard deviation) of the smoothing, in bins.
const WIDTHS: [f64; 4] = [0.0, 0.9, 1.8, 3.3];

/// Frame over the widest smoothing: crystals smaller than some 45 px have wider peaks still, and too few columns.
const SMALLEST_CRYSTAL_PX: f64 = 105.0;

/// Columns of negative frequency that are kept, so that peaks near the axis have neighbours.
const MARGIN: usize = 16;

/// Frequencies from here on are not looked at: what a camera holds there is noise and folded-back detail.
const LARGEST_K: f64 = 0.48;

/// Periods that the frame must show at least.
const FEWEST_PERIODS: f64 = 5.0;

/// Smallest side, in pixels.
const SMALLEST_PX: usize = 32;

/// Most steps uphill from a bin to the top of its peak.
const CLIMB: usize = 12;

/// Most peaks that are listed.
const MOST_PEAKS: usize = 60;

/// Bins of the background that make a degree of freedom: a Hann window correlates 1.94 in each direction, and a median has
/// 2.08 times the variance of the mean.
const BINS_PER_FREEDOM: f64 = 1.94 * 1.94 * 2.08;

/// Standard deviation of the Gaussian that the power of a Hann window is nearest to at its top, in bins.
const HANN_WIDTH: f64 = 0.62;

/// A peak of the spectrum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BraggPeak {
    /// Frequency, in cycles per pixel.
    pub k_per_px: DVec2,
    /// Standard deviation of the frequency in each direction, in cycles per pixel.
    pub sigma_per_px: f64,
    /// Width that the crystal's size gives the peak (standard deviation), that of window and smoothing taken off, in
    /// cycles per pixel.
    pub width_per_px: f64,
    /// Power over that of the background.
    pub ratio: f64,
    /// Minus the natural logarithm of the chance that noise is as strong here.
    pub evidence: f64,
    /// Chance that noise has a peak as strong anywhere in the spectrum, at most 1.
    pub false_alarm_probability: f64,
}

/// Why an image has no spectrum.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpectrumError {
    /// Too few pixels.
    #[error("the image has {nx} x {ny} pixels; a spectrum needs at least {SMALLEST_PX} in each direction")]
    TooSmall {
        /// Pixels along x.
        nx: usize,
        /// Pixels along y.
        ny: usize,
    },
    /// A pixel that is no number.
    #[error("pixel ({x}, {y}) is {value}; fill in dead pixels before asking for a spectrum")]
    NotFinite {
        /// Column of the pixel.
        x: usize,
        /// Row of the pixel.
        y: usize,
        /// What it holds.
        value: f32,
    },
    /// All pixels the same.
    #[error("all pixels of the image are {value}: there is nothing to find a lattice in")]
    Constant {
        /// What they hold.
        value: f32,
    },
}

/// The flattened power spectrum of an image and its peaks, strongest evidence first.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// Power over background, smoothed; `[ix + MARGIN, iy + ny / 2]`.
    flat: Array2<f32>,
    nx: usize,
    ny: usize,
    /// Width of the smoothing, in bins.
    smoothing: f64,
    significance: Significance,
    /// Independent periodograms in the mean.
    averaged: f64,
    /// Places looked at.
    places: f64,
    /// Peaks, strongest evidence first, at most 60, those that noise would often have among them.
    pub peaks: Vec<BraggPeak>,
}

impl Spectrum {
    /// The spectrum of an image, shape `[y, x]`.
    ///
    /// # Errors
    /// If the image is smaller than 32 pixels, constant, or has pixels that are no numbers.
    pub fn new(image: ArrayView2<'_, f32>) -> Result<Spectrum, SpectrumError> {
        Spectrum::of_frames(&[image])
    }

    /// The mean spectrum of frames of one shape, whose noise is independent, as those of a movie: where the specimen lies
    /// does not matter.
    ///
    /// # Errors
    /// As [`Spectrum::new`], for any of the frames; those of another shape than the first are left out.
    ///
    /// # Panics
    /// Without frames.
    pub fn of_frames(frames: &[ArrayView2<'_, f32>]) -> Result<Spectrum, SpectrumError> {
        let (ny, nx) = frames[0].dim();
        if nx < SMALLEST_PX || ny < SMALLEST_PX {
            return Err(SpectrumError::TooSmall { nx, ny });
        }
        let frames: Vec<_> = frames.iter().filter(|frame| frame.dim() == (ny, nx)).collect();
        for image in &frames {
            if let Some(((y, x), &value)) = image.indexed_iter().find(|(_, value)| !value.is_finite()) {
                return Err(SpectrumError::NotFinite { x, y, value });
            }
            let first = image[[0, 0]];
            if image.iter().all(|&value| value == first) {
                return Err(SpectrumError::Constant { value: first });
            }
        }
        let (tile_nx, starts_x) = tiles(nx);
        let (tile_ny, starts_y) = tiles(ny);
        let mut power = Array2::<f32>::zeros((tile_nx / 2 + 1, tile_ny));
        for image in &frames {
            for &y in &starts_y {
                for &x in &starts_x {
                    add_power(&mut power, image.slice(s![y..y + tile_ny, x..x + tile_nx]));
                }
            }
        }
        let averaged = averages(starts_x.len()) * averages(starts_y.len()) * frames.len() as f64;
        let flat = flattened(&power, tile_nx, tile_ny, averaged);
        let widest = tile_nx.max(tile_ny) as f64 / SMALLEST_CRYSTAL_PX;
        let widths: Vec<f64> = WIDTHS.into_iter().filter(|width| *width <= widest).collect();
        let best = widths
            .into_par_iter()
            .map(|width| Self::smoothed(&flat, tile_nx, tile_ny, averaged, width))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|spectrum| (spectrum.visibility(), spectrum))
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        Ok(best.expect("no smoothing is one of the widths").1)
    }

    /// Peaks that noise has with at most this probability, anywhere in the spectrum.
    pub fn significant(&self, false_alarm_probability: f64) -> impl Iterator<Item = &BraggPeak> {
        self.peaks.iter().filter(move |peak| peak.false_alarm_probability <= false_alarm_probability)
    }

    /// The peak that the strongest place within `reach_per_px` of a frequency belongs to, which may lie beyond the reach,
    /// with the number of independent places looked at; `None` where the frequency is out of the range that was looked
    /// at.
    pub fn strongest_near(&self, k_per_px: DVec2, reach_per_px: f64) -> Option<(BraggPeak, f64)> {
        let k = if k_per_px.x < 0.0 { -k_per_px } else { k_per_px };
        if !(self.smallest_k()..=LARGEST_K).contains(&k.length()) {
            return None;
        }
        let (nx, ny) = (self.nx as f64, self.ny as f64);
        let (cx, cy) = (k.x * nx, k.y * ny);
        let (rx, ry) = ((reach_per_px * nx).max(1.0), (reach_per_px * ny).max(1.0));
        let mut best: Option<(f32, [i64; 2])> = None;
        let mut count = 0.0;
        for ix in (cx - rx).ceil() as i64..=(cx + rx).floor() as i64 {
            for iy in (cy - ry).ceil() as i64..=(cy + ry).floor() as i64 {
                if ((ix as f64 - cx) / rx).powi(2) + ((iy as f64 - cy) / ry).powi(2) > 1.0 {
                    continue;
                }
                let Some(value) = self.at(ix, iy) else { continue };
                count += 1.0;
                if best.is_none_or(|(most, _)| value > most) {
                    best = Some((value, [ix, iy]));
                }
            }
        }
        // The flank of another peak is no peak: from the strongest bin uphill to a top.
        let (mut value, mut bin) = best?;
        for _ in 0..CLIMB {
            let steps = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| [bin[0] + dx, bin[1] + dy]));
            let higher = steps
                .filter_map(|next| self.at(next[0], next[1]).map(|there| (there, next)))
                .fold((value, bin), |top, next| if next.0 > top.0 { next } else { top });
            if higher.1 == bin {
                break;
            }
            (value, bin) = higher;
        }
        let mut peak = self.peak(bin[0], bin[1])?;
        if k_per_px.x < 0.0 {
            peak.k_per_px = -peak.k_per_px;
        }
        Some((peak, (count / self.bins_per_place()).max(1.0)))
    }

    /// The lowest frequency that is looked at: five periods in the frame.
    pub fn smallest_k(&self) -> f64 {
        FEWEST_PERIODS / self.nx.min(self.ny) as f64
    }

    /// Distance between independent frequencies: the reciprocal of the frame's shorter side.
    pub fn resolution_per_px(&self) -> f64 {
        1.0 / self.nx.min(self.ny) as f64
    }

    fn smoothed(flat: &Array2<f32>, nx: usize, ny: usize, averaged: f64, width: f64) -> Spectrum {
        // A peak as wide in cycles per pixel has fewer bins along the shorter side.
        let longest = nx.max(ny) as f64;
        let (kernel_x, kernel_y) = (gaussian(width * nx as f64 / longest), gaussian(width * ny as f64 / longest));
        let mut smooth = convolved(flat, &kernel_x, &kernel_y);
        let significance = Significance::new(&kernel_x, &kernel_y, averaged);
        let independent = significance.independent;
        // What the background's estimate missed: the median of the mean of K exponentials, after Wilson and Hilferty.
        let expected = (1.0 - 1.0 / (9.0 * independent)).powi(3);
        let middle = f64::from(median(&mut smooth.slice(s![MARGIN..;3, ..;3]).iter().copied().collect::<Vec<_>>()));
        let gain = (expected / middle.max(f64::MIN_POSITIVE)) as f32;
        smooth.mapv_inplace(|value| value * gain);
        let mut spectrum =
            Spectrum { flat: smooth, nx, ny, smoothing: width, significance, averaged, places: 1.0, peaks: vec![] };
        let bins = 0.5 * PI * LARGEST_K * LARGEST_K * (nx * ny) as f64 * WIDTHS.len() as f64;
        spectrum.places = (bins / spectrum.bins_per_place()).max(1.0);
        spectrum.find_peaks(width);
        spectrum
    }

    /// Bins that share one independent value. A search over a smooth field finds somewhat more than one maximum to a
    /// correlation area: half the area is counted.
    fn bins_per_place(&self) -> f64 {
        (0.5 * self.significance.independent).max(1.0)
    }

    /// How well peaks stand out: the evidence of the strongest twelve, each counted up to what makes it beyond doubt, so
    /// that strong peaks are not smoothed into one another.
    fn visibility(&self) -> f64 {
        self.peaks.iter().take(12).map(|peak| (peak.evidence - self.places.ln()).clamp(0.0, 30.0)).sum()
    }

    fn at(&self, ix: i64, iy: i64) -> Option<f32> {
        let (column, row) = (ix + MARGIN as i64, iy + (self.ny / 2) as i64);
        (column >= 0 && row >= 0).then(|| self.flat.get([column as usize, row as usize]).copied()).flatten()
    }

    fn find_peaks(&mut self, width: f64) {
        let least = 0.5 * self.places.ln();
        let threshold = self.ratio_of(least) as f32;
        let mut peaks: Vec<BraggPeak> = (0..self.flat.nrows() - MARGIN - 1)
            .into_par_iter()
            .flat_map_iter(|ix| {
                let this = &*self;
                (1..this.ny - 1).filter_map(move |row| {
                    let value = this.flat[[ix + MARGIN, row]];
                    if value < threshold {
                        return None;
                    }
                    let (ix, iy) = (ix as i64, row as i64 - (this.ny / 2) as i64);
                    let highest = (-1..=1).all(|dx| {
                        (-1..=1).all(|dy| {
                            // Ties are broken by order, so that a flat top is one peak.
                            let other = this.at(ix + dx, iy + dy).unwrap_or(0.0);
                            if (dx, dy) < (0, 0) { value > other } else { value >= other }
                        })
                    });
                    let half = ix > 0 || iy > 0;
                    (half && highest).then(|| this.peak(ix, iy)).flatten()
                })
            })
            .filter(|peak| (self.smallest_k()..=LARGEST_K).contains(&peak.k_per_px.length()))
            .collect();
        peaks.sort_by(|a, b| b.ratio.total_cmp(&a.ratio).then(a.k_per_px.x.total_cmp(&b.k_per_px.x)));
        // Fringes of the crystal's shape around a peak are no peaks of their own.
        let apart = (2.5 + 2.0 * width) / self.nx.max(self.ny) as f64;
        let mut kept: Vec<BraggPeak> = Vec::new();
        for peak in peaks {
            let near = |other: &BraggPeak| {
                let reach = if other.ratio > 5.0 * peak.ratio { 2.0 * apart } else { apart };
                (other.k_per_px - peak.k_per_px).length().min((other.k_per_px + peak.k_per_px).length()) < reach
            };
            if !kept.iter().any(near) {
                kept.push(peak);
            }
            if kept.len() == MOST_PEAKS {
                break;
            }
        }
        self.peaks = kept;
    }

    /// The peak whose highest bin is given.
    fn peak(&self, ix: i64, iy: i64) -> Option<BraggPeak> {
        let centre = f64::from(self.at(ix, iy)?.max(f32::MIN_POSITIVE));
        let log =
            |dx: i64, dy: i64| self.at(ix + dx, iy + dy).map(|value| f64::from(value.max(f32::MIN_POSITIVE)).ln());
        let (dx, width_x) = vertex(log(-1, 0)?, centre.ln(), log(1, 0)?);
        let (dy, width_y) = vertex(log(0, -1)?, centre.ln(), log(0, 1)?);
        let k_per_px = DVec2::new((ix as f64 + dx) / self.nx as f64, (iy as f64 + dy) / self.ny as f64);
        let evidence = self.significance.evidence(centre, self.freedom(k_per_px.length()));
        let width = 0.5 * (width_x / self.nx as f64 + width_y / self.ny as f64);
        // Noise moves the top of a peak by its width over the root of signal to noise; the shape of the crystal and
        // the slope of the transfer function by a share of the width, whatever the dose.
        let random = width / (self.significance.independent * (centre - 1.0).max(1.0)).sqrt();
        let instrument = self.smoothing.hypot(HANN_WIDTH) / self.nx.max(self.ny) as f64;
        Some(BraggPeak {
            k_per_px,
            width_per_px: (width * width - instrument * instrument).max(0.0).sqrt(),
            sigma_per_px: random.hypot(0.1 * width),
            ratio: centre,
            evidence,
            false_alarm_probability: (self.places * (-evidence).exp()).min(1.0),
        })
    }

    /// Degrees of freedom of the background at a distance from the origin: the bins of three rings, and of the blocks
    /// around, by their correlation and what a median loses against a mean.
    fn freedom(&self, k_per_px: f64) -> f64 {
        let rings = 3.0 * PI * k_per_px * self.nx.min(self.ny) as f64 * self.averaged;
        let blocks = 1.5 * (BLOCK * BLOCK) as f64 * self.averaged;
        1.0 / (BINS_PER_FREEDOM * (1.0 / rings.max(1.0) + 1.0 / blocks))
    }

    /// The ratio that has an evidence.
    fn ratio_of(&self, evidence: f64) -> f64 {
        let (mut low, mut high) = (1.0, 1e4);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if self.significance.evidence(middle, 1e9) < evidence { low = middle } else { high = middle }
        }
        high
    }
}

/// Side of a tile, and where the tiles start.
fn tiles(length: usize) -> (usize, Vec<usize>) {
    if length <= WHOLE_PX {
        return (length, vec![0]);
    }
    let count = (length - TILE_PX).div_ceil(TILE_PX / 2) + 1;
    let last = length - TILE_PX;
    (TILE_PX, (0..count).map(|index| index * last / (count - 1)).collect())
}

/// Independent periodograms that `tiles` tiles in a row are worth: Hann windows that overlap by half share 1/36.
fn averages(tiles: usize) -> f64 {
    let n = tiles as f64;
    n / (1.0 + 2.0 * (n - 1.0) / n / 36.0)
}

fn hann(length: usize) -> Vec<f32> {
    (0..length).map(|index| (PI * (index as f64 + 0.5) / length as f64).sin().powi(2) as f32).collect()
}

/// Adds the power of a windowed tile, `[ix, iy]`, `ix` not negative, `iy` in the transform's order.
fn add_power(power: &mut Array2<f32>, tile: ArrayView2<'_, f32>) {
    let (ny, nx) = tile.dim();
    let mean = (tile.iter().map(|&value| f64::from(value)).sum::<f64>() / (nx * ny) as f64) as f32;
    let (window_x, window_y) = (hann(nx), hann(ny));
    let rows = RealFftPlanner::<f32>::new().plan_fft_forward(nx);
    let half = nx / 2 + 1;
    let mut spectrum = Array2::<Complex<f32>>::zeros((ny, half));
    let slice = spectrum.as_slice_mut().expect("a new array is in standard layout");
    slice.par_chunks_mut(half).enumerate().for_each_init(
        || (vec![0.0_f32; nx], rows.make_scratch_vec()),
        |(line, scratch), (y, out)| {
            for ((to, from), weight) in line.iter_mut().zip(tile.row(y)).zip(&window_x) {
                *to = (from - mean) * weight * window_y[y];
            }
            rows.process_with_scratch(line, out, scratch).expect("lengths were made for each other");
        },
    );
    let columns = FftPlanner::<f32>::new().plan_fft_forward(ny);
    rows_mut(power).enumerate().for_each_init(
        || (vec![Complex::default(); ny], vec![Complex::default(); columns.get_inplace_scratch_len()]),
        |(line, scratch), (ix, out)| {
            line.iter_mut().zip(spectrum.column(ix)).for_each(|(to, from)| *to = *from);
            columns.process_with_scratch(line, scratch);
            out.iter_mut().zip(line.iter()).for_each(|(to, value)| *to += value.norm_sqr());
        },
    );
}

/// Power over background, `[ix + MARGIN, iy + ny / 2]`.
fn flattened(power: &Array2<f32>, nx: usize, ny: usize, averaged: f64) -> Array2<f32> {
    let half = power.nrows();
    let mut flat = Array2::<f32>::zeros((half + MARGIN, ny));
    rows_mut(&mut flat).enumerate().for_each(|(column, out)| {
        let ix = column as i64 - MARGIN as i64;
        for (row, value) in out.iter_mut().enumerate() {
            let iy = row as i64 - (ny / 2) as i64;
            let (ax, ay) = if ix < 0 { (-ix, -iy) } else { (ix, iy) };
            *value = power[[ax as usize, ay.rem_euclid(ny as i64) as usize]];
        }
    });
    // A noiseless image must not have its rounding taken for peaks.
    let largest = flat.iter().copied().fold(0.0_f32, f32::max);
    flat.mapv_inplace(|value| value + 1e-6 * largest);

    let longest = nx.max(ny) as f64;
    let radius = |column: usize, row: usize| {
        let kx = (column as f64 - MARGIN as f64) / nx as f64;
        let ky = (row as f64 - (ny / 2) as f64) / ny as f64;
        kx.hypot(ky) * longest
    };
    let mut rings: Vec<Vec<f32>> = vec![Vec::new(); radius(0, 0).max(radius(half + MARGIN, 0)) as usize + 2];
    for column in MARGIN..half + MARGIN {
        for row in 0..ny {
            rings[radius(column, row) as usize].push(flat[[column, row]]);
        }
    }
    // The mean of noise from its median.
    let expected = if averaged > 1.5 { (1.0 - 1.0 / (9.0 * averaged)).powi(3) } else { LN_2 };
    let mut background: Vec<f32> =
        rings.par_iter_mut().map(|ring| if ring.is_empty() { 0.0 } else { median(ring) / expected as f32 }).collect();
    for index in 1..background.len() {
        if background[index] <= 0.0 {
            background[index] = background[index - 1];
        }
    }
    // Few bins make a ring near the origin: neighbours steady it.
    let steady: Vec<f32> = (0..background.len())
        .map(|index| {
            let around = &background[index.saturating_sub(1)..(index + 2).min(background.len())];
            (around.iter().map(|value| value.ln()).sum::<f32>() / around.len() as f32).exp()
        })
        .collect();
    rows_mut(&mut flat).enumerate().for_each(|(column, out)| {
        for (row, value) in out.iter_mut().enumerate() {
            let at = radius(column, row);
            let below = (at - 0.5).max(0.0);
            let (low, share) = (below as usize, below.fract() as f32);
            let high = (low + 1).min(steady.len() - 1);
            *value /= steady[low] * (1.0 - share) + steady[high] * share;
        }
    });
    flatten_blocks(&mut flat, expected as f32);
    flat
}

/// Divides by the medians of blocks, interpolated between their centres.
fn flatten_blocks(flat: &mut Array2<f32>, expected: f32) {
    let (columns, rows) = flat.dim();
    let (blocks_x, blocks_y) = (columns.div_ceil(BLOCK), rows.div_ceil(BLOCK));
    let medians: Vec<f32> = (0..blocks_x * blocks_y)
        .into_par_iter()
        .map(|index| {
            let (x, y) = (index / blocks_y * BLOCK, index % blocks_y * BLOCK);
            let block = flat.slice(s![x..(x + BLOCK).min(columns), y..(y + BLOCK).min(rows)]);
            let mut values: Vec<f32> = block.iter().copied().collect();
            // A narrow block at the border has too few bins to say anything.
            if values.len() < BLOCK * BLOCK / 4 { 1.0 } else { median(&mut values) / expected }
        })
        .collect();
    let between = |at: usize, blocks: usize| {
        let place = ((at as f32 + 0.5) / BLOCK as f32 - 0.5).clamp(0.0, (blocks - 1) as f32);
        let low = place as usize;
        (low, (low + 1).min(blocks - 1), place - low as f32)
    };
    rows_mut(flat).enumerate().for_each(|(column, out)| {
        let (x0, x1, tx) = between(column, blocks_x);
        for (row, value) in out.iter_mut().enumerate() {
            let (y0, y1, ty) = between(row, blocks_y);
            let at = |x: usize, y: usize| medians[x * blocks_y + y];
            let low = at(x0, y0) * (1.0 - ty) + at(x0, y1) * ty;
            let high = at(x1, y0) * (1.0 - ty) + at(x1, y1) * ty;
            *value /= (low * (1.0 - tx) + high * tx).max(1e-3);
        }
    });
}

/// A Gaussian of unit sum; one tap where it is narrower than a third of a bin.
fn gaussian(width: f64) -> Vec<f64> {
    if width < 1.0 / 3.0 {
        return vec![1.0];
    }
    let reach = (2.6 * width).ceil() as i64;
    let taps: Vec<f64> = (-reach..=reach).map(|at| (-0.5 * (at as f64 / width).powi(2)).exp()).collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|tap| tap / sum).collect()
}

fn convolved(image: &Array2<f32>, kernel_x: &[f64], kernel_y: &[f64]) -> Array2<f32> {
    let (columns, rows) = image.dim();
    let mut along_y = image.clone();
    if kernel_y.len() > 1 {
        let (reach, taps) = (kernel_y.len() / 2, kernel_y.iter().map(|&tap| tap as f32).collect::<Vec<_>>());
        rows_mut(&mut along_y).enumerate().for_each(|(column, out)| {
            let from = image.row(column);
            let from = from.as_slice().expect("rows are contiguous");
            let mut padded = vec![from[0]; rows + 2 * reach];
            padded[reach..reach + rows].copy_from_slice(from);
            padded[reach + rows..].fill(from[rows - 1]);
            out.fill(0.0);
            for (offset, tap) in taps.iter().enumerate() {
                out.iter_mut().zip(&padded[offset..]).for_each(|(to, value)| *to += tap * value);
            }
        });
    }
    if kernel_x.len() == 1 {
        return along_y;
    }
    let reach = (kernel_x.len() / 2) as i64;
    let mut both = Array2::<f32>::zeros((columns, rows));
    rows_mut(&mut both).enumerate().for_each(|(column, out)| {
        for (offset, &tap) in kernel_x.iter().enumerate() {
            let source = (column as i64 + offset as i64 - reach).clamp(0, columns as i64 - 1) as usize;
            out.iter_mut().zip(along_y.row(source)).for_each(|(to, value)| *to += tap as f32 * value);
        }
    });
    both
}

/// Vertex of a parabola through three neighbouring values, from the middle one, at most half a bin; and the standard
/// deviation of the Gaussian that it is the logarithm of, in bins.
fn vertex(before: f64, centre: f64, after: f64) -> (f64, f64) {
    let curvature = (2.0 * centre - before - after).max(1e-3);
    ((0.5 * (after - before) / curvature).clamp(-0.5, 0.5), curvature.recip().sqrt())
}

fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use atomlens_core::SeedPath;
    use rand_distr::{Distribution, Normal};

    use super::*;

    fn noise(ny: usize, nx: usize, seed: u64) -> Array2<f32> {
        let mut random = SeedPath::new(seed).stream();
        let normal = Normal::new(0.0, 1.0).unwrap();
        Array2::from_shape_simple_fn((ny, nx), || normal.sample(&mut random) as f32)
    }

    fn fringes(ny: usize, nx: usize, k: DVec2, amplitude: f32) -> Array2<f32> {
        Array2::from_shape_fn((ny, nx), |(j, i)| amplitude * (TAU * (k.x * i as f64 + k.y * j as f64)).cos() as f32)
    }

    #[test]
    fn noise_has_peaks_as_often_as_stated() {
        // White noise, and noise through a camera whose transfer falls: peaks of 5 % in about 5 % of the frames, and
        // not in more than the bound's choice among four widths can make of it.
        for blurred in [false, true] {
            let frames = 120;
            let mut alarms = 0;
            for seed in 0..frames {
                let mut image = noise(128, 160, seed);
                if blurred {
                    image = convolved(&image, &gaussian(0.8), &gaussian(0.8));
                }
                alarms += usize::from(Spectrum::new(image.view()).unwrap().significant(0.05).next().is_some());
            }
            assert!(alarms <= 18, "{alarms} of {frames}, blurred {blurred}");
        }
    }

    #[test]
    fn places_below_the_bin() {
        for (ny, nx) in [(256, 256), (200, 330), (731, 173), (1700, 1600)] {
            for k in [DVec2::new(0.1037, 0.0613), DVec2::new(0.0823, -0.2011), DVec2::new(0.0009, 0.131)] {
                let image = fringes(ny, nx, k, 1.0) + noise(ny, nx, 5);
                let spectrum = Spectrum::new(image.view()).unwrap();
                let peak = spectrum.peaks[0];
                assert!(peak.false_alarm_probability < 1e-9);
                let off = (peak.k_per_px - k).length().min((peak.k_per_px + k).length());
                assert!(off < 0.1 * spectrum.resolution_per_px(), "{ny} x {nx}, {k}: {} off by {off}", peak.k_per_px);
            }
        }
    }

    #[test]
    fn weak_fringes_are_seen_and_a_small_crystal_is_as_well() {
        // Amplitude 0.12 in noise of 1: a signal to noise of 1/140 in each pixel.
        let k = DVec2::new(0.11, 0.07);
        let spectrum = Spectrum::new((fringes(256, 256, k, 0.12) + noise(256, 256, 3)).view()).unwrap();
        assert!((spectrum.peaks[0].k_per_px - k).length() < 0.01 && spectrum.peaks[0].false_alarm_probability < 1e-3);
        // A crystal of 60 pixels in a frame of 384.
        let crystal = fringes(384, 384, k, 0.9);
        let image = Array2::from_shape_fn((384, 384), |(j, i)| {
            let square = (i as f32 - 140.0).powi(2) + (j as f32 - 220.0).powi(2);
            if square < 900.0 { crystal[[j, i]] } else { 0.0 }
        });
        let spectrum = Spectrum::new((image + noise(384, 384, 4)).view()).unwrap();
        let peak = spectrum.peaks[0];
        assert!((peak.k_per_px - k).length() < 0.004, "{peak:?}");
        assert!(peak.false_alarm_probability < 1e-3, "{peak:?}");
        assert!(peak.width_per_px > 0.004, "{peak:?}");
    }

    #[test]
    fn what_has_no_spectrum_is_refused() {
        assert_eq!(Spectrum::new(noise(20, 400, 1).view()).unwrap_err(), SpectrumError::TooSmall { nx: 400, ny: 20 });
        let constant = Array2::from_elem((64, 64), 3.0);
        assert_eq!(Spectrum::new(constant.view()).unwrap_err(), SpectrumError::Constant { value: 3.0 });
        let mut dead = noise(64, 64, 1);
        dead[[7, 9]] = f32::NAN;
        assert!(matches!(Spectrum::new(dead.view()), Err(SpectrumError::NotFinite { x: 9, y: 7, .. })));
        assert_eq!(Spectrum::new(Array2::zeros((0, 0)).view()).unwrap_err(), SpectrumError::TooSmall { nx: 0, ny: 0 });
    }
}
