//! The sites of a sheet: which have a column, which miss one, and where the sheet ends.
//!
//! Around the columns of a crystal its lattice is carried on. Sites without a column that hang together over bonds are
//! one gap. A gap that goes on to where no column is near is the vacuum; one that other crystals or disorder fill is a
//! boundary; one that leaves the field of view says nothing; what is left is enclosed by the crystal, and is a vacancy.
//! A column within a gap's reach that no crystal has is a displaced one (a turned bond), and its site is no vacancy.
//!
//! The probability that an enclosed site is really empty, not missed, is what the detector's calibrated probability of a column there
//! leaves: it knows how clear this image is, and at this place. Where the detector cannot be asked, it follows from
//! Bayes' rule: of `n` sites of a kind without a report a share `v / (v + (1 - v) m)` is empty, with the share `m` of columns that
//! the detector misses on average and the concentration `v` of vacancies; `v` is integrated over its posterior under Jeffreys' prior.

use std::collections::{BTreeMap, BTreeSet};

use atomlens_core::glam::DVec2;

use super::chemistry::Chemistry;
use super::crystals::Lattice;
use super::graph::BondGraph;
use super::honeycomb::{self, Index};
use super::{DefectSettings, Region, SheetColumns, Site, Sublattice};
use crate::neighbours::Neighbours;

/// A point farther than this from all columns is in the vacuum; the middle of a 12-ring is 1 bond away, of the gap
/// that a whole missing hexagon leaves 2.
const VACUUM_BONDS: f64 = 2.2;
/// How far a displaced column may be from its site: half a turned bond is 0.71 off.
const DISPLACED_BONDS: f64 = 0.85;
/// How near to a gap other crystals and disorder make it a part of the boundary, in bonds.
const BESIDE_BONDS: f64 = 1.9;
/// Columns of no crystal so near to a place from which on it is disorder, not a displaced pair.
const DISORDER: usize = 5;

/// What is at a site of a crystal's lattice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A column, near its place or displaced.
    Filled(usize),
    /// No column; the number of its gap.
    Gap(usize),
    Vacuum,
    /// Another crystal, or disorder.
    Foreign,
    /// Outside the field of view.
    Unseen,
}

/// Enclosed sites without a column that hang together.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    pub(super) crystal: usize,
    pub(super) sites: Vec<Index>,
    /// Whether it reaches the border of what is seen.
    pub(super) at_border: bool,
}

/// A crystal with all that is around it.
#[derive(Debug, Clone)]
pub(super) struct Surveyed {
    pub(super) states: BTreeMap<Index, State>,
    /// Where the lattice foretells the sites without a column.
    pub(super) foretold: BTreeMap<Index, DVec2>,
}

/// All crystals with their surroundings.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    pub(super) crystals: Vec<Surveyed>,
    pub(super) gaps: Vec<Gap>,
    /// Crystal of each column, displaced ones too.
    pub(super) crystal_of: Vec<Option<usize>>,
}

impl Survey {
    pub(super) fn of(
        lattices: &[Lattice],
        graph: &BondGraph,
        input: &SheetColumns<'_>,
        settings: &DefectSettings,
    ) -> Survey {
        let mut crystal_of = vec![None; graph.places.len()];
        for (crystal, lattice) in lattices.iter().enumerate() {
            for &column in lattice.sites.values() {
                crystal_of[column] = Some(crystal);
            }
        }
        let near = Neighbours::new(&graph.places, graph.bond_angstrom);
        let mut survey = Survey { crystals: Vec::new(), gaps: Vec::new(), crystal_of };
        for (crystal, lattice) in lattices.iter().enumerate() {
            let walker = Walker { crystal, lattice, graph, near: &near, input, settings };
            let surveyed = walker.walk(&mut survey.gaps, &mut survey.crystal_of);
            survey.crystals.push(surveyed);
        }
        survey
    }

    /// Crystal and site of each column.
    pub(super) fn site_of_columns(&self, columns: usize) -> Vec<Option<(usize, Index)>> {
        let mut sites = vec![None; columns];
        for (crystal, surveyed) in self.crystals.iter().enumerate() {
            for (&index, &state) in &surveyed.states {
                if let State::Filled(column) = state {
                    sites[column] = Some((crystal, index));
                }
            }
        }
        sites
    }

