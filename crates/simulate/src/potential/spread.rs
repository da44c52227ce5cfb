//! Structure factors of atoms that lie between the pixels.

use std::sync::Arc;

use num_complex::Complex;
use rayon::prelude::*;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

use super::{PlacedAtom, Placement};
use crate::Real;
use crate::fourier::{BLOCK, gather_block, store_block};

/// Structure factors by spreading on a finer grid.
pub(super) struct Spread<T: Real> {
    placement: Placement,
    nx: usize,
    ny: usize,
    fine_nx: usize,
    fine_ny: usize,
    /// One over the kernel's transform, by `|kx|` and by `|ky|`.
    correction_x: Vec<T>,
    correction_y: Vec<T>,
    fine_rows: Arc<dyn RealToComplex<T>>,
    fine_columns: Arc<dyn Fft<T>>,
    columns: Arc<dyn Fft<T>>,
    pub(super) to_real: Arc<dyn realfft::ComplexToReal<T>>,
}

/// Pixels of the fine grid that an atom is spread over, along x and along y.
const KERNEL_WIDTH: usize = 10;

/// The fine grid has this many times as many pixels along x and along y.
const OVERSAMPLING: f64 = 1.25;

/// Shape parameter of the kernel for that width and oversampling: 0.97 pi w (1 - 1 / (2 sigma)).
const KERNEL_BETA: f64 = 0.97 * std::f64::consts::PI * KERNEL_WIDTH as f64 * (1.0 - 0.5 / OVERSAMPLING);

/// Barnett's kernel at a distance in pixels of the fine grid from its centre.
fn kernel(distance: f64) -> f64 {
    let t = 2.0 * distance / KERNEL_WIDTH as f64;
    if t.abs() >= 1.0 { 0.0 } else { (KERNEL_BETA * ((1.0 - t * t).sqrt() - 1.0)).exp() }
}

/// One over the transform of the kernel at frequencies 0, 1, .. n / 2 of a grid of `fine` pixels.
fn kernel_correction<T: Real>(n: usize, fine: usize) -> Vec<T> {
    const POINTS: usize = 400;
    let half = KERNEL_WIDTH as f64 / 2.0;
    let step = half / POINTS as f64;
    (0..=n / 2)
        .map(|frequency| {
            let turn = std::f64::consts::TAU * frequency as f64 / fine as f64;
            let sum: f64 = (0..POINTS)
                .map(|point| {
                    let distance = (point as f64 + 0.5) * step;
                    kernel(distance) * (turn * distance).cos()
                })
                .sum();
            T::of(1.0 / (2.0 * sum * step))
        })
        .collect()
}

impl<T: Real> Spread<T> {
    pub(super) fn new(nx: usize, ny: usize, placement: Placement) -> Spread<T> {
        let fine = |n: usize| match placement {
            Placement::Exact => {
                atomlens_core::grid::next_fast_length((n as f64 * OVERSAMPLING).ceil() as usize).max(2 * KERNEL_WIDTH)
            }
            Placement::Bilinear => n,
        };
        let correction = |n: usize| match placement {
            Placement::Exact => kernel_correction(n, fine(n)),
            Placement::Bilinear => vec![T::one(); n / 2 + 1],
        };
        let (fine_nx, fine_ny) = (fine(nx), fine(ny));
        let mut real = RealFftPlanner::new();
        let mut complex = FftPlanner::new();
        Spread {
            placement,
            nx,
            ny,
            fine_nx,
            fine_ny,
            correction_x: correction(nx),
            correction_y: correction(ny),
            fine_rows: real.plan_fft_forward(fine_nx),
            fine_columns: complex.plan_fft_forward(fine_ny),
            columns: complex.plan_fft_inverse(ny),
            to_real: real.plan_fft_inverse(nx),
        }
    }

