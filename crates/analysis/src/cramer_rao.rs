//! The best that any estimator of column positions can do at a dose: the Cramer-Rao bound.
//!
//! A pixel that expects I electrons and counts them by Poisson's law carries the Fisher information
//! `F[a, b] = sum (dI/da) (dI/db) / I` on parameters a and b; the inverse of F bounds the covariance of every unbiased
//! estimate (A. J. den Dekker, S. Van Aert, A. van den Bos and D. Van Dyck, *Ultramicroscopy* 104, 83 (2005),
//! doi:10.1016/j.ultramic.2005.03.001). Expectations are those before the camera's transfer, which correlates the noise
//! of pixels but, as an invertible filter of signal and noise alike, takes no information away; added readout noise
//! does, and is counted as its variance. At N times the dose the bound is smaller by the square root of N.
//!
//! [`fisher_information`] takes derivatives from anywhere, such as finite differences of simulations in which one
//! column is shifted. [`column_bounds`] does without further simulations: near a column the image is taken to move with
//! it, so dI/dx of the column is minus the image's own gradient within the column's Voronoi cell and 0 elsewhere. That
//! leaves out fringes beyond the cell and lets the background in the cell move along; both make it approximate, and
//! where contrast comes from interference between neighbours it is better read as a scale than as a bound.

use atomlens_core::glam::DVec2;
use ndarray::{Array2, ArrayView2, Zip};

use crate::neighbours::Neighbours;