    /// The sites of the sheet, by crystal and index; vacuum and the like are none.
    pub(super) fn sites(
        &self,
        chemistry: &Chemistry,
        input: &SheetColumns<'_>,
        settings: &DefectSettings,
    ) -> Vec<Site> {
        let mut sites = Vec::new();
        for (crystal, surveyed) in self.crystals.iter().enumerate() {
            for (&index, &state) in &surveyed.states {
                let sublattice = chemistry.sublattices[index[2] as usize];
                let (place, column) = match state {
                    State::Filled(column) => {
                        let found = &input.columns[column];
                        (DVec2::new(found.x_angstrom, found.y_angstrom), Some(column))
                    }
                    State::Gap(_) => (surveyed.foretold[&index], None),
                    _ => continue,
                };
                let region = match state {
                    State::Gap(gap) if self.gaps[gap].at_border => Region::Border,
                    State::Gap(_) => Region::Interior,
                    _ if !settings.sees(input, place) => Region::Border,
                    _ => surveyed.region(index),
                };
                let empty_probability = column.map_or(1.0, |column| 1.0 - input.columns[column].probability);
                let [x_angstrom, y_angstrom] = place.to_array();
                sites.push(Site {
                    x_angstrom,
                    y_angstrom,
                    crystal,
                    index,
                    sublattice,
                    column,
                    region,
                    empty_probability,
                });
            }
        }
        weigh_empty(&mut sites, input);
        sites
    }
}

impl Surveyed {
    /// Where a filled site lies, by what it is bonded to.
    fn region(&self, index: Index) -> Region {
        let around = honeycomb::bonded(index).map(|other| self.states.get(&other).copied());
        if around.iter().any(|state| matches!(state, Some(State::Vacuum | State::Foreign))) {
            Region::Edge
        } else if around.contains(&Some(State::Unseen)) {
            Region::Border
        } else {
            Region::Interior
        }
    }
}

/// Goes around one crystal.
struct Walker<'a, 'b> {
    crystal: usize,
    lattice: &'a Lattice,
    graph: &'a BondGraph,
    near: &'a Neighbours,
    input: &'a SheetColumns<'b>,
    settings: &'a DefectSettings,
}

/// What is at a site that has no column of the crystal's, looked at alone.
enum Look {
    /// `deep`: no column is near; `beside`: another crystal's is.
    Open {
        deep: bool,
        beside: bool,
    },
    Foreign,
    Unseen,
}

impl Walker<'_, '_> {
    fn walk(&self, gaps: &mut Vec<Gap>, crystal_of: &mut [Option<usize>]) -> Surveyed {
        let filled = self.lattice.sites.iter().map(|(&index, &column)| (index, State::Filled(column)));
        let mut surveyed = Surveyed { states: filled.collect(), foretold: BTreeMap::new() };
        for &index in self.lattice.sites.keys() {
            for start in honeycomb::bonded(index) {
                if !surveyed.states.contains_key(&start) {
                    self.explore(start, &mut surveyed, gaps, crystal_of);
                }
            }
        }
        surveyed
    }

    /// Follows what hangs together with an open site, and settles what it is.
    fn explore(&self, start: Index, surveyed: &mut Surveyed, gaps: &mut Vec<Gap>, crystal_of: &mut [Option<usize>]) {
        let mut open = BTreeSet::new();
        let mut queue = vec![start];
        let (mut vacuum, mut foreign, mut unseen) = (false, false, false);
        while let Some(index) = queue.pop() {
            match surveyed.states.get(&index) {
                Some(State::Filled(_) | State::Gap(_)) => continue,
                Some(State::Vacuum) => vacuum = true,
                Some(State::Foreign) => foreign = true,
                Some(State::Unseen) => unseen = true,
                None => {
                    let place = self.lattice.foretold(index, &self.graph.places);
                    surveyed.foretold.insert(index, place);
                    match self.look(place, crystal_of) {
                        Look::Unseen => {
                            surveyed.states.insert(index, State::Unseen);
                            unseen = true;
                        }
                        Look::Foreign => {
                            surveyed.states.insert(index, State::Foreign);
                            foreign = true;
                        }
                        Look::Open { deep, beside } => {
                            foreign |= beside;
                            if open.insert(index) && !vacuum {
                                // Vacuum has no end: its first deep place is enough.
                                vacuum = deep;
                                if !vacuum {
                                    queue.extend(honeycomb::bonded(index).into_iter().filter(|o| !open.contains(o)));
                                }
                            }
                        }
                    }
                }
            }
            if vacuum {
                break;
            }
        }
        let largest = self.settings.largest_cluster_sites;
        let state = if vacuum {
            State::Vacuum
        } else if foreign {
            State::Foreign
        } else if open.len() > largest || (unseen && open.len() > 2) {
            // A gap too wide for vacancies, or a corner of vacuum that the field cuts off.
            State::Vacuum
        } else {
            let open = self.without_displaced(open, surveyed, crystal_of);
            if !open.is_empty() {
                gaps.push(Gap { crystal: self.crystal, sites: open.iter().copied().collect(), at_border: unseen });
                let number = gaps.len() - 1;
                surveyed.states.extend(open.into_iter().map(|index| (index, State::Gap(number))));
            }
            return;
        };
        surveyed.states.extend(open.into_iter().map(|index| (index, state)));
    }

