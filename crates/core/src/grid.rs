//! Sampling grids of waves and images.

use serde::{Deserialize, Serialize};

/// A rectangular grid of pixels with its calibration.
///
/// Element `[j, i]` of an array on the grid sits at `x = i * pixel_x_angstrom`,
/// `y = j * pixel_y_angstrom`: integer coordinates are pixel centres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Number of pixels along x (columns of the array).
    pub nx: usize,
    /// Number of pixels along y (rows of the array).
    pub ny: usize,
    /// Distance between pixels along x, in angstrom.
    pub pixel_x_angstrom: f64,
    /// Distance between pixels along y, in angstrom.
    pub pixel_y_angstrom: f64,
}

impl Grid {
    /// A grid of `nx` times `ny` pixels that covers a field of view once.
    pub fn covering(field_x_angstrom: f64, field_y_angstrom: f64, nx: usize, ny: usize) -> Grid {
        Grid { nx, ny, pixel_x_angstrom: field_x_angstrom / nx as f64, pixel_y_angstrom: field_y_angstrom / ny as f64 }
    }

    /// Field of view along x, in angstrom.
    pub fn field_x_angstrom(&self) -> f64 {
        self.nx as f64 * self.pixel_x_angstrom
    }

    /// Field of view along y, in angstrom.
    pub fn field_y_angstrom(&self) -> f64 {
        self.ny as f64 * self.pixel_y_angstrom
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.nx * self.ny
    }

    /// Area of a pixel in square angstrom.
    pub fn pixel_area_square_angstrom(&self) -> f64 {
        self.pixel_x_angstrom * self.pixel_y_angstrom
    }

    /// Spatial frequencies along x in the transform's order, in 1 / angstrom, shape `[nx]`.
    pub fn frequencies_x(&self) -> Vec<f64> {
        frequencies(self.nx, self.pixel_x_angstrom)
    }

    /// Spatial frequencies along y in the transform's order, in 1 / angstrom, shape `[ny]`.
    pub fn frequencies_y(&self) -> Vec<f64> {
        frequencies(self.ny, self.pixel_y_angstrom)
    }

    /// The Nyquist frequency of the coarser direction, in 1 / angstrom.
    pub fn nyquist_per_angstrom(&self) -> f64 {
        0.5 / self.pixel_x_angstrom.max(self.pixel_y_angstrom)
    }
}

/// Spatial frequencies of a transform of `n` samples at distance `pixel`, in the transform's order:
/// zero, the positive ones, then the negative ones from the most negative up.
pub fn frequencies(n: usize, pixel: f64) -> Vec<f64> {
    (0..n)
        .map(|index| {
            let signed = if 2 * index < n { index as f64 } else { index as f64 - n as f64 };
            signed / (n as f64 * pixel)
        })
        .collect()
}

/// The smallest length of at least `n` whose only prime factors are 2, 3 and 5, and which is even:
/// lengths that a fast Fourier transform likes.
pub fn next_fast_length(n: usize) -> usize {
    let mut candidate = n.max(2).next_multiple_of(2);
    while !is_fast_length(candidate) {
        candidate += 2;
    }
    candidate
}

/// The largest length of at most `n`, even or odd, whose only prime factors are 2, 3 and 5; 1 where there is none.
pub fn last_fast_length(n: usize) -> usize {
    (1..=n).rev().find(|candidate| is_fast_length(*candidate)).unwrap_or(1)
}

fn is_fast_length(mut n: usize) -> bool {
    for prime in [2, 3, 5] {
        while n > 1 && n.is_multiple_of(prime) {
            n /= prime;
        }
    }
    n == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_follow_the_order_of_numpy() {
        assert_eq!(frequencies(4, 0.5), [0.0, 0.5, -1.0, -0.5]);
        assert_eq!(frequencies(5, 1.0), [0.0, 0.2, 0.4, -0.4, -0.2]);
    }

    #[test]
    fn fast_lengths() {
        assert_eq!([1, 7, 129, 511, 1000].map(next_fast_length), [2, 8, 144, 512, 1000]);
        assert_eq!([0, 1, 7, 383, 512, 1001].map(last_fast_length), [1, 1, 6, 375, 512, 1000]);
    }
}
