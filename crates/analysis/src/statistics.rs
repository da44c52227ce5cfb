//! What an image is like as a whole, to warn when a detector was trained on nothing like it.
//!
//! Figures are taken from the image as it came (pixels that are no number, pixels at the end of the camera's range)
//! and from the image as the detector sees it, normalised and at the detector's pixel size: level of noise, skewness
//! and kurtosis of grey values, and how the power spreads over spatial frequencies. They are compared with the ranges
//! that images of the training show; outside them a detector's probabilities mean little.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::{ArrayView2, s};
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use serde::{Deserialize, Serialize};

/// Ends of the bands of spatial frequency, in 1 / angstrom.
pub const BANDS_PER_ANGSTROM: [f64; 11] = [0.04, 0.1, 0.2, 0.3, 0.42, 0.56, 0.75, 1.0, 1.4, 1.9, 2.5];

/// Edge of the tiles whose spectra are averaged, in pixels.
const TILE: usize = 128;

/// Most tiles that are looked at, along each direction.
const TILES: usize = 4;

/// Figures of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputStatistics {
    /// Share of the pixels that are not finite.
    pub non_finite_fraction: f64,
    /// Share of the pixels at the largest value, if they pile up there.
    pub saturated_fraction: f64,
    /// Standard deviation of the noise in the normalised image.
    pub noise_level: f64,
    /// Third standardised moment of the normalised image.
    pub skewness: f64,
    /// Fourth standardised moment of the normalised image, less 3.
    pub excess_kurtosis: f64,
    /// Exponent of the fall of the power with spatial frequency, between 0.1 / angstrom and the end of the spectrum.
    pub spectrum_slope: f64,
    /// Decimal logarithm of the share of the power in each of [`BANDS_PER_ANGSTROM`]; `None` where the image is too
    /// small or its pixels too large for a band.
    pub band_power: Vec<Option<f64>>,
}

impl InputStatistics {
    /// Figures of an image: as it came, and normalised with its pixel size. Both of shape `[y, x]`.
    pub fn of(raw: ArrayView2<'_, f32>, normalised: ArrayView2<'_, f32>, pixel_angstrom: f64) -> InputStatistics {
        let (skewness, excess_kurtosis) = moments(normalised);
        let spectrum = RadialPower::of(normalised, pixel_angstrom);
        InputStatistics {
            non_finite_fraction: raw.iter().filter(|value| !value.is_finite()).count() as f64 / raw.len().max(1) as f64,
            saturated_fraction: saturated_fraction(raw),
            noise_level: noise_sigma(normalised),
            skewness,
            excess_kurtosis,
            spectrum_slope: spectrum.slope(),
            band_power: spectrum.bands(),
        }
    }

    /// The figures by name, those that are defined.
    fn features(&self) -> BTreeMap<String, f64> {
        let single = [
            ("noise_level", self.noise_level),
            ("skewness", self.skewness),
            ("excess_kurtosis", self.excess_kurtosis),
            ("spectrum_slope", self.spectrum_slope),
        ];
        let bands = self.band_power.iter().zip(BANDS_PER_ANGSTROM.windows(2)).filter_map(|(power, ends)| {
            Some((format!("log10_power_{}_to_{}_per_angstrom", ends[0], ends[1]), (*power)?))
        });
        let all = single.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(bands);
        all.filter(|(_, value)| value.is_finite()).collect()
    }

    /// What is unlike the training, a sentence each; none if nothing is.
    pub fn outside(&self, ranges: &Ranges) -> Vec<String> {
        let mut warnings = Vec::new();
        let percent = |fraction: f64| 100.0 * fraction;
        if self.non_finite_fraction > 0.0 {
            warnings.push(format!(
                "{:.2} % of the pixels are not numbers; nothing can be said where they are",
                percent(self.non_finite_fraction)
            ));
        }
        if self.saturated_fraction > 0.001 {
            warnings.push(format!(
                "{:.2} % of the pixels are at the image's largest value: contrast is cut off there",
                percent(self.saturated_fraction)
            ));
        }
        for (name, value) in self.features() {
            let Some(&[low, high]) = ranges.features.get(&name) else { continue };
            if value < low || value > high {
                let side = if value < low { "below" } else { "above" };
                warnings.push(format!(
                    "{} is {value:.2}, {side} the training's {low:.2} to {high:.2}",
                    in_words(&name, value < low)
                ));
            }
        }
        warnings
    }
}

