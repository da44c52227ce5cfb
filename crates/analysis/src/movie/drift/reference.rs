//! Where a frame is, from its columns: the columns seen before, and the pose that lays a frame's on them.
//!
//! Columns are paired one to one with those of the reference, the rigid motion between pairs is found by least squares,
//! and both are repeated with a narrowing gate (P. J. Besl and N. D. McKay, *IEEE Trans. Pattern Anal. Mach. Intell.* 14,
//! 239 (1992), doi:10.1109/34.121791, with the trimming of D. Chetverikov et al., *Image Vis. Comput.* 23, 299 (2005),
//! doi:10.1016/j.imavis.2004.05.007). Residuals are weighted as P. J. Huber, *Ann. Math. Stat.* 35, 73 (1964),
//! doi:10.1214/aoms/1177703732, so that a column that really moved does not pull the rest along.

use atomlens_core::glam::{DMat3, DVec2, DVec3};

use super::pose::Pose;
use crate::matching::pair;
use crate::neighbours::Neighbours;

/// A column as the pose sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Observed {
    pub(super) place: DVec2,
    pub(super) sigma: f64,
    pub(super) probability: f64,
}

/// Residual in standard deviations from which on a column's pull no longer grows.
const HUBER: f64 = 1.8;

/// Residual beyond which a pair is left out.
const TRIM: f64 = 4.5;

/// Columns that decide a pose at most: more do not make it better than anything else in the chain is.
const MOST_COLUMNS: usize = 2000;

/// Fewest pairs that make a pose, and that make a rotation.
const FEWEST_PAIRS: usize = 4;
const FEWEST_FOR_ROTATION: usize = 10;

/// How much likelier than by chance, in nats, how many pairs and what share of the columns that are expected in the
/// frame make a pose convincing. A frame has some thousand places to lie on a reference by chance, 8 nats; and chance
/// lays a few columns on a lattice, not a good part of them.
const SIGNIFICANT_NATS: f64 = 15.0;
const FEWEST_CONVINCING: f64 = 5.0;
const LEAST_SHARE: f64 = 0.2;

/// Innovation in standard deviations from which on a rotation is a jump, about which the ones before say nothing.
const TURN_JUMP: f64 = 4.0;

/// Edge of the cells in which common displacements are counted, in spacings.
const VOTE_CELL: f64 = 0.2;

/// Share of the detections that may be anywhere, whatever their probability says.
const STRAY: f64 = 0.05;

/// A column of the reference.
#[derive(Debug, Clone, Copy)]
struct Known {
    place: DVec2,
    /// Sum of the inverse variances of what it was made of.
    weight: f64,
    /// Running mean of how often it is there.
    presence: f64,
    /// Number of frames it was seen in.
    seen: u32,
}

/// The columns of a movie so far, in the coordinates of the reference.
pub(super) struct Reference {
    columns: Vec<Known>,
    index: Neighbours,
    frames: usize,
    /// Typical distance between neighbours.
    pub(super) spacing: f64,
    memory: f64,
}

/// A pose from columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located {
    pub(super) pose: Pose,
    pub(super) drift_sigma: f64,
    pub(super) rotation_sigma: f64,
    /// Robust standard deviation of a residual in each direction.
    spread: f64,
    /// Pairs that decided it.
    pub(super) matched: usize,
    /// Whether they are more than chance would give.
    pub(super) convincing: bool,
}

/// What is known of a rotation before the columns are looked at: its value and standard deviation, `None` to hold it.
pub(super) type RotationPrior = Option<f64>;

impl Reference {
    pub(super) fn new(memory: f64) -> Reference {
        Reference { columns: Vec::new(), index: Neighbours::new(&[], 1.0), frames: 0, spacing: 2.0, memory }
    }

    pub(super) fn frames(&self) -> usize {
        self.frames
    }

    /// Sum of what those columns of the reference are worth that `inside` accepts.
    pub(super) fn evidence(&self, inside: impl Fn(DVec2) -> bool) -> f64 {
        let counted = |column: &&Known| self.grown(column) && inside(column.place);
        self.columns.iter().filter(counted).map(|column| column.presence).sum()
    }

    /// Whether a column may take part: one that was seen once among many frames is a false alarm more often than not.
    fn grown(&self, column: &Known) -> bool {
        column.seen as usize >= self.frames.min(3)
    }

