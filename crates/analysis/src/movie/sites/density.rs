//! Where columns were found over a whole movie: their summed probability in small cells of the reference frame.
//!
//! Only cells in which something was found exist, so memory is bounded by the field of view, not by the number of
//! frames. Peaks are the local maxima of the cells smoothed with a Gaussian, moved to the mean of the columns around
//! (mean shift: K. Fukunaga and L. Hostetler, *IEEE Trans. Inf. Theory* 21, 32 (1975), doi:10.1109/TIT.1975.1055330).

use std::collections::BTreeMap;

use atomlens_core::confidence::DetectedColumn;
use atomlens_core::glam::DVec2;

use crate::neighbours::Neighbours;

/// Edge of a cell in angstrom, and the standard deviation of the smoothing.
const CELL_ANGSTROM: f64 = 0.25;

/// Columns within this distance belong to a peak.
pub(super) const PEAK_REACH_ANGSTROM: f64 = 0.6;

/// Peaks nearer to each other than this are one.
const LEAST_SEPARATION_ANGSTROM: f64 = 0.9;

/// Species that are told apart.
const SPECIES: usize = 8;

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// Sum of the probabilities.
    weight: f64,
    /// The same times the place.
    moment: DVec2,
    /// The same times the square of the place from the cell's corner.
    square: f64,
    species: [f32; SPECIES],
}

/// The summed probability of columns, in the reference frame.
#[derive(Debug, Clone, Default)]
pub struct SiteDensity {
    cells: BTreeMap<(i32, i32), Cell>,
    frames: usize,
}

/// A peak of the density.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DensityPeak {
    /// Mean place of the columns, in angstrom.
    pub place_angstrom: DVec2,
    /// Sum of their probabilities.
    pub weight: f64,
    /// Standard deviation of their places in each direction, in angstrom.
    pub spread_angstrom: f64,
    /// Index of the commonest species.
    pub species: usize,
}

impl SiteDensity {
    /// Nothing yet.
    pub fn new() -> SiteDensity {
        SiteDensity::default()
    }

    /// Adds a frame's columns; `to_reference` takes places in the frame to the reference frame, both in angstrom.
    pub fn add(&mut self, columns: &[DetectedColumn], to_reference: impl Fn(DVec2) -> DVec2) {
        self.frames += 1;
        for column in columns {
            let place = to_reference(DVec2::new(column.x_angstrom, column.y_angstrom));
            if !place.is_finite()
                || column.probability.is_nan()
                || column.probability <= 0.0
                || place.abs().max_element() > 1e6
            {
                continue;
            }
            let key = key(place);
            let cell = self.cells.entry(key).or_default();
            cell.weight += column.probability;
            cell.moment += column.probability * place;
            cell.square += column.probability * (place - corner(key)).length_squared();
            cell.species[column.species.min(SPECIES - 1)] += column.probability as f32;
        }
    }

    /// Number of frames that were added.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// All peaks, the heaviest first.
    pub fn peaks(&self) -> Vec<DensityPeak> {
        let mut smooth: BTreeMap<(i32, i32), f64> = BTreeMap::new();
        for (&(j, i), cell) in &self.cells {
            for (dj, di) in around(2) {
                // A Gaussian as wide as a cell.
                *smooth.entry((j + dj, i + di)).or_default() +=
                    cell.weight * (-0.5 * f64::from(dj * dj + di * di)).exp();
            }
        }
        let mut peaks: Vec<DensityPeak> = smooth
            .iter()
            .filter(|&(&(j, i), &value)| {
                around(1).all(|(dj, di)| {
                    let other = smooth.get(&(j + dj, i + di)).copied().unwrap_or(0.0);
                    if (dj, di) < (0, 0) { value > other } else { value >= other }
                })
            })
            .filter_map(|(&at, _)| self.settled(corner(at) + 0.5 * CELL_ANGSTROM))
            .collect();
        peaks.sort_by(|a, b| {
            let place = |peak: &DensityPeak| (peak.place_angstrom.y, peak.place_angstrom.x);
            b.weight.total_cmp(&a.weight).then(place(a).partial_cmp(&place(b)).expect("places are finite"))
        });
        let places: Vec<DVec2> = peaks.iter().map(|peak| peak.place_angstrom).collect();
        let near = Neighbours::new(&places, LEAST_SEPARATION_ANGSTROM);
        let mut kept = vec![false; peaks.len()];
        for index in 0..peaks.len() {
            kept[index] = near.within(places[index], LEAST_SEPARATION_ANGSTROM).all(|(other, _)| !kept[other]);
        }
        let mut kept = kept.into_iter();
        peaks.retain(|_| kept.next() == Some(true));
        peaks
    }

