//! A classical finder of columns, to measure others against: the Laplacian of a Gaussian.
//!
//! The image is filtered with minus the Laplacian of a Gaussian of the width of a column, times sigma^2, so that the
//! answer to a spot of that width does not depend on it (T. Lindeberg, *Int. J. Comput. Vis.* 30, 79 (1998),
//! doi:10.1023/A:1008045108935). Columns are local maxima above a threshold, refined by a parabola through 3 x 3
//! pixels, the strongest first and no two nearer than the smallest separation. It has to be told, or guesses, whether
//! columns are bright or dark; in fringes beyond a particle's edge and between columns it finds columns that are none.

use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::neighbours::Neighbours;
use crate::resample::{mirrored, rows_mut};

/// Whether columns are brighter or darker than what is around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Polarity {
    /// Columns are bright.
    Bright,
    /// Columns are dark.
    Dark,
    /// The one whose filtered image has the longer tail: spots stand out, what lies between them is a network.
    Guess,
}

/// How columns are found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LaplacianSettings {
    /// Standard deviation of the Gaussian, in angstrom.
    pub sigma_angstrom: f64,
    /// Bright or dark columns.
    pub polarity: Polarity,
    /// Smallest filtered value of a column, for an image normalised as [`crate::normalise`] does.
    pub threshold: f64,
    /// No two columns are nearer than this.
    pub minimum_separation_angstrom: f64,
}

impl Default for LaplacianSettings {
    /// The one set that did best on images of gold particles seen along `[110]` at 0.09 to 0.12 angstrom a pixel and 100
    /// to 10,000 e/A^2, of both contrasts.
    fn default() -> Self {
        LaplacianSettings {
            sigma_angstrom: 0.6,
            polarity: Polarity::Guess,
            threshold: 0.8,
            minimum_separation_angstrom: 1.6,
        }
    }
}

/// Finds columns in a normalised image of square pixels, shape `[y, x]`, in the order of rows.
///
/// The probability is `r / (r + threshold)` for a filtered value r: an order, 1/2 at the threshold, to be calibrated
/// before it means more. The position error is what white noise of the image's own level gives. Species is 0, the
/// number of atoms is not known and given as 0 with an error of infinity.
///
/// # Panics
/// If the pixel size or sigma is not positive.
pub fn find_columns(
    image: ArrayView2<'_, f32>,
    pixel_angstrom: f64,
    settings: &LaplacianSettings,
) -> Vec<DetectedColumn> {
    let sigma_px = settings.sigma_angstrom / pixel_angstrom;
    assert!(sigma_px > 0.0 && sigma_px.is_finite(), "pixel size and sigma must be positive");
    if image.is_empty() {
        return Vec::new();
    }
    let mut response = response(image, sigma_px);
    let dark = match settings.polarity {
        Polarity::Bright => false,
        Polarity::Dark => true,
        Polarity::Guess => third_moment(&response) < 0.0,
    };
    if dark {
        response.mapv_inplace(|value| -value);
    }
    let mut peaks = peaks(&response, settings.threshold as f32);
    peaks.sort_by(|a, b| b.value.total_cmp(&a.value).then((a.j, a.i).cmp(&(b.j, b.i))));
    let places: Vec<DVec2> = peaks.iter().map(|peak| peak.place * pixel_angstrom).collect();
    let grid = Neighbours::new(&places, settings.minimum_separation_angstrom);
    let mut kept = vec![false; peaks.len()];
    for index in 0..peaks.len() {
        kept[index] = !grid.within(places[index], settings.minimum_separation_angstrom).any(|(other, _)| kept[other]);
    }
    let noise = slope_noise(image, sigma_px);
    let mut found: Vec<(&Peak, DVec2)> =
        peaks.iter().zip(places).zip(kept).filter_map(|(peak, kept)| kept.then_some(peak)).collect();
    found.sort_by_key(|(peak, _)| (peak.j, peak.i));
    found
        .into_iter()
        .map(|(peak, place)| DetectedColumn {
            x_angstrom: place.x,
            y_angstrom: place.y,
            position_sigma_angstrom: noise / peak.curvature * pixel_angstrom,
            probability: peak.value / (peak.value + settings.threshold.max(f64::MIN_POSITIVE)),
            species: 0,
            species_probability: 1.0,
            atoms: 0.0,
            atoms_sigma: f64::INFINITY,
        })
        .collect()
}

/// Samples of a Gaussian and of its second derivative times minus sigma^2, from the middle outwards.
struct Kernel {
    gauss: Vec<f32>,
    second: Vec<f32>,
}