    /// How well the columns of a frame lie on the reference at a pose, in nats against lying anywhere.
    pub(super) fn score(&self, columns: &[Observed], pose: &Pose) -> f64 {
        let width = 0.1 * self.spacing;
        let reach = 4.0 * width;
        let peak = self.spacing * self.spacing / (std::f64::consts::TAU * width * width);
        let step = columns.len().div_ceil(MOST_COLUMNS).max(1);
        // The first frames did not show every column there is.
        let complete = (1.0 - STRAY) * self.frames as f64 / (self.frames as f64 + 1.0);
        let scored = columns.iter().step_by(step).map(|column| {
            let place = pose.to_reference(column.place);
            let near = self.index.within(place, reach).filter(|(index, _)| self.grown(&self.columns[*index]));
            let density: f64 = near
                .map(|(index, square)| self.columns[index].presence * (-0.5 * square / (width * width)).exp() * peak)
                .sum();
            let share = complete * column.probability;
            (1.0 - share + share * density).ln()
        });
        scored.sum::<f64>() * step as f64
    }

    /// Displacements that many columns have in common from a reference column at the guess, best first, in reference
    /// coordinates: the maxima of the cross-correlation of both sets of places, up to `reach` in each direction.
    pub(super) fn votes(&self, columns: &[Observed], guess: &Pose, reach: DVec2, most: usize) -> Vec<DVec2> {
        let cell = VOTE_CELL * self.spacing;
        let (half_x, half_y) = ((reach.x / cell).ceil() as i64, (reach.y / cell).ceil() as i64);
        let (nx, ny) = ((2 * half_x + 3) as usize, (2 * half_y + 3) as usize);
        let mut votes = vec![0.0_f32; nx * ny];
        let known: Vec<&Known> = self.columns.iter().filter(|column| self.grown(column)).collect();
        let thin = |count: usize| count.div_ceil(MOST_COLUMNS).max(1);
        for column in columns.iter().step_by(thin(columns.len())) {
            let place = guess.to_reference(column.place);
            for known in known.iter().step_by(thin(known.len())) {
                let off = place - known.place;
                if off.x.abs() >= reach.x || off.y.abs() >= reach.y {
                    continue;
                }
                let at = off / cell + DVec2::new((half_x + 1) as f64, (half_y + 1) as f64);
                let (low, weight) = (at.floor(), (column.probability * known.presence) as f32);
                let part = (at - low).as_vec2();
                let corner = low.y as usize * nx + low.x as usize;
                votes[corner] += weight * (1.0 - part.x) * (1.0 - part.y);
                votes[corner + 1] += weight * part.x * (1.0 - part.y);
                votes[corner + nx] += weight * (1.0 - part.x) * part.y;
                votes[corner + nx + 1] += weight * part.x * part.y;
            }
        }
        let mut maxima = Vec::new();
        for j in 1..ny - 1 {
            for i in 1..nx - 1 {
                let here = votes[j * nx + i];
                if here <= 0.0 {
                    continue;
                }
                let (mut sum, mut first, mut highest) = (0.0, DVec2::ZERO, true);
                for y in j - 1..=j + 1 {
                    for x in i - 1..=i + 1 {
                        let value = votes[y * nx + x];
                        highest &= value <= here;
                        sum += f64::from(value);
                        first += f64::from(value) * DVec2::new(x as f64, y as f64);
                    }
                }
                if highest {
                    let at = first / sum - DVec2::new((half_x + 1) as f64, (half_y + 1) as f64);
                    maxima.push((sum, at * cell));
                }
            }
        }
        maxima.sort_by(|a, b| b.0.total_cmp(&a.0));
        maxima.truncate(most);
        maxima.into_iter().map(|(_, shift)| shift).collect()
    }