    /// The peak that a place is drawn to.
    fn settled(&self, start: DVec2) -> Option<DensityPeak> {
        let mut at = start;
        for _ in 0..8 {
            let found = self.within(at, PEAK_REACH_ANGSTROM)?;
            let moved = found.place_angstrom.distance(at);
            at = found.place_angstrom;
            if moved < 1e-3 {
                break;
            }
        }
        self.within(at, PEAK_REACH_ANGSTROM)
    }

    /// What lies within a distance of a place, weighed by how near the cells are.
    pub(super) fn within(&self, place: DVec2, reach: f64) -> Option<DensityPeak> {
        let (low, high) = (key(place - reach), key(place + reach));
        let (mut weight, mut moment, mut square) = (0.0, DVec2::ZERO, 0.0);
        let mut species = [0.0_f64; SPECIES];
        for j in low.0..=high.0 {
            for (&(_, i), cell) in self.cells.range((j, low.1)..=(j, high.1)) {
                let mean = cell.moment / cell.weight;
                if mean.distance(place) > reach {
                    continue;
                }
                weight += cell.weight;
                moment += cell.moment;
                let from_corner = mean - corner((j, i));
                let within = cell.square - cell.weight * from_corner.length_squared();
                square += within + cell.weight * mean.distance_squared(place);
                for (sum, part) in species.iter_mut().zip(cell.species) {
                    *sum += f64::from(part);
                }
            }
        }
        if weight <= 0.0 {
            return None;
        }
        let mean = moment / weight;
        let variance = (square / weight - mean.distance_squared(place)).max(0.0) / 2.0;
        let species = (0..SPECIES).max_by(|a, b| species[*a].total_cmp(&species[*b]).then(b.cmp(a))).unwrap_or(0);
        Some(DensityPeak { place_angstrom: mean, weight, spread_angstrom: variance.sqrt(), species })
    }
}

fn key(place: DVec2) -> (i32, i32) {
    ((place.y / CELL_ANGSTROM).floor() as i32, (place.x / CELL_ANGSTROM).floor() as i32)
}

fn corner((j, i): (i32, i32)) -> DVec2 {
    DVec2::new(f64::from(i), f64::from(j)) * CELL_ANGSTROM
}

/// Steps to the cells around one, itself left out unless the reach is above 1.
fn around(reach: i32) -> impl Iterator<Item = (i32, i32)> {
    (-reach..=reach)
        .flat_map(move |j| (-reach..=reach).map(move |i| (j, i)))
        .filter(move |step| reach > 1 || *step != (0, 0))
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use rand_distr::{Distribution, Normal};

    use super::*;

    #[test]
    fn peaks_are_where_columns_were() {
        let truth = [DVec2::new(5.0, 5.0), DVec2::new(7.5, 5.1), DVec2::new(-3.3, 2.0)];
        let noise = Normal::new(0.0, 0.12).unwrap();
        let mut random = SeedPath::new(3).stream();
        let mut density = SiteDensity::new();
        for frame in 0..200 {
            let drift = DVec2::new(0.01, -0.02) * f64::from(frame);
            let columns: Vec<DetectedColumn> = truth
                .iter()
                .enumerate()
                .map(|(index, place)| DetectedColumn {
                    x_angstrom: place.x + drift.x + noise.sample(&mut random),
                    y_angstrom: place.y + drift.y + noise.sample(&mut random),
                    position_sigma_angstrom: 0.12,
                    probability: [0.9, 0.4, 0.7][index],
                    species: index % 2,
                    species_probability: 1.0,
                    atoms: 3.0,
                    atoms_sigma: 1.0,
                })
                .collect();
            density.add(&columns, |place| place - drift);
        }
        let peaks = density.peaks();
        assert_eq!(peaks.len(), 3);
        for (peak, index) in peaks.iter().zip([0, 2, 1]) {
            assert!(peak.place_angstrom.distance(truth[index]) < 0.04, "{peak:?}");
            assert!((peak.weight - 200.0 * [0.9, 0.4, 0.7][index]).abs() < 1.0);
            assert!((peak.spread_angstrom - 0.12).abs() < 0.02, "{peak:?}");
            assert_eq!(peak.species, index % 2);
        }
    }
}
