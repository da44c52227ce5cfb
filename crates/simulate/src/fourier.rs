//! Two-dimensional transforms of band-limited waves, in two passes over memory.
//!
//! A wave that a multislice can propagate without aliasing fills only a disc of radius two thirds of the
//! Nyquist frequency (E. J. Kirkland, *Advanced Computing in Electron Microscopy*, section 6.8). A third of
//! the columns of its transform are therefore empty and are neither stored nor transformed.
//!
//! Between the passes data lie in one of two layouts, so that every pass writes contiguous pieces that
//! threads can own without locks:
//!
//! - *tiles*: `[group of 8 y][block of 8 kx][8][8]`, written by row passes;
//! - *blocks*: `[block of 8 kx][y][8]`, written by column passes; a row of a block is one cache line.
//!
//! The transform itself is rustfft's; sums are unscaled in both directions, and callers put the
//! `1 / (nx ny)` into a factor that they multiply with anyway.

use std::sync::Arc;

use atomlens_core::Grid;
use num_complex::Complex;
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};

use crate::{Real, SimulateError};

/// Columns per block: 8 single-precision complex numbers are one cache line.
pub(crate) const BLOCK: usize = 8;

/// Fraction of the Nyquist frequency that a multislice keeps.
pub const BAND_LIMIT_FRACTION: f64 = 2.0 / 3.0;

/// Width of the soft edge of the band limit as a fraction of the sampling frequency (1 / pixel): a cosine
/// instead of a cliff, which would ring.
const TAPER: f64 = 0.01;

/// The disc of spatial frequencies that a wave on a grid may have, with the transforms to and from it.
#[derive(Clone)]
pub struct BandLimit<T: Real> {
    /// Sampling of the wave.
    pub grid: Grid,
    /// Radius of the disc in 1 / angstrom.
    pub cutoff_per_angstrom: f64,
    /// Signed indices of the kept columns: from 0 up, then the negative ones; padded with `None` to whole blocks.
    columns: Vec<Option<i64>>,
    /// Number of kept columns with a non-negative index.
    positive_columns: usize,
    /// Number of kept columns with a negative index.
    negative_columns: usize,
    /// Soft aperture by |kx| and |ky|, shape `[largest |kx| + 1][ny]` in the transform's order.
    aperture: Vec<T>,
    along_x: [Arc<dyn Fft<T>>; 2],
    along_y: [Arc<dyn Fft<T>>; 2],
}

impl<T: Real> std::fmt::Debug for BandLimit<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BandLimit")
            .field("grid", &self.grid)
            .field("cutoff_per_angstrom", &self.cutoff_per_angstrom)
            .finish_non_exhaustive()
    }
}

/// Direction of a transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From places to frequencies.
    Forward = 0,
    /// From frequencies to places.
    Inverse = 1,
}

/// What a column pass does with one column: its index (`kx`), its values along `ky`, and the scratch space.
pub(crate) struct ColumnVisit<'a, T: Real> {
    /// Position among the kept columns.
    pub(crate) column: usize,
    /// Values along y or ky, shape `[ny]`.
    pub(crate) values: &'a mut [Complex<T>],
}

impl<T: Real> BandLimit<T> {
    /// The band limit of a multislice on `grid`: two thirds of the lower of the two Nyquist frequencies.
    pub fn two_thirds(grid: Grid) -> Result<BandLimit<T>, SimulateError> {
        check_grid(&grid)?;
        let coarser = grid.pixel_x_angstrom.max(grid.pixel_y_angstrom);
        let cutoff = BAND_LIMIT_FRACTION * 0.5 / coarser;
        let highest = ((cutoff * grid.field_x_angstrom()).floor() as usize).min((grid.nx - 1) / 2);
        Ok(BandLimit::new(grid, cutoff, TAPER / coarser, highest + 1, highest))
    }

    /// No limit but that of the grid: for waves that come from elsewhere and may fill their spectrum.
    pub fn whole_grid(grid: Grid) -> Result<BandLimit<T>, SimulateError> {
        check_grid(&grid)?;
        Ok(BandLimit::new(grid, f64::INFINITY, 1.0, grid.nx.div_ceil(2), grid.nx / 2))
    }