/// A figure's name in a sentence, with the reason that there may be.
fn in_words(name: &str, is_low: bool) -> String {
    let hint = |low: &str, high: &str| if is_low { low.to_owned() } else { high.to_owned() };
    match name {
        "noise_level" => hint(
            "the level of noise (smoothed or averaged beforehand?)",
            "the level of noise (dose lower than any that was trained on?)",
        ),
        "skewness" => "the skewness of the grey values".to_owned(),
        "excess_kurtosis" => hint(
            "the kurtosis of the grey values",
            "the kurtosis of the grey values (single bright or dead pixels, or most of the image empty?)",
        ),
        "spectrum_slope" => hint(
            "the slope of the power spectrum (blurred, or pixel size too small?)",
            "the slope of the power spectrum (sharpened, or pixel size too large?)",
        ),
        band => match band.strip_prefix("log10_power_").and_then(|band| band.strip_suffix("_per_angstrom")) {
            Some(ends) => format!("the logarithm of the share of power at {} / angstrom", ends.replace("_to_", " to ")),
            None => band.to_owned(),
        },
    }
}

/// What is usual for each figure among images of the training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges {
    /// Lowest and highest usual value by the figure's name.
    pub features: BTreeMap<String, [f64; 2]>,
}

impl Ranges {
    /// From the half per cent to the 99.5 per cent quantile of the samples, widened by a quarter of the distance
    /// between them on either side, so that an image like those of the training seldom raises a warning.
    pub fn of(samples: &[InputStatistics]) -> Ranges {
        let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (name, value) in samples.iter().flat_map(InputStatistics::features) {
            values.entry(name).or_default().push(value);
        }
        let range = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let last = (values.len() - 1) as f64;
            let (low, high) = (values[(0.005 * last).floor() as usize], values[(0.995 * last).ceil() as usize]);
            let margin = 0.25 * (high - low);
            [low - margin, high + margin]
        };
        Ranges { features: values.into_iter().map(|(name, values)| (name, range(values))).collect() }
    }
}

/// Standard deviation of white noise in an image, from its second differences, which leave planes and edges along the
/// axes out (J. Immerkaer, *Comput. Vis. Image Underst.* 64, 300 (1996), doi:10.1006/cviu.1996.0060). 0 for an image
/// of less than 3 pixels along a side. Pixels that are not finite count as 0.
pub fn noise_sigma(image: ArrayView2<'_, f32>) -> f64 {
    let (ny, nx) = image.dim();
    if ny < 3 || nx < 3 {
        return 0.0;
    }
    let rows: Vec<f64> = (1..ny - 1)
        .into_par_iter()
        .with_min_len(32)
        .map(|j| {
            let line = |j: usize, i: usize| {
                let at = |i: usize| f64::from(image[[j, i]]);
                at(i - 1) - 2.0 * at(i) + at(i + 1)
            };
            (1..nx - 1)
                .map(|i| (line(j - 1, i) - 2.0 * line(j, i) + line(j + 1, i)).abs())
                .filter(|value| value.is_finite())
                .sum()
        })
        .collect();
    (std::f64::consts::FRAC_PI_2).sqrt() * rows.iter().sum::<f64>() / (6.0 * ((ny - 2) * (nx - 2)) as f64)
}

/// Share of the pixels at the largest value, if more than three times as many lie there as at the next value below:
/// counts of few electrons also have many pixels at their largest value, but more at the next.
fn saturated_fraction(raw: ArrayView2<'_, f32>) -> f64 {
    let finite = || raw.iter().copied().filter(|value| value.is_finite());
    let largest = finite().fold(f32::NEG_INFINITY, f32::max);
    let next = finite().filter(|&value| value < largest).fold(f32::NEG_INFINITY, f32::max);
    let at = |level: f32| finite().filter(|&value| value == level).count();
    let (top, below) = (at(largest), at(next));
    if top > 3 * below + 10 { top as f64 / raw.len() as f64 } else { 0.0 }
}

/// Skewness and excess kurtosis of the finite pixels; 0 for an image without contrast.
fn moments(image: ArrayView2<'_, f32>) -> (f64, f64) {
    let values = || image.iter().map(|value| f64::from(*value)).filter(|value| value.is_finite());
    let count = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let (mut second, mut third, mut fourth) = (0.0, 0.0, 0.0);
    for value in values() {
        let square = (value - mean).powi(2);
        second += square;
        third += square * (value - mean);
        fourth += square * square;
    }
    let variance = second / count;
    if variance > 0.0 {
        (third / count / variance.powf(1.5), fourth / count / variance.powi(2) - 3.0)
    } else {
        (0.0, 0.0)
    }
}

/// Power by spatial frequency, in rings.
struct RadialPower {
    /// Middle of each ring in 1 / angstrom, number of samples, sum of their powers.
    rings: Vec<(f64, usize, f64)>,
}

