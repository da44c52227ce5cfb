//! The camera, from the noise of its images.
//!
//! Electrons arrive at random, so that the noise is white before the detector spreads it. With `gain` counts an electron its power
//! spectrum is `gain * mean * MTF(q)^2` counts squared a pixel, wherever the specimen sends no signal: beyond the resolution of the
//! microscope, and between the reflections (A. L. Weickenmeier, W. Nuchter and J. Mayer, Optik 99, 147 (1995); W. Probst et al. and
//! later work call it the noise method). Rings of the spectrum are read by a low quantile, which a few strong reflections do not move, and rings that
//! stand out above the curve of those outside them are left out. The curve is `1 / (1 + (q / (2 c3))^c4)`, with `q` in units of the
//! detector's Nyquist frequency (docs/conventions.md).
//!
//! What blurs the image before electrons are counted (vibration, drift) is not seen in the noise. Readout noise is taken to be small.

use atomlens_core::quantile::gamma_quantile;
use atomlens_simulate::camera::TransferCurve;
use ndarray::ArrayView2;
use num_complex::Complex;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::fit::{Fit, least_squares};
use crate::fourier::Fourier;
use crate::{FocalSeries, ReconstructError};

/// The part of a ring's values that lies below the value that is read.
const QUANTILE: f64 = 0.4;

/// Rings from 0 to Nyquist's frequency, at most.
const MOST_RINGS: usize = 48;

/// Frequency, in units of Nyquist's, outside of which noise is taken to prevail at first.
const FIRST_LOWEST: f64 = 0.5;

/// How far above the curve a ring may stand, in its own standard deviations, to be counted as noise.
const REJECT: f64 = 3.0;

/// The same for the mean of a ring and the one outside it, where signal may begin: a little signal in many rings would be taken
/// for a higher gain.
const REJECT_PAIR: f64 = 0.7;

/// Modes that the window makes one of, times the two that a real image has of each.
const MODES_IN_ONE: f64 = 2.0 * 2.25;

/// The noise of a ring of spatial frequencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NoiseRing {
    /// Mean frequency in units of Nyquist's.
    pub q: f64,
    /// Power in counts a pixel, over the mean number of counts: `gain * MTF^2` where there is no signal.
    pub power: f64,
    /// Its standard deviation if it is noise only.
    pub sigma: f64,
    /// Whether it was counted as noise.
    pub is_noise: bool,
}

/// Gain and transfer function of a camera, as its images tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraEstimate {
    /// Counts for each electron.
    pub gain_counts_per_electron: f64,
    /// Its standard deviation.
    pub gain_sigma: f64,
    /// Half the frequency, in units of Nyquist's, at which the transfer has fallen half way.
    pub c3: f64,
    /// Its standard deviation.
    pub c3_sigma: f64,
    /// Steepness of the transfer function.
    pub c4: f64,
    /// Its standard deviation.
    pub c4_sigma: f64,
    /// Root-mean-square distance of the rings from the curve, in their own standard deviations: about 1 if the curve is right.
    pub misfit: f64,
    /// What was fitted.
    pub rings: Vec<NoiseRing>,
}

impl CameraEstimate {
    /// A camera that is known: counts of electrons with a given transfer function.
    pub fn known(gain_counts_per_electron: f64, c3: f64, c4: f64) -> CameraEstimate {
        CameraEstimate {
            gain_counts_per_electron,
            gain_sigma: 0.0,
            c3,
            c3_sigma: 0.0,
            c4,
            c4_sigma: 0.0,
            misfit: 0.0,
            rings: Vec::new(),
        }
    }

    /// The modulation transfer function as the simulated camera has it.
    pub fn transfer_curve(&self) -> TransferCurve {
        TransferCurve::Parametric { c1: 1.0, c2: 0.0, c3: self.c3, c4: self.c4 }
    }

    /// The modulation transfer at a frequency in units of Nyquist's.
    pub fn mtf(&self, q: f64) -> f64 {
        transfer(q, self.c3, self.c4)
    }

    /// Power of the noise, in counts squared a pixel, at a frequency in units of Nyquist's, of an image of so many counts a pixel.
    pub fn noise_power(&self, q: f64, mean_counts: f64) -> f64 {
        self.gain_counts_per_electron * mean_counts * self.mtf(q).powi(2)
    }

