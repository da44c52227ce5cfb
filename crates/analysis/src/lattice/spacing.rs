//! The lattice that columns make: its vectors, how far they are from what is known, which columns belong to it.
//!
//! *Vectors without a name* ([`lattice_vectors`]): differences between neighbours are gathered in cells and the commonest
//! are refined by their mean. A vector that leads from column to column everywhere is a vector of the lattice; one that
//! does so from every other column (the bonds of a honeycomb) leads to the other column of the cell. The shortest two
//! of the lattice's own, reduced, are the answer.
//!
//! *A known lattice* ([`fit_lattice`]): a patch of columns is laid on the zone's cell, then neighbours are numbered
//! outwards from it, each place predicted from the columns numbered nearby. That follows strain and distortion which a
//! rigid grid would lose within a few nanometres. All numbered columns give, by least squares,
//! `r = o + (n + u_s) a1 + (m + v_s) a2` for the mean cell, and with terms of second and third order, where there are
//! enough columns, for the places. The scale between `a1, a2` and the known cell is the pixel size; its standard error is a jackknife over blocks of the image, as strain and distortion are the same for
//! neighbours and columns are no independent witnesses of them.
//!
//! Positions are in any unit of length, mostly pixels; with the lattice in angstrom the scale is then angstrom per pixel.

use std::collections::BTreeMap;

use atomlens_core::glam::{DMat2, DVec2};

use super::known::{Zone, reduced};
use crate::neighbours::Neighbours;

/// Fewest columns that make a lattice.
pub const FEWEST_COLUMNS: usize = 6;

/// Blocks of the jackknife.
const BLOCKS: usize = 8;

/// A column whose place was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColumnPlace {
    /// Where it is.
    pub place: DVec2,
    /// Standard deviation of the place in each direction.
    pub sigma: f64,
}

/// Vectors of the lattice that columns make.
#[derive(Debug, Clone, PartialEq)]
pub struct LatticeVectors {
    /// Reduced primitive vectors, shorter first, in the unit of the columns.
    pub vectors: [DVec2; 2],
    /// Standard errors of their components.
    pub sigma: f64,
    /// Distance between neighbouring columns, in the same unit.
    pub neighbour_distance: f64,
    /// Standard deviation of it from neighbour to neighbour.
    pub neighbour_spread: f64,
}

/// Why columns give no lattice.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSpacing {
    /// Too few.
    #[error("{found} columns; a lattice needs at least {FEWEST_COLUMNS}")]
    TooFew {
        /// How many there are.
        found: usize,
    },
    /// No vector leads from column to column.
    #[error("{found} columns without a common lattice: no two vectors lead from most columns to another one")]
    NoOrder {
        /// How many there are.
        found: usize,
    },
    /// Few of the columns are on the lattice.
    #[error("only {fitted} of {found} columns lie on the lattice of {zone} at {scale:.4} angstrom per unit")]
    OffLattice {
        /// Columns that were numbered.
        fitted: usize,
        /// How many there are.
        found: usize,
        /// The axis.
        zone: String,
        /// Scale of the best fit.
        scale: f64,
    },
}

/// A comparison of a stated pixel size with the lattice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelSizeCheck {
    /// Stated over measured pixel size, less one, in percent: +1.3 means that lengths come out 1.3 % too long.
    pub deviation_percent: f64,
    /// Standard error of the measured one, in percent.
    pub sigma_percent: f64,
}

impl PixelSizeCheck {
    /// Whether the deviation is beyond three standard errors and half a percent, which is what tilt, strain and
    /// tabulated constants leave open.
    pub fn is_off(&self) -> bool {
        self.deviation_percent.abs() > (3.0 * self.sigma_percent).max(0.5)
    }
}

impl std::fmt::Display for PixelSizeCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_off() {
            write!(
                f,
                "the lattice says that the pixel size is off by {:+.1} +- {:.1} %",
                self.deviation_percent, self.sigma_percent
            )
        } else {
            write!(
                f,
                "the pixel size agrees with the lattice ({:+.1} +- {:.1} %)",
                self.deviation_percent, self.sigma_percent
            )
        }
    }
}

