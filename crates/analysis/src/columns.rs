//! Columns from a confidence map.
//!
//! A detector spreads each column's share over the cells around its place, so a column is read by collecting what
//! belongs together:
//! 1. seeds are the local maxima of the share of any species, smoothed over 3 x 3 cells by binomial weights;
//! 2. each cell is given to the nearest seed within a radius, so no share is counted twice;
//! 3. the sum of a seed's cells, calibrated, is the probability; the mean of what its cells claim (centre of the cell
//!    plus offset), weighted by share and inverse variance, is the place;
//! 4. of places nearer to each other than the smallest separation the weaker goes, its cells fall to the other, and
//!    the collecting is repeated.
//!
//! The threshold is absolute: an empty frame has no column. The work is proportional to the number of cells, and the
//! answer does not depend on the number of threads.

use atomlens_core::glam::DVec2;
use atomlens_core::{ConfidenceMap, DetectedColumn};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::calibration::{ProbabilityCalibration, temper};
use crate::neighbours::Neighbours;
use crate::resample::rows_mut;

/// How columns are read from a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnSettings {
    /// Smallest calibrated probability of a column that is reported.
    pub probability_threshold: f64,
    /// No two columns are nearer than this.
    pub minimum_separation_angstrom: f64,
    /// How far from its place a column's share is collected. The share of a place that is known exactly lies within
    /// 1.42 cells; that of an uncertain one is spread further.
    pub gather_radius_angstrom: f64,
    /// From the summed share to the probability.
    pub probability_calibration: ProbabilityCalibration,
    /// Factor on the detector's own standard deviation of the place.
    pub position_sigma_scale: f64,
    /// The detector's probabilities of the species, raised to the power of one over this and made to add up to one, are those that
    /// are stated ([`crate::calibration::fit_species_temperature`]).
    pub species_temperature: f64,
}

impl Default for ColumnSettings {
    fn default() -> Self {
        ColumnSettings {
            probability_threshold: 0.5,
            minimum_separation_angstrom: 0.9,
            gather_radius_angstrom: 0.8,
            probability_calibration: ProbabilityCalibration::identity(),
            position_sigma_scale: 1.0,
            species_temperature: 1.0,
        }
    }
}

/// Smallest share in 3 x 3 cells that can seed a column. It does not depend on the threshold, so that a column has the
/// same probability whatever the threshold is.
const SEED_SHARE: f32 = 0.05;

/// Offsets are not believed to be more certain than this, in cells.
const SIGMA_FLOOR_CELLS: f64 = 0.02;

/// Seeds that one thread works on at least.
const SEEDS_A_TASK: usize = 256;

/// The columns of a map, in the order of the rows of cells.
///
/// # Panics
/// If the map's arrays do not have the shape of its grid.
pub fn find_columns(map: &ConfidenceMap, settings: &ColumnSettings) -> Vec<DetectedColumn> {
    find_columns_with_species(map, settings).0
}

/// The same, and the probability of every species given that there is a column, shape `[column, species]`.
///
/// # Panics
/// As [`find_columns`].
pub fn find_columns_with_species(map: &ConfidenceMap, settings: &ColumnSettings) -> (Vec<DetectedColumn>, Array2<f64>) {
    let shares = Shares::of(map);
    let radius = settings.gather_radius_angstrom / map.grid.cell_angstrom;
    let separation = settings.minimum_separation_angstrom / map.grid.cell_angstrom;
    let mut places = separated(shares.seeds(), separation);
    loop {
        let gathered = shares.gather(&places, radius);
        let found = gathered.iter().map(|column| (column.place, column.sum)).collect();
        let kept = separated(found, separation);
        if kept.len() == gathered.len() {
            let (columns, species): (Vec<_>, Vec<_>) =
                gathered.iter().filter_map(|column| shares.column(column, settings)).unzip();
            let species = species.concat();
            let shape = (columns.len(), map.species.len());
            return (columns, Array2::from_shape_vec(shape, species).expect("a probability of every species"));
        }
        places = kept;
    }
}

/// The calibrated probability of a column at each of the given places, in angstrom from the centre of the image's
/// first pixel. A cell counts for the nearest of the places alone, so the places that belong to one frame should be
/// asked for together.
///
/// # Panics
/// If the map's arrays do not have the shape of its grid.
pub fn probabilities_at(map: &ConfidenceMap, places_angstrom: &[DVec2], settings: &ColumnSettings) -> Vec<f64> {
    let shares = Shares::of(map);
    let radius = settings.gather_radius_angstrom / map.grid.cell_angstrom;
    let places: Vec<DVec2> =
        places_angstrom.iter().map(|place| DVec2::from_array(map.grid.cells_at(place.x, place.y))).collect();
    let gathered = shares.gather(&places, radius);
    gathered.iter().map(|column| settings.probability_calibration.apply(column.sum)).collect()
}

