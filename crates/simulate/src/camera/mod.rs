//! The camera: from intensity to counts.
//!
//! The order of what happens is that of docs/conventions.md: the intensity (blurred by motion already) falls on
//! the detector's own pixels; electrons arrive with Poisson noise; the scintillator spreads each of them;
//! pixels are binned; readout adds dark noise, gain and offset; hot pixels and saturation come last.
//!
//! Signal and noise are not spread alike in a real camera: the signal by the modulation transfer
//! function (MTF), the noise by the noise transfer function (NTF), which is the higher one since not every electron
//! leaves the same light (R. R. Meyer and A. I. Kirkland, Microsc. Res. Tech. 49, 269 (2000)). With counts `n` of mean
//! `m`, the frame's transform is `MTF m + NTF (n - m)`; with `NTF = MTF` that is the MTF on the counts.

mod curve;

pub use curve::TransferCurve;

use atomlens_core::{Grid, SeedPath};
use ndarray::Array2;
use rand::RngExt;
use rand_distr::Distribution as _;
use rayon::prelude::*;

use crate::SimulateError;
use crate::resample::resample;

/// What a frame is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelType {
    /// 32-bit floating point, not rounded.
    #[default]
    F32,
    /// Unsigned 16 bit.
    U16,
    /// Unsigned 8 bit.
    U8,
}

impl PixelType {
    /// The largest count that can be stored.
    pub fn largest(self) -> Option<f64> {
        match self {
            PixelType::F32 => None,
            PixelType::U16 => Some(65_535.0),
            PixelType::U8 => Some(255.0),
        }
    }
}

/// A camera and how it is read out.
#[derive(Debug, Clone, PartialEq)]
pub struct Camera {
    /// How the signal is spread.
    pub mtf: TransferCurve,
    /// How the noise is spread; as the signal if `None`.
    pub ntf: Option<TransferCurve>,
    /// The detector's pixels that are added to one of the frame, along each direction.
    pub binning: usize,
    /// Standard deviation of the noise of readout and dark current, in electrons per pixel of the frame.
    pub dark_noise_electrons: f64,
    /// Counts per electron.
    pub gain_counts_per_electron: f64,
    /// Counts without any electron.
    pub offset_counts: f64,
    /// Share of pixels that are hot.
    pub hot_pixel_fraction: f64,
    /// Counts that a hot pixel has more than it should, on average (exponentially distributed).
    pub hot_pixel_counts: f64,
    /// Counts above which a pixel is full.
    pub saturation_counts: Option<f64>,
    /// What the frame is stored as.
    pub pixel_type: PixelType,
}

impl Default for Camera {
    /// A perfect counting camera.
    fn default() -> Self {
        Camera {
            mtf: TransferCurve::Perfect,
            ntf: None,
            binning: 1,
            dark_noise_electrons: 0.0,
            gain_counts_per_electron: 1.0,
            offset_counts: 0.0,
            hot_pixel_fraction: 0.0,
            hot_pixel_counts: 0.0,
            saturation_counts: None,
            pixel_type: PixelType::F32,
        }
    }
}

/// Hot pixels are few and always at the same places: drawn once, used for every frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HotPixels(Vec<(usize, f32)>);

impl Camera {
    /// Refuses what no camera is.
    pub fn check(&self) -> Result<(), SimulateError> {
        if !(1..=16).contains(&self.binning) {
            return Err(SimulateError::OutOfRange { name: "binning", found: self.binning as f64, expected: "1 to 16" });
        }
        SimulateError::positive("gain in counts per electron", self.gain_counts_per_electron)?;
        for (name, found) in [
            ("dark noise in electrons", self.dark_noise_electrons),
            ("offset in counts", self.offset_counts),
            ("hot pixels' counts", self.hot_pixel_counts),
        ] {
            if !(found.is_finite() && found >= 0.0) {
                return Err(SimulateError::OutOfRange { name, found, expected: "a finite number, 0 or more" });
            }
        }
        if !(0.0..=1.0).contains(&self.hot_pixel_fraction) {
            return Err(SimulateError::OutOfRange {
                name: "share of hot pixels",
                found: self.hot_pixel_fraction,
                expected: "0 to 1",
            });
        }
        self.mtf.check()?;
        self.ntf.as_ref().map_or(Ok(()), TransferCurve::check)
    }

    /// Draws this camera's hot pixels for frames of `nx` times `ny` pixels.
    pub fn hot_pixels(&self, nx: usize, ny: usize, seed: SeedPath) -> HotPixels {
        if self.hot_pixel_fraction <= 0.0 || self.hot_pixel_counts <= 0.0 {
            return HotPixels::default();
        }
        let mut random = seed.child("hot pixels").stream();
        HotPixels(
            (0..nx * ny)
                .filter_map(|index| {
                    let hot = random.random::<f64>() < self.hot_pixel_fraction;
                    let excess: f64 = rand_distr::Exp1.sample(&mut random);
                    hot.then_some((index, (excess * self.hot_pixel_counts) as f32))
                })
                .collect(),
        )
    }