impl Kernel {
    fn new(sigma: f64) -> Kernel {
        let reach = (4.0 * sigma).ceil() as usize;
        let gauss: Vec<f64> = (0..=reach).map(|x| (-0.5 * (x as f64 / sigma).powi(2)).exp()).collect();
        let both = |values: &[f64]| values[0] + 2.0 * values[1..].iter().sum::<f64>();
        let sum = both(&gauss);
        let gauss: Vec<f64> = gauss.iter().map(|value| value / sum).collect();
        let mut second: Vec<f64> =
            gauss.iter().enumerate().map(|(x, value)| value * (1.0 - (x as f64 / sigma).powi(2))).collect();
        // A constant must give exactly nothing, whatever the sampling.
        let excess = both(&second) / (2 * reach + 1) as f64;
        second.iter_mut().for_each(|value| *value -= excess);
        let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        Kernel { gauss: single(gauss), second: single(second) }
    }
}

/// Minus sigma^2 times the Laplacian of the blurred image: positive on bright spots. Beyond the border the image is
/// mirrored.
fn response(image: ArrayView2<'_, f32>, sigma_px: f64) -> Array2<f32> {
    let kernel = Kernel::new(sigma_px);
    let along_x = |weights: &[f32], from: ArrayView2<'_, f32>| {
        let mut out = Array2::<f32>::zeros(from.dim());
        let reach = weights.len() as i64 - 1;
        rows_mut(&mut out).enumerate().for_each(|(j, to)| {
            let n = to.len();
            let padded: Vec<f32> = (-reach..n as i64 + reach).map(|i| clean(from[[j, mirrored(i, n)]])).collect();
            for (i, value) in to.iter_mut().enumerate() {
                let middle = i + reach as usize;
                *value = weights[0] * padded[middle]
                    + (1..weights.len()).map(|x| weights[x] * (padded[middle - x] + padded[middle + x])).sum::<f32>();
            }
        });
        out
    };
    let turned = |image: Array2<f32>| image.reversed_axes().as_standard_layout().into_owned();
    let x_part = turned(along_x(&kernel.second, image));
    let y_part = turned(along_x(&kernel.gauss, image));
    let sum = along_x(&kernel.gauss, x_part.view()) + along_x(&kernel.second, y_part.view());
    turned(sum)
}