/// Of places with their strengths, those that have no stronger one nearer than `separation`; strongest first where
/// they chain. The order stays.
fn separated(places: Vec<(DVec2, f64)>, separation: f64) -> Vec<DVec2> {
    let positions: Vec<DVec2> = places.iter().map(|(place, _)| *place).collect();
    let grid = Neighbours::new(&positions, separation);
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|&a, &b| places[b].1.total_cmp(&places[a].1).then(a.cmp(&b)));
    let mut kept = vec![false; places.len()];
    let square = separation * separation;
    for index in order {
        kept[index] = !grid.within(positions[index], separation).any(|(other, far)| kept[other] && far < square);
    }
    positions.into_iter().zip(kept).filter_map(|(place, kept)| kept.then_some(place)).collect()
}

/// A map with the share of any species, cleaned of what is not a share.
struct Shares<'a> {
    map: &'a ConfidenceMap,
    any: Array2<f32>,
}

/// What the cells of one place add up to. Lengths in cells.
struct Gathered {
    sum: f64,
    place: DVec2,
    sigma: f64,
    by_species: Vec<f64>,
    atoms: f64,
    atoms_sigma: f64,
}

impl<'a> Shares<'a> {
    fn of(map: &'a ConfidenceMap) -> Shares<'a> {
        let cells = (map.grid.ny, map.grid.nx);
        assert_eq!(
            map.share.dim(),
            (map.species.len(), cells.0, cells.1),
            "shares must be [species, y, x] of the grid"
        );
        assert_eq!(map.offset_cells.dim(), (2, cells.0, cells.1), "offsets must be [2, y, x] of the grid");
        for layer in [&map.offset_sigma_cells, &map.atoms, &map.atoms_sigma] {
            assert_eq!(layer.dim(), cells, "uncertainties and atoms must be [y, x] of the grid");
        }
        let mut any = Array2::zeros(cells);
        if any.is_empty() {
            return Shares { map, any };
        }
        rows_mut(&mut any).enumerate().for_each(|(j, row)| {
            for species in map.share.outer_iter() {
                row.iter_mut().zip(species.row(j)).for_each(|(sum, share)| *sum += clean(*share));
            }
        });
        Shares { map, any }
    }

    /// Local maxima: places in cells and the share in the 3 x 3 cells around.
    fn seeds(&self) -> Vec<(DVec2, f64)> {
        let (ny, nx) = self.any.dim();
        if self.any.is_empty() {
            return Vec::new();
        }
        let mut smooth = Array2::<f32>::zeros((ny, nx));
        rows_mut(&mut smooth).enumerate().for_each(|(j, row)| {
            for (weight, from) in [(1.0, j.checked_sub(1)), (2.0, Some(j)), (1.0, Some(j + 1).filter(|&j| j < ny))] {
                let Some(from) = from else { continue };
                let from = self.any.row(from);
                let from = from.as_slice().expect("standard layout");
                for (i, value) in row.iter_mut().enumerate() {
                    let (left, right) = (i.checked_sub(1).map_or(0.0, |i| from[i]), from.get(i + 1).unwrap_or(&0.0));
                    *value += weight * (left + 2.0 * from[i] + right);
                }
            }
        });
        let rows: Vec<Vec<(DVec2, f64)>> = (0..ny)
            .into_par_iter()
            .with_min_len(32)
            .map(|j| {
                let mut seeds = Vec::new();
                for i in 0..nx {
                    // The binomial weights are at least 1, so a small value means a small sum.
                    if smooth[[j, i]] >= SEED_SHARE && is_peak(smooth.view(), j, i) {
                        seeds.extend(self.seed(j, i));
                    }
                }
                seeds
            })
            .collect();
        rows.concat()
    }

    fn seed(&self, j: usize, i: usize) -> Option<(DVec2, f64)> {
        let (ny, nx) = self.any.dim();
        let (mut sum, mut moment) = (0.0, DVec2::ZERO);
        for y in j.saturating_sub(1)..(j + 2).min(ny) {
            for x in i.saturating_sub(1)..(i + 2).min(nx) {
                let share = f64::from(self.any[[y, x]]);
                sum += share;
                moment += share * DVec2::new(x as f64, y as f64);
            }
        }
        (sum >= f64::from(SEED_SHARE)).then(|| (moment / sum, sum))
    }

    /// Collects, for each place (in cells), the cells within `radius` that are nearest to it.
    fn gather(&self, places: &[DVec2], radius: f64) -> Vec<Gathered> {
        let grid = Neighbours::new(places, 2.0 * radius);
        (0..places.len())
            .into_par_iter()
            .with_min_len(SEEDS_A_TASK)
            .map_init(Vec::new, |rivals, index| {
                rivals.clear();
                let place = places[index];
                rivals.extend(
                    grid.within(place, 2.0 * radius)
                        .filter(|(other, _)| *other != index)
                        .map(|(other, _)| (places[other], other < index)),
                );
                self.gather_one(place, radius, rivals)
            })
            .collect()
    }

    /// `rivals` are the other places nearby, with whether they win where a cell is equally far from both.
    fn gather_one(&self, place: DVec2, radius: f64, rivals: &[(DVec2, bool)]) -> Gathered {
        let (ny, nx) = self.any.dim();
        let range = |centre: f64, n: usize| {
            let (low, high) = ((centre - radius).ceil().max(0.0), (centre + radius).floor());
            if high >= low { low as usize..(high as usize).saturating_add(1).min(n) } else { 0..0 }
        };
        let species_count = self.map.species.len();
        let mut by_species = vec![0.0_f64; species_count];
        let (mut sum, mut weights, mut claims, mut sigmas) = (0.0, 0.0, DVec2::ZERO, 0.0);
        let (mut atoms, mut atoms_sigma) = (0.0, 0.0);
        for j in range(place.y, ny) {
            for i in range(place.x, nx) {
                let share = f64::from(self.any[[j, i]]);
                let centre = DVec2::new(i as f64, j as f64);
                let far = centre.distance_squared(place);
                let taken = |&(rival, first): &(DVec2, bool)| {
                    let other = centre.distance_squared(rival);
                    other < far || first && other == far
                };
                if share <= 0.0 || far > radius * radius || rivals.iter().any(taken) {
                    continue;
                }
                sum += share;
                for (species, total) in by_species.iter_mut().enumerate() {
                    *total += f64::from(clean(self.map.share[[species, j, i]]));
                }
                let offset = DVec2::new(
                    f64::from(self.map.offset_cells[[0, j, i]]),
                    f64::from(self.map.offset_cells[[1, j, i]]),
                );
                // A cell may not claim a place further away than a share is collected from.
                let offset = if offset.is_finite() { offset.clamp_length_max(radius) } else { DVec2::ZERO };
                let sigma = f64::from(self.map.offset_sigma_cells[[j, i]]);
                let sigma = if sigma.is_finite() { sigma.max(SIGMA_FLOOR_CELLS) } else { radius };
                let weight = share / (sigma * sigma);
                weights += weight;
                claims += weight * (centre + offset);
                sigmas += weight * sigma;
                atoms += share * finite(self.map.atoms[[j, i]]);
                atoms_sigma += share * finite(self.map.atoms_sigma[[j, i]]);
            }
        }
        if sum <= 0.0 {
            return Gathered { sum: 0.0, place, sigma: radius, by_species, atoms: 0.0, atoms_sigma: 0.0 };
        }
        Gathered {
            sum,
            place: place + (claims / weights - place).clamp_length_max(radius),
            // Neighbouring cells see the same noise: their errors are one error, not many that average out.
            sigma: sigmas / weights,
            by_species,
            atoms: atoms / sum,
            atoms_sigma: atoms_sigma / sum,
        }
    }

    /// The column in angstrom with the probabilities of its species, if it is probable enough.
    fn column(&self, gathered: &Gathered, settings: &ColumnSettings) -> Option<(DetectedColumn, Vec<f64>)> {
        let probability = settings.probability_calibration.apply(gathered.sum);
        let [x_angstrom, y_angstrom] = self.map.grid.place_angstrom(gathered.place.x, gathered.place.y);
        if gathered.sum <= 0.0 || probability < settings.probability_threshold {
            return None;
        }
        let mut by_species = gathered.by_species.clone();
        temper(&mut by_species, settings.species_temperature);
        let (species, species_probability) = by_species
            .iter()
            .copied()
            .enumerate()
            .fold((0, 0.0), |best, (species, share)| if share > best.1 { (species, share) } else { best });
        let column = DetectedColumn {
            x_angstrom,
            y_angstrom,
            position_sigma_angstrom: gathered.sigma * self.map.grid.cell_angstrom * settings.position_sigma_scale,
            probability,
            species,
            species_probability,
            atoms: gathered.atoms,
            atoms_sigma: gathered.atoms_sigma,
        };
        Some((column, by_species))
    }
}

fn clean(share: f32) -> f32 {
    if share.is_finite() { share.max(0.0) } else { 0.0 }
}

fn finite(value: f32) -> f64 {
    if value.is_finite() { f64::from(value) } else { 0.0 }
}

/// Whether a cell is larger than its neighbours; of equal ones the first is.
fn is_peak(map: ArrayView2<'_, f32>, j: usize, i: usize) -> bool {
    let value = map[[j, i]];
    let (ny, nx) = map.dim();
    (j.saturating_sub(1)..(j + 2).min(ny)).all(|y| {
        (i.saturating_sub(1)..(i + 2).min(nx)).all(|x| {
            let other = map[[y, x]];
            if (y, x) < (j, i) { value > other } else { value >= other }
        })
    })
}

#[cfg(test)]
mod tests {
    use atomlens_core::CellGrid;
    use ndarray::{Array2, Array3};