/// Fisher information of counts on some parameters, shape `[parameter, parameter]`, in 1 / (unit of a times unit of b).
///
/// `expected` are mean counts in each pixel, shape `[y, x]`; `derivatives` their derivatives by each parameter, of the
/// same shape; `readout_sigma` the standard deviation of noise that does not depend on the dose, in counts. Pixels that
/// expect nothing carry no information.
///
/// # Panics
/// If the shapes differ.
pub fn fisher_information(
    expected: ArrayView2<'_, f64>,
    derivatives: &[ArrayView2<'_, f64>],
    readout_sigma: f64,
) -> Array2<f64> {
    let n = derivatives.len();
    let mut information = Array2::zeros((n, n));
    for a in 0..n {
        for b in a..n {
            let mut sum = 0.0;
            Zip::from(expected).and(derivatives[a]).and(derivatives[b]).for_each(|expected, da, db| {
                let variance = expected + readout_sigma * readout_sigma;
                if variance > 0.0 {
                    sum += da * db / variance;
                }
            });
            information[[a, b]] = sum;
            information[[b, a]] = sum;
        }
    }
    information
}

/// The smallest standard deviation of each parameter: square roots of the diagonal of the inverse. `None` if the
/// information is singular, so that some parameters cannot be told apart.
///
/// # Panics
/// If the information is not square.
pub fn bounds(information: ArrayView2<'_, f64>) -> Option<Vec<f64>> {
    let n = information.nrows();
    assert_eq!(n, information.ncols(), "information must be [parameter, parameter]");
    // Cholesky, F = L L^T; the diagonal of the inverse is the squared norm of each column of L^-1.
    let mut factor = Array2::<f64>::zeros((n, n));
    for a in 0..n {
        for b in 0..=a {
            let rest = information[[a, b]] - (0..b).map(|k| factor[[a, k]] * factor[[b, k]]).sum::<f64>();
            if a != b {
                factor[[a, b]] = rest / factor[[b, b]];
            } else if rest > 1e-12 * information[[a, a]] {
                factor[[a, a]] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    let diagonal = (0..n).map(|start| {
        let mut column = vec![0.0; n];
        for row in start..n {
            let unit = if row == start { 1.0 } else { 0.0 };
            let known: f64 = (start..row).map(|k| factor[[row, k]] * column[k]).sum();
            column[row] = (unit - known) / factor[[row, row]];
        }
        column.iter().map(|value| value * value).sum::<f64>().sqrt()
    });
    Some(diagonal.collect())
}

/// How an image is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counting {
    /// Electrons per square angstrom where the expected image is 1.
    pub dose_e_per_a2: f64,
    /// Standard deviation of the readout noise of a pixel, in electrons.
    pub readout_sigma_e: f64,
}

/// The approximate smallest standard deviation of each column's place along x and y, in angstrom; `None` where the
/// image says nothing of a column.
///
/// `image` is the noise-free image in units of the incident intensity, shape `[y, x]`, before the camera's transfer;
/// `columns` lie in angstrom from the centre of its first pixel. A pixel belongs to the column nearest to it, within
/// `reach_angstrom`: about half the distance to the neighbours, so that a column at an edge is not given the vacuum.
pub fn column_bounds(
    image: ArrayView2<'_, f64>,
    pixel_angstrom: f64,
    counting: Counting,
    columns: &[DVec2],
    reach_angstrom: f64,
) -> Vec<Option<DVec2>> {
    let (ny, nx) = image.dim();
    let electrons = counting.dose_e_per_a2 * pixel_angstrom * pixel_angstrom;
    let readout = counting.readout_sigma_e * counting.readout_sigma_e;
    let grid = Neighbours::new(columns, reach_angstrom);
    let mut information = vec![[0.0_f64; 3]; columns.len()];
    for j in 0..ny {
        for i in 0..nx {
            let at = DVec2::new(i as f64, j as f64) * pixel_angstrom;
            let nearest = grid.within(at, reach_angstrom).min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            let Some((owner, _)) = nearest else { continue };
            let along_x = gradient(|k| image[[j, k]], i, nx) * electrons / pixel_angstrom;
            let along_y = gradient(|k| image[[k, i]], j, ny) * electrons / pixel_angstrom;
            let variance = image[[j, i]] * electrons + readout;
            if variance > 0.0 {
                let [xx, xy, yy] = &mut information[owner];
                *xx += along_x * along_x / variance;
                *xy += along_x * along_y / variance;
                *yy += along_y * along_y / variance;
            }
        }
    }
    information
        .into_iter()
        .map(|[xx, xy, yy]| {
            let determinant = xx * yy - xy * xy;
            (determinant > 1e-12 * xx * yy).then(|| DVec2::new((yy / determinant).sqrt(), (xx / determinant).sqrt()))
        })
        .collect()
}

/// Derivative of samples at an index, per sample, to fourth order; to lower order at the ends.
fn gradient(value: impl Fn(usize) -> f64, at: usize, n: usize) -> f64 {
    if at >= 2 && at + 2 < n {
        (8.0 * (value(at + 1) - value(at - 1)) - (value(at + 2) - value(at - 2))) / 12.0
    } else {
        let (low, high) = (at.saturating_sub(1), (at + 1).min(n - 1));
        if high > low { (value(high) - value(low)) / (high - low) as f64 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gaussian peaks of area `area` (square angstrom) and width `sigma` on a background.
    fn peaks(n: usize, pixel: f64, centres: &[DVec2], area: f64, sigma: f64, background: f64) -> Array2<f64> {
        Array2::from_shape_fn((n, n), |(j, i)| {
            let at = DVec2::new(i as f64, j as f64) * pixel;
            let height = area / (2.0 * std::f64::consts::PI * sigma * sigma);
            let sum: f64 = centres.iter().map(|c| (-c.distance_squared(at) / (2.0 * sigma * sigma)).exp()).sum();
            background + height * sum
        })
    }

    #[test]
    fn a_gaussian_peak_without_background_is_known_to_its_width_by_the_root_of_its_counts() {
        // N counts distributed by a Gaussian: their mean is the best estimate and has sigma / sqrt(N).
        let (pixel, sigma, area, dose) = (0.1, 0.5, 2.0, 50.0);
        let centre = DVec2::new(5.03, 4.96);
        let image = peaks(100, pixel, &[centre], area, sigma, 0.0);
        let counting = Counting { dose_e_per_a2: dose, readout_sigma_e: 0.0 };
        let found = column_bounds(image.view(), pixel, counting, &[centre], 4.0)[0].unwrap();
        let expected = sigma / (area * dose).sqrt();
        assert!((found.x / expected - 1.0).abs() < 5e-3 && (found.y / expected - 1.0).abs() < 5e-3, "{found}");
        let brighter = Counting { dose_e_per_a2: 4.0 * dose, ..counting };
        let halved = column_bounds(image.view(), pixel, brighter, &[centre], 4.0)[0].unwrap();
        assert!((halved.x / found.x - 0.5).abs() < 1e-9);
        let noisy = Counting { readout_sigma_e: 1.0, ..counting };
        assert!(column_bounds(image.view(), pixel, noisy, &[centre], 4.0)[0].unwrap().x > 1.1 * found.x);
    }

    #[test]
    fn derivatives_of_a_shifted_column_give_the_same_as_its_cell() {
        let (pixel, sigma, n, step) = (0.1, 0.4, 120, 1e-3);
        let centres = [DVec2::new(4.0, 6.0), DVec2::new(7.0, 6.0)];
        let electrons = 1000.0 * pixel * pixel;
        let counts = |shift: DVec2| peaks(n, pixel, &[centres[0] + shift, centres[1]], 0.2, sigma, 1.0) * electrons;
        let derivative = |along: DVec2| (counts(along * step) - counts(along * -step)) / (2.0 * step);
        let (dx, dy) = (derivative(DVec2::X), derivative(DVec2::Y));
        let information = fisher_information(counts(DVec2::ZERO).view(), &[dx.view(), dy.view()], 0.0);
        let exact = bounds(information.view()).unwrap();
        let image = counts(DVec2::ZERO) / electrons;
        let counting = Counting { dose_e_per_a2: 1000.0, readout_sigma_e: 0.0 };
        let cell = column_bounds(image.view(), pixel, counting, &centres, 1.5)[0].unwrap();
        assert!((cell.x / exact[0] - 1.0).abs() < 0.01 && (cell.y / exact[1] - 1.0).abs() < 0.01, "{cell} {exact:?}");
    }

    #[test]
    fn a_correlated_pair_and_one_that_cannot_be_told_apart() {
        let information = ndarray::array![[2.0, 1.0], [1.0, 2.0]];
        let found = bounds(information.view()).unwrap();
        assert!(found.iter().all(|sigma| (sigma - (2.0_f64 / 3.0).sqrt()).abs() < 1e-12));
        assert_eq!(bounds(ndarray::array![[1.0, 1.0], [1.0, 1.0]].view()), None);
        let flat = Array2::from_elem((20, 20), 1.0);
        let counting = Counting { dose_e_per_a2: 1.0, readout_sigma_e: 0.0 };
        assert_eq!(column_bounds(flat.view(), 0.1, counting, &[DVec2::ONE], 1.0), [None]);
    }
}