    /// Exposes one frame.
    ///
    /// `intensity`, shape `[y, x]` on `grid`, is relative to the incident beam and has one element for each of
    /// the detector's pixels; a frame has `binning` times fewer along each direction. The frame's values are counts; rounded and
    /// clipped to what the pixel type can hold.
    ///
    /// # Errors
    /// Doses that are not positive, images that binning does not divide, intensities that are not finite.
    pub fn expose(
        &self,
        intensity: &Array2<f32>,
        grid: Grid,
        dose_e_per_a2: f64,
        hot: &HotPixels,
        seed: SeedPath,
    ) -> Result<Array2<f32>, SimulateError> {
        self.check()?;
        SimulateError::positive("dose in electrons per square angstrom", dose_e_per_a2)?;
        let (ny, nx) = intensity.dim();
        for (name, count) in [("pixels along x", nx), ("pixels along y", ny)] {
            if count % self.binning != 0 {
                return Err(SimulateError::OutOfRange {
                    name,
                    found: count as f64,
                    expected: "a multiple of the binning",
                });
            }
        }
        let not_finite = || intensity.indexed_iter().filter(|(_, value)| !value.is_finite());
        if let Some(((y, x), _)) = not_finite().next() {
            return Err(SimulateError::NotFinite { what: "image", count: not_finite().count(), y, x });
        }
        let electrons_per_pixel = (dose_e_per_a2 * grid.pixel_area_square_angstrom()) as f32;
        // Resampling can leave a dark pixel slightly below zero.
        let mean = intensity.mapv(|value| value.max(0.0) * electrons_per_pixel);
        let mut counted = poisson(&mean, seed.child("electrons"));
        if let Some(ntf) = self.ntf.as_ref().filter(|ntf| **ntf != self.mtf) {
            let noise = &counted - &mean;
            let spread_noise = spread(&noise, grid, ntf)?;
            counted = spread(&mean, grid, &self.mtf)?;
            counted += &spread_noise;
        } else {
            counted = spread(&counted, grid, &self.mtf)?;
        }
        Ok(self.read_out(&bin(&counted, self.binning), hot, seed.child("readout")))
    }

    fn read_out(&self, electrons: &Array2<f32>, hot: &HotPixels, seed: SeedPath) -> Array2<f32> {
        let (ny, nx) = electrons.dim();
        let mut counts = electrons.as_standard_layout().into_owned();
        let dark_noise = self.dark_noise_electrons as f32;
        let (gain, offset) = (self.gain_counts_per_electron as f32, self.offset_counts as f32);
        by_rows(&mut counts, |y, row| {
            if dark_noise > 0.0 {
                let mut random = seed.index(y as u64).stream();
                for value in row.iter_mut() {
                    let noise: f32 = rand_distr::StandardNormal.sample(&mut random);
                    *value += dark_noise * noise;
                }
            }
            for value in row {
                *value = *value * gain + offset;
            }
        });
        let slice = counts.as_slice_mut().expect("a standard layout is contiguous");
        for (index, excess) in &hot.0 {
            if *index < nx * ny {
                slice[*index] += excess;
            }
        }
        let full =
            [self.saturation_counts, self.pixel_type.largest()].into_iter().flatten().fold(f64::INFINITY, f64::min);
        for value in slice {
            if self.pixel_type != PixelType::F32 {
                *value = value.round().max(0.0);
            }
            *value = value.min(full as f32);
        }
        counts
    }
}

/// Work on the rows of an image in parallel; every row draws from a stream of its own, so that the number
/// of threads does not matter.
fn by_rows(image: &mut Array2<f32>, work: impl Fn(usize, &mut [f32]) + Sync) {
    let nx = image.ncols().max(1);
    let slice = image.as_slice_mut().expect("images are made in standard layout");
    slice.par_chunks_mut(nx).enumerate().for_each(|(y, row)| work(y, row));
}

/// Numbers of electrons for their means.
fn poisson(mean: &Array2<f32>, seed: SeedPath) -> Array2<f32> {
    let mut counted = mean.as_standard_layout().into_owned();
    by_rows(&mut counted, |y, row| {
        let mut random = seed.index(y as u64).stream();
        for value in row {
            *value = match rand_distr::Poisson::new(*value) {
                Ok(distribution) => distribution.sample(&mut random),
                // A mean of zero.
                Err(_) => 0.0,
            };
        }
    });
    counted
}

fn spread(image: &Array2<f32>, grid: Grid, curve: &TransferCurve) -> Result<Array2<f32>, SimulateError> {
    if *curve == TransferCurve::Perfect {
        return Ok(image.clone());
    }
    let (nyquist_x, nyquist_y) = (0.5 / grid.pixel_x_angstrom, 0.5 / grid.pixel_y_angstrom);
    resample(image, grid, grid.nx, grid.ny, |kx, ky| curve.at((kx / nyquist_x).hypot(ky / nyquist_y)))
}

/// Sums squares of `binning` times `binning` pixels.
fn bin(image: &Array2<f32>, binning: usize) -> Array2<f32> {
    if binning == 1 {
        return image.clone();
    }
    let (ny, nx) = image.dim();
    Array2::from_shape_fn((ny / binning, nx / binning), |(y, x)| {
        image.slice(ndarray::s![y * binning..(y + 1) * binning, x * binning..(x + 1) * binning]).sum()
    })
}

#[cfg(test)]
mod tests;