    fn new(grid: Grid, cutoff: f64, taper: f64, positive_columns: usize, negative_columns: usize) -> BandLimit<T> {
        let step_x = 1.0 / grid.field_x_angstrom();
        let step_y = 1.0 / grid.field_y_angstrom();
        let mut columns: Vec<Option<i64>> =
            (0..positive_columns as i64).chain(-(negative_columns as i64)..0).map(Some).collect();
        columns.resize(columns.len().next_multiple_of(BLOCK), None);
        let transmission = |i: usize, j: usize| {
            let j = j.min(grid.ny - j);
            let radius = ((i as f64 * step_x).powi(2) + (j as f64 * step_y).powi(2)).sqrt();
            if radius > cutoff {
                0.0
            } else if radius > cutoff - taper {
                0.5 * (1.0 + (std::f64::consts::PI * (radius - cutoff + taper) / taper).cos())
            } else {
                1.0
            }
        };
        let aperture = (0..=(positive_columns - 1).max(negative_columns))
            .flat_map(|i| (0..grid.ny).map(move |j| T::of(transmission(i, j))))
            .collect();
        let mut planner = FftPlanner::new();
        BandLimit {
            grid,
            cutoff_per_angstrom: cutoff,
            columns,
            positive_columns,
            negative_columns,
            aperture,
            along_x: [planner.plan_fft_forward(grid.nx), planner.plan_fft_inverse(grid.nx)],
            along_y: [planner.plan_fft_forward(grid.ny), planner.plan_fft_inverse(grid.ny)],
        }
    }

    /// Number of stored columns, padding included: a multiple of [`BLOCK`].
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Number of elements of a spectrum or of an array in the blocked layout.
    pub(crate) fn len(&self) -> usize {
        self.width() * self.grid.ny
    }

    /// Number of elements of an array in the tiled layout.
    pub(crate) fn tiled_len(&self) -> usize {
        self.width() * self.grid.ny.next_multiple_of(BLOCK)
    }

    /// Spatial frequency of a kept column in 1 / angstrom; 0 for padding.
    pub(crate) fn frequency_x(&self, column: usize) -> f64 {
        self.columns[column].unwrap_or(0) as f64 / self.grid.field_x_angstrom()
    }

    /// Signed index of a kept column; `None` for padding.
    pub(crate) fn signed_column(&self, column: usize) -> Option<i64> {
        self.columns[column]
    }

    /// The soft aperture along a column, shape `[ny]`; `None` for padding.
    pub(crate) fn aperture_column(&self, column: usize) -> Option<&[T]> {
        let ny = self.grid.ny;
        let index = self.columns[column]?.unsigned_abs() as usize;
        Some(&self.aperture[index * ny..(index + 1) * ny])
    }

    /// Calls `visit` for every row of a new array in the tiled layout. `visit` gets the row's number, a full
    /// row of `nx` values to work in, and must leave in it the row's transform along x; the kept part is stored.
    pub(crate) fn row_pass(&self, tiles: &mut [Complex<T>], visit: impl Fn(usize, &mut RowSpace<T>) + Sync) {
        let ny = self.grid.ny;
        tiles.par_chunks_mut(self.width() * BLOCK).enumerate().for_each_init(
            || self.row_space(),
            |space, (group, tiles)| {
                for y in group * BLOCK..((group + 1) * BLOCK).min(ny) {
                    visit(y, space);
                    for (block, tile) in tiles.chunks_exact_mut(BLOCK * BLOCK).enumerate() {
                        let first = (y % BLOCK) * BLOCK;
                        self.take_piece(&space.row, block * BLOCK, &mut tile[first..first + BLOCK]);
                    }
                }
            },
        );
    }

    /// Copies the block of kept columns that begins at `first` out of a full row.
    fn take_piece(&self, row: &[Complex<T>], first: usize, piece: &mut [Complex<T>]) {
        let (positive, kept) = (self.positive_columns, self.positive_columns + self.negative_columns);
        // Negative frequencies lie at the row's end, one place off for every column that is not kept.
        let shift = self.grid.nx - kept;
        if first + BLOCK <= positive {
            piece.copy_from_slice(&row[first..first + BLOCK]);
        } else if first >= positive && first + BLOCK <= kept {
            piece.copy_from_slice(&row[first + shift..first + shift + BLOCK]);
        } else {
            for (column, value) in (first..).zip(piece) {
                *value = if column < positive {
                    row[column]
                } else if column < kept {
                    row[column + shift]
                } else {
                    Complex::new(T::zero(), T::zero())
                };
            }
        }
    }

    /// Working space for one thread's rows.
    pub(crate) fn row_space(&self) -> RowSpace<T> {
        let zero = Complex::new(T::zero(), T::zero());
        let scratch = self.along_x.iter().map(|fft| fft.get_inplace_scratch_len()).max().unwrap_or(0);
        RowSpace {
            row: vec![zero; self.grid.nx],
            other: vec![zero; self.grid.nx],
            turns: vec![T::zero(); self.grid.nx],
            half: vec![zero; self.grid.nx / 2 + 1],
            scratch: vec![zero; scratch],
        }
    }

