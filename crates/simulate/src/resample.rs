//! Filtering and resampling of periodic images in Fourier space.

use ndarray::Array2;
use num_complex::Complex;
use rayon::prelude::*;

use atomlens_core::Grid;

use crate::fourier::Direction;
use crate::{BandLimit, Real, SimulateError};

/// Brings a periodic image, shape `[y, x]` on `grid`, to `nx` times `ny` pixels over the same field, and multiplies its
/// spectrum by `filter(kx, ky)` (1 / angstrom) on the way.
///
/// Frequencies that the new grid cannot hold are dropped, ones that the old one did not have are zero: what is
/// kept is exact, and the mean is that of the image times `filter(0, 0)`.
///
/// # Errors
/// Images that do not have the grid's shape, and grids without extent.
pub fn resample<T: Real>(
    image: &Array2<T>,
    grid: Grid,
    nx: usize,
    ny: usize,
    filter: impl Fn(f64, f64) -> f64 + Sync,
) -> Result<Array2<T>, SimulateError> {
    transform(image, grid, nx, ny, |kx, ky| Complex::new(T::of(filter(kx, ky)), T::zero()))
}

fn transform<T: Real>(
    image: &Array2<T>,
    grid: Grid,
    nx: usize,
    ny: usize,
    filter: impl Fn(f64, f64) -> Complex<T> + Sync,
) -> Result<Array2<T>, SimulateError> {
    let (found_y, found_x) = image.dim();
    if (found_y, found_x) != (grid.ny, grid.nx) {
        return Err(SimulateError::Shape { found_y, found_x, expected_y: grid.ny, expected_x: grid.nx });
    }
    let zero = Complex::new(T::zero(), T::zero());
    let from = BandLimit::<T>::whole_grid(grid)?;
    let target = Grid::covering(grid.field_x_angstrom(), grid.field_y_angstrom(), nx, ny);
    let to = BandLimit::<T>::whole_grid(target)?;
    let mut rows = vec![zero; from.tiled_len()];
    from.row_pass(&mut rows, |y, space| {
        for (value, source) in space.row.iter_mut().zip(image.row(y)) {
            *value = Complex::new(*source, T::zero());
        }
        from.transform_row(Direction::Forward, &mut space.row, &mut space.scratch);
    });
    let mut spectrum = vec![zero; from.len()];
    from.column_analysis(&rows, &mut spectrum, |_| {});
    drop(rows);

    let scale = T::of(1.0 / grid.pixels() as f64);
    let ky = target.frequencies_y();
    let mut blocks = vec![zero; to.len()];
    to.column_synthesis(&mut blocks, |visit| {
        visit.values.fill(zero);
        let Some(source) = to.signed_column(visit.column).and_then(|index| shared(index, grid.nx, nx)) else { return };
        let source = &spectrum[source * grid.ny..(source + 1) * grid.ny];
        let kx = to.frequency_x(visit.column);
        for (j, value) in visit.values.iter_mut().enumerate() {
            let index = if 2 * j < ny { j as i64 } else { j as i64 - ny as i64 };
            if let Some(row) = shared(index, grid.ny, ny) {
                *value = source[row] * filter(kx, ky[j]) * scale;
            }
        }
    });
    let mut out = vec![T::zero(); nx * ny];
    out.par_chunks_mut(nx).enumerate().for_each_init(
        || to.row_space(),
        |space, (y, row)| {
            to.load_row(&blocks, y, &mut space.row);
            to.transform_row(Direction::Inverse, &mut space.row, &mut space.scratch);
            for (value, complex) in row.iter_mut().zip(&space.row) {
                *value = complex.re;
            }
        },
    );
    Ok(Array2::from_shape_vec((ny, nx), out).expect("the vector has nx times ny elements"))
}

/// Moves a periodic image, shape `[y, x]` on `grid`, by any distance along x and y in angstrom: its spectrum is multiplied by
/// `exp(-2 pi i k.d)`.
///
/// # Errors
/// As [`resample`].
pub fn shift<T: Real>(image: &Array2<T>, grid: Grid, distance_angstrom: [f64; 2]) -> Result<Array2<T>, SimulateError> {
    resample_shifted(image, grid, grid.nx, grid.ny, distance_angstrom, |_, _| 1.0)
}