/// Columns laid on a known lattice.
#[derive(Debug, Clone, PartialEq)]
pub struct LatticeFit {
    /// Mean primitive vectors, in the unit of the columns.
    pub vectors: [DVec2; 2],
    /// Angstrom per unit: the pixel size, for columns in pixels.
    pub scale_angstrom: f64,
    /// Its standard error.
    pub scale_sigma_angstrom: f64,
    /// How much the measured cell differs in shape from the known one: the larger principal stretch over the smaller,
    /// less one (tilt, strain, distortion of the camera).
    pub anisotropy: f64,
    /// For each column its place on the lattice, as cell and site; `None` off the lattice.
    pub numbers: Vec<Option<LatticePlace>>,
    /// Root mean square distance of numbered columns from their predicted places.
    pub residual_rms: f64,
    model: Model,
    /// Where sites are in the cell, in units of its vectors.
    pub(crate) sites: Vec<DVec2>,
    /// Distance between neighbouring sites, in the unit of the columns.
    pub(crate) site_distance: f64,
}

/// A place of a lattice: cell `n a1 + m a2`, and the site within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LatticePlace {
    /// Along the first vector.
    pub n: i32,
    /// Along the second vector.
    pub m: i32,
    /// Index of the site in the zone's cell.
    pub site: usize,
}

impl LatticeFit {
    /// Where the fit puts a place of the lattice, in the unit of the columns.
    pub fn predicted(&self, place: LatticePlace) -> DVec2 {
        self.model.at(self.coordinates(place))
    }

    /// A stated pixel size in angstrom against the lattice, for columns in pixels.
    pub fn check(&self, stated_pixel_angstrom: f64) -> PixelSizeCheck {
        PixelSizeCheck {
            deviation_percent: 100.0 * (stated_pixel_angstrom / self.scale_angstrom - 1.0),
            sigma_percent: 100.0 * self.scale_sigma_angstrom / self.scale_angstrom,
        }
    }

    /// Number of columns on the lattice.
    pub fn numbered(&self) -> usize {
        self.numbers.iter().flatten().count()
    }

    fn coordinates(&self, place: LatticePlace) -> DVec2 {
        DVec2::new(f64::from(place.n), f64::from(place.m)) + self.sites[place.site]
    }
}

/// The vectors of the lattice that columns make, whatever it is.
///
/// # Errors
/// If there are fewer than six columns, or they have no order.
pub fn lattice_vectors(columns: &[ColumnPlace]) -> Result<LatticeVectors, NoSpacing> {
    let found = columns.len();
    if found < FEWEST_COLUMNS {
        return Err(NoSpacing::TooFew { found });
    }
    let (index, spread) = indexed(columns);
    let nearest: Vec<f64> = columns.iter().filter_map(|column| nearest_other(&index, column.place, spread)).collect();
    if nearest.is_empty() {
        return Err(NoSpacing::NoOrder { found });
    }
    let distance = median(&nearest);
    let reach = 3.2 * distance;
    let mut differences: Vec<DVec2> = Vec::new();
    for column in columns {
        for (j, _) in index.within(column.place, reach) {
            let difference = columns[j].place - column.place;
            if difference.x > 0.0 || (difference.x == 0.0 && difference.y > 0.0) {
                differences.push(difference);
            }
        }
    }
    let mut clusters = clustered(&differences, 0.22 * distance);
    let most = clusters.iter().map(|cluster| cluster.count).max().unwrap_or(0);
    // A patch of N columns has fewer pairs the longer the vector: about one side's columns less for a step.
    let side = (found as f64).sqrt();
    let share = |cluster: &Cluster| {
        let steps = (cluster.mean.length() / distance).min(0.6 * side);
        cluster.count as f64 / (1.0 - 0.8 * steps / side).max(0.2)
    };
    clusters.retain(|cluster| share(cluster) > (0.66 * most as f64).max(0.45 * found as f64) && cluster.count >= 3);
    clusters.sort_by(|a, b| a.mean.length().total_cmp(&b.mean.length()));
    let first = clusters.first().ok_or(NoSpacing::NoOrder { found })?;
    let crossed = |cluster: &&Cluster| {
        (first.mean.perp_dot(cluster.mean) / (first.mean.length() * cluster.mean.length())).abs() > 0.25
    };
    let second = clusters.iter().find(crossed).ok_or(NoSpacing::NoOrder { found })?;
    let sigma = first.error.max(second.error);
    let mut vectors = reduced([first.mean, second.mean]);
    if vectors[0].length() > vectors[1].length() {
        vectors = [vectors[1], -vectors[0]];
    }
    // All bonds, not only each column's shortest, which noise makes shorter.
    let bonds: Vec<f64> = differences.iter().map(|v| v.length()).filter(|d| (d / distance - 1.0).abs() < 0.2).collect();
    let mean = bonds.iter().sum::<f64>() / bonds.len().max(1) as f64;
    let spread = (bonds.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / bonds.len().max(1) as f64).sqrt();
    Ok(LatticeVectors { vectors, sigma, neighbour_distance: mean, neighbour_spread: spread })
}

