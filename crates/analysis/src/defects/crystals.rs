//! Crystals of a sheet: which column is which site of which honeycomb.
//!
//! Columns are first told apart by the direction of their rows. In each grain a crystal grows from the best ordered
//! column not yet taken. Each column that is taken carries a local affine frame,
//! fitted to what is taken around it, that foretells the sites around; the best fitting column of all that are
//! foretold is taken next. So the lattice follows strain and ripples, goes around vacancies, and ends where the
//! bonds of the next column point elsewhere. Sheets of two kinds of site are then cut where the kinds change places
//! (inversion domains), and turned such that site 0 holds metal or boron.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_3};
use std::sync::LazyLock;

use atomlens_core::glam::{DMat2, DVec2};

use super::chemistry::Chemistry;
use super::grains;
use super::graph::BondGraph;
use super::honeycomb::{self, Index};
use crate::neighbours::Neighbours;

/// How far from its foretold place a column is taken, in bonds.
const CAPTURE_BONDS: f64 = 0.3;
/// By how much a column's own bonds may be turned against the frame.
const LARGEST_TURN_RAD: f64 = 0.21;
/// Threefold order below which a column's bonds say nothing of a direction.
const ORDERED: f64 = 0.7;
/// Reach of local fits, in bonds: 24 sites.
const FIT_REACH: f64 = 3.0;

/// Offsets to the sites within [`FIT_REACH`].
static AROUND: LazyLock<Vec<Index>> = LazyLock::new(|| honeycomb::around(FIT_REACH));

/// Columns by the site that they are on, and the lattice as a whole.
#[derive(Debug, Clone)]
pub(super) struct Lattice {
    pub(super) sites: BTreeMap<Index, usize>,
    /// Turn and scale of the ideal honeycomb, as a complex number, and its shift.
    pub(super) turn_angstrom: DVec2,
    pub(super) shift_angstrom: DVec2,
    /// Root mean square distance from that rigid lattice along one direction, and the standard deviation of each
    /// component of `turn_angstrom`.
    pub(super) turn_sigma_angstrom: f64,
    /// Root mean square distance from the local fits along one direction.
    pub(super) scatter_angstrom: f64,
}

/// All crystals, the largest first.
pub(super) fn find(graph: &BondGraph, chemistry: &Chemistry, smallest: usize) -> Vec<Lattice> {
    let mut grower = Grower::new(graph);
    let mut grown = Vec::new();
    for seed in grower.seeds() {
        if let Some(sites) = grower.grow(seed) {
            if sites.len() >= smallest {
                grown.push(sites);
            } else {
                grower.release(&sites);
            }
        }
    }
    let polar = chemistry.is_polar();
    let domains =
        grown.into_iter().flat_map(|sites| if polar { domains(sites, chemistry, smallest) } else { vec![sites] });
    let mut lattices: Vec<Lattice> = domains.map(|sites| Lattice::of(sites, graph)).collect();
    lattices.sort_by_key(|lattice| (Reverse(lattice.sites.len()), lattice.sites.values().min().copied()));
    lattices
}

/// A column that may be taken, best first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// Distance from the foretold place in millionths of a bond.
    misfit: u64,
    index: Index,
    column: usize,
    parent: usize,
}

struct Grower<'a> {
    graph: &'a BondGraph,
    near: Neighbours,
    threefold: Vec<Option<DVec2>>,
    grain_of: Vec<Option<usize>>,
    taken: Vec<bool>,
    /// Of columns that failed once as a seed.
    barren: Vec<bool>,
}