fn clean(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

fn third_moment(response: &Array2<f32>) -> f64 {
    response.iter().map(|value| f64::from(*value).powi(3)).sum()
}

/// A local maximum: its pixel, refined place in pixels, value there and smaller curvature.
struct Peak {
    j: usize,
    i: usize,
    place: DVec2,
    value: f64,
    curvature: f64,
}

fn peaks(response: &Array2<f32>, threshold: f32) -> Vec<Peak> {
    let (ny, nx) = response.dim();
    let rows: Vec<Vec<Peak>> = (1..ny.saturating_sub(1).max(1))
        .into_par_iter()
        .with_min_len(32)
        .map(|j| (1..nx.saturating_sub(1)).filter_map(|i| peak(response, j, i, threshold)).collect())
        .collect();
    rows.into_iter().flatten().collect()
}

fn peak(response: &Array2<f32>, j: usize, i: usize, threshold: f32) -> Option<Peak> {
    let middle = response[[j, i]];
    if middle < threshold || middle <= 0.0 {
        return None;
    }
    for y in j - 1..=j + 1 {
        for x in i - 1..=i + 1 {
            let other = response[[y, x]];
            if if (y, x) < (j, i) { middle <= other } else { middle < other } {
                return None;
            }
        }
    }
    // Least squares of a paraboloid to the nine values (R. M. Haralick's facets): c + g.d + d.H.d / 2.
    let (mut sx, mut sy, mut sxx, mut syy, mut sxy, mut sum) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (dy, y) in [(-1.0, j - 1), (0.0, j), (1.0, j + 1)] {
        for (dx, x) in [(-1.0, i - 1), (0.0, i), (1.0, i + 1)] {
            let value = f64::from(response[[y, x]]);
            sum += value;
            sx += dx * value;
            sy += dy * value;
            sxx += dx * dx * value;
            syy += dy * dy * value;
            sxy += dx * dy * value;
        }
    }
    let gradient = DVec2::new(sx, sy) / 6.0;
    let (hxx, hyy, hxy) = (sxx - 2.0 / 3.0 * sum, syy - 2.0 / 3.0 * sum, sxy / 4.0);
    let determinant = hxx * hyy - hxy * hxy;
    let (place, value) = (DVec2::new(i as f64, j as f64), f64::from(middle));
    let mean = 0.5 * (hxx + hyy);
    let spread = (0.25 * (hxx - hyy).powi(2) + hxy * hxy).sqrt();
    let curvature = -(mean + spread);
    if curvature <= 0.0 {
        // A ridge or a plateau within noise: the pixel itself is the best that is known.
        return Some(Peak { j, i, place, value, curvature: f64::MIN_POSITIVE.sqrt() });
    }
    let step = -DVec2::new(hyy * gradient.x - hxy * gradient.y, hxx * gradient.y - hxy * gradient.x) / determinant;
    let step = step.clamp(DVec2::splat(-0.5), DVec2::splat(0.5));
    Some(Peak { j, i, place: place + step, value, curvature })
}

/// Standard deviation, per pixel, of the slope of the filtered image that white noise of the image's level gives.
fn slope_noise(image: ArrayView2<'_, f32>, sigma_px: f64) -> f64 {
    // The filter's slope along x has the transfer sigma^2 k^2 kx exp(-sigma^2 k^2 / 2); its squared norm over all k,
    // (1 / 4 pi^2) integral of sigma^4 k^4 kx^2 exp(-sigma^2 k^2), is 3 / (4 pi sigma^4).
    let norm = (3.0 / (4.0 * std::f64::consts::PI)).sqrt() / (sigma_px * sigma_px);
    crate::statistics::noise_sigma(image) * norm
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use rand_distr::{Distribution, Normal};

    use super::*;
    use crate::reliability::PositionReliability;
    use crate::score::Tally;
    use crate::test_places::{apart, scattered};

    fn spots(places: &[DVec2], n: usize, pixel: f64, sigma: f64, sign: f64, noise: f64) -> Array2<f32> {
        let mut random = SeedPath::new(11).stream();
        let normal = Normal::new(0.0, noise).unwrap();
        Array2::from_shape_fn((n, n), |(j, i)| {
            let at = DVec2::new(i as f64, j as f64) * pixel;
            let sum: f64 = places.iter().map(|place| (-place.distance_squared(at) / (2.0 * sigma * sigma)).exp()).sum();
            (sign * sum + normal.sample(&mut random)) as f32
        })
    }

    fn lattice() -> Vec<DVec2> {
        apart(scattered(900, 44.0, 3), 2.0).iter().map(|place| *place + 3.0).collect()
    }

    #[test]
    fn the_filter_answers_to_a_spot_as_the_formula_says() {
        // A Gaussian of width s and height 1 filtered at its own width: at its centre sigma^2 * 2 s^2 / (s^2 +
        // sigma^2)^2 = 1/2.
        let image = spots(&[DVec2::new(6.4, 6.4)], 64, 0.2, 0.6, 1.0, 0.0);
        let response = response(image.view(), 3.0);
        assert!((response[[32, 32]] - 0.5).abs() < 0.005, "{}", response[[32, 32]]);
        let flat = super::response(Array2::from_elem((40, 30), 5.0).view(), 2.0);
        assert!(flat.iter().all(|value| value.abs() < 1e-4));
    }

    #[test]
    fn bright_and_dark_spots_are_found_with_the_error_that_is_stated() {
        let truth = lattice();
        for sign in [1.0, -1.0] {
            let image = spots(&truth, 250, 0.2, 0.5, sign, 0.15);
            let settings = LaplacianSettings { sigma_angstrom: 0.5, threshold: 0.25, ..LaplacianSettings::default() };
            let found = find_columns(image.view(), 0.2, &settings);
            let tally = Tally::of(&crate::score::places(&found), &truth);
            let score = tally.score();
            assert!(score.f1.unwrap() > 0.98, "{score:?}");
            assert!(score.position.unwrap().median_pm < 10.0, "{score:?}");
            let mut sigmas: Vec<f64> = found.iter().map(|column| column.position_sigma_angstrom).collect();
            sigmas.sort_by(f64::total_cmp);
            let stated = vec![sigmas[sigmas.len() / 2]; tally.errors_angstrom.len()];
            let reliability = PositionReliability::of(&tally.errors_angstrom, &stated).unwrap();
            assert!((0.6..1.8).contains(&reliability.rms_z), "{}", reliability.rms_z);
        }
    }

    #[test]
    fn an_empty_image_and_one_that_is_too_small() {
        let settings = LaplacianSettings::default();
        assert!(find_columns(Array2::zeros((50, 50)).view(), 0.2, &settings).is_empty());
        for shape in [(0, 0), (1, 9), (2, 2)] {
            assert!(find_columns(Array2::from_elem(shape, 1.0).view(), 0.2, &settings).is_empty());
        }
        let mut broken = spots(&[DVec2::new(5.0, 5.0)], 50, 0.2, 0.5, 1.0, 0.0);
        broken[[40, 40]] = f32::NAN;
        let found =
            find_columns(broken.view(), 0.2, &LaplacianSettings { sigma_angstrom: 0.5, threshold: 0.2, ..settings });
        assert_eq!(found.len(), 1);
        assert!((found[0].x_angstrom - 5.0).abs() < 0.02 && (found[0].probability - 0.7).abs() < 0.1);
    }
}