    use super::*;
    use crate::matching::pair;
    use crate::test_places::{apart, scattered};

    /// What a detector that knows the truth would say: columns (place in angstrom, species, probability).
    fn ideal(columns: &[(DVec2, usize, f64)], field_angstrom: f64) -> ConfidenceMap {
        let n = (field_angstrom / 0.4).ceil() as usize;
        let grid = CellGrid { nx: n, ny: n, cell_angstrom: 0.4, origin_angstrom: [0.1, 0.1] };
        let mut map = ConfidenceMap {
            grid,
            species: vec!["Au".into(), "Ce".into()],
            share: Array3::zeros((2, n, n)),
            offset_cells: Array3::zeros((2, n, n)),
            offset_sigma_cells: Array2::from_elem((n, n), 0.1),
            atoms: Array2::zeros((n, n)),
            atoms_sigma: Array2::from_elem((n, n), 0.5),
        };
        let cells: Vec<DVec2> =
            columns.iter().map(|(place, ..)| DVec2::from_array(grid.cells_at(place.x, place.y))).collect();
        for (at, &(_, species, probability)) in cells.iter().zip(columns) {
            let low = at.floor();
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (i, j) = (low.x as i64 + dx, low.y as i64 + dy);
                if i < 0 || j < 0 || i >= n as i64 || j >= n as i64 {
                    continue;
                }
                let weight = (1.0 - (at.x - i as f64).abs()) * (1.0 - (at.y - j as f64).abs());
                map.share[[species, j as usize, i as usize]] += (probability * weight) as f32;
            }
        }
        for j in 0..n {
            for i in 0..n {
                let centre = DVec2::new(i as f64, j as f64);
                let nearest = (0..cells.len())
                    .min_by(|&a, &b| cells[a].distance_squared(centre).total_cmp(&cells[b].distance_squared(centre)));
                let Some(nearest) = nearest else { continue };
                map.offset_cells[[0, j, i]] = (cells[nearest].x - centre.x) as f32;
                map.offset_cells[[1, j, i]] = (cells[nearest].y - centre.y) as f32;
                map.atoms[[j, i]] = 3.0 + nearest as f32;
            }
        }
        map
    }