    /// The pose of a frame's columns, from a guess that is right to a good part of the spacing.
    ///
    /// `inside` says whether a reference place lies in the frame at the guess.
    pub(super) fn locate(
        &self,
        columns: &[Observed],
        guess: &Pose,
        rotation: RotationPrior,
        inside: impl Fn(DVec2) -> bool,
    ) -> Option<Located> {
        let step = columns.len().div_ceil(MOST_COLUMNS).max(1);
        let columns: Vec<Observed> = columns.iter().step_by(step).copied().collect();
        let places: Vec<DVec2> = columns.iter().map(|column| column.place).collect();
        let mut pose = *guess;
        let least = (LEAST_SHARE * self.evidence(inside) / step as f64).max(FEWEST_CONVINCING);
        let mut gate = 0.4 * self.spacing;
        let mut last = None;
        for round in 0..8 {
            let known: Vec<usize> = self.near(&places, &pose, gate);
            let targets: Vec<DVec2> = known.iter().map(|&index| self.columns[index].place).collect();
            let moved: Vec<DVec2> = places.iter().map(|place| pose.to_reference(*place)).collect();
            let pairs: Vec<(Observed, Known)> = pair(&moved, &targets, gate)
                .into_iter()
                .map(|pair| (columns[pair.detected], self.columns[known[pair.truth]]))
                .collect();
            if pairs.len() < FEWEST_PAIRS {
                return None;
            }
            let rotation = rotation.filter(|_| pairs.len() >= FEWEST_FOR_ROTATION);
            let solved = solve(&pairs, pose, guess.rotation_rad, rotation)?;
            let change = (solved.pose.drift_angstrom - pose.drift_angstrom).length();
            let matched = pairs.len();
            let density = targets.len() as f64 / self.area(&moved).max(f64::MIN_POSITIVE);
            let chance = (density * std::f64::consts::PI * gate * gate).min(0.95);
            let by_chance = chance * columns.iter().map(|column| column.probability).sum::<f64>();
            let hits: f64 = pairs.iter().map(|(column, _)| column.probability).sum();
            // Chernoff's bound on a Poisson number, where there are more than by chance.
            let nats = if hits > by_chance { hits * (hits / by_chance).ln() - (hits - by_chance) } else { 0.0 };
            let nats = nats.max(self.score(&columns, &solved.pose));
            let convincing = nats > SIGNIFICANT_NATS && matched as f64 >= least;
            pose = solved.pose;
            last = Some(Located { matched, convincing, ..solved });
            let narrower = (3.5 * solved.spread).clamp(0.12 * self.spacing, 0.4 * self.spacing);
            if round > 1 && change < 1e-4 && (narrower - gate).abs() < 0.02 * gate {
                break;
            }
            gate = narrower;
        }
        last
    }

    /// Grown columns near any of the places, in order.
    fn near(&self, places: &[DVec2], pose: &Pose, gate: f64) -> Vec<usize> {
        let mut near: Vec<usize> = places
            .iter()
            .flat_map(|place| self.index.within(pose.to_reference(*place), 1.5 * gate).map(|(index, _)| index))
            .filter(|&index| self.grown(&self.columns[index]))
            .collect();
        near.sort_unstable();
        near.dedup();
        near
    }

    /// Area that places cover.
    fn area(&self, places: &[DVec2]) -> f64 {
        let low = places.iter().fold(DVec2::INFINITY, |low, place| low.min(*place));
        let high = places.iter().fold(DVec2::NEG_INFINITY, |high, place| high.max(*place));
        let extent = (high - low).max(DVec2::splat(self.spacing));
        extent.x * extent.y
    }

    /// Takes a frame's columns in at its pose. `inside` says whether a reference place lies in the frame.
    pub(super) fn add(&mut self, columns: &[Observed], pose: &Pose, inside: impl Fn(DVec2) -> bool) {
        let moved: Vec<DVec2> = columns.iter().map(|column| pose.to_reference(column.place)).collect();
        let known: Vec<DVec2> = self.columns.iter().map(|column| column.place).collect();
        let mut found = vec![0.0; self.columns.len()];
        let mut taken = vec![false; columns.len()];
        self.frames += 1;
        for pair in pair(&moved, &known, 0.25 * self.spacing) {
            let (observed, column) = (columns[pair.detected], &mut self.columns[pair.truth]);
            let weight = observed.probability / (observed.sigma * observed.sigma);
            // Bounded, so that a column that slowly moves is followed.
            column.weight = (column.weight * (1.0 - 1.0 / self.memory)) + weight;
            column.place += (moved[pair.detected] - column.place) * (weight / column.weight);
            column.seen = column.seen.saturating_add(1);
            found[pair.truth] = observed.probability;
            taken[pair.detected] = true;
        }
        let rate = (1.0 / self.frames as f64).max(1.0 / self.memory);
        for (column, found) in self.columns.iter_mut().zip(found) {
            if inside(column.place) {
                column.presence += rate.max(1.0 / f64::from(column.seen + 1)).min(0.5) * (found - column.presence);
            }
        }
        for ((observed, place), taken) in columns.iter().zip(moved).zip(taken) {
            if !taken {
                let weight = observed.probability / (observed.sigma * observed.sigma);
                let presence = if self.frames == 1 { observed.probability } else { 0.5 * observed.probability };
                self.columns.push(Known { place, weight, presence, seen: 1 });
            }
        }
        // False alarms fade, so the list does not grow with the number of frames.
        if self.frames > 3 {
            self.columns.retain(|column| column.presence > 0.02);
        }
        let places: Vec<DVec2> = self.columns.iter().map(|column| column.place).collect();
        if self.frames <= 5 || self.frames.is_multiple_of(64) {
            self.spacing = spacing(&self.columns).unwrap_or(self.spacing);
        }
        self.index = Neighbours::new(&places, 0.4 * self.spacing);
    }
}

