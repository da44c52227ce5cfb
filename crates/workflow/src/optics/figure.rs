//! The power spectrum of an image with the rings of a lens on it.

use std::f64::consts::PI;
use std::path::Path;

use atomlens_reconstruct::fourier::Fourier;
use atomlens_reconstruct::thon::ThonEstimate;
use atomlens_report::SpectrumFigure;
use atomlens_simulate::electron::wavelength_angstrom;
use ndarray::{Array2, s};
use num_complex::Complex;

use crate::WorkflowError;

/// Rings that are drawn, at most, of either sign of the phase.
const MOST_RINGS: i32 = 8;
/// Points of a ring.
const POINTS: usize = 180;
/// Steps along which a zero of the transfer is looked for.
const STEPS: usize = 400;

/// A spectrum and what was found in it. Frequencies in 1 / angstrom.
pub(super) struct Spectrum<'a> {
    /// Power, frequency zero in the middle.
    power: Array2<f32>,
    step: f64,
    nyquist: f64,
    wavelength: f64,
    estimate: &'a ThonEstimate,
}

impl<'a> Spectrum<'a> {
    /// Of the largest square in the middle of an image, under a window that falls to zero at its border.
    pub(super) fn of(
        image: &Array2<f32>,
        pixel_angstrom: f64,
        energy_kev: f64,
        estimate: &'a ThonEstimate,
    ) -> Spectrum<'a> {
        let (ny, nx) = image.dim();
        let side = nx.min(ny);
        let (top, left) = ((ny - side) / 2, (nx - side) / 2);
        let square = image.slice(s![top..top + side, left..left + side]);
        let mean = square.mean().unwrap_or(0.0);
        let window = |index: usize| 0.5 - 0.5 * (2.0 * PI * (index as f64 + 0.5) / side as f64).cos();
        let mut values: Vec<Complex<f32>> = square
            .indexed_iter()
            .map(|((y, x), value)| Complex::new((value - mean) * (window(y) * window(x)) as f32, 0.0))
            .collect();
        let mut spectrum = vec![Complex::default(); side * side];
        Fourier::new(side, side).forward(&mut values, &mut spectrum);
        // The spectrum is [kx, ky] in the transform's order.
        let at = |index: usize| (index + side - side / 2) % side;
        let power = Array2::from_shape_fn((side, side), |(y, x)| spectrum[at(x) * side + at(y)].norm_sqr());
        Spectrum {
            power,
            step: 1.0 / (side as f64 * pixel_angstrom),
            nyquist: 0.5 / pixel_angstrom,
            wavelength: wavelength_angstrom(1e3 * energy_kev),
            estimate,
        }
    }

    /// `chi` of the lens that was found, in units of pi.
    fn chi_over_pi(&self, k: f64, angle: f64) -> f64 {
        let ThonEstimate { defocus_angstrom, c12_angstrom, phi12_rad, cs_angstrom, .. } = self.estimate;
        let (lambda, k2) = (self.wavelength, k * k);
        lambda * k2 * (c12_angstrom * (2.0 * (angle - phi12_rad)).cos() - defocus_angstrom)
            + 0.5 * lambda.powi(3) * cs_angstrom * k2 * k2
    }

    /// Where the transfer is zero: lines through `[kx, ky]` in 1/nm, those that go all around.
    fn rings(&self) -> Vec<Vec<[f64; 2]>> {
        if !self.estimate.has_rings {
            return Vec::new();
        }
        let highest = self.estimate.highest_per_angstrom.min(self.nyquist);
        let numbers = (-MOST_RINGS..=MOST_RINGS).filter(|number| *number != 0);
        let ring = |number: i32| -> Option<Vec<[f64; 2]>> {
            (0..=POINTS)
                .map(|point| {
                    let angle = 2.0 * PI * point as f64 / POINTS as f64;
                    let k = self.zero(f64::from(number), angle, highest)?;
                    Some([10.0 * k * angle.cos(), 10.0 * k * angle.sin()])
                })
                .collect()
        };
        numbers.filter_map(ring).collect()
    }

    /// The lowest frequency at which `chi` is so many times pi.
    fn zero(&self, number: f64, angle: f64, highest: f64) -> Option<f64> {
        let off = |k: f64| self.chi_over_pi(k, angle) - number;
        let at = |step: usize| highest * step as f64 / STEPS as f64;
        let (mut low, mut high) =
            (1..=STEPS).map(|step| (at(step - 1), at(step))).find(|(low, high)| off(*low) * off(*high) <= 0.0)?;
        for _ in 0..30 {
            let middle = 0.5 * (low + high);
            if off(low) * off(middle) <= 0.0 { high = middle } else { low = middle }
        }
        Some(0.5 * (low + high))
    }

    /// Mean over circles, frequency in 1/nm.
    fn profile(&self) -> Vec<(f64, f64)> {
        let side = self.power.nrows();
        let middle = side / 2;
        let (mut sums, mut counts) = (vec![0.0; middle], vec![0_usize; middle]);
        for ((y, x), power) in self.power.indexed_iter() {
            let radius = (x as f64 - middle as f64).hypot(y as f64 - middle as f64).round() as usize;
            if radius < middle {
                sums[radius] += f64::from(*power);
                counts[radius] += 1;
            }
        }
        let mean = |radius: usize| sums[radius] / counts[radius].max(1) as f64;
        (2..middle).map(|radius| (10.0 * self.step * radius as f64, mean(radius))).collect()
    }

    /// Draws it.
    pub(super) fn write(&self, path: &Path, caption: String) -> Result<(), WorkflowError> {
        let figure = SpectrumFigure {
            name: String::new(),
            power: self.power.view(),
            step_per_nm: 10.0 * self.step,
            rings_per_nm: self.rings(),
            profile: self.profile(),
            fitted: Vec::new(),
            caption,
        };
        Ok(figure.drawing()?.write_png(path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_lie_where_chi_is_a_multiple_of_pi() {
        let estimate = ThonEstimate {
            defocus_angstrom: 800.0,
            defocus_sigma_angstrom: 1.0,
            c12_angstrom: 50.0,
            c12_sigma_angstrom: 1.0,
            phi12_rad: 0.0,
            cs_angstrom: 0.0,
            cs_sigma_angstrom: 0.0,
            significance: 20.0,
            has_rings: true,
            others: Vec::new(),
            highest_per_angstrom: 0.5,
        };
        let image = Array2::from_shape_fn((64, 64), |(y, x)| ((7 * x + 3 * y) % 5) as f32);
        let spectrum = Spectrum::of(&image, 0.5, 80.0, &estimate);
        let rings = spectrum.rings();
        // lambda k^2 (800 -/+ 50) = n: along x the lens has 750 angstrom, along y 850.
        let lambda = 0.041757;
        let number = (lambda * 0.25 * 750.0_f64).floor() as usize;
        assert_eq!(rings.len(), number);
        let first = rings.iter().map(|ring| ring[0][0]).fold(f64::INFINITY, f64::min);
        assert!((first - 10.0 / (lambda * 750.0).sqrt()).abs() < 0.01, "{first}");
        // One frequency is where it should be: 16 of 64 steps from the middle along x.
        let wave = Array2::from_shape_fn((64, 64), |(_, x)| (2.0 * PI * 16.0 * x as f64 / 64.0).cos() as f32);
        let peak = Spectrum::of(&wave, 0.5, 80.0, &estimate);
        let (place, _) = peak.power.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        assert!(place == (32, 48) || place == (32, 16), "{place:?}");
    }
}