impl<'a> Grower<'a> {
    fn new(graph: &'a BondGraph) -> Grower<'a> {
        let count = graph.places.len();
        Grower {
            graph,
            near: Neighbours::new(&graph.places, graph.bond_angstrom),
            threefold: (0..count).map(|index| graph.threefold(index)).collect(),
            grain_of: grains::find(graph),
            taken: vec![false; count],
            barren: vec![false; count],
        }
    }

    /// Ordered columns whose neighbours are ordered too, the best first.
    fn seeds(&self) -> Vec<usize> {
        let order = |column: usize| self.threefold[column].map_or(0.0, DVec2::length);
        let mut seeds: Vec<(f64, usize)> = (0..self.graph.places.len())
            .filter(|&column| order(column) > ORDERED && self.grain_of[column].is_some())
            .map(|column| {
                let around = self.graph.bonds[column].iter().map(|&other| order(other)).fold(1.0, f64::min);
                (order(column).min(around), column)
            })
            .filter(|(worst, _)| *worst > ORDERED)
            .collect();
        seeds.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        seeds.into_iter().map(|(_, column)| column).collect()
    }

    fn grow(&mut self, seed: usize) -> Option<BTreeMap<Index, usize>> {
        if self.taken[seed] || self.barren[seed] {
            return None;
        }
        let bond = self.graph.bond_angstrom;
        let turn = (self.threefold[seed]?.to_angle() - FRAC_PI_2) / 3.0;
        let frame = DMat2::from_angle(turn) * bond;
        let mut sites = BTreeMap::from([([0, 0, 0], seed)]);
        let mut frames = BTreeMap::from([(seed, frame)]);
        self.taken[seed] = true;
        let mut queue = BinaryHeap::new();
        let grain = self.grain_of[seed];
        self.foretell([0, 0, 0], seed, frame, grain, &sites, &mut queue);
        while let Some(Reverse(candidate)) = queue.pop() {
            let Candidate { index, column, parent, .. } = candidate;
            if self.taken[column] || sites.contains_key(&index) {
                continue;
            }
            self.taken[column] = true;
            sites.insert(index, column);
            let frame = self.frame(index, frames[&parent], &sites);
            frames.insert(column, frame);
            self.foretell(index, column, frame, grain, &sites, &mut queue);
        }
        Some(sites)
    }

    fn release(&mut self, sites: &BTreeMap<Index, usize>) {
        for &column in sites.values() {
            self.taken[column] = false;
            self.barren[column] = true;
        }
    }

    /// Puts what may be on the sites around one that was taken into the queue.
    fn foretell(
        &self,
        index: Index,
        column: usize,
        frame: DMat2,
        grain: Option<usize>,
        sites: &BTreeMap<Index, usize>,
        queue: &mut BinaryHeap<Reverse<Candidate>>,
    ) {
        let bond = self.graph.bond_angstrom;
        let from = self.graph.places[column];
        let origin = honeycomb::place(index);
        let steps = honeycomb::bonded(index).into_iter().map(|site| (site, 0));
        // Over a vacancy the way goes by the second neighbours, with less trust.
        let steps = steps.chain(honeycomb::second(index).into_iter().map(|site| (site, 200_000)));
        for (site, distrust) in steps.filter(|(site, _)| !sites.contains_key(site)) {
            let foretold = from + frame * (honeycomb::place(site) - origin);
            let nearest = self
                .near
                .within(foretold, CAPTURE_BONDS * bond)
                .filter(|&(other, _)| !self.taken[other] && self.grain_of[other].is_none_or(|own| grain == Some(own)))
                .filter(|&(other, _)| self.points_along(other, site, frame))
                .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            if let Some((other, square)) = nearest {
                let misfit = (1e6 * square.sqrt() / bond) as u64 + distrust;
                queue.push(Reverse(Candidate { misfit, index: site, column: other, parent: column }));
            }
        }
    }

    /// Whether a column's own bonds fit the frame; those of a column without clear bonds do.
    fn points_along(&self, column: usize, site: Index, frame: DMat2) -> bool {
        let Some(order) = self.threefold[column].filter(|order| order.length() > ORDERED) else { return true };
        let own_bond = honeycomb::place(honeycomb::bonded(site)[0]) - honeycomb::place(site);
        let expected = DVec2::from_angle(3.0 * (frame * own_bond).to_angle());
        order.angle_to(expected).abs() < 3.0 * LARGEST_TURN_RAD
    }

    /// The affine frame by what is taken within two bonds, held to the frame it was reached by.
    fn frame(&self, index: Index, before: DMat2, sites: &BTreeMap<Index, usize>) -> DMat2 {
        let origin = honeycomb::place(index);
        let from = self.graph.places[sites[&index]];
        let (mut images, mut ideals) = (before, DMat2::IDENTITY);
        for other in honeycomb::bonded(index).into_iter().chain(honeycomb::second(index)) {
            let Some(&column) = sites.get(&other) else { continue };
            let (ideal, image) = (honeycomb::place(other) - origin, self.graph.places[column] - from);
            images += outer(image, ideal);
            ideals += outer(ideal, ideal);
        }
        images * ideals.inverse()
    }
}

/// `a` times `b` transposed.
fn outer(a: DVec2, b: DVec2) -> DMat2 {
    DMat2::from_cols(a * b.x, a * b.y)
}

/// Cuts a crystal where its two kinds of site change places, and turns each part such that site 0 holds the first kind.
fn domains(sites: BTreeMap<Index, usize>, chemistry: &Chemistry, smallest: usize) -> Vec<BTreeMap<Index, usize>> {
    let [first, second] = chemistry.sublattices;
    let polarity = |index: Index, column: usize| {
        let lean = chemistry.belongs(column, first) - chemistry.belongs(column, second);
        if index[2] == 0 { lean } else { -lean }
    };
    let around = honeycomb::around(2.0);
    let upright: BTreeMap<Index, bool> = sites
        .iter()
        .map(|(&index, &column)| {
            let near = around.iter().filter_map(|&by| {
                let other = honeycomb::offset(index, by);
                sites.get(&other).map(|&column| polarity(other, column))
            });
            (index, polarity(index, column) + near.sum::<f64>() >= 0.0)
        })
        .collect();
    let total: f64 = sites.iter().map(|(&index, &column)| polarity(index, column)).sum();
    let main = total >= 0.0;
    // Small patches of the other polarity are mistaken species or antisites, no domains.
    let mut of_main: BTreeSet<Index> = upright.iter().filter(|(_, up)| **up == main).map(|(&index, _)| index).collect();
    let mut parts = Vec::new();
    for patch in patches(upright.iter().filter(|(_, up)| **up != main).map(|(&index, _)| index).collect()) {
        if patch.len() < smallest {
            of_main.extend(patch);
        } else {
            parts.push((patch, !main));
        }
    }
    // What a domain cuts off of the rest is a crystal of its own, unless it is too small for one.
    for patch in patches(of_main) {
        if patch.len() >= smallest || parts.is_empty() {
            parts.push((patch, main));
        }
    }
    parts
        .into_iter()
        .map(|(patch, up)| {
            let name = |index: Index| if up { index } else { honeycomb::turned(index) };
            patch.into_iter().map(|index| (name(index), sites[&index])).collect()
        })
        .collect()
}

/// Sites that hang together over first and second neighbours.
fn patches(mut rest: BTreeSet<Index>) -> Vec<BTreeSet<Index>> {
    let mut patches = Vec::new();
    while let Some(start) = rest.pop_first() {
        let mut patch = BTreeSet::from([start]);
        let mut queue = vec![start];
        while let Some(index) = queue.pop() {
            for other in honeycomb::bonded(index).into_iter().chain(honeycomb::second(index)) {
                if rest.remove(&other) {
                    patch.insert(other);
                    queue.push(other);
                }
            }
        }
        patches.push(patch);
    }
    patches
}

impl Lattice {
    fn of(sites: BTreeMap<Index, usize>, graph: &BondGraph) -> Lattice {
        let count = sites.len() as f64;
        let pairs = || sites.iter().map(|(&index, &column)| (honeycomb::place(index), graph.places[column]));
        let (ideal_mean, image_mean) =
            pairs().fold((DVec2::ZERO, DVec2::ZERO), |(a, b), (ideal, image)| (a + ideal / count, b + image / count));
        // The similarity of least squares: sum conj(ideal) image over sum |ideal|^2.
        let (mut turn, mut square) = (DVec2::ZERO, 0.0);
        for (ideal, image) in pairs() {
            let (ideal, image) = (ideal - ideal_mean, image - image_mean);
            turn += DVec2::new(ideal.dot(image), ideal.perp_dot(image));
            square += ideal.length_squared();
        }
        let turn = turn / square.max(1e-9);
        let misfit: f64 =
            pairs().map(|(ideal, image)| (image - image_mean - turn.rotate(ideal - ideal_mean)).length_squared()).sum();
        let rigid_scatter = (misfit / (2.0 * count - 4.0).max(1.0)).sqrt();
        let mut lattice = Lattice {
            shift_angstrom: image_mean - turn.rotate(ideal_mean),
            turn_angstrom: turn,
            turn_sigma_angstrom: rigid_scatter / square.max(1e-9).sqrt(),
            scatter_angstrom: 0.0,
            sites,
        };
        let (mut sum, mut fits) = (0.0, 0.0);
        for (&index, &column) in &lattice.sites {
            if let Some((place, leverage)) = lattice.foretold_by_fit(index, &graph.places) {
                // What is foretold from others scatters by the fit on top of the column's own.
                sum += place.distance_squared(graph.places[column]) / (1.0 + leverage);
                fits += 2.0;
            }
        }
        lattice.scatter_angstrom = if fits > 0.0 { (sum / fits).sqrt() } else { rigid_scatter };
        lattice
    }