/// Median distance from a likely column to the nearest other.
fn spacing(columns: &[Known]) -> Option<f64> {
    let places: Vec<DVec2> = columns.iter().filter(|column| column.presence > 0.4).map(|column| column.place).collect();
    if places.len() < FEWEST_PAIRS {
        return None;
    }
    let index = Neighbours::new(&places, 2.0);
    let step = places.len().div_ceil(MOST_COLUMNS).max(1);
    let mut nearest: Vec<f64> = (0..places.len())
        .step_by(step)
        .filter_map(|own| {
            let others = index.within(places[own], 8.0).filter(|(other, _)| *other != own);
            others.map(|(_, square)| square).min_by(f64::total_cmp).map(f64::sqrt)
        })
        .collect();
    nearest.sort_by(f64::total_cmp);
    nearest.get(nearest.len() / 2).map(|distance| distance.clamp(1.0, 5.0))
}

/// Huber's estimate of the motion between pairs. `rotation` is the standard deviation of the rotation about `expected`.
fn solve(pairs: &[(Observed, Known)], start: Pose, expected: f64, rotation: RotationPrior) -> Option<Located> {
    let mut pose = start;
    let mut result = None;
    for _ in 0..6 {
        let residuals: Vec<(DVec2, DVec2, f64)> = pairs
            .iter()
            .map(|(column, known)| {
                let lever = pose.to_frame(known.place) - pose.centre_angstrom - pose.drift_angstrom;
                let sigma = (column.sigma * column.sigma + 1.0 / known.weight.max(f64::MIN_POSITIVE)).sqrt();
                (column.place - pose.to_frame(known.place), lever.perp(), sigma)
            })
            .collect();
        let scaled: Vec<f64> = residuals.iter().map(|(residual, _, sigma)| residual.length() / sigma).collect();
        let mut sorted = scaled.clone();
        sorted.sort_by(f64::total_cmp);
        // The median of a Rayleigh distribution is 1.177 standard deviations.
        let scale = (sorted[sorted.len() / 2] / 1.1774).max(1e-3);
        let (mut normal, mut right) = (DMat3::ZERO, DVec3::ZERO);
        let (mut kept, mut squares) = (0.0, 0.0);
        for (((residual, turn, sigma), ratio), (column, _)) in residuals.iter().zip(&scaled).zip(pairs) {
            let ratio = ratio / scale;
            if ratio > TRIM {
                continue;
            }
            let weight = column.probability * (HUBER / ratio.max(HUBER)) / (sigma * sigma * scale * scale);
            for (slope, off) in [(DVec3::new(1.0, 0.0, turn.x), residual.x), (DVec3::new(0.0, 1.0, turn.y), residual.y)]
            {
                normal += weight * DMat3::from_cols(slope * slope.x, slope * slope.y, slope * slope.z);
                right += weight * off * slope;
            }
            kept += column.probability;
            squares += column.probability * residual.length_squared();
        }
        match rotation {
            Some(sigma) => {
                let free = inverse(normal)?;
                let turned = (free * right).z + pose.rotation_rad - expected;
                if turned * turned < TURN_JUMP * TURN_JUMP * (sigma * sigma + free.z_axis.z) {
                    normal.z_axis.z += 1.0 / (sigma * sigma);
                    right.z += (expected - pose.rotation_rad) / (sigma * sigma);
                }
            }
            None => {
                (normal.x_axis.z, normal.y_axis.z, normal.z_axis) = (0.0, 0.0, DVec3::Z);
                right.z = 0.0;
            }
        }
        let covariance = inverse(normal)?;
        let change = covariance * right;
        pose.drift_angstrom += change.truncate();
        pose.rotation_rad += change.z;
        result = Some(Located {
            pose,
            drift_sigma: (0.5 * (covariance.x_axis.x + covariance.y_axis.y)).sqrt(),
            rotation_sigma: if rotation.is_some() { covariance.z_axis.z.sqrt() } else { 0.0 },
            spread: (0.5 * squares / f64::max(kept, f64::MIN_POSITIVE)).sqrt(),
            matched: pairs.len(),
            convincing: false,
        });
        if change.abs().element_sum() < 1e-6 {
            break;
        }
    }
    result
}

/// Inverse of a symmetric matrix, unless it is singular.
fn inverse(m: DMat3) -> Option<DMat3> {
    let (determinant, size) = (m.determinant(), m.x_axis.x * m.y_axis.y * m.z_axis.z);
    (determinant.is_finite() && determinant > 1e-12 * size.abs()).then(|| m.inverse())
}