/// Lays columns on the lattice of a zone axis. `scale_angstrom` is about what a unit of the columns is in angstrom
/// (the pixel size), right to some 8 %.
///
/// # Errors
/// If there are fewer than six columns, or fewer than half of them are on the lattice.
pub fn fit_lattice(columns: &[ColumnPlace], zone: &Zone, scale_angstrom: f64) -> Result<LatticeFit, NoSpacing> {
    let found = columns.len();
    if found < FEWEST_COLUMNS {
        return Err(NoSpacing::TooFew { found });
    }
    let (index, _) = indexed(columns);
    let sites: Vec<DVec2> = zone.sites.iter().map(|site| site.fractional).collect();
    let cell = zone.cell_angstrom.map(|vector| vector / scale_angstrom);
    let numbering = start(columns, &index, cell, &sites).ok_or(NoSpacing::NoOrder { found })?;
    let numbers = numbered_from(numbering, columns, &index, &sites, cell);
    let fitted = numbers.iter().flatten().count();
    let off = |scale: f64| NoSpacing::OffLattice { fitted, found, zone: zone.label.clone(), scale };
    if fitted < FEWEST_COLUMNS || 2 * fitted < found {
        return Err(off(scale_angstrom));
    }

    let pairs: Vec<(DVec2, ColumnPlace)> = numbers
        .iter()
        .zip(columns)
        .filter_map(|(number, column)| {
            number.map(|p| (DVec2::new(f64::from(p.n), f64::from(p.m)) + sites[p.site], *column))
        })
        .collect();
    let model = Model::fitted(&pairs, Model::order_for(fitted)).ok_or_else(|| off(scale_angstrom))?;
    let vectors = Model::fitted(&pairs, 1).ok_or_else(|| off(scale_angstrom))?.vectors();
    let scale = scale_of(vectors, zone.cell_angstrom);
    let residual = pairs.iter().map(|(at, column)| (model.at(*at) - column.place).length_squared()).sum::<f64>();
    let strain = DMat2::from_cols(vectors[0], vectors[1]) * DMat2::from_cols(cell[0], cell[1]).inverse();
    Ok(LatticeFit {
        vectors,
        scale_angstrom: scale,
        scale_sigma_angstrom: jackknife(&pairs, zone.cell_angstrom).unwrap_or(scale * 0.02),
        anisotropy: stretch_ratio(strain) - 1.0,
        numbers,
        residual_rms: (residual / fitted as f64).sqrt(),
        model,
        site_distance: site_distance(&sites, vectors),
        sites,
    })
}

/// Root of the ratio of areas: the scale that a similarity has.
fn scale_of(measured: [DVec2; 2], known: [DVec2; 2]) -> f64 {
    (known[0].perp_dot(known[1]) / measured[0].perp_dot(measured[1])).abs().sqrt()
}

/// Larger over smaller singular value.
fn stretch_ratio(matrix: DMat2) -> f64 {
    let (a, b, c, d) = (matrix.x_axis.x, matrix.y_axis.x, matrix.x_axis.y, matrix.y_axis.y);
    let (sum, difference) = ((a + d).hypot(c - b), (a - d).hypot(b + c));
    (sum + difference) / (sum - difference).abs().max(f64::MIN_POSITIVE)
}

fn site_distance(sites: &[DVec2], vectors: [DVec2; 2]) -> f64 {
    let mut least = f64::MAX;
    for a in sites {
        for b in sites {
            for n in -2..=2 {
                for m in -2..=2 {
                    let apart = *b - *a + DVec2::new(f64::from(n), f64::from(m));
                    let length = (vectors[0] * apart.x + vectors[1] * apart.y).length();
                    if length > 1e-6 * vectors[0].length() {
                        least = least.min(length);
                    }
                }
            }
        }
    }
    least
}

/// A first guess: a column with its site, and the cell turned to fit its surroundings.
struct Numbering {
    column: usize,
    site: usize,
    vectors: [DVec2; 2],
}