    fn places(columns: &[DetectedColumn]) -> Vec<DVec2> {
        columns.iter().map(|column| DVec2::new(column.x_angstrom, column.y_angstrom)).collect()
    }

    #[test]
    fn every_column_of_an_ideal_map_is_read_back() {
        let truth: Vec<DVec2> = apart(scattered(600, 38.0, 5), 1.42).iter().map(|place| *place + 1.0).collect();
        assert!(truth.len() > 150);
        let columns: Vec<(DVec2, usize, f64)> = truth
            .iter()
            .enumerate()
            .map(|(index, place)| (*place, index % 2, 0.55 + 0.4 * (index % 7) as f64 / 7.0))
            .collect();
        let found = find_columns(&ideal(&columns, 40.0), &ColumnSettings::default());
        let pairs = pair(&places(&found), &truth, 0.5);
        assert_eq!((pairs.len(), found.len()), (truth.len(), truth.len()));
        for pair in pairs {
            let (column, (_, species, probability)) = (&found[pair.detected], columns[pair.truth]);
            assert!(pair.error.length() < 0.02, "{}", pair.error.length());
            assert!((column.probability - probability).abs() < 0.02, "{} for {probability}", column.probability);
            assert_eq!(column.species, species);
            assert!(column.species_probability > 0.97);
            assert!((column.atoms - 3.0 - pair.truth as f64).abs() < 0.1 * column.atoms);
            assert!((column.position_sigma_angstrom - 0.04).abs() < 1e-6);
        }
    }

