//! Transforms of real images in two dimensions.

use std::sync::Arc;

use ndarray::Array2;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

/// Plans for one size of image.
///
/// Spectra have the shape `[kx, ky]` with `nx / 2 + 1` values of `kx`, the other half being their conjugates.
pub(super) struct Fourier {
    pub(super) nx: usize,
    pub(super) ny: usize,
    rows: Arc<dyn RealToComplex<f32>>,
    rows_back: Arc<dyn ComplexToReal<f32>>,
    columns: Arc<dyn Fft<f32>>,
    columns_back: Arc<dyn Fft<f32>>,
}

impl Fourier {
    pub(super) fn new(nx: usize, ny: usize) -> Fourier {
        let (mut real, mut complex) = (RealFftPlanner::new(), FftPlanner::new());
        Fourier {
            nx,
            ny,
            rows: real.plan_fft_forward(nx),
            rows_back: real.plan_fft_inverse(nx),
            columns: complex.plan_fft_forward(ny),
            columns_back: complex.plan_fft_inverse(ny),
        }
    }

    /// The sum over pixels of `image exp(-i k r)`.
    pub(super) fn forward(&self, image: &Array2<f32>) -> Array2<Complex<f32>> {
        let half = self.nx / 2 + 1;
        let mut spectrum = Array2::zeros((half, self.ny));
        let (mut line, mut out) = (self.rows.make_input_vec(), self.rows.make_output_vec());
        for (j, row) in image.outer_iter().enumerate() {
            line.iter_mut().zip(row).for_each(|(to, from)| *to = *from);
            self.rows.process(&mut line, &mut out).expect("the plan is of this size");
            out.iter().enumerate().for_each(|(i, value)| spectrum[[i, j]] = *value);
        }
        self.columns.process(spectrum.as_slice_mut().expect("standard layout"));
        spectrum
    }

    /// The sum over all frequencies of `spectrum exp(i k r)`, not divided by their number.
    pub(super) fn backward(&self, mut spectrum: Array2<Complex<f32>>) -> Array2<f32> {
        self.columns_back.process(spectrum.as_slice_mut().expect("standard layout"));
        let mut image = Array2::zeros((self.ny, self.nx));
        let (mut line, mut out) = (self.rows_back.make_input_vec(), self.rows_back.make_output_vec());
        for (j, mut row) in image.outer_iter_mut().enumerate() {
            line.iter_mut().enumerate().for_each(|(i, value)| *value = spectrum[[i, j]]);
            // Rounding leaves these parts not quite at zero, which a real image demands.
            line[0].im = 0.0;
            if self.nx.is_multiple_of(2) {
                line[self.nx / 2].im = 0.0;
            }
            self.rows_back.process(&mut line, &mut out).expect("the plan is of this size");
            row.iter_mut().zip(&out).for_each(|(to, from)| *to = *from);
        }
        image
    }

    /// Frequencies along x and y of a spectrum, in radian a pixel.
    pub(super) fn frequencies(&self) -> (Vec<f64>, Vec<f64>) {
        let signed = |index: usize, n: usize| {
            let index = if index > n / 2 { index as f64 - n as f64 } else { index as f64 };
            std::f64::consts::TAU * index / n as f64
        };
        ((0..self.nx / 2 + 1).map(|i| signed(i, self.nx)).collect(), (0..self.ny).map(|j| signed(j, self.ny)).collect())
    }

    /// How often a frequency `kx` counts: those without a conjugate in the spectrum once, the others twice.
    pub(super) fn copies(&self, i: usize) -> f64 {
        if i == 0 || 2 * i == self.nx { 1.0 } else { 2.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_again_for_even_and_odd_sizes() {
        for (nx, ny) in [(16, 12), (15, 9), (6, 7)] {
            let image = Array2::from_shape_fn((ny, nx), |(j, i)| ((7 * j + 3 * i * i) % 11) as f32);
            let fourier = Fourier::new(nx, ny);
            let back = fourier.backward(fourier.forward(&image)) / (nx * ny) as f32;
            assert!((back - &image).iter().all(|off| off.abs() < 1e-4));
            // Parseval, with every frequency counted as often as it occurs.
            let spectrum = fourier.forward(&image);
            let power: f64 = spectrum
                .indexed_iter()
                .map(|((i, _), value)| fourier.copies(i) * f64::from(value.norm_sqr()))
                .sum::<f64>()
                / (nx * ny) as f64;
            let expected: f64 = image.iter().map(|value| f64::from(value * value)).sum();
            assert!((power / expected - 1.0).abs() < 1e-5);
        }
    }
}