impl RadialPower {
    /// Mean over tiles under a Hann window (P. D. Welch, *IEEE Trans. Audio Electroacoust.* 15, 70 (1967),
    /// doi:10.1109/TAU.1967.1161901).
    fn of(image: ArrayView2<'_, f32>, pixel_angstrom: f64) -> RadialPower {
        let (ny, nx) = image.dim();
        let edge = ny.min(nx).min(TILE);
        if edge < 8 {
            return RadialPower { rings: Vec::new() };
        }
        let starts = |n: usize| -> Vec<usize> {
            let count = (n / edge).clamp(1, TILES);
            // Spread evenly from border to border.
            (0..count).map(|tile| if count == 1 { (n - edge) / 2 } else { tile * (n - edge) / (count - 1) }).collect()
        };
        let corners: Vec<(usize, usize)> =
            starts(ny).into_iter().flat_map(|y| starts(nx).into_iter().map(move |x| (y, x))).collect();
        let plan = FftPlanner::new().plan_fft_forward(edge);
        let powers: Vec<Vec<f64>> = corners
            .into_par_iter()
            .map(|(y, x)| ring_powers(image.slice(s![y..y + edge, x..x + edge]), &plan))
            .collect();
        let step = 1.0 / (edge as f64 * pixel_angstrom);
        let counts = ring_counts(edge);
        let rings = (1..=edge / 2)
            .map(|ring| (ring as f64 * step, counts[ring], powers.iter().map(|power| power[ring]).sum()))
            .collect();
        RadialPower { rings }
    }

    fn bands(&self) -> Vec<Option<f64>> {
        let total: f64 = self.rings.iter().map(|(_, _, power)| power).sum();
        BANDS_PER_ANGSTROM
            .windows(2)
            .map(|ends| {
                // The last band holds its own end, which is the end of the spectrum at 0.2 angstrom a pixel.
                let closed = ends[1] == BANDS_PER_ANGSTROM[BANDS_PER_ANGSTROM.len() - 1];
                let ends_at = if closed { ends[1] * (1.0 + 1e-9) } else { ends[1] };
                let within = || self.rings.iter().filter(|ring| ring.0 >= ends[0] && ring.0 < ends_at);
                let power: f64 = within().map(|(_, _, power)| power).sum();
                // A floor, so that an empty band is a number that can be compared.
                (within().count() > 0 && total > 0.0).then(|| (power / total).max(1e-12).log10())
            })
            .collect()
    }