    /// Loads row `y` of a blocked array into a full row of `nx` values, zero where nothing is kept.
    pub(crate) fn load_row(&self, blocks: &[Complex<T>], y: usize, row: &mut [Complex<T>]) {
        let ny = self.grid.ny;
        let nx = self.grid.nx;
        let positive = self.positive_columns;
        let negative = self.negative_columns;
        row[positive..nx - negative].fill(Complex::new(T::zero(), T::zero()));
        let whole = positive / BLOCK;
        for (block, piece) in blocks.chunks_exact(BLOCK * ny).enumerate() {
            let piece: &[Complex<T>; BLOCK] =
                piece[y * BLOCK..(y + 1) * BLOCK].try_into().expect("a row of a block has its length");
            let first = block * BLOCK;
            if block < whole {
                row[first..first + BLOCK].copy_from_slice(piece);
                continue;
            }
            // Negative frequencies lie at the row's end, one place off for every column that is not kept.
            let shift = nx - negative - positive;
            if first >= positive && first + BLOCK <= positive + negative {
                row[first + shift..first + shift + BLOCK].copy_from_slice(piece);
                continue;
            }
            for (column, value) in (first..).zip(piece) {
                if column < positive {
                    row[column] = *value;
                } else if column < positive + negative {
                    row[column + shift] = *value;
                }
            }
        }
    }

    /// Transforms a full row in place.
    pub(crate) fn transform_row(&self, direction: Direction, row: &mut [Complex<T>], scratch: &mut [Complex<T>]) {
        self.along_x[direction as usize].process_with_scratch(row, scratch);
    }

