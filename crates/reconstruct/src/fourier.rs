//! Transforms of whole two-dimensional arrays.
//!
//! The transform itself is rustfft's, by rows, transposed in tiles. Sums are unscaled in both directions. A spectrum is
//! stored transposed, `[kx, ky]`, in the transform's order: nobody looks at it but filters, and half of the
//! transpositions are saved.

use std::sync::Arc;

use num_complex::Complex;
use rayon::prelude::*;
use rustfft::{Fft, FftNum, FftPlanner};

/// Edge of the tiles of a transposition.
const TILE: usize = 16;

/// Transforms of arrays of one size.
#[derive(Clone)]
pub struct Fourier<T: FftNum> {
    /// Rows.
    pub ny: usize,
    /// Columns.
    pub nx: usize,
    along_x: [Arc<dyn Fft<T>>; 2],
    along_y: [Arc<dyn Fft<T>>; 2],
}

impl<T: FftNum> std::fmt::Debug for Fourier<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fourier").field("ny", &self.ny).field("nx", &self.nx).finish_non_exhaustive()
    }
}

impl<T: FftNum> Fourier<T> {
    /// Transforms of arrays of `ny` rows and `nx` columns.
    pub fn new(ny: usize, nx: usize) -> Fourier<T> {
        let mut planner = FftPlanner::new();
        Fourier {
            ny,
            nx,
            along_x: [planner.plan_fft_forward(nx), planner.plan_fft_inverse(nx)],
            along_y: [planner.plan_fft_forward(ny), planner.plan_fft_inverse(ny)],
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.ny * self.nx
    }

    /// Whether the arrays have no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From places `[y, x]` to the spectrum `[kx, ky]`, unscaled; `values` is overwritten.
    ///
    /// # Panics
    /// If the lengths are not `ny` times `nx`.
    pub fn forward(&self, values: &mut [Complex<T>], spectrum: &mut [Complex<T>]) {
        assert!(values.len() == self.len() && spectrum.len() == self.len(), "arrays have the size of the transform");
        lines(&self.along_x[0], values, self.nx);
        transpose(values, spectrum, self.nx, self.ny);
        lines(&self.along_y[0], spectrum, self.ny);
    }

    /// From the spectrum `[kx, ky]` to places `[y, x]`, unscaled; `spectrum` is overwritten.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn inverse(&self, spectrum: &mut [Complex<T>], values: &mut [Complex<T>]) {
        assert!(values.len() == self.len() && spectrum.len() == self.len(), "arrays have the size of the transform");
        lines(&self.along_y[1], spectrum, self.ny);
        transpose(spectrum, values, self.ny, self.nx);
        lines(&self.along_x[1], values, self.nx);
    }
}

/// Transforms lines of `length` in place.
fn lines<T: FftNum>(fft: &Arc<dyn Fft<T>>, values: &mut [Complex<T>], length: usize) {
    values.par_chunks_mut(length * TILE).for_each_init(
        || vec![Complex::new(T::zero(), T::zero()); fft.get_inplace_scratch_len()],
        |scratch, values| fft.process_with_scratch(values, scratch),
    );
}

/// `to[i, j] = from[j, i]`, where `from` has rows of `width` elements and `to` rows of `height`.
fn transpose<T: FftNum>(from: &[Complex<T>], to: &mut [Complex<T>], width: usize, height: usize) {
    to.par_chunks_mut(height * TILE).enumerate().for_each(|(band, to)| {
        let first = band * TILE;
        let rows = to.len() / height;
        for top in (0..height).step_by(TILE) {
            for row in 0..rows {
                let out = &mut to[row * height + top..row * height + (top + TILE).min(height)];
                for (offset, value) in out.iter_mut().enumerate() {
                    *value = from[(top + offset) * width + first + row];
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_wave_is_one_element_and_comes_back() {
        let (ny, nx) = (37, 50);
        let fourier = Fourier::<f64>::new(ny, nx);
        let wave = |y: usize, x: usize| {
            let turns = 3.0 * x as f64 / nx as f64 - 5.0 * y as f64 / ny as f64;
            Complex::from_polar(1.0, std::f64::consts::TAU * turns)
        };
        let mut values: Vec<_> = (0..ny * nx).map(|i| wave(i / nx, i % nx)).collect();
        let original = values.clone();
        let mut spectrum = vec![Complex::default(); ny * nx];
        fourier.forward(&mut values, &mut spectrum);
        for (index, value) in spectrum.iter().enumerate() {
            let expected = if index == 3 * ny + (ny - 5) { (ny * nx) as f64 } else { 0.0 };
            assert!((value - expected).norm() < 1e-9, "{index}: {value}");
        }
        fourier.inverse(&mut spectrum, &mut values);
        for (value, original) in values.iter().zip(&original) {
            assert!((value / (ny * nx) as f64 - original).norm() < 1e-12);
        }
    }
}