    /// Slope of the logarithm of the mean power against that of the frequency, every octave weighing alike.
    fn slope(&self) -> f64 {
        let (mut n, mut x_sum, mut y_sum, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for &(frequency, count, power) in self.rings.iter().filter(|ring| ring.0 >= 0.1 && ring.2 > 0.0) {
            let (x, y, weight) = (frequency.ln(), (power / count as f64).ln(), 1.0 / frequency);
            n += weight;
            x_sum += weight * x;
            y_sum += weight * y;
            xx += weight * x * x;
            xy += weight * x * y;
        }
        let spread = n * xx - x_sum * x_sum;
        if spread > 0.0 { (n * xy - x_sum * y_sum) / spread } else { 0.0 }
    }
}

/// The ring of a sample of a square transform, those of its corners left out.
fn ring_of(j: usize, i: usize, edge: usize) -> Option<usize> {
    let signed = |index: usize| index.min(edge - index) as f64;
    let ring = (signed(j).hypot(signed(i))).round() as usize;
    (ring <= edge / 2).then_some(ring)
}

fn ring_counts(edge: usize) -> Vec<usize> {
    let mut counts = vec![0; edge / 2 + 1];
    for j in 0..edge {
        for ring in (0..edge).filter_map(|i| ring_of(j, i, edge)) {
            counts[ring] += 1;
        }
    }
    counts
}

fn ring_powers(tile: ArrayView2<'_, f32>, plan: &Arc<dyn Fft<f64>>) -> Vec<f64> {
    let edge = tile.nrows();
    let values = || tile.iter().map(|value| f64::from(*value)).filter(|value| value.is_finite());
    let mean = values().sum::<f64>() / values().count().max(1) as f64;
    let hann = |index: usize| (std::f64::consts::PI * (index as f64 + 0.5) / edge as f64).sin().powi(2);
    let mut rows: Vec<Complex<f64>> = tile
        .indexed_iter()
        .map(|((j, i), value)| {
            let value = if value.is_finite() { f64::from(*value) - mean } else { 0.0 };
            Complex::new(value * hann(j) * hann(i), 0.0)
        })
        .collect();
    plan.process(&mut rows);
    let mut columns: Vec<Complex<f64>> = (0..edge * edge).map(|at| rows[at % edge * edge + at / edge]).collect();
    plan.process(&mut columns);
    let mut powers = vec![0.0; edge / 2 + 1];
    for (at, value) in columns.iter().enumerate() {
        if let Some(ring) = ring_of(at / edge, at % edge, edge) {
            powers[ring] += value.norm_sqr();
        }
    }
    powers
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use ndarray::Array2;
    use rand_distr::{Distribution, Normal};

    use super::*;

    fn noise(ny: usize, nx: usize, sigma: f32, seed: u64) -> Array2<f32> {
        let mut random = SeedPath::new(seed).stream();
        let normal = Normal::new(0.0, sigma).unwrap();
        Array2::from_shape_simple_fn((ny, nx), || normal.sample(&mut random))
    }

    #[test]
    fn the_noise_on_a_lattice_is_found() {
        let lattice = |j: usize, i: usize| ((i as f32 * 0.4).cos() + (j as f32 * 0.4).cos()) * 0.5;
        let mut image = noise(300, 400, 0.25, 1);
        image.indexed_iter_mut().for_each(|((j, i), value)| *value += lattice(j, i));
        let found = noise_sigma(image.view());
        assert!((found - 0.25).abs() < 0.01, "{found}");
        assert_eq!(noise_sigma(Array2::zeros((2, 9)).view()), 0.0);
    }

    #[test]
    fn white_noise_has_a_flat_spectrum_and_a_wave_lies_in_its_band() {
        let white = noise(600, 512, 1.0, 2);
        let found = InputStatistics::of(white.view(), white.view(), 0.2);
        assert!(found.spectrum_slope.abs() < 0.1 && found.skewness.abs() < 0.02 && found.excess_kurtosis.abs() < 0.04);
        // The share of a ring of frequencies is its area: band 1.9 to 2.5 of a disc of radius 2.5.
        let expected = (1.0 - (1.9_f64 / 2.5).powi(2)).log10();
        assert!((found.band_power[9].unwrap() - expected).abs() < 0.02, "{found:?}");
        // Wave of 2.35 angstrom: 0.4255 per angstrom.
        let wave = Array2::from_shape_fn((300, 300), |(_, i)| (std::f32::consts::TAU * i as f32 * 0.2 / 2.35).sin());
        let found = InputStatistics::of(wave.view(), wave.view(), 0.2);
        assert!(found.band_power[4].unwrap() + 1e-9 > 0.5_f64.log10(), "{found:?}");
        let sum: f64 = found.band_power.iter().flatten().map(|power| 10.0_f64.powf(*power)).sum();
        assert!((sum - 1.0).abs() < 0.02, "{sum}");
    }

    #[test]
    fn saturation_is_a_pile_not_a_small_count() {
        let clipped = noise(100, 100, 1.0, 3).mapv(|value| value.min(1.0));
        assert!((saturated_fraction(clipped.view()) - 0.159).abs() < 0.02);
        let counts = noise(100, 100, 1.0, 4).mapv(|value| if value > 0.5 { 1.0 } else { 0.0 });
        assert_eq!(saturated_fraction(counts.view()), 0.0);
        assert_eq!(saturated_fraction(noise(100, 100, 1.0, 5).view()), 0.0);
        assert_eq!(saturated_fraction(Array2::from_elem((10, 10), 7.0).view()), 1.0);
    }

    #[test]
    fn what_is_unlike_the_training_is_named() {
        let of = |image: Array2<f32>| InputStatistics::of(image.view(), image.view(), 0.2);
        let samples: Vec<InputStatistics> =
            (0..40).map(|seed| of(noise(128, 128, 0.5 + 0.01 * seed as f32, seed))).collect();
        let ranges = Ranges::of(&samples);
        assert_eq!(of(noise(128, 128, 0.7, 99)).outside(&ranges), Vec::<String>::new());
        let warnings = of(noise(128, 128, 3.0, 99)).outside(&ranges);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("level of noise (dose lower") && warnings[0].contains("above the training's"));
        let mut broken = noise(128, 128, 0.7, 99);
        broken[[3, 4]] = f32::NAN;
        assert!(of(broken).outside(&ranges)[0].contains("0.01 % of the pixels are not numbers"));
        let json = serde_json::to_string(&ranges).unwrap();
        assert_eq!(serde_json::from_str::<Ranges>(&json).unwrap().features.len(), ranges.features.len());
    }

    #[test]
    fn an_image_that_is_too_small_says_what_it_can() {
        let tiny = noise(5, 400, 1.0, 1);
        let found = InputStatistics::of(tiny.view(), tiny.view(), 0.2);
        assert!(found.band_power.iter().all(Option::is_none) && found.spectrum_slope == 0.0);
        let empty = Array2::zeros((0, 0));
        assert_eq!(InputStatistics::of(empty.view(), empty.view(), 0.2).noise_level, 0.0);
    }
}