    fn look(&self, place: DVec2, crystal_of: &[Option<usize>]) -> Look {
        if !self.settings.sees(self.input, place) {
            return Look::Unseen;
        }
        let bond = self.graph.bond_angstrom;
        let (mut disorder, mut deep, mut beside) = (0, true, false);
        for (column, square) in self.near.within(place, VACUUM_BONDS * bond) {
            deep = false;
            match crystal_of[column] {
                Some(crystal) if crystal == self.crystal => {}
                Some(_) if square < (1.05 * bond).powi(2) => return Look::Foreign,
                Some(_) => beside |= square < (BESIDE_BONDS * bond).powi(2),
                None => disorder += usize::from(square < (BESIDE_BONDS * bond).powi(2)),
            }
        }
        if disorder >= DISORDER { Look::Foreign } else { Look::Open { deep, beside } }
    }

    /// Gives columns of no crystal to the sites of a gap that they are nearest to, nearest pairs first.
    fn without_displaced(
        &self,
        mut open: BTreeSet<Index>,
        surveyed: &mut Surveyed,
        crystal_of: &mut [Option<usize>],
    ) -> BTreeSet<Index> {
        let reach = DISPLACED_BONDS * self.graph.bond_angstrom;
        let mut pairs: Vec<(f64, Index, usize)> = open
            .iter()
            .flat_map(|&index| {
                let near = self.near.within(surveyed.foretold[&index], reach);
                near.map(move |(column, square)| (square, index, column))
            })
            .filter(|&(_, _, column)| crystal_of[column].is_none())
            .collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        for (_, index, column) in pairs {
            if crystal_of[column].is_none() && open.remove(&index) {
                crystal_of[column] = Some(self.crystal);
                surveyed.states.insert(index, State::Filled(column));
            }
        }
        open
    }
}

/// Sets the probability of sites without a column to be empty; see the module.
fn weigh_empty(sites: &mut [Site], input: &SheetColumns<'_>) {
    let missed = input.missed_share;
    let kinds: BTreeSet<Sublattice> = sites.iter().map(|site| site.sublattice).collect();
    for kind in kinds {
        let of_kind = |site: &Site| site.sublattice == kind && site.region != Region::Edge;
        let total = sites.iter().filter(|site| of_kind(site)).count();
        let empty: Vec<usize> =
            (0..sites.len()).filter(|&at| of_kind(&sites[at]) && sites[at].column.is_none()).collect();
        if empty.is_empty() {
            continue;
        }
        let share = empty_share(empty.len(), total, missed);
        for at in empty {
            let site = &mut sites[at];
            let seen = input.column_probability_at.map(|seen| seen(site.x_angstrom, site.y_angstrom));
            let seen = seen.filter(|seen| (0.0..=1.0).contains(seen));
            site.empty_probability = seen.map_or(share, |seen| 1.0 - seen);
        }
    }
}

/// Expected share of the really empty among `empty` sites of `total` that show no column, if `missed` of the columns show none.
pub(super) fn empty_share(empty: usize, total: usize, missed: f64) -> f64 {
    if missed <= 0.0 {
        return 1.0;
    }
    let (empty, filled) = (empty as f64, (total - empty) as f64);
    // Concentrations v = sin^2 of an angle have an even density under Jeffreys' prior.
    const STEPS: usize = 2000;
    let at = |step: usize| (std::f64::consts::FRAC_PI_2 * (step as f64 + 0.5) / STEPS as f64).sin().powi(2);
    let log_likelihood = |v: f64| empty * (v + (1.0 - v) * missed).ln() + filled * (1.0 - v).ln();
    let highest = (0..STEPS).map(|step| log_likelihood(at(step))).fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut weights) = (0.0, 0.0);
    for step in 0..STEPS {
        let v = at(step);
        let weight = (log_likelihood(v) - highest).exp();
        sum += weight * v / (v + (1.0 - v) * missed);
        weights += weight;
    }
    sum / weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_columns_are_told_from_empty_sites_by_their_number() {
        assert_eq!(empty_share(3, 100, 0.0), 1.0);
        // 2 % missed: of 20 silent sites in 1000 hardly any is empty, of 220 all but 20 (1 - 0.02 * 0.8 / 0.22 = 0.93).
        assert!(empty_share(20, 1000, 0.02) < 0.25);
        assert!((empty_share(220, 1000, 0.02) - 0.927).abs() < 0.01, "{}", empty_share(220, 1000, 0.02));
        // A single silent site in 100, where one is expected in 10000.
        assert!(empty_share(1, 100, 1e-4) > 0.97);
    }
}