/// The column, site and rotation of the cell that explain the neighbourhood best: tried at columns throughout the
/// image, with the rotations that lay a bond of the cell on a pair of columns.
fn start(columns: &[ColumnPlace], index: &Neighbours, cell: [DVec2; 2], sites: &[DVec2]) -> Option<Numbering> {
    let bond = site_distance(sites, cell);
    let reach = 3.0 * bond.max(0.6 * cell[0].length());
    let step = (columns.len() / 48).max(1);
    let mut best: Option<(f64, Numbering)> = None;
    for column in (0..columns.len()).step_by(step) {
        let centre = columns[column].place;
        let others = index.within(centre, reach).filter(|(j, _)| *j != column);
        let around: Vec<DVec2> = others.map(|(j, _)| columns[j].place - centre).collect();
        for site in 0..sites.len() {
            let places = neighbourhood(cell, sites, site, 1.1 * reach);
            let nearest = places.iter().map(|place| place.length()).fold(f64::MAX, f64::min);
            for mirrored in [false, true] {
                let flip = |v: DVec2| if mirrored { DVec2::new(v.x, -v.y) } else { v };
                for place in places.iter().filter(|place| place.length() < 1.1 * nearest) {
                    for neighbour in around.iter().filter(|v| (v.length() / nearest - 1.0).abs() < 0.2) {
                        let turn = neighbour.normalize().rotate(conjugate(flip(*place).normalize()));
                        let score = overlap(&around, &places, |v| turn.rotate(flip(v)), 0.28 * bond);
                        if best.as_ref().is_none_or(|(most, _)| score > most + 1e-9) {
                            let vectors = cell.map(|v| turn.rotate(flip(v)));
                            best = Some((score, Numbering { column, site, vectors }));
                        }
                    }
                }
            }
        }
    }
    best.filter(|(score, _)| *score >= 3.0).map(|(_, numbering)| numbering)
}

fn conjugate(v: DVec2) -> DVec2 {
    DVec2::new(v.x, -v.y)
}

/// Places of the lattice around a site, from the site.
fn neighbourhood(cell: [DVec2; 2], sites: &[DVec2], site: usize, reach: f64) -> Vec<DVec2> {
    let mut places = Vec::new();
    let area = cell[0].perp_dot(cell[1]).abs();
    let most_n = (reach * cell[1].length() / area).ceil() as i32 + 1;
    let most_m = (reach * cell[0].length() / area).ceil() as i32 + 1;
    for n in -most_n..=most_n {
        for m in -most_m..=most_m {
            for other in sites {
                let apart = *other - sites[site] + DVec2::new(f64::from(n), f64::from(m));
                let place = cell[0] * apart.x + cell[1] * apart.y;
                if place.length() > 1e-6 * cell[0].length() && place.length() < reach {
                    places.push(place);
                }
            }
        }
    }
    places
}

/// How many columns sit on places, each counted by how near it is, less places and columns that are alone.
fn overlap(around: &[DVec2], places: &[DVec2], to_image: impl Fn(DVec2) -> DVec2, tolerance: f64) -> f64 {
    let mut score = 0.0;
    for place in places {
        let at = to_image(*place);
        let off = around.iter().map(|v| (*v - at).length()).fold(f64::MAX, f64::min);
        score += if off < tolerance { 1.0 - (off / tolerance).powi(2) } else { -0.25 };
    }
    let alone = around.iter().filter(|v| places.iter().all(|place| (to_image(*place) - **v).length() > tolerance));
    score - alone.count() as f64
}

