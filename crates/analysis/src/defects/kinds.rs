//! Point defects: sites without a column, columns of another species than the crystal's, columns on no site.

use std::collections::BTreeMap;

use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;

use super::chemistry::{Category, Chemistry};
use super::crystals::Lattice;
use super::graph::BondGraph;
use super::honeycomb::Index;
use super::rings::axis_rad;
use super::sites::{State, Survey};
use super::{Defect, DefectKind, Region, Site, Sublattice};
use crate::neighbours::Neighbours;

/// The kind of a site without a column.
pub(super) fn vacancy(sublattice: Sublattice) -> DefectKind {
    match sublattice {
        Sublattice::Carbon => DefectKind::CarbonVacancy,
        Sublattice::Boron => DefectKind::BoronVacancy,
        Sublattice::Nitrogen => DefectKind::NitrogenVacancy,
        Sublattice::Metal => DefectKind::MetalVacancy,
        Sublattice::Chalcogen => DefectKind::DoubleChalcogenVacancy,
    }
}

/// The kind of a column of a species of a category.
const OF_SPECIES: [(Category, DefectKind); 3] = [
    (Category::Single, DefectKind::ChalcogenVacancy),
    (Category::Substitution, DefectKind::Substitution),
    (Category::Antisite, DefectKind::Antisite),
];

/// The full species of site 0 and 1, by crystal.
pub(super) fn hosts(lattices: &[Lattice], chemistry: &Chemistry) -> Vec<[Option<usize>; 2]> {
    let host = |lattice: &Lattice, site: i32| {
        let on_site = lattice.sites.iter().filter(|(index, _)| !chemistry.is_polar() || index[2] == site);
        let columns: Vec<usize> = on_site.map(|(_, &column)| column).collect();
        chemistry.host(chemistry.sublattices[site as usize], &columns)
    };
    lattices.iter().map(|lattice| [host(lattice, 0), host(lattice, 1)]).collect()
}

/// Everything that point defects are told from.
pub(super) struct PointDefects<'a> {
    pub(super) columns: &'a [DetectedColumn],
    pub(super) chemistry: &'a Chemistry,
    pub(super) hosts: &'a [[Option<usize>; 2]],
    pub(super) survey: &'a Survey,
    pub(super) sites: &'a [Site],
}

impl PointDefects<'_> {
    /// All that could be one, with its probability, however small.
    pub(super) fn find(&self) -> Vec<Defect> {
        let numbers: BTreeMap<(usize, Index), usize> =
            self.sites.iter().enumerate().map(|(number, site)| ((site.crystal, site.index), number)).collect();
        let mut found = Vec::new();
        for (number, site) in self.sites.iter().enumerate() {
            match site.column {
                Some(column) => found.extend(self.of_species(site, column)),
                None => found.push(self.empty(number)),
            }
        }
        for gap in self.survey.gaps.iter().filter(|gap| gap.sites.len() > 1) {
            let sites = gap.sites.iter().filter_map(|&index| numbers.get(&(gap.crystal, index)).copied());
            found.push(self.cluster(sites.collect()));
        }
        found
    }

    fn of_species(&self, site: &Site, column: usize) -> Vec<Defect> {
        let Some(host) = self.hosts[site.crystal][site.index[2] as usize] else { return Vec::new() };
        let of_kind = |(category, kind)| {
            let (share, species) = self.chemistry.share(column, host, category);
            Some(Defect {
                members: vec![column],
                species: Some(species?),
                expected_species: Some(host),
                ..defect(kind, site, share * self.columns[column].probability)
            })
        };
        OF_SPECIES.into_iter().filter_map(of_kind).collect()
    }

    fn empty(&self, number: usize) -> Defect {
        let site = &self.sites[number];
        Defect {
            members: self.around(site),
            empty_sites: vec![number],
            expected_species: self.hosts[site.crystal][site.index[2] as usize],
            ..defect(vacancy(site.sublattice), site, site.empty_probability)
        }
    }

    /// The columns on the sites bonded to a site, ascending.
    fn around(&self, site: &Site) -> Vec<usize> {
        let states = &self.survey.crystals[site.crystal].states;
        let bonded = super::honeycomb::bonded(site.index);
        let column = |index: Index| match states.get(&index) {
            Some(&State::Filled(column)) => Some(column),
            _ => None,
        };
        let mut columns: Vec<usize> = bonded.into_iter().filter_map(column).collect();
        columns.sort_unstable();
        columns
    }

    fn cluster(&self, mut numbers: Vec<usize>) -> Defect {
        numbers.sort_unstable();
        let sites: Vec<&Site> = numbers.iter().map(|&number| &self.sites[number]).collect();
        let places: Vec<DVec2> = sites.iter().map(|site| DVec2::new(site.x_angstrom, site.y_angstrom)).collect();
        let mut members: Vec<usize> = sites.iter().flat_map(|site| self.around(site)).collect();
        members.sort_unstable();
        members.dedup();
        let middle = places.iter().sum::<DVec2>() / places.len() as f64;
        let mut longest = (0.0, DVec2::X);
        for (nth, &one) in places.iter().enumerate() {
            for &other in &places[nth + 1..] {
                if one.distance(other) > longest.0 {
                    longest = (one.distance(other), other - one);
                }
            }
        }
        Defect {
            x_angstrom: middle.x,
            y_angstrom: middle.y,
            members,
            empty_sites: numbers,
            angle_rad: Some(axis_rad(longest.1)),
            length_angstrom: Some(longest.0),
            ..defect(DefectKind::VacancyCluster, sites[0], two_or_more(sites.iter().map(|site| site.empty_probability)))
        }
    }
}