    #[test]
    fn wherever_in_its_cell_one_column_is_one_column() {
        for step in 0..81 {
            let place = DVec2::new(4.1 + 0.05 * f64::from(step % 9), 4.1 + 0.05 * f64::from(step / 9));
            let found = find_columns(&ideal(&[(place, 1, 0.8)], 8.0), &ColumnSettings::default());
            assert_eq!(found.len(), 1);
            assert!((found[0].probability - 0.8).abs() < 1e-5 && places(&found)[0].distance(place) < 1e-5);
        }
    }

    #[test]
    fn nearer_than_the_separation_is_one() {
        let two = |far: f64| {
            let (a, b) = (DVec2::new(5.0, 5.0), DVec2::new(5.0 + far, 5.0));
            find_columns(&ideal(&[(a, 0, 0.9), (b, 0, 0.6)], 10.0), &ColumnSettings::default())
        };
        assert_eq!([two(0.5).len(), two(0.8).len(), two(1.2).len(), two(1.42).len()], [1, 1, 2, 2]);
        // Share is never counted twice, and never makes more than certainty.
        assert!(two(0.5)[0].probability <= 1.0);
        assert!((two(1.42).iter().map(|column| column.probability).sum::<f64>() - 1.5).abs() < 1e-4);
    }

    #[test]
    fn an_absolute_threshold_and_calibration() {
        let weak = ideal(&[(DVec2::new(3.3, 4.2), 0, 0.3)], 10.0);
        let empty = ideal(&[], 10.0);
        let mut settings = ColumnSettings::default();
        assert!(find_columns(&weak, &settings).is_empty() && find_columns(&empty, &settings).is_empty());
        settings.probability_calibration =
            ProbabilityCalibration::new(vec![[0.0, 0.0], [0.2, 0.7], [1.0, 1.0]]).unwrap();
        settings.position_sigma_scale = 2.0;
        let found = find_columns(&weak, &settings);
        assert!((found[0].probability - 0.7375).abs() < 1e-5 && (found[0].position_sigma_angstrom - 0.08).abs() < 1e-6);
    }

    #[test]
    fn what_is_not_a_number_is_no_column() {
        let mut map = ideal(&[(DVec2::new(5.0, 5.0), 0, 0.9)], 10.0);
        map.share[[0, 3, 3]] = f32::NAN;
        map.share[[1, 20, 20]] = f32::INFINITY;
        map.share[[1, 20, 22]] = -4.0;
        map.offset_cells.fill(f32::NAN);
        map.offset_sigma_cells.fill(f32::NAN);
        map.atoms.fill(f32::NAN);
        let found = find_columns(&map, &ColumnSettings::default());
        assert_eq!(found.len(), 1);
        // Without offsets the centre of mass of the shares remains.
        assert!(places(&found)[0].distance(DVec2::new(5.0, 5.0)) < 1e-5);
        assert_eq!(found[0].atoms, 0.0);
    }

    #[test]
    fn probabilities_at_given_places() {
        let (a, b) = (DVec2::new(5.0, 5.0), DVec2::new(6.3, 5.0));
        let map = ideal(&[(a, 0, 0.9), (b, 0, 0.6)], 10.0);
        let asked = [a + DVec2::new(0.1, -0.05), b, DVec2::new(2.0, 2.0), DVec2::new(-50.0, 3.0), DVec2::NAN];
        let read = probabilities_at(&map, &asked, &ColumnSettings::default());
        for (read, expected) in read.iter().zip([0.9, 0.6, 0.0, 0.0, 0.0]) {
            assert!((read - expected).abs() < 1e-5, "{read} for {expected}");
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let columns: Vec<(DVec2, usize, f64)> =
            apart(scattered(4000, 100.0, 9), 1.0).into_iter().map(|place| (place, 0, 0.8)).collect();
        let map = ideal(&columns, 100.0);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| find_columns(&map, &ColumnSettings::default()))
        };
        assert_eq!(with(1), with(3));
    }
}