/// Numbers columns outwards from the start.
///
/// A round predicts the places next to every numbered column from a fit to the numbered columns around it, and takes the
/// nearest free column within a quarter of the bond. Rounds go on until none is added.
fn numbered_from(
    start: Numbering,
    columns: &[ColumnPlace],
    index: &Neighbours,
    sites: &[DVec2],
    cell: [DVec2; 2],
) -> Vec<Option<LatticePlace>> {
    let bond = site_distance(sites, cell);
    let tolerance = 0.3 * bond;
    let mut numbers: Vec<Option<LatticePlace>> = vec![None; columns.len()];
    let mut taken: BTreeMap<LatticePlace, usize> = BTreeMap::new();
    let mut vectors: Vec<[DVec2; 2]> = vec![start.vectors; columns.len()];
    let first = LatticePlace { n: 0, m: 0, site: start.site };
    numbers[start.column] = Some(first);
    taken.insert(first, start.column);

    // Places next to each site: bonds, and the two vectors so that a lattice with a wide cell holds together.
    let steps: Vec<Vec<(i32, i32, usize)>> = (0..sites.len())
        .map(|site| {
            let mut steps = Vec::new();
            for n in -2..=2 {
                for m in -2..=2 {
                    for (other, at) in sites.iter().enumerate() {
                        let apart = *at - sites[site] + DVec2::new(f64::from(n), f64::from(m));
                        let length = (cell[0] * apart.x + cell[1] * apart.y).length();
                        if length > 1e-6 * bond && length < 1.9 * bond.max(0.55 * cell[1].length()) {
                            steps.push((n, m, other));
                        }
                    }
                }
            }
            steps
        })
        .collect();

    let mut front = vec![start.column];
    while !front.is_empty() {
        let mut next = Vec::new();
        for &column in &front {
            let Some(place) = numbers[column] else { continue };
            vectors[column] = local_vectors(column, place, columns, index, &numbers, sites, vectors[column], bond);
            let [a1, a2] = vectors[column];
            for &(n, m, site) in &steps[place.site] {
                let neighbour = LatticePlace { n: place.n + n, m: place.m + m, site };
                if taken.contains_key(&neighbour) {
                    continue;
                }
                let apart = sites[site] - sites[place.site] + DVec2::new(f64::from(n), f64::from(m));
                let expected = columns[column].place + a1 * apart.x + a2 * apart.y;
                let free = index.within(expected, tolerance).filter(|(j, _)| numbers[*j].is_none());
                if let Some((j, _)) = free.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0))) {
                    numbers[j] = Some(neighbour);
                    vectors[j] = vectors[column];
                    taken.insert(neighbour, j);
                    next.push(j);
                }
            }
        }
        front = next;
    }
    numbers
}

/// The cell around a column: least squares over the numbered columns near it, held to what it was by as much as one
/// neighbour weighs.
#[allow(clippy::too_many_arguments, reason = "the state of the numbering, which only this uses")]
fn local_vectors(
    column: usize,
    place: LatticePlace,
    columns: &[ColumnPlace],
    index: &Neighbours,
    numbers: &[Option<LatticePlace>],
    sites: &[DVec2],
    before: [DVec2; 2],
    bond: f64,
) -> [DVec2; 2] {
    let origin = DVec2::new(f64::from(place.n), f64::from(place.m)) + sites[place.site];
    let (mut normal, mut right) = (DMat2::from_diagonal(DVec2::splat(4.0)), DMat2::ZERO);
    right += DMat2::from_cols(before[0] * 4.0, before[1] * 4.0);
    for (j, _) in index.within(columns[column].place, 4.0 * bond) {
        if let Some(other) = numbers[j] {
            let u = DVec2::new(f64::from(other.n), f64::from(other.m)) + sites[other.site] - origin;
            let v = columns[j].place - columns[column].place;
            normal += DMat2::from_cols(u * u.x, u * u.y);
            right += DMat2::from_cols(v * u.x, v * u.y);
        }
    }
    let solved = right * normal.inverse();
    [solved.x_axis, solved.y_axis]
}