    /// Adds `factors times structure factor` to the half spectrum `out`, shape `[nx / 2 + 1, padded][ky]`.
    pub(super) fn accumulate(&self, atoms: &[PlacedAtom], factors: &[T], scale: T, out: &mut [Complex<T>]) {
        let zero = Complex::new(T::zero(), T::zero());
        let half = self.nx / 2 + 1;
        let width = half.next_multiple_of(BLOCK);
        let spread = self.spread(atoms);
        let mut rows = vec![zero; self.fine_ny * width];
        rows.par_chunks_mut(width * 16).zip(spread.par_chunks(self.fine_nx * 16)).for_each_init(
            || (self.fine_rows.make_scratch_vec(), vec![T::zero(); self.fine_nx], vec![zero; self.fine_nx / 2 + 1]),
            |(scratch, real, complex), (rows, spread)| {
                for (row, spread) in rows.chunks_exact_mut(width).zip(spread.chunks_exact(self.fine_nx)) {
                    // Rows that no atom touches stay zero: most of them, beside a particle.
                    if spread.iter().all(|value| value.is_zero()) {
                        continue;
                    }
                    real.copy_from_slice(spread);
                    // The lengths are the plan's own, so this cannot fail.
                    let _ = self.fine_rows.process_with_scratch(real, complex, scratch);
                    row[..half].copy_from_slice(&complex[..half]);
                }
            },
        );
        let quadrant_rows = self.ny / 2 + 1;
        let up = self.ny.div_ceil(2);
        let down = self.ny - up;
        out.par_chunks_mut(self.ny * BLOCK).enumerate().for_each_init(
            || (vec![zero; BLOCK * self.fine_ny], vec![zero; self.fine_columns.get_inplace_scratch_len()]),
            |(columns, scratch), (block, out)| {
                let first = block * BLOCK;
                gather_block(&rows, width, first, self.fine_ny, columns);
                self.fine_columns.process_with_scratch(columns, scratch);
                for (offset, out) in out.chunks_exact_mut(self.ny).take(half - first.min(half)).enumerate() {
                    let column = &columns[offset * self.fine_ny..(offset + 1) * self.fine_ny];
                    let factors = &factors[(first + offset) * quadrant_rows..(first + offset + 1) * quadrant_rows];
                    let scale = scale * self.correction_x[first + offset];
                    let (positive, negative) = out.split_at_mut(up);
                    let weights = factors.iter().zip(&self.correction_y);
                    for ((out, value), (factor, correction)) in positive.iter_mut().zip(column).zip(weights) {
                        *out += value * (*factor * *correction * scale);
                    }
                    let column = &column[self.fine_ny - down..];
                    let weights = factors[1..=down].iter().zip(&self.correction_y[1..=down]).rev();
                    for ((out, value), (factor, correction)) in negative.iter_mut().zip(column).zip(weights) {
                        *out += value * (*factor * *correction * scale);
                    }
                }
            },
        );
    }

    /// The atoms spread with the kernel, shape `[fine_ny, fine_nx]`.
    fn spread(&self, atoms: &[PlacedAtom]) -> Vec<T> {
        let mut grid = vec![T::zero(); self.fine_nx * self.fine_ny];
        for atom in atoms {
            let (first_x, weights_x) = self.weights(atom.x * self.fine_nx as f64);
            let (first_y, weights_y) = self.weights(atom.y * self.fine_ny as f64);
            for (dy, weight_y) in weights_y.iter().enumerate() {
                let y = (first_y + dy as i64).rem_euclid(self.fine_ny as i64) as usize;
                let row = &mut grid[y * self.fine_nx..(y + 1) * self.fine_nx];
                for (dx, weight_x) in weights_x.iter().enumerate() {
                    let x = (first_x + dx as i64).rem_euclid(self.fine_nx as i64) as usize;
                    row[x] += T::of(atom.weight * weight_x * weight_y);
                }
            }
        }
        grid
    }

    /// The first pixel and the weights of the kernel around a place in pixels.
    fn weights(&self, place: f64) -> (i64, [f64; KERNEL_WIDTH]) {
        match self.placement {
            Placement::Exact => {
                let first = (place - KERNEL_WIDTH as f64 / 2.0).ceil();
                (first as i64, std::array::from_fn(|i| kernel(first + i as f64 - place)))
            }
            Placement::Bilinear => {
                let mut weights = [0.0; KERNEL_WIDTH];
                weights[1] = place - place.floor();
                weights[0] = 1.0 - weights[1];
                (place.floor() as i64, weights)
            }
        }
    }

    /// Transforms the half spectrum along y, into the blocked layout.
    pub(super) fn columns_to_places(&self, spectrum: &mut [Complex<T>], blocks: &mut [Complex<T>]) {
        let block = self.ny * BLOCK;
        spectrum.par_chunks_mut(block).zip(blocks.par_chunks_mut(block)).for_each_init(
            || vec![Complex::new(T::zero(), T::zero()); self.columns.get_inplace_scratch_len()],
            |scratch, (columns, out)| {
                self.columns.process_with_scratch(columns, scratch);
                store_block(columns, self.ny, out);
            },
        );
    }
}