    /// Electrons per square angstrom of an image of so many counts a pixel.
    pub fn dose_e_per_a2(&self, mean_counts: f64, pixel_angstrom: f64) -> f64 {
        mean_counts / (self.gain_counts_per_electron * pixel_angstrom * pixel_angstrom)
    }
}

fn transfer(q: f64, c3: f64, c4: f64) -> f64 {
    1.0 / (1.0 + (q / (2.0 * c3)).powf(c4))
}

/// Gain and transfer function from all images of a series.
///
/// # Errors
/// What [`FocalSeries::check`] refuses, and images whose noise has no curve of this form: ones that were filtered, or enlarged.
pub fn estimate_camera(series: &FocalSeries) -> Result<CameraEstimate, ReconstructError> {
    series.check()?;
    let images: Vec<_> = series.images.outer_iter().collect();
    estimate(&images)
}

/// Gain and transfer function from one image, shape `[y, x]`, in counts without offset.
///
/// # Errors
/// Images that are too small or have a mean that is not above zero, and as [`estimate_camera`].
pub fn estimate_camera_of_image(image: ArrayView2<'_, f32>) -> Result<CameraEstimate, ReconstructError> {
    estimate(&[image])
}

fn estimate(images: &[ArrayView2<'_, f32>]) -> Result<CameraEstimate, ReconstructError> {
    let rings = noise_rings(images)?;
    let mut kept: Vec<bool> = rings.iter().map(|ring| ring.q > FIRST_LOWEST).collect();
    let mut fit = fit_rings(&rings, &kept);
    for _ in 0..3 {
        let [gain, c3, c4] = in_words(&fit);
        // Inwards from where noise certainly prevails, until two rings in a row stand out.
        let (mut signal, mut last) = (false, 0.0);
        for index in (0..rings.len()).rev() {
            let ring = &rings[index];
            let expected = gain * transfer(ring.q, c3, c4).powi(2);
            let high = (ring.power - expected) / (ring.sigma / ring.power * expected);
            signal |= ring.q < FIRST_LOWEST && 0.5 * (high + last) > REJECT_PAIR;
            kept[index] = !signal && high < REJECT;
            last = high;
        }
        if kept.iter().filter(|kept| **kept).count() < 6 {
            break;
        }
        fit = fit_rings(&rings, &kept);
    }
    let [gain, c3, c4] = in_words(&fit);
    let count = kept.iter().filter(|kept| **kept).count();
    let variance = 2.0 * fit.cost / (count as f64 - 3.0).max(1.0);
    let sigma = |index: usize| fit.covariance.as_ref().map_or(f64::INFINITY, |c| (c[index * 4] * variance).sqrt());
    let good = gain.is_finite() && gain > 0.0 && c3.is_finite() && c4.is_finite() && c3 > 0.05 && c3 < 20.0;
    if !good || count < 6 {
        return Err(ReconstructError::OutOfRange {
            name: "half the frequency at which the camera's noise has fallen half way, in units of Nyquist's",
            found: c3,
            expected: "0.05 to 20: give images as the camera counted them, neither filtered nor enlarged",
        });
    }
    Ok(CameraEstimate {
        gain_counts_per_electron: gain,
        gain_sigma: gain * sigma(0),
        c3,
        c3_sigma: c3 * sigma(1),
        c4,
        c4_sigma: c4 * sigma(2),
        misfit: variance.sqrt(),
        rings: rings.iter().zip(&kept).map(|(ring, kept)| NoiseRing { is_noise: *kept, ..*ring }).collect(),
    })
}

fn in_words(fit: &Fit) -> [f64; 3] {
    [fit.parameters[0].exp(), fit.parameters[1].exp(), fit.parameters[2].exp()]
}

/// Fits logarithms of the gain, `c3` and `c4`. Beliefs that hardly weigh keep a flat spectrum from running away.
fn fit_rings(rings: &[NoiseRing], kept: &[bool]) -> Fit {
    let used: Vec<&NoiseRing> = rings.iter().zip(kept).filter(|(_, kept)| **kept).map(|(ring, _)| ring).collect();
    let inner: Vec<f64> = used.iter().take(5).map(|ring| ring.power).collect();
    let start = (inner.iter().sum::<f64>() / inner.len().max(1) as f64).max(1e-12);
    least_squares(&[start.ln(), 0.5_f64.ln(), 2.5_f64.ln()], &[0.1, 0.1, 0.1], |p, out| {
        out.clear();
        for ring in &used {
            let expected = p[0] + 2.0 * transfer(ring.q, p[1].exp(), p[2].exp()).ln();
            out.push((ring.power.ln() - expected) * ring.power / ring.sigma);
        }
        out.push((p[1] - 0.6_f64.ln()) / 2.0);
        out.push((p[2] - 2.5_f64.ln()) / 1.0);
    })
}

/// The power of rings, all images together, each over its mean.
fn noise_rings(images: &[ArrayView2<'_, f32>]) -> Result<Vec<NoiseRing>, ReconstructError> {
    let (ny, nx) = images.first().map_or((0, 0), |image| image.dim());
    if ny < crate::series::SMALLEST_SIDE || nx < crate::series::SMALLEST_SIDE {
        let expected = crate::series::SMALLEST_SIDE;
        return Err(ReconstructError::TooSmall { found_y: ny, found_x: nx, expected });
    }
    let (window_y, window_x) = (hann(ny), hann(nx));
    let square = |window: &[f32]| window.iter().map(|w| f64::from(w * w)).sum::<f64>();
    let scale = 1.0 / (square(&window_y) * square(&window_x) * images.len() as f64);
    let fourier = Fourier::<f32>::new(ny, nx);
    let spectra = images.par_iter().enumerate().map(|(index, image)| {
        let mean = image.iter().map(|value| f64::from(*value)).sum::<f64>() / (nx * ny) as f64;
        if !(mean.is_finite() && mean > 0.0) {
            return Err(ReconstructError::NoSignal { image: index, mean, deviation: 0.0 });
        }
        let mut values: Vec<Complex<f32>> = image
            .indexed_iter()
            .map(|((y, x), count)| Complex::new((count - mean as f32) * window_y[y] * window_x[x], 0.0))
            .collect();
        let mut spectrum = vec![Complex::new(0.0_f32, 0.0); nx * ny];
        fourier.forward(&mut values, &mut spectrum);
        Ok((spectrum, mean))
    });
    let mut power = vec![0.0_f64; nx * ny];
    for (spectrum, mean) in spectra.collect::<Result<Vec<_>, _>>()? {
        for (power, value) in power.iter_mut().zip(&spectrum) {
            *power += f64::from(value.norm_sqr()) * scale / mean;
        }
    }
    let count = MOST_RINGS.min(ny.min(nx) / 8).max(6);
    let q = |x: usize, y: usize| {
        let part = |index: usize, n: usize| 2.0 * index.min(n - index) as f64 / n as f64;
        part(x, nx).hypot(part(y, ny))
    };
    // The corners hold frequencies up to the square root of two.
    let total = (count as f64 * std::f64::consts::SQRT_2).floor() as usize;
    let mut members: Vec<Vec<f64>> = vec![Vec::new(); total];
    let mut sums = vec![0.0; total];
    for (index, power) in power.iter().enumerate() {
        let q = q(index / ny, index % ny);
        let ring = (q * count as f64) as usize;
        if ring < total {
            members[ring].push(*power);
            sums[ring] += q;
        }
    }
    // Mean of n exponential variables: a gamma distribution of shape n.
    let shape = images.len() as f64;
    let factor = gamma_quantile(QUANTILE, shape) / shape;
    let density = (-factor * shape + (shape - 1.0) * (factor * shape).ln() - puruspe::ln_gamma(shape)).exp() * shape;
    let mut rings = Vec::with_capacity(total);
    for (members, sum) in members.iter_mut().zip(&sums) {
        if members.len() < 20 {
            continue;
        }
        let place = (QUANTILE * members.len() as f64) as usize;
        let (_, low, _) = members.select_nth_unstable_by(place, f64::total_cmp);
        let power = *low / factor;
        // Standard error of a quantile: sqrt(p (1 - p) / n) over the density there.
        let independent = members.len() as f64 / MODES_IN_ONE;
        let relative = (QUANTILE * (1.0 - QUANTILE) / independent).sqrt() / (density * factor);
        if power > 0.0 {
            rings.push(NoiseRing { q: sum / members.len() as f64, power, sigma: power * relative, is_noise: false });
        }
    }
    if rings.len() < 6 {
        return Err(ReconstructError::NoSignal { image: 0, mean: 0.0, deviation: 0.0 });
    }
    Ok(rings)
}

/// A window that falls to nothing at both ends.
fn hann(n: usize) -> Vec<f32> {
    (0..n).map(|i| (std::f64::consts::PI * (i as f64 + 0.5) / n as f64).sin().powi(2) as f32).collect()
}