/// A defect at a site, with no more said of it.
fn defect(kind: DefectKind, site: &Site, probability: f64) -> Defect {
    Defect {
        kind,
        x_angstrom: site.x_angstrom,
        y_angstrom: site.y_angstrom,
        probability,
        region: site.region,
        crystal: Some(site.crystal),
        members: Vec::new(),
        empty_sites: Vec::new(),
        species: None,
        expected_species: None,
        angle_rad: None,
        length_angstrom: None,
    }
}

/// Probability that at least two of independent events happen.
fn two_or_more(probabilities: impl Iterator<Item = f64>) -> f64 {
    let (mut none, mut one) = (1.0, 0.0);
    for probability in probabilities {
        one = one * (1.0 - probability) + none * probability;
        none *= 1.0 - probability;
    }
    1.0 - none - one
}

/// Columns that no crystal has, although all around belongs to one: adatoms, interstitials, false columns.
pub(super) fn off_site(graph: &BondGraph, columns: &[DetectedColumn], survey: &Survey) -> Vec<Defect> {
    let reach = 1.6 * graph.bond_angstrom;
    let near = Neighbours::new(&graph.places, reach);
    let mut found = Vec::new();
    for column in (0..columns.len()).filter(|&column| survey.crystal_of[column].is_none()) {
        let place = graph.places[column];
        let around = || near.within(place, reach).filter(|&(other, _)| other != column);
        let crystals: Vec<Option<usize>> = around().map(|(other, _)| survey.crystal_of[other]).collect();
        let Some(&Some(crystal)) = crystals.first() else { continue };
        // Enclosed: not at an edge, where a column more or less is the edge.
        let mean = around().map(|(other, _)| (graph.places[other] - place) / graph.bond_angstrom).sum::<DVec2>();
        let enclosed = crystals.len() >= 4 && mean.length() < 0.4 * crystals.len() as f64;
        if enclosed && crystals.iter().all(|&other| other == Some(crystal)) {
            found.push(Defect {
                kind: DefectKind::OffSite,
                x_angstrom: place.x,
                y_angstrom: place.y,
                probability: columns[column].probability,
                region: Region::Interior,
                crystal: Some(crystal),
                members: vec![column],
                empty_sites: Vec::new(),
                species: Some(columns[column].species),
                expected_species: None,
                angle_rad: None,
                length_angstrom: None,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_independent_events() {
        assert!((two_or_more([0.5, 0.5].into_iter()) - 0.25).abs() < 1e-12);
        // Three coins: 4 of 8.
        assert!((two_or_more([0.5; 3].into_iter()) - 0.5).abs() < 1e-12);
        assert_eq!(two_or_more([1.0, 1.0].into_iter()), 1.0);
        assert_eq!(two_or_more([0.7].into_iter()), 0.0);
    }
}