/// A polynomial from lattice coordinates to the image.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    centre: DVec2,
    reach: f64,
    order: usize,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Model {
    /// Order that a number of columns carries.
    fn order_for(columns: usize) -> usize {
        match columns {
            0..40 => 1,
            40..120 => 2,
            _ => 3,
        }
    }

    fn terms(&self, at: DVec2) -> Vec<f64> {
        let u = (at - self.centre) / self.reach;
        let mut terms = Vec::with_capacity(10);
        for total in 0..=self.order as i32 {
            for power in 0..=total {
                terms.push(u.x.powi(total - power) * u.y.powi(power));
            }
        }
        terms
    }

    /// Least squares, weighted by the columns' variances.
    fn fitted(pairs: &[(DVec2, ColumnPlace)], order: usize) -> Option<Model> {
        let centre = pairs.iter().map(|(at, _)| *at).sum::<DVec2>() / pairs.len() as f64;
        let reach = pairs.iter().map(|(at, _)| (*at - centre).length()).fold(1.0, f64::max);
        let mut model = Model { centre, reach, order, x: vec![], y: vec![] };
        let count = (order + 1) * (order + 2) / 2;
        let mut normal = vec![vec![0.0; count + 2]; count];
        let typical = median(&pairs.iter().map(|(_, column)| column.sigma).collect::<Vec<_>>());
        for (at, column) in pairs {
            // A sigma of 0, or one much smaller than the rest, must not decide alone.
            let weight = if typical > 0.0 { 1.0 / (column.sigma.powi(2) + typical.powi(2)) } else { 1.0 };
            let terms = model.terms(*at);
            for (row, a) in normal.iter_mut().zip(&terms) {
                row.iter_mut().zip(&terms).for_each(|(sum, b)| *sum += weight * a * b);
                row[count] += weight * a * column.place.x;
                row[count + 1] += weight * a * column.place.y;
            }
        }
        eliminate(&mut normal)?;
        model.x = normal.iter().map(|row| row[count]).collect();
        model.y = normal.iter().map(|row| row[count + 1]).collect();
        Some(model)
    }

    fn at(&self, at: DVec2) -> DVec2 {
        let terms = self.terms(at);
        let sum = |factors: &[f64]| terms.iter().zip(factors).map(|(term, factor)| term * factor).sum();
        DVec2::new(sum(&self.x), sum(&self.y))
    }

    /// The cell at the patch's middle, which for a linear model is the mean cell.
    fn vectors(&self) -> [DVec2; 2] {
        [1, 2].map(|term| DVec2::new(self.x[term], self.y[term]) / self.reach)
    }
}

/// Gauss-Jordan elimination with pivots, in place; the right-hand sides become the solutions.
fn eliminate(rows: &mut [Vec<f64>]) -> Option<()> {
    let count = rows.len();
    for column in 0..count {
        let pivot = (column..count).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, pivot);
        let scale = rows[column][column];
        if scale.abs() < 1e-12 * (rows[0][0].abs() + 1e-300) {
            return None;
        }
        rows[column].iter_mut().for_each(|value| *value /= scale);
        let pivot_row = rows[column].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            if index != column {
                let factor = row[column];
                row.iter_mut().zip(&pivot_row).for_each(|(value, from)| *value -= factor * from);
            }
        }
    }
    Some(())
}

/// Standard error of the scale from leaving out blocks of columns: sectors around the patch's middle.
fn jackknife(pairs: &[(DVec2, ColumnPlace)], known: [DVec2; 2]) -> Option<f64> {
    let centre = pairs.iter().map(|(_, column)| column.place).sum::<DVec2>() / pairs.len() as f64;
    let blocks = BLOCKS.min(pairs.len() / 3).max(2);
    let mut by_angle: Vec<(f64, usize)> =
        pairs.iter().enumerate().map(|(index, (_, column))| ((column.place - centre).to_angle(), index)).collect();
    by_angle.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut scales = Vec::new();
    for block in 0..blocks {
        let left = by_angle.len() * block / blocks..by_angle.len() * (block + 1) / blocks;
        let kept: Vec<_> =
            by_angle.iter().enumerate().filter(|(at, _)| !left.contains(at)).map(|(_, (_, i))| pairs[*i]).collect();
        scales.push(scale_of(Model::fitted(&kept, 1)?.vectors(), known));
    }
    let n = scales.len() as f64;
    let mean = scales.iter().sum::<f64>() / n;
    Some(((n - 1.0) / n * scales.iter().map(|scale| (scale - mean).powi(2)).sum::<f64>()).sqrt())
}

struct Cluster {
    mean: DVec2,
    error: f64,
    count: usize,
}