/// [`resample`] and [`shift`] in one.
///
/// # Errors
/// As [`resample`].
pub fn resample_shifted<T: Real>(
    image: &Array2<T>,
    grid: Grid,
    nx: usize,
    ny: usize,
    distance_angstrom: [f64; 2],
    filter: impl Fn(f64, f64) -> f64 + Sync,
) -> Result<Array2<T>, SimulateError> {
    if distance_angstrom == [0.0; 2] {
        return resample(image, grid, nx, ny, filter);
    }
    // The phase is a product of one along x and one along y, of which there are few.
    let along = |field: f64, distance: f64, pixels: usize| -> Vec<Complex<f64>> {
        let turn = -std::f64::consts::TAU * distance / field;
        (0..=pixels / 2).map(|order| Complex::cis(turn * order as f64)).collect()
    };
    let [field_x, field_y] = [grid.field_x_angstrom(), grid.field_y_angstrom()];
    let along_x = along(field_x, distance_angstrom[0], nx);
    let along_y = along(field_y, distance_angstrom[1], ny);
    let phase = |table: &[Complex<f64>], frequency: f64, field: f64| {
        let phase = table[(frequency.abs() * field).round() as usize];
        if frequency < 0.0 { phase.conj() } else { phase }
    };
    transform(image, grid, nx, ny, |kx, ky| {
        let phase = phase(&along_x, kx, field_x) * phase(&along_y, ky, field_y) * filter(kx, ky);
        Complex::new(T::of(phase.re), T::of(phase.im))
    })
}

/// Where a signed frequency index lies in a transform of `from` samples, if both that and one of `to` samples hold it. A
/// Nyquist term has no sign, so it is kept only where nothing changes.
fn shared(index: i64, from: usize, to: usize) -> Option<usize> {
    let magnitude = index.unsigned_abs() as usize;
    let fits = |n: usize| 2 * magnitude < n || (from == to && 2 * magnitude == n);
    (fits(from) && fits(to)).then(|| if index >= 0 { magnitude } else { from - magnitude })
}

/// Motion of the image during an exposure, as a filter of its intensity.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Motion {
    /// Root-mean-square amplitude of vibration along x and y, in angstrom.
    pub vibration_rms_angstrom: [f64; 2],
    /// Steady drift from the beginning to the end of the exposure along x and y, in angstrom.
    pub drift_angstrom: [f64; 2],
}

impl Motion {
    /// The factor at a spatial frequency in 1 / angstrom: a Gaussian times a sinc.
    pub fn transfer(&self, kx: f64, ky: f64) -> f64 {
        use std::f64::consts::PI;
        let [x, y] = self.vibration_rms_angstrom;
        let gaussian = (-2.0 * PI * PI * ((x * kx).powi(2) + (y * ky).powi(2))).exp();
        let along = PI * (self.drift_angstrom[0] * kx + self.drift_angstrom[1] * ky);
        gaussian * if along.abs() < 1e-9 { 1.0 } else { along.sin() / along }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(grid: &Grid, i: f64, j: f64) -> Array2<f64> {
        Array2::from_shape_fn((grid.ny, grid.nx), |(y, x)| {
            1.0 + (std::f64::consts::TAU * (i * x as f64 / grid.nx as f64 + j * y as f64 / grid.ny as f64)).cos()
        })
    }

    #[test]
    fn what_both_grids_hold_is_kept_exactly() {
        let grid = Grid::covering(20.0, 30.0, 64, 90);
        for (nx, ny) in [(48, 60), (64, 90), (100, 125), (51, 77)] {
            let found = resample(&wave(&grid, 7.0, -11.0), grid, nx, ny, |_, _| 1.0).unwrap();
            let expected = wave(&Grid::covering(20.0, 30.0, nx, ny), 7.0, -11.0);
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{nx} {ny}");
        }
    }

    #[test]
    fn what_the_new_grid_cannot_hold_is_dropped() {
        let grid = Grid::covering(20.0, 20.0, 64, 64);
        let found = resample(&wave(&grid, 20.0, 3.0), grid, 32, 32, |_, _| 1.0).unwrap();
        assert!(found.iter().all(|value| (value - 1.0).abs() < 1e-12));
    }

    #[test]
    fn a_shift_moves_the_image() {
        let grid = Grid::covering(32.0, 48.0, 64, 96);
        let found = shift(&wave(&grid, 3.0, 5.0), grid, [4.0, -3.0]).unwrap();
        let original = wave(&grid, 3.0, 5.0);
        for ((y, x), value) in found.indexed_iter() {
            let source = original[[(y + 6) % 96, (x + 64 - 8) % 64]];
            assert!((value - source).abs() < 1e-12);
        }
    }

    #[test]
    fn motion_blurs_as_it_should() {
        let grid = Grid::covering(16.0, 16.0, 64, 64);
        let motion = Motion { vibration_rms_angstrom: [0.3, 0.0], drift_angstrom: [0.0, 1.0] };
        let found = resample(&wave(&grid, 4.0, 2.0), grid, 64, 64, |kx, ky| motion.transfer(kx, ky)).unwrap();
        // k = (0.25, 0.125): exp(-2 pi^2 0.09 / 16) times sinc(pi / 8).
        use std::f64::consts::{FRAC_PI_8, PI};
        let contrast = (-2.0 * PI * PI * 0.09 / 16.0).exp() * (FRAC_PI_8.sin() / FRAC_PI_8);
        assert!((found.iter().fold(0.0_f64, |m, v| m.max(*v)) - 1.0 - contrast).abs() < 1e-6);
    }
}
