//! Structure factors of atoms that lie between the pixels.

use std::sync::Arc;

use num_complex::Complex;
use rayon::prelude::*;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

use super::{PlacedAtom, Placement};
use crate::Real;
use crate::fourier::{BLOCK, store_block};

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

/// Which of a slice's contributions it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) first: bool,
    pub(super) last: bool,
}

/// What structure factors are computed in, kept from slice to slice.
pub(super) struct SpreadSpace<T> {
    /// Rows of the fine grid that an atom touches; beside a particle most are empty.
    touched: Vec<usize>,
    /// Those rows, shape `[touched][fine_nx]`.
    fine: Vec<T>,
    /// Their transforms, shape `[touched][nx / 2 + 1, padded]`.
    rows: Vec<Complex<T>>,
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

    /// Space for [`accumulate`](Self::accumulate).
    pub(super) fn space(&self) -> SpreadSpace<T> {
        SpreadSpace { touched: Vec::new(), fine: Vec::new(), rows: Vec::new() }
    }

    /// Adds `factors times structure factor` to what a slice has so far. `blocks` holds the sum, a half spectrum with its columns one
    /// after the other; the first contribution replaces what was there, and behind the last the columns are transformed to
    /// places and stored in the blocked layout of [`crate::fourier`].
    pub(super) fn accumulate(
        &self,
        atoms: &[PlacedAtom],
        factors: &[T],
        scale: T,
        turn: Turn,
        space: &mut SpreadSpace<T>,
        blocks: &mut [Complex<T>],
    ) {
        let zero = Complex::new(T::zero(), T::zero());
        let half = self.nx / 2 + 1;
        let width = half.next_multiple_of(BLOCK);
        self.spread(atoms, space);
        let SpreadSpace { touched, fine, rows } = space;
        rows.resize(touched.len() * width, zero);
        rows.par_chunks_mut(width).zip(fine.par_chunks_mut(self.fine_nx)).for_each_init(
            || (self.fine_rows.make_scratch_vec(), vec![zero; self.fine_nx / 2 + 1]),
            |(scratch, complex), (row, fine)| {
                // The lengths are the plan's own, so this cannot fail.
                let _ = self.fine_rows.process_with_scratch(fine, complex, scratch);
                row[..half].copy_from_slice(&complex[..half]);
            },
        );
        let quadrant_rows = self.ny / 2 + 1;
        // A cache line more than a column needs: columns of a power of two would share few places of the cache.
        let stride = self.fine_ny + BLOCK;
        let up = self.ny.div_ceil(2);
        let down = self.ny - up;
        let sum_stride = self.ny + BLOCK;
        let scratch = self.fine_columns.get_inplace_scratch_len().max(self.columns.get_inplace_scratch_len());
        blocks.par_chunks_mut(self.ny * BLOCK).enumerate().for_each_init(
            || (vec![zero; BLOCK * stride], vec![zero; BLOCK * sum_stride], vec![zero; scratch]),
            |(columns, sums, scratch), (block, out)| {
                let first = block * BLOCK;
                columns.fill(zero);
                for (row, y) in rows.chunks_exact(width).zip(touched.iter()) {
                    for (column, value) in columns[*y..].iter_mut().step_by(stride).zip(&row[first..first + BLOCK]) {
                        *column = *value;
                    }
                }
                for offset in 0..BLOCK {
                    let sum = &mut sums[offset * sum_stride..offset * sum_stride + self.ny];
                    let so_far = &mut out[offset * self.ny..(offset + 1) * self.ny];
                    if turn.first {
                        sum.fill(zero);
                    } else {
                        sum.copy_from_slice(so_far);
                    }
                    if first + offset < half {
                        let column = &mut columns[offset * stride..offset * stride + self.fine_ny];
                        self.fine_columns.process_with_scratch(column, scratch);
                        let factors = &factors[(first + offset) * quadrant_rows..(first + offset + 1) * quadrant_rows];
                        let scale = scale * self.correction_x[first + offset];
                        let (positive, negative) = sum.split_at_mut(up);
                        let weights = factors.iter().zip(&self.correction_y);
                        for ((sum, value), (factor, correction)) in positive.iter_mut().zip(&*column).zip(weights) {
                            *sum += value * (*factor * *correction * scale);
                        }
                        let column = &column[self.fine_ny - down..];
                        let weights = factors[1..=down].iter().zip(&self.correction_y[1..=down]).rev();
                        for ((sum, value), (factor, correction)) in negative.iter_mut().zip(column).zip(weights) {
                            *sum += value * (*factor * *correction * scale);
                        }
                    }
                    if turn.last {
                        self.columns.process_with_scratch(sum, scratch);
                    } else {
                        so_far.copy_from_slice(sum);
                    }
                }
                if turn.last {
                    store_block(sums, sum_stride, out);
                }
            },
        );
    }

    /// Spreads the atoms with the kernel: the rows of the fine grid that an atom touches, one after the other.
    fn spread(&self, atoms: &[PlacedAtom], space: &mut SpreadSpace<T>) {
        let rows_of = |atom: &PlacedAtom| {
            let (first, weights) = self.weights(atom.y * self.fine_ny as f64);
            (0..)
                .zip(weights)
                .filter(|(_, weight)| *weight != 0.0)
                .map(move |(offset, weight)| ((first + offset).rem_euclid(self.fine_ny as i64) as usize, weight))
        };
        let mut place = vec![usize::MAX; self.fine_ny];
        for (y, _) in atoms.iter().flat_map(rows_of) {
            place[y] = 0;
        }
        space.touched.clear();
        for (y, place) in place.iter_mut().enumerate().filter(|(_, place)| **place == 0) {
            *place = space.touched.len();
            space.touched.push(y);
        }
        space.fine.clear();
        space.fine.resize(space.touched.len() * self.fine_nx, T::zero());
        for atom in atoms {
            let (first_x, weights_x) = self.weights(atom.x * self.fine_nx as f64);
            for (y, weight_y) in rows_of(atom) {
                let row = &mut space.fine[place[y] * self.fine_nx..(place[y] + 1) * self.fine_nx];
                for (x, weight_x) in (first_x..).zip(weights_x) {
                    row[x.rem_euclid(self.fine_nx as i64) as usize] += T::of(atom.weight * weight_x * weight_y);
                }
            }
        }
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
}