    /// Where a site should be, by the columns around it or, far from any, by the rigid lattice.
    pub(super) fn foretold(&self, index: Index, places: &[DVec2]) -> DVec2 {
        self.foretold_by_fit(index, places).map_or_else(
            || self.shift_angstrom + self.turn_angstrom.rotate(honeycomb::place(index)),
            |(place, _)| place,
        )
    }

    /// The place by an affine fit to the columns within reach, the site's own left out, and how much of their
    /// variance it has. `None` where they do not lie all around or on two sides at least.
    fn foretold_by_fit(&self, index: Index, places: &[DVec2]) -> Option<(DVec2, f64)> {
        let origin = honeycomb::place(index);
        let known: Vec<(DVec2, DVec2)> = AROUND
            .iter()
            .map(|&by| honeycomb::offset(index, by))
            .filter_map(|site| self.sites.get(&site).map(|&column| (honeycomb::place(site) - origin, places[column])))
            .collect();
        if known.len() < 5 {
            return None;
        }
        let count = known.len() as f64;
        let (ideal_mean, image_mean) = known
            .iter()
            .fold((DVec2::ZERO, DVec2::ZERO), |(a, b), &(ideal, image)| (a + ideal / count, b + image / count));
        let (mut images, mut ideals) = (DMat2::ZERO, DMat2::ZERO);
        for &(ideal, image) in &known {
            images += outer(image - image_mean, ideal - ideal_mean);
            ideals += outer(ideal - ideal_mean, ideal - ideal_mean);
        }
        if ideals.determinant() < 1.0 {
            return None;
        }
        let inverse = ideals.inverse();
        let leverage = 1.0 / count + ideal_mean.dot(inverse * ideal_mean);
        (leverage < 2.0).then(|| (image_mean - images * inverse * ideal_mean, leverage))
    }

    /// Direction of a lattice vector, folded into plus or minus half of the lattice's own period.
    pub(super) fn orientation_rad(&self, polar: bool) -> f64 {
        let period = if polar { 2.0 * FRAC_PI_3 } else { FRAC_PI_3 };
        let angle = self.turn_angstrom.to_angle();
        angle - period * (angle / period).round()
    }

    pub(super) fn lattice_angstrom(&self) -> f64 {
        3.0_f64.sqrt() * self.turn_angstrom.length()
    }

    /// Area that belongs to one site.
    pub(super) fn area_per_site_nm2(&self) -> f64 {
        0.75 * 3.0_f64.sqrt() * self.turn_angstrom.length_squared() / 100.0
    }
}