/// Clusters of vectors: the fullest cell of a grid first, its mean followed until it stays, its members taken out.
fn clustered(vectors: &[DVec2], radius: f64) -> Vec<Cluster> {
    let cell_of = |v: DVec2| ((v.x / radius).floor() as i64, (v.y / radius).floor() as i64);
    let mut cells: BTreeMap<(i64, i64), Vec<usize>> = BTreeMap::new();
    for (index, vector) in vectors.iter().enumerate() {
        cells.entry(cell_of(*vector)).or_default().push(index);
    }
    let mut order: Vec<_> = cells.iter().map(|(cell, members)| (members.len(), *cell)).collect();
    order.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut used = vec![false; vectors.len()];
    let mut clusters: Vec<Cluster> = Vec::new();
    for (_, cell) in order {
        let members: Vec<usize> = cells[&cell].iter().copied().filter(|&index| !used[index]).collect();
        if members.is_empty() {
            continue;
        }
        let mut mean = members.iter().map(|&index| vectors[index]).sum::<DVec2>() / members.len() as f64;
        let mut inside: Vec<usize> = Vec::new();
        for _ in 0..8 {
            let (cx, cy) = cell_of(mean);
            inside.clear();
            for x in cx - 1..=cx + 1 {
                for y in cy - 1..=cy + 1 {
                    let near = |index: &&usize| !used[**index] && (vectors[**index] - mean).length() < radius;
                    inside.extend(cells.get(&(x, y)).into_iter().flatten().filter(near));
                }
            }
            if inside.is_empty() {
                break;
            }
            mean = inside.iter().map(|&index| vectors[index]).sum::<DVec2>() / inside.len() as f64;
        }
        for &index in &inside {
            used[index] = true;
        }
        if !inside.is_empty() {
            let n = inside.len() as f64;
            let variance =
                inside.iter().map(|&index| (vectors[index] - mean).length_squared()).sum::<f64>() / (2.0 * n);
            clusters.push(Cluster { mean, error: (variance / n).sqrt(), count: inside.len() });
        }
    }
    clusters
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The columns in buckets of about four, and the side that these would have.
pub(crate) fn indexed(columns: &[ColumnPlace]) -> (Neighbours, f64) {
    let places: Vec<DVec2> = columns.iter().map(|column| column.place).collect();
    let finite = || places.iter().filter(|place| place.is_finite());
    let size = finite().copied().reduce(DVec2::max).unwrap_or_default()
        - finite().copied().reduce(DVec2::min).unwrap_or_default();
    let count = columns.len().max(1) as f64;
    let spread = (4.0 * size.x * size.y / count).sqrt().max(2.0 * size.max_element() / count);
    (Neighbours::new(&places, spread), spread)
}

/// Distance from a place to the nearest column that is not there itself.
fn nearest_other(index: &Neighbours, place: DVec2, spread: f64) -> Option<f64> {
    let mut reach = spread;
    for _ in 0..40 {
        let others = index.within(place, reach).map(|(_, square)| square).filter(|square| *square > 0.0);
        if let Some(least) = others.min_by(f64::total_cmp) {
            return Some(least.sqrt());
        }
        reach *= 2.0;
    }
    None
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use rand_distr::{Distribution, Normal};

    use super::*;
    use crate::lattice::{KnownLattice, completeness};
    use crate::test_places::{apart, scattered};

    const PIXEL: f64 = 0.12;

    fn zone(name: &str, index: usize) -> Zone {
        KnownLattice::named(name).unwrap().zones[index].clone()
    }

    /// The columns of a zone within a disc, in pixels, off their places by `sigma`, bent by `bend`.
    fn columns(zone: &Zone, radius: f64, sigma: f64, bend: impl Fn(DVec2) -> DVec2) -> Vec<ColumnPlace> {
        let mut random = SeedPath::new(11).stream();
        let normal = Normal::new(0.0, sigma).unwrap();
        let turn = DVec2::from_angle(0.37);
        let [a1, a2] = zone.cell_angstrom.map(|v| turn.rotate(v) / PIXEL);
        let most = (2.0 * radius / a1.length().min(a2.length())) as i32 + 2;
        let mut columns = Vec::new();
        for n in -most..=most {
            for m in -most..=most {
                for site in &zone.sites {
                    let cell = site.fractional + DVec2::new(f64::from(n), f64::from(m));
                    let at = a1 * cell.x + a2 * cell.y;
                    if at.length() < radius {
                        let jitter = DVec2::new(normal.sample(&mut random), normal.sample(&mut random));
                        columns.push(ColumnPlace { place: bend(at) + jitter + 300.0, sigma });
                    }
                }
            }
        }
        columns
    }

    #[test]
    fn vectors_of_a_honeycomb_and_of_a_small_particle() {
        let graphene = columns(&zone("graphene", 0), 250.0, 0.4, |at| at);
        let found = lattice_vectors(&graphene).unwrap();
        for vector in found.vectors {
            assert!((vector.length() * PIXEL - 2.461).abs() < 0.01, "{found:?}");
        }
        let angle = found.vectors[0].angle_to(found.vectors[1]).to_degrees().abs();
        assert!((angle - 60.0).abs() < 0.5 || (angle - 120.0).abs() < 0.5, "{angle}");
        assert!((found.neighbour_distance * PIXEL - 1.421).abs() < 0.05);
        let gold = columns(&zone("Au", 0), 65.0, 0.5, |at| at);
        assert!((20..40).contains(&gold.len()));
        let found = lattice_vectors(&gold).unwrap();
        assert!((found.vectors[0].length() * PIXEL - 2.498).abs() < 0.03, "{found:?}");
        assert!(
            (found.vectors[1].length() * PIXEL - 2.885).abs() < 0.03
                || (found.vectors[1].length() * PIXEL - 2.498).abs() < 0.03,
            "{found:?}"
        );
    }

    #[test]
    fn the_check_says_how_far_off_a_pixel_size_is() {
        for (name, index, radius) in
            [("graphene", 0, 200.0), ("Au", 0, 80.0), ("Au", 1, 90.0), ("MoS2", 0, 200.0), ("CeO2", 0, 120.0)]
        {
            let zone = zone(name, index);
            let columns = columns(&zone, radius, 0.5, |at| at);
            // Asked with a pixel size that is 4 % off.
            let fit = fit_lattice(&columns, &zone, 1.04 * PIXEL).unwrap();
            assert_eq!(fit.numbered(), columns.len(), "{name} {}", zone.label);
            let off = fit.scale_angstrom / PIXEL - 1.0;
            assert!(off.abs() < 0.005 && off.abs() < 4.0 * fit.scale_sigma_angstrom / PIXEL, "{name}: {off}");
            let check = fit.check(1.02 * PIXEL);
            assert!(check.is_off() && (check.deviation_percent - 2.0).abs() < 0.5, "{check}");
            assert!(check.to_string().contains("off by +"), "{check}");
            assert!(!fit.check(PIXEL).is_off(), "{}", fit.check(PIXEL));
            assert!(fit.anisotropy < 0.01 && fit.residual_rms < 1.2, "{fit:?}");
        }
    }

    #[test]
    fn vacancies_are_found_in_a_bent_sheet() {
        let zone = zone("graphene", 0);
        // Barrel distortion of 1.5 % at the border, and shear.
        let bend = |at: DVec2| at * (1.0 - 0.015 * (at / 350.0).length_squared()) + DVec2::new(0.01 * at.y, 0.0);
        let all = columns(&zone, 350.0, 0.8, bend);
        let missing = [100, 401, 402, 1000, 1500];
        let mut kept: Vec<ColumnPlace> =
            all.iter().enumerate().filter(|(i, _)| !missing.contains(i)).map(|(_, column)| *column).collect();
        // A column where there is no place: in the middle of a ring.
        kept.push(ColumnPlace { place: DVec2::splat(300.0), sigma: 0.8 });
        let fit = fit_lattice(&kept, &zone, PIXEL).unwrap();
        assert!(fit.numbered() >= kept.len() - 1);
        let inside = |place: DVec2| (place - 300.0).length() < 320.0;
        let found = completeness(&kept, &fit, inside, 2);
        let expected: Vec<DVec2> = missing.iter().map(|&i| all[i].place).filter(|place| inside(*place)).collect();
        assert_eq!(found.vacant.len(), expected.len(), "{:?}", found.vacant);
        for place in expected {
            assert!(found.vacant.iter().any(|(_, at)| (*at - place).length() < 4.0));
        }
        assert_eq!(found.filled + found.vacant.len(), found.places);
        assert_eq!(found.extra, [kept.len() - 1]);
    }

    #[test]
    fn disorder_and_few_columns_are_refused() {
        let zone = zone("Au", 0);
        let random: Vec<ColumnPlace> =
            apart(scattered(400, 300.0, 3), 9.0).into_iter().map(|place| ColumnPlace { place, sigma: 0.5 }).collect();
        assert!(fit_lattice(&random, &zone, PIXEL).is_err());
        assert!(matches!(lattice_vectors(&random), Err(NoSpacing::NoOrder { .. })), "{:?}", lattice_vectors(&random));
        assert_eq!(lattice_vectors(&random[..3]), Err(NoSpacing::TooFew { found: 3 }));
        assert!(matches!(fit_lattice(&[], &zone, PIXEL), Err(NoSpacing::TooFew { found: 0 })));
        let one_place = vec![ColumnPlace { place: DVec2::ONE, sigma: 0.0 }; 10];
        assert!(lattice_vectors(&one_place).is_err() && fit_lattice(&one_place, &zone, PIXEL).is_err());
    }
}