    /// For every kept column: gathers it from the tiled layout, transforms it along y, lets `visit` change it,
    /// transforms it back, and stores it in the blocked layout.
    pub(crate) fn column_pass(
        &self,
        tiles: &[Complex<T>],
        blocks: &mut [Complex<T>],
        visit: impl Fn(ColumnVisit<'_, T>) + Sync,
    ) {
        self.columns(blocks, |first, space| self.gather_columns(tiles, first, space), visit, true);
    }

    /// Like [`column_pass`](Self::column_pass) but starts from nothing: `visit` fills the column with values along
    /// `ky`, which are transformed to y.
    pub(crate) fn column_synthesis(&self, blocks: &mut [Complex<T>], visit: impl Fn(ColumnVisit<'_, T>) + Sync) {
        self.columns(blocks, |_, _| {}, visit, true);
    }

    /// Transforms the tiled layout along y and stores the spectrum: `[column][ky]`, after `visit`.
    pub(crate) fn column_analysis(
        &self,
        tiles: &[Complex<T>],
        spectrum: &mut [Complex<T>],
        visit: impl Fn(ColumnVisit<'_, T>) + Sync,
    ) {
        self.columns(spectrum, |first, space| self.gather_columns(tiles, first, space), visit, false);
    }

    /// Takes a block of columns from the tiled layout and transforms them along y.
    fn gather_columns(&self, tiles: &[Complex<T>], first: usize, space: &mut ColumnSpace<T>) {
        let (ny, stride) = (self.grid.ny, self.column_stride());
        for (group, tiles) in tiles.chunks_exact(self.width() * BLOCK).enumerate() {
            let tile = &tiles[first * BLOCK..(first + BLOCK) * BLOCK];
            let height = BLOCK.min(ny - group * BLOCK);
            for (offset, column) in space.columns.chunks_exact_mut(stride).enumerate() {
                let column = &mut column[group * BLOCK..group * BLOCK + height];
                for (value, row) in column.iter_mut().zip(tile.chunks_exact(BLOCK)) {
                    *value = row[offset];
                }
            }
        }
        for column in space.columns.chunks_exact_mut(stride) {
            self.along_y[0].process_with_scratch(&mut column[..ny], &mut space.scratch);
        }
    }

    /// Distance between the columns of a [`ColumnSpace`]: a cache line more than they need, since columns of a power of two
    /// would all fall into the same few places of the cache.
    fn column_stride(&self) -> usize {
        self.grid.ny + BLOCK
    }

    /// Columns that are transformed, in blocks: `gather` fills the space of a block, `visit` sees every column, and
    /// the result is stored by places (blocked layout) or as a spectrum (column by column).
    fn columns(
        &self,
        out: &mut [Complex<T>],
        gather: impl Fn(usize, &mut ColumnSpace<T>) + Sync,
        visit: impl Fn(ColumnVisit<'_, T>) + Sync,
        back_to_y: bool,
    ) {
        let (ny, stride) = (self.grid.ny, self.column_stride());
        out.par_chunks_mut(BLOCK * ny).enumerate().for_each_init(
            || self.column_space(),
            |space, (block, out)| {
                let first = block * BLOCK;
                gather(first, space);
                for (offset, values) in space.columns.chunks_exact_mut(stride).enumerate() {
                    let values = &mut values[..ny];
                    visit(ColumnVisit { column: first + offset, values });
                    if back_to_y {
                        self.along_y[1].process_with_scratch(values, &mut space.scratch);
                    } else {
                        out[offset * ny..(offset + 1) * ny].copy_from_slice(values);
                    }
                }
                if back_to_y {
                    store_block(&space.columns, stride, out);
                }
            },
        );
    }

    fn column_space(&self) -> ColumnSpace<T> {
        let zero = Complex::new(T::zero(), T::zero());
        let scratch = self.along_y.iter().map(|fft| fft.get_inplace_scratch_len()).max().unwrap_or(0);
        ColumnSpace { columns: vec![zero; BLOCK * self.column_stride()], scratch: vec![zero; scratch] }
    }

    /// Multiplies a column by the soft aperture and by a factor for the column and one for each `ky`.
    pub(crate) fn multiply_column(&self, visit: ColumnVisit<'_, T>, factor: Complex<T>, along_ky: &[Complex<T>]) {
        let Some(aperture) = self.aperture_column(visit.column) else {
            visit.values.fill(Complex::new(T::zero(), T::zero()));
            return;
        };
        let [up, down] = self.filled_rows(visit.column);
        let ny = visit.values.len();
        let zero = Complex::new(T::zero(), T::zero());
        visit.values[up..ny - down].fill(zero);
        for range in [0..up, ny - down..ny] {
            T::multiply_weighted(&mut visit.values[range.clone()], &along_ky[range.clone()], &aperture[range], factor);
        }
    }

    /// How many frequencies along y a column may fill: from 0 up, and below 0.
    pub(crate) fn filled_rows(&self, column: usize) -> [usize; 2] {
        let ny = self.grid.ny;
        let (up, down) = (ny.div_ceil(2), ny / 2);
        if self.cutoff_per_angstrom.is_infinite() {
            return [up, down];
        }
        let kx = self.frequency_x(column);
        let highest = (self.cutoff_per_angstrom.powi(2) - kx * kx).max(0.0).sqrt();
        let rows = (highest * self.grid.field_y_angstrom()).floor() as usize;
        [up.min(rows + 1), down.min(rows)]
    }
}

/// Stores a block of columns, which lie `stride` apart, by rows: `[y][8]`.
pub(crate) fn store_block<T: Real>(columns: &[Complex<T>], stride: usize, out: &mut [Complex<T>]) {
    for (square, out) in out.chunks_mut(BLOCK * BLOCK).enumerate() {
        let first = square * BLOCK;
        let height = out.len() / BLOCK;
        for (offset, column) in columns.chunks_exact(stride).enumerate() {
            for (piece, value) in out.chunks_exact_mut(BLOCK).zip(&column[first..first + height]) {
                piece[offset] = *value;
            }
        }
    }
}

fn check_grid(grid: &Grid) -> Result<(), SimulateError> {
    SimulateError::positive("pixel size along x in angstrom", grid.pixel_x_angstrom)?;
    SimulateError::positive("pixel size along y in angstrom", grid.pixel_y_angstrom)?;
    for (name, count) in [("number of pixels along x", grid.nx), ("number of pixels along y", grid.ny)] {
        if !(4..=1 << 15).contains(&count) {
            return Err(SimulateError::OutOfRange { name, found: count as f64, expected: "4 to 32768 pixels" });
        }
    }
    Ok(())
}

/// One thread's space for working on rows.
pub(crate) struct RowSpace<T: Real> {
    /// The row that is kept.
    pub(crate) row: Vec<Complex<T>>,
    /// A second row.
    pub(crate) other: Vec<Complex<T>>,
    /// A row of phases in turns.
    pub(crate) turns: Vec<T>,
    /// Half a row's spectrum, for the transform of a real row.
    pub(crate) half: Vec<Complex<T>>,
    /// Scratch space of the transforms.
    pub(crate) scratch: Vec<Complex<T>>,
}

struct ColumnSpace<T: Real> {
    columns: Vec<Complex<T>>,
    scratch: Vec<Complex<T>>,
}
